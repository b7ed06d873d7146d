"""A supervisor over the trivial application, as its own process: python -m tests.cluster.run_example PORT."""

import asyncio
import os
import sys
from collections.abc import Mapping

from cluster.journal import journal, open_journal
from cluster.listener import bind
from cluster.process import Role
from cluster.supervisor import Supervisor
from domain.errors import RollcallError
from web.settings import Settings


async def main(port: int) -> int:
    settings = Settings.from_environment()
    listener = bind("127.0.0.1", port)

    async def prepare() -> Mapping[str, str]:
        return {"EXAMPLE_PREPARED": "yes"}

    target = os.environ.get("EXAMPLE_TARGET", "tests.cluster.example:app")
    roles = [Role("worker", "cluster.worker", (str(listener.fileno()), target), (listener.fileno(),), numbered=True)]
    return await Supervisor(listener, roles, settings.cluster, prepare, lambda: journal.info("serving")).run()


if __name__ == "__main__":
    open_journal()
    try:
        sys.exit(asyncio.run(main(int(sys.argv[1]))))
    except RollcallError as error:
        journal.error("%s", error.message)
        sys.exit(2)
