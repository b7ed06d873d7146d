"""Nothing old is ever told, whatever is done to the processes; and the checker would find it.

TORTURE_SECONDS=600 makes it long (with -o faulthandler_timeout=0), TORTURE_SEED repeats a run, TORTURE_WEAKENED=1 also
takes each safeguard out.
"""

import os
from pathlib import Path

import pytest

from tests.coherence.history import History
from tests.coherence.torture import Torture
from tests.coherence.valkey import private_valkey
from tests.coherence.weakened import TORTURED

SECONDS = float(os.environ.get("TORTURE_SECONDS", "20"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))


def told(*lines: str) -> list[str]:
    history = History()
    history.add(line + "\n" for line in lines)
    return list(history.violations())


def test_the_checker_finds_a_stale_read() -> None:
    assert told("B - 10 0 1:0", "A - 0 20 1:2", "R row 21 22 1:1") == [
        "row of row 1 told 1, 2 was known (0.0 ms stale)"
    ]
    assert told("B - 10 0 1:0", "A - 0 20 1:2", "R row 19 22 1:1", "R row 21 22 1:2") == []


def test_the_checker_finds_a_read_that_goes_back() -> None:
    assert len(told("B - 10 0 1:0", "R row 11 12 1:2", "R list 13 14 1:1")) == 1
    assert told("B - 10 0 1:0", "R row 11 13 1:2", "R list 12 14 1:1") == []


def test_the_checker_finds_a_read_of_what_was_not_written() -> None:
    assert told("R row 1 9 1:2", "B - 10 0 1:0") == ["row of row 1 told 2 before that was written"]


def test_a_write_from_outside_counts_after_the_life_of_the_fence() -> None:
    write = ("B - 1 0 1:0", "O - 0 0 1:2", "A - 0 2 1:2", "R row 3 4 1:2")
    assert told(*write, "R row 2000000000 2000000001 1:1") == []
    assert len(told(*write, "R row 2200000000 2200000001 1:1")) == 1


async def test_nothing_old_is_ever_told(tmp_path: Path, database_url: str) -> None:
    with private_valkey(dbfilename="dump.rdb") as valkey:
        torture = Torture(tmp_path, database_url, valkey, SEED)
        history = await torture.run(SECONDS)
    violations = list(history.violations())
    hits = sum(number for name, number in torture.counters.items() if name.startswith("cache_hits"))
    figures = f"{len(history.reads)} reads, {len(history.acknowledged)} writes, {hits} hits, {dict(torture.faults)}"
    print(f"\n{figures}\n{dict(torture.counters)}")
    assert violations[:5] == [], f"{len(violations)} violations in {figures}; seed {SEED}"
    assert "Traceback" not in torture.errors, torture.errors[:3000]
    assert hits > 20 * SECONDS and len(history.acknowledged) > 5 * SECONDS, f"too little happened: {figures}"
    assert torture.counters["writes held"] > 2 * SECONDS


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("safeguard", TORTURED)
async def test_without_a_safeguard_something_old_is_told(tmp_path: Path, database_url: str, safeguard: str) -> None:
    with private_valkey(dbfilename="dump.rdb") as valkey:
        history = await Torture(tmp_path, database_url, valkey, SEED, safeguard).run(max(SECONDS, 40))
    assert list(history.violations()) != []
