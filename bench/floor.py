"""The floor: a worker as ours is, whose application answers bytes that lie in memory, and does nothing else.

python -m bench.floor; PORT and FLOOR_ANSWERS, a file of answers by request body, come from the environment.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from cluster.journal import open_journal
from cluster.listener import bound
from cluster.process import worker_role
from cluster.supervisor import Supervisor
from web.settings import Settings

_answers: dict[bytes, "Kept"] = {}


class Kept(msgspec.Struct, frozen=True):
    """The bytes of an answer: all of its head that the application had said, and its body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def keep_answers(path: Path, answers: Mapping[str, Kept]) -> None:
    """Write what the floor will answer."""
    path.write_bytes(msgspec.msgpack.encode(answers))


NOTHING: Final = Kept([], b"")  # for /readyz


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request and answer it."""
    if scope["type"] == "lifespan":
        await receive()
        _load(Path(os.environ["FLOOR_ANSWERS"]))
        await send({"type": "lifespan.startup.complete"})
        return
    kept = _answers.get((await receive())["body"], NOTHING)
    await send({"type": "http.response.start", "status": 200, "headers": kept.headers})
    await send({"type": "http.response.body", "body": kept.body})


def _load(path: Path) -> None:
    given = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, Kept])
    _answers.update({asked.encode(): answer for asked, answer in given.items()})


async def _nothing_to_prepare() -> Mapping[str, str]:
    return {}


async def _serve(settings: Settings) -> int:
    listener = bound("127.0.0.1", settings.server.port)

    def on_ready() -> None:
        sys.stderr.write("Rollcall is ready to answer from memory\n")

    roles = [worker_role(listener, "bench.floor:app", ("web.app",))]
    return await Supervisor(listener, roles, settings.cluster, _nothing_to_prepare, on_ready).run()


if __name__ == "__main__":
    open_journal()
    sys.exit(asyncio.run(_serve(Settings.from_environment())))
