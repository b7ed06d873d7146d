"""What a worker does with its connections: an answer in one packet, and idle ones closed when it leaves."""

import asyncio
import signal
import socket
import struct
from pathlib import Path

import pytest

from cluster.outgoing import AT_ONCE, Outgoing
from tests.cluster.conftest import Start, until
from tests.cluster.load import ask

DATA_SEGMENTS_IN = 152
"""Where struct tcp_info of Linux (4.6 and later) counts the segments with data that came."""


def packets_with_data(connection: socket.socket) -> int:
    found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(found) < DATA_SEGMENTS_IN + 4:
        pytest.skip("this kernel does not count segments")
    return int(struct.unpack_from("I", found, DATA_SEGMENTS_IN)[0])


async def test_an_answer_is_one_packet(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.port)
    for number in range(1, 11):
        assert (await ask(reader, writer, "/"))[0] == 200
        assert packets_with_data(writer.get_extra_info("socket")) == number
    writer.close()


async def test_what_is_written_in_one_turn_is_sent_together_and_much_at_once() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, writer = await asyncio.open_connection(sock=ours)
    outgoing = Outgoing(writer)
    with theirs:
        outgoing.write(b"head ")
        outgoing.write(b"body")
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        await asyncio.sleep(0)
        assert theirs.recv(100) == b"head body"
        outgoing.write(b"x" * AT_ONCE)
        assert theirs.recv(2 * AT_ONCE) == b"x" * AT_ONCE
        outgoing.write(b"the last word")
        outgoing.close()
        await outgoing.wait_closed()
        assert theirs.recv(100) == b"the last word"
        assert theirs.recv(100) == b""


async def connected_to(port: int, pid: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that this worker has accepted."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if (await ask(reader, writer, "/"))[1] == pid:
            return reader, writer
        writer.close()


async def test_a_worker_that_leaves_closes_idle_connections_and_answers_the_others(
    start: Start, tmp_path: Path
) -> None:
    cluster = await start(DRAIN_TIMEOUT=3600)
    pid = (await cluster.line("worker 2 is ready")).rpartition(" ")[2].rstrip(")")
    idle_reader, idle = await connected_to(cluster.port, pid)
    busy_reader, busy = await connected_to(cluster.port, pid)
    await asyncio.sleep(1.1)  # not for ordering: the first connection is to be idle for longer than a second
    begun, over = tmp_path / "begun", tmp_path / "over"
    slow = asyncio.create_task(ask(busy_reader, busy, f"/?begun={begun}&until={over}"))
    await until(begun.exists, "the worker answers")
    cluster.signal(signal.SIGTTOU)
    assert await idle_reader.read() == b""
    over.touch()  # the idle connection was closed while the other one was still being answered
    status, body, closes = await slow
    assert (status, body, closes) == (200, pid, True)
    await cluster.line("worker 2 has left")
    for writer in (idle, busy):
        writer.close()
