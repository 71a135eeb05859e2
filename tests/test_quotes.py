"""Ingest of quotes: sampling against a loop in plain Python, Lean's real zips, DBN and flat files of real shape."""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import functools
import gzip
import io
import math
import pathlib
import zipfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.ingest.sampling import (
    EVENT_TYPES,
    EVENTS,
    INTEREST,
    QUOTE,
    SPOT,
    TRADED,
    QuoteCount,
    counted,
    sample,
    thinned,
)
from replay.sessions import MINUTE, SECOND, find_session, to_us
from tests import chains, lakes

REAL = pathlib.Path(__file__).parents[2] / "shared" / "data" / "goog-0dte-minute"
FILES = sorted(REAL.glob("*.zip"))
GOOG_DAY = dt.date(2015, 12, 24)
DAY = dt.date(2026, 7, 24)
real = pytest.mark.skipif(not REAL.exists(), reason="the real data is not there")


def ingest(lake: pathlib.Path, files: list[pathlib.Path], *arguments: str, symbol: str = "SPY") -> Result:
    command = ["ingest", "quotes", *map(str, files), "--symbol", symbol, "--lake", str(lake), *arguments]
    return CliRunner().invoke(main, command)


# --- sampling


Event = tuple[int, int, int, float, bool, float | None, float | None]
"""When, known when, kind, strike, call, and the two values."""


def events_frame(rows: list[Event]) -> pl.DataFrame:
    schema = dict(zip(EVENTS, EVENT_TYPES, strict=True))
    return pl.DataFrame([(DAY, *row) for row in rows], schema=schema, orient="row")


def by_loop(rows: list[Event], cadence: int, max_age: int | None) -> dict[tuple[int, float, bool], tuple[Any, ...]]:
    """(ts, strike, call) -> bid, ask, open interest, volume, spot: the newest known of each, instant after instant."""
    session = find_session(DAY)
    assert session is not None
    opens, closes = to_us(session.open), to_us(session.close)
    contracts = sorted({(row[3], row[4]) for row in rows if row[2] != SPOT})
    found: dict[tuple[int, float, bool], tuple[Any, ...]] = {}
    for ts in range(opens, closes + 1, cadence):
        shown = {}
        any_quote = False
        for strike, call in contracts:
            told: dict[int, Any] = {}
            volume = 0.0
            for when, known, kind, k, c, first, second in rows:
                if known > ts or (kind != SPOT and (k, c) != (strike, call)):
                    continue
                if kind == TRADED:
                    volume += first or 0.0
                else:
                    new = (when, second, known) if kind == SPOT else (when, known)
                    if kind not in told or new >= told[kind][0]:
                        told[kind] = (new, first, second)
            if QUOTE not in told and INTEREST not in told:
                continue
            bid = ask = None
            if QUOTE in told and (max_age is None or ts - told[QUOTE][0][0] <= max_age):
                bid, ask = told[QUOTE][1:]
            any_quote |= bid is not None or ask is not None
            traded = volume if any(row[2] == TRADED for row in rows) else None
            interest = told[INTEREST][1] if INTEREST in told else None
            spot = told[SPOT][1] if SPOT in told and ts - told[SPOT][0][0] <= 5 * MINUTE else None
            shown[ts, strike, call] = (bid, ask, interest, traded, spot)
        if any_quote:
            found |= shown
    return found


@pytest.mark.parametrize("seed", range(8))
def test_sampling_is_the_last_known_of_each_contract(seed: int) -> None:
    rng = lakes.dice(seed)
    session = find_session(DAY)
    assert session is not None
    opens = to_us(session.open)
    rows: list[Event] = []
    for _ in range(160):
        ts = opens + rng.choice([rng.randrange(-30 * MINUTE, 400 * MINUTE), rng.randrange(0, 30) * MINUTE])
        known = ts + rng.choice([0, 0, rng.randrange(0, 90) * MINUTE])
        strike, call, kind = (
            rng.choice([600.0, 601.0]),
            rng.random() < 0.5,
            rng.choice([QUOTE, QUOTE, QUOTE, TRADED, INTEREST, SPOT]),
        )
        if kind == SPOT:
            rows.append((ts, known, kind, 0.0, False, round(rng.uniform(599, 602), 2), rng.choice([0.0, 1.0])))
        elif kind == QUOTE:
            bid = rng.choice([None, 0.0, 1.0, 1.1])
            rows.append((ts, known, kind, strike, call, bid, rng.choice([None, 1.1, 1.2])))
        else:
            rows.append((ts, known, kind, strike, call, float(rng.randrange(1, 9)), None))
    cadence, max_age = rng.choice([(MINUTE, 15 * MINUTE), (5 * MINUTE, None), (30 * SECOND, 3 * MINUTE)])
    count = QuoteCount()
    frame = events_frame(rows)
    quotes = counted(frame.filter(pl.col("kind") == QUOTE), count)
    frame = pl.concat([quotes, frame.filter(pl.col("kind") != QUOTE)])
    halves = [thinned(each, cadence, {DAY: opens}) for each in (frame[: len(frame) // 2], frame[len(frame) // 2 :])]
    found = sample(
        thinned(pl.concat(halves), cadence, {DAY: opens}), session, cadence, max_age, 5 * MINUTE, QuoteCount()
    )
    got = {
        (r["ts"], r["strike"], r["call"]): (r["bid"], r["ask"], r["open_interest"], r["volume"], r["spot"])
        for r in found.iter_rows(named=True)
    }
    clean = [
        (ts, known, kind, k, c, None if kind == QUOTE and first == 0.0 else first, second)
        for ts, known, kind, k, c, first, second in rows
    ]
    assert got == by_loop(clean, cadence, max_age)


@pytest.mark.parametrize("seed", range(6))
def test_no_sample_depends_on_what_came_later(seed: int) -> None:
    rng = lakes.dice(100 + seed)
    session = find_session(DAY)
    assert session is not None
    opens = to_us(session.open)
    rows: list[Event] = [(opens, opens, TRADED, 0.0, False, 0.0, None)]
    for ts in sorted(opens + rng.randrange(-10 * MINUTE, 380 * MINUTE) for _ in range(120)):
        known = ts + rng.choice([0, rng.randrange(0, 60 * MINUTE)])
        kind, strike, call = (
            rng.choice([QUOTE, QUOTE, TRADED, INTEREST, SPOT]),
            rng.choice([600.0, 601.0]),
            rng.random() < 0.5,
        )
        if kind == SPOT:
            rows.append((ts, known, kind, 0.0, False, rng.uniform(599, 602), 0.0))
        else:
            rows.append((ts, known, kind, strike, call, rng.choice([None, 1.0]) if kind == QUOTE else 5.0, 1.2))
    whole = sample(events_frame(rows), session, MINUTE, 15 * MINUTE, None, QuoteCount())
    for _ in range(3):
        until = opens + rng.randrange(0, 390) * MINUTE
        past = events_frame([row for row in rows if row[1] <= until])
        seen = sample(past, session, MINUTE, 15 * MINUTE, None, QuoteCount()).filter(pl.col("ts") <= until)
        assert seen.equals(whole.filter(pl.col("ts") <= until))


def test_quotes_are_counted_by_kind_and_crossed_ones_are_not_known() -> None:
    pairs: list[tuple[float | None, float | None]] = [
        (1.0, 1.1),
        (1.1, 1.1),
        (1.2, 1.1),
        (None, 1.1),
        (1.0, None),
        (0.0, 0.0),
        (0.0, 1.0),
    ]
    count = QuoteCount()
    told = counted(events_frame([(i, i, QUOTE, 600.0, True, *pair) for i, pair in enumerate(pairs)]), count)
    assert dict(count.events) == {"crossed": 1, "locked": 1, "two_sided": 1, "one_sided": 3, "empty": 1}
    assert list(zip(told["first"], told["second"], strict=True)) == [
        (1.0, 1.1), (1.1, 1.1), (None, None), (None, 1.1), (1.0, None), (None, None), (None, 1.0),
    ]  # fmt: skip


# --- Lean


def price_in(text: str) -> float | None:
    return float(text) / 10_000 if text else None


@functools.cache
def lean_bars() -> tuple[
    dict[tuple[float, bool], list[tuple[int, Any, Any]]], dict[tuple[float, bool], float], list[tuple[int, float]]
]:
    """The real zips read by csv alone: quotes by contract, open interest, and the underlying's prices; known at a bar's end."""
    quotes: dict[tuple[float, bool], list[tuple[int, Any, Any]]] = {}
    interest = {}
    for kind in ("quote", "openinterest"):
        with zipfile.ZipFile(REAL / f"20151224_{kind}_american.zip") as zipped:
            for name in zipped.namelist():
                parts = name.removesuffix(".csv").split("_")
                if parts[-1] != "20151224":
                    continue
                contract = (int(parts[-2]) / 10_000, parts[-3] == "call")
                lines = list(csv.reader(io.StringIO(zipped.read(name).decode())))
                if kind == "openinterest":
                    interest[contract] = float(lines[-1][1])
                else:
                    quotes[contract] = [(int(line[0]) + 60_000, price_in(line[4]), price_in(line[9])) for line in lines]
    spots: dict[int, float] = {}
    for kind in ("trade", "quote"):  # the quote's mid where both have a bar of a minute
        with zipfile.ZipFile(REAL / f"equity_20151224_{kind}.zip") as zipped:
            for line in csv.reader(io.StringIO(zipped.read(zipped.namelist()[0]).decode())):
                if kind == "trade":
                    spots[int(line[0]) + 60_000] = float(line[4]) / 10_000
                elif line[4] and line[9]:
                    spots[int(line[0]) + 60_000] = (float(line[4]) + float(line[9])) / 20_000
    return quotes, interest, sorted(spots.items())


def magnet_of(ms: int) -> tuple[float, float]:
    """Strike and gex of the largest |gex| by scalar arithmetic, at milliseconds since midnight."""
    quotes, interest, spots = lean_bars()
    spot = spots[bisect.bisect_right([known for known, _ in spots], ms) - 1][1]
    years = max(46_800_000 - ms, 60_000) / 60_000 / (365 * 24 * 60)
    gex: dict[float, float] = {}
    for (strike, call), bars in quotes.items():
        known = [bar for bar in bars if bar[0] <= ms]
        bid, ask = known[-1][1:] if known and ms - known[-1][0] <= 900_000 else (None, None)
        oi = interest.get((strike, call), math.nan)
        mid = math.nan if bid is None or ask is None or bid > ask else (bid + ask) / 2
        inside = max(spot - strike, 0.0) if call else max(strike - spot, 0.0)
        gamma = math.nan
        if mid > inside:
            vol = chains.bisect_vol(call, mid, spot, strike, years)
            gamma = chains.option_greeks(call, spot, strike, years, vol)["gamma"]
        elif not math.isnan(mid) or (ask is not None and bid is None):
            gamma = 0.0
        value = 0.0 if oi == 0 else (1 if call else -1) * gamma * oi * 100 * spot * spot * 0.01
        gex[strike] = gex.get(strike, 0.0) + value
    best = max((k for k in gex if not math.isnan(gex[k])), key=lambda k: abs(gex[k]))
    return best, gex[best]


@real
def test_the_goog_minutes_come_in_whole(tmp_path: pathlib.Path) -> None:
    done = ingest(tmp_path / "lake", FILES, "--preset", "lean", symbol="GOOG")
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "2015-12-24  210 snapshots of 176 contracts, 88 strikes, 210 new" in done.stdout
    counts = [
        int(part.split()[0].replace(",", "")) for part in done.stdout.split("quotes: ")[1].splitlines()[0].split(", ")
    ]
    assert (sum(counts), counts[0]) == (21_902, 9_788)
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("GOOG", GOOG_DAY)
        clocks = [ts.astimezone(replay.sessions.NEW_YORK).time() for ts in (frame["ts"][0], frame["ts"][-1])]
        assert clocks == [dt.time(9, 31), dt.time(13, 0)]
        assert frame["strike"].list.len().max() == 88
        for half_hour in range(20, 27):
            moment = dt.datetime(2015, 12, 24, half_hour // 2, half_hour % 2 * 30, tzinfo=replay.sessions.NEW_YORK)
            strike, gex = magnet_of(half_hour * 1_800_000)
            assert lake.levels("GOOG", moment).magnet == strike
            found = lake.heatmap("GOOG", moment, minutes=1)
            assert found.values[-1][found.strikes == strike][0] == pytest.approx(gex, rel=1e-7)
        volume = frame["call_volume"][-1].to_list() + frame["put_volume"][-1].to_list()
    assert sum(volume) == 0 + lean_volume()
    again = ingest(tmp_path / "lake", FILES, "--preset", "lean", symbol="GOOG")
    assert "0 snapshots written, 210 stored already" in again.stdout


def lean_volume() -> float:
    total = 0.0
    with zipfile.ZipFile(REAL / "20151224_trade_american.zip") as zipped:
        for name in zipped.namelist():
            if name.endswith("_20151224.csv"):
                lines = csv.reader(io.StringIO(zipped.read(name).decode()))
                total += sum(float(line[5]) for line in lines if int(line[0]) + 60_000 <= 46_800_000)
    return total


def lean_zip(path: pathlib.Path, members: dict[str, str]) -> pathlib.Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, text in members.items():
            zipped.writestr(name, text)
    return path


GOOD = "20151224_goog_minute_quote_american_call_7450000_20151224.csv"
PUT = GOOD.replace("call", "put")
INTEREST_OF = GOOD.replace("quote", "openinterest")
BAR = "34200000" + ",10000" * 10 + "\n"


@pytest.mark.parametrize(
    ("name", "members", "said"),
    [
        ("a.zip", {}, "is a zip without files"),
        ("a.zip", {"readme.txt": "x"}, "holds readme.txt, which is no minute file of Lean's"),
        ("a.zip", {GOOD.replace("goog", "aapl"): "1"}, "which is of AAPL, not GOOG"),
        ("a.zip", {GOOD: "34200000,1,2,3\n"}, f"a.zip, {GOOD}, line 1: has 4 fields, not the 11 of a quote file"),
        ("a.zip", {GOOD: "34200000" + ",x" * 10 + "\n"}, f"a.zip, {GOOD}, line 1: cannot be read as 11 numbers"),
        ("a.zip", {GOOD: "99999999999" + ",1" * 10 + "\n"}, f"a.zip, {GOOD}, line 1: starts with no milliseconds of a day"),
        ("a.zip", {GOOD: BAR + "34260000,1,2\n"}, f"a.zip, {GOOD}, line 2: has 3 fields, not the 11 of a quote file"),
        ("a.zip", {GOOD: BAR + BAR.replace("10000", "-1")}, f"a.zip, {GOOD}, line 2: has a number below 0 or not finite"),
        ("a.zip", {GOOD: BAR.replace("10000", "inf")}, f"a.zip, {GOOD}, line 1: has a number below 0 or not finite"),
        ("a.zip", {GOOD: BAR.replace("10000", "nan")}, f"a.zip, {GOOD}, line 1: has a number below 0 or not finite"),
        ("a.zip", {INTEREST_OF: "34200000,-5\n"}, f"a.zip, {INTEREST_OF}, line 1: has a number below 0 or not finite"),
        ("a.zip", {INTEREST_OF: "34200000,\n"}, f"a.zip, {INTEREST_OF}, line 1: lacks its time or its open interest"),
        ("a.zip", {GOOD.replace("20151224", "20151225"): BAR}, "is of 2015-12-25, a day without a session"),
        ("a.zip", {GOOD.replace("20151224", "20151399"): BAR}, "20151399 is no date"),
        ("a.zip", {GOOD: BAR}, "options have no price of the underlying that holds: give --underlying"),
        ("a.zip", {GOOD.replace("7450000_20151224", "7450000_20151231"): "34200000" + ",1" * 10 + "\n"},
         "none of 1 rows can be used; 1 expire on another date than their session's"),
        ("", {}, "cannot be opened: No such file or directory"),
    ],
)  # fmt: skip
def test_wrong_zips_are_refused_by_member(
    tmp_path: pathlib.Path, name: str, members: dict[str, str], said: str
) -> None:
    path = lean_zip(tmp_path / name, members) if name else tmp_path / "missing.zip"
    done = ingest(tmp_path / "lake", [path], "--preset", "lean", symbol="GOOG")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "lake").exists()


def test_a_truncated_zip_is_refused(tmp_path: pathlib.Path) -> None:
    path = lean_zip(tmp_path / "a.zip", {GOOD: "34200000" + ",10000" * 10 + "\n"})
    path.write_bytes(path.read_bytes()[:-40])
    done = ingest(tmp_path / "lake", [path], "--preset", "lean", symbol="GOOG")
    assert (done.exit_code, "is no zip that can be read" in done.stderr) == (2, True)


def test_a_zip_with_a_password_is_refused(tmp_path: pathlib.Path) -> None:
    path = lean_zip(tmp_path / "a.zip", {GOOD: BAR})
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1  # as the format says that a member is encrypted
    path.write_bytes(data)
    done = ingest(tmp_path / "lake", [path], "--preset", "lean", symbol="GOOG")
    assert (done.exit_code, "password" in done.stderr) == (2, True)


def test_a_file_counts_once_however_it_is_named(tmp_path: pathlib.Path) -> None:
    path = lean_zip(tmp_path / "a.zip", {GOOD: BAR})
    done = ingest(tmp_path / "lake", [path, tmp_path / "." / "x" / ".." / "a.zip"], "--preset", "lean", symbol="GOOG")
    assert (done.exit_code, "is given twice" in done.stderr) == (2, True)
    assert not (tmp_path / "lake").exists()


def test_told_trades_are_none_before_the_first_and_parity_fills_the_spot(tmp_path: pathlib.Path) -> None:
    quotes = {
        name: "".join(f"{34200000 + 60000 * i}" + f",{price}" * 10 + "\n" for i in range(3))
        for name, price in ((GOOD, 60000), (PUT, 10000))  # 745 + 6 - 1
    }
    trades = {GOOD.replace("quote", "trade").replace("_20151224.csv", "_20151231.csv"): "34200000,1,1,1,1,9\n"}
    for name, members in (("told", quotes | trades), ("untold", quotes)):
        done = ingest(
            tmp_path / name, [lean_zip(tmp_path / f"{name}.zip", members)], "--preset", "lean", "--max-quote-age", "1m",
            symbol="GOOG",
        )  # fmt: skip
        assert "8 options whose spot is implied by put-call parity" in done.stdout
        assert "left out" not in done.stdout.replace("1 rows that expire on another date, left out", "")
        with replay.open_lake(tmp_path / name) as lake:
            frame = lake.snapshots("GOOG", GOOG_DAY)
        assert frame["spot"].to_list() == [750.0] * 4
        told = None if frame["call_volume"][0] is None else [row.to_list() for row in frame["call_volume"]]
        assert told == ([[0.0]] * 4 if name == "told" else None)


# --- Polygon, Databento, generic

POLYGON = "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,sequence_number,sip_timestamp"


def polygon_file(path: pathlib.Path) -> pathlib.Path:
    """Ticks at 10:00:00.5 and 10:00:59.9 New York of a call and a put, and other underlyings between them."""
    base = 1784901600 * 10**9  # 10:00 New York
    lines = [POLYGON]
    for ns, bid, ask in ((500_000_000, 1.00, 1.10), (59_900_000_000, 1.05, 1.15)):
        lines += [f"O:SPY260724{right}00740000,302,{ask},7,303,{bid},5,{ns % 97},{base + ns}" for right in "CP"]
        lines.append(f"O:SPYG260724C00740000,302,1.1,7,303,1.0,5,1,{base + ns}")
        lines.append(f"O:SPY260727C00740000,302,9.1,7,303,9.0,5,1,{base + ns}")
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def test_polygons_flat_files_are_ticks_of_all_underlyings(tmp_path: pathlib.Path) -> None:
    path = polygon_file(tmp_path / "2026-07-24.csv.gz")
    done = ingest(tmp_path / "lake", [path], "--preset", "polygon", "--cadence", "30s", "--max-quote-age", "1m")
    assert done.exit_code == 0, done.stderr
    assert "2 rows of other underlyings, left out" in done.stdout
    assert "2 rows that expire on another date, left out" in done.stdout
    assert "options whose spot is implied by put-call parity" in done.stdout
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("SPY", DAY)
    clocks = [ts.astimezone(replay.sessions.NEW_YORK).time() for ts in frame["ts"]]
    assert clocks == [dt.time(10, 0, 30), dt.time(10, 1), dt.time(10, 1, 30)]
    assert frame["call_bid"].to_list() == [[1.0], [1.05], [1.05]]
    assert frame["spot"].to_list() == [740.0] * 3
    wrong = tmp_path / "aggs.csv.gz"
    wrong.write_bytes(gzip.compress(b"ticker,volume,open,close,high,low,window_start,transactions\n"))
    refused = ingest(tmp_path / "wrong", [wrong], "--preset", "polygon")
    assert "holds bars (minute_aggs or day_aggs), no quotes: give the file of quotes_v1" in refused.stderr


def polygon_ticks(path: pathlib.Path, ticks: list[tuple[int, float, float]]) -> pathlib.Path:
    """Ticks (nanoseconds since 10:00 New York, bid, ask) of a call and a put at 740."""
    base = 1784901600 * 10**9
    lines = [
        f"O:SPY260724{side}00740000,302,{ask},7,303,{bid},5,1,{base + ns}" for ns, bid, ask in ticks for side in "CP"
    ]
    path.write_text("\n".join([POLYGON, *lines]) + "\n")
    return path


def clock_of(frame: pl.DataFrame) -> list[dt.time]:
    return [ts.astimezone(replay.sessions.NEW_YORK).time() for ts in frame["ts"]]


def test_a_tick_is_not_known_a_nanosecond_early(tmp_path: pathlib.Path) -> None:
    second = 10**9
    path = polygon_ticks(tmp_path / "t.csv", [(30 * second, 1.0, 1.1), (60 * second + 1, 1.05, 1.15)])
    done = ingest(tmp_path / "lake", [path], "--preset", "polygon", "--cadence", "30s", "--max-quote-age", "1m")
    assert done.exit_code == 0, done.stderr
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("SPY", DAY)
    assert clock_of(frame) == [dt.time(10, 0, 30), dt.time(10, 1), dt.time(10, 1, 30), dt.time(10, 2)]
    assert frame["call_bid"].to_list() == [[1.0], [1.0], [1.05], [1.05]]


def test_many_ticks_are_thinned_without_a_difference_and_all_counted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, rng = 10**9, lakes.dice(3)
    ticks = sorted((rng.randrange(0, 7 * 3600 * second), round(rng.uniform(0.5, 1.5), 2), 1.6) for _ in range(600))
    path = polygon_ticks(tmp_path / "t.csv", ticks)
    late = 2 * sum(ns > 6 * 3600 * second for ns, _, _ in ticks)
    assert late > 2 * 60  # several an instant: more than a sample keeps
    frames = []
    for rows in (1_000_000, 100):
        monkeypatch.setattr("replay.ingest.quotes._HELD_ROWS", rows)
        monkeypatch.setattr("replay.ingest.files.BLOCK_BYTES", 4096)
        done = ingest(tmp_path / str(rows), [path], "--preset", "polygon", "--cadence", "5m")
        assert f"{late:,} rows known after the close, left out" in done.stdout
        assert "quotes: 1,200 two-sided" in done.stdout
        with replay.open_lake(tmp_path / str(rows)) as lake:
            frames.append(lake.snapshots("SPY", DAY))
    assert frames[0].equals(frames[1])
    for ts, bid in zip(frames[1]["ts"], frames[1]["call_bid"], strict=True):
        at = (int(ts.timestamp()) - 1784901600) * second
        assert bid.to_list() == [next(b for ns, b, _ in reversed(ticks) if ns <= at)]


def test_without_open_interest_it_says_so_and_a_file_gives_it(tmp_path: pathlib.Path) -> None:
    path = polygon_ticks(tmp_path / "t.csv", [(0, 1.0, 1.1)])
    done = ingest(tmp_path / "none", [path], "--preset", "polygon")
    assert "32 without open interest: no exposures; --open-interest gives it" in done.stdout
    told = tmp_path / "oi.csv"
    told.write_text(
        "ts,contract,open_interest\n2026-07-24T06:30,SPY260724C00740000,700\n2026-07-24T06:30,SPY260724P00740000,500\n"
    )
    done = ingest(tmp_path / "lake", [path], "--preset", "polygon", "--open-interest", str(told))
    assert "without open interest" not in done.stdout, done.stderr
    with replay.open_lake(tmp_path / "lake") as lake:
        row = lake.snapshots("SPY", DAY).row(0, named=True)
    assert (row["call_oi"], row["put_oi"]) == ([700.0], [500.0])
    option = {"spot": 740.0, "strike": 740.0, "bid": 1.0, "ask": 1.1, "iv": 0}
    expected = chains.strike_exposures(
        option | {"open_interest": 700}, option | {"open_interest": 500}, 360 / (365 * 24 * 60)
    )
    for name, value in expected.items():
        assert row[name][0] == pytest.approx(value, rel=1e-7), name
    told.write_text("ts,contract\n2026-07-24T06:30,SPY260724C00740000\n")
    refused = ingest(tmp_path / "wrong", [path], "--preset", "polygon", "--open-interest", str(told))
    assert (refused.exit_code, "oi.csv: lacks open_interest" in refused.stderr) == (2, True)


def test_times_that_are_utc_are_not_taken_for_new_york(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "utc.csv"
    rows = [
        f"2026-07-24T{14 + minute // 60}:{minute % 60:02}:00,SPY260724{side}00740000,1.0,1.1,740"
        for minute in range(0, 360, 10)
        for side in "CP"
    ]
    path.write_text("\n".join(["ts,contract,bid,ask,spot", *rows]) + "\n")
    refused = ingest(tmp_path / "lake", [path], "--preset", "generic")
    assert (refused.exit_code, "give --zone UTC" in refused.stderr) == (2, True)
    assert not (tmp_path / "lake").exists()
    assert ingest(tmp_path / "lake", [path], "--preset", "generic", "--zone", "UTC").exit_code == 0
    with replay.open_lake(tmp_path / "lake") as lake:
        clocks = clock_of(lake.snapshots("SPY", DAY))
    assert (clocks[0], clocks[-1]) == (dt.time(10), dt.time(15, 55))  # the last price, of 15:50, holds for 5 minutes


def dbn_file(path: pathlib.Path, *, named: bool = True) -> pathlib.Path:
    """One-minute consolidated quotes of a call and a put, one side undefined at the second minute."""
    dbn = pytest.importorskip("databento_dbn")
    base = 1784901600 * 10**9
    ids = {101: "SPY   260724C00740000", 102: "SPY   260724P00740000"}
    mappings = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[SimpleNamespace(start_date=DAY, end_date=DAY + dt.timedelta(days=1), symbol=str(number))],
        )
        for number, symbol in ids.items()
    ]
    metadata = dbn.Metadata(
        dataset="OPRA.PILLAR", start=base, stype_in=dbn.SType.PARENT, stype_out=dbn.SType.INSTRUMENT_ID,
        schema=dbn.Schema.CBBO_1M, symbols=["SPY.OPT"], partial=[], not_found=[], mappings=mappings if named else [],
    )  # fmt: skip
    data = metadata.encode()
    for minute, bid, ask in ((1, 1.0, 1.1), (2, None, 1.2)):
        for number in ids:
            prices = [dbn.UNDEF_PRICE if p is None else round(p * dbn.FIXED_PRICE_SCALE) for p in (bid, ask)]
            level = dbn.ConsolidatedBidAskPair(bid_px=prices[0], ask_px=prices[1], bid_sz=5, ask_sz=7)
            record = dbn.CBBOMsg(
                rtype=dbn.RType.from_schema(dbn.Schema.CBBO_1M), publisher_id=30, instrument_id=number,
                ts_event=base + minute * 60 * 10**9 - 10**8, price=dbn.UNDEF_PRICE, size=0, side=dbn.Side.NONE,
                ts_recv=base + minute * 60 * 10**9, levels=level,
            )  # fmt: skip
            data += bytes(record)
    path.write_bytes(data)
    return path


def test_databentos_quotes_through_their_own_decoder(tmp_path: pathlib.Path) -> None:
    path = dbn_file(tmp_path / "opra.cbbo-1m.dbn")
    spots = tmp_path / "spy.csv"
    spots.write_text("ts,price\n2026-07-24T10:00:30,740.5\n")
    done = ingest(
        tmp_path / "lake", [path], "--preset", "databento", "--underlying", str(spots), "--max-quote-age", "1m"
    )
    assert done.exit_code == 0, done.stderr
    assert "2 two-sided, 2 one-sided" in done.stdout
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("SPY", DAY)
        assert lake.sessions()["cadence"].to_list() == [60.0]
    assert [ts.astimezone(replay.sessions.NEW_YORK).time() for ts in frame["ts"]] == [
        dt.time(10, 1),
        dt.time(10, 2),
        dt.time(10, 3),
    ]
    bids = [[None if math.isnan(v) else v for v in row] for row in frame["call_bid"].to_list()]
    assert bids == [[1.0], [None], [None]]
    assert frame["spot"].to_list() == [740.5] * 3
    packed = tmp_path / "opra.cbbo-1m.dbn.zst"
    packed.write_bytes(pa.compress(path.read_bytes(), "zstd", asbytes=True))
    done = ingest(
        tmp_path / "lake", [packed], "--preset", "databento", "--underlying", str(spots), "--max-quote-age", "1m"
    )
    assert "0 snapshots written, 3 stored already" in done.stdout, done.stderr
    cut = tmp_path / "cut.dbn"
    cut.write_bytes(path.read_bytes()[:-30])
    assert "is cut off in the middle of a record" in ingest(tmp_path / "cut", [cut], "--preset", "databento").stderr
    text = tmp_path / "text.dbn"
    text.write_text("not dbn at all, by any means, though long enough to hold a header of some kind")
    assert "is no DBN that can be read" in ingest(tmp_path / "text", [text], "--preset", "databento").stderr
    bare = dbn_file(tmp_path / "bare.dbn", named=False)
    assert "names no contracts" in ingest(tmp_path / "bare", [bare], "--preset", "databento").stderr


def test_definitions_may_stand_in_a_file_of_their_own(tmp_path: pathlib.Path) -> None:
    dbn = pytest.importorskip("databento_dbn")
    quotes = dbn_file(tmp_path / "a.cbbo-1m.dbn", named=False)
    symbols = {101: "SPY   260724C00740000", 102: "SPY   260724P00740000"}
    start, midnight = 1784901600 * 10**9, DAY + dt.timedelta(days=1)
    mappings = [
        SimpleNamespace(
            raw_symbol=str(number), intervals=[SimpleNamespace(start_date=DAY, end_date=midnight, symbol=symbol)]
        )
        for number, symbol in symbols.items()
    ]
    metadata = dbn.Metadata(
        dataset="OPRA.PILLAR", start=start, stype_in=dbn.SType.INSTRUMENT_ID, stype_out=dbn.SType.RAW_SYMBOL,
        schema=dbn.Schema.DEFINITION, symbols=["ALL_SYMBOLS"], partial=[], not_found=[], mappings=mappings,
    )  # fmt: skip
    definitions = tmp_path / "z.definition.dbn"  # after the quotes by name, read before them
    definitions.write_bytes(metadata.encode())
    done = ingest(tmp_path / "lake", [quotes, definitions], "--preset", "databento", "--max-quote-age", "1m")
    assert "2 two-sided, 2 one-sided" in done.stdout, done.stderr
    assert "2 contracts, 1 strikes" in done.stdout


def test_bars_of_our_own_names_are_known_at_their_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(
        "ts,contract,bid,ask,open_interest,spot\n"
        "2026-07-24T10:00:00,SPY260724C00740000,1.0,1.1,7,740\n2026-07-24T10:00:00,SPY260724P00740000,1.0,1.1,9,740\n"
    )
    done = ingest(
        tmp_path / "lake", [path], "--preset", "generic", "--bar", "1m", "--max-quote-age", "1m", "--cadence", "1m"
    )
    assert done.exit_code == 0, done.stderr
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("SPY", DAY)
        assert [ts.astimezone(replay.sessions.NEW_YORK).time() for ts in frame["ts"]] == [
            dt.time(10, 1),
            dt.time(10, 2),
        ]
        assert frame["call_oi"].to_list() == [[7.0], [7.0]]
        assert np.isfinite(lake.heatmap("SPY", "2026-07-24T10:01").values).all()
    for wrong, said in (
        (["--cadence", "0s"], "is to be a second or more"),
        (["--cadence", "45s"], "a part of a minute or whole minutes"),
        (["--preset", "mine"], "no preset 'mine'"),
        (["--preset", "polygon", "--bar", "1m"], "--bar is for --preset generic"),
        (["--zone", "Mars"], "no IANA time zone"),
    ):
        refused = ingest(tmp_path / "wrong", [path], "--preset", "generic", *wrong)
        assert (refused.exit_code, said in refused.stderr) == (2, True)
