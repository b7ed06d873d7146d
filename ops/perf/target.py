"""The service that a load test asks: its address, who signs in, and the keys that there are."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from domain.errors import RollcallError
from ops.perf.http_client import Place
from ops.terminal import NotReachable

MOST_EMPLOYEES: Final = 5_000
LIMIT_S: Final = 60.0
EMPLOYEES: Final = """query LoadKeys($after: String) { employees(first: 500, after: $after) {
  nodes { id } pageInfo { hasNextPage endCursor } } }"""


class Address(msgspec.Struct, frozen=True):
    """Where the service is."""

    place: Place
    url: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Of `http://host:port`; raises when it is none."""
        parts = urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port or parts.path.strip("/"):
            raise _Usage(f"--url: needed http://HOST:PORT, got {url!r}")
        return cls(Place(parts.hostname, port, parts.scheme == "https"), url.rstrip("/"))


class _Usage(RollcallError):
    exit_code = 2


class Target(msgspec.Struct, frozen=True):
    """The service, and what it may be asked."""

    address: Address
    token: str
    employees: Sequence[str]
    departments: Sequence[str]
    today: date

    def payload(self, document: str, variables: Mapping[str, Any]) -> bytes:
        """A request as it goes over the connection."""
        body = msgspec.json.encode({"query": document, "variables": variables})
        return (
            f"POST /graphql HTTP/1.1\r\nhost: {self.address.place.host}:{self.address.place.port}\r\n"
            "content-type: application/json\r\naccept: application/json\r\n"
            f"authorization: Bearer {self.token}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


def found_target(address: Address, user: str, password: str | None, token: str | None) -> Target:
    """Sign in unless there is a token, and read the keys."""
    from ops.demo.users import DEMO_PASSWORD  # late: with it comes all that writes the demo company

    try:
        with httpx2.Client(trust_env=False, timeout=LIMIT_S, base_url=address.url) as client:
            signed_in = token or _signed_in(client, user, password or DEMO_PASSWORD)
            client.headers["authorization"] = f"Bearer {signed_in}"
            found = _asked(client, "query LoadStart { departments { id } today { asOf } }", {})
            departments = [department["id"] for department in found["departments"]]
            today = date.fromisoformat(found["today"]["asOf"][:10])
            employees = _employees(client)
    except httpx2.HTTPError as error:
        raise NotReachable(f"--url: {address.url} does not answer ({type(error).__name__}): is it running?") from None
    if not employees or not departments:
        raise RollcallError(f"nothing to ask for: {user} sees {len(employees)} employees by name")
    return Target(address, signed_in, employees, departments, today)


def _signed_in(client: httpx2.Client, user: str, password: str) -> str:
    form = {"grant_type": "password", "username": user, "password": password}
    answer = client.post("/auth/token", data=form)
    if answer.status_code != 200:
        raise RollcallError(
            f"{user} cannot sign in (status {answer.status_code}): name somebody who can by --user and PERF_PASSWORD,"
            " or bring a token in PERF_TOKEN"
        )
    return str(answer.json()["access_token"])


def _employees(client: httpx2.Client) -> list[str]:
    found: list[str] = []
    after = None
    while len(found) < MOST_EMPLOYEES:
        page = _asked(client, EMPLOYEES, {"after": after})["employees"]
        found += [employee["id"] for employee in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    return found


def _asked(client: httpx2.Client, document: str, variables: Mapping[str, Any]) -> Any:
    answer = client.post("/graphql", json={"query": document, "variables": variables})
    try:
        found = answer.json()
    except ValueError:
        found = {}
    if answer.status_code != 200 or found.get("errors") or not found.get("data"):
        said = [error["message"] for error in found.get("errors", [])] or [f"status {answer.status_code}"]
        raise RollcallError(f"the service refuses to say what there is: {said[0]}")
    return found["data"]
