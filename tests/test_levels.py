"""Levels against hand arithmetic and the second method."""

from __future__ import annotations

import datetime as dt
import math
import pathlib
from typing import Any

import pytest

import replay
from replay.levels import Levels
from tests import lakes, second_method
from tests.lakes import MINUTE, SECOND, at, row
from tests.second_method import LATEST, SecondLake

NAN = math.nan
STRIKES = [598.0, 599.0, 600.0, 601.0, 602.0]
EXACT = ("symbol", "ts", "recorded_at", "spot", "magnet", "call_wall", "put_wall")


def levels_of(root: pathlib.Path, *rows: lakes.Row, as_of: str = "2026-07-24T15:59") -> Levels:
    lakes.write_foreign(root, "SPY", "rows.parquet", list(rows))
    with replay.open_lake(root) as lake:
        return lake.levels("SPY", as_of, known_at="latest")


def chain(
    root: pathlib.Path, strikes: list[float] | None = None, *, spot: float | None = 600.0, **lists: Any
) -> Levels:
    return levels_of(root, row(at("12:45"), strikes or STRIKES, spot=spot, **lists))


def known_names(levels: Levels) -> set[str]:
    return {name for name, value in levels.to_dict().items() if value is not None}


# --- magnet and walls


def test_magnet_and_walls(root: pathlib.Path) -> None:
    levels = chain(root, gex=[-7.0, 3.0, 5.0, -9.0, 8.0])
    assert (levels.magnet, levels.call_wall, levels.put_wall) == (601.0, 602.0, 601.0)


@pytest.mark.parametrize(
    ("gex", "spot", "magnet"),
    [
        ([5.0, 1.0, 1.0, 1.0, 5.0], 600.1, 602.0),
        ([5.0, 1.0, 1.0, 1.0, 5.0], 599.9, 598.0),
        ([5.0, 1.0, 1.0, 1.0, 5.0], 600.0, 598.0),
        ([5.0, 1.0, 1.0, -5.0, 1.0], 600.0, 601.0),
        ([1.0, 2.0, 2.0, 2.0, 1.0], 600.2, 600.0),
        ([5.0, 5.0, 0.0, 0.0, 5.0], None, 598.0),
        ([5.0, 5.0, 0.0, 0.0, 5.0], NAN, 598.0),
        ([NAN, NAN, 0.5, NAN, NAN], 600.0, 600.0),
        ([-0.5, NAN, 0.0, NAN, 0.25], 600.0, 598.0),
    ],
)
def test_of_ties_the_strike_nearest_spot_then_the_lower(
    root: pathlib.Path, gex: list[float], spot: float | None, magnet: float
) -> None:
    assert chain(root, gex=gex, spot=spot).magnet == magnet


@pytest.mark.parametrize(
    "gex", [[0.0] * 5, [-0.0] * 5, [NAN] * 5, [None] * 5, None, [0.0, NAN, None, 0.0, -0.0]], ids=repr
)
def test_no_exposure_is_no_level(root: pathlib.Path, gex: Any) -> None:
    levels = chain(root, gex=gex)
    assert (levels.magnet, levels.call_wall, levels.put_wall, levels.gamma_flip) == (None, None, None, None)
    assert levels.pin_score is None


def test_a_wall_has_its_sign(root: pathlib.Path) -> None:
    above = chain(root / "a", gex=[1.0, 2.0, 3.0, 2.0, 1.0])
    assert (above.call_wall, above.put_wall) == (600.0, None)
    below = chain(root / "b", gex=[-1.0, -2.0, 0.0, -2.0, -1.0])
    assert (below.call_wall, below.put_wall) == (None, 599.0)


# --- gamma flip


@pytest.mark.parametrize(
    ("gex", "spot", "flip"),
    [
        ([-4.0, 1.0, 5.0, 1.0, 1.0], 600.0, 599.6),  # -4 -3 +2: 599 + 3/5
        ([-1.0, 1.0, 1.0, 0.0, 0.0], 600.0, 599.0),  # -1 0 +1: half way from 598 to 600
        ([-1.0, 0.0, 3.0, 0.0, 0.0], 600.0, 599.0 + 1 / 3),  # -1 -1 +2
        ([1.0, -2.0, 2.0, -2.0, 2.0], 600.9, 600.5),  # flips at 598.5 599.5 600.5 601.5: 600.5 is nearest
        ([1.0, -2.0, 2.0, -2.0, 2.0], 600.0, 599.5),  # of two as near the lower
        ([1.0, -2.0, 2.0, -2.0, 2.0], None, 598.5),  # without a spot the lowest
        ([1.0, NAN, -3.0, NAN, NAN], 600.0, 598.0 + 2 / 3),  # +1 at 598, -2 at 600; 599 is left out
        ([1.0, 2.0, 3.0, 4.0, 5.0], 600.0, None),
        ([-1.0, -2.0, -3.0, -4.0, -5.0], 600.0, None),
        ([-1.0, 1.0, 0.0, 0.0, 0.0], 600.0, None),  # reaches zero and stays
        ([1.0, -1.0, 1.0, -1.0, 1.0], 600.0, None),  # touches zero, never changes sign
        ([0.0, 0.0, 5.0, 0.0, 0.0], 600.0, None),
    ],
)
def test_gamma_flip_is_interpolated_on_the_cumulated_sum(
    root: pathlib.Path, gex: list[float], spot: float | None, flip: float | None
) -> None:
    found = chain(root, gex=gex, spot=spot).gamma_flip
    assert found == (None if flip is None else pytest.approx(flip, rel=1e-14))


# --- max pain


def test_max_pain_by_hand(root: pathlib.Path) -> None:
    # calls 10 at 598 and 20 at 600, puts 30 at 601: at 600 the calls are worth 20, the puts 30;
    # at 601 the calls 30 + 20 and the puts 0: 50 each; at 599: 10 + 60; at 598: 90; at 602: 40 + 40
    pain = {598.0: 90, 599.0: 70, 600.0: 50, 601.0: 50, 602.0: 80}
    levels = chain(root / "a", call_oi=[10.0, 0.0, 20.0, 0.0, 0.0], put_oi=[0.0, 0.0, 0.0, 30.0, 0.0], spot=600.4)
    assert min(pain.values()) == pain[600.0] == pain[601.0]
    assert levels.max_pain == 600.0
    levels = chain(root / "b", call_oi=[10.0, 0.0, 20.0, 0.0, 0.0], put_oi=[0.0, 0.0, 0.0, 30.0, 0.0], spot=600.6)
    assert levels.max_pain == 601.0
    levels = chain(root / "c", call_oi=[10.0, 0.0, 20.0, 0.0, 0.0], put_oi=[0.0, 0.0, 0.0, 30.0, 0.0], spot=None)
    assert levels.max_pain == 600.0


def test_max_pain_counts_an_unknown_side_for_nothing(root: pathlib.Path) -> None:
    calls, puts = [NAN, 5.0, NAN, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0, None]
    assert chain(root / "a", call_oi=calls, put_oi=puts).max_pain == 600.0  # 10 at every strike of 599..601
    assert chain(root / "b", call_oi=[1.0, 0.0, 0.0, 0.0, 0.0], put_oi=None).max_pain == 598.0
    assert chain(root / "c", call_oi=None, put_oi=[1.0, 0.0, 0.0, 0.0, 0.0]).max_pain == 600.0, (
        "nothing is worth a cent"
    )
    for i, (call, put) in enumerate([(None, None), ([NAN] * 5, [NAN] * 5), ([0.0] * 5, [0.0] * 5), ([0.0] * 5, None)]):
        assert chain(root / f"d{i}", call_oi=call, put_oi=put).max_pain is None
    assert chain(root / "e", oi=[1.0] * 5).max_pain is None, "the total does not say which side"


# --- vol, expected move, pin score, totals


def test_expected_move_by_hand(root: pathlib.Path) -> None:
    # 12:45 to 16:00 is 195 minutes of a year of 525600
    levels = chain(root, spot=600.4, call_iv=[0.5, 0.4, 0.2, 0.3, 0.3], put_iv=[0.5, 0.4, 0.3, 0.3, 0.3])
    assert levels.atm_iv == pytest.approx(0.25, rel=1e-15)
    assert levels.expected_move == pytest.approx(600.4 * 0.25 * math.sqrt(195 / 525_600), rel=1e-14)


@pytest.mark.parametrize(
    ("calls", "puts", "spot", "vol"),
    [
        ([0.5, 0.4, NAN, 0.3, 0.3], [0.5, 0.4, 0.2, 0.3, 0.3], 600.0, 0.2),
        ([0.5, 0.4, 0.1, 0.3, 0.3], [0.5, 0.4, 0.0, 0.3, 0.3], 600.0, 0.1),
        ([0.5, 0.4, NAN, 0.3, 0.3], [0.5, 0.2, 0.0, 0.3, 0.3], 600.0, 0.3),
        ([0.5, 0.4, NAN, 0.3, 0.3], [0.5, 0.2, None, 0.5, 0.3], 600.1, 0.4),
        ([0.5, 0.4, 0.1, 0.3, 0.3], None, 600.0, 0.1),
        ([0.5, 0.4, 0.1, 0.3, 0.3], None, None, None),
        ([0.0] * 5, [NAN] * 5, 600.0, None),
        (None, None, 600.0, None),
    ],
)
def test_vol_at_the_money_is_that_of_the_nearest_strike_that_has_one(
    root: pathlib.Path, calls: Any, puts: Any, spot: float | None, vol: float | None
) -> None:
    levels = chain(root, spot=spot, call_iv=calls, put_iv=puts)
    assert levels.atm_iv == (None if vol is None else pytest.approx(vol, rel=1e-15))
    assert (levels.expected_move is None) == (vol is None)


@pytest.mark.parametrize(
    ("wall", "minutes", "elapsed"),
    [
        ("09:00", 420.0, 0.0),
        ("09:30", 390.0, 0.0),
        ("15:59:30", 1.0, 389.5 / 390),
        ("16:00", 1.0, 1.0),
        ("16:10", 1.0, 1.0),
    ],
)
def test_time_left_is_never_under_a_minute_and_elapsed_stays_within_the_session(
    root: pathlib.Path, wall: str, minutes: float, elapsed: float
) -> None:
    lists: dict[str, Any] = {"gex": [0.0, 0.0, 1.0, 0.0, 0.0], "oi": [0.0, 0.0, 1.0, 0.0, 0.0], "call_iv": [0.2] * 5}
    levels = levels_of(root, row(at(wall), STRIKES, spot=600.0, **lists), as_of="2026-07-24T16:30")
    assert levels.expected_move == pytest.approx(600 * 0.2 * math.sqrt(minutes / 525_600), rel=1e-14)
    assert levels.pin_score == pytest.approx(30 + 25 + 25 * elapsed + 20, rel=1e-14)


def test_half_days_end_at_one(root: pathlib.Path) -> None:
    rows = [row(at("12:15", lakes.HALF_DAY), STRIKES, spot=600.0, gex=[1.0] * 5, call_iv=[0.2] * 5, oi=[1.0] * 5)]
    lakes.write_foreign(root, "SPY", "rows.parquet", rows, date=lakes.HALF_DAY)
    levels = replay.open_lake(root).levels("SPY", lakes.HALF_DAY)
    assert levels.expected_move == pytest.approx(120 * math.sqrt(45 / 525_600), rel=1e-14)
    assert levels.pin_score == pytest.approx(30 * 3 / 5 + 25 + 25 * 165 / 210 + 20 / 5, rel=1e-14)


def test_pin_score_by_hand(root: pathlib.Path) -> None:
    levels = chain(
        root,
        spot=600.5,
        gex=[10.0, -20.0, 40.0, -5.0, 25.0],
        call_oi=[1.0, 2.0, 3.0, 4.0, NAN],
        put_oi=[9.0, 8.0, 17.0, 16.0, 40.0],
        oi=[NAN, NAN, NAN, NAN, 40.0],
        call_iv=[0.2] * 5,
        put_iv=[0.2] * 5,
    )
    move = 600.5 * 0.2 * math.sqrt(195 / 525_600)
    concentration = (20 + 20 + 40) / 100
    proximity = math.exp(-(((600.0 - 600.5) / move) ** 2) / 2)
    wanted = 30 * concentration + 25 * proximity + 25 * 0.5 + 20 * 40 / 100
    assert levels.pin_score == pytest.approx(wanted, rel=1e-13)
    assert levels.magnet == 600.0


@pytest.mark.parametrize("missing", ["gex", "oi", "call_iv", "spot"])
def test_no_pin_score_unless_every_part_is_known(root: pathlib.Path, missing: str) -> None:
    lists: dict[str, Any] = {"gex": [1.0] * 5, "oi": [1.0] * 5, "call_iv": [0.2] * 5, "spot": 600.0}
    assert chain(root / "all", **lists).pin_score is not None
    assert chain(root / "some", **(lists | {missing: None})).pin_score is None


def test_totals_are_sums_over_the_strikes_that_are_known(root: pathlib.Path) -> None:
    levels = chain(root, gex=[1.0, NAN, 2.0, None, 4.0], dex=[NAN] * 5, vex=[-1.5] * 5, chex=None)
    assert (levels.net_gex, levels.net_dex, levels.net_vex, levels.net_chex) == (7.0, None, -7.5, None)
    zeros = chain(root / "zeros", gex=[-0.0] * 5)
    assert math.copysign(1.0, zeros.net_gex or 0.0) == 1.0
    assert zeros.net_gex == 0.0


# --- which row


def test_levels_are_of_the_newest_visible_row(root: pathlib.Path) -> None:
    lakes.write_foreign(
        root,
        "SPY",
        "rows.parquet",
        [
            row(at("10:00"), STRIKES, spot=1.0, gex=[1.0, 0.0, 0.0, 0.0, 0.0]),
            row(at("10:01"), STRIKES, spot=2.0, gex=[0.0, 1.0, 0.0, 0.0, 0.0]),
            row(at("10:01"), STRIKES, spot=3.0, lag=60 * SECOND, gex=[0.0, 0.0, 1.0, 0.0, 0.0]),
        ],
    )
    lake = replay.open_lake(root)
    assert lake.levels("SPY", "2026-07-24T10:01:00.799999").magnet == 598.0
    assert lake.levels("SPY", "2026-07-24T10:01:00.8").magnet == 599.0
    assert lake.levels("SPY", "2026-07-24T10:02").magnet == 600.0
    newest = lake.levels("spy ", "2026-07-24T10:01:30", known_at="latest")
    assert (newest.symbol, newest.magnet, newest.spot) == ("SPY", 600.0, 3.0)
    assert newest.ts == lakes.moment(at("10:01"))
    assert newest.recorded_at == lakes.moment(at("10:02"))
    assert newest.to_dict()["ts"] == "2026-07-24T14:01:00Z"
    assert newest.to_dict()["recorded_at"] == "2026-07-24T14:02:00Z"


def test_a_v1_row_has_a_spot_and_no_level(root: pathlib.Path) -> None:
    older = row(at("10:00"), STRIKES, gex=[1.0] * 5, oi=[1.0] * 5, call_iv=[0.2] * 5)
    levels = levels_of(root, older, row(at("10:01"), None, spot=601.0))
    assert known_names(levels) == {"symbol", "ts", "recorded_at", "spot"}
    assert levels.spot == 601.0


def test_an_empty_list_of_strikes_has_no_level(root: pathlib.Path) -> None:
    levels = levels_of(root, row(at("10:00"), [], gex=[], call_oi=[], put_oi=[], call_iv=[], oi=[]))
    assert known_names(levels) == {"symbol", "ts", "recorded_at", "spot"}


def test_no_data_is_no_level(root: pathlib.Path) -> None:
    lakes.write_foreign(root, "SPY", "rows.parquet", [row(at("10:00"), STRIKES, gex=[1.0] * 5)])
    lake = replay.open_lake(root)
    for symbol, as_of in (
        ("SPY", "2026-07-24T10:00"),
        ("SPY", "2026-07-25"),
        ("NONE", "2026-07-24"),
        ("../x", "2026-07-24"),
    ):
        assert lake.levels(symbol, as_of) == Levels(symbol.upper())


def test_a_date_without_a_session_has_levels_but_no_time(root: pathlib.Path) -> None:
    saturday = dt.date(2026, 7, 25)
    rows = [row(at("10:00", saturday), STRIKES, gex=[1.0] * 5, oi=[1.0] * 5, call_iv=[0.2] * 5)]
    lakes.write_foreign(root, "SPY", "rows.parquet", rows, date=saturday)
    levels = replay.open_lake(root).levels("SPY", saturday)
    assert (levels.magnet, levels.atm_iv, levels.expected_move, levels.pin_score) == (600.0, 0.2, None, None)


def test_levels_of_a_heatmap_are_those_at_its_clocks(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    for symbol in ("CORRECT", "TIERS", "THIN"):
        case = nasty.cases[symbol]
        as_of = lakes.moment(case.moments[len(case.moments) // 3])
        for tier in (None, "1m"):
            shown = nasty_lake.heatmap(symbol, as_of, known_at="latest", tier=tier)
            wanted = nasty_lake.levels(symbol, as_of, known_at="latest", tier=tier)
            assert nasty_lake.levels_of(shown) == wanted


@pytest.mark.parametrize("strike", [NAN, None, math.inf])
def test_a_strike_that_is_no_number_is_left_out(root: pathlib.Path, strike: Any) -> None:
    known: dict[str, Any] = {
        "gex": [2.0, -9.0, 4.0],
        "call_oi": [1.0, 2.0, 3.0],
        "put_oi": [3.0, 2.0, 1.0],
        "call_iv": [0.2, 0.2, 0.2],
    }
    strikes = [599.0, 600.0, 601.0]
    clean = chain(root / "clean", strikes, **known)
    with_hole: dict[str, Any] = {name: [7.0, *values] for name, values in known.items()}
    assert chain(root / "hole", [strike, *strikes], **with_hole) == clean
    at_the_end: dict[str, Any] = {name: [*values, 7.0] for name, values in known.items()}
    assert chain(root / "end", [*strikes, strike], **at_the_end) == clean


def test_infinite_values_make_no_level_that_is_no_number(root: pathlib.Path) -> None:
    wild = [math.inf, 1.0, -math.inf, 2.0, NAN]
    levels = chain(root, gex=wild, dex=wild, vex=wild, chex=wild, call_oi=wild, put_oi=wild, call_iv=wild)
    numbers = [value for value in levels.to_dict().values() if isinstance(value, float)]
    assert all(math.isfinite(value) for value in numbers)
    assert levels.net_gex == 3.0


# --- the second method


@pytest.mark.parametrize("symbol", sorted(lakes.CASES))
def test_levels_equal_the_second_method(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    case = nasty.cases[symbol]
    rng = lakes.dice(f"levels {symbol}")
    seen = 0
    for _ in range(40):
        as_of = rng.choice([us for us in case.moments if second_method.new_york_date(us) == case.date])
        known = rng.choice([as_of, as_of + MINUTE, LATEST])
        wanted = second_method.levels(nasty_second, symbol, as_of, known)
        if symbol == "DRIFT" and _unsorted(nasty_second, case, as_of, known):
            continue  # the sum over strikes runs as they are stored, and they must ascend
        found = nasty_lake.levels(
            symbol, lakes.moment(as_of), "latest" if known == LATEST else lakes.moment(known)
        ).to_dict()
        assert list(found) == list(found | wanted), "no name that the engine lacks"
        for name, value in wanted.items():
            close = value if name in EXACT or value is None else pytest.approx(value, rel=1e-11, abs=1e-12)
            assert found[name] == close, (name, as_of, known)
        seen += sum(value is not None for value in wanted.values())
    assert seen > 40


def _unsorted(second: SecondLake, case: lakes.Case, as_of: int, known: int) -> bool:
    rows, _ = second.visible(case.symbol, case.date, as_of, known)
    strikes = [k for k in (rows[-1].strike or []) if k is not None] if rows else []
    return strikes != sorted(strikes)
