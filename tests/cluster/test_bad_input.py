"""The whole service with wrong settings: one clear line, a non-zero exit, no traceback."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT, free_port


def refused(**variables: object) -> tuple[int, list[str]]:
    """How the service ends, and what it says."""
    given = {"PORT": "0", "STATUS_PORT": "0", **{name: str(value) for name, value in variables.items()}}
    process = subprocess.run(
        [sys.executable, "server.py"],
        cwd=ROOT,
        env={**os.environ, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.stdout == ""
    return process.returncode, process.stderr.splitlines()


@pytest.mark.parametrize("wrong", ["abc", "0", "10000", "-1", "2.5"])
def test_number_of_workers(wrong: str) -> None:
    assert refused(CLUSTER_WORKERS=wrong) == (
        2,
        [f"CLUSTER_WORKERS: needed a whole number from 1 to 256, got {wrong!r}"],
    )


def test_every_wrong_variable_has_its_line() -> None:
    code, lines = refused(PORT="70000", STATUS_TOKEN="short", DRAIN_TIMEOUT="soon")
    assert code == 2
    assert [line.partition(":")[0] for line in lines] == ["PORT", "STATUS_TOKEN", "DRAIN_TIMEOUT"]
    assert "short" not in lines[1]


@pytest.mark.parametrize("name", ["PORT", "STATUS_PORT"])
def test_taken_port(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused(**{name: port}) == (
            2,
            [f"{name}: 127.0.0.1:{port} is taken by another program; stop it or set {name} to a free port"],
        )


def test_address_of_another_machine() -> None:
    assert refused(STATUS_HOST="192.0.2.1") == (
        2,
        ["STATUS_HOST: needed an address of this machine, got '192.0.2.1'"],
    )


def test_two_services_on_one_data_folder(tmp_path: Path) -> None:
    with (tmp_path / "service.lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, lines = refused(DATA_DIR=tmp_path, DATABASE_URL="", REDIS_URL="", DB_HOST="")
    assert (code, lines) == (
        2,
        [f"DATA_DIR: {tmp_path} is in use by the Rollcall of process 4711; stop it, or set DATA_DIR to another"],
    )
    assert {path.name for path in tmp_path.iterdir()} == {"service.lock"}


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, lines = refused(DATA_DIR=tmp_path / "file", DATABASE_URL="", REDIS_URL="", DB_HOST="")
    assert (code, lines) == (
        2,
        [f"DATA_DIR: {tmp_path / 'file'} cannot be written: Not a directory; set DATA_DIR to a folder that can"],
    )


def test_database_that_cannot_be_reached(tmp_path: Path) -> None:
    address = f"postgresql://rollcall:geheim@127.0.0.1:{free_port()}/rollcall"
    code, lines = refused(DATABASE_URL=address, REDIS_URL="redis://127.0.0.1:1/0", DATA_DIR=tmp_path, CLUSTER_WORKERS=1)
    assert code == 2
    assert not [line for line in lines if "Traceback" in line or "geheim" in line]
    assert "the database could not be made ready; the reason stands above" in lines
