"""Does price pin? Predictions as they stood, beside where sessions closed, and beside what chance would make of it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from typing import Final

from replay import contract
from replay.errors import InvalidGapPolicy, InvalidStudy
from replay.lake import Lake
from replay.sessions import duration_text, parse_duration
from replay.settlement import Settlements, read_settlements
from replay.study.calibration import Calibration, calibrations
from replay.study.collect import Steps, collect, span_of
from replay.study.hits import Comparison, Distance, comparisons, distances
from replay.study.instants import AT, parse_instants
from replay.study.observations import LeftOut, Observations
from replay.study.pins import PREDICTORS, USUAL, check_predictors
from replay.study.pull import REACH, Drift, Pull, drifts, pulls
from replay.study.report import PinStudy
from replay.tape import parse_gaps

__all__ = [
    "AT", "PREDICTORS", "USUAL", "Calibration", "Comparison", "Distance", "Drift", "LeftOut", "Observations",
    "PinStudy", "Pull", "study_pins",
]  # fmt: skip

PERMUTATIONS: Final = 9_999
LEAST_PERMUTATIONS: Final = 19
MOST_PERMUTATIONS: Final = 1_000_000
_LONGEST: Final = 24 * 60 * 60 * 1_000_000


def study_pins(
    lake: Lake,
    symbol: str,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    *,
    at: str | Sequence[str] = AT,
    predictors: str | Sequence[str] = USUAL,
    settlements: Settlements | str | os.PathLike[str] | None = None,
    latency: str | dt.timedelta = "0s",
    gaps: str = "mask",
    tier: str | None = None,
    reach: float = REACH,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    oi: str = "settled",
    share: float = 1.0,
    conventions: str | None = None,
    steps: Steps = iter,
) -> PinStudy:
    """Measure whether sessions close nearer their predicted pins than chance has it.

    Parameters
    ----------
    symbol, start, end
        Whose sessions, both dates inclusive; ``None``: the lake's first and last.
    at
        New York times, or ``close-30m``: from the open (inclusive) to before the close. One that a session does not
        reach, as it closes early, is left out of it.
    predictors
        Of :data:`PREDICTORS`, in the order they are to be told.
    settlements
        Closes, or a CSV file of them; where they have none, the last spot if it is fresh (see
        :class:`~replay.settlement.Settlements`). A session without a close is left out.
    latency
        A row recorded at R is seen from R + latency on.
    gaps
        ``mask`` or ``carry:5m``: what is older is not known.
    reach
        How far from spot, in expected moves, a pin may be in the test of the pull.
    permutations, seed
        How often p-values draw, 19 to 1,000,000, and from what.
    oi, share, conventions, tier
        As for :meth:`replay.Lake.tape`.
    steps
        What the dates are gone through with, so that somebody may count them.

    Returns
    -------
    Spot and expected move are those of the newest snapshot visible at the instant, as are the pins: a late feed is
    measured from the moment that it describes to the close.

    Raises
    ------
    RequestError
        For a value that cannot be used.
    InvalidStudy
        If nothing is left to study.
    InputError
        If the file of settlement prices cannot be read.
    """
    name, tier = contract.normalise_symbol(symbol), contract.check_tier(tier)
    instants, wanted, policy = parse_instants(at), check_predictors(predictors), parse_gaps(gaps)
    late = parse_duration(latency, "latency", longest=_LONGEST)
    if policy.kind == "strict":
        raise InvalidGapPolicy("gaps 'strict': a study leaves out what is not known, mask or carry:5m, and says so")
    if not reach > 0:
        raise InvalidStudy(f"reach {reach:g} is not above 0")
    if not LEAST_PERMUTATIONS <= permutations <= MOST_PERMUTATIONS:
        raise InvalidStudy(f"permutations {permutations} is not from {LEAST_PERMUTATIONS} to {MOST_PERMUTATIONS:,}")
    if seed < 0:
        raise InvalidStudy(f"seed {seed} is below 0")
    if not isinstance(settlements, Settlements):
        settlements = Settlements() if settlements is None else read_settlements(settlements)
    span = span_of(lake, name, start, end)
    stated = {"oi": oi, "share": share, "conventions": conventions}
    seen = collect(
        lake, name, span, instants, wanted, settlements, latency=dt.timedelta(microseconds=late),
        policy=policy, tier=tier, stated=stated, steps=steps,
    )  # fmt: skip
    asked = {
        "latency": duration_text(late),
        "gaps": str(policy),
        "tier": tier,
        "settlement": {"file": settlements.source, "sha256": settlements.sha256},
        "stated": stated,
    }
    return PinStudy(
        symbol=name,
        start=span.start,
        end=span.end,
        seen=seen,
        missing=span.missing,
        drifts=drifts(seen, seed=seed),
        pulls=pulls(seen, reach=reach, permutations=permutations, seed=seed),
        distances=distances(seen),
        comparisons=comparisons(seen, permutations=permutations, seed=seed),
        calibrations=calibrations(seen, seed=seed),
        seed=seed,
        permutations=permutations,
        reach=reach,
        asked=asked,
    )
