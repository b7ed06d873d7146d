"""Changes of departments."""

from typing import Final

import msgspec
from sqlalchemy import select, text

from db import tables
from db.connection import Query, WriteConnection
from db.parameters import key
from db.rows import DepartmentRow, columns_of

TREE_LOCK: Final = 7400

_T = tables.department
_LOCK_TREE = Query("department_tree_lock", text(f"SELECT pg_advisory_xact_lock({TREE_LOCK})"))
_FOR_UPDATE = Query(
    "department_for_update", select(*columns_of(_T, DepartmentRow)).where(_T.c.id == key("id")).with_for_update()
)
_INSERT = Query(
    "department_insert",
    text("""
    INSERT INTO department (code, name, parent_id, manager_id)
    VALUES (CAST(:code AS citext), :name, CAST(:parent_id AS int), CAST(:manager_id AS bigint)) RETURNING id"""),
)
_UPDATE = Query(
    "department_update",
    text("""
    UPDATE department SET code = CAST(:code AS citext), name = :name, parent_id = CAST(:parent_id AS int),
      manager_id = CAST(:manager_id AS bigint), version = version + 1
    WHERE id = CAST(:id AS int)"""),
)


async def lock_tree(connection: WriteConnection) -> None:
    """Be the only one who changes the tree until the transaction ends: two moves at once could make a cycle."""
    await connection.records(_LOCK_TREE)


async def department_for_update(connection: WriteConnection, department_id: int) -> DepartmentRow | None:
    """A department, locked until the transaction ends."""
    return await connection.first(_FOR_UPDATE, DepartmentRow, id=department_id)


async def insert_department(connection: WriteConnection, row: DepartmentRow) -> int:
    """Add a department; returns its id."""
    [(made,)] = await connection.records(_INSERT, **msgspec.structs.asdict(row))
    return int(made)


async def update_department(connection: WriteConnection, row: DepartmentRow) -> int:
    """Store what a department has become; its version rises."""
    await connection.execute(_UPDATE, **msgspec.structs.asdict(row))
    return row.id
