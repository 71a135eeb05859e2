"""How a run traded: its round trips, orders, fills and misses, and how much of the time and capital it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from replay.ragged import Floats
from replay.results.profile import deepest
from replay.results.traded import Traded, column


@dataclass(frozen=True, slots=True)
class Activity:
    """What trading came to beside the profits by session; ``None`` where not defined.

    Attributes
    ----------
    trades, unsettled_trades
        Round trips, and those of them whose result is not known, which count in none of the next six.
    win_rate, profit_factor
        By trade: share with a profit above 0; profits over losses, ``None`` without a loss.
    mean_trade, average_win, average_loss, payoff
        USD a trade; ``payoff`` is the average win over the size of the average loss.
    contracts, turnover, fees
        Contracts traded, premium traded and fees paid, USD, of all sessions.
    fees_share
        Fees over the profit before them, of the settled sessions; ``None`` where that is not above 0.
    exposure
        The share of all ticks after which contracts were open.
    requirement
        The most that was asked for as buying power, USD.
    tick_drawdown
        The deepest fall of the equity tick by tick, positions at mid, USD, 0 or above.
    total_return
        The profit of the settled sessions over the capital, a share.
    """

    trades: int
    unsettled_trades: int
    win_rate: float | None
    profit_factor: float | None
    mean_trade: float | None
    average_win: float | None
    average_loss: float | None
    payoff: float | None
    contracts: int
    turnover: float
    fees: float
    fees_share: float | None
    exposure: float
    requirement: float
    tick_drawdown: float
    total_return: float


SETTLEMENT = (
    "session", "settlement", "settlement_source", "unsettled_because", "open_contracts", "settlement_value",
    "assigned_shares", "pin_contracts",
)  # fmt: skip


def settlements(traded: Traded) -> pl.DataFrame:
    """The sessions that held contracts into the close, a row each; columns :data:`SETTLEMENT` as in the sessions."""
    return traded.sessions.filter(pl.col("open_contracts") > 0).select(SETTLEMENT)


def activity(traded: Traded) -> Activity:
    """How a run traded."""
    every = column(traded.trades, "profit")
    known = every[np.isfinite(every)]
    wins, losses = known[known > 0], known[known < 0]
    won, lost = _mean(wins), _mean(losses)
    settled = traded.settled
    fees = float(column(settled, "fees").sum())
    gross = float(column(settled, "profit").sum()) + fees
    held = column(traded.equity, "contracts")
    return Activity(
        trades=len(every),
        unsettled_trades=len(every) - len(known),
        win_rate=len(wins) / len(known) if len(known) else None,
        profit_factor=float(wins.sum() / -losses.sum()) if len(losses) else None,
        mean_trade=_mean(known),
        average_win=won,
        average_loss=lost,
        payoff=None if won is None or lost is None else won / -lost,
        contracts=int(traded.sessions["contracts"].sum()),
        turnover=float(column(traded.sessions, "turnover").sum()),
        fees=float(column(traded.sessions, "fees").sum()),
        fees_share=fees / gross if gross > 0 else None,
        exposure=float((held > 0).mean()) if len(held) else 0.0,
        requirement=float(column(traded.sessions, "requirement").max(initial=0.0)),
        tick_drawdown=deepest(traded),
        total_return=float(traded.known().sum()) / traded.capital,
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def orders(traded: Traded) -> pl.DataFrame:
    """What became of orders: ``event``, ``what`` (how it was filled, or why not) and ``orders``, the most first.

    Events are ``fill``, ``miss`` (an attempt; an order may have several, and be counted under several reasons),
    ``cancel``, ``expire`` and ``reject``; ``times`` counts attempts.
    """
    kinds = ("fill", "miss", "cancel", "expire", "reject")
    rows = traded.ledger.filter(pl.col("event").is_in(kinds))
    what = pl.when(pl.col("event") == "fill").then("how").otherwise("reason").fill_null("")
    known = rows.select("session", "order", "at", "event", what=what)
    order = pl.col("event").replace_strict({kind: i for i, kind in enumerate(kinds)}, return_dtype=pl.Int64)
    return (
        known.group_by("event", "what")
        .agg(
            orders=pl.struct("session", "order").n_unique().cast(pl.Int64),
            times=pl.struct("session", "order", "at").n_unique().cast(pl.Int64),
        )
        .sort(order, -pl.col("orders"), "what")
    )
