"""Lots: the contracts that an order opened, each until it was closed or settled, as the ledger tells them."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any, Final

import polars as pl

from replay.records import AT
from replay.results.traded import Traded

_CLOCK: Final = pl.Datetime("us", str(AT.tz))
SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "order": pl.Int64,
    "right": pl.String,
    "strike": pl.Float64,
    "quantity": pl.Int64,
    "opened_at": _CLOCK,
    "closed_at": _CLOCK,
    "how": pl.String,
    "fees": pl.Float64,
}
"""A row a lot. ``order`` opened it; ``quantity`` is contracts, below 0: sold; ``closed_at`` and ``how``, ``closed`` or
``settled``, are null where it never was; ``fees`` are USD paid when it was opened."""


def lots_of(traded: Traded, date: dt.date, symbol: str) -> pl.DataFrame:
    """The lots of a session and symbol, in the order they were opened, closed first in, first out; :data:`SCHEMA`."""
    events = traded.ledger.filter((pl.col("session") == date) & (pl.col("symbol") == symbol))
    fees: dict[tuple[int, str, float], float] = {}  # a contract, of an order's leg
    for row in events.filter((pl.col("event") == "fee") & pl.col("order").is_not_null()).iter_rows(named=True):
        leg = (row["order"], row["right"], row["strike"])
        fees[leg] = fees.get(leg, 0.0) + row["fees"] / abs(row["quantity"])
    found: list[dict[str, Any]] = []
    held: dict[tuple[str, float], deque[dict[str, Any]]] = {}
    for row in events.filter(pl.col("event").is_in(["fill", "settlement"])).iter_rows(named=True):
        own = held.setdefault((row["right"], row["strike"]), deque())
        left = row["quantity"]
        how = "closed" if row["event"] == "fill" else "settled"
        while left and own and own[0]["quantity"] * left < 0:
            lot = own[0]
            part = min(abs(lot["quantity"]), abs(left)) * (1 if lot["quantity"] > 0 else -1)
            found.append(_part(lot, part) | {"closed_at": row["at"], "how": how})
            own[0] = _part(lot, lot["quantity"] - part)
            left += part
            if own[0]["quantity"] == 0:
                own.popleft()
        if left and row["event"] == "fill":
            lot = {name: row[name] for name in ("order", "right", "strike")} | {
                "quantity": left,
                "opened_at": row["at"],
            }
            fee = fees.get((row["order"], row["right"], row["strike"]), 0.0)
            own.append(lot | {"closed_at": None, "how": None, "fees": fee * abs(left)})
    found += [lot for lots in held.values() for lot in lots]
    frame = pl.DataFrame(found, schema=SCHEMA, orient="row")
    return frame.sort("opened_at", "order", "strike", "right", "closed_at", nulls_last=True)


def _part(lot: dict[str, Any], quantity: int) -> dict[str, Any]:
    """So many contracts of a lot."""
    share = quantity / lot["quantity"]
    return lot | {"quantity": quantity, "fees": lot["fees"] * share}
