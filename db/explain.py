"""Plans by EXPLAIN: of a statement with its values, or of a text of pg_stat_statements without any.

Nothing is written: who calls has a transaction that only reads, and each plan is made within a savepoint of it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import orjson

from db.connection import ReadConnection
from db.errors import translated
from db.sql_comment import commented, named
from domain.errors import RollcallError

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]

_FIRST_WORD: Final = re.compile(r"\s*(\w+)")
_PLACEHOLDER: Final = re.compile(r"\$(\d+)")
_VALUE: Final = re.compile(r"'(?:[^']|'')*'|(?<![\w$.\"])\d+(?:\.\d+)?\b")
_WITH_VALUES: Final = ("Cond", "Filter", "Output", "Key", "Call", "Group", "Query Text", "Query Parameters")
EXPLAINABLE: Final = frozenset({"select", "with", "insert", "update", "delete", "merge", "values"})
READING: Final = frozenset({"select", "with", "values"})


class NoPlan(RollcallError):
    """PostgreSQL gives no plan of a statement; the message is its own."""


def first_word(sql: str) -> str:
    """The first word of a statement, in lower case."""
    found = _FIRST_WORD.match(sql)
    return found[1].lower() if found else ""


async def plan_of(
    connection: ReadConnection, sql: str, arguments: Sequence[Any], *, analyze: bool, limit: timedelta | None = None
) -> Mapping[str, Any]:
    """The plan with these values; `analyze` executes the statement, for no longer than `limit`."""
    driver = cast("Driver", connection.session)
    try:
        async with driver.transaction():
            if limit is not None:
                await driver.execute(f"SET LOCAL statement_timeout = {max(int(limit.total_seconds() * 1000), 1)}")
            options = f"ANALYZE {analyze}, VERBOSE, SETTINGS, BUFFERS {analyze}, FORMAT JSON"
            explaining = commented(f"EXPLAIN ({options}) {named(sql)[1]}", "explain")
            return _first(await driver.fetchval(explaining, *arguments))
    except asyncpg.PostgresError as error:
        raise _refused(error) from error


async def estimate_of(connection: ReadConnection, sql: str) -> Mapping[str, Any]:
    """The plan for any values, of a statement whose values are $1, $2, ...; it is not executed."""
    driver = cast("Driver", connection.session)
    if first_word(sql) not in EXPLAINABLE:
        raise NoPlan("only queries and changes of rows have a plan")
    values = max((int(number) for number in _PLACEHOLDER.findall(sql)), default=0)
    given = f"({', '.join(['NULL'] * values)})" if values else ""
    try:
        async with driver.transaction():
            await driver.fetch(commented(f"PREPARE rollcall_estimate AS {named(sql)[1]}", "explain"))
            await driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            found = await driver.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE rollcall_estimate{given}")
            await driver.execute("DEALLOCATE rollcall_estimate")
            return _first(found)
    except asyncpg.PostgresError as error:
        raise _refused(error) from error


def without_values(plan: Any) -> Any:
    """A plan without the values that PostgreSQL put into its conditions, since those may be personal data."""
    if isinstance(plan, Mapping):
        return {
            name: _masked(value) if any(word in name for word in _WITH_VALUES) else without_values(value)
            for name, value in plan.items()
        }
    return [without_values(part) for part in plan] if isinstance(plan, list) else plan


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _VALUE.sub("?", value)
    return [_masked(part) for part in value] if isinstance(value, list) else without_values(value)


def _refused(error: asyncpg.PostgresError) -> BaseException:
    known = translated(error)
    return known if isinstance(known, RollcallError) else NoPlan(str(error).splitlines()[0])


def _first(told: Any) -> Mapping[str, Any]:
    [plan] = orjson.loads(told) if isinstance(told, str | bytes) else told
    return cast("Mapping[str, Any]", plan)
