"""The levels of each minute: magnet, walls, flip, pin score and spot."""

from __future__ import annotations

from typing import Any

import replay


class Levels(replay.Strategy):
    """Records the magnet, the walls, the gamma flip, the pin score and spot at each tick.

    Prices are USD, the pin score 0 to 100. What is not known is null; a tick without data is a row of nulls.
    """

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        """One row a tick."""
        levels = ctx.levels
        return {
            "spot": ctx.spot,
            "magnet": levels.magnet,
            "call_wall": levels.call_wall,
            "put_wall": levels.put_wall,
            "gamma_flip": levels.gamma_flip,
            "pin_score": levels.pin_score,
        }
