"""Bootstrap confidence intervals: sessions drawn again with replacement, as if any could have come at any time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from replay.ragged import Floats
from replay.results.metrics import drawdowns, profit_factors, sharpes, sortinos, tails, win_rates

RESAMPLES: Final = 4000
LEAST: Final = 5
"""Sessions, below which nothing is drawn."""
LEVEL: Final = 0.95
SAID: Final = (
    f"95 % percentile bootstrap, {RESAMPLES:,} resamples of sessions, which are taken as exchangeable: "
    "no memory from one to the next"
)

_CELLS: Final = 2_000_000  # drawn at a time
_UNDEFINED: Final = 0.05  # of the resamples, beyond which there is no interval


class Interval(NamedTuple):
    """Both ends, inclusive; both ``None`` where there is none."""

    low: float | None
    high: float | None


NONE: Final = Interval(None, None)

MEASURES: Final[dict[str, Callable[[Floats], Floats]]] = {
    "total": lambda rows: np.asarray(rows.sum(axis=1)),
    "mean": lambda rows: np.asarray(rows.mean(axis=1)),
    "median": lambda rows: np.asarray(np.median(rows, axis=1)),
    "win_rate": win_rates,
    "profit_factor": profit_factors,
    "sharpe": sharpes,
    "sortino": sortinos,
    "max_drawdown": drawdowns,
    "cvar": tails,
}
"""What has an interval: (B, N) profits to (B,), NaN where not defined."""


def intervals(profits: Floats, seed: int) -> dict[str, Interval]:
    """Intervals of each of :data:`MEASURES`.

    Parameters
    ----------
    profits
        (N,) USD by session, NaN where not known: those are left out.
    seed
        Of the draws, by the bits of PCG64: the same seed and profits give the same intervals.

    Returns
    -------
    By name. Below five known sessions there are none, nor where a measure is not defined in over 5 % of the resamples.
    """
    known = profits[np.isfinite(profits)]
    if len(known) < LEAST:
        return dict.fromkeys(MEASURES, NONE)
    found: dict[str, list[Floats]] = {name: [] for name in MEASURES}
    for sample in _resampled(known, seed):
        for name, measure in MEASURES.items():
            found[name].append(measure(sample))
    return {name: _ends(np.concatenate(parts)) for name, parts in found.items()}


def mean_interval(values: Floats, seed: int) -> Interval:
    """The interval of the mean of (N,) values, all known, such as differences of paired sessions."""
    if len(values) < LEAST:
        return NONE
    return _ends(np.concatenate([sample.mean(axis=1) for sample in _resampled(values, seed)]))


def _resampled(values: Floats, seed: int) -> Iterator[Floats]:
    """(B, N) draws of (N,) values, :data:`RESAMPLES` rows in all."""
    bits = np.random.PCG64(seed)
    at_once = max(1, _CELLS // len(values))
    for start in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - start)
        draws = bits.random_raw(count * len(values)) % np.uint64(len(values))
        yield values[draws.astype(np.int64).reshape(count, len(values))]


def _ends(found: Floats) -> Interval:
    """The 2.5 % and 97.5 % quantiles, each one of the values; those not defined have no say."""
    defined = np.sort(found[np.isfinite(found)])
    if len(defined) < (1 - _UNDEFINED) * len(found):
        return NONE
    tail = (1 - LEVEL) / 2
    low = defined[math.ceil(tail * len(defined)) - 1]
    high = defined[math.ceil((1 - tail) * len(defined)) - 1]
    return Interval(float(low), float(high))
