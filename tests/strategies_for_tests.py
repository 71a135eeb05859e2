"""Strategies that tests run by reference, in this process and in workers."""

from __future__ import annotations

import time
from typing import Any, Literal

import replay


class Everything(replay.Strategy):
    """Records what a tick shows, of each kind of value."""

    band: float = 0.5
    count: int = 3
    on: bool = True
    side: Literal["call", "put"] = "call"
    note: str | None = None

    def on_open(self, ctx: replay.Context) -> None:
        ctx.state["ticks"] = 0
        ctx.record(what="open", spot=ctx.spot)

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        ctx.state["ticks"] += 1
        return {
            "what": "tick",
            "spot": ctx.spot,
            "magnet": ctx.levels.magnet,
            "age": ctx.age,
            "stale": ctx.stale,
            "ticks": ctx.state["ticks"],
            "first_strikes": ctx.strikes[: self.count],
            "gex": ctx.values("gex")[: self.count],
            "draw": ctx.rng.random(),
        }

    def on_close(self, ctx: replay.Context) -> None:
        ctx.record(what="close", spot=ctx.spot, ticks=ctx.state["ticks"])
        ctx.log(f"{ctx.state['ticks']} ticks")


class Carries(replay.Strategy):
    """Counts through all sessions, in its state and in itself."""

    carries_state = True

    def __init__(self) -> None:
        self.own = 0

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        self.own += 1
        ctx.state["ticks"] = ctx.state.get("ticks", 0) + 1
        return {"ticks": ctx.state["ticks"], "own": self.own}


class Slow(replay.Strategy):
    """Takes its time."""

    pause: float = 0.001

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        time.sleep(self.pause)
        return {"spot": ctx.spot}


class SlowCarries(Carries):
    """Takes its time, and counts."""

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        time.sleep(0.001)
        return super().on_tick(ctx)


class SlowFly(replay.Strategy):
    """Sells an iron fly two hours before the close, and takes its time."""

    wing: float = 3.0
    pause: float = 0.0005

    def on_tick(self, ctx: replay.Context) -> None:
        time.sleep(self.pause)
        if ctx.minutes_left == 120 and ctx.levels.magnet is not None:
            ctx.order(replay.iron_fly(ctx.levels.magnet, self.wing), -1)


class CarriesFly(replay.Strategy):
    """Sells one iron fly more in each session."""

    carries_state = True

    wing: float = 3.0

    def on_tick(self, ctx: replay.Context) -> None:
        if ctx.minutes_left == 120 and ctx.levels.magnet is not None:
            ctx.state["flies"] = ctx.state.get("flies", 0) + 1
            ctx.order(replay.iron_fly(ctx.levels.magnet, self.wing), -ctx.state["flies"])


def fly_that_fails(ctx: replay.Context, *, wing: float = 3.0, total: float = 0.0) -> None:
    """Divides by zero with a wing of 5 in the session of April."""
    if ctx.session.date.month == 4 and wing == 5:
        raise ZeroDivisionError("no such wing")
    if ctx.minutes_left == 120 and total == 0 and ctx.levels.magnet is not None:
        ctx.order(replay.iron_fly(ctx.levels.magnet, wing), -1)


def fails(ctx: replay.Context, *, at: str = "10:30") -> dict[str, Any]:
    """Divides by zero at a time of the session of April."""
    if ctx.session.date.month == 4 and f"{ctx.now:%H:%M}" == at:
        return {"spot": 1 / 0}
    return {"spot": ctx.spot}


def bars(at: str, snapshot: dict[str, Any], *, skip: int = 0) -> dict[str, Any] | None:
    """On the heatmap's body, as live serves it."""
    if not snapshot["bars"]:
        return None
    return {"at_text": at, "bars": len(snapshot["bars"]) - skip, "price": snapshot["underlying_price"]}
