"""A session's account tick by tick: cash, the value of what is held, and the proof that the two are its equity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from replay.account.legs import MICRO, Contract
from replay.broker.desk import Desk, Execution
from replay.errors import LedgerBroken
from replay.market import Market
from replay.products import MULTIPLIER
from replay.ragged import Bools, Floats, Ints
from replay.records import AT, moment_text

SCHEMA: Final = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("at", AT, nullable=False),
        pa.field("cash", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("equity", pa.float64()),
        pa.field("profit", pa.float64()),
        pa.field("touch", pa.float64()),
        pa.field("contracts", pa.int64()),
        pa.field("mark_age", pa.float64()),
        pa.field("delta", pa.float64()),
        pa.field("gamma", pa.float64()),
        pa.field("theta", pa.float64()),
        pa.field("vega", pa.float64()),
    ]
)
"""Columns of ``equity.parquet``, a row a tick.

``cash``, ``value`` of the positions at mid and ``equity``, their sum, are USD, as they stand after what happened at the
instant; over the sessions they are chained. ``profit`` is the session's so far, after fees; ``touch`` the same with the
positions at what closing them would pay. ``contracts`` are open ones, of either sign; ``mark_age`` how old the oldest
quote among them is, seconds. The greeks are those of the account: shares, shares per USD, USD per calendar day, USD per
vol point; null where a vol is not known.
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """(I,) a tick each, micro-dollars but for contracts and ``age`` (microseconds).

    ``held`` (C, I) are the contracts of ``options`` after each tick.
    """

    cash: Ints
    value: Ints
    touch: Ints
    age: Ints
    options: tuple[Contract, ...]
    held: Ints


def curve(desk: Desk, instants: Ints) -> Curve:
    """The account after each of these instants (I,), microseconds, ascending; the last is the close.

    Raises
    ------
    LedgerBroken
        If at any of them cash and positions are not what profits and fees make of what the account began with.
    """
    instants = np.asarray(instants, np.int64)
    options = tuple(sorted({each.contract for each in desk.executions}))
    marks = {each: _Marks.of(desk.market(each.symbol), each, desk.executions, instants) for each in options}
    held = np.zeros((len(options), len(instants)), np.int64)
    cash = np.full(len(instants), desk.start, np.int64)
    value, touch, age = (np.zeros(len(instants), np.int64) for _ in range(3))
    gained = np.zeros(len(instants), np.int64)
    for each in desk.executions:
        at = int(np.searchsorted(instants, each.at, side="left"))
        held[options.index(each.contract), at:] += each.quantity
        cash[at:] -= each.quantity * each.price * MULTIPLIER + each.fee
        gained[at] += each.quantity * (int(marks[each.contract].mid[at]) - each.price) * MULTIPLIER - each.fee
    for own, option in zip(held, options, strict=True):
        mark = marks[option]
        value += own * mark.mid * MULTIPLIER
        touch += own * np.where(own > 0, mark.bid, mark.ask) * MULTIPLIER
        age = np.maximum(age, np.where(own != 0, mark.age, 0))
        gained[1:] += own[:-1] * np.diff(mark.mid) * MULTIPLIER
    _prove(desk, instants, cash, value, desk.start + np.cumsum(gained), dict(zip(options, held, strict=True)))
    return Curve(cash, value, touch, age, options, held)


def _prove(desk: Desk, instants: Ints, cash: Ints, value: Ints, equity: Ints, held: dict[Contract, Ints]) -> None:
    """Hold the balance against the sum of profits, and the curve's end against the book."""
    wrong = np.flatnonzero(cash + value != equity)
    if len(wrong):
        i = int(wrong[0])
        raise LedgerBroken(
            f"session {desk.ledger.session}, {moment_text(int(instants[i]))}: cash {cash[i] / MICRO:.6f} and positions "
            f"{value[i] / MICRO:.6f} are not the equity {equity[i] / MICRO:.6f}"
        )
    book = {contract: desk.book.quantity(contract) for contract in held}
    if int(cash[-1]) != desk.book.cash or any(int(own[-1]) != book[each] for each, own in held.items()):
        raise LedgerBroken(f"session {desk.ledger.session}: the book and the executions end apart")


@dataclass(frozen=True, slots=True)
class _Marks:
    """Prices of one option at each instant (I,), micro-dollars a share, and their age, microseconds."""

    mid: Ints
    bid: Ints
    ask: Ints
    age: Ints

    @classmethod
    def of(cls, market: Market, contract: Contract, executions: Sequence[Execution], instants: Ints) -> _Marks:
        """The newest usable quote up to each instant; before the first one, and of what has none, the traded price."""
        bid, ask = market.quotes(contract.right, contract.strike)
        usable = (ask > 0) & np.isfinite(ask) & ~(bid > ask)
        last = np.maximum.accumulate(np.where(usable, np.arange(len(usable)), -1)) if len(usable) else np.empty(0, int)
        at = np.searchsorted(market.ts, instants, side="right") - 1
        newest = np.where(at >= 0, last[np.maximum(at, 0)], -1)
        known = newest >= 0
        bids = _micros(np.where(bid > 0, bid, 0.0)[newest], known)
        asks = _micros(ask[newest], known)
        traded = _traded(contract, executions, instants)
        mid = np.where(known, (bids + asks) // 2, traded)
        age = np.where(known, instants - market.ts[newest], 0)
        return cls(mid, np.where(known, bids, traded), np.where(known, asks, traded), age)


def _micros(prices: Floats, known: Bools) -> Ints:
    return np.asarray(np.rint(np.where(known, prices, 0.0) * MICRO), np.int64)


def _traded(contract: Contract, executions: Sequence[Execution], instants: Ints) -> Ints:
    """What an option last traded at up to each instant, micro-dollars; 0 before it traded."""
    prices = np.zeros(len(instants), np.int64)
    for each in executions:
        if each.contract == contract:
            prices[int(np.searchsorted(instants, each.at, side="left")) :] = each.price
    return prices


def table(desk: Desk, instants: Ints, found: Curve, greeks: Sequence[Floats], *, settled: bool) -> pa.Table:
    """A session's rows, as :data:`SCHEMA` has them; where it was not settled, the close has no equity."""
    count = len(instants)
    value = found.value / MICRO
    equity = (found.cash + found.value) / MICRO
    profit = (found.cash + found.value - desk.start) / MICRO
    touch = (found.cash + found.touch - desk.start) / MICRO
    if not settled:
        for column in (value, equity, profit, touch):
            column[-1] = math.nan
    columns = [
        pa.array([desk.ledger.session] * count, pa.date32()),
        pa.array(instants, pa.int64()).cast(AT),
        *(pa.array(each, from_pandas=True) for each in (found.cash / MICRO, value, equity, profit, touch)),
        pa.array(np.abs(found.held).sum(axis=0)),
        pa.array(found.age / MICRO),
        *(pa.array(each, from_pandas=True) for each in greeks),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
