"""The greeks of a session's account over time, from the market's own vols."""

from __future__ import annotations

import numpy as np

from replay.account.greeks import option_greeks
from replay.broker.desk import Desk
from replay.broker.equity import Curve
from replay.products import MULTIPLIER
from replay.ragged import Floats, Ints


def account_greeks(desk: Desk, instants: Ints, found: Curve) -> list[Floats]:
    """Delta, gamma, theta and vega after each tick (I,), units as in the table of the equity; NaN where not known.

    Spot and vol are those of the newest snapshot, time that of the tick.
    """
    totals = [np.zeros(len(instants)) for _ in range(4)]
    for option, own in zip(found.options, found.held, strict=True):
        at = np.flatnonzero(own)
        if len(at) == 0:
            continue
        market = desk.market(option.symbol)
        newest = np.searchsorted(market.ts, instants[at], side="right") - 1
        vol = market.series("call_iv" if option.right == "C" else "put_iv", option.strike)
        held = market.conventions
        greeks = option_greeks(
            option.right, _at(market.spot, newest), option.strike, held.years(market.session, instants[at]),
            _at(vol, newest), held.rate, held.dividend,
        )  # fmt: skip
        for total, each in zip(totals, greeks, strict=True):
            total[at] += each * own[at] * MULTIPLIER
    return totals


def _at(values: Floats, numbers: Ints) -> Floats:
    found: Floats = np.where(numbers >= 0, values[np.maximum(numbers, 0)], np.nan)
    return found
