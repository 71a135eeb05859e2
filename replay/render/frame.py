"""One picture of a session that plays: exactly so many lines of so many columns, in a layout that stands still.

The cells, marks and signs are those of :mod:`replay.render.cells`. Here the time axis has its full length from the
first minute on, so bars come in at the left and then scroll, and the strikes follow the middle of the spot's path, so
that they do not jump with every tick.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.axes import Columns, in_sight, newest_spot, plain_strikes
from replay.render.caption import marks_of, nothing_text, price_text
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
from replay.sessions import MINUTE, NEW_YORK, SECOND, Session, floor_minute, from_us, to_us

_DAY_MINUTES: Final = 24 * 60
_LETTERS: Final = 4  # as many levels as may lie on one strike
_STRETCHES: Final = (4, 3, 2, 1)  # columns a bar takes where there is room; divisors of a minute's seconds
_SCALE_WIDTH: Final = 20  # the least that two ends and some colours take
_TALLEST: Final = 2  # lines a strike takes where there is room
_MARGIN: Final = 2  # strikes that stay in sight above and below the newest spot
_REVERSED: Final = "\x1b[7m{}\x1b[0m"


@dataclass(frozen=True, slots=True)
class Status:
    """What the last line says: whose session, the instant shown (microseconds), and how it plays.

    ``newest`` is the ts of the newest snapshot visible, microseconds, or ``None`` without one; ``speed`` market
    seconds a second.
    """

    symbol: str
    session: Session
    now: int
    state: str
    speed: float
    newest: int | None


@dataclass(frozen=True, slots=True)
class Ability:
    """What the terminal shows, as :func:`replay.render.terminal.heatmap_table` takes it."""

    colour: bool
    unicode: bool
    truecolor: bool


def frame(
    shown: Heatmap | str,
    levels: Levels,
    status: Status,
    *,
    minutes: int,
    width: int,
    height: int,
    ability: Ability,
    keys: Sequence[str] = (),
) -> list[str]:
    """A heatmap, or a sentence that says why there is none, over a status line.

    Parameters
    ----------
    minutes
        How far the heatmap looks back: the length of the time axis.
    width, height
        Columns and lines of the terminal, both at least 1.
    keys
        What the keys do, to be said above the status line; empty to leave it out.

    Returns
    -------
    ``height`` lines, none wider than ``width``.
    """
    last = status_line(status, width, keys=not keys)
    said = [line[:width] for line in _flowing(keys, width)][: height - 1]
    room = height - 1 - len(said)
    if isinstance(shown, Heatmap) and shown.levels.size:
        lines = _picture(shown, levels, status.session, minutes, width, room, ability)
        above = [line_text(line[:width], truecolor=ability.truecolor) for line in lines]
    else:
        text = shown if isinstance(shown, str) else nothing_text(shown)
        above = textwrap.wrap(text, width, break_on_hyphens=False)
    above = above[:room] + [""] * (room - len(above))
    return [*above, *said, _REVERSED.format(last) if ability.colour else last]


def status_line(status: Status, width: int, *, keys: bool = True) -> str:
    """Session, New York time, how it plays, the newest snapshot's age, and ``keys``: what fits, ``width`` long."""
    clock = f"{from_us(status.now).astimezone(NEW_YORK):%H:%M:%S}"
    age = "no snapshot" if status.newest is None else f"newest {_age(status.now - status.newest)} old"
    at_close = status.now == to_us(status.session.close)
    state = status.state if at_close else f"{status.state} {status.speed:g}x"
    name, session = status.symbol, f"{status.symbol} {status.session.date}"
    for parts in (
        (session, f"{clock} New York", state, age, "? keys  q quit"),
        (session, f"{clock} New York", state, age, "? keys"),
        (session, clock, state, age, "? keys"),
        (name, clock, state, age, "? keys"),
        (name, clock, state, age, "?"),
        (name, clock, state, "?"),
        (clock, state),
    ):
        text = "  ".join(parts if keys else parts[: len(parts) - (parts[-1][0] == "?")])
        if len(text) + 2 <= width:
            break
    return f" {text}".ljust(width)[:width]


def _picture(
    heatmap: Heatmap, levels: Levels, session: Session, minutes: int, width: int, height: int, ability: Ability
) -> list[Line]:
    """The title, the strikes in their frame, the scale and the levels, as many of these as ``height`` has room for."""
    signs = UNICODE if ability.unicode else ASCII
    margin = max(map(len, plain_strikes(heatmap.strikes))) + 1 + _LETTERS
    room = width - margin - VALUE_WIDTH - 3  # two sides and a blank
    fitted, columns = _axis(heatmap, session, minutes, room)
    scale = scale_of(fitted)
    title = [unpainted(_title(fitted, width))] if height >= 6 else []
    legend = [_scale_line(scale, signs, width, ability)] if height >= 9 and width >= _SCALE_WIDTH else []
    if height >= 10:
        legend.append(unpainted(_levels_text(levels, width)))
    rows = max(height - len(title) - len(legend) - 3, 1)
    return [*title, *_table(fitted, columns, levels, scale, margin, room, rows, signs, ability), *legend]


def _axis(heatmap: Heatmap, session: Session, minutes: int, room: int) -> tuple[Heatmap, Columns]:
    """The heatmap in the shortest bars that fit, and its columns over the whole window, those to come included.

    The window begins no earlier than the open, unless there are bars before it, and is no longer than the session.
    """
    opens, closes = to_us(session.open), to_us(session.close)
    start = max(floor_minute(heatmap.as_of - minutes * MINUTE), min(opens, int(heatmap.minutes[0])))
    last = max(start + min(minutes * MINUTE, closes - opens), floor_minute(heatmap.as_of))
    span = (last - start) // MINUTE
    lengths = [length for length in range(1, _DAY_MINUTES) if _DAY_MINUTES % length == 0]
    length = next((each for each in lengths if -(-span // each) < room), lengths[-1])
    fitted = heatmap if length == 1 else heatmap.resample(f"{length}m")
    step, count = length * MINUTE, -(-span // length) + 1  # as many wherever in a bar the window begins
    first = last - last % step - (count - 1) * step
    at = (fitted.minutes - first) // step
    values, spot = np.full((count, len(fitted.strikes)), np.nan), np.full(count, np.nan)
    filled = np.zeros(count, bool)
    values[at], spot[at], filled[at] = fitted.values, fitted.spot, True
    return fitted, Columns(first + step * np.arange(count, dtype=np.int64), step, values, spot, filled)


def _in_sight(heatmap: Heatmap, levels: Levels, count: int) -> slice:
    """The ``count`` strikes around the middle of the spot's path, moved as far as keeps the newest spot inside."""
    path, newest = heatmap.spot[np.isfinite(heatmap.spot)], newest_spot(heatmap, levels)
    shown = in_sight(heatmap, float(np.median(path)) if len(path) else newest, count)
    if newest is None:
        return shown
    at, margin = int(np.argmin(np.abs(heatmap.strikes - newest))), min(_MARGIN, (count - 1) // 2)
    start = min(max(shown.start, at + margin + 1 - count), at - margin)
    start = min(max(start, 0), max(len(heatmap.strikes) - count, 0))
    return slice(start, min(start + count, len(heatmap.strikes)))


def _table(
    heatmap: Heatmap,
    columns: Columns,
    levels: Levels,
    scale: Scale,
    margin: int,
    room: int,
    rows: int,
    signs: Signs,
    ability: Ability,
) -> list[Line]:
    """The strikes in their frame with the newest bar's values, over the time axis."""
    shown = _in_sight(heatmap, levels, rows)
    seen = replace(columns, values=columns.values[:, shown])
    wide = next((each for each in _STRETCHES if len(seen.starts) * each <= room), 1)
    tall = min(rows // (shown.stop - shown.start), _TALLEST)
    labels, path = strike_labels(heatmap.strikes, marks_of(levels)), spot_rows(seen.spot, heatmap.strikes)
    glyphs = cell_glyphs(seen, scale, signs, colour=ability.colour)
    behind = scale.colours(seen.values, stepped=not ability.truecolor).tolist()
    painted = (np.isfinite(seen.values) & ability.colour).tolist()
    newest = heatmap.values[-1].tolist()
    lines: list[Line] = []
    for k in reversed(range(shown.start, shown.stop)):
        row = k - shown.start
        cells: Line = []
        for t, on in enumerate(path):
            rgb = tuple(behind[t][row]) if painted[t][row] else None
            cells += [(signs.spot if on == k else glyphs[t][row], rgb)] * wide
        value = human(newest[k], signed=scale.signed) or signs.unsampled
        for label, number in ((labels[k], value), ("", ""))[:tall]:
            side = unpainted(f"{label:{margin}}{signs.side}")
            lines.append([*side, *cells, *unpainted(f"{signs.side} {number:>{VALUE_WIDTH}}")])
    finer = np.arange(len(path) * wide, dtype=np.int64) * (seen.step // wide)
    border, clock = time_axis(replace(seen, starts=seen.starts[0] + finer, step=seen.step // wide), signs)
    top_left, top_right, bottom_left, bottom_right = signs.corners
    above = _more(signs.up, len(heatmap.strikes) - shown.stop, margin)
    below = _more(signs.down, shown.start, margin)
    return [
        unpainted(f"{above}{top_left}{signs.line * len(border)}{top_right} newest"),
        *lines,
        unpainted(f"{below}{bottom_left}{border}{bottom_right}"),
        unpainted(f"{'':{margin}} {clock}"),
    ]


def _more(sign: str, count: int, width: int) -> str:
    """How many strikes are out of sight on one side."""
    text = f"{sign}{count} more" if count else ""
    return (text if len(text) <= width else f"{sign}{count}").ljust(width)


def _title(heatmap: Heatmap, width: int) -> str:
    """What is shown; what matters least is left out first."""
    known = "as it stood" if heatmap.known_at == heatmap.as_of else "known at latest"
    spot = heatmap.underlying_price
    parts = {
        "metric": f"{heatmap.metric} {heatmap.mode}",
        "unit": heatmap.unit,
        "spot": "" if spot is None else f"spot {price_text(spot)}",
        "known": known,
        "bars": f"{heatmap.bar_size} bars",
        "tier": f"tier {heatmap.tier_used}",
    }
    for name in ("", "tier", "bars", "unit", "known"):
        parts.pop(name, None)
        text = ", ".join(part for part in parts.values() if part)
        if len(text) <= width:
            break
    return text


def _scale_line(scale: Scale, signs: Signs, width: int, ability: Ability) -> Line:
    """The scale's colours between its ends, or what digits and letters mean, and the signs, as far as they fit."""
    meanings = [f"{signs.spot} spot", f"{signs.unsampled} not sampled"]
    if scale.skips_first:
        meanings.insert(0, "first bar: the level")
    if ability.colour:
        line = colour_swatch(scale, width, truecolor=ability.truecolor)
    else:
        ends = (
            f"{human(scale.low, signed=True)} to {human(scale.high, signed=scale.signed)}" if scale.limit else "all 0"
        )
        line = unpainted(f"{ends}: 1-9 above 0{', a-i below' if scale.signed else ''}")
    for meaning in meanings:
        if len(line) + len(meaning) + 2 <= width:
            line += unpainted(f"  {meaning}")
    return line


def _levels_text(levels: Levels, width: int) -> str:
    """The levels by letter, as many as fit."""
    text = ""
    for mark in marks_of(levels):
        longer = f"{text}{'  ' if text else ''}{mark.letter} {mark.name} {price_text(mark.price)}"
        text = longer if len(longer) <= width else text
    return text


def _flowing(texts: Sequence[str], width: int) -> list[str]:
    """Short texts one after the other, none of them broken."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + 3 + len(text) <= width:
            lines[-1] += f"   {text}"
        else:
            lines.append(f" {text}")
    return lines


def _age(us: int) -> str:
    """``15s``, ``2m05s``, ``1h02m``."""
    seconds = us // SECOND
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds // 60 % 60:02d}m"
