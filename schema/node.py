"""The Node interface, and how types find out that a row is theirs."""

from typing import Any

import strawberry


@strawberry.interface(description="Anything that has a global id and can be fetched by it.")
class Node:
    global_id: strawberry.ID = strawberry.field(name="id", description="The global id: opaque, stable, unique.")


def rows_of(*row_types: type) -> Any:
    """`is_type_of` of a GraphQL type whose values are rows, not instances of the type."""

    def is_type_of(_: type, value: object, __: object) -> bool:
        return isinstance(value, row_types)

    return classmethod(is_type_of)
