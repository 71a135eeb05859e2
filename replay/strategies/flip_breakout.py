"""Buy a vertical when spot crosses the gamma flip."""

from __future__ import annotations

import replay


class FlipBreakout(replay.SingleEntry):
    """Buys a vertical in the direction in which spot crosses the gamma flip, once a session.

    A cross is a change of the side on which spot lies of the flip, each of its own snapshot, between two ticks at which
    both are known, from ``band`` USD beyond it on. It buys the option nearest spot and sells the one listed nearest to
    ``wing`` USD further on: calls above the flip, puts below. Crosses later than ``minutes`` before the close are left
    alone. ``take`` and ``stop`` are as in ``pin_fly``, in parts of the debit.

    Parameters
    ----------
    band
        USD beyond the flip at which spot counts as through.
    wing
        USD between the two strikes.
    minutes
        Before the close, until which it enters.
    contracts
        Verticals to buy.
    take
        Profit to close at, in parts of the debit; 0: none.
    stop
        Loss to close at, in parts of the debit; 0: none.
    """

    band: float = 0.25
    wing: float = 2.0
    minutes: int = 30
    take: float = 1.0
    stop: float = 0.5

    def on_open(self, ctx: replay.Context) -> None:
        """No side is known yet."""
        super().on_open(ctx)
        self._side = 0

    def is_time(self, ctx: replay.Context) -> bool:
        """Until so many minutes before the close."""
        return ctx.minutes_left >= self.minutes

    def enter(self, ctx: replay.Context) -> replay.Order | None:
        """One vertical, bought, at a cross."""
        levels = ctx.levels
        if levels.gamma_flip is None or levels.spot is None:
            return None
        beyond = levels.spot - levels.gamma_flip
        side = 0 if abs(beyond) < self.band else 1 if beyond > 0 else -1
        before, self._side = self._side, side or self._side
        if not before or not side or side == before:
            return None
        long = self.listed_near(ctx, levels.spot)
        short = None if long is None else self.listed_near(ctx, long + side * self.wing)
        if long is None or short is None or short == long:
            return None
        right = "C" if side > 0 else "P"
        return ctx.order(replay.vertical(right, long, short), self.contracts, tag="flip_breakout")
