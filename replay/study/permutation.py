"""Chance: permutation p-values over whole sessions, bootstrap intervals, Wilson's interval and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from replay.ragged import Floats
from replay.study.draws import Draws

LEVEL: Final = 0.95
"""Of every interval."""
RESAMPLES: Final = 2_000
"""How often sessions are drawn again for an interval."""
FEWEST: Final = 10
"""Of fewer sessions no interval is told: drawing so few again gives one that is far too narrow."""
_NORMAL: Final = 1.959963984540054  # the normal quantile at 0.975

Interval = tuple[float, float]


def p_of_signs(sums: Floats, count: int, draws: Draws) -> Floats:
    """How often a coin for each session gives a total at least as large as the one observed.

    Parameters
    ----------
    sums
        (S, T): what each session adds to each of T totals; its sign is as likely the other one if there is nothing.
    count
        Tosses of all S coins; the T totals share them.

    Returns
    -------
    (T,) one-sided, ``(1 + those at least as large) / (1 + count)``: valid for any count (Phipson and Smyth 2010).
    """
    observed = sums.sum(axis=0)
    larger = np.zeros(sums.shape[1])
    for signs in draws.signs(count, len(sums)):
        larger += (signs @ sums >= observed).sum(axis=0)
    return (1.0 + larger) / (1.0 + count)


def p_of_orders(left: Floats, right: Floats, count: int, draws: Draws) -> Floats:
    """How often pairing each session with another one's predictions gives a product sum at least as large.

    Parameters
    ----------
    left
        (S, I): of each session and instant; what is not known is 0.
    right
        (S, I, P): the same of P predictors; a session's rows go to another session together.
    count
        Random orders of the S sessions.

    Returns
    -------
    (I + 1, P) one-sided as :func:`p_of_signs`: of each instant, and of all of them summed.
    """

    def totals(paired: Floats) -> Floats:  # (B, S, I, P) -> (B, I + 1, P)
        each = np.einsum("si,bsip->bip", left, paired)
        return np.concatenate([each, each.sum(axis=1, keepdims=True)], axis=1)

    observed = totals(right[None])[0]
    larger = np.zeros(observed.shape)
    width = max(1, right[0].size)
    for orders in draws.orders(count, len(left)):
        for part in np.array_split(orders, min(len(orders), width)):
            larger += (totals(right[part]) >= observed).sum(axis=0)
    return (1.0 + larger) / (1.0 + count)


def resampled(sums: Floats, draws: Draws, count: int = RESAMPLES) -> Floats:
    """The totals (count, T) of sums (S, T) over S sessions drawn with replacement, whole."""
    return np.concatenate([drawn @ sums for drawn in draws.resamples(count, len(sums))])


def percentiles(values: Floats) -> Floats:
    """The middle :data:`LEVEL` of each column of (B, T): (T, 2) low and high; NaN of a column without a number."""
    found = np.full((values.shape[1], 2), np.nan)
    usable = np.isfinite(values).any(axis=0)
    if usable.any():
        tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        found[usable] = np.nanquantile(values[:, usable], tails, axis=0).T
    return found


def intervals(numerators: Floats, denominators: Floats, draws: Draws, count: int = RESAMPLES) -> Floats:
    """Percentile bootstrap intervals at :data:`LEVEL` of T ratios of sums over sessions.

    Parameters
    ----------
    numerators, denominators
        (S, T) each; a ratio is the one's sum by the other's.

    Returns
    -------
    (T, 2) low and high; NaN where fewer than :data:`FEWEST` sessions have a denominator. Resamples whose
    denominator is 0 are left out.
    """
    above, below = np.split(resampled(np.hstack([numerators, denominators]), draws, count), 2, axis=1)
    enough = (denominators != 0).sum(axis=0) >= FEWEST
    return percentiles(ratio(above, np.where(enough, below, 0.0)))


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where that is not defined."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0))


def wilson(hits: int, of: int) -> Interval:
    """Wilson's interval at :data:`LEVEL` of a share of ``of`` independent cases (Wilson 1927); NaN of none."""
    if of == 0:
        return math.nan, math.nan
    share, weight = hits / of, _NORMAL**2 / of
    middle = (share + weight / 2) / (1 + weight)
    half = _NORMAL / (1 + weight) * math.sqrt(share * (1 - share) / of + weight / (4 * of))
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == of else middle + half)


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the same order (Holm 1979); those not known stay NaN and do not count."""
    known = [i for i, value in enumerate(values) if not math.isnan(value)]
    adjusted, worst = [math.nan] * len(values), 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: values[i])):
        worst = max(worst, min(1.0, (len(known) - rank) * values[i]))
        adjusted[i] = worst
    return adjusted
