"""A schema whose resolvers give back what they get, with an argument of every kind: whatever fails is ours."""

from enum import Enum
from typing import Any

import strawberry

from tests.web.sample_schema import Cost, Period


@strawberry.enum
class Colour(Enum):
    RED = "red"
    GREEN = "green"


@strawberry.input
class Filter:
    text: str = ""
    colours: list[Colour] = strawberry.field(default_factory=list)
    limit: int | None = 10
    ratio: strawberry.Maybe[float | None]
    inner: "Filter | None" = None


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.type
class Leaf(Node):
    colour: Colour = Colour.RED


@strawberry.type
class Tree(Node):
    @strawberry.field(directives=[Cost(weight=1, multiplier="first")])
    def children(self, first: int = 2) -> list[Node]:
        return [Leaf(id=self.id), Tree(id=self.id)]


@strawberry.type
class Query:
    @strawberry.field
    def echo(self, text: str, times: int = 1) -> str:
        return text

    @strawberry.field
    def json(self, value: strawberry.scalars.JSON = None) -> strawberry.scalars.JSON:
        return value

    @strawberry.field
    def number(self, value: int | None = None, ratio: float = 0.5, flag: bool = False) -> float:
        return ratio

    @strawberry.field
    def ids(self, ids: list[strawberry.ID]) -> list[strawberry.ID]:
        return ids

    @strawberry.field
    def colour(self, colour: Colour = Colour.GREEN) -> Colour:
        return colour

    @strawberry.field
    def filtered(self, filter: Filter) -> str:
        return filter.text

    @strawberry.field
    def days(self, period: Period) -> list[Tree]:
        return []

    @strawberry.field
    def node(self, id: strawberry.ID) -> Node | None:
        return Tree(id=id)

    @strawberry.field(directives=[Cost(weight=1, multiplier="ids")])
    def nodes(self, ids: list[strawberry.ID]) -> list[Tree | Leaf | None]:
        return [Tree(id=each) for each in ids]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def save(self, info: strawberry.Info[Any, None], filter: Filter) -> Leaf:
        return Leaf(id=strawberry.ID(filter.text))


schema = strawberry.Schema(query=Query, mutation=Mutation, types=[Tree, Leaf])
