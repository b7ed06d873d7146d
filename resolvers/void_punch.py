"""Voiding a punch: it stays and no longer counts."""

from typing import Annotated, TypeAlias

import strawberry

from db.connection import WriteConnection
from db.days import derived, known_around, lock_employees, store_derived
from db.punch_writes import punch_for_update, void_punch
from db.rows import PunchRow
from domain.attendance.work_days import zone
from domain.enums import PunchSource
from domain.errors import ErrorCode
from domain.ids import PunchId
from loaders.days import day_by_key
from loaders.employees import employee_by_id
from resolvers.arguments import id_of
from resolvers.changes import forbidden, not_found, problem, text_of
from resolvers.check_in import Checked, CheckPayload, Punched, changed_punch, refuse_locked
from resolvers.context import Context, Info
from resolvers.retries import Request

PunchToVoid: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="Which punch.")]
Reason: TypeAlias = Annotated[str, strawberry.argument(description="Why; it is kept.")]


async def void(info: Info, id: PunchToVoid, reason: Reason) -> CheckPayload:
    """Void a punch and derive its day again; voiding it a second time changes nothing."""
    context = info.context
    viewer = context.require_viewer()

    async def work(connection: WriteConnection) -> tuple[Punched, Checked]:
        why = text_of(reason, "reason", 500)
        punch = await _punch(context, connection, PunchId(id_of(id, "Punch", "id", int)))
        if punch.voided:  # such punches are shown on their own date
            employee = await context.must(employee_by_id, punch.employee_id)
            made_on = punch.punched_at.astimezone(zone(employee.time_zone)).date()
            day = await context.load(day_by_key, (employee.id, made_on))
            return Punched(punch.id, employee.id, made_on), Checked(punch, day)
        known = await known_around(connection, punch.employee_id, punch.punched_at, punch.punched_at)
        refuse_locked(known, punch, "id")
        before = derived(known.days, context.now())
        shown_on = before.date_by_punch.get(punch.id) or before.shown_on.get(punch.id)
        voided = await void_punch(connection, punch, viewer.user_id, why, context.now())
        known = known.without_punch(punch)
        days = await store_derived(connection, known.days, derived(known.days, context.now()))
        day = None if shown_on is None else days.get((punch.employee_id, shown_on))
        return Punched(punch.id, punch.employee_id, shown_on), Checked(voided, day)

    return await changed_punch(context, Request("voidPunch", [id, reason], None), work)


async def _punch(context: Context, connection: WriteConnection, punch_id: PunchId) -> PunchRow:
    viewer = context.require_viewer()
    row = await punch_for_update(connection, punch_id)
    employee = await context.load(employee_by_id, row.employee_id) if row else None
    if row is None or employee is None or not viewer.identified.covers(employee):
        raise not_found("id", "punch")
    if not viewer.may_manage(employee):
        raise forbidden("id", "needed a grant to manage this employee's attendance", "MANAGER")
    await lock_employees(connection, [employee.id])
    if row.source is PunchSource.CORRECTION:
        raise problem(
            ErrorCode.CONFLICT, "id", "an approved correction made this punch: withdraw that instead", current=row
        )
    return row
