"""How long a start takes until the first answer, by phase: python -m bench.start DATA_FOLDER [TIMES].

The first start on an empty folder fills in the demo company. Each is ended with kill -9, so that the next one finds
what a crash leaves. The machine's load stands beside the figures: they are seconds of a clock, not of a processor.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from web.settings import usable_cores

CHECKOUT = Path(__file__).parents[1]
POLL_S = 0.005


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: Path) -> dict[str, float]:
    """Seconds from the start to each phase; the service is killed after its first answer."""
    port, began_s, began_at = free_port(), time.monotonic(), time.time()
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": str(port), "STATUS_PORT": "0"}
    phases: dict[str, float] = {}
    with subprocess.Popen([sys.executable, "server.py"], cwd=CHECKOUT, env=environment) as process:
        while "first answer" not in phases:
            if process.poll() is not None:
                sys.exit("the service has ended; the reason stands above")
            with suppress(FileNotFoundError):
                if (folder / "embedded.json").stat().st_mtime > began_at:
                    phases.setdefault("PostgreSQL and Valkey answer", time.monotonic() - began_s)
            with suppress(OSError):
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                client.connect()
                phases.setdefault("the database is ready for workers", time.monotonic() - began_s)
                client.request("GET", "/graphql?query={__typename}")
                if client.getresponse().read():
                    phases["first answer"] = time.monotonic() - began_s
            time.sleep(POLL_S)
        process.kill()
    return phases


def main(folder: str, times: str = "3") -> None:
    """Print a line for each phase of each start."""
    for number in range(int(times)):
        for phase, seconds in started(Path(folder).resolve()).items():
            sys.stdout.write(f"start {number + 1}: {phase:36} {seconds:6.2f} s\n")
    sys.stdout.write(f"load of the machine: {os.getloadavg()[0]:.1f} on {usable_cores()} processors\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
