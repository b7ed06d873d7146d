"""What is asked most is written down without anybody's token, and executed again with the rights of then."""

from collections import Counter
from typing import Any

import pytest

from db.frequent_operations import MOST_KEPT, FrequentOperation, add, frequent
from domain.ids import UserId
from schema.root import api
from telemetry.clock import utc_now
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.round_trips import round_trips
from tests.kit.small_company import EMPLOYEE, HR, MANAGER, NOW
from tests.mutations.changing import department
from tests.ops.commands import answered, rollcall_beside
from tests.responses.service import Service, open_service, status
from web.execution import Execution
from web.http_settings import LimitSettings
from web.popular import Popular, record

NAMES = "query Names { departments { name } }"
PEOPLE = "query People($first: Int) { employees(first: $first) { nodes { fullName } } }"


async def recorded(service: Service) -> list[FrequentOperation]:
    """Write down what was asked; everything that is kept."""
    await record(service.resources.database, service.resources.popular)
    async with service.resources.database.read() as connection:
        return await frequent(connection, MOST_KEPT)


async def ask_all(service: Service) -> None:
    """Two queries that matter, by several people, and some that do not."""
    service.resources.popular._one_in = 1
    for user in (HR, EMPLOYEE, MANAGER):
        await service.ask(NAMES, user)
    for _ in range(2):
        await service.ask(PEOPLE, HR, {"first": 5})
        await service.ask(PEOPLE, EMPLOYEE, {"first": 5})
    await service.ask(NAMES)
    await service.ask("{ __typename nonsense }", HR)
    await service.change("saveDepartment", HR, code="NEW", name="New", parentId=department(1))


async def test_what_is_asked_most_is_written_down_once_for_all_who_share_it(fresh_service: Service) -> None:
    await ask_all(fresh_service)
    found = await recorded(fresh_service)
    assert [(entry.operation_name, entry.variables, round(entry.weight)) for entry in found] == [
        ("Names", "{}", 3),
        ("People", '{"first":5}', 2),
        ("People", '{"first":5}', 2),
    ]
    assert len({entry.user_id for entry in found if entry.operation_name == "People"}) == 2
    await fresh_service.ask(NAMES, HR)
    assert [round(entry.weight) for entry in await recorded(fresh_service)] == [4, 2, 2]
    assert await record(fresh_service.resources.database, fresh_service.resources.popular) == 0


async def test_most_requests_are_not_looked_at(fresh_service: Service) -> None:
    popular = Popular()
    assert sum(popular.wants() for _ in range(10_000)) == pytest.approx(1_000, rel=0.3)


async def test_a_worker_that_starts_has_the_answers_before_anybody_asks(
    fresh_service: Service, databases: Databases, fresh_url: str
) -> None:
    await ask_all(fresh_service)
    await recorded(fresh_service)
    async with open_service(
        fresh_url, databases.redis_url, Clock(NOW), prefix=fresh_service.prefix, drains=False
    ) as new:
        new.resources._most_warmed = 10
        await new.resources.background(Execution(api, LimitSettings()))
        await new.token(HR)
        with round_trips(sql=0, redis=1):
            assert status(await new.ask(NAMES, HR)) == "hit"
        assert status(await new.ask(PEOPLE, EMPLOYEE, {"first": 5})) == "hit"
        assert status(await new.ask(PEOPLE, HR, {"first": 6})) != "hit"


async def warm(service: Service) -> Counter[str]:
    """Warm, and say what came of each operation."""
    return await service.resources._warming.warm(Execution(api, LimitSettings()), 50)


async def test_rights_are_those_of_now_and_what_fits_no_more_is_left_out(fresh_service: Service) -> None:
    await ask_all(fresh_service)
    await recorded(fresh_service)
    async with fresh_service.rows() as rows:
        await rows.run(
            "UPDATE app_user SET is_active = false WHERE email = CAST(:email AS citext) RETURNING id", email=EMPLOYEE
        )
    async with fresh_service.resources.database.transaction() as connection:
        await add(
            connection,
            [
                FrequentOperation(b"1", "{ gone }", None, "{}", "application/json", UserId(1), 1.0),
                FrequentOperation(b"2", "mutation { x }", None, "{}", "application/json", UserId(1), 1.0),
                FrequentOperation(b"3", "{ today { inNow } }", None, "{}", "application/json", UserId(1), 1.0),
            ],
        )
    found = await warm(fresh_service)
    assert (found["refused"], found["gone"]) == (2, 1), found
    assert found["warmed"] >= 2 and found["failed"] == 0


async def test_only_so_many_are_kept(fresh_service: Service) -> None:
    operations = [
        FrequentOperation(str(n).encode(), "{ x }", None, "{}", "application/json", UserId(1), 1.0 + n)
        for n in range(MOST_KEPT + 50)
    ]
    nobody = FrequentOperation(b"nobody", "{ x }", None, "{}", "application/json", UserId(10**9), 1e9)
    async with fresh_service.resources.database.transaction() as connection:
        await add(connection, [*operations, nobody])
        kept = await frequent(connection, 10_000)
    assert len(kept) == MOST_KEPT and kept[0].weight == pytest.approx(MOST_KEPT + 50)


async def test_the_command_fills_an_empty_redis(fresh_service: Service, databases: Databases, fresh_url: str) -> None:
    service = fresh_service
    given: dict[str, Any] = {"DATABASE_URL": fresh_url, "REDIS_URL": databases.redis_url, "REDIS_TIMEOUT_MS": 5000}
    given["CACHE_PREFIX"] = service.prefix
    await ask_all(service)
    await recorded(service)
    dry = answered(await rollcall_beside("cache", "warm", "--dry-run", "--json", **given))
    assert [entry["operation"] for entry in dry["operations"]] == ["Names", "People", "People"]
    await service.resources.cache.restamp(["employee", "department", "location", "role_grant", "app_user"])
    result = await rollcall_beside("cache", "warm", "--json", **given)
    found = answered(result)
    assert (result.exit_code, found["outcomes"]) == (0, {"warmed": 3}) and found["fills"] > 3
    service.clock.now = utc_now()  # that of the command
    with round_trips(sql=0, redis=2):
        assert status(await service.ask(PEOPLE, HR, {"first": 5})) == "hit; detail=shared"
    result = await rollcall_beside("cache", "warm", **{**given, "CACHE_PREFIX": "nobody-drains"})
    assert (result.exit_code, result.stderr) == (
        1,
        "the cache is not usable, so nothing is executed: rollcall cache health says why\n",
    )
