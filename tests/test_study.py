"""Studies of pins: predictions as they stood, numbers by a slow second method, chance at its stated rate, the command."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import pathlib
import random
import re
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

import replay
from replay import schema
from replay.cli import main
from replay.cli.study import study
from replay.errors import InvalidGapPolicy, InvalidStudy, InvalidTime
from replay.ingest.mapping import preset
from replay.ingest.run import ingest_chain
from replay.ragged import Floats
from replay.sessions import find_session
from replay.study import AT, PERMUTATIONS, PREDICTORS, USUAL
from replay.study.calibration import calibrations
from replay.study.draws import Draws
from replay.study.hits import comparisons, distances
from replay.study.instants import parse_instants
from replay.study.observations import Observations
from replay.study.permutation import holm, p_of_signs, wilson
from replay.study.pins import step_at
from replay.study.pull import REACH, drifts, pulls
from tests.lakes import DAY, HALF_DAY, MINUTE, Row, at, dice, row, write_foreign

REAL = pathlib.Path(__file__).parents[2] / "shared" / "data" / "spy-0dte-cboe"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the recorded SPY chains are not on this machine")


def seen_of(
    *,
    close: Sequence[float],
    spot: Sequence[Sequence[float]],
    pin: Sequence[Sequence[float]] | Floats,
    moves: Sequence[Sequence[float]] | None = None,
    score: Sequence[Sequence[float]] | None = None,
    step: float = 1.0,
    predictor: str = "magnet",
) -> Observations:
    """Observations of one predictor: (S,) closes, (S, I) of all else."""
    spots, pins = np.array(spot, float), np.array(pin, float)
    count, instants = spots.shape
    return Observations(
        symbol="SPY",
        dates=tuple(dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(count)),
        at=("11:00", "14:00", "15:00")[:instants],
        predictors=(predictor,),
        close=np.array(close, float),
        spot=spots,
        expected_move=np.ones(spots.shape) if moves is None else np.array(moves, float),
        nearest=np.round(spots),
        pin_score=np.full(spots.shape, 50.0) if score is None else np.array(score, float),
        pin=pins[..., None],
        step=np.full((*spots.shape, 1), step),
        ts=np.zeros(spots.shape, np.int64),
        sources=("file",) * count,
    )


def simulated(sessions: int, seed: int, *, pull: float, drift: float = 0.0, instants: int = 3) -> Observations:
    """Sessions of a walk from 100 whose last hours are drawn to a pin near the first spot by ``pull`` an hour.

    The pins follow spot from instant to instant, as magnets do. Of each hour's distance a share 1 - exp(-pull) is gone.
    """
    rng = random.Random(seed)  # noqa: S311  # data, not secrets
    close, spots, pins = [], [], []
    for _ in range(sessions):
        spot = 100 + rng.gauss(0, 1)
        row_spot, row_pin = [], []
        pin = spot + rng.gauss(0, 1)
        for _ in range(instants):
            if not pull:
                pin = round(spot + rng.gauss(0, 1) + 0.3 * (pin - spot))
            row_spot.append(spot)
            row_pin.append(pin)
            spot = pin + (spot - pin) * math.exp(-pull) + rng.gauss(drift, 1)
        close.append(spot)
        spots.append(row_spot)
        pins.append(row_pin)
    left = [math.sqrt(instants - i) for i in range(instants)]
    return seen_of(close=close, spot=spots, pin=pins, moves=[left] * sessions)


def slow_pull(seen: Observations, which: Sequence[int], reach: float = 3.0) -> tuple[list[float], list[float]]:
    """Each session's sum of move x moneyness, and of moneyness squared, in plain Python."""
    above, below = [], []
    for s in range(len(seen.dates)):
        total = square = 0.0
        for i in which:
            away = (seen.pin[s, i, 0] - seen.spot[s, i]) / seen.expected_move[s, i]
            move = (seen.close[s] - seen.spot[s, i]) / seen.expected_move[s, i]
            if not math.isnan(away) and not math.isnan(move) and abs(away) <= reach:
                total, square = total + away * move, square + away * away
        above.append(total)
        below.append(square)
    return above, below


def near(p: float, exact: float, count: int) -> bool:
    """Whether a drawn p-value is as near the exact one as so many draws bring it, 4.5 standard errors."""
    return abs(p - exact) <= 4.5 * math.sqrt(exact * (1 - exact) / count) + 1 / count


# chance


def test_signs_against_every_pattern_of_them() -> None:
    for seed in range(5):
        seen = simulated(7, seed, pull=0.4)
        above, below = slow_pull(seen, [0, 1, 2])
        found = {each.at: each for each in pulls(seen, reach=3.0, permutations=20_000, seed=seed)}["all"]
        assert found.pull == pytest.approx(sum(above) / sum(below), abs=1e-5)
        patterns = itertools.product((1, -1), repeat=len(above))
        totals = [sum(sign * each for sign, each in zip(signs, above, strict=True)) for signs in patterns]
        exact = sum(total >= sum(above) - 1e-6 for total in totals) / len(totals)
        assert near(found.p_side, exact, 20_000)


def test_orders_against_every_order() -> None:
    seen = simulated(6, 11, pull=0.5)
    found = {each.at: each for each in pulls(seen, reach=3.0, permutations=20_000, seed=1)}
    away = (seen.pin[:, :, 0] - seen.spot) / seen.expected_move
    move = (seen.close[:, None] - seen.spot) / seen.expected_move
    away = np.where(np.abs(away) <= 3.0, away, 0.0)
    for name, which in {"11:00": [0], "15:00": [2], "all": [0, 1, 2]}.items():
        totals = [
            sum(move[s, i] * away[other, i] for s, other in enumerate(order) for i in which)
            for order in itertools.permutations(range(6))
        ]
        exact = sum(total >= totals[0] - 1e-6 for total in totals) / len(totals)
        assert near(found[name].p_other, exact, 20_000), name


def test_p_values_of_one_session_and_of_none_better_are_told_honestly() -> None:
    assert p_of_signs(np.zeros((4, 1)), 99, Draws(0))[0] == 1.0, "no difference is no evidence"
    least = p_of_signs(np.ones((64, 1)), 99, Draws(0))[0]
    assert least == 1 / 100, "never 0"
    one = seen_of(close=[101.0], spot=[[100.0]], pin=[[101.0]])
    (found,) = pulls(one, reach=3.0, permutations=99, seed=0)
    assert found.pull == 1.0
    assert all(math.isnan(each) for each in (found.p_side, found.p_other, found.low, found.high))


def test_draws_are_the_same_for_ever() -> None:
    (signs,) = Draws(7, 1).signs(2, 8)
    (orders,) = Draws(7, 1).orders(1, 6)
    (resamples,) = Draws(7, 1).resamples(1, 6)
    bits = np.random.PCG64(np.random.SeedSequence([7, 1])).random_raw(16)
    assert signs.ravel().tolist() == [1.0 if each >= 2**63 else -1.0 for each in bits.tolist()]
    assert orders[0].tolist() == sorted(range(6), key=lambda i: bits[i])
    assert resamples[0].tolist() == [[int(each / 2**64 * 6) for each in bits[:6].tolist()].count(i) for i in range(6)]
    assert sum(len(block) for block in Draws(0).signs(5000, 1000)) == 5000, "blocks make up the count"
    many = np.concatenate(list(Draws(3).resamples(20_000, 5)))
    assert (many.sum(axis=1) == 5).all()
    assert many.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, math.nan, 0.4]) == pytest.approx([0.8, math.nan, 0.8], nan_ok=True)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_newcombe_printed_it(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)


# the property: a known pull is recovered, none is found where there is none


@pytest.mark.parametrize("strength", [0.1, 0.4, 1.0])
def test_a_known_pull_is_recovered(strength: float) -> None:
    found = {each.at: each for each in pulls(simulated(400, 5, pull=strength), reach=3.0, permutations=999, seed=0)}
    for hours, name in ((3, "11:00"), (2, "14:00"), (1, "15:00")):
        true = 1 - math.exp(-strength * hours)
        each = found[name]
        assert each.low <= true <= each.high, name
        assert abs(each.pull - true) < 0.2
        assert each.p_side <= 0.05
        assert each.p_other <= 0.05


def test_intervals_hold_the_true_pull_about_as_often_as_they_say() -> None:
    true, held = 1 - math.exp(-0.4), 0
    for seed in range(120):
        (each,) = pulls(simulated(40, 1000 + seed, pull=0.4, instants=1), reach=9.0, permutations=19, seed=seed)
        held += each.low <= true <= each.high
    assert 0.86 <= held / 120 <= 1.0


def test_without_a_pull_each_test_rejects_at_its_stated_rate() -> None:
    """Of 600 studies of 25 sessions each, 5 % give p <= 0.05: 30, give or take three standard deviations."""
    counts = {"11:00": [0, 0], "15:00": [0, 0], "all": [0, 0]}
    families = 0
    for seed in range(600):
        found = pulls(simulated(25, seed, pull=0.0), reach=3.0, permutations=199, seed=seed)
        families += any(each.holm_side <= 0.05 and each.holm_other <= 0.05 for each in found)
        for each in found:
            if each.at in counts:
                counts[each.at][0] += each.p_side <= 0.05
                counts[each.at][1] += each.p_other <= 0.05
    spread = 3 * math.sqrt(600 * 0.05 * 0.95)
    for name, pair in counts.items():
        for count in pair:
            assert 30 - spread <= count <= 30 + spread, (name, counts)
    assert families <= 30 + spread, "and a study of four tests calls a pull found no oftener than that"


def test_a_drift_is_no_pull_for_the_other_sessions() -> None:
    """Pins always above spot, in sessions that rise: the coins take it for a pull, the other sessions' pins do not."""
    rng, rejected, fooled = dice("drift"), 0, 0
    for seed in range(200):
        spot = [[100 + rng.gauss(0, 1)] for _ in range(30)]
        close = [row_spot[0] + 0.8 + rng.gauss(0, 1) for row_spot in spot]
        pin = [[row_spot[0] + abs(rng.gauss(1, 0.4))] for row_spot in spot]
        (each,) = pulls(seen_of(close=close, spot=spot, pin=pin), reach=3.0, permutations=99, seed=seed)
        rejected += each.p_other <= 0.05
        fooled += each.p_side <= 0.05
        assert each.above == 1.0
    assert fooled > 150
    assert rejected <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_hits_against_the_random_side_reject_at_their_stated_rate() -> None:
    """Shares are lumpy, so p-values are on the careful side; distances are not lumpy."""
    counts = {"within_strike": 0, "distance": 0}
    for seed in range(120):
        for each in comparisons(simulated(25, 5000 + seed, pull=0.0, instants=1), permutations=199, seed=seed):
            if each.baseline == "random" and each.measure in counts:
                counts[each.measure] += each.p <= 0.05
    spread = 3 * math.sqrt(120 * 0.05 * 0.95)
    assert counts["within_strike"] <= 6 + spread
    assert 1 <= counts["distance"] <= 6 + spread


# hits, distances, calibration by hand


def test_hits_and_distances_by_hand() -> None:
    seen = seen_of(
        close=[100.0, 200.0, 100.0],
        spot=[[99.0], [201.0], [100.4]],
        pin=[[100.1], [203.0], [101.0]],
        moves=[[2.0], [4.0], [1.0]],
    )
    # from the pin 0.1, 3, 1 USD; from its mirror image (97.9, 199, 99.8) 2.1, 1, 0.2; nearest 1, 1, 0; spot 1, 1, 0.4
    found = {(each.measure, each.baseline): each for each in comparisons(seen, permutations=999, seed=0)}
    expected = {
        "within_01pct": (1 / 3, 0.5 * (1 / 3 + 0 / 3), 1 / 3, 0.0),  # limits 0.1, 0.2, 0.1
        "within_strike": (2 / 3, 0.5 * (2 / 3 + 2 / 3), 1.0, 1.0),  # limit 1
        "within_half_move": (1 / 3, 0.5 * (1 / 3 + 2 / 3), 1.0, 1.0),  # limits 1, 2, 0.5
        "distance": (
            (0.05 + 0.75 + 1) / 3, 0.5 * ((0.05 + 0.75 + 1) + (1.05 + 0.25 + 0.2)) / 3, (0.5 + 0.25 + 0) / 3,
            (0.5 + 0.25 + 0.4) / 3,
        ),
    }  # fmt: skip
    for measure, (pin, *bases) in expected.items():
        for name, base in zip(("random", "nearest", "spot"), bases, strict=True):
            each = found[measure, name]
            assert (each.pin, each.base) == pytest.approx((pin, base), abs=1e-5), (measure, name)
            assert each.difference == pytest.approx(pin - base, abs=1e-5)
            assert (each.cells, each.sessions) == (3, 3)
    (each_distance,) = distances(seen)
    assert each_distance.mean_usd == pytest.approx(4.1 / 3)
    assert each_distance.median_usd == pytest.approx(1.0)
    assert each_distance.median_moves == pytest.approx(0.75, abs=1e-5)
    # the pin is nearer than a random price by 0.5, -0.25 and -0.4 moves: sums of +-: 4 of 8 patterns reach -0.15
    assert near(found["distance", "random"].p, 5 / 8, 999)


def test_the_limits_are_inclusive() -> None:
    seen = seen_of(close=[739.26, 739.0], spot=[[740.0], [741.0]], pin=[[740.0], [740.0]], moves=[[1.48], [2.0]])
    found = {each.measure: each for each in comparisons(seen, permutations=19, seed=0) if each.baseline == "spot"}
    assert found["within_half_move"].pin == 1.0, "0.74 of 0.74, and 1 of 1"
    assert found["within_strike"].pin == 1.0


def test_what_is_not_known_counts_for_nothing() -> None:
    nan = math.nan
    seen = seen_of(
        close=[101.0, 99.0, 100.0],
        spot=[[100.0, nan], [100.0, 99.5], [100.0, 100.0]],
        pin=[[101.0, 101.0], [nan, 99.0], [110.0, 99.0]],
    )
    found = {each.at: each for each in pulls(seen, reach=3.0, permutations=19, seed=0)}
    assert {name: (each.cells, each.sessions, each.beyond) for name, each in found.items()} == {
        "11:00": (1, 1, 1), "14:00": (2, 2, 0), "all": (3, 3, 1)
    }  # fmt: skip
    assert found["all"].pull == pytest.approx((1 * 1 + -0.5 * -0.5 + -1 * 0) / (1 + 0.25 + 1))
    assert found["all"].above == pytest.approx(1 / 3)
    hits = {(e.at, e.measure): e for e in comparisons(seen, permutations=19, seed=0) if e.baseline == "spot"}
    assert hits["all", "within_strike"].cells == 4, "a far pin is a prediction too"
    assert [(each.at, each.sessions) for each in drifts(seen, seed=0)] == [("11:00", 3), ("14:00", 2)]
    alone = replace(seen, step=np.full(seen.step.shape, nan))
    assert {e.cells for e in comparisons(alone, permutations=19, seed=0) if e.measure == "within_strike"} == {0}


def test_calibration_by_hand() -> None:
    seen = seen_of(
        close=[100.0, 100.0, 100.0, 100.0],
        spot=[[100.0]] * 4,
        pin=[[100.0], [103.0], [100.5], [100.0]],
        score=[[80.0], [20.0], [30.0], [math.nan]],
    )
    found = {each.measure: each for each in calibrations(seen, seed=0)}["within_strike"]  # hit, missed, hit
    assert found.cells == 3
    assert found.share == pytest.approx(2 / 3)
    assert found.brier == pytest.approx((0.2**2 + 0.2**2 + 0.7**2) / 3, abs=1e-5)
    assert found.brier_base == pytest.approx(2 / 9)
    assert found.skill == pytest.approx(1 - (0.57 / 3) / (2 / 9), abs=1e-4)
    assert [(each.cells, each.hits) for each in found.bins] == [(0, 0), (2, 1), (0, 0), (0, 0), (1, 1)]
    assert found.bins[1].score == 25.0
    assert (found.bins[1].share_low, found.bins[1].share_high) == wilson(1, 2)
    assert calibrations(replace(seen, predictors=("max_pain",)), seed=0) == ()


def test_a_score_that_tells_has_skill() -> None:
    rng = dice("skill")
    score = [[rng.uniform(0, 100)] for _ in range(300)]
    pin = [[100.0 if rng.random() * 100 < each[0] else 110.0] for each in score]
    seen = seen_of(close=[100.0] * 300, spot=[[100.0]] * 300, pin=pin, score=score)
    for each in calibrations(seen, seed=0):
        assert 0 < each.low < each.skill < each.high
        for one in each.bins:
            assert one.share_low <= one.score / 100 <= one.share_high or abs(one.share - one.score / 100) < 0.15


# instants and pins


def test_instants_are_new_york_times_or_before_the_close() -> None:
    found = parse_instants("11:00, 15:30,close-30m,11:00")
    assert list(map(str, found)) == ["11:00", "15:30", "close-30m"]
    whole, half = find_session(DAY), find_session(HALF_DAY)
    assert whole is not None
    assert half is not None
    assert [each.of(whole) and f"{each.of(whole):%H:%M}" for each in found] == ["11:00", "15:30", "15:30"]
    assert [each.of(half) and f"{each.of(half):%H:%M}" for each in found] == ["11:00", None, "12:30"]
    for text in ("16:00", "9:29", "25:00", "", "noon", "close", "close-0s", "close-391m", "close-x"):
        with pytest.raises(InvalidTime, match="at"):
            parse_instants(text)


def test_the_spacing_is_that_to_the_nearest_strike() -> None:
    strikes = np.array([700.0, 705.0, 710.0, 711.0])
    assert [step_at(strikes, each) for each in strikes.tolist()] == [5.0, 5.0, 1.0, 1.0]
    assert math.isnan(step_at(np.array([700.0]), 700.0))


STRIKES = [596.0, 597.0, 598.0, 599.0, 600.0, 601.0, 602.0, 603.0, 604.0]


def chain(ts: int, spot: float, pin: float = 600.0, *, lag: int = 0, **lists: Any) -> Row:
    """A snapshot whose magnet and call wall is the pin, whose put wall is 597, and whose largest open interest is 601."""
    gex = [9.0 if each == pin else -5.0 if each == 597.0 else 1.0 for each in STRIKES]
    interest = [50.0 if each == 601.0 else 10.0 for each in STRIKES]
    columns = {"gex": gex, "call_oi": interest, "put_oi": interest, "call_iv": [0.2] * 9, "put_iv": [0.2] * 9} | lists
    return row(ts, STRIKES, lag=lag, spot=spot, **columns)


def session_rows(date: dt.date, path: Sequence[float], pin: float = 600.0, *, lag: int = 0) -> list[Row]:
    """A snapshot every half hour from the open."""
    start = at("09:30", date)
    return [chain(start + i * 30 * MINUTE, spot, pin, lag=lag) for i, spot in enumerate(path)]


def write(root: pathlib.Path, rows: list[Row], date: dt.date = DAY) -> None:
    named = schema.metadata(source="test", conventions="replay-1", cadence_us=30 * MINUTE)
    metadata = {key.decode(): value.decode() for key, value in named.items()}
    name = f"{len(list(root.glob(f'*/*/date={date}/*')))}.parquet"
    write_foreign(root, "SPY", name, rows, date=date, metadata=metadata)


def test_predictions_are_those_of_the_tick(root: pathlib.Path) -> None:
    write(root, session_rows(DAY, [599.5 + 0.1 * i for i in range(14)]))
    with replay.open_lake(root) as lake:
        found = replay.study_pins(lake, "spy", at="11:00,close-30m", predictors=tuple(PREDICTORS))
        levels = lake.levels("SPY", f"{DAY}T11:00")
    frame = found.to_polars()
    eleven = {each["predictor"]: each for each in frame.filter(pl.col("at") == "11:00").iter_rows(named=True)}
    assert {name: each["pin"] for name, each in eleven.items()} == {
        "magnet": 600.0, "max_pain": levels.max_pain, "highest_oi": 601.0, "call_wall": 600.0, "put_wall": 597.0,
        "nearest_wall": 600.0,
    }  # fmt: skip
    one = eleven["highest_oi"]
    move = 599.8 * 0.2 * math.sqrt(300 / (365 * 24 * 60))
    assert one["spot"] == pytest.approx(599.8)
    assert one["expected_move"] == pytest.approx(move)
    assert (one["close"], one["settlement"]) == (pytest.approx(600.8), "spot")
    assert one["distance"] == pytest.approx(-0.2)
    assert one["moneyness"] == pytest.approx(1.2 / move, abs=1e-6)
    assert one["move"] == pytest.approx(1.0 / move, abs=1e-6)
    assert (one["nearest_strike"], one["strike_step"]) == (600.0, 1.0)
    assert (one["within_01pct"], one["within_strike"], one["within_half_move"]) == (True, True, True)
    assert one["left_out"] is None
    assert frame.filter(pl.col("at") == "close-30m")["ts"].unique().to_list() == [
        dt.datetime(2026, 7, 24, 19, 30, tzinfo=dt.UTC)
    ]


def test_nothing_later_is_seen(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Other spots, pins and corrections after 11:00: the same prediction at 11:00, whatever it comes to."""
    rows = session_rows(DAY, [599.5 + 0.1 * i for i in range(14)], lag=5 * MINUTE)
    known = at("11:00")
    others = [
        each if each["recorded_at"] <= known else chain(each["ts"], each["spot"] - 2.0, 603.0, lag=5 * MINUTE)
        for each in rows
    ]
    corrected = [chain(each["ts"], 604.0, 604.0, lag=known + 1 - each["ts"]) for each in rows if each["ts"] < known]
    write(root, rows)
    write(tmp_path / "other", others)
    write(tmp_path / "other", corrected)
    frames = []
    for path in (root, tmp_path / "other"):
        with replay.open_lake(path) as lake:
            frames.append(replay.study_pins(lake, "SPY", at="11:00").to_polars())
    hidden = ("close", "distance", "move", "distance_moves", "within_01pct", "within_strike", "within_half_move")
    first, second = (frame.drop(hidden) for frame in frames)
    assert first.equals(second)
    assert first["ts"][0] == dt.datetime(2026, 7, 24, 14, 30, tzinfo=dt.UTC), "10:30's, as 11:00's came at 11:05"
    with replay.open_lake(root) as lake:
        late = replay.study_pins(lake, "SPY", at="11:00", latency="30m").to_polars()
    assert late["ts"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)


def test_what_is_left_out_is_said(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    days = [dt.date(2026, 7, 20) + dt.timedelta(i) for i in range(4)]
    whole = [600.0 + 0.1 * i for i in range(14)]
    write(root, session_rows(days[0], whole), days[0])
    write(root, session_rows(days[1], whole[:6]), days[1])  # up to 12:00
    write(root, [row(at("10:30", days[2]), None), *session_rows(days[2], whole)[4:]], days[2])
    write(root, session_rows(HALF_DAY, whole[:8]), HALF_DAY)
    write(root, session_rows(days[0] - dt.timedelta(1), whole), days[0] - dt.timedelta(1))  # a Sunday
    holes = session_rows(days[3], whole)
    holes[3]["gex"], holes[9]["call_iv"], holes[9]["put_iv"] = None, None, None
    write(root, holes, days[3])
    with replay.open_lake(root) as lake:
        found = replay.study_pins(lake, "SPY", end=HALF_DAY, at="11:00,14:00", predictors=("magnet", "max_pain"))
        told = [(each.date, each.at, each.predictor, each.reason) for each in found.seen.left_out]
        path = tmp_path / "closes.csv"
        path.write_text(f"symbol,date,price\nSPY,{days[1]},601.5\n")
        given = replay.study_pins(lake, "SPY", end=days[1], at="11:00,14:00", predictors="magnet", settlements=path)
        with pytest.raises(InvalidStudy, match=r"no settlement .* 1 sessions .*240\.0 minutes before the close"):
            replay.study_pins(lake, "SPY", start=days[1], end=days[1])
    assert told == [
        (days[0] - dt.timedelta(1), None, None, "the exchange had no session on that date"),
        (days[1], None, None, "no settlement: the last spot is of 12:00:00, 240.0 minutes before the close"),
        (days[2], "11:00", None, "the expected move is not known"),
        (days[3], "11:00", "magnet", "it is not known"),
        (days[3], "14:00", None, "the expected move is not known"),
        (HALF_DAY, "14:00", None, "the session was open from 09:30 to 13:00"),
    ]
    span = [days[0] + dt.timedelta(i) for i in range((HALF_DAY - days[0]).days + 1)]
    assert found.missing == tuple(each for each in span if find_session(each) and each not in (*days, HALF_DAY))
    assert (len(found), len(found.seen.dates)) == (4, 4)
    frame = found.to_polars()
    assert frame["left_out"].drop_nulls().len() == 1 + 1 + 2 + 1 + 2 + 2, "every cell that is not known says why"
    assert frame.filter(pl.col("pin").is_null())["left_out"].null_count() == 0
    assert [each.reason for each in given.seen.left_out if each.at] == ["the newest snapshot, of 12:00:00, was too old"]
    assert given.to_polars().filter(pl.col("date") == days[1])["close"].to_list() == [601.5, 601.5]


def test_wrong_questions_are_refused(root: pathlib.Path) -> None:
    write(root, session_rows(DAY, [600.0] * 14))
    with replay.open_lake(root) as lake:
        for asked, error, match in (
            ({"predictors": "magnets"}, InvalidStudy, "magnet, max_pain, highest_oi"),
            ({"predictors": ()}, InvalidStudy, "no pin"),
            ({"permutations": 18}, InvalidStudy, "19 to 1,000,000"),
            ({"reach": math.nan}, InvalidStudy, "reach"),
            ({"seed": -1}, InvalidStudy, "seed"),
            ({"gaps": "strict"}, InvalidGapPolicy, "mask"),
            ({"start": "2026-08-01"}, InvalidTime, "from 2026-08-01 is after to 2026-07-24"),
            ({"end": "2026-08-01", "start": "2026-07-27"}, InvalidStudy, "holds 1, 2026-07-24 to 2026-07-24"),
        ):
            with pytest.raises(error, match=match):
                replay.study_pins(lake, "SPY", **asked)
        with pytest.raises(InvalidStudy, match="no session of QQQ; it has SPY"):
            replay.study_pins(lake, "QQQ")


# a lake with and without a pull, through the command


def make_lake(root: pathlib.Path, *, pull: float, sessions: int = 30) -> None:
    """Sessions of half-hourly snapshots whose spot is drawn to the magnet, by hours as :func:`simulated` has it."""
    rng, date = dice("pull"), dt.date(2026, 1, 2)
    hourly = 600 * 0.2 * math.sqrt(1 / (365 * 24))
    while sessions:
        if find_session(date) is not None:
            pin, spot, path = float(rng.randint(598, 602)), 600.0 + rng.gauss(0, 1.5), []
            for _ in range(14):
                path.append(round(spot, 2))
                spot = pin + (spot - pin) * math.exp(-pull / 2) + rng.gauss(0, hourly / math.sqrt(2))
            write(root, session_rows(date, path, pin), date)
            sessions -= 1
        date += dt.timedelta(1)


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("pulled")
    make_lake(root, pull=0.7)
    return str(root)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("study", "pins", *arguments), env={"REPLAY_LAKE": None, "COLUMNS": "80"})


def test_the_command_recovers_the_pull_of_a_lake(pulled: str) -> None:
    done = run("SPY", "--lake", pulled, "--pin", "magnet", "--pin", "put_wall", "--format", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert re.match(
        r"A pull was found beyond chance at 5%, adjusted for 10 tests of a pull: magnet at 11:00 0\.9", told["verdict"]
    )
    magnet = {each["at"]: each for each in told["pull"] if each["predictor"] == "magnet"}
    for name, hours in (("11:00", 5), ("14:00", 2), ("15:00", 1), ("15:30", 0.5)):
        true = 1 - math.exp(-0.7 * hours)
        assert magnet[name]["low"] <= true <= magnet[name]["high"], name
    assert magnet["11:00"]["holm_side"] <= 0.05
    assert (told["seed"], told["permutations"], told["tests"]["pull"]) == (0, 9999, 20)
    assert all(
        each["p"] > 0.05
        for each in told["comparisons"]
        if (each["predictor"], each["baseline"]) == ("put_wall", "spot")
    )


def test_the_command_finds_no_pull_where_there_is_none(tmp_path: pathlib.Path) -> None:
    make_lake(tmp_path, pull=0.0)
    told = json.loads(run("SPY", "--lake", str(tmp_path), "--pin", "magnet", "--format", "json").stdout)
    assert told["verdict"].startswith("No pull was found beyond chance at 5%, adjusted for 5 tests of a pull")


def test_the_table_fits_and_repeats_itself(pulled: str) -> None:
    asked = ("SPY", "--lake", pulled, "--permutations", "99")
    first, second = run(*asked), run(*asked)
    assert first.stdout_bytes == second.stdout_bytes
    assert max(map(len, first.stdout.splitlines())) <= 80
    assert max(map(len, run(*asked, "--all").stdout.splitlines())) <= 80
    assert "seed 0, 99 permutations" in first.stderr
    assert "30 sessions with a close (30 from the spot), 30 with a prediction" in first.stdout
    another = run(*asked, "--seed", "1")
    assert another.stdout != first.stdout
    pull = re.search(r"^magnet +11:00 +30 .*", first.stdout, re.MULTILINE)
    again = re.search(r"^magnet +11:00 +30 .*", another.stdout, re.MULTILINE)
    assert pull is not None
    assert again is not None
    assert pull[0].split()[:6] == again[0].split()[:6], "what is measured does not depend on the seed"


def test_rows_as_csv_and_parquet(pulled: str, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "rows.parquet"
    assert run("SPY", "--lake", pulled, "--out", str(out), "--at", "15:00").exit_code == 0
    frame = pl.read_parquet(out)
    assert frame.shape == (30 * 5, 21)
    text = run("SPY", "--lake", pulled, "--format", "csv", "--at", "15:00").stdout
    assert pl.read_csv(text.encode())["pin"].to_list() == frame["pin"].to_list()
    magnet = frame.filter(pl.col("predictor") == "magnet")
    moves = [(c - s) / m for c, s, m in magnet.select("close", "spot", "expected_move").iter_rows()]
    away = [(p - s) / m for p, s, m in magnet.select("pin", "spot", "expected_move").iter_rows()]
    slope = sum(z * m for z, m in zip(moves, away, strict=True) if abs(m) <= 3) / sum(
        m * m for m in away if abs(m) <= 3
    )
    told = json.loads(run("SPY", "--lake", pulled, "--format", "json", "--at", "15:00").stdout)
    assert told["pull"][0]["pull"] == pytest.approx(slope, abs=1e-5)
    assert told["distances"][0]["mean_usd"] == pytest.approx(statistics.fmean(abs(magnet["distance"])))


def test_the_page_holds_all_it_needs(pulled: str, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "pins.html"
    asked = ("SPY", "--lake", pulled, "--permutations", "999", "--at", "11:00,15:00")
    assert run(*asked, "--out", str(out)).exit_code == 0
    page = out.read_text(encoding="utf-8")
    words = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", words)
    assert "A pull was found beyond chance" in words
    for name in ("pull", "cloud4", "within_strike", "calibration"):
        assert f'id="{name}"' in words
    assert run(*asked, "--format", "html").stdout_bytes == out.read_bytes()


def test_the_help_tells_what_the_library_takes() -> None:
    command = study.commands["pins"]
    said = {each.name: each for each in command.params if isinstance(each, click.Option)}
    assert said["at"].default == ",".join(AT)
    assert (said["reach"].default, said["permutations"].default) == (REACH, PERMUTATIONS)
    assert str(said["pins_wanted"].help).startswith(f"{', '.join(PREDICTORS)};")
    assert list(PREDICTORS)[:5] == list(USUAL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pin", "gamma"), "invalid_study: pin 'gamma' is not one of magnet, max_pain"),
        (("--at", "17:00"), "invalid_time: at '17:00' is not from 09:30 to before 16:00"),
        (("--settlement", "nowhere.csv"), "invalid_input: nowhere.csv: No such file"),
        (("--latency", "soon"), "invalid_duration: latency 'soon'"),
        (("--from", "2027-01-01"), "invalid_time: from 2027-01-01 is after to"),
        (("--permutations", "3"), "invalid_study: permutations 3 is not from 19"),
    ],
)
def test_errors_are_one_line(pulled: str, arguments: tuple[str, ...], said: str) -> None:
    done = run("SPY", "--lake", pulled, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1


@needs_real
def test_on_recorded_sessions(tmp_path: pathlib.Path) -> None:
    ingest_chain(sorted(REAL.glob("SPY_*.csv.gz")), tmp_path, "SPY", preset("cboe-recorder"))
    done = run("SPY", "--lake", str(tmp_path), "--settlement", str(REAL / "settlement.csv"), "--format", "json")
    told = json.loads(done.stdout)
    assert [each["date"] for each in told["left_out"] if each["at"] is None] == ["2026-07-17", "2026-07-20"]
    assert {each["date"] for each in told["left_out"] if each["at"]} == {"2026-07-23"}
    assert (told["sessions"], told["settled_by"]) == (5, {"file": 6})
    assert told["verdict"].startswith("No pull was found")
    assert "this study can find none" in told["cautions"][0]
    assert all(each["low"] is None for each in told["pull"]), "five sessions bear no interval"
    frame = pl.read_csv(
        run(
            "SPY", "--lake", str(tmp_path), "--settlement", str(REAL / "settlement.csv"), "--format", "csv"
        ).stdout.encode()
    )
    one = frame.filter(
        (pl.col("date") == "2026-07-24") & (pl.col("at") == "15:00") & (pl.col("predictor") == "max_pain")
    )
    assert one.select("spot", "pin", "close").row(0) == (737.97, 741.0, 738.93)
    assert one["ts"].item().startswith("2026-07-24T18:43:31"), "known 16 minutes late"
    unsettled = run("SPY", "--lake", str(tmp_path), "--to", "2026-07-24")
    assert (unsettled.exit_code, unsettled.stdout) == (2, "")
    assert unsettled.stderr.startswith("error: invalid_study: no settlement is known of any of 4 sessions of SPY")
