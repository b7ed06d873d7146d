"""Every safeguard is needed, and the tests know it: with it taken out, the test that it is listed with fails.

Each is a run of pytest of its own; TORTURE_WEAKENED=1 asks for them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.coherence.weakened import SAFEGUARDS

HERE = Path(__file__).parent


def test_every_safeguard_is_listed_with_a_test_that_exists() -> None:
    for name, safeguard in SAFEGUARDS.items():
        file, _, test = safeguard.found_by.partition("::")
        assert f"def {test}(" in (HERE / file).read_text(), name


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("name", SAFEGUARDS)
def test_without_a_safeguard_its_test_fails(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", str(HERE / SAFEGUARDS[name].found_by)]
    done = subprocess.run(command, env={**os.environ, "WITHOUT": name}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "FAILED" in done.stdout, done.stdout[-2000:]
