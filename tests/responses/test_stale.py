"""What ends an answer: a newer stamp, the minute, the viewer's own midnight, the end of a role."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.small_company import ADMIN, ANALYST, AUDITOR, EMPLOYEE, ENGINEERING, HR, NOW
from tests.mutations.changing import department
from tests.responses.changes import ACTIVE
from tests.responses.questions import QUESTIONS, comparable
from tests.responses.service import Service, open_service, status

NAMES = "{ departments { code name } }"
TODAY = "{ today { asOf inNow } }"
DAYS = "{ attendance(filter: { period: { relative: TODAY } }) { nodes { workDate } } }"
ZONES = {"Asia/Kolkata": "2026-03-17T18:30", "America/New_York": "2026-03-18T04:00", "Asia/Tokyo": "2026-03-17T15:00"}


async def test_an_old_answer_stays_old_when_the_viewer_was_looked_up_again(fresh_service: Service) -> None:
    """The viewer rests on the departments as well: the newer stamp must not vouch for the older answer."""
    service = fresh_service
    await service.ask(NAMES, HR)
    await service.change("saveDepartment", HR, id=department(ENGINEERING), name="Making")
    await service.ask("{ me { email } }", HR)
    found = await service.ask(NAMES, HR)
    assert b"Making" in found.body
    assert status(found) == "fwd=stale; stored"


async def test_another_look_at_a_viewer_does_not_drop_what_others_share(fresh_service: Service) -> None:
    service, question = fresh_service, "{ locations { name } }"
    await service.ask(question, HR)
    assert status(await service.ask(question, ADMIN)) == "hit"
    await service.change("saveDepartment", HR, id=department(ENGINEERING), name="Making")  # everybody rests on it
    assert [status(await service.ask(question, user)) for user in (HR, ADMIN, HR)] == ["hit"] * 3


async def test_an_answer_of_the_minute_ends_with_it_and_so_does_its_etag(service: Service) -> None:
    first = await service.ask(TODAY, HR, method="GET")
    service.clock.forward(seconds=59.999)
    assert (await service.ask(TODAY, HR, method="GET")).body == first.body
    service.clock.forward(seconds=0.001)
    seen = {"If-None-Match": first.headers["etag"]}
    second = await service.ask(TODAY, HR, method="GET", headers=seen)
    assert (second.status, status(second)) == (200, "fwd=stale; stored")
    assert second.json["data"]["today"]["asOf"] != first.json["data"]["today"]["asOf"]


@pytest.mark.parametrize("zone", ZONES)
async def test_a_date_ends_at_the_midnight_of_the_viewer(fresh_service: Service, zone: str) -> None:
    service = fresh_service
    async with service.rows() as rows:
        await rows.run("UPDATE employee SET time_zone = :zone WHERE id = 7", zone=zone)
    midnight = datetime.fromisoformat(ZONES[zone]).replace(tzinfo=UTC)
    service.clock.now = midnight - timedelta(milliseconds=1)
    await service.ask(DAYS, EMPLOYEE)
    assert status(await service.ask(DAYS, EMPLOYEE)) == "hit"
    service.clock.now = midnight
    assert status(await service.ask(DAYS, EMPLOYEE)) == "fwd=stale; stored"


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Africa/Cairo", "2026-04-23T21:59:59", "2026-04-23T22:00"),  # there is no 00:00: it is 01:00 at once
        ("America/Havana", "2026-11-01T03:59:59", "2026-11-01T04:00"),  # 00:00 comes twice: the first begins the day
        ("Asia/Beirut", "2026-10-24T21:59:59", "2026-10-24T22:00"),  # 24:00 becomes 23:00 of the same day
    ],
)
async def test_a_midnight_that_is_left_out_or_comes_twice(
    fresh_service: Service, zone: str, before: str, after: str
) -> None:
    service = fresh_service
    async with service.rows() as rows:
        await rows.run("UPDATE employee SET time_zone = :zone WHERE id = 7", zone=zone)
    service.clock.now = datetime.fromisoformat(before).replace(tzinfo=UTC)
    first = await service.ask(QUESTIONS["own_week"], EMPLOYEE)
    assert status(await service.ask(QUESTIONS["own_week"], EMPLOYEE)) == "hit"
    service.clock.now = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert status(await service.ask(QUESTIONS["own_week"], EMPLOYEE)) == "fwd=stale; stored", first.body


async def test_a_role_that_ends_ends_every_answer_that_rests_on_it(fresh_service: Service, fresh_url: str) -> None:
    service, question = fresh_service, QUESTIONS["people"]
    end = NOW + timedelta(seconds=30)
    before = await service.ask(question, EMPLOYEE)
    given = {"userId": await service.user_id(EMPLOYEE), "role": "HR", "expiresAt": end.isoformat()}
    await service.change("grantRole", ADMIN, **given)
    during = await service.ask(question, EMPLOYEE)
    listed = await service.ask(QUESTIONS["users"], ADMIN)
    assert comparable(during) == comparable(await service.ask(question, HR)) != comparable(before)
    service.clock.now = end - timedelta(milliseconds=1)
    assert [(await service.ask(question, EMPLOYEE)).body, (await service.ask(QUESTIONS["users"], ADMIN)).body] == [
        during.body,
        listed.body,
    ]
    service.clock.now = end
    assert (await service.ask(question, EMPLOYEE)).body == before.body
    async with open_service(fresh_url, None, service.clock) as truth:
        expected = (await truth.ask(QUESTIONS["users"], ADMIN)).body
    assert (await service.ask(QUESTIONS["users"], ADMIN)).body == expected != listed.body


async def test_who_may_not_sign_in_any_more_gets_nothing_at_once(fresh_service: Service) -> None:
    service = fresh_service
    old = {user: await service.token(user) for user in (AUDITOR, ANALYST)}
    for user in old:
        assert status(await service.ask(NAMES, user)) in ("hit", "fwd=miss; stored")
    await service.data(ACTIVE, ADMIN, {"id": await service.user_id(AUDITOR), "active": False})
    headers = {"Authorization": f"Bearer {old[ANALYST]}"}
    assert (await service.client.reply("POST", "/auth/logout", headers=headers)).status == 204
    for user in old:
        refused = await service.ask(NAMES, user)
        assert (refused.status, refused.code) == (401, "UNAUTHENTICATED")
    assert status(await service.ask(NAMES, HR)) == "hit"


async def test_a_token_that_has_expired_gets_no_kept_answer(service: Service) -> None:
    token = {"Authorization": f"Bearer {await service.token(HR)}"}
    assert (await service.client.post({"query": NAMES}, headers=token)).status == 200
    service.clock.forward(minutes=16)
    assert (await service.client.post({"query": NAMES}, headers=token)).status == 401
