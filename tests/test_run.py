"""Runs: callbacks, records, gaps, failures, folders, resumption and workers."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import json
import math
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import replay
from replay.engine import Interrupted
from replay.errors import (
    GapFound,
    InvalidDuration,
    InvalidGapPolicy,
    InvalidParameter,
    InvalidRun,
    InvalidTier,
    InvalidTime,
    StrategyFailed,
    UnknownStrategy,
)
from replay.queries import shipped
from tests.second_method import SecondLake
from tests.second_method import levels as second_levels
from tests.strategies_for_tests import Carries, Everything, bars, fails

LAKE = shipped("fixtures") / "lake"
NY = replay.find_session(dt.date(2026, 6, 5)).open.tzinfo  # type: ignore[union-attr]
CORRECTED, GAP, EARLY = "2026-07-24", "2026-04-15", "2025-11-28"
REFERENCE = "tests.strategies_for_tests"


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


def one(lake: replay.Lake, strategy: Any, date: str, **options: Any) -> replay.Result:
    return replay.run(strategy, lake, symbols="SPY", start=date, end=date, **options)


def us(moment: dt.datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestCallbacks:
    def test_open_ticks_and_close_come_in_order_at_their_instants(self, lake: replay.Lake) -> None:
        seen = []

        class Order(replay.Strategy):
            def on_open(self, ctx: replay.Context) -> None:
                seen.append(("open", ctx.now))

            def on_tick(self, ctx: replay.Context) -> None:
                seen.append(("tick", ctx.now))

            def on_close(self, ctx: replay.Context) -> None:
                seen.append(("close", ctx.now))

        one(lake, Order, EARLY)
        assert [kind for kind, _ in seen] == ["open", *["tick"] * 210, "close"]  # 09:30 to 13:00
        assert seen[0][1] == dt.datetime(2025, 11, 28, 9, 30, tzinfo=NY)
        assert seen[1][1] == dt.datetime(2025, 11, 28, 9, 31, tzinfo=NY)
        assert seen[-2][1] == seen[-1][1] == dt.datetime(2025, 11, 28, 13, 0, tzinfo=NY)
        assert str(seen[0][1].tzinfo) == "America/New_York"

    def test_what_is_recorded_is_what_a_second_method_finds_visible(self, lake: replay.Lake) -> None:
        second = SecondLake(LAKE)
        frame = one(lake, Everything, CORRECTED, latency="2s", step="5m").to_polars().filter(pl.col("what") == "tick")
        assert len(frame) == 78
        for row in frame.iter_rows(named=True):
            now = us(row["at"])
            expected = second_levels(second, "SPY", now, now - 2_000_000)
            assert row["spot"] == expected["spot"]
            assert row["magnet"] == expected["magnet"]

    def test_state_is_new_each_session_and_an_instance_too(self, lake: replay.Lake) -> None:
        frame = replay.run(Everything, lake, symbols="SPY").to_polars()
        closes = frame.filter(pl.col("what") == "close")
        assert closes["ticks"].to_list() == [210, *[390] * 6]

    def test_state_is_carried_where_the_strategy_says_so(self, lake: replay.Lake) -> None:
        frame = replay.run(Carries, lake, symbols="SPY").to_polars()
        assert frame["ticks"].to_list() == frame["own"].to_list() == list(range(1, 210 + 6 * 390 + 1))

    def test_a_correction_is_seen_from_the_tick_it_became_known(self, lake: replay.Lake) -> None:
        """The corrections were recorded just after 13:05: a strategy that remembers sees them then."""
        changed: list[tuple[str, str]] = []

        def watches(ctx: replay.Context) -> None:
            shown = ctx.heatmap("gex", minutes=390)
            before = ctx.state.get("seen", {})
            now = {int(t): row.tobytes() for t, row in zip(shown.minutes, shown.values, strict=True)}
            for t, row in before.items():
                if now[t] != row:
                    changed.append((f"{ctx.now:%H:%M}", f"{dt.datetime.fromtimestamp(t / 1e6, NY):%H:%M}"))
            ctx.state["seen"] = {t: row for t, row in now.items() if t < us(ctx.now) - 120_000_000}

        one(lake, watches, CORRECTED)
        stored = SecondLake(LAKE).rows("raw", "SPY", dt.date(2026, 7, 24))
        late = collections.Counter(
            f"{dt.datetime.fromtimestamp(-(-row.recorded_at // 60_000_000) * 60, NY):%H:%M}"
            for row in stored
            if row.recorded_at - row.ts > 3_600_000_000
            and row.recorded_at < us(dt.datetime(2026, 7, 24, 16, tzinfo=NY))
        )
        assert set(late) == {"13:06"}  # recorded within the minute after 13:05
        assert {when for when, _ in changed} == {"13:06"}
        last = {row.ts // 60_000_000: row.ts for row in stored}
        corrected = {
            f"{dt.datetime.fromtimestamp(row.ts / 1e6, NY):%H:%M}"
            for row in stored
            if row.recorded_at - row.ts > 3_600_000_000
            and row.recorded_at < us(dt.datetime(2026, 7, 24, 16, tzinfo=NY))
            and row.ts == last[row.ts // 60_000_000]
        }
        assert {what for _, what in changed} == corrected

    def test_several_symbols_stand_at_one_instant(self, lake: replay.Lake) -> None:
        def both(ctx: replay.Context) -> dict[str, Any]:
            assert ctx["QQQ"].now == ctx.now
            assert ctx["SPY"] is ctx
            return {"spy": ctx.spot, "qqq": ctx["QQQ"].spot, "magnet": ctx["QQQ"].levels.magnet}

        frame = replay.run(both, lake, symbols=["SPY", "QQQ"], start="2026-06-05", end="2026-06-05").to_polars()
        second = SecondLake(LAKE)
        for row in frame[::50].iter_rows(named=True):
            for symbol in ("SPY", "QQQ"):
                expected = second_levels(second, symbol, us(row["at"]), us(row["at"]))
                assert row[symbol.lower()] == expected["spot"]
            assert row["magnet"] == expected["magnet"]

    def test_a_symbol_that_is_not_in_the_run_lists_what_is(self, lake: replay.Lake) -> None:
        with pytest.raises(StrategyFailed, match="'IWM' is not in this run; it has SPY"):
            one(lake, lambda ctx: {"x": ctx["IWM"].spot}, CORRECTED)

    def test_random_numbers_depend_on_seed_and_session_alone(self, lake: replay.Lake) -> None:
        def draws(ctx: replay.Context) -> dict[str, Any]:
            return {"draw": ctx.rng.integers(0, 2**40)}

        whole = replay.run(draws, lake, symbols="SPY", step="30m", seed=5).to_polars()
        single = one(lake, draws, CORRECTED, step="30m", seed=5).to_polars()
        assert whole.filter(pl.col("session") == dt.date(2026, 7, 24)).equals(single)
        assert not single["draw"].equals(one(lake, draws, CORRECTED, step="30m", seed=6).to_polars()["draw"])

    def test_a_function_on_the_body_runs_as_it_is(self, lake: replay.Lake) -> None:
        result = one(lake, bars, CORRECTED, style="snapshot", metric="oi", minutes=30, params={"skip": 1}, step="30m")
        second = SecondLake(LAKE)
        for row in result.to_polars().iter_rows(named=True):
            live = lake.heatmap("SPY", row["at"], "oi", minutes=30)
            assert row["at_text"] == f"{row['at']:%Y-%m-%dT%H:%M:%S}"
            assert row["bars"] == len(live.minutes) - 1
            assert row["price"] == second_levels(second, "SPY", us(row["at"]), us(row["at"]))["spot"]

    def test_a_body_that_live_would_refuse_is_not_handed_over_but_logged(self, lake: replay.Lake) -> None:
        result = one(lake, bars, "2026-03-06", style="snapshot", step="1h")
        assert len(result.to_polars()) == 0
        assert len(result.log()) == 7
        assert "no_strike_data_for_window" in result.log()["message"][0]

    def test_what_is_no_mapping_is_recorded_of_a_function_on_the_body_alone(self, lake: replay.Lake) -> None:
        def length(at: str, body: dict[str, Any]) -> int:
            return len(body["bars"])

        assert one(lake, length, CORRECTED, style="snapshot", step="1h").to_polars()["output"].to_list()[0] == 60
        with pytest.raises(StrategyFailed, match="returned a float; return a mapping to record, or None"):
            one(lake, lambda ctx: ctx.spot, CORRECTED)


class TestRecords:
    def record(self, lake: replay.Lake, *values: Any) -> pl.Series:
        given = iter(values)

        def gives(ctx: replay.Context) -> dict[str, Any] | None:
            each = next(given, StopIteration)
            return None if each is StopIteration else {"x": each}

        return one(lake, gives, CORRECTED).to_polars()["x"]

    @pytest.mark.parametrize(
        ("values", "kind", "expected"),
        [
            ((1, None, 2), pl.Int64, [1, None, 2]),
            ((1, 2.5), pl.Float64, [1.0, 2.5]),
            ((math.nan, 1.0, np.float64(2)), pl.Float64, [None, 1.0, 2.0]),
            ((True, np.False_), pl.Boolean, [True, False]),
            (("a", None), pl.String, ["a", None]),
            ((dt.date(2026, 7, 24),), pl.Date, [dt.date(2026, 7, 24)]),
            ((dt.timedelta(seconds=3),), pl.Duration("us"), [dt.timedelta(seconds=3)]),
            (([1, 2], [], [0.5]), pl.List(pl.Float64), [[1.0, 2.0], [], [0.5]]),
            ((np.array([1.0, np.nan]),), pl.List(pl.Float64), [[1.0, None]]),
            ((-0.0,), pl.Float64, [0.0]),
            ((np.int32(7), np.uint8(1)), pl.Int64, [7, 1]),
        ],
    )
    def test_values_keep_their_kind(self, lake: replay.Lake, values: Any, kind: Any, expected: list[Any]) -> None:
        found = self.record(lake, *values)
        assert found.dtype == kind
        assert found.to_list() == expected
        assert all(str(each) != "-0.0" for each in found.to_list())

    def test_moments_are_absolute(self, lake: replay.Lake) -> None:
        utc = dt.datetime(2026, 7, 24, 14, tzinfo=dt.UTC)
        found = self.record(lake, utc, np.datetime64("2026-07-24T14:00"), np.array(["2026-07-24T14:00"], "M8[us]")[0])
        assert found.to_list() == [utc.astimezone(NY)] * 3

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ((1, "a"), "field 'x' was recorded as int and as text; a field keeps one kind of value"),
            (([1], 1), "field 'x' was recorded as list of int and as int"),
            ((object(),), "field 'x' is a object; what can be recorded is None, numbers"),
            ((2**63,), "beyond 64 bits"),
            ((np.zeros((2, 2)),), "array of shape (2, 2)"),
            ((dt.datetime(2026, 7, 24),), "without an offset"),
            ((True, 1), "as bool and as int"),
        ],
    )
    def test_what_cannot_be_recorded_names_the_field(self, lake: replay.Lake, values: Any, said: str) -> None:
        with pytest.raises(StrategyFailed, match=r"session 2026-07-24, 09:3[12]:00") as caught:
            self.record(lake, *values)
        assert said in caught.value.message

    @pytest.mark.parametrize("name", ["session", "at"])
    def test_the_fixed_names_are_taken(self, lake: replay.Lake, name: str) -> None:
        with pytest.raises(StrategyFailed, match="names are text other than"):
            one(lake, lambda _: {name: 1}, CORRECTED)

    def test_what_changes_after_it_was_recorded_changes_no_row(self, lake: replay.Lake) -> None:
        kept: list[int] = []

        def grows(ctx: replay.Context) -> dict[str, Any]:
            kept.append(len(kept))
            return {"x": kept}

        found = one(lake, grows, CORRECTED, step="1h").to_polars()["x"].to_list()
        assert found == [list(range(n)) for n in range(1, 8)]

    def test_sessions_with_other_fields_and_kinds_fit_together(self, lake: replay.Lake) -> None:
        def varies(ctx: replay.Context) -> dict[str, Any]:
            month = ctx.session.date.month
            return {"a": 1 if month == 3 else 0.5, **({"late": "x"} if month == 7 else {})}

        frame = replay.run(varies, lake, symbols="SPY", step="1h").to_polars()
        assert frame.columns == ["session", "at", "a", "late"]
        assert frame["a"].dtype == pl.Float64
        assert frame["late"].null_count() == len(frame) - 7

    def test_kinds_that_contradict_over_sessions_stop_at_the_later_one(self, lake: replay.Lake) -> None:
        def varies(ctx: replay.Context) -> dict[str, Any]:
            return {"a": "text" if ctx.session.date.month == 4 else 1}

        with pytest.raises(StrategyFailed, match="'a' was recorded as int and as text") as caught:
            replay.run(varies, lake, symbols="SPY", step="1h")
        assert str(caught.value.session) == GAP
        assert len(caught.value.result.to_polars()) == 4 + 7 + 7


class TestGaps:
    def test_every_run_reports_its_gaps_and_what_the_lake_lacks(self, lake: replay.Lake) -> None:
        result = replay.run("levels", lake, symbols="SPY", start="2026-04-14", end="2026-04-16")
        assert result.run["missing_sessions"] == ["2026-04-14", "2026-04-16"]
        (gap,) = result.gaps().iter_rows(named=True)
        assert gap["session"] == dt.date(2026, 4, 15)
        assert f"{gap['start']:%H:%M:%S} {gap['end']:%H:%M:%S}" == "11:47:00 12:12:00"

    def test_mask_and_carry_differ_by_what_was_asked(self, lake: replay.Lake) -> None:
        """The last snapshot before the gap is of 11:47:00, lag 0.8 s, cadence 30 s: not known from 11:48:01 on."""

        def notes(ctx: replay.Context) -> dict[str, Any]:
            return {"spot": ctx.spot, "stale": ctx.stale}

        def stale(gaps: str) -> list[str]:
            frame = one(lake, notes, GAP, gaps=gaps).to_polars()
            assert frame["spot"].is_null().equals(frame["stale"].rename("spot"))
            return [f"{at:%H:%M}" for at in frame.filter("stale")["at"]]

        minutes = [f"{h}:{m:02d}" for h, m in [(11, m) for m in range(49, 60)] + [(12, m) for m in range(13)]]
        masked = stale("mask")
        assert masked == minutes[: len(masked)]
        assert len(masked) == 24
        assert stale("carry:5m") == masked[5:]
        assert stale("carry:1h") == []

    def test_strict_stops_with_the_gap_named(self, lake: replay.Lake) -> None:
        with pytest.raises(GapFound, match="SPY 2026-04-15: no snapshot from 11:47:00 to") as caught:
            replay.run(lambda ctx: {"spot": ctx.spot}, lake, symbols="SPY", start=GAP, end=GAP, gaps="strict")
        assert f"{caught.value.start:%H:%M:%S}" == "11:47:00"
        assert caught.value.result.status == "gap"
        last = caught.value.result.to_polars()["at"][-1]
        assert f"{last:%H:%M}" == "11:48"

    def test_strict_wants_every_session(self, lake: replay.Lake) -> None:
        with pytest.raises(InvalidRun, match="nothing of SPY for the session 2026-07-20 and 3 more"):
            replay.run("levels", lake, symbols="SPY", start="2026-07-20", end=CORRECTED, gaps="strict")


class TestFailures:
    def test_a_callbacks_error_stops_the_run_with_its_own_traceback(self, lake: replay.Lake) -> None:
        with pytest.raises(StrategyFailed) as caught:
            replay.run(fails, lake, symbols="SPY")
        error = caught.value
        assert error.message == "session 2026-04-15, 10:30:00: ZeroDivisionError: division by zero"
        assert error.at == dt.datetime(2026, 4, 15, 10, 30, tzinfo=NY)
        assert "strategies_for_tests.py" in error.traceback
        assert "engine" not in error.traceback
        assert isinstance(error.__cause__, ZeroDivisionError)
        frame = error.result.to_polars()
        assert len(frame) == 210 + 2 * 390 + 59  # until 10:29
        assert error.result.status == "failed"

    @pytest.mark.parametrize("where", ["on_open", "on_close", "__init__"])
    def test_wherever_it_is_raised(self, lake: replay.Lake, where: str) -> None:
        def raises(self: Any, ctx: Any = None) -> None:
            raise SystemExit("enough")

        broken = type("Broken", (replay.Strategy,), {where: raises})
        with pytest.raises(StrategyFailed, match=r"session 2026-07-24, (09:30|16:00):00: SystemExit: enough"):
            one(lake, broken, CORRECTED)

    def test_an_interrupt_hands_over_what_was_done(self, lake: replay.Lake) -> None:
        def stops(ctx: replay.Context) -> dict[str, Any]:
            if ctx.session.date.month == 4 and ctx.now.hour == 10:
                raise KeyboardInterrupt
            return {"spot": ctx.spot}

        with pytest.raises(Interrupted) as caught:
            replay.run(stops, lake, symbols="SPY")
        assert caught.value.result.status == "interrupted"
        assert len(caught.value.result.to_polars()) == 210 + 2 * 390 + 29

    @pytest.mark.parametrize(
        ("options", "error", "said"),
        [
            ({"symbols": "IWM"}, InvalidRun, "nothing of 'IWM'; it has QQQ, SPY"),
            ({"symbols": ["SPY", "spy"]}, InvalidRun, "each once"),
            ({"symbols": []}, InvalidRun, "at least one"),
            ({"start": "2026-07-25"}, InvalidRun, "ends on 2026-07-24, before it starts on 2026-07-25"),
            ({"start": "2026-07-25", "end": "2026-08-01"}, InvalidRun, "holds 7 from 2025-11-28 to 2026-07-24"),
            ({"start": "24.07.2026"}, InvalidTime, "start '24.07.2026' is not a date"),
            ({"step": "0s"}, InvalidDuration, "a second or more"),
            ({"step": "1"}, InvalidDuration, "step '1' cannot be read"),
            ({"latency": "-1s"}, InvalidDuration, "latency '-1s' cannot be read"),
            ({"gaps": "fill"}, InvalidGapPolicy, "not one of strict, mask, carry:LENGTH"),
            ({"gaps": "carry:"}, InvalidGapPolicy, "carry '' cannot be read"),
            ({"gaps": "carry:0s"}, InvalidGapPolicy, "not one of"),
            ({"seed": -1}, InvalidRun, "seed -1"),
            ({"tier": "5m"}, InvalidTier, "raw, 1m"),
            ({"workers": 0}, InvalidRun, "workers 0"),
            ({"form": "xlsx"}, InvalidRun, "parquet, csv, jsonl"),
            ({"resume": True}, InvalidRun, "resume needs the folder"),
            ({"params": {"bond": 1}}, InvalidParameter, "no parameter 'bond'; it has band, count, on, side, note"),
            ({"params": {"band": "wide"}}, InvalidParameter, "parameter band is 'wide', which is not float"),
            ({"params": {"count": 2.5}}, InvalidParameter, "parameter count is 2.5, which is not int"),
            ({"params": {"band": "nan"}}, InvalidParameter, "not float"),
            ({"params": {"side": "both"}}, InvalidParameter, "not call|put"),
            ({"params": {"on": "maybe"}}, InvalidParameter, "not bool"),
        ],
    )
    def test_what_cannot_be_run_is_said_before_it_starts(
        self, lake: replay.Lake, options: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error) as caught:
            replay.run(Everything, lake, **({"symbols": "SPY"} | options))
        assert said in str(caught.value)

    def test_parameters_are_read_from_text_and_kept_by_type(self, lake: replay.Lake) -> None:
        given = {"band": "2", "count": "1", "on": "no", "side": "put", "note": "none"}
        result = one(lake, Everything, CORRECTED, params=given, step="1h")
        assert result.run["strategy"]["parameters"] == {
            "band": 2.0, "count": 1, "on": False, "side": "put", "note": None,
        }  # fmt: skip
        assert result.to_polars()["first_strikes"].drop_nulls().list.len().max() == 1

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            (
                "nothing",
                "there ship coin, flip_breakout, levels, pin_butterfly, pin_drift, pin_fly, sign_flip, wall_condor, walls",
            ),
            ("no_such_module:Name", "module no_such_module cannot be loaded"),
            (f"{REFERENCE}:Nothing", "it has Everything, Carries"),
            (REFERENCE + ":", "names no strategy; write"),
            ("missing.py:Name", "missing.py is no file"),
            (Everything(), "given as an instance"),
            (dict, "not a replay.Strategy"),
            (42, "is a int"),
        ],
    )
    def test_a_strategy_that_is_not_there_says_what_is(self, lake: replay.Lake, reference: Any, said: str) -> None:
        with pytest.raises(UnknownStrategy) as caught:
            one(lake, reference, CORRECTED)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "error", "said"),
        [
            ("x = (", UnknownStrategy, "cannot be loaded: SyntaxError"),
            ("import replay\nclass A(replay.Strategy):\n    band: list = []\n", InvalidParameter, "band needs a type"),
            (
                "import replay\nclass A(replay.Strategy):\n    n: int = 'x'\n",
                InvalidParameter,
                "the default of parameter n",
            ),
            ("def f(ctx, band): ...\n", InvalidParameter, "band needs a type"),
            ("def f(ctx, band: float): ...\n", InvalidParameter, "needs a value for band (float)"),
            ("def f(): ...\n", InvalidParameter, "must take (ctx)"),
            ("x = 1\n", UnknownStrategy, "names no strategy"),
        ],
    )
    def test_a_file_that_cannot_be_used_says_why(
        self, lake: replay.Lake, tmp_path: pathlib.Path, text: str, error: type[Exception], said: str
    ) -> None:
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        with pytest.raises(error) as caught:
            one(lake, str(tmp_path / "mine.py"), CORRECTED)
        assert said in str(caught.value)

    def test_annotations_for_a_checker_alone_are_left_alone(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        (tmp_path / "mine.py").write_text(
            "from __future__ import annotations\n"
            "from typing import TYPE_CHECKING, ClassVar\n"
            "import replay\n"
            "if TYPE_CHECKING:\n    from nowhere import Context, Model\n"
            "def notes(ctx: Context, *, n: int | None = 3): return {'x': n}\n"
            "class Mine(replay.Strategy):\n"
            "    n: float = 3\n    _model: Model\n    kept: ClassVar[int] = 1\n"
            "    def on_tick(self, ctx: Context): return {'x': self.n}\n",
            encoding="utf-8",
        )
        for name in ("notes", "Mine"):
            result = one(lake, f"{tmp_path}/mine.py:{name}", CORRECTED, params={"n": "4"}, step="1h")
            assert result.run["strategy"]["parameters"] == {"n": 4}

    def test_a_callable_of_another_kind_has_a_name_that_stays(self, lake: replay.Lake) -> None:
        def notes(ctx: replay.Context, scale: int = 1) -> dict[str, Any]:
            return {"x": ctx.spot * scale}

        result = one(lake, functools.partial(notes, scale=2), CORRECTED, step="1h")
        assert result.run["strategy"]["name"].endswith("<locals>.notes")
        assert "0x" not in json.dumps(result.run["strategy"]["name"])
        assert result.to_polars()["x"].to_list()[0] == 2 * lake.levels("SPY", "2026-07-24T10:30").spot  # type: ignore[operator]  # it is known

    def test_a_file_may_import_what_lies_beside_it(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        (tmp_path / "beside_it_for_this_test.py").write_text("ANSWER = 42\n", encoding="utf-8")
        (tmp_path / "mine.py").write_text(
            "import beside_it_for_this_test as b\ndef notes(ctx): return {'x': b.ANSWER}\n", encoding="utf-8"
        )
        assert one(lake, f"{tmp_path}/mine.py:notes", CORRECTED).to_polars()["x"].to_list() == [42] * 390


class TestFolders:
    def test_run_json_says_what_ran(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        result = replay.run(f"{REFERENCE}:Everything", lake, symbols="SPY", start="2026-03-09", end=GAP, out=tmp_path)
        run = json.loads((tmp_path / "run.json").read_bytes())
        assert run == result.run
        assert run["status"] == "complete"
        import hashlib

        source = pathlib.Path(__file__).parent / "strategies_for_tests.py"
        assert run["strategy"]["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        hashes = {
            path.relative_to(LAKE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in LAKE.glob("tier=raw/symbol=SPY/date=*/*.parquet")
            if path.parent.name in ("date=2026-03-09", "date=2026-04-15")
        }
        assert run["lake"]["files"] == hashes
        assert [session["ticks"] for session in run["sessions"]] == [390, 390]
        assert run["sessions"][0]["symbols"]["SPY"]["rows"] == 781
        assert set(run["versions"]) == {"zerodte-replay", "python", "duckdb", "numpy", "pyarrow", "polars"}
        assert run["records"] == len(pl.read_parquet(tmp_path / "records.parquet")) == 784
        assert str(LAKE) not in (tmp_path / "run.json").read_text(encoding="utf-8")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "records.parquet", "run.json"]

    def test_the_formats_hold_the_same_rows(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        for form in ("parquet", "csv", "jsonl"):
            one(lake, Everything, CORRECTED, out=tmp_path / form, form=form, step="30m")
        rows = pl.read_parquet(tmp_path / "parquet" / "records.parquet")
        lines = [json.loads(line) for line in (tmp_path / "jsonl" / "records.jsonl").read_text().splitlines()]
        text = pl.read_csv(tmp_path / "csv" / "records.csv")
        assert len(lines) == len(rows) == len(text) == 15
        for line, row, flat in zip(lines, rows.iter_rows(named=True), text.iter_rows(named=True), strict=True):
            assert dt.datetime.fromisoformat(line["at"]) == dt.datetime.fromisoformat(flat["at"]) == row["at"]
            assert line["at"].endswith("-04:00")
            assert line["spot"] == row["spot"] == flat["spot"]
            assert line["first_strikes"] == row["first_strikes"]
            assert (json.loads(flat["first_strikes"]) if row["first_strikes"] else None) == row["first_strikes"]

    def test_equal_inputs_give_equal_bytes_with_any_number_of_workers(self, tmp_path: pathlib.Path) -> None:
        for name, workers in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
            replay.run(f"{REFERENCE}:Everything", LAKE, symbols=["SPY", "QQQ"], out=tmp_path / name, workers=workers)
        assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")
        assert contents(tmp_path / "a") == contents(tmp_path / "d")

    def test_workers_fail_as_one_does(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        said = []
        for workers in (1, 2):
            with pytest.raises(StrategyFailed) as caught:
                replay.run(fails, lake, symbols="SPY", out=tmp_path / str(workers), workers=workers)
            said.append(caught.value.message + caught.value.traceback)
        assert said[0] == said[1]
        first, second = (contents(tmp_path / name) for name in ("1", "2"))
        assert first["records.parquet"] == second["records.parquet"]
        assert first["run.json"] == second["run.json"]

    def test_a_strategy_that_carries_state_refuses_more_workers(self, lake: replay.Lake) -> None:
        with pytest.raises(InvalidRun, match="carries state from session to session; it runs on 1 worker"):
            replay.run(Carries, lake, symbols="SPY", workers=2)

    def test_a_strategy_in_no_file_refuses_more_workers(self, lake: replay.Lake) -> None:
        with pytest.raises(InvalidRun, match="other workers cannot load it"):
            replay.run(lambda _: None, lake, symbols="SPY", workers=2)

    def test_a_folder_that_holds_a_run_is_left_alone(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        one(lake, Everything, CORRECTED, out=tmp_path, step="1h")
        before = contents(tmp_path)
        with pytest.raises(InvalidRun, match="holds a run already; resume it, or name another folder"):
            one(lake, Everything, CORRECTED, out=tmp_path, step="1h")
        with pytest.raises(InvalidRun, match=r"its strategy.parameters.band is 0.5, not 0.75"):
            one(lake, Everything, CORRECTED, out=tmp_path, step="1h", resume=True, params={"band": 0.75})
        with pytest.raises(InvalidRun, match='its step is "1h", not "30m"'):
            one(lake, Everything, CORRECTED, out=tmp_path, step="30m", resume=True)
        again = one(lake, Everything, CORRECTED, out=tmp_path, step="1h", resume=True)
        assert again.status == "complete"
        assert len(again.to_polars()) == 9
        assert contents(tmp_path) == before

    def test_a_file_is_no_folder(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        (tmp_path / "out").write_text("mine")
        with pytest.raises(InvalidRun, match="is a file; name a folder"):
            one(lake, Everything, CORRECTED, out=tmp_path / "out")
        assert (tmp_path / "out").read_text() == "mine"

    @pytest.mark.parametrize("name", ["Everything", "Carries"])
    def test_a_failed_run_goes_on_to_the_same_bytes(
        self, lake: replay.Lake, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        import tests.strategies_for_tests as module

        strategy = getattr(module, name)
        replay.run(strategy, lake, symbols="SPY", out=tmp_path / "whole")
        own = strategy.on_tick

        def breaks(self: Any, ctx: replay.Context) -> Any:
            if ctx.session.date.month == 4 and ctx.now.hour == 12:
                raise RuntimeError("for once")
            return own(self, ctx)

        with monkeypatch.context() as patch:
            patch.setattr(strategy, "on_tick", breaks)
            with pytest.raises(StrategyFailed, match="for once"):
                replay.run(strategy, lake, symbols="SPY", out=tmp_path / "stopped")
        assert contents(tmp_path / "stopped") != contents(tmp_path / "whole")
        replay.run(strategy, lake, symbols="SPY", out=tmp_path / "stopped", resume=True)
        assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")

    def test_a_resumption_without_the_carried_state_starts_over(
        self, lake: replay.Lake, tmp_path: pathlib.Path
    ) -> None:
        class Counts(Carries):
            def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
                if ctx.session.date.month == 4 and ctx.now.hour == 10 and not stop.exists():
                    raise RuntimeError("for once")
                return super().on_tick(ctx)

        stop = tmp_path / "go-on"
        with pytest.raises(StrategyFailed):
            replay.run(Counts, lake, symbols="SPY", out=tmp_path / "out")
        (tmp_path / "out" / ".parts" / "state.pickle").unlink()
        stop.touch()
        result = replay.run(Counts, lake, symbols="SPY", out=tmp_path / "out", resume=True)
        assert result.to_polars()["ticks"].to_list() == list(range(1, 2551))

    def test_state_that_cannot_be_kept_is_refused_at_the_first_session(
        self, lake: replay.Lake, tmp_path: pathlib.Path
    ) -> None:
        class Keeps(replay.Strategy):
            carries_state = True

            def on_open(self, ctx: replay.Context) -> None:
                ctx.state["file"] = (each for each in range(3))

        with pytest.raises(InvalidRun, match="cannot be kept for a resumption"):
            replay.run(Keeps, lake, symbols="SPY", out=tmp_path / "out")

    def test_a_lake_that_changed_is_not_gone_on_with(self, tmp_path: pathlib.Path) -> None:
        shutil.copytree(LAKE / "tier=raw", tmp_path / "lake" / "tier=raw")
        with pytest.raises(StrategyFailed):
            replay.run(fails, tmp_path / "lake", symbols="SPY", out=tmp_path / "out")
        stored = next((tmp_path / "lake").glob("tier=raw/symbol=SPY/date=2026-03-09/*.parquet"))
        stored.rename(stored.with_name("renamed.parquet"))
        with pytest.raises(InvalidRun, match="the lake's 2026-03-09 has changed since"):
            replay.run(fails, tmp_path / "lake", symbols="SPY", out=tmp_path / "out", resume=True)

    @pytest.mark.parametrize("options", [["--workers", "2"], ["SlowCarries"]])
    def test_a_killed_run_goes_on_to_the_same_bytes(self, tmp_path: pathlib.Path, options: list[str]) -> None:
        name = options[0] if len(options) == 1 else "Slow"
        command = [
            sys.executable, "-m", "replay", "run", f"{REFERENCE}:{name}", "--lake", str(LAKE), "--symbol", "SPY",
            *(options if len(options) == 2 else []), "--from", "2026-03-09",
        ]  # fmt: skip
        whole = subprocess.Popen([*command, "--out", str(tmp_path / "whole")], stderr=subprocess.DEVNULL)
        with subprocess.Popen(
            [*command, "--out", str(tmp_path / "killed")], stderr=subprocess.DEVNULL, start_new_session=True
        ) as running:
            deadline = time.monotonic() + 60
            while len(list((tmp_path / "killed").glob(".parts/*.arrow"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGKILL)
        assert running.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed" / "run.json").exists()
        subprocess.run([*command, "--out", str(tmp_path / "killed"), "--resume"], check=True, capture_output=True)
        assert whole.wait() == 0
        assert contents(tmp_path / "killed") == contents(tmp_path / "whole")

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_ctrl_c_ends_cleanly_with_what_was_done(self, tmp_path: pathlib.Path, workers: str) -> None:
        command = [
            sys.executable, "-m", "replay", "run", f"{REFERENCE}:Slow", "--lake", str(LAKE), "--symbol", "SPY",
            "--workers", workers, "--param", "pause=0.004", "--out", str(tmp_path / "out"),
        ]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
            deadline = time.monotonic() + 60
            while not list((tmp_path / "out").glob(".parts/*.arrow")) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGINT)
            said = running.communicate(timeout=60)[1]
        assert running.returncode == 130, said
        assert "Traceback" not in said
        assert "--resume goes on from here" in said
        run = json.loads((tmp_path / "out" / "run.json").read_bytes())
        assert run["status"] == "interrupted"
        assert len(pl.read_parquet(tmp_path / "out" / "records.parquet")) == run["records"] >= 210

    def test_a_worker_that_dies_is_replaced(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "dies.py").write_text(
            "import os, pathlib\n"
            "ONCE = pathlib.Path(__file__).with_name('once')\n"
            "def notes(ctx):\n"
            "    if ctx.session.date.month == 4 and not ONCE.exists():\n"
            "        ONCE.touch()\n"
            "        os._exit(9)\n"
            "    return {'spot': ctx.spot}\n",
            encoding="utf-8",
        )
        result = replay.run(f"{tmp_path}/dies.py:notes", LAKE, symbols="SPY", workers=2)
        assert result.status == "complete"
        assert len(result.to_polars()) == 2550


class TestResult:
    def test_its_repr_says_what_it_is(self, lake: replay.Lake) -> None:
        result = replay.run("levels", lake, symbols="SPY", start=GAP, end=CORRECTED)
        assert repr(result) == "<Result levels on SPY: 4 sessions 2026-04-15..2026-07-24, 1560 rows, 1 gaps, complete>"
        assert "<table" in result._repr_html_()

    def test_figures_hold_the_numbers(self, lake: replay.Lake) -> None:
        pytest.importorskip("plotly")
        result = one(lake, "levels", CORRECTED)
        figure = replay.plot(result)
        assert [trace.name for trace in figure.data][:2] == ["spot", "magnet"]
        assert list(figure.data[0].y) == result.to_polars()["spot"].to_list()
        tape = lake.tape("SPY", CORRECTED)
        cells = replay.plot(tape, "oi").data[0]
        shown = lake.heatmap("SPY", CORRECTED, "oi", minutes=390)
        assert np.allclose(np.asarray(cells.z, float)[:, 0], shown.values[0], rtol=1e-6)
        assert replay.plot(tape.at("2026-07-24T10:00")).layout.title.text == "SPY 2026-07-24 gex"

    def test_a_lake_can_be_pickled_to_be_opened_elsewhere(self, lake: replay.Lake) -> None:
        with pickle.loads(pickle.dumps(lake)) as again:  # noqa: S301  # of its own making
            assert again.symbols() == ["QQQ", "SPY"]
