"""The simulation: what it draws is what it is told, and what each request costs adds up."""

import random

import msgspec
import pytest

from bench.capacity import COSTS as MEASURED
from bench.capacity import SECONDS, SIZES, WARM_UP, Caches, Cost, Costs, Habits, arrivals, shown, simulate, with_tables
from bench.service import CHECKOUT

NOTHING = Cost(worker_ms=1.0, postgres_ms=0.0, redis_ms=0.0, statements=0.0)
KINDS = ("one_employee", "employees_50x10", "today", "stats_by_department_and_month")
COSTS = Costs(
    machine="",
    measured_on="",
    employees=1_000,
    hit=dict.fromkeys(KINDS, NOTHING),
    executed=dict.fromkeys(KINDS, Cost(worker_ms=10.0, postgres_ms=5.0, redis_ms=1.0, statements=4.0)),
    check=Cost(worker_ms=20.0, postgres_ms=10.0, redis_ms=2.0, statements=30.0),
    day_bytes=1_000,
)


def test_a_check_in_ends_what_its_team_and_everybody_had() -> None:
    caches = Caches(workers=1)
    assert [caches.holds("employees_50x10", team) for team in (1, 1, 2)] == [False, True, False]
    assert [caches.holds("today", team) for team in (1, 2)] == [False, True]
    caches.change(1)
    assert [caches.holds("employees_50x10", team) for team in (1, 2)] == [False, True]
    assert not caches.holds("today", 2)


def test_workers_keep_answers_for_themselves() -> None:
    caches = Caches(workers=2)
    assert [caches.holds("today", team) for team in (0, 1, 2, 3)] == [False, False, True, True]


def test_as_many_come_as_the_habits_say() -> None:
    habits = Habits()
    came = sum(kind == "check" for _, kind, _ in arrivals(1_000_000, habits, random.Random(3)))
    expected = 1_000_000 * habits.largest_zone * habits.check_ins_per_s * SECONDS
    assert came == pytest.approx(expected, rel=0.02)


def test_ten_times_the_company_is_ten_times_the_load_and_a_hundred_times_the_statistics_of_everybody() -> None:
    small, large = simulate(100_000, COSTS, Habits()), simulate(1_000_000, COSTS, Habits())
    assert large.requests_per_s / small.requests_per_s == pytest.approx(10, rel=0.1)
    assert large.worker_cores / small.worker_cores == pytest.approx(10, rel=0.2)
    assert large.statistics_cores / small.statistics_cores == pytest.approx(100, rel=0.3)
    assert large.disk_gb_per_year == 10 * small.disk_gb_per_year == 365.0
    assert large.worker_cores / large.workers <= 0.6


def test_only_the_last_minute_counts() -> None:
    load = simulate(1_000, COSTS, Habits())
    counted = [at for at, _, _ in arrivals(1_000, Habits(), random.Random(7)) if at >= WARM_UP]
    assert load.requests_per_s == len(counted) / 60


def test_the_page_has_the_tables_that_the_command_prints() -> None:
    costs = msgspec.json.decode(MEASURED.read_bytes(), type=Costs)
    printed = shown(costs, [simulate(size, costs, Habits()) for size in SIZES])
    page = (CHECKOUT / "docs" / "explain" / "capacity.md").read_text()
    assert with_tables(page, printed) == page, "run: python -m bench.capacity --page docs/explain/capacity.md"
    assert all(table.rstrip("\n") in page for table in printed.split("\n\n"))
    assert (f"on {costs.measured_on}" in page, f"{costs.employees:,} employees" in page) == (True, True)
