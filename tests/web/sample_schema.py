"""A small Strawberry schema with one resolver for each way an operation can go."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import strawberry
from strawberry.schema_directive import Location

from domain.errors import BadUserInput, ErrorCode, Forbidden, Unauthenticated, Unavailable, UserProblem


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION], name="cost")
class Cost:
    weight: int
    multiplier: str | None = None


@dataclass
class SampleContext:
    """What the test's context factory gives to resolvers."""

    request_id: str = "request-0"
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)


@strawberry.input
class DateRange:
    start: str = strawberry.field(name="from")
    end: str = strawberry.field(name="to")


@strawberry.input(one_of=True)
class Period:
    range: strawberry.Maybe[DateRange]
    relative: strawberry.Maybe[str]


@strawberry.type
class Person:
    name: str
    friends: list["Person"] = strawberry.field(default_factory=list)

    @strawberry.field(directives=[Cost(weight=5)])
    def explain(self) -> list[str]:
        return []

    @strawberry.field
    def days(self, first: int = 20) -> list["Person"]:
        return []

    @strawberry.field
    def attendance(self, period: Period) -> list["Person"]:
        return []

    @strawberry.field
    def boss(self) -> "Person | None":
        return None


@strawberry.type
class PersonConnection:
    nodes: list[Person]
    end_cursor: str | None = None

    @strawberry.field(directives=[Cost(weight=10)])
    def total_count(self) -> int:
        return len(self.nodes)


async def _held(context: SampleContext) -> str:
    context.entered.set()
    try:
        await context.release.wait()
    except asyncio.CancelledError:
        context.cancelled.set()
        raise
    context.finished.set()
    return "done"


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    def echo(self, text: str) -> str:
        return text

    @strawberry.field
    def echo_json(self, value: strawberry.scalars.JSON) -> strawberry.scalars.JSON:
        return value

    @strawberry.field
    def no_json(self) -> strawberry.scalars.JSON:
        return strawberry.scalars.JSON({"secret": object()})

    @strawberry.field(directives=[Cost(weight=1, multiplier="first")])
    def people(self, first: int | None = 50, last: int | None = None) -> PersonConnection:
        return PersonConnection(nodes=[Person(name="Ada")])

    @strawberry.field(directives=[Cost(weight=1, multiplier="ids")])
    def nodes(self, ids: list[strawberry.ID]) -> list[Person]:
        return []

    @strawberry.field
    def crash(self) -> str | None:
        raise RuntimeError("secret: hunter2")

    @strawberry.field
    def crash_hard(self) -> str:
        raise RuntimeError("secret: hunter2")

    @strawberry.field
    async def crash_once_another_is_held(self, info: strawberry.Info[Any, None]) -> str:
        await info.context.entered.wait()
        raise RuntimeError("secret: hunter2")

    @strawberry.field
    def too_big(self) -> int | None:
        return 2**40

    @strawberry.field
    def bad_input(self) -> str | None:
        raise BadUserInput("first: needed 1 to 500, got 0")

    @strawberry.field
    def problem(self) -> str | None:
        raise UserProblem(ErrorCode.NOT_FOUND, "no such shift", ["input", "shiftId"])

    @strawberry.field
    def private(self) -> str:
        raise Unauthenticated("sign in first")

    @strawberry.field
    def forbidden(self) -> str:
        raise Forbidden("needs HR")

    @strawberry.field
    def unavailable(self) -> str:
        raise Unavailable("the database is down", retry_after_s=7)

    @strawberry.field
    def unavailable_part(self) -> str | None:
        raise Unavailable("the database is down", retry_after_s=7)

    @strawberry.field
    async def held(self, info: strawberry.Info[Any, None]) -> str:
        return await _held(info.context)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def set_hello(self, text: str) -> str:
        return text

    @strawberry.mutation
    async def held(self, info: strawberry.Info[Any, None]) -> str:
        return await _held(info.context)


schema = strawberry.Schema(query=Query, mutation=Mutation)
