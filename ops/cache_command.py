"""`rollcall cache`: whether the second-level cache is usable, and what it is worth."""

from collections.abc import Mapping
from typing import Any, Final

import typer

from ops.installation import Installation
from ops.status_client import StatusPort
from ops.terminal import (
    FAILED,
    AsJson,
    NotReachable,
    console,
    mebibytes,
    percent,
    plain_errors,
    print_json,
    run,
    shown,
    table,
)
from web.settings import Settings

cache = typer.Typer(help="The second-level cache: is it usable, what is it worth.", no_args_is_help=True)
OLD_OUTBOX_S: Final = 5.0


@cache.command()
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


@cache.command()
def stats(as_json: AsJson = False) -> None:
    """Hit rates by loader, lookups past the cache by reason, memory; asks the running service and Redis."""
    servers = run(_look)
    with plain_errors():
        found = StatusPort(Settings.from_environment()).get("/cluster/stats")["cache"]
    if as_json:
        print_json({**found, "redis": servers["redis"]})
        return
    rows = [(name, percent(of["hit_rate"]), of["hits"], of["misses"]) for name, of in found["loaders"].items()]
    screen = console()
    screen.print(table("Loaders", ("loader", ">hit rate (last minute)", ">hits", ">misses"), rows))
    screen.print(f"\nhits in the last minute, all loaders: {percent(found['hit_rate'])}")
    for title, amounts in (("past the cache", found["bypasses"]), ("failures of Redis", found["failures"])):
        screen.print(f"{title}: {', '.join(f'{name} {number:,}' for name, number in amounts.items()) or 'none'}")
    if servers["redis"]["up"]:
        redis = servers["redis"]
        screen.print(f"memory: {mebibytes(redis['used_memory_bytes'])} in {shown(redis['keys'])} keys")


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
    looker = Installation(settings)
    try:
        found = await looker.look()
    finally:
        await looker.close()
    if not found["database"]["up"] and not found["redis"]["up"] and not found["redis"].get("off"):
        raise NotReachable(f"{found['database']['error']}, and {found['redis']['error']}")
    return found


def _rows(servers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    database, redis = servers["database"], servers["redis"]
    return [
        ("PostgreSQL", _state(database), f"epoch {database.get('cache_epoch', '–')}"),
        ("Redis", _state(redis), f"{shown(redis.get('keys'))} keys, {mebibytes(redis.get('used_memory_bytes', 0))}"),
        ("fence", f"{redis.get('fence_s', 0):g} s left", "0: the cache is off"),
        ("outbox", f"{shown(database.get('outbox_rows'))} waiting", "drained every 250 ms"),
    ]


def _state(server: Mapping[str, Any]) -> str:
    return f"up, {server['version']}, {server['answer_ms']:g} ms" if server["up"] else server.get("error", "off")
