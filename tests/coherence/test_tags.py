"""Nobody can forget a tag: whatever column changes, what changes with it depends on a tag that the change touches.

Every lookup that the questions of the suite make is asked again after each change; changes are made by plain SQL.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pytest

from cache.reading import dependencies
from db.connection import WriteConnection
from db.punches import ExplainKey
from db.where import statement
from domain.ids import PunchId
from loaders.batch import Batch, Loaders, Wanted
from loaders.catalogue import batches
from loaders.pay_periods import pay_period_by_id
from loaders.punches import explained_day, punch_by_id, punches_of_day
from tests.kit.rig import Rig
from tests.kit.small_company import ADMIN, EMPLOYEE, HR, MANAGER, NOW
from tests.responses.questions import QUESTIONS

Lookups = dict[Batch[Any, Any], set[Any]]
NOT_LOOKED_UP: Final = {
    "cache_outbox",
    "cache_state",
    "alembic_version",
    "demo_company",
    "idempotency_key",
    "frequent_operation",
    "slow_plan",
}
CHANGE_BY_TYPE: Final = {
    "integer": "{c} + 1",
    "smallint": "{c} + 1",
    "bigint": "{c} + 1",
    "boolean": "NOT {c}",
    "date": "{c} + 1",
    "double precision": "{c} + 0.5",
    "text": "{c} || 'x'",
    "citext": "{c} || 'x'",
    "time without time zone": "{c} + interval '1 minute'",
    "timestamp with time zone": "{c} + interval '3 minutes'",
}
COLUMNS: Final = statement(
    "columns",
    "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull FROM pg_class c"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
    " AND a.attidentity <> 'a'"  # an id that nobody can change
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    " ORDER BY c.relname, a.attnum",
)
CONSTRAINTS: Final = statement(
    "constraints",
    "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass)"
    " AND contype IN ('c', 'f', 'p', 'u', 'x')",
)
TOUCHED: Final = statement(
    "touched",
    "SELECT coalesce(array_agg(tag), '{}') FROM cache_outbox o, unnest(o.tags) tag"
    " WHERE o.xid = pg_current_xact_id_if_assigned()",
)


class AnyNumber(dict[str, int]):
    """A statement may run as often as it likes here."""

    def get(self, key: str, default: int | None = None) -> int:  # type: ignore[override]
        return 1_000


class Undo(Exception):
    """Ends a savepoint."""


async def lookups_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Lookups:
    """Every lookup that the questions make, asked by several people."""
    found: Lookups = defaultdict(set)
    look_up = Loaders.look_up

    async def noted(self: Loaders, wanted: Wanted) -> Any:
        for batch, keys in wanted.items():
            found[batch].update(keys)
        return await look_up(self, wanted)

    monkeypatch.setattr(Loaders, "look_up", noted)
    for email in (ADMIN, HR, MANAGER, EMPLOYEE):
        viewer = await rig.viewer(email)
        for question in QUESTIONS.values():
            await rig.execute(question, viewer=viewer, repeats=AnyNumber())
    monkeypatch.undo()
    return found


async def unasked(connection: WriteConnection, asked: Lookups) -> Lookups:
    """The lookups that no question makes: of a punch and a pay period by id, and the explanation of a day."""
    punches = await connection.records(statement("p", "SELECT id FROM punch ORDER BY md5(punch::text) LIMIT 20"))
    columns, values = "location_id, start_date, end_date, state", "1, '2026-03-01', '2026-03-31', 'OPEN'"
    period = statement("q", f"INSERT INTO pay_period ({columns}) VALUES ({values}) RETURNING id")
    periods = await connection.records(period)
    await connection.execute(statement("forget", "DELETE FROM cache_outbox WHERE xid = pg_current_xact_id()"))
    return {
        punch_by_id: {PunchId(number) for (number,) in punches},
        pay_period_by_id: {number for (number,) in periods},
        explained_day: {ExplainKey(day, NOW) for day in asked[punches_of_day]},
    }


async def values(connection: WriteConnection, lookups: Lookups) -> dict[tuple[Batch[Any, Any], Any], Any]:
    """What each lookup gives now."""
    found = {}
    for batch, keys in lookups.items():
        loaded = await batch.fetch(connection, list(keys)) if keys else {}
        found.update({(batch, key): loaded.get(key, batch.absent) for key in keys})
    return found


def changes_of(columns: Sequence[tuple[str, str, str, bool]]) -> list[tuple[str, str]]:
    """(table, statement) for each column and each deletion, on rows here and there."""
    found = []
    for table in sorted({table for table, *_ in columns} - NOT_LOOKED_UP):
        there_is = f"(SELECT greatest(count(*), 1) FROM {table})"  # or nothing would be changed
        row = f"(tableoid, ctid) = (SELECT tableoid, ctid FROM {table} ORDER BY md5({table}::text)"
        row += f" OFFSET %d %% {there_is} LIMIT 1)"
        found += [(f"{table} deleted", f"DELETE FROM {table} WHERE {row % place}") for place in (0, 1)]
        for place, (_, column, type_, required) in enumerate((entry for entry in columns if entry[0] == table), 1):
            where = row % (place % 3)
            if change := CHANGE_BY_TYPE.get(type_):
                set_ = f"{column} = {change.format(c=column)}"
                found.append((f"{table}.{column}", f"UPDATE {table} SET {set_} WHERE {where}"))
            elif " " not in type_ and "[" not in type_ and "range" not in type_ and type_ not in {"bytea"}:
                other = f"(SELECT l FROM unnest(enum_range(NULL::{type_})) l WHERE l IS DISTINCT FROM {column} LIMIT 1)"
                found.append((f"{table}.{column}", f"UPDATE {table} SET {column} = {other} WHERE {where}"))
            if not required:
                found.append((f"{table}.{column} = NULL", f"UPDATE {table} SET {column} = NULL WHERE {where}"))
    return found


async def forgotten(
    connection: WriteConnection,
    lookups: Lookups,
    before: dict[tuple[Batch[Any, Any], Any], Any],
    sql: str,
    free: str = "",
) -> set[str] | None:
    """The lookups whose value a change changes while it touches none of their tags; None when it is not allowed.

    The constraints of the table `free` do not count.
    """
    found: set[str] = set()
    try:
        async with connection.savepoint():
            for (name,) in await connection.records(CONSTRAINTS, table=free) if free else ():
                drop = f'ALTER TABLE {free} DROP CONSTRAINT IF EXISTS "{name}" CASCADE'
                await connection.execute(statement("drop", drop))
            await connection.execute(statement("change", sql))
            [(touched,)] = await connection.records(TOUCHED)
            others = {
                batch: {key for key in keys if not set(dependencies(batch.policy.tags(key))) & set(touched)}
                for batch, keys in lookups.items()
            }
            for (batch, key), value in (await values(connection, others)).items():
                if before[batch, key] != value:
                    found.add(f"{batch.policy.namespace} {key!r}")
            raise Undo
    except Undo:
        return found
    except Exception:
        return None


async def test_every_change_touches_a_tag_of_what_it_changes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = await lookups_of(rig, monkeypatch)
    wrong, made, unmade = [], 0, []
    async with rig.database.transaction() as connection:
        lookups |= await unasked(connection, lookups)
        before = await values(connection, lookups)
        columns = [tuple(entry) for entry in await connection.records(COLUMNS)]
        changes = changes_of(columns)
        for what, sql in changes:
            found = await forgotten(connection, lookups, before, sql)
            for offset in range(6) if found is None else ():  # a row may be one of which nothing can be made
                other = re.sub(r"OFFSET \d", f"OFFSET {offset}", sql)
                found = await forgotten(connection, lookups, before, other, free=re.split("[. ]", what)[0])
                if found is not None:
                    break
            made += found is not None
            unmade += [what] if found is None else []
            wrong += [f"{what}: {name}" for name in sorted(found or ())]
    print(f"\n{made} changes, {len(before)} lookups of {len(lookups)} kinds")
    assert wrong == [], "\n".join(wrong)
    assert unmade == [], "changes that the database did not let this test make: nothing is known of their tags"
    of_columns = {what.partition(" ")[0] for what, _ in changes}
    assert {f"{table}.{column}" for table, column, *_ in columns if table not in NOT_LOOKED_UP} <= of_columns
    assert made > 150 and all(lookups.values())
    assert {batch.policy.namespace for batch in lookups} == set(batches()), "a lookup that nobody asks here"
