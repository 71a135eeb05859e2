"""The ledger: every order, fill, miss, fee and settlement of a session, with the quote it was made on."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import pyarrow as pa

from replay.account.book import Posting
from replay.account.legs import MICRO
from replay.records import AT

EVENTS: Final = ("order", "miss", "fill", "fee", "cancel", "expire", "reject", "settlement", "unsettled")

SCHEMA: Final = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("at", AT, nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("order", pa.int64()),
        pa.field("tag", pa.string()),
        pa.field("symbol", pa.string()),
        pa.field("legs", pa.string()),
        pa.field("limit", pa.float64()),
        pa.field("right", pa.string()),
        pa.field("strike", pa.float64()),
        pa.field("quantity", pa.int64()),
        pa.field("price", pa.float64()),
        pa.field("bid", pa.float64()),
        pa.field("ask", pa.float64()),
        pa.field("spot", pa.float64()),
        pa.field("quote_ts", AT),
        pa.field("quote_recorded_at", AT),
        pa.field("how", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("mid", pa.float64()),
        pa.field("touch", pa.float64()),
        pa.field("worst", pa.float64()),
        pa.field("wide", pa.bool_()),
        pa.field("stale", pa.bool_()),
        pa.field("magnet", pa.float64()),
        pa.field("expected_move", pa.float64()),
        pa.field("cash", pa.float64()),
        pa.field("position", pa.float64()),
        pa.field("fees", pa.float64()),
        pa.field("profit", pa.float64()),
    ]
)
"""Columns of ``ledger.parquet``.

``quantity`` is combinations of an order, contracts of a leg, below 0: sold; ``price``, ``bid``, ``ask``, ``mid``,
``touch`` and ``worst`` are USD a share; ``how`` is the fill: ``touch``, ``mid``, ``mid+25%``, ``posted``, ``limit`` or
``same``; of a settlement it is where the price comes from. ``magnet`` and ``expected_move`` are what an order's sender
saw, USD. ``cash``, ``position`` (at cost), ``fees`` and ``profit`` are the postings of an event, USD: debits above 0,
credits below, so that profit made is below 0; they sum to 0.
"""


class Ledger:
    """The rows of one session, in the order of their instants."""

    def __init__(self, session: dt.date) -> None:
        self.session = session
        self.rows: list[dict[str, Any]] = []

    def add(self, at: int, event: str, posting: Posting | None = None, **fields: Any) -> dict[str, Any]:
        """Write a row at an instant, microseconds since the epoch; what it posts is micro-dollars."""
        row = {"at": at, "event": event, **fields}
        if posting is not None:
            row |= {name: amount / MICRO + 0.0 for name, amount in posting._asdict().items()}
        self.rows.append(row)
        return row

    def table(self) -> pa.Table:
        """All rows, as :data:`SCHEMA` has them."""
        rows = sorted(self.rows, key=lambda row: row["at"])  # stable: events of one instant stay in their order
        columns = []
        for field in SCHEMA:
            if field.name == "session":
                columns.append(pa.array([self.session] * len(rows), field.type))
                continue
            values = [_plain(row.get(field.name)) for row in rows]
            columns.append(pa.array(values, pa.int64()).cast(AT) if field.type == AT else pa.array(values, field.type))
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
