"""Relay connections over keyset pages: edges, page information and lazily counted totals."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import strawberry

from db.employees import MOST_COUNTED
from db.keyset import Page, Window
from resolvers.arguments import cursor_text

T = TypeVar("T")


class PageInfo(msgspec.Struct, frozen=True):
    """Whether a list goes on, and the cursors of the ends of this page."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Edge(msgspec.Struct, Generic[T], frozen=True):
    """A row with its cursor."""

    cursor: str
    node: T


class Connection(msgspec.Struct, Generic[T], frozen=True):
    """A page as the API shows it; `count` looks up how many rows the whole list has."""

    nodes: Sequence[T]
    edges: Sequence[Edge[T]]
    page_info: PageInfo
    count: Callable[[], Awaitable[int | None]]
    filter: Any = None


def connection(
    page: Page[T],
    window: Window,
    order: object,
    count: Callable[[], Awaitable[int | None]],
    *,
    shown: Callable[[T], T | None] = lambda row: row,
    filter_: Any = None,
) -> Connection[T]:
    """A page as a connection; `shown` turns each row into what the viewer may see of it."""
    edges = [
        Edge(cursor_text(order, cursor), visible) for cursor, row in page.edges if (visible := shown(row)) is not None
    ]
    return Connection([edge.node for edge in edges], edges, _page_info(page, window, edges), count, filter_)


def _page_info(page: Page[Any], window: Window, edges: Sequence[Edge[Any]]) -> PageInfo:
    """Where a cursor was given, there is a row on its other side."""
    return PageInfo(
        has_next_page=window.before is not None if window.backwards else page.more,
        has_previous_page=page.more if window.backwards else window.after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )


async def total_count(row: strawberry.Parent[Connection[Any]]) -> int:
    """How many there are in all, at most MOST_COUNTED."""
    return min(await row.count() or 0, MOST_COUNTED)


async def total_count_is_exact(row: strawberry.Parent[Connection[Any]]) -> bool:
    """Whether the total is exact."""
    return (await row.count() or 0) <= MOST_COUNTED
