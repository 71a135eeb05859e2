"""What the benchmarks replay sessions into; in a file of their own, so that other processes find them."""

from __future__ import annotations

import time

import numpy as np

import replay

CLOCKS: list[float] = []
"""When :class:`ReadsClose` was called."""


class ReadsRow(replay.Strategy):
    """Reads one metric's row and does nothing with it."""

    def on_tick(self, ctx: replay.Context) -> None:
        ctx.values("gex")


class RecordsRow(replay.Strategy):
    """Reads one metric's row and records two numbers."""

    def on_tick(self, ctx: replay.Context) -> dict[str, object]:
        return {"spot": ctx.spot, "largest": np.abs(ctx.values("gex")).max()}


class ReadsClose(replay.Strategy):
    """Reads the price of each minute, as the peers' empty strategies do, and notes the time."""

    def on_tick(self, ctx: replay.Context) -> None:
        CLOCKS.append(time.perf_counter())
        ctx.spot  # noqa: B018  # reading it is what is timed
