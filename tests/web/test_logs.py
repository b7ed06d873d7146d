"""Log lines: JSON for machines, text at a terminal, and no values of local variables in either."""

import io
from collections.abc import Iterator

import asyncpg
import orjson
import pytest
import structlog

from tests.web.asgi import Client, sample_app
from web.logs import open_logs


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def fail() -> None:
    password = "hunter2"
    raise RuntimeError(f"no entry with {len(password)} letters")


def log_a_failure() -> None:
    log = structlog.get_logger("rollcall.test")
    log.debug("not worth a line")
    try:
        fail()
    except RuntimeError as error:
        log.error("it failed", day=42, exc_info=error, shape={1, 2}.__class__)


def test_json_lines() -> None:
    stream = io.StringIO()
    open_logs(stream)
    log_a_failure()
    [line] = stream.getvalue().splitlines()
    entry = orjson.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry.pop("exception").splitlines()[-1] == "RuntimeError: no entry with 7 letters"
    assert entry == {"event": "it failed", "level": "error", "day": 42, "shape": "<class 'set'>"}
    assert "hunter2" not in line


def test_what_postgresql_tells_of_a_row_is_left_out() -> None:
    stream = io.StringIO()
    open_logs(stream)
    error = asyncpg.UniqueViolationError("duplicate key value violates unique constraint")
    error.detail = "Key (email)=(ada@example.org) already exists."
    try:
        raise RuntimeError("the change failed") from error
    except RuntimeError as failure:
        structlog.get_logger("rollcall.test").error("it failed", exc_info=failure)
    entry = orjson.loads(stream.getvalue())
    assert "duplicate key value violates unique constraint\nDETAIL:  (left out)\n" in entry["exception"]
    assert "ada@" not in stream.getvalue()


def test_text_at_a_terminal() -> None:
    stream = Terminal()
    open_logs(stream)
    log_a_failure()
    text = stream.getvalue()
    assert "it failed" in text
    assert "RuntimeError: no entry with 7 letters" in text
    assert "hunter2" not in text
    assert "not worth a line" not in text


async def test_a_request_is_one_line_and_a_probe_none() -> None:
    stream = io.StringIO()
    open_logs(stream)
    client = Client(sample_app())
    await client.query("{hello}")
    await client.reply("GET", "/healthz")
    [entry] = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert (entry["event"], entry["path"], entry["status"], entry["operation_type"]) == (
        "request",
        "/graphql",
        200,
        "query",
    )
