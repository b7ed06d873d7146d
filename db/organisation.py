"""Departments, locations and shifts by id in one statement: what stands around employees and days."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.rows import DepartmentRow, LocationRow, NodeRow, ShiftRow

_TYPES: Final[Mapping[str, type[NodeRow]]] = {"department": DepartmentRow, "location": LocationRow, "shift": ShiftRow}
_DECODERS: Final[Mapping[str, msgspec.json.Decoder[tuple[NodeRow, ...]]]] = {
    table: msgspec.json.Decoder(tuple[row_type, ...])  # type: ignore[valid-type]
    for table, row_type in _TYPES.items()
}


def _rows_of(table: str) -> str:
    columns = ", ".join(_TYPES[table].__struct_fields__)
    return (
        f"(SELECT coalesce(CAST(json_agg(json_build_array({columns})) AS text), '[]') FROM {table}"
        f" WHERE id = ANY(CAST(:{table} AS int[])))"
    )


_AROUND: Final = Query("organisation", text("SELECT " + ", ".join(map(_rows_of, _TYPES))))


async def organisation_rows(
    connection: ReadConnection, ids_by_table: Mapping[str, Sequence[Any]]
) -> dict[str, dict[Any, NodeRow]]:
    """The rows of each table by id."""
    wanted = {table: list(ids_by_table.get(table, ())) for table in _TYPES}
    [found] = await connection.records(_AROUND, **wanted)
    rows = {table: _DECODERS[table].decode(json) for table, json in zip(_TYPES, found, strict=True)}
    return {table: {row.node_key: row for row in rows[table]} for table in _TYPES}
