"""What we need of a Redis: the commands that are sent or called by the scripts in cache/lua, and what it may evict."""

from collections.abc import Mapping, Sequence
from typing import Final

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "MGET": ["KEY"],
    "EVAL": ["return 1", "0"],
    "EVALSHA": ["0" * 40, "0"],
    "GET": ["KEY"],
    "SET": ["KEY", "1", "PX", "1"],
    "PEXPIRETIME": ["KEY"],
    "TIME": [],
    "DEL": ["KEY"],
    "INFO": ["server"],
    "PTTL": ["KEY"],
    "SCAN": ["0", "MATCH", "KEY", "COUNT", "1"],
    "DBSIZE": [],
}
"""By name, with arguments to try them with; KEY is a key of ours. The last three are for operators only."""

EVICTION_POLICIES: Final = ("allkeys-lru", "volatile-lru")
"""A hold is new. Others evict what ends soonest, what was asked for least often until now, or anything."""
