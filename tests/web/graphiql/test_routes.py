"""The page's routes without a browser: headers, caching, compression, and what is offered in the demo."""

import gzip
import hashlib
import json
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from web.graphiql_routes import DIST, DemoUser, graphiql_routes

SOURCES = DIST.parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)


def client_of(*demo_users: DemoUser) -> TestClient:
    routes = graphiql_routes(demo_users=demo_users, demo_password="secret" if demo_users else None)
    return TestClient(Starlette(routes=routes), "http://localhost", client=("127.0.0.1", 50000))


@pytest.fixture
def client() -> TestClient:
    return client_of()


def script_url(client: TestClient) -> str:
    found = re.search(r'src="(graphiql/assets/page-\w+\.js)"', client.get("/graphiql").text)
    assert found
    return f"/{found[1]}"


def test_the_page_is_guarded_and_revalidated(client: TestClient) -> None:
    answer = client.get("/graphiql")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert "<title>Rollcall GraphiQL</title>" in answer.text
    again = client.get("/graphiql", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_of_the_bundle_is_stored_forever_and_sent_as_it_lies_there(client: TestClient) -> None:
    url = script_url(client)
    answer = client.get(url, headers={"accept-encoding": "br, gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-security-policy"] == POLICY
    stored = DIST / "assets" / f"{url.rsplit('/', 1)[1]}.gz"
    assert answer.headers["content-length"] == str(stored.stat().st_size)
    assert answer.content == gzip.decompress(stored.read_bytes())
    again = client.get(url, headers={"accept-encoding": "gzip", "if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
def test_who_does_not_take_gzip_gets_the_plain_file_under_its_own_tag(client: TestClient, accepted: str) -> None:
    url = script_url(client)
    plain = client.get(url, headers={"accept-encoding": accepted})
    assert "content-encoding" not in plain.headers
    gzipped = client.get(url, headers={"accept-encoding": "gzip"})
    assert plain.content == gzipped.content
    assert plain.headers["etag"] != gzipped.headers["etag"]


@pytest.mark.parametrize("name", ["nothing.js", "..%2Findex.html", "page.js.gz"])
def test_other_files_are_not_there(client: TestClient, name: str) -> None:
    assert client.get(f"/graphiql/assets/{name}").status_code == 404


def test_only_get_and_head_are_answered(client: TestClient) -> None:
    head = client.head("/graphiql")
    assert (head.status_code, head.content) == (200, b"")
    assert client.post("/graphiql").status_code == 405


def test_demo_users_are_offered_only_in_the_demo() -> None:
    offered = client_of(DemoUser("hana@rollcall.example", "HR")).get("/graphiql/config.json")
    assert offered.json() == {
        "demoUsers": [{"email": "hana@rollcall.example", "label": "HR"}],
        "demoPassword": "secret",
    }
    assert offered.headers["cache-control"] == "no-store"
    assert client_of().get("/graphiql/config.json").json() == {"demoUsers": [], "demoPassword": None}


def test_the_bundle_is_small_and_whole(client: TestClient) -> None:
    names = {path.name.removesuffix(".gz") for path in (DIST / "assets").iterdir()}
    assert sum(path.stat().st_size for path in DIST.rglob("*") if path.is_file()) < 3_000_000
    assert not [name for name in names if name.endswith(".map")]
    scripts = [client.get(f"/graphiql/assets/{name}").text for name in names if name.startswith(("page", "chunk"))]
    named = set(re.findall(r"[\w.]+-[0-9A-Z]{8}\.(?:js|css)", "".join(scripts) + client.get("/graphiql").text))
    assert {name.split("-")[0] for name in named} == {"page", "chunk", "editor.worker", "graphql.worker", "json.worker"}
    assert named <= names


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert not [package for package in packages if "resolved" in package]
    assert all("integrity" in package for package in packages)


def test_every_bundled_package_has_its_licence() -> None:
    licences = (DIST / "LICENCES.txt").read_text()
    assert {"graphiql 5.4.0: MIT", "monaco-editor 0.52.2: MIT"} <= set(licences.splitlines())


def test_the_page_is_built_from_these_sources() -> None:
    names = [str(path.relative_to(SOURCES)) for path in (SOURCES / "src").rglob("*") if path.is_file()]
    hashed = hashlib.sha256()
    for name in sorted([*names, "build.mjs", "explorer_patch.mjs", "package-lock.json"]):
        hashed.update(name.encode() + b"\0" + (SOURCES / name).read_bytes() + b"\0")
    built = (DIST / "sources.sha256").read_text().strip()
    assert built == hashed.hexdigest(), "dist/ is stale: run `npm ci && node build.mjs` in web/graphiql"
