"""Speed of backtests: a pin fly over many sessions against the bare decode, and the same trades written by hand."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import replay
from replay import schema
from replay.sessions import Session, to_us
from replay.storage.files import Partition, open_files
from replay.storage.writer import LakeWriter
from scripts.bench_data import SEED, SNAPSHOTS, STRIKES, SYMBOL, Timed, clock, full_sessions, moved

SESSIONS = 250
NEEDED = ["ts", "recorded_at", "spot", "strike", "gex", "call_bid", "call_ask", "put_bid", "put_ask"]
"""What a pin fly needs: the magnet, and quotes to trade on."""
READ = [*NEEDED, "dex", "vex", "chex", "call_oi", "put_oi", "call_iv", "put_iv"]
"""What it reads: also what the ledger tells of each order and the equity's greeks are made of."""
WING, MINUTES = 5.0, 120
SOURCES = 20


def quoted_table(session: Session, rng: np.random.Generator) -> pa.Table:
    """One session with exposures that do not repeat, and quotes that an iron fly can be traded on."""
    ts = to_us(session.open) + np.arange(SNAPSHOTS) * 30_000_000
    shape = (SNAPSHOTS, STRIKES)
    strikes = np.arange(480.0, 480.0 + STRIKES)
    spot = 600 + np.round(rng.normal(0, 0.05, SNAPSHOTS).cumsum(), 2)
    left = (1 - np.arange(SNAPSHOTS) / SNAPSHOTS)[:, None]
    distance = spot[:, None] - strikes[None, :]
    time_value = np.maximum(2.5 * np.sqrt(left) - 0.4 * np.abs(distance), 0.02)
    offsets = pa.array(np.arange(SNAPSHOTS + 1) * STRIKES, pa.int32())

    def lists(values: np.ndarray[Any, Any]) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).ravel().astype(np.float64)))

    columns: dict[str, object] = {
        "ts": pa.array(ts).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(ts + 800_000).cast(schema.TIMESTAMP),
        "spot": spot,
        "expiration": pa.array([session.date] * SNAPSHOTS, pa.date32()),
        "strike": lists(np.tile(strikes, (SNAPSHOTS, 1))),
    }
    near = np.exp(-0.5 * (distance / 6) ** 2)
    for name in ("gex", "dex", "vex", "chex"):
        columns[name] = lists(near * rng.normal(0, 1e8, shape))
    for name in ("call_oi", "put_oi"):
        columns[name] = lists(np.tile(rng.integers(0, 20_000, STRIKES), (SNAPSHOTS, 1)))
    for side, inside in (("call", np.maximum(distance, 0)), ("put", np.maximum(-distance, 0))):
        bid = np.round(inside + time_value + rng.uniform(0, 0.03, shape), 2)
        columns[f"{side}_bid"] = lists(bid)
        columns[f"{side}_ask"] = lists(np.round(bid + rng.choice([0.01, 0.02, 0.03], shape), 2))
    for name in ("call_iv", "put_iv"):
        columns[name] = lists(np.round(rng.uniform(0.1, 0.5, shape), 4))
    return schema.conform(pa.table(columns))


class BacktestBench:
    """Times backtests on a lake of many full sessions, of which so many differ."""

    def __init__(self, folder: pathlib.Path, rounds: int, sessions: int = SESSIONS) -> None:
        self.lake = folder / "quoted"
        self.rounds = rounds
        self.sessions = sorted(full_sessions(sessions), key=lambda session: session.date)
        rng = np.random.default_rng(SEED)
        writer = LakeWriter(self.lake)
        made = [quoted_table(session, rng) for session in self.sessions[:SOURCES]]
        for i, session in enumerate(self.sessions):
            table = moved(made[i % SOURCES], self.sessions[i % SOURCES], session)
            metadata = schema.metadata(source="bench", conventions="replay-1", cadence_us=30_000_000)
            writer.add(Partition("raw", SYMBOL, session.date), table, metadata)
        store = open_files(self.lake)
        self.files = [store.files(Partition("raw", SYMBOL, session.date))[0].path for session in self.sessions]

    def pin_fly(self) -> Timed:
        """All sessions, taking turns: the bare decode, the backtest, and the same trades by hand in polars."""
        timed: Timed = {}
        for _ in range(self.rounds):
            for start in range(0, len(self.sessions), 50):
                self._turn(timed, self.sessions[start : start + 50], self.files[start : start + 50])
        return timed

    def _turn(self, timed: Timed, part: list[Session], files: list[str]) -> None:
        """Some sessions by each; both ways must have made the same."""
        engine: list[float] = []
        by_hand: list[float] = []
        variants: dict[str, Callable[[], object]] = {
            "bare decode of what a pin fly needs": lambda: decode(files, NEEDED),
            "bare decode of what it reads": lambda: decode(files, READ),
            "pin_fly backtest": lambda: engine.extend(backtest(self.lake, part[0].date, part[-1].date)),
            "the same trades in a polars loop": lambda: by_hand.extend(polars_loop(files, part)),
        }
        for name, run in variants.items():
            timed.setdefault(name, []).append(clock(run))
        np.testing.assert_allclose(engine, by_hand, atol=1e-6)


def decode(files: list[str], columns: list[str]) -> None:
    """Nothing but pyarrow's reading."""
    for path in files:
        pq.ParquetFile(path).read(columns=columns)


def backtest(lake: pathlib.Path, start: dt.date, end: dt.date) -> list[float]:
    """The engine's profits by session, held to settlement."""
    result = replay.run(
        "pin_fly", lake, symbols=SYMBOL, start=start, end=end, params={"take": 0, "stop": 0, "minutes": MINUTES},
        fees=0.65,
    )  # fmt: skip
    return result.by_session()["profit"].to_list()


def polars_loop(files: list[str], sessions: list[Session]) -> list[float]:
    """What a user would write instead, without a look at misses, late data, margin, or a ledger."""
    profits = []
    for path, session in zip(files, sessions, strict=True):
        frame = pl.read_parquet(path, columns=NEEDED).with_columns(pl.col("ts").cast(pl.Int64))
        entry = to_us(session.close) - MINUTES * 60_000_000
        seen = frame.filter(pl.col("recorded_at").cast(pl.Int64) <= entry)[-1]
        strikes, gex = seen["strike"][0].to_numpy(), seen["gex"][0].to_numpy()
        magnet = float(strikes[np.argmax(np.abs(gex))])
        fill = frame.filter(pl.col("ts") > entry)[0]
        quote = {name: dict(zip(fill["strike"][0], fill[name][0], strict=True)) for name in NEEDED[5:]}
        credit = quote["call_bid"][magnet] + quote["put_bid"][magnet]
        credit -= quote["call_ask"][magnet + WING] + quote["put_ask"][magnet - WING]
        close = frame.filter(pl.col("ts") <= to_us(session.close))["spot"][-1]
        owed = min(abs(close - magnet), WING)
        profits.append(round((credit - owed) * 100 - 4 * 0.65, 6))
    return profits


def ratios(medians: dict[str, float]) -> list[tuple[str, float, str]]:
    """What is measured of backtests, its ratio, and the bound it is held against."""
    engine = medians["pin_fly backtest"]
    return [
        ("pin_fly backtest / bare, what it needs", engine / medians["bare decode of what a pin fly needs"], "<= 3.0"),
        ("pin_fly backtest / bare, what it reads", engine / medians["bare decode of what it reads"], "-"),
        ("pin_fly backtest / polars loop", engine / medians["the same trades in a polars loop"], "-"),
    ]
