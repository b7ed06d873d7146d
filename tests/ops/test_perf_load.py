"""The open loop: fixed arrivals, no coordinated omission, every kind of failure, what one process can send."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest
import uvloop

from ops.perf.figures import ALL, SLICES, figures, latencies, percentile
from ops.perf.http_client import LATE, LOST, REFUSED, UNREADABLE, Client, Ending, Place, Request
from ops.perf.load import Effort, OpenLoop, Outcome, Sample, arrivals, judged
from ops.perf.operations import OPERATIONS, BadMix, Draws, Operation, Zipf, mix_of
from ops.perf.target import Address, Target
from tests.cluster.conftest import ROOT, free_port
from tests.ops.perf_stub import STALL_S


@pytest.fixture(scope="module")
def stub() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.ops.perf_stub"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


def target(port: int) -> Target:
    address = Address(Place("127.0.0.1", port), f"http://127.0.0.1:{port}")
    return Target(address, "token", ["a", "b"], ["c"], date(2026, 3, 17))


def run(port: int, effort: Effort) -> Outcome:
    async def work() -> Outcome:
        return await OpenLoop(target(port), effort).run()

    return uvloop.run(work())


def test_arrivals_follow_from_the_seed_alone() -> None:
    effort = Effort(200, 50, {"me": 3, "today": 1}, seed=7)
    found = list(arrivals(effort))
    assert found == list(arrivals(effort)) != list(arrivals(Effort(200, 50, {"me": 3, "today": 1}, seed=8)))
    assert 9_700 < len(found) < 10_300, "a Poisson process: 10,000 with a standard deviation of 100"
    assert 0.73 < sum(name == "me" for _, name in found) / len(found) < 0.77
    assert [at for at, _ in found] == sorted(at for at, _ in found)


def test_one_process_sends_all_of_two_thousand_a_second(stub: int) -> None:
    effort = Effort(2_000, 2, {"me": 1})
    outcome = run(stub, effort)
    assert [sample.failure for sample in outcome.samples if sample.failure] == []
    assert len(outcome.samples) == outcome.intended == len(list(arrivals(effort)))


def test_what_a_stall_keeps_waiting_counts_from_its_own_time(stub: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = iter(range(1_000))
    stalls = Operation("me", 1, lambda _: ("stall" if next(sent) == 50 else "go on", {}))
    monkeypatch.setitem(OPERATIONS, "me", stalls)  # type: ignore[arg-type]
    samples = sorted(run(stub, Effort(200, 1, {"me": 1}, connections=1)).samples, key=lambda sample: sample.due_s)
    began_s = samples[50].due_s
    kept_waiting = [sample for sample in samples[51:] if sample.due_s < began_s + STALL_S]
    assert len(kept_waiting) > 40, "a client that waits for answers would have sent none of these"
    for sample in kept_waiting:
        assert sample.latency_ms >= (began_s + STALL_S - sample.due_s) * 1e3 - 5
        assert sample.late_ms >= (began_s + STALL_S - sample.due_s) * 1e3 - 5, "the only connection was busy"


async def ended(port: int, *bodies: str, most: int = 10, limit_s: float = 5.0) -> list[Ending]:
    loop, endings = asyncio.get_running_loop(), dict[int, Ending]()
    client = Client(Place("127.0.0.1", port), lambda request, ending: endings.setdefault(request.number, ending),
                    most=most, limit_s=limit_s)  # fmt: skip
    for number, body in enumerate(bodies):
        client.send(Request(number, target(port).payload(body, {}), loop.time()))
    async with asyncio.timeout(20):
        while len(endings) < len(bodies):
            await asyncio.sleep(0.01)
    assert client.under_way == 0
    client.close()
    return [endings[number] for number in range(len(bodies))]


async def test_every_request_ends_whatever_the_service_does(stub: int) -> None:
    kinds = [judged(ending)[0] for ending in await ended(stub, "good", "busy", "cut", "close", "good", most=1)]
    assert kinds == ["", "SERVICE_UNAVAILABLE (503)", LOST, "", ""]
    kinds = [judged(ending)[0] for ending in await ended(stub, "silent", "good", most=1, limit_s=0.3)]
    assert kinds[0] == LATE
    assert kinds[1] in (LATE, "")
    assert {judged(ending)[0] for ending in await ended(free_port(), "good", "good")} == {REFUSED}


@pytest.mark.parametrize(
    ("ending", "kinds"),
    [
        (Ending(200, b'{"data":{"me":null}}'), ("", "")),
        (Ending(200, b'{"data":{"a":null},"errors":[{"extensions":{"code":"FORBIDDEN"}}]}'), ("FORBIDDEN (200)", "")),
        (Ending(200, b'{"data":{"checkIn":{"userErrors":[]}}}'), ("", "")),
        (Ending(200, b'{"data":{"checkIn":{"userErrors":[{"code":"OVERLAP"}]}}}'), ("", "OVERLAP")),
        (Ending(200, b'{"data":null,"errors":[{"message":"x"}]}'), ("HTTP 200", "")),
        (Ending(502, b"<html>"), ("HTTP 502", "")),
        (Ending(0, b"", UNREADABLE), (UNREADABLE, "")),
    ],
)
def test_answers_are_judged(ending: Ending, kinds: tuple[str, str]) -> None:
    assert judged(ending) == kinds


def test_keys_are_drawn_by_zipf_and_who_is_popular_does_not_follow_the_ids() -> None:
    keys = [str(number) for number in range(100)]
    zipf = Zipf(keys, 1.0, random.Random(1))
    drawn = Counter(zipf.draw() for _ in range(50_000)).most_common()
    assert 1.8 < drawn[0][1] / drawn[1][1] < 2.2 and 2.7 < drawn[0][1] / drawn[2][1] < 3.3
    assert [key for key, _ in drawn[:5]] != keys[:5]
    even = Zipf(keys, 0.0, random.Random(1))
    alike = Counter(even.draw() for _ in range(50_000)).values()
    assert min(alike) > 380 and max(alike) < 620


def test_a_person_goes_in_and_then_out() -> None:
    draws = Draws(["a"], ["d"], date(2026, 3, 17), 1.0, 1)
    assert [draws.punch() for _ in range(3)] == [("a", "checkIn"), ("a", "checkOut"), ("a", "checkIn")]
    assert draws.days(31) == {"range": {"from": "2026-02-15", "to": "2026-03-17"}}


def test_a_mix_is_read_or_refused() -> None:
    assert mix_of("employee=3, today", writes=False) == {"employee": 3.0, "today": 1.0}
    assert set(mix_of(None, writes=False)) == {"me", "employee", "month", "department", "today", "stats"}
    assert set(mix_of(None, writes=True)) == set(OPERATIONS)
    for wrong in ("nothing=1", "me=0", "me=x", "me=-1", "me=nan", ""):
        with pytest.raises(BadMix, match="--mix: needed"):
            mix_of(wrong, writes=False)
    with pytest.raises(BadMix, match="punch would change data"):
        mix_of("punch=1", writes=False)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)])
def test_percentiles_are_values_that_were_measured(share: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), share) == expected


def test_figures_of_a_run() -> None:
    samples = [Sample("me", number / 10, 10.0 + number, 0.5, LOST if number == 7 else "") for number in range(20)]
    effort = Effort(10, 2, {"me": 1, "today": 1})
    found = figures(Outcome(samples, 20, 2.02, 0.0, 2.02, 3, 0.1), effort, "http://x", [], {})
    assert (found.intended, found.answered, found.failed, found.errors) == (20, 19, 1, {LOST: 1})
    assert (found.achieved_per_s, found.held) == (9.5, False)
    assert found.operations["today"].latency is None and found.operations["today"].slices == [None] * SLICES
    latency = found.operations[ALL].latency
    assert latency == latencies(sample.latency_ms for sample in samples)
    assert latency is not None and (latency.p50, latency.max, latency.mean) == (19.0, 29.0, 19.5)
    assert [(step.due, step.ended, step.failed, step.max) for step in found.steps] == [
        (10, 9, 1, 19.0),
        (10, 10, 0, 29.0),
    ]
    assert found.curve[0] == (0.0, 10.0) and found.curve[-1] == (1.0, 29.0)
    assert sum(found.buckets.values()) == 20


def test_a_second_is_left_for_the_last_answers() -> None:
    samples = [Sample("me", number / 10, 900.0, 0.5) for number in range(20)]
    effort = Effort(10, 2, {"me": 1})
    assert figures(Outcome(samples, 20, 2.9, 0.0, 2.9, 3, 0.1), effort, "http://x", [], {}).held
    assert not figures(Outcome(samples, 20, 4.0, 0.0, 4.0, 3, 0.1), effort, "http://x", [], {}).held
