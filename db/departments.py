"""Departments: by id, as a tree, and their children."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, text

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import DepartmentRow, columns_of
from domain.departments import DepartmentTree
from domain.ids import DepartmentId

_T = tables.department
_COLUMNS = columns_of(_T, DepartmentRow)
_BY_ID = Query("department_by_id", select(*_COLUMNS).where(among(_T.c.id, "ids")))
_ALL = Query("departments", select(*_COLUMNS).order_by(_T.c.name, _T.c.id))
_CHILDREN = Query(
    "department_children", select(*_COLUMNS).where(among(_T.c.parent_id, "ids")).order_by(_T.c.name, _T.c.id)
)
_TREE = Query("department_tree", text("SELECT id, parent_id FROM department"))


async def departments_by_id(
    connection: ReadConnection, ids: Sequence[DepartmentId]
) -> dict[DepartmentId, DepartmentRow]:
    """Departments by id."""
    return {row.id: row for row in await connection.all(_BY_ID, DepartmentRow, ids=ids)}


async def all_departments(connection: ReadConnection, keys: Sequence[str]) -> dict[str, tuple[DepartmentRow, ...]]:
    """Every department by name, under the one key that there is."""
    rows = tuple(await connection.all(_ALL, DepartmentRow))
    return dict.fromkeys(keys, rows)


async def children_by_department(
    connection: ReadConnection, ids: Sequence[DepartmentId]
) -> dict[DepartmentId, tuple[DepartmentRow, ...]]:
    """The departments right below each of `ids`, by name."""
    children: defaultdict[DepartmentId, list[DepartmentRow]] = defaultdict(list)
    for row in await connection.all(_CHILDREN, DepartmentRow, ids=ids):
        assert row.parent_id is not None
        children[row.parent_id].append(row)
    return {parent: tuple(rows) for parent, rows in children.items()}


async def department_tree(connection: ReadConnection, keys: Sequence[str]) -> dict[str, DepartmentTree]:
    """Who is above whom, under the one key that there is."""
    tree = DepartmentTree(dict(await connection.records(_TREE)))
    return dict.fromkeys(keys, tree)
