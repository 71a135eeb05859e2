"""What runs traded, written by hand: tables with what a test says, and nothing else in them."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from replay.broker.account import TABLES
from replay.results.traded import Traded
from replay.sessions import NEW_YORK, find_session

Row = dict[str, Any]


def dates(count: int, start: dt.date = dt.date(2026, 1, 2)) -> list[dt.date]:
    """Sessions of the exchange from a date on."""
    days = (start + dt.timedelta(days=i) for i in range(count * 2 + 10))
    return [day for day in days if find_session(day)][:count]


def frame(name: str, rows: Iterable[Row]) -> pl.DataFrame:
    """A table of :data:`TABLES` with these rows; what they leave out is 0 where it may not be null."""
    schema = TABLES[name]
    plain: dict[str, Any] = {
        field.name: None if field.nullable else "" if str(field.type) == "string" else 0 for field in schema
    }
    table = schema.empty_table().from_pylist([plain | row for row in rows], schema=schema)
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found


def clock(date: dt.date, wall: str) -> dt.datetime:
    return dt.datetime.combine(date, dt.time.fromisoformat(wall), NEW_YORK)


def made(
    profits: Sequence[float | None],
    *,
    worse: float = 1.0,
    sessions: Sequence[Row] = (),
    ledger: Sequence[Row] | None = None,
    trades: Sequence[Row] | None = None,
    equity: Sequence[Row] | None = None,
    audit: Mapping[str, Any] | None = None,
    name: str = "made",
    told: Sequence[Row] | None = None,
    **run: Any,
) -> Traded:
    """A run with a trade in each session: its profits, ``None`` where not settled; ``worse`` USD less at worst.

    ``sessions`` are laid over the rows of the sessions, ``told`` are those of ``run.json``, ``run`` the rest of it.
    """
    days = dates(len(profits))
    totals = 1000.0
    rows: list[Row] = []
    for i, (day, profit) in enumerate(zip(days, profits, strict=True)):
        totals += profit or 0.0
        known = profit is not None
        row: Row = {
            "session": day, "profit": profit, "mid": profit, "touch": profit, "settled": known,
            "worst": None if profit is None else profit - worse, "equity": totals if known else None,
            "orders": 1, "filled": 1, "trades": 1, "contracts": 2,
        }  # fmt: skip
        rows.append(row | (sessions[i] if i < len(sessions) else {}))
    own = [
        {"session": row["session"], "order": 1, "symbol": "SPY", "legs": "+1 600C", "quantity": 1, "price": 1.0,
         "opened_at": clock(row["session"], "10:00"), "exit": "settled", "profit": row["profit"]}
        for row in rows
    ]  # fmt: skip
    fills = [
        {"session": day, "at": clock(day, "10:00"), "event": "fill", "order": 1, "how": "touch", "wide": False,
         "stale": False, "quote_ts": clock(day, "10:00"), "quote_recorded_at": clock(day, "10:00:01")}
        for day in days
    ]  # fmt: skip
    ticks = [
        {"session": row["session"], "at": clock(row["session"], wall), "equity": at, "profit": gained, "contracts": held}
        for before, row in zip([1000.0, *(each["equity"] or 1000.0 for each in rows)], rows, strict=False)
        for wall, at, gained, held in (
            ("15:00", before, 0.0, 1),
            ("16:00", row["equity"], row["profit"], 0),
        )
    ]  # fmt: skip
    said = {
        "strategy": {"name": "made", "source_sha256": "ab" * 32, "style": "context", "parameters": {"wing": 5.0}},
        "symbols": ["SPY"], "latency": "0s", "gaps": "mask", "seed": 0, "tier": None, "trials": 1,
        "terms": {"fill": "touch", "capital": 1000.0, "slippage_ticks": 0, "order_latency": "0s",
                  "fees": {"SPY": {"name": "zero"}}, "settlement": {"file": None, "sha256": None}},
        "dates": [str(day) for day in days], "missing_sessions": [], "versions": {}, "status": "complete",
        "trading": {}, "lake": {"fingerprint": "0" * 64, "files": {}},
        "sessions": told or [{"date": str(day), "ticks": 390, "symbols": {"SPY": symbol()}} for day in days],
    } | run  # fmt: skip
    return Traded(
        name,
        said,
        frame("ledger", fills if ledger is None else ledger),
        frame("equity", ticks if equity is None else equity),
        frame("trades", own if trades is None else trades),
        frame("sessions", rows),
        None if audit is None else dict(audit),
    )


def symbol(**more: Any) -> Row:
    """A session's entry of one symbol in ``run.json``, without a fault."""
    sound = {"rows": 100, "instant_rows": 0, "lag_s": 0.8, "revisions": 0, "conventions": ["replay-1"]}
    return sound | {"stale_ticks": 0, "gaps": []} | more


def write(run: Traded, folder: pathlib.Path) -> pathlib.Path:
    """The folder of such a run."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run.run))
    for name in TABLES:
        getattr(run, name).write_parquet(folder / f"{name}.parquet")
    return folder
