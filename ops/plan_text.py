"""A plan of PostgreSQL as lines of text: a node a line, what it expected and what came, its conditions below it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

CONDITIONS: Final = (
    "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Sort Key", "Group Key",
)  # fmt: skip
AMOUNTS: Final = {
    "Rows Removed by Filter": "rows removed by filter",
    "Rows Removed by Index Recheck": "rows removed by recheck",
    "Rows Removed by Join Filter": "rows removed by join filter",
    "Heap Fetches": "heap fetches",
    "Sort Space Used": "kB to sort",
    "Disk Usage": "kB on disk",
    "Shared Read Blocks": "blocks read",
}


def outline(plan: Mapping[str, Any]) -> list[str]:
    """The lines of a plan."""
    lines = list(_lines(plan["Plan"], 0))
    times = [f"{name.lower()} {plan[name]:g} ms" for name in ("Planning Time", "Execution Time") if name in plan]
    return [*lines, ", ".join(times)] if times else lines


def _lines(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    space = "  " * depth
    yield f"{space}{_title(node)}  ({_rows(node)})"
    for name in CONDITIONS:
        if name in node:
            shown = ", ".join(node[name]) if isinstance(node[name], list) else node[name]
            yield f"{space}    {name}: {shown}"
    amounts = [f"{node[name]:,} {words}" for name, words in AMOUNTS.items() if node.get(name)]
    if amounts:
        yield f"{space}    {', '.join(amounts)}"
    for below in node.get("Plans", ()):
        yield from _lines(below, depth + 1)


def _title(node: Mapping[str, Any]) -> str:
    title = " ".join(str(node[name]) for name in ("Strategy", "Join Type", "Node Type") if _tells(node, name))
    if "Index Name" in node:
        title += f" using {node['Index Name']}"
    if "Relation Name" in node:
        title += f" on {node['Relation Name']}"
    return title


def _tells(node: Mapping[str, Any], name: str) -> bool:
    return name in node and node[name] not in ("Plain", "Inner")


def _rows(node: Mapping[str, Any]) -> str:
    expected = f"expected {node['Plan Rows']:,} rows"
    if "Actual Rows" not in node:
        return f"{expected}, cost {node['Total Cost']:,.0f}"
    if not node["Actual Loops"]:
        return f"{expected}, never executed"
    times = f" {node['Actual Loops']:,} times" if node["Actual Loops"] > 1 else ""
    spent = f", {node['Actual Total Time']:,.3f} ms" if "Actual Total Time" in node else ""
    return f"{expected}, {node['Actual Rows']:,g} came{times}{spent}"
