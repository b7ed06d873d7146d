"""Voiding a punch: it stays and no longer counts."""

from typing import Annotated, TypeAlias

import strawberry

from db.connection import WriteConnection
from db.days import lock_employees
from db.punch_writes import punch_for_update, void_punch
from db.rows import PunchRow
from domain.attendance.work_days import zone
from domain.enums import PunchSource
from domain.errors import ErrorCode
from domain.ids import PunchId
from loaders.employees import employee_by_id
from resolvers.arguments import id_of
from resolvers.changes import forbidden, not_found, problem, text_of
from resolvers.check_in import CheckPayload, Punched, changed_punch, derive_around
from resolvers.context import Context, Info
from resolvers.retries import Request

PunchToVoid: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="Which punch.")]
Reason: TypeAlias = Annotated[str, strawberry.argument(description="Why; it is kept.")]


async def void(info: Info, id: PunchToVoid, reason: Reason) -> CheckPayload:
    """Void a punch and derive its day again; voiding it a second time changes nothing."""
    context = info.context
    viewer = context.require_viewer()

    async def work(connection: WriteConnection) -> Punched:
        why = text_of(reason, "reason", 500)
        punch = await _punch(context, connection, PunchId(id_of(id, "Punch", "id", int)))
        if punch.voided:  # such punches are shown on their own date
            employee = await context.must(employee_by_id, punch.employee_id)
            return Punched(punch.id, employee.id, punch.punched_at.astimezone(zone(employee.time_zone)).date())
        before = await derive_around(connection, context, punch, "id")
        await void_punch(connection, punch, viewer.user_id, why, context.now())
        await derive_around(connection, context, punch, "id")
        shown_on = before.date_by_punch.get(punch.id) or before.shown_on.get(punch.id)
        return Punched(punch.id, punch.employee_id, shown_on)

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
