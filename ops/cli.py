"""The `rollcall` command: one typer application, one group of commands per file."""

import typer

from ops.attendance import attendance
from ops.demo_command import demo

app = typer.Typer(name="rollcall", help="Operate Rollcall, the attendance service.", no_args_is_help=True)
app.add_typer(attendance, name="attendance")
app.command()(demo)


def main() -> None:
    """The entry point of the `rollcall` script."""
    app()
