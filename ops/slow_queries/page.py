"""The record of statements as one HTML page that needs nothing else: no script, no request, no style but its own."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

from ops.slow_queries.record import Plan, Record, Sender, Statement
from ops.slow_queries.screen import title_of
from ops.terminal import shown

_CSS: Final = (Path(__file__).parent / "page.css").read_text()
_HASH: Final = b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; img-src data:; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(record: Record, at: datetime) -> str:
    """The page."""
    heads = ("statement", ">calls", ">total ms", ">share", ">mean ms", ">max ms", ">rows", ">read from disk", "sent by")
    total_ms = sum(one.total_ms for one in record.statements) or 1.0
    rows = [_row(one, one.total_ms / total_ms, number) for number, one in enumerate(record.statements, 1)]
    parts = [
        "<h1>Slow statements</h1>",
        f"<p class=dim>{escape(at.isoformat(timespec='seconds'))} · {escape(record.source)}</p>",
        _list(record.notes),
        f"<h2>Most time in all</h2>{_table(heads, rows)}",
        "<h2>Each of them</h2>",
        *(_article(one, number) for number, one in enumerate(record.statements, 1)),
        f"<h2>Latest above SLOW_QUERY_THRESHOLD_MS={record.threshold_ms:g}</h2>",
        _latest(record),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Slow statements · Rollcall</title>'
        f'<link rel="icon" href="data:,"><style>{_CSS}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def _row(one: Statement, share: float, number: int) -> list[str]:
    blocks = None if one.blocks_read is None else one.blocks_read
    link = f'<a href="#s{number}">{escape(title_of(one))}</a>'
    figures = [shown(one.calls), shown(one.total_ms), f"{share:.1%}", shown(one.mean_ms), shown(one.max_ms)]
    return [link, *figures, shown(one.rows), shown(blocks), escape(", ".join(_operations(one.senders)))]


def _operations(senders: Sequence[Sender]) -> list[str]:
    return list(dict.fromkeys(of.operation or "no operation" for of in senders))[:4]


def _article(one: Statement, number: int) -> str:
    parts = [f'<article id="s{number}"><h3>{escape(title_of(one))}</h3>']
    parts.append(
        f"<p class=dim>queryid {one.queryid or '–'} · {shown(one.calls)} calls, mean {shown(one.mean_ms)} ms</p>"
    )
    if one.senders:
        sent = [f"{of.operation or 'no operation'} · {of.loader or 'no loader'} · {of.calls:,}" for of in one.senders]
        parts.append(f"<details><summary>sent by (operation · loader · times)</summary>{_list(sent)}</details>")
    for advice in one.advice:
        remedy = f"<code>{escape(advice.remedy)}</code>"
        parts.append(f"<p class=advice><b>{escape(advice.kind)}</b>: {escape(advice.finding)}. {remedy}</p>")
    parts.append(f"<details><summary>text</summary><pre class=sql>{escape(one.statement)}</pre></details>")
    parts.append(_plan(one.plan) if one.plan else f"<p class=dim>no plan: {escape(one.no_plan or 'not asked for')}</p>")
    return "".join([*parts, "</article>"])


def _plan(plan: Plan) -> str:
    facts = [f"plan: {plan.source}", "executed" if plan.analyzed else "not executed"]
    facts += [plan.at] if plan.at else []
    facts += [f"{plan.ms:,.1f} ms"] if plan.ms is not None else []
    facts += [plan.operation] if plan.operation else []
    lines = escape("\n".join(plan.outline))
    return f"<details><summary>{escape(' · '.join(facts))}</summary><pre>{lines}</pre></details>"


def _latest(record: Record) -> str:
    if record.latest is None:
        return "<p>The service does not run.</p>"
    heads = ("statement", ">ms", "operation", "loader", "worker")
    names = ("name", "ms", "operation", "loader", "process")
    rows = [[escape(shown(of.get(name) or None)) for name in names] for of in record.latest]
    return _table(heads, rows) if rows else "<p>None.</p>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    classes = ["number" if head.startswith(">") else "text" for head in heads]
    head = "".join(f"<th class={c}>{escape(h.removeprefix('>'))}</th>" for c, h in zip(classes, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td class={c}>{cell}</td>' for c, cell in zip(classes, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _list(lines: Iterable[str]) -> str:
    found = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{found}</ul>" if found else ""
