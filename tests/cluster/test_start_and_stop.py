"""How the service begins and ends: preparation, the warm start, Ctrl-C, a closed terminal, systemd."""

import asyncio
import json
import os
import pty
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT, Start, free_port, until
from tests.cluster.load import ask_once, in_flight

RUN = (sys.executable, "-m", "tests.cluster.run_example")


async def test_workers_import_while_the_supervisor_prepares(start: Start) -> None:
    cluster = await start(EXAMPLE_PREPARE_S=0.5)
    await cluster.line("serving on port")
    assert json.loads((await ask_once(cluster.port, "/?facts=1"))[1]) == {
        "loop": "uvloop",
        "collector": [100_000, 50, 50, True],
        "prepared": "yes",
        "imported_early": True,
    }


async def test_failing_preparation_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    cluster = await start(EXAMPLE_PREPARE_FAILS_IF=tmp_path)
    assert await cluster.ended() == 2
    assert cluster.said()[0] == "preparing"
    assert cluster.said()[-1] == "the database is of a later version"
    assert not [line for line in cluster.lines if "is ready" in line or "Traceback" in line]


async def test_reload_is_aborted_when_preparation_fails(start: Start, tmp_path: Path) -> None:
    later = tmp_path / "later"
    cluster = await start(CLUSTER_WORKERS=1, EXAMPLE_PREPARE_FAILS_IF=later)
    await cluster.ready(1)
    before = await ask_once(cluster.port)
    later.touch()
    cluster.signal(signal.SIGHUP)
    await cluster.line("reload: the database is of a later version")
    await cluster.line("reload aborted: the processes that serve stay")
    assert await ask_once(cluster.port) == before


async def test_ctrl_c_while_preparing_stops_at_once(start: Start) -> None:
    cluster = await start(EXAMPLE_PREPARE_S=60)
    await cluster.line("preparing")
    cluster.ctrl_c()
    assert await cluster.ended() == 0
    assert [line for line in cluster.said() if "has left" not in line] == ["preparing"]


async def test_ctrl_c_answers_what_is_in_flight(start: Start, tmp_path: Path) -> None:
    cluster = await start()
    await cluster.ready(2)
    [slow] = await in_flight(cluster.port, tmp_path, "sleep_s=0.6")
    cluster.ctrl_c()
    assert (await slow)[0] == 200
    assert await cluster.ended() == 0
    assert not [line for line in cluster.lines if "Traceback" in line or "Error" in line]


async def test_closed_terminal_ends_the_service() -> None:
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the service would outlive the terminal
        os.execve(RUN[0], [*RUN, str(port)], {**os.environ, "CLUSTER_WORKERS": "1"})
    seen = b""
    while b"serving on port" not in seen:
        seen += await asyncio.to_thread(os.read, terminal, 4096)
    os.close(terminal)
    ended: list[int] = []

    def has_ended() -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        ended.extend([status] if found else [])
        return bool(found)

    await until(has_ended, "the service ends")
    assert os.waitstatus_to_exitcode(ended[0]) == 0


async def test_without_a_terminal_sighup_reloads(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.line("serving on port")
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")


async def test_systemd_gives_the_socket_and_hears_how_far_we_are(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(20)
    activated = 'exec 3<&"$1"; shift; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    with listener, systemd:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", activated, "bash", str(listener.fileno()), *RUN, "1"),
            cwd=ROOT,
            pass_fds=(listener.fileno(),),
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "CLUSTER_WORKERS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        assert await asyncio.to_thread(systemd.recv, 100) == b"READY=1"
        assert (await ask_once(listener.getsockname()[1]))[0] == 200
        process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(systemd.recv, 100) == b"RELOADING=1"
        assert await asyncio.to_thread(systemd.recv, 100) == b"READY=1"
        process.terminate()
        assert await asyncio.to_thread(systemd.recv, 100) == b"STOPPING=1"
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("descriptor", "count", "said"),
    [
        ("3</dev/null", "1", "needed a socket as descriptor 3: Socket operation on non-socket"),
        ('3<&"$1"', "1", "needed a TCP socket, got AF_UNIX SOCK_DGRAM: correct ListenStream="),
        ('3<&"$1"', "2", "needed one socket, the service's port, got 2: leave one ListenStream="),
    ],
)
async def test_what_systemd_gives_and_cannot_be_served(descriptor: str, count: str, said: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f'exec {descriptor}; shift; LISTEN_PID=$$ LISTEN_FDS={count} exec "$@"', "bash"),
            *(str(other.fileno()), *RUN, "1"),
            cwd=ROOT,
            pass_fds=(other.fileno(),),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert [line.split(maxsplit=2)[2] for line in errors.decode().splitlines()] == [f"LISTEN_FDS: {said}"]


async def test_in_process(start: Start, tmp_path: Path) -> None:
    service = await start(ENABLE_CLUSTERING="false", EXAMPLE_PREPARE_S=0)
    await service.line(f"serving on port {service.port}")
    assert service.workers() == []
    assert (await ask_once(service.port)) == (200, str(service.process.pid))
    assert json.loads((await ask_once(service.port, "/?facts=1"))[1]) == {
        "loop": "uvloop",
        "collector": [100_000, 50, 50, True],
        "prepared": "yes",
        "imported_early": False,
    }
    [slow] = await in_flight(service.port, tmp_path, "sleep_s=0.6")
    service.signal(signal.SIGTERM)
    assert (await slow)[0] == 200
    assert await service.ended() == 0
    assert service.said() == ["preparing", f"serving on port {service.port}"]


async def test_in_process_stops_at_once_when_asked_twice(start: Start, tmp_path: Path) -> None:
    service = await start(ENABLE_CLUSTERING="false", DRAIN_TIMEOUT=3600)
    await service.line("serving on port")
    [slow] = await in_flight(service.port, tmp_path, "sleep_s=3600")
    service.ctrl_c()
    await until(lambda: not _accepts(service.port), "the service no longer accepts")
    service.ctrl_c()
    assert await service.ended() == 0
    assert service.said()[-1] == "stopped at once"
    assert (await slow)[0] == 500


async def test_in_process_signals_for_a_supervisor_harm_nobody(start: Start) -> None:
    service = await start(ENABLE_CLUSTERING="false")
    await service.line("serving on port")
    for number in (signal.SIGHUP, signal.SIGTTIN):
        service.signal(number)
        await service.line("ENABLE_CLUSTERING is off", 1 + (number is signal.SIGTTIN))
    assert (await ask_once(service.port))[0] == 200
    assert service.said()[-2:] == [
        "not reloaded: ENABLE_CLUSTERING is off; restart the service",
        "not scaled: ENABLE_CLUSTERING is off",
    ]


async def test_in_process_stops_while_preparing(start: Start) -> None:
    service = await start(ENABLE_CLUSTERING="false", EXAMPLE_PREPARE_S=60)
    await service.line("preparing")
    service.ctrl_c()
    assert await service.ended() == 0
    assert service.said() == ["preparing", "stopped at once"]


async def test_in_process_failing_lifespan_is_one_clear_line(start: Start) -> None:
    service = await start(ENABLE_CLUSTERING="false", EXAMPLE_FAILS_AT="lifespan")
    assert await service.ended() == 2
    assert service.said() == ["preparing", "PostgreSQL cannot be reached"]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
