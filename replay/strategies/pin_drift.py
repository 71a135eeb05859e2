"""Whether spot drifts towards the magnet."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import replay


class PinDrift(replay.Strategy):
    """Records the distance from spot to the magnet at each tick, and whether it shrinks.

    ``distance`` is magnet less spot, USD: above 0 where the magnet lies above spot. ``change`` is how much further
    away the magnet is than at the last tick at least ``lookback`` minutes ago, each measured to the magnet of its own
    time, USD: below 0 the distance shrinks, which ``shrinks`` says. ``pinned``: the magnet is within ``band`` of spot.
    Null where a side is not known, now or then.

    Parameters
    ----------
    lookback
        Minutes between the two distances that are compared.
    band
        USD from spot within which the magnet counts as reached, inclusive.
    """

    lookback: int = 15
    band: float = 0.5

    def on_open(self, ctx: replay.Context) -> None:
        """Nothing has been seen yet."""
        self._seen: deque[tuple[dt.datetime, float | None]] = deque()

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        """One row a tick."""
        magnet, spot = ctx.levels.magnet, ctx.levels.spot
        distance = None if magnet is None or spot is None else magnet - spot
        self._seen.append((ctx.now, distance))
        before = self._distance_at(ctx.now - dt.timedelta(minutes=self.lookback))
        change = None if distance is None or before is None else abs(distance) - abs(before)
        return {
            "spot": spot,
            "magnet": magnet,
            "distance": distance,
            "change": change,
            "shrinks": None if change is None else change < 0,
            "pinned": None if distance is None else abs(distance) <= self.band,
        }

    def _distance_at(self, moment: dt.datetime) -> float | None:
        """The distance at the last tick up to a moment; what lies before that tick is not needed any more."""
        while len(self._seen) > 1 and self._seen[1][0] <= moment:
            self._seen.popleft()
        at, distance = self._seen[0]
        return distance if at <= moment else None
