"""The dashboard and the alert rules, by a real Prometheus that scrapes the real service."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.client import Job
from bench.ground import Ground, filled, leased
from bench.queries import named_queries
from bench.service import Service, client, serving
from tests.cluster.certificates import write_pair
from tests.cluster.conftest import ROOT, free_port

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "rollcall.json").read_text())
EXPRESSIONS = {(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())}
ALERTS = [rule for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
NAME = re.compile(r"\brollcall_[a-z_]+")
SERIES_OF_A_HISTOGRAM = re.compile("_(bucket|count|sum)$")
ANSWERED_BY_S = 60.0


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: `apt-get install prometheus`")
    return found


def documented() -> set[str]:
    page = (ROOT / "docs" / "operate" / "monitoring.md").read_text()
    return set(re.findall(r"^\| `(rollcall_[a-z_]+)`", page, re.MULTILINE))


def metrics_in(expression: str) -> set[str]:
    return {SERIES_OF_A_HISTOGRAM.sub("", name) for name in NAME.findall(expression)}


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = set().union(*(metrics_in(expression) for _, expression in EXPRESSIONS))
    assert shown == {SERIES_OF_A_HISTOGRAM.sub("", name) for name in documented()}


def test_alerts_are_about_metrics_that_exist_and_say_what_to_do() -> None:
    for rule in ALERTS:
        assert metrics_in(rule["expr"]) <= documented()
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_page_lists_every_alert_as_the_rules_have_it() -> None:
    page = (ROOT / "docs" / "operate" / "monitoring.md").read_text()
    rows = re.findall(r"^\| `(Rollcall\w+)` \| (\w+) \| ([\w ]+) \| ([^|]+\.) \| ([^|]+) \|$", page, re.MULTILINE)
    assert [(name, severity, after, action) for name, severity, after, _, action in rows] == [
        (rule["alert"], rule["labels"]["severity"], rule.get("for", "at once"), rule["annotations"]["action"])
        for rule in ALERTS
    ]


def test_every_alert_fires_on_its_fault_and_none_on_a_healthy_node() -> None:
    cases = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    firing = {case["name"].removesuffix(" fires") for case in cases if case["name"].endswith(" fires")}
    assert firing == {rule["alert"] for rule in ALERTS}
    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts_test.yml"], cwd=RULES, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_one_that_prometheus_takes() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", "prometheus.yml"], cwd=RULES, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("monitored")
    with leased(data) as servers:
        ground = Ground(servers, data, 60, asyncio.run(filled(servers.database_url, 60, 12)))
        with serving(ground.environment(), data / "service.log", 2) as service:
            yield service


@contextmanager
def serving_tls(folder: Path) -> Iterator[int]:
    """The example behind TLS, for what only such a service measures; gives its status port."""
    status_port = free_port()
    variables = {"STATUS_PORT": str(status_port), "EXAMPLE_STATUS": "on", "CLUSTER_WORKERS": "1", **write_pair(folder)}
    with (folder / "example.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.run_example", str(free_port())],
            cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield status_port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def prometheus(folder: Path, *status_ports: int) -> Iterator[str]:
    """Prometheus with our configuration, but for the target and the pace; gives its address."""
    path = program("prometheus")
    configuration = (RULES / "prometheus.yml").read_text()
    targets = [f"127.0.0.1:{status_port}" for status_port in status_ports]
    fast = configuration.replace(": 5s", ": 1s").replace('"127.0.0.1:3003"', json.dumps(targets)[1:-1])
    (folder / "prometheus.yml").write_text(fast)
    shutil.copy(RULES / "alerts.yml", folder)
    port = free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([path, *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def ask(address: str, expression: str) -> list[Any]:
    """What an expression comes to now; nothing while Prometheus is starting."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])
    except ConnectionError:
        return []
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return []
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    except urllib.error.URLError:
        return []


def test_every_panel_has_something_to_show(service: Service, tmp_path: Path) -> None:
    jobs = [Job(query.body, connections=1, requests=1) for query in named_queries(60, datetime.now(UTC).date())]
    node = f"127.0.0.1:{service.status_port}"
    with (
        serving_tls(tmp_path) as behind_tls,
        prometheus(tmp_path, service.status_port, behind_tls) as address,
        client(service.port, service.token()) as asking,
    ):
        waiting = {
            (
                title,
                expression.replace("$__rate_interval", "10s").replace(
                    "$instance", f"127.0.0.1:{behind_tls}" if "certificate" in expression else node
                ),
            )
            for title, expression in EXPRESSIONS
        }
        deadline = time.monotonic() + ANSWERED_BY_S
        while waiting and time.monotonic() < deadline:
            for job in jobs:
                asking.run(job)
            waiting = {(title, expression) for title, expression in waiting if not ask(address, expression)}
        assert waiting == set()
        assert ask(address, f'ALERTS{{instance="{node}"}}') == []
