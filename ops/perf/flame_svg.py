"""A flame graph as one SVG file: the wider a frame the more samples, coloured by layer; a click zooms."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Final

import msgspec

from ops.perf.flame import Samples, Stack

WIDTH, ROW, PAD, TOP = 1200, 17, 10, 62
LEAST_WIDTH: Final = 0.4
"""Narrower frames cannot be seen or hit."""
LETTER: Final = 6.6
COLOURS: Final = {
    "web": "#f2a65a", "schema": "#e8c468", "resolvers": "#e4793d", "loaders": "#d9534f", "cache": "#c76fb0",
    "db": "#6c8fd6", "domain": "#57a773", "cluster": "#8d9bb0", "telemetry": "#9aa86b", "jobs": "#b08968",
}  # fmt: skip
LIBRARIES: Final = "#d9d2c5"
SCRIPT: Final = Path(__file__).with_name("flame.js")


class Frame(msgspec.Struct):
    """A function below those that called it."""

    name: str
    number: int = 0
    below: dict[str, "Frame"] = msgspec.field(default_factory=dict)

    def add(self, stack: Stack, number: int) -> None:
        """Samples of one stack."""
        self.number += number
        frame = self
        for name in stack:
            frame = frame.below.setdefault(name, Frame(name))
            frame.number += number

    def depth(self) -> int:
        """Rows from here upwards."""
        return 1 + max((frame.depth() for frame in self.below.values()), default=0)


class Box(msgspec.Struct, frozen=True):
    """A frame where it is drawn."""

    name: str
    number: int
    left: float
    width: float
    row: int


def flame_svg(samples: Samples) -> str:
    """The file."""
    root = Frame("all workers")
    for stack, number in sorted(samples.stacks.items()):
        root.add(stack, number)
    height = TOP + root.depth() * ROW + PAD
    said = (
        f"{samples.total:,} samples of {samples.processes} workers in {samples.seconds:g} s"
        f" ({samples.waiting:,} more waited for work)"
    )
    boxes = "".join(_drawn(box, root.number, height) for box in _boxes(root, PAD, WIDTH - 2 * PAD, 0))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="100%" font-size="11"'
        ' font-family="ui-monospace, Menlo, Consolas, monospace">'
        f"<style>.f{{cursor:pointer}}.f:hover rect{{stroke:#222;stroke-width:1}}text{{pointer-events:none}}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fbfaf8"/>'
        f'<text x="{PAD}" y="20" font-size="15" font-weight="600">Rollcall: where the workers\' time goes</text>'
        f'<text x="{PAD}" y="37" fill="#666">{escape(said)}</text>{_legend()}'
        f'<g id="frames">{boxes}</g><script><![CDATA[{SCRIPT.read_text()}]]></script></svg>\n'
    )


def _boxes(frame: Frame, left: float, width: float, row: int) -> Iterator[Box]:
    yield Box(frame.name, frame.number, left, width, row)
    for below in frame.below.values():
        share = width * below.number / max(frame.number, 1)
        if share >= LEAST_WIDTH:
            yield from _boxes(below, left, share, row + 1)
        left += share


def _drawn(box: Box, total: int, height: int) -> str:
    top = height - PAD - (box.row + 1) * ROW
    share = box.number / max(total, 1)
    return (
        f'<g class="f"><title>{escape(box.name)}: {box.number:,} samples, {share:.1%}</title>'
        f'<rect x="{box.left:.2f}" y="{top}" width="{box.width:.2f}" height="{ROW - 1}" rx="2"'
        f' fill="{colour(box.name)}"/>'
        f'<text x="{box.left + 3:.2f}" y="{top + 12}">{escape(fitting(box.name, box.width))}</text></g>'
    )


def colour(name: str) -> str:
    """By the layer that the file of a frame `function (layer/file.py)` lies in."""
    return COLOURS.get(name.rpartition("(")[2].partition("/")[0], LIBRARIES)


def fitting(name: str, width: float) -> str:
    """As much of a name as fits."""
    room = int((width - 6) / LETTER)
    return name if len(name) <= room else f"{name[: room - 1]}…" if room >= 4 else ""


def _legend() -> str:
    shown: Mapping[str, str] = {**COLOURS, "libraries": LIBRARIES}
    parts, left = [], float(PAD)
    for name, fill in shown.items():
        parts.append(f'<rect x="{left}" y="45" width="10" height="10" rx="2" fill="{fill}"/>')
        parts.append(f'<text x="{left + 14}" y="54" fill="#666">{name}</text>')
        left += 26 + LETTER * len(name)
    return "".join(parts)
