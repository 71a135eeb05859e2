"""Speed of replays: a session, the loop alone, memory, workers, and other backtesters beside it; used by bench.py."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import replay
from replay import open_lake, schema
from replay.broker.desk import Desk
from replay.broker.terms import Terms
from replay.engine.plan import Plan, make_plan
from replay.engine.session import Carried, _walk, replay_session, tapes_of
from replay.lake import Lake
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from replay.strategy import Context, Strategy
from replay.strategy.loading import load
from scripts import bench_strategies
from scripts.bench_data import NEEDED, SEED, SYMBOL, Timed, clock, full_sessions, moved, session_table
from scripts.bench_strategies import ReadsClose, ReadsRow

LONG = 250
LOOPS = 200
PEERS = ("backtrader", "zipline")
PEER_SESSIONS = 20
INSTALL = (
    "not measured: python -m venv PEERS; PEERS/bin/pip install backtrader zipline-reloaded; --peers PEERS/bin/python"
)
_HERE = pathlib.Path(__file__).parent
_PEAK = """
import sys, resource, replay
lake, reference, symbol, end, out = sys.argv[1:]
result = replay.run(reference, lake, symbols=symbol, end=end, out=out)
assert result.run["records"] == 390 * len(result.sessions)
try:
    print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
except OSError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""A run in a process of its own, which prints its peak. VmHWM, since ru_maxrss begins with the parent's."""


class ReplayBench:
    """Times replays on a lake of full sessions with every column, and on a long one made for memory and workers."""

    def __init__(self, folder: pathlib.Path, lake: pathlib.Path, files: dict[dt.date, str], rounds: int) -> None:
        self.lake = lake
        self.files = dict(sorted(files.items()))
        self.dates = list(self.files)
        self.rounds = rounds
        self.folder = folder
        self.long = folder / "long lake"

    def plan(self, lake: Lake, strategy: type[Strategy]) -> Plan:
        """A run of all sessions by the minute."""
        return make_plan(
            load(strategy), lake, symbols=SYMBOL, start=None, end=None, step="1m", params={}, latency="0s",
            gaps="mask", seed=0, tier=None, request={},
        )  # fmt: skip

    def sessions(self) -> Timed:
        """A session never read before: the bare decode, and replays with its columns known ahead and not."""
        timed: Timed = {}
        for _ in range(self.rounds):
            opened = {"known": open_lake(self.lake), "not known": open_lake(self.lake)}
            plan = self.plan(opened["known"], ReadsRow)

            def replayed(which: str, date: dt.date, opened: dict[str, Lake] = opened, plan: Plan = plan) -> None:
                carried = Carried(columns={SYMBOL: ("gex",) if which == "known" else ()})
                replay_session(plan, tapes_of(opened[which], plan, date, carried), carried)

            for which in opened:
                replayed(which, self.dates[0])
            for date in self.dates[1:]:
                path = self.files[date]
                timed.setdefault("bare decode beside replays", []).append(
                    clock(lambda path=path: pq.ParquetFile(path).read(columns=NEEDED))  # type: ignore[misc]
                )
                for which in opened:
                    run = clock(lambda which=which, date=date: replayed(which, date))  # type: ignore[misc]
                    timed.setdefault(f"replay of a session, columns {which}", []).append(run)
            for lake in opened.values():
                lake.close()
        return timed

    def loop(self) -> Timed:
        """The engine's walk over one session at hand, and a bare Python loop over its matrix."""
        with open_lake(self.lake) as lake:
            ticks = lake.tape(SYMBOL, self.dates[0], columns=["gex"]).ticks()
        matrix = np.stack(ticks.rows("gex")[1:])
        context, strategy = Context({SYMBOL: ticks}, {}), ReadsRow()
        desk = Desk(Terms(), {}, context.ticks, 0)

        def ignores(row: object) -> None:
            pass

        def bare() -> None:
            for i in range(len(matrix)):
                ignores(matrix[i])

        timed: Timed = {}
        for _ in range(LOOPS * self.rounds):
            timed.setdefault("bare Python loop", []).append(clock(bare))
            timed.setdefault("loop alone", []).append(
                clock(lambda: _walk(context, strategy, [ticks], desk, None, None))
            )
        return timed

    def make_long(self) -> list[dt.date]:
        """250 full sessions with gex, open interest and vols, the same numbers in each."""
        days = sorted(full_sessions(LONG), key=lambda session: session.date)
        table = _lighter(session_table(days[0], np.random.default_rng(SEED)))
        writer = LakeWriter(self.long)
        for session in days:
            metadata = schema.metadata(source="bench", cadence_us=30_000_000)
            writer.add(Partition("raw", SYMBOL, session.date), moved(table, days[0], session), metadata)
        return [session.date for session in days]

    def memory(self, dates: list[dt.date]) -> dict[str, float]:
        """Peak bytes of a run of 5 sessions and of one of 250, each in a process of its own, records written."""
        peaks: dict[str, list[float]] = {}
        for _ in range(min(self.rounds, 3)):
            for count in (5, LONG):
                out = self.folder / "peak"
                shutil.rmtree(out, ignore_errors=True)
                arguments = [self.long, f"{_HERE / 'bench_strategies.py'}:RecordsRow", SYMBOL, dates[count - 1], out]
                command = [sys.executable, "-c", _PEAK, *map(str, arguments)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                peaks.setdefault(f"{count} sessions", []).append(int(done.stdout) * 1024)
        return {name: statistics.median(each) for name, each in peaks.items()}

    def workers(self) -> Timed:
        """A run of 250 sessions on one process and on two, their start included."""
        timed: Timed = {}
        references = {"levels": "levels", "empty": f"{_HERE / 'bench_strategies.py'}:ReadsRow"}
        for _ in range(min(self.rounds, 2)):
            for name, reference in references.items():
                for workers in (1, 2):
                    run = clock(
                        lambda reference=reference, workers=workers: replay.run(  # type: ignore[misc]
                            reference, self.long, symbols=SYMBOL, workers=workers
                        )
                    )
                    timed.setdefault(f"{name}, {LONG} sessions, {workers} workers", []).append(run)
        return timed

    def peers(self, python: str | None) -> tuple[dict[str, float], dict[str, str]]:
        """Ticks a second from the first callback to the last, and why a peer has none.

        Tapes and backtrader's lines are in memory; zipline has no such source, and reads its bundle of the bars as it
        goes. Making the engines and loading the data is counted for none; what an engine does from session to session
        is.
        """
        bars = self._bars()
        speeds: dict[str, list[float]] = {}
        notes = {} if python else dict.fromkeys(PEERS, INSTALL)
        for _ in range(self.rounds):
            speeds.setdefault("replay", []).append(self._own_speed())
            for peer in set(PEERS) - set(notes):
                command = [str(python), str(_HERE / "bench_peers.py"), peer, str(bars)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    notes[peer] = f"{(done.stderr.strip().splitlines() or ['it failed'])[-1]}; {INSTALL}"
                    continue
                told = json.loads(done.stdout.splitlines()[-1])
                assert told["bars"] == 390 * PEER_SESSIONS, f"{peer} called back {told['bars']} times"
                speeds.setdefault(f"{peer} {told['version']}", []).append(told["bars"] / told["seconds"])
        return {name: statistics.median(each) for name, each in speeds.items()}, notes

    def _own_speed(self) -> float:
        with open_lake(self.lake) as lake:
            plan, carried = self.plan(lake, ReadsClose), Carried()
            tapes = [tapes_of(lake, plan, date) for date in self.dates[:PEER_SESSIONS]]
            bench_strategies.CLOCKS.clear()
            for each in tapes:
                replay_session(plan, each, carried)
        assert len(bench_strategies.CLOCKS) == 390 * PEER_SESSIONS
        return len(bench_strategies.CLOCKS) / (bench_strategies.CLOCKS[-1] - bench_strategies.CLOCKS[0])

    def _bars(self) -> pathlib.Path:
        """The same prices by the minute, as bench_peers.py reads them."""
        path = self.folder / "bars.json"
        with open_lake(self.lake) as lake:
            ticks = [lake.tape(SYMBOL, date).ticks() for date in self.dates[:PEER_SESSIONS]]
            opens = [round(each.tape.session.open.timestamp()) for each in ticks]
        path.write_text(json.dumps({"opens": opens, "close": [each.spot[1:] for each in ticks]}), encoding="utf-8")
        return path


def _lighter(table: pa.Table) -> pa.Table:
    """The columns that levels cannot do without; vols that stand still."""
    kept = ["ts", "recorded_at", "spot", "expiration", "strike", "gex", "call_oi", "put_oi"]
    return schema.conform(table.select(kept).append_column("call_iv", _still(table, 0.2)))


def _still(table: pa.Table, value: float) -> pa.Array:
    strikes = table["strike"].combine_chunks()
    return pa.ListArray.from_arrays(strikes.offsets, pa.array(np.full(len(strikes.values), value)))


def ratios(
    medians: dict[str, float], peaks: dict[str, float], speeds: dict[str, float]
) -> list[tuple[str, float, str]]:
    """What is measured of replays, its ratio, and the bound it is held against."""
    bare = medians["bare decode beside replays"]
    shared = {name: medians[f"{name}, {LONG} sessions, 1 workers"] for name in ("levels", "empty")}
    found = [
        ("replay of a session / bare", medians["replay of a session, columns known"] / bare, "<= 2.0"),
        ("the run's first session / bare", medians["replay of a session, columns not known"] / bare, "-"),
        ("loop alone / bare Python loop", medians["loop alone"] / medians["bare Python loop"], "<= 3"),
        (f"peak of {LONG} sessions / 5", peaks[f"{LONG} sessions"] / peaks["5 sessions"], "<= 1.3"),
        (
            "levels, 1 worker / 2",
            shared["levels"] / medians[f"levels, {LONG} sessions, 2 workers"],
            ">= 1.7",
        ),
        ("empty, 1 worker / 2", shared["empty"] / medians[f"empty, {LONG} sessions, 2 workers"], "-"),
    ]
    found += [
        (f"ticks/s / {name}", speeds["replay"] / speed, ">= 10") for name, speed in speeds.items() if name != "replay"
    ]
    return found
