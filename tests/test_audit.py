"""The audit: honest strategies pass, planted cheats are caught, and the visible API itself holds at every instant."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import replay
from replay.engine.plan import make_plan
from replay.errors import GapFound, InvalidRun, StrategyFailed
from replay.leaks import Audit
from replay.leaks.auditor import Auditor
from replay.leaks.future import PERTURBATIONS, Cut, perturbed
from replay.queries import shipped
from replay.snapshots import Timeline
from replay.strategy.loading import load
from replay.strategy.loading import shipped as shipped_strategies
from replay.tape import Track
from tests.strategies_for_tests import Carries, Everything, bars

LAKE = shipped("fixtures") / "lake"
COUNTED = pytest.mark.skipif(not pathlib.Path("/proc/self/io").exists(), reason="the system counts no bytes")
CORRECTED, GAP, EARLY, FULL = "2026-07-24", "2026-04-15", "2025-11-28", "2026-06-05"


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


def audited(lake: replay.Lake, strategy: Any, *dates: str, **options: Any) -> Audit:
    start, end = (dates or (CORRECTED,))[0], (dates or (CORRECTED,))[-1]
    return replay.audit(strategy, lake, **({"symbols": "SPY", "start": start, "end": end, "step": "15m"} | options))


def everything(ctx: replay.Context) -> dict[str, Any]:
    """All that a context shows, as plain values."""

    def shown(tick: replay.Tick) -> dict[str, Any]:
        values = {name: tick.values(name) for name in ("gex", "dex", "vex", "chex", "oi", "signed_flow", "call_iv")}
        try:
            body = tick.heatmap("gex", "delta", minutes=30, gaps=True).to_json().decode()
        except replay.ReplayError as error:
            body = str(error)
        quotes = tick.quotes
        return {
            "spot": tick.spot,
            "strikes": tick.strikes,
            **values,
            "bid": quotes.call_bid,
            "ask": quotes.put_ask,
            "age": tick.age,
            "ts": tick.ts,
            "stale": tick.stale,
            "tier": tick.tier,
            "levels": json.dumps(tick.levels.to_dict()),
            "history": tick.history("signed_flow", minutes=10).ravel(),
            "times": tick.times(10),
            "heatmap": body,
        }

    found = shown(ctx)
    for symbol in ctx.symbols[1:]:
        found |= {f"{symbol}_{name}": value for name, value in shown(ctx[symbol]).items()}
    return found


def as_it_stands(tick: replay.Tick) -> list[Any]:
    """What a tick shows, to be compared by bytes."""
    try:
        body = tick.heatmap("gex", "delta", minutes=30, gaps=True).to_json()
    except replay.ReplayError as error:
        body = str(error).encode()
    values = [tick.values(name).tobytes() for name in ("gex", "oi", "signed_flow", "call_bid")]
    return [body, *values, tick.strikes.tobytes(), repr(tick.spot), tick.ts, tick.stale, tick.levels, tick.tier]


class TestHonest:
    @pytest.mark.parametrize("name", shipped_strategies())
    def test_all_that_ship_pass(self, lake: replay.Lake, name: str) -> None:
        trades = issubclass(load(name).target, replay.SingleEntry)
        found = audited(lake, name, CORRECTED if trades else FULL, CORRECTED, sample=2)
        assert not found, found.to_text()
        assert found.instants == (1 if trades else 2) * 2

    @pytest.mark.parametrize(
        ("strategy", "options"),
        [
            (Everything, {"latency": "2s", "params": {"count": 5}}),
            (Everything, {"gaps": "carry:5m", "start": GAP, "end": GAP}),
            (Carries, {"start": EARLY}),
            (bars, {"style": "snapshot", "metric": "oi", "start": "2026-03-06"}),
            (everything, {"symbols": ["SPY", "QQQ"], "start": FULL, "end": FULL, "step": "1h"}),
        ],
    )
    def test_honest_ones_pass(self, lake: replay.Lake, strategy: Any, options: dict[str, Any]) -> None:
        found = audited(lake, strategy, **({"step": "1h", "sample": 3} | options))
        assert not found, found.to_text()

    def test_imports_time_zones_logging_and_files_written_are_no_leak(
        self, lake: replay.Lake, tmp_path: pathlib.Path
    ) -> None:
        kept = tmp_path / "mine.txt"

        def works(ctx: replay.Context) -> dict[str, Any]:
            import colorsys  # nothing else has it
            import logging
            import zoneinfo

            logging.getLogger("mine").info("at %s", ctx.now)
            with kept.open("w", encoding="utf-8") as file:
                file.write("x")
            zone = zoneinfo.ZoneInfo.no_cache("Asia/Tokyo")
            return {"x": colorsys.rgb_to_hls(0, 0, 1)[1], "y": str(ctx.now.astimezone(zone)), "z": ctx.rng.random()}

        found = audited(lake, works, sample=3)
        assert not found, found.to_text()
        assert found.notes[0] == "2026-07-24 09:45:00 writes the file mine.txt"

    def test_a_field_that_later_rows_widen_is_no_leak(self, lake: replay.Lake) -> None:
        def widens(ctx: replay.Context) -> dict[str, Any]:
            return {"x": 1 if ctx.now.hour < 12 else 1.5, **({"late": ctx.spot} if ctx.now.hour > 13 else {})}

        found = audited(lake, widens, step="1h", sample=None)
        assert not found, found.to_text()

    def test_a_folder_listed_by_an_import_is_no_leak(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        (tmp_path / "beside").mkdir()
        (tmp_path / "beside" / "__init__.py").write_text("")
        (tmp_path / "beside" / "deeper.py").write_text("X = 1\n")
        (tmp_path / "mine.py").write_text("def f(ctx):\n    import beside.deeper\n    return {'x': beside.deeper.X}\n")
        found = audited(lake, f"{tmp_path}/mine.py:f", sample=2)
        assert not found, found.to_text()


class TestOurOwn:
    """The harness over the visible API: a strategy that records all of it, at every instant of the clock."""

    @pytest.mark.parametrize("symbol", ["SPY", "QQQ"])
    def test_every_instant_of_every_session_stands_whatever_comes_after(self, lake: replay.Lake, symbol: str) -> None:
        """Each tick of each shipped session, the future dropped, and at every other one replaced in each way in turn."""
        ways = [how for how in PERTURBATIONS if how != "dropped"]
        count = 0
        for date in lake.dates(symbol):
            tape = lake.tape(symbol, date)
            for i, tick in enumerate(tape.ticks()):
                at = round(tick.now.timestamp()) * 1_000_000
                expected = as_it_stands(tick)
                for how in ("dropped", ways[i // 2 % len(ways)])[: 1 + i % 2]:
                    other = perturbed(tape, Cut(at, at), how, i)
                    assert as_it_stands(other.at(tick.now)) == expected, (date, tick, how)
                count += 1
        assert count == {"SPY": 210 + 6 * 390, "QQQ": 390}[symbol]

    @pytest.mark.parametrize("date", [EARLY, "2026-03-09", GAP, CORRECTED])
    def test_all_of_it_replayed_with_latency(self, lake: replay.Lake, date: str) -> None:
        found = audited(lake, everything, date, step="1h", sample=None, latency="1s")
        assert not found, found.to_text()
        assert found.instants == (5 if date == EARLY else 8)

    def test_the_harness_sees_a_clock_that_ignores_when_things_became_known(
        self, lake: replay.Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def newest(self: Track, instants: Any, known: Any) -> Any:
            return np.searchsorted(self.timeline.ts, instants, side="right") - 1

        monkeypatch.setattr(Track, "newest", newest)
        found = audited(lake, lambda ctx: {"spot": ctx.spot, "gex": ctx.values("gex")}, step="1m", sample=4)
        assert {finding.kind for finding in found.findings} == {"future"}

    def test_the_harness_sees_history_with_corrections_that_came_later(
        self, lake: replay.Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def visible(self: Timeline, as_of: int, known_at: int) -> Any:
            latest = self.superseded_at == np.iinfo(np.int64).max
            return np.flatnonzero((self.ts <= as_of) & latest)

        monkeypatch.setattr(Timeline, "visible", visible)
        found = audited(lake, lambda ctx: {"x": ctx.history("gex", minutes=390)[:, 0]}, sample=6)
        assert {finding.kind for finding in found.findings} == {"future"}


class TestSample:
    def test_it_has_both_ends_the_gap_the_correction_and_depends_on_the_seed(self, lake: replay.Lake) -> None:
        def chosen(date: str, sample: int, seed: int = 0) -> list[str]:
            loaded = load("levels")
            plan = make_plan(
                loaded, lake, symbols="SPY", start=date, end=date, step="1m", params={}, latency="0s", gaps="mask",
                seed=seed, tier=None, request={},
            )  # fmt: skip
            zone = lake.tape("SPY", date).session.open.tzinfo
            at = Auditor(plan, lake, sample, None)._chosen({"SPY": lake.tape("SPY", date)})
            return [f"{dt.datetime.fromtimestamp(each / 1e6, zone):%H:%M}" for each in at]

        for date in (GAP, CORRECTED):
            assert {"09:30", "16:00"} <= set(chosen(date, 3))
            assert len(chosen(date, 12)) == 12
        gap = lake.tape("SPY", GAP).ticks().gaps()[0]
        ends = {f"{dt.datetime.fromtimestamp(us / 1e6, lake.tape('SPY', GAP).session.open.tzinfo):%H:%M}" for us in gap}
        assert ends & set(chosen(GAP, 12))
        assert chosen(GAP, 12, 1) == chosen(GAP, 12, 1)
        assert chosen(GAP, 12, 1) != chosen(GAP, 12, 2)


def later_tick(ctx: replay.Context) -> dict[str, Any]:
    spots = ctx._ticks.spot
    return {"x": spots[min(ctx.place + 1, len(spots) - 1)]}


def whole_matrix(ctx: replay.Context) -> dict[str, Any]:
    found = ctx.values("gex")
    while found.base is not None:
        found = found.base
    return {"x": float(np.nansum(found))}


def latest_knowledge(ctx: replay.Context) -> dict[str, Any]:
    return {"x": ctx._ticks.tape.at(ctx.session.close, known_at="latest").spot}


def rows_of_the_track(ctx: replay.Context) -> dict[str, Any]:
    return {"x": len(ctx._ticks.tape.tracks[0].timeline.ts)}


class Remembers(replay.Strategy):
    """Knows each session's close from the run before."""

    closes: dict[dt.date, float] = {}  # noqa: RUF012  # the fault

    def on_tick(self, ctx: replay.Context) -> dict[str, Any]:
        return {"x": self.closes.get(ctx.session.date)}

    def on_close(self, ctx: replay.Context) -> None:
        self.closes[ctx.session.date] = ctx.spot


Remembers.__annotations__.clear()  # else it would be a parameter


class TestCheats:
    @pytest.mark.parametrize(
        ("strategy", "shown"),
        [
            (later_tick, {"dropped", "shuffled", "scaled", "negated", "unknown", "shifted later"}),
            (whole_matrix, {"scaled", "unknown"}),
            (latest_knowledge, {"dropped", "scaled", "negated", "unknown"}),
            (rows_of_the_track, {"dropped"}),
        ],
    )
    def test_what_looks_ahead_is_named_with_instant_field_and_perturbation(
        self, lake: replay.Lake, strategy: Any, shown: set[str]
    ) -> None:
        found = audited(lake, strategy)
        assert {finding.kind for finding in found.findings} == {"future"}
        assert shown <= {finding.how for finding in found.findings}
        first = found.findings[0]
        assert (first.session, first.field) == (CORRECTED, "x")
        assert first.cut is not None
        assert first.at <= first.cut
        assert first.before != first.after

    @pytest.mark.parametrize(
        ("body", "kind", "said"),
        [
            ("with replay.open_lake(LAKE) as lake: x = lake.levels('SPY', DAY).magnet", "read", "open_lake()"),
            ("x = KEPT.heatmap('SPY', DAY).underlying_price", "read", "Lake.heatmap()"),
            ("x = KEPT.tape('SPY', DAY).at(DAY).spot", "read", "Lake.tape()"),
            (
                "with duckdb.connect() as c: x = c.execute(f\"SELECT max(spot) FROM '{FILE}'\").fetchone()[0]",
                "read",
                "duckdb.connect()",
            ),
            (
                "with connect() as c: x = c.execute(f\"SELECT max(spot) FROM '{FILE}'\").fetchone()[0]",
                "read",
                "duckdb.connect()",
            ),
            ("x = duckdb.sql(f\"SELECT max(spot) FROM '{FILE}'\").fetchall()[0][0]", "read", "duckdb"),
            ("x = pl.read_parquet(FILE)['spot'].max()", "read", "polars: read_parquet()"),
            ("x = scan_parquet(FILE).select('spot').collect()['spot'].max()", "read", "polars: scan_parquet()"),
            ("x = pq.read_table(FILE, columns=['spot'])['spot'][-1].as_py()", "read", "pyarrow: read_table()"),
            ("x = pq.ParquetFile(FILE).metadata.num_rows", "read", "pyarrow: ParquetFile.__init__()"),
            ("with open(FILE, 'rb') as f: x = f.read(4)[0]", "read", "the file"),
            ("x = pathlib.Path(FILE).read_bytes()[0]", "read", "the file"),
            ("x = len(np.fromfile(FILE, 'u1', 8))", "read", "the file"),
            ("x = len(list(pathlib.Path(FILE).parent.iterdir()))", "read", "os."),
            ("x = datetime.datetime.now().year", "clock", "datetime.now()"),
            ("x = datetime.date.today().year", "clock", "date.today()"),
            ("x = int(time.time() > 0)", "clock", "time.time()"),
            ("x = int(random.random() < 2)", "random", "random.random()"),
            ("x = int(random.choice([1, 1]))", "random", "random.getrandbits()"),
            ("x = len(os.urandom(2))", "random", "os.urandom()"),
            ("x = subprocess.run(['true']).returncode", "outside", "subprocess.Popen"),
        ],
    )
    def test_what_a_callback_touches_is_named(
        self, lake: replay.Lake, tmp_path: pathlib.Path, body: str, kind: str, said: str
    ) -> None:
        file = next((LAKE / "tier=raw" / "symbol=SPY" / f"date={CORRECTED}").glob("*.parquet"))
        (tmp_path / "cheat.py").write_text(
            "import datetime, os, pathlib, random, subprocess, time\n"
            "import duckdb, numpy as np, polars as pl, pyarrow.parquet as pq, replay\n"
            "from duckdb import connect\nfrom polars import scan_parquet\n"
            f"LAKE, FILE, DAY = {str(LAKE)!r}, {str(file)!r}, {CORRECTED!r}\n"
            "KEPT = replay.open_lake(LAKE)\n"
            f"def cheat(ctx):\n    {body}\n    return {{'x': x}}\n",
            encoding="utf-8",
        )
        found = audited(lake, f"{tmp_path}/cheat.py:cheat", step="3h", sample=2)
        touched = [finding for finding in found.findings if finding.kind == kind]
        assert touched, found.to_text()
        assert said in touched[0].how
        assert (touched[0].session, touched[0].at) == (CORRECTED, "12:30:00")

    @pytest.mark.parametrize(
        ("body", "kind", "said"),
        [
            ("CON.execute(f\"SELECT max(spot) FROM '{FILE}'\").fetchone()[0]", "read", "a connection's execute()"),
            pytest.param("LAZY.select(pl.col('spot').max()).collect().item()", "read", "compiled code", marks=COUNTED),
            pytest.param(
                "max(SET.to_table(columns=['spot'])['spot'].to_pylist())", "read", "compiled code", marks=COUNTED
            ),
            ("np.random.seed(1) or np.random.random()", "random", "numpy.random"),
            ("random.Random().random()", "random", "without a seed"),
            ("threading.Thread(target=print).start()", "outside", "a thread"),
            ("hash('SPY')", "again", "a fresh process"),
            ("''.join({'gex', 'dex', 'vex', 'chex', 'oi', 'a', 'b', 'c'})", "again", "a fresh process"),
        ],
    )
    def test_what_hides_from_names_is_found(
        self, lake: replay.Lake, tmp_path: pathlib.Path, body: str, kind: str, said: str
    ) -> None:
        file = next((LAKE / "tier=raw" / "symbol=SPY" / f"date={CORRECTED}").glob("*.parquet"))
        (tmp_path / "hides.py").write_text(
            "import random, threading\nimport duckdb, numpy as np, polars as pl, pyarrow.dataset as ds\n"
            f"FILE = {str(file)!r}\n"
            "CON, LAZY, SET = duckdb.connect(), pl.scan_parquet(FILE), ds.dataset(FILE)\n"
            f"def hides(ctx):\n    return {{'x': {body}}}\n",
            encoding="utf-8",
        )
        found = audited(lake, f"{tmp_path}/hides.py:hides", step="3h", sample=2)
        assert any(each.kind == kind and said in each.how for each in found.findings), found.to_text()

    def test_random_numbers_of_a_compiled_library_show_in_the_second_run(self, lake: replay.Lake) -> None:
        found = audited(lake, lambda _: {"x": np.random.random()}, sample=2)
        assert [finding.kind for finding in found.findings] == ["again", "random"]
        assert found.findings[0].field == "x"

    def test_a_global_from_an_earlier_run_shows(self, lake: replay.Lake) -> None:
        seen: set[str] = set()

        def keeps(ctx: replay.Context) -> dict[str, Any]:
            first = str(ctx.now) not in seen
            seen.add(str(ctx.now))
            return {"first": first}

        found = audited(lake, keeps)
        assert ("again", "09:45:00", "first") in {(each.kind, each.at, each.field) for each in found.findings}

    def test_what_a_class_keeps_from_session_to_session_shows(self, lake: replay.Lake) -> None:
        Remembers.closes.clear()
        found = audited(lake, Remembers)
        assert found.findings[0].kind == "again"
        assert found.findings[0].before == "null"

    def test_the_order_of_sessions_shows(self, lake: replay.Lake) -> None:
        last: list[dt.date] = []

        def follows(ctx: replay.Context) -> dict[str, Any]:
            if not last or last[-1] != ctx.session.date:
                last.append(ctx.session.date)
            return {"before": last[-2] if len(last) > 1 else None}

        found = audited(lake, follows, "2026-05-12", CORRECTED, sample=2)
        assert any("another order" in finding.how for finding in found.findings)

    def test_a_file_it_wrote_is_caught(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        kept = tmp_path / "spots.txt"

        def diary(ctx: replay.Context) -> dict[str, Any]:
            known = kept.read_text().splitlines() if kept.exists() else []
            with kept.open("a", encoding="utf-8") as file:
                file.write(f"{ctx.spot}\n")
            return {"lines": len(known)}

        found = audited(lake, diary)
        assert {"again", "read"} <= {finding.kind for finding in found.findings}
        assert found.notes[0] == "2026-07-24 09:45:00 writes the file spots.txt"

    def test_an_error_that_the_future_brings_about_is_a_leak(self, lake: replay.Lake) -> None:
        def needs(ctx: replay.Context) -> dict[str, Any]:
            return {"x": {True: 1}[ctx._ticks.spot[-1] < 1000]}

        found = audited(lake, needs)
        assert found.findings[0].kind == "future"
        assert found.findings[0].field == "error"
        assert "KeyError" in str(found.findings[0].after)

    def test_what_is_logged_counts_as_recorded(self, lake: replay.Lake) -> None:
        def tells(ctx: replay.Context) -> None:
            ctx.log(ctx._ticks.spot[-1])

        found = audited(lake, tells)
        assert (found.findings[0].kind, found.findings[0].field) == ("future", "log")


class TestFutures:
    """The perturbations themselves: all of the future changes, nothing of the past does."""

    @pytest.mark.parametrize("how", PERTURBATIONS)
    @pytest.mark.parametrize("clock", ["10:30", "13:05", "13:06", "15:00"])
    def test_the_past_stays_and_the_future_does_not(self, lake: replay.Lake, how: str, clock: str) -> None:
        tape = lake.tape("SPY", CORRECTED)
        zone = tape.session.open.tzinfo
        at = round(dt.datetime.fromisoformat(f"{CORRECTED}T{clock}").replace(tzinfo=zone).timestamp()) * 1_000_000
        changed = perturbed(tape, Cut(at, at), how, 7)
        old, new = (each.tracks[0].timeline for each in (tape, changed))
        past, kept = (np.flatnonzero((line.ts <= at) & (line.recorded_at <= at)) for line in (old, new))
        assert len(past) > 0
        for name in ("ts", "recorded_at"):
            assert np.array_equal(getattr(old, name)[past], getattr(new, name)[kept])
        before = tape.tracks[0].snapshots(past, ("gex", "call_oi"))
        after = changed.tracks[0].snapshots(kept, ("gex", "call_oi"))
        assert np.array_equal(before.spot, after.spot)
        for name in ("strike", "gex", "call_oi"):
            assert before.lists[name].flat().tobytes() == after.lists[name].flat().tobytes()
        rest = np.setdiff1d(np.arange(len(new.ts)), kept)
        assert len(rest) == (0 if how == "dropped" else len(old.ts) - len(past))
        if how in ("shuffled", "scaled", "negated", "unknown"):
            gex = changed.tracks[0].snapshots(rest, ("gex",)).lists["gex"].flat()
            was = tape.tracks[0].snapshots(np.setdiff1d(np.arange(len(old.ts)), past), ("gex",)).lists["gex"].flat()
            assert not np.array_equal(gex, was)
        assert (np.diff(new.ts) >= 0).all()
        for i in range(len(new.ts) - 1):
            again = new.ts[i + 1] == new.ts[i]
            assert new.superseded_at[i] == (new.recorded_at[i + 1] if again else np.iinfo(np.int64).max)


class TestReport:
    def test_it_says_what_was_done_and_what_it_cannot_see(self, lake: replay.Lake) -> None:
        found = audited(lake, later_tick, sample=3)
        text = found.to_text()
        assert text.startswith(
            f"later_tick on SPY: LEAKS ({len(found.findings)} findings in 1 sessions, 3 instants x 7"
        )
        assert "It cannot see:" in text
        assert found.to_dict()["leaks"] is True
        assert repr(found).startswith("<Audit of later_tick on SPY: LEAKS")
        assert json.loads(json.dumps(found.to_dict()))["findings"][0] == dataclasses.asdict(found.findings[0])

    def test_what_does_not_run_through_is_no_audit(self, lake: replay.Lake) -> None:
        with pytest.raises(StrategyFailed, match="session 2026-07-24, 09:45:00: ZeroDivisionError"):
            audited(lake, lambda _: {"x": 1 / 0})
        with pytest.raises(GapFound):
            audited(lake, "levels", GAP, gaps="strict")
        with pytest.raises(InvalidRun, match="sample 0"):
            audited(lake, "levels", sample=0)

    def test_the_guard_is_gone_afterwards(self, lake: replay.Lake) -> None:
        import duckdb

        connect, profile = duckdb.connect, sys.getprofile()
        audited(lake, later_tick, sample=2)
        assert duckdb.connect is connect
        assert sys.getprofile() is profile

    def test_the_command_exits_by_its_verdict(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "mine.py").write_text(
            "def honest(ctx): return {'x': ctx.spot}\n"
            "def cheat(ctx): return {'x': ctx._ticks.spot[-1]}\n"
            "def broken(ctx): return {'x': nothing}\n",
            encoding="utf-8",
        )
        base = ["--lake", str(LAKE), "--symbol", "SPY", "--from", CORRECTED, "--to", CORRECTED, "--step", "1h"]
        for name, status, said in (("honest", 0, "no leak found"), ("cheat", 1, "LEAKS"), ("broken", 2, "")):
            done = subprocess.run(
                [sys.executable, "-m", "replay", "audit", f"{tmp_path}/mine.py:{name}", *base],
                capture_output=True,
                text=True,
            )
            assert done.returncode == status, done.stderr
            assert said in done.stdout
            assert ("NameError" in done.stderr) == (status == 2)
            assert max(map(len, done.stdout.splitlines()), default=0) <= 120
        told = subprocess.run(
            [sys.executable, "-m", "replay", "audit", f"{tmp_path}/mine.py:cheat", *base, "--every", "--format", "json"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert json.loads(told.stdout)["instants"] == 8

    def test_ctrl_c_ends_it_and_is_no_verdict(self) -> None:
        command = [
            sys.executable, "-m", "replay", "audit", "levels", "--lake", str(LAKE), "--symbol", "SPY", "--every",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            time.sleep(3)  # well within what it takes
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=60)
        assert running.returncode == 130, said
        assert said[0] == ""
        assert "Traceback" not in said[1]
