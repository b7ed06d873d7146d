"""A company behind the page: the contract's schema over canned answers, and a token endpoint that can forget."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_schema, graphql_sync
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.documents import DocumentCache
from web.graphiql_routes import DemoUser, graphiql_routes
from web.http_settings import LimitSettings

CONTRACT = Path(__file__).parents[2] / "contract" / "schema.graphql"
PASSWORD = "correct horse"
HR = DemoUser("hana@rollcall.example", "HR")
EMPLOYEE = DemoUser("emil@rollcall.example", "Employee")


def metrics(**values: Any) -> dict[str, Any]:
    return {
        **{"headcount": 0, "scheduledDays": 0.0, "presentDays": 0.0, "absentDays": 0.0, "leaveDays": 0.0},
        **{"lateCount": 0, "lateHours": 0.0, "remoteCount": 0, "workedHours": 0.0},
        **{"attendanceRate": None, "punctualityRate": None},
        **values,
    }


def stat_row(label: str, **values: Any) -> dict[str, Any]:
    return {
        "keys": [{"dimension": "DEPARTMENT", "value": "1", "label": label, "node": None}],
        "metrics": metrics(**values),
        "previous": None,
    }


def employee(number: str, name: str, department: str) -> dict[str, Any]:
    return {"employeeNo": number, "fullName": name, "department": {"name": department}}


TODAY = {
    "asOf": "2026-03-17T06:10:00Z",
    "inNow": 1234,
    "lateNotIn": [employee("E0042", "Asha Rao", "Operations")],
    "totals": metrics(headcount=1990, scheduledDays=1900.0, presentDays=1234.0, lateCount=61, attendanceRate=0.649),
    "byDepartment": [
        stat_row("Operations", headcount=900, presentDays=610.5, absentDays=2.0, lateCount=40, attendanceRate=0.67),
        stat_row('=HYPERLINK("x"), Süd', headcount=1, leaveDays=1.0),
        stat_row("-Sales", headcount=12, presentDays=11.0, lateCount=2, attendanceRate=0.91),
    ],
}
STATS = {
    "asOf": "2026-03-17T06:10:00Z",
    "provisional": True,
    "rows": [stat_row("Operations", lateCount=40, lateHours=12.25, punctualityRate=0.93, attendanceRate=0.91)],
    "totals": metrics(lateCount=40, lateHours=12.25),
}
EMPLOYEES = {
    "edges": [
        {
            "cursor": "one",
            "node": {
                "fullName": "Asha Rao",
                "attendance": [
                    {"workDate": "2026-03-16", "exceptions": ["LATE_IN", "EARLY_OUT"]},
                    {"workDate": "2026-03-17", "exceptions": []},
                ],
                "reports": {"totalCount": 2, "nodes": [{"fullName": "Bo Ek"}, {"fullName": "Cy Li"}]},
            },
        },
        {
            "cursor": "two",
            "node": {"fullName": "Bo Ek", "attendance": [], "reports": {"totalCount": 0, "nodes": []}},
        },
    ]
}
MONTH_GRID = {
    "rows": [
        {
            "employee": employee("E0042", "Asha Rao", "Operations"),
            "codes": ["P", "P", "W", "L"],
            "totals": metrics(presentDays=2.0, leaveDays=1.0, workedHours=16.0),
        }
    ],
    "pageInfo": {"hasNextPage": False, "endCursor": None},
}
CHECK_IN = {
    "punch": {
        "at": {"local": "2026-03-17T09:03", "zone": "Asia/Kolkata"},
        "direction": "IN",
        "source": "WEB",
    },
    "day": {
        "workDate": "2026-03-17",
        "status": "PRESENT",
        "firstIn": {"local": "2026-03-17T09:03"},
        "lateMinutes": 3,
        "shift": {"name": "General"},
    },
    "userErrors": [],
}


@dataclass
class Company:
    """Answers the page, and remembers what it was asked and with which header."""

    schema: GraphQLSchema = field(default_factory=lambda: build_schema(CONTRACT.read_text()))
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refresh_token: str | None = None
    expires_in_s: int = 900
    arguments: list[dict[str, Any]] = field(default_factory=list)

    def forget_tokens(self) -> None:
        self.tokens.clear()

    async def token(self, request: Request) -> Response:
        form = await request.form()
        self.grants.append(str(form["grant_type"]))
        known = form.get("password") == PASSWORD and form.get("username") in (HR.email, EMPLOYEE.email)
        if not known and (self.refresh_token is None or form.get("refresh_token") != self.refresh_token):
            return JSONResponse({"error": "invalid_grant", "error_description": "refused"}, 400)
        access_token, self.refresh_token = f"access-{len(self.grants)}", f"refresh-{len(self.grants)}"
        self.tokens.add(access_token)
        answer = {"access_token": access_token, "refresh_token": self.refresh_token}
        return JSONResponse(answer | {"expires_in": self.expires_in_s, "token_type": "Bearer"})

    async def graphql(self, request: Request) -> Response:
        body = await request.json()
        name = body.get("operationName") or ""
        authorization = request.headers.get("authorization")
        self.asked.append((name, authorization))
        if name != "IntrospectionQuery" and (authorization or "").removeprefix("Bearer ") not in self.tokens:
            error = {"message": "You are not signed in.", "extensions": {"code": "UNAUTHENTICATED"}}
            return JSONResponse({"data": None, "errors": [error]})
        self._price(body)
        root = {
            "today": lambda _info, **_: TODAY,
            "employees": lambda _info, **_: EMPLOYEES,
            "stats": lambda _info, **arguments: self._saw(arguments, STATS),
            "monthGrid": lambda _info, **arguments: self._saw(arguments, MONTH_GRID),
            "checkIn": lambda _info, **arguments: self._saw(arguments, CHECK_IN),
        }
        result = graphql_sync(self.schema, body["query"], root, None, body.get("variables"), name)
        return JSONResponse(result.formatted)

    def _price(self, body: dict[str, Any]) -> None:
        """Put the operation to the service's own limits; what breaks one is a status of 500 and so a failed test."""
        limits = LimitSettings()
        document = DocumentCache(self.schema, limits, introspection=True).get(body["query"])
        assert document.errors == ()
        assert document.operation(body.get("operationName")).cost.under(body.get("variables") or {}) <= limits.cost

    def _saw(self, arguments: dict[str, Any], answer: Any) -> Any:
        self.arguments.append(arguments)
        return answer

    def app(self, *demo_users: DemoUser) -> Starlette:
        routes = graphiql_routes(demo_users=demo_users, demo_password=PASSWORD if demo_users else None)
        graphql = Route("/graphql", self.graphql, methods=["POST"])
        return Starlette(routes=[*routes, graphql, Route("/auth/token", self.token, methods=["POST"])])


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve the application with hypercorn on a free port; give its origin."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.2
    config.loglevel = "WARNING"
    stopping = asyncio.Event()
    port = socket.fromfd(int(config.bind[0][5:]), socket.AF_INET, socket.SOCK_STREAM)
    origin = f"http://127.0.0.1:{port.getsockname()[1]}"
    port.close()
    server = asyncio.ensure_future(serve(app, config, shutdown_trigger=stopping.wait))  # type: ignore[arg-type]
    try:
        yield origin
    finally:
        stopping.set()
        await server
