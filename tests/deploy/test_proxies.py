"""What nginx and HAProxy do with a request whose node dies on it, and what they do for the others."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.cluster.conftest import Start
from tests.cluster.load import Load, WebSocket
from tests.cluster.test_tls import UPGRADE, first_line
from tests.deploy.proxies import Proxy, haproxy, nginx

PROXIES = pytest.mark.parametrize("proxy", [nginx, haproxy])
LONG = json.dumps({"data": {"text": "x" * 4000}})
BARE = "GET / HTTP/1.1\r\nhost: test\r\n\r\n"
KEYED = {"input": {"employeeId": "RW1wbG95ZWU6NQ", "clientEventId": "tap-1"}}


@dataclass
class Node:
    """A node that answers its health checks; while `deaths` has tokens it closes the connection unanswered."""

    name: str
    deaths: list[None]
    seen: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := (await reader.readuntil(b"\r\n\r\n")).decode()) and await self._answer(head, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if "/readyz" not in head and "/healthz" not in head:
            self.connections += not self.seen
            self.seen.append(body.decode())
            self.heads.append(head)
            if self.deaths:
                self.deaths.pop()
                return False
        answer = LONG.encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            + f"x-node: {self.name}\r\ncontent-length: {len(answer)}\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        return True


@asynccontextmanager
async def two_nodes(deaths: int = 0) -> AsyncIterator[tuple[Node, Node, list[int]]]:
    """Two nodes and their ports; between them they lose so many requests."""
    shared: list[None] = [None] * deaths
    nodes = Node("a", shared), Node("b", shared)
    async with AsyncExitStack() as stack:
        servers = [await asyncio.start_server(node.serve, "127.0.0.1", 0) for node in nodes]
        for server in servers:
            stack.callback(server.close)
        yield *nodes, [server.sockets[0].getsockname()[1] for server in servers]


REPEATED = {
    "a query by POST": {"query": "query Day { me { id } }"},
    "a query without its word": {"query": "{ me { id } }", "variables": {}},
    "a mutation with a key in its variables": {"query": "mutation($input: CheckInput!) { x }", "variables": KEYED},
    "a mutation with a key in its document": {"query": 'mutation { checkIn(input: {clientEventId: "7"}) { x } }'},
    "a mutation with the other key": {"query": "mutation M { x }", "variables": {"i": {"idempotencyKey": "k"}}},
    "a query over several lines": {"query": "query Day {\n  me { id }\n}"},
}
NOT_REPEATED = {
    "a mutation without a key": {"query": "mutation { checkIn(input: {}) { x } }"},
    "a mutation with no value for its key": {"query": "mutation M { x }", "variables": {"clientEventId": None}},
    "a mutation with an empty key": {"query": "mutation M { x }", "variables": {"clientEventId": ""}},
    "a mutation that selects a field of that name": {"query": "mutation { checkIn { clientEventId } }"},
    "a document by its hash": {"extensions": {"persistedQuery": {"sha256Hash": "e3b0"}}},
    "a mutation whose letters are escaped": '{"query": "\\u006dutation { x }"}',
}


@PROXIES
@pytest.mark.parametrize("case", REPEATED)
async def test_what_may_be_asked_again_is(proxy: Proxy, case: str, tmp_path: Path) -> None:
    sent = json.dumps(REPEATED[case])
    async with two_nodes(deaths=2) as (a, b, ports), proxy(ports, tmp_path) as port, httpx2.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/graphql", content=sent)
    assert answer.status_code == 200
    assert a.seen + b.seen == [sent] * 3
    assert a.seen and b.seen


@PROXIES
async def test_a_query_by_get_is_too(proxy: Proxy, tmp_path: Path) -> None:
    async with two_nodes(deaths=1) as (a, b, ports), proxy(ports, tmp_path) as port, httpx2.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/graphql", params={"query": "{ me { id } }"})
    assert answer.status_code == 200
    assert [len(a.seen), len(b.seen)] == [1, 1]


@PROXIES
@pytest.mark.parametrize("case", NOT_REPEATED)
async def test_what_may_not_is_sent_once(proxy: Proxy, case: str, tmp_path: Path) -> None:
    body = NOT_REPEATED[case]
    sent = body if isinstance(body, str) else json.dumps(body)
    async with two_nodes(deaths=1) as (a, b, ports), proxy(ports, tmp_path) as port, httpx2.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/graphql", content=sent)
    assert answer.status_code == 502
    assert [*a.seen, *b.seen] == [sent]


@PROXIES
async def test_a_node_that_is_gone_costs_nothing(proxy: Proxy, tmp_path: Path) -> None:
    async with two_nodes() as (a, b, [port_a, _]), asyncio.timeout(20):
        gone = await asyncio.start_server(b.serve, "127.0.0.1", 0)
        port_b = gone.sockets[0].getsockname()[1]
        async with proxy([port_a, port_b], tmp_path) as port, httpx2.AsyncClient() as client:
            gone.close()
            bodies = [json.dumps({"query": "mutation { x }", "number": number}) for number in range(20)]
            answers = [await client.post(f"http://127.0.0.1:{port}/graphql", content=body) for body in bodies]
    assert {answer.status_code for answer in answers} == {200}
    assert a.seen == bodies


@PROXIES
async def test_nodes_that_failed_a_while_ago_are_asked_when_there_is_no_other(proxy: Proxy, tmp_path: Path) -> None:
    """As when a worker of each is killed: what was in flight counts as failures of a node that goes on."""
    async with two_nodes() as (a, b, ports), proxy(ports, tmp_path) as port, httpx2.AsyncClient() as client:
        for _ in range(4):
            a.deaths.extend([None] * 2)
            assert (await client.get(f"http://127.0.0.1:{port}/graphql")).status_code == 200
        sent = json.dumps({"query": "mutation { checkIn(input: {}) { x } }"})
        answer = await client.post(f"http://127.0.0.1:{port}/graphql", content=sent)
    assert answer.status_code == 200
    assert [*a.seen, *b.seen].count(sent) == 1


@PROXIES
async def test_neither_a_killed_worker_nor_a_reload_of_the_only_node_loses_a_query(
    proxy: Proxy, start: Start, tmp_path: Path
) -> None:
    cluster = await start(DRAIN_TIMEOUT=5)
    await cluster.ready(2)
    async with proxy([cluster.port] * 2, tmp_path) as port, Load(port, method="GET") as load:
        await load.more(300)
        victim = cluster.workers()[0]
        victim.kill()
        await cluster.ready(3)
        await load.more(300)
        cluster.signal(signal.SIGHUP)
        await cluster.line("reloaded")
        await cluster.line("has left", 2)
        await load.more(300)
    assert load.failures == {}
    assert load.answers[str(victim.pid)] > 0


@PROXIES
async def test_answers_are_compressed_and_connections_kept(proxy: Proxy, tmp_path: Path) -> None:
    async with two_nodes() as (a, b, ports), proxy(ports, tmp_path) as port, httpx2.AsyncClient() as client:
        for _ in range(20):
            answer = await client.post(f"http://127.0.0.1:{port}/graphql", content="{}")
            assert answer.headers["content-encoding"] == "gzip"
        bare = await client.get(f"http://127.0.0.1:{port}/", headers={"accept-encoding": "identity"})
    assert answer.json() == json.loads(LONG)
    assert bare.content == LONG.encode()
    assert "content-encoding" not in bare.headers
    assert (a.connections, b.connections) == (1, 1)
    assert "x-forwarded-for: 127.0.0.1" in a.heads[0].lower()
    assert "x-request-id: " in a.heads[0].lower()


@PROXIES
@pytest.mark.parametrize(("balancers", "believed"), [("127.0.0.0/8", True), ("192.0.2.0/24", False)])
async def test_a_proxy_header_is_believed_from_balancers_alone(
    proxy: Proxy, balancers: str, believed: bool, tmp_path: Path
) -> None:
    async with two_nodes() as (a, b, ports), proxy(ports, tmp_path, balancers=balancers) as port:
        await first_line(port, f"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n{BARE}")
        if not believed and proxy is nginx:
            assert ["x-forwarded-for: 127.0.0.1" in head.lower() for head in a.heads + b.heads] == [True]
    assert [head for head in a.heads + b.heads if "203.0.113.9" in head] == (a.heads + b.heads if believed else [])
    assert len(a.heads + b.heads) == (1 if believed or proxy is nginx else 0)


async def test_our_own_port_knows_no_proxy_header(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    line = await first_line(cluster.port, f"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n{BARE}")
    assert line == b"HTTP/1.1 400 \r\n"


@PROXIES
async def test_whoever_asks_too_often_is_told_so(proxy: Proxy, tmp_path: Path) -> None:
    async with two_nodes() as (a, b, ports), proxy(ports, tmp_path, rate=10) as port, httpx2.AsyncClient() as client:
        answers = [await client.post(f"http://127.0.0.1:{port}/graphql", content="{}") for _ in range(150)]
        statuses = [answer.status_code for answer in answers]
    assert statuses[:10] == [200] * 10
    assert statuses[-1] == 429
    assert len(a.seen) + len(b.seen) == statuses.count(200)


@PROXIES
async def test_websockets_pass_and_no_other_tunnel(proxy: Proxy, start: Start, tmp_path: Path) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    async with proxy([cluster.port, cluster.port], tmp_path) as port:
        assert await first_line(port, UPGRADE) == b"HTTP/1.1 200 \r\n"
        socket = await WebSocket.open(port)
        assert await socket.echo("hello") == "hello"
        socket._writer.close()
