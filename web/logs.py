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

from telemetry.clock import utc_now
from web.log_lines import LogLines

DETAIL: Final = re.compile("^DETAIL:.*$", re.MULTILINE)


def open_logs(stream: TextIO | None = None) -> None:
    """Send every structlog line of this process to `stream` (standard error); called once, before the first line."""
    stream = stream or sys.stderr
    lines = LogLines(stream)
    structlog.configure(
        processors=_text() if stream.isatty() else [_line_of_json],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines,
    )


def _text() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]


def _line_of_json(logger: object, level: str, line: EventDict) -> str:
    """All in one step: structlog's own steps take longer than the rest of a line."""
    line["level"] = level
    line["timestamp"] = utc_now()
    if "exc_info" in line:
        line = _without_values(structlog.processors.format_exc_info(logger, level, line))
    return orjson.dumps(line, default=repr, option=orjson.OPT_UTC_Z).decode()


def _without_values(line: EventDict) -> EventDict:
    """PostgreSQL's DETAIL of an error tells the values of the row: "Key (email)=(ada@example.org) already exists."."""
    if "exception" in line:
        line["exception"] = DETAIL.sub("DETAIL:  (left out)", line["exception"])
    return line
