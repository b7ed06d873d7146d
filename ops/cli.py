"""The `rollcall` command: one typer application, one group of commands per file."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Annotated, Final

import typer

MODULES: Final = {
    "attendance": "ops.attendance",
    "cache": "ops.cache_command",
    "cluster": "ops.cluster_command",
    "db": "ops.db_command",
    "demo": "ops.demo_command",
    "doctor": "ops.doctor_command",
    "perf": "ops.perf_command",
    "user": "ops.user_command",
}
"""Where the command, or the group of commands, of that name is."""
ASKED_TO_COMPLETE: Final = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")
"""Variables with the line to complete: of bash the second, of other shells the first."""


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The whole application; when the first of the words names a group, that one alone, which loads much faster."""
    app = typer.Typer(name="rollcall", help="Operate Rollcall, the attendance service.", no_args_is_help=True)
    app.callback()(_about)
    for name in [words[0]] if words and words[0] in MODULES else MODULES:
        _add(app, name, importlib.import_module(MODULES[name]))
    return app


def _add(app: typer.Typer, name: str, module: ModuleType) -> None:
    found = getattr(module, name)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(epilog=module.EXAMPLES)(found)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("rollcall"))
        raise typer.Exit


def _about(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Operate Rollcall, the attendance service."""


def main() -> None:
    """The entry point of the `rollcall` script; what the layers log goes to standard error, beside the output."""
    from web.logs import open_logs

    open_logs()
    application(sys.argv[1:] or _to_complete())()


def _to_complete() -> list[str]:
    """The words of the line that a shell asks to complete."""
    return next((os.environ[name].split()[1:] for name in ASKED_TO_COMPLETE if name in os.environ), [])
