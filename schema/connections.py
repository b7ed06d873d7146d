"""What all connections share."""

import strawberry

from resolvers.connections import PageInfo as PageInfoValue
from schema.node import rows_of


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    is_type_of = rows_of(PageInfoValue)
    has_next_page: bool = strawberry.field(description="Whether the list goes on after this page.")
    has_previous_page: bool = strawberry.field(description="Whether something comes before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge; null on an empty page.")


COUNTED = "How many there are in all: exact up to 100,000, see totalCountIsExact."
IS_EXACT = "Whether totalCount is exact; otherwise there are more."
