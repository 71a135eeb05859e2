"""Sweeps: the same as runs one by one, on any workers, through kills and resumptions; walk-forward, pages, errors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import math
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import replay
from replay.cli import main
from replay.engine.plan import make_plan
from replay.errors import GapFound, InvalidParameter, InvalidRun, MissingExtra, StrategyFailed, UnreadableFile
from replay.queries import shipped
from replay.results.metrics import deflated_sharpe
from replay.strategy.loading import load
from replay.sweeps import Interrupted, Progress
from replay.sweeps.grid import parse_grid
from replay.sweeps.metrics import best_of
from replay.sweeps.surface import surfaces_of
from replay.sweeps.task import Task, job_of, work
from tests import lakes, markets
from tests.strategies_for_tests import CarriesFly, SlowFly, fly_that_fails

LAKE = shipped("fixtures") / "lake"
REFERENCE = "tests.strategies_for_tests"
GRID: dict[str, list[Any]] = {"minutes": [30, 240], "center": ["magnet", "spot"], "wing": [2.0, 5.0]}
DATES = [f"2026-{each}" for each in ("03-09", "04-15", "05-12", "06-05", "07-24")]


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


@pytest.fixture(scope="module")
def swept(lake: replay.Lake) -> replay.Sweep:
    return replay.sweep("pin_fly", lake, symbols="SPY", grid=GRID, fees=0.65)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopping(after: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    """Acts once, as soon as so many sets x sessions are done."""
    acted: list[Progress] = []

    def told(at: Progress) -> None:
        if at.done >= after and not acted:
            acted.append(at)
            act()

    return told


class TestSets:
    @pytest.mark.parametrize(
        "asked",
        [
            {"fees": 0.65},
            {"fill": "patient:90s", "latency": "2s", "slippage": 1, "gaps": "carry:5m", "symbols": ["SPY", "QQQ"]},
            {"fill": "mid+25%", "step": "5m", "oi": "effective", "start": "2026-07-24"},
        ],
        ids=["plain", "patient", "restated"],
    )
    def test_each_set_trades_what_a_run_of_it_alone_does(self, lake: replay.Lake, asked: dict[str, Any]) -> None:
        asked = {"symbols": "SPY", "start": "2026-03-09"} | asked
        swept = replay.sweep("pin_fly", lake, grid=GRID, **asked)
        sets = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
        assert swept.to_polars().select("set", *GRID).to_dicts() == [{"set": i} | each for i, each in enumerate(sets)]
        for number, params in enumerate(sets):
            alone = replay.run("pin_fly", lake, params=params, **asked).by_session()
            assert swept.by_session().filter(set=number).drop("set").equals(alone), params
        assert swept.by_session()["filled"].sum() > len(sets)

    def test_a_strategy_that_carries_state_has_all_sessions_in_order(self, lake: replay.Lake) -> None:
        found = replay.sweep(CarriesFly, lake, symbols="SPY", grid={"wing": [2, 3]}, workers=2)
        for number, wing in enumerate((2, 3)):
            alone = replay.run(CarriesFly, lake, symbols="SPY", params={"wing": wing}).by_session()
            assert found.by_session().filter(set=number).drop("set").equals(alone)
        assert max(found.by_session()["contracts"].to_list()) > 8

    def test_metrics_are_those_of_a_second_method(self, swept: replay.Sweep) -> None:
        for row in swept.to_polars().to_dicts():
            own = swept.by_session().filter(set=row["set"]).to_dicts()
            profits = [each["profit"] for each in own if each["settled"]]
            assert row["sessions"] == len(profits)
            assert row["unsettled"] == len(own) - len(profits)
            assert row["trades"] == sum(each["trades"] for each in own)
            assert math.isclose(row["total"], math.fsum(profits), abs_tol=1e-9)
            assert math.isclose(row["mean"], statistics.fmean(profits))
            assert math.isclose(row["median"], statistics.median(profits))
            assert math.isclose(row["sharpe"], statistics.fmean(profits) / statistics.stdev(profits) * 252**0.5)
            won, lost = [p for p in profits if p > 0], [p for p in profits if p < 0]
            assert math.isclose(row["win_rate"], len(won) / (len(won) + len(lost)))
            assert (
                row["profit_factor"] is None if not lost else math.isclose(row["profit_factor"], sum(won) / -sum(lost))
            )
            sums = [0.0, *itertools.accumulate(profits)]
            falls = [max(sums[: i + 1]) - each for i, each in enumerate(sums)]
            assert math.isclose(row["max_drawdown"], max(falls), abs_tol=1e-9)
            for way in ("mid", "touch", "worst", "fees"):
                kept = [each[way] for each in own if each["settled"] or way == "fees"]
                assert math.isclose(row[way], math.fsum(kept), abs_tol=1e-9)

    def test_the_best_is_told_with_how_many_were_tried(self, swept: replay.Sweep) -> None:
        sharpes = swept.to_polars()["sharpe"].to_list()
        assert swept.best["set"] == sharpes.index(max(sharpes))
        assert swept.ranked()["sharpe"].to_list() == sorted(sharpes, reverse=True)
        assert swept.trials == swept.told["trials"] == 8
        assert math.isclose(swept.best["sharpe_variance"], statistics.variance(each / 252**0.5 for each in sharpes))
        best = swept.by_session().filter(pl.col("set") == swept.best["set"], pl.col("settled"))["profit"].to_numpy()
        assert swept.best["deflated_sharpe"] == deflated_sharpe(best, 8)
        assert swept.best["deflated_sharpe_by_spread"] == deflated_sharpe(best, 8, swept.best["sharpe_variance"])
        assert swept.told["strategy"]["parameters"] == {"contracts": 1, "take": 0.5, "stop": 1.0}
        assert swept.told["grid"] == GRID
        assert repr(swept).startswith("<Sweep pin_fly on SPY: 8 sets x 7 sessions, best by sharpe: {")
        assert "<table" in swept._repr_html_()

    def test_ties_go_to_the_first_and_what_is_not_defined_goes_last(self) -> None:
        rows = [{"sharpe": value, "max_drawdown": fall} for value, fall in ((None, 5.0), (1.0, 3.0), (1.0, 3.0))]
        assert best_of(rows, "sharpe") == 1
        assert best_of(rows, "max_drawdown") == 1
        factors: list[dict[str, Any]] = [
            {"profit_factor": 3.0, "total": 9.0}, {"profit_factor": None, "total": 1.0},
            {"profit_factor": None, "total": 0.0},
        ]  # fmt: skip
        assert best_of(factors, "profit_factor") == 1

    def test_unsettled_sessions_are_counted(self, root: pathlib.Path) -> None:
        quotes = {595.0: (5.0, 5.1), 600.0: (1.0, 1.1), 605.0: (0.1, 0.2)}
        rows = markets.every("09:30", "15:30", 30 * lakes.SECOND, quotes, quotes, spot=600.0)
        markets.store(root, rows, cadence_us=30_000_000)
        found = replay.sweep(
            "pin_fly", root, symbols="SPY", grid={"wing": [5.0], "center": ["spot"]}, params={"take": 0, "stop": 0}
        )
        assert found.to_polars().select("sessions", "unsettled", "total", "sharpe").row(0) == (0, 1, 0.0, None)
        from replay.render.sweep_text import sweep_text

        assert f"not settled, and left out of every sum: 1 session ({lakes.DAY}), of 1 set" in sweep_text(found)

    def test_a_parameter_that_is_called_as_a_metric_has_a_column_of_its_own(self, lake: replay.Lake) -> None:
        found = replay.sweep(
            fly_that_fails,
            lake,
            symbols="SPY",
            grid={"total": [0, 1]},
            start="2026-07-24",
            executor=ThreadPoolExecutor(1),
        )
        assert found.to_polars()["parameter_total"].to_list() == [0.0, 1.0]
        assert [row.values.shape for row in found.surfaces("total")] == [(1, 2)]

    def test_surfaces_are_medians_over_the_other_parameters(self) -> None:
        grid: dict[str, list[Any]] = {"a": [1, 2], "b": ["x", "y"], "c": [0.0, 0.5, 1.0], "d": [7]}
        sets = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        values = [None if each["a"] == 2 and each["b"] == "y" else each["a"] * 10 + each["c"] for each in sets]
        found = {(each.across, each.up): each for each in surfaces_of(values, grid, sets)}
        assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
        first = found["a", "b"]
        assert first.sets == 3
        assert first.values[:, 0].tolist() == [10.5, 10.5]
        assert first.values[0, 1] == 20.5
        assert math.isnan(first.values[1, 1])
        assert found["b", "c"].values[:, 1].tolist() == [10.0, 10.5, 11.0]


class TestWalkForward:
    @pytest.mark.parametrize(("train", "test"), [(2, 2), (3, 1), (4, 3)])
    def test_windows_and_what_they_come_to_are_those_of_a_second_method(
        self, lake: replay.Lake, train: int, test: int
    ) -> None:
        found = replay.sweep(
            "pin_fly", lake, symbols="SPY", grid=GRID, fees=0.65, train=train, test=test, metric="total"
        )
        rows = found.by_session()
        dates = sorted(rows["session"].unique())
        profits = {(row["set"], row["session"]): row["profit"] or 0.0 for row in rows.to_dicts()}
        expected: list[tuple[int, int, dt.date, float]] = []
        start = 0
        while start + train + test <= len(dates):
            seen, tested = dates[start : start + train], dates[start + train : start + train + test]
            totals = [round(sum(profits[number, date] for date in seen), 6) for number in range(8)]
            chosen = totals.index(max(totals))
            expected += [(len(expected) // test, chosen, date, profits[chosen, date]) for date in tested]
            start += test
        out = found.out_of_sample
        assert out is not None
        frame = pl.DataFrame(out)
        assert frame.select("window", "set", "session", pl.col("profit").fill_null(0.0)).rows() == expected
        walked = found.told["walk_forward"]
        assert math.isclose(walked["out_of_sample"]["total"], sum(each[3] for each in expected), abs_tol=1e-6)
        assert walked["untested"] == [date.isoformat() for date in dates[start + train :]]
        assert all(window["train"][1] < window["test"][0] for window in walked["windows"])

    def test_both_lengths_are_needed_and_enough_sessions(self, lake: replay.Lake) -> None:
        for asked, said in (
            ({"train": 3}, "test is not given"),
            ({"test": 3}, "train is not given"),
            ({"train": 0, "test": 1}, "train 0 is not a whole number"),
            ({"train": 6, "test": 2}, "need 8 sessions; there are 7"),
        ):
            with pytest.raises(InvalidRun, match=said):
                replay.sweep("pin_fly", lake, symbols="SPY", grid={"wing": [1]}, **asked)  # type: ignore[arg-type]


class TestWorkers:
    def test_the_bytes_are_the_same_on_any_workers(self, tmp_path: pathlib.Path) -> None:
        asked: dict[str, Any] = {"symbols": "SPY", "grid": GRID | {"take": ["0", "0.5"]}, "train": 3, "test": 2}
        replay.sweep("pin_fly", LAKE, out=tmp_path / "one", **asked)
        replay.sweep("pin_fly", LAKE, out=tmp_path / "two", workers=2, **asked)
        with ThreadPoolExecutor(3) as executor:
            replay.sweep("pin_fly", LAKE, out=tmp_path / "given", executor=executor, **asked)
        assert sorted(contents(tmp_path / "one")) == [
            "out_of_sample.parquet", "sessions.parquet", "sweep.json", "sweep.parquet",
        ]  # fmt: skip
        assert contents(tmp_path / "two") == contents(tmp_path / "one")
        assert contents(tmp_path / "given") == contents(tmp_path / "one")

    def test_a_worker_that_is_killed_costs_its_tasks_a_retry(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "dies.py").write_text(
            "import os, pathlib, signal\n"
            "import replay\n"
            "ONCE = pathlib.Path(__file__).with_name('once')\n"
            "def fly(ctx, wing: float = 3.0):\n"
            "    if ctx.session.date.month == 4 and wing == 5 and not ONCE.exists():\n"
            "        ONCE.touch()\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "    if ctx.minutes_left == 120 and ctx.levels.magnet is not None:\n"
            "        ctx.order(replay.iron_fly(ctx.levels.magnet, wing), -1)\n",
            encoding="utf-8",
        )
        asked: dict[str, Any] = {"symbols": "SPY", "grid": {"wing": [2, 5]}}
        killed = replay.sweep(f"{tmp_path}/dies.py:fly", LAKE, workers=2, **asked)
        assert (tmp_path / "once").exists()
        whole = replay.sweep(f"{tmp_path}/dies.py:fly", LAKE, **asked)
        assert killed.sessions.equals(whole.sessions)
        assert killed.told == whole.told

    def test_a_task_that_always_kills_its_worker_is_named(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "dies.py").write_text(
            "import os\ndef fly(ctx, wing: float = 3.0):\n    if ctx.session.date.month == 4:\n        os._exit(9)\n",
            encoding="utf-8",
        )
        with pytest.raises(InvalidRun, match="died 3 times at session 2026-04-15, sets 0 to 1"):
            replay.sweep(f"{tmp_path}/dies.py:fly", LAKE, symbols="SPY", grid={"wing": [2, 5]}, workers=2)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_strategys_error_names_session_and_parameters(self, workers: int) -> None:
        with pytest.raises(StrategyFailed, match=r"set 1 \(wing=5.0, total=0.0\), session 2026-04-15") as caught:
            replay.sweep(fly_that_fails, LAKE, symbols="SPY", grid={"wing": [2, 5]}, workers=workers)
        assert "no such wing" in caught.value.traceback
        assert "strategies_for_tests.py" in caught.value.traceback
        assert caught.value.session == dt.date(2026, 4, 15)

    def test_a_worker_that_stays_loads_an_edited_strategy_anew(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        file = tmp_path / "edited_fly.py"
        text = (
            "import replay\n"
            "def fly(ctx, wing: float = 3.0):\n"
            "    if ctx.minutes_left == 120:\n"
            "        ctx.order(replay.iron_fly(ctx.levels.magnet, wing), -1)\n"
        )
        contracts = []
        with ThreadPoolExecutor(1) as executor:
            for size in ("-1", "-20"):
                file.write_text(text.replace("-1", size), encoding="utf-8")
                found = replay.sweep(
                    "edited_fly:fly", LAKE, symbols="SPY", grid={"wing": [2]}, start="2026-07-24", executor=executor
                )
                contracts.append(found.by_session()["contracts"].item())
        assert contracts == [4, 80]

    def test_a_worker_with_other_versions_is_refused(self, lake: replay.Lake) -> None:
        plan = make_plan(
            load("pin_fly"), lake, symbols="SPY", start="2026-07-24", end=None, step="1m", params={}, latency="0s",
            gaps="mask", seed=0, tier=None, request={},
        )  # fmt: skip
        job = job_of(plan, lake)
        task = Task(plan.dates, 0, (plan.params,))
        assert len(work(job, task).table) == 1
        with pytest.raises(InvalidRun, match=r"a worker has numpy .*, not 1\.0, and might give other bytes"):
            work(dataclasses.replace(job, versions={**job.versions, "numpy": "1.0"}), task)

    def test_a_gap_stops_a_strict_sweep(self, lake: replay.Lake) -> None:
        with pytest.raises(GapFound, match="2026-04-15"):
            replay.sweep(
                "pin_fly", lake, symbols="SPY", grid={"wing": [2]}, gaps="strict", start="2026-04-15", end="2026-04-15"
            )

    def test_errors_of_the_lake_come_back_whole(self, tmp_path: pathlib.Path) -> None:
        shutil.copytree(LAKE / "tier=raw", tmp_path / "lake" / "tier=raw")
        stored = next((tmp_path / "lake").glob("tier=raw/symbol=SPY/date=2026-05-12/*.parquet"))
        stored.write_bytes(b"no Parquet")
        with pytest.raises(UnreadableFile) as caught:
            replay.sweep("pin_fly", tmp_path / "lake", symbols="SPY", grid={"wing": [2]}, workers=2)
        assert caught.value.path == str(stored)

    def test_a_strategy_in_no_file_has_one_worker(self, lake: replay.Lake) -> None:
        class Here(SlowFly):
            pass

        assert replay.sweep(Here, lake, symbols="SPY", grid={"wing": [2]}, start="2026-07-24").traded
        with pytest.raises(InvalidRun, match="other workers cannot load it"):
            replay.sweep(Here, lake, symbols="SPY", grid={"wing": [2]}, workers=2)


class TestFolder:
    def test_an_interrupted_sweep_goes_on_to_the_same_bytes(self, tmp_path: pathlib.Path) -> None:
        asked: dict[str, Any] = {"symbols": "SPY", "grid": {"wing": [2, 3]}}

        def interrupt() -> None:
            raise KeyboardInterrupt

        replay.sweep("pin_fly", LAKE, out=tmp_path / "whole", **asked)
        with pytest.raises(Interrupted) as caught:
            replay.sweep("pin_fly", LAKE, out=tmp_path / "cut", progress=stopping(6, interrupt), **asked)
        assert caught.value.progress == Progress(6, 14)
        told: list[Progress] = []
        replay.sweep("pin_fly", LAKE, out=tmp_path / "cut", resume=True, workers=2, progress=told.append, **asked)
        assert told[0] == Progress(6, 14)
        assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
        (tmp_path / "cut" / ".parts").mkdir()  # as if killed at the very end
        again = replay.sweep("pin_fly", LAKE, out=tmp_path / "cut", resume=True, **asked)
        assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
        assert again.told == json.loads((tmp_path / "whole" / "sweep.json").read_bytes())
        assert again.to_polars().equals(pl.read_parquet(tmp_path / "whole" / "sweep.parquet"))

    @pytest.mark.parametrize("workers", ["2"])
    def test_a_killed_sweep_goes_on_to_the_same_bytes(self, tmp_path: pathlib.Path, workers: str) -> None:
        command = [
            sys.executable, "-m", "replay", "sweep", f"{REFERENCE}:SlowFly", "--lake", str(LAKE), "--symbol", "SPY",
            "--grid", "wing=2,3", "--from", "2026-04-15", "--workers", workers,
        ]  # fmt: skip
        folder = tmp_path / "killed"
        with subprocess.Popen(
            [*command, "--out", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as running:
            deadline = time.monotonic() + 60
            while not list(folder.glob(".parts/*.arrow")) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGKILL)
        assert running.returncode == -signal.SIGKILL
        assert not (folder / "sweep.json").exists()
        asked: dict[str, Any] = {"symbols": "SPY", "grid": {"wing": [2, 3]}, "start": "2026-04-15"}
        replay.sweep(f"{REFERENCE}:SlowFly", LAKE, out=folder, resume=True, **asked)
        replay.sweep(f"{REFERENCE}:SlowFly", LAKE, out=tmp_path / "whole", **asked)
        assert contents(folder) == contents(tmp_path / "whole")

    def test_ctrl_c_keeps_what_is_done(self, tmp_path: pathlib.Path) -> None:
        command = [
            sys.executable, "-m", "replay", "sweep", f"{REFERENCE}:SlowFly", "--lake", str(LAKE), "--symbol", "SPY",
            "--grid", "wing=2,3", "--param", "pause=0.001", "--workers", "2", "--out", str(tmp_path / "out"),
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as running:
            deadline = time.monotonic() + 60
            while not list((tmp_path / "out").glob(".parts/*.arrow")) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGINT)
            said = running.communicate(timeout=60)[1]
        assert running.returncode == 130, said
        assert "Traceback" not in said
        assert "of 14 sets x sessions; --resume goes on from here" in said
        assert list((tmp_path / "out").glob(".parts/*.arrow"))

    def test_a_folder_that_holds_something_else_is_left_alone(self, tmp_path: pathlib.Path) -> None:
        asked: dict[str, Any] = {"symbols": "SPY", "start": "2026-07-24"}
        replay.run("pin_fly", LAKE, out=tmp_path / "run", **asked)
        with pytest.raises(InvalidRun, match="holds a run; name another folder"):
            replay.sweep("pin_fly", LAKE, grid={"wing": [2]}, out=tmp_path / "run", **asked)
        replay.sweep("pin_fly", LAKE, grid={"wing": [2]}, out=tmp_path / "out", **asked)
        with pytest.raises(InvalidRun, match="holds a sweep already; resume it"):
            replay.sweep("pin_fly", LAKE, grid={"wing": [2]}, out=tmp_path / "out", **asked)
        with pytest.raises(InvalidRun, match="holds a sweep; name another folder"):
            replay.run("pin_fly", LAKE, out=tmp_path / "out", **asked)
        with pytest.raises(InvalidRun, match=r"its grid.wing is \[2.0\], not \[3.0\]"):
            replay.sweep("pin_fly", LAKE, grid={"wing": [3]}, out=tmp_path / "out", resume=True, **asked)
        with pytest.raises(InvalidRun, match="resume needs the folder"):
            replay.sweep("pin_fly", LAKE, grid={"wing": [3]}, resume=True, **asked)
        (tmp_path / "out" / "sessions.parquet").unlink()
        with pytest.raises(InvalidRun, match=r"sessions.parquet"):
            replay.sweep("pin_fly", LAKE, grid={"wing": [2]}, out=tmp_path / "out", resume=True, **asked)

    @pytest.mark.parametrize("complete", [True, False])
    def test_a_lake_that_changed_is_not_gone_on_with(self, tmp_path: pathlib.Path, *, complete: bool) -> None:
        shutil.copytree(LAKE / "tier=raw", tmp_path / "lake" / "tier=raw")
        asked: dict[str, Any] = {"symbols": "SPY", "grid": {"wing": [2, 3 if complete else 5]}, "out": tmp_path / "out"}
        if complete:
            replay.sweep(fly_that_fails, tmp_path / "lake", **asked)
        else:
            with pytest.raises(StrategyFailed):
                replay.sweep(fly_that_fails, tmp_path / "lake", **asked)
        stored = next((tmp_path / "lake").glob("tier=raw/symbol=SPY/date=2026-03-09/*.parquet"))
        stored.rename(stored.with_name("renamed.parquet"))
        with pytest.raises(InvalidRun, match="has changed since"):
            replay.sweep(fly_that_fails, tmp_path / "lake", resume=True, **asked)


class TestErrors:
    @pytest.mark.parametrize(
        ("texts", "said"),
        [
            (["wing"], "'wing' is not NAME=VALUE,VALUE"),
            (["=5"], "is not NAME=VALUE"),
            (["wing=5,,10"], "is not NAME=VALUE"),
            (["wing=5", "wing=10"], "wing is given twice"),
        ],
    )
    def test_a_grid_that_cannot_be_read(self, texts: list[str], said: str) -> None:
        with pytest.raises(InvalidParameter, match=said):
            parse_grid(texts)

    @pytest.mark.parametrize(
        ("asked", "error", "said"),
        [
            ({"grid": {}}, InvalidParameter, "needs a grid"),
            ({"grid": {"wing": []}}, InvalidParameter, "needs a grid"),
            ({"grid": {"wings": [5]}}, InvalidParameter, "no parameter 'wings'; it has .*wing"),
            ({"grid": {"wing": ["wide"]}}, InvalidParameter, "parameter wing is 'wide', which is not float"),
            ({"grid": {"center": ["magnet", "moon"]}}, InvalidParameter, "parameter center is 'moon'"),
            ({"grid": {"wing": ["5", "5.0"]}}, InvalidParameter, "a value of wing is given twice"),
            ({"grid": {"wing": [5]}, "params": {"wing": 3}}, InvalidParameter, "stands in the grid and by itself"),
            ({"grid": {"wing": range(400), "minutes": range(1, 400)}}, InvalidParameter, "159,600 sets, over 10,000"),
            ({"grid": {"wing": [5]}, "metric": "luck"}, InvalidRun, "metric 'luck' is not one of sharpe, total"),
            ({"grid": {"wing": [5]}, "workers": 0}, InvalidRun, "workers 0 is not a whole number"),
            ({"grid": {"wing": [5]}, "workers": 2, "scheduler": "tcp://x"}, InvalidRun, "give one of them"),
            ({"grid": {"wing": [5]}, "out": LAKE / "out"}, InvalidRun, "lies within the lake"),
        ],
    )
    def test_what_cannot_be_swept_is_said_before_it_starts(
        self, lake: replay.Lake, asked: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            replay.sweep("pin_fly", lake, symbols="SPY", **asked)


class TestCommand:
    def asked(self, *more: str) -> list[str]:
        return [
            "sweep", "pin_fly", "--lake", str(LAKE), "--symbol", "SPY", "--from", "2026-03-09", "--grid", "wing=2,5",
            "--grid", "center=magnet,spot,max_pain", "--grid", "minutes=60,120", *more,
        ]  # fmt: skip

    def test_the_table_fits_and_says_what_was_found(self) -> None:
        done = CliRunner().invoke(main, self.asked("--train", "3", "--test", "1", "--format", "table"))
        assert done.exit_code == 0, done.output
        assert max(map(len, done.stdout.splitlines())) <= 80
        for said in (
            "pin_fly on SPY: 12 sets x 5 sessions", "gaps (mask): ", "deflated Sharpe ratio, ", "--trials 12",
            "not in the lake: ", "walk-forward, 2 windows of 3 sessions to choose on and 1 to test", "out of sample, ",
        ):  # fmt: skip
            assert said in " ".join(done.stdout.split()), said
        assert len([line for line in done.stdout.splitlines() if line.split()[:1] == ["12"]]) == 0

    def test_the_formats_hold_the_same_rows(self, tmp_path: pathlib.Path) -> None:
        rows = {}
        for form in ("json", "csv", "parquet"):
            done = CliRunner().invoke(main, self.asked("--format", form, "--metric", "total"))
            assert done.exit_code == 0, done.output
            (tmp_path / form).write_bytes(done.stdout_bytes)
            read = {"json": pl.read_json, "csv": pl.read_csv, "parquet": pl.read_parquet}[form]
            rows[form] = read(tmp_path / form)  # type: ignore[operator]
        assert rows["csv"].equals(rows["json"])
        assert rows["parquet"].equals(rows["csv"])

    def test_the_folder_has_a_page_that_needs_no_network(self, tmp_path: pathlib.Path) -> None:
        pytest.importorskip("plotly")
        out = tmp_path / "out"
        done = CliRunner().invoke(main, self.asked("--train", "3", "--test", "1", "--out", str(out)))
        assert done.exit_code == 0, done.output
        page = (out / "sweep.html").read_text(encoding="utf-8")
        assert "default-src 'none'" in page
        assert page.count('class="surface"') == 3
        assert "Walk-forward, 2 windows" in page
        told = json.loads((out / "sweep.json").read_bytes())
        assert told["trials"] == 12
        assert f"set {told['best']['set']}, wing=" in page
        assert len(pl.read_parquet(out / "sessions.parquet")) == 12 * 5
        again = CliRunner().invoke(main, self.asked("--train", "3", "--test", "1", "--out", str(out), "--resume"))
        assert again.exit_code == 0
        assert (out / "sweep.html").read_text(encoding="utf-8") == page
        assert again.stdout == done.stdout

    def test_without_plotly_the_page_is_left_out_and_it_is_said(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none(_: object) -> bytes:
            raise MissingExtra("an HTML page", "plot")

        monkeypatch.setattr("replay.render.sweep.sweep_html", none)
        done = CliRunner().invoke(main, self.asked("--out", str(tmp_path / "out")))
        assert done.exit_code == 0
        assert "note: no sweep.html: an HTML page needs the extra [plot]" in done.stderr
        assert not (tmp_path / "out" / "sweep.html").exists()

    def test_wrong_input_is_one_line_and_status_2(self) -> None:
        for more in (("--grid", "wing=9"), ("--metric", "luck"), ("--train", "3"), ("--param", "wing=1")):
            done = CliRunner().invoke(main, self.asked(*more))
            assert done.exit_code == 2
            assert done.stderr.count("\n") == 1, done.stderr
            assert not done.stdout

    def test_a_failing_strategy_shows_its_own_traceback(self) -> None:
        done = CliRunner().invoke(
            main, ["sweep", f"{REFERENCE}:fly_that_fails", "--lake", str(LAKE), "--symbol", "SPY", "--grid", "wing=2,5"]
        )
        assert done.exit_code == 2
        assert "ZeroDivisionError: no such wing" in done.stderr
        assert "error: strategy_failed: set 1 (wing=5.0, total=0.0), session 2026-04-15" in done.stderr

    def test_a_strategy_that_sends_no_order_is_told_of(self) -> None:
        done = CliRunner().invoke(
            main,
            ["sweep", "walls", "--lake", str(LAKE), "--symbol", "SPY", "--grid", "hold=1,2", "--from", "2026-07-24"],
        )
        assert done.exit_code == 0
        assert "no set sent an order" in done.stdout
