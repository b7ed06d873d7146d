"""Shifts, their rules and plans as the API shows them."""

from datetime import date as Date
from datetime import time
from typing import Annotated

import strawberry

from db.punches import PlanRow
from db.rows import ShiftRow, ShiftRuleRow
from domain.enums import BreakPolicy, DayType, MissingPunchPolicy, Pairing
from resolvers import employees as plans
from resolvers import shifts as resolve
from schema.node import Node, rows_of
from schema.zoned_time import ZonedTime


@strawberry.type(description="One version of a shift's rule: a new one closes the one before, the past stays.")
class ShiftRule:
    is_type_of = rows_of(ShiftRuleRow)
    global_id: strawberry.ID = strawberry.field(name="id", description="The id of this version.")
    valid_from: Date = strawberry.field(description="The first date that it is in force.")
    valid_to: Date | None = strawberry.field(description="The last date; null is open.")
    start_time: time = strawberry.field(description="When work begins, by the employee's wall clock.")
    end_time: time = strawberry.field(description="When work ends; not later than the start means the next day.")
    crosses_midnight = strawberry.field(
        resolver=resolve.crosses_midnight, description="Whether it ends on the next calendar day."
    )
    is_flexible: bool = strawberry.field(description="Whether only the worked time counts, not when it begins or ends.")
    expected_minutes = strawberry.field(
        resolver=resolve.expected_minutes,
        description="Minutes expected of a whole day; where the rule leaves it open, the span less the break.",
    )
    half_split: time | None = strawberry.field(description="Where the halves meet; null is the midpoint.")
    window_before_minutes: int = strawberry.field(description="How long before the start punches belong to the day.")
    window_after_minutes: int = strawberry.field(description="How long after the end punches belong to the day.")
    grace_in_minutes: int = strawberry.field(description="Coming so many minutes after the start is not late.")
    grace_out_minutes: int = strawberry.field(description="Leaving so many minutes before the end is not early.")
    late_from_grace: bool = strawberry.field(description="Whether minutes late count from the end of the grace.")
    break_minutes: int = strawberry.field(description="The break of a day.")
    break_after_minutes: int = strawberry.field(description="Minutes of work after which the break is taken off.")
    break_policy: BreakPolicy = strawberry.field(description="How breaks are taken off.")
    pairing: Pairing = strawberry.field(description="How punches become sessions.")
    dedupe_seconds: int = strawberry.field(description="A punch repeated within so many seconds is dropped.")
    count_early_arrival: bool = strawberry.field(description="Whether time before the start counts as worked.")
    missing_out: MissingPunchPolicy = strawberry.field(description="What a missing punch makes of the day.")
    half_day_below_minutes: int | None = strawberry.field(description="Less worked is half a day; null is never.")
    absent_below_minutes: int | None = strawberry.field(description="Less worked is absence; null is never.")
    overtime_min_minutes: int = strawberry.field(description="Less overtime does not count.")
    overtime_step_minutes: int = strawberry.field(description="Overtime is rounded down to steps of this size.")
    overtime_max_minutes: int | None = strawberry.field(description="More overtime does not count; null is no limit.")
    max_session_minutes: int = strawberry.field(description="The longest session that an OUT may close.")


@strawberry.type(description="A shift; what it demands stands in its rules.")
class Shift(Node):
    is_type_of = rows_of(ShiftRow)
    code: str = strawberry.field(description="A short code, unique in any case.")
    name: str = strawberry.field(description="What it is called.")
    color: str | None = strawberry.field(description="A colour for charts, e.g. #1f77b4.")
    version: int = strawberry.field(description="Rises with every change; for `expectedVersion`.")
    current_rule = strawberry.field(
        resolver=resolve.current_rule, graphql_type=ShiftRule, description="The rule in force today."
    )
    rules = strawberry.field(
        resolver=resolve.rules, graphql_type=list[ShiftRule], description="All versions of the rule, the oldest first."
    )


@strawberry.type(description="What an employee's date looks like before anybody punches.")
class ShiftPlan:
    is_type_of = rows_of(PlanRow)
    date: Date = strawberry.field(description="The work date.")
    shift = strawberry.field(
        resolver=plans.plan_shift,
        graphql_type=Annotated["Shift", strawberry.lazy("schema.shifts")] | None,
        description="The shift; null when none is planned.",
    )
    day_type: DayType = strawberry.field(description="What kind of day it is.")
    starts_at = strawberry.field(
        resolver=plans.plan_starts_at,
        graphql_type=ZonedTime | None,
        description="When work begins; null on a day off.",
    )
    ends_at = strawberry.field(
        resolver=plans.plan_ends_at, graphql_type=ZonedTime | None, description="When work ends; null on a day off."
    )
    origin = strawberry.field(
        resolver=plans.plan_origin, description="Where the shift comes from: ROSTER, ASSIGNMENT, DEFAULT or NONE."
    )
