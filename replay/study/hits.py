"""How near the predicted pin the close was, beside three baselines that predict nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.ragged import Floats
from replay.study.draws import Draws
from replay.study.observations import Observations, groups, on_grid
from replay.study.permutation import holm, intervals, p_of_signs, ratio

HITS: Final = ("within_01pct", "within_strike", "within_half_move")
"""Whether the close was within 0.1 % of itself, within the distance to the strike next to the pin, and within half the
remaining expected move of the price, all inclusive."""
MEASURES: Final = (*HITS, "distance")
"""Shares of hits, and the mean distance in expected moves."""
BASELINES: Final = ("random", "nearest", "spot")
"""A price as far from spot as the pin, on its side or the other by a fair coin (both sides are counted, half each); the
listed strike nearest spot; and spot itself."""
NEAR: Final = 0.001
_ROUNDING: Final = 1e-9  # USD: what a difference of two prices in cents may be off as doubles
_SIDES, _INTERVALS = 4, 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """One predictor at one instant (or ``all``) by one measure, beside one baseline.

    ``pin`` and ``base`` are shares (0 to 1), or mean distances in expected moves; ``difference`` is the one less the
    other, from ``low`` to ``high`` by the bootstrap over sessions. ``p`` is one-sided, that the pin is no better:
    against differences that have either sign by a coin for each session. ``holm`` is adjusted for all comparisons of
    the study. Against ``nearest`` and ``spot`` a pin away from spot does worse where there is no pull, so that p is on
    the careful side; against ``random`` it is not.
    """

    predictor: str
    at: str
    measure: str
    baseline: str
    cells: int
    sessions: int
    pin: float
    base: float
    difference: float
    low: float
    high: float
    p: float
    holm: float = math.nan


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the close was from one predictor's pins at one instant (or ``all``), USD and expected moves."""

    predictor: str
    at: str
    cells: int
    mean_usd: float
    median_usd: float
    mean_moves: float
    median_moves: float


def distances(seen: Observations) -> tuple[Distance, ...]:
    """One for each predictor at each instant, and at all of them where there are several."""
    usd = errors(seen)["pin"]
    moves = on_grid(usd / seen.expected_move[..., None])
    found = []
    for p, predictor in enumerate(seen.predictors):
        for at, which in groups(seen.at):
            known = np.isfinite(usd[:, which, p])
            told = [each[:, which, p][known] for each in (usd, moves)]
            numbers = [f(each) if len(each) else math.nan for each in told for f in (_mean, np.median)]
            found.append(Distance(predictor, at, int(known.sum()), *map(float, numbers)))
    return tuple(found)


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values)


def errors(seen: Observations) -> dict[str, Floats]:
    """How far the close was from the pin, its mirror image about spot, the nearest strike and spot: (S, I, P) USD."""
    close, spot = seen.close[:, None, None], seen.spot[..., None]
    found = {"pin": seen.pin, "mirror": 2 * spot - seen.pin, "nearest": seen.nearest[..., None], "spot": spot}
    return {name: np.where(seen.known, np.abs(close - price), np.nan) for name, price in found.items()}


def limits(seen: Observations) -> dict[str, Floats]:
    """How far the close may be from a price to count as a hit, inclusive: (S, I, P) USD by measure."""
    close, move = seen.close[:, None, None], seen.expected_move[..., None]
    return {
        "within_01pct": np.broadcast_to(NEAR * close, seen.pin.shape),
        "within_strike": seen.step,
        "within_half_move": np.broadcast_to(move / 2, seen.pin.shape),
    }


def scores(seen: Observations, measure: str) -> dict[str, Floats]:
    """What the pin and each baseline score in each cell, (S, I, P): 1 or 0, or a distance; NaN where not known."""
    if measure == "distance":
        each = {name: on_grid(error / seen.expected_move[..., None]) for name, error in errors(seen).items()}
    else:
        limit = limits(seen)[measure]
        each = {
            name: np.where(np.isfinite(error) & np.isfinite(limit), error <= limit + _ROUNDING, np.nan)
            for name, error in errors(seen).items()
        }
    return {"pin": each["pin"], "random": (each["pin"] + each["mirror"]) / 2} | {
        name: each[name] for name in ("nearest", "spot")
    }


def comparisons(seen: Observations, *, permutations: int, seed: int) -> tuple[Comparison, ...]:
    """Every predictor by every measure beside every baseline, at each instant and at all where there are several."""
    found: list[Comparison] = []
    sums = list(_sums(seen))
    better, counts, differences = (np.stack(each, axis=1) for each in list(zip(*sums, strict=True))[1:4])
    ends = intervals(differences, counts, Draws(seed, _INTERVALS))
    values = p_of_signs(better, permutations, Draws(seed, _SIDES))
    totals = counts.sum(axis=0)
    means = ratio(differences.sum(axis=0), totals)
    for number, (key, _, count, apart, pin) in enumerate(sums):
        sessions = int((count > 0).sum())
        found.append(
            Comparison(
                *key,
                cells=int(totals[number]),
                sessions=sessions,
                pin=float(ratio(pin.sum(), totals[number])),
                base=float(ratio((pin - apart).sum(), totals[number])),
                difference=float(means[number]),
                low=float(ends[number, 0]),
                high=float(ends[number, 1]),
                p=float(values[number]) if sessions >= 2 else math.nan,
            )
        )
    adjusted = holm([each.p for each in found])
    return tuple(replace(each, holm=value) for each, value in zip(found, adjusted, strict=True))


Sums = tuple[tuple[str, str, str, str], Floats, Floats, Floats, Floats]


def _sums(seen: Observations) -> Iterator[Sums]:
    """For each comparison what it is of, and per session (S,): by how much the pin is better, cells, pin less baseline,
    and what the pin scores."""
    by_measure = {measure: scores(seen, measure) for measure in MEASURES}
    for p, predictor in enumerate(seen.predictors):
        for at, which in groups(seen.at):
            for measure, scored in by_measure.items():
                for baseline in BASELINES:
                    pin, base = scored["pin"][:, which, p], scored[baseline][:, which, p]
                    known = np.isfinite(pin) & np.isfinite(base)
                    apart = np.where(known, pin - base, 0.0).sum(axis=1)
                    yield (
                        (predictor, at, measure, baseline),
                        -apart if measure == "distance" else apart,
                        known.sum(axis=1).astype(np.float64),
                        apart,
                        np.where(known, pin, 0.0).sum(axis=1),
                    )
