"""Kept answers after changes."""

from tests.kit.small_company import ENGINEERING, HR
from tests.mutations.changing import department
from tests.responses.service import Service

NAMES = "{ departments { code name } }"
TODAY = "{ today { asOf inNow } }"


async def test_an_old_answer_stays_old_when_the_viewer_was_looked_up_again(fresh_service: Service) -> None:
    """The viewer rests on the departments as well: the newer stamp must not vouch for the older answer."""
    service = fresh_service
    await service.ask(NAMES, HR)
    await service.change("saveDepartment", HR, id=department(ENGINEERING), name="Making")
    await service.ask("{ me { email } }", HR)
    found = await service.ask(NAMES, HR)
    assert "Making" in found.body.decode()


async def test_an_etag_is_another_one_in_the_next_minute(fresh_service: Service) -> None:
    service = fresh_service
    first = await service.ask(TODAY, HR, method="GET")
    service.clock.forward(minutes=1)
    seen = {"If-None-Match": first.headers["etag"]}
    second = await service.ask(TODAY, HR, method="GET", headers=seen)
    assert second.status == 200
    assert second.json["data"]["today"]["asOf"] != first.json["data"]["today"]["asOf"]
