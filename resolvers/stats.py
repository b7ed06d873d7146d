"""Statistics by any dimensions, with bounds, an order and the period before."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import strawberry

from db.day_filter import DayFilter
from db.rows import NodeRow
from db.stats import Bound, Group, GroupKeys, Groups, HeadcountKey, StatKey
from domain.errors import BadUserInput
from domain.ids import EmployeeId
from domain.periods import Dates
from domain.permission import Reach
from loaders.batch import Batch
from loaders.days import stat_groups
from loaders.departments import department_by_id
from loaders.leave_types import leave_type_by_id
from loaders.locations import location_by_id
from loaders.shifts import shift_by_id
from resolvers.arguments import given
from resolvers.context import Context, Info
from resolvers.described import Days
from resolvers.inputs import Direction
from resolvers.metrics import Metrics, metrics, totals_of
from resolvers.scope import day_filter
from resolvers.small_groups import days_in_groups, is_named

MOST_DIMENSIONS: Final = 4
MOST_BOUNDS: Final = 16
MOST_GROUPS: Final = 5_000
UNSET = strawberry.UNSET


class Dimension(StrEnum):
    DATE = "DATE"
    WEEK = "WEEK"
    MONTH = "MONTH"
    WEEKDAY = "WEEKDAY"
    HOUR_OF_FIRST_IN = "HOUR_OF_FIRST_IN"
    DEPARTMENT = "DEPARTMENT"
    LOCATION = "LOCATION"
    SHIFT = "SHIFT"
    MANAGER = "MANAGER"
    EMPLOYEE = "EMPLOYEE"
    EMPLOYMENT_TYPE = "EMPLOYMENT_TYPE"
    STATUS = "STATUS"
    WORK_MODE = "WORK_MODE"
    EXCEPTION = "EXCEPTION"
    LEAVE_TYPE = "LEAVE_TYPE"


class Metric(StrEnum):
    HEADCOUNT = "HEADCOUNT"
    SCHEDULED_DAYS = "SCHEDULED_DAYS"
    PRESENT_DAYS = "PRESENT_DAYS"
    ABSENT_DAYS = "ABSENT_DAYS"
    LEAVE_DAYS = "LEAVE_DAYS"
    LATE_COUNT = "LATE_COUNT"
    LATE_HOURS = "LATE_HOURS"
    EARLY_EXIT_COUNT = "EARLY_EXIT_COUNT"
    INCOMPLETE_COUNT = "INCOMPLETE_COUNT"
    WORKED_HOURS = "WORKED_HOURS"
    EXPECTED_HOURS = "EXPECTED_HOURS"
    OVERTIME_HOURS = "OVERTIME_HOURS"
    ATTENDANCE_RATE = "ATTENDANCE_RATE"
    ABSENTEEISM_RATE = "ABSENTEEISM_RATE"
    PUNCTUALITY_RATE = "PUNCTUALITY_RATE"
    UTILISATION_RATE = "UTILISATION_RATE"


@strawberry.input(description="Keeps the groups whose metric lies within bounds; a rate over nothing never does.")
class MetricHaving:
    metric: Metric = strawberry.field(description="Which metric.")
    gte: float | None = strawberry.field(default=UNSET, description="At least.")
    lte: float | None = strawberry.field(default=UNSET, description="At most.")


@strawberry.input(description="An order of groups by a metric; rates over nothing come last.")
class MetricOrder:
    metric: Metric = strawberry.field(description="Which metric.")
    direction: Direction = strawberry.field(default=Direction.DESC, description="Rising or falling.")


GroupBy: TypeAlias = Annotated[
    list[Dimension], strawberry.argument(description="At most four dimensions; without any there are only totals.")
]
Having: TypeAlias = Annotated[
    list[MetricHaving] | None, strawberry.argument(description="Only groups within all of these bounds.")
]
OrderByMetric: TypeAlias = Annotated[
    MetricOrder | None, strawberry.argument(description="In which order; by the keys by default.")
]
Limit: TypeAlias = Annotated[int | None, strawberry.argument(description="Most groups, from 1 to 5000.")]
CompareToPrevious: TypeAlias = Annotated[
    bool | None, strawberry.argument(description="Also the figures of the period right before.")
]

TIME_DIMENSIONS: Final = frozenset({Dimension.DATE, Dimension.WEEK, Dimension.MONTH})
WEEKDAYS: Final = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BATCH_BY_DIMENSION: Final[Mapping[str, Batch[Any, Any]]] = {
    "DEPARTMENT": department_by_id,
    "LOCATION": location_by_id,
    "SHIFT": shift_by_id,
    "LEAVE_TYPE": leave_type_by_id,
}
NONE: Final = "NONE"


class StatKeyValue(msgspec.Struct, frozen=True):
    """One key of a group: `value` is the global id, date or label; NONE where the days have none."""

    dimension: Dimension
    value: str
    label: str
    node: NodeRow | None = None


class StatRow(msgspec.Struct, frozen=True):
    """A group with its figures, and those of the period before."""

    keys: list[StatKeyValue]
    metrics: Metrics
    previous: Metrics | None = None


class StatResult(msgspec.Struct, frozen=True):
    """The groups of a question and the figures of all of them."""

    rows: list[StatRow]
    totals: Metrics
    previous_totals: Metrics | None
    truncated: bool
    as_of: datetime

    @property
    def provisional(self) -> bool:
        """Whether some days of the period can still change."""
        return self.totals.pending_count > 0


async def stats(
    info: Info,
    filter: Days,
    group_by: GroupBy = [],  # noqa: B006 (Strawberry reads it as the default of the argument)
    having: Having = UNSET,
    order_by: OrderByMetric = UNSET,
    limit: Limit = 500,
    compare_to_previous: CompareToPrevious = False,
) -> StatResult:
    """Figures of days by dimensions."""
    context = info.context
    asked, dates = await day_filter(context, filter)
    days = await days_in_groups(context, asked)
    key = _key(context, days, group_by, given(having), given(order_by), limit)
    earlier = await _earlier(context, asked, dates) if compare_to_previous else None
    groups, totals = await asyncio.gather(_groups(context, key), totals_of(context, days))
    previous_totals = await totals_of(context, earlier) if earlier else None
    previous = await _previous(context, key, earlier) if earlier else {}
    rows = await stat_rows(context, key, groups.groups, previous)
    return StatResult(rows, totals, previous_totals, groups.truncated, context.as_of())


async def _groups(context: Context, key: StatKey) -> Groups:
    return await context.must(stat_groups, key) if key.group_by else Groups((), truncated=False)


async def _earlier(context: Context, days: DayFilter, dates: Dates) -> DayFilter:
    before = dates.before(await context.today())
    return await days_in_groups(context, msgspec.structs.replace(days, first=before.first, last=before.last))


def _key(
    context: Context,
    days: DayFilter,
    group_by: Sequence[Dimension],
    having: Sequence[MetricHaving] | None,
    order: MetricOrder | None,
    limit: int | None,
) -> StatKey:
    if len(group_by) > MOST_DIMENSIONS or len(set(group_by)) < len(group_by):
        got = ", ".join(dimension.value for dimension in group_by[:10])
        raise BadUserInput(f"groupBy: needed at most {MOST_DIMENSIONS} dimensions, each once, got {got}")
    if limit is None or not 1 <= limit <= MOST_GROUPS:
        raise BadUserInput(f"limit: needed a whole number from 1 to {MOST_GROUPS}, got {limit}")
    if len(having or ()) > MOST_BOUNDS:
        raise BadUserInput(f"having: needed at most {MOST_BOUNDS} bounds, got {len(having or ())}")
    bounds = tuple(Bound(bound.metric.value, given(bound.gte), given(bound.lte)) for bound in having or ())
    return StatKey(
        days,
        tuple(dimension.value for dimension in group_by),
        bounds,
        (order.metric.value, order.direction is Direction.DESC) if order else None,
        limit,
        _named(context, days),
    )


def _named(context: Context, days: DayFilter) -> Reach | None:
    """Who counts in groups of any size, where others do not."""
    viewer = context.require_viewer()
    return None if is_named(viewer, days.reach) else viewer.identified


async def _previous(context: Context, key: StatKey, earlier: DayFilter) -> dict[GroupKeys, Metrics]:
    """The groups of the period before by their keys; groups of dates have no counterpart there."""
    if not key.group_by or TIME_DIMENSIONS.intersection(key.group_by):
        return {}
    unbounded = StatKey(earlier, key.group_by, limit=MOST_GROUPS, named=_named(context, earlier))
    groups = await context.must(stat_groups, unbounded)
    counted = HeadcountKey(earlier, key.group_by, unbounded.named)
    return {group.keys: metrics(group.sums, counted=counted, group=group.keys) for group in groups.groups}


async def stat_rows(
    context: Context, key: StatKey, groups: Sequence[Group], previous: Mapping[GroupKeys, Metrics]
) -> list[StatRow]:
    """Groups as rows, with labels and nodes looked up in batches."""
    counted = HeadcountKey(key.filter, key.group_by, key.named)
    labelled = await asyncio.gather(*(_keys(context, key.group_by, group.keys) for group in groups))
    return told_apart(
        [
            StatRow(keys, metrics(group.sums, counted=counted, group=group.keys), previous.get(group.keys))
            for keys, group in zip(labelled, groups, strict=True)
        ]
    )


def told_apart(rows: Sequence[StatRow]) -> list[StatRow]:
    """Rows in which different values have different labels: namesakes get their code or number beside the name."""
    values_by_label = defaultdict(set)
    for key in (key for row in rows for key in row.keys):
        values_by_label[key.dimension, key.label].add(key.value)

    def labelled(key: StatKeyValue) -> StatKeyValue:
        code = getattr(key.node, "code", None) or getattr(key.node, "employee_no", None)
        if code is None or len(values_by_label[key.dimension, key.label]) == 1:
            return key
        return msgspec.structs.replace(key, label=f"{key.label} ({code})")

    return [msgspec.structs.replace(row, keys=[labelled(key) for key in row.keys]) for row in rows]


async def _keys(context: Context, group_by: Sequence[str], values: GroupKeys) -> list[StatKeyValue]:
    pairs = zip(group_by, values, strict=True)
    return list(await asyncio.gather(*(stat_key(context, Dimension(name), value) for name, value in pairs)))


async def stat_key(context: Context, dimension: Dimension, value: str | None) -> StatKeyValue:
    """One key with its label and, where it stands for an object, that object."""
    if value is None:
        return StatKeyValue(dimension, NONE, "none")
    if dimension in (Dimension.EMPLOYEE, Dimension.MANAGER):
        person = await context.employee(EmployeeId(int(value)))
        label = person.full_name if person else "not shown"
        return StatKeyValue(dimension, person.global_id if person else NONE, label, person)
    if dimension in BATCH_BY_DIMENSION:
        row = await context.must(BATCH_BY_DIMENSION[dimension], int(value))
        return StatKeyValue(dimension, row.global_id, row.name, row)
    if dimension is Dimension.WEEKDAY:
        return StatKeyValue(dimension, value, WEEKDAYS[int(value)])
    if dimension is Dimension.HOUR_OF_FIRST_IN:
        return StatKeyValue(dimension, value, f"{value}:00")
    if dimension in (Dimension.STATUS, Dimension.EXCEPTION, Dimension.WORK_MODE, Dimension.EMPLOYMENT_TYPE):
        return StatKeyValue(dimension, value, value.replace("_", " ").lower())
    return StatKeyValue(dimension, value, value)
