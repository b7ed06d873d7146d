"""Making and changing shifts; what a shift demands is changed by saveShiftRule."""

import re
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.rows import ShiftRow
from db.shift_writes import insert_shift, shift_for_update, update_shift
from domain.ids import ShiftId
from loaders.shifts import all_shifts, shift_by_id
from resolvers.changes import UserErrorValue, changed, invalid
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.organising import LONGEST_CODE, Saved, code_taken, kept_text, require_organiser, standing

NEW = ShiftRow(ShiftId(0), "", "", None, 0)
COLOR: Final = re.compile(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|[a-zA-Z]{3,30}")


@strawberry.input(
    description="A shift to make or, with an id, to change. Fields left out stay as they are; null clears. "
    "A new one needs a rule before days can be planned with it: saveShiftRule."
)
class ShiftInput:
    id: ID | None = strawberry.field(default=UNSET, description="Which one to change; a new one without.")
    code: str | None = strawberry.field(default=UNSET, description="A short code, unique in any case.")
    name: str | None = strawberry.field(default=UNSET, description="What it is called.")
    color: str | None = strawberry.field(default=UNSET, description="A colour for charts, e.g. #1f77b4 or teal.")
    expected_version: int | None = strawberry.field(
        default=UNSET, description="The version that was looked at: another one is a conflict."
    )


ShiftToSave: TypeAlias = Annotated[ShiftInput, strawberry.argument(description="The shift.")]


class ShiftPayload(msgspec.Struct, frozen=True):
    """The shift as it is now, or what was wrong."""

    shift: ShiftRow | None
    user_errors: list[UserErrorValue]


async def save_shift(info: Info, input: ShiftToSave) -> ShiftPayload:
    """Make or change a shift."""
    context = info.context
    saved, problems = await changed(
        context,
        lambda connection: _save(context, connection, input),
        {"shift_code_key": code_taken(context, input.code, "shift", all_shifts)},
    )
    row = None if saved is None else await context.must(shift_by_id, ShiftId(saved.id))
    return ShiftPayload(row, problems)


async def _save(context: Context, connection: WriteConnection, input: ShiftInput) -> Saved:
    require_organiser(context)
    old = await standing(connection, input, "Shift", shift_for_update)
    base = old or NEW
    row = msgspec.structs.replace(
        base,
        code=kept_text(input.code, "input.code", base.code, LONGEST_CODE),
        name=kept_text(input.name, "input.name", base.name),
        color=base.color if input.color is UNSET else _color(input.color),
    )
    if old is None:
        return Saved(await insert_shift(connection, row))
    return Saved(row.id if row == old else await update_shift(connection, row))


def _color(text: str | None) -> str | None:
    if text is not None and not COLOR.fullmatch(text):
        raise invalid("input.color", f"needed a colour like #1f77b4 or teal, got {text[:40]!r}")
    return text
