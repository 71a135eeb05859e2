"""How the walls migrate."""

from __future__ import annotations

import datetime as dt

import replay


class Walls(replay.Strategy):
    """Records each move of the call wall and the put wall: from which strike to which, and since when.

    One row a move, at the tick that confirms it; ticks without one give none. ``strike`` is where the ``wall`` (call or
    put) stands now and ``before`` where it stood, USD, null for the first of the session; ``moved`` is the difference;
    ``since`` is the first tick of the new stand. A wall that is not known has not moved, and confirms nothing: its hold
    begins anew. The close logs each wall's moves.

    Parameters
    ----------
    hold
        Minutes that a wall must stand at a new strike, tick after tick, before it counts as moved there.
    """

    hold: int = 2

    def on_open(self, ctx: replay.Context) -> None:
        """No wall stands anywhere yet."""
        self._stands: dict[str, list[float]] = {"call": [], "put": []}
        self._tried: dict[str, tuple[float | None, dt.datetime]] = {}

    def on_tick(self, ctx: replay.Context) -> None:
        """One row for each wall whose move is confirmed."""
        levels = ctx.levels
        for wall, strike in (("call", levels.call_wall), ("put", levels.put_wall)):
            tried, since = self._tried.get(wall, (None, ctx.now))
            if strike != tried:
                since = ctx.now
            self._tried[wall] = strike, since
            stands = self._stands[wall]
            before = stands[-1] if stands else None
            if strike is None or strike == before or ctx.now - since < dt.timedelta(minutes=self.hold):
                continue
            stands.append(strike)
            moved = None if before is None else strike - before
            ctx.record(wall=wall, before=before, strike=strike, moved=moved, since=since, spot=ctx.spot)

    def on_close(self, ctx: replay.Context) -> None:
        """Where each wall stood over the session, in order."""
        for wall, stands in self._stands.items():
            ctx.log(f"{wall} wall: {' -> '.join(f'{strike:g}' for strike in stands) or 'not known'}")
