"""The schema as a whole; `python -m schema.root` writes schema/schema.graphql."""

from pathlib import Path
from typing import Final

import strawberry
from strawberry.schema.config import StrawberryConfig

import schema.enums  # noqa: F401 (gives the enumerations to the API)
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription
from schema.user_errors import USER_ERRORS

api: Final = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=USER_ERRORS,
    config=StrawberryConfig(scalar_map=SCALARS),
)


def printed() -> str:
    """The schema in SDL, as schema/schema.graphql holds it."""
    return api.as_str() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("schema.graphql").write_text(printed())
