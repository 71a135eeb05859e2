"""The pull: which part of the way to the predicted pin spot goes until the close, and what chance would make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.study.draws import Draws
from replay.study.observations import Observations, groups
from replay.study.permutation import holm, intervals, p_of_orders, p_of_signs, ratio

REACH: Final = 3.0
"""Pins further from spot than so many expected moves leave the test of the pull, and are counted."""
_SIDES, _OTHERS, _INTERVALS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Pull:
    """One predictor at one instant, or at ``all`` of them together.

    Attributes
    ----------
    predictor, at
        Which.
    cells, sessions, beyond
        Predictions tested, of how many sessions; and those left out as they are further than the reach.
    above
        The share of them that lie above spot.
    pull
        Sum of move x moneyness by sum of moneyness squared, both in expected moves: the least-squares slope through
        the origin. 0: where the close is has nothing to do with the pin. 1: on average the close is at the pin.
    low, high
        Its bootstrap interval over sessions.
    p_side
        One-sided, against pins as far on either side of spot: a coin for each session.
    p_other
        One-sided, against each session's pins, in expected moves, given to another session at random. A drift of the
        whole sample, which the coins cannot tell from a pull, is in those too.
    holm_side, holm_other
        The two adjusted for all pulls of the study.
    """

    predictor: str
    at: str
    cells: int
    sessions: int
    beyond: int
    above: float
    pull: float
    low: float
    high: float
    p_side: float
    p_other: float
    holm_side: float = float("nan")
    holm_other: float = float("nan")


@dataclass(frozen=True, slots=True)
class Drift:
    """Where spot went from an instant to the close whatever was predicted: the mean in expected moves, up above 0."""

    at: str
    sessions: int
    mean: float
    low: float
    high: float


def pulls(seen: Observations, *, reach: float, permutations: int, seed: int) -> tuple[Pull, ...]:
    """The pull of each predictor at each instant, and at all of them where there are several."""
    known = seen.known
    inside = known & (np.abs(seen.moneyness) <= reach)
    away = np.where(inside, seen.moneyness, 0.0)  # (S, I, P)
    move = np.where(np.isfinite(seen.move), seen.move, 0.0)  # (S, I)
    names = [(predictor, at, p, which) for p, predictor in enumerate(seen.predictors) for at, which in groups(seen.at)]
    toward = np.stack([(move[..., None] * away)[:, which, p].sum(axis=1) for _, _, p, which in names], axis=1)
    square = np.stack([(away**2)[:, which, p].sum(axis=1) for _, _, p, which in names], axis=1)
    slope = ratio(toward.sum(axis=0), square.sum(axis=0))
    ends = intervals(toward, square, Draws(seed, _INTERVALS))
    sides = p_of_signs(toward, permutations, Draws(seed, _SIDES))
    others = p_of_orders(move, away, permutations, Draws(seed, _OTHERS))
    tested = (square != 0).sum(axis=0) >= 2
    found = []
    for number, (predictor, at, p, which) in enumerate(names):
        here = inside[:, which, p]
        row = which.start if which.start is not None else len(seen.at)
        found.append(
            Pull(
                predictor=predictor,
                at=at,
                cells=int(here.sum()),
                sessions=int(here.any(axis=1).sum()),
                beyond=int((known & ~inside)[:, which, p].sum()),
                above=float((away[:, which, p] > 0).sum() / here.sum()) if here.any() else float("nan"),
                pull=float(slope[number]),
                low=float(ends[number, 0]),
                high=float(ends[number, 1]),
                p_side=float(sides[number]) if tested[number] else float("nan"),
                p_other=float(others[row, p]) if tested[number] else float("nan"),
            )
        )
    side, session = holm([each.p_side for each in found]), holm([each.p_other for each in found])
    return tuple(
        replace(each, holm_side=first, holm_other=second)
        for each, first, second in zip(found, side, session, strict=True)
    )


def drifts(seen: Observations, *, seed: int) -> tuple[Drift, ...]:
    """The mean move from each instant to the close, and its bootstrap interval over sessions."""
    known = np.isfinite(seen.move)
    ends = intervals(np.where(known, seen.move, 0.0), known.astype(np.float64), Draws(seed, _INTERVALS))
    means = ratio(np.where(known, seen.move, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
    return tuple(
        Drift(at, int(known[:, i].sum()), float(means[i]), float(ends[i, 0]), float(ends[i, 1]))
        for i, at in enumerate(seen.at)
    )
