"""A foreign issuer on a loopback port that publishes what a test tells it to, and counts who asks."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jwt
from joserfc.jwk import Key

from web.jwt import PinnedAlgorithms


class KeyServer(ThreadingHTTPServer):
    """Discovery and keys; `status` of another kind makes it an outage."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Published)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.discovery: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "other": [1]}
        self.keys: list[Any] = []
        self.status = 200
        self.asked: Counter[str] = Counter()

    def publish(self, *keys: Key, **parameters: str) -> None:
        self.keys = [{**key.as_dict(private=False), **parameters} for key in keys]

    def token(self, key: Key, alg: str, claims: dict[str, Any], **header: Any) -> str:
        complete = {"iss": self.url, "aud": "rollcall", "sub": "ada-1", **claims}
        return jwt.encode({"alg": alg, "kid": key.kid, **header}, complete, key, registry=PinnedAlgorithms(alg))


class Published(BaseHTTPRequestHandler):
    """Answers from the server's fields."""

    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        found = {"/.well-known/openid-configuration": self.server.discovery, "/keys": {"keys": self.server.keys}}
        content = json.dumps(found[self.path]).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


@contextmanager
def key_server() -> Iterator[KeyServer]:
    with KeyServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
