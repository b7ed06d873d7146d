"""Departments as the API shows them."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db.rows import DepartmentRow
from resolvers import departments as resolve
from schema.node import Node, rows_of

if TYPE_CHECKING:
    from schema.employees import Employee, EmployeeConnection
    from schema.stats import StatMetrics


@strawberry.type(description="A department in the tree of departments.")
class Department(Node):
    is_type_of = rows_of(DepartmentRow)
    code: str = strawberry.field(description="A short code, unique in any case.")
    name: str = strawberry.field(description="What it is called.")
    version: int = strawberry.field(description="Rises with every change; for `expectedVersion`.")
    parent = strawberry.field(
        resolver=resolve.parent,
        graphql_type=Annotated["Department", strawberry.lazy("schema.departments")] | None,
        description="The department right above; null for a root.",
    )
    children = strawberry.field(
        resolver=resolve.children,
        graphql_type=list[Annotated["Department", strawberry.lazy("schema.departments")]],
        description="The departments right below, by name.",
    )
    manager = strawberry.field(
        resolver=resolve.manager,
        graphql_type=Annotated["Employee", strawberry.lazy("schema.employees")] | None,
        description="Who manages it; null when nobody does or the viewer does not see them by name.",
    )
    employees = strawberry.field(
        resolver=resolve.employees,
        graphql_type=Annotated["EmployeeConnection", strawberry.lazy("schema.employees")],
        description="Who belongs to this very department today, as far as the viewer may see, by name.",
    )
    stats = strawberry.field(
        resolver=resolve.stats,
        graphql_type=Annotated["StatMetrics", strawberry.lazy("schema.stats")],
        description="Figures of the department and all below it, by the department of each day.",
    )
