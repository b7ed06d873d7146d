"""Global ids: what is given out comes back, and nothing else is accepted."""

from datetime import date

import pytest

from domain.errors import InvalidId
from domain.ids import (
    LARGEST_KEY,
    PUNCH_NUMBERS,
    PunchId,
    decode_day_id,
    decode_id,
    decode_int_id,
    encode_id,
    month_of_punch,
)


def test_an_id_comes_back_as_it_went_out() -> None:
    assert encode_id("Employee", 5) == "RW1wbG95ZWU6NQ"
    assert decode_int_id("RW1wbG95ZWU6NQ", "Employee") == 5


def test_a_day_id_is_employee_and_date() -> None:
    assert decode_day_id(encode_id("AttendanceDay", "42:2026-03-17")) == (42, date(2026, 3, 17))


@pytest.mark.parametrize("text", ["", "!!", "RW1wbG95ZWU", "é", encode_id("Employee", ""), "RW1wbG95ZWU6NR"])
def test_a_broken_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId, match="an id as this API returns it"):
        decode_id(text)


@pytest.mark.parametrize("key", ["-1", "x", 2**63])
def test_a_key_that_is_no_database_key_is_refused(key: object) -> None:
    with pytest.raises(InvalidId, match="the id of an Employee"):
        decode_int_id(encode_id("Employee", key), "Employee")


def test_an_id_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidId, match="needed the id of a Shift, got 'RW1wbG95ZWU6NQ'"):
        decode_int_id("RW1wbG95ZWU6NQ", "Shift")


def test_the_id_of_a_punch_tells_its_month() -> None:
    december = ((2026 - 2000) * 12 + 12) * PUNCH_NUMBERS
    for number in (0, 1, PUNCH_NUMBERS - 1):
        assert month_of_punch(PunchId(december + number)) == (date(2026, 12, 1), date(2027, 1, 1))
    assert month_of_punch(PunchId(PUNCH_NUMBERS)) == (date(2000, 1, 1), date(2000, 2, 1))
    for plain in (0, 1, PUNCH_NUMBERS - 1, LARGEST_KEY):
        assert month_of_punch(PunchId(plain)) is None
