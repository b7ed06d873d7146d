"""Voiding punches: they stay, show why, and count no longer."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ALAN,
    ALEX,
    EMPLOYEE,
    GRACE,
    HR,
    MANAGER,
)
from tests.mutations.attending import (
    check_days,
    contents,
    day,
    done,
    employee,
    invalid,
    problem,
    voided,
)

PRESENCE = "query($id: ID!) { employee(id: $id) { presence { state since { local } } } }"


async def punch_of(rig: Rig, who: int, instant: str) -> int:
    """The id of a punch."""
    sql = "SELECT id FROM punch WHERE employee_id = :who AND punched_at = CAST(CAST(:at AS text) AS timestamptz)"
    [(id_,)] = await rig.records(sql, who=who, at=instant)
    return int(id_)


async def test_a_voided_punch_stays_and_counts_no_longer(fresh_rig: Rig) -> None:
    viewer = await fresh_rig.viewer(HR)
    await fresh_rig.warm(PRESENCE, {"id": employee(GRACE)}, viewer)
    id_ = await punch_of(fresh_rig, GRACE, "2026-03-17T03:30:00Z")
    found = await voided(fresh_rig, HR, id_, " her card, not her ")
    assert found["userErrors"] == []
    assert found["punch"] == {
        "direction": "IN",
        "at": {"instant": "2026-03-17T03:30:00Z"},
        "voided": True,
        "voidReason": "her card, not her",
    }
    assert (found["day"]["id"], found["day"]["firstIn"], found["day"]["version"]) == (day(GRACE, "2026-03-17"), None, 2)
    presence = await fresh_rig.data(PRESENCE, {"id": employee(GRACE)}, viewer)
    assert presence == {"employee": {"presence": {"state": "LATE_NOT_IN", "since": None}}}
    before = await contents(fresh_rig)
    again = await voided(fresh_rig, HR, id_, "another reason")
    assert again == found
    assert await contents(fresh_rig) == before
    await check_days(fresh_rig)
    await done(fresh_rig, "checkIn", HR, employeeId=employee(GRACE), at="2026-03-17T03:30:00Z")


@pytest.mark.parametrize(
    ("user", "who", "at", "reason", "wrong"),
    [
        (HR, GRACE, "2026-03-17T03:30:00Z", "  ", invalid("reason: needed a text, got none", "reason")),
        (
            HR,
            GRACE,
            "2026-03-17T03:30:00Z",
            "x" * 501,
            invalid("reason: needed at most 500 characters, got 501", "reason"),
        ),
        (
            MANAGER,
            ALAN,
            "2026-03-17T03:30:00Z",
            "mine",
            problem(
                "Forbidden",
                "FORBIDDEN",
                "id: needed a grant to manage this employee's attendance",
                "id",
                neededRole="MANAGER",
            ),
        ),
        (
            EMPLOYEE,
            GRACE,
            "2026-03-17T03:30:00Z",
            "other",
            invalid("id: there is no such punch", "id", code="NOT_FOUND"),
        ),
    ],
)
async def test_refused_voids(rig: Rig, user: str, who: int, at: str, reason: str, wrong: dict[str, Any]) -> None:
    before = await contents(rig)
    found = await voided(rig, user, await punch_of(rig, who, at), reason)
    assert found == {"punch": None, "day": None, "unattributed": False, "duplicate": False, "userErrors": [wrong]}
    assert await contents(rig) == before


async def test_ids_of_no_punch(rig: Rig) -> None:
    missing = invalid("id: there is no such punch", "id", code="NOT_FOUND")
    foreign = invalid(f"id: needed the id of a Punch, got {employee(1)!r}", "id")
    assert (await voided(rig, HR, 10**12))["userErrors"] == [missing]
    assert (await voided(rig, HR, employee(1)))["userErrors"] == [foreign]


async def test_two_voids_at_once(fresh_rig: Rig) -> None:
    id_ = await punch_of(fresh_rig, GRACE, "2026-03-17T03:30:00Z")
    one, other = await asyncio.gather(voided(fresh_rig, HR, id_, "first"), voided(fresh_rig, HR, id_, "second"))
    assert one["punch"] == other["punch"]
    assert one["punch"]["voidReason"] in ("first", "second")
    await check_days(fresh_rig)


async def test_a_punch_of_a_correction_is_not_voided(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        id_ = await rows.add(
            "punch",
            employee_id=ALEX,
            punched_at=fresh_rig.clock() - timedelta(hours=1),
            direction="IN",
            source="CORRECTION",
        )
    found = await voided(fresh_rig, HR, int(id_))
    assert found["userErrors"] == [
        problem(
            "Conflict",
            "CONFLICT",
            "id: an approved correction made this punch: withdraw that instead",
            "id",
            current={"id": encode_id("Punch", int(id_))},
            currentVersion=None,
        )
    ]
