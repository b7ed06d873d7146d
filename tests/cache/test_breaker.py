"""The breaker: closed, open for a pause that doubles, and one probe."""

import asyncio

import pytest
from structlog.testing import capture_logs

from cache.breaker import Breaker, BreakerOpen
from tests.kit.seconds import Seconds


@pytest.fixture
def time() -> Seconds:
    return Seconds()


def fail(breaker: Breaker) -> None:
    with pytest.raises(OSError), breaker.attempt():
        raise OSError


def test_it_opens_at_the_first_failure_and_closes_at_the_first_success(time: Seconds) -> None:
    breaker = Breaker(time)
    fail(breaker)
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen), breaker.attempt():
        raise AssertionError("nothing is sent")
    time.now_s += 0.3
    assert breaker.state == "half-open"
    with breaker.attempt():
        pass
    assert breaker.state == "closed"


def test_one_probe_is_let_through(time: Seconds) -> None:
    breaker = Breaker(time)
    fail(breaker)
    time.now_s += 0.3
    with breaker.attempt():
        with pytest.raises(BreakerOpen), breaker.attempt():
            raise AssertionError("a second probe")
        assert breaker.state == "half-open"
    with breaker.attempt():
        pass


def test_who_only_reads_leaves_it_to_others_to_try_again(time: Seconds) -> None:
    breaker = Breaker(time)
    with breaker.attempt(tries_again=False):
        pass
    fail(breaker)
    time.now_s += 4
    with pytest.raises(BreakerOpen), breaker.attempt(tries_again=False):
        raise AssertionError("nothing is sent")
    with breaker.attempt():
        pass
    with breaker.attempt(tries_again=False):
        pass


def test_the_pause_doubles_up_to_one_second(time: Seconds) -> None:
    breaker, pauses = Breaker(time), []
    for _ in range(4):
        fail(breaker)
        begun = time.now_s
        while breaker.state == "open":
            time.now_s += 0.05
        pauses.append(round(time.now_s - begun, 2))
    assert pauses == [pytest.approx(pause, abs=0.06) for pause in (0.3, 0.6, 1.0, 1.0)]


def test_what_was_sent_before_it_opened_does_not_make_the_pause_longer(time: Seconds) -> None:
    breaker = Breaker(time)
    with pytest.raises(OSError), breaker.attempt():
        fail(breaker)
        time.now_s += 0.2
        raise OSError
    time.now_s += 0.1
    assert breaker.state == "half-open"


def test_a_late_failure_does_not_let_a_second_probe_through(time: Seconds) -> None:
    breaker = Breaker(time)
    early = breaker.attempt()
    early.__enter__()
    fail(breaker)
    time.now_s += 0.3
    with breaker.attempt():
        early.__exit__(OSError, OSError(), None)
        with pytest.raises(BreakerOpen), breaker.attempt():
            raise AssertionError("a second probe")


def test_who_only_reads_tries_again_where_nobody_else_does(time: Seconds) -> None:
    """As in a worker whose drain waits for a database that says nothing."""
    breaker = Breaker(time)
    fail(breaker)
    time.now_s += 0.3 + 4.9
    with pytest.raises(BreakerOpen), breaker.attempt(tries_again=False):
        raise AssertionError("nothing is sent")
    time.now_s += 0.2
    with pytest.raises(OSError), breaker.attempt(tries_again=False):
        raise OSError
    time.now_s += 0.6 + 4.9
    with pytest.raises(BreakerOpen), breaker.attempt(tries_again=False):
        raise AssertionError("nothing is sent")
    time.now_s += 0.2
    with breaker.attempt(tries_again=False):
        pass
    assert breaker.state == "closed"


def test_a_cancelled_attempt_says_nothing(time: Seconds) -> None:
    breaker = Breaker(time)
    with pytest.raises(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError
    assert breaker.state == "closed"
    fail(breaker)
    time.now_s += 0.3
    with pytest.raises(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError
    with breaker.attempt():
        pass
    assert breaker.state == "closed"


def test_an_outage_is_two_lines_however_many_requests_meet_it(time: Seconds) -> None:
    breaker = Breaker(time)
    with capture_logs() as lines:
        for _ in range(5):
            fail(breaker)
            time.now_s += 6
        with breaker.attempt():
            pass
        with breaker.attempt():
            pass
    assert lines == [
        {
            "event": "Redis cannot be reached: answers come from PostgreSQL, slower, until it is back",
            "reason": "no answer in time (OSError)",
            "log_level": "warning",
        },
        {"event": "Redis is back", "after_s": 30.0, "log_level": "info"},
    ]


def test_a_redis_that_comes_and_goes_is_reported_every_30_seconds(time: Seconds) -> None:
    breaker = Breaker(time)
    with capture_logs() as lines:
        for _ in range(31):
            fail(breaker)
            time.now_s += 1
            with breaker.attempt():
                pass
    assert [(line["event"][:15], line.get("outages_not_reported")) for line in lines] == [
        ("Redis cannot be", None),
        ("Redis is back", None),
        ("Redis cannot be", 29),
        ("Redis is back", None),
    ]
