"""Where an employee belongs by date: which posting is in force, and what a change or a cancelled plan makes of them.

Postings are given by date; they neither overlap nor leave a gap.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from db.rows import PostingRow
from domain.ids import EmployeeId
from domain.periods import ONE_DAY
from resolvers.changes import invalid

PLACE: Final = ("department_id", "location_id", "manager_id")


def posting(employee_id: EmployeeId, first: date, last: date | None, values: Mapping[str, Any]) -> PostingRow:
    """A posting to the place in `values`."""
    return PostingRow(employee_id, first, last, *(values[name] for name in PLACE))


def in_force(postings: Sequence[PostingRow], day: date) -> PostingRow | None:
    """The posting of a date."""
    return next((row for row in reversed(postings) if row.valid_from <= day), None)


def without_planned(postings: Sequence[PostingRow], today: date) -> list[PostingRow]:
    """The postings without those that begin after `today`: the last one that is left goes on instead."""
    kept = [row for row in postings if row.valid_from <= today] or [*postings[:1]]
    return [*kept[:-1], *(msgspec.structs.replace(row, valid_to=postings[-1].valid_to) for row in kept[-1:])]


def since_hiring(postings: Sequence[PostingRow], hired_on: date) -> list[PostingRow]:
    """The postings of somebody who was hired on another date."""
    first, *others = postings
    moved = [msgspec.structs.replace(first, valid_from=hired_on), *others]
    return [row for row in moved if row.valid_to is None or row.valid_to >= row.valid_from]


def moved(postings: Sequence[PostingRow], new: PostingRow) -> list[PostingRow]:
    """The postings with a new one in the place of the one that begins on its date, if any.

    A posting to the place right before it is none: so a plan is cancelled, and history says nothing twice.
    """
    later = next((row.valid_from for row in postings if row.valid_from > new.valid_from), None)
    if later is not None:
        fix = "choose it, to replace that change, or a date after it; cancelPlanned drops what is planned"
        raise invalid("input.effectiveFrom", f"the place changes on {later} already: {fix}")
    kept = [row for row in postings if row.valid_from < new.valid_from]
    if kept and _place(kept[-1]) == _place(new):
        return [*kept[:-1], msgspec.structs.replace(kept[-1], valid_to=new.valid_to)]
    return [*(_until(row, new.valid_from - ONE_DAY) for row in kept), new]


def _place(row: PostingRow) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in PLACE)


def _until(row: PostingRow, last: date) -> PostingRow:
    return msgspec.structs.replace(row, valid_to=last if row.valid_to is None else min(row.valid_to, last))
