"""docs/reference/settings.md from the settings' own declarations.

python -m web.settings_reference > docs/reference/settings.md
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from web.environment import Duration, Part, needed, variables
from web.settings import Settings, usable_cores

OPENING = """# Settings

Each is an environment variable, or a line `NAME=value` in `.env` (or in the file that `ENV_FILE` names); the
environment wins.
A wrong value stops the start with one line that names the variable, what is needed and what came.
"""


ELSEWHERE = """## Read outside the settings

Only from the environment, never from a file.

| Variable | Default | Value | Meaning |
|---|---|---|---|
| `ENV_FILE` | `.env` when there is one | a path | File of `NAME=value` lines that is read beside the environment. |
| `LOG_LEVEL` |  | debug | Print the traceback of a process that cannot start. |
| `PG_BINDIR` | found | a path | Folder with the programs of PostgreSQL, for the private one. |
| `VALKEY_SERVER` | found | a path | Program of Valkey or Redis, for the private one. |
| `NOTIFY_SOCKET`, `LISTEN_FDS`, `LISTEN_PID` |  | set by systemd | Readiness messages and socket activation. |
"""


def settings_reference() -> str:
    """The whole page, in Markdown."""
    sections = [line for name, part in Settings.part_types() for line in _section(name, part)]
    return "\n".join([OPENING, *sections, ELSEWHERE])


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
    unit = next((note for note in field.metadata if isinstance(note, Duration)), None)
    if unit:
        return f"`{unit.written(value)}`"
    return f"`{value.as_posix()}`" if isinstance(value, Path) else f"`{value}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
