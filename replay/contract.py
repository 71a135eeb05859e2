"""The wire contract's closed lists and the checks of a request's own values, in the contract's order.

Nothing here knows a lake, a clock or a calendar: times are read by :mod:`replay.sessions`.
"""

from __future__ import annotations

import operator
import re
from typing import Final

from replay.errors import (
    BarUnavailable,
    InvalidBar,
    InvalidMetric,
    InvalidMinutes,
    InvalidMode,
    InvalidSymbol,
    InvalidTier,
)

METRICS: Final = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
FLOW_METRICS: Final = frozenset({"signed_flow"})
SIGNED_METRICS: Final = frozenset(METRICS) - {"oi"}
MODES: Final = ("raw", "delta")
BAR: Final = "1m"
SERIES_BARS: Final = ("30s", "1m", "5m", "15m")
TIERS: Final = ("raw", "1m")
MINUTES_DEFAULT: Final = 60
MINUTES_MIN: Final = 1
MINUTES_MAX: Final = 390

UNITS: Final = {
    "gex": "USD of delta per 1 % move",
    "dex": "USD of delta",
    "vex": "USD of delta per vol point",
    "chex": "USD of delta per calendar day",
    "oi": "contracts",
    "signed_flow": "delta-dollars per bar",
}

_SYMBOL = re.compile(r"[A-Z][A-Z0-9.\-]{0,14}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def normalise_symbol(symbol: object) -> str:
    """The symbol trimmed and upper-cased, as the contract echoes it; only ASCII letters have an upper case here.

    What is no Unicode text becomes ``?``.
    """
    if not isinstance(symbol, str):
        raise InvalidSymbol(f"symbol {symbol!r} is a {type(symbol).__name__}, not text such as 'SPY'")
    text = symbol.strip().encode("utf-8", "replace").decode("utf-8")
    return "".join(letter.upper() if letter.isascii() else letter for letter in text)


def is_symbol(symbol: str) -> bool:
    """Whether a normalised symbol is one that a lake could hold; any other matches no data."""
    return _SYMBOL.fullmatch(symbol) is not None


def check_bar(bar: object) -> str:
    """``bar``, or :class:`~replay.errors.BarUnavailable`: only ``1m`` is served."""
    if bar != BAR:
        raise BarUnavailable(f"bar {bar!r} is not available; only '1m' is (coarser bars: resample the answer)")
    return BAR


def check_series_bar(bar: object) -> str:
    """``bar``, or :class:`~replay.errors.InvalidBar`: the bars that the series comes in."""
    if not isinstance(bar, str) or bar not in SERIES_BARS:
        raise InvalidBar(f"bar {bar!r} is not one of {', '.join(SERIES_BARS)}")
    return bar


def check_metric(metric: object) -> str:
    """``metric``, or :class:`~replay.errors.InvalidMetric`."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise InvalidMetric(f"metric {metric!r} is not one of {', '.join(METRICS)}")
    return metric


def check_mode(mode: object) -> str:
    """``mode``, or :class:`~replay.errors.InvalidMode`."""
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidMode(f"mode {mode!r} is not one of {', '.join(MODES)}")
    return mode


def check_minutes(minutes: object) -> int:
    """``minutes`` clamped to 1..390, or :class:`~replay.errors.InvalidMinutes` if it is no integer.

    Takes an integer of any kind, or its decimal digits as text; ``True`` and ``60.0`` are not integers.
    """
    if isinstance(minutes, str):
        text = minutes.strip()
        if _INTEGER.fullmatch(text) is None:
            raise InvalidMinutes(f"minutes {minutes!r} is not an integer; 1 to 390 are served")
        digits = text.lstrip("+-").lstrip("0")
        if text.startswith("-") or not digits:
            return MINUTES_MIN
        value = int(digits[:18])  # beyond any clock already, and int() takes long over more
    elif isinstance(minutes, bool):
        raise InvalidMinutes(f"minutes {minutes!r} is not an integer; 1 to 390 are served")
    else:
        try:
            value = operator.index(minutes)  # type: ignore[arg-type]  # that it may fail is the check
        except TypeError:
            raise InvalidMinutes(f"minutes {minutes!r} is not an integer; 1 to 390 are served") from None
    return max(MINUTES_MIN, min(MINUTES_MAX, value))


def check_tier(tier: object) -> str | None:
    """``tier``, ``None`` for the finest there is, or :class:`~replay.errors.InvalidTier`."""
    if tier is None:
        return None
    if not isinstance(tier, str) or tier not in TIERS:
        raise InvalidTier(f"tier {tier!r} is not one of {', '.join(TIERS)}")
    return tier
