"""What a broker asks to be kept for open options: the most that can be lost, or Regulation T for naked ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from replay.products import MULTIPLIER

Held = tuple[str, float, int]
"""Right, strike and contracts held; below 0: sold."""


def requirement(held: Sequence[Held], spot: float, mark: Callable[[str, float], float], share: float) -> float:
    """What open options of one underlying and expiration ask for, USD.

    - **Defined risk**: the most that they can owe at any settlement price, so the width of a vertical, and the wider
      side of an iron condor. What was paid or received for them is in the cash already.
    - **Naked**: where more calls are sold than bought (or puts), as many of the dearest of them are naked. Each asks,
      as Regulation T and the exchanges' margin rules have it, for its price and the greater of ``share`` of the
      underlying less what it is out of the money, and 10 % of the underlying (of a put: of its strike). Of naked calls
      and puts together the side that asks for more counts, and the price of the other.

    Parameters
    ----------
    spot
        USD; NaN makes the requirement of naked options NaN.
    mark
        The price of an option, USD a share.
    share
        0.15 for broad indices and their funds, 0.20 for others.
    """
    covered = {(right, strike): quantity for right, strike, quantity in held if quantity}
    calls = _naked(covered, "C", spot, mark, share)
    puts = _naked(covered, "P", spot, mark, share)
    greater, other = (calls, puts) if not calls[0] < puts[0] else (puts, calls)
    total = greater[0] + other[1] if not math.isnan(calls[0] + puts[0]) else math.nan
    return total + most_owed([(right, strike, quantity) for (right, strike), quantity in covered.items()])


def most_owed(held: Sequence[Held]) -> float:
    """The most that options owe at any settlement price, USD; infinite where more calls are sold than bought."""
    if sum(quantity for right, _, quantity in held if right == "C") < 0:
        return math.inf
    prices = [0.0, *(strike for _, strike, _ in held)]
    return max(0.0, *(-_worth(held, price) for price in prices)) * MULTIPLIER


def _worth(held: Sequence[Held], price: float) -> float:
    return sum(
        quantity * max(price - strike if right == "C" else strike - price, 0.0) for right, strike, quantity in held
    )


def _naked(
    held: dict[tuple[str, float], int], right: str, spot: float, mark: Callable[[str, float], float], share: float
) -> tuple[float, float]:
    """Take the naked options of a side out of what is held: what they ask for, and their price, USD."""
    count = -sum(quantity for (each, _), quantity in held.items() if each == right)
    asked = priced = 0.0
    sold = [key for key, quantity in held.items() if key[0] == right and quantity < 0]
    for key in sorted(sold, key=lambda each: each[1], reverse=right == "P"):
        part = min(count, -held[key])
        if part <= 0:
            break
        strike, price = key[1], mark(*key)
        out = max(strike - spot if right == "C" else spot - strike, 0.0)
        least = 0.1 * (spot if right == "C" else strike)
        asked += part * (price + max(share * spot - out, least)) * MULTIPLIER
        priced += part * price * MULTIPLIER
        held[key] += part
        count -= part
    return asked, priced
