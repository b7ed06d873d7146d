"""`rollcall db`: migrations, and which statements take the time."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import typer

from db.connection import ReadConnection
from ops.status_client import StatusPort
from ops.terminal import AsJson, NotReachable, console, print_json, run, shown, table
from web.settings import Settings

db = typer.Typer(help="The database: migrations, slow statements.", no_args_is_help=True)
slow_query = typer.Typer(help="Statements that take long.", no_args_is_help=True)
db.add_typer(slow_query, name="slow-query")
Most = Annotated[int, typer.Option("--most", min=1, max=500, help="How many statements.")]
COUNTED_BY_POSTGRESQL: Final = "pg_stat_statements: every statement of this database since its last reset"
COUNTED_BY_US: Final = (
    "the workers' own record since the service started, by name and without plans: pg_stat_statements is not there"
    " (add it to shared_preload_libraries, then CREATE EXTENSION pg_stat_statements)"
)


@db.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database to today's schema; safe to run while others do, or twice."""

    async def work(settings: Settings) -> tuple[str | None, str | None]:
        from db.migrate import upgrade

        url = settings.database.primary_url
        assert url is not None
        before = await _with_connection(settings, _migration)
        await upgrade(url)
        return before, await _with_connection(settings, _migration)

    before, after = run(work)
    if as_json:
        print_json({"from": before, "to": after})
    elif before == after:
        console().print(f"the database stands at migration {after} already")
    else:
        console().print(f"migrated from {before or 'nothing'} to {after}")


@slow_query.command()
def report(most: Most = 20, as_json: AsJson = False) -> None:
    """The statements that took most time in all, and the latest slow ones with the operation that sent them."""
    found = run(lambda settings: _found(settings, most))
    if as_json:
        print_json(found)
        return
    screen = console()
    screen.print(f"Source: {found['source']}\n")
    columns = ("statement", ">calls", ">total ms", ">mean ms", ">max ms", ">p95 ms")
    rows = [
        (of["statement"][:80], of["calls"], of["total_ms"], of["mean_ms"], of["max_ms"], of["p95_ms"])
        for of in found["statements"]
    ]
    screen.print(table("Most time in all", columns, rows))
    if found["latest"] is None:
        screen.print("\nThe service does not run, so its latest slow statements are not known.")
    else:
        screen.print()
        latest = [(of["name"], of["ms"], of["operation"] or "–", of["process"]) for of in found["latest"]]
        title = f"Latest above SLOW_QUERY_THRESHOLD_MS={found['threshold_ms']:g}"
        screen.print(table(title, ("statement", ">ms", "operation", "worker"), latest))


@slow_query.command()
def stats(as_json: AsJson = False) -> None:
    """Sums: statements, their time, the share of the slowest."""
    found = run(lambda settings: _found(settings, 500))
    total_ms = sum(of["total_ms"] for of in found["statements"])
    calls = sum(of["calls"] for of in found["statements"])
    slowest = found["statements"][0] if found["statements"] else None
    figures = {
        "source": found["source"],
        "statements": len(found["statements"]),
        "calls": calls,
        "total_ms": round(total_ms, 1),
        "mean_ms": round(total_ms / calls, 3) if calls else None,
        "most_time": slowest["statement"][:80] if slowest else None,
        "most_time_share": round(slowest["total_ms"] / total_ms, 3) if slowest and total_ms else None,
        "threshold_ms": found["threshold_ms"],
        "latest_slow": None if found["latest"] is None else len(found["latest"]),
    }
    if as_json:
        print_json(figures)
    else:
        console().print(table("Statements", ("", ""), [(name, shown(value)) for name, value in figures.items()]))


async def _found(settings: Settings, most: int) -> dict[str, Any]:
    """Both records: PostgreSQL's where there is one, and what the running service remembers."""
    from db.inspection import slowest_statements

    async def work(connection: ReadConnection) -> Sequence[Any] | None:
        return await slowest_statements(connection, most)

    counted = await _with_connection(settings, work)
    try:
        running = StatusPort(settings).get("/cluster/stats")
    except NotReachable:
        if counted is None:
            raise
        running = None
    return {
        "source": COUNTED_BY_US if counted is None else COUNTED_BY_POSTGRESQL,
        "threshold_ms": settings.queries.slow_threshold.total_seconds() * 1e3,
        "statements": _ours(running["statements"], most) if counted is None else [_theirs(row) for row in counted],
        "latest": running and running["slow_statements"],
    }


def _theirs(row: Any) -> dict[str, Any]:
    found = msgspec.structs.asdict(row)
    return {"statement": found.pop("query"), "p95_ms": None, **found}


def _ours(timings: dict[str, Any], most: int) -> list[dict[str, Any]]:
    found = [
        {
            "statement": name,
            "calls": of["count"],
            "total_ms": round(of["total_s"] * 1e3, 1),
            "mean_ms": round(of["total_s"] * 1e3 / max(of["count"], 1), 3),
            "max_ms": None,
            "p95_ms": of["p95_ms"],
        }
        for name, of in timings.items()
    ]
    return sorted(found, key=lambda of: -float(of["total_ms"]))[:most]


async def _migration(connection: ReadConnection) -> str | None:
    from db.inspection import migration, server_state

    return await migration(connection) if (await server_state(connection)).migrated else None


async def _with_connection(settings: Settings, work: Any) -> Any:
    from db.database import Database, PoolLimits

    url = settings.database.primary_url
    assert url is not None
    database = Database(url, PoolLimits(size=1), application="rollcall command")
    try:
        async with database.read() as connection:
            return await work(connection)
    finally:
        await database.close()
