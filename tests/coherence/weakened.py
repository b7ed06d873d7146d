"""The protocol with one safeguard taken out: something has to notice what that one prevents.

`WITHOUT=name` takes a safeguard out of every coherence test that runs under it; `SAFEGUARDS` lists them with the tests
that fail then, and test_safeguards.py makes sure that they do. The torture takes some out of its own processes.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

import msgspec

import cache.dependencies
import cache.second_level
import cache.server
import cache.tick
import db.coherence
import loaders.batch
import loaders.drain
import loaders.unit_of_work
from cache.policy import Policy
from cache.second_level import SecondLevelCache, decode_entry


class Safeguard(msgspec.Struct, frozen=True):
    """`without` takes it out of this process, `sql` out of a database; `found_by` is a test that fails then."""

    found_by: str
    without: Callable[[], None] = lambda: None
    sql: str = ""


def weaken(name: str) -> None:
    """Take the safeguard `name` out of this process for good; "" leaves the protocol whole."""
    if name:
        (SAFEGUARDS | OTHER_WAYS)[name].without()


def _lua(script: str, old: str, new: str) -> Callable[[], None]:
    def without() -> None:
        text = cache.server.LUA[script]
        assert old in text, (script, old)
        cache.server.LUA[script] = text = text.replace(old, new)
        cache.server.SHA[script] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    return without


def _query(name: str, old: str, new: str) -> Callable[[], None]:
    def without() -> None:
        query = getattr(db.coherence, name)
        assert old in query.sql, (name, query.sql)
        query.sql = query.sql.replace(old, new)

    return without


def _function(signature: str, old: str, new: str) -> str:
    """The statement that replaces a part of a function in the database."""
    return f"""DO $do$ DECLARE whole text := pg_get_functiondef('{signature}'::regprocedure); BEGIN
      IF position($old${old}$old$ IN whole) = 0 THEN RAISE EXCEPTION 'not found'; END IF;
      EXECUTE replace(whole, $old${old}$old$, $new${new}$new$); END $do$"""


def _payload_without(what: str) -> Callable[[], None]:
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
        vars(cache.second_level)["_payload"] = payload

    return without


def _without_holding() -> None:
    async def hold(self: SecondLevelCache, xid: str, tags: Sequence[str], home: str) -> bool:
        return True

    SecondLevelCache.hold = hold  # type: ignore[method-assign]


def _without_home() -> None:
    whole = SecondLevelCache.hold

    async def hold(self: SecondLevelCache, xid: str, tags: Sequence[str], home: str) -> bool:
        assert self.server is not None
        return await whole(self, xid, tags, home) or self.server.run_id != home

    SecondLevelCache.hold = hold  # type: ignore[method-assign]


def _without_release() -> None:
    """Delete-after-commit in its simplest form: neither held before nor restamped after, only drained."""

    async def release(self: SecondLevelCache, *_: Any) -> None:
        return

    _without_holding()
    SecondLevelCache.release = release  # type: ignore[method-assign]


def _without_suspension() -> None:
    async def suspended(*_: Any) -> None:
        return

    vars(loaders.unit_of_work)["_suspended"] = suspended


def _without_waiting() -> None:
    """The writer suspends the cache and commits at once."""

    async def sleep(_: float) -> None:
        return

    whole = db.coherence.covered

    async def covered(*given: Any) -> Any:
        return None if await whole(*given) is None else loaders.unit_of_work.timedelta()

    vars(loaders.unit_of_work)["coherence"] = SimpleNamespace(**{**vars(db.coherence), "covered": covered})


def _without_drain() -> None:
    """The fence is kept alive, but nothing is restamped."""
    whole = SecondLevelCache.renew

    async def renew(self: SecondLevelCache, fence: Any, drain: str, _: Any, position: Any = None) -> None:
        await whole(self, fence, drain, [], position)

    SecondLevelCache.renew = renew  # type: ignore[method-assign]


def _without_run_id() -> None:
    whole = cache.server.Server._answered

    async def nameless(self: cache.server.Server, command: Sequence[object]) -> cache.server.Answer:
        return (await whole(self, command))._replace(run_id="anyone")

    cache.server.Server._answered = nameless  # type: ignore[method-assign]


def _without_declaration() -> None:
    vars(cache.second_level)["_is_ours"] = lambda fence, run_id, _: fence.startswith(f"{run_id}.".encode())


def _without_held() -> None:
    """A held stamp is taken for a version like any other."""
    vars(cache.second_level)["HELD"] = vars(cache.dependencies)["HELD"] = b"\0"


def _without_new_nonces() -> None:
    vars(cache.second_level)["secrets"] = SimpleNamespace(token_hex=lambda _: "0")


def _without_claims() -> None:
    """A tag without a stamp gets one only when the value is stored, after the database was read."""
    whole = SecondLevelCache._fill

    async def claim(self: SecondLevelCache, stamps: Any, tags: set[str]) -> None:
        stamps["later"] = None

    async def fill(self: SecondLevelCache, policy: Policy[Any, Any], ticket: Any, values: Any) -> None:
        del SecondLevelCache._claim
        SecondLevelCache._claim = claimed  # type: ignore[method-assign]
        tags = {tag for tag, stamp in ticket.stamps.items() if stamp is None and tag != "later"}
        await claimed(self, ticket.stamps, tags)
        SecondLevelCache._claim = claim  # type: ignore[method-assign]
        await whole(self, policy, ticket, values)

    claimed = SecondLevelCache._claim
    SecondLevelCache._claim = claim  # type: ignore[method-assign]
    SecondLevelCache._fill = fill  # type: ignore[method-assign]


def _without_tables() -> None:
    vars(cache.second_level)["dependencies"] = lambda tags: tuple(dict.fromkeys(tags))


def _without_new_flights() -> None:
    """A read joins an MGET that was sent already and asks for the same."""
    whole = cache.tick.TickReader.read
    under_way: dict[tuple[str, ...], Any] = {}

    async def read(self: cache.tick.TickReader, names: Sequence[str]) -> cache.server.Answer:
        key = (str(id(self)), *names)
        if key not in under_way:
            task = under_way[key] = cache.tick.asyncio.ensure_future(whole(self, names))
            task.add_done_callback(lambda _: under_way.pop(key))
        return await under_way[key]

    cache.tick.TickReader.read = read  # type: ignore[method-assign]


def _without_clearing() -> None:
    loaders.batch.Loaders.clear = lambda self: None  # type: ignore[method-assign]


def _without_own_transaction() -> None:
    loaders.batch.Loaders.inside = lambda self, connection: self.clear()  # type: ignore[method-assign]


def _without_ending() -> None:
    async def at_once(work: Any) -> Any:
        return await work

    vars(loaders.unit_of_work)["to_its_end"] = at_once


def _without_unknown_outcomes() -> None:
    """A COMMIT that failed is taken for a rollback: its hold is let go."""
    source = loaders.unit_of_work

    async def end(transaction: Any, unit: Any, database: Any, of: SecondLevelCache) -> None:
        seen: list[Any] = []
        whole = db.coherence.pending

        async def pending(*given: Any) -> Any:
            seen.append(await whole(*given))
            return seen[-1]

        vars(source)["coherence"] = SimpleNamespace(**{**vars(db.coherence), "pending": pending})
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
    vars(source)["_end"] = end


def _without_clock_before() -> None:
    """The life of a fence is counted from its renewal, not from before the outbox was read."""
    _lua("renew", "'PXAT', ARGV[3])", "'PX', 2000)")()


def _without_epoch_of_server() -> None:
    whole = loaders.drain._epoch

    async def epoch(connection: Any, state: Any, run_id: str) -> int:
        return state.epoch if state.run_id == run_id and state.epoch else await whole(connection, state, run_id)

    vars(loaders.drain)["_epoch"] = epoch


def _without_identity_of_redis() -> None:
    """A drain that meets two servers goes on."""
    whole = SecondLevelCache.renew

    async def renew(self: SecondLevelCache, *given: Any) -> None:
        try:
            await whole(self, *given)
        except cache.server.CacheUnreachable as error:
            if "replaced" not in str(error):
                raise

    SecondLevelCache.renew = renew  # type: ignore[method-assign]


def _without_heed_of_suspension() -> None:
    _query("_STATE", "suspended_until > clock_timestamp() AS suspended", "false AS suspended")()


def _without_shape() -> None:
    Policy.entry_name = lambda self, key: f"{self.namespace}:{key!r}"  # type: ignore[method-assign]


async def _delete_all(self: SecondLevelCache) -> None:
    assert self.server is not None
    found = await self.server.ask("KEYS", f"{self.entry_prefix}*")
    if found.value:
        await self.server.ask("DEL", *found.value)


def _delete_after_commit() -> None:
    """What most caches do: entries are what they are until the writer deletes them after its COMMIT."""

    async def release(self: SecondLevelCache, *_: Any) -> None:
        with suppress(cache.server.CacheUnreachable):
            await _delete_all(self)

    _without_holding()
    _without_suspension()
    _payload_without("everything")()
    SecondLevelCache.release = release  # type: ignore[method-assign, assignment]


def _leases() -> None:
    """As memcache has it: besides, a value is stored only if nothing was deleted since it was found missing."""
    whole = SecondLevelCache.release
    fill_anyway = SecondLevelCache._fill

    async def release(self: SecondLevelCache, *given: Any) -> None:
        await whole(self, *given)
        with suppress(cache.server.CacheUnreachable):
            await _delete_all(self)

    async def fill(self: SecondLevelCache, policy: Policy[Any, Any], ticket: Any, values: Any) -> None:
        if await self.unchanged(ticket.fence, ticket.stamps):
            await fill_anyway(self, policy, ticket, values)

    _delete_after_commit()
    SecondLevelCache.release = release  # type: ignore[method-assign, assignment]
    SecondLevelCache._fill = fill  # type: ignore[method-assign]


_INTERLEAVINGS, _REDIS, _DATABASE, _LOADERS, _STEPS = (
    f"test_{name}.py::test_" for name in ("interleavings", "redis_faults", "database_faults", "loaders", "single_steps")
)
SAFEGUARDS: Final[dict[str, Safeguard]] = {
    "the stamps of an entry are compared": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written", _payload_without("stamps")
    ),
    "the fence of an entry is compared": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was", _payload_without("fence")
    ),
    "a held stamp serves and stores nothing": Safeguard(
        f"{_INTERLEAVINGS}between_hold_and_commit_readers_ask_the_database_and_store_nothing", _without_held
    ),
    "stamps are claimed before the database is read": Safeguard(
        f"{_STEPS}a_stamp_that_is_missing_is_made_before_the_row_is_read", _without_claims
    ),
    "a fresh stamp is like no earlier one": Safeguard(
        f"{_STEPS}an_evicted_stamp_comes_back_as_another_one", _without_new_nonces
    ),
    "an entry depends on the tables of its tags": Safeguard(
        f"{_DATABASE}truncate_and_more_than_500_tags_touch_the_whole_table", _without_tables
    ),
    "a read joins no MGET under way": Safeguard(
        f"{_STEPS}a_read_never_takes_the_answer_to_an_earlier_question", _without_new_flights
    ),
    "tags are held before COMMIT": Safeguard(
        f"{_INTERLEAVINGS}between_commit_and_release_nobody_is_told_the_old_value", _without_holding
    ),
    "tags are restamped after COMMIT": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written", _without_release
    ),
    "a release makes a new stamp": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written",
        _lua(
            "release",
            "local key, others, last = KEYS[i], '', 0",
            "local key, others, last = KEYS[i], '', 0; nonce = string.match(redis.call('GET', key) or '-', '^[^!]*')",
        ),
    ),
    "a release drops only its own hold": Safeguard(
        f"{_STEPS}a_hold_leaves_those_of_others",
        _lua("release", "xid ~= ARGV[1] and deadline > now", "false"),
    ),
    "a hold leaves those of others": Safeguard(
        f"{_STEPS}a_hold_leaves_those_of_others", _lua("hold", "elseif xid ~= ARGV[1] then", "elseif false then")
    ),
    "a hold counts on the home of the fence alone": Safeguard(
        f"{_STEPS}a_hold_on_another_redis_than_was_asked_about_does_not_count", _without_home
    ),
    "a COMMIT that failed keeps its hold": Safeguard(
        f"{_DATABASE}a_commit_whose_answer_is_lost_is_seen_by_everyone", _without_unknown_outcomes
    ),
    "what has begun to end is finished": Safeguard(f"{_DATABASE}a_cancelled_writer_still_releases", _without_ending),
    "who cannot hold suspends the cache": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", _without_suspension
    ),
    "who suspends waits until the fence has lapsed": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", _without_waiting
    ),
    "no fence is renewed under a suspension": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", _without_heed_of_suspension
    ),
    "the drain restamps what is in the outbox": Safeguard(f"{_DATABASE}one_tick_shows_what_psql_wrote", _without_drain),
    "a renewal never shortens a fence": Safeguard(
        f"{_STEPS}a_late_renewal_does_not_bring_an_older_fence_back",
        _lua("renew", "and redis.call('PEXPIRETIME', KEYS[1]) < tonumber(ARGV[3])", ""),
    ),
    "the life of a fence counts from before the outbox was read": Safeguard(
        f"{_STEPS}a_renewal_on_its_way_for_long_makes_a_short_fence", _without_clock_before
    ),
    "a drain renews on the Redis whose clock it read": Safeguard(
        f"{_REDIS}a_drain_that_meets_two_servers_drains_nothing", _without_identity_of_redis
    ),
    "every answer tells whose it is (run_id)": Safeguard(
        f"{_REDIS}a_redis_that_restarts_with_old_keys_is_another_one", _without_run_id
    ),
    "another PostgreSQL begins another epoch": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was", _without_epoch_of_server
    ),
    "epochs never repeat": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was",
        _query("_MOVE", "('x' || substr(md5(gen_random_uuid()::text), 1, 15))::bit(60)::bigint", "epoch + 1"),
    ),
    "for 2.2 s after the fence moved nobody holds": Safeguard(
        f"{_REDIS}a_promoted_replica_that_lost_writes_is_another_one",
        sql=_function("cache_ways(text)", "AND s.holds_from <= clock_timestamp()", ""),
    ),
    "the fence moves only between writers": Safeguard(
        f"{_STEPS}the_fence_moves_only_once_no_writer_counts_on_the_old_one",
        _query("_MOVE_LOCK", "pg_advisory_xact_lock(7391)", "1"),
    ),
    "a session that idles before COMMIT is ended": Safeguard(
        f"{_DATABASE}a_writer_frozen_before_commit_loses_its_transaction_before_its_hold",
        sql=_function("cache_pending(text)", "'5000'", "'60000'"),
    ),
    "a leader that idles loses the lead": Safeguard(
        f"{_DATABASE}a_frozen_leader_loses_the_lead_and_its_late_renewal_does_nothing",
        _query("_PATIENCE", "'2500'", "'60000'"),
    ),
    "writers are READ COMMITTED": Safeguard(
        f"{_DATABASE}writes_need_read_committed",
        sql=_function("cache_pending(text)", "<> 'read committed'", "= 'never'"),
    ),
    "numbers of transactions carry the epoch": Safeguard(
        f"{_DATABASE}a_number_of_a_transaction_that_is_given_out_again_is_not_taken_for_the_first",
        sql=_function("cache_pending(text)", "s.epoch || '-' || mine", "'0-' || mine"),
    ),
    "another declaration of tags is another fence": Safeguard(
        f"{_DATABASE}what_another_declaration_of_tags_fenced_is_not_used", _without_declaration
    ),
    "another shape of values has another name": Safeguard(
        f"{_LOADERS}what_another_version_of_the_code_stored_is_not_read", _without_shape
    ),
    "the memo of a request ends with its own write": Safeguard(
        f"{_LOADERS}a_request_reads_its_own_write_before_and_after_commit", _without_clearing
    ),
    "in its own transaction a request passes the cache by": Safeguard(
        f"{_LOADERS}a_request_reads_its_own_write_before_and_after_commit", _without_own_transaction
    ),
}
_MODEL: Final = "test_model.py::test_no_order_of_steps_tells_anything_old"
OTHER_WAYS: Final = {
    "delete after COMMIT instead of stamps, holds and suspension": Safeguard(_MODEL, _delete_after_commit),
    "leases as memcache has them instead of holds": Safeguard(_MODEL, _leases),
    "stamps alone, without holds": Safeguard(_MODEL, _without_holding),
}
"""Ways that are simpler and wrong."""
TORTURED: Final = (
    "the stamps of an entry are compared",
    "tags are held before COMMIT",
    "tags are restamped after COMMIT",
    "who cannot hold suspends the cache",
    "the drain restamps what is in the outbox",
)
"""Those without which the torture finds something within a minute."""
