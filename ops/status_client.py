"""Asks the status port of the running service."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx2
import orjson

from cluster.status_token import kept_token
from domain.errors import RollcallError
from ops.terminal import NotReachable
from web.settings import Settings

READ_LIMIT_S = 10.0
CHANGE_LIMIT_S = 330.0
TRIES = 4
PAUSE_S = 0.5


class StatusPort:
    """The status port that the settings name."""

    def __init__(self, settings: Settings) -> None:
        server = settings.server
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.status_host, server.status_host)  # noqa: S104
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{server.status_port}"
        self._token = kept_token(settings)

    def get(self, path: str) -> Any:
        """The JSON that the port shows, also when it shows that the service is down."""
        return self._answer("GET", path, None, READ_LIMIT_S)

    def post(self, path: str, body: object = None) -> Any:
        """Have something done."""
        return self._answer("POST", path, body, CHANGE_LIMIT_S)

    def _answer(self, method: str, path: str, body: object, limit_s: float) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token and method == "POST" else {}
        try:
            with httpx2.Client(trust_env=False, timeout=limit_s) as client:
                answer = insisting(lambda: client.request(method, self.address + path, json=body, headers=headers))
            found = orjson.loads(answer.content)
        except (httpx2.HTTPError, ValueError) as error:
            raise NotReachable(
                f"the status port at {self.address} does not answer ({type(error).__name__}): is the service running?"
                " STATUS_HOST and STATUS_PORT say where it is"
            ) from None
        if "detail" in found and answer.status_code >= 400:
            raise RollcallError(str(found["detail"]))
        return found


def insisting(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The answer, asked for again where it was cut off: a reload also replaces the process of the status port."""
    for _ in range(TRIES - 1):
        with suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
            return ask()
        time.sleep(PAUSE_S)
    return ask()
