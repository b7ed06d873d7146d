"""Who gets whose answer: viewers of one class share it, everybody else never."""

from telemetry.counters import counters
from tests.kit.round_trips import round_trips
from tests.kit.small_company import ADMIN, ANALYST, AUDITOR, EMPLOYEE, HR, MANAGER, PAYROLL_MUMBAI
from tests.responses.service import Service, status

DEPARTMENTS = "{ departments { code name } }"
PEOPLE = "{ employees(first: 100) { totalCount nodes { fullName email } } }"


async def test_the_second_request_costs_one_round_trip_and_no_statement(service: Service) -> None:
    first = await service.ask(PEOPLE, HR)
    assert (first.status, status(first)) == (200, "fwd=miss; stored")
    with round_trips(sql=0, redis=1):
        second = await service.ask(PEOPLE, HR)
    assert (status(second), second.body) == ("hit", first.body)


async def test_who_is_not_signed_in_gets_nothing_that_others_were_shown(service: Service) -> None:
    assert (await service.ask(DEPARTMENTS, HR)).status == 200
    refused = await service.ask(DEPARTMENTS)
    assert (refused.status, refused.code) == (401, "UNAUTHENTICATED")


async def test_what_is_the_same_for_everybody_is_shared_by_everybody(service: Service) -> None:
    first = await service.ask(DEPARTMENTS, HR)
    for user in (ADMIN, ANALYST, EMPLOYEE, MANAGER):
        await service.ask("{ me { email } }", user)
        with round_trips(sql=0, redis=1):
            shared = await service.ask(DEPARTMENTS, user)
        assert (status(shared), shared.body) == ("hit", first.body)


async def test_viewers_of_one_class_share_and_two_classes_never(service: Service) -> None:
    users = (HR, AUDITOR, ANALYST, EMPLOYEE, MANAGER, PAYROLL_MUMBAI, ADMIN)
    first = {user: await service.ask(PEOPLE, user) for user in users}
    again = {user: await service.ask(PEOPLE, user) for user in users}
    assert {user: status(reply) for user, reply in first.items()} == {
        user: "hit" if user == AUDITOR else "fwd=miss; stored"
        for user in users  # who reads everything, as HR does
    }
    assert {user: status(reply) for user, reply in again.items()} == dict.fromkeys(users, "hit")
    assert {user: reply.body for user, reply in again.items()} == {user: reply.body for user, reply in first.items()}
    bodies = {user: reply.body for user, reply in first.items() if user != AUDITOR}
    assert len(set(bodies.values())) == len(bodies)
    etags = {user: reply.headers["etag"] for user, reply in first.items() if user != AUDITOR}
    assert len(set(etags.values())) == len(etags)


async def test_figures_tell_viewers_by_their_first_role(service: Service) -> None:
    counters.clear()
    for user in (HR, HR, EMPLOYEE, None):
        await service.ask("{ departments { code } }", user)
    found = {(name, label): number for (name, label), number in counters.items() if name.startswith("answer_")}
    assert found == {
        ("answer_misses", "HR"): 1,
        ("answer_hits", "HR"): 1,
        ("answer_hits", "EMPLOYEE"): 1,
        ("answer_misses", "nobody"): 1,
    }
