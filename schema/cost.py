"""The directive that prices a field; web/costs.py adds the prices up before an operation runs."""

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="What selecting the field costs: `weight`, for each of as many as the argument `multiplier` says.",
)
class Cost:
    weight: int
    multiplier: str | None = strawberry.UNSET
