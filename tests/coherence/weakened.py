"""The protocol with one safeguard taken out: something has to notice what that one prevents.

`WITHOUT=name` takes a safeguard out of every coherence test that runs under it; `SAFEGUARDS` lists them with the tests
that fail then, and test_safeguards.py makes sure that they do. The torture takes some out of its own processes.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from tests.coherence import answer_removals, earlier, removals


class Safeguard(msgspec.Struct, frozen=True):
    """`without` takes it out of this process, `sql` out of a database; `found_by` is a test that fails then."""

    found_by: str
    without: Callable[[], None] = lambda: None
    sql: str = ""


def weaken(name: str) -> None:
    """Take the safeguard `name` out of this process for good; "" leaves the protocol whole."""
    if name:
        EVERYTHING[name].without()


_INTERLEAVINGS, _REDIS, _DATABASE, _LOADERS, _STEPS, _SOON = (
    f"test_{name}.py::test_"
    for name in ("interleavings", "redis_faults", "database_faults", "loaders", "single_steps", "back_soon")
)
_LOST: Final = "test_data_lost.py::test_"
_SHARED: Final = "../responses/test_shared.py::test_"
SAFEGUARDS: Final[dict[str, Safeguard]] = {
    "the stamps of an entry are compared": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written", removals.payload_without("stamps")
    ),
    "the fence of an entry is compared": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was", removals.payload_without("fence")
    ),
    "a held stamp serves and stores nothing": Safeguard(
        f"{_INTERLEAVINGS}between_hold_and_commit_readers_ask_the_database_and_store_nothing", removals.without_held
    ),
    "stamps are claimed before the database is read": Safeguard(
        f"{_STEPS}a_stamp_that_is_missing_is_made_before_the_row_is_read", removals.without_claims
    ),
    "a fresh stamp is like no earlier one": Safeguard(
        f"{_STEPS}an_evicted_stamp_comes_back_as_another_one", removals.without_new_nonces
    ),
    "an entry depends on the tables of its tags": Safeguard(
        f"{_DATABASE}truncate_and_more_than_500_tags_touch_the_whole_table", removals.without_tables
    ),
    "a read joins no MGET under way": Safeguard(
        f"{_STEPS}a_read_never_takes_the_answer_to_an_earlier_question", removals.without_new_flights
    ),
    "tags are held before COMMIT": Safeguard(
        f"{_INTERLEAVINGS}between_commit_and_release_nobody_is_told_the_old_value", removals.without_holding
    ),
    "tags are restamped after COMMIT": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written", removals.without_release
    ),
    "a release makes a new stamp": Safeguard(
        f"{_INTERLEAVINGS}a_value_is_read_from_the_cache_until_it_is_written",
        removals.in_lua(
            "release",
            "local key, others, last = KEYS[i], '', 0",
            "local key, others, last = KEYS[i], '', 0; nonce = string.match(redis.call('GET', key) or '-', '^[^!]*')",
        ),
    ),
    "a release drops only its own hold": Safeguard(
        f"{_STEPS}a_hold_leaves_those_of_others",
        removals.in_lua("release", "xid ~= ARGV[1] and deadline > now", "false"),
    ),
    "a hold leaves those of others": Safeguard(
        f"{_STEPS}a_hold_leaves_those_of_others",
        removals.in_lua("hold", "elseif xid ~= ARGV[1] then", "elseif false then"),
    ),
    "a hold counts on the home of the fence alone": Safeguard(
        f"{_STEPS}a_hold_on_another_redis_than_was_asked_about_does_not_count", removals.without_home
    ),
    "a COMMIT that failed keeps its hold": Safeguard(
        f"{_DATABASE}a_commit_whose_answer_is_lost_is_seen_by_everyone", removals.without_unknown_outcomes
    ),
    "what has begun to end is finished": Safeguard(
        f"{_DATABASE}a_cancelled_writer_still_releases", removals.without_ending
    ),
    "who cannot hold suspends the cache": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", removals.without_suspension
    ),
    "who suspends waits until the fence has lapsed": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", removals.without_waiting
    ),
    "no fence is renewed under a suspension": Safeguard(
        f"{_REDIS}a_writer_without_redis_switches_the_cache_off_for_everyone", removals.without_heed_of_suspension
    ),
    "no suspension ends before who counts on it has ended": Safeguard(
        f"{_SOON}a_suspension_never_ends_before_a_writer_that_counts_on_it",
        removals.in_query("_END", "pg_try_advisory_xact_lock(7392)", "true"),
    ),
    "no suspension lapses before who counts on it has ended": Safeguard(
        f"{_SOON}a_suspension_never_lapses_before_a_commit_that_takes_long",
        removals.in_query("_STATE", "suspended_until <> '-infinity' AS", "suspended_until > clock_timestamp() AS"),
    ),
    "who counts on a suspension says so until its end": Safeguard(
        f"{_SOON}a_suspension_never_ends_before_a_writer_that_counts_on_it",
        sql=removals.in_function(
            "cache_covered(double precision)", "PERFORM pg_advisory_xact_lock_shared(7392)", "PERFORM 1"
        ),
    ),
    "who counts on a suspension looks whether it stands": Safeguard(
        f"{_SOON}a_writer_whose_suspension_has_ended_begins_another",
        sql=removals.in_function(
            "cache_covered(double precision)", "s.suspended_until >= clock_timestamp() + interval '3.5 s'", "true"
        ),
    ),
    "the end of a suspension is committed before the fence is renewed": Safeguard(
        f"{_SOON}the_end_of_a_suspension_stands_before_the_fence_is_renewed", removals.without_end_beforehand
    ),
    "a move of the fence is committed before it is made there": Safeguard(
        f"{_SOON}that_the_fence_has_moved_stands_before_it_is_renewed_there", removals.without_move_beforehand
    ),
    "the drain restamps what is in the outbox": Safeguard(
        f"{_DATABASE}one_tick_shows_what_psql_wrote", removals.in_lua("renew", "for i = 4, #KEYS do", "for i = 1, 0 do")
    ),
    "a renewal never shortens a fence": Safeguard(
        f"{_STEPS}a_late_renewal_does_not_bring_an_older_fence_back",
        removals.in_lua("renew", "and redis.call('PEXPIRETIME', KEYS[1]) < tonumber(ARGV[3])", ""),
    ),
    "the life of a fence counts from before the outbox was read": Safeguard(
        f"{_STEPS}a_renewal_on_its_way_for_long_makes_a_short_fence", removals.without_clock_before
    ),
    "a drain renews on the Redis whose clock it read": Safeguard(
        f"{_REDIS}a_drain_that_meets_two_servers_drains_nothing", removals.without_identity_of_redis
    ),
    "every answer tells whose it is (run_id)": Safeguard(
        f"{_REDIS}a_redis_that_restarts_with_old_keys_is_another_one", removals.without_run_id
    ),
    "a Redis that lost its data is another one": Safeguard(
        f"{_LOST}data_that_went_back_are_of_another_redis", removals.in_lua("renew", "return -1", "last = ''")
    ),
    "another PostgreSQL begins another epoch": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was", removals.without_epoch_of_server
    ),
    "epochs never repeat": Safeguard(
        f"{_DATABASE}a_restored_postgresql_begins_an_epoch_that_never_was",
        removals.in_query(
            "_MOVE", "('x' || substr(md5(gen_random_uuid()::text), 1, 15))::bit(60)::bigint", "epoch + 1"
        ),
    ),
    "for 2.2 s after the fence moved nobody holds": Safeguard(
        f"{_REDIS}a_promoted_replica_that_lost_writes_is_another_one",
        sql=removals.in_function("cache_ways(text)", "s.holds_from", "timestamptz '-infinity'"),
    ),
    "the fence moves only between writers": Safeguard(
        f"{_STEPS}the_fence_moves_only_once_no_writer_counts_on_the_old_one",
        removals.in_query("_MOVE_LOCK", "pg_advisory_xact_lock(7391)", "1"),
    ),
    "a session that idles before COMMIT is ended": Safeguard(
        f"{_DATABASE}a_writer_frozen_before_commit_loses_its_transaction_before_its_hold",
        sql=removals.in_function("cache_pending(text)", "'5000'", "'60000'"),
    ),
    "a leader that idles loses the lead": Safeguard(
        f"{_DATABASE}a_frozen_leader_loses_the_lead_and_its_late_renewal_does_nothing",
        removals.in_query("_PATIENCE", "'2500'", "'60000'"),
    ),
    "writers are READ COMMITTED": Safeguard(
        f"{_DATABASE}writes_need_read_committed",
        sql=removals.in_function("cache_pending(text)", "<> 'read committed'", "= 'never'"),
    ),
    "numbers of transactions carry the epoch": Safeguard(
        f"{_DATABASE}a_number_of_a_transaction_that_is_given_out_again_is_not_taken_for_the_first",
        sql=removals.in_function("cache_pending(text)", "s.epoch || '-' || mine", "'0-' || mine"),
    ),
    "another declaration of tags is another fence": Safeguard(
        f"{_DATABASE}what_another_declaration_of_tags_fenced_is_not_used", removals.without_declaration
    ),
    "another shape of values has another name": Safeguard(
        f"{_LOADERS}what_another_version_of_the_code_stored_is_not_read", removals.without_shape
    ),
    "the memo of a request ends with its own write": Safeguard(
        f"{_LOADERS}a_request_reads_its_own_write_before_and_after_commit", removals.without_clearing
    ),
    "in its own transaction a request passes the cache by": Safeguard(
        f"{_LOADERS}a_request_reads_its_own_write_before_and_after_commit", removals.without_own_transaction
    ),
    "an answer of another worker passes the look at stamps": Safeguard(
        f"{_SHARED}a_change_ends_it_for_everybody", answer_removals.without_look
    ),
    "an answer is named by every fact that making it looked at": Safeguard(
        f"{_SHARED}viewers_of_one_class_share_over_workers_and_two_classes_never", answer_removals.without_facts
    ),
    "an answer of another worker ends when time has changed it": Safeguard(
        f"{_SHARED}its_end_and_its_beginning_are_kept", answer_removals.at(lambda since, _: since, ends=False)
    ),
    "an answer is not taken before it was made": Safeguard(
        f"{_SHARED}its_end_and_its_beginning_are_kept", answer_removals.at(max)
    ),
    "answers of another version have other names": Safeguard(
        f"{_SHARED}what_another_version_stored_is_not_read", answer_removals.without_version
    ),
}
_MODEL: Final = "test_model.py::test_no_order_of_steps_tells_anything_old"
OTHER_WAYS: Final = {
    "delete after COMMIT instead of stamps, holds and suspension": Safeguard(_MODEL, removals.delete_after_commit),
    "leases as memcache has them instead of holds": Safeguard(_MODEL, removals.leases),
    "stamps alone, without holds": Safeguard(_MODEL, removals.without_holding),
}
"""Ways that are simpler and wrong."""
EVERYTHING: Final = SAFEGUARDS | OTHER_WAYS | {earlier.BEFORE: Safeguard("", earlier.as_before)}
TORTURED: Final = (
    "the stamps of an entry are compared",
    "tags are held before COMMIT",
    "tags are restamped after COMMIT",
    "who cannot hold suspends the cache",
    "the drain restamps what is in the outbox",
)
"""Those without which the torture finds something within a minute."""
