"""The schema as a whole; `python -m schema.root` prints it."""

from typing import Final

import strawberry
from strawberry.schema.config import StrawberryConfig

import schema.enums  # noqa: F401 (gives the enumerations to the API)
from schema.cost import Cost
from schema.departments import Department
from schema.punches import Punch
from schema.query import Query
from schema.scalars import SCALARS

api: Final = strawberry.Schema(
    query=Query,
    types=[Department, Punch],
    schema_directives=[],
    config=StrawberryConfig(scalar_map=SCALARS),
)


def printed() -> str:
    """The schema in SDL, as schema/schema.graphql holds it."""
    return api.as_str() + "\n"


__all__ = ["Cost", "api", "printed"]
