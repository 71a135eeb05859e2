"""A heatmap and its levels as text for a terminal, with and without colour."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import Final

import numpy as np

from replay.contract import FLOW_METRICS
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.axes import (
    Columns,
    Floats,
    columns_of,
    in_sight,
    newest_spot,
)
from replay.render.caption import (
    facts,
    heading,
    level_facts,
    levels_moment,
    marks_of,
    moment_text,
    nothing_text,
    price_text,
    span_text,
)
from replay.render.cells import (
    ASCII,
    UNICODE,
    VALUE_WIDTH,
    Line,
    Signs,
    cell_glyphs,
    colour_swatch,
    line_text,
    spot_rows,
    strike_labels,
    time_axis,
    unpainted,
)
from replay.render.scale import Scale, human, scale_of
from replay.sessions import MINUTE, NEW_YORK, to_us

MIN_WIDTH: Final = 40
MIN_ROWS: Final = 5
ROWS: Final = 40

_DAY_MINUTES: Final = 24 * 60


def heatmap_table(
    heatmap: Heatmap,
    levels: Levels | None,
    *,
    width: int,
    height: int | None = None,
    colour: bool,
    unicode: bool,
    truecolor: bool = True,
) -> str:
    """A heatmap as text: strikes down, the highest at the top, time across, one character a bar.

    Where the bars are more than the columns they are coarsened to the shortest bar that fits, and the legend says
    so. Minutes without a bar are blank columns. Without colour a cell is a digit for a positive value, a letter for
    a negative one, both in ninths of the scale.

    Parameters
    ----------
    levels
        Levels to mark on the strikes; ``None`` for no marks.
    width
        Columns of the terminal. No line is wider than that, or than 40 where it is less.
    height
        Lines of the terminal. The strikes nearest the newest spot are shown, as many as fit beside the legend
        but never fewer than five; ``None`` for 40 strikes.
    colour, truecolor
        Whether to write colours, as ANSI escapes, and whether in 24 bits or from the 256 of older terminals.
    unicode
        Whether to write signs other than ASCII.

    Returns
    -------
    Lines without a newline at the end.
    """
    width = max(width, MIN_WIDTH)
    if not heatmap.levels.size:
        return "\n".join(_wrapped([nothing_text(heatmap)], width))
    signs = UNICODE if unicode else ASCII
    marks = marks_of(levels)
    labels = strike_labels(heatmap.strikes, marks)
    fitted = _fit(heatmap, width - len(labels[0]) - VALUE_WIDTH - 3)  # two sides and a blank
    columns, scale = columns_of(fitted), scale_of(fitted)
    above = _wrapped([heading(fitted), ", ".join(facts(fitted))], width)
    below = _wrapped(_legend(heatmap, fitted, columns, scale, signs, colour=colour), width)
    if levels is not None and marks:
        named = ", ".join(f"{mark.letter} {mark.name} {price_text(mark.price)}" for mark in marks)
        below += _wrapped([f"levels {levels_moment(levels)}: {named}"], width)
    swatch = [colour_swatch(scale, width, truecolor=truecolor)] if colour else []
    rows = ROWS if height is None else max(height - len(above) - len(swatch) - len(below) - 5, MIN_ROWS)
    shown = in_sight(fitted, newest_spot(fitted, levels), rows)
    table = _table(columns, scale, heatmap.strikes, shown, labels, signs, colour=colour, truecolor=truecolor)
    painted = [line_text(line, truecolor=truecolor) for line in table + swatch]
    return "\n".join([*above, *painted, *below])


def level_lines(levels: Levels) -> str:
    """A snapshot's levels as labelled text in two columns with units, at most 80 characters wide."""
    if levels.ts is None:
        return f"{levels.symbol} levels: no snapshot is visible, so none is known"
    prices, totals = level_facts(levels)
    name, value, total = (max(map(len, column)) for column in (*zip(*prices, strict=True), [n for n, _ in totals]))
    left = [f"{label:<{name}}  {text:>{value}}" for label, text in prices]
    right = [f"   {label:<{total}}  {text}" for label, text in totals]
    date = levels.ts.astimezone(NEW_YORK).date()
    return "\n".join(
        [
            f"{levels.symbol} levels at {moment_text(to_us(levels.ts), date)} New York, {date}",
            *(f"{line}{more}" for line, more in zip_longest(left, right, fillvalue="")),
        ]
    )


def _fit(heatmap: Heatmap, room: int) -> Heatmap:
    """The heatmap in the shortest bars that divide a day and need no more columns than there is room for."""
    own = int(heatmap.bar_size[:-1])
    first, last = int(heatmap.minutes[0]), int(heatmap.minutes[-1])
    lengths = [length for length in range(own, _DAY_MINUTES, own) if _DAY_MINUTES % length == 0] or [own]
    for length in lengths:
        if last // (length * MINUTE) - first // (length * MINUTE) < room:
            break
    return heatmap if length == own else heatmap.resample(f"{length}m")


def _table(
    columns: Columns,
    scale: Scale,
    strikes: Floats,
    shown: slice,
    labels: list[str],
    signs: Signs,
    *,
    colour: bool,
    truecolor: bool,
) -> list[Line]:
    """The frame, the cells under the spot's path, the newest bar's values, and the time axis."""
    margin, count = " " * len(labels[0]), len(columns.starts)
    glyphs, path = cell_glyphs(columns, scale, signs, colour=colour), spot_rows(columns.spot, strikes)
    behind = scale.colours(columns.values, stepped=not truecolor).tolist()
    painted = np.isfinite(columns.values) & colour
    lines: list[Line] = []
    for k in reversed(range(shown.start, shown.stop)):
        newest = human(float(columns.values[-1, k]), signed=scale.signed) or signs.unsampled
        cells: Line = [
            (signs.spot if path[t] == k else glyphs[t][k], tuple(behind[t][k]) if painted[t, k] else None)
            for t in range(count)
        ]
        lines.append([*unpainted(labels[k] + signs.side), *cells, *unpainted(f"{signs.side} {newest:>{VALUE_WIDTH}}")])
    border, clock = time_axis(columns, signs)
    top_left, top_right, bottom_left, bottom_right = signs.corners
    more_above, more_below = len(strikes) - shown.stop, shown.start
    hidden_above = [unpainted(f"{margin} {signs.up} {more_above} more strikes above")] if more_above else []
    hidden_below = [unpainted(f"{margin} {signs.down} {more_below} more strikes below")] if more_below else []
    return [
        *hidden_above,
        unpainted(f"{margin}{top_left}{signs.line * count}{top_right} newest"),
        *lines,
        unpainted(f"{margin}{bottom_left}{border}{bottom_right}"),
        unpainted(f"{margin} {clock}"),
        *hidden_below,
    ]


def _legend(
    given: Heatmap, fitted: Heatmap, columns: Columns, scale: Scale, signs: Signs, *, colour: bool
) -> list[str]:
    """One sentence each for the bars, the scale and the signs."""
    bars = span_text(fitted)
    if fitted is not given:
        kept = "the sum" if given.metric in FLOW_METRICS else "the last"
        bars += f"; coarsened from {given.bar_size} to fit the width, {kept} of each"
    if scale.skips_first:
        bars += "; the first bar is the level itself, not a change"
    meanings = [f"{signs.unsampled} not sampled", f"{signs.spot} spot"]
    if not colour:
        sign = "1-9 above 0, a-i below 0" if scale.signed else "1-9 above 0"
        meanings = [f"{sign} (ninths of the scale, 9 also beyond it)", "0 zero", *meanings]
    if not columns.filled.all():
        meanings.append("blank column no bar")
    return [bars, f"scale {scale.sentence()}", ", ".join(meanings)]


def _wrapped(sentences: list[str], width: int) -> list[str]:
    return [line for sentence in sentences for line in textwrap.wrap(sentence, width, subsequent_indent="  ")]
