"""The strategies that ship, tick by tick against the second method, and their listing."""

from __future__ import annotations

import datetime as dt
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import replay
from replay.cli import main
from replay.errors import InvalidParameter
from replay.strategy.loading import load, shipped
from tests import lakes, second_method
from tests.lakes import MINUTE
from tests.second_method import SecondLake

SHIPPED = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
SESSIONS = (
    ("SPY", dt.date(2026, 7, 24), 1),  # corrections
    ("SPY", dt.date(2025, 11, 28), 1),  # early close
    ("SPY", dt.date(2026, 4, 15), 1),  # a gap
    ("SPY", dt.date(2026, 3, 9), 5),  # legacy rows until 12:30
    ("SPY", dt.date(2026, 3, 6), 10),  # legacy rows alone
    ("QQQ", dt.date(2026, 6, 5), 7),  # a step that does not end on the close
)
NASTY = ("DRIFT", "CORRECT", "LEGACY", "ALLLEGACY", "HOLES", "GAPS", "UNEVEN", "EDGES", "TIERS", "NOROWS")

Records = list[dict[str, Any]]


class Place:
    """A lake, and the second method's reading of it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.lake = replay.open_lake(root)
        self.second = SecondLake(root)
        self._levels: dict[tuple[Any, ...], dict[str, Any]] = {}

    def recorded(self, strategy: str, symbol: str, date: dt.date, minutes: float, **params: Any) -> Records:
        """What a run of one session recorded; clocks as microseconds."""
        step = dt.timedelta(minutes=minutes)
        result = replay.run(strategy, self.lake, symbols=symbol, start=date, end=date, step=step, params=params)
        assert result.status == "complete"
        rows = result.to_arrow().to_pylist()
        assert all(row.pop("session") == date for row in rows)
        return [{name: us(value) for name, value in row.items()} for row in rows]

    def seen(self, symbol: str, date: dt.date, minutes: float) -> list[tuple[int, second_method.Stood]]:
        """What stood at each tick."""
        instants = second_method.clock(date, round(minutes * MINUTE))
        return [(now, second_method.stood(self.second, symbol, date, now, now)) for now in instants]

    def levels(self, symbol: str, date: dt.date, minutes: float) -> list[tuple[int, dict[str, Any]]]:
        """The levels at each tick, all null where the data is stale."""
        found = []
        for now, stood in self.seen(symbol, date, minutes):
            row = None if stood.stale() else stood.newest
            told: dict[str, Any] = {}
            if row is not None:  # which is slow, and the same for as long as the row stands
                key = (symbol, stood.tier, row.place, row.ts)
                if key not in self._levels:
                    self._levels[key] = second_method.levels(self.second, symbol, now, now, stood.tier)
                told = self._levels[key]
            found.append((now, told))
        return found


def us(value: Any) -> Any:
    return round(value.timestamp() * 1e6) if isinstance(value, dt.datetime) else value


@pytest.fixture(scope="module")
def fixtures() -> Iterator[Place]:
    place = Place(SHIPPED)
    yield place
    place.lake.close()


@pytest.fixture(scope="module")
def hard(nasty: lakes.Nasty) -> Iterator[Place]:
    place = Place(nasty.root)
    yield place
    place.lake.close()


def places() -> list[Any]:
    named = [pytest.param("fixtures", *each, id=f"{each[0]}-{each[1]}") for each in SESSIONS]
    return named + [pytest.param("hard", name, lakes.CASES[name][0], 0.5, id=name) for name in NASTY]


EVERYWHERE = pytest.mark.parametrize(("place", "symbol", "date", "minutes"), places())


def check(found: Records, expected: Records) -> None:
    """Equal row by row, numbers to the last digits."""
    assert [row["at"] for row in found] == [row["at"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert row.keys() == wanted.keys()
        for name, value in wanted.items():
            near = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert row[name] == near, (name, row, wanted)


@EVERYWHERE
def test_levels(request: pytest.FixtureRequest, place: str, symbol: str, date: dt.date, minutes: float) -> None:
    where: Place = request.getfixturevalue(place)
    names = ("spot", "magnet", "call_wall", "put_wall", "gamma_flip", "pin_score")
    expected = [
        {"at": now} | {name: told.get(name) for name in names} for now, told in where.levels(symbol, date, minutes)
    ]
    check(where.recorded("levels", symbol, date, minutes), expected)
    if place == "fixtures":
        without = {dt.date(2026, 4, 15), dt.date(2026, 3, 9), dt.date(2026, 3, 6)}
        assert any(row["magnet"] is None for row in expected) == (date in without)


def drift(ticks: list[tuple[int, dict[str, Any]]], lookback: int, band: float) -> Records:
    """Each tick's distance beside that of the last tick at least so many minutes before it."""
    distances: list[tuple[int, float | None]] = []
    rows: Records = []
    for now, told in ticks:
        magnet, spot = told.get("magnet"), told.get("spot")
        distance = None if magnet is None or spot is None else magnet - spot
        distances.append((now, distance))
        before = [each for at, each in distances if at <= now - lookback * MINUTE][-1:]
        change = abs(distance) - abs(before[0]) if distance is not None and before and before[0] is not None else None
        rows.append(
            {
                "at": now,
                "spot": spot,
                "magnet": magnet,
                "distance": distance,
                "change": change,
                "shrinks": None if change is None else change < 0,
                "pinned": None if distance is None else abs(distance) <= band,
            }
        )
    return rows


@pytest.mark.parametrize(("lookback", "band"), [(15, 0.5)])
@EVERYWHERE
def test_pin_drift(
    request: pytest.FixtureRequest,
    place: str,
    symbol: str,
    date: dt.date,
    minutes: float,
    lookback: int,
    band: float,
) -> None:
    where: Place = request.getfixturevalue(place)
    expected = drift(where.levels(symbol, date, minutes), lookback, band)
    found = where.recorded("pin_drift", symbol, date, minutes, lookback=lookback, band=band)
    check(found, expected)
    if (symbol, lookback) == ("SPY", 15) and date == dt.date(2026, 7, 24):
        assert {row["shrinks"] for row in found} == {True, False, None}
        assert {row["pinned"] for row in found} == {True, False}


def flips(ticks: list[tuple[int, second_method.Stood]], metric: str, floor: float) -> Records:
    """For each tick and strike whose value is above the floor: whether the last such value had the other sign."""
    past: dict[float, list[tuple[int, float]]] = {}
    rows: Records = []
    for now, stood in ticks:
        if stood.stale() or stood.newest is None:
            continue
        row = stood.newest
        for strike, value in zip(row.strike or [], row.lists[metric] or [None] * len(row.strike or []), strict=True):
            if strike is None or value is None or abs(value) <= floor:
                continue
            before = past.setdefault(strike, [])
            if before and math.copysign(1, before[-1][1]) != math.copysign(1, value):
                told = {"strike": strike, "before": before[-1][1], "after": value, "before_at": before[-1][0]}
                rows.append({"at": now} | told | {"spot": row.spot})
            before.append((now, value))
    return rows


@pytest.mark.parametrize(("metric", "floor"), [("gex", 1e3), ("signed_flow", 5.0)])
@EVERYWHERE
def test_sign_flip(
    request: pytest.FixtureRequest, place: str, symbol: str, date: dt.date, minutes: float, metric: str, floor: float
) -> None:
    where: Place = request.getfixturevalue(place)
    expected = flips(where.seen(symbol, date, minutes), metric, floor)
    check(where.recorded("sign_flip", symbol, date, minutes, metric=metric, floor=floor), expected)
    if symbol in ("DRIFT", "CORRECT") and metric == "gex":
        assert expected


def test_sign_flip_by_hand(root: pathlib.Path) -> None:
    """Strikes that come, go and move in the list; noise, nothing known, and a correction of what stands."""
    at = lakes.at
    rows = [
        lakes.row(at("10:00:30"), [599.0, 600.0, 601.0], gex=[2e6, -3e6, 5e6]),
        lakes.row(at("10:01:30"), [598.0, 600.0, 601.0], gex=[1e7, -4e6, -1e6]),  # 601 within the floor
        lakes.row(at("10:02:30"), [599.0, 599.5, 600.0, 601.0], gex=[-2e6, 9e6, math.nan, -2e6]),
        lakes.row(at("10:03:30"), [600.0], gex=[7e6]),
    ]
    late = rows[3] | {"recorded_at": at("10:04:30"), "gex": [-7e6]}
    lakes.write_own(root, "SPY", rows, cadence_us=MINUTE)
    lakes.write_own(root, "SPY", [late], cadence_us=MINUTE)
    found = Place(root).recorded("sign_flip", "SPY", lakes.DAY, 1)
    assert [(row["at"], row["strike"], row["before"], row["after"], row["before_at"]) for row in found] == [
        (at("10:03"), 599.0, 2e6, -2e6, at("10:01")),
        (at("10:03"), 601.0, 5e6, -2e6, at("10:01")),
        (at("10:04"), 600.0, -4e6, 7e6, at("10:02")),
        (at("10:05"), 600.0, 7e6, -7e6, at("10:04")),
    ]


def moves(ticks: list[tuple[int, dict[str, Any]]], hold: int) -> Records:
    """Each tick at which a wall has stood elsewhere for so long, looking back from it."""
    rows: Records = []
    stands: dict[str, float] = {}
    for i, (now, told) in enumerate(ticks):
        for wall in ("call", "put"):
            strike = told.get(f"{wall}_wall")
            first = i
            while first and ticks[first - 1][1].get(f"{wall}_wall") == strike:
                first -= 1
            since, before = ticks[first][0], stands.get(wall)
            if strike is None or strike == before or now - since < hold * MINUTE:
                continue
            stands[wall] = strike
            moved = None if before is None else strike - before
            row = {"wall": wall, "before": before, "strike": strike, "moved": moved, "since": since}
            rows.append({"at": now} | row | {"spot": told["spot"]})
    return rows


@pytest.mark.parametrize("hold", [2, 30])
@EVERYWHERE
def test_walls(
    request: pytest.FixtureRequest, place: str, symbol: str, date: dt.date, minutes: float, hold: int
) -> None:
    where: Place = request.getfixturevalue(place)
    expected = moves(where.levels(symbol, date, minutes), hold)
    check(where.recorded("walls", symbol, date, minutes, hold=hold), expected)
    if symbol == "SPY" and date == dt.date(2026, 7, 24):
        assert len(expected) > (0 if hold == 30 else 4)


def test_walls_by_hand(root: pathlib.Path) -> None:
    """A wall that flickers has not moved; one that was not known for a while begins its hold anew."""
    at = lakes.at
    one, two, none = [5.0, 1.0], [1.0, 5.0], [math.nan, math.nan]
    minutes = [one, one, one, two, one, two, two, none, two, two, two]
    rows = [lakes.row(at("10:00:30") + i * MINUTE, [600.0, 601.0], gex=gex) for i, gex in enumerate(minutes)]
    lakes.write_own(root, "SPY", rows, cadence_us=MINUTE)
    result = replay.run("walls", root, symbols="SPY")
    found = [
        (us(row["at"]), row["wall"], row["before"], row["strike"], us(row["since"]))
        for row in result.to_arrow().to_pylist()
    ]
    assert found == [
        (at("10:03"), "call", None, 600.0, at("10:01")),
        (at("10:11"), "call", 600.0, 601.0, at("10:09")),
    ]
    assert result.log()["message"].to_list() == ["call wall: 600 -> 601", "put wall: not known"]


@pytest.mark.parametrize("name", shipped())
def test_a_latency_and_a_step_below_the_cadence_change_nothing_but_when(fixtures: Place, name: str) -> None:
    """Rows that come a little later are seen at the next tick, and every tick stays one."""
    date = dt.date(2026, 7, 24)
    for step, latency in (("10s", "0s"), ("1m", "45s"), ("6h", "0s")):
        result = replay.run(name, fixtures.lake, symbols="SPY", start=date, end=date, step=step, latency=latency)
        assert result.status == "complete"
        if name in ("levels", "pin_drift"):
            assert len(result.to_arrow()) == {"10s": 2340, "1m": 390, "6h": 2}[step]


# --- what is said of them


def test_each_ships_as_one_class_of_its_modules_name() -> None:
    assert shipped() == [
        *(
            "coin",
            "flip_breakout",
            "levels",
            "pin_butterfly",
            "pin_drift",
            "pin_fly",
            "sign_flip",
            "wall_condor",
            "walls",
        )
    ]
    for name in shipped():
        target = load(name).target
        assert target.__name__ == "".join(part.capitalize() for part in name.split("_"))
        assert issubclass(target, replay.Strategy)
        text = target.__doc__ or ""
        for parameter in load(name).parameters:
            assert f"\n    {parameter.name}\n" in text, "every parameter is described, with its unit"


@pytest.mark.parametrize(
    ("params", "said"),
    [({"metric": "oi"}, "gex|dex|vex|chex|signed_flow"), ({"floor": "much"}, "float"), ({"band": 1}, "metric, floor")],
)
def test_a_parameter_that_does_not_fit_is_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        load("sign_flip").settle(params)
    assert said in str(caught.value)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["strategies", *arguments])


def test_the_listing_has_each_with_a_sentence_and_parameters_in_80_columns() -> None:
    done = invoke("--format", "table")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == shipped()
    assert max(map(len, lines)) <= 80
    for declared in ("lookback: int = 15", "metric: gex|dex|vex|chex|signed_flow = gex", "hold: int = 2"):
        assert any(line.strip() == declared for line in lines)


def test_the_listing_as_json_is_what_the_classes_declare() -> None:
    told = {each["name"]: each for each in json.loads(invoke().stdout)}
    assert list(told) == shipped()
    assert told["levels"]["parameters"] == []
    assert told["pin_drift"]["parameters"] == [
        {"name": "lookback", "type": "int", "default": 15},
        {"name": "band", "type": "float", "default": 0.5},
    ]
    for each in told.values():
        assert each["sentence"].split()[0] in ("Records", "Sells", "Buys")
        assert each["sentence"].count(". ") == 0
        assert each["sentence"].endswith(".")
        assert each["reference"] == each["name"]


OWN = '''"""Two of one's own."""

import replay


class Widest(replay.Strategy):
    """Records the widest quote.  On two lines.

    And more.
    """

    side: str
    limit: float | None = None

    def on_tick(self, ctx):
        return {"spot": ctx.spot}


class Silent(replay.Strategy):
    pass


def plain(ctx, every: int = 5):
    """Says nothing."""
'''


def test_one_of_ones_own_is_shown_like_those_that_ship(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN, encoding="utf-8")
    (told,) = json.loads(invoke(f"{path}:Widest").stdout)
    assert told["sentence"] == "Records the widest quote."
    assert told["parameters"] == [
        {"name": "side", "type": "str"},
        {"name": "limit", "type": "float | None", "default": None},
    ]
    page = invoke(f"{path}:Widest", "--format", "table").stdout
    assert "And more." in page
    assert "side: str\n" in page
    assert "limit: float | None = None" in page
    (silent,) = json.loads(invoke(f"{path}:Silent").stdout)
    assert (silent["sentence"], silent["text"], silent["parameters"]) == ("", "", [])
    assert "no parameters" in invoke(f"{path}:Silent", "--format", "table").stdout
    assert "every: int = 5" in invoke(f"{path}:plain", "--format", "table").stdout


def test_an_unknown_one_lists_what_there_is() -> None:
    done = invoke("breakout")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert (
        "there ship coin, flip_breakout, levels, pin_butterfly, pin_drift, pin_fly, sign_flip, wall_condor, walls"
        in done.stderr
    )


# --- the page's own example


@pytest.fixture
def mine(tmp_path: pathlib.Path) -> pathlib.Path:
    page = (SHIPPED.parent.parent / "README.md").read_text(encoding="utf-8")
    (code,) = [block.split("```")[0] for block in page.split("```python\n") if block.startswith('"""mine.py')]
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    return path


def test_the_example_in_the_readme_runs_and_says_what_the_second_method_says(
    fixtures: Place, mine: pathlib.Path
) -> None:
    symbol, date, minutes = SESSIONS[2]  # the one with a gap
    expected: Records = []
    for now, stood in fixtures.seen(symbol, date, minutes):
        row = None if stood.stale() else stood.newest
        if row is not None and row.spot is not None:
            gex = {k: abs(v) for k, v in row.by_strike("gex").items() if v is not None}
            near = sum(v for k, v in gex.items() if abs(k - row.spot) <= 5.0)
            expected.append({"at": now, "spot": row.spot, "share": near / sum(gex.values())})
    assert 300 < len(expected) < 390
    check(fixtures.recorded(f"{mine}:Nearby", symbol, date, minutes, band=5), expected)
    changes = fixtures.recorded(f"{mine}:build_up", symbol, date, minutes)
    assert 300 < len(changes) < 390
    last = changes[-1]
    body = second_method.body(fixtures.second, symbol, last["at"], minutes=30)
    first, final = (sum(v for v in body["bars"][i]["values"] if v is not None) for i in (0, -1))
    assert last["change"] == pytest.approx(final - first, rel=1e-9)


def test_the_readme_lists_what_ships_with_its_parameters() -> None:
    page = (SHIPPED.parent.parent / "README.md").read_text(encoding="utf-8")
    section = page.split("## Strategies\n")[1].split("\n## ")[0]
    for name in shipped():
        (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
        for parameter in load(name).parameters:
            written = next(each for each in row.split("`") if each.startswith(f"{parameter.name}="))
            assert type(parameter.default)(written.split("=")[1]) == parameter.default
