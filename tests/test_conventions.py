"""Conventions: ids that read back, units, and what a lake refuses to mix."""

from __future__ import annotations

import dataclasses
import math
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay import schema
from replay.errors import InvalidConventions, MixedConventions
from replay.exposure.chain import option_exposures
from replay.exposure.conventions import NAMED, REPLAY_1, Conventions, known_conventions
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import chains, lakes
from tests.lakes import at, row

some_conventions = st.builds(
    Conventions,
    calls=st.sampled_from([1, -1]),
    puts=st.sampled_from([1, -1]),
    dex=st.sampled_from(["holders", "dealers"]),
    clock=st.sampled_from(["calendar", "trading"]),
    rate=st.floats(-0.5, 1.0),
    dividend=st.floats(-0.5, 1.0),
    floor=st.floats(0.001, 60.0),
    vanna_point=st.sampled_from([0.01, 1.0]),
    charm_per=st.sampled_from(["day", "hour"]),
)


@settings(derandomize=True, deadline=None, database=None)
@given(some_conventions)
def test_an_id_reads_back_as_what_it_names(conventions: Conventions) -> None:
    assert Conventions.parse(conventions.id) == conventions


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_its_own_id(name: str) -> None:
    assert Conventions.parse(name).id == name
    assert Conventions.parse(name).describe()


def test_an_id_says_what_differs_from_the_nearest_name() -> None:
    assert Conventions(rate=0.045, dividend=0.012).id == "replay-1;rate=0.045;dividend=0.012"
    assert Conventions(dex="dealers", floor=5.0).id == "dealer-book;floor=5"
    assert Conventions.parse(" replay-1 ; clock = trading ").id == "trading-time"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vendor-9", "no conventions are named 'vendor-9'; there are replay-1, dealer-book"),
        ("replay-1;rate", "'rate' in 'replay-1;rate' is to be KEY=VALUE"),
        ("replay-1;rate=high", "rate 'high' in 'replay-1;rate=high' is no number"),
        ("replay-1;rate=4.5", "rate 4.5 is to be a number from -0.5 to 1.0"),
        ("replay-1;rate=nan", "rate nan is to be a number"),
        ("replay-1;calls=0", "calls 0 is to be 1 or -1"),
        ("replay-1;clock=lunar", "clock 'lunar' is to be calendar or trading"),
        ("replay-1;rate=0;rate=0.1", "each once"),
    ],
)
def test_a_wrong_id_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(InvalidConventions) as error:
        Conventions.parse(text)
    assert message in error.value.message
    assert known_conventions(text) is None


@pytest.mark.parametrize(
    ("conventions", "factors"),
    [
        (Conventions(dex="dealers"), None),
        (Conventions(vanna_point=1.0), {"vex": 100.0}),
        (Conventions(charm_per="hour"), {"chex": 1 / 24}),
        (Conventions(calls=-1, puts=1), {"gex": -1.0, "vex": -1.0, "chex": -1.0}),
    ],
)
def test_each_choice_changes_what_it_says(conventions: Conventions, factors: dict[str, float] | None) -> None:
    years, vol, shares = 120 / (365 * 24 * 60), 0.2, 700.0
    for call in (True, False):
        one = chains.option_greeks(call, 740.0, 741.0, years, vol)
        found = option_exposures(
            spot=np.array([740.0]), strike=np.array([741.0]), years=np.array([years]), call=np.array([call]),
            open_interest=np.array([7.0]), given_vol=np.array([vol]), bid=np.array([1.0]), ask=np.array([1.1]),
            conventions=conventions,
        )  # fmt: skip
        side = 1.0 if call else -1.0
        expected = {
            "gex": side * one["gamma"] * shares * 740.0**2 * 0.01,
            "dex": one["delta"] * shares * 740.0,
            "vex": side * one["vanna"] * shares * 740.0 * 0.01,
            "chex": side * one["charm"] * shares * 740.0,
        }
        if factors is None:
            expected["dex"] *= side
        for name, value in expected.items():
            assert getattr(found, name)[0] == pytest.approx(value * (factors or {}).get(name, 1.0), rel=1e-9)


def test_rate_and_dividend_reach_the_vol_and_the_greeks() -> None:
    spot, strike, years, vol, rate, dividend = 100.0, 95.0, 0.25, 0.3, 0.08, 0.03
    d1 = (math.log(spot / strike) + (rate - dividend + vol * vol / 2) * years) / (vol * math.sqrt(years))
    d2 = d1 - vol * math.sqrt(years)
    price = spot * math.exp(-dividend * years) * chains.normal_cdf(d1) - strike * math.exp(
        -rate * years
    ) * chains.normal_cdf(d2)
    found = option_exposures(
        spot=np.array([spot]), strike=np.array([strike]), years=np.array([years]), call=np.array([True]),
        open_interest=np.array([1.0]), given_vol=np.array([np.nan]), bid=np.array([price]), ask=np.array([price]),
        conventions=Conventions(rate=rate, dividend=dividend),
    )  # fmt: skip
    assert found.vol[0] == pytest.approx(vol, rel=1e-10)
    assert found.dex[0] == pytest.approx(math.exp(-dividend * years) * chains.normal_cdf(d1) * 100 * spot, rel=1e-10)


# --- a lake


def write(root: pathlib.Path, conventions: str | None, day: int = 24, *, allow_mixed: bool = False) -> int:
    partition = Partition("raw", "SPY", lakes.DAY.replace(day=day))
    moved = {**row(at("10:00") + (day - 24) * 86_400_000_000, [600.0], gex=[1.0])}
    table = lakes.table_of([moved])
    table = table.drop_columns(["expiration"]) if "expiration" in table.column_names else table
    with LakeWriter(root, allow_mixed=allow_mixed) as writer:
        return writer.add(partition, table, schema.metadata(source="test", conventions=conventions))


def test_a_lake_does_not_mix_conventions_unless_told(tmp_path: pathlib.Path) -> None:
    assert write(tmp_path, "replay-1", 22) == 1
    assert write(tmp_path, "replay-1", 24) == 1
    with pytest.raises(
        MixedConventions, match=r"date=2026-07-22 holds exposures under 'replay-1'.*'trading-time'.*--allow"
    ):
        write(tmp_path, "trading-time", 23)
    assert replay.open_lake(tmp_path).dates("SPY") == [lakes.DAY.replace(day=22), lakes.DAY]
    assert write(tmp_path, "replay-1", 22) == 0  # stored already is no mixing
    assert write(tmp_path, "trading-time", 23, allow_mixed=True) == 1
    held = replay.open_lake(tmp_path).sessions("SPY")
    assert held["conventions"].to_list() == ["replay-1", "trading-time", "replay-1"]


def test_conventions_are_data() -> None:
    assert dataclasses.replace(REPLAY_1, rate=0.01) != REPLAY_1
    assert {REPLAY_1, Conventions()} == {REPLAY_1}
