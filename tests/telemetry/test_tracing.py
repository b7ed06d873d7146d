"""Traces of the real service, as a collector receives them: trees, identities, what callers say of their own traces."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from bench.ground import Ground, filled, leased
from bench.service import Service, serving
from tests.telemetry.collector import Collector, Received, collecting, tree

PEOPLE = "query People { employees(first: 3) { nodes { fullName department { name } location { name } } } }"
ANYBODY = "query Anybody { employees(first: 1) { nodes { id version } } }"
CALLER = "00f067aa0ba902b7"


class Traced(NamedTuple):
    """A running service of one worker, the collector that it reports to, and its log so far."""

    service: Service
    collector: Collector
    token: str
    log: Any

    def ask(self, query: str, trace: int, flags: str = "01", **variables: object) -> tuple[Any, dict[str, str]]:
        """The data of an operation that a caller sends in a trace of its own, and the headers of the answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"traceparent": f"00-{trace:032x}-{CALLER}-{flags}", "authorization": f"Bearer {self.token}"}
        return self.send(body, headers)

    def send(self, body: bytes, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
        url = f"http://127.0.0.1:{self.service.port}/graphql"
        request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
            assert "errors" not in found, found
            return found["data"], {name.lower(): value for name, value in answer.headers.items()}

    def lines(self) -> list[dict[str, Any]]:
        """What the log says of requests."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == "request"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    data = tmp_path_factory.mktemp("traced")
    with leased(data) as servers, collecting() as collector:
        ground = Ground(servers, data, 60, asyncio.run(filled(servers.database_url, 60, 12)))
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "CACHE_WARM": "0",
        }
        log = data / "service.log"
        with serving({**ground.environment(), **variables}, log, 1) as service:
            traced = Traced(service, collector, service.token(), log)
            know_the_viewer(traced)
            yield traced


def know_the_viewer(traced: Traced) -> None:
    """Until who asks is cached: a worker that has just begun may store nothing yet."""
    for number in range(0xF000, 0xF100):
        traced.ask(f"query Me{number} {{ me {{ email }} }}", number)
        [request] = tree(traced.collector.trace(f"{number:032x}"))["POST /graphql"]
        if "batch viewer" in request[f"query Me{number}"]:
            return
    raise AssertionError("the viewer was never found in the cache")


def named(spans: list[Received], name: str) -> Received:
    [found] = [span for span in spans if span.name == name]
    return found


def trips(redis: list[Received]) -> list[Received]:
    """Each round trip once, though several spans waited for it."""
    by_flight = {
        span.attributes.get("rollcall.redis.flight", span.span_id): span
        for span in sorted(redis, key=lambda span: span.began_ns, reverse=True)
    }
    return list(by_flight.values())


def test_a_request_is_a_tree(traced: Traced) -> None:
    traced.ask(PEOPLE, 0xA1)
    cold = traced.collector.trace(f"{0xA1:032x}")
    [operation] = tree(cold)["POST /graphql"]
    assert operation["query People"] == [
        "redis look",  # for the viewer, and for the facts about viewers that the answer may rest on
        "batch viewer",
        {"batch employees": ["redis look", "redis lease", "sql employees"]},
        {"batch department+location": ["redis look", "sql organisation"]},
    ]
    began, ended = named(cold, "POST /graphql").began_ns, named(cold, "POST /graphql").ended_ns
    assert all(began <= span.began_ns <= span.ended_ns <= ended for span in cold)
    assert not any(span.failed for span in cold)
    for number, command in ((0xA2, "look"), (0xA3, "MGET")):  # the first takes along what making it again would ask for
        traced.ask(PEOPLE, number)
        assert tree(traced.collector.trace(f"{number:032x}")) == {
            "POST /graphql": [{"query People": [f"redis {command}"]}]
        }


def test_spans_say_what_it_was_and_of_which_process(traced: Traced) -> None:
    traced.ask("query Four { employees(first: 4) { nodes { id } } }", 0xB1)
    spans = traced.collector.trace(f"{0xB1:032x}")
    line = next(line for line in traced.lines() if line.get("trace_id") == f"{0xB1:032x}")
    request, operation = named(spans, "POST /graphql"), named(spans, "query Four")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "rollcall.request_id": line["request_id"],
        "rollcall.viewer": "HR",
    }
    assert operation.attributes == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Four",
        "rollcall.cost": line["cost"],
    }
    batch = named(spans, "batch employees")
    assert batch.attributes == {"rollcall.loader": "employees", "rollcall.batch.keys": 1, "rollcall.batch.hits": 0}
    statement = named(spans, "sql employees")
    assert statement.attributes == {"db.system.name": "postgresql", "db.operation.name": "employees"}
    assert [(span.kind, span.name) for span in (request, operation, statement)] == [
        (2, "POST /graphql"),
        (1, "query Four"),
        (3, "sql employees"),
    ]
    resource = {name: request.resource[name] for name in ("service.name", "rollcall.worker", "process.pid")}
    assert resource == {
        "service.name": "rollcall",
        "rollcall.worker": "worker 1",
        "process.pid": traced.service.workers[0],
    }
    assert request.resource["deployment.environment.name"] == "test"


def test_the_log_line_tells_trace_viewer_and_what_was_spent(traced: Traced) -> None:
    query = "query Spent { employees(first: 2) { nodes { id shift { name } } } }"
    _, headers = traced.ask(query, 0xC1)
    spans = traced.collector.trace(f"{0xC1:032x}")
    line = next(line for line in traced.lines() if line.get("trace_id") == f"{0xC1:032x}")
    assert line["request_id"] == headers["x-request-id"]
    assert (line["operation_name"], line["viewer"]) == ("Spent", "HR")
    sql = [span for span in spans if span.name.startswith("sql ")]
    redis = trips([span for span in spans if span.name.startswith("redis ")])
    assert (line["sql"], line["redis"]) == (len(sql), len(redis))
    for spent_ms, of_kind in ((line["sql_ms"], sql), (line["redis_ms"], redis)):
        assert spent_ms == pytest.approx(sum(s.ended_ns - s.began_ns for s in of_kind) / 1e6, abs=0.01)
    assert line["sql_ms"] + line["redis_ms"] > 0 and line["ms"] > 0


def test_the_answer_names_the_span_below_that_of_the_caller(traced: Traced) -> None:
    _, headers = traced.ask(ANYBODY, 0xD1)
    request = named(traced.collector.trace(f"{0xD1:032x}"), "POST /graphql")
    assert request.parent_id == CALLER
    assert headers["traceresponse"] == f"00-{0xD1:032x}-{request.span_id}-01"


def test_a_caller_who_does_not_trace_is_not_traced(traced: Traced) -> None:
    _, headers = traced.ask(ANYBODY, 0xE1, flags="00")
    traced.ask(ANYBODY, 0xE2)
    traced.collector.trace(f"{0xE2:032x}")
    assert "traceresponse" not in headers
    assert not [span for span in traced.collector.spans if span.trace_id == f"{0xE1:032x}"]
    line = next(line for line in traced.lines() if line["request_id"] == headers["x-request-id"])
    assert "trace_id" not in line


@pytest.mark.parametrize("given", ["hello", f"00-{0:032x}-{CALLER}-01", f"00-{1:032x}-{0:016x}-01"])
def test_without_a_sane_traceparent_a_trace_begins_here(traced: Traced, given: str) -> None:
    _, headers = traced.send(b'{"query": "query Nobody { __typename }"}', {"traceparent": given})
    found = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-01", headers["traceresponse"])
    assert found is not None
    request = named(traced.collector.trace(found[1]), "POST /graphql")
    assert (request.span_id, request.parent_id) == (found[2], "")


def test_a_change_shows_its_statements_holds_and_stamps(traced: Traced) -> None:
    [person] = traced.ask(ANYBODY, 0xF1)[0]["employees"]["nodes"]
    change = """mutation Rename($input: EmployeeInput!) {
      saveEmployee(input: $input) { employee { id } userErrors { message } } }"""
    data, _ = traced.ask(change, 0xF2, input={"id": person["id"], "fullName": "Somebody Else"})
    assert data["saveEmployee"]["userErrors"] == []
    spans = traced.collector.trace(f"{0xF2:032x}")
    assert tree(spans) == {
        "POST /graphql": [
            {
                "mutation Rename": [
                    {"batch viewer": ["redis look"]},
                    "sql BEGIN",
                    "sql employee_for_update",
                    {"batch location": ["sql location_by_id"]},
                    "sql postings_for_update",
                    "sql employee_update",
                    "sql day_oldest",
                    "sql cache_pending",
                    "redis hold",
                    "sql COMMIT",
                    "sql position",
                    "redis release",
                    {"batch employee": ["redis look", "sql employee_by_id"]},
                ]
            }
        ]
    }


def test_a_change_that_is_refused_shows_its_rollback(traced: Traced) -> None:
    change = """mutation Badge($input: EmployeeInput!) {
      saveEmployee(input: $input) { employee { id } userErrors { code } } }"""
    found, _ = traced.ask("query Two { employees(first: 2) { nodes { id employeeNo } } }", 0xF3)
    first, second = found["employees"]["nodes"]
    data, _ = traced.ask(change, 0xF4, input={"id": first["id"], "employeeNo": second["employeeNo"]})
    assert [problem["code"] for problem in data["saveEmployee"]["userErrors"]] == ["CONFLICT"]
    spans = traced.collector.trace(f"{0xF4:032x}")
    [operation] = tree(spans)["POST /graphql"]
    steps = [step for step in operation["mutation Badge"] if isinstance(step, str)]
    assert steps == [
        "sql BEGIN",
        "sql employee_for_update",
        "sql postings_for_update",
        "sql employee_update",
        "sql ROLLBACK",
        "sql BEGIN",
        "sql employee_having_employee_no",
        "sql cache_pending",
        "sql COMMIT",
        "sql position",
        "redis release",  # of no tags: that the cache has heard of the position
    ]
    assert not named(spans, "sql ROLLBACK").failed
