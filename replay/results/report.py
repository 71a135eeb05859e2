"""All numbers of a report on a run: flags, profits side by side, metrics with intervals, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from replay.results import activity as activities
from replay.results import profile
from replay.results.comparison import Compared, compare, curves
from replay.results.drawn import Drawn, Lakes, draw
from replay.results.flags import Flag, flags
from replay.results.intervals import LEVEL, RESAMPLES, SAID, Interval, intervals
from replay.results.metrics import Metrics, deflated_sharpe, session_metrics
from replay.results.traded import Run, Traded, traded

ANNUALISED: Final = "annualised by sqrt(252), sessions as days, no risk-free rate"
WAYS: Final = ("profit", "mid", "touch", "worst")
"""How fills are priced: as the run filled, and the same trades at mid, at the touch and at worst."""


@dataclass(frozen=True, eq=False)
class Report:
    """A run's report, as numbers.

    Attributes
    ----------
    traded
        What it is of.
    flags
        The raised ones first.
    metrics, ways
        As the run filled; and by each of :data:`WAYS`.
    intervals, ways_intervals
        By measure; and by each of :data:`WAYS` and measure.
    activity
        Trades, exposure, fees and turnover.
    deflated
        The deflated Sharpe ratio, 0 to 1; ``None`` where not defined.
    minutes, pins, pin_bins, weekdays, days, path, ranges
        Where profit was made; see :mod:`replay.results.profile`. ``pin_bins`` by unit.
    orders, settlements
        Fills, misses and what else became of orders; and of contracts that were held into the close.
    compared, curves
        Other runs beside it; the profits so far of this and each of them.
    drawn
        Sessions with their heatmaps and trades; ``None`` without a lake.
    """

    traded: Traded
    flags: tuple[Flag, ...]
    metrics: Metrics
    ways: dict[str, Metrics]
    intervals: dict[str, Interval]
    ways_intervals: dict[str, dict[str, Interval]]
    activity: activities.Activity
    deflated: float | None
    minutes: pl.DataFrame
    pins: pl.DataFrame
    pin_bins: dict[str, pl.DataFrame]
    weekdays: pl.DataFrame
    days: pl.DataFrame
    path: pl.DataFrame
    ranges: dict[str, tuple[float, float] | None]
    orders: pl.DataFrame
    settlements: pl.DataFrame
    compared: tuple[Compared, ...] = ()
    curves: tuple[pl.DataFrame, ...] = ()
    drawn: Drawn | None = None

    @property
    def raised(self) -> list[Flag]:
        """The flags that are not clear."""
        return [flag for flag in self.flags if flag.severity != "clear"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is not defined is ``None``."""
        run = self.traded.run
        found = {
            "name": self.traded.name,
            "strategy": run["strategy"],
            "symbols": run["symbols"],
            "sessions": [run["dates"][0], run["dates"][-1], len(run["dates"])],
            "terms": run["terms"],
            "trials": self.traded.trials,
            "flags": [asdict(flag) for flag in self.flags],
            "profit": {way: asdict(each) for way, each in self.ways.items()},
            "intervals": {way: _ends(each) for way, each in self.ways_intervals.items()},
            "method": {"level": LEVEL, "resamples": RESAMPLES, "seed": self.traded.seed, "bootstrap": SAID,
                       "annualised": ANNUALISED},
            "deflated_sharpe": self.deflated,
            "activity": asdict(self.activity),
            "by_minutes": self.minutes.to_dicts(),
            "by_pin": {unit: bins.to_dicts() for unit, bins in self.pin_bins.items()},
            "by_weekday": self.weekdays.to_dicts(),
            "orders": self.orders.to_dicts(),
            "settlements": [
                {**row, "session": row["session"].isoformat()} for row in self.settlements.iter_rows(named=True)
            ],
            "unsettled": [str(date) for date in self.traded.unsettled],
            "compared": [
                {
                    "name": each.name, "strategy": each.traded.run["strategy"], "profit": asdict(each.metrics),
                    "activity": asdict(each.activity),
                    "paired": asdict(each.paired) | {"interval": list(each.paired.interval)},
                }
                for each in self.compared
            ],
        }  # fmt: skip
        rounded: dict[str, Any] = _rounded(found)
        return rounded


def make_report(run: Run | Traded, *, lake: Lakes | None = None, compare_with: Sequence[Run | Traded] = ()) -> Report:
    """The numbers of a report.

    Parameters
    ----------
    run, compare_with
        Results of runs, or their folders; those beside which the first is set.
    lake
        The lake that was run on, or where it lies: for the sessions that are drawn; ``None``: none are.

    Raises
    ------
    InvalidRun
        Naming the folder or file that cannot be used.
    LakeError
        If the lake cannot be read.
    """
    own = run if isinstance(run, Traded) else traded(run)
    others = [each if isinstance(each, Traded) else traded(each) for each in compare_with]
    ways = {way: session_metrics(own.known(way)) for way in WAYS}
    found = {way: intervals(own.profits(way), own.seed) for way in WAYS}
    pins = profile.by_pin(own)
    compared = compare(own, others)
    return Report(
        own,
        flags(own),
        ways["profit"],
        ways,
        found["profit"],
        found,
        activities.activity(own),
        deflated_sharpe(own.known(), own.trials),
        profile.by_minutes(own),
        pins,
        {unit: profile.pin_bins(pins, unit) for unit in ("distance", "moves")},
        profile.by_weekday(own),
        profile.calendar(own),
        profile.path(own),
        profile.ranges(own),
        activities.orders(own),
        activities.settlements(own),
        compared,
        tuple(curves([own, *(each.traded for each in compared)])),
        None if lake is None else draw(own, lake),
    )


def _rounded(value: Any) -> Any:
    """Numbers to a micro-dollar, which no order of a sum reaches."""
    if isinstance(value, float):
        return round(value, 6) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _ends(found: dict[str, Interval]) -> dict[str, list[float | None]]:
    return {name: list(each) for name, each in found.items()}
