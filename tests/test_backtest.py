"""Backtests as their user runs them: folders, workers, resumption, the command, and real sessions."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import replay
from replay.broker.account import TABLES
from replay.cli import main
from replay.engine import Interrupted, Progress

ROOT = pathlib.Path(__file__).parent.parent
LAKE = ROOT / "fixtures" / "lake"
REAL = ROOT.parent / "shared" / "data" / "spy-0dte-cboe"
HERE = pytest.mark.skipif(not REAL.is_dir(), reason="the real SPY sessions are not on this machine")
FILES = ("run.json", *(f"{name}.parquet" for name in TABLES))


def backtest(out: pathlib.Path, **asked: Any) -> replay.Result:
    return replay.run("pin_fly", LAKE, symbols="SPY", out=out, seed=2, **asked)


def same(one: pathlib.Path, other: pathlib.Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_workers_and_a_resumption_give_the_same_bytes(tmp_path: pathlib.Path) -> None:
    backtest(tmp_path / "one")
    backtest(tmp_path / "two", workers=2)
    same(tmp_path / "one", tmp_path / "two")

    def interrupt(progress: Progress) -> None:
        if progress.sessions_done == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        backtest(tmp_path / "three", progress=interrupt)
    assert caught.value.result.status == "interrupted"
    assert json.loads((tmp_path / "three" / "run.json").read_text())["trading"]["trades"] == 3
    backtest(tmp_path / "three", resume=True)
    same(tmp_path / "one", tmp_path / "three")
    assert sorted(each.name for each in (tmp_path / "three").iterdir()) == sorted([*FILES, "records.parquet"])


def test_in_memory_and_in_a_folder_are_the_same_tables(tmp_path: pathlib.Path) -> None:
    kept, held = backtest(tmp_path / "run"), replay.run("pin_fly", LAKE, symbols="SPY", seed=2)
    for name in ("ledger", "equity", "trades", "by_session"):
        assert getattr(kept, name)().equals(getattr(held, name)()), name
    assert kept.run == held.run


def test_a_session_without_an_order_stands_with_nothing(tmp_path: pathlib.Path) -> None:
    rows = backtest(tmp_path / "run").by_session().filter(session=dt.date(2026, 3, 6)).to_dicts()[0]
    assert (rows["orders"], rows["profit"], rows["settled"], rows["trades"]) == (0, 0.0, True, 0)


def test_a_run_without_orders_writes_no_table_of_trading(tmp_path: pathlib.Path) -> None:
    result = replay.run("levels", LAKE, symbols="SPY", start="2026-07-24", out=tmp_path / "run")
    assert not result.traded
    assert result.trades().is_empty()
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["records.parquet", "run.json"]


def test_a_backtest_without_orders_says_so(tmp_path: pathlib.Path) -> None:
    said = "note: no order was sent, so there is nothing to report"
    for name, told in (("backtest", True), ("run", False)):
        done = invoke(name, "levels", "--from", "2026-07-24", "--out", str(tmp_path / name))
        assert done.exit_code == 0
        assert (said in done.stderr) == told


def test_a_run_that_fails_keeps_what_was_traded(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text(
        "import replay\n\n\ndef fails(ctx):\n    if f'{ctx.now:%H:%M}' == '10:00':\n"
        "        ctx.order(replay.Leg('C', 700))\n    if f'{ctx.now:%m-%d %H:%M}' == '07-24 11:00':\n"
        "        raise ValueError('no')\n"
    )
    done = invoke("backtest", f"{path}:fails", "--from", "2026-06-05", "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    ledger = pl.read_parquet(tmp_path / "run" / "ledger.parquet")
    assert ledger.filter(event="fill")["session"].to_list() == [dt.date(2026, 6, 5), dt.date(2026, 7, 24)]
    assert pl.read_parquet(tmp_path / "run" / "sessions.parquet")["session"].to_list() == [dt.date(2026, 6, 5)]


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, [*arguments, "--lake", str(LAKE), "--symbol", "SPY"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fill", "best"), "error: invalid_terms: fill 'best' is not one of touch, mid, mid+X%, patient, same"),
        (("--fees", "free"), "error: invalid_terms: fees 'free': give auto, zero, us-broker, index"),
        (("--settlement", "none.csv"), "error: invalid_input: none.csv: No such file or directory"),
        (("--root", "SPXW"), "error: invalid_run: root 'SPXW' is none of SPY; it has SPY"),
        (("--capital", "0"), "error: invalid_terms: capital 0.0 is not an amount in USD from 1 to 1e+12"),
        (("--max-spread", "wide"), "error: invalid_terms: max_spread 'wide' is not a share of the mid above 0"),
        (("--max-wait", "soon"), "error: invalid_terms: max_wait 'soon' cannot be read"),
        (("--slippage", "-1"), "error: invalid_terms: slippage -1 is not a whole number of ticks"),
        (("--param", "center=pin"), "error: invalid_parameter: strategy pin_fly: parameter center is 'pin'"),
    ],
)
def test_wrong_terms_are_one_line_and_exit_status_2(
    arguments: tuple[str, ...], said: str, tmp_path: pathlib.Path
) -> None:
    done = invoke("backtest", "pin_fly", "--out", str(tmp_path / "run"), *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_run_and_backtest_are_the_same(tmp_path: pathlib.Path) -> None:
    for name in ("run", "backtest"):
        done = invoke(name, "pin_fly", "--from", "2026-07-24", "--out", str(tmp_path / name))
        assert done.exit_code == 0, done.stderr
    same(tmp_path / "run", tmp_path / "backtest")


def test_what_has_expired_is_never_traded(tmp_path: pathlib.Path) -> None:
    """A file that still lists yesterday's contracts, and tomorrow's: only those of the day are there to be ordered."""
    head = "ts,expiration,right,strike,spot,bid,ask,iv,open_interest\n"
    rows = [
        f"2026-07-24T1{hour}:{minute:02}:00,{expires},C,{strike},600,1.00,1.10,0.2,10\n"
        for hour in (0, 1)
        for minute in range(0, 60, 5)
        for expires, strike in (("2026-07-23", 590), ("2026-07-24", 600), ("2026-07-27", 610))
    ]
    path = tmp_path / "rows.csv"
    path.write_text(head + "".join(rows), encoding="utf-8")
    lake = tmp_path / "lake"
    done = CliRunner().invoke(
        main, ["ingest", "chain", str(path), "--symbol", "SPY", "--preset", "generic", "--lake", str(lake)]
    )
    assert done.exit_code == 0, done.stderr

    def each(ctx: replay.Context) -> None:
        if f"{ctx.now:%H:%M}" == "10:10":
            for strike in (590, 600, 610):
                ctx.order(replay.Leg("C", strike))

    result = replay.run(each, lake, symbols="SPY")
    status = [(row["order"], row["event"], row["reason"]) for row in result.ledger().to_dicts()]
    assert [each for each in status if each[1] in ("fill", "expire")] == [
        (2, "fill", None), (1, "expire", "strike not listed"), (3, "expire", "strike not listed")
    ]  # fmt: skip


# --- real sessions


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("real") / "lake"
    files = sorted(str(each) for each in REAL.glob("SPY_*.csv.gz"))
    done = CliRunner().invoke(
        main, ["ingest", "chain", *files, "--symbol", "SPY", "--preset", "cboe-recorder", "--lake", str(root)]
    )
    assert done.exit_code == 0, done.stderr
    return root


def quotes(date: dt.date) -> Iterator[dict[str, str]]:
    with gzip.open(REAL / f"SPY_{date}.csv.gz", "rt", newline="") as file:
        yield from csv.DictReader(file)


@HERE
@pytest.mark.parametrize("name", ["pin_fly", "coin"])
def test_real_sessions_are_filled_on_the_recorders_own_quotes(real: pathlib.Path, name: str) -> None:
    """Each entry of 14:00 is made on the first quotes after it, as the file has them, though known a quarter later."""
    official = {
        dt.date.fromisoformat(row["date"]): float(row["settlement"])
        for row in csv.DictReader((REAL / "settlement.csv").read_text().splitlines())
    }
    result = replay.run(
        name, real, symbols="SPY", settlement=REAL / "settlement.csv", params={"take": 0, "stop": 0}, fees="zero"
    )
    assert result.run["trading"]["unsettled_sessions"] == ["2026-07-17", "2026-07-20"]
    fills = result.ledger().filter(event="fill")
    checked = 0
    for trade in result.trades().to_dicts():
        date, opened = trade["session"], trade["opened_at"]
        rows = list(quotes(date))
        later = sorted({row["quote_ts"] for row in rows if row["quote_ts"][-8:] > "14:00:00"})
        assert f"{opened:%H:%M:%S}" in {each[-8:] for each in later[:2]}, (
            "the first, or the second where the first has none"
        )
        own = {
            (row["type"], float(row["strike"])): (float(row["bid"]), float(row["ask"]))
            for row in rows
            if row["quote_ts"][-8:] == f"{opened:%H:%M:%S}"
        }
        credit = owed = 0.0
        for leg in fills.filter(session=date).to_dicts():
            bid, ask = own[leg["right"], leg["strike"]]
            assert leg["price"] == (ask if leg["quantity"] > 0 else bid)
            assert leg["quote_recorded_at"] - leg["quote_ts"] > dt.timedelta(minutes=14)
            credit -= leg["quantity"] * leg["price"]
            if date in official:
                inside = official[date] - leg["strike"] if leg["right"] == "C" else leg["strike"] - official[date]
                owed -= leg["quantity"] * max(inside, 0.0)
        if date in official:
            assert trade["profit"] == pytest.approx(100 * (credit - owed), abs=1e-6)
            checked += 1
    assert checked >= 4
