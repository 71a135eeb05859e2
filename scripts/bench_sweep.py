"""Speed of sweeps: 48 sets of parameters over 50 sessions against 48 runs of the command, start-up included."""

from __future__ import annotations

import functools
import itertools
import pathlib
import subprocess
import sys
import time
from dataclasses import replace

import replay
from replay.engine.plan import make_plan
from replay.engine.session import Carried, replay_session, stage_of, tapes_of
from replay.strategy.loading import load
from scripts.bench_backtest import BacktestBench
from scripts.bench_data import SYMBOL, Timed, clock

SESSIONS = 50
GRID = {
    "center": ["magnet", "max_pain", "spot"],
    "wing": ["3", "5", "8", "10"],
    "minutes": ["60", "120"],
    "take": ["0", "0.5"],
}
SETS = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
MEASURED = 6
"""Runs of the command that are timed a round, evenly out of the 48; the others are taken to last as long."""


class SweepBench:
    """Times sweeps on a lake of 50 full sessions with quotes."""

    def __init__(self, folder: pathlib.Path, rounds: int) -> None:
        self.folder = folder
        self.lake = BacktestBench(folder / "sweeps", rounds, SESSIONS).lake
        self.rounds = rounds

    def commands(self) -> Timed:
        """The sweep on one worker and on two, and runs of the command with one set each, as a shell starts them.

        A run says what it came to and writes nothing, so that no report is counted; the sweep writes all of its files.
        """
        timed: Timed = {}
        grid = [text for name, values in GRID.items() for text in ("--grid", f"{name}={','.join(values)}")]
        for number in range(self.rounds):
            for workers in ("1", "2"):
                asked = [*grid, "--workers", workers, "--out", str(self.folder / f"sweep-{number}-{workers}")]
                run = clock(functools.partial(self._command, "sweep", *asked))
                timed.setdefault(f"replay sweep, 48 x {SESSIONS}, workers {workers}", []).append(run)
            for params in SETS[:: len(SETS) // MEASURED]:
                given = [text for name, value in params.items() for text in ("--param", f"{name}={value}")]
                run = clock(functools.partial(self._command, "backtest", *given))
                timed.setdefault(f"replay backtest, 1 x {SESSIONS}", []).append(run)
        return timed

    def _command(self, name: str, *more: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "replay", name, "pin_fly", "--lake", str(self.lake), "--symbol", SYMBOL,
             "--fees", "0.65", *more],
            check=True, capture_output=True,
        )  # fmt: skip

    def loop(self) -> Timed:
        """A session with every set, its data at hand: the callbacks, fills and sums alone."""
        timed: Timed = {}
        with replay.open_lake(self.lake) as lake:
            strategy = load("pin_fly")
            plan = make_plan(
                strategy, lake, symbols=SYMBOL, start=None, end=None, step="1m", params={}, latency="0s", gaps="mask",
                seed=0, tier=None, request={}, terms={"fees": 0.65},
            )  # fmt: skip
            sets = [strategy.settle(each) for each in SETS]
            for date in plan.dates[: 4 * self.rounds]:
                carried = Carried()
                tapes = tapes_of(lake, plan, date, carried)
                stage = stage_of(plan, tapes)
                for round_ in ("to read", "at hand"):
                    start = time.perf_counter()
                    for params in sets:
                        replay_session(replace(plan, params=params), tapes, carried, stage=stage, brief=True)
                    timed.setdefault(f"a session x 48 sets, its data {round_}", []).append(time.perf_counter() - start)
        return timed


def ratios(medians: dict[str, float]) -> list[tuple[str, float, str]]:
    """What is measured of sweeps, its ratio, and the bound it is held against."""
    runs = len(SETS) * medians[f"replay backtest, 1 x {SESSIONS}"]
    loop = SESSIONS * medians["a session x 48 sets, its data at hand"]
    one, two = (medians[f"replay sweep, 48 x {SESSIONS}, workers {workers}"] for workers in ("1", "2"))
    return [
        ("48 runs / a sweep, 1 worker", runs / one, ">= 8"),
        ("48 runs / a sweep, 2 workers", runs / two, ">= 8"),
        ("its loop alone / a sweep, 1 worker", loop / one, "-"),
    ]
