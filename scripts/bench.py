"""Speed as ratios of medians within one run, against the bare decode and against what a user would write instead.

    python scripts/bench.py [--sessions 26] [--rounds 3] [--only requests|replays|backtests|sweeps|ingest|serve]
                            [--csv-sessions 12] [--load-seconds 10] [--peers PYTHON] [--json FILE]

The data: sessions of 781 snapshots (30 seconds) x 240 strikes with every column, seeded. bare is pyarrow's decode of
the columns a request needs, and nothing else. Variants take turns on each session, so that a drifting machine slows
all alike.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import pathlib
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from replay import open_lake, schema
from replay.lake import Lake
from replay.sessions import Session
from replay.storage.files import Partition, open_files
from replay.storage.writer import LakeWriter
from scripts import bench_backtest, bench_ingest, bench_page, bench_replay, bench_serve, bench_sweep
from scripts.bench_data import (
    NEEDED,
    SEED,
    SNAPSHOTS,
    STRIKES,
    SYMBOL,
    Timed,
    clock,
    full_sessions,
    session_table,
)

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def long_file(table: pa.Table, path: pathlib.Path) -> None:
    """The same data kept long, one row a snapshot and strike, as polars writes it."""
    frame = pl.DataFrame(table)
    lists = [name for name in schema.LISTS if frame[name].null_count() < len(frame)]
    frame.select("ts", "recorded_at", "spot", *lists).explode(lists).write_parquet(path, row_group_size=40_000)


class Bench:
    """Builds the data in a folder and times requests on it."""

    def __init__(self, folder: pathlib.Path, sessions: int) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        self.sessions = full_sessions(sessions)
        rng = np.random.default_rng(SEED)
        writer = LakeWriter(self.lake)
        (folder / "long").mkdir()
        for session in self.sessions:
            table = session_table(session, rng)
            metadata = schema.metadata(source="bench", cadence_us=30_000_000)
            writer.add(Partition("raw", SYMBOL, session.date), table, metadata)
            long_file(table, self.long(session))
        self.files = {s.date: self._file(s) for s in self.sessions}

    def _file(self, session: Session) -> str:
        return open_files(self.lake).files(Partition("raw", SYMBOL, session.date))[0].path

    def long(self, session: Session) -> pathlib.Path:
        return self.folder / "long" / f"{session.date}.parquet"

    def opened(self, path: pathlib.Path | None = None) -> Lake:
        """A lake opened and warmed on a session that is not timed."""
        lake = open_lake(path or self.lake)
        lake.heatmap(SYMBOL, self.sessions[-1].date, minutes=390)
        return lake

    def requests(self, rounds: int) -> Timed:
        """Cold, warm and alternative answers, taking turns on each session."""
        timed: Timed = {}
        for _ in range(rounds):
            full, hour, body = self.opened(), self.opened(), self.opened()
            for session in self.sessions[:-1]:
                date = session.date
                path = self.files[date]
                variants: dict[str, Callable[[], object]] = {
                    "bare decode, full session": lambda path=path: pq.ParquetFile(path).read(columns=NEEDED),  # type: ignore[misc]
                    "cold, full session": lambda date=date, lake=full: lake.heatmap(SYMBOL, date, minutes=390),  # type: ignore[misc]
                    "cold, 60 minutes": lambda date=date, lake=hour: lake.heatmap(SYMBOL, date),  # type: ignore[misc]
                    "cold, full session, to JSON": lambda date=date, lake=body: lake.heatmap(
                        SYMBOL, date, minutes=390
                    ).to_json(),  # type: ignore[misc]
                    "second request": lambda date=date, lake=full: lake.heatmap(SYMBOL, date, minutes=390),  # type: ignore[misc]
                    "warm, full session": lambda date=date, lake=full: lake.heatmap(SYMBOL, date, minutes=390),  # type: ignore[misc]
                }
                for name, run in variants.items():
                    timed.setdefault(name, []).append(clock(run))
        return timed

    def alternatives(self, rounds: int) -> Timed:
        """The full session's matrix as a user would make it from long rows."""
        timed: Timed = {}
        for _ in range(rounds):
            lake = self.opened()
            for session in self.sessions[:8]:
                expected = lake.heatmap(SYMBOL, session.date, minutes=390).values
                fresh = self.opened()
                variants: dict[str, Callable[[], object]] = {
                    "cold beside them": lambda s=session, lake=fresh: lake.heatmap(SYMBOL, s.date, minutes=390),  # type: ignore[misc]
                    "polars on long rows": lambda s=session: polars_matrix(self.long(s), s),  # type: ignore[misc]
                    "DuckDB PIVOT on long rows": lambda s=session: pivot_matrix(self.long(s), s),  # type: ignore[misc]
                    "pandas pivot_table on long rows": lambda s=session: pandas_matrix(self.long(s), s),  # type: ignore[misc]
                }
                for name, run in variants.items():
                    timed.setdefault(name, []).append(clock(run))
                for run in (
                    variants["polars on long rows"],
                    variants["DuckDB PIVOT on long rows"],
                    variants["pandas pivot_table on long rows"],
                ):
                    np.testing.assert_array_equal(run(), expected)
        return timed

    def many_sessions(self, rounds: int) -> Timed:
        """The same cold requests in a lake of 25 sessions and in one of 2,500, most of them links to one file."""
        small, large = self.folder / "small", self.folder / "large"
        some = self.sessions[:24]
        spare = self.files[self.sessions[-1].date]
        for lake, count in ((small, 25), (large, 2500)):
            for session in full_sessions(count):
                folder = lake / Partition("raw", SYMBOL, session.date).folder
                folder.mkdir(parents=True)
                source = self.files.get(session.date, spare) if session in some else spare
                os.link(source, folder / pathlib.Path(source).name)
        timed: Timed = {}
        for _ in range(rounds):
            lakes = {
                "cold, lake of 25 sessions": self.opened(small),
                "cold, lake of 2,500 sessions": self.opened(large),
            }
            for session in some[:-1]:
                for name, opened in lakes.items():
                    run = clock(lambda o=opened, s=session: o.heatmap(SYMBOL, s.date, minutes=390))  # type: ignore[misc]
                    timed.setdefault(name, []).append(run)
        return timed


def polars_matrix(path: pathlib.Path, session: Session) -> Matrix:
    """The matrix in polars, written well: columns and time pushed down, the newest revision, the last of a minute."""
    close = session.close.astimezone(dt.UTC)
    rows = (
        pl.scan_parquet(path)
        .select("ts", "recorded_at", "strike", "gex")
        .filter(pl.col("ts") <= close, pl.col("recorded_at") <= close)
        .collect()
    )
    instants = (
        rows.lazy()
        .group_by("ts")
        .agg(pl.col("recorded_at").max())
        .with_columns(t=pl.col("ts").dt.truncate("1m"))
        .sort("ts")
        .unique("t", keep="last", maintain_order=True)
        .select("ts", "recorded_at", "t")
    )
    kept = rows.lazy().join(instants, on=["ts", "recorded_at"]).select("t", "strike", "gex").collect()
    wide = kept.pivot(on="strike", index="t", values="gex", on_columns=sorted(kept["strike"].unique())).sort("t")
    return np.asarray(wide.drop("t").to_numpy(), np.float64)


def pivot_matrix(path: pathlib.Path, session: Session) -> Matrix:
    """The matrix by DuckDB's PIVOT."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        """CREATE TEMP TABLE kept AS
        SELECT date_trunc('minute', ts) AS t, strike, arg_max(gex, (ts, recorded_at)) AS gex FROM read_parquet($path)
        WHERE ts <= $close AND recorded_at <= $close GROUP BY ALL""",
        {"path": str(path), "close": session.close},
    )
    table = connection.sql("PIVOT kept ON strike USING first(gex) GROUP BY t ORDER BY t").to_arrow_table()
    names = sorted((name for name in table.column_names if name != "t"), key=float)
    return np.column_stack([table[name].to_numpy() for name in names])


def pandas_matrix(path: pathlib.Path, session: Session) -> Matrix:
    """The matrix by pandas' pivot_table."""
    rows = pd.read_parquet(path, columns=["ts", "recorded_at", "strike", "gex"])
    rows = rows[(rows["ts"] <= session.close) & (rows["recorded_at"] <= session.close)]
    rows = rows.assign(t=rows["ts"].dt.floor("min")).sort_values(["ts", "recorded_at"])
    table = rows.pivot_table(index="t", columns="strike", values="gex", aggfunc="last")
    return np.asarray(table.to_numpy(), np.float64)


def ratios(medians: dict[str, float]) -> list[tuple[str, float, str]]:
    """What is measured, its ratio, and the bound it is held against."""
    bare, cold = medians["bare decode, full session"], medians["cold, full session"]
    beside = medians["cold beside them"]
    return [
        ("cold, full session / bare", cold / bare, "<= 2.5, aim 2.0"),
        ("cold, 60 minutes / bare full", medians["cold, 60 minutes"] / bare, "<= 1.2"),
        ("second request / bare", medians["second request"] / bare, "<= 0.5"),
        ("warm, full session / bare", medians["warm, full session"] / bare, "<= 0.5"),
        ("cold to JSON / cold", medians["cold, full session, to JSON"] / cold, "<= 2.0"),
        ("polars on long rows / cold", medians["polars on long rows"] / beside, ">= 2"),
        ("DuckDB PIVOT / cold", medians["DuckDB PIVOT on long rows"] / beside, ">= 4"),
        ("pandas pivot_table / cold", medians["pandas pivot_table on long rows"] / beside, ">= 4"),
        (
            "2,500 sessions / 25",
            medians["cold, lake of 2,500 sessions"] / medians["cold, lake of 25 sessions"],
            "<= 1.1",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=26, help="sessions to make, at least 26")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", choices=["requests", "replays", "backtests", "sweeps", "ingest", "serve"], help="measure only these"
    )
    parser.add_argument(
        "--csv-sessions", type=int, default=12, help="sessions of the CSV whose ingest's peak is measured"
    )
    parser.add_argument("--load-seconds", type=float, default=10.0, help="how long 200 clients ask the server")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has backtrader and zipline-reloaded")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here as well")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    timed: Timed = {}
    rows: list[tuple[str, float, str]] = []
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as name:
        folder = pathlib.Path(name)
        bench = Bench(folder, max(arguments.sessions, 26))
        if arguments.only in (None, "ingest"):
            figures["ingest"] = bench_ingest.from_rows(folder, bench.sessions[0], arguments.rounds)
            figures["size"] = bench_ingest.size(folder)
            rows.append(("a stored snapshot / the same long, zstd", figures["size"]["ratio"], "<= 1.1"))
            figures["csv"] = bench_ingest.memory(folder, full_sessions(arguments.csv_sessions))
        if arguments.only in (None, "requests"):
            found = bench.requests(arguments.rounds) | bench.alternatives(arguments.rounds)
            timed |= found | bench.many_sessions(arguments.rounds)
            rows += ratios(medians_of(timed))
        if arguments.only in (None, "replays"):
            replays = bench_replay.ReplayBench(folder, bench.lake, bench.files, arguments.rounds)
            timed |= replays.sessions() | replays.loop()
            speeds, notes = replays.peers(arguments.peers)
            long = replays.make_long()
            peaks = replays.memory(long)
            timed |= replays.workers()
            rows += bench_replay.ratios(medians_of(timed), peaks, speeds)
            figures |= {"peak_bytes": peaks, "ticks_per_s": speeds, "peers": notes}
        if arguments.only in (None, "backtests"):
            timed |= bench_backtest.BacktestBench(folder, arguments.rounds).pin_fly()
            rows += bench_backtest.ratios(medians_of(timed))
        if arguments.only in (None, "sweeps"):
            sweeps = bench_sweep.SweepBench(folder, arguments.rounds)
            timed |= sweeps.commands() | sweeps.loop()
            rows += bench_sweep.ratios(medians_of(timed))
        if arguments.only in (None, "serve"):
            server = bench_serve.ServeBench(folder, bench.lake, list(bench.files), arguments.rounds)
            timed |= server.requests()
            figures["serve"] = server.rates() | {"crowd": server.crowd(arguments.load_seconds)}
            rows += bench_serve.ratios(medians_of(timed), figures["serve"])
            figures["page"] = bench_page.measure(bench.lake, list(bench.files), arguments.rounds)
    figures = {"medians_s": medians_of(timed), "ratios": {name: ratio for name, ratio, _ in rows}} | figures
    print(
        f"seed {SEED}, {SNAPSHOTS} snapshots x {STRIKES} strikes, {arguments.rounds} rounds, {os.cpu_count()} cores\n"
    )
    print_table(timed, rows)
    print_further(figures)
    print("\n" + json.dumps(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def medians_of(timed: Timed) -> dict[str, float]:
    """The median of each, seconds."""
    return {name: statistics.median(times) for name, times in timed.items()}


def print_table(timed: Timed, rows: list[tuple[str, float, str]]) -> None:
    """Medians with their quartiles, then ratios of medians beside their bounds."""
    print(f"{'':40}{'median ms':>12}{'quartiles':>20}")
    for name, times in timed.items():
        low, median, high = statistics.quantiles(times if len(times) > 1 else times * 2, n=4, method="inclusive")
        print(f"{name:40}{median * 1e3:12.3f}{low * 1e3:11.3f}-{high * 1e3:.3f}")
    print(f"\n{'ratio of medians':40}{'':12}  bound")
    for name, ratio, bound in rows:
        print(f"{name:40}{ratio:12.2f}  {bound}")


def print_further(figures: dict[str, Any]) -> None:
    """What is no ratio: rows and ticks a second, megabytes, and why a peer was not measured."""
    if "ingest" in figures:
        ingest, size, csv = (figures[name] for name in ("ingest", "size", "csv"))
        print(
            f"\n{ingest['rows']:,} option rows from Parquet to the written file, every vol solved: "
            f"{ingest['rows_per_s']:,.0f} rows/s (>= 400,000); {ingest['solver']:.0%} solver, "
            f"{ingest['greeks']:.0%} greeks, {ingest['Parquet']:.0%} Parquet, {ingest['rest']:.0%} the rest\n"
            f"a snapshot takes {size['bytes']:,.0f} bytes, long {size['long_bytes']:,.0f}\n"
            f"a CSV of {csv['csv_bytes'] / 1e9:.2f} GB, {csv['sessions']} sessions: {csv['rows_per_s']:,.0f} rows/s, "
            f"peak {csv['peak_bytes'] / 2**20:,.0f} MB (< 2,048)"
        )
    if "serve" in figures:
        bench_serve.print_further(figures["serve"])
        bench_page.print_further(figures["page"])
    for name, peak in figures.get("peak_bytes", {}).items():
        print(f"peak of {name}: {peak / 2**20:,.0f} MB")
    for name, speed in figures.get("ticks_per_s", {}).items():
        print(f"{name}: {speed:,.0f} ticks/s from the first callback to the last")
    for name, note in figures.get("peers", {}).items():
        print(f"{name}: {note}")


if __name__ == "__main__":
    main()
