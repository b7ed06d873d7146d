"""The whole service with wrong settings: one clear line, a non-zero exit, no traceback."""

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from db.migrated import newest_file
from tests.cluster.certificates import write_pair
from tests.cluster.conftest import ROOT, free_port
from tests.kit.databases import Databases
from web.signing_key import kept_key


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


def test_one_port_for_both() -> None:
    port = free_port()
    assert refused(PORT=port, STATUS_PORT=port) == (
        2,
        [f"STATUS_PORT: needed another port than PORT, got {port} for both"],
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


def with_servers_of_others(tmp_path: Path, **variables: object) -> tuple[int, list[str]]:
    kept_key(key := tmp_path / "auth.key")
    given = {"REDIS_URL": "redis://127.0.0.1:1/0", "AUTH_PRIVATE_KEY_FILE": key, "DATA_DIR": tmp_path, **variables}
    return refused(CLUSTER_WORKERS=1, **given)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DB_HOST"])
def test_database_that_cannot_be_reached(tmp_path: Path, variable: str) -> None:
    port = free_port()
    given = {
        "DATABASE_URL": {"DATABASE_URL": f"postgresql://rollcall:geheim@127.0.0.1:{port}/rollcall"},
        "DB_HOST": {"DATABASE_URL": "", "DB_HOST": "127.0.0.1", "DB_PORT": port, "DB_PASSWORD": "geheim"},
    }[variable]
    code, lines = with_servers_of_others(tmp_path, **given)
    needed = f"{variable}: needed a PostgreSQL that answers, got postgresql://rollcall:***@127.0.0.1"
    reason = f"[Errno 111] Connect call failed ('127.0.0.1', {port}); start it or correct it"
    assert (code, lines) == (3, [f"{needed}:{port}/rollcall: {reason}"])


def test_database_that_does_not_exist(databases: Databases, tmp_path: Path) -> None:
    url = databases.url_of("nowhere")
    shown = url.replace("+asyncpg", "")
    assert with_servers_of_others(tmp_path, DATABASE_URL=url) == (
        2,
        [f'DATABASE_URL: needed a PostgreSQL that lets us in, got {shown}: database "nowhere" does not exist'],
    )


NEWER = f"has migration 9999, this version knows those up to {newest_file()}"


@pytest.mark.parametrize(
    ("migration", "problem"),
    [
        ("9999", f"the database {NEWER}: start a newer Rollcall on it, or name another database"),
        (
            "0005",
            'it does not hold what its alembic_version says (relation "frequent_operation" already exists):'
            " restore both together, or name an empty database",
        ),
    ],
)
async def test_database_of_a_wrong_version(databases: Databases, tmp_path: Path, migration: str, problem: str) -> None:
    url = await asyncio.to_thread(databases.new)
    server = make_url(url)
    connection = await asyncpg.connect(host=server.query["host"], user=server.username, database=server.database)
    await connection.execute("UPDATE alembic_version SET version_num = $1", migration)
    await connection.close()
    code, lines = await asyncio.to_thread(with_servers_of_others, tmp_path, DATABASE_URL=url)
    await asyncio.to_thread(databases.drop, url)
    assert (code, lines) == (2, [f"DATABASE_URL: {problem}"])


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", "postgresql://ada:geheim@db:port/x"), ("REDIS_URL", "redis://cache:0/0")]
)
def test_address_with_a_wrong_port(name: str, value: str) -> None:
    code, lines = refused(**{name: value})
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"{name}: needed an address like ")
    assert "geheim" not in lines[0]


@pytest.mark.parametrize(
    "private",
    [{"DATABASE_URL": "", "REDIS_URL": "", "DB_HOST": ""}, {"DATABASE_URL": "postgresql://ada@127.0.0.1:1/x"}],
)
def test_key_that_is_none(tmp_path: Path, private: dict[str, str]) -> None:
    code, lines = refused(AUTH_PRIVATE_KEY="geheim", DATA_DIR=tmp_path, **private)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(
        "AUTH_PRIVATE_KEY: needed an unencrypted Ed25519 private key (PEM or JWK), got something"
    )
    assert not (tmp_path / "embedded.json").exists()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PG_BINDIR", "/nope", "needed a folder with postgres, initdb, pg_ctl, psql, got '/nope' without postgres"),
        (
            "VALKEY_SERVER",
            "/bin/false",
            "needed valkey-server or redis-server, got '/bin/false', which ended with code 1 and no version",
        ),
        (
            "VALKEY_SERVER",
            "/nope",
            "needed valkey-server or redis-server, got '/nope', which cannot be run: No such file or directory",
        ),
    ],
)
def test_programs_that_are_none(tmp_path: Path, name: str, value: str, problem: str) -> None:
    variables = {"DATABASE_URL": "", "REDIS_URL": "", "DB_HOST": "", name: value}
    assert refused(DATA_DIR=tmp_path, **variables) == (2, [f"{name}: {problem}; correct or unset it"])


def refused_certificate(tmp_path: Path, **variables: object) -> str:
    """The one line about it."""
    code, lines = with_servers_of_others(tmp_path, DATABASE_URL="postgresql://ada@127.0.0.1:1/x", **variables)
    assert (code, len(lines)) == (2, 1), lines
    return lines[0]


def test_certificate_without_its_key(tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    one, other = files
    assert refused_certificate(tmp_path, **{one: files[one]}) == f"{other}: needed with {one}, got none"
    assert refused_certificate(tmp_path, **{other: files[other]}) == f"{one}: needed with {other}, got none"


@pytest.mark.parametrize("name", ["TLS_CERT_FILE", "TLS_KEY_FILE"])
def test_certificate_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    line = refused_certificate(tmp_path, **(write_pair(tmp_path) | {name: "/nope"}))
    assert line == f"{name}: needed a file that can be read, got '/nope': No such file or directory"


def test_certificate_that_is_none(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_text("geheim")
    line = refused_certificate(tmp_path, **(write_pair(tmp_path) | {"TLS_CERT_FILE": path}))
    assert line == f"TLS_CERT_FILE: needed a certificate in PEM, got something else in {str(path)!r}"


def test_certificate_with_another_key(tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    key = write_pair(other)["TLS_KEY_FILE"]
    line = refused_certificate(tmp_path, **(write_pair(tmp_path) | {"TLS_KEY_FILE": key}))
    needed = "needed the private key of the certificate in TLS_CERT_FILE"
    assert line == f"TLS_KEY_FILE: {needed}, got another one in {key!r}"


def test_certificate_whose_key_has_a_passphrase(tmp_path: Path) -> None:
    files = write_pair(tmp_path, passphrase=b"geheim")
    needed = "needed a private key in PEM without a passphrase"
    line = f"TLS_KEY_FILE: {needed}, got something else in {files['TLS_KEY_FILE']!r}"
    assert refused_certificate(tmp_path, **files) == line


def test_http2_that_is_neither_on_nor_off(tmp_path: Path) -> None:
    assert refused_certificate(tmp_path, HTTP2="perhaps") == "HTTP2: needed on or off, got 'perhaps'"
