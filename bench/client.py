"""The client, a process of its own: raw keep-alive HTTP/1.1, as many requests as it is told, one line of JSON back.

python -m bench.client PORT TOKEN; each line on standard input is a Job, each line on standard output its Outcome.
"""

import asyncio
import sys
from time import perf_counter

import msgspec

READ_LIMIT = 16 * 1024 * 1024


class Job(msgspec.Struct, frozen=True):
    """Ask with `connections` side by side: at least `requests` times, and for at least `seconds`."""

    body: str
    connections: int
    requests: int
    seconds: float = 0.0
    others: list[str] = []
    """Bodies that are asked in turn after the first one."""


class Outcome(msgspec.Struct, frozen=True):
    """How long requests took, from the first byte sent to the last received; `wrong` is an answer with errors."""

    latencies_ms: list[float]
    elapsed_s: float
    response_bytes: int
    wrong: str | None = None


class Client:
    """Connections to one port, opened when they are needed and kept between jobs."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"accept: application/json\r\nauthorization: Bearer {token}\r\ncontent-length: "
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, job: Job) -> Outcome:
        """Do a job."""
        latencies: list[float] = []
        wrong: list[bytes] = []
        sizes: list[int] = []
        payloads = [f"{self._head}{len(body.encode())}\r\n\r\n{body}".encode() for body in (job.body, *job.others)]
        began = perf_counter()
        asked = 0

        async def ask_on_and_on() -> None:
            nonlocal asked
            while not wrong and (asked < job.requests or perf_counter() - began < job.seconds):
                payload = payloads[asked % len(payloads)]
                asked += 1
                sent = perf_counter()
                body, good = await self._ask(payload)
                latencies.append((perf_counter() - sent) * 1000)
                sizes.append(len(body))
                if not good:
                    wrong.append(body)

        await asyncio.gather(*(ask_on_and_on() for _ in range(job.connections)))
        elapsed_s = perf_counter() - began
        return Outcome(latencies, elapsed_s, sizes[-1], wrong[0][:500].decode(errors="replace") if wrong else None)

    async def _ask(self, payload: bytes) -> tuple[bytes, bool]:
        reader, writer = await self._connection()
        writer.write(payload)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return body, b" 200 " in head[:20] and body.startswith(b'{"data":{') and b'"userErrors":[{' not in body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one that was used last, unless the service has closed it meanwhile."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port, limit=READ_LIMIT)


async def main(port: int, token: str) -> None:
    """Do jobs until standard input ends."""
    client = Client(port, token)
    while line := await asyncio.to_thread(sys.stdin.readline):
        outcome = await client.run(msgspec.json.decode(line, type=Job))
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
