"""What an answer asked the cache for before, the next one asks for at once, however deep the query."""

import pytest

from cache.reading import Asked
from domain.ids import encode_id
from tests.kit.round_trips import round_trips
from tests.kit.small_company import GRACE, HR, MIA
from tests.responses.service import Service, status
from web import foresight
from web.foresight import Foresight
from web.response_cache import AnswerKey

DEEP = """query($id: ID!) { employee(id: $id) {
  fullName department { name manager { fullName } } location { name } shift { code } manager { fullName email }
} }"""
ID = {"id": encode_id("Employee", GRACE)}
STALE = "fwd=stale; stored"


async def renamed_shift(service: Service, shift: str, code: str) -> None:
    async with service.rows() as rows:
        await rows.run("UPDATE shift SET code = :code WHERE code = :shift", code=code, shift=shift)


async def test_an_answer_that_nobody_asked_for_again_is_made_again_in_one_round_trip(service: Service) -> None:
    await service.token(HR)
    with round_trips(sql=4, redis=3):
        first = await service.ask(DEEP, HR, ID)
    await service.settle()
    await renamed_shift(service, first.json["data"]["employee"]["shift"]["code"], "NEW")
    with round_trips(sql=1, redis=1) as made:
        second = await service.ask(DEEP, HR, ID)
    assert made.sql == ["shift_by_id"]
    assert status(second) == STALE
    assert second.json["data"]["employee"]["shift"]["code"] == "NEW"
    await service.settle()
    with round_trips(redis=1):
        third = await service.ask(DEEP, HR, ID)
    assert (status(third), third.body) == ("hit", second.body)


async def test_an_answer_that_was_asked_for_again_is_made_again_in_two_round_trips(service: Service) -> None:
    first = await service.ask(DEEP, HR, ID)
    await service.settle()
    assert status(await service.ask(DEEP, HR, ID)) == "hit"
    await renamed_shift(service, first.json["data"]["employee"]["shift"]["code"], "NEW")
    with round_trips(sql=1, redis=2) as made:  # are the stamps of what is kept unchanged? what else is there?
        second = await service.ask(DEEP, HR, ID)
    assert made.sql == ["shift_by_id"]
    assert status(second) == STALE
    assert second.json["data"]["employee"]["shift"]["code"] == "NEW"


async def test_what_is_asked_for_otherwise_than_before_is_looked_up_as_ever(service: Service) -> None:
    await service.ask(DEEP, HR, ID)
    await service.settle()
    async with service.rows() as rows:
        await rows.run("UPDATE employee SET manager_id = :mia WHERE id = :grace", mia=MIA, grace=GRACE)
    with round_trips(redis=2):
        moved = await service.ask(DEEP, HR, ID)
    assert status(moved) == STALE
    assert moved.json["data"]["employee"]["manager"]["fullName"] == "Mia Chen"


def key(number: int) -> AnswerKey:
    return (b"%d" % number, (), ())


def test_names_are_remembered_once_each_and_those_of_old_queries_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "MOST_NAMES", 5)
    found = Foresight()
    found.learn(key(1), [Asked(["f", "s:1", "e:1"], ["s:1"]), Asked(["f", "s:1", "e:2"], ["s:1"])])
    assert found.of(key(1)) == Asked(["f", "s:1", "e:1", "e:2"], ["s:1"])
    found.learn(key(2), [Asked(["f"], [])])
    assert found.of(key(1)).names and found.of(key(2)).names == ["f"]
    found.learn(key(2), [Asked(["f", "s:2"], ["s:2"])])
    assert found.of(key(1)) == Asked([], [])
    assert found.of(key(2)) == Asked(["f", "s:2"], ["s:2"])
    assert found.of(None) == Asked([], [])


def test_a_query_that_asks_for_very_much_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "MOST_AT_ONCE", 2)
    found = Foresight()
    found.learn(key(1), [Asked(["f", "s:1"], ["s:1"])])
    found.learn(key(1), [Asked(["f", "s:1", "e:1"], ["s:1"])])
    assert found.of(key(1)) == Asked([], [])
