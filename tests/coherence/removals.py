"""How each safeguard is taken out of this process, or out of a database; `weakened.py` lists what that is found by."""

import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec

import cache.reading
import cache.second_level
import cache.server
import cache.tick
import db.coherence
import loaders.batch
import loaders.drain
import loaders.unit_of_work
from cache.fence import Fence
from cache.policy import Policy
from cache.reading import Reading, decode_entry
from cache.second_level import SecondLevelCache


def everywhere(name: str, other: object) -> None:
    """Put something else in the place of a global name of the cache, in every module that has it."""
    homes = [
        vars(module) for path, module in sys.modules.items() if path.startswith("cache.") and hasattr(module, name)
    ]
    assert homes, name
    for names in homes:
        names[name] = other


def put(module: ModuleType, name: str, other: object) -> None:
    """The same in one module."""
    assert hasattr(module, name), (module, name)
    vars(module)[name] = other


def in_lua(script: str, old: str, new: str) -> Callable[[], None]:
    def without() -> None:
        text = cache.server.LUA[script]
        assert old in text, (script, old)
        cache.server.LUA[script] = text = text.replace(old, new)
        cache.server.SHA[script] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    return without


def in_query(name: str, old: str, new: str) -> Callable[[], None]:
    def without() -> None:
        query = getattr(db.coherence, name)
        assert old in query.sql, (name, query.sql)
        query.sql = query.sql.replace(old, new)

    return without


def in_function(signature: str, old: str, new: str) -> str:
    """The statement that replaces a part of a function in the database."""
    return f"""DO $do$ DECLARE whole text := pg_get_functiondef('{signature}'::regprocedure); BEGIN
      IF position($old${old}$old$ IN whole) = 0 THEN RAISE EXCEPTION 'not found'; END IF;
      EXECUTE replace(whole, $old${old}$old$, $new${new}$new$); END $do$"""


def payload_without(what: str) -> Callable[[], None]:
    def payload(entry: bytes | None, fence: bytes, now: list[bytes | None]) -> bytes | None:
        if entry is None:
            return None
        stored_fence, stored, value, _ = decode_entry(entry)
        if what == "everything":
            return bytes(value)
        if what != "fence" and stored_fence != fence:
            return None
        return None if what != "stamps" and stored != now else bytes(value)

    def without() -> None:
        everywhere("payload", payload)

    return without


def without_holding() -> None:
    async def hold(self: SecondLevelCache, xid: str, tags: Sequence[str], home: str) -> bool:
        return True

    SecondLevelCache.hold = hold  # type: ignore[method-assign]


def without_home() -> None:
    whole = SecondLevelCache.hold

    async def hold(self: SecondLevelCache, xid: str, tags: Sequence[str], home: str) -> bool:
        assert self.server is not None
        return await whole(self, xid, tags, home) or self.server.run_id != home

    SecondLevelCache.hold = hold  # type: ignore[method-assign]


def without_release() -> None:
    """Delete-after-commit in its simplest form: neither held before nor restamped after, only drained."""

    async def release(self: SecondLevelCache, *_: Any) -> None:
        return

    without_holding()
    SecondLevelCache.release = release  # type: ignore[method-assign]


def without_suspension() -> None:
    async def suspended(*_: Any) -> bool:
        return True

    put(loaders.unit_of_work, "_suspended", suspended)


def without_waiting() -> None:
    """The writer suspends the cache and commits at once."""

    whole = db.coherence.covered

    async def covered(*given: Any) -> Any:
        return None if await whole(*given) is None else loaders.unit_of_work.timedelta()

    put(loaders.unit_of_work, "coherence", SimpleNamespace(**{**vars(db.coherence), "covered": covered}))


def without_run_id() -> None:
    whole = cache.server.Server._answered

    async def nameless(self: cache.server.Server, command: Sequence[object]) -> cache.server.Answer:
        return (await whole(self, command))._replace(run_id="anyone")

    cache.server.Server._answered = nameless  # type: ignore[method-assign]


def without_declaration() -> None:
    everywhere("is_ours", lambda fence, run_id, _: fence.startswith(f"{run_id}.".encode()))


def without_held() -> None:
    """A held stamp is taken for a version like any other."""
    everywhere("HELD", b"\0")


def without_new_nonces() -> None:
    everywhere("secrets", SimpleNamespace(token_hex=lambda _: "0"))


def without_claims() -> None:
    """A tag without a stamp gets one only when the value is stored, after the database was read."""
    whole = SecondLevelCache.fill_later
    cache.server.LUA["late"], cache.server.SHA["late"] = cache.server.LUA["look"], cache.server.SHA["look"]
    in_lua("look", "not found[i] and", "false and")()

    async def fill(self: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], *more: Any) -> None:
        assert self.server is not None and reading.ticket is not None
        tags = list(reading.ticket.stamps)
        names = [self.fence_name, *(self.stamp_prefix + tag for tag in tags)]
        found = await self.server.run("late", names, [len(tags), "late-", 60_000])
        reading.ticket = cache.reading.Ticket(reading.ticket.fence, dict(zip(tags, found.value[1:], strict=True)))
        whole(self, policy, reading, *more)

    def fill_later(self: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], *more: Any) -> None:
        if reading.ticket is not None and reading.ticket.unusable:
            self.later(fill(self, policy, reading, *more))
        else:
            whole(self, policy, reading, *more)

    SecondLevelCache.fill_later = fill_later  # type: ignore[method-assign, assignment]


def without_tables() -> None:
    everywhere("dependencies", lambda tags: tuple(dict.fromkeys(tags)))


def without_new_flights() -> None:
    """A read joins a command that was sent already and asks for the same."""
    whole = cache.tick.TickReader.read
    under_way: dict[tuple[str, ...], Any] = {}

    async def read(self: cache.tick.TickReader, names: Sequence[str], *stamps: Any) -> cache.server.Answer:
        key = (str(id(self)), *names)
        if key not in under_way:
            task = under_way[key] = cache.tick.asyncio.ensure_future(whole(self, names, *stamps))
            task.add_done_callback(lambda _: under_way.pop(key))
        return await under_way[key]

    cache.tick.TickReader.read = read  # type: ignore[method-assign]


def without_clearing() -> None:
    loaders.batch.Loaders.clear = lambda self: None  # type: ignore[method-assign]


def without_own_transaction() -> None:
    loaders.batch.Loaders.inside = lambda self, connection: self.clear()  # type: ignore[method-assign]


def without_ending() -> None:
    async def at_once(work: Any) -> Any:
        return await work

    put(loaders.unit_of_work, "to_its_end", at_once)


def without_unknown_outcomes() -> None:
    """A COMMIT that failed is taken for a rollback: its hold is let go."""
    source = loaders.unit_of_work

    async def end(transaction: Any, unit: Any, database: Any, of: SecondLevelCache) -> None:
        seen: list[Any] = []
        whole = db.coherence.pending

        async def pending(*given: Any) -> Any:
            seen.append(await whole(*given))
            return seen[-1]

        put(source, "coherence", SimpleNamespace(**{**vars(db.coherence), "pending": pending}))
        try:
            await original(transaction, unit, database, of)
        except Exception:
            for found in seen:
                assert of.server is not None
                names = [of.stamp_prefix + tag for tag in found.tags]
                for name in names:
                    value = (await of.server.mget([name])).value[0] or b""
                    await of.server.ask("SET", name, value.partition(b"!")[0], "PX", 60_000)
            raise

    original = source._end
    put(source, "_end", end)


def without_clock_before() -> None:
    """The life of a fence is counted from its renewal, not from before the outbox was read."""
    in_lua("renew", "'PXAT', ARGV[3])", "'PX', 2000)")()


def _instead(name: str, other: object) -> None:
    """What the drain calls in the database is another function."""
    put(loaders.drain, "coherence", SimpleNamespace(**{**vars(db.coherence), name: other}))


def without_epoch_of_server() -> None:
    whole = db.coherence.lead

    async def lead(connection: Any) -> Any:
        state = await whole(connection)
        return state and msgspec.structs.replace(state, server=state.server and state.server_now)

    _instead("lead", lead)


def without_identity_of_redis() -> None:
    """A drain that meets two servers goes on."""
    whole = SecondLevelCache.renew

    async def renew(self: SecondLevelCache, *given: Any, **how: Any) -> bool:
        try:
            return await whole(self, *given, **how)
        except cache.server.CacheUnreachable as error:
            if "replaced" not in str(error):
                raise
            return True

    SecondLevelCache.renew = renew  # type: ignore[method-assign]


def without_heed_of_suspension() -> None:
    in_query("_STATE", "suspended_until <> '-infinity' AS suspended", "false AS suspended")()


def without_end_beforehand() -> None:
    """A suspension ends in the very transaction that renews the fence."""
    whole = db.coherence.lead

    async def lead(connection: Any) -> Any:
        state = await whole(connection)
        if state and state.suspended and state.may_end and await db.coherence.end_suspension(connection):
            return msgspec.structs.replace(state, suspended=False)
        return state

    _instead("lead", lead)


def without_move_beforehand() -> None:
    """The fence moves in the very transaction that renews it there."""
    whole = db.coherence.move_fence
    step = loaders.drain._step

    async def in_one_go(database: Any, of: SecondLevelCache) -> Any:
        async def move(connection: Any, run_id: str, *more: Any) -> None:
            assert of.server is not None
            await whole(connection, run_id, *more)
            await db.coherence.arrive(connection, run_id)
            state = await db.coherence.lead(connection)
            assert state is not None
            fence = Fence(run_id, state.epoch, state.declaration, (await of.server.clock_ms()).value)
            await of.renew(fence, "late", *await db.coherence.drain(connection, state.epoch, "late"))

        _instead("move_fence", move)
        return await step(database, of)

    put(loaders.drain, "_step", in_one_go)


def without_shape() -> None:
    Policy.entry_name = lambda self, key: f"{self.namespace}:{key!r}"  # type: ignore[method-assign]


async def _delete_all(self: SecondLevelCache) -> None:
    assert self.server is not None
    found = await self.server.ask("KEYS", f"{self.entry_prefix}*")
    if found.value:
        await self.server.ask("DEL", *found.value)


def delete_after_commit() -> None:
    """What most caches do: entries are what they are until the writer deletes them after its COMMIT."""

    async def release(self: SecondLevelCache, *_: Any) -> None:
        with suppress(cache.server.CacheUnreachable):
            await _delete_all(self)

    without_holding()
    without_suspension()
    payload_without("everything")()
    SecondLevelCache.release = release  # type: ignore[method-assign, assignment]


def leases() -> None:
    """As memcache has it: besides, a value is stored only if nothing was deleted since it was found missing."""
    whole = SecondLevelCache.release
    fill_anyway = SecondLevelCache.fill_later

    async def release(self: SecondLevelCache, *given: Any) -> None:
        await whole(self, *given)
        with suppress(cache.server.CacheUnreachable):
            await _delete_all(self)

    async def fill(self: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], *more: Any) -> None:
        if reading.ticket is not None and await self.unchanged(reading.ticket.fence, dict(reading.ticket.stamps)):
            fill_anyway(self, policy, reading, *more)

    def fill_later(self: SecondLevelCache, *given: Any) -> None:
        self.later(fill(self, *given))

    delete_after_commit()
    SecondLevelCache.release = release  # type: ignore[method-assign, assignment]
    SecondLevelCache.fill_later = fill_later  # type: ignore[method-assign, assignment]
