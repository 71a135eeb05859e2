"""Small sessions of quotes by hand, and strategies that do what a test says at given times."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import replay
from replay.engine.result import Result
from tests import lakes
from tests.lakes import DAY, MINUTE, SECOND, Row

Quote = tuple[float | None, float | None]
Act = Callable[[replay.Context], Any]


def chain(
    wall: str,
    calls: Mapping[float, Quote],
    puts: Mapping[float, Quote] | None = None,
    *,
    spot: float | None = 600.0,
    lag: int = 0,
    date: dt.date = DAY,
    **lists: Any,
) -> Row:
    """One snapshot of (bid, ask) by strike, USD."""
    puts = puts or {}
    strikes = sorted({*calls, *puts})
    none: Quote = (None, None)
    return lakes.row(
        lakes.at(wall, date),
        strikes,
        lag=lag,
        spot=spot,
        call_bid=[calls.get(each, none)[0] for each in strikes],
        call_ask=[calls.get(each, none)[1] for each in strikes],
        put_bid=[puts.get(each, none)[0] for each in strikes],
        put_ask=[puts.get(each, none)[1] for each in strikes],
        **lists,
    )


def every(
    start: str,
    end: str,
    step: int,
    calls: Mapping[float, Quote],
    puts: Mapping[float, Quote] | None = None,
    **more: Any,
) -> list[Row]:
    """The same quotes from start to end, both inclusive, each ``step`` microseconds."""
    date = more.get("date", DAY)
    first, last = lakes.at(start, date), lakes.at(end, date)
    made = []
    for ts in range(first, last + 1, step):
        one = chain(start, calls, puts, **more)
        one["recorded_at"] += ts - one["ts"]
        one["ts"] = ts
        made.append(one)
    return made


def store(root: pathlib.Path, rows: list[Row], symbol: str = "SPY", date: dt.date = DAY, **kind: Any) -> pathlib.Path:
    """Write a session; without metadata of a cadence unless it is given."""
    lakes.write_own(root, symbol, rows, date=date, **kind)
    return root


def scripted(acts: Mapping[str, Act]) -> type[replay.Strategy]:
    """A strategy that acts at these New York times (``open`` and ``close`` are its other callbacks)."""

    class Scripted(replay.Strategy):
        def on_open(self, ctx: replay.Context) -> None:
            if "open" in acts:
                acts["open"](ctx)

        def on_tick(self, ctx: replay.Context) -> None:
            act = acts.get(f"{ctx.now:%H:%M}")
            if act is not None and ctx.now.second == 0:
                act(ctx)

        def on_close(self, ctx: replay.Context) -> None:
            if "close" in acts:
                acts["close"](ctx)

    return Scripted


def act(root: pathlib.Path, acts: Mapping[str, Act], **asked: Any) -> Result:
    """Run a scripted strategy on a lake; without fees unless they are asked for."""
    return replay.run(scripted(acts), root, **({"symbols": "SPY", "fees": "zero"} | asked))


def fills(result: Result) -> list[tuple[str, str, float, int, float]]:
    """Each fill: New York time, right, strike, contracts, price."""
    rows = result.ledger().filter(event="fill").to_dicts()
    return [(f"{row['at']:%H:%M:%S}", row["right"], row["strike"], row["quantity"], row["price"]) for row in rows]


def events(result: Result, *kinds: str) -> list[tuple[str, str, str | None]]:
    """Each event of these kinds: New York time, kind, reason."""
    rows = result.ledger().to_dicts()
    return [(f"{row['at']:%H:%M:%S}", row["event"], row["reason"]) for row in rows if row["event"] in kinds]


__all__ = ["DAY", "MINUTE", "SECOND", "act", "chain", "events", "every", "fills", "scripted", "store"]
