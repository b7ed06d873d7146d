"""Prints docs/reference/settings.md from the settings' own declarations."""

from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from web.environment import Part, masked, needed, variables
from web.settings import Settings, usable_cores

OPENING = """# Settings

Each is an environment variable, or a line `NAME=value` in `.env` (or in the file that `ENV_FILE` names); the
environment wins.
A wrong value stops the start with one line that names the variable, what is needed and what came.
"""


def settings_reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join([OPENING, *(line for name, part in Settings.part_types() for line in _section(name, part))])


def _section(name: str, part: type[Part]) -> Iterator[str]:
    yield f"## {name.capitalize()}\n"
    yield f"{(part.__doc__ or '').strip()}\n"
    yield "| Variable | Default | Value | Meaning |"
    yield "|---|---|---|---|"
    for field in part.model_fields.values():
        names = " or ".join(f"`{variable}`" for variable in variables(field))
        yield f"| {names} | {_default(field)} | {_escaped(needed(field))} | {_escaped(field.description or '')} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is usable_cores:
        return "cores"
    value = field.default
    if value in (None, (), ""):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value.as_posix()}`" if isinstance(value, Path) else f"`{masked(value)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
