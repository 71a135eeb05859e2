"""Greeks of a portfolio's options over time; a few options at many instants."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from replay.ragged import Bools, Floats

_DAYS = 365.0


class OptionGreeks(NamedTuple):
    """Of one option a share, (N,) each: ``delta`` per USD of spot, ``gamma`` delta per USD of spot, ``theta`` USD per
    calendar day as time passes, ``vega`` USD per vol point (0.01)."""

    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats


def option_greeks(
    right: str,
    spot: Floats,
    strike: float | Floats,
    years: Floats,
    vol: Floats,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> OptionGreeks:
    """Black-Scholes-Merton greeks (Haug, 2nd ed., chapter 2) of N options of a side; NaN where not known.

    Parameters
    ----------
    right
        ``C`` or ``P``.
    spot, years, vol
        (N,) USD, years, per sqrt(year). A vol of 0 gives the limit: a delta of 0 or of the whole share, else nothing.
    strike
        USD; one for all, or (N,).
    rate, dividend
        Per year.
    """
    side, carried, usable, d1, deviation = _standing(right, spot, strike, years, vol, rate, dividend)
    discount = np.exp(-rate * years)
    spot_, years_, vol_ = (np.where(usable, each, 1.0) for each in (spot, years, vol))
    first, second = _normal(side * d1), _normal(side * (d1 - deviation))
    density = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    decay = -spot_ * carried * density * vol_ / (2 * np.sqrt(years_))
    carry = side * (dividend * spot_ * carried * first - rate * strike * discount * second)
    found = (
        side * carried * first,
        carried * density / (spot_ * deviation),
        (decay + carry) / _DAYS,
        spot_ * carried * density * np.sqrt(years_) * 0.01,
    )
    known = (spot > 0) & (years > 0) & (vol >= 0)
    inside = 0.5 * (1 + np.sign(side * (spot * carried - strike * discount)))
    nothing = np.zeros_like(inside)
    limits: tuple[Floats, ...] = (side * carried * inside, nothing, nothing, nothing)
    return OptionGreeks(
        *(np.where(known, np.where(vol > 0, each, limit), np.nan) for each, limit in zip(found, limits, strict=True))
    )


def option_delta(
    right: str,
    spot: Floats,
    strike: float | Floats,
    years: Floats,
    vol: Floats,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> Floats:
    """The delta of :func:`option_greeks` alone, (N,), in less time."""
    side, carried, _, d1, _ = _standing(right, spot, strike, years, vol, rate, dividend)
    inside = 0.5 * (1 + np.sign(side * (spot * carried - strike * np.exp(-rate * years))))
    known = (spot > 0) & (years > 0) & (vol >= 0)
    return np.where(known, side * carried * np.where(vol > 0, _normal(side * d1), inside), np.nan)


def _standing(
    right: str, spot: Floats, strike: float | Floats, years: Floats, vol: Floats, rate: float, dividend: float
) -> tuple[float, Floats, Bools, Floats, Floats]:
    """1 of a call or -1 of a put, spot's carry, where spot, time and vol are above 0, d1 there and its deviation."""
    side = 1.0 if right == "C" else -1.0
    carried = np.exp(-dividend * years)
    usable = (spot > 0) & (years > 0) & (vol > 0)
    spot_, years_, vol_ = (np.where(usable, each, 1.0) for each in (spot, years, vol))
    deviation = vol_ * np.sqrt(years_)
    d1 = (np.log(spot_ / strike) + (rate - dividend + vol_ * vol_ / 2) * years_) / deviation
    return side, carried, usable, d1, deviation


def _normal(x: Floats) -> Floats:
    return 0.5 * np.fromiter(map(math.erfc, (-x / math.sqrt(2)).tolist()), np.float64, len(x))
