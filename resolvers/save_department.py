"""Making and changing departments."""

from typing import Annotated, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.department_writes import department_for_update, insert_department, lock_tree, update_department
from db.rows import DepartmentRow
from domain.ids import DepartmentId, EmployeeId
from loaders.departments import ALL, all_departments, department_by_id, department_tree
from resolvers.arguments import id_of
from resolvers.changes import UserErrorValue, changed, invalid, not_found
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.organising import LONGEST_CODE, Saved, code_taken, kept_text, require_organiser, standing

NEW = DepartmentRow(DepartmentId(0), "", "", None, None, 0)


@strawberry.input(
    description="A department to make or, with an id, to change. Fields left out stay as they are; null clears."
)
class DepartmentInput:
    id: ID | None = strawberry.field(default=UNSET, description="Which one to change; a new one without.")
    code: str | None = strawberry.field(default=UNSET, description="A short code, unique in any case.")
    name: str | None = strawberry.field(default=UNSET, description="What it is called.")
    parent_id: ID | None = strawberry.field(
        default=UNSET, description="The department right above: never the department itself or one below it."
    )
    manager_id: ID | None = strawberry.field(default=UNSET, description="Who manages it.")
    expected_version: int | None = strawberry.field(
        default=UNSET, description="The version that was looked at: another one is a conflict."
    )


DepartmentToSave: TypeAlias = Annotated[DepartmentInput, strawberry.argument(description="The department.")]


class DepartmentPayload(msgspec.Struct, frozen=True):
    """The department as it is now, or what was wrong."""

    department: DepartmentRow | None
    user_errors: list[UserErrorValue]


async def save_department(info: Info, input: DepartmentToSave) -> DepartmentPayload:
    """Make or change a department."""
    context = info.context
    saved, problems = await changed(
        context,
        lambda connection: _save(context, connection, input),
        {"department_code_key": code_taken(context, input.code, "department", all_departments)},
    )
    row = None if saved is None else await context.must(department_by_id, DepartmentId(saved.id))
    return DepartmentPayload(row, problems)


async def _save(context: Context, connection: WriteConnection, input: DepartmentInput) -> Saved:
    require_organiser(context)
    await lock_tree(connection)
    old = await standing(connection, input, "Department", department_for_update)
    base = old or NEW
    row = msgspec.structs.replace(
        base,
        code=kept_text(input.code, "input.code", base.code, LONGEST_CODE),
        name=kept_text(input.name, "input.name", base.name),
        parent_id=await _parent(context, input, base),
        manager_id=await _manager(context, input, base),
    )
    if old is None:
        return Saved(await insert_department(connection, row))
    return Saved(row.id if row == old else await update_department(connection, row))


async def _parent(context: Context, input: DepartmentInput, base: DepartmentRow) -> DepartmentId | None:
    if input.parent_id is UNSET or input.parent_id is None:
        return base.parent_id if input.parent_id is UNSET else None
    parent_id = id_of(input.parent_id, "Department", "input.parentId", DepartmentId)
    tree = await context.must(department_tree, ALL)
    if parent_id not in tree.parent_by_id:
        raise not_found("input.parentId", "department")
    if tree.is_below(parent_id, base.id):
        raise invalid(
            "input.parentId",
            "needed a department that is neither the department itself nor below it, or they would form a circle",
        )
    return parent_id


async def _manager(context: Context, input: DepartmentInput, base: DepartmentRow) -> EmployeeId | None:
    if input.manager_id is UNSET or input.manager_id is None:
        return base.manager_id if input.manager_id is UNSET else None
    manager_id = id_of(input.manager_id, "Employee", "input.managerId", EmployeeId)
    if await context.employee(manager_id) is None:
        raise not_found("input.managerId", "employee")
    return manager_id
