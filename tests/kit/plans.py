"""What PostgreSQL does for each statement that a rig runs: plans by EXPLAIN, with the very arguments of the request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import pytest

from db.connection import Query, ReadConnection


@dataclass
class Plan:
    """The plan of one statement: its nodes, all the way down."""

    name: str
    sql: str
    nodes: list[Mapping[str, Any]] = field(default_factory=list)

    def scanned_whole(self, tables: tuple[str, ...]) -> list[str]:
        """Those of the tables and partitions that are read from end to end."""
        relations = [node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"]
        return [name for name in relations if name in tables]

    @property
    def indexes(self) -> set[str]:
        """The indexes that are used."""
        return {str(node["Index Name"]) for node in self.nodes if "Index Name" in node}

    def touched(self, table: str) -> set[str]:
        """The partitions of a table that the plan reads."""
        return {node["Relation Name"] for node in self.nodes if _is_of(node.get("Relation Name", ""), table)}


def _is_of(relation: str, table: str) -> bool:
    return relation == table or (relation.startswith(f"{table}_") and relation.removeprefix(f"{table}_").isdecimal())


@contextmanager
def explained(patch: pytest.MonkeyPatch) -> Iterator[list[Plan]]:
    """Explain every statement that runs within, before it runs."""
    found: list[Plan] = []
    fetch = ReadConnection._fetch

    async def explain_and_fetch(
        self: ReadConnection, query: Query, parameters: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        if not query.name.startswith("cache_"):  # the drain's
            async with self._turn:
                sql = f"EXPLAIN (FORMAT JSON) {query.sql}"
                told = await self._driver.fetchval(sql, *query.arguments(parameters))
            [plan] = orjson.loads(told) if isinstance(told, str | bytes) else told
            found.append(Plan(query.name, query.sql, list(_flat(plan["Plan"]))))
        return await fetch(self, query, parameters)

    with patch.context() as patched:
        patched.setattr(ReadConnection, "_fetch", explain_and_fetch)
        yield found


def _flat(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _flat(below)
