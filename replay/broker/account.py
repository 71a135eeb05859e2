"""What a session's trading comes to: its ledger, equity, trades, and one row of sums."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay.account.legs import MICRO, micro
from replay.account.order import CANCELLED, EXPIRED, FILLED, REJECTED
from replay.broker import equity, trades
from replay.broker.desk import Desk
from replay.broker.ledger import SCHEMA as LEDGER
from replay.broker.risk import account_greeks
from replay.products import MULTIPLIER
from replay.sessions import Session, to_us

PIN_SHARE: Final = 0.001
"""A strike within this share of the settlement price leaves open who is assigned."""

SESSIONS: Final = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("profit", pa.float64()),
        pa.field("mid", pa.float64()),
        pa.field("touch", pa.float64()),
        pa.field("worst", pa.float64()),
        pa.field("fees", pa.float64(), nullable=False),
        pa.field("equity", pa.float64()),
        pa.field("orders", pa.int64(), nullable=False),
        pa.field("filled", pa.int64(), nullable=False),
        pa.field("cancelled", pa.int64(), nullable=False),
        pa.field("expired", pa.int64(), nullable=False),
        pa.field("rejected", pa.int64(), nullable=False),
        pa.field("misses", pa.int64(), nullable=False),
        pa.field("wide_fills", pa.int64(), nullable=False),
        pa.field("stale_fills", pa.int64(), nullable=False),
        pa.field("same_fills", pa.int64(), nullable=False),
        pa.field("trades", pa.int64(), nullable=False),
        pa.field("contracts", pa.int64(), nullable=False),
        pa.field("turnover", pa.float64(), nullable=False),
        pa.field("exposure", pa.float64(), nullable=False),
        pa.field("drawdown", pa.float64(), nullable=False),
        pa.field("requirement", pa.float64(), nullable=False),
        pa.field("settled", pa.bool_(), nullable=False),
        pa.field("settlement", pa.float64()),
        pa.field("settlement_source", pa.string()),
        pa.field("unsettled_because", pa.string()),
        pa.field("open_contracts", pa.int64(), nullable=False),
        pa.field("settlement_value", pa.float64(), nullable=False),
        pa.field("pin_contracts", pa.int64(), nullable=False),
        pa.field("assigned_shares", pa.int64(), nullable=False),
    ]
)
"""Columns of ``sessions.parquet``, a row a session.

``profit`` is after fees, USD, null where the session held contracts at the close and has no settlement price; ``mid``,
``touch`` and ``worst`` as in ``trades.parquet``. ``equity`` is the account's after it, chained over the sessions; one
that is not settled adds nothing to it. Fills are counted by order; ``turnover`` is premium traded, USD; ``exposure``
the share of ticks with open contracts; ``drawdown`` the largest fall of the equity within the session, USD (above 0);
``requirement`` the most that was asked for, USD. ``open_contracts`` were held into the close, and ``settlement_value``
is what exercise and assignment made of them, USD, below 0: cost. Where the underlying is delivered,
``assigned_shares`` (net, below 0: delivered) are what that leaves behind, and ``pin_contracts`` those whose strike lies
within 0.1 % of the settlement price, of which nobody knows beforehand whether they are exercised.
"""

TABLES: Final = {"ledger": LEDGER, "equity": equity.SCHEMA, "trades": trades.SCHEMA, "sessions": SESSIONS}


def tables_of(desk: Desk, instants: list[int]) -> dict[str, pa.Table]:
    """The tables of a session that sent orders, by their names in :data:`TABLES`."""
    moments = np.array(instants, np.int64)
    found = equity.curve(desk, moments)
    settled = not desk.book.lots
    lines = equity.table(desk, moments, found, account_greeks(desk, moments, found), settled=settled)
    made = trades.trades_of(desk)
    return {
        "ledger": desk.ledger.table(),
        "equity": lines,
        "trades": trades.table(desk, made),
        "sessions": _row(_sums(desk, found, made, settled=settled)),
    }


def row_of(desk: Desk, instants: list[int]) -> pa.Table:
    """The row of sums alone of a session that sent orders; its cash and positions are proved as for the tables."""
    found = equity.curve(desk, np.array(instants, np.int64))
    return _row(_sums(desk, found, trades.trades_of(desk), settled=not desk.book.lots))


def blank(session: Session, cash: int) -> dict[str, pa.Table]:
    """The tables of a session without orders, which began with so much cash, micro-dollars."""
    sums: dict[str, Any] = {field.name: None if field.nullable else 0 for field in SESSIONS}
    sums |= {"session": session.date, "profit": 0.0, "mid": 0.0, "touch": 0.0, "worst": 0.0, "settled": True}
    rest = {"session": session.date, "at": to_us(session.close), "cash": cash / MICRO, "equity": cash / MICRO}
    row = {field.name: rest.get(field.name, 0) for field in equity.SCHEMA}
    return {
        "ledger": LEDGER.empty_table(),
        "equity": _one(row, equity.SCHEMA),
        "trades": trades.SCHEMA.empty_table(),
        "sessions": _row(sums | {"equity": cash / MICRO}),
    }


def _sums(desk: Desk, found: equity.Curve, made: list[trades.Trade], *, settled: bool) -> dict[str, Any]:
    rows = desk.ledger.rows
    fills = {row["order"]: row for row in rows if row["event"] == "fill"}
    total = found.cash + found.value
    nets = {way: sum(each.profits[way] - each.fees for each in made) / MICRO for way in ("mid", "touch", "worst")}
    held = [(row, -row["quantity"]) for row in rows if row["event"] in ("settlement", "unsettled")]
    first = next(iter(desk.settlements.values()), None)
    status = [order.status for order in desk.orders]
    return {
        "session": desk.ledger.session,
        "profit": (desk.book.cash - desk.start) / MICRO if settled else None,
        **{way: net if settled else None for way, net in nets.items()},
        "fees": desk.book.fees / MICRO,
        "equity": desk.book.cash / MICRO if settled else None,
        "orders": len(desk.orders),
        "filled": status.count(FILLED),
        "cancelled": status.count(CANCELLED),
        "expired": status.count(EXPIRED),
        "rejected": status.count(REJECTED),
        "misses": sum(order.misses for order in desk.orders),
        "wide_fills": sum(row["wide"] for row in fills.values()),
        "stale_fills": sum(row["stale"] for row in fills.values()),
        "same_fills": sum(row["how"] == "same" for row in fills.values()),
        "trades": len(made),
        "contracts": sum(abs(each.quantity) for each in desk.executions if each.order),
        "turnover": sum(abs(each.quantity) * each.price for each in desk.executions if each.order) * MULTIPLIER / MICRO,
        "exposure": float((np.abs(found.held[:, :-1]).sum(axis=0) > 0).sum()) / max(found.held.shape[1] - 1, 1),
        "drawdown": float((np.maximum.accumulate(total) - total).max()) / MICRO,
        "requirement": desk.most_required,
        "settled": settled,
        "settlement": first.price if first else None,
        "settlement_source": first.source if first else None,
        "unsettled_because": None if settled or first is None else first.reason,
        "open_contracts": sum(abs(quantity) for _, quantity in held),
        "settlement_value": sum(row.get("cash", 0.0) for row, _ in held),
        "pin_contracts": sum(abs(quantity) for row, quantity in held if _near(desk, row)),
        "assigned_shares": sum(_assigned(desk, row, quantity) for row, quantity in held),
    }


def _near(desk: Desk, row: dict[str, Any]) -> bool:
    """Whether an option that is delivered has its strike within :data:`PIN_SHARE` of the settlement."""
    spot = row.get("spot")
    if spot is None or not desk.terms.products[row["symbol"]].physical:
        return False
    return abs(micro(spot) - micro(row["strike"])) <= PIN_SHARE * micro(spot)


def _assigned(desk: Desk, row: dict[str, Any], quantity: int) -> int:
    """Shares that the exercise of options of a kind brings, below 0: takes."""
    if not desk.terms.products[row["symbol"]].physical or not row.get("price"):
        return 0
    return quantity * MULTIPLIER * (1 if row["right"] == "C" else -1)


def _row(sums: dict[str, Any]) -> pa.Table:
    return _one(sums, SESSIONS)


def _one(row: dict[str, Any], schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        value = row[field.name]
        whole = pa.types.is_timestamp(field.type)
        columns.append(pa.array([value], pa.int64()).cast(field.type) if whole else pa.array([value], field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def chained(tables: dict[str, pa.Table], before: float) -> dict[str, pa.Table]:
    """The tables of a session whose account began with the capital, moved to what the sessions before left, USD."""
    if before == 0:
        return tables
    return {
        name: _moved(table, before, ("cash", "equity") if name == "equity" else ("equity",))
        if name in ("equity", "sessions")
        else table
        for name, table in tables.items()
    }


def _moved(table: pa.Table, by: float, names: tuple[str, ...]) -> pa.Table:
    for name in names:
        at = table.schema.get_field_index(name)
        moved = np.round(table[name].to_numpy() + by, 6)  # null comes as NaN
        table = table.set_column(at, table.schema.field(at), pa.array(moved, from_pandas=True))
    return table
