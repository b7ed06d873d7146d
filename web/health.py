"""/healthz: the process lives; /readyz: everything that it needs answers, and how what only helps it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import RollcallError

ReadinessCheck = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 2.0
NO_STORE = {"Cache-Control": "no-store"}

log = structlog.get_logger("rollcall.health")


def health_routes(
    readiness: Mapping[str, ReadinessCheck],
    helpful: Mapping[str, ReadinessCheck] = MappingProxyType({}),
    timeout_s: float = CHECK_TIMEOUT_S,
) -> list[Route]:
    """The two routes; a check that raises or takes longer than `timeout_s` makes the service not ready.

    What is only `helpful` is shown in the same way, and the service is ready without it.
    """

    async def healthz(_: Request) -> Response:
        return _json({"alive": True}, 200)

    async def readyz(_: Request) -> Response:
        results = await asyncio.gather(
            *(_checked(name, check, timeout_s, log.warning) for name, check in readiness.items()),
            *(_checked(name, check, timeout_s, log.debug) for name, check in helpful.items()),
        )
        checks = dict(zip((*readiness, *helpful), results, strict=True))
        ready = all(checks[name]["ok"] for name in readiness)
        return _json({"ready": ready, "checks": checks}, 200 if ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _checked(
    name: str, check: ReadinessCheck, timeout_s: float, report: Callable[..., object]
) -> dict[str, object]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            await check()
    except Exception as error:
        report("not ready", check=name, exc_info=error)
        return {"ok": False, "error": _shown(error, timeout_s)}
    return {"ok": True, "ms": round((time.perf_counter() - started) * 1e3, 2)}


def _shown(error: Exception, timeout_s: float) -> str:
    """Messages of drivers may name hosts and users: only our own are shown."""
    if isinstance(error, RollcallError):
        return error.message
    return f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else type(error).__name__


def _json(value: object, status: int) -> Response:
    return Response(orjson.dumps(value), status, NO_STORE, media_type="application/json")
