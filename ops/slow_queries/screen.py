"""The record of statements on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.markup import escape

from ops.slow_queries.record import Record, Sender, Statement
from ops.terminal import table

LONGEST: Final = 70
MOST_LATEST: Final = 20
MOST_PLANS: Final = 3
MOST_LINES: Final = 20
"""Plans are long: the beginnings of those of the statements that took most time, all of all with --json or --html."""


def screen(record: Record) -> Iterator[RenderableType]:
    """The report, part by part."""
    yield f"Source: {record.source}"
    for note in record.notes:
        yield f"Note: {escape(note)}"
    yield ""
    yield statements_table("Most time in all", record.statements)
    for one in [one for one in record.statements if one.advice]:
        yield f"\n[bold]{escape(title_of(one))}[/bold]"
        yield from (f"  {escape(f'{advice.kind}: {advice.finding}. {advice.remedy}')}" for advice in one.advice)
    for one in [one for one in record.statements if one.plan][:MOST_PLANS]:
        assert one.plan is not None
        yield f"\n[bold]Plan of {escape(title_of(one))}[/bold] ({one.plan.source})"
        yield escape("\n".join(f"  {line}" for line in one.plan.outline[:MOST_LINES]))
        if len(one.plan.outline) > MOST_LINES:
            yield f"  … {len(one.plan.outline) - MOST_LINES} more lines: --html FILE has them"
    yield ""
    if record.latest is not None:
        yield latest_table(record.threshold_ms, record.latest[-MOST_LATEST:])


def title_of(one: Statement) -> str:
    """The name of a statement of ours, else its beginning."""
    return one.name or one.statement[:LONGEST]


def sent_by(senders: Sequence[Sender], most: int = 3) -> str:
    """Who sends a statement, the most frequent first."""
    shown = [f"{of.operation or 'no operation'}{f' ({of.loader})' if of.loader else ''}" for of in senders[:most]]
    return "; ".join(shown) + (f"; {len(senders) - most} more" if len(senders) > most else "")


def statements_table(title: str, statements: Sequence[Statement]) -> RenderableType:
    """Figures of statements."""
    columns = ("statement", ">calls", ">total ms", ">mean ms", ">max ms", ">p95 ms", "sent by (loader)")
    rows = [
        (escape(title_of(one)), one.calls, one.total_ms, one.mean_ms, one.max_ms, one.p95_ms, sent_by(one.senders))
        for one in statements
    ]
    return table(title, columns, rows)


def latest_table(threshold_ms: float, latest: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The latest slow statements."""
    rows = [(of["name"], of["ms"], of["operation"] or "–", of.get("loader") or "–", of["process"]) for of in latest]
    title = f"Latest above SLOW_QUERY_THRESHOLD_MS={threshold_ms:g}"
    return table(title, ("statement", ">ms", "operation", "loader", "worker"), rows)
