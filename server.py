"""The composition root: `python server.py` starts everything, `hypercorn server:app` serves without our supervisor.

Without DATABASE_URL and REDIS_URL a private PostgreSQL and a private Valkey are started under DATA_DIR, and the demo
company is put into an empty one.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.folder import claimed
from cluster.in_process import serve_in_process
from cluster.journal import open_journal
from cluster.listener import bind, bound
from cluster.process import status_role, worker_role
from cluster.supervisor import Supervisor
from domain.errors import RollcallError
from web.environment import EXIT_CODE_OF_WRONG_SETTINGS, SettingsError
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

    resources = Resources(settings, known_passwords=set() if settings.server.loopback else {DEMO_PASSWORD})
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
        routes=routes,
        lifespan=resources.lifespan,
    )


class Ground:
    """What the workers stand on: servers of others, or private ones that are held for as long as this process lives."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._held = ExitStack()
        self.private = settings.database.primary_url is None
        self.demo = settings.server.demo == "on" or (settings.server.demo == "auto" and self.private)
        if settings.server.demo == "on" and not settings.server.loopback:
            raise SettingsError("HOST: needed a loopback address with DEMO=on, since the demo's passwords are known")
        if self.demo and not settings.server.loopback:
            self.demo = False

    async def prepare(self) -> Mapping[str, str]:
        """Start private servers if need be, migrate, fill in the demo company; returns what workers need to know."""
        command = [sys.executable, "-m", "ops.bring_up", *(["demo"] if self.demo else [])]
        # started first: it loads its code while the servers start, and reads their addresses from its input then
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            found = await asyncio.to_thread(self._servers)
            await process.communicate(json.dumps(found).encode())
        except BaseException:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        if process.returncode != 0:
            raise RollcallError("the database could not be made ready; the reason stands above")
        return found | {"DEMO": "on" if self.demo else "off"}

    def _servers(self) -> dict[str, str]:
        """The addresses of the servers that the settings leave open."""
        settings, found = self.settings, {}
        if settings.database.primary_url is None or settings.redis.shared_url is None:
            from db.embedded import lease

            servers = self._held.enter_context(lease(settings.server.data_dir))
            if settings.database.primary_url is None:
                found["DATABASE_URL"] = servers.database_url
            if settings.redis.shared_url is None:
                found["REDIS_URL"] = servers.redis_url
        if self.private and not (settings.auth.private_key or settings.auth.private_key_file):
            from web.signing_key import kept_key

            path = settings.server.data_dir / "auth.key"
            kept_key(path)
            found["AUTH_PRIVATE_KEY_FILE"] = str(path.resolve())
        return found


def welcome(settings: Settings, port: int, demo: bool) -> str:
    """What to open and how to sign in."""
    host = "localhost" if settings.server.loopback else settings.server.host
    lines = [f"Rollcall is ready: http://{host}:{port}/graphiql"]
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
    if not settings.cluster.enabled:
        return await serve_in_process(listener, "server:served", settings.cluster, ground.prepare, on_ready, status)
    roles = [worker_role(listener, "server:served", PRELOAD), status]
    return await Supervisor(listener, roles, settings.cluster, ground.prepare, on_ready).run()


def _loop(settings: Settings) -> Callable[[Coroutine[Any, Any, int]], int]:
    """The supervisor needs little and keeps to the standard library; one that serves itself needs the fast loop."""
    if settings.cluster.enabled:
        return asyncio.run
    import uvloop

    return uvloop.run


def main() -> int:
    """Start everything; a wrong setting is one line for each and exit code 2."""
    open_journal()
    try:
        settings = Settings.from_environment()
        listener = bind(settings.server.host, settings.server.port)
        status_listener = bound(settings.server.status_host, settings.server.status_port, "STATUS_")
        private = settings.database.primary_url is None or settings.redis.shared_url is None
        with claimed(settings.server.data_dir) if private else nullcontext():
            return _loop(settings)(serve(settings, listener, status_listener))
    except RollcallError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODE_OF_WRONG_SETTINGS


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

    async def _make(self) -> "Starlette":
        self._ground = Ground(Settings.from_environment())
        os.environ.update(await self._ground.prepare())
        return _served_application()


app = _OnDemand()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
