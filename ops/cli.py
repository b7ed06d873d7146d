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
    "attendance": ("ops.attendance", "The attendance rules."),
    "cache": ("ops.cache_command", "The second-level cache: is it usable, what is it worth."),
    "cluster": ("ops.cluster_command", "The running service: figures, reload, number of workers."),
    "db": ("ops.db_command", "The database: migrations, slow statements, plans."),
    "demo": ("ops.demo_command", "Fill an empty database with a company whose days are derived from raw punches."),
    "doctor": (
        "ops.doctor_command",
        "Check settings, servers, versions, clock, disk, pools and kernel limits; exits 1 when something is an error.",
    ),
    "perf": ("ops.perf_command", "Speed: what is slow, where time goes, how much the service bears."),
    "user": ("ops.user_command", "Users: the first administrator, forgotten passwords."),
}
"""Where the command, or the group of commands, of that name is, and what the list of all says of it unread."""
ASKED_TO_COMPLETE: Final = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")
"""Variables with the line to complete: of bash the second, of other shells the first."""


def application(words: Sequence[str] | None = None) -> typer.Typer:
    """The whole application; for the words of a command line what they ask for alone, which loads much faster.

    Where they name no command, all are listed without being loaded.
    """
    app = typer.Typer(name="rollcall", help="Operate Rollcall, the attendance service.", no_args_is_help=True)
    app.callback()(_about)
    first = next((word for word in words or () if not word.startswith("-")), "")
    for name in [first] if first in MODULES else MODULES:
        if words is None or name == first:
            _add(app, name, importlib.import_module(MODULES[name][0]))
        else:
            app.command(name, help=MODULES[name][1])(_listed)
    return app


def _add(app: typer.Typer, name: str, module: ModuleType) -> None:
    found = getattr(module, name)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(epilog=module.EXAMPLES)(found)


def _listed() -> None:
    """Stands for a command in the list of all; it is never run, since a line that names a command loads that one."""


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
