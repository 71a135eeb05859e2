"""Sell an iron condor outside of the walls."""

from __future__ import annotations

import replay


class WallCondor(replay.SingleEntry):
    """Sells an iron condor once a session, with the short put at the put wall or below and the short call at the call
    wall or above.

    The short strikes lie ``outside`` USD beyond the walls, and no nearer to spot than ``outside``; where both walls lie
    on one side of spot, nothing is sold. Entry, ``take`` and ``stop`` are as in ``pin_fly``.

    Parameters
    ----------
    outside
        USD from the walls to the short strikes.
    wing
        USD from the short strikes to the wings.
    minutes
        Before the close.
    contracts
        Condors to sell.
    take
        Profit to close at, in parts of the credit; 0: none.
    stop
        Loss to close at, in parts of the credit; 0: none.
    """

    outside: float = 0.0
    wing: float = 5.0
    take: float = 0.5
    stop: float = 2.0

    def enter(self, ctx: replay.Context) -> replay.Order | None:
        """One iron condor, sold."""
        levels, spot = ctx.levels, ctx.spot
        if levels.put_wall is None or levels.call_wall is None or not levels.put_wall < spot < levels.call_wall:
            return None
        put = self.listed_near(ctx, min(levels.put_wall, spot) - self.outside)
        call = self.listed_near(ctx, max(levels.call_wall, spot) + self.outside)
        if put is None or call is None or not put < call:
            return None
        return ctx.order(replay.iron_condor(put, call, self.wing), -self.contracts, tag="wall_condor")
