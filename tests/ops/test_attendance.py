"""`rollcall attendance vectors` as a user runs it."""

from pathlib import Path

import orjson
from typer.testing import CliRunner

from ops.cli import application

VECTORS = Path(__file__).parents[1] / "domain" / "vectors.json"


def test_a_file_that_agrees_exits_zero() -> None:
    result = CliRunner().invoke(application(), ["attendance", "vectors", str(VECTORS)])
    assert (result.exit_code, result.output) == (0, "32 passed, 0 failed\n")


def test_a_day_that_differs_exits_one_and_names_the_field(tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(VECTORS.read_text().replace('"worked": 482', '"worked": 481'))
    result = CliRunner().invoke(application(), ["attendance", "vectors", str(file)])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "V39 night shift crosses midnight, belongs to its start date: worked: expected 481, got 482",
        "31 passed, 1 failed",
    ]
    result = CliRunner().invoke(application(), ["attendance", "vectors", str(file), "--json"])
    assert (result.exit_code, orjson.loads(result.stdout)["passed"]) == (1, 31)


def test_a_file_that_is_no_json_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{")
    result = CliRunner().invoke(application(), ["attendance", "vectors", str(file)])
    assert result.exit_code == 2
    assert "not a vector file" in result.output
