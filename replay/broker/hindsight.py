"""What a fill is judged by afterwards: the snapshot it was made on, whether its quotes hung, and what was worst."""

from __future__ import annotations

from typing import Any

from replay.account.legs import Leg, micro
from replay.broker.matching import LegQuote, at_price, package
from replay.market import Market


def snapshot_of(market: Market, number: int) -> dict[str, Any]:
    """A snapshot's spot and clocks, as the ledger names them."""
    return {
        "spot": float(market.spot[number]),
        "quote_ts": int(market.ts[number]),
        "quote_recorded_at": int(market.recorded_at[number]),
    }


def hangs(market: Market, number: int, legs: tuple[Leg, ...]) -> bool:
    """Whether none of the legs' quotes has moved over three snapshots, though spot has."""
    if number < 2 or not len({market.spot[number - i] for i in range(3)}) > 1:
        return False
    return all(len({market.quote(number - i, leg.right, leg.strike) for i in range(3)}) == 1 for leg in legs)


def worst_prices(
    market: Market, number: int, quotes: list[LegQuote], prices: list[int], most: int | None, tick: int
) -> list[int]:
    """The dearer touch of this snapshot and the next, a tick a leg worse; no worse than the order's limit."""
    found = []
    for quote, price in zip(quotes, prices, strict=True):
        later = market.quote(number + 1, quote.leg.right, quote.leg.strike) if number + 1 < len(market) else None
        touches = [quote.touch, price]
        if later is not None:
            usable = micro(later[1 if quote.contracts > 0 else 0]) if later[0] <= later[1] else quote.touch
            touches.append(usable)
        found.append(max(touches) + tick if quote.contracts > 0 else max(min(touches) - tick, 0))
    return found if most is None or package(quotes, found) <= most else at_price(quotes, most)
