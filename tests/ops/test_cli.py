"""What holds for every command of `rollcall`: JSON, help with examples that work, completion, a quick start."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ops.cli import MODULES, application
from tests.ops.commands import rollcall

CHECKOUT = Path(__file__).parents[2]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(application())))


def test_all_commands_are_here() -> None:
    assert len(ALL) == 27
    assert {path[0] for path in ALL} == set(MODULES)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_prints_json_and_has_examples_that_it_takes(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    command = ALL[path]
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    title, *examples = command.epilog.split("\n\n")
    assert title == "[bold]Examples[/bold]" and examples
    for example in examples:
        words = shlex.split(example.partition(" | ")[0].partition(" > ")[0].partition(" >> ")[0].partition(" < ")[0])
        assert words[: len(path) + 1] == ["rollcall", *path]
        command.make_context(path[-1], words[len(path) + 1 :])


def test_the_help_shows_the_examples() -> None:
    shown = rollcall("cluster", "scale", "--help").stdout
    assert "Examples" in shown and "rollcall cluster scale 4" in shown


def test_the_version() -> None:
    assert rollcall("--version").stdout == f"{version('rollcall')}\n"


def test_a_wrong_command_is_wrong_usage() -> None:
    result = rollcall("clster")
    assert result.exit_code == 2 and "No such command 'clster'" in result.stderr


def test_the_list_says_of_each_command_what_it_says_of_itself() -> None:
    listed = typer.main.get_command(application([]))
    whole = typer.main.get_command(application())
    for name in MODULES:
        assert listed.commands[name].help == whole.commands[name].help  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [[], ["--help"], ["nothing"], *([name] for name in MODULES)], ids=" ".join)
def test_only_the_code_of_what_was_asked_is_loaded(words: list[str]) -> None:
    """The drivers of both servers, and what executes GraphQL, are most of the time that a command takes to begin."""
    asked = f"import sys; from ops.cli import application; application({words}); "
    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            asked + "print(sorted({'asyncpg', 'graphql', 'redis', 'sqlalchemy', 'strawberry'} & {*sys.modules}))",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "[]\n"


def test_a_command_after_two_dashes_is_run() -> None:
    """It is loaded like any other: what stands for it in the list of all does nothing."""
    program = Path(sys.executable).parent / "rollcall"
    said = subprocess.run([program, "--", "cluster"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert "scale" in said.stdout


@pytest.mark.parametrize(
    ("shell", "variables", "completed"),
    [
        ("bash", {"COMP_WORDS": "rollcall cluster sc", "COMP_CWORD": "2"}, "scale"),
        ("bash", {"COMP_WORDS": "rollcall per", "COMP_CWORD": "1"}, "perf"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "rollcall db slow"}, "slow-query"),
        ("fish", {"_TYPER_COMPLETE_ARGS": "rollcall cache te", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "test-core"),
    ],
)
def test_shells_complete(shell: str, variables: dict[str, str], completed: str) -> None:
    program = Path(sys.executable).parent / "rollcall"
    asked = {**os.environ, **variables, "_ROLLCALL_COMPLETE": f"complete_{shell}"}
    said = subprocess.run([program], cwd=CHECKOUT, env=asked, capture_output=True, text=True, check=True)
    assert completed in said.stdout and said.stderr == ""
