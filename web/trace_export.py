"""Whether traces go to an OpenTelemetry collector, and that they do while the service runs.

The variables are those that every program which speaks OpenTelemetry reads, OTEL_...; web/otlp.py, which imports it, is
itself imported only when traces are wanted.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import Final

from telemetry.tracing import tracer
from web.environment import SettingsError

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN: Final = "http/protobuf"
FLUSH_LIMIT: Final = timedelta(seconds=3)
"""For what still waits when the service stops: a collector that is away must not hold it up."""


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether traces are to be exported; raises SettingsError when that cannot be done."""
    given = {name: value for name, value in environment.items() if value}
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = given.get("OTEL_TRACES_EXPORTER", "otlp" if any(name in given for name in ENDPOINTS) else "none")
    if exporter == "none":
        return False
    if exporter != "otlp":
        raise SettingsError(f"OTEL_TRACES_EXPORTER: needed otlp or none, got {exporter!r}")
    for name in PROTOCOLS:
        if given.get(name, SPOKEN) != SPOKEN:
            raise SettingsError(f"{name}: needed {SPOKEN}, got {given[name]!r}")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        cause = next((name for name in (*ENDPOINTS, "OTEL_TRACES_EXPORTER") if name in given), "")
        raise SettingsError(f"{cause}: traces need OpenTelemetry: pip install 'rollcall[otel]'")
    return True


@asynccontextmanager
async def traces_exported(export: bool) -> AsyncIterator[None]:
    """Within it requests are traced, if that is wanted; what waits at the end is sent."""
    if not export:
        yield
        return
    from web.otlp import open_otlp

    otlp = tracer.exporter = open_otlp()
    try:
        yield
    finally:
        tracer.exporter = None
        ending = threading.Thread(target=otlp.close, daemon=True)  # a daemon: exit waits for no collector
        ending.start()
        await asyncio.to_thread(ending.join, FLUSH_LIMIT.total_seconds())
