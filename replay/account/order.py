"""An order and what becomes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from replay.account.legs import MICRO, Leg, legs_text
from replay.sessions import NEW_YORK, from_us

WORKING: Final = "working"
FILLED: Final = "filled"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
REJECTED: Final = "rejected"


@dataclass(slots=True, eq=False)
class Order:
    """One order of a strategy; what becomes of it is written here as the strategy may know it.

    Attributes
    ----------
    number
        From 1, in the order sent within the session.
    symbol, legs, quantity
        ``quantity`` combinations are bought, or sold where it is below 0.
    limit
        USD a share and combination: the most a purchase pays, the least a sale receives; ``None``: a market order.
    tif
        ``session``, ``ioc`` (the first snapshot that can fill it), or a length of time such as ``10m``.
    tag
        The strategy's own name for it.
    status
        ``working``, ``filled``, ``cancelled``, ``expired`` or ``rejected``.
    reason
        Why it expired or was rejected; also the last reason for which it was not filled.
    misses
        Snapshots that could not fill it for their quotes.
    """

    number: int
    symbol: str
    legs: tuple[Leg, ...]
    quantity: int
    limit: float | None
    tif: str
    tag: str
    sent: int
    status: str = WORKING
    reason: str = ""
    misses: int = 0
    filled: int | None = None
    paid: int | None = None
    _withdraw: Callable[[Order], None] | None = field(default=None, repr=False)

    @property
    def sent_at(self) -> dt.datetime:
        """When it was sent, aware, New York."""
        return _clock(self.sent)

    @property
    def filled_at(self) -> dt.datetime | None:
        """The instant of the snapshot that filled it, aware, New York; ``None`` where none did."""
        return None if self.filled is None else _clock(self.filled)

    @property
    def price(self) -> float | None:
        """What it was filled at, USD a share and combination (what a purchase paid, a sale received); or ``None``."""
        return None if self.paid is None else self.paid / MICRO

    @property
    def is_working(self) -> bool:
        """Whether it may still be filled."""
        return self.status == WORKING

    @property
    def is_filled(self) -> bool:
        """Whether it was filled, which it is whole or not at all."""
        return self.status == FILLED

    def cancel(self) -> None:
        """Withdraw it; nothing happens where it works no longer. With a latency it may still be filled on its way."""
        if self._withdraw is not None and self.is_working:
            self._withdraw(self)

    def __str__(self) -> str:
        price = "market" if self.limit is None else f"limit {self.limit:g}"
        return f"#{self.number} {self.quantity:+d} x ({legs_text(self.legs)}) {price}, {self.status}"


def _clock(us: int) -> dt.datetime:
    return from_us(us).astimezone(NEW_YORK)
