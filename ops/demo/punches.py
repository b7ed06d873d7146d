"""The raw punches of one person on one planned day: what clocks, browsers and phones would have sent."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from domain.attendance.plan import BOTH_HALVES, DayPlan
from domain.attendance.work_days import PlannedDay
from domain.enums import DayType, HalfOfDay, Pairing, PunchDirection, PunchSource
from ops.demo.draws import Draws
from ops.demo.people import Person
from ops.demo.places import PLACE_BY_ID

PUNCHES: Final = 3
IN, OUT, UNKNOWN = PunchDirection.IN, PunchDirection.OUT, PunchDirection.UNKNOWN
_DIRECTED_PAUSE: Final = (PunchDirection.BREAK_START, PunchDirection.BREAK_END)
_DEGREES_PER_METRE: Final = 1 / 111_320
_FAR_METRES: Final = 900
_WORKS_ON_A_DAY_OFF, _LONG_TRIP, _LEAVES_EARLY, _SKIPS_PAUSE, _READ_TWICE = 0.004, 0.02, 0.02, 0.05, 0.03


class RawPunch(msgspec.Struct, frozen=True):
    """A punch as it reaches the service."""

    at: datetime
    direction: PunchDirection
    source: PunchSource
    device_id: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    outside_geofence: bool = False


class _Means(msgspec.Struct, frozen=True):
    """How somebody punches on one day."""

    source: PunchSource
    device_id: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    outside_geofence: bool = False

    def punch(self, at: datetime, direction: PunchDirection) -> RawPunch:
        return RawPunch(
            at.replace(microsecond=0),
            direction,
            self.source,
            self.device_id,
            self.latitude,
            self.longitude,
            self.outside_geofence,
        )


def day_punches(person: Person, planned: PlannedDay, leave: frozenset[HalfOfDay], seed: int) -> list[RawPunch]:
    """The punches of a day in order; none when somebody is off, on leave, or stays away."""
    if planned.shift_id is None:
        return []
    plan, habits = planned.plan, person.habits
    draws = Draws(seed, PUNCHES, person.id, planned.work_date.toordinal())
    gone = plan.off_halves | leave
    if gone == BOTH_HALVES:
        calls = plan.day_type is DayType.WEEKLY_OFF and not leave and draws.chance(_WORKS_ON_A_DAY_OFF)
        return _called_in(person, planned, draws) if calls else []
    if draws.chance(habits.stays_away):
        return []
    means = _means(person, planned, draws)
    came, went = _presence(person, plan, gone, draws)
    moments = [(came, IN), *_pause(plan, gone, came, went, draws), (went, OUT)]
    if draws.chance(habits.forgets_out):
        moments.pop()
    elif draws.chance(habits.forgets_in):
        moments.pop(0)
    speaks = means.source is not PunchSource.DEVICE or plan.rule.pairing is Pairing.DIRECTED
    return list(_read(means, moments if speaks else [(at, UNKNOWN) for at, _ in moments], draws))


def _presence(person: Person, plan: DayPlan, gone: frozenset[HalfOfDay], draws: Draws) -> tuple[datetime, datetime]:
    """When somebody comes and goes."""
    starts_at = plan.split_at if HalfOfDay.FIRST in gone else plan.starts_at
    ends_at = plan.split_at if HalfOfDay.SECOND in gone else plan.ends_at
    if plan.rule.is_flexible:
        came = starts_at + timedelta(minutes=max(0.0, draws.normal(100, 45)))
        stays = plan.full_expected_minutes * (2 - len(gone)) / 2 + (plan.rule.break_minutes if not gone else 0)
        return came, came + timedelta(minutes=draws.normal(stays + 6, 20))
    came = starts_at + timedelta(minutes=draws.normal(person.habits.lateness_minutes, 6))
    if draws.chance(_LONG_TRIP):
        came += timedelta(minutes=draws.between(15, 70))
    over = draws.normal(7, 5)
    if draws.chance(person.habits.stays_late):
        over += draws.between(30, 140)
    elif draws.chance(_LEAVES_EARLY):
        over = -draws.between(12, 110)
    return came, ends_at + timedelta(minutes=over)


def _pause(
    plan: DayPlan, gone: frozenset[HalfOfDay], came: datetime, went: datetime, draws: Draws
) -> Iterator[tuple[datetime, PunchDirection]]:
    """Punches of a break; a gate that only notes the first and the last punch sees some go out for lunch."""
    rule = plan.rule
    noted = rule.pairing is not Pairing.FIRST_LAST or draws.chance(0.15)
    if gone or not noted or rule.break_minutes == 0 or draws.chance(_SKIPS_PAUSE):
        return
    starts = came + (went - came) / 2 + timedelta(minutes=draws.normal(0, 12))
    lasts = max(5.0, draws.normal(rule.break_minutes + 6, 6))
    out, back = _DIRECTED_PAUSE if rule.pairing is Pairing.DIRECTED else (OUT, IN)
    yield starts, out
    yield starts + timedelta(minutes=lasts), back


def _called_in(person: Person, planned: PlannedDay, draws: Draws) -> list[RawPunch]:
    came = planned.plan.starts_at + timedelta(minutes=draws.between(5, 60))
    went = came + timedelta(minutes=draws.between(90, 260))
    means = _means(person, planned, draws)
    return [means.punch(came, IN), means.punch(went, OUT)]


def _means(person: Person, planned: PlannedDay, draws: Draws) -> _Means:
    """A clock at the gate, the browser at home, or the phone on the road."""
    place = PLACE_BY_ID.get(planned.posting.location_id, person.place)
    if not draws.chance(person.habits.remote):
        return _Means(PunchSource.DEVICE, draws.pick(place.clocks))
    if draws.chance(0.7):
        return _Means(PunchSource.WEB)
    outside = draws.chance(0.08)
    away = (_FAR_METRES if outside else draws.below(place.geofence_metres // 2)) * _DEGREES_PER_METRE
    return _Means(PunchSource.MOBILE, None, round(place.latitude + away, 6), place.longitude, outside)


def _read(means: _Means, moments: list[tuple[datetime, PunchDirection]], draws: Draws) -> Iterator[RawPunch]:
    """The punches; a clock now and then reads the same badge again within a minute."""
    for at, direction in moments:
        yield means.punch(at, direction)
        if means.source is PunchSource.DEVICE and draws.chance(_READ_TWICE):
            yield means.punch(at + timedelta(seconds=draws.between(2, 45)), direction)
