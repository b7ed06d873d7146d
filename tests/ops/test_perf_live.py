"""`rollcall perf` against the real service: every planted fault is found, its own frames are drawn, a load is borne."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from bench.ground import Ground, filled, forget, leased
from ops.demo.users import DEMO_PASSWORD
from ops.perf.diagnosis import LONGEST_LAG_MS
from ops.perf.load import Effort, arrivals
from ops.perf.operations import mix_of
from telemetry.executions import MANY
from tests.cluster.conftest import ROOT, free_port
from tests.ops.commands import answered, rollcall
from tests.ops.faulty_service import BLOCKED_S, HELD_S, SLEPT_S

EMPLOYEES, DAYS, POOL = 60, 12, 3
LIMIT_S = 40.0
ONE = "{ employee(id: $id) { id manager { id } department { id } } }"
MANY_ROWS = "query Rows { employees(first: 50) { nodes { id manager { id fullName } department { id } } } }"


class Service:
    """A running one, of one worker."""

    def __init__(self, ground: Ground, port: int, status_port: int) -> None:
        self.ground = ground
        self.settings = {"PORT": port, "STATUS_PORT": status_port, "ENV_FILE": ground.data / "empty.env"}
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=LIMIT_S)
        self.ids: list[str] = []

    def sign_in(self) -> None:
        form = {"grant_type": "password", "username": "hr@rollcall.test", "password": DEMO_PASSWORD}
        token = self.client.post("/auth/token", data=form).json()["access_token"]
        self.client.headers["authorization"] = f"Bearer {token}"
        self.ids = [node["id"] for node in self.ask("{ employees(first: 60) { nodes { id } } }")["employees"]["nodes"]]

    def ask(self, document: str, fault: str = "", **variables: Any) -> Any:
        body = {"query": document, "variables": variables}
        answer = self.client.post("/graphql", json=body, headers={"x-fault": fault} if fault else {})
        return answer.json()["data"]

    def ask_cold(self, times: int, fault: str = "") -> None:
        with self.ground.cache() as cache:
            for _ in range(times):
                forget(cache)
                self.ask(MANY_ROWS, fault)

    def rollcall(self, *arguments: object) -> Any:
        return rollcall(*arguments, **self.settings)  # type: ignore[arg-type]

    def findings(self) -> dict[str, str]:
        result = self.rollcall("perf", "doctor", "--json")
        found = answered(result)
        assert found["ok"] == (result.exit_code == 0)
        return {finding["about"]: finding["found"] for finding in found["findings"]}

    def finding(self, about: str, pattern: str) -> re.Match[str]:
        """What the doctor says of it, once the worker has reported all of it."""
        end_s = time.monotonic() + LIMIT_S
        while not (said := re.match(pattern, (found := self.findings()).get(about, ""))):
            assert time.monotonic() < end_s, f"{about} {pattern} was not found; but {found}"
            time.sleep(0.2)
        assert self.rollcall("perf", "doctor").exit_code == 1
        return said


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("perf")
    with leased(data) as servers:
        ground = Ground(servers, data, EMPLOYEES, asyncio.run(filled(servers.database_url, EMPLOYEES, DAYS)))
        port, status_port = free_port(), free_port()
        addresses = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        own = {"STATUS_PORT": str(status_port), "CLUSTER_WORKERS": "1", "DB_POOL_SIZE": str(POOL), **addresses}
        command = [sys.executable, "-m", "tests.ops.faulty_service", str(port)]
        with (
            (data / "service.log").open("wb") as log,
            subprocess.Popen(command, cwd=ROOT, env={**ground.environment(), **own}, stderr=log) as process,
        ):
            found = Service(ground, port, status_port)
            try:
                ready(found, data / "service.log")
                yield found
            finally:
                found.client.close()
                process.terminate()


def ready(service: Service, log: Path) -> None:
    end_s = time.monotonic() + LIMIT_S
    while True:
        assert time.monotonic() < end_s, log.read_text()
        try:
            if service.client.get("/readyz").status_code == 200 and service.rollcall("perf", "doctor").exit_code != 3:
                break
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    service.sign_in()


def test_of_a_healthy_service_is_said_that_it_is_well(service: Service) -> None:
    """It comes first: what the start itself took leaves the last minute before the faults are planted."""
    end_s, said = time.monotonic() + 2 * LIMIT_S, {}
    while set(said) != {"service"} or said["service"].startswith("0 requests/s"):
        assert time.monotonic() < end_s, said
        for id in service.ids:
            assert service.ask(f"query Well($id: ID!) {ONE}", id=id)["employee"]["id"] == id
        said = service.findings()
    figures = re.fullmatch(
        r"([\d.]+) requests/s in [\d.]+ s, p95 ([\d.]+) ms, longest lag ([\d.]+) ms", said["service"]
    )
    assert figures and float(figures[1]) > 0 and float(figures[2]) > 0 and float(figures[3]) <= LONGEST_LAG_MS
    assert service.rollcall("perf", "doctor").exit_code == 0


def test_repeated_statements_are_found(service: Service) -> None:
    for id in service.ids[:6]:
        service.ask(f"query Repeat($id: ID!) {ONE}", id=id)
    pattern = r"query Repeat sends (?:employee|department)_by_id (\d+) times an execution \(6 executions\)$"
    assert int(service.finding("N+1", pattern)[1]) >= MANY + 2


def test_split_batches_are_found(service: Service) -> None:
    assert "split" not in service.findings()
    service.ask_cold(6, fault="split")
    service.finding("split", "6 batches of employee were too large for one statement$")


def test_a_cold_cache_is_found(service: Service) -> None:
    service.ask_cold(12)
    found = service.finding("cold cache", r"([\d,]+) of ([\d,]+) lookups missed: .*employee")
    missed, asked = (int(number.replace(",", "")) for number in found.groups())
    assert asked >= 50 and missed > asked / 2


def test_waits_for_the_pool_are_found(service: Service) -> None:
    assert "pool" not in service.findings()
    with ThreadPoolExecutor(4 * POOL) as threads:
        wanted = [threads.submit(service.ask, f"query Hold($id: ID!) {ONE}", id=id) for id in service.ids[: 8 * POOL]]
        assert all(one.result()["employee"] for one in wanted)
    pattern = rf"(\d+) waits for a connection, p95 ([\d,]+) ms, 0 in vain; pool of {POOL} over 1 workers$"
    found = service.finding("pool", pattern)
    assert int(found[1]) >= POOL
    assert float(found[2].replace(",", "")) >= 1e3 * HELD_S / 2


def test_a_slow_resolver_is_found(service: Service) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda id: service.ask(f"query Slow($id: ID!) {ONE}", id=id), service.ids[:8]))
    found = service.finding("slow resolver", r"query Slow: p50 ([\d,]+)")
    assert int(found[1].replace(",", "")) >= 1e3 * SLEPT_S * 0.8


def test_a_blocked_loop_is_found(service: Service) -> None:
    for _ in range(3):
        service.ask("{ me { id } }", fault="block")
    found = service.finding("event loop", r"a timer was ([\d,]+) ms late in the last minute; worker 1 is")
    assert int(found[1].replace(",", "")) >= 1e3 * (BLOCKED_S - 0.2)


def test_long_collections_are_found(service: Service) -> None:
    for _ in range(3):
        service.ask("{ me { id } }", fault="garbage")
    service.finding("garbage", r".* ms in collections of garbage .* [3-9] of generation 2")


def test_a_flame_graph_shows_our_frames(service: Service, tmp_path: Path) -> None:
    output = tmp_path / "flame.svg"
    with ThreadPoolExecutor(1) as threads:
        drawn = threads.submit(service.rollcall, "perf", "flame", "--duration", 2, "--output", output, "--json")
        while not drawn.done():
            service.ask("{ me { id } }", fault="spin")
    if any(missing in drawn.result().output for missing in ("ptrace is not permitted", "py-spy is not installed")):
        pytest.skip(drawn.result().output.strip())
    said = answered(drawn.result())
    assert (said["workers"], said["file"]) == (1, str(output))
    svg = output.read_text()
    spun = re.search(r"<title>spin \(tests/ops/faulty_service.py\): (\d+) samples", svg)
    assert spun and said["samples"] / 2 < int(spun[1]) <= said["samples"]
    around = [int(number) for number in re.findall(r"<title>[^<]* \(cluster/drain.py\): (\d+) samples", svg)]
    assert max(around) >= int(spun[1]), "the frames that called it lie below it"
    assert set(re.findall(r"https?://[^\"' <)]+", svg)) == {"http://www.w3.org/2000/svg"}


def test_a_load_with_writes_is_sent_measured_kept_and_compared(service: Service, tmp_path: Path) -> None:
    kept, drawn = tmp_path / "run.json", tmp_path / "run.html"
    given = ("--rate", 12, "--duration", 4, "--warm-up", 1, "--seed", 3, "--writes", "--json", kept, "--html", drawn)
    result = service.rollcall("perf", "load-test", *given)
    run = orjson.loads(kept.read_bytes())
    effort = Effort(12, 4, mix_of(None, writes=True), seed=3, warm_up_s=1)
    due = [name for at_s, name in arrivals(effort) if at_s >= 1]
    assert (run["intended"], run["answered"], run["failed"], run["errors"]) == (len(due), len(due), 0, {})
    assert {name: of["requests"] for name, of in run["operations"].items()} == {
        "all": len(due),
        **{name: due.count(name) for name in effort.mix},
    }
    assert result.exit_code == (0 if run["achieved_per_s"] >= 0.95 * len(due) / 4 else 1)
    assert len(run["service"]) >= 3 and {"cpu", "pool", "redis_ms", "lag_ms"} <= set(run["service"][0])
    page = drawn.read_text()
    assert page.count("<svg") == 6 and "<script" not in page and "default-src 'none'" in page
    address = f"http://127.0.0.1:{service.settings['PORT']}"
    assert set(re.findall(r"https?://[^\"' <),]+", page)) == {address}, "nothing is asked of the network"
    assert service.rollcall("perf", "analyze", kept).stdout.count("worker CPU") >= 1
    same = service.rollcall("perf", "load-test", "--compare", kept, kept, "--json", "-")
    assert same.exit_code == 0
    compared = orjson.loads(same.stdout)
    assert {(of["ratio"], of["verdict"]) for of in compared["compared"]} <= {(1.0, "noise"), (1.0, "too few")}
    assert compared["not_the_same"] == []


def test_the_curves_of_the_running_service_are_analysed(service: Service) -> None:
    result = service.rollcall("perf", "analyze", "--json")
    found = json.loads(result.stdout)
    names = [finding["about"] for finding in found["findings"]]
    assert names == ["worker CPU", "pool", "Redis", "PostgreSQL", "event loop", "garbage"]
    assert result.exit_code == (1 if found["verdict"].startswith("Saturated") else 0)
