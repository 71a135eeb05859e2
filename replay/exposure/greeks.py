"""Black-Scholes-Merton greeks and implied vol, vectorised.

Formulas: Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replay.errors import MissingExtra
from replay.ragged import Bools, Floats

try:
    from pyvolr import bs
    from scipy.special import ndtr
except ImportError as error:
    raise MissingExtra("computing exposures", "ingest") from error


@dataclass(frozen=True, slots=True)
class Greeks:
    """(N,) each: ``delta`` per USD of spot; ``gamma`` delta per USD of spot; ``vanna`` delta per unit of vol;
    ``charm`` the drift of delta as calendar time passes, per day."""

    delta: Floats
    gamma: Floats
    vanna: Floats
    charm: Floats


def greeks(
    spot: Floats,
    strike: Floats,
    years: Floats,
    vol: Floats,
    call: Bools,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> Greeks:
    """Greeks of N European options; NaN where ``vol`` is NaN, the limit where it is 0.

    Parameters
    ----------
    spot, strike
        (N,) USD, above 0.
    years
        (N,) time to expiry in years of 365 days, above 0.
    vol
        (N,) per sqrt(year), not below 0. At 0 delta is the discounted 0, 1 (call) or -1 (put) that the forward
        decides, halved where it lies on the strike, and gamma, vanna and charm are 0.
    call
        (N,) True for calls.
    rate, dividend
        Continuously compounded, per year.
    """
    root = np.sqrt(years)
    live = vol > 0
    total = np.where(live, vol * root, 1.0)
    moneyness = np.log(spot / strike) + (rate - dividend) * years
    d1 = moneyness / total + 0.5 * total
    d2 = d1 - total
    carried = np.exp(-dividend * years)
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    side = np.where(call, 1.0, -1.0)
    delta = side * carried * ndtr(side * d1)
    gamma = carried * density / (spot * total)
    vanna = -carried * density * d2 / np.where(live, vol, 1.0)
    # Charm is minus the derivative of delta by time to expiry.
    by_expiry = carried * density * ((rate - dividend) / total - d2 / (2.0 * years)) - dividend * delta
    charm = -by_expiry / 365.0
    limit = side * carried * np.where(moneyness == 0, 0.5, (side * moneyness > 0).astype(np.float64))
    unknown = np.isnan(vol)

    def settled(value: Floats, at_zero: Floats | float) -> Floats:
        return np.where(unknown, np.nan, np.where(live, value, at_zero))

    return Greeks(settled(delta, limit), settled(gamma, 0.0), settled(vanna, 0.0), settled(charm, 0.0))


def implied_vol(
    price: Floats,
    spot: Floats,
    strike: Floats,
    years: Floats,
    call: Bools,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> Floats:
    """Vol that gives each price, per sqrt(year), (N,); NaN where none does. Solved by pyvolr.

    In-the-money prices are turned into those of the other right by put-call parity first: their time value is
    what says the vol, and the solver would lose it in the rounding of the price. Arguments as for :func:`greeks`.
    """
    forward, discounted = spot * np.exp(-dividend * years), strike * np.exp(-rate * years)
    parity = np.where(call, forward - discounted, discounted - forward)
    inside = parity > 0
    out_price = np.where(inside, price - parity, price)
    flags = np.where(call ^ inside, "c", "p")
    found = bs.implied_vol(out_price, flags, spot, strike, years, rate, dividend, on_error="ignore")
    return np.asarray(np.where(np.isfinite(found) & (found > 0), found, np.nan), np.float64)
