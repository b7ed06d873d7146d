"""When a dead process may be replaced."""

from datetime import timedelta

from cluster.restarts import RestartBudget


def budget(limit: int = 4) -> RestartBudget:
    return RestartBudget(limit, timedelta(seconds=60), timedelta(seconds=1))


def waits_s(of: RestartBudget, deaths: int, *, was_ready: bool) -> list[float | None]:
    waits = [of.wait_after_death(0.0, was_ready=was_ready) for _ in range(deaths)]
    return [None if wait is None else wait.total_seconds() for wait in waits]


def test_the_first_is_replaced_at_once_and_the_wait_grows_to_the_limit() -> None:
    assert waits_s(budget(), 5, was_ready=True) == [0, 1, 2, 4, None]


def test_one_that_dies_while_starting_always_waits() -> None:
    assert waits_s(budget(), 5, was_ready=False) == [1, 2, 4, 7.5, None]


def test_growth_stops_where_the_limit_is_still_reached_within_the_window() -> None:
    waits = waits_s(budget(limit=10), 11, was_ready=False)
    assert waits == [1, 2, *[3.0] * 8, None]
    assert sum(wait for wait in waits if wait) < 60


def test_no_limit_allows_nothing() -> None:
    assert waits_s(budget(limit=0), 1, was_ready=True) == [None]


def test_deaths_are_forgotten_after_the_window() -> None:
    deaths = budget(limit=1)
    assert waits_s(deaths, 2, was_ready=True) == [0, None]
    assert deaths.wait_until_allowed(50.0) == timedelta(seconds=10)
    assert deaths.wait_until_allowed(60.0) == timedelta(0)
    assert deaths.wait_after_death(60.0, was_ready=True) == timedelta(0)
