"""How the service's log lines look: text for people at a terminal, lines of JSON for everything else.

Tracebacks are plain: structlog's own would print the values of local variables, passwords among them.
"""

import logging
import re
import sys
from typing import Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

DETAIL: Final = re.compile("^DETAIL:.*$", re.MULTILINE)


def open_logs(stream: TextIO | None = None) -> None:
    """Send every structlog line of this process to `stream` (standard error); called once, before the first line."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *(_text() if stream.isatty() else _json_lines())],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )


def _text() -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _json_lines() -> list[Processor]:
    return [structlog.processors.format_exc_info, _without_values, structlog.processors.JSONRenderer(serializer=_json)]


def _without_values(_: object, __: str, line: EventDict) -> EventDict:
    """PostgreSQL's DETAIL of an error tells the values of the row: "Key (email)=(ada@example.org) already exists."."""
    if "exception" in line:
        line["exception"] = DETAIL.sub("DETAIL:  (left out)", line["exception"])
    return line


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()
