"""The keeper process: owns both servers, restarts one that dies, and stops them when the last lease is gone."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from db.embedded.binaries import EmbeddedServerError, postgres_bindir, valkey_server
from db.embedded.privileges import before_exec, require_unprivileged_children

START_LIMIT_S, STOP_LIMIT_S, POLL_S = 60, 20, 0.1
STOP_SIGNALS = (("postgres", signal.SIGINT, signal.SIGQUIT), ("valkey", signal.SIGTERM, signal.SIGKILL))
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "wal_level": "logical",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "compute_query_id": "on",
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "auto_explain.log_min_duration": "200ms",
    "auto_explain.log_format": "json",
    "auto_explain.log_verbose": "on",  # else a plan does not tell its queryid
    "auto_explain.log_parameter_max_length": "0",
}
BOOTSTRAP = """\
select 'create role app login createdb' where not exists (select from pg_roles where rolname = 'app') \\gexec
grant pg_monitor to app;
\\c template1
create extension if not exists btree_gist; create extension if not exists citext;
create extension if not exists pg_trgm; create extension if not exists pg_stat_statements;
grant execute on function pg_stat_statements_reset to app;
select 'create database rollcall owner app'
 where not exists (select from pg_database where datname = 'rollcall') \\gexec
"""


class Keeper:
    """Both servers of one data folder."""

    def __init__(self, data: Path, postgres_settings: dict[str, str]) -> None:
        self.data = data
        self.settings = SETTINGS | postgres_settings
        self.bindir, self.valkey_program = postgres_bindir(), valkey_server()
        version = subprocess.check_output([self.bindir / "postgres", "--version"], text=True)
        self.pgdata = data / f"pg{version.split()[2].split('.')[0]}"
        self.run_dir = self._new_run_dir()

    def _new_run_dir(self) -> Path:
        """A short folder for sockets (a socket path holds 107 bytes); that of a killed keeper is removed."""
        note = self.data / "run"
        if note.exists():
            shutil.rmtree(note.read_text(), ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="rc-"))
        note.write_text(str(folder))
        return folder

    def start(self) -> None:
        """Make the cluster if there is none, start both servers and wait until they answer."""
        self._initialise()
        self._wait_for_predecessor()
        self.postgres, self.valkey = self._start_postgres(), self._start_valkey()
        deadline = time.monotonic() + START_LIMIT_S
        while not self._ready():
            for name, server, log in (
                ("PostgreSQL", self.postgres, "postgres.log"),
                ("Valkey", self.valkey, "valkey.log"),
            ):
                if server.poll() is not None:
                    raise EmbeddedServerError(
                        f"DATA_DIR: the private {name} did not start in {self.data}: {self._last_words(log)}"
                    )
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"the private servers did not answer within {START_LIMIT_S} s; see the logs in {self.data}"
                )
            time.sleep(0.01)
        self._bootstrap()

    def _wait_for_predecessor(self) -> None:
        """Give the PostgreSQL of a keeper that was killed the time to shut down."""
        deadline = time.monotonic() + STOP_LIMIT_S
        while self._predecessor_lives() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _predecessor_lives(self) -> bool:
        with contextlib.suppress(OSError, IndexError):
            pid = (self.pgdata / "postmaster.pid").read_text().split()[0]
            return os.fsencode(self.pgdata) in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False

    def _last_words(self, log: str) -> str:
        lines = (self.data / log).read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"{lines[-1].strip()} (log: {self.data / log})"

    def _initialise(self) -> None:
        if (self.pgdata / "PG_VERSION").exists():
            return
        half = self.pgdata.with_suffix(".new")  # renamed when whole: a kill leaves no half cluster
        shutil.rmtree(half, ignore_errors=True)
        command: list[Path | str] = [
            self.bindir / "initdb",
            "-D",
            half,
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.pgdata.name >= "pg17" else []
        self._run([*command, "--no-instructions", *builtin])
        half.rename(self.pgdata)

    def _run(self, command: Sequence[Path | str], given: str = "") -> None:
        """Run a program of PostgreSQL; raises EmbeddedServerError with its first complaint."""
        found = subprocess.run(
            command,
            check=False,
            cwd="/",
            input=given,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=before_exec(),
        )
        if found.returncode:
            said = [
                line for line in found.stderr.splitlines() if re.search("error|fatal|could not", line, re.IGNORECASE)
            ]
            reason = said[0].strip() if said else f"{Path(command[0]).name} ended with code {found.returncode}"
            raise EmbeddedServerError(
                f"DATA_DIR: no private PostgreSQL can be made in {self.data}: {reason}; correct that, or set DATA_DIR"
            )

    def _log(self, name: str) -> IO[bytes]:
        return (self.data / name).open("ab")

    def _start_postgres(self) -> subprocess.Popen[bytes]:
        settings = self.settings | {"unix_socket_directories": str(self.run_dir)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._spawn([self.bindir / "postgres", "-D", self.pgdata, *options], "postgres.log", signal.SIGINT)

    def _start_valkey(self) -> subprocess.Popen[bytes]:
        command: list[Path | str] = [self.valkey_program, "--port", "0", "--unixsocket", self.run_dir / "kv.sock"]
        limits = ["--unixsocketperm", "700", "--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]
        volatile: list[Path | str] = ["--save", "", "--appendonly", "no", "--dir", self.data]
        return self._spawn([*command, *limits, *volatile], "valkey.log", signal.SIGTERM, unprivileged=False)

    def _spawn(
        self, command: list[Path | str], log: str, death_signal: int, *, unprivileged: bool = True
    ) -> subprocess.Popen[bytes]:
        with self._log(log) as out:
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=before_exec(death_signal, unprivileged=unprivileged),
            )

    def _ready(self) -> bool:
        pid = self.pgdata / "postmaster.pid"
        if not pid.exists() or not pid.read_text().rstrip().endswith("ready"):
            return False
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(self.run_dir / "kv.sock"))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False

    def _bootstrap(self) -> None:
        done = self.data / f"{self.pgdata.name}.bootstrapped"
        if done.exists():
            return
        command: list[Path | str] = [
            self.bindir / "psql",
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.run_dir,
            "-U",
            "postgres",
        ]
        self._run([*command, "-p", self.settings["port"], "-d", "postgres"], BOOTSTRAP)
        done.touch()

    def describe(self) -> bytes:
        """What a lease holder needs to know, as JSON."""
        url = f"postgresql+asyncpg://app@/rollcall?host={self.run_dir}&port={self.settings['port']}"
        facts = {"database_url": url, "redis_url": f"unix://{self.run_dir}/kv.sock", "bindir": str(self.bindir)}
        return msgspec.json.encode(facts | {"postgres_pid": self.postgres.pid, "valkey_pid": self.valkey.pid})

    def keep(self, start: IO[str], leases: IO[str]) -> None:
        """Restart a server that dies; return when nobody holds a lease and nobody is just arriving."""
        while not _last_one_left(start, leases):
            time.sleep(POLL_S)
            if self.postgres.poll() is not None:
                self.postgres = self._start_postgres()
            if self.valkey.poll() is not None:
                self.valkey = self._start_valkey()

    def stop(self) -> None:
        """Fast shutdown of what runs, and no socket left behind."""
        for name, polite, last in STOP_SIGNALS:
            if server := getattr(self, name, None):
                server.send_signal(polite)
                try:
                    server.wait(STOP_LIMIT_S)
                except subprocess.TimeoutExpired:
                    server.send_signal(last)
                    server.wait()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        (self.data / "run").unlink(missing_ok=True)


def _last_one_left(start: IO[str], leases: IO[str]) -> bool:
    """True, with both locks taken, when no lease is held; a newcomer then waits until the keeper is gone."""
    try:
        fcntl.flock(start, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        fcntl.flock(leases, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(start, fcntl.LOCK_UN)
        return False
    return True


def main(data: Path, postgres_settings: dict[str, str]) -> None:
    """Run the keeper of `data`; prints READY once both servers answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    facts = data / "embedded.json"
    # closed in reverse: a newcomer who waits for start.lock must find keeper.lock free when it gets it
    with (data / "start.lock").open("w") as start, (data / "keeper.lock").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        with (data / "lease.lock").open("w") as leases:
            require_unprivileged_children()
            keeper = Keeper(data, postgres_settings)
            try:
                keeper.start()
                facts.write_bytes(keeper.describe())
                with contextlib.suppress(BrokenPipeError):  # who asked was killed meanwhile: the leases tell
                    os.write(1, b"READY\n")
                keeper.keep(start, leases)
            finally:
                facts.unlink(missing_ok=True)
                keeper.stop()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=dict[str, str]))
    except EmbeddedServerError as error:
        sys.exit(error.message)
    except (subprocess.SubprocessError, OSError) as error:
        sys.exit(f"DATA_DIR: the private servers do not run in {sys.argv[1]}: {error}")
