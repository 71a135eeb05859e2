"""`replay quality`: every fault injected by hand and counted by hand, clean data without an alarm, and the real files'."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import math
import pathlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.cli import main
from replay.cli.quality import quality
from replay.errors import InvalidTime
from replay.ingest.mapping import preset
from replay.ingest.run import ingest_chain
from replay.quality import KINDS, Check, CheckKind, QualityReport, SessionQuality, assess
from replay.quality.kinds import BY_ID, score_of
from replay.render.quality import MOST_SESSIONS, quality_png
from tests import lakes
from tests.lakes import DAY, MINUTE, SECOND, Row, at
from tests.second_method import LATEST, SecondLake

ROOT = pathlib.Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "spy-0dte-cboe"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the recorded SPY chains are not on this machine")
NEXT_DAY = dt.date(2026, 7, 27)

STRIKES = [595.0 + i for i in range(11)]
ROWS = 40  # every ten minutes from the open to the close
OPTIONS = ROWS * 22
CELLS = ROWS * 11
ATM, CALL_OUT, LOW = 5, 10, 0  # where in STRIKES: 600, which spot is, 605, and 595


def clean(date: dt.date = DAY) -> list[Row]:
    """A session without a fault: spot 600, quotes on parity two cents wide, volume that grows, 0.8 s of lag."""
    rows = []
    for i in range(ROWS):
        over = [0.5 + 0.01 * i + 0.02 * k + (0.003 if date == DAY else 0.0) for k in range(len(STRIKES))]
        mids = {
            side: [max(sign * (600.0 - strike), 0.0) + more for strike, more in zip(STRIKES, over, strict=True)]
            for side, sign in (("call", 1), ("put", -1))
        }
        lists: dict[str, Any] = {}
        for side, mid in mids.items():
            lists[f"{side}_bid"] = [round(each - 0.01, 4) for each in mid]
            lists[f"{side}_ask"] = [round(each + 0.01, 4) for each in mid]
            lists[f"{side}_iv"] = [0.2] * len(STRIKES)
            lists[f"{side}_oi"] = [100.0] * len(STRIKES)
            lists[f"{side}_volume"] = [float(i + 1)] * len(STRIKES)
        lists["gex"] = [1.0 + i] * len(STRIKES)
        rows.append(lakes.row(at("09:30", date) + i * 10 * MINUTE, list(STRIKES), **lists))
    return rows


def put(rows: list[Row], i: int, name: str, k: int, value: float) -> None:
    """Change one cell."""
    rows[i][name] = [value if place == k else each for place, each in enumerate(rows[i][name])]


def without(row: Row, k: int) -> Row:
    """A snapshot without one of its strikes."""
    return {name: value[:k] + value[k + 1 :] if isinstance(value, list) else value for name, value in row.items()}


def checked(root: pathlib.Path, rows: list[Row], *, foreign: bool = False) -> SessionQuality:
    """The quality of one session of these rows."""
    if foreign:
        lakes.write_foreign(root, "SPY", "rows.parquet", rows)
    else:
        lakes.write_own(root, "SPY", rows)
    with replay.open_lake(root) as lake:
        (session,) = assess(lake, " spy ").sessions
    return session


def alarms(session: SessionQuality) -> dict[str, float]:
    """The checks that found anything."""
    return {check.kind.id: check.number for check in session.checks if check.number}


def example(check: Check, i: int = 0) -> dict[str, Any]:
    return check.examples[i].to_dict()


def test_a_clean_session_has_no_finding(root: pathlib.Path) -> None:
    session = checked(root, clean())
    assert alarms(session) == {}
    assert session.score == 100.0
    assert [check.kind.id for check in session.checks] == [kind.id for kind in KINDS]
    assert {check.kind.id for check in session.checks if check.number is None} == {"previous_session", "flow_holes"}
    assert (session.snapshots, session.rows, session.strikes, session.cadence, session.lag) == (40, 40, 11, 600.0, 0.8)


# ----- each fault: how it is made, and by hand how many there are, of how many, and how many of them are scored


def gap(rows: list[Row]) -> None:
    del rows[10:15]  # 11:00 to 12:00


def late_start(rows: list[Row]) -> None:
    del rows[:3]


def late(rows: list[Row]) -> None:
    rows[7]["recorded_at"] = rows[7]["ts"] + 30 * MINUTE


def skew(rows: list[Row]) -> None:
    for each in rows:
        each["recorded_at"] += 30 * MINUTE
    rows[7]["recorded_at"] = rows[7]["ts"] + SECOND


def bulk(rows: list[Row]) -> None:
    for each in rows[5:8]:
        each["recorded_at"] = rows[7]["ts"] + MINUTE


def instant(rows: list[Row]) -> None:
    rows[7]["recorded_at"] = rows[7]["ts"]


def repeated(rows: list[Row]) -> None:
    rows.append(rows[7] | {"recorded_at": rows[7]["recorded_at"] + 5 * MINUTE})


def revised(rows: list[Row]) -> None:
    rows.append(rows[7] | {"recorded_at": rows[7]["recorded_at"] + 5 * MINUTE, "gex": [9.0] * 11})


def unchanged(rows: list[Row]) -> None:
    for i in (20, 21, 22):
        rows[i] |= {name: value for name, value in rows[19].items() if isinstance(value, list)}


def unchanged_once(rows: list[Row]) -> None:
    rows[20] |= {name: value for name, value in rows[19].items() if isinstance(value, list)}


def legacy(rows: list[Row]) -> None:
    rows[3] = lakes.row(rows[3]["ts"], None)


def outside(rows: list[Row]) -> None:
    rows.append(rows[0] | {"ts": at("09:00"), "recorded_at": at("09:01")})
    rows.append(rows[0] | {"ts": at("16:15"), "recorded_at": at("16:16")})


def no_quote(rows: list[Row]) -> None:
    put(rows, 2, "call_bid", 3, math.nan)
    put(rows, 2, "call_ask", 3, 0.0)


def no_bid_in_the_money(rows: list[Row]) -> None:
    put(rows, 2, "put_bid", CALL_OUT, 0.0)  # the put at 605


def no_bid_out_of_the_money(rows: list[Row]) -> None:
    put(rows, 2, "call_bid", CALL_OUT, 0.0)


def no_ask(rows: list[Row]) -> None:
    put(rows, 2, "call_ask", CALL_OUT, math.nan)


def crossed(rows: list[Row]) -> None:
    put(rows, 2, "call_bid", LOW, rows[2]["call_ask"][LOW] + 0.5)
    put(rows, 9, "put_bid", LOW, rows[9]["put_ask"][LOW] + 0.7)


def locked_once(rows: list[Row]) -> None:
    put(rows, 2, "call_bid", LOW, rows[2]["call_ask"][LOW])


def locked_often(rows: list[Row]) -> None:
    for i in range(9):  # of 880
        put(rows, i, "call_bid", LOW, rows[i]["call_ask"][LOW])


def wide(rows: list[Row]) -> None:
    put(rows, 2, "call_ask", ATM, rows[2]["call_ask"][ATM] + 0.2)


def parity(rows: list[Row]) -> None:
    for name in ("call_bid", "call_ask"):
        put(rows, 2, name, CALL_OUT, rows[2][name][CALL_OUT] + 1.0)


def spot_parity(rows: list[Row]) -> None:
    rows[4]["spot"] = 600.5


def zero_vol(rows: list[Row]) -> None:
    put(rows, 2, "call_iv", ATM, 0.0)


def zero_vol_without_bid(rows: list[Row]) -> None:
    put(rows, 2, "call_iv", CALL_OUT, 0.0)
    put(rows, 2, "call_bid", CALL_OUT, 0.0)


def unknown_vol(rows: list[Row]) -> None:
    put(rows, 2, "put_iv", ATM, math.nan)


def unknown_exposure(rows: list[Row]) -> None:
    put(rows, 2, "gex", ATM, math.nan)


def volume_falls(rows: list[Row]) -> None:
    put(rows, 10, "call_volume", 2, 3.0)  # from 10; the next is 12


def volume_falls_over_a_hole(rows: list[Row]) -> None:
    put(rows, 10, "put_volume", 2, math.nan)
    put(rows, 11, "put_volume", 2, 4.0)  # from 10


def oi_moves(rows: list[Row]) -> None:
    for i in range(20, ROWS):
        put(rows, i, "call_oi", 2, 107.0)


def strike_hole(rows: list[Row]) -> None:
    rows[5] = without(rows[5], 4)


def drift(rows: list[Row]) -> None:
    rows[20:] = [without(each, 0) for each in rows[20:]]


def flow_hole(rows: list[Row]) -> None:
    """Flow from the third snapshot to the 30th, but for one of them; before and after none is known."""
    for i in range(2, 30):
        rows[i]["call_flow"] = None if i == 7 else [float(i)] * len(STRIKES)


FAULTS: list[tuple[Callable[[list[Row]], None], dict[str, tuple[float, float, float]]]] = [
    (gap, {"gaps": (60, 390, 60)}),
    (late_start, {"gaps": (30, 390, 30)}),
    (late, {"late": (1, 40, 1)}),
    (skew, {"skew": (1, 40, 1)}),
    (bulk, {"bulk": (3, 40, 3)}),
    (instant, {"instant": (1, 40, 1)}),
    (repeated, {"repeated": (1, 41, 1)}),
    (revised, {"revised": (1, 41, 0)}),
    (unchanged, {"unchanged": (3, 40, 3)}),
    (unchanged_once, {}),
    (legacy, {"legacy": (1, 40, 1)}),
    (outside, {"outside": (2, 42, 0)}),
    (no_quote, {"no_quote": (1, OPTIONS, 1)}),
    (no_bid_in_the_money, {"one_sided": (1, OPTIONS, 1)}),
    (no_bid_out_of_the_money, {"one_sided": (1, OPTIONS, 0)}),
    (no_ask, {"one_sided": (1, OPTIONS, 1)}),
    (crossed, {"crossed": (2, OPTIONS, 2)}),
    (locked_once, {"locked": (1, OPTIONS, 0)}),
    (locked_often, {"locked": (9, OPTIONS, 9)}),
    (wide, {"wide": (1, ROWS * 14, 0)}),
    (parity, {"parity": (1, CELLS, 1)}),
    (spot_parity, {"spot_parity": (1, ROWS, 1)}),
    (zero_vol, {"zero_vol": (1, OPTIONS, 1)}),
    (zero_vol_without_bid, {"zero_vol": (1, OPTIONS, 0), "one_sided": (1, OPTIONS, 0)}),
    (unknown_vol, {"unknown_vol": (1, OPTIONS, 1)}),
    (unknown_exposure, {"unknown_exposure": (1, CELLS, 1)}),
    (volume_falls, {"volume_falls": (1, 22 * 39, 1)}),
    (volume_falls_over_a_hole, {"volume_falls": (1, 22 * 39 - 1, 1)}),
    (oi_moves, {"oi_moves": (1, 22, 1)}),
    (strike_hole, {"strike_holes": (1, CELLS, 1), "strikes_come_and_go": (1, 11, 0)}),
    (flow_hole, {"flow_holes": (1, 28, 1)}),
    (drift, {"strikes_come_and_go": (1, 11, 0)}),
]


def points(kind: CheckKind, scored: float, of: float) -> Decimal:
    """A penalty in exact decimal arithmetic."""
    if not scored:
        return Decimal(0)
    raw = Decimal(str(kind.floor)) + Decimal(str(kind.points)) * Decimal(str(scored)) / Decimal(str(of))
    return min(Decimal(str(kind.cap)), raw.quantize(Decimal("0.01"), ROUND_CEILING))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[replay.Lake]:
    """A lake with a symbol for each fault."""
    root = tmp_path_factory.mktemp("faulty")
    for i, (make, _) in enumerate(FAULTS):
        rows = clean()
        make(rows)
        lakes.write_own(root, f"F{i}", rows)
    with replay.open_lake(root) as lake:
        yield lake


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[make.__name__ for make, _ in FAULTS])
def test_each_fault_is_counted_and_no_other_alarm_is_raised(number: int, faulty: replay.Lake) -> None:
    (session,), found = assess(faulty, f"F{number}").sessions, FAULTS[number][1]
    assert alarms(session) == {check_id: count for check_id, (count, _, _) in found.items()}
    due = Decimal(0)
    for check_id, (count, of, scored) in found.items():
        check = session.check(check_id)
        assert (check.number, check.of, check.scored) == (count, of, scored)
        assert check.severity == ("info" if not scored else "major" if check.penalty >= 500 else "minor")
        assert f"{count:g} of {of:g} {check.kind.unit}" in check.sentence()
        due += points(check.kind, scored, of)
    assert session.score == float(100 - due)


def test_the_penalty_of_a_gap_by_hand(root: pathlib.Path) -> None:
    rows = clean()
    gap(rows)
    session = checked(root, rows)  # 100 * 60 / 390 = 15.3846, rounded up
    assert (session.check("gaps").penalty, session.score) == (1539, 84.61)
    assert session.check("gaps").measures == {
        "longest_minutes": 60.0,
        "late_start_minutes": 0.0,
        "early_end_minutes": 0.0,
    }
    assert session.check("gaps").sentence() == "60 of 390 minutes: 11:00:00-12:00:00 60 minutes"


def test_examples_name_time_strike_side_and_values(root: pathlib.Path) -> None:
    rows = clean()
    volume_falls(rows)
    crossed(rows)
    rows[10]["recorded_at"] = rows[10]["ts"] + 9 * MINUTE
    session = checked(root, rows)
    assert example(session.check("volume_falls")) == {
        "ts": "2026-07-24T15:10:00Z",
        "recorded_at": "2026-07-24T15:19:00Z",
        "until": None,
        "strike": 597.0,
        "side": "C",
        "values": {"before": 10.0, "after": 3.0},
    }
    assert session.check("volume_falls").sentence().endswith("steps: 597 C 11:10:00 (known 11:19:00) 10 -> 3")
    worst = [
        (example(session.check("crossed"), i)["strike"], example(session.check("crossed"), i)["side"]) for i in (0, 1)
    ]
    assert worst == [(595.0, "P"), (595.0, "C")]
    assert session.check("crossed").spans == ((rows[2]["ts"],) * 2, (rows[9]["ts"],) * 2)
    assert [check.kind.id for check in session.worst()] == ["volume_falls", "crossed"]


def test_measures_by_hand(root: pathlib.Path) -> None:
    rows = clean()
    for i in range(3):
        put(rows, i, "call_iv", 1, 0.2000123)
    spot_parity(rows)
    late(rows)
    repeated(rows)
    zero_vol(rows)
    session = checked(root, rows)
    assert session.check("zero_vol").measures == {"solved_options": 3.0, "share_without_source_vol": 4 / OPTIONS}
    assert session.check("repeated").measures == {"options": 22.0}
    assert session.check("late").measures == {"median_seconds": 0.8, "longest_seconds": 1800.0}
    told = session.check("spot_parity").measures
    assert (told["largest_usd"], told["median_usd"]) == (0.5, 0.0)
    assert told["largest_bp"] == pytest.approx(0.5 / 600.5 * 1e4, abs=1e-5)


def test_unsound_rows(root: pathlib.Path) -> None:
    rows = clean()
    rows[3]["recorded_at"] = rows[3]["ts"] - SECOND
    rows[5]["spot"] = math.nan
    rows[6]["strike"] = [*STRIKES[:9], 605.0, 604.0]
    rows.append(rows[8] | {"gex": [7.0] * 11})  # contradicts
    rows.append(dict(rows[9]))  # says the same: one row
    check = checked(root, rows, foreign=True).check("unsound")
    assert check.number == 4
    assert check.measures == {
        "known_before_ts_rows": 1.0,
        "off_date_rows": 0.0,
        "no_spot_rows": 1.0,
        "strikes_out_of_order_rows": 1.0,
        "contradicting_rows": 1.0,
    }
    assert "1 contradicting" in check.sentence()


def test_the_previous_session_under_a_new_date(root: pathlib.Path) -> None:
    first, second = clean(), clean(NEXT_DAY)
    for each in second[:3]:  # the last of the day before is still there at the open, two cells having moved
        each |= {name: list(value) for name, value in first[-1].items() if isinstance(value, list)}
    put(second, 1, "call_bid", 0, 5.0)
    put(second, 1, "call_ask", 0, 5.02)
    lakes.write_own(root, "SPY", first)
    lakes.write_own(root, "SPY", second, date=NEXT_DAY)
    with replay.open_lake(root) as lake:
        report = assess(lake, "SPY")
        alone = assess(lake, "SPY", NEXT_DAY, NEXT_DAY)
    check = report.sessions[1].check("previous_session")
    assert (check.number, check.of, check.severity) == (3, 40, "major")
    assert check.measures == {"exact_snapshots": 2.0, "like_the_last_snapshots": 3.0}
    assert check.examples[0].ts == second[0]["ts"]
    assert report.sessions[0].check("previous_session").number is None
    assert alone.sessions == report.sessions[1:]


def test_a_session_copied_whole_is_the_previous_one(root: pathlib.Path) -> None:
    lakes.write_own(root, "SPY", clean())
    days = at("09:30", NEXT_DAY) - at("09:30")
    copied = [each | {name: each[name] + days for name in ("ts", "recorded_at")} for each in clean()]
    lakes.write_own(root, "SPY", copied, date=NEXT_DAY)
    with replay.open_lake(root) as lake:
        check = assess(lake, "SPY").sessions[1].check("previous_session")
    assert (check.number, check.penalty) == (40, 6000)


def test_sessions_that_follow_each_other_are_no_copies(root: pathlib.Path) -> None:
    lakes.write_own(root, "SPY", clean())
    lakes.write_own(root, "SPY", clean(NEXT_DAY), date=NEXT_DAY)
    with replay.open_lake(root) as lake:
        assert [alarms(each) for each in assess(lake, "SPY").sessions] == [{}, {}]


def test_what_is_not_stored_is_not_checked(root: pathlib.Path) -> None:
    kept = ("ts", "recorded_at", "spot", "strike", "gex")
    session = checked(root, [{name: each[name] for name in kept} for each in clean()])
    unknown = {check.kind.id for check in session.checks if check.number is None}
    assert unknown == {
        *("previous_session", "no_quote", "one_sided", "crossed", "locked", "wide", "parity", "spot_parity"),
        *("zero_vol", "unknown_vol", "volume_falls", "oi_moves", "flow_holes"),
    }
    assert session.score == 100.0
    told = session.check("crossed").to_dict()
    assert (told["number"], told["of"], told["scored"], told["severity"]) == (None, None, None, "unknown")
    assert told["finding"] == "quotes are not stored"


def test_flow_alone_says_nothing_of_a_source_that_hangs(root: pathlib.Path) -> None:
    rows = [lakes.row(each["ts"], list(STRIKES), signed_flow=[0.0] * 11) for each in clean()]
    session = checked(root, rows)
    assert session.check("unchanged").number is None
    assert session.score == 100.0


def test_a_source_that_hangs_is_seen_by_its_exposures(root: pathlib.Path) -> None:
    rows = [lakes.row(each["ts"], list(STRIKES), gex=[float(min(i, 20))] * 11) for i, each in enumerate(clean())]
    assert checked(root, rows).check("unchanged").number == 19


def test_few_or_odd_snapshots(root: pathlib.Path) -> None:
    after = [clean()[0] | {"ts": at("16:30"), "recorded_at": at("16:31")}]
    session = checked(root, after)
    assert (session.score, session.snapshots, alarms(session)) == (0.0, 1, {"gaps": 390.0, "outside": 1})
    assert checked(root / "one", clean()[:1]).score == 0.0
    sparse = [clean()[i] for i in (0, 19, 39)]  # however regular, every three hours is no sampling
    assert checked(root / "sparse", sparse).check("gaps").number == 390


# ----- a second method: plain loops over every cell of the nasty lake


@pytest.mark.parametrize("symbol", ["CORRECT", "DRIFT", "FLOW", "LEGACY", "TIERS", "EDGES", "UNEVEN"])
def test_counts_are_those_of_plain_loops(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    case = nasty.cases[symbol]
    (session,) = assess(nasty_lake, symbol).sessions
    seen, _ = nasty_second.visible(symbol, case.date, LATEST, LATEST)
    hours = at("09:30", case.date), at("16:00", case.date)
    wanted: Counter[str] = Counter()
    last: dict[tuple[str, float], float] = {}
    moved = set()
    for snapshot in seen:
        if not hours[0] <= snapshot.ts <= hours[1]:
            wanted["outside"] += 1
            continue
        if snapshot.strike is None:
            wanted["legacy"] += 1
            continue
        strikes = sorted({k for k in snapshot.strike if k is not None})
        columns = {name: snapshot.by_strike(name) for name in lakes.LISTS}
        wanted["unknown_exposure"] += sum(columns["gex"].get(k) is None for k in strikes)
        for side in ("call", "put"):
            for k in strikes:
                value = {name: columns[f"{side}_{name}"].get(k) for name in ("bid", "ask", "iv", "oi", "volume")}
                if all(each is None for each in value.values()):
                    continue
                bid, ask = value["bid"] or 0.0, value["ask"] or 0.0
                wanted["no_quote"] += bid == ask == 0
                wanted["one_sided"] += (bid == 0) != (ask == 0)
                wanted["crossed"] += bid > ask > 0
                wanted["locked"] += bid == ask > 0
                wanted["zero_vol"] += value["iv"] == 0
                wanted["unknown_vol"] += value["iv"] is None
                for name in ("volume", "oi"):
                    now, key = value[name], (f"{side} {name}", k)
                    if now is None:
                        continue
                    if key in last and name == "volume":
                        wanted["volume_falls"] += now < last[key]
                    if key in last and name == "oi" and now != last[key]:
                        moved.add(key)
                    last[key] = now
    wanted["oi_moves"] = len(moved)
    for check_id in wanted:
        assert session.check(check_id).number == wanted[check_id], check_id


def test_every_nasty_case_is_assessed(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    for symbol in nasty.cases:
        for session in assess(nasty_lake, symbol).sessions:
            assert session.fault is None
            assert 0 <= (session.score or 0) < 100
            json.dumps(session.to_dict(), allow_nan=False)
            orjson.dumps(session.to_dict())  # which takes plain numbers alone
            for check in session.checks:
                assert check.scored <= (check.number or 0) <= (check.of or 0)
                assert len(check.examples) <= 5


# ----- the score


@given(
    st.sampled_from(KINDS),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.lists(st.integers(0, 6000), max_size=5),
)
@settings(max_examples=80, derandomize=True, deadline=None, database=None)
def test_more_faults_never_give_a_higher_score(kind: CheckKind, a: int, b: int, over: int, others: list[int]) -> None:
    fewer, more = sorted((a, b))
    of = more + over
    assert 0 <= kind.penalty(fewer, of) <= kind.penalty(more, of) <= kind.cap * 100
    assert score_of([*others, kind.penalty(more, of)]) <= score_of([*others, kind.penalty(fewer, of)])
    assert kind.penalty(more, of) == (points(kind, more, of) * 100 if kind.cap and of else 0)


def test_more_bad_cells_never_give_a_higher_score(tmp_path: pathlib.Path) -> None:
    rng = random.Random(11)  # noqa: S311  # data, not secrets
    rows, scores = clean(), [100.0]
    for step in range(6):
        for _ in range(12):
            i, k, side = rng.randrange(ROWS), rng.randrange(11), rng.choice(["call", "put"])
            put(rows, i, f"{side}_bid", k, rows[i][f"{side}_ask"][k] + rng.random())
            put(rows, rng.randrange(1, ROWS), f"{side}_volume", rng.randrange(11), 0.5)
        scores.append(checked(tmp_path / str(step), rows).score or 0.0)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[1] < 100


# ----- the lakes that ship, and the real files


def test_simulated_sessions_are_clean() -> None:
    with replay.open_lake(ROOT / "fixtures" / "lake") as lake:
        reports = {symbol: assess(lake, symbol) for symbol in ("SPY", "QQQ")}
    scored = {
        (symbol, str(session.date)): {check.kind.id: check.number for check in session.worst()}
        for symbol, report in reports.items()
        for session in report.sessions
    }
    assert {key: value for key, value in scored.items() if value} == {
        ("SPY", "2026-03-06"): {"legacy": 781},
        ("SPY", "2026-03-09"): {"legacy": 360},
        ("SPY", "2026-04-15"): {"gaps": 25.0, "flow_holes": 1},
    }
    assert len(scored) == 8
    assert [each.score for each in reports["SPY"].sessions if each.date.month in (5, 6, 7, 11)] == [100.0] * 4


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("quality") / "lake"
    ingest_chain(sorted(REAL.glob("SPY_*.csv.gz")), root, "SPY", preset("cboe-recorder"))
    return root


@needs_real
def test_the_report_finds_what_is_published_of_the_real_files(real: pathlib.Path) -> None:
    with replay.open_lake(real) as lake:
        report = assess(lake, "SPY")
    sessions = {f"{each.date:%m-%d}": each for each in report.sessions}
    # 07-20 holds 598 rows that repeat a (quote_ts, type, strike)
    repeats = sessions["07-20"].check("repeated")
    assert (repeats.number, repeats.measures["options"]) == (4, 598)
    assert all(not each.check("repeated").number for date, each in sessions.items() if date != "07-20")
    # 07-23 has a 171-minute hole, 08-10 one of 38 minutes
    assert int(sessions["07-23"].check("gaps").measures["longest_minutes"]) == 171
    assert int(sessions["08-10"].check("gaps").measures["longest_minutes"]) == 38
    # 07-31's volume falls twice, 705 C and 706 C at 10:55:51, which is when they were fetched
    falls = sessions["07-31"].check("volume_falls")
    told = [example(falls, i) for i in range(2)]
    assert [(each["strike"], each["side"], each["recorded_at"], each["values"]) for each in told] == [
        (705.0, "C", "2026-07-31T14:55:51Z", {"before": 4.0, "after": 2.0}),
        (706.0, "C", "2026-07-31T14:55:51Z", {"before": 3.0, "after": 2.0}),
    ]
    assert [each.check("volume_falls").number for each in sessions.values()] == [0, 0, 0, 0, 2, 0, 0, 0]
    # strikes drift, open interest does not change, sessions end before the close, the lag is 15 to 16 minutes
    for session in sessions.values():
        assert session.check("oi_moves").number == 0
        assert 0 < (session.check("strikes_come_and_go").share or 0) <= 0.25
        assert session.check("gaps").measures["early_end_minutes"] > 8
        assert 15 * 60 < (session.lag or 0) < 16 * 60
        assert session.check("crossed").number == 0


@needs_real
def test_options_without_a_vol_are_those_of_the_files(real: pathlib.Path) -> None:
    with replay.open_lake(real) as lake:
        report = assess(lake, "SPY", "2026-07-24", "2026-08-12")
    for session in report.sessions:
        with gzip.open(REAL / f"SPY_{session.date}.csv.gz", "rt") as file:
            vols = [float(each["iv"] or 0) for each in csv.DictReader(file) if each["expiry"] == str(session.date)]
        share = session.check("zero_vol").measures["share_without_source_vol"]
        assert share == sum(vol == 0 for vol in vols) / len(vols)
        assert 0.12 < share < 0.19


# ----- the command


GROUP = type(main)(commands={"quality": quality})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(GROUP, ["quality", *arguments], env={"REPLAY_LAKE": None})


@pytest.fixture
def two_days(root: pathlib.Path) -> str:
    """A clean Friday, and a Wednesday with a gap, quotes that cross, and volume that falls."""
    lakes.write_own(root, "SPY", clean())
    date = dt.date(2026, 7, 29)
    rows = clean(date)
    crossed(rows)
    repeated(rows)
    put(rows, 30, "call_volume", 2, 3.0)
    gap(rows)
    lakes.write_own(root, "SPY", rows, date=date)
    return str(root)


def test_the_table(two_days: str) -> None:
    done = run("SPY", "--lake", two_days)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "SPY: 2 sessions, 2026-07-24 to 2026-07-29"
    assert lines[1] == "nothing stored of 2 sessions of the exchange: 2026-07-27, 2026-07-28"
    assert lines[3].split() == "date score snap gap lag cross fall oi par spot stale prev".split()  # noqa: SIM905
    assert lines[4].split() == "2026-07-24 100.0 40 0 0.8s 0 0 0 0 0 0 -".split()  # noqa: SIM905
    assert lines[5].split()[:7] == ["2026-07-29", "81.7", "35", "60", "0.8s", "2", "1"]
    assert "  -15.39 gaps: 60 of 390 minutes: 11:00:00-12:00:00 60 minutes" in lines
    assert "  crossed: no such market stands: one of the sides is old or wrong, and a fill" in lines


def test_findings_are_capped_and_all_shows_them(root: pathlib.Path) -> None:
    rows = clean()
    for make in (crossed, gap, zero_vol, unknown_vol, unknown_exposure, oi_moves, no_ask, spot_parity):
        make(rows) if make is not oi_moves else put(rows, 20, "call_oi", 2, 107.0)
    lakes.write_own(root, "SPY", rows)
    short, long = (run("SPY", "--lake", str(root), *more).stdout for more in ((), ("--all",)))
    assert "… and 2 more (--all shows them)" in short
    assert "more (--all" not in long
    assert all(f" {name}: " in long for name in ("crossed", "unknown_vol", "one_sided", "zero_vol", "spot_parity"))


def test_json_and_csv_hold_every_check(two_days: str, tmp_path: pathlib.Path) -> None:
    done = run("spy", "--lake", two_days, "--format", "json")
    body = json.loads(done.stdout)
    assert list(body) == ["symbol", "from", "to", "missing", "kinds", "sessions"]
    assert (body["symbol"], body["from"], body["to"]) == ("SPY", "2026-07-24", "2026-07-29")
    assert body["missing"] == ["2026-07-27", "2026-07-28"]
    assert [list(each) for each in body["kinds"]] == [["id", "what", "unit", "why", "floor", "points", "cap"]] * len(
        KINDS
    )
    for session in body["sessions"]:
        assert list(session) == [
            *("date", "score", "fault", "tier", "snapshots", "rows", "strikes", "first", "last"),
            *("cadence_seconds", "lag_seconds", "checks"),
        ]
        assert [each["id"] for each in session["checks"]] == [kind.id for kind in KINDS]
        for check in session["checks"]:
            assert list(check) == [
                *("id", "severity", "number", "of", "unit", "share", "scored", "penalty", "finding"),
                *("measures", "examples", "spans"),
            ]
        assert session["score"] == round(100 - sum(each["penalty"] for each in session["checks"]), 2)
    assert body["sessions"][0]["first"] == "2026-07-24T13:30:00Z"
    assert done.stdout == run("SPY", "--lake", two_days, "--format", "json").stdout
    path = tmp_path / "quality.csv"
    assert run("SPY", "--lake", two_days, "--out", str(path)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(rows) == 2 * len(KINDS)
    (row,) = [each for each in rows if each["date"] == "2026-07-29" and each["check"] == "crossed"]
    assert (row["number"], row["of"], row["severity"]) == ("2.0", str(float(22 * 35)), "minor")


def test_a_score_to_reach(two_days: str) -> None:
    assert run("SPY", "--lake", two_days, "--min-score", "80").exit_code == 0
    failed = run("SPY", "--lake", two_days, "--min-score", "90")
    assert (failed.exit_code, failed.stderr) == (1, "")
    assert "2026-07-29" in failed.stdout
    assert run("SPY", "--lake", two_days, "--min-score", "90", "--to", "2026-07-24").exit_code == 0
    assert run("QQQ", "--lake", two_days, "--min-score", "1").exit_code == 1
    assert run("SPY", "--lake", two_days, "--min-score", "101").exit_code == 2


def test_what_is_not_there_or_cannot_be(two_days: str, tmp_path: pathlib.Path) -> None:
    nothing = run("QQQ", "--lake", two_days)
    assert (nothing.exit_code, nothing.stderr) == (0, "note: no session of QQQ; the lake holds SPY\n")
    beyond = run("SPY", "--lake", two_days, "--from", "2026-08-03", "--to", "2026-08-04")
    assert "no session of SPY, 2026-08-03 to 2026-08-04; the lake holds SPY" in beyond.stderr
    assert "2026-08-03, 2026-08-04" in beyond.stdout
    for arguments, said in (
        (("--from", "soon"), "from 'soon' is not a date"),
        (("--from", "2026-07-29", "--to", "2026-07-24"), "from 2026-07-29 is after to 2026-07-24"),
        (("--picture", str(tmp_path / "nowhere" / "a.png")), "No such file or directory"),
        (("--picture", str(tmp_path / "a.txt")), "Invalid value for --picture: a.txt does not end in .png"),
        (("--out", "a.xml"), "a.xml is of no known format"),
    ):
        done = run("SPY", "--lake", two_days, *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr.replace("\n", " ")
    assert "no_lake" in run("SPY", "--lake", str(tmp_path / "none")).stderr
    with replay.open_lake(two_days) as lake, pytest.raises(InvalidTime, match="is after to"):
        assess(lake, "SPY", "2026-07-29", "2026-07-24")


def test_a_session_that_cannot_be_read_is_said(two_days: str) -> None:
    folder = lakes.folder_of(pathlib.Path(two_days), "SPY")
    next(folder.glob("*.parquet")).write_bytes(b"PAR1, and no more")
    closed = lakes.folder_of(pathlib.Path(two_days), "SPY", dt.date(2026, 7, 25))
    closed.mkdir()
    (closed / "part.parquet").write_bytes(b"")
    done = run("SPY", "--lake", two_days, "--min-score", "1")
    assert done.exit_code == 1
    assert "note: SPY 2026-07-24 cannot be read: " in done.stderr
    assert "note: SPY 2026-07-25 cannot be read: the exchange had no session on that date" in done.stderr
    assert "2026-07-29   81.7" in done.stdout
    body = json.loads(run("SPY", "--lake", two_days, "--format", "json").stdout)
    assert [each["score"] for each in body["sessions"]] == [None, None, 81.79]
    assert body["sessions"][0]["checks"] == []
    assert run("SPY", "--lake", two_days, "--format", "csv").stdout.count("\n") == 1 + 2 + len(KINDS)


# ----- the picture


def many(count: int) -> QualityReport:
    """So many sessions, made by hand, the scores falling."""
    start = at("09:30")
    sessions = []
    for i in range(count):
        found = [
            Check(BY_ID["gaps"], i, 390, i, spans=((start + i * MINUTE, start + 2 * i * MINUTE),)),
            Check(BY_ID["crossed"], i, 10_000, i, spans=((start, start),) if i else ()),
            Check(BY_ID["wide"], 3, 10),
            *(Check(kind, None, note="not stored") for kind in KINDS if kind.id not in ("gaps", "crossed", "wide")),
        ]
        checks = tuple(next(check for check in found if check.kind is kind) for kind in KINDS)
        date = DAY + dt.timedelta(days=i)
        sessions.append(SessionQuality(date, "raw", 40, 40, 11, opens=start, closes=at("16:00"), checks=checks))
    sessions.append(SessionQuality(DAY + dt.timedelta(days=count), fault="cannot be read"))
    return QualityReport("SPY", DAY, DAY + dt.timedelta(days=count), tuple(sessions))


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_picture(two_days: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "quality.png"
    done = run("SPY", "--lake", two_days, "--picture", str(path))
    assert (done.exit_code, done.stdout.split()[0]) == (0, "SPY:")
    with replay.open_lake(two_days) as lake:
        again = quality_png(assess(lake, "SPY"))
    assert path.read_bytes() == again
    assert size(again)[0] == 1728


def test_the_picture_of_none_and_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    low = size(quality_png(QualityReport("SPY", None, None)))
    assert low == size(quality_png(many(0)))
    assert low[1] < size(quality_png(many(90)))[1] < 2400
    monkeypatch.setattr("replay.render.quality.MOST_SESSIONS", 1)
    assert size(quality_png(many(20))) == low
    assert MOST_SESSIONS >= 80


def test_a_picture_without_its_library_is_refused(two_days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("SPY", "--lake", two_days, "--picture", "quality.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pip install 'zerodte-replay[plot]'" in done.stderr
