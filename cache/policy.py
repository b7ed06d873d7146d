"""How one kind of entry is cached: its name, the shape of its values, its life, and the tags that it depends on."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
Kind = Literal["employee", "organisation", "attendance", "list", "aggregate"]
encode: Final = msgspec.msgpack.Encoder().encode
"""Of keys and values alike."""


class Policy(Generic[K, V_co]):
    """`tags` gives the tags of a key; `value_type` is what is stored, None standing for absence.

    `kind` names the setting of its life: employee, organisation, attendance, list or aggregate.

    The namespace in Redis carries a hash of the value's shape, and of the code that makes it once `follow` was told, so
    that a deploy never reads what another version stored.
    """

    def __init__(self, namespace: str, value_type: Any, kind: Kind, tags: Callable[[K], tuple[str, ...]]) -> None:
        self.namespace = namespace
        self.kind = kind
        self.tags = tags
        self.declaration = ""
        self.is_dear = kind in ("list", "aggregate")
        """Whether making a value costs more than waiting for another who makes it; a row by its id does not."""
        self.renews_early = kind == "aggregate"
        """Whether an entry is made anew shortly before its life ends, while it is still served."""
        self._shape = shape_hash(value_type)
        self.prefix = f"{namespace}@{self._shape}:"
        self.decode: Callable[[bytes], V_co | None] = msgspec.msgpack.Decoder(value_type | None).decode

    def follow(self, *, code: str, declaration: str) -> None:
        """`code` makes the values; `declaration` is what the tags are from, and what the database's must be from."""
        self.prefix = f"{self.namespace}@{self._shape}.{code}:"
        self.declaration = declaration

    def entry_name(self, key: K) -> str:
        """What the entry of a key is called; structured keys go by a hash of their content."""
        if isinstance(key, int | str):
            return f"{self.prefix}{key}"
        return f"{self.prefix}{hashlib.blake2b(encode(key), digest_size=16).hexdigest()}"


def shape_hash(value_type: Any) -> str:
    """A hash of what the bytes of a value depend on: names, order and types of the fields, all the way down."""
    text = repr(_shape(msgspec.inspect.type_info(value_type), ()))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _shape(info: msgspec.inspect.Type, above: tuple[type, ...]) -> Any:
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in above:
            return info.cls.__name__
        return [(field.name, _shape(field.type, (*above, info.cls))) for field in info.fields]
    if isinstance(info, msgspec.inspect.EnumType):
        return [member.value for member in info.cls]
    parts = [
        _shape(part, above)
        for name in getattr(info, "__struct_fields__", ())
        for part in _types_in(getattr(info, name))
    ]
    return (type(info).__name__, *parts)


def _types_in(value: object) -> tuple[msgspec.inspect.Type, ...]:
    if isinstance(value, msgspec.inspect.Type):
        return (value,)
    if isinstance(value, tuple | list):
        return tuple(part for part in value if isinstance(part, msgspec.inspect.Type))
    return ()
