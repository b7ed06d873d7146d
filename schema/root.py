"""The schema as a whole; `python -m schema.root` prints it."""

from typing import Final

import strawberry
from strawberry.schema.config import StrawberryConfig

import schema.enums  # noqa: F401 (gives the enumerations to the API)
from schema.cost import Cost
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.user_errors import USER_ERRORS

api: Final = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    types=USER_ERRORS,
    config=StrawberryConfig(scalar_map=SCALARS),
)


def printed() -> str:
    """The schema in SDL, as schema/schema.graphql holds it."""
    return api.as_str() + "\n"


__all__ = ["Cost", "api", "printed"]
