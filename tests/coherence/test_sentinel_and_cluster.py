"""Real Sentinels with a failover that loses the last writes, and a real Cluster that is resharded under load."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.coherence.many_valkeys import (
    ClusterOfThree,
    cached_again,
    cluster_of_three,
    command,
    drained,
    open_plain_worker,
    watched_valkeys,
)
from tests.coherence.worker import Worker
from tests.deploy.engines import LIMIT_S

READS, WRITES = 50, 2
"""Of each third of the resharding: before it, while half of the keys have gone, and after it."""


async def test_a_failover_by_sentinels_that_loses_the_last_writes_makes_nothing_stale(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        watched_valkeys(tmp_path) as valkeys,
        open_plain_worker(database_url, valkeys.url) as writer,
        open_plain_worker(database_url, valkeys.url) as reader,
    ):
        await cached_again(reader, "name 1")
        assert reader.cache.server is not None
        before = reader.cache.server.run_id
        stamp = "test:s:employee.id=1"
        old = await command(valkeys.primary.port, "GET", stamp)
        await command(valkeys.primary.port, "WAIT", "1", "5000")
        await valkeys.cut_off_replica()
        await writer.rename("new")
        assert await command(valkeys.primary.port, "GET", stamp) != old
        assert await valkeys.fail_over() > 0
        assert await command(valkeys.primary.port, "GET", stamp) == old, "the failover lost the invalidation"
        assert await reader.name() == "new"
        await cached_again(reader, "new")
        assert reader.cache.server.run_id != before
        await writer.rename("newer")
        assert await reader.name() == "newer"
        await cached_again(reader, "newer")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ClusterOfThree]:
    """A Cluster of three nodes."""
    async with cluster_of_three(tmp_path) as found:
        yield found


@pytest.mark.parametrize("prefix", ["test", "another", "third-one"])
async def test_all_keys_of_an_installation_are_in_one_slot_of_the_cluster(
    database_url: str, cluster: ClusterOfThree, prefix: str
) -> None:
    async with open_plain_worker(database_url, cluster.url, prefix) as worker:
        await cached_again(worker, "name 1")
        await worker.rename("new")
        await cached_again(worker, "new")
        owner = await cluster.owner(prefix)
        counts = {node.port: await command(node.port, "DBSIZE") for node in cluster.nodes}
        assert counts.pop(owner.port) >= 4 and set(counts.values()) == {0}


async def test_resharding_under_load_fails_no_request_and_makes_nothing_stale(
    database_url: str, cluster: ClusterOfThree
) -> None:
    """Every read tells at least the newest name that was acknowledged before it began."""
    async with (
        open_plain_worker(database_url, cluster.url) as writer,
        open_plain_worker(database_url, cluster.url) as reader,
    ):
        await cached_again(reader, "name 1")
        load = _Load(writer, reader)
        before = await cluster.owner("test")
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(work()) for work in (load.write, load.read, load.read, load.drain)]
            await load.goes_on()
            moved = await cluster.move("test", load.goes_on)
            await load.goes_on()
            load.over = True
            del working
        assert moved > 0 and await cluster.owner("test") is not before
        assert load.reads >= 3 * READS and load.acknowledged >= 3 * WRITES and load.stale == []
        await cached_again(reader, str(load.acknowledged))


class _Load:
    """Writers and readers of one name, which counts up."""

    def __init__(self, writer: Worker, reader: Worker) -> None:
        self._writer = writer
        self._reader = reader
        self.over = False
        self.acknowledged = 0
        self.reads = 0
        self.stale: list[tuple[int, str | None]] = []
        self._news = asyncio.Condition()

    async def write(self) -> None:
        await self._writer.rename("0")
        while not self.over:
            await self._writer.rename(str(self.acknowledged + 1))
            self.acknowledged += 1
            await self._tell()
            await asyncio.sleep(0.01)

    async def read(self) -> None:
        while not self.over:
            least = self.acknowledged
            name = await self._reader.name()
            if least and int(name or 0) < least:
                self.stale.append((least, name))
            self.reads += 1
            await self._tell()
            await asyncio.sleep(0)

    async def drain(self) -> None:
        while not self.over:
            await drained(self._reader)
            await asyncio.sleep(0.05)

    async def goes_on(self) -> None:
        """Wait until so much more has been read, and written as well: a writer that cannot hold waits for 2.2 s."""
        reads, writes = self.reads + READS, self.acknowledged + WRITES
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(lambda: self.reads >= reads and self.acknowledged >= writes)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
