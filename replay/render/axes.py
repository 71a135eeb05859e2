"""The axes that all pictures share: true New York time across, strikes up, and which of them are in sight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.sessions import MINUTE, NEW_YORK, from_us

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IN_SIGHT: Final = 80
"""Strikes a page or a picture shows at first."""

_STEPS: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440)


@dataclass(frozen=True, slots=True)
class Columns:
    """One column each bar length from the first bar to the last, whether it holds a bar or not.

    ``starts`` (N,) microseconds since the epoch, UTC; ``step`` the bar's length, microseconds; ``values`` (N, K)
    and ``spot`` (N,) as the heatmap's, NaN where there is no bar; ``filled`` (N,) whether there is one.
    """

    starts: Ints
    step: int
    values: Floats
    spot: Floats
    filled: NDArray[np.bool_]

    @property
    def end(self) -> int:
        """The end of the last bar, microseconds."""
        return int(self.starts[-1]) + self.step


def columns_of(heatmap: Heatmap) -> Columns:
    """A heatmap of at least one bar on a true time axis: missing bars are columns too."""
    step = int(heatmap.bar_size[:-1]) * MINUTE
    first = int(heatmap.minutes[0])
    at = (heatmap.minutes - first) // step
    count = int(at[-1]) + 1
    values, spot = np.full((count, len(heatmap.strikes)), np.nan), np.full(count, np.nan)
    filled = np.zeros(count, bool)
    given = heatmap.values
    values[at] = np.where(np.isfinite(given), given, np.nan)
    spot[at], filled[at] = heatmap.spot, True
    return Columns(first + step * np.arange(count, dtype=np.int64), step, values, spot, filled)


def to_new_york(us: int) -> int:
    """Microseconds to add to an instant so that its UTC reading is the New York wall clock."""
    offset = from_us(us).astimezone(NEW_YORK).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) * 1_000_000


def time_ticks(start: int, end: int, closest: int) -> list[tuple[int, str]]:
    """Round New York times in [start, end), microseconds, and their ``HH:MM``, at least ``closest`` apart.

    The start alone where the stretch holds no round time.
    """
    step = MINUTE * next((minutes for minutes in _STEPS if minutes * MINUTE >= closest), _STEPS[-1])
    offset = to_new_york(start)
    first = -(-(start + offset) // step) * step - offset
    at = list(range(first, end, step)) or [start]
    return [(us, f"{from_us(us).astimezone(NEW_YORK):%H:%M}") for us in at]


def strike_edges(strikes: Floats) -> Floats:
    """(K + 1,) edges of strikes' cells, USD: midpoints, the outer ones as far out as in; a lone strike's 1 apart."""
    if len(strikes) == 1:
        return np.array([strikes[0] - 0.5, strikes[0] + 0.5])
    inner = (strikes[1:] + strikes[:-1]) / 2
    return np.concatenate([[2 * strikes[0] - inner[0]], inner, [2 * strikes[-1] - inner[-1]]])


def newest_spot(heatmap: Heatmap, levels: Levels | None) -> float | None:
    """The newest spot that a heatmap, or else its levels, know, USD."""
    known = heatmap.spot[np.isfinite(heatmap.spot)]
    if len(known):
        return float(known[-1])
    if heatmap.underlying_price is not None:
        return heatmap.underlying_price
    return levels.spot if levels is not None else None


def in_sight(heatmap: Heatmap, spot: float | None, count: int) -> slice:
    """The ``count`` strikes nearest a spot; without one, nearest the newest bar's largest value."""
    strikes = heatmap.strikes
    if len(strikes) <= count:
        return slice(0, len(strikes))
    if spot is None:
        sizes = np.abs(heatmap.values[-1])
        spot = float(strikes[np.argmax(np.where(np.isfinite(sizes), sizes, -1.0))])
    nearest = np.argsort(np.abs(strikes - spot), kind="stable")[:count]
    return slice(int(nearest.min()), int(nearest.max()) + 1)


def with_path(heatmap: Heatmap, shown: slice) -> slice:
    """The same strikes and as many more as the spot's path needs."""
    path = heatmap.spot[np.isfinite(heatmap.spot)]
    if not len(path):
        return shown
    low = int(np.searchsorted(heatmap.strikes, path.min(), "right")) - 1
    high = int(np.searchsorted(heatmap.strikes, path.max(), "left")) + 1
    return slice(max(min(shown.start, low), 0), min(max(shown.stop, high), len(heatmap.strikes)))


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places at least ``gap`` apart, in the same order, as near as can be to ascending wanted ones."""
    groups: list[tuple[float, int]] = []  # centre, members
    for place in wanted:
        centre, members = place, 1
        while groups and centre - groups[-1][0] < gap * (members + groups[-1][1]) / 2:
            other, more = groups.pop()
            centre = (centre * members + other * more) / (members + more)
            members += more
        groups.append((centre, members))
    return [centre + gap * (i - (members - 1) / 2) for centre, members in groups for i in range(members)]


def plain_strikes(strikes: Floats) -> list[str]:
    """Strikes as text, all with as many decimals as the finest needs, four at most."""
    needed = [f"{strike:.4f}".rstrip("0").partition(".")[2] for strike in strikes.tolist()]
    decimals = max(map(len, needed), default=0)
    return [f"{strike:.{decimals}f}" for strike in strikes.tolist()]


def spot_steps(columns: Columns) -> tuple[list[int], list[float]]:
    """The spot's path as a line of steps: times, microseconds, and USD, NaN where it breaks."""
    times: list[int] = []
    path: list[float] = []
    for start, spot in zip(columns.starts.tolist(), columns.spot.tolist(), strict=True):
        times += [start, start + columns.step]
        path += [spot, spot] if math.isfinite(spot) else [math.nan, math.nan]
    return times, path
