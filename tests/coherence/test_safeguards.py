"""Every safeguard is needed, and the tests know it: with it taken out, the test that it is listed with fails.

Each is a run of pytest of its own; TORTURE_WEAKENED=1 asks for them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded.lease import CHECKOUT
from tests.coherence.weakened import OTHER_WAYS, SAFEGUARDS

HERE = Path(__file__).parent
LISTED = SAFEGUARDS | OTHER_WAYS
FOUND = re.compile(r"^\S+\.py:\d+: (AssertionError|Failed)$|AssertionError: Violation\(", re.MULTILINE)
"""What a test says that found something, also if the same steps find nothing again; else a removal is broken."""

TAKE_OUT_EACH = """
import os
from tests.coherence.weakened import EVERYTHING, weaken
for name in EVERYTHING:
    if not os.fork():
        weaken(name)
        os._exit(0)
    if os.wait()[1]:
        print(name)
"""


def test_every_safeguard_is_still_where_it_is_taken_out_of() -> None:
    """Or after a change of ours nothing would be missing."""
    done = subprocess.run([sys.executable, "-c", TAKE_OUT_EACH], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_every_safeguard_is_listed_on_the_page_with_a_test_that_exists() -> None:
    page = (CHECKOUT / "docs" / "explain" / "coherence-proof.md").read_text()
    for name, safeguard in LISTED.items():
        file, _, test = safeguard.found_by.partition("::")
        assert f"def {test}(" in (HERE / file).read_text(), name
        assert f"| {name} | `{test}` |" in page, name


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("name", LISTED)
def test_without_a_safeguard_its_test_fails(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--assert=plain", str(HERE / LISTED[name].found_by)]
    done = subprocess.run(command, env={**os.environ, "WITHOUT": name}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and FOUND.search(done.stdout), done.stdout[-2000:]
