"""Exporting in this process: off unless asked for, never in the way of requests, flushed at the end."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from telemetry.tracing import Parent, Tracer, begin, begin_request, note_client_call, parent_in, tracer
from tests.cluster.conftest import ROOT, free_port
from tests.telemetry.collector import Collector, collecting
from tests.web.auth.conftest import KEY
from web import trace_export
from web.environment import SettingsError
from web.trace_export import traces_exported, wanted

OFF = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not installed; where it is, redis-py itself imports parts of it
import cluster.worker, ops.demo.users, schema.root, web.app, web.graphiql_routes, web.resources
from web.settings import Settings
web.resources.Resources(Settings.from_environment())
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.", "google.protobuf", "web.otlp"))))
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


def test_nobody_needs_opentelemetry_who_does_not_ask_for_traces() -> None:
    key = json.dumps(KEY.as_dict(private=True))
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1/none", "AUTH_PRIVATE_KEY": key}
    done = subprocess.run([sys.executable, "-c", OFF], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_without_an_exporter_no_span_is_made() -> None:
    assert Tracer().exporter is None is tracer.exporter
    assert begin_request([(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")]) is None
    assert begin("batch") is None
    note_client_call("sql one", 0.1, False, {})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "rollcall"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_variables_say_whether(environment: dict[str, str], expected: bool) -> None:
    assert wanted(environment) is expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: needed otlp or none, got 'zipkin'"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: needed http/protobuf, got 'grpc'",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        wanted(environment)
    assert str(refused.value) == message


def test_without_the_extra_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_export, "find_spec", lambda _: None)
    with pytest.raises(SettingsError) as refused:
        wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    expected = "OTEL_EXPORTER_OTLP_ENDPOINT: traces need OpenTelemetry: pip install 'rollcall[otel]'"
    assert str(refused.value) == expected


async def test_what_waits_at_the_end_is_sent(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    async with traces_exported(True):
        await _request()
        assert collector.spans == []
    assert [span.name for span in collector.spans] == ["HTTP"]
    assert tracer.exporter is None


async def test_a_collector_that_hangs_holds_nobody_up_and_the_oldest_spans_go(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    collector.gate.clear()
    with capture_logs() as logs:
        async with traces_exported(True):
            for _ in range(4):
                await _request()
            assert await asyncio.to_thread(collector.asked.wait, 20)  # these are under way
            for _ in range(100):
                await _request()
            collector.gate.set()
    assert len(collector.spans) == 4 + 8
    assert {(line["event"], line["detail"]) for line in logs} == {("traces", "Queue full, dropping Span.")}


async def test_a_collector_that_is_away_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(trace_export, "FLUSH_LIMIT", timedelta(seconds=0.1))
    with capture_logs() as logs:
        async with asyncio.timeout(8), traces_exported(True):
            await _request()
    assert {line["event"] for line in logs} <= {"traces"}


@pytest.mark.parametrize(
    ("sampler", "argument", "flags", "traced"),
    [
        ("", "", b"01", True),
        ("", "", b"00", False),
        ("always_on", "", b"00", True),
        ("always_off", "", b"01", False),
        ("traceidratio", "0", b"01", False),
        ("parentbased_traceidratio", "0", b"01", True),
    ],
)
async def test_the_sampler_of_the_variables_decides(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, sampler: str, argument: str, flags: bytes, traced: bool
) -> None:
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    async with traces_exported(True):
        await _request(b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-" + flags)
    assert [span.trace_id for span in collector.spans] == ["1" * 32] * traced


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"], Parent(int("a" * 32, 16), int("b" * 16, 16), True)),
        ([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-02"], Parent(int("a" * 32, 16), int("b" * 16, 16), False)),
        ([b"cc-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01-more"], Parent(int("a" * 32, 16), int("b" * 16, 16), True)),
        ([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01-more"], None),
        ([b"ff-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"], None),
        ([b"00-" + b"A" * 32 + b"-" + b"b" * 16 + b"-01"], None),
        ([b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01"], None),
        ([b"00-" + b"a" * 32 + b"-" + b"0" * 16 + b"-01"], None),
        ([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"] * 2, None),
        ([b""], None),
        ([], None),
    ],
)
def test_traceparents(given: list[bytes], expected: Parent | None) -> None:
    assert parent_in(given) == expected


async def _request(traceparent: bytes | None = None) -> None:
    """A request of its own task, as they all are."""

    async def answer() -> None:
        if span := begin_request([(b"traceparent", traceparent)] if traceparent else []):
            span.end()

    await asyncio.create_task(answer())
