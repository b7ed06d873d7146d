"""Every file in deploy/ is accepted by the program that it is for, and agrees with the settings of the service."""

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT, needed, said
from web.environment import variables
from web.settings import Settings

OF_OTHERS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
COMPOSE, KUBERNETES = DEPLOY / "docker" / "compose.yaml", DEPLOY / "kubernetes" / "rollcall.yaml"
DOCKERFILE, UNIT = DEPLOY / "docker" / "Dockerfile", DEPLOY / "systemd" / "rollcall.service"


def known_variables() -> set[str]:
    """Every variable that the service reads."""
    parts = [part for _, part in Settings.part_types()]
    return {name for part in parts for field in part.model_fields.values() for name in variables(field)}


def default(part: str, field: str) -> Any:
    """The default of a setting."""
    return dict(Settings.part_types())[part].model_fields[field].default


def manifests() -> dict[str, Any]:
    """The Kubernetes objects by kind."""
    return {found["kind"]: found for found in yaml.safe_load_all(KUBERNETES.read_text())}


def container() -> dict[str, Any]:
    """The container of the Deployment."""
    [found] = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return cast("dict[str, Any]", found)


def variables_in_use() -> Iterator[tuple[str, str]]:
    """(file, variable) for each variable that a file gives the service."""
    for line in re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE):
        yield from (("systemd", name) for name in re.findall(r"(\w+)=", line))
    yield from (("Dockerfile", name) for name in re.findall(r"([A-Z_]{3,})=", DOCKERFILE.read_text().split("FROM")[-1]))
    service = yaml.safe_load(COMPOSE.read_text())["services"]["rollcall"]
    yield from (("compose", name) for name in service["environment"])
    yield from (("kubernetes", name) for name in manifests()["ConfigMap"]["data"])
    yield from (("kubernetes", entry["name"]) for entry in container()["env"])


def test_every_variable_is_one_that_the_service_reads() -> None:
    found = list(variables_in_use())
    assert {file for file, _ in found} == {"systemd", "Dockerfile", "compose", "kubernetes"}
    assert [entry for entry in found if entry[1] not in known_variables() | OF_OTHERS] == []


def test_values_that_kubernetes_gives_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in manifests()["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert (settings.cluster.workers, settings.http.graphiql, settings.server.status_host) == (2, False, "0.0.0.0")
    most_pods = manifests()["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]
    connections = (most_pods + 1) * settings.cluster.workers * (settings.database.pool_size + 1)  # + 1 pod: maxSurge
    assert connections == 126
    [limit] = re.findall(r"max_connections=(\d+)", COMPOSE.read_text())
    assert connections < int(limit)


def test_whoever_ends_the_service_waits_for_its_drain() -> None:
    drain_s = default("cluster", "drain_limit") / timedelta(seconds=1)
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    [pm2_ms] = re.findall(r"kill_timeout: (\d+)", (DEPLOY / "pm2" / "ecosystem.config.cjs").read_text())
    [systemd_s] = re.findall(r"TimeoutStopSec=(\d+)", UNIT.read_text())
    grace = yaml.safe_load(COMPOSE.read_text())["services"]["rollcall"]["stop_grace_period"]
    pause_s = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    waits = [int(pm2_ms) / 1000, int(systemd_s), int(grace.removesuffix("s"))]
    assert [wait for wait in [*waits, pod["terminationGracePeriodSeconds"] - pause_s] if wait < drain_s + 20] == []


def test_proxies_let_go_of_idle_connections_first() -> None:
    keep_alive_s = default("cluster", "keep_alive") / timedelta(seconds=1)
    [nginx] = re.findall(r"^    keepalive_timeout (\d+)s", (DEPLOY / "nginx" / "nginx.conf").read_text(), re.MULTILINE)
    [haproxy] = re.findall(r"timeout http-keep-alive (\d+)s", (DEPLOY / "haproxy" / "haproxy.cfg").read_text())
    assert int(nginx) < default("cluster", "drain_limit") / timedelta(seconds=1)
    assert int(haproxy) < keep_alive_s
    request_s = default("http", "request_timeout") / timedelta(seconds=1)
    [answer] = re.findall(r"proxy_read_timeout (\d+)s", (DEPLOY / "nginx" / "nginx.conf").read_text())
    assert int(answer) > request_s


def test_kubernetes_objects_belong_together() -> None:
    kinds = manifests()
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"]
    probes = {
        kind: container()[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    secret = yaml.safe_load((DEPLOY / "kubernetes" / "secret.example.yaml").read_text())
    named = {entry["valueFrom"]["secretKeyRef"]["key"] for entry in container()["env"] if "valueFrom" in entry}
    assert named | {"auth.key"} == set(secret["stringData"])


def test_the_image_holds_every_package_and_nothing_else() -> None:
    [packages] = re.findall(r"only-include = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    wanted = set(re.findall(r'"([\w.]+)"', packages))
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().split()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert let_in == wanted | {"requirements", "pyproject.toml", "README.md"}
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE)).split()
    assert {name.partition("/")[0] for name in copied} == let_in
    assert re.findall(r"^USER (.*)$", DOCKERFILE.read_text(), re.MULTILINE) == ["10001"]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = needed("systemd-analyze", "a machine with systemd has it")
    for name in ("rollcall.service", "rollcall.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/rollcall/.venv/bin/python", "/bin/true"))
    assert said(program, "verify", tmp_path / "rollcall.service", tmp_path / "rollcall.socket") == ""


def test_systemd_calls_the_unit_well_guarded() -> None:
    program = needed("systemd-analyze", "a machine with systemd has it")
    told = subprocess.run([program, "security", "--offline=true", UNIT], capture_output=True, text=True, check=False)
    if "Overall exposure level" not in told.stdout:
        pytest.skip("this systemd judges no unit that is not installed (systemd 250 does)")
    [level] = re.findall(r"Overall exposure level for rollcall.service: ([\d.]+)", told.stdout)
    assert float(level) < 2  # 0 is the best, 10 a unit without any guard


def test_hadolint_has_nothing_to_say() -> None:
    assert said(needed("hadolint"), DOCKERFILE) == ""


def test_compose_accepts_the_file() -> None:
    program = needed("docker-compose")
    told = said(program, "-f", COMPOSE, "config", POSTGRES_PASSWORD="x", AUTH_PRIVATE_KEY_FILE="/dev/null")
    found = yaml.safe_load(told)["services"]
    assert {name: entry["image"] for name, entry in found.items()} == {
        "postgres": "postgres:18-bookworm",
        "valkey": "valkey/valkey:9-bookworm",
        "rollcall": "rollcall",
    }


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_accepts_the_manifests(version: str) -> None:
    program = needed("kubernetes-validate")
    told = said(program, "--strict", "-k", version, KUBERNETES, DEPLOY / "kubernetes" / "secret.example.yaml")
    assert told.count(" passed ") == 6


def test_kustomize_builds_the_manifests() -> None:
    told = said(needed("kubectl", "see kubernetes.io"), "kustomize", DEPLOY / "kubernetes")
    assert len(list(yaml.safe_load_all(told))) == 5


def test_haproxy_accepts_both_configurations() -> None:
    program = needed("haproxy", "`apt-get install haproxy`")
    for name in ("haproxy.cfg", "valkey.cfg"):
        assert "WARNING" not in said(program, "-c", "-f", DEPLOY / "haproxy" / name)
