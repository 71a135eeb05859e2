"""Sell an iron fly at the predicted pin."""

from __future__ import annotations

from typing import Literal

import replay


class PinFly(replay.SingleEntry):
    """Sells an iron fly centred on a pin once a session, and takes profit, stops, or holds to settlement.

    At the first tick from ``minutes`` before the close on at which the centre is known, it sells ``contracts`` iron
    flies at the market. While they are open it closes all of them once their profit, at what closing would cost, is
    ``take`` of the credit or more, or their loss ``stop`` of it or more.

    Parameters
    ----------
    center
        ``magnet``, ``max_pain``, ``call_wall``, ``put_wall`` or ``spot``: the listed strike nearest to it.
    wing
        USD from the centre to the wings.
    minutes
        Before the close.
    contracts
        Iron flies to sell.
    take
        Profit to close at, in parts of the credit; 0: none.
    stop
        Loss to close at, in parts of the credit; 0: none.
    """

    center: Literal["magnet", "max_pain", "call_wall", "put_wall", "spot"] = "magnet"
    wing: float = 5.0
    take: float = 0.5
    stop: float = 1.0

    def enter(self, ctx: replay.Context) -> replay.Order | None:
        """One iron fly, sold."""
        center = self.level(ctx, self.center)
        if center is None:
            return None
        return ctx.order(replay.iron_fly(center, self.wing), -self.contracts, tag="pin_fly")
