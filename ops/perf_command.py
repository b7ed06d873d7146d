"""`rollcall perf`: what makes the running service slow, where its time goes, and what it does under load."""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from domain.errors import RollcallError
from ops.doctor import Finding
from ops.perf.compare import compared, differences
from ops.perf.diagnosis import diagnosis
from ops.perf.figures import Run, figures
from ops.perf.flame import sampled
from ops.perf.flame_svg import flame_svg
from ops.perf.load import Effort, OpenLoop, Outcome
from ops.perf.load import Progress as Sent
from ops.perf.operations import BadMix, mix_of
from ops.perf.page import page
from ops.perf.report import shown_comparison, shown_findings, shown_run
from ops.perf.saturation import analysis, analysis_of_run, verdict
from ops.perf.target import Address, Target, found_target
from ops.status_client import StatusPort
from ops.terminal import FAILED, AsJson, NotReachable, console, examples, plain_errors, print_json
from web.settings import Settings

perf = typer.Typer(help="Speed: what is slow, where time goes, how much the service bears.", no_args_is_help=True)
DEMO_HR: Final = "hr@rollcall.test"


@perf.command(epilog=examples("rollcall perf doctor"))
def doctor(as_json: AsJson = False) -> None:
    """What made the running service slow in the last minute, with evidence and a fix; exits 1 when something did."""
    with plain_errors():
        found = diagnosis(_port().get("/cluster/stats"))
    well = all(finding.level == "ok" for finding in found)
    if as_json:
        print_json({"ok": well, "findings": _plain(found)})
    else:
        console().print(shown_findings(found))
    if not well:
        raise typer.Exit(FAILED)


@perf.command(epilog=examples("rollcall perf flame --duration 30 --output flame.svg"))
def flame(
    output: Annotated[Path, typer.Option(help="The SVG file to write.")] = Path("flame.svg"),
    duration: Annotated[int, typer.Option(min=1, max=3600, help="Seconds.")] = 10,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="Samples a second of each worker.")] = 100,
    idle: Annotated[bool, typer.Option("--idle", help="Draw threads that wait for work as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sample all workers with py-spy and draw one flame graph; needs the extra `perf` and the right to ptrace."""
    with plain_errors():
        pids = [worker["pid"] for worker in _port().get("/cluster/stats")["workers"]]
        found = sampled(pids, duration, rate, waiting=idle)
        _written(output, flame_svg(found))
    said = {"file": str(output), "samples": found.total, "waiting": found.waiting, "workers": found.processes}
    if as_json:
        print_json(said)
    else:
        console().print(
            f"{output}: {found.total:,} samples of {found.processes} workers, {found.waiting:,} more waited for work"
        )
    if not found.total:
        typer.echo(
            "nothing ran in this time: send it something (rollcall perf load-test), or draw what waits by --idle",
            err=True,
        )


@perf.command(
    name="load-test",
    epilog=examples(
        "rollcall perf load-test --rate 200 --duration 60 --json before.json --html before.html",
        "rollcall perf load-test --mix employee=40,today=10 --writes",
        "rollcall perf load-test --compare before.json after.json",
    ),
)
def load_test(
    url: Annotated[str | None, typer.Option(help="The service; by default PORT on this machine.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Requests a second.")] = 50.0,
    duration: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds that count.")] = 30.0,
    warm_up: Annotated[float, typer.Option(min=0, max=3600, help="Seconds before them that do not.")] = 2.0,
    mix: Annotated[str | None, typer.Option(help="Operations and weights, such as employee=40,today=10.")] = None,
    zipf: Annotated[float, typer.Option(min=0, max=5, help="Exponent of the popularity of keys; 0: all alike.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of arrivals and keys: the same seed sends the same.")] = 1,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Connections at most.")] = 200,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds until a request counts as failed.")] = 30.0,
    writes: Annotated[bool, typer.Option("--writes", help="Mutations as well; only of the demo company.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --writes: also of other data.")] = False,
    user: Annotated[str, typer.Option(help="Who signs in; the password is in PERF_PASSWORD.")] = DEMO_HR,
    password: Annotated[str | None, typer.Option(envvar="PERF_PASSWORD", hidden=True)] = None,
    token: Annotated[str | None, typer.Option(envvar="PERF_TOKEN", hidden=True)] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Keep the run as JSON; - is standard output.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report with its plots.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Send nothing: compare two runs that --json kept.")
    ] = None,
) -> None:
    """Ask at a rate that does not wait for answers; exits 1 when requests failed or the rate was not held."""
    to_output = json == Path("-")
    with plain_errors():
        if compare is not None:
            _compare(*compare, as_json=to_output)
            return
        chosen = mix_of(mix, writes=writes)
        settings = Settings.from_environment()
        address = Address.of(url or f"http://127.0.0.1:{settings.server.port}")
        if writes and not force and (token or password or not user.endswith("@rollcall.test")):
            raise BadMix("--writes: changes data that may not be the demo company's: add --force if that is meant")
        effort = Effort(rate, duration, chosen, connections, timeout, zipf, seed, warm_up)
        target = found_target(address, user, password, token)
        outcome = _sent(target, effort)
        points, versions = _beside(settings, outcome, address)
        run = figures(outcome, effort, address.url, points, versions)
        findings = analysis_of_run(run)
        _keep(run, findings, json, html)
    if not to_output:
        console().print(shown_run(run, findings, verdict(findings)))
    if not run.held:
        raise typer.Exit(FAILED)


@perf.command(epilog=examples("rollcall perf analyze", "rollcall perf analyze before.json --json"))
def analyze(
    file: Annotated[Path | None, typer.Argument(help="A run that load-test --json kept.")] = None,
    as_json: AsJson = False,
) -> None:
    """What saturates, with figures: in a load test, or in the last five minutes; exits 1 when something does."""
    with plain_errors():
        found = analysis(_port().get("/cluster/history")) if file is None else analysis_of_run(_read(file))
    if as_json:
        print_json({"verdict": verdict(found), "findings": _plain(found)})
    else:
        console().print(shown_findings(found), f"\n[bold]{verdict(found)}[/bold]")
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(FAILED)


def _compare(first: Path, second: Path, *, as_json: bool) -> None:
    one, other = _read(first), _read(second)
    found, unlike = compared(one, other), differences(one, other)
    if as_json:
        print_json({"compared": msgspec.to_builtins(found), "not_the_same": unlike})
    else:
        console().print(shown_comparison(found, unlike))
    if any(of.verdict == "worse" for of in found):
        raise typer.Exit(FAILED)


def _sent(target: Target, effort: Effort) -> Outcome:
    """Run it, with a bar on standard error where somebody looks."""
    screen = Console(stderr=True)
    total_s = effort.warm_up_s + effort.duration_s
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(f"{effort.rate:g}/s", total=total_s, said="")

        def tell(sent: Sent) -> None:
            said = f"{sent.ended:,} ended, {sent.failed:,} failed, {sent.under_way:,} under way"
            bar.update(task, completed=min(sent.due_s + effort.warm_up_s, total_s), said=said)

        return _run(OpenLoop(target, effort).run(tell))


def _run(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    if sys.platform == "win32":
        return asyncio.run(work)  # type: ignore[unreachable]
    import uvloop

    return uvloop.run(work)


def _beside(settings: Settings, outcome: Outcome, address: Address) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The curves of the service during the run, and its versions, when it is the one of the settings."""
    if address.place.port != settings.server.port:
        return [], {}
    try:
        port = StatusPort(settings)
        points, versions = port.get("/cluster/history"), port.get("/cluster/stats")["versions"]
    except NotReachable:
        return [], {}
    return [point for point in points if outcome.began_at <= point["at"] <= outcome.ended_at + 1], versions


def _keep(run: Run, findings: Sequence[Finding], json: Path | None, html: Path | None) -> None:
    encoded = msgspec.json.encode(run)
    if json == Path("-"):
        typer.echo(encoded.decode())
    elif json is not None:
        _written(json, msgspec.json.format(encoded, indent=1).decode() + "\n")
    if html is not None:
        _written(html, page(run, findings, verdict(findings)))


def _written(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise RollcallError(f"{path} cannot be written: {error.strerror}") from None


def _read(path: Path) -> Run:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise RollcallError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise RollcallError(f"{path} is not a run that `rollcall perf load-test --json` kept") from None


def _port() -> StatusPort:
    return StatusPort(Settings.from_environment())


def _plain(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [msgspec.structs.asdict(finding) for finding in findings]
