"""Sell an iron fly at a strike drawn at random: the baseline that a report can be compared with."""

from __future__ import annotations

import numpy as np

import replay


class Coin(replay.SingleEntry):
    """Sells an iron fly once a session at a listed strike drawn at random, within ``reach`` expected moves of spot.

    The draw is of the run's seed; all else is as in ``pin_fly``. What it earns, an iron fly earns without a prediction.

    Parameters
    ----------
    reach
        In expected moves.
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

    reach: float = 1.0
    wing: float = 5.0
    take: float = 0.5
    stop: float = 1.0

    def enter(self, ctx: replay.Context) -> replay.Order | None:
        """One iron fly, sold."""
        move = ctx.levels.expected_move
        near = ctx.strikes[np.abs(ctx.strikes - ctx.spot) <= self.reach * move] if move is not None else ctx.strikes[:0]
        if len(near) == 0:
            return None
        return ctx.order(replay.iron_fly(float(ctx.rng.choice(near)), self.wing), -self.contracts, tag="coin")
