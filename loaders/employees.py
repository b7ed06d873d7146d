"""Lookups of employees. Lists depend on any change of any employee: who moves leaves one list and enters another."""

from cache.policy import Policy
from db import employees, tags
from db.employees import EmployeeFilter, EmployeePageKey, EmployeesBelowKey
from db.keyset import Page
from db.rows import EmployeeRow
from domain.ids import EmployeeId
from loaders.batch import Batch


def _employee_tags(employee_id: EmployeeId) -> tuple[str, ...]:
    return tags.EMPLOYEE(employee_id), tags.LOCATION_ANY()


def _filter_tags(filter_: EmployeeFilter) -> tuple[str, ...]:
    found = [tags.EMPLOYEE_ANY(), tags.LOCATION_ANY()]
    if filter_.shift_ids is not None:
        found.append(tags.ASSIGNMENT_ANY())
    return tuple(found)


def _page_tags(key: EmployeePageKey) -> tuple[str, ...]:
    found = _filter_tags(key.filter)
    return (*found, tags.DEPARTMENT_ANY()) if any(name == "DEPARTMENT" for name, _ in key.order) else found


def _below_tags(_: EmployeesBelowKey) -> tuple[str, ...]:
    return tags.EMPLOYEE_ANY(), tags.LOCATION_ANY()


employee_by_id = Batch(employees.employees_by_id, Policy("employee", EmployeeRow, "employee", _employee_tags))
employee_by_no = Batch(
    employees.employees_by_no,
    Policy("employee_no", EmployeeRow, "employee", lambda _: (tags.EMPLOYEE_ANY(), tags.LOCATION_ANY())),
)
employee_pages = Batch(employees.employee_pages, Policy("employees", Page[EmployeeRow], "list", _page_tags))
employees_below = Batch(employees.employees_below, Policy("employees_below", Page[EmployeeRow], "list", _below_tags))
employee_counts = Batch(employees.employee_counts, Policy("employee_count", int, "aggregate", _filter_tags), absent=0)
counts_below = Batch(employees.counts_below, Policy("count_below", int, "aggregate", _below_tags), absent=0)
