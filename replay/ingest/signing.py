"""Who was the aggressor of a trade: the quote rule, the tick test, and what others made of the two.

Lee and Ready, Inferring Trade Direction from Intraday Data, Journal of Finance 46 (1991); Ellis, Michaely and O'Hara,
The Accuracy of Trade Classification Rules, Journal of Financial and Quantitative Analysis 35 (2000).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from replay.ragged import Bools, Floats, Ints

Places = NDArray[np.int8]
Signs = NDArray[np.int8]

RULES: Final = ("quote", "lee-ready", "emo", "tick")
_UNITS: Final = 10_000.0


class Place(IntEnum):
    """Where a trade's price lies in the quote before it."""

    ABOVE = 0  # above the ask
    ASK = 1  # at the ask
    UPPER = 2  # between mid and ask
    MID = 3
    LOWER = 4  # between bid and mid
    BID = 5  # at the bid
    BELOW = 6  # below the bid
    LOCKED = 7  # at bid and ask, which are the same
    CROSSED = 8  # the bid is above the ask
    NO_QUOTE = 9  # none, or one side of it is not known


def places(price: Floats, bid: Floats, ask: Floats) -> Places:
    """Where N prices lie, compared in whole ten-thousandths of a dollar.

    Prices have at most four decimals, which a double does not hold: 0.1 + 0.2 is above 0.3, and the mid of two of them
    may be a last bit off a price that is at it. Whole numbers are compared exactly, and the mid is doubled, not halved.

    Parameters
    ----------
    price, bid, ask
        (N,) USD, not below 0; NaN is not known. A bid of 0 is one: who buys an option without bids pays the ask. An
        ask of 0 is none.
    """
    known = np.isfinite(price) & np.isfinite(bid) & np.isfinite(ask) & (ask > 0)
    p, b, a = (np.rint(np.where(known, each, 0.0) * _UNITS).astype(np.int64) for each in (price, bid, ask))
    found = np.select(
        [~known, b > a, (p == a) & (p == b), p > a, p == a, p < b, p == b, 2 * p > a + b, 2 * p < a + b],
        [
            Place.NO_QUOTE, Place.CROSSED, Place.LOCKED, Place.ABOVE, Place.ASK, Place.BELOW, Place.BID, Place.UPPER,
            Place.LOWER,
        ],
        Place.MID,
    )  # fmt: skip
    return found.astype(np.int8)


def in_order(contract: Ints, ts: Ints) -> Bools:
    """Which of N trades, in the order in which they became known, were made after those of their contract before them.

    ``contract`` (N,) numbers the contracts, ``ts`` (N,) is when each trade was made, in any unit.
    """
    order = np.argsort(contract, kind="stable")
    own = contract[order]
    since = ts[order] - (ts.min() if len(ts) else 0)
    span = int(since.max()) + 1 if len(since) else 1
    line = np.cumsum(_starts(own)) * span + since  # ascends from contract to contract
    newest = np.maximum.accumulate(line)
    found = np.empty(len(ts), np.bool_)
    found[order] = line == newest
    return found


def tick_signs(price: Floats, contract: Ints, ordered: Bools | None = None) -> Signs:
    """The tick test of N trades in the order in which they became known: 1 up, -1 down, 0 before any change.

    Against the last different price of the same ``contract`` (N,) before it; no later trade has a say. A trade that is
    not ``ordered`` (N,) has no place in the order of prices: it is 0, and no other is held against its price.
    """
    signs = np.zeros(len(price), np.int8)
    own = np.arange(len(price)) if ordered is None else np.flatnonzero(ordered)
    order = own[np.argsort(contract[own], kind="stable")]
    line = np.rint(price[order] * _UNITS)
    first = _starts(contract[order])
    step = np.zeros(len(order))
    step[1:] = np.sign(line[1:] - line[:-1])
    step[first] = 0.0
    at = np.where((step != 0) | first, np.arange(len(order)), 0)
    signs[order] = step[np.maximum.accumulate(at)].astype(np.int8) if len(at) else 0
    return signs


def _starts(own: Ints) -> Bools:
    """Where another contract begins (N,)."""
    first = np.ones(len(own), np.bool_)
    first[1:] = own[1:] != own[:-1]
    return first


def aggressors(place: Places, tick: Signs, rule: str) -> Signs:
    """The side of N trades: 1 bought, -1 sold, 0 not told.

    ``quote``
        At or above the ask bought, at or below the bid sold, inside the nearer side, at the mid the tick test.
    ``lee-ready``
        Above the mid bought, below it sold, at it the tick test (Lee and Ready 1991). The nearer side is that of the
        mid, so with the quote that prevailed, as files have it, the two are one; Lee and Ready's own were 5 s older.
    ``emo``
        At the ask bought, at the bid sold, all others by the tick test (Ellis, Michaely and O'Hara 2000).
    ``tick``
        The tick test alone, after which a price that did not change takes the side of the last change.

    Where there is no quote, or it is crossed or locked at the price, all take the tick test.
    """
    if rule == "tick":
        return tick
    bought, sold = [Place.ASK], [Place.BID]
    if rule in ("quote", "lee-ready"):
        bought += [Place.ABOVE, Place.UPPER]
        sold += [Place.BELOW, Place.LOWER]
    return np.where(np.isin(place, bought), 1, np.where(np.isin(place, sold), -1, tick)).astype(np.int8)
