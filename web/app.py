"""The ASGI application: routes and the few layers around them; what they need is made by the caller."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from strawberry import Schema

from domain.errors import RollcallError
from web.cached_execution import CachedExecution
from web.consistency import HEADER as CONSISTENCY
from web.envelope import Envelope
from web.execution import ContextFactory, Execution
from web.graphql_http import GraphQLEndpoint
from web.graphql_socket import GraphQLSocket
from web.health import ReadinessCheck, health_routes
from web.hosts import LOCAL_NAMES, AllowedHosts
from web.live import Live
from web.proxies import TrustedProxies
from web.responses import problem_of_http, problem_of_rollcall
from web.running import running
from web.settings import Settings


def create_app(
    *,
    schema: Schema,
    settings: Settings,
    context_factory: ContextFactory,
    cached: CachedExecution | None = None,
    readiness: Mapping[str, ReadinessCheck],
    helpful: Mapping[str, ReadinessCheck] = MappingProxyType({}),
    routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan[Starlette] | None = None,
    background: Callable[[Execution], Coroutine[Any, Any, None]] | None = None,
    live: Callable[[Execution], Live] | None = None,
) -> Starlette:
    """The service as one application; `routes` are those of sign-in, GraphiQL and files.

    `readiness` checks what it needs, `helpful` what makes it faster; `background` goes on
    while it serves. Without `live` there are no subscriptions.
    """
    execution = Execution(
        schema,
        settings.limits,
        introspection=settings.http.introspection,
        age_s_by_field=settings.cache.age_s_by_field,
    )
    followed = live(execution) if live else None
    endpoint = GraphQLEndpoint(execution, context_factory, settings.http.request_timeout, cached, followed)
    socket = None if followed is None else _socket(followed, settings)

    @asynccontextmanager
    async def lifespan_with_mutations(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with (
            lifespan(app) if lifespan else nullcontext() as state,
            running(background(execution)) if background else nullcontext(),
        ):
            yield state or {}
            await endpoint.finish_mutations()

    return _Application(
        endpoint,
        socket,
        routes=[Route("/graphql", endpoint), *health_routes(readiness, helpful), *routes],
        middleware=list(layers(settings)),
        exception_handlers={HTTPException: problem_of_http, RollcallError: problem_of_rollcall},
        lifespan=lifespan_with_mutations,
    )


def _socket(live: Live, settings: Settings) -> GraphQLSocket:
    limits = settings.limits
    return GraphQLSocket(
        live,
        origins=settings.http.cors_origins,
        most=limits.sockets,
        most_operations=limits.socket_operations,
        idle=limits.socket_idle,
        most_bytes=limits.body_bytes,
    )


class _Application(Starlette):
    """Starlette without its net under bugs, which is the envelope, and with a short way to /graphql.

    Its router would cost as much as looking a kept answer up. The route is still there: it corrects `/graphql/`.
    """

    def __init__(self, endpoint: GraphQLEndpoint, socket: GraphQLSocket | None, **given: Any) -> None:
        super().__init__(**given)
        self._endpoint = endpoint
        self._socket = socket

    def build_middleware_stack(self) -> ASGIApp:
        """Called by Starlette before the first request."""
        routed = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        direct: dict[str, ASGIApp] = {"http": self._endpoint}
        if self._socket is not None:
            direct["websocket"] = self._socket

        async def graphql_or_routed(scope: Scope, receive: Receive, send: Send) -> None:
            is_graphql = scope["type"] in direct and scope["path"] == "/graphql"
            await (direct[scope["type"]] if is_graphql else routed)(scope, receive, send)

        app: ASGIApp = graphql_or_routed
        for layer, given, options in reversed(self.user_middleware):
            app = layer(app, *given, **options)
        return app


def layers(settings: Settings) -> Sequence[Middleware]:
    """What every request passes, outermost first."""
    networks = settings.http.trusted_networks
    around = [Middleware(TrustedProxies, networks=networks)] if networks else []
    around.append(Middleware(Envelope, body_bytes=settings.limits.body_bytes))
    hosts = settings.http.allowed_hosts or (LOCAL_NAMES if settings.server.loopback else ("*",))
    if "*" not in hosts:
        around.append(Middleware(AllowedHosts, hosts=hosts))
    if settings.http.cors_origins:
        around.append(_cors(settings.http.cors_origins))
    return around


ASKED = ("Authorization", "Content-Type", "X-Request-Id", "If-None-Match", "X-Rollcall-Cache", "Traceparent")


def _cors(origins: Sequence[str]) -> Middleware:
    """Tokens travel in a header, never in cookies, so credentials stay off."""
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=[*ASKED, CONSISTENCY],
        expose_headers=["X-Request-Id", "Retry-After", "ETag", "Cache-Status", CONSISTENCY, "Traceresponse"],
    )
