"""PostgreSQL and Redis as operators see them: up or not, how full, and whether the cache is usable."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from cache.addresses import part_at, ways_to
from cache.place import prefix_at
from db.database import Database, PoolLimits
from db.errors import Unreachable
from db.inspection import CoherenceState, coherence_state, migration, server_state
from domain.errors import Unavailable
from ops.database_refusal import refusal as database_refusal
from ops.redis_refusal import refusal as redis_refusal
from web.settings import Settings


class Installation:
    """Looks at the servers that the settings name, over one connection to each.

    With `explains` an error names variable, address and reason; the status page shows less.
    """

    def __init__(self, settings: Settings, *, explains: bool = False) -> None:
        self._settings = settings
        self._explains = explains
        self._prefix = prefix_at(settings.redis.shared_url or "redis:", settings.cache.prefix)
        self._part = part_at(settings.redis.shared_url or "redis:", settings.cache.prefix)
        self._redis_timeout_s = max(settings.redis.timeout.total_seconds(), 1.0)
        url, redis_url = settings.database.primary_url, settings.redis.shared_url
        self._database = Database(url, PoolLimits(size=1), application="rollcall status") if url else None
        self._redis = self._open(redis_url) if redis_url and settings.cache.enabled else None
        self._oldest: tuple[int, float] | None = None
        self._redis_used: tuple[float, float] | None = None

    def _open(self, url: str) -> Redis:
        options, _ = ways_to(url, self._prefix, self._redis_timeout_s / 2)
        limits = {"socket_timeout": self._redis_timeout_s, "socket_connect_timeout": self._redis_timeout_s}
        return Redis.from_pool(BlockingConnectionPool(**{"max_connections": 2, **limits, **options}))

    async def look(self) -> Mapping[str, Any]:
        """The state of each server, by name."""
        return {"database": await self.database_state(), "redis": await self.redis_state()}

    async def database_state(self) -> dict[str, Any]:
        """PostgreSQL, and its side of the cache."""
        if self._database is None:
            return {"up": False, "error": "DATABASE_URL is not set"}
        started_s = time.perf_counter()
        try:
            async with self._database.read() as connection:
                server = await server_state(connection)
                answered_s = time.perf_counter() - started_s
                coherence = await coherence_state(connection) if server.migrated else None
                migrated_to = await migration(connection) if server.migrated else None
        except Unavailable as error:
            shown = (
                database_refusal(error, self._settings) if self._explains and isinstance(error, Unreachable) else error
            )
            return {"up": False, "error": shown.message}
        return {
            "up": True,
            "version": server.version,
            "version_number": server.version_number,
            "answer_ms": round(answered_s * 1e3, 2),
            "uptime_s": round(server.uptime_s),
            "connections": server.connections,
            "usable_connections": server.usable_connections,
            "database_bytes": server.database_bytes,
            "in_recovery": server.in_recovery,
            "migration": migrated_to,
            **self._coherence(coherence),
        }

    def _coherence(self, state: CoherenceState | None) -> dict[str, Any]:
        if state is None:
            return {}
        now_s = time.monotonic()
        if state.oldest is None:
            self._oldest = None
        elif self._oldest is None or self._oldest[0] != state.oldest:
            self._oldest = (state.oldest, now_s)
        return {
            "cache_epoch": state.epoch,
            "cache_suspended": state.suspended,
            "cache_run_id": state.run_id,
            "outbox_rows": state.outbox_rows,
            "outbox_age_s": round(now_s - self._oldest[1], 1) if self._oldest else 0.0,
        }

    async def redis_state(self) -> dict[str, Any]:
        """Redis or Valkey, and how long the fence still holds."""
        if self._redis is None:
            return {"up": False, "off": True}
        started_s = time.perf_counter()
        try:
            info: Mapping[str, Any] = await self._redis.info()
            answered_s = time.perf_counter() - started_s
            fence_ms = await self._redis.pttl(f"{self._prefix}:f")
            entries = await self._redis.dbsize()
        except (RedisError, OSError, TimeoutError) as error:
            if self._explains:
                return {"up": False, "error": redis_refusal(error, self._settings).message}
            refuses = isinstance(error, AuthenticationError | ResponseError)
            return {
                "up": False,
                "error": f"Redis {'refuses' if refuses else 'does not answer'} ({type(error).__name__})",
            }
        return {
            "up": True,
            "version": info.get("valkey_version") or info.get("redis_version", ""),
            "redis_version": info.get("redis_version", "0"),
            "answer_ms": round(answered_s * 1e3, 2),
            "run_id": info.get("run_id", "") + self._part,
            "uptime_s": info.get("uptime_in_seconds", 0),
            "role": info.get("role", ""),
            "keys": entries,
            "used_memory_bytes": info.get("used_memory", 0),
            "max_memory_bytes": info.get("maxmemory", 0),
            "max_memory_policy": info.get("maxmemory_policy", ""),
            "evicted_keys": info.get("evicted_keys", 0),
            "clients": info.get("connected_clients", 0),
            "cpu": self._redis_cpu(info),
            "fence_s": max(fence_ms, 0) / 1000,
        }

    def _redis_cpu(self, info: Mapping[str, Any]) -> float | None:
        """How much of a processor Redis has used since it was last asked."""
        before, self._redis_used = self._redis_used, (
            time.monotonic(), info.get("used_cpu_user", 0.0) + info.get("used_cpu_sys", 0.0)
        )  # fmt: skip
        if before is None or self._redis_used[1] < before[1]:
            return None
        return round((self._redis_used[1] - before[1]) / max(self._redis_used[0] - before[0], 0.001), 3)

    async def clock_differences_s(self) -> dict[str, float]:
        """How far the clock of each server that answers is ahead of ours."""
        found = {}
        if self._database is not None:
            with suppress(Unavailable):
                async with self._database.read() as connection:
                    asked = time.time()
                    theirs = (await server_state(connection)).clock.timestamp()
                    found["PostgreSQL"] = theirs - (asked + time.time()) / 2
        if self._redis is not None:
            with suppress(RedisError, OSError, TimeoutError):
                asked = time.time()
                seconds, microseconds = await self._redis.time()
                found["Redis"] = seconds + microseconds / 1e6 - (asked + time.time()) / 2
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            with suppress(RedisError, OSError):
                await self._redis.aclose()
        if self._database is not None:
            await self._database.close()
