"""Black-Scholes-Merton greeks and implied vol, vectorised.

Formulas: Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., chapter 2. They are evaluated so that only
roundings are lost: the log of the moneyness comes from the exact difference of spot and strike, d2 is not taken from
the rounded d1, and the few options whose terms of vanna or charm still cancel are worked out in 50 digits.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from replay.errors import MissingExtra
from replay.ragged import Bools, Floats, Ints

try:
    from pyvolr import bs
    from scipy.special import ndtr
except ImportError as error:
    raise MissingExtra("computing exposures", "ingest") from error

_DAYS = 365.0
_PEAK = Decimal("0.3989422804014326779399460599343818684758586311649347")  # 1 / sqrt(2 pi), of the normal density
_BLOCK = 4096  # options at a time, so that what lies between arguments and greeks stays in the processor's cache
_FAR, _LIMIT = 37.0, 1e100  # deviations: beyond these the normal density is below 1e-297; a vol is as good as 0
_CANCELLED = 2.0**-10  # a difference below this share of its terms has lost too many digits
_ROUNDINGS = 4 * 2.0**-53  # of discounted spot less discounted strike, as a share of the larger one
# Traps nothing: what is no number becomes NaN.
_EXACT = decimal.Context(prec=50, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
# The normal distribution to 30 digits: how far its series goes, before its continued fraction, and the terms of both.
_SERIES_REACH, _SERIES_TERMS, _FRACTION_TERMS = 5, 90, 90


@dataclass(frozen=True, slots=True)
class Greeks:
    """(N,) each: ``delta`` per USD of spot; ``gamma`` delta per USD of spot; ``vanna`` delta per unit of vol;
    ``charm`` the drift of delta as calendar time passes, per day."""

    delta: Floats
    gamma: Floats
    vanna: Floats
    charm: Floats


class _Options(NamedTuple):
    """(N,) each, or (1,) where all have the same."""

    spot: Floats
    strike: Floats
    years: Floats
    vol: Floats
    rate: Floats
    dividend: Floats
    side: Floats  # 1 of a call, -1 of a put

    def take(self, rows: slice | Ints) -> _Options:
        return _Options(*(each if len(each) == 1 else each[rows] for each in self))


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    call: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
) -> Greeks:
    """Greeks of N European options; NaN where an argument is NaN or out of its bounds, the limit where ``vol`` is 0.

    Each is within 1e-12 of itself while abs(d1) <= 8, and beyond within 1e-12 of itself or 1e-300, for strikes of
    0.2 to 5 times spot, vols of 0.01 to 5, and one minute to two years.

    Parameters
    ----------
    spot, strike
        (N,) USD, above 0.
    years
        (N,) time to expiry in years of 365 days, above 0.
    vol
        (N,) per sqrt(year), not below 0. At 0 delta is the discounted 0, 1 (call) or -1 (put) that the forward
        decides, halved where it lies on the strike, and gamma, vanna and charm are 0. So they are at a vol of which
        abs(d1) would pass 1e100.
    call
        (N,) True for calls.
    rate, dividend
        Continuously compounded, per year.

    Scalars, and arrays that broadcast to one shape, do as well as (N,); the greeks have that shape.
    """
    options, shape = _options(spot, strike, years, vol, call, rate, dividend)
    count = int(np.prod(shape))
    found, cancelled = np.empty((4, count)), np.empty(count, np.bool_)
    with np.errstate(all="ignore"):
        for start in range(0, count, _BLOCK):
            rows = slice(start, start + _BLOCK)
            cancelled[rows] = _plain(options.take(rows), found[:, rows])
    for at in np.flatnonzero(cancelled):
        found[2:, at] = _exact(*(float(each[0]) for each in options.take(slice(at, at + 1))))
    return Greeks(*(each.reshape(shape) for each in found))


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    call: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
) -> Floats:
    """Vol that gives each price, per sqrt(year), (N,); NaN where none does. Solved by pyvolr.

    None does where the price is not above the discounted intrinsic value, or not below the discounted spot (call) or
    strike (put), and where an argument is NaN, infinite or out of its bounds. Within 1e-8 where the time value is above
    1e-6 of spot, for strikes of 0.2 to 5 times spot, vols of 0.01 to 5, and one minute to two years.

    In-the-money prices are turned into those of the other right by put-call parity first: their time value is
    what says the vol, and the solver would lose it in the rounding of the price. Arguments as for :func:`greeks`.
    """
    options, shape = _options(spot, strike, years, price, call, rate, dividend)
    spot, strike, years, price, rate, dividend, side = options
    with np.errstate(all="ignore"):
        forward, discounted = spot * np.exp(-dividend * years), strike * np.exp(-rate * years)
        parity = side * (forward - discounted)
        inside = parity > 0
        time_value = np.where(inside, price - parity, price)
        # Where there is a rate, less than the roundings of the discounting is no time value.
        noise = np.where(inside & ((rate != 0) | (dividend != 0)), _ROUNDINGS * np.maximum(forward, discounted), 0.0)
        known = time_value > noise
        known &= (price < np.where(side > 0, forward, discounted)) & np.isfinite(forward + discounted)
        known &= (spot > 0) & (strike > 0) & (years > 0)
        other = np.where(inside, -side, side)
        found = bs.implied_vol(time_value, other, spot, strike, years, rate, dividend, on_error="ignore")
        return np.where(known & np.isfinite(found) & (found > 0), found, np.nan).reshape(shape)


def _options(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    call: ArrayLike,
    rate: ArrayLike,
    dividend: ArrayLike,
) -> tuple[_Options, tuple[int, ...]]:
    """The options in one row, and the shape they came in. In the place of vols there may be prices."""
    side = np.where(np.asarray(call, np.bool_), 1.0, -1.0)
    arrays = [np.asarray(each, np.float64) for each in (spot, strike, years, vol, rate, dividend)]
    shape = np.broadcast_shapes(side.shape, *(each.shape for each in arrays))
    return _Options(
        *(each.reshape(1) if each.size == 1 else np.broadcast_to(each, shape).reshape(-1) for each in (*arrays, side))
    ), shape


def _plain(options: _Options, found: Floats) -> Bools:
    """Fill in delta, gamma, vanna and charm (4, N), and say where (N,) terms of vanna or charm cancelled."""
    spot, strike, years, vol, rate, dividend, side = options
    excess = spot - strike
    log = np.copysign(np.log1p(np.abs(excess) / np.minimum(spot, strike)), excess)
    carry, total = (rate - dividend) * years, vol * np.sqrt(years)
    near, drift, half = log / total, carry / total, 0.5 * total
    d1, d2 = near + drift + half, near + drift - half
    fade = near - drift - half  # d2 less the drift's part in charm
    paid = np.exp(-dividend * years)
    density = paid * float(_PEAK) * np.exp(-0.5 * d1 * d1)
    found[0] = delta = side * paid * ndtr(side * d1)
    found[1] = density / total / spot
    found[2] = -density * d2 / vol
    by_vol, by_dividend = density / (2.0 * years), dividend * delta
    charm = by_vol * fade + by_dividend
    found[3] = charm / _DAYS

    terms = np.abs(near) + np.abs(drift) + half
    cancelled = np.abs(d2) < _CANCELLED * terms
    # Far out the roundings of d1's terms have lost the density digits too, so that charm's terms may cancel less.
    share = np.minimum(_CANCELLED * (1.0 + 0.5 * np.abs(d1) * terms), 0.5)
    cancelled |= np.abs(charm) < share * (by_vol * terms + np.abs(by_dividend))
    cancelled &= np.abs(d1) < _FAR

    known = (spot > 0) & (years > 0) & (vol >= 0) & np.isfinite(log + carry + total)
    settled = known & (total > 0) & (np.abs(near) + np.abs(drift) < _LIMIT)
    if not settled.all():
        forward = side * (log + carry)
        limit = side * paid * np.where(forward == 0, 0.5, forward > 0)
        found[0] = np.where(settled, found[0], limit)
        found[1:] = np.where(settled, found[1:], 0.0)
        found[:] = np.where(known, found, np.nan)
    return cancelled & settled


def _exact(
    spot: float, strike: float, years: float, vol: float, rate: float, dividend: float, side: float
) -> tuple[float, float]:
    """Vanna and charm of one option, to the last digit, whatever cancels."""
    with decimal.localcontext(_EXACT):
        t, v, q, right = Decimal(years), Decimal(vol), Decimal(dividend), Decimal(side)
        log, carry, half = (Decimal(spot) / Decimal(strike)).ln(), (Decimal(rate) - q) * t, v * v * t / 2
        total = (2 * half).sqrt()
        d1, d2, fade = (log + carry + half) / total, (log + carry - half) / total, (log - carry - half) / total
        density, paid = _PEAK * (-d1 * d1 / 2).exp(), (-q * t).exp()
        charm = density * fade / (2 * t)
        if q:
            whole, part = _distribution(d1, right)
            charm = density * (fade / (2 * t) + q * part) + q * whole
        return float(-paid * density * d2 / v), float(paid * charm / Decimal(_DAYS))


def _distribution(d1: Decimal, side: Decimal) -> tuple[Decimal, Decimal]:
    """``whole`` and ``part`` such that ``side * N(side * d1)`` is ``whole + density(d1) * part``.

    Abramowitz and Stegun, Handbook of Mathematical Functions: the series 26.2.11, the continued fraction 26.2.14.
    """
    if abs(d1) < _SERIES_REACH:
        series = Decimal(1)
        for term in range(_SERIES_TERMS, 0, -1):
            series = d1 * d1 * series / (2 * term + 1) + 1
        return side / 2, d1 * series
    fraction = d1
    for term in range(_FRACTION_TERMS, 0, -1):
        fraction = d1 + term / fraction
    return side if side * d1 > 0 else Decimal(0), -1 / fraction
