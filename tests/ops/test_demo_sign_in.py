"""Where the demo's users can sign in: on a loopback address, and nowhere else, whatever the database came to hold."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from ops.demo import DEMO_PASSWORD
from server import application
from tests.kit.databases import Databases
from web.passwords import hash_password
from web.settings import Settings
from web.signing_key import kept_key

ADD = "INSERT INTO app_user (email, password_hash) VALUES ('admin@rollcall.test', $1)"


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    found = databases.new()
    yield found
    databases.drop(found)


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("0.0.0.0", 400), ("192.0.2.7", 400)])
async def test_the_demos_password_is_good_on_a_loopback_address_only(
    url: str, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, status: int
) -> None:
    server = make_url(url)
    connection = await asyncpg.connect(host=server.query["host"], user=server.username, database=server.database)
    await connection.execute(ADD, await asyncio.to_thread(hash_password, DEMO_PASSWORD))
    await connection.close()
    kept_key(key := tmp_path / "auth.key")
    environment = {"HOST": host, "DATABASE_URL": url, "REDIS_URL": databases.redis_url, "AUTH_PRIVATE_KEY_FILE": key}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    app = application(Settings.from_environment())
    form = {"grant_type": "password", "username": "admin@rollcall.test", "password": DEMO_PASSWORD}
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.post("/auth/token", data=form)).status_code == status
