"""Whole answers that one worker made and another one sends: two workers over one Redis."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from loaders.drain import drain_once
from telemetry.counters import counters
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.round_trips import round_trips
from tests.kit.small_company import ADMIN, ANALYST, AUDITOR, EMPLOYEE, HR, MANAGER, MUMBAI, NOW
from tests.mutations.changing import employee, location
from tests.responses.questions import QUESTIONS, comparable
from tests.responses.service import Service, entry_names, open_service, redis, status
from web import answer_entries, known_paths, shared_answers

PEOPLE = "{ employees(first: 100) { totalCount nodes { fullName email } } }"
NAMES = "{ departments { code name } }"
TODAY = "{ today { asOf inNow } }"
ONE = "query($id: ID!) { employee(id: $id) { fullName } }"
SHARED, MADE, MADE_ANEW = "hit; detail=shared", "fwd=miss; stored", "fwd=stale; stored"


@pytest.fixture
async def other(databases: Databases, service: Service, company_url: str) -> AsyncIterator[Service]:
    """Another worker beside `service`."""
    async with beside(service, databases, company_url) as found:
        yield found


def beside(service: Service, databases: Databases, url: str, **more: Any) -> Any:
    """Another worker of the same installation."""
    return open_service(
        url, databases.redis_url, **{"clock": service.clock, "prefix": service.prefix, "drains": False, **more}
    )


async def made(service: Service, query: str = PEOPLE, user: str = HR, **variables: Any) -> bytes:
    """The answer of an execution, which is in Redis afterwards."""
    answer = await service.ask(query, user, variables)
    assert status(answer) in (MADE, MADE_ANEW)
    await service.settle()
    return answer.body


def parts(entry: bytes) -> Any:
    """Fence, stamps, value and key of an entry."""
    return msgspec.msgpack.decode(entry, type=tuple[bytes, list[bytes], msgspec.Raw, msgspec.Raw])


def key_of(entry: bytes) -> Any:
    """Operation, facts and their values."""
    return msgspec.msgpack.decode(parts(entry)[3])


async def test_another_worker_executes_nothing(service: Service, other: Service) -> None:
    first = await service.ask(PEOPLE, HR)
    await service.settle()
    counters.clear()
    await other.token(HR)
    with round_trips(sql=0, redis=3):
        second = await other.ask(PEOPLE, HR)
    assert (status(second), second.body, second.headers["etag"]) == (SHARED, first.body, first.headers["etag"])
    with round_trips(sql=0, redis=1):
        third = await other.ask(PEOPLE, HR)
    assert (status(third), third.body) == ("hit", first.body)
    assert {label: number for (name, label), number in counters.items() if name == "shared_answers"} == {"hit": 1}
    assert {label: number for (name, label), number in counters.items() if name == "responses"} == {
        "shared": 1,
        "hit": 1,
    }


async def test_a_worker_that_knows_query_and_viewer_asks_redis_twice_and_a_miss_costs_nothing(
    service: Service, other: Service
) -> None:
    for number in (1, 2):
        await made(service, ONE, id=employee(number))
    assert status(await other.ask(ONE, HR, {"id": employee(1)})) == SHARED
    with round_trips(sql=0, redis=2):
        assert status(await other.ask(ONE, HR, {"id": employee(2)})) == SHARED
    await made(service, ONE, AUDITOR, id=employee(3))
    with round_trips(redis=2):  # who is it, and what is in the answer
        assert status(await other.ask(ONE, HR, {"id": employee(4)})) == MADE


async def test_the_first_of_all_costs_no_look_either(service: Service) -> None:
    with round_trips() as first:
        assert status(await service.ask("{ locations { code } }", HR)) == MADE
    assert len(first.redis) == 2


async def test_a_change_ends_it_for_everybody(fresh_service: Service, databases: Databases, fresh_url: str) -> None:
    service, query = fresh_service, "{ locations { name } }"  # on which no viewer's rights rest
    async with beside(service, databases, fresh_url) as other:
        before = await made(service, query)
        assert status(await other.ask(query, HR)) == SHARED
        await service.change("saveLocation", HR, id=location(MUMBAI), name="Bombay")
        third = await other.ask(query, HR)
        assert (status(third), b"Bombay" in third.body, b"Bombay" in before) == (MADE_ANEW, True, False)
        await other.settle()
        with round_trips(sql=0):
            again = await service.ask(query, HR)
        assert (status(again), again.body) == (SHARED, third.body)


async def test_viewers_of_one_class_share_over_workers_and_two_classes_never(service: Service, other: Service) -> None:
    users = (HR, AUDITOR, ANALYST, EMPLOYEE, MANAGER, ADMIN)
    bodies = {user: await made(service, PEOPLE, user) for user in users if user != AUDITOR}
    found = {user: await other.ask(PEOPLE, user) for user in users}
    assert {user: status(reply) for user, reply in found.items()} == {
        user: "hit" if user == AUDITOR else SHARED
        for user in users  # who reads everything, as HR does
    }
    assert {user: reply.body for user, reply in found.items()} == {**bodies, AUDITOR: bodies[HR]}
    assert len(set(bodies.values())) == len(bodies) == len(await entry_names(service, "answer"))


async def test_who_sees_less_is_never_sent_what_a_hint_says_is_for_everybody(service: Service, other: Service) -> None:
    hr = await made(service)
    [hint] = await entry_names(service, "hint")
    for lie in ([[]], [["email"]], [["__class__"]], [["roles", "secrets"]], "x", [[1]], [[]] * 9):
        await redis(service).ask("SET", hint, msgspec.msgpack.encode(lie))
        other.resources.cached_execution._shared._paths._known.clear()
        assert (await other.ask(PEOPLE, EMPLOYEE)).body != hr
        other.responses._answers.clear()


async def test_it_is_stored_under_every_fact_that_was_looked_at(service: Service) -> None:
    expected = {
        NAMES: [],
        "{ me { email } }": ["user_id"],
        PEOPLE: ["identified", "pseudonymous"],
        QUESTIONS["own_week"]: ["employee_id", "identified"],
    }
    found = {}
    for query in expected:
        before = await entry_names(service, "answer")
        await made(service, query)
        [name] = set(await entry_names(service, "answer")) - set(before)
        found[query] = key_of((await redis(service).mget([name])).value[0])[1]
    assert found == expected


async def test_its_end_and_its_beginning_are_kept(service: Service, databases: Databases, company_url: str) -> None:
    await made(service, TODAY)
    async with (
        beside(service, databases, company_url, clock=Clock(NOW - timedelta(milliseconds=1))) as behind,
        beside(service, databases, company_url, clock=Clock(NOW + timedelta(seconds=59.999))) as later,
        beside(service, databases, company_url, clock=Clock(NOW + timedelta(seconds=60))) as after,
    ):
        assert status(await later.ask(TODAY, HR)) == SHARED
        assert status(await after.ask(TODAY, HR)) == MADE
        assert status(await behind.ask(TODAY, HR)) == MADE


async def test_it_lives_ten_minutes_and_no_longer_than_it_is_right(service: Service) -> None:
    await made(service)
    await made(service, TODAY)
    lives = [(await redis(service).ask("PTTL", name)).value for name in await entry_names(service, "answer")]
    assert len(lives) == 2
    assert 50_000 < min(lives) <= 66_000 < 500_000 < max(lives) <= 660_000  # 10 % more or less


async def test_what_does_not_decode_or_is_another_s_is_a_miss(service: Service, other: Service) -> None:
    await made(service, QUESTIONS["grid"])
    await made(service)
    names = await entry_names(service, "answer")
    entries = (await redis(service).mget(names)).value
    for name, right, wrong in zip(names, entries, reversed(entries), strict=True):
        fence, stamps, value, key = parts(right)
        fewer = msgspec.msgpack.encode((fence, stamps[1:], value, key))
        broken = msgspec.msgpack.decode(value)
        broken[-1] = broken[-1][:-9]
        unpacked = msgspec.msgpack.encode((fence, stamps, broken, key)) if broken[-2] else b"-"
        for planted in (b"", b"garbage", right[:-1], fewer, unpacked, wrong):
            await redis(service).ask("SET", name, planted)
            for query in (PEOPLE, QUESTIONS["grid"]):
                other.responses._answers.clear()
                expected = comparable(await service.ask(query, HR))
                assert comparable(await other.ask(query, HR)) == expected
            await other.settle()
            await redis(service).ask("SET", name, right)


async def test_while_a_tag_is_held_or_the_fence_is_down_it_is_not_used(databases: Databases, fresh_url: str) -> None:
    async with open_service(fresh_url, databases.redis_url, Clock(NOW), drains=False) as service:
        cache = service.resources.cache
        assert await drain_once(service.resources.database, cache)
        await made(service, NAMES)
        async with beside(service, databases, fresh_url) as other:
            assert await cache.hold("1", ["department"], await cache.home())
            assert status(await other.ask(NAMES, HR)) == "fwd=bypass; detail=unstamped"
            await cache.release("1", ["department"])
            await made(service, NAMES)
            await redis(service).delete([cache.fence_name])
            assert status(await other.ask(NAMES, HR)) == "fwd=bypass; detail=unstamped"
            assert await drain_once(service.resources.database, cache)
            assert status(await other.ask(NAMES, HR)) == SHARED


async def test_what_another_version_stored_is_not_read(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(service)
    for module in (answer_entries, known_paths):
        monkeypatch.setattr(module, "answer_version", lambda: "another")
    assert status(await other.ask(PEOPLE, HR)) == MADE
    await other.settle()
    assert len(await entry_names(service, "answer")) == len(await entry_names(service, "hint")) == 2


async def test_what_is_too_large_is_not_stored(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answers, "LARGEST_BYTES", 1_000)
    counters.clear()
    await made(service)
    await made(service, "{ departments { code } }")
    assert len(await entry_names(service, "answer")) == 1
    assert counters["shared_answers", "large"] == counters["shared_answers", "stored"] == 1


async def test_a_large_answer_is_packed_and_sent_as_it_was(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_entries, "PACKED_FROM_BYTES", 4_096)
    aliases = " ".join(f"alias_of_a_name_{number}: fullName" for number in range(15))
    known: list[str] = []
    small, large = NAMES, f"{{ employees(first: 100) {{ nodes {{ {aliases} }} }} }}"
    for query, is_packed in ((small, False), (large, True)):
        body = await made(service, query)
        assert (len(body) >= 4_096) is is_packed
        [name] = [one for one in await entry_names(service, "answer") if one not in known]
        known.append(name)
        entry = (await redis(service).ask("GET", name)).value
        assert answer_entries.shared_answer(parts(entry)[2]).packed is is_packed
        assert (len(entry) < len(body)) is is_packed
        answer = await other.ask(query, HR)
        assert (status(answer), answer.body) == (SHARED, body)


async def test_without_memory_for_answers_none_are_shared(
    service: Service, databases: Databases, company_url: str
) -> None:
    async with beside(service, databases, company_url, response_bytes=0) as other:
        await other.ask(NAMES, HR)
        await other.settle()
        assert await entry_names(other, "answer") == []
        await made(service, NAMES)
        with round_trips(redis=2):
            assert status(await other.ask(NAMES, HR)) == "fwd=bypass; detail=large"


async def test_a_get_that_brings_the_etag_of_another_worker_back_is_answered_304(
    service: Service, other: Service
) -> None:
    first = await service.ask(PEOPLE, HR, method="GET")
    await service.settle()
    again = await other.ask(PEOPLE, HR, method="GET", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, status(again)) == (304, b"", SHARED)


async def test_the_report_tells_it_too(service: Service, other: Service) -> None:
    await made(service, PEOPLE, ADMIN)
    explained = await other.ask(PEOPLE, ADMIN, headers={"X-Rollcall-Cache": "explain"})
    assert (status(explained), explained.json["extensions"]["cache"]["sql"]) == (SHARED, [])
