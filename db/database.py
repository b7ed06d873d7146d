"""The pool of connections to PostgreSQL, bounded: who waits too long for one is told to come again."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import msgspec
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from db.connection import Query, ReadConnection, WriteConnection
from db.engine import begin_with, new_engine
from db.errors import LOST, Unreachable, translated
from db.replicas import Replicas
from db.transaction import transaction
from domain.errors import Unavailable
from telemetry.counters import count
from telemetry.waits import waited_for_pool

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]

AWAY_S: Final = 0.5
_ALIVE: Final = Query("alive", text("SELECT 1"))


class PoolLimits(msgspec.Struct, frozen=True):
    """Connections per process, how long a request waits for one, and how long a statement may run."""

    size: int = 8
    wait: timedelta = timedelta(seconds=5)
    statement: timedelta = timedelta(seconds=15)
    connect: timedelta = timedelta(seconds=5)


class Database:
    """Connections of one process to the primary; who knows what `replicas` must have may ask those instead."""

    def __init__(
        self,
        url: str,
        limits: PoolLimits = PoolLimits(),
        *,
        application: str = "rollcall",
        replicas: Replicas | None = None,
        aside_url: str | None = None,
    ) -> None:
        self.url = url
        self.replicas = replicas or Replicas(())
        self._away_until_s = 0.0
        self._closed = False
        self._size = limits.size
        self._session = {
            "application_name": application,
            "timezone": "UTC",
            "statement_timeout": str(int(limits.statement.total_seconds() * 1000)),
            "idle_in_transaction_session_timeout": "60000",
        }
        self._begin_with = begin_with(url, self._session)
        self._engine = self._new_engine(url, limits, limits.size)
        self._aside = self._new_engine(aside_url or url, limits, 1)

    def _new_engine(self, url: str, limits: PoolLimits, size: int) -> AsyncEngine:
        engine = new_engine(
            url,
            {"timeout": limits.connect.total_seconds()},
            self._session,
            pool_size=size,
            max_overflow=0,
            pool_timeout=limits.wait.total_seconds(),
            pool_recycle=1800,
        )
        event.listen(engine.sync_engine, "checkout", _refuse_closed)
        return engine

    @asynccontextmanager
    async def read(self, *, insist: bool = False) -> AsyncIterator[ReadConnection]:
        """A connection on which every statement is its own transaction.

        With replicas to ask instead, a primary that could not be reached is left alone for a moment, unless you insist.
        """
        if self.replicas and not insist and self._away_until_s:
            now_s = time.monotonic()
            if now_s < self._away_until_s:
                raise Unreachable("the database cannot be reached now")
            self._away_until_s = now_s + AWAY_S  # one looks whether it is back, and holds up nobody else
        async with self._driver() as driver, self._together(driver):
            yield ReadConnection(driver)

    @asynccontextmanager
    async def transaction(self, *, positioned: bool = False) -> AsyncIterator[WriteConnection]:
        """A transaction: committed at the end, rolled back when an error leaves it.

        `positioned`: the connection then knows a position that the commit is below. When that cannot be learned any
        more the outcome counts as unknown, as that of a lost COMMIT.
        """
        async with self._driver() as driver:
            connection = WriteConnection(driver)
            async with self._transaction(driver):
                yield connection
            if positioned:
                async with self._together(driver):
                    await connection.look_where()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ReadConnection]:
        """One moment of the primary, from the first statement on: for comparing. What it reads must not be cached."""
        options = {"isolation": "repeatable_read", "readonly": True}
        async with self._driver() as driver, self._transaction(driver, **options):
            yield ReadConnection(driver)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[WriteConnection]:
        """A transaction beside one that is open: from a connection of its own, which writers cannot exhaust.

        Through a PgBouncer they can, unless `aside_url` leads past it, or to a pool of its own there.
        """
        async with self._driver(self._aside) as driver, self._transaction(driver):
            yield WriteConnection(driver)

    async def ping(self) -> None:
        """Ask for a sign of life, of a replica if the primary gives none; raises Unavailable without one."""
        try:
            async with self.read() as connection:
                await connection.records(_ALIVE)
        except Unreachable:
            if not self.replicas:
                raise
            await self.replicas.ping()

    @property
    def in_use(self) -> int:
        """How many connections of the pool are lent out."""
        pool = self._engine.sync_engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @property
    def busy(self) -> bool:
        """Whether more than half of the connections are lent out: what can wait, should."""
        return self.in_use * 2 > self._size

    async def close(self) -> None:
        """Close every connection; one that is lent out, or will be, when it comes back."""
        self._closed = True
        await self._engine.dispose()
        await self._aside.dispose()
        await self.replicas.close()

    @asynccontextmanager
    async def _transaction(self, driver: "Driver", **options: Any) -> AsyncIterator[None]:
        async with transaction(driver, **options):
            if self._begin_with:
                await driver.execute(self._begin_with)
            yield

    @asynccontextmanager
    async def _together(self, driver: "Driver") -> AsyncIterator[None]:
        """Of statements that are transactions of their own; where those are pooled they need one to have limits in.

        It is READ COMMITTED: every statement still sees what is newest.
        """
        if not self._begin_with:
            yield
            return
        async with self._transaction(driver, isolation="read_committed", readonly=True):
            yield

    @asynccontextmanager
    async def _driver(self, engine: AsyncEngine | None = None) -> AsyncIterator["Driver"]:
        connection = await self._checked_out(engine or self._engine)
        try:
            proxied = await connection.get_raw_connection()
            yield cast("Driver", proxied.driver_connection)
        except (asyncpg.PostgresError, *LOST) as error:  # of BEGIN and COMMIT; statements translate their own
            await connection.invalidate()
            raise translated(error) from error
        finally:
            try:
                if self._closed:  # no pool takes it back
                    await connection.invalidate()
            finally:
                await connection.close()

    async def _checked_out(self, engine: AsyncEngine) -> AsyncConnection:
        began_s = time.perf_counter() if _is_lent_out(engine) else None
        try:
            connection = await engine.connect()
        except PoolTimeoutError:
            count("db_pool_timeouts")
            raise Unavailable("all connections to the database are busy", retry_after_s=2) from None
        except (DBAPIError, asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
            self._away_until_s = time.monotonic() + AWAY_S
            raise Unreachable("the database cannot be reached now") from error
        else:
            self._away_until_s = 0.0
            return connection
        finally:
            if began_s is not None:
                waited_for_pool(time.perf_counter() - began_s)


def _is_lent_out(engine: AsyncEngine) -> bool:
    pool = engine.sync_engine.pool
    return isinstance(pool, QueuePool) and pool.checkedout() >= pool.size()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Let the pool replace a connection that ended while it was idle: after a restart of PostgreSQL all have."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
