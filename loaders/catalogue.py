"""Every lookup by the names of its entries: what an entry in Redis is an entry of."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import msgspec

import loaders
from loaders.batch import Batch

KEYS: Final = 1
"""The parameter of a batch function that takes the keys."""


@cache
def batches() -> Mapping[str, Batch[Any, Any]]:
    """All lookups, by namespace."""
    modules = [importlib.import_module(f"loaders.{module.name}") for module in pkgutil.iter_modules(loaders.__path__)]
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Batch))
    return {batch.policy.namespace: batch for batch in found}


def batch_of(entry_name: str) -> Batch[Any, Any] | None:
    """The lookup that an entry belongs to; None when it is of another version of the code."""
    batch = batches().get(entry_name.partition("@")[0])
    return batch if batch is not None and entry_name.startswith(batch.policy.prefix) else None


def key_of(batch: Batch[Any, Any], key: bytes) -> Any:
    """The key of an entry, from the bytes that are stored with it; raises ValueError when they are something else."""
    return msgspec.msgpack.decode(key, type=_key_type(batch.policy.namespace))


@cache
def _key_type(namespace: str) -> Any:
    hints = list(get_type_hints(batches()[namespace].fetch).values())
    [found] = get_args(hints[KEYS])
    return found
