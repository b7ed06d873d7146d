"""What the figures were made on: machine, versions, commit."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import psutil
import redis

from db.embedded import EmbeddedServers
from web.settings import usable_cores

PACKAGES: Final = (
    "strawberry-graphql",
    "graphql-core",
    "hypercorn",
    "uvloop",
    "starlette",
    "asyncpg",
    "redis",
    "msgspec",
)
CHECKOUT: Final = Path(__file__).parents[1]


class Machine(msgspec.Struct, frozen=True):
    """Facts without which no figure means anything."""

    processor: str
    cores: int
    load_before: float
    memory_gb: int
    system: str
    python: str
    packages: dict[str, str]
    postgres: str
    valkey: str
    commit: str


def machine(servers: EmbeddedServers, cache: redis.Redis) -> Machine:
    """Collect them; `load_before` is the load of the last minute before the run, others' included."""
    info = cache.info("server")
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        load_before=round(psutil.getloadavg()[0], 2),
        memory_gb=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        postgres=_first_line([str(Path(servers.bindir) / "postgres"), "--version"]).rpartition(" ")[2],
        valkey=str(info.get("valkey_version") or info["redis_version"]),
        commit=_commit(),
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    found = _first_line(["git", "rev-parse", "--short", "HEAD"])
    changed = _first_line(["git", "status", "--porcelain", "--untracked-files=no"])
    return found + (" and changes" if changed else "") if found else "unknown"


def _first_line(command: list[str]) -> str:
    try:
        said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    return said.strip().partition("\n")[0]
