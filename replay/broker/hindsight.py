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
    return all(len({_quote(market, number - i, leg) for i in range(3)}) == 1 for leg in legs)


def _quote(market: Market, number: int, leg: Leg) -> tuple[float, float] | None:
    at, side, lists = market.column(number, leg.strike), "call" if leg.right == "C" else "put", market.lists()
    bids, asks = lists[f"{side}_bid"], lists[f"{side}_ask"]
    if at is None or not (bids.known[number] and asks.known[number]):
        return None
    return float(bids.row(number)[at]), float(asks.row(number)[at])


def worst_prices(
    market: Market, number: int, quotes: list[LegQuote], prices: list[int], most: int | None, tick: int
) -> list[int]:
    """The dearer touch of this snapshot and the next, a tick a leg worse; no worse than the order's limit."""
    found = []
    for quote, price in zip(quotes, prices, strict=True):
        later = _quote(market, number + 1, quote.leg) if number + 1 < len(market) else None
        touches = [quote.touch, price]
        if later is not None:
            usable = micro(later[1 if quote.contracts > 0 else 0]) if later[0] <= later[1] else quote.touch
            touches.append(usable)
        found.append(max(touches) + tick if quote.contracts > 0 else max(min(touches) - tick, 0))
    return found if most is None or package(quotes, found) <= most else at_price(quotes, most)
