"""`rollcall cluster` against a running cluster."""

import json

from tests.cluster.conftest import Cluster, Start, start
from tests.cluster.load import Load
from tests.cluster.test_status import TOKEN, watched
from tests.ops.commands import answered, rollcall, rollcall_beside

__all__ = ["start"]


def port(cluster: Cluster, token: str = TOKEN) -> dict[str, object]:
    return {"STATUS_PORT": cluster.status_port, "STATUS_TOKEN": token}


async def test_restart_and_scale_under_load(start: Start) -> None:
    cluster = await watched(start)
    before = {worker.pid for worker in cluster.workers()}
    async with Load(cluster.port, clients=4) as load:
        await load.more(50)
        result = await rollcall_beside("cluster", "restart", **port(cluster))
        assert (result.exit_code, result.output) == (0, "reloaded: 2 of 2 workers serve\n")
        result = await rollcall_beside("cluster", "scale", 3, **port(cluster))
        assert (result.exit_code, result.output) == (0, "3 workers serve\n")
        found = answered(await rollcall_beside("cluster", "scale", 1, "--json", **port(cluster)))
        assert (found["serving"], found["wanted"]) == (1, 1)
        await cluster.line("worker 3 has left")
        await load.more(50)
    assert load.failures == {}
    assert before.isdisjoint(worker.pid for worker in cluster.workers())


async def test_stats_and_monitor(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    result = await rollcall_beside("cluster", "stats", **port(cluster))
    assert result.exit_code == 1, "Redis does not answer in this example"
    assert "degraded redis: Redis does not answer" in result.stdout
    assert "worker 1" in result.stdout
    found = answered(await rollcall_beside("cluster", "stats", "--json", **port(cluster)))
    assert found["workers"][0]["pid"] == cluster.workers()[0].pid
    result = await rollcall_beside("cluster", "monitor", "--json", "--times", 2, "--every", 0.1, **port(cluster))
    assert [json.loads(line)["clustered"] for line in result.stdout.splitlines()] == [True, True]
    result = await rollcall_beside("cluster", "monitor", "--times", 1, **port(cluster))
    assert result.exit_code == 0
    assert "worker 1" in result.stdout


async def test_wrong_token_is_one_line(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    result = await rollcall_beside("cluster", "restart", **port(cluster, "a token of another"))
    assert (result.exit_code, result.output) == (
        1,
        "Authorization: needed Bearer and STATUS_TOKEN (or what is in DATA_DIR/status.token), got another token\n",
    )


def test_service_that_does_not_run() -> None:
    result = rollcall("cluster", "stats", STATUS_PORT=1)
    assert (result.exit_code, result.output) == (
        3,
        "the status port at http://127.0.0.1:1 does not answer (ConnectError): is the service running?"
        " STATUS_HOST and STATUS_PORT say where it is\n",
    )


def test_wrong_number_of_workers() -> None:
    for wrong in ("0", "257", "abc"):
        assert rollcall("cluster", "scale", wrong).exit_code == 2
    result = rollcall("cluster", "stats", CLUSTER_WORKERS="abc")
    assert (result.exit_code, result.output) == (2, "CLUSTER_WORKERS: needed a whole number from 1 to 256, got 'abc'\n")
