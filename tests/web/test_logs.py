"""Log lines: JSON for machines, text at a terminal, and no values of local variables in either."""

import asyncio
import io
import os
import threading
from collections.abc import Iterator

import asyncpg
import orjson
import pytest
import structlog

from tests.web.asgi import Client, sample_app
from web.log_lines import LONGEST_WRITE
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
    await asyncio.sleep(0)
    [entry] = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert (entry["event"], entry["path"], entry["status"], entry["operation_type"]) == (
        "request",
        "/graphql",
        200,
        "query",
    )


async def test_lines_of_one_turn_are_written_together_but_no_more_than_a_pipe_takes_whole() -> None:
    ours, theirs = os.pipe()
    with open(theirs, "w") as stream:
        open_logs(stream)
        log = structlog.get_logger("rollcall.test")
        os.set_blocking(ours, False)
        log.info("first")
        log.warning("second")
        with pytest.raises(BlockingIOError):
            os.read(ours, 100)
        await asyncio.sleep(0)
        assert [orjson.loads(line)["event"] for line in os.read(ours, LONGEST_WRITE).splitlines()] == [
            "first",
            "second",
        ]
        log.info("third")
        log.info("x" * (LONGEST_WRITE - 100))
        assert orjson.loads(os.read(ours, LONGEST_WRITE))["event"] == "third"
        log.info("y" * LONGEST_WRITE)
        assert len(os.read(ours, 2 * LONGEST_WRITE)) < LONGEST_WRITE
        await asyncio.sleep(0)
        assert len(os.read(ours, 2 * LONGEST_WRITE)) > LONGEST_WRITE
    os.close(ours)


async def test_a_line_of_another_thread_is_written_at_once_and_nothing_is_lost_at_the_end() -> None:
    stream = io.StringIO()
    open_logs(stream)
    log = structlog.get_logger("rollcall.test")
    log.info("held")
    thread = threading.Thread(target=log.info, args=("of a thread",))
    thread.start()
    thread.join()
    assert [orjson.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["held", "of a thread"]
    log.info("last")
    assert "last" not in stream.getvalue()
    structlog.get_config()["logger_factory"]().write()  # as at the end of the process
    assert "last" in stream.getvalue()
