"""The connection to Redis or Valkey: tight timeouts, no retries, a breaker, and the run_id of who answered.

Where that is may change: cache/addresses.py asks Sentinels, or the nodes of a Cluster.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio.connection import AbstractConnection, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MovedError, NoScriptError, ReadOnlyError, RedisError, ResponseError

from cache.addresses import moved_to, part_at, ways_to
from cache.breaker import Breaker, BreakerOpen
from cache.patience import Patience, patient
from cache.place import prefix_at
from cache.wire import Wire
from cache.wires import Wires
from telemetry.counters import count
from telemetry.round_trips import RoundTrip

LUA: Final = {path.stem: path.read_text() for path in (Path(__file__).parent / "lua").glob("*.lua")}
ELSEWHERE: Final = (ReadOnlyError, MovedError, ClusterDownError)
"""Errors of a server that is not, or no longer, the one to talk to."""
SHA: Final = {name: hashlib.sha1(lua.encode(), usedforsecurity=False).hexdigest() for name, lua in LUA.items()}
TRYING_AGAIN: Final = ("hold", "renew")
"""Scripts that find out whether Redis is back: a writer without a hold would wait for longer. No reader does."""


class CacheUnreachable(Exception):
    """Redis did not answer, refused, or failed a moment ago and was not asked."""


class Answer(NamedTuple):
    """What was answered, and by which server: a restarted or promoted one is another, also at the same address.

    So is another part of it, as another prefix or database of Redis has.
    """

    run_id: str
    value: Any


class Server:
    """Sends commands to Redis; every failure becomes CacheUnreachable, and then nothing is sent for a while.

    Keys begin with `prefix`, as prefix_at has it.
    """

    def __init__(
        self,
        url: str,
        timeout: timedelta = timedelta(milliseconds=100),
        connections: int = 20,
        prefix: str = "rollcall",
    ) -> None:
        self.breaker = Breaker()
        self.run_id = ""
        """Of the server that answered last; "" before any did."""
        self._timeout_s = timeout.total_seconds()
        self.prefix = prefix_at(url, prefix)
        self._part = part_at(url, prefix)
        options, self._locator = ways_to(url, prefix, self._timeout_s / 2)
        self._connection_class: type[AbstractConnection] = options.pop("connection_class", Connection)
        # connecting, sending and reading all count as one wait, see Patience
        own = {"socket_timeout": None, "socket_connect_timeout": None, "retry": Retry(NoBackoff(), 0)}
        self._options = own | options
        self._wires = Wires(self._connected, connections)

    async def mget(self, names: Sequence[str]) -> Answer:
        """The values of many keys in one round trip."""
        return await self.ask("MGET", *names, tries_again=False)

    async def delete(self, names: Sequence[str]) -> Answer:
        """Delete keys; how many there were."""
        return await self.ask("DEL", *names)

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Answer:
        """Run one of the scripts in cache/lua, on the account of the request that waits for it."""
        with RoundTrip(script):
            return await self.script(script, keys, arguments)

    async def script(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Answer:
        """Run one of the scripts in cache/lua."""
        rest, tries_again = (len(keys), *keys, *arguments), name in TRYING_AGAIN
        try:
            return await self.ask("EVALSHA", SHA[name], *rest, tries_again=tries_again)
        except CacheUnreachable as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
            return await self.ask("EVAL", LUA[name], *rest, tries_again=tries_again)

    async def clock_ms(self) -> Answer:
        """The server's own clock: no other clock is ever compared with its deadlines."""
        run_id, (seconds, microseconds) = await self.ask("TIME")
        return Answer(run_id, int(seconds) * 1000 + int(microseconds) // 1000)

    async def close(self) -> None:
        """Close every connection."""
        self._wires.close()

    def reconnect(self) -> None:
        """Use no open connection again: the address may lead elsewhere by now, which only a new one finds out."""
        self._wires.renew()

    def bare_connection(self) -> AbstractConnection:
        """A connection of redis-py, not open yet, that will ask for nothing by itself: the others need INFO."""
        return self._connection_class(**self._options)

    async def _connected(self) -> Wire:
        wire = await Wire.open(self._connection_class(**self._options))
        wire.run_id += self._part
        return wire

    async def ask(self, *command: Any, tries_again: bool = True) -> Answer:
        """The answer to any command; raises CacheUnreachable. Whether it `tries_again` is for the breaker."""
        try:
            with self.breaker.attempt(tries_again=tries_again):
                answer = await self._answered(command)
        except BreakerOpen as error:
            raise CacheUnreachable("Redis failed a moment ago") from error
        except (RedisError, OSError, TimeoutError) as error:
            count("cache_failures", type(error).__name__)
            raise CacheUnreachable(str(error)) from error
        if self.run_id not in ("", answer.run_id):
            self.reconnect()
        self.run_id = answer.run_id
        if isinstance(answer.value, ResponseError):  # it can be reached, it only refuses: no business of the breaker
            if not isinstance(answer.value, NoScriptError):  # it is told the script at once
                count("cache_failures", type(answer.value).__name__)
            self._look_elsewhere(answer.value)
            raise CacheUnreachable(str(answer.value)) from answer.value
        return answer

    def _look_elsewhere(self, error: ResponseError) -> None:
        """When the server is no longer the one to talk to, let every connection ask again where that is."""
        if self._locator is not None and isinstance(error, ELSEWHERE):
            self._locator.told(moved_to(error))
            self.reconnect()

    async def _answered(self, command: Sequence[Any]) -> Answer:
        wire = await self._wires.lend_at_once()
        if wire is None:
            async with patient(self._timeout_s):
                wire = await self._wires.lend()
                try:
                    value = await wire.ask(*command)
                finally:
                    self._wires.give_back(wire)
        else:
            patience = Patience(self._timeout_s, wire.give_up)
            try:
                value = await wire.ask(*command)
            finally:
                patience.end()
                self._wires.give_back(wire)
        if isinstance(value, Exception) and not isinstance(value, ResponseError):
            raise value
        return Answer(wire.run_id, value)
