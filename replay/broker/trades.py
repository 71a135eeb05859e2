"""Round trips: what each order that opened contracts made of them, under the run's fills and under others."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from replay.account.legs import MICRO, Contract, legs_text
from replay.broker.desk import Desk, Execution
from replay.products import MULTIPLIER
from replay.records import AT

SCHEMA: Final = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("order", pa.int64(), nullable=False),
        pa.field("tag", pa.string()),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("legs", pa.string(), nullable=False),
        pa.field("quantity", pa.int64(), nullable=False),
        pa.field("opened_at", AT, nullable=False),
        pa.field("closed_at", AT),
        pa.field("exit", pa.string(), nullable=False),
        pa.field("price", pa.float64(), nullable=False),
        pa.field("spot", pa.float64()),
        pa.field("magnet", pa.float64()),
        pa.field("expected_move", pa.float64()),
        pa.field("settlement", pa.float64()),
        pa.field("fees", pa.float64(), nullable=False),
        pa.field("profit", pa.float64()),
        pa.field("mid", pa.float64()),
        pa.field("touch", pa.float64()),
        pa.field("worst", pa.float64()),
    ]
)
"""Columns of ``trades.parquet``: a row for each order that opened contracts, closed first in, first out.

``exit`` is ``closed``, ``settled``, ``both`` or ``unsettled``; ``price`` is what a combination cost or brought, USD a
share; ``spot``, ``magnet`` and ``expected_move`` are as its sender saw them. ``profit`` is after fees, USD; ``mid``,
``touch`` and ``worst`` are what it had been with every order that crossed filled there; null where not settled.
"""

_WAYS: Final = ("price", "mid", "touch", "worst")


@dataclass(slots=True)
class Trade:
    """What came of one order's contracts: profits before fees by :data:`_WAYS`, and fees, micro-dollars."""

    order: int
    profits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WAYS, 0))
    fees: int = 0
    closed_at: int | None = None
    exits: set[str] = field(default_factory=set)


def trades_of(desk: Desk) -> list[Trade]:
    """The round trips of a session, by the order that opened them."""
    lots: dict[Contract, deque[list[int]]] = {}
    opened: dict[int, Execution] = {}
    found: dict[int, Trade] = {}
    for number, each in enumerate(desk.executions):
        opened[number] = each
        left, fee = each.quantity, each.fee // abs(each.quantity)
        held = lots.setdefault(each.contract, deque())
        while left and held and held[0][1] * left < 0:
            before = opened[held[0][0]]
            part = min(abs(held[0][1]), abs(left)) * (1 if held[0][1] > 0 else -1)
            trade = found[before.order]
            for way in _WAYS:
                trade.profits[way] += part * (getattr(each, way) - getattr(before, way)) * MULTIPLIER
            trade.fees += fee * abs(part)
            trade.closed_at = each.at
            trade.exits.add("closed" if each.order else "settled")
            held[0][1] -= part
            left += part
            if held[0][1] == 0:
                held.popleft()
        if left:
            held.append([number, left])
            found.setdefault(each.order, Trade(each.order)).fees += fee * abs(left)
    for held in lots.values():
        for number, _ in held:
            found[opened[number].order].exits.add("unsettled")
    return list(found.values())


def table(desk: Desk, found: list[Trade]) -> pa.Table:
    """The trades of a session, as :data:`SCHEMA` has them."""
    sent = {row["order"]: row for row in desk.ledger.rows if row["event"] == "order"}
    rows = []
    for trade in found:
        order, seen = desk.orders[trade.order - 1], sent[trade.order]
        assert order.filled is not None, "it opened contracts"
        settled = "unsettled" not in trade.exits
        settlement = desk.settlements.get(order.symbol)
        ways = {way: (trade.profits[way] - trade.fees) / MICRO if settled else None for way in _WAYS}
        rows.append(
            {
                "session": desk.ledger.session, "order": order.number, "tag": order.tag, "symbol": order.symbol,
                "legs": legs_text(order.legs), "quantity": order.quantity, "opened_at": order.filled,
                "closed_at": trade.closed_at if settled else None,
                "exit": "unsettled" if not settled else "both" if len(trade.exits) > 1 else next(iter(trade.exits)),
                "price": order.price, "spot": seen["spot"], "magnet": seen["magnet"],
                "expected_move": seen["expected_move"], "settlement": settlement.price if settlement else None,
                "fees": trade.fees / MICRO, "profit": ways.pop("price"), **ways,
            }
        )  # fmt: skip
    columns = []
    for each in SCHEMA:
        values = [row[each.name] for row in rows]
        columns.append(pa.array(values, pa.int64()).cast(AT) if each.type == AT else pa.array(values, each.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)
