"""The demo company as it is drawn, before any database."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from itertools import pairwise

import pytest

from domain.attendance.work_days import WorkDay
from domain.enums import AttendanceException, DayStatus, EmployeeStatus, PunchSource, WorkMode
from ops.demo.company import Blueprint, Member, blueprint, company_facts, derived_days, member
from ops.demo.draws import Draws, shuffled
from ops.demo.holidays import easter, holidays_of_year
from ops.demo.organisation import Pattern
from ops.demo.plans import planned
from ops.demo.shifts import DAY, SHIFTS
from ops.demo.users import signed_in

NOW = datetime(2026, 3, 18, 9, 30, tzinfo=UTC)  # a Wednesday


def members(plan: Blueprint, now: datetime = NOW) -> list[Member]:
    company, organisation = company_facts(plan), plan.organisation()
    people = (plan.person(organisation, number) for number in range(1, plan.employees + 1))
    return [member(plan, company, person, now, None) for person in people]


def digest(found: list[Member]) -> str:
    return blake2b(repr([(one.facts, one.punches) for one in found]).encode(), digest_size=8).hexdigest()


@pytest.fixture(scope="module")
def plan() -> Blueprint:
    return blueprint(200, 30, 7, NOW)


@pytest.fixture(scope="module")
def company(plan: Blueprint) -> list[Member]:
    return members(plan)


@pytest.fixture(scope="module")
def days_of_each(plan: Blueprint, company: list[Member]) -> list[list[WorkDay]]:
    facts = company_facts(plan)
    return [list(derived_days(one, facts, plan.first, NOW)) for one in company]


@pytest.fixture(scope="module")
def days(days_of_each: list[list[WorkDay]]) -> list[WorkDay]:
    return [day for days in days_of_each for day in days]


def test_the_same_seed_draws_the_same_company_and_another_seed_another(company: list[Member]) -> None:
    assert digest(members(blueprint(200, 30, 7, NOW))) == digest(company)
    assert digest(members(blueprint(200, 30, 8, NOW))) != digest(company)


def test_numbers_badges_and_addresses_are_unique_and_tell_no_id(plan: Blueprint) -> None:
    organisation = plan.organisation()
    people = [plan.person(organisation, number) for number in range(1, 201)]
    for seen in (
        [person.employee_no for person in people],
        [person.email for person in people],
        [person.badge_no for person in people if person.badge_no],
    ):
        assert len(set(seen)) == len(seen)
    numbers = {
        name: [int(re.sub(r"\D", "", getattr(person, name) or "0")) for person in people]
        for name in ("employee_no", "email", "badge_no")
    }
    assert numbers["email"] == numbers["employee_no"] != numbers["badge_no"]
    for found in (numbers["employee_no"], numbers["badge_no"]):
        assert all(number != person.id for number, person in zip(found, people, strict=True))
        rising = sum(one < next_ for one, next_ in pairwise(found))
        assert 70 < rising < 130  # about half of 199, as in any order that says nothing
        assert len({(next_ - one) % 1_000_000 for one, next_ in pairwise(found)}) > 150  # nor do neighbours


def test_every_number_is_drawn_for_one_employee() -> None:
    drawn = {shuffled(number, 7, 4) for number in range(1, 20_001)}
    assert len(drawn) == 20_000 and drawn <= set(range(1_000_000))
    assert shuffled(0, 7, 4) == shuffled(1_000_000, 7, 4)


def test_what_has_happened_does_not_depend_on_when_it_is_looked_at(plan: Blueprint, company: list[Member]) -> None:
    earlier = NOW - timedelta(days=2, hours=5)
    for then, now in zip(members(plan, earlier), company, strict=True):
        assert then.punches == [punch for punch in now.punches if punch.at <= earlier]


def test_nobody_has_punched_in_the_future_or_twice_at_once(company: list[Member]) -> None:
    for one in company:
        keys = [(punch.at, punch.direction) for punch in one.punches]
        assert keys == sorted(set(keys)) and all(at <= NOW for at, _ in keys)


def test_zones_shifts_and_patterns_are_all_there(company: list[Member], days: list[WorkDay]) -> None:
    assert {day.planned.time_zone for day in days} == {
        "Africa/Cairo",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Singapore",
        "Australia/Adelaide",
        "Europe/Berlin",
        "Europe/Lisbon",
    }
    assert {day.planned.shift_id for day in days} - {None} == {shift.id for shift in SHIFTS}
    assert {one.person.pattern for one in company} == set(Pattern)
    assert len({day.planned.rule_id for day in days if day.planned.shift_id == DAY}) == 2


def test_the_days_show_what_happens_in_a_company(days: list[WorkDay]) -> None:
    statuses = Counter(day.derived.status for day in days)
    raised = Counter(exception for day in days for exception in day.derived.exceptions)
    assert set(statuses) == set(DayStatus)
    assert set(raised) >= set(AttendanceException) - {AttendanceException.WORKED_ON_LEAVE, AttendanceException.LONG_DAY}
    worked = [day for day in days if day.derived.worked_minutes]
    late = sum(day.derived.late_minutes > 0 for day in worked) / len(worked)
    assert 0.02 < late < 0.15
    assert 400 < sum(day.derived.worked_minutes for day in worked) / len(worked) < 520
    assert 0.03 < sum(day.work_mode is WorkMode.REMOTE for day in worked) / len(worked) < 0.2
    assert statuses[DayStatus.ABSENT] < 0.03 * len(days)


def test_some_are_late_as_a_habit(days_of_each: list[list[WorkDay]]) -> None:
    shares = []
    for days in days_of_each:
        came = [day.derived.late_minutes > 0 for day in days if day.derived.first_in]
        if len(came) >= 10:
            shares.append(sum(came) / len(came))
    assert sum(share > 0.4 for share in shares) >= 5
    assert sum(share < 0.1 for share in shares) > len(shares) / 2


def test_the_tree_has_three_levels_and_everybody_but_one_a_manager(plan: Blueprint, company: list[Member]) -> None:
    organisation = plan.organisation()
    units = {unit.id: unit for unit in organisation.units}
    depth = Counter(
        0 if unit.parent_id is None else 1 if units[unit.parent_id].parent_id is None else 2 for unit in units.values()
    )
    assert depth == {0: 1, 1: 4, 2: 16}
    assert len({unit.code for unit in units.values()}) == len({unit.name for unit in units.values()}) == 21
    manager = {one.person.id: one.person.manager_id for one in company}
    assert [person for person, above in manager.items() if above is None] == [1]
    for person in manager:
        seen, above = {person}, manager[person]
        while above is not None:
            assert above not in seen
            seen.add(above)
            above = manager[above]


def test_people_come_go_and_move_within_the_days(plan: Blueprint, company: list[Member]) -> None:
    people = [one.person for one in company]
    hired = [person for person in people if person.hired_on > plan.first]
    left = [person for person in people if person.left_on]
    moved = [one for one in company if len(one.facts.postings) == 2]
    assert (len(hired), len(left), len(moved)) == (6, 3, 7)
    assert all(plan.first < person.hired_on < plan.last for person in hired)
    assert all(person.status is EmployeeStatus.TERMINATED and person.left_on < plan.last for person in left)
    for one in moved:
        former, present = one.facts.postings
        assert former.valid_to == present.valid_from - timedelta(days=1)
        assert former.department_id != present.department_id == one.person.department_id
        assert plan.first < present.valid_from <= plan.last


def test_those_who_left_punch_no_more(company: list[Member]) -> None:
    for one in company:
        if one.person.left_on:
            assert all(punch.at.date() <= one.person.left_on + timedelta(days=1) for punch in one.punches)


def test_remote_days_come_from_browsers_and_phones(company: list[Member]) -> None:
    punches = [punch for one in company for punch in one.punches]
    for punch in punches:
        assert (punch.device_id is not None) == (punch.source is PunchSource.DEVICE)
        assert (punch.latitude is not None) == (punch.source is PunchSource.MOBILE)
    assert {punch.source for punch in punches} == {PunchSource.DEVICE, PunchSource.WEB, PunchSource.MOBILE}


def test_who_signs_in_leads_ten_people_or_works_now(plan: Blueprint) -> None:
    people = signed_in(plan, company_facts(plan), NOW)
    organisation = plan.organisation()
    led = organisation.led_by(people.leader)
    assert led is not None and sum(unit.parent_id == led.id for unit in organisation.units) == 4
    assert people.member is not None
    person = plan.person(organisation, people.member)
    assert (person.pattern, person.status) == (Pattern.DAY, EmployeeStatus.ACTIVE)
    assert person.place.time_zone in ("Europe/Berlin", "Africa/Cairo", "Asia/Kolkata", "Asia/Singapore")


@pytest.mark.parametrize("employees", [1, 2, 3, 11, 13])
def test_a_company_may_be_tiny(employees: int) -> None:
    found = members(blueprint(employees, 3, 1, NOW))
    assert len(found) == employees
    assert all(one.person.manager_id is None or one.person.manager_id <= employees for one in found)


def test_periods_are_planned_one_by_one_as_well_as_at_once(plan: Blueprint, company: list[Member]) -> None:
    for one in company:
        whole = planned(one.person, 7, 680, 690)
        halves = [planned(one.person, 7, 680, 684), planned(one.person, 7, 685, 690)]
        assert whole.leaves == [leave for half in halves for leave in half.leaves]
        assert whole.assignments == [assignment for half in halves for assignment in half.assignments]
        assert whole.roster == halves[0].roster | halves[1].roster


def test_holidays_fall_on_their_dates() -> None:
    assert [easter(year) for year in (2024, 2025, 2026, 2027)] == [
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2026, 4, 5),
        date(2027, 3, 28),
    ]
    found = {(holiday.location_id, holiday.date): holiday.name for holiday in holidays_of_year(2026)}
    assert found[3, date(2026, 11, 26)] == "Thanksgiving"
    assert found[1, date(2026, 4, 6)] == "Easter Monday"
    assert len(found) == len(holidays_of_year(2026)) == 56


def test_draws_are_the_same_everywhere_and_spread_evenly() -> None:
    draws = Draws(7, 1, 2)
    assert [draws.below(1000) for _ in range(5)] == [720, 684, 449, 7, 341]
    many = [draws.unit() for _ in range(4000)]
    assert 0 <= min(many) < 0.01 and 0.99 < max(many) < 1
    assert abs(sum(many) / len(many) - 0.5) < 0.02
    normal = [draws.normal(10, 2) for _ in range(4000)]
    assert abs(sum(normal) / 4000 - 10) < 0.1
    assert abs((sum((x - 10) ** 2 for x in normal) / 4000) ** 0.5 - 2) < 0.1
