"""What is measured stands on: private servers in a folder of their own, filled with a demo company of a known size."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import redis

from db.database import Database
from db.demo import demo_company
from db.embedded import EmbeddedServers, lease
from db.migrate import upgrade
from domain.errors import RollcallError
from ops.demo import bring_up_to_date, fill_demo, is_empty
from web.signing_key import kept_key

PREFIX = "rollcall"
SEED = 7
FENCE_LIMIT_S = 10.0
FORGET = """
for _, name in ipairs(redis.call('KEYS', '*')) do
  if name ~= KEYS[1] and name ~= KEYS[2] then redis.call('UNLINK', name) end
end
"""
"""Forgets entries and stamps but neither the fence, which says that the drain lives, nor the name of the last drain,
without which the next one begins an epoch: then nothing has to be waited for, and the drain does what it does."""
KEPT = f"{PREFIX}:f", f"{PREFIX}:d"

OF_THE_BENCH = ("PATH", "HOME", "LANG", "TMPDIR", "PG_BINDIR", "VALKEY_SERVER")


class BenchFailed(RollcallError):
    """The figures would not mean what they say; the message tells why."""


class Ground(msgspec.Struct, frozen=True):
    """The servers, and what is in them."""

    servers: EmbeddedServers
    data: Path
    employees: int
    days: int

    def environment(self) -> Mapping[str, str]:
        """For processes of the service: nothing of the caller's settings, and no `.env`."""
        own = {name: os.environ[name] for name in OF_THE_BENCH if name in os.environ}
        empty = self.data / "empty.env"
        empty.touch()
        key = self.data / "auth.key"
        kept_key(key)
        given = {"ENV_FILE": str(empty), "DATA_DIR": str(self.data), "AUTH_PRIVATE_KEY_FILE": str(key)}
        return {**own, **given, "CACHE_PREFIX": PREFIX, "PYTHONHASHSEED": "0"}

    def cache(self) -> redis.Redis:
        """A connection of ours to the private Valkey."""
        return redis.Redis(unix_socket_path=self.servers.redis_url.removeprefix("unix://"))


async def filled(database_url: str, employees: int, days: int) -> int:
    """Migrate and fill if need be; returns how many days the company has now."""
    database = Database(database_url, application="rollcall bench")
    now = datetime.now(UTC)
    try:
        await upgrade(database_url)
        if await is_empty(database):
            await fill_demo(database, employees, days, SEED, now, _unshown)
        else:
            await bring_up_to_date(database, now, _unshown)
        async with database.read() as connection:
            company = await demo_company(connection)
    finally:
        await database.close()
    if company is None or company.employees != employees:
        found = f"one of {company.employees}" if company else "none"
        raise BenchFailed(f"--data: needed a folder with a demo company of {employees} employees, got {found}")
    return (now.date() - company.first_date).days + 1


@contextmanager
def leased(data: Path) -> Iterator[EmbeddedServers]:
    """The servers of the folder, from which Redis at least begins empty."""
    with lease(data) as servers:
        with redis.Redis(unix_socket_path=servers.redis_url.removeprefix("unix://")) as client:
            client.flushall()
        yield servers


def forget(cache: redis.Redis) -> None:
    """Make the second-level cache cold."""
    deadline = time.monotonic() + FENCE_LIMIT_S
    while not cache.exists(f"{PREFIX}:f"):
        if time.monotonic() > deadline:
            raise BenchFailed(f"the cache is off: no drain has opened its fence for {FENCE_LIMIT_S:g} seconds")
        time.sleep(0.005)
    cache.eval(FORGET, len(KEPT), *KEPT)


def marker() -> str:
    """A text that no one else sends."""
    return f"bench-{secrets.token_hex(8)}"


def _unshown(done: int, total: int) -> None:
    """Progress is shown by the service's own start; here it would disturb the table."""
