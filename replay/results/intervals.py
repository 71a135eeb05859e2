"""Bootstrap confidence intervals: sessions drawn again with replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from replay.ragged import Floats, Ints
from replay.results.metrics import drawdowns, profit_factors, sharpes, sortinos, tails, win_rates

RESAMPLES: Final = 2000
LEVEL: Final = 0.95
_LEAST: Final = 5

Interval = tuple[float, float]

_STATISTICS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "total": lambda rows: rows.sum(axis=1),
    "mean": lambda rows: rows.mean(axis=1),
    "median": lambda rows: np.asarray(np.median(rows, axis=1)),
    "win_rate": win_rates,
    "profit_factor": profit_factors,
    "sharpe": sharpes,
    "sortino": sortinos,
    "max_drawdown": drawdowns,
    "cvar": tails,
}


def intervals(profits: Floats, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Interval | None]:
    """95 % percentile intervals of the metrics of sessions' profits (S,), by name.

    Sessions are drawn with replacement, so they are taken as exchangeable: what hangs together over days, such as a
    week of high vol, is not in them. ``None`` for fewer than five sessions, or where a draw in twenty has no value.
    """
    if len(profits) < _LEAST:
        return dict.fromkeys(_STATISTICS)
    rows = profits[draws(len(profits), seed, resamples)]
    return {name: _interval(statistic(rows)) for name, statistic in _STATISTICS.items()}


def mean_interval(values: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Interval | None:
    """The 95 % percentile interval of a mean (S,); ``None`` for fewer than five."""
    if len(values) < _LEAST:
        return None
    return _interval(values[draws(len(values), seed, resamples)].mean(axis=1))


def draws(count: int, seed: int, resamples: int) -> Ints:
    """(R, S) numbers below S, from the bits of PCG64, which are the same in every version of numpy."""
    bits = np.random.PCG64(seed).random_raw(resamples * count)
    return np.asarray(bits % np.uint64(count), np.int64).reshape(resamples, count)


def _interval(found: Floats) -> Interval | None:
    known = found[np.isfinite(found)]
    if len(known) < 0.95 * len(found):
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
