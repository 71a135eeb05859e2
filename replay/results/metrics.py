"""Metrics of a series of sessions: sums, ratios, drawdowns, and the Sharpe ratio after many trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from replay.ragged import Floats

SESSIONS_A_YEAR: Final = 252
TAIL: Final = 0.05
_EULER: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()
_NOISE: Final = 1e-12
"""A deviation of a smaller share of the mean is that of rounding: nothing varies."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What S sessions' profits after fees come to, USD; ``None`` where it is not defined.

    Attributes
    ----------
    sessions
        Settled ones, with and without trades.
    total, mean, median, best, worst
        Of a session's profit.
    deviation
        Standard deviation of it, of a sample.
    win_rate
        Share of the sessions that did not end at 0 which ended above.
    profit_factor
        Gains over losses.
    sharpe
        Mean over deviation, times the root of 252: sessions taken as days, without a riskless rate.
    sortino
        Mean over the root of the mean square of the losses, times the root of 252.
    max_drawdown, drawdown_sessions
        The largest fall of the sum from a peak, 0 at the start included; and how many sessions that fall lasts, from
        the one after its peak until the peak is reached again, or the end.
    cvar
        Mean of the worst 5 % of the sessions (of at least one).
    """

    sessions: int
    total: float
    mean: float | None
    median: float | None
    best: float | None
    worst: float | None
    deviation: float | None
    win_rate: float | None
    profit_factor: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    drawdown_sessions: int
    cvar: float | None


def session_metrics(profits: Floats) -> Metrics:
    """Metrics of sessions' profits (S,) in order, USD, none of them NaN."""
    count = len(profits)
    curve = np.concatenate([[0.0], np.cumsum(profits)])
    below = np.maximum.accumulate(curve) - curve
    none = count == 0
    row = profits[None, :]
    return Metrics(
        count,
        float(curve[-1]),
        None if none else float(curve[-1]) / count,
        None if none else float(np.median(profits)),
        None if none else float(profits.max()),
        None if none else float(profits.min()),
        None if count < 2 else float(profits.std(ddof=1)),
        _plain(win_rates(row)),
        _plain(profit_factors(row)),
        _plain(sharpes(row)),
        _plain(sortinos(row)),
        float(below.max()),
        _length(curve),
        None if none else float(np.sort(profits)[: max(1, math.ceil(TAIL * count - 1e-9))].mean()),
    )


def win_rates(profits: Floats) -> Floats:
    """Of each row (R, S): the share of its profits that are not 0 which are above; NaN where all are 0. (R,)"""
    with np.errstate(invalid="ignore"):
        return np.asarray((profits > 0).sum(axis=1) / (profits != 0).sum(axis=1))


def profit_factors(profits: Floats) -> Floats:
    """Of each row (R, S): gains over losses; NaN where there is no loss. (R,)"""
    losses = -np.where(profits < 0, profits, 0.0).sum(axis=1)
    gains = np.where(profits > 0, profits, 0.0).sum(axis=1)
    return np.where(losses > 0, gains / np.where(losses > 0, losses, 1.0), np.nan)


def sharpes(profits: Floats) -> Floats:
    """Of each row (R, S): the annualised Sharpe ratio; NaN where nothing varies. (R,)"""
    if profits.shape[1] < 2:
        return np.full(len(profits), np.nan)
    return _over(profits.mean(axis=1), profits.std(axis=1, ddof=1))


def sortinos(profits: Floats) -> Floats:
    """Of each row (R, S): the annualised Sortino ratio against 0; NaN where there is no loss. (R,)"""
    if profits.shape[1] == 0:
        return np.full(len(profits), np.nan)
    downside = np.sqrt(np.mean(np.minimum(profits, 0.0) ** 2, axis=1))
    return _over(profits.mean(axis=1), downside)


def drawdowns(profits: Floats) -> Floats:
    """Of each row (R, S): the largest fall of its sum from a peak, 0 at the start included. (R,)"""
    curve = np.cumsum(profits, axis=1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 0.0)
    return np.asarray((peak - curve).max(axis=1, initial=0.0))


def tails(profits: Floats) -> Floats:
    """Of each row (R, S): the mean of its worst 5 %. (R,)"""
    count = max(1, math.ceil(TAIL * profits.shape[1] - 1e-9))
    return np.asarray(np.sort(profits, axis=1)[:, :count].mean(axis=1))


def probabilistic_sharpe(profits: Floats, above: float = 0.0) -> float | None:
    """The probability that the true Sharpe ratio lies above a value, both per session and not annualised.

    Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2012): with the skew and the
    kurtosis of the profits (S,). ``None`` for fewer than three sessions, or where nothing varies.
    """
    moments = _moments(profits)
    if moments is None:
        return None
    sharpe, error = moments
    return _NORMAL.cdf((sharpe - above) / error)


def deflated_sharpe(profits: Floats, trials: int, variance: float | None = None) -> float | None:
    """The probability that the true Sharpe ratio is above what the best of so many tries shows by luck alone.

    Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40 (2014).

    Parameters
    ----------
    profits
        (S,) of the set that was chosen.
    trials
        Sets of parameters tried, the chosen one included; 1 gives :func:`probabilistic_sharpe`.
    variance
        Of the tried sets' Sharpe ratios, per session and not annualised; ``None``: that of the ratio's own error, as
        if no set had an edge.
    """
    moments = _moments(profits)
    if moments is None:
        return None
    spread = math.sqrt(variance) if variance is not None else moments[1]
    return probabilistic_sharpe(profits, spread * expected_best(trials))


def expected_best(trials: int) -> float:
    """About the largest of so many standard normal numbers; 0 of one."""
    if trials < 2:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return (1 - _EULER) * first + _EULER * second


def sharpe_error(sharpe: float, sessions: int, skew: float, kurtosis: float) -> float:
    """The standard error of a Sharpe ratio per session; ``kurtosis`` is 3 of normal profits."""
    return math.sqrt(max(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2, 1e-12) / (sessions - 1))


def _moments(profits: Floats) -> tuple[float, float] | None:
    """The Sharpe ratio per session, and its standard error."""
    if len(profits) < 3 or not (deviation := float(profits.std(ddof=1))) > _NOISE * abs(profits.mean()):
        return None
    score = (profits - profits.mean()) / profits.std()
    sharpe = float(profits.mean()) / deviation
    return sharpe, sharpe_error(sharpe, len(profits), float(np.mean(score**3)), float(np.mean(score**4)))


def _over(mean: Floats, spread: Floats) -> Floats:
    varies = spread > _NOISE * np.abs(mean)
    scaled = mean / np.where(varies, spread, 1.0) * math.sqrt(SESSIONS_A_YEAR)
    return np.where(varies, scaled, np.nan)


def _plain(values: Floats) -> float | None:
    return float(values[0]) if math.isfinite(values[0]) else None


def _length(curve: Floats) -> int:
    """Sessions that the largest fall of a curve of sums lasts, which starts at 0 before the first."""
    peaks = np.maximum.accumulate(curve)
    deepest = int(np.argmax(peaks - curve))
    if curve[deepest] == peaks[deepest]:
        return 0
    start = int(np.flatnonzero(curve[:deepest] == peaks[deepest])[-1])
    back = np.flatnonzero(curve[deepest:] >= peaks[deepest])
    return (deepest + int(back[0]) if len(back) else len(curve) - 1) - start
