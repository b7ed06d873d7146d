"""How settings come out of environment variables, with one clear line for each wrong value.

Which settings there are is declared in web/settings.py and the parts that it nests.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, GetCoreSchemaHandler, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import RollcallError


class SettingsError(RollcallError):
    """A variable is wrong: one line for each, naming it, what is needed and what came."""

    code = "SETTINGS"
    exit_code = 2


class Part(BaseSettings):
    """One frozen group of settings, read from the environment when it is built without arguments.

    Never `populate_by_name`: pydantic-settings would then read HOST for the field `host` of every part.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, env_file_encoding="utf-8")

    @classmethod
    def of(cls, **value_by_field: Any) -> Self:
        """A part with these values; fields that are not named are read from the environment."""
        return cls(**{variables(cls.model_fields[name])[0]: value for name, value in value_by_field.items()})


def setting(default: Any, names: str, about: str, *, unit: str = "", **constraints: Any) -> Any:
    """A field read from the first of the blank-separated variable `names` that is set; a callable default is called.

    `unit` is for the reference only; what a number of a Duration means stands in its annotation.
    """
    made = {"default_factory": default} if callable(default) else {"default": default}
    return Field(
        **made,
        validation_alias=AliasChoices(*names.split()),
        description=about,
        json_schema_extra={"unit": unit} if unit else None,
        **constraints,
    )


@dataclass(frozen=True)
class Duration:
    """Annotates a timedelta whose variable holds a number of `unit`."""

    unit: Literal["ms", "s"]
    lowest: float
    highest: float

    @property
    def needed(self) -> str:
        """What a value must be, in words."""
        words = {"ms": "milliseconds", "s": "seconds"}[self.unit]
        return f"a number of {words} from {self.lowest:.10g} to {self.highest:.10g}"

    def written(self, value: timedelta) -> str:
        """A duration as the variable would hold it."""
        return f"{value / self._one:.10g}"

    @property
    def _one(self) -> timedelta:
        return timedelta(milliseconds=1) if self.unit == "ms" else timedelta(seconds=1)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: object) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number = float(str(value))
        if not self.lowest <= number <= self.highest:
            raise ValueError(self.needed)
        return number * self._one


@dataclass(frozen=True)
class Url:
    """Annotates a SecretStr that must be an address with one of `schemes`; `becomes` replaces the scheme.

    `several` may be given, comma-separated. `check` raises ValueError for what cannot be used.
    """

    schemes: tuple[str, ...]
    example: str
    becomes: str = ""
    several: bool = False
    check: Callable[[str], object] = str

    @property
    def needed(self) -> str:
        """What a value must be, in words."""
        return f"{'addresses, comma-separated,' if self.several else 'an address'} like {self.example}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._read, handler(source))

    def _read(self, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        given = value.get_secret_value()
        return SecretStr(",".join(self._one(part.strip()) for part in (given.split(",") if self.several else [given])))

    def _one(self, text: str) -> str:
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in self.schemes or not rest or not _has_numeric_port(rest):
            raise ValueError(self.needed)
        self.check(text)
        return f"{self.becomes or scheme}://{rest}"


def _has_numeric_port(rest: str) -> bool:
    """Whether the port, if there is one, is one; several hosts are left to the driver."""
    try:
        return "," in rest or urlsplit(f"//{rest}").port != 0
    except ValueError:
        return False


@dataclass(frozen=True)
class CommaSeparated:
    """Annotates a tuple of texts whose variable holds them comma-separated, each of the form `pattern`."""

    pattern: str
    needed: str
    check: Callable[[str], object] = str
    """Raises ValueError for what has the form and is wrong."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: str | Sequence[str]) -> tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else value
        found = tuple(item.strip() for item in items if item.strip())
        if not all(re.fullmatch(self.pattern, item) for item in found):
            raise ValueError(self.needed)
        for item in found:
            self.check(item)
        return found


def variables(field: FieldInfo) -> tuple[str, ...]:
    """The names under which a field is read, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(name) for name in alias.choices)
    return (alias,) if isinstance(alias, str) else ()


def needed(field: FieldInfo) -> str:
    """What a value of this field must be, in words: "a whole number from 1 to 256"."""
    for note in field.metadata:
        if isinstance(note, Duration | Url | CommaSeparated):
            return note.needed
    kind = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if kind is bool:
        return "on or off"
    extra = field.json_schema_extra
    unit = f" ({extra['unit']})" if isinstance(extra, dict) and extra.get("unit") else ""
    words = {int: "a whole number", float: "a number", Path: "a path"}.get(kind, "text")
    return words + _range(field) + unit


def _without_none(annotation: Any) -> Any:
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 and type(None) in get_args(annotation) else annotation


def _range(field: FieldInfo) -> str:
    lowest = next((note.ge for note in field.metadata if hasattr(note, "ge")), None)
    highest = next((note.le for note in field.metadata if hasattr(note, "le")), None)
    if lowest is not None and highest is not None:
        return f" from {lowest} to {highest}"
    return f" of at least {lowest}" if lowest is not None else ""


def masked_address(text: str) -> str:
    """An address without its passwords."""
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", text))


def complaints(part: type[Part], error: ValidationError, given: Mapping[str, str | None]) -> Iterator[str]:
    """One line for each wrong variable of a part."""
    for detail in error.errors():
        place = str(detail["loc"][0]) if detail["loc"] else ""
        field = next((f for name, f in part.model_fields.items() if place in (name, *variables(f))), None)
        if field is None:
            yield detail["msg"].removeprefix("Value error, ")
            continue
        name = next((name for name in variables(field) if given.get(name)), place)
        yield f"{name}: needed {needed(field)}, got {_shown_input(field, given.get(name, detail['input']))}"


def _shown_input(field: FieldInfo, value: object) -> str:
    text = str(value)
    if "Secret" in str(field.annotation):
        return repr(masked_address(text)) if "://" in text else "something else (not shown)"
    return repr(text if len(text) <= 80 else text[:77] + "...")


def env_file() -> Path | None:
    """The file of NAME=value lines that is read beside the environment: ENV_FILE, or `.env` when there is one."""
    if named := os.environ.get("ENV_FILE"):
        if not Path(named).is_file():
            raise SettingsError(f"ENV_FILE: needed a file of NAME=value lines, got {named!r}, which does not exist")
        return Path(named)
    return Path(".env") if Path(".env").is_file() else None
