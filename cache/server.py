"""The connection to Redis or Valkey: tight timeouts, no retries, a breaker, and the run_id of who answers."""

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from cache.breaker import Breaker, BreakerOpen
from telemetry.counters import count

LUA: Final = Path(__file__).parent / "lua"


class CacheUnreachable(Exception):
    """Redis did not answer, or failed a moment ago and was not asked."""


class Server:
    """Sends commands to Redis; every failure becomes CacheUnreachable, and then nothing is sent for a while."""

    def __init__(self, url: str, timeout: timedelta = timedelta(milliseconds=100), connections: int = 20) -> None:
        self.breaker = Breaker()
        self.run_id = ""
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout.total_seconds(),
            socket_connect_timeout=timeout.total_seconds(),
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._learn_run_id,
            max_connections=connections,
        )
        self._scripts = {path.stem: self._redis.register_script(path.read_text()) for path in LUA.glob("*.lua")}

    async def _learn_run_id(self, connection: AbstractConnection) -> None:
        """Every connection learns which server it talks to: a restarted or promoted one is another."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info: Any = await connection.read_response()
        text = info.decode() if isinstance(info, bytes) else str(info)
        self.run_id = next(line[7:] for line in text.splitlines() if line.startswith("run_id:"))

    async def mget(self, names: Sequence[str]) -> list[bytes | None]:
        """The values of many keys in one round trip."""
        return await self._answer(self._redis.mget(names))  # type: ignore[no-any-return]

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run one of the scripts in cache/lua."""
        lua: AsyncScript = self._scripts[script]
        return await self._answer(lua(keys=list(keys), args=list(arguments)))

    async def clock_ms(self) -> int:
        """The server's own clock: no other clock is ever compared with its deadlines."""
        seconds, microseconds = await self._answer(self._redis.time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _answer(self, command: Awaitable[Any]) -> Any:
        try:
            self.breaker.enter()
        except BreakerOpen as error:
            command.close()  # type: ignore[attr-defined]
            raise CacheUnreachable from error
        try:
            answer = await command
        except (RedisError, OSError, TimeoutError) as error:
            self.breaker.failed()
            count("cache_failures", type(error).__name__)
            raise CacheUnreachable(str(error)) from error
        except BaseException:
            self.breaker.failed()  # cancelled: nobody knows; a probe must not stay reserved for ever
            raise
        self.breaker.succeeded()
        return answer
