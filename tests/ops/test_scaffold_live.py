"""`make migration` and `make entity` in a copy of the code: what they write migrates, loads and answers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.embedded.lease import CHECKOUT
from ops.scaffold import entity, migration
from tests.kit.databases import Databases

PACKAGES = ("cache", "cluster", "db", "domain", "jobs", "loaders", "ops", "resolvers", "schema", "telemetry", "web")
LEFT_TO_DO = {
    "db/tables.py": 'desk = Table("desk", metadata, _id(), *_columns(Text, "name"))\n',
    "db/rows.py": (
        "class DeskRow(Row, frozen=True, array_like=True):\n"
        '    """A desk."""\n\n'
        "    id: int\n"
        "    name: str\n\n"
        "    @property\n"
        "    def global_id(self) -> str:\n"
        '        return encode_id("Desk", self.id)\n'
    ),
    "domain/ids.py": 'DeskId = NewType("DeskId", int)\n',
}
"""What the command says is left to do, but for the two lines that stand within a file."""

ASK = """
import asyncio, json, os
from db.database import Database
from db.migrate import newest_migration, upgrade
from domain.ids import encode_id
from db.connection import Query
from resolvers.context import Context
from schema.root import api
from sqlalchemy import text
from tests.kit.small_company import HR
from web.settings import Settings
from web.stores import open_cache

async def main():
    await upgrade(os.environ["DATABASE_URL"])
    database = Database(os.environ["DATABASE_URL"])
    async with database.transaction() as connection:
        await connection.script("INSERT INTO desk (id, name) VALUES (7, 'by the window')")
    context = Context(database, open_cache(Settings.from_environment()), HR, request_id="test")
    answer = await api.execute(
        "query($id: ID!) { desk(id: $id) { id name } }", {"id": encode_id("Desk", 7)}, context_value=context
    )
    async with database.read() as connection:
        outbox = await connection.records(Query("outbox", text("SELECT count(*) > 0 FROM cache_outbox")))
    await database.close()
    print(json.dumps([answer.data, [str(error) for error in answer.errors or []], newest_migration(), outbox[0][0]]))

asyncio.run(main())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code, to write into."""
    leave_out = shutil.ignore_patterns("__pycache__", "graphiql", "node_modules")
    for package in (*PACKAGES, "tests/kit"):
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=leave_out)
    (tmp_path / "tests/__init__.py").touch()
    return tmp_path


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = databases.new()
    yield made
    databases.drop(made)


def append(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}\n\n{text}")


def insert_before(path: Path, mark: str, text: str) -> None:
    content = path.read_text()
    assert mark in content, f"{mark!r} is not in {path.name}"
    path.write_text(content.replace(mark, text + mark, 1))


def test_a_new_entity_migrates_and_answers(copy: Path, url: str) -> None:
    _, script = migration("add_desk", copy)
    entity("desk", copy)
    append(script, "CREATE TABLE desk (id integer PRIMARY KEY, name text NOT NULL);")
    for path, text in LEFT_TO_DO.items():
        append(copy / path, text)
    insert_before(copy / "db/tags.py", "\nALL_TAGS", 'DESK_ANY = Tag("desk")\n')
    insert_before(
        copy / "schema/query.py",
        "    shifts = strawberry.field(",
        '    desk = strawberry.field(resolver=desks.desk, graphql_type=Desk | None, description="One desk.")\n',
    )
    insert_before(
        copy / "schema/query.py",
        "from schema.shifts import",
        "from resolvers import desks\nfrom schema.desks import Desk\n",
    )
    result = subprocess.run(
        [sys.executable, "-c", ASK], cwd=copy, env={**os.environ, "DATABASE_URL": url, "CACHE": "off"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    newest = script.name[:4]
    expected = f'[{{"desk": {{"id": "RGVzazo3", "name": "by the window"}}}}, [], "{newest}", true]\n'
    assert result.stdout == expected, result.stderr[-2000:]
