"""Chains in the shapes that vendors ship: each comes to the same snapshot, whose values are scalar arithmetic's."""

from __future__ import annotations

import datetime as dt
import gzip
import math
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.errors import InputError
from replay.ingest import vendors
from replay.ingest.mapping import read_mapping
from tests import chains, vendor_files
from tests.vendor_files import SPOT, STRIKES, options

TWO = dt.datetime(2026, 7, 24, 18, 0, tzinfo=dt.UTC)
LATE = TWO + dt.timedelta(minutes=15)


def ingest(lake: pathlib.Path, files: list[pathlib.Path], *arguments: str, symbol: str = "SPY") -> Result:
    command = ["ingest", "chain", *map(str, files), "--symbol", symbol, "--lake", str(lake), *arguments]
    return CliRunner().invoke(main, command)


def the_snapshot(lake: pathlib.Path) -> dict[str, Any]:
    with replay.open_lake(lake) as opened:
        frame = opened.snapshots("SPY", "2026-07-24")
    assert len(frame) == 1
    return frame.row(0, named=True)


def source_of(lake: pathlib.Path) -> str:
    (path,) = lake.rglob("*.parquet")
    return str(pq.read_schema(path).metadata[b"replay.source"].decode())


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "cboe-quotedata": (lambda folder: [vendor_files.quotedata(folder / "spy_quotedata.csv")], {"recorded": LATE}),
    "cboe-quotedata of 2020": (
        lambda folder: [vendor_files.quotedata_of_2020(folder / "quotedata.dat")],
        {"recorded": LATE},
    ),
    "cboe-json": (
        lambda folder: [vendor_files.delayed_json(folder / "SPY.json")],
        {"recorded": LATE + dt.timedelta(seconds=30)},
    ),
    "optionsdx": (lambda folder: [vendor_files.optionsdx(folder / "spy_15x_202607.txt")], {"interest": False}),
    "orats-minute": (
        lambda folder: [vendor_files.orats(folder / "orats.csv")],
        {"recorded": TWO + dt.timedelta(minutes=1)},
    ),
    "generic": (lambda folder: [vendor_files.generic(folder / "own.csv")], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_form_comes_to_the_same_snapshot(tmp_path: pathlib.Path, name: str) -> None:
    make, told = CASES[name]
    form = name.split()[0]
    done = ingest(tmp_path / "lake", make(tmp_path), "--preset", form)
    assert done.exit_code == 0, done.stderr
    row = the_snapshot(tmp_path / "lake")
    assert (row["ts"], row["recorded_at"]) == (TWO, told.get("recorded", TWO))
    assert (row["spot"], row["strike"]) == (SPOT, list(STRIKES))
    chain = options()
    for side, own in (("call", chain[0::2]), ("put", chain[1::2])):
        assert row[f"{side}_bid"] == [o.bid for o in own]
        assert row[f"{side}_ask"] == [o.ask for o in own]
        assert row[f"{side}_iv"] == [o.iv for o in own]
        assert row[f"{side}_volume"] == [o.volume for o in own]
        assert row[f"{side}_oi"] == ([o.open_interest for o in own] if told.get("interest", True) else None)
    for metric, values in vendor_files.exposures().items():
        assert row[metric] == (pytest.approx(values, rel=1e-9) if told.get("interest", True) else None)
    assert source_of(tmp_path / "lake") == f"chain:{form}"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_thetadatas_three_files_are_joined(tmp_path: pathlib.Path, version: int, order: int) -> None:
    done = ingest(tmp_path / "lake", vendor_files.thetadata(tmp_path, version)[::order], "--preset", "thetadata")
    assert done.exit_code == 0, done.stderr
    row = the_snapshot(tmp_path / "lake")
    assert (row["ts"], row["spot"], row["strike"]) == (TWO, SPOT, list(STRIKES))
    for metric, values in vendor_files.exposures().items():
        assert row[metric] == pytest.approx(values, rel=1e-9)


def test_thetadatas_quotes_and_interest_alone_take_spot_from_parity(tmp_path: pathlib.Path) -> None:
    files = [path for path in vendor_files.thetadata(tmp_path, 2) if "greeks" not in path.name]
    done = ingest(tmp_path / "lake", files, "--preset", "thetadata")
    assert done.exit_code == 0, done.stderr
    assert "spot of 6 rows implied by put-call parity" in done.stdout
    row = the_snapshot(tmp_path / "lake")
    chain = options()
    implied = sorted(
        c.strike + (c.bid + c.ask) / 2 - (p.bid + p.ask) / 2 for c, p in zip(chain[0::2], chain[1::2], strict=True)
    )
    assert row["spot"] == pytest.approx(implied[1], abs=1e-4)
    assert abs(row["spot"] - SPOT) <= 0.02
    assert source_of(tmp_path / "lake") == "chain:thetadata spot=parity"


def test_parity_carries_rate_and_dividend(tmp_path: pathlib.Path) -> None:
    import numpy as np
    import polars as pl

    from replay.exposure.conventions import Conventions
    from replay.ingest.underlying import with_parity
    from replay.sessions import find_session, to_us

    session = find_session(dt.date(2026, 7, 24))
    assert session is not None
    rate, dividend, spot = 0.8, 0.3, 500.0
    conventions = Conventions(rate=rate, dividend=dividend)
    ts = to_us(session.open)
    years = float(conventions.years(session, np.array(ts)))
    rows = []
    for strike in (498.0, 499.0, 500.0, 501.0, 502.0, 510.0):
        parity = spot * math.exp(-dividend * years) - strike * math.exp(-rate * years)
        for call in (True, False):
            mid = 20.0 + (parity if call else 0.0)
            rows.append(
                {
                    "ts": ts,
                    "recorded_at": ts,
                    "strike": strike,
                    "call": call,
                    "bid": mid - 0.1,
                    "ask": mid + 0.1,
                    "spot": None,
                }
            )
    frame = with_parity(pl.DataFrame(rows, schema_overrides={"spot": pl.Float64}), session, conventions)
    assert frame["spot"].to_list() == [pytest.approx(spot, abs=1e-4)] * len(rows)
    crossed = pl.DataFrame(rows, schema_overrides={"spot": pl.Float64}).with_columns(ask=pl.lit(0.01))
    assert with_parity(crossed, session, conventions)["spot"].null_count() == len(rows)


def test_the_underlying_from_a_second_file(tmp_path: pathlib.Path) -> None:
    prices = tmp_path / "spy.csv"
    prices.write_text("ts,price\n2026-07-24T13:58:30,739.0\n2026-07-24T13:59:00,740.0\n2026-07-24T13:59:30,741.0\n")
    rows = vendor_files.generic(tmp_path / "own.csv", "ts,contract,bid,ask,iv,open_interest")
    bars = ["--preset", "generic", "--underlying", str(prices), "--underlying-bar", "1m"]
    done = ingest(tmp_path / "lake", [rows], *bars)
    assert done.exit_code == 0, done.stderr
    assert "spot of 6 rows from the underlying's file" in done.stdout
    row = the_snapshot(tmp_path / "lake")  # the bar of 13:59 is known at 14:00, that of 13:59:30 is not
    assert row["spot"] == 740.0
    for metric, values in vendor_files.exposures().items():
        assert row[metric] == pytest.approx(values, rel=1e-9)
    assert source_of(tmp_path / "lake") == "chain:generic spot=file"
    old = ingest(tmp_path / "old", [rows], *bars, "--underlying-age", "10s", "--underlying-bar", "0s")
    assert old.exit_code == 2
    assert "6: neither they nor anything else gives a spot" in old.stderr
    prices.write_text("ts,price\n2026-07-24T13:58:30,none\n")
    wrong = ingest(tmp_path / "wrong", [rows], *bars)
    assert (
        wrong.stderr
        == f"error: invalid_input: {prices}, line 2: has ts 2026-07-24T13:58:30, price none; a row is a time and a price above 0\n"
    )


def test_vols_are_solved_where_asked_and_conventions_are_written(tmp_path: pathlib.Path) -> None:
    rows = vendor_files.generic(tmp_path / "own.csv")
    done = ingest(tmp_path / "lake", [rows], "--preset", "generic", "--iv", "solve", "--conventions", "charm-hour")
    assert done.exit_code == 0, done.stderr
    assert "vol of 6 solved from the mid" in done.stdout
    row = the_snapshot(tmp_path / "lake")
    wanted = vendor_files.exposures(solved=True)
    for metric in ("gex", "dex", "vex"):
        assert row[metric] == pytest.approx(wanted[metric], rel=1e-8)
    assert row["chex"] == pytest.approx([value / 24 for value in wanted["chex"]], rel=1e-8)
    assert source_of(tmp_path / "lake") == "chain:generic iv=solve"
    with replay.open_lake(tmp_path / "lake") as lake:
        assert lake.sessions()["conventions"].to_list() == ["charm-hour"]
    mixed = ingest(
        tmp_path / "lake",
        [vendor_files.generic(tmp_path / "b.csv", "ts,recorded_at,contract,bid,ask,iv,spot")],
        "--preset",
        "generic",
    )
    assert mixed.exit_code == 2
    assert "mixed_conventions" in mixed.stderr
    rate = ingest(tmp_path / "rate", [rows], "--preset", "generic", "--rate", "0.05", "--dividend", "0.01")
    assert rate.exit_code == 0
    with replay.open_lake(tmp_path / "rate") as lake:
        assert lake.sessions()["conventions"].to_list() == ["replay-1;rate=0.05;dividend=0.01"]


def test_contracts_of_other_roots_are_left_out_and_am_settled_ones_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spx.csv"
    lines = ["ts,contract,bid,ask,iv,open_interest,spot"]
    third_friday = {"SPXW": 20.0, "SPX": 99.0, "QQQ": 1.0}
    for root, bid in third_friday.items():
        lines += [f"2026-07-17T14:00:00,{root}260717{right}07400000,{bid},{bid + 1},0.2,10,7400" for right in "CP"]
    lines.append("2026-07-17T14:00:00,SPX 7400,1,2,0.2,10,7400")
    path.write_text("\n".join(lines) + "\n")
    done = ingest(tmp_path / "lake", [path], "--preset", "generic", symbol="SPX")
    assert done.exit_code == 0, done.stderr
    assert (
        "2 rows rejected: each has a root that is AM-settled: it stopped trading the day before, such as 'SPX'"
        in done.stdout
    )
    assert "2 rows rejected: each has a root that is not SPX or SPXW, such as 'QQQ'" in done.stdout
    assert (
        "1 row rejected: each has a contract that is no OCC symbol such as SPY260724C00740000, such as 'SPX 7400'"
        in done.stdout
    )
    with replay.open_lake(tmp_path / "lake") as lake:
        assert lake.snapshots("SPX", "2026-07-17")["call_bid"].to_list() == [[20.0]]


def test_a_date_beside_our_own_names_does_no_harm(tmp_path: pathlib.Path) -> None:
    path = vendor_files.generic(tmp_path / "own.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},date", *(f"{line},2026-07-24" for line in lines[1:])]) + "\n")
    assert ingest(tmp_path / "lake", [path], "--preset", "generic").exit_code == 0
    assert the_snapshot(tmp_path / "lake")["ts"] == TWO


def test_a_map_of_ones_own_says_all_that_presets_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[columns]\nts = "time"\ndate = "day"\nexpiration = "day"\nstrike = "k"\nspot = "s"\n'
        '[call]\nbid = "cb"\nask = "ca"\n[put]\nbid = "pb"\nask = "pa"\n[scale]\nstrike = 0.01\n[time]\ndelay = "2s"\n'
    )
    rows = [f"14:00:00,20260724,{round(s * 100)},740,1.0,1.2,1.0,1.2" for s in STRIKES]
    rows.append("50460000,2026-07-24,74000,740,1.0,1.2,1.0,1.2")  # 14:01 in milliseconds since midnight
    (tmp_path / "own.csv").write_text("time,day,k,s,cb,ca,pb,pa\n" + "\n".join(rows) + "\n")
    done = ingest(tmp_path / "lake", [tmp_path / "own.csv"], "--columns", str(tmp_path / "own.toml"))
    assert done.exit_code == 0, done.stderr
    with replay.open_lake(tmp_path / "lake") as lake:
        frame = lake.snapshots("SPY", "2026-07-24")
    assert frame["ts"].to_list() == [TWO, TWO + dt.timedelta(minutes=1)]
    assert frame["recorded_at"].to_list() == [TWO + dt.timedelta(seconds=2), TWO + dt.timedelta(seconds=62)]
    assert frame["strike"].to_list() == [list(STRIKES), [740.0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[columns]\nts = "t"\nexpiration = "e"\nstrike = "k"\n', "[columns] lacks right"),
        ('[columns]\nts = "t"\nexpiration = "e"\nstrike = "k"\n[call]\nbid = "b"\n', "[call] and [put] go together"),
        ('[columns]\nts = "t"\ncontract = "c"\nbid = "x"\n[call]\nbid = "b"\n[put]\nbid = "c"\n', "[columns] has contract, bid, which [call]"),
        ('[columns]\nts = "t"\ncontract = "c"\n[time]\ndelay = "soon"\n', "[time] delay"),
        ('[columns]\nts = "t"\ncontract = "c"\n[scale]\nstrike = 0\n', "[scale] must be a table of numbers above 0"),
        ('[columns]\nts = "t"\ncontract = "c"\n[scale]\nstrikes = 1\n', "[scale] has strikes; it takes"),
    ],
)  # fmt: skip
def test_wrong_maps_are_refused_by_entry(text: str, said: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(InputError) as error:
        read_mapping(tmp_path / "map.toml")
    assert said in error.value.message


def test_prices_in_thousandths_are_the_nearest_doubles() -> None:
    import numpy as np
    import polars as pl

    from replay.ingest.times import divided

    whole = np.arange(1, 2_000_000, 7, dtype=np.float64)
    for by in (1_000.0, 10_000.0, 20_000.0):
        found = pl.DataFrame({"n": whole}).select(divided(pl.col("n"), by))["n"].to_numpy()
        np.testing.assert_array_equal(found, whole / by)
    assert pl.DataFrame({"n": [1.0, None]}).select(divided(pl.col("n"), 4.0))["n"].to_list() == [0.25, None]


def test_every_preset_is_named_in_the_help_and_an_unknown_one_lists_them() -> None:
    shown = CliRunner().invoke(main, ["ingest", "chain", "--help"], terminal_width=200).stdout
    assert all(name in shown for name in vendors.names())
    with pytest.raises(InputError, match="no preset 'mine'; there are cboe-json, cboe-quotedata"):
        vendors.source("mine")


def with_last(path: pathlib.Path, price: str) -> pathlib.Path:
    """Cboe's quote table with another price above it."""
    vendor_files.quotedata(path)
    path.write_text(path.read_text().replace("Last: 740.00", f"Last: {price}"))
    return path


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("cboe-quotedata", lambda p: vendor_files.quotedata(p, date="Dated soon"), "it lacks Date: the minute in its first 12 lines"),
        ("cboe-quotedata", lambda p: vendor_files.quotedata(p, date="Date: 9 декабря 2023 г. в 13:49 GMT-5"), "Date: '9 декабря 2023 г. в 13:49 GMT-5' is no minute of New York, such as July 24, 2026 at 2:15 PM EDT; save the page in English"),
        ("cboe-quotedata", lambda p: vendor_files.quotedata(p, date="Date: July 24, 2026 at 8:15 PM CEST"), "is no minute of New York"),
        ("cboe-quotedata", lambda p: vendor_files.quotedata(p, date="Date: 32 July 2026, 1:00 PM EDT"), "is no minute of New York"),
        ("cboe-quotedata", lambda p: vendor_files.quotedata(p, header=vendor_files.NAMES.replace("IV", "IV %")), "line 4: the table is to have the columns Expiration Date, Calls, Last Sale"),
        ("cboe-quotedata", lambda p: vendor_files.delayed_json(p), "is JSON; a CSV of Cboe's quote table is read"),
        ("cboe-quotedata", lambda p: vendor_files.generic(p), "it lacks the header Expiration Date, Last: the price (without thousands separators), Date: the minute"),
        ("cboe-quotedata", lambda p: with_last(p, "7,400.00"), "it lacks Last: the price (without thousands separators) in its first 12 lines"),
        ("cboe-quotedata", lambda p: with_last(p, "7.4.0"), "it lacks Last: the price (without thousands separators)"),
        ("cboe-json", lambda p: vendor_files.generic(p), "is no JSON"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, options=[]), "it lacks a list data.options"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, last_trade_time=None), "data.last_trade_time is None, not a time"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, current_price="high"), "data.current_price is 'high', not a price"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, current_price=True), "data.current_price is True, not a price"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, last_trade_time="0001-01-01T00:00:00+14:00"), "data.last_trade_time is '0001-01-01T00:00:00+14:00', not a time"),
        ("cboe-json", lambda p: vendor_files.delayed_json(p, options=["SPY"]), "data.options[0] is not an object"),
        ("thetadata", lambda p: vendor_files.orats(p), "is no file of ThetaData's contracts: it lacks timestamp or ms_of_day"),
        ("generic", lambda p: vendor_files.orats(p), "lacks ts, expiration, right; it has ticker"),
        ("optionsdx", lambda p: vendor_files.orats(p), "lacks column [QUOTE_UNIXTIME]"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_by_name(tmp_path: pathlib.Path, name: str, make: Any, said: str) -> None:
    done = ingest(tmp_path / "lake", [make(tmp_path / "file.csv")], "--preset", name)
    assert done.exit_code == 2
    assert "file.csv" in done.stderr
    assert said in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "date",
    [
        '"Date: July 24, 2026, 2:15 PM EDT"',
        '"Date: July 24, 2026 at 2:15\u202fPM EDT"',
        '"Date: July 24, 2026 at 2:15 p.m. EDT"',
        '"Date: July 24 2026, 2:15 PM EDT"',
        "Date: 24 July 2026, 2:15 PM EDT",
        "Date: 24 July 2026 at 14:15 GMT-4",
        '"Date: 24 Jul 2026, 14:15 ET"',
    ],
)
def test_the_forms_of_cboes_date(tmp_path: pathlib.Path, date: str) -> None:
    path = vendor_files.quotedata(tmp_path / "q.csv", date)
    assert ingest(tmp_path / "lake", [path], "--preset", "cboe-quotedata").exit_code == 0
    row = the_snapshot(tmp_path / "lake")
    assert (row["ts"], row["recorded_at"]) == (TWO, LATE)


def test_cboes_page_tells_when_it_was_made_and_the_delay_what_it_describes(tmp_path: pathlib.Path) -> None:
    path = vendor_files.quotedata(tmp_path / "q.csv")
    done = ingest(tmp_path / "lake", [path], "--preset", "cboe-quotedata", "--delay", "5m")
    assert done.exit_code == 0, done.stderr
    row = the_snapshot(tmp_path / "lake")
    assert (row["ts"], row["recorded_at"]) == (LATE - dt.timedelta(minutes=5), LATE)


def test_a_page_made_in_the_evening_comes_in_and_one_of_the_weekend_says_why_not(tmp_path: pathlib.Path) -> None:
    evening = vendor_files.quotedata(tmp_path / "e.csv", '"Date: July 24, 2026 at 7:23 PM EDT"')
    assert ingest(tmp_path / "lake", [evening], "--preset", "cboe-quotedata").exit_code == 0
    sunday = vendor_files.quotedata(tmp_path / "s.csv", '"Date: July 26, 2026 at 10:52 AM EDT"')
    done = ingest(tmp_path / "other", [sunday], "--preset", "cboe-quotedata")
    assert done.stderr == (
        "error: invalid_input: none of 8 rows can be used; 8: each has a ts on a day without a session, such as "
        "'2026-07-26 10:37:00-04:00'\n"
    )


def test_blanks_in_optionsdx_are_not_known(tmp_path: pathlib.Path) -> None:
    path = vendor_files.optionsdx(tmp_path / "spy.txt")
    lines = path.read_text().splitlines()
    fields = lines[1].split(", ")
    fields[13] = fields[14] = ""  # C_IV and C_VOLUME, where the vendor has none
    path.write_text("\n".join([lines[0], ", ".join(fields), *lines[2:]]) + "\n")
    done = ingest(tmp_path / "lake", [path], "--preset", "optionsdx")
    assert done.exit_code == 0, done.stderr
    assert "rejected" not in done.stdout
    row = the_snapshot(tmp_path / "lake")
    assert [math.isnan(value) for value in row["call_volume"]] == [True, False, False]
    first = options()[0]
    mid = (first.bid + first.ask) / 2
    vol = chains.bisect_vol(True, mid, SPOT, first.strike, vendor_files.YEARS)
    assert row["call_iv"][0] == pytest.approx(vol, rel=1e-8)


def test_a_root_that_settles_both_ways_is_told_apart_by_the_files_own_column(tmp_path: pathlib.Path) -> None:
    evening = vendor_files.orats(tmp_path / "pm.csv", "SPX", "pm")
    done = ingest(tmp_path / "lake", [evening], "--preset", "orats-minute", symbol="SPX")
    assert done.exit_code == 0, done.stderr
    assert "SPX: 6 rows of 1 file, 6 options kept" in done.stdout
    said = "6: each has a root that is AM-settled: it stopped trading the day before, such as 'SPX'"
    for settled in ("am", None):
        path = vendor_files.orats(tmp_path / "am.csv", "SPX", settled)
        done = ingest(tmp_path / "other", [path], "--preset", "orats-minute", symbol="SPX")
        assert said in done.stderr
    old = vendor_files.orats(tmp_path / "old.csv", "SPY", None)
    assert ingest(tmp_path / "old", [old], "--preset", "orats-minute").exit_code == 0


def test_cboes_files_come_zipped_too(tmp_path: pathlib.Path) -> None:
    for name, make in (("cboe-json", vendor_files.delayed_json), ("cboe-quotedata", vendor_files.quotedata)):
        data = gzip.compress(make(tmp_path / "plain").read_bytes())
        path = tmp_path / f"{name}.gz"
        path.write_bytes(data)
        assert ingest(tmp_path / name, [path], "--preset", name).exit_code == 0
        path.write_bytes(data[:-20])
        done = ingest(tmp_path / "cut", [path], "--preset", name)
        assert done.stderr == f"error: invalid_input: {path}: is a gzip that is cut short or damaged; fetch it again\n"
        path.write_bytes(b"")
        assert ingest(tmp_path / "cut", [path], "--preset", name).stderr.endswith("is empty\n")


def test_a_price_of_the_underlying_is_not_used_before_it_was_recorded(tmp_path: pathlib.Path) -> None:
    columns = "ts,recorded_at,contract,bid,ask,iv,open_interest"
    rows = vendor_files.generic(tmp_path / "own.csv", columns)  # of 14:00:00, recorded at 14:00:02
    prices = tmp_path / "spy.csv"
    asked = ["--preset", "generic", "--underlying", str(prices)]
    prices.write_text("ts,price,recorded_at\n2026-07-24T13:59:59,740.0,2026-07-24T14:00:02\n")
    done = ingest(tmp_path / "lake", [rows], *asked)
    assert done.exit_code == 0, done.stderr
    assert the_snapshot(tmp_path / "lake")["spot"] == SPOT
    prices.write_text("ts,price,recorded_at\n2026-07-24T13:59:59,740.0,2026-07-24T14:00:03\n")
    done = ingest(tmp_path / "other", [rows], *asked)
    assert "6: neither they nor anything else gives a spot" in done.stderr
    prices.write_text("ts,price,recorded_at\n2026-07-24T13:59:59,740.0,2026-07-24T13:59:58\n")
    done = ingest(tmp_path / "other", [rows], *asked)
    assert done.stderr == (
        f"error: invalid_input: {prices}, line 2: has ts 2026-07-24T13:59:59, price 740.0, recorded_at "
        "2026-07-24T13:59:58; a row is a time and a price above 0, and a recorded_at not before the time\n"
    )
