"""Where the demo's users can sign in: on the service's own machine, and nowhere else, whatever the database holds."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from ops.demo import DEMO_PASSWORD
from server import application
from tests.kit.databases import Databases
from tests.web.serving import served
from web.passwords import hash_password
from web.settings import Settings
from web.signing_key import kept_key

ADD = "INSERT INTO app_user (email, password_hash) VALUES ('admin@rollcall.test', $1)"
FORM = {"grant_type": "password", "username": "admin@rollcall.test", "password": DEMO_PASSWORD}
Serve = Callable[..., Awaitable[int]]


def own_address() -> str | None:
    """An address of this machine that is no loopback address, None on a machine without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return str(probe.getsockname()[0])


@pytest.fixture
async def serve(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Serves with a real hypercorn on an address, with these variables; returns the port."""
    url = await asyncio.to_thread(databases.new)
    server = make_url(url)
    connection = await asyncpg.connect(host=server.query["host"], user=server.username, database=server.database)
    await connection.execute(ADD, await asyncio.to_thread(hash_password, DEMO_PASSWORD))
    await connection.close()
    kept_key(key := tmp_path / "auth.key")
    async with AsyncExitStack() as stack:

        async def serve_with(address: str = "127.0.0.1", **variables: str) -> int:
            given = {"DATABASE_URL": url, "REDIS_URL": databases.redis_url, "AUTH_PRIVATE_KEY_FILE": str(key)}
            for name, value in {**given, "DEMO": "on", **variables}.items():
                monkeypatch.setenv(name, value)
            return await stack.enter_async_context(served(application(Settings.from_environment()), address))

        yield serve_with
    await asyncio.to_thread(databases.drop, url)


async def asked(port: int, address: str = "127.0.0.1", **headers: str) -> tuple[int, int]:
    """(The status of a sign-in, how many of the demo's users GraphiQL offers.)"""
    given = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient(base_url=f"http://{address}:{port}", headers=given) as client:
        signed_in = await client.post("/auth/token", data=FORM)
        config = (await client.get("/graphiql/config.json")).json()
        if signed_in.status_code != 200:
            assert "good only for clients on the service's own machine" in signed_in.json()["error_description"]
        assert (config["demoPassword"] is None) == (not config["demoUsers"])
        return signed_in.status_code, len(config["demoUsers"])


async def test_on_this_machine(serve: Serve) -> None:
    assert await asked(await serve()) == (200, 8)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7"])
async def test_not_where_host_is_no_loopback_address(serve: Serve, host: str) -> None:
    assert await asked(await serve(HOST=host)) == (400, 0)


@pytest.mark.parametrize("name", ["X_Forwarded_For", "Forwarded", "Via", "X_Real_IP"])
async def test_not_through_a_proxy(serve: Serve, name: str) -> None:
    assert await asked(await serve(), **{name: "127.0.0.1"}) == (400, 0)


async def test_not_from_elsewhere_when_another_server_listens_everywhere(serve: Serve) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback ones")
    port = await serve("0.0.0.0")  # as hypercorn -b 0.0.0.0 server:app does, which HOST knows nothing of
    assert await asked(port, address) == (400, 0)
    assert await asked(port) == (200, 8)


async def test_through_a_trusted_proxy_only_for_clients_on_this_machine(serve: Serve) -> None:
    port = await serve(TRUSTED_PROXIES="127.0.0.1")
    assert await asked(port, X_Forwarded_For="127.0.0.1") == (200, 8)
    assert await asked(port, X_Forwarded_For="203.0.113.5") == (400, 0)


async def test_clients_behind_a_trusted_proxy_do_not_share_their_failures(serve: Serve) -> None:
    port = await serve(TRUSTED_PROXIES="127.0.0.1", AUTH_ATTEMPTS="1")
    wrong = {**FORM, "password": "wrong"}

    async def failed(client: str) -> int:
        headers = {"X-Forwarded-For": client, "Host": "localhost"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as sender:
            return (await sender.post("/auth/token", data=wrong)).status_code

    assert [await failed(client) for client in ("203.0.113.5", "203.0.113.5", "203.0.113.6")] == [400, 429, 400]
    # what a client writes before the proxy's own word gives it no further attempts
    assert await failed("198.51.100.1, 203.0.113.5") == 429


async def test_without_trust_made_up_addresses_give_no_further_attempts(serve: Serve) -> None:
    port = await serve(AUTH_ATTEMPTS="1")
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Host": "localhost"}) as client:
        statuses = [
            (await client.post("/auth/token", data={**FORM, "password": "wrong"}, headers={"X-Forwarded-For": made_up}))
            for made_up in ("203.0.113.5", "203.0.113.6")
        ]
    assert [answer.status_code for answer in statuses] == [400, 429]
