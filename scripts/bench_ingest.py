"""Ingest measured: option rows to a written snapshot file, what it is made of, how large it is, and in what memory."""

from __future__ import annotations

import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from scipy.special import ndtr

from replay import schema
from replay.exposure.chain import exposures_at, resolve_vol
from replay.exposure.conventions import REPLAY_1
from replay.ingest.mapping import Mapping
from replay.ingest.run import ingest_chain
from replay.sessions import Session, to_us
from replay.storage.writer import encode
from scripts.bench_data import SEED, SNAPSHOTS, STRIKES, SYMBOL, Numbers, clock

_OURS: Final = (
    "ts", "recorded_at", "spot", "expiration", "right", "strike", "bid", "ask", "volume", "open_interest",
)  # fmt: skip


def price(spot: Numbers, strike: Numbers, years: Numbers, vol: Numbers, call: Numbers) -> Numbers:
    """Black-Scholes-Merton at rate 0."""
    total = vol * np.sqrt(years)
    d1 = np.log(spot / strike) / total + 0.5 * total
    side = np.where(call, 1.0, -1.0)
    return np.asarray(side * (spot * ndtr(side * d1) - strike * ndtr(side * (d1 - total))))


def option_rows(session: Session, seed: int = SEED) -> pl.DataFrame:
    """One session's chain as rows of a vendor without vols: prices of a smile, quoted in cents, sorted by time."""
    rng = np.random.default_rng(seed)
    ts = to_us(session.open) + np.arange(SNAPSHOTS) * 30_000_000
    spot = np.round(600 + rng.normal(0, 0.05, SNAPSHOTS).cumsum(), 2)
    strike = np.round(spot[0]) - STRIKES / 4 + 0.5 * np.arange(STRIKES)
    rows = np.repeat(np.arange(SNAPSHOTS), 2 * STRIKES)
    call = np.tile(np.repeat([True, False], STRIKES), SNAPSHOTS)
    listed = np.tile(strike, 2 * SNAPSHOTS)
    years = REPLAY_1.years(session, ts)[rows]
    vol = 0.15 + 4e-5 * (listed - spot[rows]) ** 2 + rng.normal(0, 1e-3, len(rows))
    worth = price(spot[rows], listed, years, vol, call)
    interest = rng.integers(0, 9000, 2 * STRIKES)
    traded = rng.integers(0, 3, (SNAPSHOTS, 2 * STRIKES)).cumsum(axis=0)
    return pl.DataFrame(
        {
            "ts": ts[rows], "recorded_at": ts[rows] + 700_000 + rows % 500_000, "spot": spot[rows],
            "right": np.where(call, "C", "P"), "strike": listed,
            "bid": np.floor(worth * 100) / 100, "ask": np.ceil(worth * 100 + 1) / 100,
            "volume": traded.ravel(), "open_interest": np.tile(interest, SNAPSHOTS),
        }
    ).with_columns(
        pl.col("ts", "recorded_at").cast(pl.Datetime("us", "UTC")), expiration=pl.lit(session.date)
    )  # fmt: skip


def columns_of(rows: pl.DataFrame, session: Session) -> dict[str, Any]:
    """The rows as the arrays that vols and exposures are computed from."""
    names = {"spot", "strike", "bid", "ask", "open_interest"}
    found: dict[str, Any] = {name: rows[name].cast(pl.Float64).to_numpy() for name in names}
    found["years"] = REPLAY_1.years(session, rows["ts"].dt.epoch("us").to_numpy())
    found["call"] = (rows["right"] == "C").to_numpy()
    return found


def from_rows(folder: pathlib.Path, session: Session, rounds: int) -> dict[str, float]:
    """Rows a second from Parquet rows to the written file, every vol solved, and the shares of its time."""
    rows = option_rows(session)
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    mapping = Mapping("bench", {name: name for name in _OURS})
    c = columns_of(rows, session)
    unknown = np.full(len(rows), np.nan)
    times: dict[str, list[float]] = {"whole": [], "solver": [], "greeks": [], "Parquet": []}
    target = folder / "ingested"
    solved: list[Any] = []

    def solve() -> None:
        solved[:] = resolve_vol(unknown, c["bid"], c["ask"], c["spot"], c["strike"], c["years"], c["call"])

    def expose() -> None:
        exposures_at(c["spot"], c["strike"], c["years"], solved[0], c["call"], c["open_interest"])

    for _ in range(rounds):
        shutil.rmtree(target, ignore_errors=True)
        times["whole"].append(clock(lambda: ingest_chain([path], target, SYMBOL, mapping)))
        times["solver"].append(clock(solve))
        times["greeks"].append(clock(expose))
        stored = pq.read_table(next(target.rglob("*.parquet")))
        times["Parquet"].append(clock(lambda stored=stored: (pq.read_table(path), encode(stored, {}))))  # type: ignore[misc]
    medians = {name: statistics.median(each) for name, each in times.items()}
    total = medians.pop("whole")
    shares = {name: each / total for name, each in medians.items()}
    return {"rows": len(rows), "rows_per_s": len(rows) / total, **shares, "rest": 1 - sum(shares.values())}


def size(folder: pathlib.Path) -> dict[str, float]:
    """Bytes a snapshot of the file that :func:`from_rows` left, and of the same data long, one row a strike, zstd."""
    stored = next((folder / "ingested").rglob("*.parquet"))
    frame = pl.DataFrame(pq.read_table(stored))
    lists = [name for name in schema.LISTS if frame[name].null_count() < len(frame)]
    long = folder / "long.parquet"
    rows = frame.select("ts", "recorded_at", "spot", "expiration", *lists).explode(lists)
    rows.write_parquet(long, compression="zstd")
    wide_bytes, long_bytes = stored.stat().st_size / len(frame), long.stat().st_size / len(frame)
    return {"bytes": wide_bytes, "long_bytes": long_bytes, "ratio": wide_bytes / long_bytes}


def memory(folder: pathlib.Path, sessions: list[Session]) -> dict[str, float]:
    """The peak of a process that ingests one CSV of these sessions, in bytes, and how fast it went."""
    path = folder / "many.csv"
    with path.open("wb") as file:
        for i, session in enumerate(reversed(sessions)):
            file.write(option_rows(session, seed=i).select(_OURS).write_csv(include_header=i == 0).encode())
    target = folder / "from-csv"
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "replay", "ingest", "chain", str(path), "--symbol", SYMBOL]
    seconds = clock(
        lambda: subprocess.run(
            [*command, "--preset", "generic", "--lake", str(target)], check=True, stdout=subprocess.DEVNULL
        )
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows, read = len(sessions) * SNAPSHOTS * STRIKES * 2, path.stat().st_size
    path.unlink()
    shutil.rmtree(target)
    return {"csv_bytes": read, "sessions": len(sessions), "rows_per_s": rows / seconds, "peak_bytes": peak}
