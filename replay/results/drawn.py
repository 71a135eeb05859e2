"""The sessions that tell most, with the heatmap each trade was made in."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import Final

import polars as pl

from replay.errors import InvalidRun
from replay.heatmap import Heatmap
from replay.lake import Lake, open_lake
from replay.results.lots import lots_of
from replay.results.traded import Traded
from replay.sessions import find_session

MOST: Final = 9
"""Sessions drawn: of more, the best, the worst, and those about the median, a third each."""
BAR: Final = "5m"
METRIC: Final = "gex"

Lakes = Lake | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Session:
    """A session to draw: its heatmap as known since, and its trades, of one symbol; ``profit`` USD if known.

    ``legs`` are the contracts that trades opened: ``order``, ``right``, ``strike``, ``quantity`` (below 0: sold),
    ``opened_at``, ``closed_at`` (the close where they were held into it).
    """

    date: dt.date
    symbol: str
    profit: float | None
    heatmap: Heatmap
    trades: pl.DataFrame
    legs: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Drawn:
    """Sessions to draw, by date, and the dates with trades that are not drawn."""

    sessions: tuple[Session, ...]
    left: tuple[dt.date, ...]


def draw(traded: Traded, lake: Lakes) -> Drawn:
    """The sessions to draw, with what the lake holds of them.

    Raises
    ------
    InvalidRun
        Where the lake is not as the run read it, naming the first file that differs.
    """
    if not isinstance(lake, Lake):
        with open_lake(lake) as opened:
            return draw(traded, opened)
    dates = telling(traded)
    _check(traded, lake, dates)
    stated = traded.run.get("stated") or {}
    asked = {"oi": stated["basis"], "share": stated["share"], "conventions": stated["conventions"]} if stated else {}
    found = []
    for date in dates:
        trades = traded.trades.filter(pl.col("session") == date)
        profit = traded.sessions.filter(pl.col("session") == date)["profit"][0]
        for symbol in trades["symbol"].unique().sort():
            session = find_session(date)
            assert session is not None, "only sessions are replayed"
            shown = lake.heatmap(
                symbol, date, METRIC, minutes=session.minutes, known_at="latest", tier=traded.run["tier"], **asked
            )
            own = trades.filter(pl.col("symbol") == symbol)
            found.append(
                Session(date, symbol, profit, shown.resample(BAR), own, _legs(traded, date, symbol, session.close))
            )
    left = sorted(set(traded.trades["session"].to_list()) - set(dates))
    return Drawn(tuple(found), tuple(left))


def _check(traded: Traded, lake: Lake, dates: list[dt.date]) -> None:
    """Raise :class:`InvalidRun` unless the lake holds of these sessions what the run read."""
    read: dict[str, str] = traded.run["lake"]["files"]
    for date in dates:
        for symbol in traded.run["symbols"]:
            now = lake.fingerprint(symbol, date, traded.run["tier"])
            own = {path: digest for path, digest in read.items() if f"symbol={symbol}/date={date}/" in path}
            if now != own:
                changed = min(path for path, _ in set(now.items()) ^ set(own.items()))
                raise InvalidRun(f"the lake {lake.path} is not as {traded.name} read it: {changed} differs")


def _legs(traded: Traded, date: dt.date, symbol: str, close: dt.datetime) -> pl.DataFrame:
    """What was opened of a symbol, each lot until it was closed; into the close where it never was."""
    lots = lots_of(traded, date, symbol).with_columns(pl.col("closed_at").fill_null(close))
    return lots.select("order", "right", "strike", "quantity", "opened_at", "closed_at").sort(
        "order", "strike", "right"
    )


def telling(traded: Traded) -> list[dt.date]:
    """At most :data:`MOST` sessions with trades, by date; unsettled ones only where there is room."""
    rows = traded.sessions.filter(pl.col("trades") > 0).select("session", "profit")
    if len(rows) <= MOST:
        return rows["session"].to_list()
    ranked = rows.drop_nulls().sort("profit", "session")["session"].to_list()
    if len(ranked) <= MOST:
        more = rows.filter(pl.col("profit").is_null())["session"].to_list()
        return sorted([*ranked, *more[: MOST - len(ranked)]])
    third = MOST // 3
    middle = (len(ranked) - third) // 2
    return sorted({*ranked[:third], *ranked[middle : middle + third], *ranked[-third:]})
