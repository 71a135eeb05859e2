"""The heatmap's siblings over HTTP, against a slow second method: the series of headline numbers, and strike flow."""

from __future__ import annotations

import math
import pathlib
import statistics
from collections.abc import Iterator
from typing import Any

import pytest

from replay import schema
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import lakes
from tests.lakes import DAY, HALF_DAY, MINUTE, SECOND, at, row
from tests.second_method import (
    LATEST,
    NoStrikeData,
    Row,
    SecondLake,
    body,
    hours,
    levels,
    new_york_date,
    number,
    utc_text,
)
from tests.server import SERIES, STRIKE_FLOW, Answer, Local

BARS = {"30s": 30 * SECOND, "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE}
SERIES_FIELDS = [
    *("t", "spot", "net_gex", "net_dex", "gamma_flip", "call_wall", "put_wall", "magnet", "pin_score"),
    *("pin_probability_pct", "regime", "atm_iv", "charm_dollars_per_hour", "hedge_flow_call_cumulative"),
    *("hedge_flow_put_cumulative", "hedge_flow_cumulative_all"),
]
FLOW_BAR = ["t", "spot", "signed_delta_dollars", "signed_gamma_dollars", "contracts"]
NAN = math.nan


# --- the second method


def window_of(
    lake: SecondLake, symbol: str, as_of: int, known: int | None, minutes: int, tier: str | None
) -> tuple[list[Row], list[Row], str]:
    """The rows visible of the session, those of the window, and their tier."""
    seen, used = lake.visible(symbol, new_york_date(as_of), as_of, as_of if known is None else known, tier)
    since = (as_of - minutes * MINUTE) // MINUTE * MINUTE
    return seen, [each for each in seen if each.ts >= since], used


def delta(right: str, spot: float, strike: float, years: float, vol: float) -> float:
    """Delta by Black and Scholes with no rate; of a vol of 0 the limit."""
    if vol == 0:
        call = 1.0 if spot > strike else 0.0 if spot < strike else 0.5
    else:
        d1 = math.log(spot / strike) / (vol * math.sqrt(years)) + vol * math.sqrt(years) / 2
        call = statistics.NormalDist().cdf(d1)
    return call if right == "C" else call - 1


def traded(each: Row, right: str, charm: float | None) -> float | None:
    """Delta-dollars traded in one side of a row; without known conventions only where nothing was traded."""
    name, vols = ("call_flow", each.by_strike("call_iv")) if right == "C" else ("put_flow", each.by_strike("put_iv"))
    flow = {k: v for k, v in each.by_strike(name).items() if v is not None}
    if not any(flow.values()):
        return 0.0 if flow else None
    session = hours(new_york_date(each.ts))
    if charm is None or each.spot is None or session is None:
        return None
    years = max((session[1] - each.ts) / MINUTE, 1.0) / (365 * 24 * 60)
    total, known = 0.0, False
    for k, contracts in flow.items():
        vol = vols[k]
        if contracts and vol is not None and vol >= 0:
            total, known = total + contracts * delta(right, each.spot, k, years, vol) * 100 * each.spot, True
    return total if known else None


def second_series(
    lake: SecondLake,
    symbol: str,
    as_of: int,
    known: int | None = None,
    bar: str = "30s",
    minutes: int = 60,
    tier: str | None = None,
    charm: float | None = None,
) -> dict[str, Any]:
    """The vendor's body; ``charm`` is the part of chex that an hour is, ``None`` for conventions that are not known."""
    seen, window, used = window_of(lake, symbol, as_of, known, minutes, tier)
    cut = as_of if known is None else known
    last: dict[int, Row] = {}
    for each in window:
        if each.strike is not None:
            last[each.ts // BARS[bar] * BARS[bar]] = each
    bars = []
    for start, newest in last.items():
        told = levels(lake, symbol, newest.ts, cut, used)
        flip, spot = told["gamma_flip"], told["spot"]
        regime = None
        if flip is not None and spot is not None and spot != flip:
            regime = "positive_gamma" if spot > flip else "negative_gamma"
        totals: dict[str, float | None] = dict.fromkeys(("C", "P", "all"))
        for each in seen:
            if each.ts <= newest.ts and each.strike is not None:
                flow = [v for v in each.by_strike("signed_flow").values() if v is not None]
                parts = {right: traded(each, right, charm) for right in ("C", "P")}
                for name, part in (parts | {"all": sum(flow) if flow else None}).items():
                    if part is not None:
                        totals[name] = (totals[name] or 0.0) + part
        chex = told["net_chex"]
        score = told["pin_score"]
        values = [
            *(utc_text(start), spot, told["net_gex"], told["net_dex"], flip),
            *(told["call_wall"], told["put_wall"], told["magnet"]),
            *(None if score is None else round(score), None, regime, told["atm_iv"]),
            *(None if chex is None or charm is None else chex * charm, totals["C"], totals["P"], totals["all"]),
        ]
        bars.append(dict(zip(SERIES_FIELDS, values, strict=True)))
    return {
        "symbol": symbol,
        "expiration": new_york_date(as_of).isoformat(),
        "as_of": utc_text(as_of),
        "bar_size": bar,
        "bars": bars,
    }


def second_flow(
    lake: SecondLake,
    symbol: str,
    as_of: int,
    known: int | None = None,
    minutes: int = 60,
    gaps: bool = False,
    tier: str | None = None,
) -> dict[str, Any]:
    """The vendor's body of strike flow. Raises :class:`NoStrikeData`."""
    told = body(lake, symbol, as_of, known, "signed_flow", "raw", minutes, gaps, tier)
    rows = [each for each in window_of(lake, symbol, as_of, known, minutes, tier)[1] if each.strike is not None]
    if rows and not any(each.lists[name] for each in rows for name in ("gamma_flow", "call_flow", "put_flow")):
        raise NoStrikeData

    summed: dict[tuple[str, str, float], float] = {}
    for each in rows:
        t = utc_text(each.ts // MINUTE * MINUTE)
        for name in ("gamma_flow", "call_flow", "put_flow"):
            for k, value in each.by_strike(name).items():
                if value is not None:
                    summed[name, t, k] = summed.get((name, t, k), 0.0) + value
    bars = []
    for told_bar in told["bars"]:
        t = told_bar["t"]
        gamma, calls, puts = (
            [summed.get((name, t, k)) for k in told["strikes_grid"]] for name in ("gamma_flow", "call_flow", "put_flow")
        )
        contracts = [
            None if c is None and p is None else number((c or 0.0) + (p or 0.0))
            for c, p in zip(calls, puts, strict=True)
        ]
        bars.append(dict(zip(FLOW_BAR, (t, told_bar["spot"], told_bar["values"], gamma, contracts), strict=True)))
    kept = ("symbol", "underlying_price", "expiration", "bar_size", "as_of", "tier_used", "strikes_grid")
    return {name: told[name] for name in kept} | {"bars": bars, "gap_intervals": told["gap_intervals"]}


def same(found: Any, wanted: Any, where: str = "") -> None:
    """That two bodies say the same, numbers but for their last digits."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), where
        assert list(found) == list(wanted), where
        for name, value in wanted.items():
            same(found[name], value, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), where
        assert len(found) == len(wanted), where
        for i, value in enumerate(wanted):
            same(found[i], value, f"{where}[{i}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9), where
    else:
        assert found == wanted, where


# --- lakes


def write(root: pathlib.Path, rows: list[lakes.Row], conventions: str, symbol: str = "SPY", **how: Any) -> None:
    metadata = schema.metadata(source="test", conventions=conventions, cadence_us=20 * SECOND)
    LakeWriter(root).add(Partition("raw", symbol, how.get("date", DAY)), lakes.table_of(rows), metadata)


def traded_rows(seed: str, count: int = 75, start: int = at("09:30")) -> list[lakes.Row]:
    """Snapshots 20 s apart whose vols and contracts are known in part."""
    rng = lakes.dice(seed)
    rows = []
    for i in range(count):
        made = lakes.some_row(rng, start + i * 20 * SECOND, [597.0, 598.5, 600.0, 601.0, 602.5])
        for name in ("call_flow", "put_flow"):
            made[name] = None if rng.random() < 0.1 else [rng.choice([0, 0, NAN, 3, -7, 120]) for _ in range(5)]
        for name in ("call_iv", "put_iv"):
            made[name] = None if rng.random() < 0.05 else [rng.choice([0.0, NAN, 0.11, 0.2, 0.35]) for _ in range(5)]
        rows.append(made)
    return rows


@pytest.fixture(scope="module")
def local(nasty: lakes.Nasty) -> Iterator[Local]:
    with Local(nasty.root, "2026-07-24T10:10") as server:
        yield server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A lake of whole days of flow, under conventions that are known."""
    root = tmp_path_factory.mktemp("siblings")
    rows = traded_rows("siblings")
    rng = lakes.dice("corrections")
    late = [{**each, "recorded_at": each["recorded_at"] + 240 * SECOND} for each in traded_rows("later")[::9]]
    rng.shuffle(rows)
    write(root, rows + late, "replay-1")
    write(root, traded_rows("half", 40, at("12:50", HALF_DAY)), "replay-1", date=HALF_DAY)
    for name, conventions in (("TRADE", "trading-time"), ("HOUR", "charm-hour"), ("LIVE", "live")):
        write(root, traded_rows(name, 12), conventions, name)
    return root


# --- series


@pytest.mark.parametrize("symbol", list(lakes.CASES))
def test_series_of_every_case_is_the_second_methods(
    symbol: str, local: Local, nasty: lakes.Nasty, nasty_second: SecondLake
) -> None:
    rng, case = lakes.dice(f"series {symbol}"), nasty.cases[symbol]
    for us in rng.sample(case.moments, 5):
        as_of, bar, minutes = us + rng.choice([0, -1, 3 * MINUTE]), rng.choice(list(BARS)), rng.choice([1, 6, 20, 390])
        known = rng.choice([None, None, LATEST])
        query: dict[str, Any] = {"at": utc_text(as_of), "bar": bar, "minutes": minutes}
        got = local.get(SERIES + symbol, **query | ({"known_at": "latest"} if known else {}))
        assert got.status == 200
        same(got.json(), second_series(nasty_second, symbol, as_of, known, bar, minutes))


@pytest.mark.parametrize("bar", list(BARS))
def test_series_of_traded_days_is_the_second_methods(made: pathlib.Path, bar: str) -> None:
    second = SecondLake(made)
    sided = 0
    with Local(made) as server:
        for as_of, minutes in (
            (at("09:34:59"), 60), (at("09:44:59.999999"), 3), (at("09:45"), 5), (at("16:00"), 390),
            (at("13:02", HALF_DAY), 15), (at("13:30", HALF_DAY), 390),
        ):  # fmt: skip
            got = server.get(SERIES + "spy", at=utc_text(as_of), bar=bar, minutes=minutes).json()
            same(got, second_series(second, "SPY", as_of, None, bar, minutes, charm=1 / 24))
            sided += sum(each["hedge_flow_put_cumulative"] not in (None, 0) for each in got["bars"])
    assert sided >= 5


@pytest.mark.parametrize(("symbol", "charm"), [("TRADE", 1 / 6.5), ("HOUR", 1.0), ("LIVE", None)])
def test_charm_is_of_an_hour_of_the_conventions_clock(made: pathlib.Path, symbol: str, charm: float | None) -> None:
    as_of = at("09:33")
    with Local(made) as server:
        bars = server.get(SERIES + symbol, at=utc_text(as_of)).json()["bars"]
    wanted = second_series(SecondLake(made), symbol, as_of, charm=charm)["bars"]
    assert len(bars) == len(wanted) == 6
    for found, other in zip(bars, wanted, strict=True):
        same(found["charm_dollars_per_hour"], other["charm_dollars_per_hour"])
        same(found["hedge_flow_cumulative_all"], other["hedge_flow_cumulative_all"])
    if charm is None:
        assert {each["hedge_flow_call_cumulative"] for each in bars} <= {None, 0.0}


def test_hedge_flow_of_all_is_that_of_calls_and_puts_where_vols_are_known(root: pathlib.Path) -> None:
    rng = lakes.dice("hedge")
    strikes = [598.0, 600.0, 602.0]
    rows = []
    for i in range(30):
        ts, spot = at("15:30") + i * MINUTE, 599.0 + rng.random() * 2
        lists: dict[str, Any] = {name: [rng.uniform(0.1, 0.4) for _ in strikes] for name in ("call_iv", "put_iv")}
        lists |= {name: [float(rng.randint(-50, 50)) for _ in strikes] for name in ("call_flow", "put_flow")}
        years = (at("16:00") - ts) / MINUTE / 525_600
        flow = [
            100 * spot * (calls * delta("C", spot, k, years, vol_c) + puts * delta("P", spot, k, years, vol_p))
            for k, calls, puts, vol_c, vol_p in zip(
                strikes, lists["call_flow"], lists["put_flow"], lists["call_iv"], lists["put_iv"], strict=True
            )
        ]
        rows.append(row(ts, strikes, spot=spot, signed_flow=flow, **lists))
    write(root, rows, "replay-1")
    with Local(root) as server:
        bars = server.get(SERIES + "SPY", at="2026-07-24T16:00", bar="1m").json()["bars"]
    assert len(bars) == 30
    for each in bars:
        sides = each["hedge_flow_call_cumulative"] + each["hedge_flow_put_cumulative"]
        assert each["hedge_flow_cumulative_all"] == pytest.approx(sides, rel=1e-9, abs=1e-4)
    assert bars[-1]["hedge_flow_call_cumulative"] != bars[0]["hedge_flow_call_cumulative"]


def test_a_bought_put_is_a_sale_by_hand(root: pathlib.Path) -> None:
    lists: dict[str, Any] = {
        "call_iv": [0.2],
        "put_iv": [0.2],
        "call_flow": [10.0],
        "put_flow": [10.0],
        "signed_flow": [0.0],
    }
    rows = [row(at("10:00"), [600.0], spot=600.0, **lists), row(at("10:01"), [600.0], spot=600.0, **lists)]
    write(root, rows, "replay-1")
    with Local(root, "2026-07-24T10:01:30") as server:
        first, last = server.get(SERIES + "SPY").json()["bars"]
    d1 = 0.2 * math.sqrt(360 / 525_600) / 2
    call = 0.5 * (1 + math.erf(d1 / math.sqrt(2)))
    assert first["hedge_flow_call_cumulative"] == pytest.approx(10 * 100 * 600 * call)
    assert first["hedge_flow_put_cumulative"] == pytest.approx(10 * 100 * 600 * (call - 1))
    assert last["hedge_flow_call_cumulative"] == pytest.approx(2 * 10 * 100 * 600 * call, rel=1e-3)
    assert last["hedge_flow_put_cumulative"] < first["hedge_flow_put_cumulative"] < 0
    assert (first["atm_iv"], first["hedge_flow_cumulative_all"]) == (pytest.approx(0.2), 0.0)


def test_a_row_that_says_nothing_is_a_bar_of_nulls_and_a_legacy_row_is_none(root: pathlib.Path) -> None:
    rows = [row(at("10:00"), [600.0], spot=None), row(at("10:00:30"), None), row(at("10:01"), None)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root, "2026-07-24T10:02") as server:
        (only,) = server.get(SERIES + "SPY", bar="1m").json()["bars"]
    assert list(only) == SERIES_FIELDS
    assert {name: value for name, value in only.items() if value is not None} == {"t": "2026-07-24T14:00:00Z"}


def test_series_defaults_and_emptiness(local: Local, nasty_second: SecondLake) -> None:
    got = local.get(SERIES + "%20correct")
    same(got.json(), second_series(nasty_second, "CORRECT", at("10:10")))
    assert list(got.json()) == ["symbol", "expiration", "as_of", "bar_size", "bars"]
    for symbol in ("NONE", "..%2Fx"):
        empty = local.get(SERIES + symbol)
        assert (empty.status, empty.json()["bars"], empty.json()["bar_size"]) == (200, [], "30s")


# --- strike flow


@pytest.mark.parametrize("symbol", list(lakes.CASES))
def test_strike_flow_of_every_case_is_the_second_methods(
    symbol: str, local: Local, nasty: lakes.Nasty, nasty_second: SecondLake
) -> None:
    rng, case = lakes.dice(f"flow {symbol}"), nasty.cases[symbol]
    for us in rng.sample(case.moments, 8):
        as_of, minutes, gaps = us + rng.choice([0, -1, 3 * MINUTE]), rng.choice([1, 6, 20, 390]), rng.random() < 0.5
        known = rng.choice([None, None, LATEST])
        query: dict[str, Any] = {"as_of": utc_text(as_of), "minutes": minutes, "gaps": int(gaps)}
        got = local.get(STRIKE_FLOW + symbol, **query | ({"known_at": "latest"} if known else {}))
        try:
            wanted = second_flow(nasty_second, symbol, as_of, known, minutes, gaps)
        except NoStrikeData:
            assert (got.status, got.error) == (400, "no_strike_data_for_window")
            continue
        assert got.status == 200
        same(got.json(), wanted)


def test_strike_flow_by_hand(root: pathlib.Path) -> None:
    none = [NAN, NAN]
    rows = [
        row(at("10:00"), [1.0, 2.0], signed_flow=[5.0, NAN], gamma_flow=[1.0, NAN], call_flow=[3.0, 4.0], put_flow=[-1.0, NAN]),
        row(at("10:00:30"), [1.0, 2.0], signed_flow=[-2.0, NAN], gamma_flow=[2.5, NAN], call_flow=none, put_flow=[-1.5, NAN]),
        row(at("10:01"), [2.0, 3.5], signed_flow=[7.0, 8.0], gamma_flow=None, call_flow=None, put_flow=None, spot=601.0),
    ]  # fmt: skip
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root, "2026-07-24T10:02") as server:
        told = server.get(STRIKE_FLOW + "SPY").json()
    assert told["strikes_grid"] == [1, 2, 3.5]
    assert [list(each.values()) for each in told["bars"]] == [
        ["2026-07-24T14:00:00Z", 600.0, [3.0, None, None], [3.5, None, None], [0.5, 4, None]],
        ["2026-07-24T14:01:00Z", 601.0, [None, 7.0, 8.0], [None, None, None], [None, None, None]],
    ]
    assert (told["underlying_price"], told["tier_used"], told["bar_size"]) == (601.0, "raw", "1m")


def test_strike_flow_only_where_it_is_stored(root: pathlib.Path) -> None:
    rows = [row(at("10:00"), [600.0], gex=[1.0], signed_flow=[1.0]), row(at("12:00"), None)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root) as server:

        def asked(as_of: str) -> Answer:
            return server.get(STRIKE_FLOW + "SPY", as_of=as_of)

        for as_of in ("2026-07-24T10:30", "2026-07-24T12:30"):
            got = asked(as_of)
            assert (got.status, got.error) == (400, "no_strike_data_for_window")
            assert list(got.json()) == ["status", "error", "message"]
        got = asked("2026-07-24T09:59")
        assert (got.status, got.json()["bars"], got.json()["strikes_grid"]) == (200, [], [])


# --- what both refuse


@pytest.mark.parametrize(("path", "code"), [(SERIES, "invalid_bar"), (STRIKE_FLOW, "bar_unavailable")])
def test_errors_in_order(local: Local, path: str, code: str) -> None:
    bad = {"bar": ("2m", code), "minutes": ("x", "invalid_minutes"), "as_of": ("x", "invalid_time")}
    bad |= {"known_at": ("x", "invalid_time"), "tier": ("x", "invalid_tier")}
    for first in range(len(bad)):
        names = list(bad)[first:]
        got = local.get(path + "CORRECT", **{name: bad[name][0] for name in names})
        assert (got.status, got.error) == (400, bad[names[0]][1])
    for name, (_, wanted) in bad.items():
        got = local.get(path + "CORRECT", **{name: ["1m", "1m"]})
        assert (got.status, got.error) == (400, wanted)
    assert local.get(path + "CORRECT", at="2026-07-24", as_of="2026-07-24").error == "invalid_time"
    for bar in ("", "30S", "1h", " 1m"):
        assert local.get(path + "CORRECT", bar=bar).error == code


def test_each_sibling_has_its_own_bars(local: Local) -> None:
    assert local.get(STRIKE_FLOW + "CORRECT", bar="30s").error == "bar_unavailable"
    assert local.get(SERIES + "CORRECT", bar="15m").status == 200
    tags = {local.get(path + "CORRECT").headers["etag"] for path in (SERIES, STRIKE_FLOW)}
    tags |= {local.get(SERIES + "CORRECT", bar=bar).headers["etag"] for bar in BARS}
    assert len(tags) == 5


def test_siblings_are_compressed_and_not_sent_again(local: Local) -> None:
    for path in (SERIES, STRIKE_FLOW):
        got = local.get(path + "CORRECT", {"Accept-Encoding": "gzip"})
        assert got.headers["content-encoding"] == "gzip"
        again = local.get(path + "CORRECT", {"Accept-Encoding": "gzip", "If-None-Match": got.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
