"""HTTP/2 under a reload: clients hear GOAWAY, and no stream is lost."""

import asyncio
import signal
import ssl
from collections import Counter
from typing import Any

import h2.config
import h2.connection
import h2.events

from tests.cluster.conftest import Start

STREAMS = 8
PATH = "/?sleep_s=0.005"


class Http2Client:
    """Keeps STREAMS requests open on one connection; when it hears GOAWAY it finishes them and connects anew."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.tls = tls
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.goaways: list[int] = []
        self.connections = 0
        self.stopped = False

    async def run(self) -> None:
        while not self.stopped:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
            self.connections += 1
            try:
                await self._connection(reader, writer)
            finally:
                writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        wire.initiate_connection()
        open_streams: set[int] = set()
        going = False
        while True:
            while not going and not self.stopped and len(open_streams) < STREAMS:
                stream = wire.get_next_available_stream_id()
                headers = [
                    (":method", "GET"),
                    (":path", PATH),
                    (":scheme", "https" if self.tls else "http"),
                    (":authority", "test"),
                ]
                wire.send_headers(stream, headers, end_stream=True)
                open_streams.add(stream)
            if not open_streams:
                return
            writer.write(wire.data_to_send())
            data = await reader.read(65_536)
            if not data:
                self.failures["cut"] += len(open_streams)
                return
            for event in self._events(wire, data):
                going |= self._take(wire, event, open_streams)

    def _events(self, wire: Any, data: bytes) -> list[Any]:
        """h2 regards a connection as closed at GOAWAY; a client that goes on reading takes the frame for a hint."""
        goaway = data.find(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00")
        if goaway >= 0:
            self.goaways.append(int.from_bytes(data[goaway + 9 : goaway + 13]))
            rest = data[:goaway] + data[goaway + 17 :]
            return [*(wire.receive_data(rest) if rest else []), None]
        return list(wire.receive_data(data))

    def _take(self, wire: Any, event: Any, open_streams: set[int]) -> bool:
        match event:
            case None:
                return True
            case h2.events.ResponseReceived(stream_id=stream, headers=headers):
                self.answers[dict(headers)[":status"]] += 1  # type: ignore[index]
            case h2.events.DataReceived(stream_id=stream, flow_controlled_length=length):
                wire.acknowledge_received_data(length, stream)
            case h2.events.StreamReset():
                self.failures["reset"] += 1
                open_streams.discard(event.stream_id)
            case h2.events.StreamEnded():
                open_streams.discard(event.stream_id)
        return False

    async def more(self, answers: int) -> None:
        wanted = self.answers.total() + answers
        async with asyncio.timeout(20):
            while self.answers.total() < wanted:
                await asyncio.sleep(0.01)


async def test_reload_and_stop_lose_no_stream(start: Start) -> None:
    cluster = await start(DRAIN_TIMEOUT=10)
    await cluster.ready(2)
    clients = [Http2Client(cluster.port) for _ in range(3)]
    running = [asyncio.create_task(client.run()) for client in clients]
    await asyncio.gather(*(client.more(100) for client in clients))
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    await cluster.line("worker . has left", 2)
    await asyncio.gather(*(client.more(100) for client in clients))
    for client in clients:
        client.stopped = True
    await asyncio.gather(*running)
    for client in clients:
        assert client.failures == {}
        assert set(client.answers) == {"200"}
        assert client.goaways == [2**31 - 1] * len(client.goaways)
        assert client.connections == len(client.goaways) + 1
    assert sum(len(client.goaways) for client in clients) >= 3


async def test_connections_are_renewed_without_cutting_streams(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, KEEP_ALIVE_MAX_REQUESTS=50)
    await cluster.ready(1)
    client = Http2Client(cluster.port)
    running = asyncio.create_task(client.run())
    await client.more(500)
    client.stopped = True
    await running
    assert client.failures == {}
    assert client.connections > 5
