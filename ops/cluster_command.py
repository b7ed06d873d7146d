"""`rollcall cluster`: what the running service is doing, and how many processes do it."""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from ops.status_client import StatusPort
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
    table,
)
from web.settings import MOST_WORKERS, Settings

cluster = typer.Typer(help="The running service: figures, reload, number of workers.", no_args_is_help=True)
SCALE_LIMIT_S: Final = 120.0
BUSIEST: Final = 12


@cluster.command(epilog=examples("rollcall cluster stats", "rollcall cluster stats --json | jq .total.p95_ms"))
def stats(as_json: AsJson = False) -> None:
    """Figures of each worker and in total; exits 1 when the service is not well."""
    with plain_errors():
        found = _port().get("/cluster/stats")
    if as_json:
        print_json(found)
    else:
        console().print(_shown(found))
    if found["health"]["status"] != "ok":
        raise typer.Exit(FAILED)


@cluster.command(
    epilog=examples("rollcall cluster monitor", "rollcall cluster monitor --every 5 --times 12 --json >> figures.jsonl")
)
def monitor(
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two views.")] = 1.0,
    times: Annotated[int, typer.Option(min=0, help="Stop after so many views; 0 never.")] = 0,
) -> None:
    """The same figures, live, until Ctrl-C; with --json a line for each view."""
    with plain_errors():
        port = _port()
        views = (port.get("/cluster/stats") for _ in (range(times) if times else count()))
        if as_json:
            for found in _paced(views, every):
                print_json(found)
            return
        screen = console()
        with Live(console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
            for found in _paced(views, every):
                live.update(_shown(found), refresh=True)


def _paced(views: Iterable[Any], every_s: float) -> Iterator[Any]:
    """The views, with a pause between two."""
    for view in views:
        yield view
        time.sleep(every_s)


@cluster.command(epilog=examples("rollcall cluster restart"))
def restart(as_json: AsJson = False) -> None:
    """Replace every process by one with today's code and settings, without losing a request."""
    with plain_errors():
        found = _port().post("/cluster/restart")
    _done(found, as_json, f"reloaded: {found['serving']} of {found['wanted']} workers serve")


@cluster.command(epilog=examples("rollcall cluster scale 4"))
def scale(
    workers: Annotated[int, typer.Argument(min=1, max=MOST_WORKERS, help="How many workers.")], as_json: AsJson = False
) -> None:
    """Serve with so many workers from now on, until the service is started again; returns once they serve."""
    with plain_errors():
        port = _port()
        port.post("/cluster/scale", {"workers": workers})
        end_s = time.monotonic() + SCALE_LIMIT_S
        while (found := port.get("/cluster/health"))["serving"] != workers:
            if time.monotonic() > end_s:
                raise NotReachable(f"{found['serving']} of {workers} workers serve after {SCALE_LIMIT_S:g} s")
            time.sleep(0.2)
    _done(found, as_json, f"{workers} workers serve")


def _port() -> StatusPort:
    return StatusPort(Settings.from_environment())


def _done(found: Mapping[str, Any], as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(found)
    else:
        console().print(sentence)


def _shown(found: Mapping[str, Any]) -> Group:
    total, health = found["total"], found["health"]
    head = (
        f"[bold]{health['status']}[/bold] {'; '.join(health['reasons'])}\n"
        f"{total['requests_per_s']:g} requests/s, p50 {_ms(total['p50_ms'])}, p95 {_ms(total['p95_ms'])}, "
        f"p99 {_ms(total['p99_ms'])}; {total['errors']} errors of {total['requests']} requests, "
        f"{found['restarts']} restarts; cache hits {percent(found['cache']['hit_rate'])}\n"
    )
    return Group(head, _workers(found["workers"]), "", _operations(found["operations"]))


def _workers(workers: list[dict[str, Any]]) -> Table:
    columns = (
        "worker", ">process", "serves", ">requests", ">errors", ">in flight", ">p95 ms", ">lag ms", ">CPU", ">memory",
        ">pool", "Redis",
    )  # fmt: skip
    rows = [
        (
            worker["name"], str(worker["pid"]), "yes" if worker["serves"] else "no", worker["requests"],
            worker["errors"], worker["in_flight"], worker["p95_ms"], worker["event_loop_lag_ms"],
            percent(worker["cpu"]), mebibytes(worker["rss_bytes"]),
            f"{worker.get('db_pool_in_use', 0)}/{worker.get('db_pool_size', 0)}", worker.get("cache_breaker"),
        )
        for worker in sorted(workers, key=lambda worker: (len(worker["name"]), worker["name"]))
    ]  # fmt: skip
    return table("Workers", columns, rows)


def _operations(operations: Mapping[str, Any]) -> Table:
    columns = ("operation", ">requests", ">errors", ">per s", ">p50 ms", ">p95 ms", ">p99 ms")
    busiest = sorted(operations.items(), key=lambda item: (-item[1]["per_s"], -item[1]["count"]))[:BUSIEST]
    rows = [
        (name, of["count"], of["errors"], of["per_s"], of["p50_ms"], of["p95_ms"], of["p99_ms"]) for name, of in busiest
    ]
    return table("Operations (rates and percentiles of the last minute)", columns, rows)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:g} ms"
