"""Which roots options have: a stock's is its symbol; an index has a second one for those that settle at the close."""

from __future__ import annotations

from typing import Final

AM_SETTLED: Final = ("SPX", "NDX", "RUT", "DJX", "VIX", "VIXW")
"""Roots whose options settle at the open of their expiration, which is after their last trading day."""

_SECOND: Final = {
    "SPX": "SPXW", "NDX": "NDXP", "RUT": "RUTW", "DJX": "DJXW", "VIX": "VIXW", "OEX": "OEXW", "XEO": "XEOW",
}  # fmt: skip
"""The roots of weekly options, PM-settled but for VIXW. Of a stock, a letter more makes another stock: SNA and SNAP."""


def roots_of(symbol: str) -> tuple[str, ...]:
    """The roots of a symbol's options."""
    return (symbol, _SECOND[symbol]) if symbol in _SECOND else (symbol,)
