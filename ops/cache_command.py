"""`rollcall cache`: whether the second-level cache is usable, and what it is worth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from ops.terminal import (
    FAILED,
    AsJson,
    NotReachable,
    console,
    examples,
    mebibytes,
    percent,
    plain_errors,
    print_json,
    run,
    shown,
    table,
)
from web.settings import Settings

if TYPE_CHECKING:  # what a command works with is loaded when it runs: `stats` needs neither server's driver
    from ops.cache_checks import Outcome

cache = typer.Typer(help="The second-level cache: is it usable, what is it worth.", no_args_is_help=True)
OLD_OUTBOX_S: Final = 5.0
MOST_ENTRIES: Final = 10_000
SHOWN: Final = ("bytes", "validUntil", "viewerFacts", "redisReads", "sql", "tagCount")
AMOUNTS: Final = {
    "whole answers": "answers",
    "those in Redis": "shared_answers",
    "past the cache": "bypasses",
    "failures of Redis": "failures",
    "writes (tags held, or cache suspended)": "writes",
    "verified": "verified",
    "stale": "stale",
}
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")]
MostEntries = Annotated[int, typer.Option(min=1, help="Look at so many entries at most.")]


@cache.command(epilog=examples("rollcall cache health"))
def health(as_json: AsJson = False) -> None:
    """Whether answers can come from the cache now, and why not; exits 1 when they cannot."""
    servers = run(_look)
    wrong = problems(servers)
    if as_json:
        print_json({"usable": not wrong, "problems": wrong, **servers})
    else:
        console().print(table("", ("", "", ""), _rows(servers)))
        console().print("\n".join(wrong) if wrong else "the cache is usable")
    if wrong:
        raise typer.Exit(FAILED)


@cache.command(epilog=examples("rollcall cache stats", "rollcall cache stats --json | jq .loaders.employee"))
def stats(as_json: AsJson = False) -> None:
    """Hit rates by loader and by viewer, fills, writes, lookups past the cache by reason, fence, outbox, memory."""
    from ops.status_client import StatusPort

    with plain_errors():
        found = StatusPort(Settings.from_environment()).get("/cluster/stats")["cache"]
    if as_json:
        print_json(found)
        return
    screen = console()
    loaders = [
        (n, percent(of["hit_rate"]), of["hits"], of["misses"], of["fills"]) for n, of in found["loaders"].items()
    ]
    rate = ">hit rate (last minute)"
    screen.print("counts are of all workers since each of them started\n")
    screen.print(table("Loaders", ("loader", rate, ">hits", ">misses", ">fills"), loaders))
    viewers = [(name, percent(of["hit_rate"]), of["hits"], of["misses"]) for name, of in found["viewers"].items()]
    screen.print(table("\nWhole answers", ("viewer", rate, ">hits", ">misses"), viewers))
    screen.print(f"\nhits in the last minute, all loaders: {percent(found['hit_rate'])}")
    for title, name in AMOUNTS.items():
        screen.print(f"{title}: {', '.join(f'{label} {number:,}' for label, number in found[name].items()) or 'none'}")
    screen.print(f"tags held now: {found['tags_held']:,}")
    screen.print(f"fence: {_left(found['fence_s'])}")
    screen.print(f"outbox: {shown(found['outbox_rows'])} waiting, undrained for {shown(found['outbox_age_s'])} s")
    memory, keys = found["memory_bytes"], found["keys"]
    screen.print(f"memory: {'–' if memory is None else f'{mebibytes(memory)} in {keys:,} keys'}")


@cache.command("test-core", epilog=examples("rollcall cache test-core"))
def test_core(as_json: AsJson = False) -> None:
    """Try every promise of the cache on the configured Redis, beside what is stored; exits 1 when one is broken."""

    async def work(settings: Settings) -> "list[Outcome]":
        from ops.cache_checks import checked
        from ops.cache_entries import opened, server_of

        async with opened(settings) as of_settings:
            assert of_settings.server is not None
            return await checked(lambda: server_of(settings), of_settings.server.prefix)

    outcomes = run(work)
    broken = [outcome.check for outcome in outcomes if outcome.error]
    if as_json:
        print_json({"kept": not broken, "broken": broken, "checks": [_plain(outcome) for outcome in outcomes]})
    else:
        rows = [(o.check, "broken" if o.error else "kept", f"{o.ms:.0f} ms", o.error or o.note) for o in outcomes]
        console().print(table("", ("check", "", ">took", ""), rows))
    if broken:
        raise typer.Exit(FAILED)


@cache.command(epilog=examples("rollcall cache inspect employee:42", "rollcall cache inspect employee.id=42"))
def inspect(
    key: Annotated[
        str,
        typer.Argument(
            help="employee:42 for the entry of a lookup, a tag, or the name in Redis of an entry or a stamp."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """An entry with its key, value, tags and stamps, and why it is not served; or the stamp of a tag."""
    from ops.cache_entries import inspected, over_cache

    found = run(over_cache(lambda of_settings: inspected(of_settings, key)))
    if as_json:
        print_json(found)
        return
    screen, tags = console(), found.get("tags", {})
    if "stamp" in found and found["stamp"] is None:
        screen.print(f"{found['tag']} has no stamp: nothing that is stored rests on it")
        return
    screen.print(table("", ("", ""), [(name, _text(value)) for name, value in found.items() if name != "tags"]))
    if tags:
        stamps = [(tag, of["stored"], of["now"]) for tag, of in tags.items()]
        screen.print(table("Stamps", ("tag", "stored with", "now"), stamps))


@cache.command(
    epilog=examples("rollcall cache invalidate employee.id=42", "rollcall cache invalidate employee shift --dry-run")
)
def invalidate(
    tags: Annotated[list[str], typer.Argument(metavar="TAG…", help="employee.id=42; a table for all of its tags.")],
    most: MostEntries = MOST_ENTRIES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make what rests on tags unusable, on every worker; exits 1 when a stamp is still the same afterwards.

    Needed only after changes that no trigger could see: all others invalidate by themselves.
    """
    from ops.cache_entries import invalidated, over_cache

    found = run(over_cache(lambda of_settings: invalidated(of_settings, tags, most, dry_run=dry_run)))
    if as_json:
        print_json(found)
    else:
        rested = f"{found['entries']:,} of {_looked_at(found['looked_at'], most)}"
        if dry_run:
            console().print(f"would give {_tags(len(tags))} new stamps; {rested} rest on them")
        else:
            console().print(f"{found['restamped']} of {_tags(len(tags))} got new stamps; {rested} rested on them")
    if found.get("unchanged"):
        typer.echo(f"still the same: {', '.join(found['unchanged'])}", err=True)
        raise typer.Exit(FAILED)


@cache.command(epilog=examples("rollcall cache verify", "rollcall cache verify --most 100000 --dry-run"))
def verify(most: MostEntries = MOST_ENTRIES, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Compare what is stored with PostgreSQL; what differs is made unusable, and the command exits 1."""
    from ops.cache_verification import verified_all

    found = run(lambda settings: verified_all(settings, most, dry_run=dry_run))
    if as_json:
        print_json(found)
    else:
        screen = console()
        screen.print(table("", ("loader", ">entries"), list(found["loaders"].items())))
        screen.print(
            ", ".join(f"{number:,} {verdict}" for verdict, number in found["verdicts"].items()) or "no entries"
        )
        for name in found["stale"]:
            screen.print(f"stale: {name}{'' if dry_run else ' (made unusable)'}")
    if found["stale"]:
        raise typer.Exit(FAILED)


@cache.command(epilog=examples("rollcall cache warm --most 50"))
def warm(
    most: Annotated[int, typer.Option(min=1, max=200, help="Execute so many queries at most.")] = 100,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Execute the queries that are asked most, so that Redis has their answers; exits 1 when nothing could be stored.

    Each with the rights that its user has now. Their rows are stored as well.
    """
    from ops.cache_warming import warmed

    found = run(lambda settings: warmed(settings, most, dry_run=dry_run))
    if as_json:
        print_json(found)
    elif dry_run:
        rows = [(of["weight"], of["operation"], of["user_id"], of["variables"]) for of in found["operations"]]
        console().print(table("", (">weight", "query", ">user", "variables"), rows))
    elif found["usable"]:
        outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in found["outcomes"].items())
        console().print(f"{outcomes or 'nothing was recorded yet'}; {found['fills']:,} entries stored")
    if not found["usable"]:
        typer.echo("the cache is not usable, so nothing is executed: rollcall cache health says why", err=True)
        raise typer.Exit(FAILED)


@cache.command(epilog=examples("rollcall cache why Today", "rollcall cache why '{ me { id } }' --user hr@example.org"))
def why(
    operation: Annotated[str, typer.Argument(help="A query, @FILE with one, or the name of one that is asked often.")],
    user: Annotated[str, typer.Option(help="Email of the user who asks.")] = "",
    variables: Annotated[str, typer.Option(help="Variables as JSON.")] = "",
    as_json: AsJson = False,
) -> None:
    """Execute a query and say why its answer is kept or not, with its tags, their stamps and ages; exits 1 when not."""
    from ops.asked import Question
    from ops.cache_why import explained

    found = run(lambda settings: explained(settings, Question(operation, user, variables)))
    if as_json:
        print_json(found)
    else:
        screen = console()
        screen.print(f"{'kept' if found['kept'] else 'not kept'}: {found['why']}")
        screen.print(table("", ("", ""), [(name, _text(found[name])) for name in SHOWN if found[name] is not None]))
        loaders = [
            (of["loader"], of["keys"], of["hits"], of["misses"], ", ".join(of["bypasses"])) for of in found["loaders"]
        ]
        screen.print(table("Loaders", ("loader", ">keys", ">hits", ">misses", "past the cache"), loaders))
        tags = [(of["tag"], of["stamp"], of["ageSeconds"]) for of in found["tags"]]
        screen.print(table("Tags", ("tag", "stamp", ">changed before (s)"), tags))
    if not found["kept"]:
        raise typer.Exit(FAILED)


def _left(fence_s: float | None) -> str:
    return f"{fence_s:g} s left" if fence_s else "none, so the cache is off: rollcall cache health says why"


def _tags(number: int) -> str:
    return f"{number:,} tag{'' if number == 1 else 's'}"


def _looked_at(number: int, most: int) -> str:
    return f"the first {number:,} entries (--most looks at more)" if number == most else f"{number:,} entries"


def problems(servers: Mapping[str, Any]) -> list[str]:
    """Why the cache is not usable; without a running service nobody renews the fence."""
    database, redis = servers["database"], servers["redis"]
    if redis.get("off"):
        return ["the cache is off: set REDIS_URL, and CACHE=on"]
    found = [state["error"] for state in (database, redis) if state.get("error")]
    if database.get("cache_suspended"):
        found.append("a writer suspended the cache a moment ago, since Redis did not answer it")
    if redis["up"] and not redis["fence_s"]:
        found.append("the fence has lapsed: no service drains the outbox (is one running?)")
    if database.get("outbox_age_s", 0) > OLD_OUTBOX_S:
        found.append(f"the outbox was not drained for {database['outbox_age_s']:g} s")
    if redis["up"] and database.get("cache_run_id") not in (None, "", redis["run_id"]):
        found.append("the fence was made on another Redis than REDIS_URL names")
    return found


async def _look(settings: Settings) -> Mapping[str, Any]:
    from ops.installation import Installation

    looker = Installation(settings, explains=True)
    try:
        found = await looker.look()
    finally:
        await looker.close()
    if not found["database"]["up"] and not found["redis"]["up"] and not found["redis"].get("off"):
        raise NotReachable(f"{found['database']['error']}\n{found['redis']['error']}")
    return found


def _rows(servers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    database, redis = servers["database"], servers["redis"]
    epoch = f"epoch {database['cache_epoch']}" if "cache_epoch" in database else ""
    keys = f"{redis['keys']:,} keys, {mebibytes(redis['used_memory_bytes'])}" if redis["up"] else ""
    return [
        ("PostgreSQL", _state(database), epoch),
        ("Redis", _state(redis), keys),
        ("fence", f"{redis.get('fence_s', 0):g} s left", "at 0 the cache is off"),
        ("outbox", f"{shown(database.get('outbox_rows'))} waiting", "drained every 250 ms"),
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _state(server: Mapping[str, Any]) -> str:
    if server["up"]:
        return f"up, {server['version']}, {server['answer_ms']:g} ms"
    return "off" if "off" in server else "not up"


def _plain(outcome: "Outcome") -> dict[str, Any]:
    return {"check": outcome.check, "ms": outcome.ms, "note": outcome.note, "error": outcome.error}
