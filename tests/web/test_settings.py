"""Settings: names, defaults, one clear line for each wrong variable, the printed reference."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from web.environment import SettingsError, variables
from web.http_settings import HttpSettings, LimitSettings, OidcIssuer
from web.settings import Settings
from web.settings_reference import settings_reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for _, part in Settings.part_types():
        for field in part.model_fields.values():
            for name in variables(field):
                monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    yield


def complaint(monkeypatch: pytest.MonkeyPatch, **given: str) -> list[str]:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment()
    return raised.value.message.splitlines()


def test_defaults() -> None:
    settings = Settings.from_environment()
    assert (settings.server.host, settings.server.port, settings.server.status_port) == ("127.0.0.1", 3002, 3003)
    assert settings.server.data_dir == Path(".data")
    assert settings.cluster.workers >= 1
    assert settings.database.primary_url is None
    assert settings.redis.shared_url is None
    assert settings.cache.enabled
    assert settings.http.request_timeout == timedelta(seconds=30)
    assert settings.database.statement_timeout < settings.http.request_timeout
    assert dict(settings.cache.ttl_by_type) == {
        "employee": timedelta(hours=1),
        "organisation": timedelta(hours=12),
        "attendance": timedelta(hours=1),
        "list": timedelta(minutes=10),
        "aggregate": timedelta(minutes=10),
    }


def test_sentinels_by_variables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "REDIS_SENTINELS": "s1:26379, s2:26380",
        "REDIS_SENTINEL_MASTER": "main",
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": "a/b",
        "REDIS_SENTINEL_PASSWORD": "c&d",
        "REDIS_HOST": "ignored",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    url = Settings.from_environment().redis.shared_url
    assert url == "redis+sentinel://app:a%2Fb@s1:26379,s2:26380/main?sentinel_password=c%26d"


def test_several_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_REPLICA_URL", "postgres://r1/x, postgresql://r2/x?host=a&host=b")
    urls = Settings.from_environment().database.replica_urls
    assert urls == ("postgresql+asyncpg://r1/x", "postgresql+asyncpg://r2/x?host=a&host=b")


def test_everything_by_its_documented_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WEB_CONCURRENCY": "3",
        "WORKER_RESTART_DELAY": "250",
        "DATABASE_URL": "postgres://ann:s3cret@db/rollcall",
        "REDIS_HOST": "cache",
        "REDIS_PASSWORD": "a/b",
        "CACHE": "off",
        "CACHE_TTL_LIST": "30",
        "CORS_ORIGINS": "https://a.example.org, http://localhost:5173",
        "ALLOWED_HOSTS": "*.example.org,localhost,[::1]",
        "OIDC_ISSUERS": "https://login.example.org/realm|rollcall,http://127.0.0.1:1|x",
        "STATEMENT_TIMEOUT_MS": "2500",
        "AUTH_ACCESS_TTL": "60",
        "HOST": "0.0.0.0",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings.cluster.workers == 3
    assert settings.cluster.restart_delay == timedelta(milliseconds=250)
    assert settings.database.primary_url == "postgresql+asyncpg://ann:s3cret@db/rollcall"
    assert settings.database.host is None, "HOST is where we listen, not where PostgreSQL is"
    assert settings.redis.shared_url == "redis://:a%2Fb@cache:6379/0"
    assert not settings.cache.enabled
    assert settings.cache.ttl_by_type["list"] == timedelta(seconds=30)
    assert settings.http.cors_origins == ("https://a.example.org", "http://localhost:5173")
    assert settings.http.allowed_hosts == ("*.example.org", "localhost", "[::1]")
    assert settings.auth.oidc_issuers == (
        OidcIssuer("https://login.example.org/realm", "rollcall"),
        OidcIssuer("http://127.0.0.1:1", "x"),
    )
    assert settings.database.statement_timeout == timedelta(seconds=2.5)
    assert settings.auth.access_ttl == timedelta(minutes=1)
    assert not settings.server.loopback
    assert "s3cret" not in repr(settings)


def test_the_preferred_name_wins_and_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_WORKERS", "2")
    monkeypatch.setenv("WEB_CONCURRENCY", "9")
    monkeypatch.setenv("PORT", "")
    settings = Settings.from_environment()
    assert (settings.cluster.workers, settings.server.port) == (2, 3002)


def test_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "service.env").write_text("PORT=4000\nCACHE=maybe\n")
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "service.env"))
    assert complaint(monkeypatch) == ["CACHE: needed on or off, got 'maybe'"]
    (tmp_path / "service.env").write_text("PORT=4000\nSTATUS_PORT=4001\n")
    monkeypatch.setenv("PORT", "5000")
    server = Settings.from_environment().server
    assert (server.port, server.status_port) == (5000, 4001)


def test_a_missing_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint(monkeypatch, ENV_FILE="nowhere.env") == [
        "ENV_FILE: needed a file of NAME=value lines, got 'nowhere.env', which does not exist"
    ]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("CLUSTER_WORKERS", "abc", "CLUSTER_WORKERS: needed a whole number from 1 to 256, got 'abc'"),
        ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY: needed a whole number from 1 to 256, got '0'"),
        ("CLUSTER_WORKERS", "10000", "CLUSTER_WORKERS: needed a whole number from 1 to 256, got '10000'"),
        ("PORT", "70000", "PORT: needed a whole number from 0 to 65535, got '70000'"),
        (
            "WORKER_RESTART_DELAY",
            "1s",
            "WORKER_RESTART_DELAY: needed a number of milliseconds from 0 to 600000, got '1s'",
        ),
        ("DEMO", "yes", "DEMO: needed auto or on or off, got 'yes'"),
        ("ENABLE_CLUSTERING", "2", "ENABLE_CLUSTERING: needed on or off, got '2'"),
        (
            "DATABASE_URL",
            "mysql://ann:s3cret@db/x",
            "DATABASE_URL: needed an address like postgresql://user:password@host:5432/rollcall,"
            " got 'mysql://ann:***@db/x'",
        ),
        (
            "REDIS_URL",
            "hunter2",
            "REDIS_URL: needed an address like redis://:password@host:6379/0, redis+sentinel://host1:26379,host2:26379"
            "/mymaster or redis+cluster://host1:6379,host2:6379, got something else (not shown)",
        ),
        (
            "REDIS_URL",
            "redis+sentinel://:s3cret@host1:26379",
            "REDIS_URL: needed an address like redis://:password@host:6379/0, redis+sentinel://host1:26379,host2:26379"
            "/mymaster or redis+cluster://host1:6379,host2:6379, got 'redis+sentinel://:***@host1:26379'",
        ),
        ("REDIS_SENTINELS", "a:1 b:2", "REDIS_SENTINELS: needed hosts like host1:26379,host2:26379, got 'a:1 b:2'"),
        (
            "DATABASE_REPLICA_URL",
            "postgresql://r1/x,r2/x",
            "DATABASE_REPLICA_URL: needed addresses, comma-separated, like"
            " postgresql://user:password@host:5432/rollcall, got 'postgresql://r1/x,r2/x'",
        ),
        (
            "CORS_ORIGINS",
            "https://a.example.org/",
            "CORS_ORIGINS: needed * or comma-separated origins like https://app.example.org,"
            " got 'https://a.example.org/'",
        ),
        ("ALLOWED_HOSTS", "a:3002", "ALLOWED_HOSTS: needed comma-separated host names without ports, got 'a:3002'"),
        (
            "OIDC_ISSUERS",
            "https://login.example.org",
            "OIDC_ISSUERS: needed comma-separated issuer|audience pairs like https://login.example.org|rollcall,"
            " got 'https://login.example.org'",
        ),
        ("CACHE_TTL_EMPLOYEE", "0", "CACHE_TTL_EMPLOYEE: needed a number of seconds from 1 to 2592000, got '0'"),
        ("LIMIT_COST", "-1", "LIMIT_COST: needed a whole number of at least 1, got '-1'"),
    ],
)
def test_one_clear_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str) -> None:
    assert complaint(monkeypatch, **{name: value}) == [line]


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = complaint(monkeypatch, PORT="x", LIMIT_DEPTH="0", AUTH_PRIVATE_KEY="k", AUTH_PRIVATE_KEY_FILE="auth.key")
    assert lines == [
        "PORT: needed a whole number from 0 to 65535, got 'x'",
        "LIMIT_DEPTH: needed a whole number from 1 to 100, got '0'",
        "AUTH_PRIVATE_KEY_FILE: needed only one of it and AUTH_PRIVATE_KEY, got both",
    ]


def test_parts_by_field_name() -> None:
    assert LimitSettings.of(cost=7).cost == 7
    assert HttpSettings.of(cors_origins=("*",)).cors_origins == ("*",)
    with pytest.raises(KeyError):
        LimitSettings.of(costs=7)
    with pytest.raises(ValidationError):
        LimitSettings.of(cost=7).cost = 8


def test_no_variable_is_declared_twice() -> None:
    names = [
        name for _, part in Settings.part_types() for field in part.model_fields.values() for name in variables(field)
    ]
    assert sorted(names) == sorted(set(names))


def test_reference() -> None:
    page = settings_reference()
    assert (
        "| `CLUSTER_WORKERS` or `WEB_CONCURRENCY` | cores | a whole number from 1 to 256 | Worker processes that share"
        " the port; by default one for each processor that the service may use. |\n"
    ) in page
    assert "| `CACHE` | on | on or off | Off: every lookup goes to the database. |" in page
    assert "| `DATA_DIR` | `.data` | a path |" in page
    assert "| `OIDC_ISSUERS` |  | comma-separated issuer\\|audience pairs" in page
    assert all(line.count(" | ") == 3 for line in page.splitlines() if line.startswith("| `"))
    assert "| `DB_POOL_WAIT_MS` | `5000` | a number of milliseconds from 1 to 600000 |" in page
    assert "| `AUTH_REFRESH_TTL` | `1209600` | a number of seconds from 60 to 31536000 |" in page


def test_the_reference_names_every_variable_that_the_code_reads() -> None:
    page = settings_reference()
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(line for line in page.splitlines() if line[:3] == "| `")))
    declared = {
        name for _, part in Settings.part_types() for field in part.model_fields.values() for name in variables(field)
    }
    packages = ("cache", "cluster", "db", "domain", "loaders", "ops", "resolvers", "schema", "telemetry", "web")
    sources = [*ROOT.glob("*.py"), *(path for package in packages for path in (ROOT / package).rglob("*.py"))]
    read = {
        name
        for path in sources
        for name in re.findall(r"""(?:environ\.get\(|environ\[|getenv\()["']([A-Z_]+)["']""", path.read_text())
    }
    assert {"LOG_LEVEL", "PG_BINDIR"} <= read
    assert declared | read == listed
    assert all(field.description for _, part in Settings.part_types() for field in part.model_fields.values())


def test_the_reference_in_the_docs_is_the_one_printed_from_code() -> None:
    kept = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert kept == settings_reference(), "run: python -m web.settings_reference > docs/reference/settings.md"
