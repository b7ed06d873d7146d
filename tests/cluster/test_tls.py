"""TLS on the port: HTTP/1.1 and 2 by ALPN, a certificate renewed by a reload that loses nothing, no h2c by Upgrade."""

import asyncio
import re
import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.tls import certificate_end, certificate_warning
from tests.cluster.certificates import WEEK, common_name, trusting, write_pair
from tests.cluster.conftest import LIMIT_S, Cluster, Start
from tests.cluster.load import Load, WebSocket, ask, ask_once
from tests.cluster.test_http2 import Http2Client
from web.http_settings import TlsSettings


async def name_shown(cluster: Cluster, tls: ssl.SSLContext) -> str:
    """The name in the certificate that a new connection gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.port, ssl=tls)
    name = common_name(writer.get_extra_info("ssl_object"))
    writer.close()
    await writer.wait_closed()
    return name


async def test_a_reload_takes_the_new_certificate_and_loses_nothing(start: Start, tmp_path: Path) -> None:
    files = write_pair(tmp_path, "old")
    old = (tmp_path / "tls.crt").rename(tmp_path / "old.crt")
    old_key = (tmp_path / "tls.key").rename(tmp_path / "old.key")
    (tmp_path / "tls.crt").write_bytes(old.read_bytes())
    (tmp_path / "tls.key").write_bytes(old_key.read_bytes())
    cluster = await start(DRAIN_TIMEOUT=10, **files)
    await cluster.ready(2)
    assert await name_shown(cluster, trusting(old)) == "old"
    write_pair(tmp_path, "new")
    plain, h2 = (trusting(old, tmp_path / "tls.crt", alpn=name) for name in ("http/1.1", "h2"))
    streams = Http2Client(cluster.port, h2)
    running = asyncio.create_task(streams.run())
    async with (
        Load(cluster.port, tls=plain) as kept,
        Load(cluster.port, clients=4, keep_alive=False, tls=plain) as fresh,
    ):
        await asyncio.gather(kept.more(200), fresh.more(20), streams.more(100))
        cluster.signal(signal.SIGHUP)
        await cluster.line("reloaded")
        await cluster.line("worker . has left", 2)
        await asyncio.gather(kept.more(200), fresh.more(20), streams.more(100))
    streams.stopped = True
    await running
    assert (kept.failures, fresh.failures, streams.failures) == ({}, {}, {})
    assert set(streams.answers) == {"200"}
    assert streams.goaways
    assert await name_shown(cluster, plain) == "new"


async def test_the_status_port_knows_until_when_the_served_certificate_is_valid(start: Start, tmp_path: Path) -> None:
    files = write_pair(tmp_path, lives=2 * WEEK)
    cluster = await start(CLUSTER_WORKERS=1, EXAMPLE_STATUS="on", **files)
    await cluster.status_ready()
    served = end_of(files)
    write_pair(tmp_path, lives=5 * WEEK)
    await certificate_known(cluster, served)
    shown = (await cluster.status("/metrics")).text
    [left_s] = re.findall(r"^rollcall_certificate_seconds ([\d.e+]+)$", shown, re.MULTILINE)
    assert WEEK.total_seconds() - 60 < float(left_s) < WEEK.total_seconds()
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    await certificate_known(cluster, end_of(files))


def end_of(files: dict[str, str]) -> datetime:
    """Until when the certificate in these files is valid."""
    end = certificate_end(TlsSettings.of(certificate_file=files["TLS_CERT_FILE"], key_file=files["TLS_KEY_FILE"]))
    assert end is not None
    return end


async def certificate_known(cluster: Cluster, end: datetime) -> None:
    """Wait until the status port says that of every worker."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            workers = (await cluster.status("/cluster/stats")).json()["workers"]
            if workers and all(worker.get("certificate_ends") == end.timestamp() for worker in workers):
                return
            await asyncio.sleep(0.1)


async def test_a_reload_with_a_useless_certificate_is_aborted(start: Start, tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    tls = trusting(files["TLS_CERT_FILE"])
    cluster = await start(CLUSTER_WORKERS=1, **files)
    await cluster.ready(1)
    before = await ask_once(cluster.port, tls=tls)
    Path(files["TLS_KEY_FILE"]).write_text("half of a key")
    cluster.signal(signal.SIGHUP)
    await cluster.line("reload: TLS_KEY_FILE: needed a private key in PEM without a passphrase, got something else in")
    await cluster.line("reload aborted: the processes that serve stay")
    assert await ask_once(cluster.port, tls=tls) == before


async def test_a_connection_in_its_handshake_is_not_forgotten_by_a_worker_that_leaves(
    start: Start, tmp_path: Path
) -> None:
    files = write_pair(tmp_path)
    cluster = await start(CLUSTER_WORKERS=1, DRAIN_TIMEOUT=10, **files)
    await cluster.ready(1)
    pid = str(cluster.workers()[0].pid)
    slow, tried_in_vain = (socket.create_connection(("127.0.0.1", cluster.port)) for _ in range(2))
    tried_in_vain.send(b"GET / HTTP/1.1\r\n\r\n")
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    await asyncio.sleep(0.5)  # not for ordering: the worker is to have left if it forgets
    reader, writer = await asyncio.open_connection(
        sock=slow, ssl=trusting(files["TLS_CERT_FILE"]), server_hostname="127.0.0.1"
    )
    assert await ask(reader, writer, "/") == (200, pid, True)
    writer.close()
    tried_in_vain.close()
    await cluster.line("worker 1 has left")


async def test_an_http2_connection_that_begins_while_its_worker_leaves_is_told_to_go(
    start: Start, tmp_path: Path
) -> None:
    files = write_pair(tmp_path)
    cluster = await start(CLUSTER_WORKERS=1, DRAIN_TIMEOUT=10, KEEP_ALIVE_MAX_REQUESTS=1_000_000, **files)
    await cluster.ready(1)
    slow = socket.create_connection(("127.0.0.1", cluster.port))
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    client = Http2Client(cluster.port)
    streams = await asyncio.open_connection(
        sock=slow, ssl=trusting(files["TLS_CERT_FILE"], alpn="h2"), server_hostname="127.0.0.1"
    )
    await client._connection(*streams)
    assert client.failures == {}
    assert client.goaways == [2**31 - 1]
    streams[1].close()
    await cluster.line("worker 1 has left")


async def test_idle_connections_are_closed_though_their_clients_do_not_read(start: Start, tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    cluster = await start(CLUSTER_WORKERS=1, DRAIN_TIMEOUT=25, **files)
    await cluster.ready(1)
    tls = trusting(files["TLS_CERT_FILE"])

    def idle() -> ssl.SSLSocket:
        return tls.wrap_socket(socket.create_connection(("127.0.0.1", cluster.port)), server_hostname="127.0.0.1")

    client = await asyncio.to_thread(idle)
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded")
    began_s = asyncio.get_running_loop().time()
    await cluster.line("worker 1 has left")
    assert asyncio.get_running_loop().time() - began_s < 15
    client.close()


@pytest.mark.parametrize(("http2", "chosen"), [("on", "h2"), ("off", "http/1.1")])
async def test_http2_by_setting(start: Start, tmp_path: Path, http2: str, chosen: str) -> None:
    files = write_pair(tmp_path)
    cluster = await start(CLUSTER_WORKERS=1, HTTP2=http2, **files)
    await cluster.ready(1)
    tls = trusting(files["TLS_CERT_FILE"])
    tls.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.port, ssl=tls)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
    writer.transport.abort()  # what the server has begun to say is of no interest


UPGRADE = (
    "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
    "http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
)


async def first_line(port: int, request: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    line = await reader.readexactly(15)
    writer.close()
    return line


async def test_no_tunnel_by_upgrade(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1)
    await cluster.ready(1)
    assert await first_line(cluster.port, UPGRADE) == b"HTTP/1.1 200 \r\n"
    socket = await WebSocket.open(cluster.port)
    assert await socket.echo("hello") == "hello"
    socket._writer.close()


async def test_without_http2_a_client_that_begins_with_it_hears_http1(start: Start) -> None:
    cluster = await start(CLUSTER_WORKERS=1, HTTP2="off")
    await cluster.ready(1)
    assert await first_line(cluster.port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == b"HTTP/1.1 200 \r\n"


@pytest.mark.parametrize(
    ("lives", "told"),
    [
        (WEEK / 2, "the certificate expired at .* UTC, clients refuse it: renew it and reload"),
        (WEEK * 2, "the certificate expires at .* UTC: renew it and reload"),
    ],
)
async def test_a_certificate_that_clients_refuse_is_served_with_a_warning(
    start: Start, tmp_path: Path, lives: timedelta, told: str
) -> None:
    cluster = await start(CLUSTER_WORKERS=1, **write_pair(tmp_path, lives=lives))
    await cluster.line(f"TLS_CERT_FILE: {told}$")
    await cluster.ready(1)


def test_a_certificate_of_tomorrow(tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    tls = TlsSettings.of(certificate_file=files["TLS_CERT_FILE"], key_file=files["TLS_KEY_FILE"])
    warning = certificate_warning(tls, datetime.now(UTC) - 2 * WEEK)
    assert warning is not None
    assert re.fullmatch(
        r"TLS_CERT_FILE: the certificate is valid from [-\d]+ [\d:]+ UTC, until then clients refuse it", warning
    )
    assert certificate_warning(tls, datetime.now(UTC)) is None


async def test_in_process(start: Start, tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    service = await start(ENABLE_CLUSTERING="false", **files)
    await service.line("serving on port")
    answer = await ask_once(service.port, tls=trusting(files["TLS_CERT_FILE"]))
    assert answer == (200, str(service.process.pid))
