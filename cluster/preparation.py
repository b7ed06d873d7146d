"""The process that prepares the service: started early, told what was found out, heard until it is ready.

It may have more to do afterwards, beside what serves, and never outlives this process: its input ends with us.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

from domain.errors import RollcallError


class NotPrepared(RollcallError):
    """What is in the way, in the words of the process that met it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Preparation:
    """`python -m MODULE ...`: reads a line of variables, answers with a line: ready, or an error and its exit code."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls, module: str, *arguments: str) -> "Preparation":
        """Start it; in a session of its own, since Ctrl-C is for us to answer."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", module, *arguments)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True))

    async def ready(self, environment: Mapping[str, str]) -> None:
        """Hand over the variables and wait until it is ready; raises NotPrepared when something is in the way."""
        assert self._process.stdin and self._process.stdout
        with suppress(ConnectionError):
            self._process.stdin.write(json.dumps(dict(environment)).encode() + b"\n")
            await self._process.stdin.drain()
        answer = await self._process.stdout.readline()
        if not answer:
            raise NotPrepared("the database could not be made ready; the reason stands above", 1)
        facts = json.loads(answer)
        if not facts.get("ready"):
            raise NotPrepared(facts["error"], facts["exit_code"])

    async def end(self) -> None:
        """End it, whatever it is doing."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
        await self._process.wait()
