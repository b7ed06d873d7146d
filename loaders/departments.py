"""Lookups of departments."""

from typing import Final

from cache.policy import Policy
from db import departments, tags
from db.rows import DepartmentRow
from domain.departments import DepartmentTree
from loaders.batch import Batch
from loaders.organisation import ORGANISATION

ALL: Final = "all"

department_by_id = Batch(
    departments.departments_by_id,
    Policy("department", DepartmentRow, "organisation", lambda _: (tags.DEPARTMENT_ANY(),)),
    joined=ORGANISATION,
)
all_departments = Batch(
    departments.all_departments,
    Policy("departments", tuple[DepartmentRow, ...], "organisation", lambda _: (tags.DEPARTMENT_ANY(),)),
    absent=(),
)
children_by_department = Batch(
    departments.children_by_department,
    Policy("department_children", tuple[DepartmentRow, ...], "organisation", lambda _: (tags.DEPARTMENT_ANY(),)),
    absent=(),
)
department_tree = Batch(
    departments.department_tree,
    Policy("department_tree", DepartmentTree, "organisation", lambda _: (tags.DEPARTMENT_ANY(),)),
)
