"""Engines of SQLAlchemy over asyncpg, for PostgreSQL itself or through a PgBouncer that pools transactions.

Such a PgBouncer gives every transaction another session: nothing may outlive one, neither prepared statements nor
settings. An address says so by `pgbouncer=on` in its query.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

PARAMETER: Final = "pgbouncer"
LIVELINESS: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
"""Seconds, and milliseconds of the last: a host that is gone without a word ends what waits for it after 20 to 25 s."""


class LivelyConnection(_Connection):
    """Asks the other host for signs of life: the driver waits for an answer for ever, also from one that is gone."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *given: Any) -> None:
        """Called by the driver with a connection that is open."""
        super().__init__(protocol, transport, *given)
        wire = transport.get_extra_info("socket")
        if wire.family == socket.AF_UNIX:
            return
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in LIVELINESS.items():
            if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
                wire.setsockopt(socket.IPPROTO_TCP, option, value)


class PooledConnection(LivelyConnection):
    """Asks what it has to ask outside of a transaction within one of its own."""

    async def set_type_codec(self, *names: Any, **options: Any) -> None:
        """Called by SQLAlchemy for every new connection; it takes two steps, which must not part."""
        async with self.transaction():
            await super().set_type_codec(*names, **options)


def is_pooled(url: str) -> bool:
    """Whether an address leads through a PgBouncer that pools transactions."""
    return make_url(url).query.get(PARAMETER) in ("on", "true", "1")


def new_engine(url: str, connect: dict[str, Any], session: dict[str, str], **pool: Any) -> AsyncEngine:
    """An engine; `session` are settings of sessions, which begin_with gives to transactions where those are pooled."""
    address = make_url(url).difference_update_query([PARAMETER])
    if not is_pooled(url):
        lively = {"connection_class": LivelyConnection, "server_settings": session}
        return create_async_engine(address, connect_args={**connect, **lively}, **pool)
    known = {name: value for name, value in session.items() if name in ("application_name", "timezone")}
    unprepared = {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,  # no name: one would outlive the transaction
        "connection_class": PooledConnection,
    }
    return create_async_engine(address, connect_args={**connect, **unprepared, "server_settings": known}, **pool)


def begin_with(url: str, session: dict[str, str]) -> str:
    """What a transaction begins with: nothing, or what a pooled session could not be told."""
    if not is_pooled(url):
        return ""
    return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in session.items() if name.endswith("_timeout"))
