"""`make migration` and `make entity` write what they say, and nothing over what exists."""

import ast
from pathlib import Path

import pytest

from ops.scaffold import ScaffoldError, entity, migration


def test_the_next_migration_follows_the_last_one(tmp_path: Path) -> None:
    first = migration("lay_the_ground", tmp_path)
    second = migration("add_desks", tmp_path)
    assert [path.name for path in first] == ["0001_lay_the_ground.py", "0001_lay_the_ground.sql"]
    assert [path.name for path in second] == ["0002_add_desks.py", "0002_add_desks.sql"]
    assert 'revision = "0002"\ndown_revision = "0001"\n' in second[0].read_text()
    assert second[1].read_text() == "-- add desks\n"


def test_an_entity_gets_a_file_in_each_layer_that_is_python(tmp_path: Path) -> None:
    written = [str(path.relative_to(tmp_path)) for path in entity("meeting_room", tmp_path)]
    assert written == [
        "db/meeting_rooms.py",
        "loaders/meeting_rooms.py",
        "resolvers/meeting_rooms.py",
        "schema/meeting_rooms.py",
        "tests/queries/test_meeting_rooms.py",
    ]
    for path in written:
        ast.parse((tmp_path / path).read_text())
    assert "class MeetingRoom(Node):" in (tmp_path / "schema/meeting_rooms.py").read_text()


def test_nothing_is_written_over_or_half(tmp_path: Path) -> None:
    (tmp_path / "loaders").mkdir()
    (tmp_path / "loaders/desks.py").write_text("mine")
    with pytest.raises(ScaffoldError, match=r"^loaders/desks.py exists already: nothing was written$"):
        entity("desk", tmp_path)
    assert [path.name for path in tmp_path.rglob("*.py")] == ["desks.py"]


@pytest.mark.parametrize("name", ["", "Holiday", "no-dash", "../up"])
def test_a_wrong_name_is_refused_with_an_example(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScaffoldError) as refused:
        migration(name, tmp_path)
    assert refused.value.message == f"name: needed a snake_case name, got {name!r}: make migration name=add_something"
