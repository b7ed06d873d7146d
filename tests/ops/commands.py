"""Runs the `rollcall` command in this process, under an environment of the test's own."""

import asyncio
from typing import Any

import orjson
from typer.testing import CliRunner, Result

from ops.cli import application

APP = application()
NOWHERE = {"STATUS_PORT": "1"}


def rollcall(*arguments: object, given: str = "", **environment: object) -> Result:
    """The outcome of a command."""
    variables = {**NOWHERE, "COLUMNS": "200", **{name: str(value) for name, value in environment.items()}}
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments], input=given, env=variables)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


async def rollcall_beside(*arguments: object, **environment: object) -> Result:
    """The same, while the event loop of the test goes on."""
    return await asyncio.to_thread(rollcall, *arguments, **environment)  # type: ignore[arg-type]


def answered(result: Result) -> Any:
    """What a command with --json printed."""
    return orjson.loads(result.stdout)
