"""The `rollcall` command: one typer application, one group of commands per file."""

import typer

from ops.attendance import attendance
from ops.cache_command import cache
from ops.cluster_command import cluster
from ops.db_command import db
from ops.demo_command import demo
from ops.doctor_command import doctor
from ops.perf_command import perf
from ops.user_command import user

app = typer.Typer(name="rollcall", help="Operate Rollcall, the attendance service.", no_args_is_help=True)
app.add_typer(attendance, name="attendance")
app.add_typer(cache, name="cache")
app.add_typer(cluster, name="cluster")
app.add_typer(db, name="db")
app.add_typer(perf, name="perf")
app.add_typer(user, name="user")
app.command()(demo)
app.command()(doctor)


def main() -> None:
    """The entry point of the `rollcall` script; what the layers log goes to standard error, beside the output."""
    from web.logs import open_logs

    open_logs()
    app()
