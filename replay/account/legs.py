"""Legs of an order, the combinations people trade at a pin, and what they pay at expiration."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from replay.errors import InvalidOrder

MICRO: Final = 1_000_000
"""Prices of the broker are whole micro-dollars, so that sums are exact."""

EXERCISED_FROM: Final = 10_000
"""An option is exercised where it is in the money by so many micro-dollars: one cent, the exchanges' exercise by
exception."""

MOST_RATIO: Final = 1_000
HIGHEST: Final = 1e7


class Contract(NamedTuple):
    """One option that expires on the session's date: ``right`` is ``C`` or ``P``, ``strike`` USD."""

    symbol: str
    right: str
    strike: float

    def __str__(self) -> str:
        return f"{self.symbol} {strike_text(self.strike)}{self.right}"


@dataclass(frozen=True, slots=True)
class Leg:
    """One option of a combination.

    Attributes
    ----------
    right
        ``C`` or ``P``.
    strike
        USD, above 0.
    ratio
        How many of it a unit of the combination buys; below 0: sells. Never 0.
    """

    right: str
    strike: float
    ratio: int = 1

    def __post_init__(self) -> None:
        if self.right not in ("C", "P"):
            raise InvalidOrder(f"right {self.right!r} is neither C nor P")
        if not _is_number(self.strike) or not 0 < float(self.strike) < HIGHEST:
            raise InvalidOrder(f"strike {self.strike!r} is not a price above 0")
        if not is_whole(self.ratio) or not 0 < abs(self.ratio) <= MOST_RATIO:
            raise InvalidOrder(f"ratio {self.ratio!r} is not a whole number from 1 to {MOST_RATIO}, or below 0")
        object.__setattr__(self, "strike", float(self.strike))
        object.__setattr__(self, "ratio", int(self.ratio))

    def __str__(self) -> str:
        return f"{self.ratio:+d} {strike_text(self.strike)}{self.right}"


def checked_legs(legs: Leg | Iterable[Leg | Sequence[Any]]) -> tuple[Leg, ...]:
    """Legs as an order takes them: one, or several of different contracts; ``(right, strike, ratio)`` will do.

    Raises :class:`~replay.errors.InvalidOrder` naming what cannot be ordered.
    """
    if isinstance(legs, Leg):
        return (legs,)
    try:
        found = tuple(each if isinstance(each, Leg) else Leg(*each) for each in legs)
    except TypeError:
        raise InvalidOrder(f"legs {legs!r}: give Leg(right, strike, ratio), or several of them") from None
    if not found:
        raise InvalidOrder("an order needs at least one leg")
    if (common := math.gcd(*(leg.ratio for leg in found))) > 1:
        raise InvalidOrder(
            f"the ratios of {legs_text(found)} are all multiples of {common}; order more of the combination"
        )
    for i, leg in enumerate(found):
        if any((leg.right, leg.strike) == (other.right, other.strike) for other in found[:i]):
            raise InvalidOrder(f"{strike_text(leg.strike)}{leg.right} stands in two legs; give it one ratio")
    return found


def vertical(right: str, long: float, short: float) -> tuple[Leg, ...]:
    """Buys the option at ``long`` and sells the one at ``short``."""
    return checked_legs((Leg(right, long, 1), Leg(right, short, -1)))


def straddle(strike: float) -> tuple[Leg, ...]:
    """Buys the call and the put of a strike."""
    return (Leg("C", strike, 1), Leg("P", strike, 1))


def strangle(put: float, call: float) -> tuple[Leg, ...]:
    """Buys a put and a call above it."""
    if not put < call:
        raise InvalidOrder(f"a strangle's put at {put!r} is to lie below its call at {call!r}")
    return (Leg("P", put, 1), Leg("C", call, 1))


def butterfly(center: float, wing: float, right: str = "C") -> tuple[Leg, ...]:
    """Buys the wings and sells two of the center: it costs a debit, and pays most at the center."""
    _check_wing(wing)
    return (Leg(right, center - wing, 1), Leg(right, center, -2), Leg(right, center + wing, 1))


def iron_fly(center: float, wing: float) -> tuple[Leg, ...]:
    """Buys the straddle at the center and sells the strangle ``wing`` USD away; a quantity below 0 is the short fly
    that collects a credit."""
    _check_wing(wing)
    return (Leg("P", center - wing, -1), Leg("P", center, 1), Leg("C", center, 1), Leg("C", center + wing, -1))


def iron_condor(put: float, call: float, wing: float) -> tuple[Leg, ...]:
    """Buys the strangle of put and call and sells the one ``wing`` USD outside of it; a quantity below 0 is the short
    condor that collects a credit."""
    _check_wing(wing)
    body = strangle(put, call)
    return (Leg("P", put - wing, -1), *body, Leg("C", call + wing, -1))


def _check_wing(wing: float) -> None:
    if not _is_number(wing) or not 0 < wing < HIGHEST:
        raise InvalidOrder(f"wing {wing!r} is not a distance above 0")


def intrinsic(right: str, strike: float, price: float) -> int:
    """What exercise by exception makes of an option at a settlement price, micro-dollars a share.

    The intrinsic value, or nothing where that is less than a cent.
    """
    inside = micro(price) - micro(strike) if right == "C" else micro(strike) - micro(price)
    return inside if inside >= EXERCISED_FROM else 0


def payoff(legs: Iterable[Leg], price: float) -> float:
    """What a unit of a combination is worth at a settlement price, USD a share."""
    return sum(leg.ratio * intrinsic(leg.right, leg.strike, price) for leg in legs) / MICRO


def legs_text(legs: Iterable[Leg]) -> str:
    """Such as ``-1 735P +1 740P +1 740C -1 745C``."""
    return " ".join(map(str, legs))


def strike_text(strike: float) -> str:
    """A strike without needless zeros."""
    return f"{strike:.4f}".rstrip("0").rstrip(".")


def micro(price: float) -> int:
    """A price in USD as whole micro-dollars, to the nearest."""
    return round(price * MICRO)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(float(value))


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral)
