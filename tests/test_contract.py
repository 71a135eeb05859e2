"""The wire contract, point by point, on small lakes worked out by hand."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import math
import pathlib
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pytest

import replay
from replay import contract
from replay.errors import (
    BarUnavailable,
    InvalidMetric,
    InvalidMinutes,
    InvalidMode,
    InvalidResample,
    InvalidTier,
    InvalidTime,
    NoStrikeData,
    RequestError,
    UnreadableFile,
)
from tests import lakes, second_method
from tests.lakes import MINUTE, SECOND, at, row

FIELDS = [
    *("symbol", "underlying_price", "expiration", "metric", "mode", "bar_size"),
    *("as_of", "tier_used", "strikes_grid", "bars", "gap_intervals"),
]
NAN = math.nan


def lake_of(root: pathlib.Path, rows: list[lakes.Row], symbol: str = "SPY", **how: Any) -> replay.Lake:
    lakes.write_foreign(root, symbol, "rows.parquet", rows, **how)
    return replay.open_lake(root)


def bars_of(lake: replay.Lake, as_of: str | dt.datetime = "2026-07-24", **request: Any) -> list[list[Any]]:
    shown = lake.heatmap("SPY", as_of, **({"minutes": 390} | request))
    return [bar["values"] for bar in shown.to_dict()["bars"]]


@pytest.fixture
def plain(root: pathlib.Path) -> replay.Lake:
    """Four minutes from 10:00, two snapshots each, all six metrics."""
    strikes = [599.0, 600.0]
    rows = []
    for i in range(8):
        lists: dict[str, Any] = {
            name: [float(10 * i), float(-i)] for name in ("gex", "dex", "vex", "chex", "signed_flow")
        }
        lists |= {"call_oi": [100.0 + i, 5.0], "put_oi": [1.0, 2.0]}
        rows.append(row(at("10:00") + i * 30 * SECOND, strikes, spot=600.0 + i, **lists))
    return lake_of(root, rows)


# --- the answer's form


def test_the_body_to_the_letter(plain: replay.Lake) -> None:
    body = plain.heatmap(" spy\n", "2026-07-24T10:02:12").to_json()
    assert body == (
        b'{"symbol":"SPY","underlying_price":604.0,"expiration":"2026-07-24","metric":"gex","mode":"raw",'
        b'"bar_size":"1m","as_of":"2026-07-24T14:02:12Z","tier_used":"raw","strikes_grid":[599,600],"bars":['
        b'{"t":"2026-07-24T14:00:00Z","spot":601.0,"values":[10.0,-1.0]},'
        b'{"t":"2026-07-24T14:01:00Z","spot":603.0,"values":[30.0,-3.0]},'
        b'{"t":"2026-07-24T14:02:00Z","spot":604.0,"values":[40.0,-4.0]}],"gap_intervals":[]}'
    )


def test_fields_in_the_contracts_order(plain: replay.Lake) -> None:
    for symbol in ("SPY", "NONE"):
        body = json.loads(plain.heatmap(symbol, "2026-07-24", gaps=True).to_json())
        assert list(body) == FIELDS
    bar = plain.heatmap("SPY", "2026-07-24T10:04").to_dict()["bars"][0]
    assert list(bar) == ["t", "spot", "values"]


def test_defaults_are_the_contracts() -> None:
    parameters = inspect.signature(replay.Lake.heatmap).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    wanted = {"metric": "gex", "mode": "raw", "bar": "1m", "minutes": 60, "known_at": None, "gaps": False, "tier": None}
    assert defaults == wanted | {"oi": "settled", "share": 1.0, "conventions": None}  # as stored
    assert list(parameters)[:3] == ["self", "symbol", "as_of"]


def test_to_dict_is_what_to_json_says(plain: replay.Lake) -> None:
    for metric in contract.METRICS:
        for mode in contract.MODES:
            shown = plain.heatmap("SPY", "2026-07-24T10:04", metric, mode, gaps=True)
            assert json.dumps(shown.to_dict()) == json.dumps(json.loads(shown.to_json()))
            assert orjson.loads(shown.to_json(pretty=True)) == shown.to_dict()


def test_pretty_json_is_the_same_on_more_lines(plain: replay.Lake) -> None:
    shown = plain.heatmap("SPY", "2026-07-24T10:04")
    pretty = shown.to_json(pretty=True)
    assert pretty == json.dumps(shown.to_dict(), indent=2).encode()
    assert b"\n" not in shown.to_json()


def test_what_a_heatmap_holds(plain: replay.Lake) -> None:
    shown = plain.heatmap("SPY", "2026-07-24T10:04", mode="delta")
    assert shown.times.dtype == np.dtype("datetime64[us]")
    assert shown.times.tolist() == [dt.datetime(2026, 7, 24, 14, minute) for minute in range(4)]
    assert shown.values.tolist() == [[10.0, -1.0], [20.0, -2.0], [20.0, -2.0], [20.0, -2.0]]
    assert shown.levels.tolist() == [[10.0, -1.0], [30.0, -3.0], [50.0, -5.0], [70.0, -7.0]]
    assert shown.strikes.tolist() == [599.0, 600.0]
    assert shown.spot.tolist() == [601.0, 603.0, 605.0, 607.0]
    assert shown.unit == "USD of delta per 1 % move"
    assert (shown.as_of, shown.known_at) == (at("10:04"), at("10:04"))
    assert "4 bars" in repr(shown)
    assert "2 strikes" in repr(shown)


def test_to_polars_is_long_with_null_for_not_sampled(root: pathlib.Path) -> None:
    lake = lake_of(
        root, [row(at("10:00"), [599.0, 600.0], gex=[1.0, NAN], spot=None), row(at("10:01"), [600.0], gex=[3.0])]
    )
    frame = lake.heatmap("SPY", "2026-07-24", minutes=390).to_polars()
    t = [dt.datetime(2026, 7, 24, 14, minute, tzinfo=dt.UTC) for minute in (0, 0, 1, 1)]
    assert frame.schema == {
        "t": pl.Datetime("us", "UTC"),
        "spot": pl.Float64(),
        "strike": pl.Float64(),
        "value": pl.Float64(),
    }
    assert frame.rows() == [
        (t[0], None, 599.0, 1.0),
        (t[1], None, 600.0, None),
        (t[2], 600.0, 599.0, None),
        (t[3], 600.0, 600.0, 3.0),
    ]
    assert lake.heatmap("NONE", "2026-07-24").to_polars().is_empty()


# --- minutes


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (60, 60), ("60", 60), (" 60 ", 60), ("+60", 60), (-5, 1), ("-5", 1), (0, 1), ("0", 1), (1, 1), (390, 390),
        (391, 390), ("391", 390), (10**30, 390), (-(10**30), 1), ("9" * 5000, 390), ("-" + "9" * 5000, 1),
        (np.int64(17), 17), ("007", 7), ("0" * 30 + "5", 5), ("-" + "0" * 30 + "5", 1), ("0" * 5000, 1),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_minutes_are_clamped(given: int | str, used: int) -> None:
    assert contract.check_minutes(given) == used


@pytest.mark.parametrize(
    "given",
    [
        "1e9",
        "60.0",
        60.0,
        True,
        False,
        None,
        "",
        " ",
        "abc",
        "0x10",
        "6_0",
        "١٢",
        "--5",
        "5 5",
        [60],
        NAN,
        b"60",
        "inf",
    ],
    ids=repr,
)
def test_what_is_no_integer_is_no_minutes(plain: replay.Lake, given: Any) -> None:
    with pytest.raises(InvalidMinutes) as error:
        plain.heatmap("SPY", "2026-07-24", minutes=given)
    assert (error.value.code, error.value.http_status, error.value.exit_code) == ("invalid_minutes", 400, 2)


def test_clamped_minutes_answer_as_the_bound_does(plain: replay.Lake) -> None:
    def shown(minutes: int | str) -> bytes:
        return plain.heatmap("SPY", "2026-07-24T10:03:40", minutes=minutes).to_json()

    assert shown(-7) == shown(0) == shown("1")
    assert shown(100_000) == shown("390")
    assert shown(1) != shown(390)


# --- errors and their order

BAD: dict[str, tuple[Any, type[RequestError], str]] = {
    "bar": ("5m", BarUnavailable, "bar_unavailable"),
    "metric": ("gamma", InvalidMetric, "invalid_metric"),
    "mode": ("diff", InvalidMode, "invalid_mode"),
    "minutes": ("1e9", InvalidMinutes, "invalid_minutes"),
    "as_of": ("noon", InvalidTime, "invalid_time"),
    "known_at": ("never", InvalidTime, "invalid_time"),
    "tier": ("5m", InvalidTier, "invalid_tier"),
}
ORDER = list(BAD)


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("symbol", ["SPY", "NONE", "no such symbol"])
def test_a_bad_value_is_refused_by_its_code(plain: replay.Lake, name: str, symbol: str) -> None:
    value, kind, code = BAD[name]
    request: dict[str, Any] = {"as_of": "2026-07-24"} | {name: value}
    with pytest.raises(kind) as error:
        plain.heatmap(symbol, **request)
    assert (error.value.code, error.value.http_status, error.value.exit_code) == (code, 400, 2)
    assert repr(value) in error.value.message


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_checks_run_in_the_contracts_order(plain: replay.Lake, first: int) -> None:
    request: dict[str, Any] = {"as_of": "2026-07-24"} | {name: BAD[name][0] for name in ORDER[first:]}
    with pytest.raises(RequestError) as error:
        plain.heatmap("../etc", **request)
    assert type(error.value) is BAD[ORDER[first]][1]
    if ORDER[first] == "as_of":
        assert error.value.message.startswith("as_of")


@pytest.mark.parametrize("bar", ["", "1M", " 1m", "60s", 1, None, "5m", "15m"], ids=repr)
def test_only_one_minute_bars(plain: replay.Lake, bar: Any) -> None:
    with pytest.raises(BarUnavailable):
        plain.heatmap("SPY", "2026-07-24", bar=bar)


@pytest.mark.parametrize("metric", ["GEX", "gex ", "", None, ["gex"], "call_oi", "strike"], ids=repr)
def test_only_the_six_metrics(plain: replay.Lake, metric: Any) -> None:
    with pytest.raises(InvalidMetric, match="signed_flow"):
        plain.heatmap("SPY", "2026-07-24", metric=metric)


@pytest.mark.parametrize("mode", ["RAW", "", None, ["raw"], 0], ids=repr)
def test_only_the_two_modes(plain: replay.Lake, mode: Any) -> None:
    with pytest.raises(InvalidMode, match="delta"):
        plain.heatmap("SPY", "2026-07-24", mode=mode)


# --- symbols

STRANGE = [
    "../../etc/passwd",
    "SPY'; drop",
    "SPY\0",
    "S PY",
    "",
    " ",
    ".SPY",
    "1SPY",
    "*",
    "S*",
    "SP?",
    "ΣPY",
    "日本",
    "SPY/../SPY",
    "A" * 16,
    "A" * 10_240,
    "NONE",
    'S"PY',
    "$files",
]


@pytest.mark.parametrize("symbol", STRANGE, ids=lambda symbol: ascii(symbol)[:20])
def test_a_symbol_without_data_answers_empty(plain: replay.Lake, symbol: str) -> None:
    body = json.loads(plain.heatmap(symbol, "2026-07-24T10:04").to_json())
    assert body == {
        "symbol": symbol.strip().upper(),
        "underlying_price": None,
        "expiration": "2026-07-24",
        "metric": "gex",
        "mode": "raw",
        "bar_size": "1m",
        "as_of": "2026-07-24T14:04:00Z",
        "tier_used": "raw",
        "strikes_grid": [],
        "bars": [],
        "gap_intervals": [],
    }
    levels = plain.levels(symbol, "2026-07-24T10:04").to_dict()
    assert {name for name, value in levels.items() if value is not None} == {"symbol"}
    assert plain.dates(symbol) == []
    assert plain.snapshots(symbol, "2026-07-24").is_empty()


def test_a_symbol_that_is_no_text_for_json_still_answers(plain: replay.Lake) -> None:
    body = json.loads(plain.heatmap("\udcff", "2026-07-24T10:04").to_json())
    assert (body["strikes_grid"], body["bars"]) == ([], [])


@pytest.mark.parametrize("symbol", ["spy", " SPY ", "\tsPy\n", "SPY"])
def test_a_symbol_is_trimmed_and_upper_cased(plain: replay.Lake, symbol: str) -> None:
    body = plain.heatmap(symbol, "2026-07-24T10:04").to_dict()
    assert (body["symbol"], len(body["bars"])) == ("SPY", 4)


@pytest.mark.parametrize("symbol", ["BRK.B", "A", "X-Y", "ABCDEFGHIJKLMNO", "SPX2"])
def test_every_symbol_of_the_contracts_form_is_served(root: pathlib.Path, symbol: str) -> None:
    lake = lake_of(root, [row(at("10:00"), [600.0], gex=[1.0])], symbol)
    assert lake.symbols() == [symbol]
    assert len(lake.heatmap(symbol.lower(), "2026-07-24T10:01").to_dict()["bars"]) == 1


# --- as_of, expiration, the window


@pytest.mark.parametrize(
    ("as_of", "expiration", "echo"),
    [
        ("2026-07-25T01:00Z", "2026-07-24", "2026-07-25T01:00:00Z"),
        ("2026-07-25T03:59:59.999999Z", "2026-07-24", "2026-07-25T03:59:59.999999Z"),
        ("2026-07-25T04:00Z", "2026-07-25", "2026-07-25T04:00:00Z"),
        ("2026-12-01T04:59Z", "2026-11-30", "2026-12-01T04:59:00Z"),
        ("2026-07-24T14:30", "2026-07-24", "2026-07-24T18:30:00Z"),
        ("2026-07-24T14:30:12.5", "2026-07-24", "2026-07-24T18:30:12.500000Z"),
        ("2026-07-24T14:30:12.000000", "2026-07-24", "2026-07-24T18:30:12Z"),
        ("2026-07-24T23:30+09:00", "2026-07-24", "2026-07-24T14:30:00Z"),
        ("2026-07-24", "2026-07-24", "2026-07-24T20:00:00Z"),
        ("2026-11-27", "2026-11-27", "2026-11-27T18:00:00Z"),
        ("2026-07-25", "2026-07-25", "2026-07-25T20:00:00Z"),
        ("2026-12-25", "2026-12-25", "2026-12-25T21:00:00Z"),
        ("0001-01-02", "0001-01-02", "0001-01-02T20:56:02Z"),
        ("9999-12-31", "9999-12-31", "9999-12-31T21:00:00Z"),
    ],
)
def test_expiration_is_the_new_york_date_and_as_of_is_echoed(
    plain: replay.Lake, as_of: str, expiration: str, echo: str
) -> None:
    for symbol in ("SPY", "NONE"):
        body = plain.heatmap(symbol, as_of, gaps=True).to_dict()
        assert (body["expiration"], body["as_of"]) == (expiration, echo)


def test_as_of_may_be_a_datetime_or_a_date(plain: replay.Lake) -> None:
    wanted = plain.heatmap("SPY", "2026-07-24T10:02").to_json()
    for as_of in (
        dt.datetime(2026, 7, 24, 10, 2),
        dt.datetime(2026, 7, 24, 10, 2, tzinfo=lakes.NEW_YORK),
        dt.datetime(2026, 7, 24, 14, 2, tzinfo=dt.UTC),
    ):
        assert plain.heatmap("SPY", as_of).to_json() == wanted
    date = plain.heatmap("SPY", dt.date(2026, 7, 24), minutes=390).to_json()
    assert date == plain.heatmap("SPY", "2026-07-24T16:00", minutes=390).to_json()


def test_the_window_starts_at_a_whole_minute_and_both_ends_belong_to_it(root: pathlib.Path) -> None:
    rows = [
        row(at(wall), [600.0], lag=0, gex=[float(i)])
        for i, wall in enumerate(("09:59:59.999999", "10:00", "10:00:30", "10:01", "10:02:30", "10:02:30.000001"))
    ]
    lake = lake_of(root, rows)
    assert bars_of(lake, "2026-07-24T10:02:30", minutes=2) == [[2.0], [3.0], [4.0]]
    assert bars_of(lake, "2026-07-24T10:02:59", minutes=2) == [[2.0], [3.0], [5.0]]
    assert bars_of(lake, "2026-07-24T10:03", minutes=2) == [[3.0], [5.0]]
    assert bars_of(lake, "2026-07-24T10:03", minutes=3) == [[2.0], [3.0], [5.0]]
    assert bars_of(lake, "2026-07-24T10:00:59.999999", minutes=1) == [[0.0], [2.0]]
    assert bars_of(lake, "2026-07-24T10:00:29.999999", minutes=1) == [[0.0], [1.0]]
    assert bars_of(lake, "2026-07-24T10:01", minutes=1) == [[2.0], [3.0]]


def test_390_minutes_at_the_close_show_the_whole_session(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + i * MINUTE, [600.0], lag=0, gex=[float(i)]) for i in range(391)]
    body = lake_of(root, rows).heatmap("SPY", "2026-07-24", minutes=390).to_dict()
    assert [bar["values"] for bar in body["bars"]] == [[float(i)] for i in range(391)]
    assert body["bars"][0]["t"] == "2026-07-24T13:30:00Z"
    assert body["bars"][-1]["t"] == "2026-07-24T20:00:00Z"


def test_bars_ascend_whatever_the_order_of_the_rows(root: pathlib.Path) -> None:
    rows = [row(at("10:00") + i * 20 * SECOND, [600.0], gex=[float(i)]) for i in range(60)]
    lakes.dice(5).shuffle(rows)
    body = lake_of(root, rows).heatmap("SPY", "2026-07-24", minutes=390).to_dict()
    assert [bar["values"][0] for bar in body["bars"]] == [float(i) for i in range(2, 60, 3)]
    times = [bar["t"] for bar in body["bars"]]
    assert times == sorted(times)
    assert len(set(times)) == 20


def test_a_session_is_not_shown_on_another_date(plain: replay.Lake) -> None:
    assert plain.heatmap("SPY", "2026-07-25T00:30", minutes=390).to_dict()["bars"] == []
    assert plain.heatmap("SPY", "2026-07-23", known_at="latest", minutes=390).to_dict()["bars"] == []


@pytest.mark.parametrize(
    "known_at", ["latest", " Latest ", "2026-07-25", dt.datetime(2026, 7, 25, tzinfo=dt.UTC)], ids=repr
)
def test_known_at_lets_later_knowledge_in(root: pathlib.Path, known_at: Any) -> None:
    lake = lake_of(
        root, [row(at("10:00"), [600.0], gex=[1.0]), row(at("10:00"), [600.0], lag=3600 * SECOND, gex=[2.0])]
    )
    assert bars_of(lake, "2026-07-24T10:30") == [[1.0]]
    assert bars_of(lake, "2026-07-24T10:30", known_at=known_at) == [[2.0]]
    assert bars_of(lake, "2026-07-24T10:30", known_at="2026-07-24T10:00") == []
    assert bars_of(lake, "2026-07-24T10:30", known_at="2026-07-24T11:00") == [[2.0]]
    assert bars_of(lake, "2026-07-24T10:30", known_at="2026-07-24T10:59:59.999999") == [[1.0]]


# --- strikes and values


def test_integral_strikes_are_integers_and_others_are_not(root: pathlib.Path) -> None:
    lake = lake_of(root, [row(at("10:00"), [587.0, 587.5, 588.0], gex=[1.0, 2.0, 3.0])])
    shown = lake.heatmap("SPY", "2026-07-24", minutes=390)
    assert b'"strikes_grid":[587,587.5,588]' in shown.to_json()
    assert [type(k) for k in shown.to_dict()["strikes_grid"]] == [int, float, int]


def test_a_strike_beyond_any_integer_still_makes_json(root: pathlib.Path) -> None:
    lake = lake_of(root, [row(at("10:00"), [600.0, 1e20], gex=[1.0, 2.0])])
    assert json.loads(lake.heatmap("SPY", "2026-07-24", minutes=390).to_json())["strikes_grid"] == [600, 1e20]


def test_the_grid_is_the_union_of_the_rows_that_made_bars(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [1.0, 2.0], gex=[9.0, 9.0], signed_flow=[1.0, 1.0]),  # not the last of its minute
        row(at("10:00:30"), [3.0, 5.0], gex=[1.0, 2.0], signed_flow=[1.0, 1.0]),
        row(at("10:01"), [4.0, 5.0], gex=[3.0, 4.0], signed_flow=[1.0, 1.0]),
    ]
    lake = lake_of(root, rows)
    body = lake.heatmap("SPY", "2026-07-24", minutes=390).to_dict()
    assert body["strikes_grid"] == [3, 4, 5]
    assert [bar["values"] for bar in body["bars"]] == [[1.0, None, 2.0], [None, 3.0, 4.0]]
    flow = lake.heatmap("SPY", "2026-07-24", "signed_flow", minutes=390).to_dict()
    assert flow["strikes_grid"] == [1, 2, 3, 4, 5]
    assert [bar["values"] for bar in flow["bars"]] == [[1.0, 1.0, 1.0, None, 1.0], [None, None, None, 1.0, 1.0]]


def test_null_is_never_zero_and_zero_never_null(root: pathlib.Path) -> None:
    lake = lake_of(root, [row(at("10:00"), [1.0, 2.0, 3.0, 4.0], gex=[0.0, NAN, None, -0.0])])
    body = lake.heatmap("SPY", "2026-07-24", minutes=390).to_json()
    assert b'"values":[0.0,null,null,0.0]' in body


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", contract.MODES)
@pytest.mark.parametrize("metric", contract.METRICS)
def test_nothing_but_numbers_reaches_json(root: pathlib.Path, metric: str, mode: str) -> None:
    column = "call_oi" if metric == "oi" else metric
    wild = [[math.inf, -math.inf, NAN, 1.0], [math.inf, math.inf, 1.0, NAN], [-math.inf, 1.0, math.inf, math.inf]]
    strikes = [1.0, 2.0, 3.0, 4.0]
    rows = [
        row(at("10:00") + i * 20 * SECOND, strikes, spot=wild[i % 3][i % 4], put_oi=[0.0] * 4) | {column: wild[i % 3]}
        for i in range(12)
    ]
    body = lake_of(root, rows).heatmap("SPY", "2026-07-24", metric, mode, minutes=390)
    found = json.loads(body.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert found == body.to_dict()
    cells = [value for bar in found["bars"] for value in bar["values"]]
    assert len(cells) == 16
    assert all(value is None or math.isfinite(value) for value in cells)


def test_a_row_without_the_metric_gives_a_bar_of_nulls(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [1.0, 2.0], gex=[1.0, 2.0]),
        row(at("10:01"), [1.0, 2.0], gex=None),
        row(at("10:02"), [1.0, 2.0], gex=[5.0, 6.0]),
    ]
    lake = lake_of(root, rows)
    assert bars_of(lake) == [[1.0, 2.0], [None, None], [5.0, 6.0]]
    assert bars_of(lake, mode="delta") == [[1.0, 2.0], [None, None], [None, None]]
    assert bars_of(lake, metric="vex") == [[None, None]] * 3, "the file has no such column"
    assert bars_of(lake, metric="oi") == [[None, None]] * 3
    assert bars_of(lake, metric="signed_flow") == [[None, None]] * 3


def test_a_list_that_is_not_parallel_is_refused_and_named(root: pathlib.Path) -> None:
    rows = [row(at("10:00"), [1.0, 2.0], gex=[1.0, 2.0]), row(at("10:01"), [1.0, 2.0], gex=[1.0])]
    lake = lake_of(root, rows)
    with pytest.raises(UnreadableFile, match=r"rows\.parquet, row 1: gex holds 1 values for 2 strikes"):
        lake.heatmap("SPY", "2026-07-24", minutes=390)
    assert bars_of(lake, "2026-07-24T10:01") == [[1.0, 2.0]], "a moment that does not show it is not hurt"


def test_an_empty_list_of_strikes_is_a_sample_of_none(root: pathlib.Path) -> None:
    lake = lake_of(root, [row(at("10:00"), [], gex=[]), row(at("10:01"), [600.0], gex=[1.0])])
    assert bars_of(lake) == [[None], [1.0]]
    body = lake.heatmap("SPY", "2026-07-24T10:00:59").to_dict()
    assert (body["strikes_grid"], [bar["values"] for bar in body["bars"]]) == ([], [[]])


# --- modes and metrics


def test_delta_keeps_bar_0_raw_and_passes_nulls_on(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [1.0, 2.0, 3.0], gex=[1.0, NAN, 3.0]),
        row(at("10:01"), [1.0, 2.0, 3.0], gex=[4.0, 2.0, NAN]),
        row(at("10:03"), [1.0, 2.0, 3.0], gex=[2.5, 7.0, 1.0]),
        row(at("10:04"), [1.0, 2.0, 4.0], gex=[2.5, 6.0, 1.0]),
    ]
    lake = lake_of(root, rows)
    assert bars_of(lake, mode="delta") == [
        [1.0, None, 3.0, None],
        [3.0, None, None, None],
        [-1.5, 5.0, None, None],
        [0.0, -1.0, None, None],
    ]
    assert bars_of(lake, "2026-07-24T10:04:30", mode="delta", minutes=1)[0] == [2.5, 7.0, 1.0, None], (
        "bar 0 of the window"
    )


def test_delta_is_between_last_values_whatever_lies_between(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00") + i * 20 * SECOND, [1.0], gex=[value])
        for i, value in enumerate([5.0, 9.0, 1.0, 100.0, NAN, 4.0])
    ]
    assert bars_of(lake_of(root, rows), mode="delta") == [[1.0], [3.0]]


def test_signed_flow_is_summed_over_the_minute_and_delta_is_raw(root: pathlib.Path) -> None:
    flows = [[1.0, NAN, NAN], [2.0, 5.0, None], None, [NAN, -7.0, NAN], [0.5, 0.0, NAN]]
    rows = [row(at("10:00") + i * 10 * SECOND, [1.0, 2.0, 3.0], signed_flow=flow) for i, flow in enumerate(flows)]
    rows.append(row(at("10:01"), [1.0, 2.0, 3.0], signed_flow=[-1.0, -2.0, -3.0]))
    rows.append(row(at("10:02"), [1.0, 2.0, 3.0], signed_flow=None))
    lake = lake_of(root, rows)
    wanted = [[3.5, -2.0, None], [-1.0, -2.0, -3.0], [None, None, None]]
    assert bars_of(lake, metric="signed_flow") == wanted
    assert bars_of(lake, metric="signed_flow", mode="delta") == wanted
    assert bars_of(lake, "2026-07-24T10:00:15", metric="signed_flow") == [[3.0, 5.0, None]]


def test_flow_is_summed_in_the_order_of_time(root: pathlib.Path) -> None:
    flows = [1e16, 1.0, -1e16, 1.0, 0.1, 0.2, 0.3]
    rows = [row(at("10:00") + i * SECOND, [1.0], signed_flow=[flow]) for i, flow in enumerate(flows)]
    total = 0.0
    for flow in flows:
        total += flow
    lakes.dice(1).shuffle(rows)
    assert bars_of(lake_of(root, rows), metric="signed_flow") == [[total]]


def test_a_correction_of_flow_replaces_the_increment(root: pathlib.Path) -> None:
    rows = [row(at("10:00") + i * SECOND, [1.0], signed_flow=[10.0]) for i in range(3)]
    rows.append(row(at("10:00:01"), [1.0], lag=60 * SECOND, signed_flow=[-5.0]))
    lake = lake_of(root, rows)
    assert bars_of(lake, "2026-07-24T10:00:59", metric="signed_flow") == [[30.0]]
    assert bars_of(lake, "2026-07-24T10:02", metric="signed_flow") == [[15.0]]


def test_oi_is_the_sum_of_the_sides_null_where_either_is_and_the_total_where_they_are_unknown(
    root: pathlib.Path,
) -> None:
    strikes = [1.0, 2.0, 3.0, 4.0]
    rows = [
        row(at("10:00"), strikes, call_oi=[1.0, NAN, 3.0, 0.0], put_oi=[10.0, 20.0, NAN, 0.0]),
        row(at("10:01"), strikes, call_oi=[1.0, 2.0, 3.0, 4.0], put_oi=None),
        row(at("10:02"), strikes, oi=[7.0, NAN, 0.0, 9.0]),
        row(
            at("10:03"), strikes, call_oi=[1.0, 2.0, 3.0, 4.0], put_oi=[1.0, 1.0, 1.0, 1.0], oi=[99.0, 99.0, 99.0, 99.0]
        ),
        row(
            at("10:04"), strikes, call_oi=[1.0, NAN, NAN, 4.0], put_oi=[1.0, NAN, NAN, 1.0], oi=[99.0, 50.0, NAN, 99.0]
        ),
    ]
    assert bars_of(lake_of(root, rows), metric="oi") == [
        [11.0, None, None, 0.0],
        [None, None, None, None],
        [7.0, None, 0.0, 9.0],
        [2.0, 3.0, 4.0, 5.0],
        [2.0, 50.0, None, 5.0],
    ]


# --- v1 rows


def test_samples_without_strikes_alone_are_an_error(root: pathlib.Path) -> None:
    rows = [row(at("10:00") + i * MINUTE, None) for i in range(5)]
    rows.append(row(at("12:00"), [600.0], gex=[1.0]))
    lake = lake_of(root, rows)
    with pytest.raises(NoStrikeData) as error:
        lake.heatmap("SPY", "2026-07-24T10:04")
    assert (error.value.code, error.value.http_status) == ("no_strike_data_for_window", 400)
    assert lake.heatmap("SPY", "2026-07-24T11:30", minutes=10).to_dict()["bars"] == [], "no samples: empty"
    assert bars_of(lake, "2026-07-24T12:01") == [[1.0]]


def test_v1_rows_give_no_bar_but_their_spot_is_the_price(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [600.0], gex=[1.0], spot=600.0),
        row(at("10:00:30"), None, spot=601.0),
        row(at("10:01"), None, spot=602.0),
    ]
    body = lake_of(root, rows).heatmap("SPY", "2026-07-24T10:02").to_dict()
    assert body["underlying_price"] == 602.0
    assert [(bar["t"], bar["spot"], bar["values"]) for bar in body["bars"]] == [("2026-07-24T14:00:00Z", 600.0, [1.0])]


def test_v1_rows_are_set_aside_after_revisions_are_resolved(root: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [600.0], gex=[1.0]),
        row(at("10:01"), [600.0], gex=[2.0]),
        row(at("10:01"), None, lag=30 * SECOND),
    ]
    lake = lake_of(root, rows)
    assert bars_of(lake, "2026-07-24T10:01:10") == [[1.0], [2.0]]
    assert bars_of(lake, "2026-07-24T10:02") == [[1.0]], "the correction took the strikes away"


def test_a_spot_that_is_not_known_is_null(root: pathlib.Path) -> None:
    lake = lake_of(
        root, [row(at("10:00"), [600.0], spot=601.0, gex=[1.0]), row(at("10:01"), [600.0], spot=NAN, gex=[1.0])]
    )
    body = json.loads(lake.heatmap("SPY", "2026-07-24T10:02").to_json())
    assert (body["underlying_price"], [bar["spot"] for bar in body["bars"]]) == (None, [601.0, None])


# --- tiers


def test_raw_is_preferred_and_the_answer_names_the_tier(root: pathlib.Path) -> None:
    lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00:59"), [600.0], gex=[1.0])], tier="1m")
    lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00:30"), [600.0], lag=60 * SECOND, gex=[2.0])])
    lake = replay.open_lake(root)

    def shown(as_of: str, tier: str | None = None) -> tuple[str, list[Any]]:
        body = lake.heatmap("SPY", as_of, tier=tier).to_dict()
        return body["tier_used"], [bar["values"] for bar in body["bars"]]

    assert shown("2026-07-24T10:00") == ("raw", [])
    assert shown("2026-07-24T10:01") == ("1m", [[1.0]])
    assert shown("2026-07-24T10:02") == ("raw", [[2.0]])
    assert shown("2026-07-24T10:02", "1m") == ("1m", [[1.0]])
    assert shown("2026-07-24T10:02", "raw") == ("raw", [[2.0]])
    assert shown("2026-07-24T10:01", "raw") == ("raw", [])


def test_tier_used_is_raw_where_nothing_was_read(plain: replay.Lake) -> None:
    for symbol in ("SPY", "NONE", "../x"):
        assert plain.heatmap(symbol, "2026-07-24T10:04", tier="1m").to_dict()["tier_used"] == "raw"


# --- gaps


def gaps_of(lake: replay.Lake, as_of: str, **request: Any) -> list[tuple[str, str]]:
    body = lake.heatmap("SPY", as_of, gaps=True, **request).to_dict()
    assert lake.heatmap("SPY", as_of, **request).to_dict()["gap_intervals"] == [], "opt-in"
    return [(gap["start"][11:], gap["end"][11:]) for gap in body["gap_intervals"]]


def test_a_gap_is_longer_than_two_cadences(root: pathlib.Path) -> None:
    seconds = [0, 60, 120, 240, 360, 481, 541, 601]  # steps of one, two, and just over two minutes
    rows = [row(at("09:30") + s * SECOND, [600.0], lag=0, gex=[1.0]) for s in seconds]
    lake = lake_of(root, rows, metadata={"replay.cadence_us": str(MINUTE)})
    assert gaps_of(lake, "2026-07-24T09:40:01") == [("13:36:00Z", "13:38:01Z")]
    assert gaps_of(lake, "2026-07-24T09:42:01") == [("13:36:00Z", "13:38:01Z")]
    assert gaps_of(lake, "2026-07-24T09:42:02") == [("13:36:00Z", "13:38:01Z"), ("13:40:01Z", "13:42:02Z")]
    assert gaps_of(lake, "2026-07-24T16:30", minutes=390)[-1] == ("13:40:01Z", "20:00:00Z"), "to the close"


def test_a_gap_ends_a_lag_before_the_moment(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + i * 10 * SECOND, [600.0], lag=lag * SECOND, gex=[1.0]) for i, lag in enumerate((1, 5, 5))]
    lake = lake_of(root, rows, metadata={"replay.cadence_us": str(10 * SECOND)})
    assert gaps_of(lake, "2026-07-24T09:30:45") == []
    assert gaps_of(lake, "2026-07-24T09:30:45.000001") == [("13:30:20Z", "13:30:40.000001Z")]
    assert gaps_of(lake, "2026-07-24T09:31") == [("13:30:20Z", "13:30:55Z")]


def test_the_cadence_is_the_median_step_where_the_file_gives_none(root: pathlib.Path) -> None:
    seconds = [0, 10, 20, 30, 51, 61, 71]
    rows = [row(at("09:30") + s * SECOND, [600.0], lag=0, gex=[1.0]) for s in seconds]
    assert gaps_of(lake_of(root, rows), "2026-07-24T09:31:11") == [("13:30:30Z", "13:30:51Z")]


def test_a_file_that_shows_no_row_yet_has_no_say_in_the_cadence(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + s * SECOND, [600.0], lag=0, gex=[1.0]) for s in (0, 10, 20, 30, 51, 61, 71)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows, metadata={"replay.cadence_us": str(10 * SECOND)})
    late = [row(at("09:30:10"), [600.0], lag=3600 * SECOND, gex=[2.0])]
    lakes.write_foreign(root, "SPY", "b.parquet", late, metadata={"replay.cadence_us": str(60 * SECOND)})
    assert gaps_of(replay.open_lake(root), "2026-07-24T09:31:11") == [("13:30:30Z", "13:30:51Z")]
    lakes.write_foreign(root, "SPY", "a.parquet", rows[:4], metadata={"replay.cadence_us": str(60 * SECOND)})
    lakes.write_foreign(root, "SPY", "b.parquet", late, metadata={"replay.cadence_us": str(5 * SECOND)})
    assert gaps_of(replay.open_lake(root), "2026-07-24T09:31:11") == [], "two minutes are no gap of this cadence"


def test_gaps_begin_at_the_open_and_stay_in_the_window(root: pathlib.Path) -> None:
    rows = [row(at("09:00"), [600.0], lag=0, gex=[1.0])]
    rows += [row(at("09:40") + i * MINUTE, [600.0], lag=0, gex=[1.0]) for i in range(90)]
    rows += [row(at("11:30") + i * MINUTE, None, lag=0) for i in range(5)]  # v1 rows are samples too
    lake = lake_of(root, rows)
    assert gaps_of(lake, "2026-07-24T11:34", minutes=390) == [("13:30:00Z", "13:40:00Z"), ("15:09:00Z", "15:30:00Z")]
    assert gaps_of(lake, "2026-07-24T11:34", minutes=60) == [("15:09:00Z", "15:30:00Z")]
    assert gaps_of(lake, "2026-07-24T09:29") == [], "before the open nothing is missing"


def test_a_correction_does_not_lengthen_the_lag_nor_fill_a_gap(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + i * 10 * SECOND, [600.0], lag=SECOND, gex=[1.0]) for i in range(10)]
    rows += [row(each["ts"], [600.0], lag=1800 * SECOND, gex=[2.0]) for each in rows]
    lake = lake_of(root, rows)
    assert gaps_of(lake, "2026-07-24T09:40") == [("13:31:30Z", "13:39:59Z")]
    assert gaps_of(lake, "2026-07-24T10:30") == [("13:31:30Z", "14:29:59Z")]


def test_a_day_without_a_session_has_no_gaps(plain: replay.Lake) -> None:
    assert gaps_of(plain, "2026-07-25T12:00", minutes=390) == []


# --- coarser bars


def test_resample_takes_the_last_of_levels_and_the_sum_of_flow(root: pathlib.Path) -> None:
    minutes = [3, 4, 5, 6, 9, 10, 16]
    rows = [
        row(
            at("10:00") + m * MINUTE,
            [1.0, 2.0],
            spot=600.0 + m,
            gex=[float(m), NAN if m == 4 else -m],
            signed_flow=[1.0, NAN if m < 10 else 2.0],
        )
        for m in minutes
    ]
    lake = lake_of(root, rows)
    five = lake.heatmap("SPY", "2026-07-24T10:20").resample("5m").to_dict()
    assert five["bar_size"] == "5m"
    assert [(bar["t"][11:16], bar["spot"], bar["values"]) for bar in five["bars"]] == [
        ("14:00", 604.0, [4.0, None]),
        ("14:05", 609.0, [9.0, -9.0]),
        ("14:10", 610.0, [10.0, -10.0]),
        ("14:15", 616.0, [16.0, -16.0]),
    ]
    flow = lake.heatmap("SPY", "2026-07-24T10:20", "signed_flow").resample("15m").to_dict()
    assert [(bar["t"][11:16], bar["values"]) for bar in flow["bars"]] == [("14:00", [6.0, 2.0]), ("14:15", [1.0, 2.0])]
    delta = lake.heatmap("SPY", "2026-07-24T10:20", mode="delta").resample("5m").to_dict()
    assert [bar["values"] for bar in delta["bars"]] == [[4.0, None], [5.0, None], [1.0, -1.0], [6.0, -6.0]]


def test_resample_again_is_resample_once(plain: replay.Lake) -> None:
    for metric in contract.METRICS:
        for mode in contract.MODES:
            shown = plain.heatmap("SPY", "2026-07-24T10:04", metric, mode)
            assert shown.resample("1m").to_json() == shown.to_json()
            assert shown.resample("2m").resample("4m").to_json() == shown.resample("4m").to_json()


def test_resample_of_nothing_is_nothing(plain: replay.Lake) -> None:
    body = plain.heatmap("NONE", "2026-07-24", "signed_flow").resample("5m").to_dict()
    assert (body["bars"], body["bar_size"]) == ([], "5m")


@pytest.mark.parametrize(
    "bar", ["", "5", "m", "0m", "-5m", "05m", "5M", "7m", "1440m", "1h", "5m ", "٥m", "999m", None, 5], ids=repr
)
def test_what_cannot_be_resampled_to(plain: replay.Lake, bar: Any) -> None:
    with pytest.raises(InvalidResample) as error:
        plain.heatmap("SPY", "2026-07-24").resample(bar)
    assert error.value.code == "invalid_resample"


def test_resample_only_to_multiples_of_its_own_bar(plain: replay.Lake) -> None:
    shown = plain.heatmap("SPY", "2026-07-24").resample("10m")
    with pytest.raises(InvalidResample):
        shown.resample("15m")
    assert shown.resample("30m").bar_size == "30m"


# --- what other programs write


def test_nanoseconds_never_make_a_row_known_too_early(root: pathlib.Path) -> None:
    table = lakes.table_of([row(at("10:00"), [600.0], gex=[1.0]), row(at("10:01"), [600.0], gex=[2.0])])
    for name in ("ts", "recorded_at"):
        nanoseconds = pa.array([us * 1000 + 999 for us in table[name].cast(pa.int64()).to_pylist()], pa.int64())
        table = table.set_column(table.column_names.index(name), name, nanoseconds.cast(pa.timestamp("ns", tz="UTC")))
    lakes.write_foreign(root, "SPY", "a.parquet", table)
    lake = replay.open_lake(root)
    assert bars_of(lake, "2026-07-24T10:01:00.8") == [[1.0]], "recorded 999 ns later"
    assert bars_of(lake, "2026-07-24T10:01:00.800001") == [[1.0], [2.0]]


def _with_extra(root: pathlib.Path, extra: str, where: str, values: pa.Array) -> None:
    """Two files of three rows with a column that is not the schema's."""
    for number in range(2):
        rows = [row(at("10:00") + i * MINUTE, [600.0], gex=[float(i)]) for i in range(3 * number, 3 * number + 3)]
        table = lakes.table_of(rows)
        table = table.add_column(0, extra, values) if where == "first" else table.append_column(extra, values)
        lakes.write_foreign(root, "SPY", f"{number}.parquet", table)


@pytest.mark.parametrize("extra", ["SPOT", "filename", "visible", "superseded_at", "row", "file", "date", "symbol"])
@pytest.mark.parametrize("where", ["first", "last"])
def test_an_unknown_column_is_ignored_whatever_its_name(root: pathlib.Path, extra: str, where: str) -> None:
    _with_extra(root, extra, where, pa.array([1] * 3))
    assert bars_of(replay.open_lake(root)) == [[float(i)] for i in range(6)]


@pytest.mark.parametrize("extra", ["TS", "Recorded_At", "file_row_number", "FILE_INDEX"])
@pytest.mark.parametrize("where", ["first", "last"])
def test_a_column_that_cannot_be_told_from_a_clock_is_refused_by_name(
    root: pathlib.Path, extra: str, where: str
) -> None:
    late = pa.array([at("23:00")] * 3, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    _with_extra(root, extra, where, late)
    with pytest.raises(UnreadableFile, match=f"0.parquet: column {extra} cannot be told from the {extra.lower()}"):
        bars_of(replay.open_lake(root))


def test_unknown_columns_may_disagree_between_files(root: pathlib.Path) -> None:
    for i, extra in enumerate(([1], ["x"], [[1]], [{"a": 1}], [None], [dt.date(2026, 1, 1)])):
        table = lakes.table_of([row(at("10:00") + i * MINUTE, [600.0], gex=[float(i)])]).append_column(
            "extra", pa.array(extra)
        )
        lakes.write_foreign(root, "SPY", f"{i}.parquet", table)
    assert bars_of(replay.open_lake(root)) == [[float(i)] for i in range(6)]


@pytest.mark.parametrize("missing", ["ts", "recorded_at", "spot"])
def test_a_file_without_a_required_column_is_named(root: pathlib.Path, missing: str) -> None:
    table = lakes.table_of([row(at("10:00"), [600.0], gex=[1.0])]).drop_columns([missing])
    lakes.write_foreign(root, "SPY", "a.parquet", table)
    with pytest.raises(UnreadableFile, match=rf"a\.parquet: column {missing} is missing"):
        replay.open_lake(root).heatmap("SPY", "2026-07-24")


def test_a_file_that_is_no_parquet_is_named(root: pathlib.Path) -> None:
    path = lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00"), [600.0], gex=[1.0])])
    (path.parent / "b.parquet").write_bytes(b"PAR1 no, not really PAR1")
    with pytest.raises(UnreadableFile, match=r"b\.parquet"):
        replay.open_lake(root).heatmap("SPY", "2026-07-24")


@pytest.mark.parametrize("value", [pa.int32(), pa.int64(), pa.float32(), pa.float16(), pa.decimal128(9, 2)], ids=str)
def test_other_widths_of_number_read_the_same(root: pathlib.Path, value: pa.DataType) -> None:
    types = {"gex": pa.list_(value), "spot": value if not pa.types.is_float16(value) else pa.float32()}
    numbers: list[Any] = [1, 2]
    if pa.types.is_float16(value):
        numbers = [np.float16(1), np.float16(2)]
    lake = lake_of(root, [row(at("10:00"), [1.0, 2.0], spot=600, gex=numbers)], types=types)
    body = lake.heatmap("SPY", "2026-07-24T10:01").to_dict()
    assert (body["underlying_price"], body["bars"][0]["values"]) == (600.0, [1.0, 2.0])


def test_live_is_a_request_with_both_clocks_at_the_same_moment(nasty: lakes.Nasty, nasty_lake: replay.Lake) -> None:
    case = nasty.cases["CORRECT"]
    for clock in case.moments[::9]:
        as_of = lakes.moment(clock)
        if second_method.new_york_date(clock) == case.date:
            live = nasty_lake.heatmap("CORRECT", as_of).to_json()
            assert live == nasty_lake.heatmap("CORRECT", as_of, known_at=as_of).to_json()


def test_a_cadence_counts_though_another_file_gives_none(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + i * MINUTE, [600.0], gex=[1.0]) for i in (0, 1, 4, 5)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows[:3], metadata={"replay.cadence_us": str(2 * MINUTE)})
    lakes.write_foreign(root, "SPY", "b.parquet", rows[3:])
    assert gaps_of(replay.open_lake(root), "2026-07-24T09:35:30") == [], "three minutes are no gap of two"


@pytest.mark.parametrize(("metric", "strikes"), [("gex", [601.0, 602.0]), ("signed_flow", [600.0, 601.0, 602.0])])
def test_resample_shows_only_strikes_of_the_rows_it_shows(
    root: pathlib.Path, metric: str, strikes: list[float]
) -> None:
    values = {"gex": [1.0, None], "signed_flow": [1.0, None]}
    rows = [
        row(at("10:00"), [600.0, 601.0], **values),  # type: ignore[arg-type]  # columns of row()
        row(at("10:01"), [601.0, 602.0], **values),  # type: ignore[arg-type]  # columns of row()
    ]
    coarse = lake_of(root, rows).heatmap("SPY", "2026-07-24T10:02", metric=metric).resample("5m")
    assert coarse.strikes.tolist() == strikes
    assert coarse.values.shape == (1, len(strikes))


def test_misuse_from_python_is_an_error_of_the_tree(plain: replay.Lake, root: pathlib.Path) -> None:
    for symbol in (None, 5, b"SPY"):
        with pytest.raises(RequestError, match="invalid_symbol"):
            plain.heatmap(symbol, "2026-07-24")  # type: ignore[arg-type]  # what is refused
        with pytest.raises(RequestError, match="invalid_symbol"):
            plain.levels(symbol, "2026-07-24")  # type: ignore[arg-type]  # what is refused
    lake = lake_of(root, [row(at("10:00"), [600.0], gex=[1.0])])
    with pytest.raises(replay.ReplayError, match="threads"):
        replay.open_lake(lake.path, threads=0)
    lake.close()
    with pytest.raises(replay.ReplayError, match="closed"):
        lake.heatmap("SPY", "2026-07-24T10:00")
