"""The data that the benchmarks run on, seeded, and their clock."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from replay import schema
from replay.sessions import Session, find_session, to_us

SEED = 7
SNAPSHOTS, STRIKES = 781, 240
NEEDED = ["ts", "recorded_at", "spot", "strike", "gex"]
SYMBOL = "BENCH"
Timed = dict[str, list[float]]
Numbers = np.ndarray[Any, np.dtype[Any]]


def full_sessions(count: int) -> list[Session]:
    """So many full trading days up to July 2026, the newest first."""
    found: list[Session] = []
    day = dt.date(2026, 7, 31)
    while len(found) < count:
        session = find_session(day)
        if session is not None and session.minutes == 390:
            found.append(session)
        day -= dt.timedelta(days=1)
    return found


def session_table(session: Session, rng: np.random.Generator) -> pa.Table:
    """One session with every column: doubles that do not repeat for exposures and flow, cents for quotes."""
    ts = to_us(session.open) + np.arange(SNAPSHOTS) * 30_000_000
    shape = (SNAPSHOTS, STRIKES)
    offsets = pa.array(np.arange(SNAPSHOTS + 1) * STRIKES, pa.int32())

    def lists(values: Numbers) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, pa.array(values.ravel().astype(np.float64)))

    columns: dict[str, object] = {
        "ts": pa.array(ts).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(ts + 800_000).cast(schema.TIMESTAMP),
        "spot": 600 + np.round(rng.normal(0, 0.05, SNAPSHOTS).cumsum(), 2),
        "expiration": pa.array([session.date] * SNAPSHOTS, pa.date32()),
        "strike": lists(np.tile(np.arange(480.0, 480.0 + STRIKES), (SNAPSHOTS, 1))),
    }
    for name in ("gex", "dex", "vex", "chex", "signed_flow", "gamma_flow"):
        columns[name] = lists(rng.normal(0, 1e8, shape))
    for name in ("call_oi", "put_oi"):
        columns[name] = lists(np.tile(rng.integers(0, 20_000, STRIKES), (SNAPSHOTS, 1)))
    for name in ("call_flow", "put_flow"):
        columns[name] = lists(rng.integers(-50, 50, shape))
    for name in ("call_bid", "call_ask", "put_bid", "put_ask"):
        columns[name] = lists(np.round(rng.uniform(0, 30, shape), 2))
    for name in ("call_iv", "put_iv"):
        columns[name] = lists(np.round(rng.uniform(0.1, 0.5, shape), 4))
    for name in ("call_volume", "put_volume"):
        columns[name] = lists(rng.integers(0, 50, shape).cumsum(0))
    return schema.conform(pa.table(columns))


def clock(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def moved(table: pa.Table, first: Session, session: Session) -> pa.Table:
    """The same snapshots on another session's clock."""
    later = to_us(session.open) - to_us(first.open)
    for name in ("ts", "recorded_at"):
        clocks = pa.array(np.asarray(table[name].cast(pa.int64())) + later).cast(schema.TIMESTAMP)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), clocks)
    expires = pa.array([session.date] * len(table), pa.date32())
    position = table.schema.get_field_index("expiration")
    return table.set_column(position, table.schema.field("expiration"), expires)
