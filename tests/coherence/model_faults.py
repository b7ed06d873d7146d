"""What may happen in the model to the data of a Valkey, while it goes on running."""

from collections.abc import Mapping, Sequence

from tests.coherence.valkey import Valkey

Saved = Mapping[bytes, tuple[int, bytes]]
"""By key: when it ends, and what it holds."""


def evict(valkeys: Sequence[Valkey], prefix: str, what: str) -> None:
    """Everything is gone, or what begins so; what was held a moment ago is the last to be evicted."""
    for valkey in valkeys:
        with valkey.client as client:
            keys = client.keys(f"{prefix}:{what}*")
            if what == "s":
                keys = [key for key in keys if b"!" not in (client.get(key) or b"")]
            if keys:
                client.delete(*keys)


def replicate(one: Valkey, other: Valkey) -> None:
    """The other gets what the one has now."""
    with other.client as client:
        client.flushall()
    _put(other, _dumped(one, "*"))


def saved(valkey: Valkey, prefix: str) -> Saved:
    """What it has now; the fence is left out, since it will have lapsed."""
    return {key: value for key, value in _dumped(valkey, f"{prefix}:*").items() if not key.endswith(b":f")}


def go_back(valkey: Valkey, to: Saved) -> None:
    """It has this again, and nothing else."""
    with valkey.client as client:
        client.flushall()
    _put(valkey, to)


def _dumped(valkey: Valkey, pattern: str) -> Saved:
    with valkey.client as client:
        found = {key: (client.pexpiretime(key), client.dump(key)) for key in client.keys(pattern)}
    return {key: (expires_ms, value) for key, (expires_ms, value) in found.items() if value and expires_ms > 0}


def _put(valkey: Valkey, data: Saved) -> None:
    with valkey.client as client:
        for key, (expires_ms, value) in data.items():
            client.restore(key, expires_ms, value, absttl=True)
