"""The docs say what is so: pages and codes match, the reference is printed from the code, links and commands exist."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from domain.errors import ErrorCode
from ops.cli import application
from tests.docs.pages import CHECKOUT, FENCED, commands, pages, relative_links
from web.errors_reference import PAGES, codes, errors_reference
from web.settings_reference import settings_reference

PAGE = re.compile(
    r"\A# (?P<code>[A-Z_]+)\n\n\S.*?\n\nSeen in: .*?\n\n```json\n(?P<example>.*?)\n```\n\n.*?## What to do\n\n\S", re.S
)
MOST_WORDS_OF_AN_ADR = 250


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    kept = {page.stem for page in PAGES.glob("*.md")}
    assert sorted(codes() - kept) == [], "write docs/errors/<CODE>.md for these"
    assert sorted(kept - codes()) == [], "nothing sends these codes any more: remove their pages"


def test_the_codes_are_found_wherever_they_stand() -> None:
    of_classes = {"UNAUTHENTICATED", "SERVICE_UNAVAILABLE", "TOO_MANY_ATTEMPTS", "INTERNAL_SERVER_ERROR"}
    of_calls = {"REQUEST_TIMEOUT", "GRAPHQL_PARSE_FAILED", "HOST_NOT_ALLOWED", "QUERY_TOO_COMPLEX"}
    assert of_classes | of_calls | {code.value for code in ErrorCode} <= codes()
    assert "SETTINGS" not in codes()


@pytest.mark.parametrize("code", sorted(codes()))
def test_a_page_says_what_it_means_shows_it_and_tells_what_to_do(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text()
    found = PAGE.match(text)
    assert found, "needed: # CODE, meaning, Seen in:, ```json example, ## What to do"
    assert found["code"] == code
    json.loads(found["example"])
    seen = text.partition("Seen in: ")[2].partition("\n\n")[0]
    assert ("`userErrors`" in seen) == (code in ErrorCode.__members__)


@pytest.mark.parametrize(
    ("name", "printed"), [("settings", settings_reference), ("errors", errors_reference)], ids=["settings", "errors"]
)
def test_the_reference_is_what_the_code_says(name: str, printed: object) -> None:
    assert callable(printed)
    assert (CHECKOUT / "docs" / "reference" / f"{name}.md").read_text() == printed(), "run: make docs"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in relative_links(page) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.M))
    assert [words[0] for words in commands(page, "make") if words[0] not in targets] == []
    assert [" ".join(words) for words in commands(page, "rollcall") if not is_command(words)] == []
    for module in (words[1] for words in commands(page, "python") if words[0] == "-m"):
        assert importlib.util.find_spec(module), module


def is_command(words: list[str]) -> bool:
    """Whether the words begin with commands of ours, down to one that does something, and options that it has."""
    command: Any = typer.main.get_command(application())
    rest = list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0) if rest else "--help"
        if name.startswith("--"):
            return name == "--help" or name in {option for parameter in command.params for option in parameter.opts}
        found = command.commands.get(name)
        if found is None:
            return False
        command = found
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return all(word.partition("=")[0] in options for word in rest if word.startswith("--"))


def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[a](gone.md#x) [b](https://example.org) `make it`\n\n    rollcall dance\n\n```sh\n$ A=1 make tea\n```\n"
    )
    assert list(relative_links(page)) == ["gone.md"]
    assert sorted(words[0] for words in commands(page, "make")) == ["it", "tea"]
    assert list(commands(page, "rollcall")) == [["dance"]]
    assert not is_command(["dance"])
    assert not is_command(["demo", "--people", "5"])
    assert is_command(["--version"]) and not is_command(["--vision"])
    assert is_command(["demo", "--employees", "5"])
    assert is_command(["attendance", "vectors", "FILE"])


@pytest.mark.parametrize("page", sorted((CHECKOUT / "docs" / "adr").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_is_short_and_says_what_follows(page: Path) -> None:
    text = page.read_text()
    assert re.match(r"\A# \d{4} \S.*\n\n(Accepted|Superseded by \d{4}), 20\d\d-\d\d-\d\d\n", text)
    assert text.startswith(f"# {page.stem[:4]} ")
    assert re.findall(r"^## (.*)$", text, re.M) == ["Why", "Decision", "What follows"]
    assert len(FENCED.sub("", text).split()) <= MOST_WORDS_OF_AN_ADR
