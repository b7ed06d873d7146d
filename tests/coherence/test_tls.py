"""Redis behind TLS, for an ACL user who may use our keys alone: the whole protocol works through both."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.coherence.many_valkeys import cached_again, drained, open_plain_worker
from tests.coherence.valkey import Valkey
from tests.deploy.tools import needed

RULES = (
    "on >s3cret resetkeys ~test:* -@all +mget +get +set +del +evalsha +eval +time +info +hello +auth +client +ping"
    " +select +pexpiretime"
)


@pytest.fixture
async def tls_port(valkey: Valkey, tmp_path: Path) -> AsyncIterator[int]:
    """A port with a certificate for localhost, which leads to the Valkey."""
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-nodes")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"))
    command = (needed("openssl", "install openssl"), "req", "-x509", "-newkey", "rsa:2048", *names, *files)
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(valkey.path)
        pumps.update({asyncio.create_task(pump(reader, there[1])), asyncio.create_task(pump(there[0], writer))})

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.wait_for(asyncio.gather(*pumps), timeout=5)


async def test_a_user_of_our_keys_alone_caches_through_tls(
    database_url: str, valkey: Valkey, tls_port: int, tmp_path: Path
) -> None:
    valkey.ask(f"ACL SETUSER app {RULES}")
    valkey.ask("ACL SETUSER default off")
    url = f"rediss://app:s3cret@localhost:{tls_port}/0?ssl_ca_certs={tmp_path / 'cert.pem'}"
    async with open_plain_worker(database_url, url) as worker:
        await cached_again(worker, "name 1")
        await worker.rename("new")
        await cached_again(worker, "new")


async def test_a_certificate_that_nobody_vouches_for_is_a_cache_that_is_away(
    database_url: str, valkey: Valkey, tls_port: int
) -> None:
    async with open_plain_worker(database_url, f"rediss://localhost:{tls_port}/0") as worker:
        assert not await drained(worker)
        assert await worker.name() == "name 1" and not await worker.from_cache()
