"""What a symbol's 0DTE options are: their root, how they settle and are delivered, their ticks and their margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.errors import InvalidRun

MULTIPLIER: Final = 100
"""Units of the underlying a contract."""

AM_SETTLED: Final = ("SPX", "NDX", "RUT", "DJX", "VIX", "VIXW")
"""Roots whose options settle at the open of their expiration, which is after their last trading day."""

_SECOND: Final = {
    "SPX": "SPXW", "NDX": "NDXP", "RUT": "RUTW", "DJX": "DJXW", "VIX": "VIXW", "OEX": "OEXW", "XEO": "XEOW",
}  # fmt: skip
"""The roots of weekly options, PM-settled but for VIXW. Of a stock, a letter more makes another stock: SNA and SNAP."""

_INDEXES: Final = frozenset((*_SECOND, "XSP", "XND", "MRUT"))
_PENNIES: Final = frozenset(("SPY", "QQQ", "IWM", "XSP"))
"""Quoted in cents at every price."""
_BROAD: Final = frozenset(("SPX", "XSP", "NDX", "XND", "RUT", "MRUT", "OEX", "XEO", "DJX", "SPY", "QQQ", "IWM", "DIA"))
_CENT: Final = 10_000  # micro-dollars, as every price of the broker


@dataclass(frozen=True, slots=True)
class Product:
    """The options of one symbol that expire today and are traded today.

    Attributes
    ----------
    symbol, root
        The underlying, and the root of the contracts: ``SPX`` and ``SPXW``.
    physical
        Whether exercise delivers the underlying; else its value is paid in cash.
    tick_below, tick_above
        The minimum increment of a single option's price below 3 USD, and from there on, micro-dollars.
    margin
        The share of the underlying's value that a naked short option asks for.
    """

    symbol: str
    root: str
    physical: bool
    tick_below: int
    tick_above: int
    margin: float

    def tick(self, price: int, legs: int = 1) -> int:
        """The minimum increment at a price, micro-dollars; a combination trades in the smallest one."""
        return self.tick_below if legs > 1 or abs(price) < 3_000_000 else self.tick_above


def roots_of(symbol: str) -> tuple[str, ...]:
    """The roots of a symbol's options."""
    return (symbol, _SECOND[symbol]) if symbol in _SECOND else (symbol,)


def settles_at_close(symbol: str) -> bool:
    """Whether a symbol has options that trade on their expiration and settle at its close."""
    return any(root not in AM_SETTLED for root in roots_of(symbol))


def product_of(symbol: str, root: str | None = None) -> Product:
    """The options of a symbol that settle at the close.

    Parameters
    ----------
    symbol
        The underlying, upper case.
    root
        Which of its roots; ``None``: the one that trades on its expiration.

    Raises
    ------
    InvalidRun
        For a root that settles at the open (it stops trading the day before, so that there is nothing to trade on the
        day it expires), for a symbol that has no other, and for a root of another symbol.
    """
    settled_pm = [each for each in roots_of(symbol) if each not in AM_SETTLED]
    if root is not None and root not in roots_of(symbol):
        raise InvalidRun(f"root {root!r} is none of {symbol}; it has {', '.join(roots_of(symbol))}")
    if root in AM_SETTLED or not settled_pm:
        way = f"trade {' or '.join(settled_pm)}" if settled_pm else "it has no root that settles at the close"
        raise InvalidRun(
            f"{root or symbol} options are AM-settled: they stop trading the day before they expire and settle at the "
            f"open; {way}"
        )
    index, pennies = symbol in _INDEXES, symbol in _PENNIES
    return Product(
        symbol,
        root or settled_pm[-1],
        physical=not index,
        tick_below=_CENT if pennies or not index else 5 * _CENT,
        tick_above=_CENT if pennies else 10 * _CENT if index else 5 * _CENT,
        margin=0.15 if symbol in _BROAD else 0.20,
    )
