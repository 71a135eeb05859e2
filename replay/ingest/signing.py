"""Who was the aggressor of a trade: the quote rule, the tick test, and what others made of the two."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from replay.ragged import Bools, Floats, Ints

Signs = NDArray[np.int8]

RULES: Final = ("quote", "lee-ready", "emo", "tick")
_UNITS: Final = 10_000.0


class Place(IntEnum):
    """Where a trade's price lies in the quote before it."""

    ABOVE = 0  # at or above the ask
    UPPER = 1  # between mid and ask
    MID = 2
    LOWER = 3  # between bid and mid
    BELOW = 4  # at or below the bid
    NO_QUOTE = 5  # none, one side alone, crossed, locked at the price, or of after the trade


def places(price: Floats, bid: Floats, ask: Floats) -> NDArray[np.int8]:
    """Where N prices lie, in whole ten-thousandths of a dollar, so that 0.1 + 0.2 is 0.3.

    ``price``, ``bid``, ``ask`` are (N,) USD; NaN or infinite is not known, a bid of 0 is none to hit but a bound.
    """
    known = np.isfinite(price) & np.isfinite(bid) & np.isfinite(ask)
    p, b, a = (np.rint(np.where(known, each, 0.0) * _UNITS).astype(np.int64) for each in (price, bid, ask))
    locked_at = (a == b) & (p == a)
    usable = known & (a > 0) & (b >= 0) & (a >= b) & ~locked_at
    found = np.select(
        [~usable, p >= a, p <= b, 2 * p > a + b, 2 * p < a + b],
        [Place.NO_QUOTE, Place.ABOVE, Place.BELOW, Place.UPPER, Place.LOWER],
        Place.MID,
    )
    return found.astype(np.int8)


def tick_signs(price: Floats, contract: Ints) -> Signs:
    """The tick test of N trades in the order in which they became known: 1 up, -1 down, 0 before any change.

    Against the last different price of the same ``contract`` (N,) before it; no later trade has a say.
    """
    units = np.rint(price * _UNITS)
    order = np.argsort(contract, kind="stable")
    own, line = contract[order], units[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = own[1:] != own[:-1]
    step = np.zeros(len(order))
    step[1:] = np.sign(line[1:] - line[:-1])
    step[first] = 0.0
    at = np.where((step != 0) | first, np.arange(len(order)), 0)
    last = np.maximum.accumulate(at) if len(at) else at
    signs = np.zeros(len(order), np.int8)
    signs[order] = step[last].astype(np.int8)
    return signs


def aggressors(place: NDArray[np.int8], tick: Signs, rule: str) -> Signs:
    """The side of N trades: 1 bought, -1 sold, 0 not told.

    ``quote``: at or above the ask bought, at or below the bid sold, inside the nearer side, at the mid the tick test.
    ``lee-ready``: above the mid bought, below sold, at it the tick test (Lee and Ready, Inferring Trade Direction from
    Intraday Data, 1991); with the quote that prevailed, as files have it, that is the same as ``quote``. ``emo``: by
    the quote only at its ends and beyond, inside by the tick test (Ellis, Michaely and O'Hara, The Accuracy of Trade
    Classification Rules, 2000). ``tick``: the tick test alone. A trade without a usable quote takes the tick test.
    """
    if rule == "tick":
        return tick
    bought: Bools = place == Place.ABOVE
    sold: Bools = place == Place.BELOW
    if rule in ("quote", "lee-ready"):
        bought, sold = bought | (place == Place.UPPER), sold | (place == Place.LOWER)
    return np.where(bought, 1, np.where(sold, -1, tick)).astype(np.int8)
