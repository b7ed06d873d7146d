"""Connections as types: a reader cannot write.

Statements are built with SQLAlchemy Core and run on the driver's connection. SQLAlchemy compiles, pools and migrates;
its result layer is left out, since it costs three times the driver's own time
(a row by id 339 us against 104 us). Rows are frozen msgspec structs, so a row that was read equals its cached copy.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
from sqlalchemy import Executable, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from db.errors import translated
from db.sql_comment import commented
from db.statement_log import statement_log
from domain.consistency import Position
from telemetry.counters import count
from telemetry.recording import record_sql

R = TypeVar("R")
DIALECT: Final = asyncpg_dialect()  # type: ignore[no-untyped-call]


SERVER_COLUMNS: Final = """cache_server(),
    CAST(CAST('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS bit(32)) AS int)"""


class Query:
    """A statement compiled once, with a name for statistics; parameters are given by name.

    Its text ends with its name as a comment. What changes from request to request is not in it: each session prepares a
    statement once.
    """

    __slots__ = ("_names", "_static", "name", "sql")

    def __init__(self, name: str, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, SQLCompiler)
        self.name = name
        self.sql = commented(str(compiled), name)
        self._names: Sequence[str] = compiled.positiontup or ()
        self._static: Mapping[str, Any] = {key: value for key, value in compiled.params.items() if value is not None}

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The positional arguments of the driver for named parameters."""
        given = {**self._static, **parameters}
        return [given.get(name) for name in self._names]


class _Timed:
    """Records how long a statement took; a class, since a generator would cost four times as much."""

    __slots__ = ("_arguments", "_name", "_sql", "_started")

    def __init__(self, name: str, sql: str, arguments: Sequence[Any] = ()) -> None:
        self._name = name
        self._sql = sql
        self._arguments = arguments

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        seconds = time.perf_counter() - self._started
        statement_log.note(self._name, self._sql, self._arguments, seconds, error is not None)


class ReadConnection:
    """A connection for statements that only read; each runs for itself, never inside an old snapshot."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._driver = driver
        self._turn = asyncio.Lock()  # the driver takes one statement at a time

    @property
    def major_version(self) -> int:
        """Of the server."""
        return self._driver.get_server_version().major

    @property
    def session(self) -> object:
        """The session with the server, to remember things of it by."""
        return self._driver

    async def all(self, query: Query, row_type: type[R], **parameters: Any) -> list[R]:
        """Every row, converted to `row_type`: a struct by position, or the type of the only column."""
        records = await self._fetch(query, parameters)
        if not issubclass(row_type, msgspec.Struct):
            return [record[0] for record in records]
        return msgspec.convert([tuple(record) for record in records], list[row_type], strict=False)  # type: ignore[valid-type]

    async def first(self, query: Query, row_type: type[R], **parameters: Any) -> R | None:
        """The first row, None without one."""
        rows = await self.all(query, row_type, **parameters)
        return rows[0] if rows else None

    async def records(self, query: Query, **parameters: Any) -> list[tuple[Any, ...]]:
        """Every row as a plain tuple."""
        return [tuple(record) for record in await self._fetch(query, parameters)]

    async def _fetch(self, query: Query, parameters: Mapping[str, Any]) -> list[asyncpg.Record]:
        record_sql(query.name)
        count("sql_statements", query.name)
        async with self._turn:
            arguments = query.arguments(parameters)
            try:
                with _Timed(query.name, query.sql, arguments):
                    return await self._driver.fetch(query.sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise translated(error) from error


# A commit of this session is flushed; what others have written since may never get to any replica.
_POSITION: Final = Query(
    "position",
    text(f"""
    SELECT {SERVER_COLUMNS}, CAST(CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
      ELSE pg_current_wal_flush_lsn() END - '0/0' AS bigint)"""),
)


class WriteConnection(ReadConnection):
    """A connection inside one transaction; `position` is where the log was once it had been committed, if asked for."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        super().__init__(driver)
        self.position: Position | None = None

    async def look_where(self) -> None:
        """Ask for the position."""
        [found] = await self.records(_POSITION)
        self.position = Position(*found)

    async def execute(self, query: Query, **parameters: Any) -> int:
        """Run a statement; returns how many rows it changed."""
        record_sql(query.name)
        count("sql_statements", query.name)
        async with self._turn:
            arguments = query.arguments(parameters)
            try:
                with _Timed(query.name, query.sql, arguments):
                    status = await self._driver.execute(query.sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise translated(error) from error
        affected = status.rpartition(" ")[2]
        return int(affected) if affected.isdecimal() else 0

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append many rows by COPY."""
        record_sql(name := f"copy_{table}")
        async with self._turn:
            with _Timed(name, f"COPY {table}"):
                await self._driver.copy_records_to_table(table, records=rows, columns=list(columns))

    async def script(self, sql: str) -> None:
        """Run many statements without parameters."""
        record_sql("script")
        async with self._turn:
            with _Timed("script", sql):
                await self._driver.execute(sql)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is written within is undone alone when an error leaves it."""
        async with self._driver.transaction():
            yield
