"""Keyset pages: where a page begins is said by the sort key of a row, never by an offset.

A cursor holds the sort key as texts, in the order of the terms; PostgreSQL casts them back. The last term is unique.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from db.where import Where

T = TypeVar("T")
Cursor = tuple[str, ...]


class Term(msgspec.Struct, frozen=True):
    """One term of an order: an SQL expression that is never null, its type, and whether it falls."""

    expression: str
    type: str
    descending: bool = False


class Window(msgspec.Struct, frozen=True):
    """Which part of a list: `limit` rows after or before a cursor; `backwards` counts from the end."""

    limit: int
    after: Cursor | None = None
    before: Cursor | None = None
    backwards: bool = False


class Page(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """The rows of a window with their cursors, and whether the list goes on beyond it."""

    edges: tuple[tuple[Cursor, T], ...]
    more: bool

    @property
    def nodes(self) -> list[T]:
        """The rows alone."""
        return [node for _, node in self.edges]


def add_bounds(where: Where, terms: Sequence[Term], window: Window) -> None:
    """Add the conditions that the rows come after `window.after` and before `window.before`."""
    if window.after is not None:
        _add_bound(where, terms, window.after, "after", beyond=True)
    if window.before is not None:
        _add_bound(where, terms, window.before, "before", beyond=False)


def _add_bound(where: Where, terms: Sequence[Term], cursor: Cursor, name: str, *, beyond: bool) -> None:
    values = [f"CAST(CAST(:{name}_{i} AS text) AS {term.type})" for i, term in enumerate(terms)]
    parameters: dict[str, Any] = {f"{name}_{i}": value for i, value in enumerate(cursor)}
    signs = [">" if term.descending != beyond else "<" for term in terms]
    if len(set(signs)) == 1:  # one comparison of rows, which an index answers
        expressions = ", ".join(term.expression for term in terms)
        where.add(f"({expressions}) {signs[0]} ({', '.join(values)})", **parameters)
        return
    ways = []
    for last, term in enumerate(terms):
        equal = [f"{before.expression} = {values[i]}" for i, before in enumerate(terms[:last])]
        ways.append(" AND ".join([*equal, f"{term.expression} {signs[last]} {values[last]}"]))
    where.add(f"({' OR '.join(f'({way})' for way in ways)})", **parameters)


def order_by(terms: Sequence[Term], window: Window) -> str:
    """The ORDER BY of a window; a backwards one is read from the end."""
    directions = ("DESC" if term.descending != window.backwards else "ASC" for term in terms)
    return ", ".join(f"{term.expression} {way}" for term, way in zip(terms, directions, strict=True))


def cursor_column(terms: Sequence[Term]) -> str:
    """The sort key of a row as an array of texts."""
    return f"ARRAY[{', '.join(f'CAST({term.expression} AS text)' for term in terms)}]"


def page_of(records: Sequence[tuple[Any, ...]], row_type: type[T], window: Window) -> Page[T]:
    """A page from records (cursor, *columns), of which one more than the limit was asked for."""
    kept = records[: window.limit]
    rows = msgspec.convert([record[1:] for record in kept], list[row_type], strict=False)  # type: ignore[valid-type]
    edges = [(tuple(record[0]), row) for record, row in zip(kept, rows, strict=True)]
    if window.backwards:
        edges.reverse()
    return Page(tuple(edges), len(records) > window.limit)
