"""What sources hold that is odd: NaN for nothing, crossed quotes, prices that come late, clocks of another zone."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.cli import main
from replay.ingest.quotes import price_events
from replay.ingest.sampling import EVENT_TYPES, EVENTS, QUOTE, QuoteCount, sample
from replay.ingest.underlying import Prices
from tests import chains
from tests.lakes import MINUTE, at

DAY = "2026-07-24"
CHAIN = "ts,expiration,right,strike,bid,ask,iv,open_interest"
NOTHING_WRITTEN: dict[str, Any] = {}


def write(path: pathlib.Path, header: str, *lines: str) -> pathlib.Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def ingest(kind: str, lake: pathlib.Path, *arguments: object) -> Result:
    command = ["ingest", kind, *map(str, arguments), "--symbol", "SPY", "--lake", str(lake), "--preset", "generic"]
    return CliRunner().invoke(main, command)


def stored(lake: pathlib.Path, date: str = DAY) -> list[dict[str, Any]]:
    with replay.open_lake(lake) as opened:
        return opened.snapshots("SPY", date).to_dicts()


# --- numbers that are none


def on_parity(hole: str) -> list[str]:
    """Five strikes whose parity implies 740.0, 739.9, 740.0, 740.3, 740.0; calls of the outer two have no quote."""
    implied = {735: 740.0, 739: 739.9, 740: 740.0, 741: 740.3, 745: 740.0}
    lines = []
    for strike, spot in implied.items():
        call = max(0.0, spot - strike) + 0.5
        for right, mid in (("C", call), ("P", call - (spot - strike))):
            quote = f"{mid - 0.02:.4f},{mid + 0.02:.4f}"
            if right == "C" and strike in (735, 745):
                quote = f"{hole},{hole}"
            lines.append(f"{DAY}T10:00:00,{DAY},{right},{strike},{quote},0.2,100")
    return lines


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_nan_is_no_quote(tmp_path: pathlib.Path, form: str) -> None:
    blank = write(tmp_path / "blank.csv", CHAIN, *on_parity(""))
    path = write(tmp_path / "nan.csv", CHAIN, *on_parity("NaN"))
    if form == "parquet":
        path = tmp_path / "nan.parquet"
        pl.read_csv(tmp_path / "nan.csv").write_parquet(path)
        assert pl.read_parquet(path)["bid"].is_nan().sum() == 2
    for name, file in (("nan", path), ("blank", blank)):
        done = ingest("chain", tmp_path / name, file)
        assert done.exit_code == 0, done.output
    (found,), (wanted,) = stored(tmp_path / "nan"), stored(tmp_path / "blank")
    assert found["spot"] == 740.0  # the median of the three that are quoted
    assert str(found) == str(wanted)  # in which NaN is NaN


def test_an_instant_of_nan_quotes_has_no_spot_and_the_others_do(tmp_path: pathlib.Path) -> None:
    nothing = [line.replace("T10:00", "T10:01") for line in on_parity("NaN") if "NaN" in line]
    path = write(tmp_path / "c.csv", CHAIN, *on_parity("1.0"), *nothing)
    done = ingest("chain", tmp_path / "lake", path)
    assert done.exit_code == 0, done.output
    assert "spot of 2 rows not known: left out" in done.stdout
    assert len(stored(tmp_path / "lake")) == 1


def test_no_vol_is_solved_from_a_crossed_quote(tmp_path: pathlib.Path) -> None:
    def quoted(bid: float, ask: float) -> dict[str, Any]:
        rows = [chains.row(right=right, bid=bid, ask=ask, iv=0.0) for right in "CP"]
        chain = ["ingest", "chain", str(chains.write_csv(tmp_path / f"{bid}.csv", rows)), "--symbol", "SPY"]
        done = CliRunner().invoke(main, [*chain, "--preset", "cboe-recorder", "--lake", str(tmp_path / str(bid))])
        return {"out": done.stdout} | stored(tmp_path / str(bid))[0]

    crossed = quoted(2.0, 1.0)
    assert str(crossed["call_iv"]) == "[nan]"
    assert (crossed["call_bid"], crossed["call_ask"], str(crossed["gex"])) == ([2.0], [1.0], "[nan]")
    assert "vol of 2 not known: no vol and no quote that gives one" in crossed["out"]
    assert "2 crossed quotes, from which no vol is solved" in crossed["out"]
    sound = quoted(1.0, 1.1)
    assert sound["call_iv"][0] > 0
    assert "crossed" not in sound["out"]


# --- prices of the underlying that come late

PRICES = "ts,price,recorded_at"
QUOTES = "ts,contract,bid,ask"


def quotes(path: pathlib.Path, *clocks: str, date: str = DAY) -> pathlib.Path:
    stamp = date[2:].replace("-", "")
    return write(
        path, QUOTES, *(f"{date}T{clock},SPY{stamp}{right}00740000,1.0,1.1" for clock in clocks for right in "CP")
    )


def test_a_price_is_in_no_sample_before_it_was_recorded(tmp_path: pathlib.Path) -> None:
    path = quotes(tmp_path / "q.csv", "10:00:00", "10:05:00", "10:27:30")
    prices = write(
        tmp_path / "u.csv", PRICES,
        f"{DAY}T10:00:00,740,{DAY}T10:00:00", f"{DAY}T10:02:00,999,{DAY}T10:30:00",
        f"{DAY}T10:28:00,741,{DAY}T10:28:00", f"{DAY}T10:27:00,888,{DAY}T10:29:00",
        f"{DAY}T10:28:00,742,{DAY}T10:30:30",
    )  # fmt: skip
    done = ingest("quotes", tmp_path / "lake", path, "--underlying", prices)
    assert done.exit_code == 0, done.output
    spots = {
        f"{each['ts'].astimezone(replay.sessions.NEW_YORK):%H:%M}": each["spot"] for each in stored(tmp_path / "lake")
    }
    assert [spots.get(f"10:{minute:02}") for minute in range(7)] == [740.0] * 6 + [None]
    assert [spots[f"10:{minute}"] for minute in (28, 29, 30, 31, 32, 33)] == [741.0, 741.0, 741.0, 742.0, 742.0, 742.0]
    assert max(spots) == "10:33"  # a price holds for five minutes from its own time, whenever it came


def test_a_corrected_price_takes_nothing_from_the_one_before_it(tmp_path: pathlib.Path) -> None:
    rows = write(
        tmp_path / "c.csv", "ts,recorded_at,expiration,right,strike,bid,ask,iv,open_interest",
        *(f"{DAY}T10:00:00,{DAY}T{known},{DAY},{right},740,1.0,1.1,0.2,100" for known in ("10:00:01", "18:00:00") for right in "CP"),
    )  # fmt: skip
    prices = write(
        tmp_path / "u.csv", PRICES, f"{DAY}T09:58:00,739,{DAY}T09:58:00", f"{DAY}T10:00:00,740,{DAY}T10:00:00",
        f"{DAY}T10:00:00,741,{DAY}T17:00:00",
    )  # fmt: skip
    assert ingest("chain", tmp_path / "lake", rows, "--underlying", prices).exit_code == 0
    with replay.open_lake(tmp_path / "lake") as lake:
        assert lake.levels("SPY", f"{DAY}T10:01").spot == 740.0
        assert lake.levels("SPY", f"{DAY}T10:01", known_at="latest").spot == 741.0
    late = write(
        tmp_path / "late.csv", PRICES, f"{DAY}T09:58:00,739,{DAY}T09:58:00", f"{DAY}T09:59:30,740,{DAY}T10:00:30"
    )
    assert ingest("chain", tmp_path / "other", rows, "--underlying", late).exit_code == 0
    with replay.open_lake(tmp_path / "other") as lake:
        assert lake.levels("SPY", f"{DAY}T10:01").spot == 739.0


def test_a_late_quote_replaces_no_newer_one(tmp_path: pathlib.Path) -> None:
    """Worked by hand: the newest quote known, for 15 minutes from its own time."""
    name = "SPY260724C00740000"
    path = write(
        tmp_path / "q.csv", "ts,recorded_at,contract,bid,ask,spot,open_interest",
        f"{DAY}T10:00:00,{DAY}T10:30:00,{name},9.0,9.2,700,7",
        f"{DAY}T10:29:30,{DAY}T10:29:30,{name},1.1,1.3,741,100",
        f"{DAY}T10:41:00,{DAY}T10:50:00,{name},2.0,2.2,742,",
        f"{DAY}T10:52:00,{DAY}T10:52:00,SPY260724C00745000,2.0,2.2,743,",
        f"{DAY}T10:41:00,{DAY}T10:54:00,{name},3.0,3.2,742,",
        f"{DAY}T10:57:00,{DAY}T10:57:00,SPY260724C00745000,2.0,2.2,744,",
    )  # fmt: skip
    done = ingest("quotes", tmp_path / "lake", path, "--underlying-age", "20m")
    assert done.exit_code == 0, done.output
    found = {f"{each['ts'].astimezone(replay.sessions.NEW_YORK):%H:%M}": each for each in stored(tmp_path / "lake")}
    shown = {clock: (each["call_bid"][0], each["spot"], each["call_oi"][0]) for clock, each in found.items()}
    assert "10:29" not in shown
    newest = {f"10:{minute}": (1.1, 741.0, 100.0) for minute in range(30, 45)}
    assert {clock: shown[clock] for clock in newest} == newest
    assert not {"10:45", "10:49"} & set(shown)  # too old, and the next one is not known
    assert shown["10:50"] == (2.0, 742.0, 100.0)
    assert (shown["10:53"], shown["10:54"], shown["10:56"]) == (
        (2.0, 743.0, 100.0), (3.0, 743.0, 100.0), (3.0, 743.0, 100.0),
    )  # fmt: skip
    assert str(shown["10:57"]) == "(nan, 744.0, 100.0)"  # 16 minutes old, however late it came


def test_quotes_of_a_late_feed_are_said_to_be_too_old(tmp_path: pathlib.Path) -> None:
    """Each was known 15 minutes and 20 seconds after its time."""
    lines = [
        f"{DAY}T10:0{i}:00,{DAY}T10:{15 + i}:20,SPY260724{right}00740000,1,1.2,740" for i in range(5) for right in "CP"
    ]
    path = write(tmp_path / "q.csv", "ts,recorded_at,contract,bid,ask,spot", *lines)
    done = ingest("quotes", tmp_path / "lake", path)
    assert (done.exit_code, done.stderr) == (
        2,
        "error: invalid_input: none of 10 rows can be used; 10 were older than --max-quote-age when they became known\n",
    )
    done = ingest("quotes", tmp_path / "lake", path, "--max-quote-age", "20m")
    assert done.exit_code == 2
    assert "18 options have no price of the underlying that holds: give --underlying" in done.stderr
    done = ingest("quotes", tmp_path / "lake", path, "--max-quote-age", "20m", "--underlying-age", "20m")
    assert done.exit_code == 0, done.output
    assert len(stored(tmp_path / "lake")) == 9


prices = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12)


def by_definition(told: Sequence[tuple[int, int, int]], ts: int, known: int, age: int) -> float | None:
    """The newest price of up to ``ts``, as it was known last by then, unless it is older than ``age``."""
    found = [each for each in told if each[0] <= ts and each[0] + each[1] <= known and ts - each[0] <= age]
    return float(max(found, key=lambda each: (each[0], each[0] + each[1]))[2]) if found else None


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(prices, st.integers(0, 6), st.integers(0, 5))
def test_prices_are_those_of_the_plain_definition(told: list[tuple[int, int, int]], age: int, lag: int) -> None:
    """Of (minute, lag, price): in a chain's rows, and as events to be sampled."""
    told = list({(each[0], each[1]): each for each in told}.values())
    opens = at("09:30")
    frame = pl.DataFrame(
        {
            "known": [opens + each[0] * MINUTE for each in told],
            "price": [float(each[2]) for each in told],
            "recorded": [opens + (each[0] + each[1]) * MINUTE for each in told],
        }
    ).sort("known", "recorded")
    instants = list(range(20))
    rows = pl.DataFrame({"ts": [opens + i * MINUTE for i in instants]}).with_columns(
        recorded_at=pl.col("ts") + lag * MINUTE, spot=pl.lit(None, pl.Float64)
    )
    found = Prices(frame, age * MINUTE).of(rows)["spot"].to_list()
    assert found == [by_definition(told, i, i + lag, age) for i in instants]

    session = replay.sessions.find_session(dt.date.fromisoformat(DAY))
    assert session is not None
    quote = pl.DataFrame(
        [(session.date, opens, opens, QUOTE, 740.0, True, 1.0, 1.1)],
        schema=dict(zip(EVENTS, EVENT_TYPES, strict=True)),
        orient="row",
    )
    events = pl.concat([quote, price_events(Prices(frame))])
    sampled = sample(events, session, MINUTE, None, age * MINUTE, QuoteCount())["spot"].to_list()
    assert sampled[:20] == [by_definition(told, i, i, age) for i in instants]


# --- clocks of another zone


def minutes(first: str, count: int, step: int = 5) -> list[str]:
    start = dt.datetime.fromisoformat(f"{DAY}T{first}")
    return [f"{start + dt.timedelta(minutes=step * i):%H:%M:%S}" for i in range(count)]


def test_a_stray_row_does_not_hide_that_quotes_are_in_utc(tmp_path: pathlib.Path) -> None:
    path = quotes(tmp_path / "q.csv", *minutes("13:35", 78), "20:35:00")
    done = ingest("quotes", tmp_path / "lake", path, "--spot", "parity")
    assert done.exit_code == 2
    assert "the rows of 2026-07-24 are at 13:35 to 20:35 New York, and the session is 09:30 to 16:00" in done.stderr
    assert not (tmp_path / "lake").exists()
    assert ingest("quotes", tmp_path / "lake", path, "--spot", "parity", "--zone", "UTC").exit_code == 0


@pytest.mark.parametrize("kind", ["quotes", "chain", "trades"])
def test_nothing_is_written_where_one_session_looks_like_utc(tmp_path: pathlib.Path, kind: str) -> None:
    """The first session's rows are right; those of the second all lie after its close."""
    days = [("2026-07-23", minutes("10:00", 4)), (DAY, minutes("17:00", 4))]
    header, line = {
        "quotes": (QUOTES, "{d}T{c},SPY{s}{r}00740000,1.0,1.1"),
        "chain": (CHAIN, "{d}T{c},{d},{r},740,1.0,1.1,0.2,100"),
        "trades": ("ts,contract,price,size,bid,ask", "{d}T{c},SPY{s}{r}00740000,1.1,2,1.0,1.1"),
    }[kind]
    lines = [line.format(d=d, c=c, s=d[2:].replace("-", ""), r=r) for d, clocks in days for c in clocks for r in "CP"]
    lake = tmp_path / "lake"
    if kind == "trades":
        chain = [f"{d}T10:00:00,{d},{r},740,1.0,1.1,0.2,100" for d, _ in days for r in "CP"]
        assert ingest("chain", lake, write(tmp_path / "c.csv", CHAIN, *chain)).exit_code == 0
    before = {path: path.read_bytes() for path in lake.rglob("*.parquet")}
    options = [] if kind == "trades" else ["--spot", "parity"] if kind == "quotes" else []
    done = ingest(kind, lake, write(tmp_path / "rows.csv", header, *lines), *options)
    assert done.exit_code == 2, done.stdout
    assert "the rows of 2026-07-24 are at 17:00 to 17:15 New York" in done.stderr
    assert {path: path.read_bytes() for path in lake.rglob("*.parquet")} == before
    as_it_is = ingest(kind, lake, tmp_path / "rows.csv", *options, "--zone", "America/New_York")
    assert as_it_is.exit_code == 0, as_it_is.stderr


@pytest.mark.parametrize("kind", ["quotes", "chain"])
def test_an_underlying_in_utc_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    """Its prices rise by a dollar an hour from 740 at 09:30; taken for New York's, that of 13:30 would be of 09:30."""
    rows = write(
        tmp_path / "rows.csv", CHAIN,
        *(f"{DAY}T{clock},{DAY},{right},740,1.0,1.1,0.2,100" for clock in minutes("09:30", 78) for right in "CP"),
    )  # fmt: skip
    utc = [f"{DAY}T{clock},{740 + i / 12:.4f}" for i, clock in enumerate(minutes("13:30", 78))]
    prices = write(tmp_path / "u.csv", "ts,price", *utc)
    done = ingest(kind, tmp_path / "lake", rows, "--underlying", prices)
    assert done.exit_code == 2
    assert f"{prices}: the rows of 2026-07-24 are at 13:30 to 19:55 New York" in done.stderr
    assert "write their offset, as in 2026-07-24T14:00:00Z" in done.stderr
    assert not (tmp_path / "lake").exists()
    write(tmp_path / "u.csv", "ts,price", *(line.replace(",", "Z,") for line in utc))
    assert ingest(kind, tmp_path / "lake", rows, "--underlying", prices).exit_code == 0
    spots = {
        f"{each['ts'].astimezone(replay.sessions.NEW_YORK):%H:%M}": each["spot"] for each in stored(tmp_path / "lake")
    }
    assert (spots["09:30"], spots["13:30"]) == (740.0, 744.0)


def test_open_interest_in_utc_is_refused(tmp_path: pathlib.Path) -> None:
    path = quotes(tmp_path / "q.csv", *minutes("10:00", 60))
    told = [f"{DAY}T18:00:00,SPY260724{right}00740000,100" for right in "CP"]
    interest = write(tmp_path / "oi.csv", "ts,contract,open_interest", *told)
    done = ingest("quotes", tmp_path / "lake", path, "--spot", "parity", "--open-interest", interest)
    assert done.exit_code == 2
    assert f"{interest}: the rows of 2026-07-24 are at 18:00 to 18:00 New York" in done.stderr
    write(interest, "ts,contract,open_interest", *(line.replace("18:", "06:") for line in told))  # before the open
    done = ingest("quotes", tmp_path / "lake", path, "--spot", "parity", "--open-interest", interest)
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("clock", ["17:30:00-04:00", "21:30:00Z"])
@pytest.mark.parametrize("kind", ["chain", "trades"])
def test_times_that_say_their_offset_are_not_doubted(tmp_path: pathlib.Path, kind: str, clock: str) -> None:
    path = write(tmp_path / "rows.csv", CHAIN + ",spot", f"{DAY}T{clock},{DAY},C,740,1.0,1.1,0.2,100,740")
    arguments: tuple[object, ...] = (path,)
    if kind == "trades":
        header = "ts,contract,price,size,bid,ask"
        arguments = (write(path, header, f"{DAY}T{clock},SPY260724C00740000,1.1,2,1.0,1.1"), "--classify-only")
    done = ingest(kind, tmp_path / "lake", *arguments)
    assert done.exit_code == 0, done.stderr


def test_epochs_are_not_doubted(tmp_path: pathlib.Path) -> None:
    frame = pl.DataFrame(
        {
            "ts": [at("17:30")], "expiration": [DAY], "right": ["C"], "strike": [740.0], "bid": [1.0], "ask": [1.1],
            "spot": [740.0],
        }
    )  # fmt: skip
    for name, made in (
        ("epoch", frame),
        ("aware", frame.with_columns(pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))),
    ):
        made.write_parquet(tmp_path / f"{name}.parquet")
        done = ingest("chain", tmp_path / name, tmp_path / f"{name}.parquet")
        assert done.exit_code == 0, done.stderr


# --- rows that contradict, and rows that are nothing


def test_contradicting_rows_of_thetadata_are_counted(tmp_path: pathlib.Path) -> None:
    header = "symbol,expiration,strike,right,timestamp,bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition"
    line = '"SPY","2026-07-24",740.000,"{right}",2026-07-24T10:00:00.000,5,1,{bid},50,7,1,1.2,50'
    lines = [
        line.format(right=right, bid=bid) for right, bid in (("CALL", 1.0), ("PUT", 1.0), ("CALL", 1.1), ("PUT", 1.0))
    ]
    path = write(tmp_path / "theta.csv", header, *lines)
    done = CliRunner().invoke(
        main,
        ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "thetadata"],
    )
    assert done.exit_code == 0, done.stderr
    assert "1 contradicting rows: the last of each instant, strike and right is kept" in done.stdout
    assert "1 repeated rows fell together" in done.stdout
    assert stored(tmp_path / "lake")[0]["call_bid"] == [1.1]


SPOTTED = "ts,expiration,right,strike,spot,bid,ask,iv,open_interest"


@pytest.mark.parametrize("nothing", ["", "NaN", "N/A"])
def test_a_blank_spot_is_filled(tmp_path: pathlib.Path, nothing: str) -> None:
    """By the other rows of its instant, else by the underlying's file, and without one by parity: 740 + 1.5 - 1.1."""
    rows = [
        f"{DAY}T10:00:00,{DAY},C,740,{nothing},1.4,1.6,0.2,10", f"{DAY}T10:00:00,{DAY},P,740,740,1.0,1.2,0.2,10",
        f"{DAY}T10:01:00,{DAY},C,740,{nothing},1.4,1.6,0.2,10", f"{DAY}T10:01:00,{DAY},P,740,{nothing},1.0,1.2,0.2,10",
    ]  # fmt: skip
    path = write(tmp_path / "rows.csv", SPOTTED, *rows)
    prices = write(tmp_path / "u.csv", "ts,price", f"{DAY}T09:59:00,741")
    done = ingest("chain", tmp_path / "filed", path, "--underlying", prices)
    assert done.exit_code == 0, done.output
    assert "spot of 1 row as other rows of their instant have it" in done.stdout
    assert "spot of 2 rows from the underlying's file" in done.stdout
    assert [(each["spot"], each["call_oi"], each["put_oi"]) for each in stored(tmp_path / "filed")] == [
        (740.0, [10.0], [10.0]), (741.0, [10.0], [10.0]),
    ]  # fmt: skip
    assert ingest("chain", tmp_path / "implied", path).exit_code == 0
    assert [each["spot"] for each in stored(tmp_path / "implied")] == [740.0, 740.4]
    done = ingest("quotes", tmp_path / "sampled", path)
    assert done.exit_code == 0, done.output
    assert "rejected" not in done.stdout
    assert [each["spot"] for each in stored(tmp_path / "sampled")][:2] == [740.0, 740.0]


@pytest.mark.parametrize("wrong", ["0", "-1", "1,000", "abc", "inf"])
def test_a_wrong_spot_is_rejected(tmp_path: pathlib.Path, wrong: str) -> None:
    rows = [f'{DAY}T10:00:00,{DAY},{right},740,"{spot}",1.4,1.6,0.2,10' for right, spot in (("C", wrong), ("P", "740"))]
    done = ingest("chain", tmp_path / "lake", write(tmp_path / "rows.csv", SPOTTED, *rows))
    assert "1 row rejected: each has a spot that is no number above 0" in done.stdout


def test_parity_takes_the_rows_that_are_kept(tmp_path: pathlib.Path) -> None:
    """The call's first quote would imply 744; the one that is kept is crossed, and implies nothing."""
    rows = [
        f"{DAY}T10:00:00,{DAY},C,740,5.0,5.2", f"{DAY}T10:00:00,{DAY},P,740,1.0,1.2",
        f"{DAY}T10:00:00,{DAY},C,740,3.2,1.0",
    ]  # fmt: skip
    done = ingest("chain", tmp_path / "lake", write(tmp_path / "rows.csv", "ts,expiration,right,strike,bid,ask", *rows))
    assert done.exit_code == 2
    assert "3: neither they nor anything else gives a spot" in done.stderr


def theta(path: pathlib.Path, header: str, *lines: str) -> pathlib.Path:
    return write(path, f"timestamp,symbol,expiration,strike,right,{header}", *lines)


def test_greeks_give_the_price_of_their_instant(tmp_path: pathlib.Path) -> None:
    """They list 740 alone; the wide quotes of 760 would imply 743.455, and the put has a quote and no greeks."""
    start = f"{DAY}T10:00:00,SPY,{DAY}"
    files = [
        theta(
            tmp_path / "q.csv", "bid,ask", f"{start},740,CALL,1,1.2", f"{start},740,PUT,1,1.2",
            f"{start},760,CALL,0.01,0.9", f"{start},760,PUT,15,19",
        ),
        theta(tmp_path / "g.csv", "implied_vol,underlying_price", f"{start},740,CALL,0.2,740"),
        theta(tmp_path / "o.csv", "open_interest", *(f"{DAY}T06:30:00,SPY,{DAY},{k},PUT,7" for k in (740, 760))),
    ]  # fmt: skip
    command = ["ingest", "chain", *map(str, files), "--symbol", "SPY", "--lake", str(tmp_path / "l")]
    done = CliRunner().invoke(main, [*command, "--preset", "thetadata"])
    assert done.exit_code == 0, done.output
    (found,) = stored(tmp_path / "l")
    assert (found["spot"], found["strike"], found["put_oi"]) == (740.0, [740.0, 760.0], [7.0, 7.0])
    assert "spot of 3 rows as other rows of their instant have it" in done.stdout


def test_open_interest_alone_is_no_chain(tmp_path: pathlib.Path) -> None:
    path = theta(tmp_path / "o.csv", "open_interest", f"{DAY}T06:30:00,SPY,{DAY},740,PUT,7")
    command = ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "l"), "--preset", "thetadata"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "none of 1 rows can be used; 1: each tells open interest alone; give quotes or greeks too" in done.stderr


def test_a_correction_with_fewer_strikes_is_counted_whenever_it_comes(tmp_path: pathlib.Path) -> None:
    def given(name: str, known: str, *strikes: int) -> pathlib.Path:
        lines = [f"{DAY}T10:00:00,{DAY}T{known},{DAY},C,{strike},740,1,1.2,0.2,10" for strike in strikes]
        return write(tmp_path / name, "ts,recorded_at,expiration,right,strike,spot,bid,ask,iv,open_interest", *lines)

    first, second, third = (
        given("a.csv", "10:00:00", 740, 745), given("b.csv", "10:05:00", 740), given("c.csv", "10:06:00", 741, 742),
    )  # fmt: skip
    told = "1 revisions list fewer strikes than the one they replace"
    assert told in ingest("chain", tmp_path / "together", first, second, third).stdout
    outputs = [ingest("chain", tmp_path / "apart", each).stdout for each in (first, third, second, second)]
    assert [told in each for each in outputs] == [False, False, True, True]


def test_cancels_alone_are_said(tmp_path: pathlib.Path) -> None:
    chain = [f"{DAY}T10:00:00,{DAY},{right},740,1.0,1.1,0.2,100" for right in "CP"]
    ingest("chain", tmp_path / "lake", write(tmp_path / "c.csv", CHAIN, *chain))
    path = write(
        tmp_path / "t.csv", "ts,contract,price,size,condition", f"{DAY}T10:00:00,SPY260724C00740000,1.1,2,CANC"
    )
    done = ingest("trades", tmp_path / "lake", path, "--rule", "tick")
    assert (done.exit_code, done.stderr) == (
        2, "error: invalid_input: none of 1 rows can be used; 1 cancels another print\n"
    )  # fmt: skip


# --- snapshots of another program


def parquet(path: pathlib.Path, rows: list[dict[str, Any]]) -> pathlib.Path:
    """Rows, long or wide, with clocks in UTC, as a Parquet file."""
    stamp = pl.Datetime("us", "UTC")
    frame = pl.DataFrame(rows).with_columns(
        pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us").dt.replace_time_zone("UTC").cast(stamp)
        for name in ("ts", "recorded_at")
    )
    frame.write_parquet(path)
    return path


CLOCKS = {"ts": f"{DAY}T14:00:00", "recorded_at": f"{DAY}T14:00:01", "spot": 740.0}


def copied(lake: pathlib.Path, *paths: pathlib.Path, strict: bool = False) -> Result:
    command = ["ingest", "snapshots", *map(str, paths), "--symbol", "SPY", "--lake", str(lake)]
    return CliRunner().invoke(main, [*command, *(["--strict"] if strict else [])])


def test_long_rows_of_other_expirations_are_left_out(tmp_path: pathlib.Path) -> None:
    rows = [
        CLOCKS | {"strike": strike, "call_oi": 5.0, "expiration": dt.date(2026, 7, day)}
        for strike, day in ((740.0, 24), (740.0, 31), (745.0, 31))
    ]
    path = parquet(tmp_path / "two.parquet", rows)
    done = copied(tmp_path / "lake", path)
    assert done.exit_code == 0, done.stderr
    assert f"2 rows that expire on another date, left out (first: {path}, row 1)" in done.stdout
    assert stored(tmp_path / "lake")[0]["strike"] == [740.0]
    alone = copied(tmp_path / "other", parquet(tmp_path / "one.parquet", rows[1:]))
    assert (alone.exit_code, "2 expire on another date than their session's" in alone.stderr) == (2, True)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"call_oi": [-5.0]}, "call_oi holds a value below 0"),
        ({"gex": [float("inf")]}, "gex holds an infinite value"),
        ({"strike": [0.0], "call_oi": [5.0]}, "a strike is no price above 0"),
        ({"put_bid": [-0.01]}, "put_bid holds a value below 0"),
    ],
)
def test_values_that_cannot_be_are_refused_and_found(
    tmp_path: pathlib.Path, values: dict[str, Any], reason: str
) -> None:
    path = parquet(tmp_path / "w.parquet", [CLOCKS | {"strike": [740.0]} | values])
    command = ["ingest", "snapshots", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake")]
    done = CliRunner().invoke(main, [*command, "--conventions", "replay-1"])
    assert (done.exit_code, f"1: each is not sound: {reason}" in done.stderr) == (2, True)
    folder = tmp_path / "foreign" / "tier=raw" / "symbol=SPY" / f"date={DAY}"
    folder.mkdir(parents=True)
    parquet(folder / "w.parquet", [CLOCKS | {"strike": [740.0]} | values])
    found = CliRunner().invoke(main, ["verify", "--lake", str(tmp_path / "foreign")])
    assert (found.exit_code, f"row 0: {reason}" in found.stdout) == (1, True)


@pytest.mark.parametrize("expires", [DAY, "20260724", 20260724, dt.date(2026, 7, 24), dt.datetime(2026, 7, 24)])
def test_long_rows_may_write_their_expiration_in_any_way(tmp_path: pathlib.Path, expires: Any) -> None:
    path = parquet(tmp_path / "a.parquet", [CLOCKS | {"strike": 740.0, "call_oi": 5.0, "expiration": expires}])
    done = copied(tmp_path / "lake", path)
    assert done.exit_code == 0, done.output
    assert stored(tmp_path / "lake")[0]["call_oi"] == [5.0]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("expiration", pa.array([b"\xff"]), "column expiration is binary, not a date"),
        ("expiration", pa.array([[1]]), "column expiration is list<"),
        ("expiration", pa.array([1], pa.duration("s")), "column expiration is duration[s], not a date"),
        ("expiration", pa.array([1.5]), "column expiration is double, not a date"),
        ("gex", pa.array([1]).cast(pa.decimal256(60, 2)), "column gex is decimal256(60, 2), with more digits"),
    ],
)  # fmt: skip
def test_long_columns_of_other_kinds_are_refused(
    tmp_path: pathlib.Path, name: str, values: pa.Array, said: str
) -> None:
    table = pl.read_parquet(parquet(tmp_path / "a.parquet", [CLOCKS | {"strike": 740.0}])).to_arrow()
    pq.write_table(table.append_column(name, values), tmp_path / "b.parquet")
    command = ["ingest", "snapshots", str(tmp_path / "b.parquet"), "--symbol", "SPY", "--lake", str(tmp_path / "lake")]
    done = CliRunner().invoke(main, [*command, "--conventions", "replay-1"])
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_a_long_row_without_a_strike_beside_others_is_rejected(tmp_path: pathlib.Path) -> None:
    rows = [CLOCKS | {"strike": strike, "call_oi": 5.0} for strike in (740.0, None)]
    done = copied(tmp_path / "lake", parquet(tmp_path / "a.parquet", rows))
    assert done.exit_code == 0, done.output
    assert "has no strike, and others of its instant have" in done.stdout
    assert stored(tmp_path / "lake")[0]["strike"] == [740.0]


def test_a_long_expiration_that_is_none_is_said(tmp_path: pathlib.Path) -> None:
    done = copied(
        tmp_path / "lake", parquet(tmp_path / "a.parquet", [CLOCKS | {"strike": 740.0, "expiration": "soon"}])
    )
    assert done.exit_code == 2
    assert "1: each has an expiration that is no date (YYYY-MM-DD)" in done.stderr


@pytest.mark.parametrize("kind", [pl.UInt16, pl.Int32, pl.Float32, pl.Decimal(10, 2)])
def test_totals_are_checked_whatever_the_kind_of_number(tmp_path: pathlib.Path, kind: Any) -> None:
    row = CLOCKS | {"strike": 740, "call_oi": 30_000, "put_oi": 30_000, "oi": 60_000}
    frame = pl.read_parquet(parquet(tmp_path / "a.parquet", [row]))
    frame.with_columns(pl.col("strike", "call_oi", "put_oi", "oi").cast(kind)).write_parquet(tmp_path / "b.parquet")
    done = copied(tmp_path / "lake", tmp_path / "b.parquet")
    assert done.exit_code == 0, done.output
    assert "rejected" not in done.stdout
    assert (stored(tmp_path / "lake")[0]["call_oi"], stored(tmp_path / "lake")[0]["strike"]) == ([30_000.0], [740.0])


def test_long_columns_twice_and_zones_that_nobody_knows(tmp_path: pathlib.Path) -> None:
    table = pl.read_parquet(parquet(tmp_path / "a.parquet", [CLOCKS | {"strike": 740.0}])).to_arrow()
    pq.write_table(table.append_column("strike", table["strike"]), tmp_path / "twice.parquet")
    done = copied(tmp_path / "lake", tmp_path / "twice.parquet")
    assert done.exit_code == 2
    assert "column strike is there 2 times" in done.stderr
    foreign = table.set_column(0, "ts", table["ts"].cast(pa.timestamp("us", "Foo/Bar")))
    pq.write_table(foreign, tmp_path / "zone.parquet")
    assert copied(tmp_path / "lake", tmp_path / "zone.parquet").exit_code == 0
    assert stored(tmp_path / "lake")[0]["ts"].hour == 14
    far = table.set_column(0, "ts", pa.array([FAR]).cast(pa.timestamp("us", "UTC")))
    pq.write_table(far, tmp_path / "far.parquet")
    done = copied(tmp_path / "other", tmp_path / "far.parquet")
    assert done.exit_code == 2
    assert "has no ts or no recorded_at" in done.stderr


def test_of_two_records_of_a_print_the_one_that_came_first_counts(tmp_path: pathlib.Path) -> None:
    chain = [f"{DAY}T10:{m}:00,{DAY},{right},740,1.0,1.1,0.2,100" for m in range(30, 35) for right in "CP"]
    given = write(tmp_path / "c.csv", CHAIN, *chain)
    prices = write(tmp_path / "u.csv", "ts,price", *(f"{DAY}T10:{m}:00,740" for m in range(30, 35)))
    records = [f"{DAY}T10:30:05,{DAY}T{known},SPY260724C00740000,1.1,5,1.0,1.1,7" for known in ("10:30:10", "10:32:30")]
    flows = []
    for name, lines in (("early", records), ("late", records[::-1])):
        assert ingest("chain", tmp_path / name, given, "--underlying", prices).exit_code == 0
        path = write(tmp_path / f"{name}.csv", "ts,recorded_at,contract,price,size,bid,ask,sequence", *lines)
        done = ingest("trades", tmp_path / name, path)
        assert done.exit_code == 0, done.output
        flows.append([each["call_flow"] for each in stored(tmp_path / name)])
    assert flows[0] == flows[1]
    assert flows[0][1] == [5.0]


def test_snapshots_given_twice_are_stored_once(tmp_path: pathlib.Path) -> None:
    row = CLOCKS | {"strike": [740.0, 741.0], "call_oi": [5.0, 6.0]}
    once, twice = parquet(tmp_path / "a.parquet", [row]), parquet(tmp_path / "b.parquet", [row, row])
    assert copied(tmp_path / "lake", once, once).exit_code == 0
    done = copied(tmp_path / "other", twice)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 written, 0 stored already")
    other = parquet(tmp_path / "c.parquet", [row, row | {"call_oi": [5.0, 7.0]}])
    wrong = copied(tmp_path / "third", other)
    assert (wrong.exit_code, wrong.stderr) == (
        2, f"error: invalid_input: {other}: rows 0 and 1 differ, and both are of ts 2026-07-24T14:00:00Z, "
        "recorded_at 2026-07-24T14:00:01Z\n"
    )  # fmt: skip
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_files_of_a_session_that_contradict_write_nothing(tmp_path: pathlib.Path, order: tuple[int, int]) -> None:
    later = CLOCKS | {"ts": f"{DAY}T14:01:00", "recorded_at": f"{DAY}T14:01:01"}
    files = [
        parquet(tmp_path / f"{i}.parquet", [each | {"strike": 740.0, "call_oi": oi} for each, oi in rows])
        for i, rows in enumerate([[(CLOCKS, 1.0)], [(later, 3.0), (CLOCKS, 2.0)]])
    ]
    done = copied(tmp_path / "lake", *(files[i] for i in order))
    assert done.exit_code == 2
    assert "two rows to write differ, and have ts 2026-07-24T14:00:00Z" in done.stderr
    assert "the session 2026-07-24 was not written" in done.stderr
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_files_of_a_session_may_repeat_each_other(tmp_path: pathlib.Path) -> None:
    row = CLOCKS | {"strike": 740.0, "call_oi": 1.0}
    other = row | {"ts": f"{DAY}T14:01:00", "recorded_at": f"{DAY}T14:01:01"}
    done = copied(
        tmp_path / "lake", parquet(tmp_path / "a.parquet", [row]), parquet(tmp_path / "b.parquet", [other, row])
    )
    assert done.exit_code == 0, done.output
    assert "3 snapshots, 2 new" in done.stdout
    assert len(stored(tmp_path / "lake")) == 2


def test_files_under_several_conventions_write_nothing(tmp_path: pathlib.Path) -> None:
    files = []
    for i, name in enumerate(("replay-1", "dealer-book")):
        row = CLOCKS | {"ts": f"{DAY}T14:0{i}:00", "recorded_at": f"{DAY}T14:0{i}:01", "strike": 740.0, "gex": 1.0}
        table = pl.read_parquet(parquet(tmp_path / f"{i}.parquet", [row])).to_arrow()
        pq.write_table(table.replace_schema_metadata({b"replay.conventions": name.encode()}), tmp_path / f"{i}.parquet")
        files.append(tmp_path / f"{i}.parquet")
    done = copied(tmp_path / "lake", *files)
    assert done.exit_code == 2
    assert "are under 'dealer-book' and 'replay-1'; use one of them, or --allow-mixed" in done.stderr
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_a_snapshot_that_comes_after_the_trades_around_it_is_said_to_have_no_flow(tmp_path: pathlib.Path) -> None:
    def snapshot(minute: int) -> pathlib.Path:
        lines = [f"{DAY}T10:0{minute}:00,{DAY},{right},740,740,1.0,1.1,0.2,100" for right in "CP"]
        return write(tmp_path / f"{minute}.csv", SPOTTED, *lines)

    assert ingest("chain", tmp_path / "lake", snapshot(0), snapshot(2)).exit_code == 0
    trade = f"{DAY}T10:00:30,SPY260724C00740000,1.1,5,1.0,1.1"
    assert (
        ingest(
            "trades", tmp_path / "lake", write(tmp_path / "t.csv", "ts,contract,price,size,bid,ask", trade)
        ).exit_code
        == 0
    )
    told = "1 snapshots without flow before one that has it, which holds what was traded"
    assert told in ingest("chain", tmp_path / "lake", snapshot(1)).stdout
    assert "without flow before" not in ingest("chain", tmp_path / "lake", snapshot(3)).stdout


def test_a_total_that_is_not_that_of_its_sides_is_refused(tmp_path: pathlib.Path) -> None:
    rows = [
        CLOCKS | {"strike": 740.0 + i, "call_oi": 5.0, "put_oi": 10.0, "oi": oi} for i, oi in enumerate((15.0, 99.0))
    ]
    path = parquet(tmp_path / "oi.parquet", rows)
    done = copied(tmp_path / "lake", path)
    assert f"1 rejected: each has an oi that is not call_oi + put_oi (first: {path}, row 1)" in done.stdout
    strict = copied(tmp_path / "other", path, strict=True)
    assert (strict.exit_code, "row 1 has an oi that is not call_oi + put_oi" in strict.stderr) == (2, True)


# --- prints that come late


def test_one_late_print_says_nothing_of_others(tmp_path: pathlib.Path) -> None:
    clocks = ("10:00", "10:05", "10:10", "12:00", "12:05")
    chain = [f"{DAY}T{clock}:00,{DAY},{right},740,1.0,1.1,0.2,100" for clock in clocks for right in "CP"]
    ingest("chain", tmp_path / "lake", write(tmp_path / "c.csv", CHAIN, *chain))
    path = write(
        tmp_path / "t.csv", "ts,recorded_at,contract,price,size,bid,ask",
        f"{DAY}T10:01:00,{DAY}T10:01:01,SPY260724C00740000,1.1,2,1.0,1.1",
        f"{DAY}T10:02:00,{DAY}T10:02:01,SPY260724P00740000,1.1,3,1.0,1.1",
        f"{DAY}T10:01:30,{DAY}T11:59:00,SPY260724C00740000,1.1,4,1.0,1.1",
    )  # fmt: skip
    done = ingest("trades", tmp_path / "lake", path)
    assert done.exit_code == 0, done.stderr
    rows = stored(tmp_path / "lake")
    assert [str(each["call_flow"]) for each in rows] == ["[0.0]", "[2.0]", "None", "[4.0]", "None"]
    assert [str(each["put_flow"]) for each in rows] == ["[0.0]", "[3.0]", "None", "[nan]", "None"]


# --- pipes


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="this system has no full device")
def test_a_pipe_is_refused_and_a_full_disk_told(tmp_path: pathlib.Path) -> None:
    path = quotes(tmp_path / "q.csv", "10:00:00")
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    done = ingest("chain", tmp_path / "lake", pipe)
    assert (done.exit_code, done.stderr) == (
        2, f"error: invalid_input: {pipe}: is a pipe, which cannot be read twice; give a file\n"
    )  # fmt: skip
    script = pathlib.Path(sys.executable).with_name("replay")
    command: list[str | pathlib.Path] = [
        script,
        "ingest",
        "quotes",
        path,
        "--symbol",
        "SPY",
        "--lake",
        tmp_path / "lake",
        "--preset",
        "generic",
    ]
    with pathlib.Path("/dev/full").open("wb") as full:
        told = subprocess.run([*command, "--spot", "parity"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (told.returncode, told.stderr) == (
        2, b"error: cannot_write: standard output: No space left on device\n"
    )  # fmt: skip


# --- roots


def test_letters_behind_a_stocks_symbol_are_another_stock(tmp_path: pathlib.Path) -> None:
    lines = [
        f"{DAY}T10:00:00,{root}260724{right}{strike:08d},1.0,1.1,{spot}"
        for root, strike, spot in (("SNA", 350_000, 350), ("SNAP", 9_000, 9), ("SNAW", 5_000, 5), ("SNA1", 1_000, 350))
        for right in "CP"
    ]
    path = write(tmp_path / "rows.csv", "ts,contract,bid,ask,spot", *lines)
    for kind in ("chain", "quotes"):
        done = CliRunner().invoke(
            main, ["ingest", kind, str(path), "--symbol", "SNA", "--lake", str(tmp_path / kind), "--preset", "generic"]
        )
        assert done.exit_code == 0, done.output
        assert "has a root that is not SNA, such as 'SNAP'" in done.stdout
        with replay.open_lake(tmp_path / kind) as lake:
            found = lake.snapshots("SNA", DAY).to_dicts()
        assert {(each["spot"], *each["strike"]) for each in found} == {(350.0, 350.0)}


def test_a_flat_file_gives_the_symbols_own_contracts(tmp_path: pathlib.Path) -> None:
    ns = at("10:00") * 1000
    lines = [
        f"O:{root}260724{right}00350000,1.0,1.1,{ns}" for root in ("SNA", "SNAP", "SNAW", "SNA1") for right in "CP"
    ]
    path = write(tmp_path / "flat.csv", "ticker,bid_price,ask_price,sip_timestamp", *lines)
    command = ["ingest", "quotes", str(path), "--symbol", "SNA", "--lake", str(tmp_path / "l"), "--preset", "polygon"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "6 rows of other underlyings, left out" in done.stdout
    assert "rejected" not in done.stdout


@pytest.mark.parametrize(("symbol", "second"), [("SPX", "SPXW"), ("NDX", "NDXP"), ("RUT", "RUTW")])
def test_an_index_has_a_root_for_options_that_settle_at_the_close(
    tmp_path: pathlib.Path, symbol: str, second: str
) -> None:
    path = write(
        tmp_path / "rows.csv", "ts,contract,bid,ask,spot,iv",
        *(f"{DAY}T10:00:00,{second}260724{right}00740000,1.0,1.1,740,0.2" for right in "CP"),
    )  # fmt: skip
    command = ["ingest", "chain", str(path), "--symbol", symbol, "--lake", str(tmp_path / "l"), "--preset", "generic"]
    assert CliRunner().invoke(main, command).exit_code == 0


# --- marks that hide lines


def seconds(count: int) -> list[str]:
    return [f"{DAY}T10:{i // 60:02}:{i % 60:02},{DAY},C,740,1.0,1.1,0.2,100,740" for i in range(count)]


def opened(lines: list[str], at: int) -> None:
    lines[at] = '"' + lines[at]


def in_the_last_field(lines: list[str], at: int) -> None:
    lines[at] = lines[at].removesuffix("740") + '"740'


@pytest.mark.parametrize("mark", [opened, in_the_last_field])
@pytest.mark.parametrize(("places", "kept"), [((10,), 599), ((10, 20), 598), ((0,), 599), ((599,), 599)])
@pytest.mark.parametrize("kind", ["chain", "quotes"])
def test_a_stray_quotation_mark_takes_its_own_line_alone(
    tmp_path: pathlib.Path, kind: str, mark: Callable[[list[str], int], None], places: tuple[int, ...], kept: int
) -> None:
    lines = seconds(600)
    for place in places:
        mark(lines, place)
    path = write(tmp_path / "rows.csv", CHAIN + ",spot", *lines)
    done = ingest(kind, tmp_path / "lake", path)
    assert done.exit_code == 0, done.output
    assert "SPY: 600 rows of 1 file" in done.stdout
    said = " ".join(done.stdout.split())
    assert f"{600 - kept} row" in said or f"{600 - kept} rejected" in said
    assert f"each has a quotation mark that is not closed on its line (first: {path}, line {places[0] + 2})" in said
    if kind == "chain":
        assert len(stored(tmp_path / "lake")) == kept
    refused = ingest(kind, tmp_path / "strict", path, "--strict")
    assert refused.exit_code == 2
    assert f"{path}, line {places[0] + 2}: the row has a quotation mark" in refused.stderr


def test_a_mark_inside_of_a_value_that_hides_lines_is_refused(tmp_path: pathlib.Path) -> None:
    """Two on one line: the first is a letter of its value, and the second opens one that ends lines later."""
    lines = seconds(600)
    lines[10] = lines[10].replace(",C,740,", ',C"x,"740,')
    done = ingest("chain", tmp_path / "lake", write(tmp_path / "rows.csv", CHAIN + ",spot", *lines))
    assert done.exit_code == 2
    assert "has a quotation mark inside of a value, behind which line ends are lost" in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("end", ["\r\n", "\r\r\n"])
def test_lines_are_told_apart_whatever_their_ends(tmp_path: pathlib.Path, end: str) -> None:
    lines = seconds(6)
    path = tmp_path / "rows.csv"
    path.write_bytes(end.join([CHAIN + ",spot", *lines, ""]).encode())
    done = ingest("chain", tmp_path / "whole", path)
    assert done.exit_code == 0, done.output
    assert "SPY: 6 rows of 1 file, 6 options kept" in done.stdout
    opened(lines, 2)
    path.write_bytes(end.join([CHAIN + ",spot", *lines, ""]).encode())
    done = ingest("chain", tmp_path / "one less", path)
    assert f"is not closed on its line (first: {path}, line 4)" in " ".join(done.stdout.split())
    lines[1] = lines[1].replace(",C,740,", ',C"x,"740,')
    path.write_bytes(end.join([CHAIN + ",spot", *lines, ""]).encode())
    done = ingest("chain", tmp_path / "none", path)
    assert done.exit_code == 2
    assert "behind which line ends are lost" in done.stderr
    path.write_bytes((CHAIN + ",spot\n" + seconds(1)[0].replace("1.0,1.1", "1.0\r,1\r.1") + "\n").encode())
    done = ingest("chain", tmp_path / "inside", path)
    assert done.exit_code == 2
    assert "1: each has an ask that is no number, such as '1 .1'" in done.stderr


def test_a_refused_file_ends_the_program_at_once(tmp_path: pathlib.Path) -> None:
    """No thread of a parser is left that would read on, and keep the program from ending."""
    lines = seconds(3000) * 30
    opened(lines, 1)
    path = write(tmp_path / "rows.csv", CHAIN + ",spot", *lines)
    command = [sys.executable, "-m", "replay", "ingest", "chain", str(path), "--symbol", "SPY", "--preset", "generic"]
    for _ in range(4):
        done = subprocess.run(
            [*command, "--strict", "--lake", str(tmp_path / "lake")], capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 2, done.stderr


@pytest.mark.parametrize("price", ["1e300", "0", "1e-300", "nan", "-1"])
def test_prices_of_the_underlying_that_cannot_be_are_refused(tmp_path: pathlib.Path, price: str) -> None:
    rows = write(tmp_path / "rows.csv", CHAIN, f"{DAY}T10:00:00,{DAY},C,740,1.0,1.1,0.2,100")
    prices = write(tmp_path / "u.csv", "ts,price", f"{DAY}T10:00:00,{price}")
    done = ingest("chain", tmp_path / "lake", rows, "--underlying", prices)
    assert done.exit_code == 2
    assert f"{prices}, line 2: has ts" in done.stderr


def test_quoted_values_are_read(tmp_path: pathlib.Path) -> None:
    lines = [",".join(f'"{field}"' for field in line.split(",")) for line in seconds(5)]
    done = ingest("chain", tmp_path / "lake", write(tmp_path / "rows.csv", CHAIN + ",spot", *lines))
    assert done.exit_code == 0, done.output
    assert len(stored(tmp_path / "lake")) == 5


@pytest.mark.parametrize("kind", ["chain", "quotes"])
def test_carriage_returns_alone_are_refused(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "mac.csv"
    path.write_bytes("\r".join([CHAIN + ",spot", *seconds(5)]).encode())
    done = ingest(kind, tmp_path / "lake", path)
    assert done.exit_code == 2
    assert f"{path}: has lines that end in a carriage return alone" in done.stderr


def test_an_open_mark_in_the_header_is_refused(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "rows.csv", '"' + CHAIN + ",spot", *seconds(5))
    done = ingest("chain", tmp_path / "lake", path)
    assert done.exit_code == 2
    assert f"{path}, line 1: the header has a quotation mark that is not closed on its line" in done.stderr


def test_a_malformed_line_that_is_not_utf8_is_one_row(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    text = "\n".join([CHAIN + ",spot", *seconds(5)]).encode()
    path.write_bytes(text + b"\n\xff\xfe,1\n" + seconds(6)[5].replace(",C,", ",\u00e9,").encode("latin-1") + b"\n")
    done = ingest("chain", tmp_path / "lake", path)
    assert done.exit_code == 0, done.output
    assert "7 rows of 1 file" in done.stdout
    assert "has another number of fields" in done.stdout
    assert "has a right that is neither call nor put" in done.stdout
    assert "Traceback" not in capfd.readouterr().err


# --- columns of another kind, and numbers that cannot be


def two_rows(path: pathlib.Path, **columns: Any) -> pathlib.Path:
    base = {
        "ts": pl.Series([at("10:00")] * 2).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "expiration": [DAY] * 2, "right": ["C", "P"], "strike": [740.0] * 2, "spot": [740.0] * 2, "bid": [1.0] * 2,
        "ask": [1.2] * 2, "open_interest": [10.0] * 2,
    }  # fmt: skip
    pl.DataFrame(base | columns).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["chain", "quotes"])
def test_decimals_of_too_many_digits_are_refused(tmp_path: pathlib.Path, kind: str) -> None:
    table = pl.read_parquet(two_rows(tmp_path / "rows.parquet")).drop("strike").to_arrow()
    wide = pa.array([740, 740]).cast(pa.decimal256(60, 2))
    pq.write_table(table.append_column("strike", wide), tmp_path / "wide.parquet")
    done = ingest(kind, tmp_path / "lake", tmp_path / "wide.parquet")
    assert done.exit_code == 2
    assert "column strike holds decimal256(60, 2), with more digits than can be read" in done.stderr


MOMENT = dt.datetime(2026, 7, 24, 10)
FAR = 2**62  # microseconds: in the year 148,108


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("ts", pl.Series([36_000_000_000] * 2).cast(pl.Duration("us")), "column ts holds Duration"),
        ("strike", pl.Series([740] * 2).cast(pl.Duration("us")), "column strike holds Duration"),
        ("strike", [MOMENT.date()] * 2, "column strike holds Date, not numbers"),
        ("spot", [MOMENT] * 2, "column spot holds Datetime"),
        ("bid", [MOMENT.time()] * 2, "column bid holds Time, not numbers"),
        ("right", [b"\xff", b"P"], "column right holds bytes that are no text in UTF-8"),
        ("ts", [b"\xff"] * 2, "column ts holds bytes that are no text in UTF-8"),
        ("ts", pl.Series([FAR] * 2).cast(pl.Datetime("us")), "has a ts that cannot be read"),
        (
            "ts",
            pl.Series([FAR] * 2).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "has a ts that cannot be read",
        ),
        ("ts", [FAR] * 2, "has a ts that cannot be read"),
        ("ts", [-FAR] * 2, "has a ts that cannot be read"),
        ("ts", [1e300, float("inf")], "has a ts that cannot be read"),
        ("ts", ["9999-12-31 10:00:00"] * 2, "has a ts that cannot be read"),
        ("ts", [f"{DAY} 10:00:60"] * 2, "has a ts that cannot be read"),
        ("ts", [f"{DAY} 10:00:00+99:99"] * 2, "has a ts that cannot be read"),
        ("recorded_at", pl.Series([FAR] * 2).cast(pl.Datetime("us")), "has a recorded_at that cannot be read"),
        ("expiration", pl.Series([2**30] * 2).cast(pl.Date), "has an expiration that is no date"),
        ("expiration", pl.Series([FAR] * 2).cast(pl.Datetime("us")), "has an expiration that is no date"),
        ("spot", [1e308] * 2, "has a spot that nothing is traded at"),
        ("strike", [5e-324, 1e308], "has a strike that nothing is traded at"),
        ("open_interest", [1e308] * 2, "has an open_interest that is more than there is"),
        ("ask", [1e308] * 2, "has an ask that is more than there is"),
        ("iv", [1e200] * 2, "has an iv that is more than there is"),
    ],
)
@pytest.mark.parametrize("kind", ["chain", "quotes"])
def test_columns_that_cannot_be_are_refused(
    tmp_path: pathlib.Path, kind: str, name: str, values: Any, said: str
) -> None:
    done = ingest(kind, tmp_path / "lake", two_rows(tmp_path / "rows.parquet", **{name: values}))
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("right", [b"C", b"P"]),
        ("strike", [b"740"] * 2),
        ("ts", [f"{DAY} 10:00:00".encode()] * 2),
        ("strike", pl.Series(["740.00"] * 2).cast(pl.Decimal(10, 2))),
        ("expiration", [20260724] * 2),
        ("ts", [at("10:00")] * 2),
        ("ts", pl.Series([at("10:00") * 1000] * 2).cast(pl.Datetime("ns", "America/New_York"))),
    ],
)
def test_columns_of_another_kind_say_the_same(tmp_path: pathlib.Path, name: str, values: Any) -> None:
    done = ingest("chain", tmp_path / "lake", two_rows(tmp_path / "rows.parquet", **{name: values}))
    assert done.exit_code == 0, done.output
    (found,) = stored(tmp_path / "lake")
    assert (found["ts"].hour, found["strike"], found["call_bid"], found["put_oi"]) == (14, [740.0], [1.0], [10.0])


@pytest.mark.parametrize("length", ["9999999999999999999h", "3000000000h", "100000h"])
@pytest.mark.parametrize("option", ["--bar", "--max-quote-age", "--underlying-age"])
def test_lengths_of_time_are_bounded(tmp_path: pathlib.Path, option: str, length: str) -> None:
    path = quotes(tmp_path / "q.csv", "10:00:00")
    done = ingest("quotes", tmp_path / "lake", path, "--spot", "parity", option, length)
    assert done.exit_code == 2
    assert "is longer than 3,650 days" in done.stderr
    prices = write(tmp_path / "u.csv", "ts,price", f"{DAY}T10:00:00,740")
    if option == "--underlying-age":
        assert ingest("chain", tmp_path / "lake", path, "--underlying", prices, option, length).exit_code == 2


def test_a_volume_among_quotes_is_said_to_be_left_out(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "q.csv", QUOTES + ",volume", f"{DAY}T10:00:00,SPY260724C00740000,1.0,1.1,7")
    prices = write(tmp_path / "u.csv", "ts,price", f"{DAY}T10:00:00,740")
    done = ingest("quotes", tmp_path / "lake", path, "--underlying", prices)
    assert "  volume not read: vols are solved, and only a chain's volume is the day's" in done.stdout
