"""The numbers of reports: metrics, intervals, profiles, flags and comparisons, against other ways to them."""

from __future__ import annotations

import datetime as dt
import json
import math
import pathlib
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import replay
from replay.errors import InvalidRun
from replay.queries import shipped
from replay.results import profile
from replay.results.activity import activity, orders
from replay.results.comparison import compare, curves, paired
from replay.results.drawn import MOST, draw, telling
from replay.results.flags import CHECKS, Flag, flags
from replay.results.intervals import RESAMPLES, Interval, intervals, mean_interval
from replay.results.metrics import deflated_sharpe, expected_best, probabilistic_sharpe, session_metrics, sharpe_error
from replay.results.report import make_report
from replay.results.traded import Traded, traded
from tests import lakes
from tests.traded_runs import clock, dates, made, symbol, write

LAKE = shipped("fixtures") / "lake"


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


@pytest.fixture(scope="module")
def fly(lake: replay.Lake) -> Traded:
    """Real tables, of flies that ship."""
    return traded(replay.run("pin_fly", lake, symbols="SPY"))


def floats(*values: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, np.float64)


class TestMetrics:
    def test_by_hand(self) -> None:
        found = session_metrics(floats(100, -50, 0, 25, -75, 40))
        assert found.sessions == 6
        assert (found.total, found.median, found.best, found.worst) == (40, 12.5, 100, -75)
        assert found.mean == pytest.approx(40 / 6)
        assert found.win_rate == pytest.approx(3 / 5), "the session at 0 is neither"
        assert found.profit_factor == pytest.approx(165 / 125)
        assert found.max_drawdown == 100, "from 100 to 50, 50, 75 and 0"
        assert found.drawdown_sessions == 5, "from the second session to the end: 40 is below 100"
        assert found.cvar == -75, "5 % of six is one"
        squares = sum((each - 40 / 6) ** 2 for each in (100, -50, 0, 25, -75, 40))
        assert found.deviation == pytest.approx(math.sqrt(squares / 5))
        assert found.sharpe == pytest.approx(40 / 6 / math.sqrt(squares / 5) * math.sqrt(252))
        assert found.sortino == pytest.approx(40 / 6 / math.sqrt((2500 + 5625) / 6) * math.sqrt(252))

    def test_a_drawdown_lasts_until_its_peak_is_reached_again(self) -> None:
        assert session_metrics(floats(10, -4, -3, 2, 5, 1)).drawdown_sessions == 4
        assert session_metrics(floats(-1, -1, 3)).drawdown_sessions == 3, "the start is a peak"
        assert session_metrics(floats(1, 2, 3)).drawdown_sessions == 0
        assert session_metrics(floats(5, -2, 2, -3, 3)).drawdown_sessions == 2, "the deepest, not the longest"

    def test_against_plain_loops(self) -> None:
        rng = lakes.dice(20260724)
        for _ in range(50):
            profits = [round(rng.gauss(5, 80), 2) for _ in range(rng.randrange(2, 90))]
            found = session_metrics(floats(*profits))
            assert found.mean == pytest.approx(statistics.fmean(profits))
            assert found.deviation == pytest.approx(statistics.stdev(profits))
            assert found.sharpe == pytest.approx(statistics.fmean(profits) / statistics.stdev(profits) * 252**0.5)
            peak = gained = deepest = 0.0
            for each in profits:
                gained += each
                peak = max(peak, gained)
                deepest = max(deepest, peak - gained)
            assert found.max_drawdown == pytest.approx(deepest)
            tail = sorted(profits)[: -(-len(profits) // 20)]
            assert found.cvar == pytest.approx(statistics.fmean(tail))

    def test_what_is_not_defined_is_none(self) -> None:
        none = session_metrics(floats())
        assert (none.sessions, none.total, none.max_drawdown) == (0, 0, 0)
        assert none.mean is none.sharpe is none.sortino is none.cvar is none.win_rate is none.profit_factor is None
        wins = session_metrics(floats(1, 2))
        assert wins.profit_factor is wins.sortino is None, "without a loss"
        for same in (0.1, -0.3, 1e6 + 0.1):
            found = session_metrics(np.full(7, same))
            assert found.sharpe is None, "what rounding makes of equal profits is no deviation"
            assert deflated_sharpe(np.full(7, same), 3) is None

    def test_the_published_example_of_the_deflated_sharpe_ratio(self) -> None:
        """Bailey and López de Prado (2014): 5 years of 250 days, 2.5 a year, variance 1/2 of the trials' ratios."""
        ratio, spread = 2.5 / math.sqrt(250), math.sqrt(0.5 / 250)
        assert spread * expected_best(100) == pytest.approx(0.1132, abs=5e-5)
        for trials, skew, kurtosis, expected in ((100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)):
            away = (ratio - spread * expected_best(trials)) / sharpe_error(ratio, 1250, skew, kurtosis)
            assert statistics.NormalDist().cdf(away) == pytest.approx(expected, abs=5e-5)

    def test_the_deflated_sharpe_ratio_of_profits(self) -> None:
        profits = floats(30, -10, 20, 5, -15, 40, 10, -20, 25, 15)
        mean, deviation = statistics.fmean(profits), statistics.pstdev(profits)
        skew = statistics.fmean(((each - mean) / deviation) ** 3 for each in profits)
        kurtosis = statistics.fmean(((each - mean) / deviation) ** 4 for each in profits)
        ratio = mean / statistics.stdev(profits)
        error = math.sqrt((1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / 9)
        normal = statistics.NormalDist()
        assert probabilistic_sharpe(profits) == pytest.approx(normal.cdf(ratio / error))
        assert deflated_sharpe(profits, 1) == probabilistic_sharpe(profits)
        gamma = 0.5772156649015329
        best = (1 - gamma) * normal.inv_cdf(1 - 1 / 20) + gamma * normal.inv_cdf(1 - 1 / (20 * math.e))
        assert deflated_sharpe(profits, 20, 0.04) == pytest.approx(normal.cdf((ratio - 0.2 * best) / error))
        falling = [deflated_sharpe(profits, trials) or 0 for trials in (1, 2, 10, 100)]
        assert falling == sorted(falling, reverse=True)


class TestIntervals:
    PROFITS = floats(30, -10, 20, 5, -15, 40, 10)

    def test_against_a_plain_bootstrap_of_the_same_bits(self) -> None:
        bits = np.random.PCG64(7)
        means, totals = [], []
        for _ in range(RESAMPLES):
            sample = [float(self.PROFITS[int(bits.random_raw()) % 7]) for _ in range(7)]
            means.append(statistics.fmean(sample))
            totals.append(sum(sample))
        low, high = math.ceil(0.025 * RESAMPLES) - 1, math.ceil(0.975 * RESAMPLES) - 1
        found = intervals(self.PROFITS, 7)
        assert found["total"] == (sorted(totals)[low], sorted(totals)[high])
        assert found["mean"] == pytest.approx((sorted(means)[low], sorted(means)[high]))
        assert mean_interval(self.PROFITS, 7) == found["mean"]

    def test_the_seed_decides_and_unknown_sessions_have_no_say(self) -> None:
        assert intervals(self.PROFITS, 1) == intervals(self.PROFITS, 1) != intervals(self.PROFITS, 2)
        assert intervals(np.append(self.PROFITS, math.nan), 1) == intervals(self.PROFITS, 1)

    def test_draws_in_parts_are_the_draws_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = intervals(self.PROFITS, 3)
        monkeypatch.setattr("replay.results.intervals._CELLS", 700)
        assert intervals(self.PROFITS, 3) == whole

    def test_too_few_or_undefined_give_none(self) -> None:
        none = Interval(None, None)
        assert set(intervals(self.PROFITS[:4], 0).values()) == {none}
        assert mean_interval(self.PROFITS[:4], 0) == none
        wins = intervals(floats(1, 2, 3, 4, 5), 0)
        assert wins["profit_factor"] == wins["sortino"] == none
        assert wins["mean"] != none
        one_loss = intervals(floats(1, 2, 3, 4, 5, -1), 0)
        assert one_loss["profit_factor"] == none, "a third of the draws hold no loss"


class TestProfiles:
    def test_minutes_before_the_close_by_plain_loop(self, fly: Traded) -> None:
        sums: dict[tuple[int, int], float] = {}
        last: dict[dt.date, float] = {}
        settled = {row["session"] for row in fly.sessions.to_dicts() if row["settled"]}
        for row in fly.equity.to_dicts():
            if row["session"] not in settled:
                continue
            session = replay.find_session(row["session"])
            assert session is not None
            minutes = (session.close - row["at"]) / dt.timedelta(minutes=1)
            key = (int(minutes // 15) * 15, int(minutes // 15) * 15 + 15) if minutes else (0, 0)
            sums[key] = sums.get(key, 0.0) + row["profit"] - last.get(row["session"], 0.0)
            last[row["session"]] = row["profit"]
        found = profile.by_minutes(fly)
        assert {(a, b): total for a, b, total in found.select("start", "end", "total").iter_rows()} == pytest.approx(
            sums
        )
        assert found["total"].sum() == pytest.approx(fly.run["trading"]["profit"])
        assert found["mean"].to_list() == pytest.approx([each / len(settled) for each in found["total"]])
        assert found.select("start", "end").row(-1) == (0, 0), "the close comes last"
        assert found["sessions"][0] == 0, "nothing was held at the open"
        assert found["sessions"].max() == 6

    def test_distance_from_the_pin_by_hand(self) -> None:
        def row(day: dt.date, **more: Any) -> dict[str, Any]:
            plain = {"session": day, "order": 1, "opened_at": clock(day, "10:00"), "exit": "settled"}
            return plain | {"settlement": 600.0, "magnet": 600.0, "expected_move": 2.0, "profit": 1.0} | more

        days = dates(6)
        rows = [
            row(days[0], magnet=603.0, profit=-30.0),
            row(days[1], magnet=599.75, profit=8.0),
            row(days[2], magnet=599.5, profit=4.0),
            row(days[3], settlement=None),
            row(days[4], magnet=None),
            row(days[5], expected_move=None, magnet=590.0, profit=-5.0),
        ]
        found = profile.by_pin(made([1.0] * 6, trades=rows))
        assert found["distance"].to_list() == [-3.0, 0.25, 0.5, 10.0]
        assert found["moves"].to_list() == [-1.5, 0.125, 0.25, None]
        assert profile.pin_bins(found, "distance").rows() == [
            (0.0, 0.5, 1, 1, 8.0, 8.0),
            (0.5, 1.0, 1, 1, 4.0, 4.0),
            (2.0, 5.0, 1, 0, -30.0, -30.0),
            (5.0, None, 1, 0, -5.0, -5.0),
        ]
        assert profile.pin_bins(found, "moves").rows() == [
            (0.0, 0.25, 1, 1, 8.0, 8.0),
            (0.25, 0.5, 1, 1, 4.0, 4.0),
            (1.0, 2.0, 1, 0, -30.0, -30.0),
        ]

    def test_the_path_keeps_each_sessions_end_and_the_drawdown_of_all_ticks(self, fly: Traded) -> None:
        whole = fly.equity["equity"].to_list()
        peak, falls = fly.capital, []
        for each in whole:
            peak = max(peak, each)
            falls.append(peak - each)
        found = profile.path(fly)
        assert len(found) <= profile.MOST_POINTS + len(fly.sessions)
        assert found["drawdown"].to_list() == pytest.approx([falls[i] for i in found["number"]])
        ends = fly.equity.group_by("session", maintain_order=True).last()["equity"]
        assert found.group_by("session", maintain_order=True).last()["equity"].to_list() == ends.to_list()
        assert profile.deepest(fly) == pytest.approx(max(falls))
        assert profile.ranges(fly)["equity"] == (min(whole), max(whole))

    def test_days_and_weekdays(self) -> None:
        run = made([5.0, -3.0, None, 2.0])  # Friday 2026-01-02, then Monday to Wednesday
        found = profile.calendar(run)
        assert found["weekday"].to_list() == [4, 0, 1, 2]
        assert found["monday"].to_list() == [dt.date(2025, 12, 29), *[dt.date(2026, 1, 5)] * 3]
        assert found["profit"].to_list() == [5.0, -3.0, None, 2.0]
        assert profile.by_weekday(run).rows() == [(0, 1, -3.0, -3.0), (2, 1, 2.0, 2.0), (4, 1, 5.0, 5.0)]


class TestActivity:
    def test_by_hand(self) -> None:
        more = [{"fees": 1.0, "turnover": 50.0, "requirement": 500.0}, {"fees": 2.0, "turnover": 70.0}]
        found = activity(made([30.0, -10.0, 0.0, None], sessions=more))
        assert (found.trades, found.unsettled_trades) == (4, 1)
        assert found.win_rate == pytest.approx(1 / 3)
        assert (found.profit_factor, found.average_win, found.average_loss, found.payoff) == (3, 30, -10, 3)
        assert found.mean_trade == pytest.approx(20 / 3)
        assert (found.contracts, found.turnover, found.fees, found.requirement) == (8, 120, 3, 500)
        assert found.fees_share == pytest.approx(3 / 23)
        assert found.exposure == 0.5
        assert found.total_return == pytest.approx(0.02)

    def test_what_became_of_orders(self) -> None:
        day = dates(1)[0]

        def row(event: str, order: int, wall: str, what: str) -> dict[str, Any]:
            return {"session": day, "at": clock(day, wall), "event": event, "order": order} | (
                {"how": what} if event == "fill" else {"reason": what}
            )

        rows = [
            row("fill", 1, "10:00", "touch"),
            row("fill", 1, "10:00", "touch"),
            row("fill", 2, "10:05", "limit"),
            row("fill", 4, "10:05", "touch"),
            row("miss", 3, "10:06", "no bid"),
            row("miss", 3, "10:07", "no bid"),
            row("expire", 3, "10:08", "no bid"),
            row("order", 3, "10:05", ""),
        ]
        assert orders(made([1.0], ledger=rows)).rows() == [
            ("fill", "touch", 2, 2),
            ("fill", "limit", 1, 1),
            ("miss", "no bid", 1, 2),
            ("expire", "no bid", 1, 1),
        ]


GOOD = [12.0, -4.0, 9.0, 3.0, -2.0, 8.0, 6.0, -5.0, 7.0, 4.0] * 4
AUDIT = {
    "leaks": False, "source_sha256": "ab" * 32, "parameters": {"wing": 5.0}, "symbols": ["SPY"], "findings": [],
    "sessions": ["2026-01-02"], "instants": 12,
}  # fmt: skip


def flag(run: Traded, name: str) -> Flag:
    return next(each for each in flags(run) if each.id == name)


def told(**more: Any) -> list[dict[str, Any]]:
    """Entries of ``run.json`` for the sessions of :data:`GOOD`, the first with this."""
    rows = [{"date": str(day), "ticks": 390, "symbols": {"SPY": symbol()}} for day in dates(len(GOOD))]
    rows[0]["symbols"] = {"SPY": symbol(**more)}
    return rows


def bad_fills(count: int, **marks: bool) -> list[dict[str, Any]]:
    return [
        {"session": day, "at": clock(day, "10:00"), "event": "fill", "order": 1, "wide": False, "stale": False}
        | (marks if i < count else {})
        for i, day in enumerate(dates(len(GOOD)))
    ]


class TestFlags:
    def test_a_sound_run_raises_none(self) -> None:
        found = flags(made(GOOD, audit=AUDIT))
        assert len(found) == len(CHECKS) == 15
        assert [each.severity for each in found] == ["clear"] * 15, [each for each in found if each.advice]
        assert all(each.says.endswith(".") and not each.advice for each in found)

    RAISED = (
        ("few_trades", "red", made(GOOD[:29]), "29 trades"),
        ("significance", "red", made(GOOD, trials=100_000), "100,000 parameter sets"),
        ("significance", "red", made([1.0, 2.0]), "not defined"),
        ("significance", "amber", made([4.0, 5.0, 6.0]), "but 3 settled sessions cannot show it"),
        ("flat", "amber", made([*GOOD[:10], *[0.0] * 30]), "30 of 40"),
        ("flat", "red", made([0.0] * 3), "3 of 3"),
        ("one_session", "red", made([*GOOD, 1000.0]), "is 81% of all"),
        ("one_session", "red", made([5.0, -4.0, 5.0, -4.0, -1.0]), "without the best session the total of 1.00 USD is -4.00"),
        ("one_session", "amber", made([10.0, -6.0, 4.0, 4.0, 4.0, 4.0, -4.0]), "28%"),
        ("kind_fills", "amber", made(GOOD, worse=10.0), "at worst"),
        ("kind_fills", "red", made(GOOD, sessions=[{"touch": -900.0, "worst": -900.0}]), "at the touch"),
        ("bad_fills", "amber", made(GOOD, ledger=bad_fills(2, wide=True)), "2 of 40 filled orders (5%): 2 on wide"),
        ("bad_fills", "red", made(GOOD, ledger=bad_fills(5, stale=True, wide=True)), "5 on quotes that hung"),
        ("unfilled", "amber", made(GOOD, sessions=[{"expired": 6, "rejected": 3}]), "9 of 40 orders (22%)"),
        (
            "assignment", "amber", made(GOOD, sessions=[{"open_contracts": 8, "pin_contracts": 4}]),
            "Of 8 contracts held into the close 4 had a strike within 0.1 %",
        ),
        ("same_fills", "red", made(GOOD, sessions=[{"same_fills": 1}]), "1 order filled on the snapshot"),
        ("unsettled", "red", made([*GOOD, None]), "2026-03-03"),
        ("gaps", "amber", made(GOOD, told=told(gaps=[{"start": "", "end": ""}])), "1 of 40"),
        ("gaps", "red", made(GOOD, told=told(stale_ticks=40 * 390 // 10)), "10.0%"),
        ("skipped", "amber", made(GOOD, missing_sessions=["2026-01-30"]), "1 of 41"),
        ("skipped", "red", made(GOOD, missing_sessions=["2026-01-30"] * 7), "and 2 more"),
        ("audit", "amber", made(GOOD), "Not run"),
        ("audit", "amber", made(GOOD, audit=AUDIT | {"source_sha256": "cd" * 32}), "another source: cdcdcdcdcdcd, not ab"),
        ("audit", "amber", made(GOOD, audit=AUDIT | {"parameters": {"wing": 6.0}}), "other parameters"),
        ("audit", "amber", made(GOOD, audit=AUDIT | {"symbols": ["QQQ"]}), "other symbols"),
        ("audit", "red", made(GOOD, audit=AUDIT | {"leaks": True, "findings": [{}, {}]}), "2 leaks"),
        ("conventions", "red", made(GOOD, told=told(conventions=["dealer-book"])), "dealer-book, replay-1"),
        ("conventions", "red", made(GOOD, told=told(conventions=["None"])), "2 ids in use: unnamed, replay-1"),
        ("known_later", "amber", made(GOOD, told=told(instant_rows=100)), "2%"),
        ("known_later", "amber", made(GOOD[:1], told=told(lag_s=900.0)[:1]), "15.0 minutes"),
        ("known_later", "red", made(GOOD[:1], told=told(instant_rows=51)[:1]), "51%"),
    )  # fmt: skip

    @pytest.mark.parametrize(("name", "severity", "run", "says"), RAISED, ids=[f"{r[0]}-{r[3][:18]}" for r in RAISED])
    def test_raised(self, name: str, severity: str, run: Traded, says: str) -> None:
        found = flag(run, name)
        assert found.severity == severity, found
        assert says in found.says
        assert found.advice

    def test_every_flag_has_a_test_that_raises_it(self) -> None:
        assert {row[0] for row in self.RAISED} == {each.id for each in flags(made(GOOD))}

    def test_stated_conventions_are_one(self) -> None:
        stated = {"basis": "settled", "share": 1.0, "conventions": "dealer-book"}
        assert flag(made(GOOD, told=told(conventions=["x"]), stated=stated), "conventions").severity == "clear"

    def test_without_named_conventions_they_are_unknown(self) -> None:
        rows = [{"date": str(dates(1)[0]), "ticks": 1, "symbols": {"SPY": symbol(conventions=["None"])}}]
        assert flag(made([1.0], told=rows), "conventions").severity == "amber"

    def test_the_raised_come_first(self) -> None:
        found = [each.severity for each in flags(made([1.0, None]))]
        assert found == sorted(found, key=["red", "amber", "clear"].index)
        assert found[0] == "red"


class TestComparison:
    def test_pairs_by_hand(self) -> None:
        own, other = made([5.0, 7.0, None, 1.0, 2.0, 9.0]), made([4.0, 9.0, 3.0, None, 2.0, 1.0, 8.0])
        found = paired(own, other)
        assert (found.sessions, found.better) == (4, 2)  # 1, -2, 0, 8
        assert (found.mean, found.total) == (1.75, 7.0)
        assert found.interval == Interval(None, None), "four pairs are too few"
        assert paired(made([]), other).mean is None

    def test_names_are_told_apart_and_curves_chained(self) -> None:
        own = made([5.0, None, -2.0])
        found = compare(own, [made([1.0]), made([2.0]), made([3.0], name="other")])
        assert [each.name for each in found] == ["made (2)", "made (3)", "other"]
        assert curves([own])[0]["gained"].to_list() == [5.0, 5.0, 3.0]


class TestRuns:
    def test_a_folder_is_the_result(self, lake: replay.Lake, tmp_path: pathlib.Path) -> None:
        result = replay.run("coin", lake, symbols="SPY", start="2026-07-24", out=tmp_path / "coin")
        ours, theirs = make_report(result).to_dict(), make_report(tmp_path / "coin").to_dict()
        assert ours == theirs
        text = json.dumps(ours, allow_nan=False)
        assert ours["name"] == "coin"
        assert "Infinity" not in text

    BROKEN = (
        ("run.json is missing", lambda folder: (folder / "run.json").unlink()),
        ("run.json cannot be read", lambda folder: (folder / "run.json").write_text("{")),
        ("run.json cannot be read: it holds no object", lambda folder: (folder / "run.json").write_text("[]")),
        ("is of no run: it has no strategy", lambda folder: (folder / "run.json").write_text("{}")),
        ("ledger.parquet cannot be read", lambda folder: (folder / "ledger.parquet").unlink()),
        ("trades.parquet cannot be read", lambda folder: (folder / "trades.parquet").write_text("no")),
        (
            "equity.parquet: column touch is missing, not Float64",
            lambda folder: pl.read_parquet(folder / "equity.parquet").drop("touch").write_parquet(folder / "equity.parquet"),
        ),
        (
            "sessions.parquet and run.json are of different runs",
            lambda folder: pl.read_parquet(folder / "sessions.parquet")[:1].write_parquet(folder / "sessions.parquet"),
        ),
        ("audit.json is no audit", lambda folder: (folder / "audit.json").write_text("{}")),
        ("audit.json cannot be read", lambda folder: (folder / "audit.json").write_text("{")),
    )  # fmt: skip

    @pytest.mark.parametrize(("says", "spoil"), BROKEN, ids=[row[0] for row in BROKEN])
    def test_what_is_broken_is_named(self, says: str, spoil: Any, tmp_path: pathlib.Path) -> None:
        folder = write(made([1.0, 2.0]), tmp_path / "made")
        assert traded(folder).name == "made"
        spoil(folder)
        with pytest.raises(InvalidRun, match=says) as caught:
            traded(folder)
        assert str(folder) in caught.value.message
        assert "\n" not in caught.value.message

    def test_incomplete_runs_and_runs_without_orders_are_refused(
        self, lake: replay.Lake, tmp_path: pathlib.Path
    ) -> None:
        with pytest.raises(InvalidRun, match="nowhere is no folder"):
            traded(tmp_path / "nowhere")
        with pytest.raises(InvalidRun, match="not complete but interrupted"):
            traded(write(made([1.0], status="interrupted"), tmp_path / "early"))
        result = replay.run("levels", lake, symbols="SPY", start="2026-07-24", step="1h")
        with pytest.raises(InvalidRun, match="levels: the run sent no order"):
            traded(result)


class TestDrawn:
    def test_all_of_few_and_the_ends_and_the_middle_of_many(self) -> None:
        few = made([1.0, None, 3.0])
        assert telling(few) == dates(3)
        many = made([float(i) for i in range(20)])
        days = dates(20)
        assert telling(many) == [*days[:3], *days[8:11], *days[-3:]]
        assert len(telling(many)) == MOST
        mixed = made([float(i) if i < 7 else None for i in range(20)])
        assert telling(mixed) == dates(9), "unsettled ones where there is room"

    def test_heatmaps_and_legs_of_the_lake_that_was_run_on(self, fly: Traded, lake: replay.Lake) -> None:
        found = draw(fly, lake)
        assert [each.date for each in found.sessions] == telling(fly)
        assert found.left == ()
        first = found.sessions[0]
        assert first.heatmap.bar_size == "5m"
        assert first.heatmap.expiration == first.date
        assert first.legs["quantity"].to_list() == [1, -1, -1, 1], "an iron fly, sold"
        assert first.legs["closed_at"].null_count() == 0

    def test_another_lake_is_refused(self, fly: Traded, lake: replay.Lake) -> None:
        other = Traded(**{**vars(fly), "run": fly.run | {"lake": {"files": {}, "fingerprint": ""}}})
        with pytest.raises(InvalidRun, match=r"is not as .* read it: tier=raw/symbol=SPY/date=2025-11-28/"):
            draw(other, lake)
