"""Orders of lists: what clients ask for, without names for viewers who see none."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from domain.errors import Forbidden
from domain.permission import Viewer
from resolvers.inputs import AttendanceOrder, Direction, EmployeeOrder, EmployeeOrderField

Order: TypeAlias = tuple[tuple[str, bool], ...]
"""(name of a term, descending) in turn."""


def order_of(
    viewer: Viewer, orders: Sequence[AttendanceOrder | EmployeeOrder] | None, naming: Collection[str]
) -> Order:
    """The order asked for, each term once; `naming` are the terms that would tell names by their order."""
    for order in orders or ():
        if order.field in naming and viewer.needs_groups:
            raise Forbidden(f"orderBy: an analyst, who sees no names, cannot order by {order.field.value}")
    found = {order.field.value: order.direction is Direction.DESC for order in reversed(orders or ())}
    return tuple(reversed(found.items()))


def default_order(viewer: Viewer) -> Order:
    """Employees by name, or by id where the order would tell names."""
    return () if viewer.needs_groups else ((EmployeeOrderField.NAME.value, False),)
