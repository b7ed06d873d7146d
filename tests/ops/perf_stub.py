"""A service that answers at once, as far as the client of a load test can tell: python -m tests.ops.perf_stub.

Prints its port. A body that contains `stall` makes it answer nobody for half a second, `cut` closes the connection,
`busy` is answered 503, `close` closes after the answer, `silent` never answers.
"""

import asyncio
import sys
import time

import uvloop

STALL_S = 0.5
GOOD, BUSY = b'{"data":{"me":{"id":"1"}}}', b'{"errors":[{"message":"x","extensions":{"code":"SERVICE_UNAVAILABLE"}}]}'


def answer(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


class Stub(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if b"stall" in data:
            time.sleep(STALL_S)
        if b"silent" in data:
            return
        if b"cut" in data:
            self.transport.abort()  # type: ignore[attr-defined]
        elif b"busy" in data:
            self.write(answer(b"503 Busy", BUSY))
        elif b"close" in data:
            self.write(answer(b"200 OK", GOOD, b"Connection: close\r\n"))
            self.transport.close()
        else:
            whole = answer(b"200 OK", GOOD)
            self.write(whole[:30])
            self.write(whole[30:])

    def write(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
