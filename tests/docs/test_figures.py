"""A measured figure stands beside the command that makes it, and what such commands name exists."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, commands, pages, unexplained, variables

TABLES = """# Fast
| a | 3 ms |

# Slow
| a | p95 ms |
|---|---|

## Made by `A="b c" make bench`
| a | 3 ms |

# Not measured
| a | after 3 ms |
"""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_tests_that_commands_name_exist(page: Path) -> None:
    named = [word.partition("::")[0] for words in commands(page, "pytest") for word in words if "tests/" in word]
    assert [path for path in named if not (CHECKOUT / path.removesuffix("...")).exists()] == []


@pytest.fixture(scope="module")
def sources() -> str:
    """The Makefile and all our Python."""
    packages = (path for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [CHECKOUT / "Makefile", CHECKOUT / "server.py", *(file for path in packages for file in path.rglob("*.py"))]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_variables_of_commands_are_read_by_somebody(page: Path, sources: str) -> None:
    assert [name for name in variables(page) if not re.search(rf"[\"$( ]{name}[\")= ]", sources)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_measured_figures_stand_beside_the_command_that_makes_them(page: Path) -> None:
    assert page.parent.name == "reference" or unexplained(page) == []


def test_tables_without_a_command_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TABLES)
    assert unexplained(page) == ["# Fast", "# Slow"]
    assert list(variables(page)) == ["A"]
