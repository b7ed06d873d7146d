"""`rollcall db`: migrations, slow statements, and the plans of an operation."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ops.slow_queries.command import slow_query
from ops.terminal import AsJson, console, examples, print_json, run
from web.settings import Settings

if TYPE_CHECKING:
    from db.connection import ReadConnection

db = typer.Typer(help="The database: migrations, slow statements, plans.", no_args_is_help=True)
db.add_typer(slow_query, name="slow-query")


@db.command(epilog=examples("rollcall db migrate"))
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


@db.command(
    epilog=examples(
        "rollcall db explain Today --as hr@example.org",
        "rollcall db explain @query.graphql --as hr@example.org --variables '{\"first\": 50}' --json",
    )
)
def explain(
    operation: Annotated[str, typer.Argument(help="A query, @FILE, or the name of one that is asked often.")],
    user: Annotated[str, typer.Option("--as", help="Email of the user who asks.")] = "",
    variables: Annotated[str, typer.Option("--variables", help="Variables as a JSON object.")] = "",
    as_json: AsJson = False,
) -> None:
    """The plan of every SQL statement that a query runs, past the caches; nothing is changed."""
    from ops.asked import Question  # late: only this command executes GraphQL
    from ops.operation_plans import operation_plans

    found = run(lambda settings: operation_plans(settings, Question(operation, user, variables, "--as")))
    if as_json:
        print_json(found)
        return
    screen = console()
    for number, one in enumerate(found["statements"], 1):
        loader = f" (loader {one['loader']})" if one["loader"] else ""
        screen.print(f"[bold]{number}. {escape(one['name'] + loader)}[/bold], {one['ms']:g} ms")
        screen.print(f"  values: {escape(', '.join(repr(value)[:80] for value in one['values'])) or 'none'}")
        screen.print(escape("\n".join(f"  {line}" for line in one["outline"] or [f"no plan: {one['no_plan']}"])))
        for advice in one["advice"]:
            screen.print(f"  [bold]{advice['kind']}[/bold]: {escape(advice['finding'])}. {escape(advice['remedy'])}")
        screen.print()
    spent_ms = sum(one["ms"] for one in found["statements"])
    screen.print(f"{found['operation']}: {len(found['statements'])} statements, {spent_ms:,.4g} ms")
    if found["errors"]:
        screen.print(f"the answer has errors: {escape(found['errors'])}")


async def _migration(connection: "ReadConnection") -> str | None:
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
