"""What the fields of shifts and their rules do."""

import msgspec
import strawberry

from db.facts import rule_version
from db.rows import ShiftRow, ShiftRuleRow
from domain.attendance.plan import Rule, plan_day
from domain.attendance.work_days import zone
from domain.enums import DayType
from domain.ids import ShiftRuleId
from loaders.departments import ALL
from loaders.shifts import all_shifts, rules_by_shift
from resolvers.context import Info


async def shifts(info: Info) -> list[ShiftRow]:
    """All shifts by name."""
    info.context.require_viewer()
    return list(await info.context.must(all_shifts, ALL))


async def rules(row: strawberry.Parent[ShiftRow], info: Info) -> list[ShiftRuleRow]:
    """The versions of the rule, the oldest first."""
    return list(await info.context.must(rules_by_shift, row.id))


async def current_rule(row: strawberry.Parent[ShiftRow], info: Info) -> ShiftRuleRow:
    """The version in force today; before the first one that one, after the last the last.

    A shift that has none yet shows what its first one takes by default: it must not make a list of shifts fail.
    """
    versions = await info.context.must(rules_by_shift, row.id)
    today = info.context.utc_today()
    if not versions:
        return ShiftRuleRow(ShiftRuleId(0), row.id, today, None, **msgspec.structs.asdict(Rule()))
    begun = [version for version in versions if version.valid_from <= today]
    return begun[-1] if begun else versions[0]


def crosses_midnight(row: strawberry.Parent[ShiftRuleRow]) -> bool:
    """Whether it ends on the next calendar day."""
    return row.end_time <= row.start_time


def expected_minutes(row: strawberry.Parent[ShiftRuleRow]) -> int:
    """Minutes expected of a whole day: where the rule leaves it open, the span less the break."""
    if row.expected_minutes is not None:
        return row.expected_minutes
    rule = rule_version(row).rule
    return plan_day(row.valid_from, zone("UTC"), rule, DayType.WORKING).full_expected_minutes
