"""What a run traded: the tables of its sessions one after the other, and what they come to."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replay.account.legs import MICRO, micro
from replay.broker.account import TABLES, blank, chained
from replay.engine.plan import Plan
from replay.engine.session import Part
from replay.sessions import find_session

Tables = dict[str, pa.Table]


def session_tables(parts: Iterable[Part], plan: Plan) -> Iterator[Tables]:
    """Each session's tables, in order, with the equity chained; one that ended early gives its ledger alone."""
    capital = plan.terms.capital / MICRO
    gained = 0.0
    for part in parts:
        if part.error is not None:
            yield {name: part.trading.get(name, schema.empty_table()) for name, schema in TABLES.items()}
            continue
        session = find_session(part.date)
        assert session is not None, "only sessions are replayed"
        carries = plan.strategy.carries_state
        if part.trading:
            found: Tables = dict(part.trading) if carries else chained(dict(part.trading), gained)
        else:
            found = blank(session, micro(capital + gained))
        yield found
        gained = round(gained + (found["sessions"]["profit"][0].as_py() or 0.0), 6)


def sums(tables: Iterable[Mapping[str, pa.Table]]) -> dict[str, Any]:
    """What ``run.json`` says of the trading: counts, and USD by how fills are priced, over the settled sessions."""
    rows = [row for each in tables for row in each["sessions"].to_pylist()]
    settled = [row for row in rows if row["settled"]]
    found: dict[str, Any] = {
        name: sum(row[name] for row in rows)
        for name in ("orders", "filled", "misses", "cancelled", "expired", "rejected", "trades", "contracts")
    }
    for name in ("profit", "mid", "touch", "worst"):
        found[name] = round(sum(row[name] for row in settled), 6)
    found["fees"] = round(sum(row["fees"] for row in rows), 6)
    found["unsettled_sessions"] = [row["session"].isoformat() for row in rows if not row["settled"]]
    return found


def write_tables(folder: pathlib.Path, tables: Iterable[Mapping[str, pa.Table]]) -> None:
    """Write ``ledger.parquet`` and the others into a folder, each whole or not at all."""
    partial = {name: folder / f".{name}.{os.urandom(4).hex()}.partial" for name in TABLES}
    try:
        with contextlib.ExitStack() as stack:
            writers = {
                name: stack.enter_context(pq.ParquetWriter(path, TABLES[name], compression="zstd"))
                for name, path in partial.items()
            }
            for each in tables:
                for name, writer in writers.items():
                    if len(each[name]):
                        writer.write_table(each[name])
        for name, path in partial.items():
            path.replace(folder / f"{name}.parquet")
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def joined(name: str, tables: Iterable[Mapping[str, pa.Table]]) -> pa.Table:
    """One of the tables of all sessions."""
    return pa.concat_tables([TABLES[name].empty_table(), *(each[name] for each in tables)])
