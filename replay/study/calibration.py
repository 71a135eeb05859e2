"""Calibration: whether a pin score of 60 comes true 60 times in 100."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.ragged import Bools, Floats
from replay.study.draws import Draws
from replay.study.hits import HITS, scores
from replay.study.observations import Observations, on_grid
from replay.study.permutation import FEWEST, percentiles, ratio, resampled, wilson

SCORED: Final = "magnet"
"""What the pin score is about."""
EDGES: Final = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
"""Of the bins: the lower inclusive, the upper exclusive but for 100."""
FEW: Final = 30
"""A bin, or a study, of fewer sessions says little."""
_INTERVALS: Final = 6


@dataclass(frozen=True, slots=True)
class Bin:
    """Magnets whose pin score was from ``low`` to ``high``.

    ``score`` is their mean pin score, ``hits`` how many of ``cells`` came true, in ``sessions``; ``share_low`` and
    ``share_high`` Wilson's interval of the share, which takes the instants of a session as if they were independent.
    """

    low: float
    high: float
    cells: int
    sessions: int
    score: float
    hits: int
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The pin score as a probability in per cent of one kind of hit at the magnet, over all instants.

    Attributes
    ----------
    measure
        The kind of hit.
    cells, sessions, share
        How many magnets with a score there are, and which share of them was hit.
    brier
        Mean of (score / 100 - hit) squared: 0 is perfect, less is better (Brier 1950).
    brier_base
        The same of the share itself, told to everyone: share x (1 - share). It is known only afterwards.
    skill
        1 - brier / brier_base: above 0 the score tells more than the share alone; ``low`` and ``high`` are its
        bootstrap interval over sessions.
    bins
        By score.
    """

    measure: str
    cells: int
    sessions: int
    share: float
    brier: float
    brier_base: float
    skill: float
    low: float
    high: float
    bins: tuple[Bin, ...]


def calibrations(seen: Observations, *, seed: int) -> tuple[Calibration, ...]:
    """One for each kind of hit; none where the magnet is not among the predictors."""
    if SCORED not in seen.predictors:
        return ()
    p = seen.predictors.index(SCORED)
    return tuple(_calibration(seen, measure, scores(seen, measure)["pin"][:, :, p], seed) for measure in HITS)


def _calibration(seen: Observations, measure: str, hit: Floats, seed: int) -> Calibration:
    known = np.isfinite(hit) & np.isfinite(seen.pin_score)
    hits = np.where(known, hit, 0.0)
    off = on_grid(np.where(known, (seen.pin_score / 100 - hit) ** 2, 0.0))
    sums = np.stack([off.sum(axis=1), hits.sum(axis=1), known.sum(axis=1).astype(np.float64)], axis=1)
    brier, base, skill = (float(each[0]) for each in _brier(sums.sum(axis=0, keepdims=True)))
    ends = percentiles(_brier(resampled(sums, Draws(seed, _INTERVALS)))[2][:, None])[0]
    sessions = int(known.any(axis=1).sum())
    low, high = (float(each) for each in ends) if sessions >= FEWEST else (math.nan, math.nan)
    cells = int(known.sum())
    return Calibration(
        measure, cells, sessions, float(hits.sum() / cells) if cells else math.nan, brier, base, skill, low, high,
        tuple(_bin(seen, known, hits, *ends) for ends in itertools.pairwise(EDGES)),
    )  # fmt: skip


def _brier(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Score, base and skill (B,) from (B, 3): squares, hits and cells."""
    squares, hits, cells = sums.T
    brier, share = ratio(squares, cells), ratio(hits, cells)
    base = share * (1 - share)
    return brier, base, 1 - ratio(brier, np.nan_to_num(base))


def _bin(seen: Observations, known: Bools, hits: Floats, low: float, high: float) -> Bin:
    last = high == EDGES[-1]
    here = known & (seen.pin_score >= low) & ((seen.pin_score <= high) if last else (seen.pin_score < high))
    cells, hit = int(here.sum()), int(hits[here].sum())
    score = float(np.cumsum(seen.pin_score[here])[-1] / cells) if cells else math.nan
    ends = wilson(hit, cells)
    share = hit / cells if cells else math.nan
    return Bin(low, high, cells, int(here.any(axis=1).sum()), score, hit, share, *ends)
