"""The shifts of the demo company, with rules that change in the middle of the days shown."""

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from typing import Final

import msgspec

from domain.attendance.plan import Rule
from domain.attendance.work_days import RuleVersion
from domain.enums import BreakPolicy, MissingPunchPolicy, Pairing
from domain.ids import ShiftId, ShiftRuleId


class Shift(msgspec.Struct, frozen=True):
    """A shift by name."""

    id: ShiftId
    code: str
    name: str
    color: str


_NAMES: Final = (
    ("DAY", "Day", "#4f8f3a"),
    ("FLEX", "Flexible day", "#2f7fb5"),
    ("EARLY", "Early", "#d9a514"),
    ("LATE", "Late", "#c4622d"),
    ("NIGHT", "Night", "#3d3f7a"),
    ("STORE", "Store", "#a04a78"),
    ("HALF", "Part-time morning", "#6d8c8c"),
)
SHIFTS: Final = tuple(Shift(ShiftId(number), *row) for number, row in enumerate(_NAMES, 1))
DAY, FLEX, EARLY, LATE, NIGHT, STORE, HALF = (shift.id for shift in SHIFTS)

_DAY_RULE: Final = Rule()
_STORE_RULE: Final = Rule(
    start_time=time(10),
    end_time=time(19),
    pairing=Pairing.ALTERNATING,
    break_policy=BreakPolicy.GREATER,
    break_minutes=45,
    missing_out=MissingPunchPolicy.HALF_DAY,
)
_PLANT_RULE: Final = Rule(pairing=Pairing.DIRECTED, break_minutes=30, grace_in_minutes=5, window_before_minutes=90)
_LAST_RULES: Final[Mapping[ShiftId, Rule]] = {
    DAY: msgspec.structs.replace(_DAY_RULE, grace_in_minutes=15, late_from_grace=True),
    FLEX: Rule(start_time=time(7), end_time=time(20), is_flexible=True, expected_minutes=480, half_split=time(13)),
    EARLY: msgspec.structs.replace(
        _PLANT_RULE, start_time=time(6), end_time=time(14, 30), break_policy=BreakPolicy.PUNCHED
    ),
    LATE: msgspec.structs.replace(
        _PLANT_RULE, start_time=time(14), end_time=time(22, 30), break_policy=BreakPolicy.GREATER
    ),
    NIGHT: msgspec.structs.replace(
        _PLANT_RULE,
        start_time=time(22),
        end_time=time(6),
        break_policy=BreakPolicy.GREATER,
        missing_out=MissingPunchPolicy.AUTO_CLOSE,
        overtime_max_minutes=120,
    ),
    STORE: msgspec.structs.replace(_STORE_RULE, grace_in_minutes=5),
    HALF: Rule(
        start_time=time(9), end_time=time(13), break_policy=BreakPolicy.NONE, half_day_below_minutes=150,
        absent_below_minutes=60,
    ),
}  # fmt: skip
_FORMER_RULES: Final[Mapping[ShiftId, Rule]] = {DAY: _DAY_RULE, STORE: _STORE_RULE}


def rule_versions(first: date, last: date) -> dict[ShiftId, Sequence[RuleVersion]]:
    """The versions of every shift's rule; day and store shifts got a new one halfway from `first` to `last`."""
    opened, changed = date(first.year - 15, 1, 1), first + (last - first + timedelta(days=1)) / 2
    versions: dict[ShiftId, Sequence[RuleVersion]] = {}
    number = 0
    for shift in SHIFTS:
        former = _FORMER_RULES.get(shift.id)
        begins = opened if former is None else changed
        found: list[tuple[date, date | None, Rule]] = (
            [] if former is None else [(opened, changed - timedelta(days=1), former)]
        )
        found.append((begins, None, _LAST_RULES[shift.id]))
        versions[shift.id] = [
            RuleVersion(ShiftRuleId(number + i), since, until, rule) for i, (since, until, rule) in enumerate(found, 1)
        ]
        number += len(found)
    return versions
