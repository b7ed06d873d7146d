"""`rollcall db slow-query`: report, stats, watch and cleanup."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.live import Live

from ops.terminal import AsJson, console, examples, plain_errors, print_json, run, shown, table
from web.environment import SettingsError

if TYPE_CHECKING:  # what asks PostgreSQL is loaded by the command that does
    from ops.slow_queries.record import Record
    from ops.slow_queries.watch import View, Watch

slow_query = typer.Typer(help="Statements that take long.", no_args_is_help=True)
MOST: Final = 500
Most = Annotated[int, typer.Option("--most", min=1, max=MOST, help="How many statements.")]
Log = Annotated[
    Path | None,
    typer.Option("--log", help="PostgreSQL's log (stderr, .csv or .json) with auto_explain's plans in JSON."),
]
Html = Annotated[Path | None, typer.Option("--html", help="Write the report, with every plan, as a page to this file.")]


@slow_query.command(
    epilog=examples("rollcall db slow-query report", "rollcall db slow-query report --most 50 --html slow.html")
)
def report(most: Most = 20, html: Html = None, log: Log = None, as_json: AsJson = False) -> None:
    """The statements that took most time: who sends them, their plans, what would make them faster."""
    from ops.slow_queries.page import page
    from ops.slow_queries.screen import screen

    found = _recorded(most, plans=True, log=log)
    if html is not None:
        with plain_errors():
            _write(html, page(found, datetime.now(UTC)))
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif html is not None:
        console().print(f"{html}: {len(found.statements)} statements")
    else:
        console().print(*screen(found), sep="\n")


@slow_query.command(epilog=examples("rollcall db slow-query stats"))
def stats(as_json: AsJson = False) -> None:
    """Sums: statements, their time, the share of the slowest."""
    from ops.slow_queries.screen import title_of

    found = _recorded(MOST)
    total_ms = sum(one.total_ms for one in found.statements)
    calls = sum(one.calls for one in found.statements)
    slowest = found.statements[0] if found.statements else None
    figures = {
        "source": found.source,
        "notes": found.notes,
        "statements": len(found.statements),
        "calls": calls,
        "total_ms": round(total_ms, 1),
        "mean_ms": round(total_ms / calls, 3) if calls else None,
        "most_time": title_of(slowest) if slowest else None,
        "most_time_share": round(slowest.total_ms / total_ms, 3) if slowest and total_ms else None,
        "threshold_ms": found.threshold_ms,
        "latest_slow": None if found.latest is None else len(found.latest),
    }
    if as_json:
        print_json(figures)
        return
    rows = [(name, "; ".join(value) if isinstance(value, list) else shown(value)) for name, value in figures.items()]
    console().print(table("Statements", ("", ""), rows))


@slow_query.command(epilog=examples("rollcall db slow-query watch --every 5"))
def watch(
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two views.")] = 2.0,
    times: Annotated[int, typer.Option("--times", min=0, help="How many views; 0 for no end.")] = 0,
    most: Most = 20,
    as_json: AsJson = False,
) -> None:
    """What statements do now, live: calls and time since the last view."""
    from ops.slow_queries.watch import Watch, watched

    views = _views(Watch(most), every, times)
    if as_json:
        for view in views:
            print_json(msgspec.to_builtins(view))
        return
    out = console()
    if not out.is_terminal:
        for view in views:
            out.print(watched(view))
        return
    with Live(console=out, auto_refresh=False, screen=True) as live:
        for view in views:
            live.update(watched(view), refresh=True)


def _views(watching: "Watch", every_s: float, times: int) -> "Iterator[View]":
    number = 0
    while True:
        yield watching.view(_recorded(MOST))
        number += 1
        if number == times:
            return
        time.sleep(every_s)


@slow_query.command(epilog=examples("rollcall db slow-query cleanup --dry-run"))
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget the statistics of this database in pg_stat_statements, and the recorded plans."""
    from ops.slow_queries.cleanup import forgotten

    found = run(lambda settings: forgotten(settings, dry_run=dry_run))
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    counted = "pg_stat_statements is not there" if found.statements is None else f"{found.statements:,} statements"
    console().print(f"{'would forget' if dry_run else 'forgot'}: {counted}, {found.plans:,} plans")
    console().print("what the workers counted since their start goes on until they are restarted")


def _recorded(most: int, *, plans: bool = False, log: Path | None = None) -> "Record":
    from ops.slow_queries.record import Asked, record_of

    return run(lambda settings: record_of(settings, Asked(most, plans=plans, log=log)))


def _write(path: Path, text: Any) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SettingsError(f"--html: needed a file that can be written, got {str(path)!r}: {error.strerror}") from None
