"""Writes log lines: those of one turn of the event loop together, since a write costs as much as making the line."""

import asyncio
import atexit
import threading
from typing import Final, TextIO

LONGEST_WRITE: Final = 4_096
"""Nothing of another process comes between so many bytes in a pipe (PIPE_BUF); what is longer is written alone."""


class LogLines:
    """Where structlog's lines go; without an event loop, as from other threads, each is written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._held: list[str] = []
        self._length = 0
        atexit.register(self.write)

    def msg(self, line: str) -> None:
        """Write a line by the end of this turn."""
        with self._lock:
            if self._length + len(line) >= LONGEST_WRITE:
                self._write()
            first = not self._held
            self._held.append(f"{line}\n")
            self._length += len(line) + 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write()
        else:
            if first:
                loop.call_soon(self.write)

    debug = info = warning = error = critical = msg

    def write(self) -> None:
        """Write what is held."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._held:
            lines = "".join(self._held)
            self._held.clear()
            self._length = 0
            self._stream.write(lines)
            self._stream.flush()
