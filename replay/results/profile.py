"""Where profit was made: by minutes to the close, by distance from the pin, over time, and by weekday."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Final

import numpy as np
import polars as pl

from replay.results.traded import Traded, column
from replay.sessions import find_session, to_us

BIN_MINUTES: Final = 15
MOST_POINTS: Final = 2400
"""Ticks that a path over time keeps at most, beside each session's last."""

_MOVES: Final = (0.0, 0.25, 0.5, 1.0, 2.0, math.inf)
_DOLLARS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, math.inf)


def minutes_to_close(frame: pl.DataFrame) -> pl.Series:
    """How long before its session's close each row's ``at`` lies, minutes."""
    closes = {date: to_us(_close(date)) for date in frame["session"].unique()}
    close = pl.Series("minutes", [closes[date] for date in frame["session"]], pl.Int64)
    return (close - frame["at"].dt.epoch("us")) / 60e6


def by_minutes(traded: Traded) -> pl.DataFrame:
    """Profit by how long before the close it was made, over the settled sessions; their sums are the total.

    Returns
    -------
    ``start`` and ``end``, minutes before the close (``start`` is later in the day than ``end``; both 0: the last tick,
    with the settlement), ``total`` and ``mean`` a session, USD, ``sessions``: of how many contracts were open then;
    from the open to the close.
    """
    settled = traded.settled["session"]
    ticks = traded.equity.filter(pl.col("session").is_in(settled.implode()))
    ticks = ticks.with_columns(minutes_to_close(ticks))
    before = pl.col("profit", "contracts").shift(1).over("session").fill_null(0).name.suffix("_before")
    ticks = ticks.with_columns(before)
    minutes, made = column(ticks, "minutes"), column(ticks, "profit") - column(ticks, "profit_before")
    held = ((ticks["contracts"] != 0) | (ticks["contracts_before"] != 0)).to_numpy()
    number = np.where(minutes == 0, -1, minutes // BIN_MINUTES).astype(np.int64)
    kinds = {"start": pl.Int64, "end": pl.Int64, "total": pl.Float64, "mean": pl.Float64, "sessions": pl.Int64}
    rows = []
    for each in np.unique(number)[::-1].tolist():
        inside = number == each
        total = round(float(made[inside].sum()), 6)
        ends = (each * BIN_MINUTES, (each + 1) * BIN_MINUTES) if each >= 0 else (0, 0)
        count = ticks["session"].filter(pl.Series(inside & held)).n_unique()
        rows.append((*ends, total, total / len(settled), count))
    return pl.DataFrame(rows, schema=kinds, orient="row")


def by_pin(traded: Traded) -> pl.DataFrame:
    """The settled trades whose sender saw a magnet: how far from it the session settled, and the profit.

    Returns
    -------
    ``session``, ``order``, ``distance`` (settlement less magnet, USD), ``moves`` (the same in expected moves seen when
    the order was sent; null where not known) and ``profit``, USD.
    """
    known = traded.trades.filter(
        pl.col("profit").is_not_null() & pl.col("settlement").is_not_null() & pl.col("magnet").is_not_null()
    )
    distance = pl.col("settlement") - pl.col("magnet")
    moves = pl.when(pl.col("expected_move") > 0).then(distance / pl.col("expected_move"))
    return known.select("session", "order", distance=distance, moves=moves, profit=pl.col("profit"))


def pin_bins(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Rows of :func:`by_pin` by how far the settlement lay from the magnet, on either side.

    ``unit``: ``distance`` (USD) or ``moves``. Returns ``start`` (inclusive), ``end`` (exclusive, null: any more),
    ``trades``, ``wins``, ``mean`` and ``total``, USD; empty bins are left out.
    """
    edges = _DOLLARS if unit == "distance" else _MOVES
    away, profit = np.abs(column(rows, unit)), column(rows, "profit")
    found = []
    for start, end in itertools.pairwise(edges):
        inside = profit[(away >= start) & (away < end)]
        if len(inside):
            stop = end if math.isfinite(end) else None
            total = float(inside.sum())
            found.append((start, stop, len(inside), int((inside > 0).sum()), total / len(inside), total))
    kinds = {"start": pl.Float64, "end": pl.Float64, "trades": pl.Int64, "wins": pl.Int64}
    return pl.DataFrame(found, schema=kinds | {"mean": pl.Float64, "total": pl.Float64}, orient="row")


def path(traded: Traded) -> pl.DataFrame:
    """The account over time: at most :data:`MOST_POINTS` ticks, evenly taken, and each session's last.

    Returns
    -------
    ``number`` of the tick among all of the run, ``session``, ``at``, ``equity``, ``drawdown`` (how far below its
    highest so far, or the capital, 0 or above, of all ticks), ``delta``, ``gamma``, ``theta``, ``vega``.
    """
    ticks = traded.equity
    peak = pl.col("equity").fill_null(strategy="forward").cum_max().clip(lower_bound=traded.capital)
    every = max(1, math.ceil(len(ticks) / MOST_POINTS))
    last = pl.col("session") != pl.col("session").shift(-1)
    return (
        ticks.with_row_index("number")
        .with_columns(drawdown=peak - pl.col("equity"), last=last.fill_null(value=True))
        .filter((pl.col("number") % every == 0) | pl.col("last"))
        .select("number", "session", "at", "equity", "drawdown", "delta", "gamma", "theta", "vega")
    )


def deepest(traded: Traded) -> float:
    """The largest fall of the equity below an earlier tick's or the capital, USD, 0 or above."""
    equity = column(traded.equity, "equity")
    equity = equity[np.isfinite(equity)]
    peaks = np.maximum(np.maximum.accumulate(equity), traded.capital)
    return float((peaks - equity).max()) if len(equity) else 0.0


def ranges(traded: Traded) -> dict[str, tuple[float, float] | None]:
    """The least and the most of the equity and of each greek over all ticks; ``None`` where none is known."""
    found: dict[str, tuple[float, float] | None] = {}
    for name in ("equity", "delta", "gamma", "theta", "vega"):
        values = column(traded.equity, name)
        known = values[np.isfinite(values)]
        found[name] = (float(known.min()), float(known.max())) if len(known) else None
    return found


def calendar(traded: Traded) -> pl.DataFrame:
    """Profit by day: ``session``, ``monday`` of its week, ``weekday`` (0: Monday), ``profit`` (null: not settled)."""
    return traded.sessions.select(
        "session",
        monday=pl.col("session").dt.truncate("1w"),
        weekday=pl.col("session").dt.weekday().cast(pl.Int64) - 1,
        profit="profit",
    )


def by_weekday(traded: Traded) -> pl.DataFrame:
    """Settled sessions by ``weekday`` (0: Monday): ``sessions``, ``mean`` and ``total``, USD."""
    known = calendar(traded).filter(pl.col("profit").is_not_null())
    weekday, profit = known["weekday"].to_numpy(), column(known, "profit")
    rows = []
    for day in np.unique(weekday).tolist():
        own = profit[weekday == day]
        rows.append((day, len(own), float(own.mean()), float(own.sum())))
    kinds = {"weekday": pl.Int64, "sessions": pl.Int64, "mean": pl.Float64, "total": pl.Float64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _close(date: dt.date) -> dt.datetime:
    session = find_session(date)
    assert session is not None, "only sessions are replayed"
    return session.close
