"""Names and tags that are remembered of keys: no more of large keys than memory allows."""

import tracemalloc

import msgspec

from cache.policy import Policy
from cache.reading import names_and_tags


class Wide(msgspec.Struct, frozen=True):
    """The key of a list for who may see a thousand departments."""

    departments: tuple[int, ...]
    page: int


def test_names_and_tags_are_worked_out_once_while_the_policy_makes_the_same_names() -> None:
    asked: list[int] = []

    def tags(key: int) -> tuple[str, ...]:
        asked.append(key)
        return (f"t.id={key}",)

    policy = Policy[int, str]("plain", str, "organisation", tags)
    assert names_and_tags(policy, policy.prefix, [7, 7]) == [(f"{policy.prefix}7", ("t.id=7", "t"))] * 2
    policy.follow(code="new", declaration="")
    assert names_and_tags(policy, policy.prefix, [7]) == [(f"{policy.prefix}7", ("t.id=7", "t"))]
    assert asked == [7, 7]


def test_wide_keys_take_little_memory_however_many_there_are() -> None:
    policy = Policy[Wide, str]("wide", str, "list", lambda _: ("t.any",))
    tracemalloc.start()
    for page in range(1_500):
        names_and_tags(policy, policy.prefix, [Wide(tuple(range(1_000, 2_000)), page)])
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 10_000_000 < taken_bytes < 45_000_000
