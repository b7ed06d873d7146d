"""What an event says: always what a query would say now, and nothing when that is what was said."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from graphql import OperationType

from domain.consistency import Mark, Position, token_of
from domain.errors import Unavailable
from tests.coherence.valkey import private_valkey
from tests.kit.clock import Clock
from tests.kit.proxy import proxy_to
from tests.kit.round_trips import recorded
from tests.kit.rows import Rows
from tests.kit.small_company import ADA, ADMIN, AUDITOR, EMPLOYEE, HR, HR_OPERATIONS, INES, MANAGER, NOW, TESS
from tests.mutations.changing import employee
from tests.queries.test_today import TODAY_QUERY
from tests.responses.changes import ACTIVE, check_in, revoke
from tests.responses.service import Service, open_service
from tests.subscriptions.following import IN_NOW, following
from web.live import PATIENCE

SELECTION = TODAY_QUERY.strip().removeprefix("{ today ").removesuffix("}")
ALL = f"subscription {{ todayChanged {SELECTION} }}"


async def today(service: Service, user: str = HR) -> Any:
    return (await service.data(TODAY_QUERY, user))["today"]


@pytest.mark.parametrize("user", [HR, HR_OPERATIONS, MANAGER, EMPLOYEE])
async def test_an_event_says_what_a_query_says(service: Service, user: str) -> None:
    async with following(service, ALL, user) as follower:
        assert follower.data == await today(service, user)


async def test_two_viewers_are_told_of_their_own_people(service: Service) -> None:
    async with following(service, IN_NOW, HR) as everybody, following(service, IN_NOW, EMPLOYEE) as few:
        assert (everybody.data["inNow"], few.data["inNow"]) == (3, 0)


async def test_the_event_after_a_mutation_is_of_fresh_loaders(fresh_service: Service) -> None:
    service, contexts = fresh_service, []
    make = service.live._contexts

    async def noted(facts: Any) -> Any:
        contexts.append(await make(facts))
        return contexts[-1]

    service.live._contexts = noted
    async with following(service, ALL) as follower:
        before = follower.data
        await service.change("checkIn", HR, employeeId=employee(INES))
        assert (await follower.strike())["inNow"] == before["inNow"] + 1
        assert follower.data == await today(service)
        assert follower.data["totals"] != before["totals"]
    (first, of_first), (second, of_second) = contexts
    assert first.loaders is not second.loaders
    assert of_first.dependencies is not of_second.dependencies  # the viewer was looked up again as well


async def test_a_look_is_one_round_trip_and_no_statement(service: Service) -> None:
    with recorded() as made:
        async with following(service) as follower:
            sql, redis = len(made.sql), len(made.redis)
            for _ in range(3):
                assert await follower.strike() is None
            assert (len(made.sql) - sql, len(made.redis) - redis) == (0, 3)
            assert follower.beat.intervals == [timedelta(seconds=1)] * 4


async def test_those_who_look_at_once_share_the_round_trip(service: Service) -> None:
    with recorded() as made:
        async with following(service), following(service, IN_NOW, MANAGER), following(service, ALL) as follower:
            sql, redis = len(made.sql), len(made.redis)
            assert await follower.strike() is None
            assert (len(made.sql) - sql, len(made.redis) - redis) == (0, 1)


async def test_many_changes_within_an_interval_are_one_event(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service) as follower:
        await service.change("checkIn", HR, employeeId=employee(INES))
        await service.change("checkIn", HR, employeeId=employee(TESS))
        assert (await follower.strike())["inNow"] == 5
        assert len(follower.heard) == 2
        assert await follower.strike() is None


async def test_what_changes_nothing_that_is_shown_is_not_told(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service) as follower:
        await service.change("saveEmployee", HR, id=employee(ADA), fullName="Ada King")
        assert await follower.strike() is None
        service.clock.forward(minutes=1)  # made again; `asOf` alone is no news
        assert await follower.strike() is None


async def test_what_time_alone_changes_is_told(service: Service) -> None:
    service.clock.forward(hours=3, minutes=5)  # 09:05 in Berlin: the grace is just over, not yet passed
    query = "subscription { todayChanged { lateNotIn { employeeNo } } }"
    async with following(service, query) as follower:
        numbers = [person["employeeNo"] for person in follower.data["lateNotIn"]]
        service.clock.forward(seconds=59)
        assert await follower.strike() is None
        service.clock.forward(seconds=1)
        late = [person["employeeNo"] for person in (await follower.strike())["lateNotIn"]]
        assert late == [*numbers, "E006"]


async def test_what_psql_wrote_is_told_once_it_is_drained(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service, "subscription { todayChanged { byDepartment { keys { label } } } }") as follower:
        async with service.resources.database.transaction() as connection:
            await Rows(connection).run("UPDATE department SET name = 'Making' WHERE id = 2")
        async with asyncio.timeout(20):
            while (found := await follower.strike()) is None:
                await asyncio.sleep(0.01)
        labels = [row["keys"][0]["label"] for row in found["byDepartment"]]
        assert labels == ["Backend", "Company", "Frontend", "Gate", "Lab", "Making", "Operations"]


async def test_a_lost_role_narrows_what_is_told_though_nothing_else_changed(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service, IN_NOW, MANAGER) as follower:
        assert follower.data["inNow"] == 1
        await revoke(service)
        assert (await follower.strike())["inNow"] == 0


async def test_a_token_that_was_revoked_ends_it(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service, IN_NOW, MANAGER) as follower:
        headers = {"Authorization": f"Bearer {await service.token(MANAGER)}"}
        assert (await service.client.reply("POST", "/auth/logout", headers=headers)).status == 204
        assert (await follower.last()).denied == "the token was revoked; sign in again"


async def test_a_user_who_is_put_out_is_told_nothing_more(fresh_service: Service) -> None:
    service = fresh_service
    async with following(service, IN_NOW, MANAGER) as follower:
        await service.data(ACTIVE, ADMIN, {"id": await service.user_id(MANAGER), "active": False})
        event = await follower.last()
        assert (event.failed, event.denied) == (True, "the user of the token is not active any more")


async def test_a_token_that_expires_ends_it(service: Service) -> None:
    async with following(service) as follower:
        service.clock.forward(minutes=15)
        assert await follower.strike() is None  # within the leeway
        service.clock.forward(seconds=30)
        assert (await follower.last()).denied == "the token has expired; refresh it, or sign in again"


async def test_without_redis_every_look_executes_and_says_what_is_true(fresh_url: str) -> None:
    with private_valkey() as valkey:
        async with (
            proxy_to(valkey.path) as proxy,
            open_service(fresh_url, f"redis://127.0.0.1:{proxy.port}", Clock(NOW), patience_ms="100") as service,
            following(service) as follower,
        ):
            await proxy.refuse()
            assert await follower.strike() is None
            await check_in(service)
            assert (await follower.strike())["inNow"] == 4
            with recorded() as made:
                async with following(service) as other:
                    sql = len(made.sql)
                    assert await other.strike() is None
                    assert len(made.sql) > sql  # nothing vouches for the last event


async def test_without_a_cache_as_well(fresh_url: str) -> None:
    async with open_service(fresh_url, None, Clock(NOW)) as service, following(service) as follower:
        assert await follower.strike() is None
        await check_in(service)
        assert (await follower.strike())["inNow"] == 4


async def test_a_moment_without_database_is_waited_for(fresh_service: Service) -> None:
    service, away = fresh_service, False
    make = service.live._contexts

    async def sometimes(facts: Any) -> Any:
        if away:
            raise Unavailable("PostgreSQL is away")
        return await make(facts)

    service.live._contexts = sometimes
    async with following(service) as follower:
        await check_in(service)
        away = True
        assert await follower.strike() is None
        away = False
        assert (await follower.strike())["inNow"] == 4
        away, follower.events._well_at_s = True, follower.events._well_at_s - PATIENCE.total_seconds()
        await service.change("checkIn", HR, employeeId=employee(TESS))
        event = await follower.last()
        assert (event.failed, event.answer.error_codes) == (True, ("SERVICE_UNAVAILABLE",))


async def test_a_token_of_a_later_commit_leads_past_the_cache_until_that_is_known(service: Service) -> None:
    known = False

    async def knows(_: Mark) -> bool:
        return known

    service.live._knows = knows
    token = token_of(Position("7.1.2.5.9", 1, 1000))
    with recorded() as made:
        async with following(service, IN_NOW, consistency=token) as follower:
            sql = len(made.sql)
            assert await follower.strike() is None
            assert (len(made.sql) > sql, made.redis) == (True, [])
            known = True
            assert await follower.strike() is None
            sql = len(made.sql)
            assert await follower.strike() is None
            assert (len(made.sql), len(made.redis) > 0) == (sql, True)


async def test_who_agrees_in_all_that_was_looked_at_shares_an_execution(fresh_service: Service) -> None:
    service, runs = fresh_service, []
    run = service.live.execution.run

    async def noted(prepared: Any, context: Any, *more: Any) -> Any:
        if prepared.operation.kind is OperationType.SUBSCRIPTION:
            runs.append(context.viewer.email)
        return await run(prepared, context, *more)

    service.live.execution.run = noted  # type: ignore[method-assign]
    async with following(service, IN_NOW, HR) as first, following(service, IN_NOW, AUDITOR) as second:
        assert (runs, second.data) == ([HR], first.data)
        async with following(service, IN_NOW, MANAGER) as other:
            assert (runs, other.data["inNow"]) == ([HR, MANAGER], 1)
            await service.change("checkIn", HR, employeeId=employee(INES))
        async with following(service, IN_NOW, AUDITOR) as late:  # began after the change: nothing old is shared
            assert (runs, late.data["inNow"]) == ([HR, MANAGER, AUDITOR], 4)
            assert (await first.strike(), second.data, len(runs)) == (late.data, late.data, 3)
            await service.change("revokeRole", ADMIN, userId=await service.user_id(HR), role="HR")
            assert await late.strike() is None
            assert (first.data["inNow"], second.data["inNow"]) == (0, 4)
