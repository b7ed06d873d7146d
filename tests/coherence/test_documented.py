"""The page that makes the promise names only tests that exist."""

import re

from db.embedded.lease import CHECKOUT


def test_every_test_that_the_page_names_exists() -> None:
    page = (CHECKOUT / "docs" / "explain" / "coherence.md").read_text()
    code = "".join(path.read_text() for path in (CHECKOUT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    assert sorted(name for name in named if f"def {name}(" not in code) == []
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.M)] == list(range(1, 34))
