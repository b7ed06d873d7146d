"""A Valkey of the test's own, which it may stop, freeze, kill and start again at the same address."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from db.embedded.binaries import valkey_server


class Valkey:
    """Listens on the socket `path`; `settings` are options of the program."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.path = folder / "kv.sock"
        self._folder = folder
        self._settings = {"save": "", "appendonly": "no"} | settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        command: list[str | Path] = [
            valkey_server(),
            "--port",
            "0",
            "--unixsocket",
            self.path,
            "--dir",
            self._folder,
            *options,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while self._answer("PING") != "+PONG":
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.005)

    def ask(self, command: str) -> str:
        """The first line of the answer to a command."""
        answer = self._answer(command)
        assert not answer.startswith("-"), answer
        return answer

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own; close it."""
        return redis.Redis(unix_socket_path=os.fspath(self.path))

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        self.path.unlink(missing_ok=True)

    def follow(self, primary: "Valkey | None") -> None:
        """Be the replica of another one from the next start on, or of none."""
        self._settings.pop("replicaof", None)
        if primary is not None:
            self._settings["replicaof"] = f"127.0.0.1 {primary._settings['port']}"

    def freeze(self, *, on: bool = True) -> None:
        """Stop it with SIGSTOP, or let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def restart(self) -> None:
        """Crash and come back, empty unless it was told to save."""
        self.kill()
        self.start()

    def _answer(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(os.fspath(self.path))
                client.sendall(command.encode() + b"\r\n")
                return client.makefile().readline().strip()
            except OSError:
                return ""


@contextmanager
def private_valkey(**settings: str) -> Iterator[Valkey]:
    """A Valkey that is gone at the end."""
    with TemporaryDirectory(prefix="rc-") as folder:
        valkey = Valkey(Path(folder), **settings)
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.kill()
