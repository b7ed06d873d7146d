"""What a plan of PostgreSQL says about making its statement faster: indexes, memory, statistics. Pure functions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

BIG_ROWS: Final = 10_000
"""A table of fewer rows is read faster than an index of it is looked through."""
SELECTIVE: Final = 0.1
MANY_ROWS: Final = 1_000
FAR_OFF: Final = 10

Node = Mapping[str, Any]
_PARTITION: Final = re.compile(r"_\d{6}$")


class Advice(msgspec.Struct, frozen=True):
    """One finding: its kind, what is the matter, and what to do about it."""

    kind: str
    finding: str
    remedy: str


def advice_on(plan: Mapping[str, Any], rows_by_table: Mapping[str, float]) -> list[Advice]:
    """What could be better, each finding once; `rows_by_table` is used where the plan was not executed."""
    found: dict[tuple[str, str], Advice] = {}
    for node, cut_off in _nodes(plan["Plan"]):
        for advice in (*_reading(node, rows_by_table), *_spilling(node), *_misjudging(node, cut_off)):
            found.setdefault((advice.kind, advice.remedy), advice)
    for advice in _compiling(plan):
        found.setdefault((advice.kind, advice.remedy), advice)
    return list(found.values())


def tables_of(plan: Mapping[str, Any]) -> set[str]:
    """The tables and partitions that a plan reads."""
    return {node["Relation Name"] for node, _ in _nodes(plan["Plan"]) if "Relation Name" in node}


def _nodes(node: Node, cut_off: bool = False) -> Iterator[tuple[Node, bool]]:
    """Every node, and whether one above it may stop before it is done."""
    yield node, cut_off
    for below in node.get("Plans", ()):
        yield from _nodes(below, cut_off or node["Node Type"] == "Limit")


def _reading(node: Node, rows_by_table: Mapping[str, float]) -> Iterator[Advice]:
    relation, filter_ = node.get("Relation Name"), node.get("Filter", "")
    if relation is None or not filter_:
        return
    table, loops = _PARTITION.sub("", relation), node.get("Actual Loops")
    removed = node.get("Rows Removed by Filter", 0) * (loops or 0)
    kept = node.get("Actual Rows", 0) * (loops or 0)
    if loops is None:
        kept, removed = node["Plan Rows"], rows_by_table.get(relation, 0) - node["Plan Rows"]
    columns = index_columns(filter_, node.get("Alias", relation))
    if node["Node Type"] == "Seq Scan" and removed + kept >= BIG_ROWS and kept <= SELECTIVE * (removed + kept):
        finding = f"{table} is read from end to end: {removed + kept:,.0f} rows for the {kept:,.0f} that fit"
        yield Advice("sequential scan", finding, _new_index(table, columns))
    elif node["Node Type"] != "Seq Scan" and loops and removed >= MANY_ROWS and kept <= SELECTIVE * (removed + kept):
        index = _index_of(node)
        finding = f"of {removed + kept:,.0f} rows of {table} that {index or 'the index'} finds, {kept:,.0f} fit"
        yield Advice("rows removed by filter", finding, _new_index(table, columns, beside=index))
    if node.get("Heap Fetches", 0) >= MANY_ROWS and node["Heap Fetches"] * 2 > node.get("Actual Rows", 0):
        finding = f"{node['Index Name']} alone could answer, yet {node['Heap Fetches']:,} rows of {table} were read"
        yield Advice("heap fetches", finding, f"VACUUM {table}")


def _index_of(node: Node) -> str | None:
    """The index that finds the rows of a node: a bitmap's is a node below it."""
    below = node.get("Plans", ()) if node["Node Type"] == "Bitmap Heap Scan" else ()
    names = [one["Index Name"] for one in (node, *below) if "Index Name" in one]
    return str(names[0]) if names else None


def _new_index(table: str, columns: Sequence[str], beside: str | None = None) -> str:
    if not columns:
        return f"write the condition so that an index of {table} can serve it"
    wanted = ", ".join(columns)
    return f"extend {beside} by {wanted}" if beside else f"CREATE INDEX ON {table} ({wanted})"


def index_columns(condition: str, alias: str) -> list[str]:
    """The columns and expressions of one table that a condition is about, those that must be equal first."""
    bare = re.sub(r"'(?:[^']|'')*'", "?", condition)
    column = rf"(?:(\w+)\()?\b{re.escape(alias)}\.(\w+)(?:\)?::[\w ]+)*\)*"
    found: dict[str, bool] = {}
    for function, name, operator in re.findall(rf"{column}\s*(=|)", bare):
        expression = f"{function}({name})" if function and function.lower() not in ("and", "or", "not") else name
        found[expression] = found.get(expression, False) or operator == "="
    return sorted(found, key=lambda expression: not found[expression])


def _spilling(node: Node) -> Iterator[Advice]:
    if node.get("Sort Space Type") == "Disk":
        finding = f"a sort of {node['Sort Space Used']:,} kB went to disk ({', '.join(node.get('Sort Key', ()))})"
        yield Advice("sort on disk", finding, "raise work_mem above that, or have an index in this order")
    if node.get("Hash Batches", 1) > 1:
        finding = f"a hash table did not fit into memory: {node['Hash Batches']} batches"
        yield Advice("hash on disk", finding, "raise work_mem or hash_mem_multiplier")
    if node.get("Disk Usage", 0) > 0:
        finding = f"grouping wrote {node['Disk Usage']:,} kB to disk"
        yield Advice("hash on disk", finding, "raise work_mem or hash_mem_multiplier")
    if node.get("Lossy Heap Blocks", 0) > 0:
        finding = f"the bitmap of {node.get('Relation Name')} forgot rows and kept {node['Lossy Heap Blocks']:,} pages"
        yield Advice("lossy bitmap", finding, "raise work_mem")


def _misjudging(node: Node, cut_off: bool) -> Iterator[Advice]:
    """Told of the lowest node that is far off, since those above it only repeat the mistake."""
    if not _far_off(node, cut_off) or any(_far_off(below, cut_off) for below in node.get("Plans", ())):
        return
    relation = node.get("Relation Name")
    place = f"{node['Node Type']} of {relation}" if relation else str(node["Node Type"])
    finding = f"{place}: {node['Plan Rows']:,.0f} rows were expected, {node['Actual Rows']:,.0f} came"
    table = _PARTITION.sub("", relation or "")
    conditions = "".join(node.get(name, "") for name in ("Index Cond", "Recheck Cond", "Filter"))
    columns = index_columns(conditions, node.get("Alias", relation or ""))
    remedy = f"ANALYZE {table}" if table else "ANALYZE the tables below it"
    if len(columns) > 1:
        remedy += f"; if that does not help, CREATE STATISTICS ON {', '.join(columns)} FROM {table}"
    yield Advice("misestimate", finding, remedy)


def _far_off(node: Node, cut_off: bool) -> bool:
    loops = node.get("Actual Loops", 0)
    if not loops or node["Node Type"] == "Bitmap Index Scan":  # the scan above it names the table
        return False
    expected, came = max(node["Plan Rows"], 1), max(node["Actual Rows"], 1)
    if max(expected, came) * loops < MANY_ROWS:
        return False
    return came >= FAR_OFF * expected or (expected >= FAR_OFF * came and not cut_off)


def _compiling(plan: Mapping[str, Any]) -> Iterator[Advice]:
    spent_ms = plan.get("JIT", {}).get("Timing", {}).get("Total", 0)
    if spent_ms > 0.3 * plan.get("Execution Time", float("inf")):
        finding = f"compiling took {spent_ms:,.0f} of {plan['Execution Time']:,.0f} ms"
        yield Advice("compilation", finding, "set jit = off, or raise jit_above_cost")
