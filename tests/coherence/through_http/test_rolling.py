"""A rolling deployment from the version before: nodes of both lead, write and read, and nobody is told anything old.

BEFORE=a checkout of commit 4028c63^ lets the old nodes be really of that version; otherwise they do as it did.
"""

import os
from pathlib import Path
from typing import Final

from db.migrate import newest_migration
from tests.cluster.conftest import ROOT
from tests.coherence.earlier import BEFORE, REVISION
from tests.coherence.through_http.faults import STEPS
from tests.coherence.through_http.moments import Moments, moments
from tests.coherence.through_http.run import OFTEN, Run, at_work, table
from tests.coherence.through_http.stand import Node
from tests.kit.sequencer import within

REAL: Final = os.environ.get("BEFORE", "")
OLD: Final = ("" if REAL else BEFORE, Path(REAL) if REAL else ROOT)
SEED, HITS, WRITES, REST_S = 1, 60, 8, 2.2
IN_BOTH: Final = (
    Moments.between_hold_and_release,
    Moments.waiting_under_a_suspension,
    Moments.committing_under_a_suspension,
)
FAULTS: Final = ("cut_off_node", "crash_valkey")
MORE: Final = ("kill_worker", "fail_over", "cut_sessions", "restart_postgresql") if REAL else ()
"""Not that Redis is emptied or gets older data in one run: what the version before does about that is nothing."""


async def replace(node: Node) -> None:
    """Stop a node, and start today's version in its place; its supervisor migrates the database."""
    await node.stop()
    node.removed, node.root = "", ROOT
    await node.start()


async def leads(node: Node) -> None:
    """Wait until a worker of this node empties the outbox."""
    stop = node.postgres.stop_before(STEPS["before the outbox is emptied"][1])
    await within(stop.reached.wait())
    stop.go_on()


async def revision(run: Run) -> str:
    """The migration that the database stands at."""
    connection = await run.stand.postgres.connect("postgres")
    try:
        return str(await connection.fetchval("SELECT max(version_num) FROM alembic_version"))
    finally:
        await connection.close()


async def test_nodes_of_both_versions_lead_write_and_read_while_one_after_the_other_is_replaced() -> None:
    async with at_work(SEED, removed=OLD[0], reads_a_write=OFTEN, root=OLD[1]) as run:
        old, new = run.stand.nodes

        async def deploy() -> None:
            assert await revision(run) == REVISION
            await run.goes_on(HITS, WRITES)
            await replace(new)
            assert await revision(run) == newest_migration()
            for fault in (*FAULTS, *MORE):
                await getattr(run.faults, fault)()
                await run.goes_on(HITS, WRITES)
            await leads(old)
            await leads(new)
            await old.kill()
            await run.goes_on(HITS, WRITES)
            await replace(old)
            await run.goes_on(HITS, WRITES)

        summary = await run.through(deploy, REST_S, asks=1)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.writes >= WRITES * (3 + len(FAULTS)) and summary.watched > 1_000


async def test_nothing_old_is_told_in_the_moments_that_matter_between_two_versions() -> None:
    async with moments(SEED, "pair", *OLD) as (run, at):
        await replace(run.stand.nodes[1])
        for _ in ("written at the old one", "written at the new one"):
            for moment in IN_BOTH:
                await at.happen(moment)
            at.swap()
    assert run.traffic.registers.violations == []
