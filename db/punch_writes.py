"""Punches written: one of a person, many of a device, one voided."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.days import lock_employees
from db.punches import months_of_punches
from db.rows import PunchRow, Row
from domain.enums import PunchDirection, PunchSource
from domain.ids import EmployeeId, PunchId, UserId

EVENT_MARGIN: Final = timedelta(days=2)
"""How far a device may correct the time of an event that it hands in again; bounds the partitions that are read."""

BADGES_LOCK: Final = 7402

_COLUMNS: Final = ", ".join(PunchRow.__struct_fields__)
_INSERT: Final = Query(
    "punch_insert",
    text(f"""
    INSERT INTO punch (id, employee_id, punched_at, direction, source, client_event_id, latitude, longitude, note,
                       outside_geofence)
    VALUES (punch_id(:punched_at), :employee_id, :punched_at, CAST(:direction AS punch_direction),
            CAST(:source AS punch_source), :client_event_id, CAST(:latitude AS float8), CAST(:longitude AS float8),
            :note, CAST(:outside AS boolean))
    ON CONFLICT (employee_id, punched_at, direction) WHERE voided_at IS NULL DO NOTHING RETURNING {_COLUMNS}"""),
)
_SAME: Final = Query(
    "punch_same",
    text(f"""
    SELECT {_COLUMNS} FROM punch WHERE employee_id = :employee_id AND punched_at = CAST(:punched_at AS timestamptz)
    AND direction = CAST(:direction AS punch_direction) AND voided_at IS NULL"""),
)
_BADGES: Final = Query(
    "employees_by_badge",
    text("SELECT badge_no, id FROM employee WHERE badge_no = ANY(CAST(:badges AS text[]))"),
)
_SEEN_EVENTS: Final = Query(
    "punch_events",
    text("""
    SELECT client_event_id FROM punch WHERE client_event_id = ANY(CAST(:events AS text[]))
      AND device_id = :device_id AND employee_id = ANY(CAST(:employees AS bigint[]))
      AND punched_at BETWEEN CAST(:first AS timestamptz) AND CAST(:last AS timestamptz)
    UNION
    SELECT client_event_id FROM punch_unmatched WHERE client_event_id = ANY(CAST(:events AS text[]))
      AND device_id = :device_id"""),
)
_INSERT_MANY: Final = Query(
    "punch_insert_many",
    text("""
    INSERT INTO punch (id, employee_id, punched_at, direction, source, device_id, client_event_id)
    SELECT punch_id(punched_at), employee_id, punched_at, CAST(direction AS punch_direction), 'DEVICE', :device_id,
           client_event_id
    FROM unnest(CAST(:employees AS bigint[]), CAST(:instants AS timestamptz[]), CAST(:directions AS text[]),
                CAST(:events AS text[])) AS p (employee_id, punched_at, direction, client_event_id)
    ON CONFLICT (employee_id, punched_at, direction) WHERE voided_at IS NULL DO NOTHING
    RETURNING employee_id, punched_at, direction, id"""),
)
_INSERT_UNMATCHED: Final = Query(
    "punch_insert_unmatched",
    text("""
    INSERT INTO punch_unmatched (badge_no, punched_at, direction, device_id, client_event_id)
    SELECT badge_no, punched_at, CAST(direction AS punch_direction), :device_id, client_event_id
    FROM unnest(CAST(:badges AS text[]), CAST(:instants AS timestamptz[]), CAST(:directions AS text[]),
                CAST(:events AS text[])) AS p (badge_no, punched_at, direction, client_event_id)
    ON CONFLICT DO NOTHING"""),
)
_ADOPT: Final = Query(
    "punch_adopt",
    text("""
    WITH kept AS (
      DELETE FROM punch_unmatched WHERE badge_no = :badge_no
      RETURNING punched_at, direction, device_id, client_event_id)
    INSERT INTO punch (id, employee_id, punched_at, direction, source, device_id, client_event_id)
    SELECT punch_id(punched_at), :employee_id, punched_at, direction, 'DEVICE', device_id, client_event_id FROM kept
    ON CONFLICT (employee_id, punched_at, direction) WHERE voided_at IS NULL DO NOTHING
    RETURNING punched_at"""),
)
_BY_ID: Final = Query(
    "punch_lock",
    text(f"""
    SELECT {_COLUMNS} FROM punch WHERE id = CAST(:id AS bigint)
    AND punched_at >= CAST(:since AS timestamptz) AND punched_at < CAST(:until AS timestamptz) FOR UPDATE"""),
)
_HAND_IN: Final = Query("badges_hand_in", text(f"SELECT pg_advisory_xact_lock_shared({BADGES_LOCK})"))
_ASSIGN: Final = Query("badges_assign", text(f"SELECT pg_advisory_xact_lock({BADGES_LOCK})"))
_VOID: Final = Query(
    "punch_void",
    text(f"""
    UPDATE punch SET voided_at = CAST(:now AS timestamptz), voided_by = CAST(:user_id AS bigint), void_reason = :reason
    WHERE id = CAST(:id AS bigint) AND punched_at = CAST(:punched_at AS timestamptz) RETURNING {_COLUMNS}"""),
)


class BadgePunch(Row, frozen=True, array_like=True):
    """A punch as a device hands it in."""

    badge_no: str
    punched_at: datetime
    direction: PunchDirection
    client_event_id: str | None


class NewPunch(Row, frozen=True, array_like=True):
    """A punch of a device that was added; `index` is where it stood in the list."""

    employee_id: EmployeeId
    punched_at: datetime
    id: PunchId
    index: int


class Recorded(Row, frozen=True, array_like=True):
    """What came of a device's punches: the new ones, and how many were known or unmatched."""

    new: tuple[NewPunch, ...]
    duplicates: int
    unmatched: int


async def insert_punch(
    connection: WriteConnection,
    employee_id: EmployeeId,
    punched_at: datetime,
    direction: PunchDirection,
    source: PunchSource,
    **more: Any,
) -> PunchRow:
    """Add a punch; the same one a second time is the first one. `more`: the other columns."""
    facts = {"employee_id": employee_id, "punched_at": punched_at, "direction": direction}
    row = await connection.first(_INSERT, PunchRow, source=source, **facts, **more)
    row = row or await connection.first(_SAME, PunchRow, **facts)
    assert row is not None
    return row


async def record_device_punches(connection: WriteConnection, device_id: int, punches: Sequence[BadgePunch]) -> Recorded:
    """Add the punches of a device; known ones are counted, those of unknown badges kept for later.

    Takes the row locks of all whose badges they are.
    """
    await connection.records(_HAND_IN)
    badges = sorted({punch.badge_no for punch in punches})
    employee_by_badge = dict(await connection.records(_BADGES, badges=badges))
    await lock_employees(connection, sorted(set(employee_by_badge.values())))
    fresh = await _fresh(connection, device_id, punches, sorted(set(employee_by_badge.values())))
    matched = [punch for punch in fresh if punch.badge_no in employee_by_badge]
    unmatched = [punch for punch in fresh if punch.badge_no not in employee_by_badge]
    new = await connection.records(
        _INSERT_MANY,
        device_id=device_id,
        employees=[employee_by_badge[punch.badge_no] for punch in matched],
        instants=[punch.punched_at for punch in matched],
        directions=[punch.direction.value for punch in matched],
        events=[punch.client_event_id for punch in matched],
    )
    kept = await connection.execute(
        _INSERT_UNMATCHED,
        device_id=device_id,
        badges=[punch.badge_no for punch in unmatched],
        instants=[punch.punched_at for punch in unmatched],
        directions=[punch.direction.value for punch in unmatched],
        events=[punch.client_event_id for punch in unmatched],
    )
    index_by_fact = {
        (employee_by_badge.get(punch.badge_no), punch.punched_at, punch.direction): index
        for index, punch in reversed([*enumerate(punches)])
    }
    added = tuple(NewPunch(row[0], row[1], row[3], index_by_fact[row[0], row[1], row[2]]) for row in new)
    return Recorded(added, len(punches) - len(new) - kept, kept)


async def _fresh(
    connection: WriteConnection, device_id: int, punches: Sequence[BadgePunch], employees: Sequence[EmployeeId]
) -> list[BadgePunch]:
    """The punches without those whose event is known, or stands earlier in the list."""
    first_by_event: dict[str, BadgePunch] = {}
    for punch in punches:
        if punch.client_event_id is not None:
            first_by_event.setdefault(punch.client_event_id, punch)
    if not first_by_event:
        return list(punches)
    instants = [punch.punched_at for punch in punches]
    records = await connection.records(
        _SEEN_EVENTS,
        events=list(first_by_event),
        device_id=device_id,
        employees=employees,
        first=min(instants) - EVENT_MARGIN,
        last=max(instants) + EVENT_MARGIN,
    )
    seen = {event for (event,) in records}
    return [
        punch
        for punch in punches
        if punch.client_event_id is None
        or (punch.client_event_id not in seen and first_by_event[punch.client_event_id] is punch)
    ]


async def lock_badges(connection: WriteConnection) -> None:
    """Wait for devices that are handing in, and make those that follow wait: no punch of a badge misses its employee.

    To be taken before any lock of an employee, as devices do.
    """
    await connection.records(_ASSIGN)


async def adopt_unmatched(connection: WriteConnection, badge_no: str, employee_id: EmployeeId) -> list[datetime]:
    """Give the kept punches of a badge to the employee who has it now; returns their instants."""
    return [at for (at,) in await connection.records(_ADOPT, badge_no=badge_no, employee_id=employee_id)]


async def punch_for_update(connection: WriteConnection, punch_id: PunchId) -> PunchRow | None:
    """A punch, locked."""
    return await connection.first(_BY_ID, PunchRow, id=punch_id, **months_of_punches([punch_id]))


async def void_punch(
    connection: WriteConnection, punch: PunchRow, user_id: UserId, reason: str, now: datetime
) -> PunchRow:
    """Take a punch out of account for good; returns it as it is then."""
    key = {"id": punch.id, "punched_at": punch.punched_at}
    [row] = await connection.all(_VOID, PunchRow, user_id=user_id, reason=reason, now=now, **key)
    return row
