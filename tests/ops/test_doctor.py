"""`rollcall doctor`: an installation that is well, and planted faults of each kind."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.tls import certificate_end
from ops import doctor
from ops.doctor import (
    Finding,
    of_certificate,
    of_clock,
    of_connections,
    of_database,
    of_disk,
    of_redis,
    of_settings,
    of_status_port,
)
from tests.cluster.certificates import WEEK, write_pair
from tests.kit.databases import Databases
from tests.ops.commands import answered, rollcall
from web.http_settings import TlsSettings
from web.settings import Settings


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    made = databases.new()
    yield made
    databases.drop(made)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: object) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    return Settings.from_environment()


def test_healthy_installation(url: str, databases: Databases, tmp_path: Path) -> None:
    result = rollcall(
        "doctor", "--json", DATABASE_URL=url, REDIS_URL=databases.redis_url, DATA_DIR=tmp_path,
        AUTH_PRIVATE_KEY_FILE=tmp_path / "key", CLUSTER_WORKERS=2,
    )  # fmt: skip
    found = answered(result)
    assert {finding["about"]: finding["level"] for finding in found["findings"] if finding["level"] == "error"} == {}
    assert (found["ok"], result.exit_code) == (True, 0)
    levels = {finding["about"]: finding["level"] for finding in found["findings"]}
    for about in ("settings", "Python", "DATA_DIR", "PostgreSQL", "migrations", "connections", "Redis", "clock"):
        assert levels[about] == "ok", about
    assert levels["service"] == "note"


def test_errors_make_it_exit_1(url: str, tmp_path: Path) -> None:
    result = rollcall(
        "doctor", DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0", DATA_DIR=tmp_path, CLUSTER_WORKERS=200,
    )  # fmt: skip
    assert result.exit_code == 1
    for line in (
        "Redis does not answer",
        "set AUTH_PRIVATE_KEY_FILE",
        "201 workers with 11 each",
        "CLUSTER_WORKERS to",
    ):
        assert line in result.stdout, result.stdout


def test_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, CLUSTER_WORKERS=4, DB_POOL_SIZE=20, ENABLE_CLUSTERING="true")
    assert of_connections(found, 109) == Finding(
        "ok", "connections", "109 of 109 at most (5 workers with 21 each, 4 others)"
    )
    assert of_connections(found, 97) == Finding(
        "error",
        "connections",
        "109 of 97 at most (5 workers with 21 each, 4 others)",
        "set DB_POOL_SIZE=17, or max_connections=112 in PostgreSQL",
    )
    assert of_connections(found, 8).change == "set max_connections=112 in PostgreSQL"
    assert of_connections(settings(monkeypatch, ENABLE_CLUSTERING="false"), 25).level == "ok"


DATABASE = {
    "up": True, "version": "18.6", "version_number": 180006, "answer_ms": 1.0, "in_recovery": False,
    "migration": "0003", "usable_connections": 500,
}  # fmt: skip
REDIS = {
    "up": True, "version": "9.1", "redis_version": "7.2.4", "answer_ms": 1.0, "role": "master", "max_memory_bytes": 0,
    "max_memory_policy": "noeviction",
}  # fmt: skip


def not_well(findings: Iterator[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.level, finding.about, finding.change) for finding in findings if finding.level != "ok"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, []),
        ({"up": False, "error": "gone"}, [("error", "PostgreSQL", "start it, or correct DATABASE_URL")]),
        ({"version_number": 140000}, [("error", "PostgreSQL", "needed PostgreSQL 15 or newer")]),
        ({"in_recovery": True}, [("error", "PostgreSQL", "name the primary")]),
        ({"migration": "0001"}, [("error", "migrations", "rollcall db migrate")]),
        ({"migration": None}, [("error", "migrations", "rollcall db migrate")]),
    ],
)
def test_database(monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], expected: object) -> None:
    found = settings(monkeypatch, CLUSTER_WORKERS=2)
    assert not_well(of_database(found, DATABASE | fault, "0003")) == expected


def test_writers_behind_a_pgbouncer_need_a_session_beside_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://rollcall@db/rollcall"
    through = {"DATABASE_URL": url, "DATABASE_PGBOUNCER": "on"}
    found = of_database(settings(monkeypatch, **through), DATABASE, "0003")
    assert not_well(found) == [("warning", "PgBouncer", "set DATABASE_ASIDE_URL")]
    beside = settings(monkeypatch, **through, DATABASE_ASIDE_URL=f"{url}_aside")
    assert beside.database.aside_url == "postgresql+asyncpg://rollcall@db/rollcall_aside?pgbouncer=on"
    assert not_well(of_database(beside, DATABASE, "0003")) == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, []),
        ({"off": True, "up": False}, [("warning", "Redis", "set REDIS_URL, and CACHE=on")]),
        ({"redis_version": "6.2.14"}, [("error", "Redis", "needed Redis 7 or Valkey")]),
        ({"answer_ms": 150}, [("warning", "REDIS_TIMEOUT_MS", "raise it")]),
        ({"max_memory_bytes": 2**30}, [("warning", "eviction", "set maxmemory-policy allkeys-lru")]),
        (
            {"max_memory_bytes": 2**30, "max_memory_policy": "volatile-ttl"},
            [("warning", "eviction", "set maxmemory-policy allkeys-lru")],
        ),
        ({"max_memory_bytes": 2**30, "max_memory_policy": "allkeys-lru"}, []),
        ({"role": "slave"}, [("error", "Redis", "name the primary")]),
    ],
)
def test_redis(monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], expected: object) -> None:
    assert not_well(of_redis(settings(monkeypatch, REDIS_TIMEOUT_MS=100), REDIS | fault)) == expected


def test_settings_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, HOST="0.0.0.0", STATUS_HOST="0.0.0.0")
    assert [finding.about for finding in of_settings(found, private=False) if finding.level != "ok"] == [
        "sign-in", "STATUS_HOST", "ALLOWED_HOSTS", "GRAPHQL_INTROSPECTION",
    ]  # fmt: skip


def test_certificate(tmp_path: Path) -> None:
    files = write_pair(tmp_path)
    tls = TlsSettings.of(certificate_file=files["TLS_CERT_FILE"], key_file=files["TLS_KEY_FILE"])
    levels = [
        [finding.level for finding in of_certificate(given, datetime.now(UTC) + after)]
        for given, after in ((TlsSettings(), timedelta(0)), (tls, timedelta(0)), (tls, 8 * WEEK), (tls, 10 * WEEK))
    ]
    assert levels == [[], ["ok"], ["warning"], ["warning"]]
    end = certificate_end(tls)
    assert end is not None
    assert [found.found for found in of_certificate(tls, end - timedelta(days=20, hours=1), [end])] == [
        f"the certificate and its key fit; it expires at {end:%Y-%m-%d %H:%M} UTC, in 20 days"
    ]
    assert not_well(of_certificate(tls, datetime.now(UTC), [end, end - WEEK])) == [
        ("warning", "TLS", "reload: rollcall cluster restart")
    ]
    Path(files["TLS_KEY_FILE"]).unlink()
    assert not_well(of_certificate(tls, datetime.now(UTC))) == [
        ("error", "TLS", "correct it: the next start or reload would fail")
    ]


def test_clock_disk_and_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [of_clock("Redis", ahead_s).level for ahead_s in (0.2, -0.9, 1.5, -3600)] == [
        "ok",
        "ok",
        "warning",
        "warning",
    ]
    assert of_disk(tmp_path / "not" / "there").level == "ok"
    monkeypatch.setattr(doctor, "LEAST_FREE_MB", (2**50, 2**51))
    assert of_disk(tmp_path).level == "error"
    down = {"status": "down", "reasons": ["0 of 2 workers serve"], "serving": 0, "wanted": 2}
    assert of_status_port(down, "") == Finding("error", "service", "down: 0 of 2 workers serve", "see its log")
