"""A load test as one HTML file: tables and plots, no script, and nothing that asks the network."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from ops.doctor import Finding
from ops.perf.figures import ALL, Latencies, Run
from ops.perf.plots import Axis, Line, along, bar_plot, line_plot, linear, logarithmic, milliseconds
from telemetry.histogram import PER_DOUBLING, bound_s

STYLE: Final = Path(__file__).with_name("page.css")
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
NINES: Final = ((0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"))


def page(run: Run, findings: Sequence[Finding], sentence: str) -> str:
    """The whole file."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Load test {escape(run.made_at)}</title><style>{STYLE.read_text()}</style></head><body><main>",
            *_head(run, findings, sentence),
            _operations(run),
            '<section class="plots">',
            *_plots(run),
            "</section>",
            _findings(findings),
            *_errors(run),
            _conditions(run),
            "</main></body></html>\n",
        )
    )


def _head(run: Run, findings: Sequence[Finding], sentence: str) -> Iterator[str]:
    latency = run.operations[ALL].latency
    share = run.failed / run.intended if run.intended else 0
    levels = {finding.level for finding in findings}
    level = "bad" if "error" in levels else "fair" if "warning" in levels else "good"
    yield f"<h1>Load test</h1><p class='about'>{escape(run.url)}, {escape(run.made_at)}</p>"
    yield f"<p class='verdict {level}'>{escape(sentence)}</p><section class='tiles'>"
    yield _tile("asked for", f"{run.rate:g}", "requests/s")
    yield _tile("good answers", f"{run.achieved_per_s:,.1f}", "per second")
    yield _tile("p50", *_parts(latency.p50 if latency else None))
    yield _tile("p99", *_parts(latency.p99 if latency else None))
    yield _tile("longest", *_parts(latency.max if latency else None))
    yield _tile("failed", f"{run.failed:,}", f"{share:.2%} of {run.intended:,}") + "</section>"


def _parts(ms: float | None) -> tuple[str, str]:
    if ms is None:
        return "–", ""
    return (f"{ms / 1e3:.2f}", "s") if ms >= 1000 else (f"{ms:.3g}" if ms < 100 else f"{ms:.0f}", "ms")


def _tile(name: str, value: str, unit: str) -> str:
    return f"<div><span>{escape(name)}</span><b>{escape(value)}</b><small>{escape(unit)}</small></div>"


def _operations(run: Run) -> str:
    names = [name for name in run.operations if name != ALL] + [ALL]
    rows = "".join(
        f"<tr{' class=all' if name == ALL else ''}><th>{escape(name)}</th><td>{of.requests:,}</td>"
        f"<td>{of.failed:,}</td><td>{of.refused:,}</td>{_cells(of.latency)}</tr>"
        for name in names
        if (of := run.operations[name])
    )
    heads = ("requests", "failed", "refused", "p50", "p90", "p95", "p99", "p99.9", "max", "mean")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f"<h2>Operations</h2><div class='wide'><table><thead><tr><th>operation</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class='note'>Milliseconds from the time that each request was meant to"
        " leave, which was set before the first one left: what a stall kept waiting counts in full.</p>"
    )


def _cells(latency: Latencies | None) -> str:
    values = (
        [latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.max, latency.mean]
        if latency
        else [None] * 7
    )
    return "".join(f"<td>{'–' if value is None else format(value, ',.1f')}</td>" for value in values)


def _plots(run: Run) -> Iterator[str]:
    if not run.steps:
        return
    time = along(max(run.steps[-1].at_s + run.step_s, run.duration_s), "seconds since the start")
    middle = run.step_s / 2
    curves = {
        name: [(step.at_s + middle, getattr(step, name)) for step in run.steps] for name in ("p50", "p95", "p99", "max")
    }
    values = [value for points in curves.values() for _, value in points if value is not None]
    lines = [Line(name, name, points) for name, points in reversed(curves.items())]
    yield line_plot("Latency of what was due, by time", time, logarithmic(values, ""), lines)
    yield _throughput(run, time)
    yield _percentiles(run)
    yield _histogram(run)
    yield from _service(run, time)


def _throughput(run: Run, time: Axis) -> str:
    step_s, middle = run.step_s, run.step_s / 2
    due = [(step.at_s + middle, step.due / step_s) for step in run.steps if step.at_s + step_s <= run.duration_s]
    ended = [(step.at_s + middle, step.ended / step_s) for step in run.steps]
    failed = [(step.at_s + middle, step.failed / step_s) for step in run.steps]
    highest = max(rate for _, rate in (*due, *ended, *failed, (0.0, run.rate)))
    lines = [Line("answered", "good", ended, area=True), Line("due", "due", due)]
    lines += [Line("failed, by when they were due", "bad", failed)] if run.failed else []
    return line_plot("Requests a second", time, linear(highest, ""), lines, lambda rate: f"{rate:,.4g}/s")


def _percentiles(run: Run) -> str:
    """Over the share on a scale of nines: the tail has as much room as all else."""
    top = run.curve[-2][0] if len(run.curve) > 1 else 0.9
    requests = max(run.answered + run.failed, 1)
    known = [(share, ms) for share, ms in run.curve if share < 1 and (1 - share) * requests >= 1] or run.curve[:1]
    top = max(known[-1][0], 0.9)
    x = Axis(
        1.0,
        1 / (1 - top),
        [(1 / (1 - share), text) for share, text in NINES if share <= top],
        "share of requests",
        True,
    )
    points = [(1 / (1 - share), ms) for share, ms in known]
    y = logarithmic([ms for _, ms in known], "")
    return line_plot("Latency by percentile", x, y, [Line("so long or shorter", "p95", points, area=True)])


def _histogram(run: Run) -> str:
    counted = [(bound_s(bucket) * 1e3, number) for bucket, number in run.buckets.items()]
    shrink = 2 ** (-1 / PER_DOUBLING)
    x = logarithmic([counted[0][0] * shrink, counted[-1][0]], "latency")
    bars = [
        (high * shrink, high, number, f"{high * shrink:,.3g} to {high:,.3g} ms: {number:,} requests")
        for high, number in counted
    ]
    return bar_plot("Requests by latency", x, linear(max(number for _, number in counted), ""), bars)


def _service(run: Run, time: Axis) -> Iterator[str]:
    points = [(point["at"] - run.began_at, point) for point in run.service]
    points = [(at_s, point) for at_s, point in points if 0 <= at_s <= time.highest]
    if not points:
        return
    shares = [
        Line("busiest worker's processor", "p95", [(at_s, 100 * (point.get("cpu") or 0)) for at_s, point in points]),
        Line("fullest pool", "good", [(at_s, 100 * (point.get("pool") or 0)) for at_s, point in points]),
        Line("Redis's processor", "due", [(at_s, 100 * (point.get("redis_cpu") or 0)) for at_s, point in points]),
    ]
    highest = max(100.0, *(value or 0 for line in shares for _, value in line.points))
    yield line_plot(
        "The service: what is in use", time, linear(highest, "", " %"), shares, lambda share: f"{share:,.0f} %"
    )
    lags = [(at_s, max(float(point.get("lag_ms") or 0), 0.1)) for at_s, point in points]
    lag = Line("longest of all workers", "p99", lags)
    yield line_plot("The service: event-loop lag", time, logarithmic([ms for _, ms in lags], ""), [lag])


def _findings(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f"<tr class={finding.level}><td><b class=level>{finding.level}</b></td><th>{escape(finding.about)}</th>"
        f"<td>{escape(finding.found)}</td><td>{escape(finding.change)}</td></tr>"
        for finding in findings
    )
    return (
        "<h2>What saturates</h2><div class='wide'><table class='text'><thead><tr><th></th><th></th><th>found</th>"
        f"<th>change</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _errors(run: Run) -> Iterator[str]:
    counted = [("failed", kind, number) for kind, number in run.errors.items()]
    counted += [("refused", kind, number) for kind, number in run.refusals.items()]
    if counted:
        rows = "".join(
            f"<tr><td>{how}</td><th>{escape(kind)}</th><td>{number:,}</td></tr>" for how, kind, number in counted
        )
        yield (
            "<h2>Errors</h2><div class='wide'><table class='text'><thead><tr><th></th><th>kind</th>"
            f"<th>requests</th></tr></thead><tbody>{rows}</tbody></table></div>"
            "<p class='note'>Refused: a mutation was answered with userErrors.</p>"
        )


def _conditions(run: Run) -> str:
    mix = ", ".join(f"{name} {weight:g}" for name, weight in run.mix.items())
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items()) or "unknown"
    late = f"p50 {milliseconds(run.late_ms.p50)}, p99 {milliseconds(run.late_ms.p99)}" if run.late_ms else "–"
    facts = {
        "Arrivals": f"Poisson, {run.rate:g}/s for {run.duration_s:g} s, seed {run.seed}; keys by Zipf {run.zipf:g}",
        "Mix": mix,
        "Client": f"{run.connections:,} connections opened, at most {run.connections_at_most:,} at once; "
        f"{run.client_cpu:.0%} of a processor; requests left late by {late}",
        "Client's machine": ", ".join(f"{name} {value}" for name, value in run.machine.items()),
        "Service": versions,
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<h2>Conditions</h2><dl>{rows}</dl>"
