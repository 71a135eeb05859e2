"""What a strategy holds, priced at what it can see."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from replay.account.book import Book
from replay.account.greeks import option_greeks
from replay.account.legs import MICRO, Contract, Leg
from replay.account.margin import requirement
from replay.errors import InvalidOrder
from replay.exposure.conventions import REPLAY_1
from replay.products import MULTIPLIER, Product
from replay.sessions import to_us
from replay.tape import Tick

PRICED_AT = ("mid", "touch")


@dataclass(frozen=True, slots=True)
class Position:
    """Open contracts of one option.

    ``quantity`` is below 0 where they are sold; ``price`` is what they cost on average, ``bid`` and ``ask`` what the
    newest visible snapshot quotes, USD a share, NaN where it does not.
    """

    symbol: str
    right: str
    strike: float
    quantity: int
    price: float
    bid: float
    ask: float

    @property
    def mid(self) -> float:
        """USD a share; a missing bid counts as 0, a missing ask or a crossed quote makes it NaN."""
        return _mid(self.bid, self.ask)


class PortfolioGreeks(NamedTuple):
    """Of all open options: ``delta`` shares, ``gamma`` shares per USD of spot, ``theta`` USD per calendar day,
    ``vega`` USD per vol point; NaN where a vol is not known."""

    delta: float
    gamma: float
    theta: float
    vega: float


class Portfolio:
    """Positions, cash, profit, greeks and buying power, as the strategy may know them at this instant.

    Prices are those of the newest visible snapshot; what the account paid and received is exact.
    """

    __slots__ = ("_book", "_places", "_products", "_start", "_ticks")

    def __init__(self, book: Book, ticks: Mapping[str, Tick], products: Mapping[str, Product]) -> None:
        self._book = book
        self._ticks = ticks
        self._products = products
        self._start = book.cash
        self._places: dict[Contract, int] = {}

    def __bool__(self) -> bool:
        return bool(self._book.lots)

    def __repr__(self) -> str:
        held = ", ".join(f"{lots_quantity:+d} {contract}" for contract, lots_quantity in self._held())
        return f"<Portfolio {held or 'flat'}, cash {self.cash:,.2f}>"

    @property
    def positions(self) -> tuple[Position, ...]:
        """What is held, by symbol, strike and right."""
        found = []
        for contract, quantity in self._held():
            bid, ask = self._quote(contract)
            price = self._book.cost(contract) / (quantity * MULTIPLIER * MICRO)
            found.append(Position(*contract, quantity, price, bid, ask))
        return tuple(found)

    @property
    def cash(self) -> float:
        """USD: what the account began with, less what was paid, plus what was received, less fees."""
        return self._book.cash / MICRO

    @property
    def fees(self) -> float:
        """Paid so far, USD."""
        return self._book.fees / MICRO

    @property
    def realised(self) -> float:
        """Profit of what was closed, before fees, USD."""
        return self._book.realised / MICRO

    def value(self, at: str = "mid") -> float:
        """What the positions are worth, USD; NaN where one has no price.

        ``mid``, or ``touch``: what closing them would pay, a long option without a bid being worth nothing.
        """
        if at not in PRICED_AT:
            raise InvalidOrder(f"positions are priced at one of {', '.join(PRICED_AT)}, not at {at!r}")
        total = 0.0
        for contract, quantity in self._book.held.items():
            bid, ask = self._quote(contract)
            if at == "mid":
                price = _mid(bid, ask)
            else:
                price = ask if quantity < 0 else _or_zero(bid) if ask == ask else math.nan
            total += quantity * price
        return total * MULTIPLIER

    def unrealised(self, at: str = "mid") -> float:
        """Profit of what is open, before fees, USD; see :meth:`value`."""
        return self.value(at) - self._book.spent / MICRO

    def profit(self, at: str = "mid") -> float:
        """Profit of the session so far, after fees, USD; see :meth:`value`."""
        return self.value(at) + (self._book.cash - self._start) / MICRO

    def equity(self, at: str = "mid") -> float:
        """Cash and the value of the positions, USD; see :meth:`value`."""
        return self.cash + self.value(at)

    @property
    def greeks(self) -> PortfolioGreeks:
        """Delta, gamma, theta and vega of all positions, from the vols of the newest visible snapshot."""
        totals = [0.0] * 4
        for contract, quantity in self._held():
            tick = self._ticks[contract.symbol]
            at = self._place(contract)
            vol = math.nan if at is None else float(tick.values("call_iv" if contract.right == "C" else "put_iv")[at])
            held = tick.levels.conventions or REPLAY_1
            years = held.years(tick.session, np.array([to_us(tick.now)]))
            own = option_greeks(
                contract.right, np.array([tick.spot]), contract.strike, years, np.array([vol]), held.rate, held.dividend
            )
            totals = [total + float(each[0]) * quantity * MULTIPLIER for total, each in zip(totals, own, strict=True)]
        return PortfolioGreeks(*totals)

    @property
    def requirement(self) -> float:
        """What the broker asks to be kept for the positions, USD; see :func:`replay.account.margin.requirement`."""
        total = 0.0
        for symbol in sorted({contract.symbol for contract in self._book.lots}):
            held = [(each.right, each.strike, count) for each, count in self._held() if each.symbol == symbol]
            mark = functools.partial(self._mark, symbol)
            total += requirement(held, self._ticks[symbol].spot, mark, self._products[symbol].margin)
        return total

    @property
    def buying_power(self) -> float:
        """Cash that is not asked for, USD."""
        return self.cash - self.requirement

    def closing(self, symbol: str) -> tuple[tuple[Leg, ...], int] | None:
        """The legs and quantity of the order that closes a symbol's positions; ``None`` where nothing is to close.

        A long option that is quoted without a bid is left to expire: nobody buys it.
        """
        held = [
            (contract, count)
            for contract, count in self._held()
            if contract.symbol == symbol and not (count > 0 and self._is_worthless(contract))
        ]
        if not held:
            return None
        size = math.gcd(*(count for _, count in held))
        return tuple(Leg(each.right, each.strike, count // size) for each, count in held), -size

    def _held(self) -> list[tuple[Contract, int]]:
        return sorted(self._book.held.items(), key=lambda each: (each[0].symbol, each[0].strike, each[0].right))

    def _is_worthless(self, contract: Contract) -> bool:
        bid, ask = self._quote(contract)
        return ask > 0 and not bid > 0

    def _mark(self, symbol: str, right: str, strike: float) -> float:
        return _mid(*self._quote(Contract(symbol, right, strike)))

    def _quote(self, contract: Contract) -> tuple[float, float]:
        at = self._place(contract)
        if at is None:
            return math.nan, math.nan
        side, tick = "call" if contract.right == "C" else "put", self._ticks[contract.symbol]
        return float(tick.values(f"{side}_bid")[at]), float(tick.values(f"{side}_ask")[at])

    def _place(self, contract: Contract) -> int | None:
        """Where a contract's strike stands among those visible."""
        strikes = self._ticks[contract.symbol].strikes
        at = self._places.get(contract, -1)
        if not (0 <= at < len(strikes) and strikes[at] == contract.strike):
            at = self._places[contract] = int(np.searchsorted(strikes, contract.strike))
        return at if at < len(strikes) and strikes[at] == contract.strike else None


def _or_zero(bid: float) -> float:
    return bid if bid == bid else 0.0


def _mid(bid: float, ask: float) -> float:
    bid = _or_zero(bid)
    return (bid + ask) / 2 if bid <= ask else math.nan
