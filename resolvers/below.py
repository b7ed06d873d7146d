"""The employees right below a department or a manager, as a connection."""

import msgspec

from db.employees import EmployeesBelowKey, Parent
from db.keyset import Window
from db.rows import EmployeeRow
from loaders.employees import counts_below
from loaders.employees import employees_below as pages_below
from resolvers.arguments import window_of
from resolvers.connections import Connection, connection
from resolvers.context import Context, shown
from resolvers.ordering import default_order


async def employees_below(
    context: Context, parent: Parent, parent_id: int, first: int | None, after: str | None
) -> Connection[EmployeeRow]:
    """By name, or by id when some are seen under a pseudonym only."""
    viewer = context.require_viewer()
    order = default_order(viewer)
    window = window_of(order, len(order) + 1, first, after)
    key = EmployeesBelowKey(parent, parent_id, viewer.seen, bool(order), window)
    page = await context.must(pages_below, key)
    counted = msgspec.structs.replace(key, window=Window(0))
    return connection(
        page, window, order, lambda: context.load(counts_below, counted), shown=lambda row: shown(viewer, row)
    )
