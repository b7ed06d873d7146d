"""The deployment under load while its parts die: what its clients see, and whether anything acknowledged is lost."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.deploy.engines import until
from tests.deploy.figures import HEAD, Report, Step, row, side
from tests.deploy.load import PRESENCE, Client, Load, is_in
from tests.deploy.proxies import Proxy, haproxy, nginx
from tests.deploy.stage import Stage, stage
from tests.deploy.tools import ROOT

Work = Callable[[Stage], Awaitable[None]]
AROUND = timedelta(seconds=float(os.environ.get("DEPLOY_STEP_SECONDS", "3")))
"""How long a step goes on after its work is done."""
REPORT = ROOT / ".data" / "test-deploy"
NO_PRIMARY = ("PostgreSQL restarted", "replica promoted")
"""Steps in which mutations may be refused, cleanly; reads never are: the replica answers them."""
ONLY = os.environ.get("DEPLOY_STEPS", "")
"""A regular expression of the steps to take; all without it."""
FRONTS: dict[str, Proxy] = {"nginx": nginx, "haproxy": haproxy}
FRONT = os.environ.get("FRONT")
"""The proxy in front; each of them in turn without it."""


async def calm(_: Stage) -> None:
    """Nothing happens."""


async def kill_a_worker(on: Stage) -> None:
    await on.nodes[0].kill_a_worker()


async def kill_a_node(on: Stage) -> None:
    await on.nodes[1].kill()
    await asyncio.sleep(AROUND.total_seconds())  # not for ordering: it is to be gone for a while
    await on.nodes[1].start()


async def roll_both(on: Stage) -> None:
    for node in on.nodes:
        await node.roll()


async def restart_valkey(on: Stage) -> None:
    await on.valkey.servers[0].end(signal.SIGTERM)
    on.valkey.servers[0].start()
    await until(on.valkey.settled, "the replica of Valkey follows again")


async def fail_valkey_over(on: Stage) -> None:
    await on.valkey.servers[0].end(signal.SIGKILL)
    await until(lambda: on.valkey.says(1, role="master"), "the Sentinels promote the replica of Valkey")
    on.valkey.servers[0].start()
    await until(on.valkey.settled, "the old primary of Valkey becomes a replica")


async def restart_postgresql(on: Stage) -> None:
    await on.postgresql.primary.end(signal.SIGINT)
    await on.postgresql.start_primary()
    await until(on.postgresql.is_synchronous, "the replica of PostgreSQL follows again")


async def promote_the_replica(on: Stage) -> None:
    await on.postgresql.primary.end(signal.SIGKILL)
    await asyncio.sleep(1)  # not for ordering: somebody has to notice
    await on.postgresql.promote()


STEPS: dict[str, Work] = {
    "calm": calm,
    "worker killed": kill_a_worker,
    "node killed, started again": kill_a_node,
    "both nodes rolled": roll_both,
    "Valkey restarted": restart_valkey,
    "Valkey failed over": fail_valkey_over,
    "PostgreSQL restarted": restart_postgresql,
    "replica promoted": promote_the_replica,
}


async def taken(name: str, work: Work, on: Stage, load: Load) -> Step:
    """Do a step's work under load."""
    began_s = time.monotonic()
    await work(on)
    await asyncio.sleep(AROUND.total_seconds())  # not for ordering: what it did to the clients is to show
    ended_s = time.monotonic()
    return Step(
        name,
        round(ended_s - began_s, 1),
        side(load.attempts, "read", began_s, ended_s),
        side(load.attempts, "mutation", began_s, ended_s),
        sum(began_s <= at_s <= ended_s for at_s in load.stale),
    )


async def read_back(on: Stage, load: Load, steps: list[Step], proxy: str) -> Report:
    """Compare what was acknowledged with what the database holds and with what the service tells."""
    sql = "SELECT client_event_id AS key, count(*) AS times FROM punch WHERE client_event_id IS NOT NULL GROUP BY 1"
    rows = await on.postgresql.ask(on.postgresql.replica.port, sql, database="rollcall")
    times_by_key = {row["key"]: row["times"] for row in rows}
    client, disagreeing = Client(on.port, on.token), 0
    for employee, expected in load.expected.items():
        disagreeing += is_in(await client.ask(PRESENCE, {"id": employee})) != expected
    client.close()
    return Report(
        proxy,
        steps,
        len(load.acknowledged),
        len(load.acknowledged.keys() - times_by_key.keys()),
        sum(times > 1 for times in times_by_key.values()),
        len(times_by_key.keys() - load.acknowledged.keys()),
        disagreeing,
        load.notes,
    )


@pytest.mark.deploy
@pytest.mark.parametrize("proxy", FRONTS.values() if FRONT is None else [FRONTS[FRONT]])
async def test_what_clients_see_while_parts_die(proxy: Proxy, tmp_path: Path) -> None:
    print(f"\n{proxy.__name__} before two nodes of two workers\n{HEAD}")
    async with stage(proxy, tmp_path) as on:
        load, steps = Load(on.port, on.token, on.employees), []
        async with load.running():
            for name, work in STEPS.items():
                if not re.search(ONLY, name):
                    continue
                steps.append(await taken(name, work, on, load))
                print(row(steps[-1]), flush=True)
        report = await read_back(on, load, steps, proxy.__name__)
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / f"{proxy.__name__}.json").write_text(json.dumps(msgspec.to_builtins(report), indent=2) + "\n")
    print(
        f"acknowledged {report.acknowledged}, lost {report.lost}, doubled {report.doubled}",
        *report.notes,
        sep="\n",
    )
    judge(report)


def judge(report: Report) -> None:
    """What the deployment promises."""
    assert report.acknowledged >= 5 * len(report.steps)
    assert (report.lost, report.doubled, report.unknown, report.disagreeing) == (0, 0, 0, 0)
    for step in report.steps:
        found = (step.name, step.stale, step.reads.failed, step.reads.refused, step.mutations.failed)
        assert found == (step.name, 0, {}, 0, {})
        if step.name not in NO_PRIMARY:
            assert (step.name, step.mutations.refused) == (step.name, 0)
