"""Every setting of the service, read once from the environment; each layer is handed its own part.

How variables are read and complained about is in web/environment.py; docs/reference/settings.md is printed from here.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self, cast
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator
from pydantic_settings import NoDecode

from cache.place import place_of
from web.environment import CommaSeparated, Duration, Part, SettingsError, Url, complaints, env_file, setting
from web.http_settings import AuthSettings, HttpSettings, LimitSettings, TlsSettings

POSTGRESQL = Url(
    ("postgresql", "postgres", "postgresql+asyncpg"),
    "postgresql://user:password@host:5432/rollcall",
    becomes="postgresql+asyncpg",
)
REPLICAS = replace(POSTGRESQL, several=True)
REDIS = Url(
    (
        *("redis", "rediss", "unix"),
        *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
    ),
    "redis://:password@host:6379/0, redis+sentinel://host1:26379,host2:26379/mymaster"
    " or redis+cluster://host1:6379,host2:6379",
    check=place_of,
)
SENTINELS = CommaSeparated(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?", "hosts like host1:26379,host2:26379")
TIME_TO_LIVE = Duration("s", 1, 2_592_000)
MAX_AGES = CommaSeparated(r"\w+\.\w+=\d{1,6}", "comma-separated fields with seconds like Query.shifts=300")
MOST_WORKERS = 256


def usable_cores() -> int:
    """The processors that this process may use, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class ServerSettings(Part):
    """Where the service listens and keeps its files."""

    host: str = setting(
        "127.0.0.1", "HOST", "Address to listen on; the demo company is served on a loopback address only."
    )
    port: int = setting(3002, "PORT", "Port of the service; 0 takes any free one.", ge=0, le=65535)
    status_port: int = setting(3003, "STATUS_PORT", "Port of the status page and of the metrics.", ge=0, le=65535)
    status_host: str = setting(
        "127.0.0.1",
        "STATUS_HOST",
        "Address of the status port; whoever reaches it may look, and with STATUS_TOKEN restart and scale.",
    )
    status_token: SecretStr | None = setting(
        None,
        "STATUS_TOKEN",
        "Bearer token that restarts and scales through the status port; by default DATA_DIR/status.token is made.",
        min_length=16,
    )
    data_dir: Path = setting(
        Path(".data"), "DATA_DIR", "Folder of the private PostgreSQL and Valkey and of generated keys."
    )
    demo: Literal["auto", "on", "off"] = setting(
        "auto", "DEMO", "Fill an empty database with the demo company; auto does so in the private PostgreSQL only."
    )

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.port and self.port == self.status_port:
            raise ValueError(f"STATUS_PORT: needed another port than PORT, got {self.port} for both")
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


class ClusterSettings(Part):
    """How many workers serve, and how they are watched, replaced and told to go."""

    workers: int = setting(
        usable_cores,
        "CLUSTER_WORKERS WEB_CONCURRENCY",
        "Worker processes that share the port; by default one for each processor that the service may use.",
        ge=1,
        le=MOST_WORKERS,
    )
    enabled: bool = setting(
        True,
        "ENABLE_CLUSTERING",
        "Off: no supervisor, one worker inside the starting process (for debuggers and profilers).",
    )
    max_restarts: int = setting(
        10,
        "MAX_WORKER_RESTARTS",
        "Replacements of dead workers within the window; past it the others serve alone.",
        ge=0,
        le=10_000,
    )
    restart_window: Annotated[timedelta, Duration("s", 1, 86_400)] = setting(
        timedelta(seconds=60), "WORKER_RESTART_WINDOW", "Window in which replacements are counted."
    )
    restart_delay: Annotated[timedelta, Duration("ms", 0, 600_000)] = setting(
        timedelta(seconds=1),
        "WORKER_RESTART_DELAY",
        "Wait before a second replacement within the window; doubles with each further one. The first comes at once.",
        unit="ms",
    )
    start_timeout: Annotated[timedelta, Duration("s", 1, 3600)] = setting(
        timedelta(seconds=60),
        "WORKER_START_TIMEOUT",
        "A worker that is not ready by then is killed and counts as dead.",
        unit="s",
    )
    silence_limit: Annotated[timedelta, Duration("s", 0, 3600)] = setting(
        timedelta(seconds=30),
        "WORKER_SILENCE_LIMIT",
        "A worker whose event loop is silent for so long is replaced; 0 never.",
        unit="s",
    )
    max_requests: int = setting(
        0, "WORKER_MAX_REQUESTS", "Requests after which a worker is replaced without loss; 0 never.", ge=0
    )
    max_memory_mb: int = setting(
        0,
        "WORKER_MAX_MEMORY_MB",
        "Resident memory above which a worker is replaced without loss; 0 never.",
        ge=0,
        unit="MiB",
    )
    drain_limit: Annotated[timedelta, Duration("s", 0, 3600)] = setting(
        timedelta(seconds=20),
        "DRAIN_TIMEOUT",
        "Time for open requests and connections to end when a worker leaves.",
        unit="s",
    )
    keep_alive: Annotated[timedelta, Duration("s", 1, 3600)] = setting(
        timedelta(seconds=75),
        "KEEP_ALIVE_TIMEOUT",
        "Idle connections are closed after it; keep it above the proxy's.",
        unit="s",
    )
    keep_alive_max_requests: int = setting(
        1000,
        "KEEP_ALIVE_MAX_REQUESTS",
        "Requests after which a connection is closed in good order (jitter 10 %): spreads load over the workers.",
        ge=1,
    )


class DatabaseSettings(Part):
    """Where PostgreSQL is; with neither DATABASE_URL nor DB_HOST the service starts a private one under DATA_DIR."""

    url: Annotated[SecretStr | None, POSTGRESQL] = setting(None, "DATABASE_URL", "Primary PostgreSQL.")
    replica: Annotated[SecretStr | None, REPLICAS] = setting(
        None, "DATABASE_REPLICA_URL", "Replicas that answer reads once they have replayed what those need."
    )
    replica_wait: Annotated[timedelta, Duration("ms", 0, 10_000)] = setting(
        timedelta(),
        "DATABASE_REPLICA_WAIT_MS",
        "Wait for a replica that is behind before the primary is asked; for regions that are far from it.",
    )
    pgbouncer: bool = setting(
        False, "DATABASE_PGBOUNCER", "On: DATABASE_URL leads through a PgBouncer that pools transactions."
    )
    aside: Annotated[SecretStr | None, POSTGRESQL] = setting(
        None,
        "DATABASE_ASIDE_URL",
        "The primary past that PgBouncer, or by a pool of its own there: for what writers commit beside a transaction.",
    )
    host: str | None = setting(None, "DB_HOST", "Host of PostgreSQL, when DATABASE_URL is not given.")
    port: int = setting(5432, "DB_PORT", "Port of PostgreSQL, with DB_HOST.", ge=1, le=65535)
    name: str = setting("rollcall", "DB_NAME", "Name of the database, with DB_HOST.")
    user: str = setting("rollcall", "DB_USER", "User of PostgreSQL, with DB_HOST.")
    password: SecretStr | None = setting(None, "DB_PASSWORD", "Password of PostgreSQL, with DB_HOST.")
    pool_size: int = setting(10, "DB_POOL_SIZE", "Connections of each worker to PostgreSQL at most.", ge=1, le=500)
    pool_wait: Annotated[timedelta, Duration("ms", 1, 600_000)] = setting(
        timedelta(seconds=5), "DB_POOL_WAIT_MS", "Wait for a free connection before a request is answered 503."
    )
    statement_timeout: Annotated[timedelta, Duration("ms", 1, 3_600_000)] = setting(
        timedelta(seconds=15), "STATEMENT_TIMEOUT_MS", "PostgreSQL cancels a statement that takes longer."
    )

    @property
    def primary_url(self) -> str | None:
        """The address of the primary for SQLAlchemy, None when none was given."""
        url = self.url.get_secret_value() if self.url is not None else self._url_of_host()
        return None if url is None else self._pooled(url)

    @property
    def aside_url(self) -> str | None:
        """The address for what is committed beside an open transaction, None when that of the primary is to do."""
        return None if self.aside is None else self._pooled(self.aside.get_secret_value())

    def _pooled(self, url: str) -> str:
        return f"{url}{'&' if '?' in url else '?'}pgbouncer=on" if self.pgbouncer else url

    @property
    def variable(self) -> str:
        """The variable that says where the primary is."""
        return "DB_HOST" if self.url is None and self.host is not None else "DATABASE_URL"

    def _url_of_host(self) -> str | None:
        if self.host is None:
            return None
        password = f":{quote(self.password.get_secret_value(), safe='')}" if self.password else ""
        user, name = quote(self.user, safe=""), quote(self.name, safe="")
        return f"postgresql+asyncpg://{user}{password}@{self.host}:{self.port}/{name}"

    @property
    def replica_urls(self) -> tuple[str, ...]:
        """The addresses of the replicas for SQLAlchemy."""
        return tuple(self.replica.get_secret_value().split(",")) if self.replica else ()


class RedisSettings(Part):
    """Where Redis or Valkey is; without REDIS_URL, REDIS_SENTINELS and REDIS_HOST the service starts a private one."""

    url: Annotated[SecretStr | None, REDIS] = setting(
        None, "REDIS_URL", "Redis or Valkey that the workers share as second-level cache; rediss is TLS."
    )
    sentinels: Annotated[tuple[str, ...], NoDecode, SENTINELS] = setting(
        (), "REDIS_SENTINELS", "Sentinels that know where Redis is, when REDIS_URL is not given."
    )
    sentinel_primary: str = setting(
        "mymaster",
        "REDIS_SENTINEL_MASTER",
        "The name of Redis among the Sentinels, with REDIS_SENTINELS.",
        pattern=r"^[A-Za-z0-9_.-]+$",
    )
    sentinel_password: SecretStr | None = setting(
        None, "REDIS_SENTINEL_PASSWORD", "Password of the Sentinels themselves."
    )
    host: str | None = setting(None, "REDIS_HOST", "Host of Redis, when neither of them is given.")
    port: int = setting(6379, "REDIS_PORT", "Port of Redis, with REDIS_HOST.", ge=1, le=65535)
    user: str = setting("", "REDIS_USERNAME", "ACL user of Redis, with REDIS_HOST or REDIS_SENTINELS.")
    password: SecretStr | None = setting(
        None, "REDIS_PASSWORD", "Password of Redis, with REDIS_HOST or REDIS_SENTINELS."
    )
    pool_size: int = setting(20, "REDIS_POOL_SIZE", "Connections of each worker to Redis at most.", ge=1, le=1_000)
    timeout: Annotated[timedelta, Duration("ms", 1, 60_000)] = setting(
        timedelta(milliseconds=100), "REDIS_TIMEOUT_MS", "A Redis command that takes longer counts as a miss."
    )

    @property
    def variable(self) -> str:
        """The variable that says where Redis is."""
        given = {"REDIS_URL": self.url, "REDIS_SENTINELS": self.sentinels, "REDIS_HOST": self.host}
        return next((name for name, value in given.items() if value), "REDIS_URL")

    @property
    def shared_url(self) -> str | None:
        """The address of the shared cache, None when none was given."""
        if self.url is not None:
            return self.url.get_secret_value()
        secret = f":{quote(self.password.get_secret_value(), safe='')}" if self.password else ""
        account = f"{quote(self.user, safe='')}{secret}@" if self.user or secret else ""
        if self.sentinels:
            own = self.sentinel_password.get_secret_value() if self.sentinel_password else ""
            query = f"?sentinel_password={quote(own, safe='')}" if own else ""
            return f"redis+sentinel://{account}{','.join(self.sentinels)}/{self.sentinel_primary}{query}"
        return None if self.host is None else f"redis://{account}{self.host}:{self.port}/0"


class CacheSettings(Part):
    """The second-level cache; freshness never depends on a time to live, memory does."""

    enabled: bool = setting(True, "CACHE", "Off: every lookup goes to the database.")
    prefix: str = setting(
        "rollcall",
        "CACHE_PREFIX",
        "Begin of every Redis key: letters, digits, _ . - (one per installation on a shared server).",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
    )
    employee: Annotated[timedelta, TIME_TO_LIVE] = setting(
        timedelta(hours=1), "CACHE_TTL_EMPLOYEE", "Life of cached employees."
    )
    organisation: Annotated[timedelta, TIME_TO_LIVE] = setting(
        timedelta(hours=12), "CACHE_TTL_ORGANISATION", "Life of cached departments, locations, shifts and holidays."
    )
    attendance: Annotated[timedelta, TIME_TO_LIVE] = setting(
        timedelta(hours=1), "CACHE_TTL_ATTENDANCE", "Life of cached attendance days and punches."
    )
    list: Annotated[timedelta, TIME_TO_LIVE] = setting(timedelta(minutes=10), "CACHE_TTL_LIST", "Life of cached lists.")
    aggregate: Annotated[timedelta, TIME_TO_LIVE] = setting(
        timedelta(minutes=10), "CACHE_TTL_AGGREGATE", "Life of cached counts and statistics."
    )

    response_bytes: int = setting(
        32_000_000,
        "RESPONSE_CACHE_BYTES",
        "Memory of a worker for whole answers to queries, roughly; 0 keeps none.",
        ge=0,
        unit="B",
    )

    max_ages: Annotated[tuple[str, ...], NoDecode, MAX_AGES] = setting(
        (),
        "RESPONSE_MAX_AGE",
        "For how many seconds clients may reuse what fields of the schema gave without asking, the least of an answer"
        " counts; none by default: then nobody is shown what has changed.",
    )
    warm: int = setting(
        0,
        "CACHE_WARM",
        "Queries, those that are asked most, that a worker executes when it starts so that they are cached; 0 none.",
        ge=0,
        le=200,
    )
    verify_share: float = setting(
        0.001,
        "CACHE_VERIFY_SHARE",
        "Share of hits that are asked of PostgreSQL again and compared, off the path of requests; 0 none.",
        ge=0,
        le=1,
    )

    @property
    def age_s_by_field(self) -> Mapping[str, int]:
        """The maximum ages by field."""
        return {field: int(seconds) for field, _, seconds in (item.partition("=") for item in self.max_ages)}

    @property
    def ttl_by_type(self) -> Mapping[str, timedelta]:
        """The lives by type: employee, organisation, attendance, list, aggregate."""
        types = ("employee", "organisation", "attendance", "list", "aggregate")
        return MappingProxyType({name: getattr(self, name) for name in types})


class QuerySettings(Part):
    """What is recorded about SQL statements."""

    slow_threshold: Annotated[timedelta, Duration("ms", 0, 3_600_000)] = setting(
        timedelta(milliseconds=200),
        "SLOW_QUERY_THRESHOLD_MS",
        "Statements that take longer are recorded as slow.",
    )
    log_all: bool = setting(False, "ENABLE_QUERY_LOGGING", "Log every statement with its time, not only slow ones.")
    explain: bool = setting(False, "ENABLE_EXPLAIN_ANALYZE", "Record the plan of slow statements.")


class Settings(BaseModel):
    """All parts; built once per process by `from_environment`."""

    model_config = ConfigDict(frozen=True)

    server: ServerSettings
    cluster: ClusterSettings
    database: DatabaseSettings
    redis: RedisSettings
    cache: CacheSettings
    queries: QuerySettings
    http: HttpSettings
    tls: TlsSettings
    limits: LimitSettings
    auth: AuthSettings

    @classmethod
    def part_types(cls) -> Iterator[tuple[str, type[Part]]]:
        """The parts by name, in the order of the reference."""
        for name, field in cls.model_fields.items():
            yield name, cast("type[Part]", field.annotation)

    @classmethod
    def from_environment(cls) -> Self:
        """Read every variable; raises one SettingsError with a line for each wrong one."""
        file = env_file()
        own = {name: value for name, value in os.environ.items() if value}  # an empty one counts as not set
        given: dict[str, str | None] = {**(dotenv_values(file) if file else {}), **own}
        parts: dict[str, Part] = {}
        wrong: list[str] = []
        for name, part in cls.part_types():
            try:
                parts[name] = cast("Callable[..., Part]", part)(_env_file=file)
            except ValidationError as error:
                wrong.extend(complaints(part, error, given))
        if wrong:
            raise SettingsError("\n".join(wrong))
        return cls.model_validate(parts)
