"""`python -m tests.coherence.measure_waits`: after how long everybody is told what psql wrote.

The service runs in this process, with its drain, over a Valkey of its own; people ask it through HTTP all the time.
"""

import asyncio
import logging
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from loaders.drain import drain_for_ever
from tests.coherence.valkey import private_valkey
from tests.kit.clock import Clock
from tests.kit.databases import leased_databases
from tests.kit.small_company import HR, NOW, fill_small_company
from tests.responses.service import Service, open_service, status
from tests.web.asgi import Reply

QUERY: Final = "{ locations { name } }"
WRITES: Final = 100


@asynccontextmanager
async def draining(service: Service) -> AsyncIterator[None]:
    """The drain of a worker."""
    task = asyncio.create_task(drain_for_ever(service.resources.database, service.resources.cache))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def ask(service: Service) -> Reply:
    """One question; what it found is stored before the next one."""
    answer = await service.ask(QUERY, HR)
    assert answer.status == 200 and "errors" not in answer.json, answer.body
    await service.settle()
    return answer


async def seen_after_ms(service: Service, psql: "asyncpg.Connection[asyncpg.Record]", name: str) -> float:
    """From a COMMIT of psql's until everybody is told of it, while the answer before it was a hit."""
    while status(await ask(service)) != "hit":
        pass
    await asyncio.sleep(random.random() / 4)  # or it would always come just after a drain
    await psql.execute("UPDATE location SET name = $1 WHERE id = 1", name)
    began_s = time.perf_counter()
    while name.encode() not in (await ask(service)).body:
        await asyncio.sleep(0.001)
    return (time.perf_counter() - began_s) * 1e3


async def measure(url: str) -> None:
    """Print a line."""
    host = make_url(url).query["host"]
    with private_valkey() as valkey:
        psql = await asyncpg.connect(host=str(host), user="app", database=make_url(url).database)
        async with (
            open_service(url, f"unix://{valkey.path}", Clock(NOW), patience_ms="100", drains=False) as service,
            draining(service),
        ):
            seen = sorted([await seen_after_ms(service, psql, f"Mumbai {number}") for number in range(WRITES)])
            print(
                f"psql is seen after {statistics.median(seen):.0f} ms (median of {WRITES}),"
                f" 90 % within {seen[WRITES * 9 // 10]:.0f} ms, all within {seen[-1]:.0f} ms"
            )
        await psql.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with leased_databases() as databases:
        asyncio.run(measure(databases.new("small_company", fill_small_company)))
