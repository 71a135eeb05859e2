"""Cash and open lots of one account, in whole micro-dollars."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from replay.account.legs import Contract
from replay.products import MULTIPLIER


@dataclass(slots=True)
class Lot:
    """So many contracts of one order at one price; ``quantity`` is below 0 where they were sold."""

    order: int
    quantity: int
    price: int


class Posting(NamedTuple):
    """What one execution moves: debits above 0, credits below; the four sum to 0."""

    cash: int
    position: int
    fees: int
    profit: int


class Closed(NamedTuple):
    """A part of a lot that an execution closed: the order that opened it, contracts, and its profit, micro-dollars."""

    order: int
    quantity: int
    profit: int


@dataclass(slots=True)
class Book:
    """The account: every execution is posted twice, and lots are closed first in, first out.

    Attributes
    ----------
    cash
        Micro-dollars, as are the two below.
    fees
        Paid so far.
    realised
        Profit of what was closed, before fees.
    spent
        What the open lots were bought for; below 0: sold for.
    lots, held
        Open lots by contract, the oldest first, and their contracts in all; below 0: sold short.
    """

    cash: int
    fees: int = 0
    realised: int = 0
    spent: int = 0
    lots: dict[Contract, deque[Lot]] = field(default_factory=dict)
    held: dict[Contract, int] = field(default_factory=dict)

    def quantity(self, contract: Contract) -> int:
        """Contracts held; below 0: sold short."""
        return self.held.get(contract, 0)

    def cost(self, contract: Contract) -> int:
        """What the open lots of a contract were bought for, micro-dollars; below 0 for those sold."""
        return sum(lot.quantity * lot.price for lot in self.lots.get(contract, ())) * MULTIPLIER

    def execute(self, contract: Contract, quantity: int, price: int, order: int) -> tuple[Posting, list[Closed]]:
        """Buy (or sell, below 0) contracts at a price, micro-dollars a share."""
        held = self.lots.setdefault(contract, deque())
        left, freed = quantity, 0
        closed: list[Closed] = []
        while left and held and held[0].quantity * left < 0:
            lot = held[0]
            part = min(abs(lot.quantity), abs(left)) * (1 if lot.quantity > 0 else -1)
            profit = part * (price - lot.price) * MULTIPLIER
            closed.append(Closed(lot.order, part, profit))
            freed += part * lot.price * MULTIPLIER
            lot.quantity -= part
            left += part
            if lot.quantity == 0:
                held.popleft()
        if left:
            held.append(Lot(order, left, price))
        self.held[contract] = self.held.get(contract, 0) + quantity
        if not held:
            del self.lots[contract], self.held[contract]
        spent = quantity * price * MULTIPLIER
        profit = sum(each.profit for each in closed)
        self.cash -= spent
        self.realised += profit
        position = left * price * MULTIPLIER - freed
        self.spent += position
        return Posting(-spent, position, 0, -profit), closed

    def charge(self, amount: int) -> Posting:
        """Pay a fee, micro-dollars."""
        self.cash -= amount
        self.fees += amount
        return Posting(-amount, 0, amount, 0)
