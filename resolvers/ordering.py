"""Orders of lists: what clients ask for; an order that tells names is one of people seen by name."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from domain.permission import Reach, Viewer
from resolvers.inputs import AttendanceOrder, Direction, EmployeeOrder, EmployeeOrderField
from resolvers.small_groups import is_named

Order: TypeAlias = tuple[tuple[str, bool], ...]
"""(name of a term, descending) in turn."""


def tells_names(orders: Sequence[AttendanceOrder | EmployeeOrder] | None, naming: Collection[str]) -> bool:
    """Whether an order goes by any of the terms `naming`."""
    return any(order.field in naming for order in orders or ())


def order_of(orders: Sequence[AttendanceOrder | EmployeeOrder] | None) -> Order:
    """The order asked for, each term once."""
    found = {order.field.value: order.direction is Direction.DESC for order in reversed(orders or ())}
    return tuple(reversed(found.items()))


def default_order(viewer: Viewer, reach: Reach) -> Order:
    """Employees by name, or by id where some are seen under a pseudonym."""
    return ((EmployeeOrderField.NAME.value, False),) if is_named(viewer, reach) else ()
