"""The supervisor under load and under fire."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import psutil

from tests.cluster.conftest import Start, free_port, until
from tests.cluster.load import Load, WebSocket, ask_once, in_flight


async def test_killed_worker_is_replaced_while_the_others_serve(start: Start) -> None:
    cluster = await start()
    await cluster.ready(2)
    async with Load(cluster.port) as load:
        await load.more(200)
        victim = cluster.workers()[0]
        victim.kill()
        await cluster.line(r"worker \d+ killed by SIGKILL; replaced in 0 s")
        await load.more(200)
        await cluster.ready(3)
        await load.more(200)
    assert load.failures.total() <= load.clients, "only what was in flight on the dead worker may fail"
    assert victim.pid not in [worker.pid for worker in cluster.workers()]
    assert len(cluster.workers()) == 2


async def test_rolling_reload_and_scaling_lose_nothing(start: Start) -> None:
    cluster = await start(DRAIN_TIMEOUT=5)
    await cluster.ready(2)
    before = {worker.pid for worker in cluster.workers()}
    async with Load(cluster.port) as kept, Load(cluster.port, clients=4, keep_alive=False) as fresh:
        await kept.more(200)
        cluster.signal(signal.SIGHUP)
        await cluster.line("reloaded")
        await cluster.line("worker . has left", 2)
        await kept.more(200)
        cluster.signal(signal.SIGTTIN)
        await cluster.ready(5)
        await kept.more(200)
        cluster.signal(signal.SIGTTOU)
        await cluster.line("worker 3 has left")
        cluster.signal(signal.SIGTTOU)
        await cluster.line("worker 2 has left", 2)
        await kept.more(200)
    assert (kept.failures, fresh.failures) == ({}, {})
    assert fresh.total > 100
    assert before.isdisjoint(worker.pid for worker in cluster.workers())
    assert len(cluster.workers()) == 1


async def test_reload_is_aborted_when_the_new_code_does_not_start(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    cluster = await start(EXAMPLE_BROKEN_IF=broken)
    await cluster.ready(2)
    before = {worker.pid for worker in cluster.workers()}
    broken.touch()
    async with Load(cluster.port, clients=4) as load:
        await load.more(50)
        cluster.signal(signal.SIGHUP)
        await cluster.line("worker 1 cannot start: RuntimeError: the new code is broken$")
        await cluster.line("reload aborted: the processes that serve stay")
        await load.more(50)
    assert load.failures == {}
    assert {worker.pid for worker in cluster.workers()} == before


async def test_a_reload_takes_changed_settings_or_says_what_is_wrong_with_them(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("CLUSTER_WORKERS=1\nMAX_WORKER_RESTARTS=0\n")
    cluster = await start(CLUSTER_WORKERS="", ENV_FILE=file)
    await cluster.ready(1)
    file.write_text("CLUSTER_WORKERS=many\n")
    cluster.signal(signal.SIGHUP)
    await cluster.line("reload: CLUSTER_WORKERS: needed a whole number from 1 to 256, got 'many'$")
    await cluster.line("reload aborted: the processes that serve stay")
    file.write_text("CLUSTER_WORKERS=3\nWORKER_RESTART_DELAY=50\n")
    cluster.signal(signal.SIGHUP)
    await cluster.ready(4)
    assert len(cluster.workers()) == 3
    cluster.workers()[0].kill()
    await cluster.line("killed by SIGKILL; replaced in 0 s")
    await cluster.ready(5)
    file.write_text("CLUSTER_WORKERS=1\n")
    cluster.signal(signal.SIGHUP)
    await cluster.line("worker . has left", 4)
    assert len(cluster.workers()) == 1


async def test_a_reload_for_other_settings_keeps_the_number_of_workers_that_was_asked_for(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    cluster.signal(signal.SIGTTIN)
    await cluster.ready(2)
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    await cluster.line("worker . has left", 2)
    assert len(cluster.workers()) == 2


async def test_storm_of_deaths_stops_at_the_limit(start: Start) -> None:
    cluster = await start(MAX_WORKER_RESTARTS=3, WORKER_RESTART_DELAY=20)
    await cluster.ready(2)
    for deaths in range(1, 4):
        cluster.workers()[0].kill()
        await cluster.ready(2 + deaths)
    cluster.workers()[0].kill()
    line = await cluster.line("limit")
    assert re.search(
        r"killed by SIGKILL; the limit of 3 replacements in 60 s is reached: 1 others serve, next try in", line
    )
    assert (await ask_once(cluster.port))[0] == 200
    cluster.workers()[0].kill()
    assert await cluster.ended() == 1
    assert re.search(r"giving up: worker . killed by SIGKILL, .* and no worker is left$", cluster.lines[-1])


async def test_worker_that_dies_while_starting_never_loops_hot(start: Start) -> None:
    started = time.monotonic()
    cluster = await start(
        CLUSTER_WORKERS=1,
        EXAMPLE_FAILS_AT="start",
        MAX_WORKER_RESTARTS=3,
        WORKER_RESTART_DELAY=100,
        WORKER_RESTART_WINDOW=20,
    )
    assert await cluster.ended() == 1
    assert time.monotonic() - started > 0.7, "0.1 + 0.2 + 0.4 s of waiting"
    waits = [
        match[1] for line in cluster.lines if (match := re.search(r"before it was ready; replaced in (.*) s", line))
    ]
    assert waits == ["0.1", "0.2", "0.4"]
    assert cluster.lines[-1].endswith(
        "giving up: worker 1 ended with code 3 before it was ready, "
        "the limit of 3 replacements in 20 s is reached and no worker is left"
    )


async def test_code_that_does_not_import_is_not_tried_again(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, EXAMPLE_FAILS_AT="import")
    assert await cluster.ended() == 1
    assert cluster.said() == [
        "preparing",
        "worker 1 cannot start: no module named nothing (ImportError at example.py:16)",
        "giving up: worker 1 ended with code 78 before it was ready, and would again",
    ]


async def test_failing_lifespan_is_one_clear_line(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, EXAMPLE_FAILS_AT="lifespan", MAX_WORKER_RESTARTS=0)
    assert await cluster.ended() == 1
    assert cluster.said() == [
        "preparing",
        "worker 1 cannot start: PostgreSQL cannot be reached",
        "giving up: worker 1 ended with code 1 before it was ready, "
        "the limit of 0 replacements in 60 s is reached and no worker is left",
    ]


async def test_stop_answers_what_is_in_flight(start: Start, tmp_path: Path) -> None:
    cluster = await start()
    await cluster.ready(2)
    slow = await in_flight(cluster.port, tmp_path, "sleep_s=1", 8)
    cluster.signal(signal.SIGTERM)
    assert [status for status, _ in await asyncio.gather(*slow)] == [200] * 8
    assert await cluster.ended() == 0
    assert len([line for line in cluster.lines if "has left" in line and "ended with code 0" in line]) == 2


async def test_second_signal_stops_at_once(start: Start, tmp_path: Path) -> None:
    cluster = await start(CLUSTER_WORKERS=1, DRAIN_TIMEOUT=3600)
    await cluster.ready(1)
    slow = await in_flight(cluster.port, tmp_path, "sleep_s=3600")
    cluster.signal(signal.SIGINT)
    cluster.signal(signal.SIGTERM)
    assert await cluster.ended() == 0
    assert "asked to stop again: stopping at once" in cluster.said()
    assert isinstance((await asyncio.gather(*slow, return_exceptions=True))[0], Exception)


async def test_nothing_outlives_a_killed_supervisor(start: Start) -> None:
    cluster = await start()
    await cluster.ready(2)
    workers = cluster.workers()
    assert len(workers) == 2
    cluster.process.kill()
    await until(lambda: not any(worker.is_running() for worker in workers), "the workers are gone")
    again = await start(cluster.port)
    await again.ready(2)
    assert (await ask_once(again.port))[0] == 200


async def test_stopped_worker_does_not_outlive_the_supervisor(start: Start, tmp_path: Path) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    worker = cluster.workers()[0]
    busy = await in_flight(cluster.port, tmp_path, "block_s=3600")
    cluster.process.kill()
    await until(lambda: not worker.is_running(), "a worker with a blocked event loop is gone")
    assert isinstance((await asyncio.gather(*busy, return_exceptions=True))[0], Exception)


async def test_silent_worker_is_replaced(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, WORKER_SILENCE_LIMIT=2)
    await cluster.ready(1)
    hung = cluster.workers()[0]
    hung.suspend()
    await cluster.line(rf"worker 1 \(process {hung.pid}\) was silent for 2 s: killed")
    await cluster.ready(2)
    assert (await ask_once(cluster.port))[1] != str(hung.pid)


async def test_worker_with_a_blocked_event_loop_is_replaced(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, WORKER_SILENCE_LIMIT=2)
    await cluster.ready(1)
    [hung] = cluster.workers()
    blocking = asyncio.create_task(ask_once(cluster.port, "/?block_s=3600"))
    await cluster.line(rf"worker 1 \(process {hung.pid}\) was silent for 2 s: killed")
    await cluster.ready(2)
    assert (await ask_once(cluster.port))[1] != str(hung.pid)
    assert isinstance((await asyncio.gather(blocking, return_exceptions=True))[0], Exception)


async def test_worker_is_renewed_after_its_requests(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, WORKER_MAX_REQUESTS=200)
    await cluster.ready(1)
    async with Load(cluster.port, clients=4) as load:
        await cluster.ready(2)
        await cluster.line("worker 1 has left")
    assert load.failures == {}
    assert "renewed" in await cluster.line(r"worker 1 has answered \d+ requests")


async def test_worker_is_renewed_when_it_holds_too_much(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, WORKER_MAX_MEMORY_MB=350)
    await cluster.ready(1)
    [grown] = cluster.workers()
    assert (await ask_once(cluster.port, "/?hold_mb=1"))[1] == str(grown.pid)
    async with Load(cluster.port, clients=4) as kept, Load(cluster.port, clients=2, keep_alive=False) as fresh:
        await ask_once(cluster.port, "/?hold_mb=400")
        await cluster.ready(2)
        await cluster.line("worker 1 has left")
        await kept.more(100)
    assert (kept.failures, fresh.failures) == ({}, {})
    assert re.search(r"worker 1 holds [45]\d\d MiB: renewed$", await cluster.line("renewed"))
    assert grown.pid not in [worker.pid for worker in cluster.workers()]


async def test_two_on_one_port(start: Start) -> None:
    port = free_port()
    first = await start(port)
    await first.ready(2)
    second = await start(port)
    assert await second.ended() == 2
    assert second.said() == [f"PORT: 127.0.0.1:{port} is taken by another program; stop it or set PORT to a free port"]
    assert (await ask_once(port))[0] == 200


async def test_every_worker_takes_its_part(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=3, KEEP_ALIVE_MAX_REQUESTS=20)
    await cluster.ready(3)
    async with Load(cluster.port, clients=48, path="/?sleep_s=0.01") as load:
        await load.more(1500)
    assert load.failures == {}
    assert len(load.answers) == 3
    assert max(load.answers.values()) < load.total * 0.9, load.answers


async def test_processes_are_named(start: Start) -> None:
    cluster = await start()
    await cluster.ready(2)
    assert sorted(" ".join(worker.cmdline()).strip() for worker in cluster.workers()) == [
        "rollcall: worker 1",
        "rollcall: worker 2",
    ]
    assert psutil.Process(cluster.process.pid).num_fds() < 40
    assert os.getpgid(cluster.workers()[0].pid) == os.getpgid(cluster.process.pid)


async def test_connections_that_clients_close_are_closed_at_once(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    worker = cluster.workers()[0]
    before = worker.num_fds()
    async with Load(cluster.port, clients=4, keep_alive=False) as load:
        await load.more(200)
    assert load.failures == {}
    for _ in range(20):
        _, silent = await asyncio.open_connection("127.0.0.1", cluster.port)
        silent.close()
    await until(lambda: worker.num_fds() <= before, "closed connections are no longer held")


async def test_websockets_are_told_to_go(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    talk = await WebSocket.open(cluster.port)
    assert await talk.echo("hello") == "hello"
    cluster.signal(signal.SIGHUP)
    assert await talk.closed() == 1001
    await cluster.line("worker 1 has left")


async def test_what_outlasts_the_drain_is_cut_without_a_traceback(start: Start, tmp_path: Path) -> None:
    cluster = await start(CLUSTER_WORKERS=1, DRAIN_TIMEOUT=0)
    await cluster.ready(1)
    [slow] = await in_flight(cluster.port, tmp_path, "sleep_s=3600")
    cluster.signal(signal.SIGTERM)
    assert await cluster.ended() == 0
    assert (await slow)[0] == 500
    assert [line for line in cluster.said() if "worker" not in line] == [
        "preparing",
        f"serving on port {cluster.port}",
    ]
