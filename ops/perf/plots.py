"""Plots as SVG text for a page without scripts: lines and bars over axes that are linear or logarithmic."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

import msgspec

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 24, 10, 40
INNER_WIDTH: Final = WIDTH - LEFT - RIGHT
INNER_HEIGHT: Final = HEIGHT - TOP - BOTTOM


class Axis(msgspec.Struct, frozen=True):
    """From lowest to highest; `ticks` are where it is marked, with what."""

    lowest: float
    highest: float
    ticks: Sequence[tuple[float, str]]
    label: str
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        if self.logarithmic:
            value, low, high = (math.log10(max(one, self.lowest)) for one in (value, self.lowest, self.highest))
        else:
            low, high = self.lowest, self.highest
        return min(max((value - low) / (high - low or 1), 0.0), 1.0)


class Line(msgspec.Struct, frozen=True):
    """A named curve; None is a gap. `kind` is the class that colours it."""

    name: str
    kind: str
    points: Sequence[tuple[float, float | None]]
    area: bool = False


def linear(highest: float, label: str, unit: str = "", lowest: float = 0.0) -> Axis:
    """An axis of round steps."""
    span = max(highest - lowest, 1e-9)
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next((factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5), 10)
    top = lowest + step * math.ceil(round(span / step, 9))
    ticks = [
        (lowest + step * number, f"{lowest + step * number:,.10g}{unit}")
        for number in range(round((top - lowest) / step) + 1)
    ]
    return Axis(lowest, top, ticks, label)


def along(highest: float, label: str) -> Axis:
    """An axis for time, which ends where the curves do."""
    found = linear(highest, label)
    return Axis(0.0, highest, [tick for tick in found.ticks if tick[0] <= highest], label)


def logarithmic(values: Sequence[float], label: str) -> Axis:
    """An axis of milliseconds whose marks are 1, 2, 5, 10, ..."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.log10(max(positive))
    marks = [factor * 10.0**power for power in range(low, math.ceil(high) + 1) for factor in (1, 2, 5)]
    bottom = max((mark for mark in marks if mark <= min(positive)), default=marks[0])
    top = next((mark for mark in marks if mark >= max(positive) and mark > bottom), marks[-1])
    within = [mark for mark in marks if bottom <= mark <= top]
    if len(within) > 7:
        within = [mark for mark in within if math.log10(mark) % 1 < 1e-9] or within
    return Axis(bottom, top, [(mark, milliseconds(mark)) for mark in within], label, logarithmic=True)


def milliseconds(value: float) -> str:
    """A duration with its unit."""
    return f"{value / 1e3:g} s" if value >= 1000 else f"{value:g} ms"


def line_plot(title: str, x: Axis, y: Axis, lines: Sequence[Line], shown: Callable[[float], str] = milliseconds) -> str:
    """Curves with a legend, and a mark for each point that says its value."""
    return "".join(
        (
            _opening(title, lines),
            _axes(x, y),
            *(_curve(x, y, line) for line in lines),
            *(mark for line in lines for mark in _marks(x, y, line, shown)),
            "</svg></figure>",
        )
    )


def bar_plot(title: str, x: Axis, y: Axis, bars: Sequence[tuple[float, float, float, str]]) -> str:
    """Bars from one x to another, with a height and what they say."""
    drawn = []
    for begins, ends, height, said in bars:
        left, right = _x(x, begins), _x(x, ends)
        top = _y(y, height)
        drawn.append(
            f'<rect class="bar" x="{left + 0.5:.1f}" y="{top:.1f}" width="{max(right - left - 1, 0.5):.1f}"'
            f' height="{TOP + INNER_HEIGHT - top:.1f}"><title>{escape(said)}</title></rect>'
        )
    return "".join((_opening(title, ()), _axes(x, y), *drawn, "</svg></figure>"))


def _opening(title: str, lines: Sequence[Line]) -> str:
    legend = "".join(f'<span class="{line.kind}"><i></i>{escape(line.name)}</span>' for line in lines)
    return (
        f'<figure><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    )


def _axes(x: Axis, y: Axis) -> str:
    bottom = TOP + INNER_HEIGHT
    rows = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(y, at):.1f}" y2="{_y(y, at):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{_y(y, at) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for at, text in y.ticks
    )
    columns = "".join(
        f'<line class="grid" y1="{bottom}" y2="{bottom + 4}" x1="{_x(x, at):.1f}" x2="{_x(x, at):.1f}"/>'
        f'<text class="tick" x="{_x(x, at):.1f}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>'
        for at, text in x.ticks
    )
    middle = LEFT + INNER_WIDTH / 2
    label = f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>'
    return f"{rows}{columns}{label}"


def _curve(x: Axis, y: Axis, line: Line) -> str:
    drawn = ""
    for part in _parts(line.points):
        path = " ".join(f"{_x(x, at):.1f},{_y(y, value):.1f}" for at, value in part)
        if line.area:
            base = TOP + INNER_HEIGHT
            outline = f"{_x(x, part[0][0]):.1f},{base} {path} {_x(x, part[-1][0]):.1f},{base}"
            drawn += f'<polygon class="area {line.kind}" points="{outline}"/>'
        drawn += f'<polyline class="line {line.kind}" points="{path}"/>'
    return drawn


def _marks(x: Axis, y: Axis, line: Line, shown: Callable[[float], str]) -> Iterator[str]:
    """Small, and wide enough for the pointer to find."""
    for at, value in line.points:
        if value is not None:
            yield (
                f'<circle class="{line.kind}" cx="{_x(x, at):.1f}" cy="{_y(y, value):.1f}" r="4">'
                f"<title>{escape(line.name)}: {escape(shown(value))}</title></circle>"
            )


def _parts(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for at, value in points:
        if value is not None:
            part.append((at, value))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * INNER_WIDTH


def _y(axis: Axis, value: float) -> float:
    return TOP + (1 - axis.share(value)) * INNER_HEIGHT
