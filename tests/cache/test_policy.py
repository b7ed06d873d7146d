"""Names of entries: another shape, another version of the code or another key is another entry."""

import msgspec

from cache.policy import Policy, shape_hash
from db.rows import EmployeeRow
from domain.enums import Role


class Plain(msgspec.Struct):
    a: int
    b: str | None


class Renamed(msgspec.Struct):
    a: int
    c: str | None


class Swapped(msgspec.Struct):
    b: str | None
    a: int


class Retyped(msgspec.Struct):
    a: int
    b: str


def test_the_hash_follows_names_order_and_types_all_the_way_down() -> None:
    shapes = [Plain, Renamed, Swapped, Retyped, tuple[Plain, ...], tuple[Renamed, ...], list[Plain], Role, int]
    assert len({shape_hash(shape) for shape in shapes}) == len(shapes)
    assert shape_hash(EmployeeRow) == shape_hash(EmployeeRow)


def test_entries_of_another_version_of_the_code_have_other_names() -> None:
    policy: Policy[int, Plain] = Policy("plain", Plain, "list", lambda _: ())
    names = {policy.entry_name(1)}
    for code in ("one", "two"):
        policy.follow(code=code, declaration="d")
        names.add(policy.entry_name(1))
    assert len(names) == 3


def test_structured_keys_go_by_their_content() -> None:
    policy: Policy[object, Plain] = Policy("plain", Plain, "list", lambda _: ())
    keys = [1, 2, "a", (1, "a"), (1, "b"), Plain(1, "a"), Plain(1, None)]
    assert len({policy.entry_name(key) for key in keys}) == len(keys)
    assert policy.entry_name(Plain(1, "a")) == policy.entry_name(Plain(1, "a"))
