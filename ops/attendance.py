"""`rollcall attendance`: the attendance rules from the command line."""

from pathlib import Path
from typing import Annotated

import typer

from domain.attendance import run_vectors
from ops.terminal import FAILED, AsJson, examples, print_json

attendance = typer.Typer(help="The attendance rules.", no_args_is_help=True)


@attendance.callback()
def group() -> None:
    """Keeps `vectors` a subcommand while it is the only one."""


@attendance.command(epilog=examples("rollcall attendance vectors tests/domain/vectors.json"))
def vectors(
    file: Annotated[Path, typer.Argument(help="A vector file (JSON).", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Run a file of worked examples; exits 1 when a day differs, naming the fields."""
    try:
        report = run_vectors(file)
    except ValueError as error:
        typer.echo(f"{file}: not a vector file: {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        print_json({"passed": report.passed, "failures": report.failures})
    else:
        typer.echo(str(report))
    if report.failures:
        raise typer.Exit(FAILED)
