"""What one snapshot of the market makes of an order: a reason why its quotes do not fill it, or prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from replay.account.legs import Leg, micro
from replay.market import Market
from replay.products import Product

NO_CHAIN: Final = "no chain"
NOT_LISTED: Final = "strike not listed"
NO_QUOTE: Final = "no quote"
NO_BID: Final = "no bid"
CROSSED: Final = "crossed"
WIDE: Final = "too wide"
REASONS: Final = (NO_CHAIN, NOT_LISTED, NO_QUOTE, NO_BID, CROSSED, WIDE)

_DEAREST: Final = 100_000.0  # USD a share; what is quoted above is no quote
_WIDE_TICKS: Final = 10
_FLAGGED_SHARE: Final = 0.25
_FLAGGED_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class LegQuote:
    """The quote a leg would trade on, micro-dollars a share; ``contracts`` below 0 are sold, a unit of the order."""

    leg: Leg
    contracts: int
    bid: int
    ask: int

    @property
    def touch(self) -> int:
        """The price of crossing: the ask of a purchase, the bid of a sale."""
        return self.ask if self.contracts > 0 else self.bid

    def between(self, share: float) -> int:
        """So much of the way from mid to touch."""
        mid = (self.bid + self.ask) / 2
        return round(mid + share * (self.touch - mid))

    def is_wide(self, share: float, least: int) -> bool:
        """Whether the spread is more than a share of the mid, and more than ``least``."""
        spread = self.ask - self.bid
        return spread > least and 2 * spread > share * (self.bid + self.ask)


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a snapshot cannot fill an order: the reason, and the leg's quote as it stands there, USD."""

    reason: str
    leg: Leg | None = None
    bid: float = math.nan
    ask: float = math.nan


def leg_quotes(
    market: Market, number: int, legs: Sequence[Leg], sign: int, max_spread: float, product: Product
) -> list[LegQuote] | Miss:
    """The quotes that an order for ``sign`` of these legs would trade on, or why it cannot.

    A leg needs an ask, and where it is sold a bid; a quote may not be crossed, nor too wide.
    """
    if not market.has_chain(number):
        return Miss(NO_CHAIN)
    found = []
    for leg in legs:
        quoted = market.quote(number, leg.right, leg.strike)
        if quoted is None:
            return Miss(NOT_LISTED, leg)
        bid, ask = quoted
        contracts = leg.ratio * sign
        reason = _unusable(bid, ask, contracts)
        if reason:
            return Miss(reason, leg, bid, ask)
        quote = LegQuote(leg, contracts, micro(bid) if bid > 0 else 0, micro(ask))
        if quote.is_wide(max_spread, _WIDE_TICKS * product.tick_below):
            return Miss(WIDE, leg, bid, ask)
        found.append(quote)
    return found


def _unusable(bid: float, ask: float, contracts: int) -> str:
    if not 0 < ask < _DEAREST:
        return NO_QUOTE
    if bid > ask:
        return CROSSED
    return NO_BID if contracts < 0 and not bid > 0 else ""


def is_wide(quotes: Sequence[LegQuote], product: Product) -> bool:
    """Whether a fill on these quotes is to be told of: a spread of over a quarter of the mid, and five ticks."""
    return any(quote.is_wide(_FLAGGED_SHARE, _FLAGGED_TICKS * product.tick_below) for quote in quotes)


def package(quotes: Sequence[LegQuote], prices: Sequence[int]) -> int:
    """What a unit of an order pays at these prices of its legs, micro-dollars a share; below 0: receives."""
    return sum(quote.contracts * price for quote, price in zip(quotes, prices, strict=True))


def crossing(quotes: Sequence[LegQuote], share: float, slippage: int, product: Product) -> list[int]:
    """The price of each leg of an order that is filled at once.

    ``share`` of the way from mid to touch; what the combination then pays is rounded against the order to the
    product's tick, though no further than the touch; then each leg pays ``slippage`` ticks more. A sale receives no
    less than nothing.
    """
    prices = [quote.between(share) if share < 1 else quote.touch for quote in quotes]
    if share < 1:
        _round_up(quotes, prices, product)
    if slippage:
        for i, quote in enumerate(quotes):
            worse = slippage * product.tick(prices[i])
            prices[i] = prices[i] + worse if quote.contracts > 0 else max(prices[i] - worse, 0)
    return prices


def at_price(quotes: Sequence[LegQuote], paid: int) -> list[int]:
    """Prices of the legs that together pay ``paid``: their mids, and the rest where the spread is widest.

    Legs of which one unit is traded come first, so that the sum is exact.
    """
    prices = [quote.between(0.0) for quote in quotes]
    _spread_over(quotes, prices, paid - package(quotes, prices))
    return prices


def _round_up(quotes: Sequence[LegQuote], prices: list[int], product: Product) -> None:
    """Have a combination pay whole ticks, by the least that is not better for it."""
    paid = package(quotes, prices)
    tick = product.tick(paid, len(quotes))
    most = package(quotes, [quote.touch for quote in quotes])
    _spread_over(quotes, prices, min(-(-paid // tick) * tick, most) - paid)


def _spread_over(quotes: Sequence[LegQuote], prices: list[int], more: int) -> None:
    """Have the legs pay so much more together, without a price below 0."""
    order = sorted(range(len(quotes)), key=lambda i: (abs(quotes[i].contracts), quotes[i].bid - quotes[i].ask, i))
    for i in order:
        contracts = quotes[i].contracts
        change = int(more / contracts)
        changed = max(prices[i] + change, 0)
        more -= (changed - prices[i]) * contracts
        prices[i] = changed
        if more == 0:
            return
