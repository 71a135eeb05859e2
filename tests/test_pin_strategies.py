"""The strategies that trade: what they order and when, from the levels of the second method, and when they close."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import replay
from replay import Leg
from replay.account.legs import legs_text
from tests import lakes
from tests.lakes import MINUTE
from tests.test_strategies import SHIPPED, Place

SESSIONS = (
    ("SPY", dt.date(2026, 7, 24)),  # corrections
    ("SPY", dt.date(2025, 11, 28)),  # early close
    ("SPY", dt.date(2026, 4, 15)),  # a gap
    ("SPY", dt.date(2026, 3, 9)),  # legacy rows until 12:30
    ("QQQ", dt.date(2026, 6, 5)),
)
EACH = pytest.mark.parametrize(("symbol", "date"), SESSIONS, ids=lambda value: str(value))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place(SHIPPED)
    yield place
    place.lake.close()


def ordered(place: Place, name: str, symbol: str, date: dt.date, **params: Any) -> list[dict[str, Any]]:
    """What a strategy ordered: instant, legs, quantity and tag."""
    result = replay.run(name, place.lake, symbols=symbol, start=date, end=date, params=params, seed=3)
    rows = result.ledger().filter(event="order").to_dicts()
    return [{key: row[key] for key in ("at", "legs", "quantity", "tag")} for row in rows]


@functools.cache
def levels(place: Place, symbol: str, date: dt.date) -> list[tuple[int, dict[str, Any]]]:
    """The levels at each tick of a minute."""
    return place.levels(symbol, date, 1)


def from_minutes(place: Place, symbol: str, date: dt.date, minutes: float) -> list[tuple[int, dict[str, Any]]]:
    """Levels at the ticks from so many minutes before the close on, but the close itself."""
    ticks = levels(place, symbol, date)
    close = ticks[-1][0]
    return [(now, told) for now, told in ticks if 0 < close - now <= minutes * MINUTE]


def moment(us: int) -> dt.datetime:
    return lakes.moment(us)


@EACH
@pytest.mark.parametrize("center", ["magnet", "max_pain", "put_wall"])
def test_pin_fly_and_pin_butterfly_stand_at_the_level(place: Place, symbol: str, date: dt.date, center: str) -> None:
    now, told = next(each for each in from_minutes(place, symbol, date, 95) if each[1].get(center) is not None)
    at = told[center]
    fly = [Leg("P", at - 3, -1), Leg("P", at, 1), Leg("C", at, 1), Leg("C", at + 3, -1)]
    params = {"center": center, "minutes": 95, "wing": 3.0, "take": 0, "stop": 0}
    [sold] = ordered(place, "pin_fly", symbol, date, contracts=2, **params)
    assert sold == {"at": moment(now), "legs": legs_text(fly), "quantity": -2, "tag": "pin_fly"}
    right = "C" if at >= told["spot"] else "P"
    butterfly = [Leg(right, at - 3, 1), Leg(right, at, -2), Leg(right, at + 3, 1)]
    [bought] = ordered(place, "pin_butterfly", symbol, date, **params)
    assert bought == {"at": moment(now), "legs": legs_text(butterfly), "quantity": 1, "tag": "pin_butterfly"}


@EACH
def test_wall_condor_stands_outside_of_the_walls(place: Place, symbol: str, date: dt.date) -> None:
    def between(told: dict[str, Any]) -> bool:
        walls = told.get("put_wall"), told.get("call_wall")
        return None not in walls and walls[0] < told["spot"] < walls[1]

    expected = next(((now, told) for now, told in from_minutes(place, symbol, date, 180) if between(told)), None)
    found = ordered(place, "wall_condor", symbol, date, minutes=180, outside=1.0, wing=2.0, take=0, stop=0)
    assert (found == []) == (expected is None)
    if expected is not None:
        now, told = expected
        put, call = told["put_wall"] - 1, told["call_wall"] + 1
        legs = [Leg("P", put - 2, -1), Leg("P", put, 1), Leg("C", call, 1), Leg("C", call + 2, -1)]
        assert found[0] == {"at": moment(now), "legs": legs_text(legs), "quantity": -1, "tag": "wall_condor"}


@EACH
def test_flip_breakout_buys_where_spot_goes_through_the_flip(place: Place, symbol: str, date: dt.date) -> None:
    side, expected = 0, None
    ticks = levels(place, symbol, date)
    for now, told in ticks:
        if ticks[-1][0] - now < 30 * MINUTE or told.get("gamma_flip") is None:
            continue
        beyond = told["spot"] - told["gamma_flip"]
        new = 0 if abs(beyond) < 0.25 else int(math.copysign(1, beyond))
        if new and side and new != side:
            expected = (now, new, told["spot"])
            break
        side = new or side
    found = ordered(place, "flip_breakout", symbol, date, take=0, stop=0)
    assert (found == []) == (expected is None)
    if expected is not None:
        now, side, spot = expected
        strikes = place.lake.tape(symbol, date).at(moment(now)).strikes.tolist()
        long = min(strikes, key=lambda strike: (abs(strike - spot), strike))
        legs = [Leg("C" if side > 0 else "P", long, 1), Leg("C" if side > 0 else "P", long + side * 2, -1)]
        assert found[0] == {"at": moment(now), "legs": legs_text(legs), "quantity": 1, "tag": "flip_breakout"}


@EACH
def test_coin_draws_within_reach_by_the_seed(place: Place, symbol: str, date: dt.date) -> None:
    [first] = ordered(place, "coin", symbol, date, take=0, stop=0)
    now, told = next(
        each for each in from_minutes(place, symbol, date, 120) if each[1].get("expected_move") is not None
    )
    tick = place.lake.tape(symbol, date).at(moment(now))
    near = tick.strikes[np.abs(tick.strikes - told["spot"]) <= told["expected_move"]]
    drawn = float(np.random.default_rng([3, date.toordinal()]).choice(near))
    assert first["legs"] == legs_text(replay.iron_fly(drawn, 5))
    assert first["at"] == moment(now)


@pytest.mark.parametrize(("symbol", "date"), SESSIONS[:2])
@pytest.mark.parametrize(("take", "stop"), [(0.2, 0.0), (0.0, 0.05), (0.3, 0.3), (0.9, 0.9)])
def test_closes_at_the_first_tick_that_shows_the_profit_or_loss(
    place: Place, symbol: str, date: dt.date, take: float, stop: float
) -> None:
    found = ordered(place, "pin_fly", symbol, date, minutes=240, take=take, stop=stop)
    result = replay.run(
        "pin_fly", place.lake, symbols=symbol, start=date, end=date, params={"minutes": 240, "take": take, "stop": stop}
    )
    entry = result.trades().to_dicts()[0]
    credit = entry["price"]
    center = float(entry["legs"].split("+1 ")[1].split("P")[0])
    expected = None
    for tick in place.lake.tape(symbol, date).ticks():
        if tick.now < entry["opened_at"] or tick.stale or tick.now >= tick.session.close:
            continue
        quotes = {side: dict(zip(tick.strikes.tolist(), tick.values(side).tolist(), strict=True))
                  for side in ("call_bid", "call_ask", "put_bid", "put_ask")}  # fmt: skip
        closing = quotes["call_ask"][center] + quotes["put_ask"][center]
        closing -= quotes["call_bid"][center + 5] + quotes["put_bid"][center - 5]
        profit = round(credit - closing, 9)
        if take and profit >= round(take * credit, 9):
            expected = (tick.now, "take")
        elif stop and profit <= -round(stop * credit, 9):
            expected = (tick.now, "stop")
        if expected:
            break
    assert [(each["at"], each["tag"]) for each in found[1:2]] == [expected] * (expected is not None)


def test_an_entry_that_finds_no_fill_is_sent_anew(root: Any) -> None:
    from tests.markets import chain, store

    def one(wall: str, ask: float | None) -> Any:
        quotes = {float(k): (1.0, ask) for k in range(595, 606)}
        return chain(wall, quotes, quotes, gex=[100.0 if k == 600 else 1.0 for k in range(595, 606)])

    rows = [one(f"14:{minute:02}", None if minute < 5 else 1.0) for minute in range(10)]
    result = replay.run("pin_fly", store(root, rows), symbols="SPY", gaps="carry:3h", params={"take": 0, "stop": 0})
    told = result.ledger().filter(event="order")["at"].dt.strftime("%H:%M").to_list()
    assert told == ["14:00", "14:03"]
    assert result.by_session()["filled"].to_list() == [1]
