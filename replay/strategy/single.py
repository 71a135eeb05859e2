"""A base for strategies that enter once a session and then take profit, stop, or hold to settlement."""

from __future__ import annotations

import math

import numpy as np

from replay.account.order import Order
from replay.products import MULTIPLIER
from replay.strategy import Context, Strategy


class SingleEntry(Strategy):
    """Enters once a session, and manages what it holds. Override :meth:`enter`, and :meth:`is_time` where needed.

    From ``minutes`` before the close on :meth:`enter` is called at each tick until an order of its is filled; one that
    found no fill is sent anew. What is held is closed at the market once its profit, at what closing would cost, is
    ``take`` of the premium of the entry or more, or its loss ``stop`` of it or more; a long option without a bid is
    left to expire.

    Parameters
    ----------
    minutes
        Before the close.
    contracts
        Combinations to trade.
    take, stop
        In parts of the premium; 0: not at all.
    """

    minutes: int = 120
    contracts: int = 1
    take: float = 0.0
    stop: float = 0.0

    def enter(self, ctx: Context) -> Order | None:
        """Send the order of the entry, or ``None`` where what it needs is not known."""
        raise NotImplementedError

    def is_time(self, ctx: Context) -> bool:
        """Whether to enter now."""
        return ctx.minutes_left <= self.minutes

    def on_open(self, ctx: Context) -> None:  # noqa: ARG002  # as every strategy's
        """Nothing is held."""
        self._entry: Order | None = None
        self._exit: Order | None = None

    def on_tick(self, ctx: Context) -> None:
        """Enter, or watch what is held."""
        entry = self._entry
        if entry is None or not (entry.is_working or entry.is_filled):
            if self.is_time(ctx) and ctx.minutes_left > 0:
                self._entry = self.enter(ctx)
            return
        if not entry.is_filled or not (self.take or self.stop):
            return
        if self._exit is not None and (self._exit.is_working or self._exit.is_filled):
            return
        assert entry.price is not None, "it is filled"
        premium = abs(entry.price * entry.quantity) * MULTIPLIER
        profit = ctx.portfolio.unrealised("touch")
        if self.take and profit >= self.take * premium:
            self._exit = ctx.flatten(tag="take")
        elif self.stop and profit <= -self.stop * premium:
            self._exit = ctx.flatten(tag="stop")

    def level(self, ctx: Context, name: str) -> float | None:
        """The listed strike nearest to a level (``magnet``, ``max_pain``, a wall) or to ``spot``.

        ``None`` where it is not known.
        """
        price = ctx.spot if name == "spot" else getattr(ctx.levels, name)
        return None if price is None else self.listed_near(ctx, price)

    def listed_near(self, ctx: Context, price: float) -> float | None:
        """The listed strike nearest to a price, the lower of two; ``None`` where none is known."""
        strikes = ctx.strikes
        if len(strikes) == 0 or math.isnan(price):
            return None
        return float(strikes[int(np.argmin(np.abs(strikes - price)))])
