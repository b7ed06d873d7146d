"""The embedded servers: started once, kept while leased, gone with the last holder, with the data still there."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from db.embedded import EmbeddedServerError, EmbeddedServers, lease
from db.embedded.binaries import postgres_bindir
from db.embedded.lease import CHECKOUT, FOR_TESTS


def until(holds: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def value(servers: EmbeddedServers, sql: str) -> object:
    host = servers.database_url.split("host=")[1].split("&")[0]
    connection = await asyncpg.connect(host=host, port=5432, user="app", database="rollcall")
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_both_servers_answer_and_the_data_survives_a_restart(tmp_path: Path) -> None:
    with lease(tmp_path, postgres_settings=FOR_TESTS) as servers:
        assert await value(servers, "select rolsuper from pg_roles where rolname = current_user") is False
        extensions = "select string_agg(extname, ' ' order by extname) from pg_extension where extname <> 'plpgsql'"
        assert await value(servers, extensions) == "btree_gist citext pg_stat_statements pg_trgm"
        await value(servers, "create table kept as select 42 as answer")
        with redis.Redis(unix_socket_path=servers.redis_url.removeprefix("unix://")) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
        with lease(tmp_path) as second:
            assert second == servers
    until(lambda: not alive(servers.postgres_pid) and not alive(servers.valkey_pid))
    with lease(tmp_path, postgres_settings=FOR_TESTS) as again:
        assert await value(again, "select answer from kept") == 42


def test_a_killed_holder_leaves_no_server_and_no_socket(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from db.embedded import lease\n"
        "with lease(pathlib.Path(sys.argv[1]), postgres_settings={'fsync': 'off'}) as s:\n"
        "    print(s.postgres_pid, s.valkey_pid, s.redis_url, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        postgres, valkey, socket_url = holder.stdout.readline().split()
        assert alive(int(postgres)) and alive(int(valkey))
        holder.kill()
    until(lambda: not alive(int(postgres)) and not alive(int(valkey)))
    until(lambda: not Path(socket_url.removeprefix("unix://")).parent.exists())


def test_missing_programs_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PG_BINDIR", raising=False)
    monkeypatch.setattr("db.embedded.binaries._postgres_folders", lambda: iter([tmp_path]))
    with pytest.raises(EmbeddedServerError, match=r"no PostgreSQL: .* or set DATABASE_URL"):
        postgres_bindir()


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = r"cannot write to the data folder .*file/x: Not a directory; set DATA_DIR"
    with pytest.raises(EmbeddedServerError, match=wanted), lease(tmp_path / "file" / "x"):
        raise AssertionError("no lease can be had here")


def test_a_server_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    wanted = r"^DATA_DIR: the private PostgreSQL did not start in .*: .*nonsense.* \(log: .*\)$"
    with pytest.raises(EmbeddedServerError, match=wanted), lease(tmp_path, postgres_settings={"nonsense": "1"}):
        raise AssertionError("no lease can be had here")


def test_a_data_folder_that_takes_no_more_is_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib; from db.embedded import EmbeddedServerError, lease\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        "    with lease(pathlib.Path(sys.argv[1])): pass\n"
        "except EmbeddedServerError as error: print(error.message)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True)
    assert said.stderr == "" and said.stdout.count("\n") == 1
    assert said.stdout.startswith(f"DATA_DIR: no private PostgreSQL can be made in {tmp_path}: ")
    assert said.stdout.endswith("; correct that, or set DATA_DIR\n")


def test_a_start_waits_for_the_postgresql_of_a_killed_keeper(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from db.embedded import lease\n"
        "with lease(pathlib.Path(sys.argv[1])) as s:\n"
        "    print(s.postgres_pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        postgres = psutil.Process(int(holder.stdout.readline()))
        postgres.suspend()  # it takes its time to shut down
        keeper = postgres.parent()
        assert keeper is not None
        keeper.kill()
        holder.kill()
    with ThreadPoolExecutor(1) as beside:
        again = beside.submit(held_once, tmp_path)
        until(lambda: (tmp_path / "run").read_text() not in ("", socket_folder_of(postgres)))
        postgres.resume()
        assert again.result(30) != postgres.pid


def held_once(data: Path) -> int:
    with lease(data) as servers:
        return servers.postgres_pid


def socket_folder_of(postgres: psutil.Process) -> str:
    return next(part.split("=")[1] for part in postgres.cmdline() if part.startswith("unix_socket_directories="))
