"""The torture: processes over one database and one Valkey, and everything that can happen to them."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy.engine import make_url

from tests.coherence.history import History
from tests.coherence.torture_worker import run
from tests.coherence.valkey import Valkey
from tests.kit.proxy import Proxy, proxy_to

WORKERS: Final = 4
FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload(["tests.coherence.torture_worker"])


class Torture:
    """Starts workers, the last of them behind a proxy, and maltreats everything until the time is over."""

    def __init__(self, folder: Path, database_url: str, valkey: Valkey, seed: int, removed: str = "") -> None:
        self.folder, self.valkey, self.removed = folder, valkey, removed
        self.random = random.Random(seed)
        self.database_url = database_url
        self.faults: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        self._workers: list[Any] = []
        self._started = 0
        (folder / "errors").touch()
        self._proxy: Proxy | None = None

    async def run(self, seconds: float) -> History:
        """Returns what everybody did."""
        kinds = [self.kill, self.freeze, self.freeze_valkey, self.restart_valkey, self.empty, self.partition, self.cut]
        async with AsyncExitStack() as stack:
            self._proxy = await stack.enter_async_context(proxy_to(self.valkey.path))
            stack.push_async_callback(self._stop)
            for slot in range(WORKERS):
                self._workers.append(await self._start(slot))
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                await asyncio.sleep(self.random.uniform(1, 4))
                fault: Callable[[], Awaitable[None]] = self.random.choice(kinds)
                self.faults[fault.__name__] += 1
                await fault()
        history = History()
        for path in sorted(self.folder.glob("*.journal")):
            with path.open() as journal:
                history.add(journal)
        for path in self.folder.glob("*.counters"):
            for line in path.read_text().splitlines():
                number, _, name = line.partition(" ")
                self.counters[name.strip()] += int(number)
        return history

    # -------------------------------------------------------------------------------------------------------- faults

    async def kill(self) -> None:
        """kill -9 of a worker, and another one in its place."""
        slot = self.random.randrange(WORKERS)
        self._workers[slot].kill()
        self._workers[slot].join()
        self._workers[slot] = await self._start(slot)

    async def freeze(self) -> None:
        """SIGSTOP of a worker, shorter or longer than a transaction may idle."""
        worker = self.random.choice(self._workers)
        os.kill(worker.pid, signal.SIGSTOP)
        await asyncio.sleep(self.random.choice((0.3, 1, 6)))
        os.kill(worker.pid, signal.SIGCONT)

    async def freeze_valkey(self) -> None:
        """Redis hangs."""
        self.valkey.freeze()
        await asyncio.sleep(self.random.uniform(0.05, 1.5))
        self.valkey.freeze(on=False)

    async def restart_valkey(self) -> None:
        """A crash, from which it comes back with what it had saved a moment before, or with nothing."""
        if self.random.random() < 0.7:
            self.valkey.ask("SAVE")
            await asyncio.sleep(self.random.uniform(0, 1))
        self.valkey.kill()
        await asyncio.sleep(self.random.choice((0, 0.5)))
        self.valkey.start()

    async def empty(self) -> None:
        """FLUSHALL."""
        self.valkey.ask("FLUSHALL")

    async def partition(self) -> None:
        """One worker alone loses Redis."""
        assert self._proxy is not None
        if self.random.random() < 0.5:
            await self._proxy.refuse()
        else:
            self._proxy.hang()
        await asyncio.sleep(self.random.uniform(0.1, 2))
        await self._proxy.heal()

    async def cut(self) -> None:
        """PostgreSQL ends some sessions, wherever they are."""
        found = make_url(self.database_url)
        host = str(found.query["host"])
        connection = await asyncpg.connect(host=host, port=5432, user=found.username, database=found.database)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3"
            )
        finally:
            await connection.close()

    # ------------------------------------------------------------------------------------------------------- workers

    async def _start(self, slot: int) -> Any:
        """Forked from a process that has everything imported; returns when it has begun to read and write."""
        assert self._proxy is not None
        self._started += 1
        journal = self.folder / f"{self._started}.journal"
        behind_proxy = slot == WORKERS - 1
        redis = f"redis://127.0.0.1:{self._proxy.port}" if behind_proxy else f"unix://{self.valkey.path}"
        arguments = (self.folder / "errors", journal, self.database_url, redis, self.random.randrange(1 << 30))
        worker = FORKS.Process(target=run, args=(*arguments, self.removed), daemon=True)
        worker.start()
        while not (journal.exists() and journal.stat().st_size):
            assert worker.is_alive(), self.errors
            await asyncio.sleep(0.01)
        return worker

    async def _stop(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.join()

    @property
    def errors(self) -> str:
        """What workers complained of."""
        return (self.folder / "errors").read_text()
