"""Sell an iron fly at a strike drawn at random: the baseline that a report can be compared with."""

from __future__ import annotations

import numpy as np

import replay


class Coin(replay.SingleEntry):
    """Does as ``pin_fly`` does, at a listed strike drawn at random (by the run's seed) no further than ``reach``
    expected moves from spot.

    Whatever it earns, an iron fly earns without a prediction.

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
    take, stop
        In parts of the credit; 0: not at all.
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
