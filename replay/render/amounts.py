"""Amounts, shares and intervals as the text that reports on runs show, and the names of their metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.results.intervals import Interval
from replay.results.report import ANNUALISED

NONE: Final = "–"
"""What is not known or not defined."""
BESIDE: Final = 3
"""Runs that are set beside the reported one in a table."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A metric's name, how it is written (``usd``, ``share``, ``ratio``, ``count``), and what it is in few words."""

    name: str
    unit: str
    means: str


KINDS: Final[dict[str, Kind]] = {
    "total": Kind("Total", "usd", "after fees, settled sessions"),
    "mean": Kind("Mean a session", "usd", ""),
    "median": Kind("Median a session", "usd", ""),
    "win_rate": Kind("Win rate", "share", "sessions above 0, of those not 0"),
    "profit_factor": Kind("Profit factor", "ratio", "all profits over all losses"),
    "sharpe": Kind("Sharpe ratio", "ratio", ANNUALISED),
    "sortino": Kind("Sortino ratio", "ratio", "losses alone as risk; annualised the same"),
    "max_drawdown": Kind("Max drawdown", "usd", "by session, of what was gained so far"),
    "cvar": Kind("CVaR 5 %", "usd", "mean of the worst 5 % of sessions"),
}
"""The metrics that have an interval, in the order in which they are shown."""

OWN: Final = {"profit": "as filled", "mid": "mid", "touch": "touch", "worst": "worst"}
"""The ways that fills are priced."""


def text_of(value: float | None, unit: str) -> str:
    """A value in its unit; :data:`NONE` where there is none."""
    if value is None:
        return NONE
    if unit == "usd":
        return usd(value)
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.0f}" if unit == "count" else f"{value:,.2f}"


def usd(value: float | None) -> str:
    """USD with cents and a sign where below 0."""
    if value is None:
        return NONE
    rounded = round(value, 2) + 0.0
    return f"{'-' if rounded < 0 else ''}{abs(rounded):,.2f}"


def interval_text(found: Interval, unit: str) -> str:
    """Both ends."""
    return NONE if found.low is None else f"{text_of(found.low, unit)} to {text_of(found.high, unit)}"


def some(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
