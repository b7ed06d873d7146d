"""Clients of a deployment: readers, and people who punch and look at once whether it shows. None retries by itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.deploy.figures import Attempt, Kind, Outcome

LIMIT_S = 40.0
STALE_LIMIT_S = 15.0
EMPLOYEE = "query Employee($id: ID!) { employee(id: $id) { fullName department { name } presence { state } } }"
PRESENCE = "query Presence($id: ID!) { employee(id: $id) { presence { state } } }"
CHECK = (
    "mutation Check($input: CheckInput!) { %s(input: $input) { punch { id } day { workDate } userErrors { code } } }"
)


class Refused(Exception):
    """The service cannot answer now and says when to come again."""


class Failed(Exception):
    """Anything else that is no answer."""


class Client:
    """One connection, kept while the other side keeps it."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, document: str, variables: Mapping[str, object], *, by_get: bool = False) -> dict[str, Any]:
        """The data of an operation; raises Refused or Failed."""
        try:
            async with asyncio.timeout(LIMIT_S):
                status, headers, body = await self._exchange(document, variables, by_get=by_get)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            raise Failed(type(error).__name__) from None
        answer = json.loads(body) if "json" in headers.get("content-type", "") else {}
        errors = [error["extensions"] for error in answer.get("errors", [])]
        if errors and all(error["code"] == "SERVICE_UNAVAILABLE" and error["retryAfter"] > 0 for error in errors):
            raise Refused(
                answer["errors"][0]["message"]
            )  # with 503 and Retry-After, or with 200 beside the fields that could be answered
        if status != 200 or errors:
            raise Failed(" ".join([str(status), *(error["code"] for error in errors)]))
        data: dict[str, Any] = answer["data"]
        return data

    async def _exchange(
        self, document: str, variables: Mapping[str, object], *, by_get: bool
    ) -> tuple[int, dict[str, str], bytes]:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = b"" if by_get else json.dumps({"query": document, "variables": variables}).encode()
        path = f"/graphql?query={quote(document)}&variables={quote(json.dumps(variables))}" if by_get else "/graphql"
        head = f"{'GET' if by_get else 'POST'} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(
            f"{head}authorization: Bearer {self._token}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )
        top = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in top[1:] if line)}
        answer = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(top[0].split()[1]), headers, answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Load:
    """Readers and punchers; every employee is punched by one of them, so that what a read must show is known."""

    def __init__(self, port: int, token: str, employees: Sequence[str], readers: int = 6, punchers: int = 4) -> None:
        self.attempts: list[Attempt] = []
        self.stale: list[float] = []
        self.notes: list[str] = []
        self.acknowledged: dict[str, str] = {}
        self.sent: set[str] = set()
        self.directions: dict[str, str] = {}
        self.expected: dict[str, bool] = {}  # whether an employee is at work, after what was acknowledged
        self._came: dict[str, str | None] = {}
        self._port, self._token, self._employees = port, token, employees
        self._readers, self._punchers = readers, punchers
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask all the time; at the end every mutation that was begun is brought to its acknowledgement."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._readers):
                tasks.create_task(self._read(number))
            for number in range(self._punchers):
                tasks.create_task(self._punch(self._employees[number :: self._punchers]))
            try:
                yield
            finally:
                self._stopping = True

    async def _read(self, number: int) -> None:
        client = Client(self._port, self._token)
        turn = number
        while not self._stopping:
            turn += 7
            employee = self._employees[turn % len(self._employees)]
            await self._ask(client, "read", EMPLOYEE, {"id": employee}, by_get=turn % 2 == 0)
            await asyncio.sleep(0.01)
        client.close()

    async def _punch(self, employees: Sequence[str]) -> None:
        client, turn = Client(self._port, self._token), 0
        while not self._stopping:
            employee = employees[turn % len(employees)]
            turn += 1
            await self._check(client, employee, "OUT" if self.directions.get(employee) == "IN" else "IN")
            await asyncio.sleep(0.05)
        client.close()

    async def _check(self, client: Client, employee: str, direction: str) -> None:
        """Punch until it is acknowledged, always under one key, and look whether it shows."""
        key = str(uuid4())
        self.sent.add(key)
        document = CHECK % ("checkIn" if direction == "IN" else "checkOut")
        variables = {"input": {"employeeId": employee, "clientEventId": key}}
        while (data := await self._ask(client, "mutation", document, variables)) is None:
            await asyncio.sleep(0.1)
        [payload] = data.values()
        if payload["punch"] is None:
            codes = [error["code"] for error in payload["userErrors"]]
            assert codes in (["ALREADY_CHECKED_IN"], ["NOT_CHECKED_IN"]), codes
            self.directions[employee] = "IN" if codes == ["ALREADY_CHECKED_IN"] else "OUT"
            return
        self.acknowledged[key] = payload["punch"]["id"]
        self.directions[employee] = direction
        came, day = self._came.get(employee), payload["day"] and payload["day"]["workDate"]
        if direction == "IN":
            self._came[employee] = day
        if day is None or (direction == "OUT" and day != came):
            # in no window of the employee's plan, or in another one than the coming: presence does not follow it
            self.expected.pop(employee, None)
            return
        self.expected[employee] = direction == "IN"
        await self._look(client, employee, key)

    async def _look(self, client: Client, employee: str, key: str) -> None:
        """Look whether what was just acknowledged shows; if not, note for how long it does not."""
        acknowledged_s = time.monotonic()
        shown = await self._ask(client, "read", PRESENCE, {"id": employee}, by_get=True)
        if shown is None or is_in(shown) == self.expected[employee]:
            return
        self.stale.append(time.monotonic())
        first = shown["employee"]["presence"]["state"]
        while not self._stopping and time.monotonic() < acknowledged_s + STALE_LIMIT_S:
            shown = await self._ask(client, "read", PRESENCE, {"id": employee}, by_get=True)
            if shown is not None and is_in(shown) == self.expected[employee]:
                break
            await asyncio.sleep(0.02)
        state = shown["employee"]["presence"]["state"] if shown else None
        self.notes.append(
            f"{datetime.now(UTC):%H:%M:%S} {employee} key {key}: {first} instead of IN={self.expected[employee]}, "
            f"{state} after {time.monotonic() - acknowledged_s:.2f} s"
        )

    async def _ask(
        self, client: Client, kind: Kind, document: str, variables: Mapping[str, object], *, by_get: bool = False
    ) -> dict[str, Any] | None:
        began_s, outcome, reason, data = time.monotonic(), "answered", "", None
        try:
            data = await client.ask(document, variables, by_get=by_get)
        except Refused as error:
            outcome, reason = "refused", str(error)
            if kind == "read":
                self.notes.append(
                    f"{datetime.now(UTC):%H:%M:%S} read refused after {time.monotonic() - began_s:.2f} s: {reason}"
                )
        except Failed as error:
            outcome, reason = "failed", str(error)
        self.attempts.append(Attempt(kind, _outcome(outcome), began_s, time.monotonic(), reason))
        return data


def is_in(data: Mapping[str, Any]) -> bool:
    """Whether an answer about an employee shows him or her at work."""
    return bool(data["employee"]["presence"]["state"] == "IN")


def _outcome(text: str) -> Outcome:
    assert text in ("answered", "refused", "failed")
    return text  # type: ignore[return-value]
