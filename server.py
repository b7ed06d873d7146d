"""The composition root: `python server.py` starts everything, `hypercorn server:app` serves without our supervisor.

Without DATABASE_URL and REDIS_URL a private PostgreSQL and a private Valkey are started under DATA_DIR, and the demo
company is put into an empty one.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.folder import claimed
from cluster.in_process import serve_in_process
from cluster.journal import open_journal
from cluster.listener import bind, bound, listen
from cluster.preparation import Preparation
from cluster.process import status_role, worker_role
from cluster.supervisor import Supervisor
from cluster.tls import check_certificate
from domain.errors import RollcallError
from web.environment import SettingsError
from web.settings import Settings

if TYPE_CHECKING:
    from socket import socket

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

PRELOAD = ("web.app", "web.resources", "schema.root", "web.graphiql_routes")


def application(settings: Settings) -> "Starlette":
    """The ASGI application of one process, wired from the settings."""
    from ops.demo.users import DEMO_PASSWORD, DEMO_USERS
    from schema.root import api
    from web.app import create_app
    from web.graphiql_routes import DemoUser, graphiql_routes
    from web.resources import Resources

    resources = Resources(settings, known_passwords={DEMO_PASSWORD})
    routes = resources.routes()
    if settings.http.graphiql:
        shows_demo = settings.server.demo == "on" and settings.server.loopback
        users = [DemoUser(email, email.partition("@")[0]) for email, _ in DEMO_USERS] if shows_demo else []
        routes += graphiql_routes(demo_users=users, demo_password=DEMO_PASSWORD if shows_demo else None)
    return create_app(
        schema=api,
        settings=settings,
        context_factory=resources.context,
        cached=resources.cached_execution,
        readiness=resources.readiness(),
        helpful=resources.helpful(),
        routes=routes,
        lifespan=resources.lifespan,
        background=resources.background,
        live=resources.live,
    )


class Ground:
    """What the workers stand on: servers of others, or private ones that are held for as long as this process lives."""

    def __init__(self, settings: Settings) -> None:
        self._held = ExitStack()
        self._preparation: Preparation | None = None
        self._data_dir = settings.server.data_dir
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self.settings = settings
        self.private = settings.database.primary_url is None
        self.demo = settings.server.demo == "on" or (settings.server.demo == "auto" and self.private)
        if settings.server.demo == "on" and not settings.server.loopback:
            raise SettingsError("HOST: needed a loopback address with DEMO=on, since the demo's passwords are known")
        if self.demo and not settings.server.loopback:
            self.demo = False

    async def prepare(self) -> Mapping[str, str]:
        """Start private servers if need be, migrate, fill in the demo company; returns what workers need to know.

        The settings are read again, since a reload may be for them alone.
        """
        self._take(Settings.from_environment())
        check_certificate(self.settings.tls, warn=True)
        await self.close()
        # started first: it loads its code while the servers start, and reads their addresses from its input then
        self._preparation = await Preparation.begin("ops.bring_up", *(["demo"] if self.demo else []))
        try:
            found = await asyncio.to_thread(self._found)
            await self._preparation.ready(found)
        except BaseException:
            await self.close()
            raise
        return found | {"DEMO": "on" if self.demo else "off", "DATA_DIR": str(self._data_dir.resolve())}

    async def close(self) -> None:
        """End what the preparation still does beside the workers."""
        if self._preparation is not None:
            await self._preparation.end()
            self._preparation = None

    def _found(self) -> dict[str, str]:
        """What the settings leave open: a key first, since a wrong one is not worth starting servers for."""
        return self._key() | self._servers()

    def _key(self) -> dict[str, str]:
        from web.signing_key import kept_key, load_signing_key

        auth = self.settings.auth
        if not self.private or auth.private_key or auth.private_key_file:
            load_signing_key(auth.private_key.get_secret_value() if auth.private_key else None, auth.private_key_file)
            return {}
        path = self._data_dir / "auth.key"
        kept_key(path)
        return {"AUTH_PRIVATE_KEY_FILE": str(path.resolve())}

    def _servers(self) -> dict[str, str]:
        """The addresses of the servers that the settings leave open."""
        settings, found = self.settings, {}
        if settings.database.primary_url is None or settings.redis.shared_url is None:
            from db.embedded import lease

            servers = self._held.enter_context(lease(self._data_dir))
            if settings.database.primary_url is None:
                found["DATABASE_URL"] = servers.database_url
            if settings.redis.shared_url is None:
                found["REDIS_URL"] = servers.redis_url
        return found


def welcome(settings: Settings, port: int, demo: bool) -> str:
    """What to open and how to sign in."""
    host = "localhost" if settings.server.loopback else settings.server.host
    scheme = "https" if settings.tls.certificate_file else "http"
    lines = [f"Rollcall is ready: {scheme}://{host}:{port}/graphiql"]
    if demo:
        from ops.demo.users import DEMO_PASSWORD, DEMO_USERS

        lines.append(f"  sign in with the password {DEMO_PASSWORD} as")
        lines += [f"    {email:24} {label}" for email, label in DEMO_USERS]
    lines.append("  stop it with Ctrl-C")
    return "\n".join(lines)


async def serve(settings: Settings, listener: "socket", status_listener: "socket") -> int:
    """Prepare, serve until told to stop; returns the exit code."""
    ground = Ground(settings)

    def on_ready() -> None:
        sys.stderr.write(welcome(settings, listener.getsockname()[1], ground.demo) + "\n")

    status = status_role(status_listener, "ops.installation:Installation")
    try:
        if not settings.cluster.enabled:
            return await serve_in_process(listener, "server:served", settings, ground.prepare, on_ready, status)
        roles = [worker_role(listener, "server:served", PRELOAD), status]
        return await Supervisor(listener, roles, settings.cluster, ground.prepare, on_ready).run()
    finally:
        await ground.close()


def _loop(settings: Settings) -> Callable[[Coroutine[Any, Any, int]], int]:
    """The supervisor needs little and keeps to the standard library; one that serves itself needs the fast loop."""
    if settings.cluster.enabled:
        return asyncio.run
    import uvloop

    return uvloop.run


def main() -> int:
    """Start everything; what stops the start is one line for each thing, and an exit code that says of what kind."""
    open_journal()
    try:
        settings = Settings.from_environment()
        listener = bind(settings.server.host, settings.server.port)
        status_listener = bound(settings.server.status_host, settings.server.status_port, "STATUS_")
        listen(status_listener, "STATUS_")  # now: a port that is only bound could be bound by a second service too
        private = settings.database.primary_url is None or settings.redis.shared_url is None
        with claimed(settings.server.data_dir) if private else nullcontext():
            return _loop(settings)(serve(settings, listener, status_listener))
    except RollcallError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code


@lru_cache(maxsize=1)
def _served_application() -> "Starlette":
    from web.logs import open_logs

    open_logs()
    return application(Settings.from_environment())


def __getattr__(name: str) -> object:
    """`server:served` is built when a worker of ours asks for it: importing this module costs and does nothing."""
    if name == "served":
        return _served_application()
    raise AttributeError(name)


class _OnDemand:
    """`server:app`, for the servers of others, which know no supervisor: the first call prepares and builds it."""

    def __init__(self) -> None:
        self._made: asyncio.Task[Starlette] | None = None
        self._ground: Ground | None = None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if self._made is None:
            self._made = asyncio.create_task(self._make())
        try:
            made = await asyncio.shield(self._made)
        except RollcallError as error:
            if scope["type"] != "lifespan":
                raise
            await receive()
            await send({"type": "lifespan.startup.failed", "message": error.message})
        else:
            await made(scope, receive, send)
            if scope["type"] == "lifespan" and self._ground is not None:
                await self._ground.close()

    async def _make(self) -> "Starlette":
        self._ground = Ground(Settings.from_environment())
        os.environ.update(await self._ground.prepare())
        return _served_application()


app = _OnDemand()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
