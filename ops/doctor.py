"""What `rollcall doctor` looks at: each check says what it found, and what to change when that is not well."""

import os
import platform
import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from cache.commands import EVICTION_POLICIES
from cluster.listener import QUEUE_LENGTH
from cluster.tls import certificate_end, certificate_warning
from web.environment import SettingsError
from web.http_settings import TlsSettings
from web.settings import Settings, is_loopback, usable_cores

Level = Literal["ok", "note", "warning", "error"]
OLDEST_POSTGRESQL: Final = 150_000
OLDEST_REDIS: Final = (7, 0)
"""PEXPIRETIME, by which the fence is extended, came with Redis 7."""
MOST_CLOCK_DIFFERENCE_S: Final = 1.0
LEAST_FREE_MB: Final = (200, 2_000)
LEAST_FILES: Final = 4_096
BESIDE_THE_POOLS: Final = 4
"""Connections of the status process, of a migration and of two commands."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor."""

    level: Level
    about: str
    found: str
    change: str = ""


def of_machine(settings: Settings) -> Iterator[Finding]:
    """Python, processors, files, the kernel, the disk."""
    yield Finding("ok", "Python", platform.python_version())
    workers, cores = settings.cluster.workers, usable_cores()
    crowded = settings.cluster.enabled and workers > 2 * cores
    found = f"{workers} workers on {cores} usable processors"
    yield (
        Finding("warning", "workers", found, f"set CLUSTER_WORKERS to {cores}")
        if crowded
        else Finding("ok", "workers", found)
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield _at_least("open files", soft, LEAST_FILES, "raise it: LimitNOFILE= of systemd, or ulimit -n")
    queue = _number(Path("/proc/sys/net/core/somaxconn"))
    if queue is not None:
        change = f"sysctl net.core.somaxconn={QUEUE_LENGTH}"
        yield _at_least("queue of connections (somaxconn)", queue, QUEUE_LENGTH, change)
    yield of_disk(settings.server.data_dir)


def _at_least(about: str, found: int, needed: int, change: str) -> Finding:
    if 0 <= found < needed:
        return Finding("warning", about, f"{found:,}, needed {needed:,}", change)
    return Finding("ok", about, "unlimited" if found < 0 else f"{found:,}")


def of_disk(folder: Path) -> Finding:
    """Whether DATA_DIR can be written and has room."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("error", "DATA_DIR", f"{existing} cannot be written", "make it writable, or set DATA_DIR")
    free_mb = shutil.disk_usage(existing).free // 2**20
    found, (least, comfortable) = f"{free_mb:,} MiB free at {existing}", LEAST_FREE_MB
    if free_mb < comfortable:
        return Finding("error" if free_mb < least else "warning", "DATA_DIR", found, "free some space")
    return Finding("ok", "DATA_DIR", found)


def of_settings(settings: Settings, *, private: bool) -> Iterator[Finding]:
    """Whether the settings go together."""
    yield Finding("ok", "settings", "every variable can be read")
    if not private and not (settings.auth.private_key or settings.auth.private_key_file):
        yield Finding("error", "sign-in", "no key for tokens", "set AUTH_PRIVATE_KEY_FILE")
    if not is_loopback(settings.server.status_host):
        found = f"the status port listens on {settings.server.status_host}: everybody who reaches it sees the figures"
        yield Finding("warning", "STATUS_HOST", found, "keep it on 127.0.0.1, or behind a firewall")
    if not settings.server.loopback and not settings.http.allowed_hosts:
        yield Finding(
            "note", "ALLOWED_HOSTS", "requests for any host name are answered", "list the names of the service"
        )
    if not settings.server.loopback and settings.http.introspection:
        found = "clients may ask for the schema"
        yield Finding("note", "GRAPHQL_INTROSPECTION", found, "set it off if only your own clients call")


def of_certificate(tls: TlsSettings, now: datetime, served_until: Sequence[datetime] = ()) -> Iterator[Finding]:
    """Whether clients take the certificate, when there is one, and whether it is the one that workers serve."""
    try:
        warning, end = certificate_warning(tls, now), certificate_end(tls)
    except SettingsError as error:
        yield Finding("error", "TLS", error.message, "correct it: the next start or reload would fail")
        return
    if end is None:
        return
    if warning is not None:
        yield Finding("warning", "TLS", warning, "renew the certificate, then reload")
    else:
        yield Finding(
            "ok", "TLS", f"the certificate and its key fit; it expires at {_minute(end)}, in {(end - now).days} days"
        )
    others = [until for until in served_until if until != end]
    if others:
        found = f"the workers serve another certificate, which expires at {_minute(min(others))}"
        yield Finding("warning", "TLS", found, "reload: rollcall cluster restart")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def of_database(settings: Settings, state: Mapping[str, Any], newest: str | None) -> Iterator[Finding]:
    """Version, migrations, connections."""
    if not state["up"]:
        yield Finding("error", "PostgreSQL", state["error"], "start it, or correct DATABASE_URL")
        return
    found = f"{state['version']}, answers in {state['answer_ms']:g} ms"
    old = state["version_number"] < OLDEST_POSTGRESQL
    needed = f"needed PostgreSQL {OLDEST_POSTGRESQL // 10_000} or newer"
    yield Finding("error", "PostgreSQL", found, needed) if old else Finding("ok", "PostgreSQL", found)
    if state["in_recovery"]:
        yield Finding("error", "PostgreSQL", "it is a replica: nothing can be written", "name the primary")
    if state["migration"] != newest:
        found = f"at {state['migration'] or 'none'}, this version needs {newest}"
        yield Finding("error", "migrations", found, "rollcall db migrate")
    else:
        yield Finding("ok", "migrations", f"at {newest}")
    yield of_connections(settings, state["usable_connections"])
    if settings.database.pgbouncer and settings.database.aside is None:
        found = "while Redis is away writers need a second session each, which they may have taken from one another"
        yield Finding("warning", "PgBouncer", found, "set DATABASE_ASIDE_URL")


def of_connections(settings: Settings, usable: int) -> Finding:
    """Whether all workers and one more, as in a rolling reload, find the connections that they may open."""
    per_worker = settings.database.pool_size + 1  # one beside the pool, for writers whose Redis fails
    workers = settings.cluster.workers + 1 if settings.cluster.enabled else 1
    needed = workers * per_worker + BESIDE_THE_POOLS
    found = f"{needed} of {usable} at most ({workers} workers with {per_worker} each, {BESIDE_THE_POOLS} others)"
    if needed <= usable:
        return Finding("ok", "connections", found)
    fitting = (usable - BESIDE_THE_POOLS) // workers - 1
    lower = f"DB_POOL_SIZE={fitting}, or " if fitting >= 1 else ""
    return Finding("error", "connections", found, f"set {lower}max_connections={needed + 3} in PostgreSQL")


def of_redis(settings: Settings, state: Mapping[str, Any]) -> Iterator[Finding]:
    """Version, memory, eviction."""
    if state.get("off"):
        yield Finding("warning", "Redis", "the cache is off", "set REDIS_URL, and CACHE=on")
        return
    if not state["up"]:
        yield Finding("error", "Redis", state["error"], "start it, or correct REDIS_URL; until then answers are slower")
        return
    found = f"{state['version']}, answers in {state['answer_ms']:g} ms"
    version = tuple(int(part) for part in state["redis_version"].split(".")[:2])
    old = version < OLDEST_REDIS
    yield Finding("error", "Redis", found, "needed Redis 7 or Valkey") if old else Finding("ok", "Redis", found)
    limit_ms = settings.redis.timeout.total_seconds() * 1e3
    if state["answer_ms"] > limit_ms:
        yield Finding("warning", "REDIS_TIMEOUT_MS", f"{limit_ms:g}, slower than Redis is now", "raise it")
    if state["max_memory_bytes"] and (policy := state["max_memory_policy"]) not in EVICTION_POLICIES:
        does = "refuses writes" if policy == "noeviction" else "drops what writers have just held"
        found = f"maxmemory {state['max_memory_bytes'] // 2**20} MiB with {policy}: a full Redis {does}"
        yield Finding("warning", "eviction", found, "set maxmemory-policy allkeys-lru")
    if state["role"] != "master":
        yield Finding("error", "Redis", f"it is a {state['role']}: nothing can be stored", "name the primary")


def of_clock(name: str, ahead_s: float) -> Finding:
    """Whether a server's clock agrees with ours: days begin and end by ours."""
    found = f"{name} is {ahead_s:+.2f} s ahead of this machine"
    fits = abs(ahead_s) <= MOST_CLOCK_DIFFERENCE_S
    return Finding("ok", "clock", found) if fits else Finding("warning", "clock", found, "run an NTP client on both")


def of_status_port(health: Mapping[str, Any] | None, address: str) -> Finding:
    """Whether the service runs, and is well."""
    if health is None:
        return Finding("note", "service", f"nothing answers at {address}", "start it, or correct STATUS_PORT")
    if health["status"] == "ok":
        return Finding("ok", "service", f"{health['serving']} of {health['wanted']} workers serve")
    return Finding("error", "service", f"{health['status']}: {'; '.join(health['reasons'])}", "see its log")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
