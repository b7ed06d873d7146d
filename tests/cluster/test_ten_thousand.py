"""Ten thousand requests over HTTP/1.1 and HTTP/2 while the workers are renewed, made more and fewer: none is lost."""

from tests.cluster.conftest import Cluster, Start
from tests.cluster.measure import measured, more_and_fewer, reload

REQUESTS = 10_000


async def test_reloads_and_scaling_lose_none_of_ten_thousand_requests(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=2, DRAIN_TIMEOUT=10)
    await cluster.ready(2)

    async def everything(cluster: Cluster) -> None:
        await reload(cluster)
        await more_and_fewer(cluster)
        await reload(cluster)

    found = await measured(cluster, everything, REQUESTS)
    assert found.failures == {}
    assert sum(found.answered) >= REQUESTS
    assert min(found.answered) > 300, "over kept and new connections and over HTTP/2"
    assert len([line for line in cluster.lines if line.endswith("reloaded")]) == 2
