"""Exposures of a chain at hand, and stored snapshots stated otherwise, against plain scalar arithmetic."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import replay
from replay import schema
from replay.cli import main
from replay.errors import InputError, InvalidConventions, InvalidOpenInterest, InvalidTime
from replay.exposure.conventions import NAMED
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import chains, lakes
from tests.lakes import at, row

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
SPOT, AT = 740.0, "2026-07-24T14:00"
YEARS = 120 / (365 * 24 * 60)
STRIKES = [738.0, 739.5, 741.0]


def chain_rows() -> list[dict[str, Any]]:
    """Options of three strikes: some with a vol, some to be solved, one at its limit."""
    rows = []
    for i, strike in enumerate(STRIKES):
        for right, call in (("C", True), ("P", False)):
            price = chains.bsm_price(call, SPOT, strike, YEARS, 0.2 + 0.01 * i)
            rows.append(
                {"strike": strike, "right": right, "bid": price - 0.01, "ask": price + 0.01, "spot": SPOT,
                 "iv": 0.25 if i == 0 else 0.0, "open_interest": 100.0 * (i + 1) + call}
            )  # fmt: skip
    rows[-1] |= {"bid": 0.0, "ask": 0.01}  # no bid: the limit
    return rows


def expected() -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ("gex", "dex", "vex", "chex")}
    rows = chain_rows()
    for i in range(len(STRIKES)):
        for name, value in chains.strike_exposures(rows[2 * i], rows[2 * i + 1], YEARS).items():
            found[name].append(value)
    return found


def test_a_frame_in_a_frame_out() -> None:
    found = replay.exposures(pl.DataFrame(chain_rows()).sample(fraction=1.0, shuffle=True, seed=1), spot=SPOT, at=AT)
    assert found["strike"].to_list() == STRIKES
    for name, values in expected().items():
        assert found[name].to_list() == pytest.approx(values, rel=1e-9)
    assert found["call_iv"].to_list() == pytest.approx([0.25, 0.21, 0.22], rel=1e-4)
    assert found["put_iv"][2] == 0.0
    assert found["put_oi"].to_list() == [100.0, 200.0, 300.0]


def test_arrays_in_arrays_out() -> None:
    rows = chain_rows()
    names = ("strike", "right", "iv", "bid", "ask", "open_interest")
    arrays = {name: np.array([each[name] for each in rows]) for name in names}
    found = replay.exposures(arrays, spot=SPOT, at=dt.datetime(2026, 7, 24, 18, tzinfo=dt.UTC))
    for name, values in expected().items():
        assert isinstance(found[name], np.ndarray)
        assert found[name].tolist() == pytest.approx(values, rel=1e-9)
    arrays["right"] = arrays["right"] == "C"
    again = replay.exposures(arrays, spot=SPOT, at=AT)
    np.testing.assert_array_equal(again["gex"], found["gex"])


def test_what_is_not_known_is_null_in_a_frame_and_nan_in_arrays() -> None:
    rows = [{"strike": 740.0, "right": "C", "iv": 0.2, "open_interest": 5}]
    assert replay.exposures(pl.DataFrame(rows), spot=SPOT, at=AT)["gex"].to_list() == [None]
    empty: dict[str, list[float]] = {"strike": [], "right": [], "iv": [], "open_interest": []}
    assert replay.exposures(empty, spot=SPOT, at=AT)["gex"].tolist() == []


def test_the_same_as_an_ingest_of_the_same_rows(tmp_path: pathlib.Path) -> None:
    from replay.ingest.mapping import preset
    from replay.ingest.run import ingest_chain

    wire = [
        chains.row(ts="2026-07-24T14:00:00", fetched="2026-07-24 14:00:01", right=each["right"],
                   **{key: each[key] for key in ("strike", "bid", "ask", "iv", "open_interest")})
        for each in chain_rows()
    ]  # fmt: skip
    ingest_chain([chains.write_csv(tmp_path / "chain.csv", wire)], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    stored = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    found = replay.exposures(pl.DataFrame(chain_rows()), spot=SPOT, at=AT)
    for name in ("strike", "gex", "dex", "vex", "chex", "call_iv", "put_iv", "call_oi"):
        assert stored[name].to_list()[0] == found[name].to_list()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strike": [740.0, -1.0]}, "row 1 of the chain holds"),
        ({"strike": [740.0, 740.0]}, "a strike and right twice"),
        ({"strike": ["a", "b"]}, "strike of the chain is no number"),
        ({"right": ["C", "X"]}, "right 'X' in row 1"),
        ({"open_interest": [1.0]}, "differ in length"),
        ({"iv": [-0.1, 0.2]}, "row 0 of the chain holds"),
    ],
)
def test_a_chain_that_cannot_be_used_says_why(change: dict[str, Any], message: str) -> None:
    base: dict[str, Any] = {
        "strike": [740.0, 741.0],
        "right": ["C", "C"],
        "iv": [0.2, 0.2],
        "open_interest": [1.0, 2.0],
    }
    with pytest.raises(InputError, match=message):
        replay.exposures(base | change, spot=SPOT, at=AT)


def test_arguments_that_cannot_be_say_why() -> None:
    base: dict[str, Any] = {"strike": [740.0], "right": ["C"], "iv": [0.2], "open_interest": [1.0]}
    with pytest.raises(InputError, match="the chain lacks open_interest"):
        replay.exposures({"strike": [1.0], "right": ["C"], "iv": [0.2]}, spot=SPOT, at=AT)
    with pytest.raises(InputError, match="iv, or bid and ask"):
        replay.exposures({"strike": [1.0], "right": ["C"], "open_interest": [0.2]}, spot=SPOT, at=AT)
    with pytest.raises(InputError, match="spot 0 is to be a price above 0"):
        replay.exposures(base, spot=0, at=AT)
    with pytest.raises(InvalidTime, match="no session on that date"):
        replay.exposures(base, spot=SPOT, at="2026-07-25T12:00")
    with pytest.raises(InvalidConventions):
        replay.exposures(base, spot=SPOT, at=AT, conventions="mine")


# --- stored snapshots stated otherwise


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    """The lake that ships."""
    with replay.open_lake(FIXTURES) as opened:
        yield opened


FLOWS = {
    "10:00": ([0.0, 0.0], [0.0, 0.0]),
    "10:01": ([5.0, math.nan], [-40.0, 3.0]),
    "10:02": ([-9.0, 2.0], [-80.0, math.nan]),
}


@pytest.fixture
def flowing(tmp_path: pathlib.Path) -> replay.Lake:
    """A lake of three snapshots, computed by scalar arithmetic, with signed flow of each side."""
    rows = []
    for clock, (calls, puts) in FLOWS.items():
        years = (at("16:00") - at(clock)) / 60_000_000 / (365 * 24 * 60)
        lists: dict[str, Any] = {name: [] for name in ("gex", "dex", "vex", "chex")}
        for strike in (600.0, 601.0):
            sides = [
                {"spot": 600.5, "strike": strike, "bid": 1.0, "ask": 1.0, "iv": 0.2, "open_interest": 100.0}
                for _ in "CP"
            ]
            for name, value in chains.strike_exposures(sides[0], sides[1], years).items():
                lists[name].append(value)
        lists |= {"call_oi": [100.0] * 2, "put_oi": [100.0] * 2, "call_iv": [0.2] * 2, "put_iv": [0.2] * 2}
        rows.append(row(at(clock), [600.0, 601.0], spot=600.5, call_flow=calls, put_flow=puts, **lists))
    with LakeWriter(tmp_path / "lake") as writer:
        metadata = schema.metadata(source="test", conventions="replay-1")
        writer.add(Partition("raw", "SPY", lakes.DAY), lakes.table_of(rows), metadata)
    return replay.open_lake(tmp_path / "lake")


def interest(clock: str, side: int, strike: int, share: float) -> float:
    """max(0, 100 + share * flow so far), by hand."""
    total = 0.0
    for each, flows in FLOWS.items():
        if each <= clock and not math.isnan(flows[side][strike]):
            total += flows[side][strike]
    return max(100.0 + share * total, 0.0)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("metric", ["gex", "dex", "vex", "chex", "oi"])
def test_effective_open_interest_adds_the_flow_so_far(flowing: replay.Lake, metric: str, share: float) -> None:
    found = flowing.heatmap("SPY", "2026-07-24T10:02:59", metric=metric, known_at="latest", oi="effective", share=share)
    for t, clock in enumerate(FLOWS):
        years = (at("16:00") - at(clock)) / 60_000_000 / (365 * 24 * 60)
        for k, strike in enumerate((600.0, 601.0)):
            sides = [
                {"spot": 600.5, "strike": strike, "bid": 1.0, "ask": 1.0, "iv": 0.2,
                 "open_interest": interest(clock, side, k, share)} for side in (0, 1)
            ]  # fmt: skip
            wanted = chains.strike_exposures(sides[0], sides[1], years) | {
                "oi": sum(each["open_interest"] for each in sides)
            }
            assert found.values[t, k] == pytest.approx(wanted[metric], rel=1e-9, abs=1e-6)


def test_settled_is_what_is_stored_and_the_window_begins_where_it_did(flowing: replay.Lake) -> None:
    plain = flowing.heatmap("SPY", "2026-07-24T10:02:59", known_at="latest", minutes=1)
    settled = flowing.heatmap("SPY", "2026-07-24T10:02:59", known_at="latest", minutes=1, oi="settled", share=0.3)
    assert settled.to_json() == plain.to_json()
    effective = flowing.heatmap("SPY", "2026-07-24T10:02:59", known_at="latest", minutes=1, oi="effective", share=0.0)
    assert effective.minutes.tolist() == plain.minutes.tolist()
    np.testing.assert_allclose(effective.values, plain.values, rtol=1e-9)


def test_flow_that_is_not_known_yet_is_not_added(flowing: replay.Lake) -> None:
    early = flowing.levels("SPY", "2026-07-24T10:01:30", oi="effective")
    late = flowing.levels("SPY", "2026-07-24T10:02:30", oi="effective")
    assert early.ts is not None
    assert early.ts.minute == 1
    assert early.net_dex != late.net_dex


def test_flow_must_be_stored_and_values_be_possible(flowing: replay.Lake, tmp_path: pathlib.Path) -> None:
    with LakeWriter(tmp_path / "bare") as writer:
        table = lakes.table_of([row(at("10:00"), [600.0], gex=[1.0], call_oi=[1.0])])
        writer.add(Partition("raw", "SPY", lakes.DAY), table, schema.metadata(source="test", conventions="live"))
    bare = replay.open_lake(tmp_path / "bare")
    with pytest.raises(InvalidConventions, match="'live', whose formulas are not published"):
        bare.levels("SPY", "2026-07-24", conventions="replay-1")
    with pytest.raises(InvalidOpenInterest, match="is to be settled or effective"):
        flowing.levels("SPY", "2026-07-24", oi="all")
    with pytest.raises(InvalidOpenInterest, match="share 2 is to be a number from 0 to 1"):
        flowing.levels("SPY", "2026-07-24", oi="effective", share=2)


@pytest.mark.parametrize("name", NAMED)
def test_restated_exposures_are_those_of_an_ingest_under_the_conventions(lake: replay.Lake, name: str) -> None:
    """Held against the same chain computed anew from the same prices: rate 0, so the clock moves no price."""
    moment = "2026-06-05T13:00"
    held = lake.snapshots("SPY", "2026-06-05", as_of=moment).tail(1)
    wanted = NAMED[name]
    frame = held.select("strike", *(f"{side}_{what}" for side in ("call", "put") for what in ("iv", "oi"))).explode(
        "strike", "call_iv", "call_oi", "put_iv", "put_oi"
    )
    ts = held["ts"][0]
    minutes = (dt.datetime(2026, 6, 5, 20, tzinfo=dt.UTC) - ts).total_seconds() / 60
    factor = 1.0 if wanted.clock == "calendar" else math.sqrt(minutes / (365 * 24 * 60) / (minutes / (252 * 390)))
    chain = pl.concat(
        [
            frame.select("strike", pl.lit(right).alias("right"), (pl.col(f"{side}_iv") * factor).alias("iv"),
                         pl.col(f"{side}_oi").alias("open_interest"))
            for right, side in (("C", "call"), ("P", "put"))
        ]
    )  # fmt: skip
    expected = replay.exposures(chain, spot=held["spot"][0], at=ts, conventions=dataclasses.replace(wanted))
    for metric in ("gex", "dex", "vex", "chex"):
        found = lake.heatmap("SPY", moment, metric, minutes=1, known_at="latest", conventions=name)
        fresh = np.array([math.nan if value is None else value for value in expected[metric].to_list()])
        known = np.isfinite(fresh)
        assert known.sum() > 10
        np.testing.assert_allclose(found.values[-1][known], fresh[known], rtol=1e-9)


def test_units_follow_the_conventions(lake: replay.Lake) -> None:
    assert lake.heatmap("SPY", "2026-06-05T13:00", "chex").unit == "USD of delta per calendar day"
    assert (
        lake.heatmap("SPY", "2026-06-05T13:00", "chex", conventions="charm-hour").unit
        == "USD of delta per calendar hour"
    )
    assert (
        lake.heatmap("SPY", "2026-06-05T13:00", "vex", conventions="vanna-unit").unit == "USD of delta per unit of vol"
    )


def test_compare_shows_every_named_convention(lake: replay.Lake) -> None:
    arguments = ["conventions", "compare", "SPY", "--lake", lake.path, "--as-of", "2026-06-05T13:00"]
    done = CliRunner().invoke(main, [*arguments, "--format", "json"])
    assert done.exit_code == 0
    rows = {each["conventions"]: each for each in json.loads(done.stdout)}
    assert list(rows) == ["as stored", *NAMED, "effective oi"]
    assert rows["charm-hour"]["net_chex"] == pytest.approx(rows["as stored"]["net_chex"] / 24, rel=1e-9)
    assert rows["vanna-unit"]["net_vex"] == pytest.approx(rows["as stored"]["net_vex"] * 100, rel=1e-9)
    assert rows["replay-1"] == rows["as stored"] | {"conventions": "replay-1"}
    table = CliRunner().invoke(main, [*arguments, "--under", "trading-time", "--no-oi", "--format", "table"]).stdout
    assert "trading-time" in table
    assert "stored under replay-1" in table
    assert max(map(len, table.splitlines())) <= 80
    nobody = CliRunner().invoke(main, [*arguments[:2], "ZZZ", *arguments[3:]])
    assert (nobody.exit_code, nobody.stderr) == (0, "note: no data of ZZZ; the lake holds QQQ, SPY\n")
    wrong = CliRunner().invoke(main, [*arguments, "--under", "lunar"])
    assert (wrong.exit_code, wrong.stderr) == (
        2, f"error: invalid_conventions: no conventions are named 'lunar'; there are {', '.join(NAMED)}\n"
    )  # fmt: skip


def test_levels_of_nothing_say_what_the_lake_holds_instead(lake: replay.Lake) -> None:
    def told(symbol: str, as_of: str) -> str:
        done = CliRunner().invoke(main, ["levels", symbol, "--lake", lake.path, "--as-of", as_of])
        assert done.exit_code == 0
        return done.stderr

    assert told("ZZZ", "2026-06-05T13:00") == "note: no data of ZZZ; the lake holds QQQ, SPY\n"
    assert told("SPY", "2026-06-08").startswith("note: no session 2026-06-08 of SPY; the lake holds 7 from ")
    assert told("SPY", "2026-06-05T09:00").startswith("note: no snapshot of SPY up to 2026-06-05T13:00:00Z was known")
    assert told("SPY", "2026-06-05T13:00") == ""


def test_a_share_without_effective_open_interest_is_refused(lake: replay.Lake) -> None:
    moment = ["SPY", "--lake", lake.path, "--as-of", "2026-06-05T13:00"]
    for command in (
        ["levels", *moment],
        ["heatmap", *moment],
        ["run", "levels", "--symbol", "SPY", "--lake", lake.path],
    ):
        done = CliRunner().invoke(main, [*command, "--share", "0.5"])
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, "Error: --share is for --oi effective")


def test_conventions_list_and_options_of_the_commands(lake: replay.Lake) -> None:
    listed = CliRunner().invoke(main, ["conventions", "list"]).stdout
    assert all(name in listed for name in NAMED)
    assert max(map(len, listed.splitlines())) <= 80
    moment = ["SPY", "--lake", lake.path, "--as-of", "2026-06-05T13:00"]
    plain = CliRunner().invoke(main, ["levels", *moment, "--format", "json"]).stdout
    stated = (
        CliRunner().invoke(main, ["levels", *moment, "--oi", "effective", "--share", "0.5", "--format", "json"]).stdout
    )
    assert json.loads(plain)["net_gex"] != json.loads(stated)["net_gex"]
    body = CliRunner().invoke(main, ["heatmap", *moment, "--conventions", "short-all"]).stdout
    assert (
        json.loads(body)["bars"][-1]["values"]
        != json.loads(CliRunner().invoke(main, ["heatmap", *moment]).stdout)["bars"][-1]["values"]
    )


def test_a_run_and_its_audit_on_effective_open_interest(tmp_path: pathlib.Path) -> None:
    command = [
        "run",
        "levels",
        "--lake",
        str(FIXTURES),
        "--symbol",
        "SPY",
        "--from",
        "2026-06-05",
        "--to",
        "2026-06-05",
    ]
    stated = [*command, "--step", "30m", "--oi", "effective", "--share", "0.5", "--format", "jsonl"]
    done = CliRunner().invoke(main, stated)
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    with replay.open_lake(FIXTURES) as lake:
        for each in rows:
            wanted = lake.levels("SPY", each["at"], oi="effective", share=0.5)
            assert (each["magnet"], each["pin_score"]) == (wanted.magnet, wanted.pin_score)
    out = tmp_path / "run"
    CliRunner().invoke(main, [*stated[:-2], "--out", str(out)])
    assert json.loads((out / "run.json").read_text())["stated"] == {
        "basis": "effective",
        "share": 0.5,
        "conventions": None,
    }
    audited = CliRunner().invoke(main, ["audit", *command[1:], "--step", "30m", "--sample", "2", "--oi", "effective"])
    assert audited.exit_code == 0, audited.stdout
    wrong = CliRunner().invoke(main, [*command, "--oi", "effective", "--share", "7"])
    assert (wrong.exit_code, wrong.stderr) == (2, "error: invalid_oi: share 7.0 is to be a number from 0 to 1\n")
