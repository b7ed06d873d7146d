"""A load test on the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from ops.doctor import Finding
from ops.perf.compare import Compared
from ops.perf.figures import ALL, Run
from ops.terminal import table

COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}


def shown_run(run: Run, findings: Sequence[Finding], sentence: str) -> Group:
    """Figures by operation, errors, and what saturates."""
    head = (
        f"{run.intended:,} requests at {run.rate:g}/s for {run.duration_s:g} s from {run.url}:"
        f" {run.answered:,} answered ({run.achieved_per_s:,.1f}/s), {run.failed:,} failed\n"
    )
    counted = [(kind, number) for kind, number in (*run.errors.items(), *run.refusals.items())]
    parts: list[RenderableType] = [head, operations(run)]
    if counted:
        parts += ["", table("Errors, and what mutations were refused for", ("kind", ">requests"), counted)]
    return Group(*parts, "", shown_findings(findings), "", f"[bold]{sentence}[/bold]")


def operations(run: Run) -> Table:
    """Latencies from when each request was meant to leave."""
    columns = (
        "operation", ">requests", ">failed", ">p50 ms", ">p90", ">p95", ">p99", ">p99.9", ">max",
    )  # fmt: skip
    rows = [
        (name, of.requests, of.failed, of.latency.p50, of.latency.p90, of.latency.p95, of.latency.p99,
         of.latency.p999, of.latency.max)
        for name, of in run.operations.items() if of.latency is not None
    ]  # fmt: skip
    return table("Latency from the time that each was meant to be sent", columns, [*rows[1:], rows[0]] if rows else [])


def shown_findings(findings: Sequence[Finding]) -> Table:
    """Findings of any kind."""
    rows = [
        (f"[{COLOURS[finding.level]}]{finding.level}[/]", finding.about, finding.found, finding.change)
        for finding in findings
    ]
    return table("", ("", "", "found", "change"), rows)


def shown_comparison(found: Sequence[Compared], differences: Sequence[str]) -> Group:
    """Ratios, the verdict on each, and what else was different."""
    colours = {"better": "green", "worse": "red", "noise": "dim", "too few": "dim"}
    rows = [
        (of.operation, of.figure, of.first, of.second, f"{of.ratio:.3g}", f"[{colours[of.verdict]}]{of.verdict}[/]")
        for of in sorted(found, key=lambda of: of.operation != ALL)
    ]
    columns = ("operation", "figure", ">first ms", ">second ms", ">ratio", "")
    notes = [f"[yellow]not the same: {difference}[/yellow]" for difference in differences]
    return Group(table("The second run by the first", columns, rows), *notes)
