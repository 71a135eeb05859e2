"""What a study found: every number, in words, as plain values and as rows."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from replay.sessions import from_us
from replay.study.calibration import FEW, Calibration
from replay.study.hits import HITS, Comparison, Distance, scores
from replay.study.observations import LeftOut, Observations
from replay.study.permutation import FEWEST, LEVEL, RESAMPLES
from replay.study.pull import Drift, Pull

if TYPE_CHECKING:
    import polars as pl

ALPHA: Final = 0.05
"""A pull is called found where both of its adjusted p-values are no larger."""
ONE_SIDED: Final = 0.9
"""Where so large a share of pins lies on one side of spot, a drift is easily taken for a pull, or hides one."""


@dataclass(frozen=True, eq=False, repr=False)
class PinStudy:
    """Whether price pins, as :func:`replay.study_pins` found it.

    Attributes
    ----------
    symbol, start, end
        What was asked for, dates inclusive.
    seen
        What was predicted and where sessions closed, and what was left out; the numbers below come from it alone.
    missing
        Sessions of the exchange from ``start`` to ``end`` of which the lake holds nothing.
    drifts, pulls, distances, comparisons, calibrations
        What was found.
    seed, permutations, reach
        Of the draws; how often; and how far a pin may be in the test of the pull, expected moves.
    asked
        The other values that decide the result, as text: latency, gaps, tier, settlement, what it is stated on.
    """

    symbol: str
    start: dt.date
    end: dt.date
    seen: Observations
    missing: tuple[dt.date, ...]
    drifts: tuple[Drift, ...]
    pulls: tuple[Pull, ...]
    distances: tuple[Distance, ...]
    comparisons: tuple[Comparison, ...]
    calibrations: tuple[Calibration, ...]
    seed: int
    permutations: int
    reach: float
    asked: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<PinStudy {self.symbol} {self.start} to {self.end}: {len(self)} sessions, {len(self.pulls)} pulls>"

    def __len__(self) -> int:
        """Sessions with a close and at least one prediction."""
        return int(self.seen.known.any(axis=(1, 2)).sum())

    def pull(self, predictor: str, at: str = "all") -> Pull:
        """The pull of a predictor at an instant, ``all`` where there are several; ``KeyError`` if there is none."""
        return {(each.predictor, each.at): each for each in self.pulls}[predictor, at]

    @property
    def found(self) -> tuple[Pull, ...]:
        """The pulls whose adjusted p-values are both no larger than :data:`ALPHA`."""
        return tuple(each for each in self.pulls if each.holm_side <= ALPHA and each.holm_other <= ALPHA)

    @property
    def least_p(self) -> float:
        """No p-value of this study can be smaller: one sign pattern of 2 to the number of sessions, or of the draws."""
        return max(0.5 ** len(self), 1 / (1 + self.permutations))

    def verdict(self) -> str:
        """In a sentence, what can be said of a pull."""
        tests = _count(len(self.pulls), "test") + " of a pull"
        if self.found:
            named: dict[str, list[str]] = {}
            for each in self.found:
                named.setdefault(each.predictor, []).append(f"{each.at} {each.pull:.2f}")
            names = "; ".join(f"{name} at {', '.join(told)}" for name, told in named.items())
            return f"A pull was found beyond chance at {ALPHA:.0%}, adjusted for {tests}: {names}."
        known = [each for each in self.pulls if not math.isnan(each.p_side)]
        if not known:
            return "Nothing can be said of a pull: fewer than two sessions have a prediction."
        best = min(known, key=lambda each: max(each.p_side, each.p_other))
        return (
            f"No pull was found beyond chance at {ALPHA:.0%}, adjusted for {tests}; the nearest to one is "
            f"{best.predictor} at {best.at}, p {p_text(best.p_side)} and {p_text(best.p_other)}."
        )

    def cautions(self) -> tuple[str, ...]:
        """What the numbers cannot bear, a sentence each."""
        said = []
        if self.least_p * len(self.pulls) > ALPHA:
            said.append(
                f"With {_count(len(self), 'session')} and {self.permutations:,} permutations no p-value can be below "
                f"{p_text(self.least_p)}, and {_count(len(self.pulls), 'test')} of a pull ask for less: this study can "
                "find none, whatever there is."
            )
        elif len(self) < FEW:
            told = f"no interval is told of fewer than {FEWEST}" if len(self) < FEWEST else "intervals are too narrow"
            said.append(f"{_count(len(self), 'session')} say little (fewer than {FEW}): {told}.")
        sided = [each for each in self.pulls if each.cells and max(each.above, 1 - each.above) >= ONE_SIDED]
        names = list(dict.fromkeys(each.predictor for each in sided if each.at == self.pulls[-1].at))
        if names:
            said.append(
                f"{', '.join(names)} lay on one side of spot nearly always: what looks like a pull may be the drift of "
                "these sessions, which p other alone takes out."
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as plain values in a stable order; ``None`` is not known."""
        seen = self.seen
        return {
            "symbol": self.symbol,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "at": list(seen.at),
            "pins": list(seen.predictors),
            "sessions": len(self),
            "settled_by": dict(sorted(collections.Counter(seen.sources).items())),
            "missing_sessions": [each.isoformat() for each in self.missing],
            "left_out": [_plain(each) for each in seen.left_out],
            "seed": self.seed,
            "permutations": self.permutations,
            "resamples": RESAMPLES,
            "level": LEVEL,
            "reach": self.reach,
            **self.asked,
            "verdict": self.verdict(),
            "cautions": list(self.cautions()),
            "tests": {"pull": 2 * len(self.pulls), "comparisons": len(self.comparisons)},
            "drift": [_plain(each) for each in self.drifts],
            "pull": [_plain(each) for each in self.pulls],
            "distances": [_plain(each) for each in self.distances],
            "comparisons": [_plain(each) for each in self.comparisons],
            "calibration": [_plain(each) for each in self.calibrations],
        }

    def to_polars(self) -> pl.DataFrame:
        """One row a session, instant and predictor; what was left out too, with the reason.

        Columns: ``symbol``, ``date``, ``at``, ``ts`` (of the snapshot, UTC), ``predictor``, ``spot``,
        ``expected_move``, ``pin``, ``strike_step``, ``nearest_strike``, ``close``, ``distance`` (close less pin) in
        USD; ``moneyness``, ``move`` and ``distance_moves`` (pin less spot, close less spot, close less pin) in expected
        moves; ``pin_score``; the hits ``within_01pct``, ``within_strike`` and ``within_half_move``; ``settlement``
        (``file`` or ``spot``) and ``left_out``. A session without a settlement is one row.
        """
        import polars as pl

        texts, numbers = pl.String, pl.Float64
        types: dict[str, Any] = {
            "symbol": texts, "date": pl.Date, "at": texts, "ts": pl.Datetime("us", "UTC"), "predictor": texts,
        } | dict.fromkeys(_NUMBERS, numbers) | dict.fromkeys(HITS, pl.Boolean) | dict.fromkeys(
            ("settlement", "left_out"), texts
        )  # fmt: skip
        return pl.DataFrame(self._rows(), schema=types, orient="row").sort("date", maintain_order=True)

    def _rows(self) -> list[dict[str, Any]]:
        seen = self.seen
        reasons = {(each.date, each.at, each.predictor): each.reason for each in seen.left_out}
        moneyness, move = seen.moneyness, seen.move
        hits = {measure: scores(seen, measure)["pin"] for measure in HITS}
        rows = [
            {"symbol": self.symbol, "date": each.date, "left_out": each.reason}
            for each in seen.left_out
            if each.at is None
        ]
        for s, i, p in np.ndindex(seen.pin.shape):
            date, at, predictor = seen.dates[s], seen.at[i], seen.predictors[p]
            ts, close, pin, expected = int(seen.ts[s, i]), seen.close[s], seen.pin[s, i, p], seen.expected_move[s, i]
            values = (
                seen.spot[s, i], expected, pin, seen.step[s, i, p], seen.nearest[s, i], close, close - pin,
                moneyness[s, i, p], move[s, i], (close - pin) / expected, seen.pin_score[s, i],
            )  # fmt: skip
            row: dict[str, Any] = {
                "symbol": self.symbol,
                "date": date,
                "at": at,
                "ts": None if ts < 0 else from_us(ts),
                "predictor": predictor,
                "settlement": seen.sources[s] if seen.sources else None,
                "left_out": reasons.get((date, at, None)) or reasons.get((date, at, predictor)),
            }
            row |= {name: _number(value) for name, value in zip(_NUMBERS, values, strict=True)}
            row |= {name: None if math.isnan(hit[s, i, p]) else bool(hit[s, i, p]) for name, hit in hits.items()}
            rows.append(row)
        return rows


_NUMBERS: Final = (
    *("spot", "expected_move", "pin", "strike_step", "nearest_strike", "close", "distance", "moneyness", "move"),
    *("distance_moves", "pin_score"),
)


def p_text(value: float) -> str:
    """A p-value in at most six characters: two digits that say something, ``-`` where it is not known."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}" if value >= 0.00095 else f"{value:.4f}"


def number_text(value: float) -> str:
    """A number to the hundredth, ``-`` where it is not known."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def percent_text(value: float) -> str:
    """A share in whole per cent, ``-`` where it is not known."""
    return "-" if math.isnan(value) else f"{value:.0%}"


def span_text(low: float, high: float) -> str:
    """An interval to the hundredth, ``-`` where it is not known."""
    return "-" if math.isnan(low) else f"{low:.2f} to {high:.2f}"


def left_out_text(left: LeftOut) -> str:
    """What was left out, and why, in a line."""
    where = " ".join(each for each in (str(left.date), left.at, left.predictor) if each)
    return f"{where}: {left.reason}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Fields as plain values: dates as text, numbers that are not known as ``None``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return _number(value)
    return value.isoformat() if isinstance(value, dt.date) else value
