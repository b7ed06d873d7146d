"""The status port over real workers: who may ask for what, sums that add up, and that it can die without harm."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.conftest import Cluster, Start, free_port, until
from tests.cluster.load import Load, ask_once

TOKEN = "a token of the tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def watched(start: Start, **variables: object) -> Cluster:
    cluster = await start(EXAMPLE_STATUS=1, **{"STATUS_TOKEN": TOKEN, **variables})
    await cluster.line("serving on port")
    await cluster.status_ready()
    return cluster


async def stats(cluster: Cluster) -> Any:
    return (await cluster.status("/cluster/stats")).json()


async def test_requests_add_up_over_workers_dead_ones_included(start: Start) -> None:
    cluster = await watched(start)
    for _ in range(40):
        assert (await ask_once(cluster.port))[0] == 200
    await reached(cluster, 40)
    per_worker = [worker["requests"] for worker in (await stats(cluster))["workers"]]
    assert sum(per_worker) == 40
    cluster.workers()[0].kill()
    await cluster.ready(3)
    await reached(cluster, 40)
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    for _ in range(10):
        await ask_once(cluster.port)
    await reached(cluster, 50)
    found = await stats(cluster)
    assert found["restarts"] == 1
    lives = [(life["name"], life["expected"]) for life in found["lives"] if life["name"] != "status"]
    assert sorted(lives) == [("worker 1", False), ("worker 1", True), ("worker 2", True)]
    assert {worker["cpu"] >= 0 and worker["rss_bytes"] > 10_000_000 for worker in found["workers"]} == {True}


async def reached(cluster: Cluster, requests: int) -> None:
    async with asyncio.timeout(30):
        while (got := (await stats(cluster))["total"]["requests"]) != requests:
            assert got < requests, f"{got} were counted of {requests}"
            await asyncio.sleep(0.1)


async def test_health_and_metrics(start: Start) -> None:
    cluster = await watched(start)
    answer = await cluster.status("/cluster/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "degraded", "serving": 2, "wanted": 2, "reasons": ["redis: Redis does not answer"]},
    )
    await ask_once(cluster.port)
    answer = await cluster.status("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert [sample.value for sample in found["rollcall_workers"].samples] == [2.0]
    assert [sample.value for sample in found["rollcall_cache_outbox_rows"].samples] == [3.0]
    assert [sample.labels for sample in found["rollcall_resident_memory_bytes"].samples] == [
        {"worker": "worker 1"},
        {"worker": "worker 2"},
    ]


async def test_restart_and_scale_for_bearers_of_the_token(start: Start) -> None:
    cluster = await watched(start)
    before = {worker.pid for worker in cluster.workers()}
    async with Load(cluster.port, clients=4) as load:
        await load.more(50)
        answer = await cluster.status("/cluster/restart", "POST", headers=BEARER)
        assert (answer.status_code, answer.json()["done"]) == (200, True)
        await cluster.line("worker . has left", 2)
        assert before.isdisjoint(worker.pid for worker in cluster.workers())
        answer = await cluster.status("/cluster/scale", "POST", headers=BEARER, json={"workers": 3})
        assert (answer.status_code, answer.json()["wanted"]) == (200, 3)
        await cluster.line("worker 3 is ready")
        await load.more(100)
        answer = await cluster.status("/cluster/scale", "POST", headers=BEARER, json={"workers": 1})
        await cluster.line("worker 3 has left")
        await load.more(50)
    assert load.failures == {}
    assert len(cluster.workers()) == 1


async def test_reload_that_fails_is_said(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    cluster = await watched(start, EXAMPLE_BROKEN_IF=broken)
    broken.touch()
    answer = await cluster.status("/cluster/restart", "POST", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (500, "NOT_DONE")
    never = "the new worker 1 was never ready; the service's log says why"
    assert answer.json()["detail"] == f"not done, the processes that serve stay: {never}"
    assert len(cluster.workers()) == 2


async def test_reload_with_a_wrong_setting_says_which(start: Start, tmp_path: Path) -> None:
    (file := tmp_path / "env").touch()
    cluster = await watched(start, ENV_FILE=file, CLUSTER_WORKERS=1)
    file.write_text("DRAIN_TIMEOUT=soon\n")
    answer = await cluster.status("/cluster/restart", "POST", headers=BEARER)
    wrong = "DRAIN_TIMEOUT: needed a number of seconds from 0 to 3600, got 'soon'"
    assert answer.json()["detail"] == f"not done, the processes that serve stay: {wrong}"


REFUSED: Any = [
    ({}, 401, "BAD_STATUS_TOKEN"),
    ({"Authorization": "Bearer wrong"}, 401, "BAD_STATUS_TOKEN"),
    ({"Authorization": f"Basic {TOKEN}"}, 401, "BAD_STATUS_TOKEN"),
    ({"Authorization": "Bearer \u00fc".encode()}, 401, "BAD_STATUS_TOKEN"),
    ({"Host": "evil.example"} | BEARER, 421, "HOST_NOT_ALLOWED"),
]


async def test_what_is_refused(start: Start) -> None:
    served = await watched(start, CLUSTER_WORKERS=1)
    before = [worker.pid for worker in served.workers()]
    for headers, status, code in REFUSED:
        answer = await served.status("/cluster/restart", "POST", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert TOKEN not in answer.text
    for body in (
        "",
        "{}",
        "[]",
        '{"workers": 0}',
        '{"workers": 257}',
        '{"workers": true}',
        '{"workers": "2"}',
        "x" * 9999,
    ):
        answer = await served.status("/cluster/scale", "POST", headers=BEARER, content=body)
        assert (answer.status_code, answer.json()["detail"]) == (
            400,
            'body: needed {"workers": a whole number from 1 to 256}',
        )
    for path, method, status in (("/cluster/restart", "GET", 405), ("/nothing", "GET", 404), ("/../x", "GET", 404)):
        assert (await served.status(path, method)).status_code == status
    assert [worker.pid for worker in served.workers()] == before
    lost = (await served.status("/nothing")).json()["detail"]
    assert lost == "there is nothing at /nothing; the page is at /, figures are at /cluster/stats"


async def test_token_is_made_where_only_its_owner_can_read_it(start: Start, tmp_path: Path) -> None:
    cluster = await watched(start, STATUS_TOKEN="", DATA_DIR=tmp_path / "data", CLUSTER_WORKERS=1)
    file = tmp_path / "data" / "status.token"
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    assert len(token) >= 40
    answer = await cluster.status("/cluster/restart", "POST", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["done"] is True


async def test_without_a_token_nothing_can_be_changed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cluster = await watched(start, STATUS_TOKEN="", DATA_DIR=tmp_path / "file" / "x", CLUSTER_WORKERS=1)
    await cluster.line("nothing can be changed through the status port: set STATUS_TOKEN")
    answer = await cluster.status("/cluster/restart", "POST", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_STATUS_TOKEN")


async def test_events_are_a_history_and_then_figures_every_second(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.status_port)
    writer.write(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert b"default-src 'none'" in head
        await reader.readuntil(b"event: history\ndata: [")
        for _ in range(2):
            await reader.readuntil(b"event: stats\ndata: ")
            assert json.loads(await reader.readuntil(b"\n\n"))["workers"][0]["serves"] is True
        cluster.signal(signal.SIGTERM)
        await reader.read()
    writer.close()
    assert await cluster.ended() == 0
    last = [line.partition(" has left")[0] for line in cluster.said() if " has left" in line]
    assert last == ["worker 1", "status"], "whoever serves goes first"


async def test_a_reload_keeps_the_curves(start: Start) -> None:
    """Also where the port may not be called localhost."""
    cluster = await watched(start, CLUSTER_WORKERS=1, ALLOWED_HOSTS="*.example.org,127.0.0.1")

    async def history(beyond: float) -> list[float]:
        """The moments of all points, as soon as there is one after `beyond`."""
        async with asyncio.timeout(30):
            while True:
                answer = await cluster.status("/cluster/history")
                if (moments := [point["at"] for point in answer.json()]) and moments[-1] > beyond:
                    return moments
                await asyncio.sleep(0.1)

    before = await history(beyond=0)
    cluster.signal(signal.SIGHUP)
    await cluster.line("status has left")
    after = await history(beyond=before[-1])
    assert after[: len(before)] == before and after == sorted(after)


async def test_killed_status_process_harms_nobody_and_comes_back(start: Start) -> None:
    cluster = await watched(start)
    await ask_once(cluster.port)
    [status] = [process for process in cluster.processes() if "status" in " ".join(process.cmdline())]
    workers = {worker.pid for worker in cluster.workers()}
    status.kill()
    await cluster.line("status is ready", 2)
    await reached(cluster, 1)
    assert {worker.pid for worker in cluster.workers()} == workers


async def test_nothing_outlives_a_killed_supervisor(start: Start) -> None:
    cluster = await watched(start)
    processes = cluster.processes()
    assert len(processes) == 3
    cluster.process.kill()
    await until(lambda: not any(process.is_running() for process in processes), "all processes are gone")


async def test_order_that_nobody_knows_is_no_harm(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    found = [await cluster.status(path, "POST", headers=BEARER) for path in ("/cluster/stop", "/cluster/health")]
    assert [answer.status_code for answer in found] == [404, 405]
    assert (await cluster.status("/cluster/health")).json()["serving"] == 1


async def test_frozen_status_process_does_not_fill_the_supervisor(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1, WORKER_SILENCE_LIMIT=2)
    [status] = [process for process in cluster.processes() if "status" in " ".join(process.cmdline())]
    status.suspend()
    await cluster.line(rf"status \(process {status.pid}\) was silent for 2 s: killed")
    await cluster.line("status is ready", 2)


async def test_probe_that_fails_is_no_fault_of_the_status_port(start: Start) -> None:
    cluster = await start(EXAMPLE_STATUS=1, EXAMPLE_PROBE_FAILS="a bug", CLUSTER_WORKERS=1)
    await cluster.line("the probe failed")
    await until(lambda: any("status is ready" in line for line in cluster.lines), "the status port is ready")
    assert (await cluster.status("/cluster/health")).status_code in (200, 503)


async def test_taken_status_port_is_one_clear_line(start: Start) -> None:
    first = await watched(start, CLUSTER_WORKERS=1)
    second = await start(free_port(), EXAMPLE_STATUS=1, STATUS_PORT=first.status_port)
    assert await second.ended() == 2
    port = first.status_port
    assert second.said() == [
        f"STATUS_PORT: 127.0.0.1:{port} is taken by another program; stop it or set STATUS_PORT to a free port"
    ]


async def test_in_process_has_a_status_port_too(start: Start) -> None:
    service = await start(EXAMPLE_STATUS=1, ENABLE_CLUSTERING="false", STATUS_TOKEN=TOKEN)
    await service.line("serving on port")
    await service.status_ready()
    await ask_once(service.port)
    await reached(service, 1)
    answer = await service.status("/cluster/restart", "POST", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_CLUSTERED")
    [status] = psutil.Process(service.process.pid).children()
    service.process.kill()
    await until(lambda: not status.is_running(), "the status process does not outlive the service")
    assert not [line for line in service.lines if re.search("Traceback|Error", line)]
