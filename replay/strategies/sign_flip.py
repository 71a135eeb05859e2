"""Strikes whose exposure changes sign."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import numpy as np

import replay


class SignFlip(replay.Strategy):
    """Records each strike whose gex changed sign, with both values and when the earlier one was last seen.

    One row a change, at the tick it is first seen; ticks without one give none. ``before`` and ``after`` are in the
    metric's unit, ``before_at`` is the tick at which ``before`` was last seen. Strikes are told apart by price, however
    the list drifts; values of ``floor`` or less, and what is not known, leave a strike's sign as it was. A correction
    that turns a sign is a change like any other: it is what became known then.

    Parameters
    ----------
    metric
        Any signed metric.
    floor
        The size up to which a value is noise, in the metric's unit (for gex USD of delta per 1 % move).
    """

    metric: Literal["gex", "dex", "vex", "chex", "signed_flow"] = "gex"
    floor: float = 1e6

    def on_open(self, ctx: replay.Context) -> None:
        """No strike has a sign yet."""
        self._last: dict[float, tuple[float, dt.datetime]] = {}

    def on_tick(self, ctx: replay.Context) -> None:
        """One row for each strike that changed sign."""
        values, strikes, now = ctx.values(self.metric), ctx.strikes, ctx.now
        told = (np.abs(values) > self.floor) & np.isfinite(strikes)  # NaN is not above anything
        for strike, after in zip(strikes[told].tolist(), values[told].tolist(), strict=True):
            before, before_at = self._last.get(strike, (after, now))
            if (before > 0) != (after > 0):
                ctx.record(strike=strike, before=before, after=after, before_at=before_at, spot=ctx.spot)
            self._last[strike] = after, now
