"""What heatmaps in a terminal are drawn with: signs, cells, axes and colours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from replay.render.axes import Columns, Floats, plain_strikes, strike_edges, time_ticks
from replay.render.caption import Mark
from replay.render.scale import XTERM, Rgb, Scale, human

VALUE_WIDTH: Final = 6
_TICK_WIDTH: Final = 7  # HH:MM and two blanks
_POSITIVE: Final = "0123456789"
_NEGATIVE: Final = "0abcdefghi"


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters that stand for no value."""

    spot: str
    unsampled: str
    side: str
    line: str
    tick: str
    corners: tuple[str, str, str, str]
    up: str
    down: str


UNICODE: Final = Signs("●", "·", "│", "─", "┬", ("┌", "┐", "└", "┘"), "↑", "↓")
ASCII: Final = Signs("o", ".", "|", "-", "+", ("+", "+", "+", "+"), "^", "v")


# A line is its characters, each with the colour behind it or none.
Line = list[tuple[str, Rgb | None]]


def strike_labels(strikes: Floats, marks: list[Mark]) -> list[str]:
    """(K,) strike and the letters of the levels on it or nearest to it, all of one width."""
    letters = [""] * len(strikes)
    edges = strike_edges(strikes)
    for mark in marks:
        if edges[0] <= mark.price <= edges[-1]:
            letters[int(np.argmin(np.abs(strikes - mark.price)))] += mark.letter
    texts, most = plain_strikes(strikes), max(map(len, letters))
    long = max(map(len, texts))
    return [f"{text:>{long}} {letter:<{most}}".ljust(long + 1) for text, letter in zip(texts, letters, strict=True)]


def time_axis(columns: Columns, signs: Signs) -> tuple[str, str]:
    """The frame's bottom with its ticks, and the New York times under them."""
    first, count = int(columns.starts[0]), len(columns.starts)
    border, clock = [signs.line] * count, [" "] * (count + _TICK_WIDTH)
    for us, text in time_ticks(first, columns.end, _TICK_WIDTH * columns.step):
        at = (us - first) // columns.step
        border[at] = signs.tick
        clock[at : at + len(text)] = text
    return "".join(border), "".join(clock).rstrip()


def cell_glyphs(columns: Columns, scale: Scale, signs: Signs, *, colour: bool) -> list[list[str]]:
    """(N, K) one character a cell; with colours behind them the sampled ones are blank."""
    values = columns.values
    if colour:
        cells = np.full(values.shape, " ")
    else:
        ninths = np.clip(np.ceil(np.abs(np.nan_to_num(values)) / scale.high * 9 - 1e-9), 1, 9).astype(int)
        ninths[values == 0] = 0
        cells = np.where(values < 0, np.array(list(_NEGATIVE))[ninths], np.array(list(_POSITIVE))[ninths])
    cells[np.isnan(values)] = signs.unsampled
    cells[~columns.filled] = " "
    glyphs: list[list[str]] = cells.tolist()
    return glyphs


def spot_rows(spot: Floats, strikes: Floats) -> list[int]:
    """(N,) which strike is nearest the bar's spot; -1 where that is not known or off the strikes."""
    edges = strike_edges(strikes)
    return [int(np.argmin(np.abs(strikes - at))) if edges[0] <= at <= edges[-1] else -1 for at in spot.tolist()]


def colour_swatch(scale: Scale, width: int, *, truecolor: bool) -> Line:
    """The scale's colours between the numbers of its ends."""
    low, high = human(scale.low, signed=True), human(scale.high, signed=scale.signed)
    values = np.linspace(scale.low, scale.high, min(width - 2 * VALUE_WIDTH - 2, 41))
    if not scale.limit:
        low, high, values = "0", "", np.zeros(3)
    shades = scale.colours(values, stepped=not truecolor).tolist()
    return [
        *unpainted(f"{low} "),
        *((" ", (red, green, blue)) for red, green, blue in shades),
        *unpainted(f" {high}".rstrip()),
    ]


def unpainted(text: str) -> Line:
    return [(character, None) for character in text]


def line_text(line: Line, *, truecolor: bool) -> str:
    """A line with ANSI escapes for the colours in it, if there are any; signs on them black or white."""
    if all(rgb is None for _, rgb in line):
        return "".join(text for text, _ in line)
    from rich.color import Color, ColorSystem
    from rich.style import Style

    painted = []
    for rgb, run in groupby(line, key=lambda cell: cell[1]):
        text = "".join(character for character, _ in run)
        if rgb is None:
            painted.append(text)
            continue
        dark = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] < 128
        ink, behind = Color.from_ansi(231 if dark else 16), Color.from_rgb(*rgb)
        if not truecolor:
            behind = Color.from_ansi(XTERM[rgb])
        style = Style(color=ink if text.strip() else None, bgcolor=behind)
        painted.append(style.render(text, color_system=ColorSystem.TRUECOLOR))
    return "".join(painted)
