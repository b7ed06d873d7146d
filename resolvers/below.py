"""The employees right below a department or a manager, as a connection."""

import msgspec

from db.employees import EmployeesBelowKey, Parent
from db.keyset import Window
from db.rows import EmployeeRow
from domain.permission import Reach
from loaders.employees import counts_below
from loaders.employees import employees_below as pages_below
from resolvers.arguments import window_of
from resolvers.connections import Connection, connection
from resolvers.context import Context, shown
from resolvers.ordering import default_order
from resolvers.small_groups import below_in_groups


async def employees_below(
    context: Context, parent: Parent, parent_id: int, reach: Reach, first: int | None, after: str | None
) -> Connection[EmployeeRow]:
    """By name, or by id when some are seen under a pseudonym only."""
    viewer = context.require_viewer()
    counted = await below_in_groups(context, EmployeesBelowKey(parent, parent_id, reach, False, Window(0)))
    order = default_order(viewer, counted.reach)
    window = window_of(order, len(order) + 1, first, after)
    page = await context.must(pages_below, msgspec.structs.replace(counted, by_name=bool(order), window=window))
    return connection(
        page, window, order, lambda: context.load(counts_below, counted), shown=lambda row: shown(viewer, row)
    )
