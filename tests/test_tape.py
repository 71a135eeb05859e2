"""A replay shows, at every tick, what the second method finds visible at that instant, and nothing else."""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import gzip
import itertools
import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.contract import METRICS, MODES
from replay.errors import (
    InvalidDuration,
    InvalidMetric,
    InvalidMinutes,
    InvalidMode,
    InvalidTier,
    InvalidTime,
    NoStrikeData,
)
from replay.ingest.mapping import preset
from replay.ingest.run import ingest_chain
from replay.ragged import Ragged, nulls
from replay.snapshots import Snapshots, Timeline
from replay.tape import Tick, Ticks, Track
from replay.tape.track import nothing
from tests import lakes, second_method
from tests.lakes import DAY, MINUTE, SECOND, at, row
from tests.second_method import LATEST, Row, SecondLake, Stood

SHIPPED = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
SHIPPED_SESSIONS = sorted({"/".join(folder.parts[-2:]) for folder in SHIPPED.glob("tier=*/symbol=*/date=*")})
REAL = pathlib.Path(__file__).parent.parent.parent / "shared" / "data" / "spy-0dte-cboe"
NEW_YORK = second_method.NEW_YORK
COLUMNS = tuple(name for name in second_method.LISTS if name not in METRICS)
NAMES = (*METRICS, *COLUMNS)
LEVELS_EXACT = ("symbol", "ts", "recorded_at", "spot", "magnet", "call_wall", "put_wall")
EVERY = pytest.mark.parametrize("symbol", sorted(lakes.CASES))
DAYLIGHT = ("2025-10-31", "2025-11-03", "2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02")
EARLY = ("2025-11-28", "2025-12-24", "2026-11-27")

Expected = dict[int, dict[str, second_method.Values]]


def plain(values: np.ndarray[Any, Any]) -> list[float | None]:
    """Numbers with ``None`` for NaN; an infinity would stay and be found."""
    return [None if value != value else value for value in values.tolist()]


def wall(us: int) -> dt.datetime:
    return lakes.moment(us).astimezone(NEW_YORK)


def check_cheap(
    tick: Tick, stood: Stood, names: tuple[str, ...], carried: int = 0, kept: Expected | None = None
) -> bool:
    """All that a tick tells without a matrix, against what stood there; whether it was stale."""
    newest, age, stale = stood.newest, stood.age, stood.stale(carried)
    where = (stood.now, stood.known_at)
    assert tick.now == wall(stood.now)
    assert tick.known_at == wall(stood.known_at)
    assert tick.tier == stood.tier, where
    assert tick.ts == (None if newest is None else wall(newest.ts)), where
    assert tick.age == (None if age is None else dt.timedelta(microseconds=age)), where
    assert tick.stale == stale, where
    spot = None if newest is None or stale else newest.spot
    assert (None if math.isnan(tick.spot) else tick.spot) == spot, where
    assert plain(tick.strikes) == second_method.parallel(newest, "strike"), where
    known = {} if kept is None else kept.setdefault(id(newest), {})
    for name in names:
        if name not in known:
            known[name] = second_method.parallel(newest, name)
        wanted = [None] * len(known[name]) if stale else known[name]
        assert plain(tick.values(name)) == wanted, (name, *where)
    return stale


def check_quotes(tick: Tick, stood: Stood, *, stale: bool) -> None:
    sides = {name: second_method.parallel(stood.newest, name, masked=stale) for name in second_method.QUOTES}
    strikes = second_method.parallel(stood.newest, "strike")
    assert plain(tick.quotes.strikes) == strikes
    assert {name: plain(getattr(tick.quotes, name)) for name in sides} == sides
    for right in ("call", "put"):
        both = zip(sides[f"{right}_bid"], sides[f"{right}_ask"], strict=True)
        mids = [None if bid is None or ask is None else (bid + ask) / 2 for bid, ask in both]
        assert plain(getattr(tick.quotes, f"{right}_mid")) == mids
    rows = tick.quotes.to_polars().to_dicts()
    assert rows == [
        dict(zip(("strike", *sides), each, strict=True)) for each in zip(strikes, *sides.values(), strict=True)
    ]


def check_levels(tick: Tick, second: SecondLake, stood: Stood, tier: str | None, *, stale: bool) -> None:
    found = tick.levels.to_dict()
    if stale:
        assert found == {"symbol": tick.symbol} | dict.fromkeys(list(found)[1:])
        return
    newest = stood.newest
    strikes = [k for k in (newest.strike if newest and newest.strike else []) if k is not None]
    if strikes != sorted(strikes):
        return  # the sum over strikes runs as they are stored, and they must ascend
    wanted = second_method.levels(second, tick.symbol, stood.now, stood.known_at, tier)
    for name, value in wanted.items():
        close = value if name in LEVELS_EXACT or value is None else pytest.approx(value, rel=1e-11, abs=1e-12)
        assert found[name] == close, (name, stood.now)


def check_matrix(
    tick: Tick, lake: replay.Lake, second: SecondLake, stood: Stood, request: dict[str, Any], tier: str | None = None
) -> int:
    """One heatmap, its history and its times, against the lake's and the second method's; how many bars it has."""
    asked = {"metric": request["metric"], "mode": request["mode"], "minutes": request["minutes"]}
    clocks: dict[str, Any] = {"as_of": stood.now, "known_at": stood.known_at}
    moments: dict[str, Any] = {name: lakes.moment(us) for name, us in clocks.items()}
    where = (tick.symbol, stood.now, request)
    strikes = second_method.parallel(stood.newest, "strike")
    try:
        body = second_method.body(second, tick.symbol, **clocks, **request, tier=tier)
    except second_method.NoStrikeData:
        with pytest.raises(NoStrikeData) as then:
            lake.heatmap(tick.symbol, **moments, **request, tier=tier)
        with pytest.raises(NoStrikeData) as error:
            tick.heatmap(**request)
        assert str(error.value) == str(then.value)
        assert tick.history(**asked).shape == (0, len(strikes))
        assert tick.times(request["minutes"]).shape == (0,)
        return 0
    if not stood.seen and tier is not None:
        body["tier_used"] = "raw"  # nothing was read
    shown, theirs = tick.heatmap(**request), lake.heatmap(tick.symbol, **moments, **request, tier=tier)
    assert shown.to_json() == theirs.to_json(), where
    assert repr(shown) == repr(theirs)
    assert (shown.as_of, shown.known_at, shown.gaps, shown.tier) == (
        *clocks.values(), theirs.gaps, theirs.tier
    )  # fmt: skip
    assert shown.resample("5m").to_dict() == theirs.resample("5m").to_dict(), where
    assert json.dumps(json.loads(shown.to_json())) == json.dumps(body), where
    grid = {float(k): i for i, k in enumerate(body["strikes_grid"])}
    cells = [[None if k not in grid else bar["values"][grid[k]] for k in strikes] for bar in body["bars"]]
    history = tick.history(**asked)
    assert history.shape == (len(body["bars"]), len(strikes)), where
    assert [plain(each) for each in history] == cells, where
    times = [f"{t}Z" for t in tick.times(request["minutes"]).astype("datetime64[s]")]
    assert times == [bar["t"] for bar in body["bars"]], where
    return len(times)


def request_of(i: int) -> dict[str, Any]:
    """A heatmap request, another for every ``i``."""
    return {
        "metric": METRICS[i % len(METRICS)],
        "mode": MODES[i // 2 % 2],
        "minutes": (60, 390, 1, 17, 5)[i % 5],
        "gaps": i % 3 != 1,
    }


def held(session: str) -> tuple[str, dt.date]:
    symbol, date = (part.split("=")[1] for part in session.split("/"))
    return symbol, dt.date.fromisoformat(date)


@pytest.fixture(scope="module")
def shipped() -> tuple[replay.Lake, SecondLake]:
    assert SHIPPED_SESSIONS, f"the repository ships a lake at {SHIPPED}"
    return replay.open_lake(SHIPPED), SecondLake(SHIPPED)


# --- the clock


@pytest.mark.parametrize("date", [*DAYLIGHT, *EARLY, "2026-07-24"])
def test_the_clock_ticks_from_the_open_to_the_close_whether_or_not_data_came(
    shipped: tuple[replay.Lake, SecondLake], date: str
) -> None:
    hours = second_method.hours(dt.date.fromisoformat(date))
    assert hours is not None
    length = hours[1] - hours[0]
    steps = {
        "1m": 60,
        "30s": 30,
        "5m": 300,
        "7m": 420,
        "1h": 3600,
        "90s": 90,
        "6.5h": 23_400,
        "12h": 43_200,
        "1.5s": 1.5,
    }
    for symbol in ("SPY", "NONE"):
        tape = shipped[0].tape(symbol, date)
        for step, seconds in steps.items():
            ticks = tape.ticks(step)
            micros = round(seconds * SECOND)
            whole = -(-length // micros)
            assert len(ticks) == whole
            found = [second_method.EPOCH + dt.timedelta(microseconds=us) for us in ticks.instants]
            assert found[0] == lakes.moment(hours[0])
            assert found[-1] == lakes.moment(hours[1])
            assert ticks.instants[1:] == second_method.clock(dt.date.fromisoformat(date), micros)
            assert all(b - a == dt.timedelta(seconds=seconds) for a, b in itertools.pairwise(found[:-1]))
            assert ticks[-1].now == lakes.moment(hours[1])
            assert ticks[0].now == min(lakes.moment(hours[0]) + dt.timedelta(seconds=seconds), lakes.moment(hours[1]))
    assert [tick.now for tick in tape.ticks()] == [wall(hours[0] + i * MINUTE) for i in range(1, length // MINUTE + 1)]
    for tick in tape.ticks("1h"):
        assert str(tick.now.tzinfo) == "America/New_York"
        assert tick.now.date().isoformat() == date


@pytest.mark.parametrize(
    ("date", "step", "walls"),
    [
        ("2025-11-28", "1h", "10:30 11:30 12:30 13:00"),
        ("2025-12-24", "70m", "10:40 11:50 13:00"),
        ("2025-10-31", "2h", "11:30-04:00 13:30-04:00 15:30-04:00 16:00-04:00"),
        ("2025-11-03", "2h", "11:30-05:00 13:30-05:00 15:30-05:00 16:00-05:00"),
        ("2026-03-06", "3h", "12:30-05:00 15:30-05:00 16:00-05:00"),
        ("2026-03-09", "3h", "12:30-04:00 15:30-04:00 16:00-04:00"),
        ("2026-07-24", "390m", "16:00"),
    ],
)
def test_the_clock_by_hand(shipped: tuple[replay.Lake, SecondLake], date: str, step: str, walls: str) -> None:
    found = [tick.now for tick in shipped[0].tape("SPY", date).ticks(step)]
    aware = [f"{now:%H:%M}{now.isoformat()[-6:]}" for now in found]
    assert [each if len(each) > 5 else each[:5] for each in walls.split()] == [
        text if "-" in wanted else text[:5] for text, wanted in zip(aware, walls.split(), strict=True)
    ]


def test_seven_minutes_do_not_divide_a_session(shipped: tuple[replay.Lake, SecondLake]) -> None:
    found = [f"{tick.now:%H:%M}" for tick in shipped[0].tape("SPY", "2026-07-24").ticks("7m")]
    assert (len(found), found[0], found[-2:]) == (56, "09:37", ["15:55", "16:00"])
    assert (
        shipped[0].tape("SPY", DAY).ticks(dt.timedelta(minutes=7)).instants
        == shipped[0].tape("SPY", DAY).ticks("7m").instants
    )


@pytest.mark.parametrize("step", ["0s", "999ms", "999999us", "0.5s", dt.timedelta(0), dt.timedelta(milliseconds=999)])
def test_a_step_below_a_second_is_refused(shipped: tuple[replay.Lake, SecondLake], step: Any) -> None:
    with pytest.raises(InvalidDuration, match="too short"):
        shipped[0].tape("SPY", DAY).ticks(step)


@pytest.mark.parametrize("wrong", ["", "1", "m", "-1m", "1 m", "1d", "one minute", None, 60, 1.5, dt.timedelta(-1)])
def test_lengths_of_time_that_are_none_are_refused_by_name(shipped: tuple[replay.Lake, SecondLake], wrong: Any) -> None:
    tape = shipped[0].tape("SPY", DAY)
    with pytest.raises(InvalidDuration, match=r"^invalid_duration: step"):
        tape.ticks(wrong)
    with pytest.raises(InvalidDuration, match=r"^invalid_duration: latency"):
        tape.ticks("1m", wrong)


@pytest.mark.parametrize("huge", ["999999999h", dt.timedelta.max])
def test_lengths_of_time_beyond_the_session(shipped: tuple[replay.Lake, SecondLake], huge: Any) -> None:
    tape = shipped[0].tape("SPY", DAY)
    assert [tick.now for tick in tape.ticks(huge)] == [tape.session.close]
    (tick,) = tape.ticks(huge, huge)
    assert (tick.ts, tick.stale, tick.levels.ts) == (None, True, None)
    assert tick.known_at < tick.now
    assert "nothing visible" in repr(tick)


# --- every tick against the second method


@pytest.mark.parametrize("session", SHIPPED_SESSIONS or ["missing"])
def test_every_tick_of_the_shipped_sessions(shipped: tuple[replay.Lake, SecondLake], session: str) -> None:
    lake, second = shipped
    symbol, date = held(session)
    tape, kept = lake.tape(symbol, date), Expected()
    ticks = tape.ticks()
    bars = quoted = 0
    for i, (tick, now) in enumerate(zip(ticks, second_method.clock(date, MINUTE), strict=True)):
        stood = second_method.stood(second, symbol, date, now, now)
        stale = check_cheap(tick, stood, NAMES, kept=kept)
        if i % 9 == 0:
            check_levels(tick, second, stood, None, stale=stale)
            check_quotes(tick, stood, stale=stale)
            quoted += sum(value is not None for value in plain(tick.quotes.call_mid))
        if i % 29 == 3 or now == ticks.instants[-1]:
            bars += check_matrix(tick, lake, second, stood, request_of(i))
    assert (bars > 0) == (quoted > 0) == (date != dt.date(2026, 3, 6)), "all of that session is legacy rows"
    last = second_method.stood(second, symbol, date, now, now)
    assert ticks.gaps() == last.gaps(date)


@pytest.mark.parametrize(
    ("step", "latency"), [("1m", "2s"), ("1m", "90s"), ("7m", "0s"), ("1.5m", "250ms"), ("11m", "30m"), ("1h", "0s")]
)
def test_ticks_at_other_steps_and_latencies(shipped: tuple[replay.Lake, SecondLake], step: str, latency: str) -> None:
    lake, second = shipped
    late = {"0s": 0, "250ms": 250_000, "2s": 2 * SECOND, "90s": 90 * SECOND, "30m": 30 * MINUTE}[latency]
    length = {"1m": 60, "7m": 420, "1.5m": 90, "11m": 660, "1h": 3600}[step] * SECOND
    for session in SHIPPED_SESSIONS:
        symbol, date = held(session)
        ticks = lake.tape(symbol, date).ticks(step, latency)
        instants = second_method.clock(date, length)
        assert len(ticks) == len(instants)
        stride = 8 if step == "1m" else 2
        for i in range(0, len(ticks), stride):
            stood = second_method.stood(second, symbol, date, instants[i], instants[i] - late)
            check_cheap(ticks[i], stood, ("gex", "oi", "signed_flow", "put_bid"))
        i = len(ticks) * 5 // 7
        stood = second_method.stood(second, symbol, date, instants[i], instants[i] - late)
        check_matrix(ticks[i], lake, second, stood, request_of(len(latency) + len(step)))


@EVERY
@pytest.mark.parametrize("latency", ["0s", "2s", "90s"])
def test_every_tick_of_the_nasty_lake(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str, latency: str
) -> None:
    case = nasty.cases[symbol]
    late = {"0s": 0, "2s": 2, "90s": 90}[latency] * SECOND
    first, last = bisect.bisect(case.moments, at("09:30", case.date)), case.moments[-1]
    tape, kept, seen = nasty_lake.tape(symbol, case.date), Expected(), set()
    ticks = tape.ticks("1m", latency)
    for i, now in enumerate(second_method.clock(case.date, MINUTE)):
        stood = second_method.stood(nasty_second, symbol, case.date, now, now - late)
        stale = check_cheap(ticks[i], stood, NAMES, kept=kept)
        seen.add(id(stood.newest))
        if case.moments[min(first, len(case.moments) - 1)] <= now <= last + 5 * MINUTE and i % 3 == len(symbol) % 3:
            check_levels(ticks[i], nasty_second, stood, None, stale=stale)
            check_quotes(ticks[i], stood, stale=stale)
        if i % 13 == (len(symbol) + len(latency)) % 13:
            check_matrix(ticks[i], nasty_lake, nasty_second, stood, request_of(i + late // SECOND))
    assert len(seen) > 3


@EVERY
def test_any_instant_of_the_nasty_lake(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    """Not only whole minutes: every clock and the microseconds beside it, with any knowledge cut, at any tier."""
    case = nasty.cases[symbol]
    rng = lakes.dice(f"tape {symbol}")
    near = [us + step for us in case.moments for step in (-1, 0, 1)]
    moments = [us for us in near if second_method.new_york_date(us) == case.date]
    for i in range(24):
        now, tier = rng.choice(moments), rng.choice([None, None, "raw", "1m"])
        known = rng.choice([now, now, now - 2 * SECOND, rng.choice(near), LATEST])
        tape = nasty_lake.tape(symbol, case.date, tier)
        tick = tape.at(lakes.moment(now), "latest" if known == LATEST else lakes.moment(known))
        stood = second_method.stood(nasty_second, symbol, case.date, now, known, tier)
        if known == LATEST:
            assert tick.known_at.year >= 9999
            assert (tick.ts is None) == (stood.newest is None)
            assert tick.stale == stood.stale()
            assert plain(tick.values("gex")) == second_method.parallel(stood.newest, "gex", masked=tick.stale)
            continue
        stale = check_cheap(tick, stood, NAMES)
        check_levels(tick, nasty_second, stood, tier, stale=stale)
        check_quotes(tick, stood, stale=stale)
        check_matrix(tick, nasty_lake, nasty_second, stood, request_of(i), tier)


def test_instants_a_microsecond_apart_on_a_step_of_odd_length(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake
) -> None:
    for symbol in ("CORRECT", "FILES", "NANOS", "EDGES", "TIERS"):
        date = nasty.cases[symbol].date
        ticks = nasty_lake.tape(symbol, date).ticks("7.000001s", "1.999999s")
        instants = second_method.clock(date, 7_000_001)
        assert ticks.instants[1:] == instants
        for i in range(0, len(ticks), 31):
            stood = second_method.stood(nasty_second, symbol, date, instants[i], instants[i] - 1_999_999)
            check_cheap(ticks[i], stood, ("gex", "oi"))


# --- corrections


def revisions(second: SecondLake, symbol: str, date: dt.date) -> dict[int, list[Row]]:
    """Every ts that was recorded more than once: its rows as they became known."""
    by_ts: dict[int, list[Row]] = {}
    for each in second.rows("raw", symbol, date):
        by_ts.setdefault(each.ts, []).append(each)
    return {ts: sorted(rows, key=lambda r: r.recorded_at) for ts, rows in by_ts.items() if len(rows) > 1}


def table_of(tick: Tick, metric: str) -> dict[tuple[str, float], float | None]:
    """The whole session so far by (bar, strike)."""
    cells = tick.history(metric, 390)
    times, strikes = [str(t) for t in tick.times(390)], tick.strikes.tolist()
    return {
        (t, k): value
        for t, line in zip(times, cells, strict=True)
        for k, value in zip(strikes, plain(line), strict=True)
    }


def corrected(
    second: SecondLake, symbol: str, date: dt.date, metric: str
) -> dict[tuple[str, float], tuple[int, Any, Any]]:
    """Every cell that the first correction of a bar's last snapshot changes: when, from what, to what."""
    last: dict[int, int] = {}
    for each in second.rows("raw", symbol, date):
        last[each.ts // MINUTE] = max(each.ts, last.get(each.ts // MINUTE, 0))
    found = {}
    for ts, (old, new, *_) in revisions(second, symbol, date).items():
        before, after = second_method.metric_of(old, metric), second_method.metric_of(new, metric)
        for k in before if ts == last[ts // MINUTE] else ():
            if before[k] != after[k]:
                found[str(np.datetime64(ts - ts % MINUTE, "us")), k] = (new.recorded_at, before[k], after[k])
    return found


@pytest.mark.parametrize(
    ("step", "latency", "walls"),
    [
        ("1m", "0s", ("13:05:00", "13:06:00")),
        ("1m", "2s", ("13:05:00", "13:06:00")),
        ("1m", "60s", ("13:06:00", "13:07:00")),
        ("1s", "0s", ("13:05:00", "13:05:04")),
        ("1s", "2s", ("13:05:02", "13:05:06")),
        ("1s", "60s", ("13:06:00", "13:06:04")),
    ],
)
def test_a_correction_shows_from_the_tick_in_which_it_became_known(
    shipped: tuple[replay.Lake, SecondLake], step: str, latency: str, walls: tuple[str, str]
) -> None:
    """``walls`` are the last tick without any of the 61 corrections known from 13:05:00.08 to 13:05:03.22, and the first with all."""
    lake, second = shipped
    late, length = ({"0s": 0, "2s": 2, "60s": 60, "1s": 1, "1m": 60}[text] * SECOND for text in (latency, step))
    affected = corrected(second, "SPY", DAY, "oi")
    midday = {cell: each for cell, each in affected.items() if each[0] < at("16:00")}
    assert len(midday) > 100
    assert (min(midday)[0], max(midday)[0]) == ("2026-07-24T15:00:00.000000", "2026-07-24T15:29:00.000000")
    assert {each[0] // MINUTE for each in midday.values()} == {at("13:05") // MINUTE}
    ticks = lake.tape("SPY", DAY).ticks(step, latency)
    first, last = ((at(wall) - at("09:30")) // length - 1 for wall in walls)
    before = table_of(ticks[first - 1], "oi")
    seen = 0
    for tick in ticks[first : last + 3]:
        table = table_of(tick, "oi")
        cut = second_method.clock(DAY, length)[ticks.instants.index(at(f"{tick.now:%H:%M:%S}")) - 1] - late
        wanted = {cell: (a, b) for cell, (known, a, b) in midday.items() if cut - length < known <= cut}
        changed = {cell: (before[cell], table[cell]) for cell in before if before[cell] != table[cell]}
        assert changed == wanted, tick
        assert set(before) <= set(table)
        seen += len(changed)
        if tick.now.replace(tzinfo=None).time().isoformat() == walls[0]:
            assert seen == 0
        if tick.now.replace(tzinfo=None).time().isoformat() == walls[1]:
            assert seen == len(midday)
        before = table
    close = table_of(ticks[-1], "oi")
    assert {cell: close[cell] for cell in midday} == {cell: b for cell, (_, _, b) in midday.items()}


def test_a_correction_known_after_the_close_shows_in_no_tick(shipped: tuple[replay.Lake, SecondLake]) -> None:
    """The corrections of trades' signs are known from 18:30:00.04 to 18:30:01.97."""
    lake, second = shipped
    evening = [ts for ts, rows in revisions(second, "SPY", DAY).items() if rows[-1].recorded_at > at("18:29")]
    assert (len(evening), min(evening), max(evening)) == (32, at("11:10"), at("15:10"))
    tape = lake.tape("SPY", DAY)
    close = table_of(tape.ticks()[-1], "signed_flow")
    then, later = (
        table_of(tape.at("2026-07-24", f"2026-07-24T{moment}"), "signed_flow") for moment in ("18:30", "18:30:02")
    )
    assert {cell: then[cell] for cell in close} == close, "of the close itself nothing was known yet"
    assert table_of(tape.at("2026-07-24", "latest"), "signed_flow") == later
    changed = {t for t, k in then if then[t, k] != later[t, k]}
    assert changed == {str(np.datetime64(ts - ts % MINUTE, "us")) for ts in evening}
    body = second_method.body(second, "SPY", at("16:00"), at("18:30:02"), "signed_flow", minutes=390)
    bars = {str(np.datetime64(bar["t"][:-1], "us")): bar["values"] for bar in body["bars"]}
    assert later == {
        (t, float(k)): v for t, line in bars.items() for k, v in zip(body["strikes_grid"], line, strict=True)
    }
    one = tape.at("2026-07-24", "2026-07-24T18:30:01")
    assert then != table_of(one, "signed_flow") != later
    assert one.known_at == dt.datetime(2026, 7, 24, 18, 30, 1, tzinfo=NEW_YORK)
    overnight = table_of(tape.at("2026-07-24", "2026-07-25T09:00"), "signed_flow")
    assert overnight == later


def test_a_correction_of_the_newest_snapshot_replaces_the_whole_of_it(root: pathlib.Path) -> None:
    ts = at("10:00")
    rows = [
        row(ts, [600.0, 601.0], lag=SECOND, spot=600.25, gex=[1.0, 2.0], call_oi=[1.0, 1.0], put_oi=[2.0, 2.0]),
        row(ts, [599.0, 600.0, 601.0], lag=5 * MINUTE, spot=None, gex=[None, 3.0, 4.0]),
        row(ts, None, lag=6 * MINUTE, spot=1.0),
        row(ts, [600.0], lag=7 * MINUTE, spot=600.5, gex=[-5.0]),
    ]
    lakes.write_foreign(root, "SPY", "rows.parquet", rows[::-1])
    with replay.open_lake(root) as lake:
        ticks = lake.tape("SPY", DAY).ticks("1s", gaps="carry:1h")

    def shown(
        moment: str,
    ) -> tuple[float | None, list[float | None], list[float | None], list[float | None], list[Any]]:
        tick = ticks[(at(moment) - at("09:30")) // SECOND - 1]
        (spot,) = plain(np.array([tick.spot]))
        history = [plain(line) for line in tick.history("gex")]
        return spot, plain(tick.strikes), plain(tick.values("gex")), plain(tick.values("oi")), history

    first = (600.25, [600.0, 601.0], [1.0, 2.0], [3.0, 3.0], [[1.0, 2.0]])
    second = (None, [599.0, 600.0, 601.0], [None, 3.0, 4.0], [None] * 3, [[None, 3.0, 4.0]])
    assert shown("10:00") == (None, [], [], [], [])
    assert shown("10:00:01") == shown("10:04:59") == first
    assert shown("10:05") == shown("10:05:59") == second
    assert shown("10:06") == shown("10:06:59") == (1.0, [], [], [], [])
    assert shown("10:07") == shown("10:30") == (600.5, [600.0], [-5.0], [None], [[-5.0]])
    assert ticks[-1].stale


# --- the two quick ways against the slow one

CADENCES = st.sampled_from([None, None, 10 * SECOND, MINUTE, 5 * MINUTE])


@st.composite
def timelines(draw: st.DrawFn) -> list[Row]:
    """Stored rows in (file, row) order: revisions, ties of both clocks, recorded in any order, files of any cadence."""
    unit = draw(st.sampled_from([1, SECOND, 7 * SECOND]))
    cadences = draw(st.lists(CADENCES, min_size=1, max_size=3))
    made = []
    for number, cadence in enumerate(cadences):
        for place in range(draw(st.integers(0, 12))):
            ts = draw(st.integers(0, 60)) * unit
            delay = draw(st.sampled_from([0, 0, 1, 2, 30, draw(st.integers(0, 90))])) * unit
            made.append(Row(ts, ts + delay, (number, place), 600.0 + place, None, {}, cadence))
    return made


def track_of(rows: list[Row], cadences: int = 3) -> Track:
    """A track of the rows as the statement in ``sql/timeline.sql`` says that it answers."""
    stored = sorted(rows, key=lambda r: (r.ts, r.recorded_at, r.place))
    by_file = {each.place[0]: each.cadence for each in rows}
    following = [*stored[1:], None][: len(stored)]
    never = 2**63 - 1
    ends = [b.recorded_at if b is not None and b.ts == a.ts else never for a, b in zip(stored, following, strict=True)]
    timeline = Timeline(
        "raw",
        np.array([each.ts for each in stored], np.int64),
        np.array([each.recorded_at for each in stored], np.int64),
        np.array(ends, np.int64),
        np.array([each.place[0] for each in stored], np.int64),
        tuple(by_file.get(number) for number in range(cadences)),
        (None,) * cadences,
    )
    lists: dict[str, Ragged] = {"strike": nulls(len(stored))}
    spot = np.array([each.spot for each in stored], np.float64)
    return Track(timeline, Snapshots(timeline.ts, timeline.recorded_at, spot, lists), nothing)


@settings(max_examples=250, derandomize=True, deadline=None, database=None)
@given(
    rows=timelines(),
    latency=st.sampled_from([0, 1, SECOND, 20 * SECOND]),
    step=st.sampled_from([1, 3, SECOND, 9 * SECOND]),
)
def test_newest_and_patience_are_those_of_the_plain_definition(rows: list[Row], latency: int, step: int) -> None:
    track = track_of(rows)
    line = track.timeline
    clocks = sorted({us for each in rows for us in (each.ts, each.recorded_at + latency)} | {0})
    near = {us + i for us in clocks for i in (-1, 0, 1)}
    beyond = {
        us + lag + 2 * c
        for us in clocks[-3:]
        for lag in (0, 1, SECOND)
        for c in (step, 10 * SECOND, MINUTE, 5 * MINUTE)
    }
    instants = np.array(sorted(near | beyond | set(range(0, clocks[-1], max(step, clocks[-1] // 40 + 1)))), np.int64)
    newest = track.newest(instants, instants - latency)
    limits = track.patience(instants, instants - latency, newest)
    for i, now in enumerate(instants.tolist()):
        seen = second_method.visible(rows, now, now - latency)
        stood = Stood(now, now - latency, "raw", seen, rows)
        positions = line.visible(now, now - latency)
        assert [(line.ts[p], line.recorded_at[p], track.spot[p]) for p in positions] == [
            (each.ts, each.recorded_at, each.spot) for each in seen
        ]
        if stood.newest is None or stood.age is None:
            assert newest[i] == -1
            continue
        assert newest[i] == positions[-1]
        old = stood.age - stood.latency
        assert (old >= limits[i]) == (old >= stood.patience()), (now, stood.patience(), limits[i])
        if limits[i] != np.iinfo(np.int64).max:
            assert limits[i] == stood.patience()


def test_nothing_stored_has_no_newest_and_no_patience() -> None:
    track, instants = track_of([]), np.arange(3)
    newest = track.newest(instants, instants)
    assert newest.tolist() == [-1] * 3
    assert (track.patience(instants, instants, newest) == np.iinfo(np.int64).max).all()
    assert track.timeline.visible(LATEST, LATEST).tolist() == []


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(
    raw=timelines(),
    thin=timelines(),
    latency=st.sampled_from([0, 1, 20 * SECOND]),
    carried=st.sampled_from([0, 1, MINUTE]),
)
def test_ticks_over_two_tiers_are_those_of_the_plain_definition(
    raw: list[Row], thin: list[Row], latency: int, carried: int
) -> None:
    opens = at("09:30")
    second = SecondLake("nowhere")
    tracks = []
    for tier, rows in (("raw", raw), ("1m", thin)):
        moved = [Row(r.ts + opens, r.recorded_at + opens, r.place, r.spot, None, {}, r.cadence) for r in rows]
        second._rows[tier, "SPY", DAY] = moved
        track = track_of(moved)
        named = Timeline(tier, *(getattr(track.timeline, name) for name in Timeline.__slots__[1:]))
        tracks.append(Track(named, track._rows, nothing))
    session = replay.sessions.find_session(DAY)
    assert session is not None
    tape = replay.tape.Tape("SPY", session, tracks)
    policy = f"carry:{carried}us" if carried else "mask"
    ticks = tape.ticks("89s", dt.timedelta(microseconds=latency), policy)
    for tick, now in zip(ticks[:30], second_method.clock(DAY, 89 * SECOND)[:30], strict=True):
        check_cheap(tick, second_method.stood(second, "SPY", DAY, now, now - latency), (), carried)


# --- what a row without strikes, a wild number or an odd list gives


def test_rows_without_strikes_have_no_values_whatever_they_list(root: pathlib.Path) -> None:
    lists: dict[str, Any] = {
        "gex": [1.0, 2.0],
        "call_oi": [1.0, 2.0],
        "put_oi": None,
        "oi": [5.0, 6.0],
        "call_bid": [1.0, 2.0],
    }
    legacy = [row(at("10:00") + i * MINUTE, None, **lists) for i in range(3)]
    lakes.write_foreign(root, "SPY", "a.parquet", [*legacy, row(at("10:03"), [600.0, 601.0], **lists)])
    lakes.write_foreign(root, "QQQ", "a.parquet", legacy)
    with replay.open_lake(root) as lake:
        for symbol in ("SPY", "QQQ"):
            tick = lake.tape(symbol, DAY).at("2026-07-24T10:02:30")
            assert tick.spot == 600.0
            assert [len(tick.values(name)) for name in NAMES] == [0] * len(NAMES)
            assert (len(tick.strikes), len(tick.quotes.to_polars()), tick.history().shape) == (0, 0, (0, 0))
        tick = lake.tape("SPY", DAY).at("2026-07-24T10:03:30")
        assert (tick.values("gex").tolist(), tick.values("oi").tolist()) == ([1.0, 2.0], [5.0, 6.0])


@pytest.mark.parametrize("alike", [True, False])
def test_what_is_infinite_is_not_known(root: pathlib.Path, alike: bool) -> None:
    wild = [math.inf, 1.0, -math.inf, math.nan, 2.0]
    rows = [row(at("10:00") + i * MINUTE, [1.0, 2.0, 3.0, 4.0, 5.0], spot=s, gex=wild, call_oi=wild, put_oi=wild[::-1])
            for i, s in enumerate((math.inf, -math.inf, math.nan, 600.0))]  # fmt: skip
    if not alike:
        rows.append(row(at("10:04"), [1.0, math.inf], gex=[-math.inf, 7.0]))
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with replay.open_lake(root) as lake:
        ticks = lake.tape("SPY", DAY).ticks(gaps="carry:6h")
        assert plain(np.array([tick.spot for tick in ticks[30:34]])) == [None, None, None, 600.0]
        for tick in ticks[30:34]:
            assert plain(tick.values("gex")) == [None, 1.0, None, None, 2.0]
            assert plain(tick.values("oi")) == [None] * 5
            assert plain(tick.history()[-1]) == [None, 1.0, None, None, 2.0]
        if not alike:
            assert (plain(ticks[34].strikes), plain(ticks[34].values("gex"))) == ([1.0, None], [None, 7.0])
            assert [plain(line) for line in ticks[34].history()] == [[None, None]] * 5


def test_history_is_laid_on_the_newest_strikes(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [598.0, 599.0, 600.0], gex=[1.0, 2.0, 3.0], oi=[4.0, 5.0, 6.0]),
        row(at("10:01"), [599.0, 600.0, 601.0], gex=[20.0, 30.0, 40.0]),
        row(at("10:03"), [601.0, 599.0, 602.0], gex=[400.0, 200.0, 500.0]),
    ]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with replay.open_lake(root) as lake:
        tick = lake.tape("SPY", DAY).at("2026-07-24T10:03:30")
    assert tick.strikes.tolist() == [601.0, 599.0, 602.0]
    assert [plain(line) for line in tick.history("gex")] == [
        [None, 2.0, None],
        [40.0, 20.0, None],
        [400.0, 200.0, 500.0],
    ]
    delta = [[None, 2.0, None], [None, 18.0, None], [360.0, 180.0, None]]
    assert [plain(line) for line in tick.history("gex", mode="delta")] == delta
    assert [plain(line) for line in tick.history("gex", 2)] == [[40.0, 20.0, None], [400.0, 200.0, 500.0]]
    assert [plain(line) for line in tick.history("gex", 1)] == [[400.0, 200.0, 500.0]]
    assert [str(t) for t in tick.times(2)] == ["2026-07-24T14:01:00.000000", "2026-07-24T14:03:00.000000"]
    assert [plain(line) for line in tick.history("oi")] == [[None, 5.0, None], [None] * 3, [None] * 3]


# --- read-only, and independent of each other


def test_arrays_are_read_only(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    for symbol in sorted(lakes.CASES):
        case = nasty.cases[symbol]
        ticks = nasty_lake.tape(symbol, case.date).ticks(gaps="mask")
        full = [tick for tick in ticks if len(tick.strikes)]
        chosen = [ticks[0], ticks[-1], *full[:: max(1, len(full) // 4)]]
        assert any(len(tick.strikes) for tick in chosen) or symbol == "ALLLEGACY"
        for tick in chosen:
            arrays = [
                tick.strikes,
                *(tick.values(name) for name in NAMES),
                tick.history(),
                tick.history("oi", 390, "delta"),
            ]
            arrays += [getattr(tick.quotes, name) for name in ("strikes", *second_method.QUOTES)]
            for array in arrays:
                assert not array.flags.writeable
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 1.0
            for name in ("spot", "now", "ts", "age", "stale", "levels", "quotes", "strikes", "tier", "symbol"):
                with pytest.raises(AttributeError):
                    setattr(tick, name, None)
            with pytest.raises(AttributeError):
                tick.levels.magnet = 1.0  # type: ignore[misc]  # that it may not is the test


def test_writing_into_a_heatmap_disturbs_no_other(shipped: tuple[replay.Lake, SecondLake]) -> None:
    ticks = shipped[0].tape("SPY", DAY).ticks()
    truth = [
        ticks[100].heatmap().to_json(),
        ticks[100].history().tolist(),
        ticks[100].values("gex").tolist(),
        ticks[100].spot,
    ]
    shown = ticks[100].heatmap()
    for array in (shown.levels, shown.strikes, shown.spot):
        array[...] = -1.0
    shown.minutes[...] = 0
    ticks[100].times()[...] = np.datetime64(0, "us")
    ticks.gaps().append((0, 1))
    for other in (ticks, ticks.tape.ticks()):
        tick = other[100]
        assert [tick.heatmap().to_json(), tick.history().tolist(), tick.values("gex").tolist(), tick.spot] == truth
        assert other.gaps() == []


def fields(tick: Tick) -> str:
    """All of a tick, as text."""
    values = {name: plain(tick.values(name)) for name in NAMES}
    parts = (
        tick.now,
        tick.known_at,
        tick.ts,
        tick.age,
        tick.stale,
        tick.tier,
        repr(tick.spot),
        tick.levels,
        values,
        plain(tick.strikes),
    )
    return repr((parts, tick.history().tolist(), tick.times().tolist(), repr(tick)))


def test_two_ways_through_a_tape_do_not_disturb_each_other(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    asked = (("1m", "0s", "mask"), ("1m", "90s", "mask"), ("1m", "0s", "carry:2h"), ("3m", "2s", "carry:90s"))
    for symbol in ("UNEVEN", "TIERS", "GAPS"):
        date = nasty.cases[symbol].date
        alone = [[fields(tick) for tick in nasty_lake.tape(symbol, date).ticks(*each)[::5]] for each in asked]
        tape = nasty_lake.tape(symbol, date)
        ways = [tape.ticks(*each)[::5] for each in asked]
        turns: list[list[str]] = [[] for _ in ways]
        for i in reversed(range(max(map(len, ways)))):
            for way, turn in zip(ways, turns, strict=True):
                if i < len(way):
                    turn.insert(0, fields(way[i]))
        assert turns == alone
        assert len({tuple(each) for each in turns}) == len(asked)


def test_a_tick_kept_keeps_its_own_instant(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    tape = nasty_lake.tape("GAPS", lakes.HALF_DAY)
    then, kept = [], []
    for tick in tape.ticks():
        kept.append(tick)
        then.append((tick.now, tick.ts, tick.stale, repr(tick.spot), plain(tick.values("gex"))))
    assert [(tick.now, tick.ts, tick.stale, repr(tick.spot), plain(tick.values("gex"))) for tick in kept] == then
    assert len({each[0] for each in then}) == 210
    assert {each[2] for each in then} == {True, False}


def test_a_tape_is_what_was_stored_when_it_was_opened(root: pathlib.Path) -> None:
    first = row(at("10:00"), [600.0], gex=[1.0], dex=[5.0])
    lakes.write_own(root, "SPY", [first])
    lake = replay.open_lake(root)
    tape = lake.tape("SPY", DAY)
    lakes.write_own(root, "SPY", [row(at("10:00"), [600.0], lag=2 * SECOND, gex=[2.0], dex=[6.0])])
    old, new = (each.at("2026-07-24T10:01") for each in (tape, lake.tape("SPY", DAY)))
    assert (old.values("gex").tolist(), old.values("dex").tolist()) == ([1.0], [5.0])
    assert (new.values("gex").tolist(), new.values("dex").tolist()) == ([2.0], [6.0])
    assert old.levels.net_gex == 1.0


# --- ticks as a sequence, and what things say of themselves


def test_ticks_are_a_sequence(shipped: tuple[replay.Lake, SecondLake]) -> None:
    ticks = shipped[0].tape("SPY", "2026-06-05").ticks()
    walls = [f"{tick.now:%H:%M}" for tick in ticks]
    assert (len(ticks), len(walls), walls[0], walls[29], walls[-1]) == (390, 390, "09:31", "10:00", "16:00")
    assert isinstance(ticks, Ticks)
    assert isinstance(ticks[0], Tick)
    for index in (0, 5, 389, -1, -390):
        assert f"{ticks[index].now:%H:%M}" == walls[index]
    for part in (
        slice(3),
        slice(-3, None),
        slice(None, None, 60),
        slice(None, None, -130),
        slice(5, 5),
        slice(380, 999),
    ):
        assert [f"{tick.now:%H:%M}" for tick in ticks[part]] == walls[part]
    assert [f"{tick.now:%H:%M}" for tick in reversed(ticks)] == walls[::-1]
    for index in (390, -391, 10**9):
        with pytest.raises(IndexError):
            ticks[index]
    assert list(ticks)[7].spot == ticks[7].spot


def test_what_they_say_of_themselves(root: pathlib.Path) -> None:
    rows = [row(at("10:00") + i * MINUTE, [600.0, 601.0], spot=600.5 + i, gex=[1.0, 2.0]) for i in range(3)]
    rows.append(row(at("10:01"), [600.0], lag=MINUTE, spot=9.0))
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    lakes.write_foreign(root, "SPY", "a.parquet", rows[:1], tier="1m")
    with replay.open_lake(root) as lake:
        tape = lake.tape(" spy ", "2026-07-24")
        assert (tape.symbol, tape.session.date, tape.tier) == ("SPY", DAY, None)
        assert repr(tape) == "<Tape SPY 2026-07-24: 4 rows raw, 1 rows 1m>"
        assert len(tape) == 3, "an instant counts once however often it was revised"
        assert len(lake.tape("SPY", DAY, "1m")) == 1
        assert repr(lake.tape("SPY", DAY, "1m")) == "<Tape SPY 2026-07-24: 1 rows 1m>"
        ticks = tape.ticks("30m", gaps="carry:20m")
        # shown at 10:30 (10:02, carried), and then no more: the first tick and the eleven after 10:30 are stale
        assert repr(ticks) == "<Ticks SPY 2026-07-24: 13, 13 stale, gaps carry:20m>"
        assert repr(tape.ticks("30m", gaps="carry:30m")) == "<Ticks SPY 2026-07-24: 13, 12 stale, gaps carry:30m>"
        said = [repr(tape.at(f"2026-07-24T{moment}")) for moment in ("10:00:00.8", "10:02:01", "12:00", "09:30")]
        assert said == [
            "<Tick SPY 2026-07-24 10:00:00 New York: spot 600.5, 2 strikes, age 0:00:00.800000>",
            "<Tick SPY 2026-07-24 10:02:01 New York: spot 602.5, 2 strikes, age 0:00:01>",
            "<Tick SPY 2026-07-24 12:00:00 New York: spot nan, 2 strikes, age 1:58:00, stale>",
            "<Tick SPY 2026-07-24 09:30:00 New York: nothing visible, stale>",
        ]
        frame = tape.to_polars()
        assert frame["spot"].to_list() == [600.5, 9.0, 602.5]
        assert frame.columns == lake.snapshots("SPY", DAY).columns
        assert frame.equals(lake.snapshots("SPY", DAY))
        assert tape.fingerprint() == lake.fingerprint("SPY", DAY)
        assert len(tape.fingerprint()) == 2


def test_columns_are_read_when_first_asked_for(nasty_lake: replay.Lake) -> None:
    for early in ((), ("put_iv", "gex"), ("oi",)):
        tape = nasty_lake.tape("FILES", DAY, columns=early)
        assert tape.columns_read() == sorted(early)
        ticks = tape.ticks()
        _ = ticks[170].spot, ticks[170].age, ticks[170].strikes, ticks[170].times
        assert tape.columns_read() == sorted(early)
        ticks[170].values("vex")
        assert tape.columns_read() == sorted({*early, "vex"})
        ticks[170].values("oi")
        assert tape.columns_read() == sorted({*early, "vex", "call_oi", "put_oi", "oi"})
        _ = ticks[170].quotes
        assert set(second_method.QUOTES) <= set(tape.columns_read())
        truth = nasty_lake.tape("FILES", DAY).at("2026-07-24T12:07")
        assert [plain(tape.at("2026-07-24T12:07").values(name)) for name in NAMES] == [
            plain(truth.values(name)) for name in NAMES
        ]


@pytest.mark.parametrize("wrong", [("nonsense",), ("gex", "spot"), "gex", ("GEX",)])
def test_columns_to_read_at_once_are_refused_by_name(nasty_lake: replay.Lake, wrong: Any) -> None:
    with pytest.raises(InvalidMetric, match="signed_flow"):
        nasty_lake.tape("STILL", DAY, columns=wrong)


def test_a_resampled_heatmap_of_drifting_strikes_is_json(shipped: tuple[replay.Lake, SecondLake]) -> None:
    for mode in MODES:
        five = shipped[0].tape("SPY", "2026-05-12").at("2026-05-12T10:32").heatmap("dex", mode).resample("5m")
        assert json.loads(five.to_json()) == five.to_dict()


def test_names_that_are_none_list_what_there_is(shipped: tuple[replay.Lake, SecondLake]) -> None:
    for symbol in ("SPY", "NONE"):
        tick = shipped[0].tape(symbol, DAY).ticks()[60]
        for _ in range(2):
            for wrong in ("GEX", "", "strike", "spot", "expiration", "gamma", None, 3, ["gex"]):
                with pytest.raises(InvalidMetric) as error:
                    tick.values(wrong)  # type: ignore[arg-type]  # that it may not is the test
                assert all(name in error.value.message for name in NAMES)
            _ = tick.strikes  # once read, no more a metric than before
        for wrong in ("call_iv", "GEX", "", None):
            with pytest.raises(InvalidMetric, match="gex, dex, vex, chex, oi, signed_flow"):
                tick.heatmap(wrong)  # type: ignore[arg-type]
            with pytest.raises(InvalidMetric, match="gex, dex, vex, chex, oi, signed_flow"):
                tick.history(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidMode):
            tick.history("gex", mode="rate")
        for minutes in (1.5, True, "x", None):
            with pytest.raises(InvalidMinutes):
                tick.history("gex", minutes)  # type: ignore[arg-type]
            with pytest.raises(InvalidMinutes):
                tick.times(minutes)  # type: ignore[arg-type]


def test_a_date_that_is_no_session_is_an_error(nasty_lake: replay.Lake) -> None:
    for date in ("2026-07-25", "2026-12-25", dt.date(2026, 7, 3), "2060-01-04"):
        with pytest.raises(InvalidTime, match=f"{date} is no session"):
            nasty_lake.tape("STILL", date)
    for wrong in ("2026-07-24T10:00", "yesterday", None, dt.datetime(2026, 7, 24)):
        with pytest.raises(InvalidTime, match="is not a date"):
            nasty_lake.tape("STILL", wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidTier):
        nasty_lake.tape("STILL", DAY, "2m")


@pytest.mark.parametrize("symbol", ["NONE", "../STILL", "st ill", "", "ſTILL"])
@pytest.mark.parametrize("tier", [None, "raw", "1m"])
def test_an_unknown_symbol_gives_an_empty_tape(nasty_lake: replay.Lake, symbol: str, tier: str | None) -> None:
    tape = nasty_lake.tape(symbol, DAY, tier)
    assert (len(tape), tape.fingerprint(), len(tape.to_polars())) == (0, {}, 0)
    assert tape.to_polars().columns == nasty_lake.snapshots("NONE", DAY).columns
    ticks = tape.ticks()
    assert (len(ticks), sum(tick.stale for tick in ticks)) == (390, 390)
    tick = ticks[200]
    assert (tick.ts, tick.age, tick.stale, len(tick.strikes)) == (None, None, True, 0)
    assert math.isnan(tick.spot)
    assert [len(tick.values(name)) for name in NAMES] == [0] * len(NAMES)
    assert (tick.history().shape, tick.times().shape) == ((0, 0), (0,))
    assert set(tick.levels.to_dict().values()) == {None, tape.symbol}
    assert len(tick.quotes.to_polars()) == 0
    assert tick.heatmap(gaps=True).to_json() == nasty_lake.heatmap(symbol, tick.now, gaps=True, tier=tier).to_json()


def test_an_instant_of_another_date_is_refused(nasty_lake: replay.Lake) -> None:
    tape = nasty_lake.tape("EDGES", DAY)
    for wrong in ("2026-07-23", "2026-07-25T00:00", "2026-07-25T03:59Z", dt.datetime(2026, 7, 23, 23, 59)):
        if wrong == "2026-07-25T03:59Z":  # still 23:59 in New York
            assert tape.at(wrong).ts is not None
            continue
        with pytest.raises(InvalidTime, match="2026-07-24"):
            tape.at(wrong)
    for wrong in ("nope", "2026-07-24T25:00"):
        with pytest.raises(InvalidTime, match="as_of"):
            tape.at(wrong)
        with pytest.raises(InvalidTime, match="known_at"):
            tape.at("2026-07-24", wrong)
    assert tape.at("2026-07-24").now == tape.session.close
    assert tape.at("2026-07-24", " LATEST ").known_at > tape.at("2026-07-24").known_at


def test_a_tape_of_one_tier_reads_no_other(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake
) -> None:
    for tier in ("raw", "1m"):
        ticks = nasty_lake.tape("TIERS", DAY, tier).ticks()
        for i, now in enumerate(second_method.clock(DAY, MINUTE)):
            check_cheap(ticks[i], second_method.stood(nasty_second, "TIERS", DAY, now, now, tier), ("gex",))
    both = nasty_lake.tape("TIERS", DAY).ticks()
    assert {tick.tier for tick in both[:20]} == {"raw"}, "nothing is visible yet"
    changes = [f"{b.now:%H:%M} {b.tier}" for a, b in itertools.pairwise(both) if a.tier != b.tier]
    assert changes == ["10:01 1m", "10:15 raw"], "raw is known 10 minutes late"


# --- what was recorded for real

needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the recorded SPY chains are not on this machine")


@needs_real
@pytest.mark.parametrize("date", ["2026-07-24", "2026-08-05"])
def test_recorded_chains_are_replayed_as_late_as_they_were_known(tmp_path: pathlib.Path, date: str) -> None:
    path = REAL / f"SPY_{date}.csv.gz"
    ingest_chain([path], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    with gzip.open(path, "rt") as file:
        clocks = {
            (
                dt.datetime.fromisoformat(each["quote_ts"]),
                dt.datetime.fromisoformat(each["fetched_at_et"]),
                float(each["spot"]),
            )
            for each in csv.DictReader(file)
        }
    with replay.open_lake(tmp_path / "lake") as lake:
        ticks = lake.tape("SPY", date).ticks()
        ten = ticks[29]
        late = 0
        for tick in ticks:
            now = tick.now.replace(tzinfo=None)
            known = [(ts, fetched, spot) for ts, fetched, spot in clocks if fetched <= now and ts <= now]
            if not known:
                assert tick.ts is None
                continue
            ts, _, spot = max(known)
            assert tick.ts == ts.replace(tzinfo=NEW_YORK)
            assert tick.stale or tick.spot == spot
            assert tick.age == now - ts
            assert [str(t) for t in tick.times(390)[-1:]] == [
                str(np.datetime64((ts + dt.timedelta(hours=4)).replace(second=0, microsecond=0), "us"))
            ]
            late += tick.age > dt.timedelta(minutes=14)
        assert f"{ten.now:%H:%M}" == "10:00"
        assert ten.ts is not None
        assert dt.timedelta(minutes=14) < ten.now - ten.ts < dt.timedelta(minutes=22)
        assert late > 360
        assert sum(ticks.stale[1:]) < 60, "late is not stale: the lag is the session's own"
