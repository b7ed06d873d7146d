"""Walking a Relay connection from end to end, page by page, forwards and backwards."""

from collections.abc import Mapping
from typing import Any

from domain.permission import Viewer
from tests.kit.rig import Rig

WINDOW = "$first: Int, $after: String, $last: Int, $before: String"
WINDOW_ARGUMENTS = "first: $first, after: $after, last: $last, before: $before"
PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


async def walk_forwards(
    rig: Rig, query: str, field: str, variables: Mapping[str, Any], viewer: Viewer, size: int
) -> list[Any]:
    """The nodes of all pages of `first: size`; checks what each page says of itself."""
    found: list[Any] = []
    after = None
    while True:
        page = (await rig.data(query, {**variables, "first": size, "after": after}, viewer))[field]
        info = _checked(page)
        found += [edge["node"] for edge in page["edges"]]
        assert info["hasPreviousPage"] is (after is not None)
        if not info["hasNextPage"]:
            return found
        assert len(page["edges"]) == size
        after = info["endCursor"]


async def walk_backwards(
    rig: Rig, query: str, field: str, variables: Mapping[str, Any], viewer: Viewer, size: int
) -> list[Any]:
    """The nodes of all pages of `last: size`, put in the order of the list."""
    found: list[Any] = []
    before = None
    while True:
        page = (await rig.data(query, {**variables, "first": None, "last": size, "before": before}, viewer))[field]
        info = _checked(page)
        found = [edge["node"] for edge in page["edges"]] + found
        assert info["hasNextPage"] is (before is not None)
        if not info["hasPreviousPage"]:
            return found
        assert len(page["edges"]) == size
        before = info["startCursor"]


def _checked(page: Any) -> Any:
    cursors = [edge["cursor"] for edge in page["edges"]]
    assert (page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
    assert len(set(cursors)) == len(cursors)
    return page["pageInfo"]
