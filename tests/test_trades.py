"""Ingest of trades: signs against plain Python, the published counts, and flow that is conserved and never early."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import pathlib
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay import schema
from replay.cli import main
from replay.ingest.signing import RULES, Place, aggressors, in_order, places, tick_signs
from replay.ingest.trades import ingest_trades
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import chains, lakes
from tests.lakes import SECOND, at, row

SAMPLE = (
    pathlib.Path(__file__).parents[2] / "shared" / "data" / "option-trades" / "SPY_2024-06-14_500C_trade_quote.parquet"
)
STRIKES = [599.0, 600.0, 601.0]
CLOCKS = ("10:00", "10:01", "10:02", "10:03")
HEADER = "ts,recorded_at,expiration,strike,right,price,size,bid,ask"


def ingest(lake: pathlib.Path | None, files: list[pathlib.Path], *arguments: str) -> Result:
    where = [] if lake is None else ["--lake", str(lake)]
    return CliRunner().invoke(main, ["ingest", "trades", *map(str, files), "--symbol", "SPY", *where, *arguments])


# --- signing


def sign_by_hand(prints: list[tuple[int, float, float, float]], rule: str, made: list[int] | None = None) -> list[int]:
    """(contract, price, bid, ask) as they became known -> signs, in exact fractions of a ten-thousandth.

    ``made`` is when; a print made before one of its contract that was known before it has no tick.
    """
    newest: dict[int, int] = {}
    last: dict[int, tuple[Fraction, int]] = {}
    signs = []
    for i, (contract, price, bid, ask) in enumerate(prints):
        p = Fraction(round(price * 10_000))
        ts, tick = made[i] if made else i, 0
        if ts >= newest.get(contract, ts):
            newest[contract] = ts
            before, tick = last.get(contract, (p, 0))
            tick = 1 if p > before else -1 if p < before else tick
            last[contract] = (p, tick)
        quoted = math.isfinite(bid) and math.isfinite(ask)
        b, a = (Fraction(round(x * 10_000)) if quoted else Fraction(0) for x in (bid, ask))
        usable = quoted and a > 0 and a >= b and not (a == b == p)
        if rule == "tick" or not usable or (rule == "emo" and p not in (a, b)):
            signs.append(tick)
        elif p >= a:
            signs.append(1)
        elif p <= b:
            signs.append(-1)
        elif p == (a + b) / 2:
            signs.append(tick)
        else:
            signs.append(1 if p > (a + b) / 2 else -1)
    return signs


cents = st.integers(0, 40).map(lambda n: n / 100)
quotes = st.one_of(cents, st.just(math.nan), st.just(math.inf))


@settings(max_examples=120, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), cents.filter(bool), quotes, quotes), max_size=30), st.sampled_from(RULES))
def test_signs_are_those_of_plain_python(prints: list[tuple[int, float, float, float]], rule: str) -> None:
    contract, price, bid, ask = (np.array([each[i] for each in prints]) for i in range(4))
    floats = [each.astype(np.float64) for each in (price, bid, ask)]
    tick = tick_signs(floats[0], contract.astype(np.int64))
    assert aggressors(places(*floats), tick, rule).tolist() == sign_by_hand(prints, rule)


def test_noise_of_doubles_moves_no_price() -> None:
    found = places(np.array([0.1 + 0.2, 0.15]), np.array([0.1, 0.1]), np.array([0.3, 0.2]))
    assert found.tolist() == [Place.ASK, Place.MID]


@pytest.mark.parametrize(
    ("price", "bid", "ask", "place"),
    [
        (1.21, 1.0, 1.2, Place.ABOVE), (1.2, 1.0, 1.2, Place.ASK), (1.11, 1.0, 1.2, Place.UPPER),
        (1.1, 1.0, 1.2, Place.MID), (1.0999, 1.0, 1.2, Place.LOWER), (1.0, 1.0, 1.2, Place.BID),
        (0.99, 1.0, 1.2, Place.BELOW), (1.0, 1.0, 1.0, Place.LOCKED), (1.1, 1.0, 1.0, Place.ABOVE),
        (1.1, 1.2, 1.0, Place.CROSSED), (0.01, 0.0, 0.01, Place.ASK), (0.0, 0.0, 0.0, Place.NO_QUOTE),
        (1.0, math.nan, 1.2, Place.NO_QUOTE), (1.0, 1.0, math.inf, Place.NO_QUOTE),
    ],
)  # fmt: skip
def test_where_a_price_lies(price: float, bid: float, ask: float, place: Place) -> None:
    assert places(*(np.array([each]) for each in (price, bid, ask))).tolist() == [place]


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(1, 4), st.booleans()), max_size=25))
def test_late_prints_have_no_say_in_the_tick_test(prints: list[tuple[int, int, int, bool]]) -> None:
    contract, ts, price, late = (np.array([each[i] for each in prints], np.int64) for i in range(4))
    prompt = np.flatnonzero(late == 0)
    ordered = np.zeros(len(prints), np.bool_)
    ordered[prompt] = in_order(contract[prompt], ts[prompt])
    newest: dict[int, int] = {}
    last: dict[int, tuple[int, int]] = {}
    for i, (own, made, paid, reported_late) in enumerate(prints):
        assert ordered[i] == (not reported_late and made >= newest.get(own, made))
        sign = 0
        if ordered[i]:
            newest[own] = made
            before, sign = last.get(own, (paid, 0))
            sign = (paid > before) - (paid < before) or sign
            last[own] = (paid, sign)
        assert tick_signs(price / 100, contract, ordered)[i] == sign


def table_of(printed: str) -> dict[str, list[int]]:
    """The rows of the summary's table: prints, contracts, bought, sold and not told, by what they are called."""
    found = {}
    for line in printed.splitlines()[2:]:
        words = line.split()
        if not all(word.replace(",", "").isdigit() for word in words[-5:]):
            break
        found[" ".join(words[:-5])] = [int(word.replace(",", "")) for word in words[-5:]]
    return found


needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason="the real trades are not on this machine")


@needs_sample
@pytest.mark.parametrize("rule", RULES)
def test_the_published_counts_of_the_real_trades(rule: str) -> None:
    done = ingest(None, [SAMPLE], "--preset", "thetadata", "--classify-only", "--rule", rule)
    assert done.exit_code == 0, done.stderr
    found = table_of(done.stdout)
    assert [row[0] for row in found.values()] == [1, 40, 5, 51, 1]
    assert [*found] == [
        "at or above the ask", "between mid and ask", "at the mid", "between bid and mid", "at or below the bid",
    ]  # fmt: skip
    assert "98 prints of 1 file" in done.stdout
    assert "98 expire on another date, left out" in done.stdout
    prints = [(0, *row) for row in pl.read_parquet(SAMPLE).select("price", "bid", "ask").iter_rows()]
    signs = Counter(sign_by_hand(prints, rule))
    assert f"by the rule {rule}: {signs[1]} bought, {signs[-1]} sold, {signs[0]} not told" in done.stdout


@needs_sample
def test_the_real_trades_as_flow(tmp_path: pathlib.Path) -> None:
    """The real prints, moved to a session on which they are 0DTE, signed and summed by hand."""
    moved = pl.read_parquet(SAMPLE).with_columns(expiration=pl.lit("2024-06-14"))
    moved.write_parquet(tmp_path / "t.parquet")
    day = dt.date(2024, 6, 14)
    clocks = [at("09:30", day) + minutes * 60 * SECOND for minutes in range(0, 391, 10)]
    vols: dict[str, Any] = {"call_iv": [0.2] * 3, "put_iv": [0.2] * 3}
    with LakeWriter(tmp_path / "lake") as writer:
        rows = [row(ts, [499.0, 500.0, 501.0], spot=541.5, **vols) for ts in clocks]
        metadata = schema.metadata(source="test", conventions="replay-1")
        writer.add(Partition("raw", "SPY", day), lakes.table_of(rows), metadata)
    done = ingest(tmp_path / "lake", [tmp_path / "t.parquet"], "--preset", "thetadata")
    assert done.exit_code == 0, done.stderr
    signs = sign_by_hand([(0, *each) for each in moved.select("price", "bid", "ask").iter_rows()], "quote")
    wanted = [0.0] * len(clocks)
    for sign, size, ts in zip(signs, moved["size"], moved["trade_timestamp"].dt.epoch("us"), strict=True):
        wanted[next(i for i, clock in enumerate(clocks) if clock >= ts)] += sign * size
    with replay.open_lake(tmp_path / "lake") as opened:
        found = opened.snapshots("SPY", day, known_at="latest")
        heat = opened.heatmap("SPY", day, "signed_flow", minutes=390, known_at="latest").values
    assert [flow[1] for flow in found["call_flow"]] == wanted
    assert sum(map(abs, wanted)) > 0
    assert np.nansum(heat) == pytest.approx(sum(sum(flow) for flow in found["signed_flow"]))


# --- flow


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> pathlib.Path:
    """Four snapshots a minute apart, of which 10:01 has a correction with another vol and 10:03 lists less."""
    rows = []
    for clock in CLOCKS:
        strikes = STRIKES[:2] if clock == "10:03" else STRIKES
        lists: dict[str, Any] = {name: [0.2] * len(strikes) for name in ("call_iv", "put_iv")}
        rows.append(row(at(clock), strikes, spot=600.5, **lists))
        if clock == "10:01":
            rows.append(
                row(
                    at(clock),
                    strikes,
                    lag=900 * SECOND,
                    spot=600.5,
                    **(lists | {"call_iv": [0.3] * 3, "put_iv": [0.3] * 3}),
                )
            )
    with LakeWriter(tmp_path / "lake") as writer:
        metadata = schema.metadata(source="chain:test", conventions="replay-1")
        writer.add(Partition("raw", "SPY", lakes.DAY), lakes.table_of(rows), metadata)
    return tmp_path / "lake"


def clock_text(us: int) -> str:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC).isoformat()


def line(
    ts: int,
    strike: float,
    right: str,
    price: float,
    size: int,
    known: int | None = None,
    bid: float = 1.0,
    ask: float = 1.2,
) -> str:
    return f"{clock_text(ts)},{clock_text(known or ts)},2026-07-24,{strike},{right},{price},{size},{bid},{ask}"


def write(path: pathlib.Path, *lines: str) -> pathlib.Path:
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def dollars(flow: float, strike: float, clock: str, *, call: bool, vol: float) -> tuple[float, float]:
    """Delta-dollars and gamma-dollars of signed contracts, by scalar arithmetic."""
    years = (at("16:00") - at(clock)) / 60_000_000 / (365 * 24 * 60)
    greeks = chains.option_greeks(call, 600.5, strike, years, vol)
    return flow * greeks["delta"] * 100 * 600.5, flow * greeks["gamma"] * 100 * 600.5**2 * 0.01


def stored(lake: pathlib.Path, known_at: str = "latest") -> list[dict[str, Any]]:
    with replay.open_lake(lake) as opened:
        return opened.snapshots("SPY", lakes.DAY, known_at=known_at).to_dicts()


def test_flow_is_signed_valued_and_put_where_it_became_known(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    path = write(
        tmp_path / "t.csv",
        line(at("09:45"), 600.0, "C", 1.2, 3),  # before the first snapshot: bought
        line(at("10:00"), 600.0, "P", 1.0, 4),  # at it: sold
        line(at("10:00") + 1, 600.0, "P", 1.2, 5),  # after it: bought
        line(at("10:00") + 2 * SECOND, 601.0, "C", 1.0, 7, known=at("10:01") + 30 * SECOND),  # late: known after 10:01
        line(at("10:02") + 1, 601.0, "C", 1.2, 9),  # at a strike that 10:03 does not list
        line(at("10:03") + 1, 600.0, "C", 1.2, 11),  # after the last snapshot
    )
    done = ingest(lake, [path], "--preset", "generic")
    assert done.exit_code == 0, done.stderr
    assert "1 became known after they were traded" in done.stdout
    assert "1 became known after the last snapshot, left out" in done.stdout
    assert f"1 at strikes that their snapshot does not list, left out (first: 601, {path}, line 6)" in done.stdout
    assert "2026-07-24  flow in 5 stored rows, 5 new" in done.stdout
    rows = stored(lake)
    assert [each["call_flow"] for each in rows] == [[0, 3, 0], [0, 0, 0], [0, 0, -7], [0, 0]]
    assert [each["put_flow"] for each in rows] == [[0, -4, 0], [0, 5, 0], [0, 0, 0], [0, 0]]
    for vol, known in ((0.2, "2026-07-24T10:10"), (0.3, "latest")):
        second = stored(lake, known)[1]
        wanted = dollars(5, 600.0, "10:01", call=False, vol=vol)
        assert (second["signed_flow"][1], second["gamma_flow"][1]) == (
            pytest.approx(wanted[0]),
            pytest.approx(wanted[1]),
        )
        assert second["signed_flow"][1] < 0  # a bought put
    call, put = dollars(3, 600.0, "10:00", call=True, vol=0.2), dollars(-4, 600.0, "10:00", call=False, vol=0.2)
    assert rows[0]["signed_flow"] == [0.0, pytest.approx(call[0] + put[0]), 0.0]
    assert rows[0]["gamma_flow"] == [0.0, pytest.approx(call[1] + put[1]), 0.0]
    with replay.open_lake(lake) as opened:
        found = opened.heatmap("SPY", "2026-07-24T10:02:30", "signed_flow", known_at="2026-07-24T10:02:30")
    assert found.values[2][2] == pytest.approx(dollars(-7, 601.0, "10:02", call=True, vol=0.2)[0])


def test_again_writes_nothing_and_a_chain_ingested_anew_is_stored_already(
    tmp_path: pathlib.Path, lake: pathlib.Path
) -> None:
    path = write(tmp_path / "t.csv", line(at("10:00"), 600.0, "C", 1.2, 3), line(at("10:02") + 1, 600.0, "C", 1.2, 3))
    ingest(lake, [path], "--preset", "generic")
    before = sorted(lake.rglob("*.parquet"))
    again = ingest(lake, [path], "--preset", "generic")
    assert "flow in 5 stored rows, none new" in again.stdout
    assert sorted(lake.rglob("*.parquet")) == before
    other = ingest(lake, [write(tmp_path / "o.csv", line(at("10:00"), 600.0, "C", 1.2, 4))], "--preset", "generic")
    assert other.exit_code == 2
    assert "give all of a session's trades in one command, by the same rule" in other.stderr
    assert sorted(lake.rglob("*.parquet")) == before


def test_snapshots_that_the_prints_do_not_reach_have_no_flow(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    ingest(lake, [write(tmp_path / "t.csv", line(at("10:00") + 5, 600.0, "C", 1.2, 3))], "--preset", "generic")
    assert [each["call_flow"] for each in stored(lake)] == [[0, 0, 0], [0, 3, 0], None, None]


def test_of_contracts_not_seen_nothing_is_known_before_their_first_print(
    tmp_path: pathlib.Path, lake: pathlib.Path
) -> None:
    first, later = line(at("10:00"), 600.0, "C", 1.2, 3), line(at("10:01") + 5, 599.0, "P", 1.2, 2)
    ingest(lake, [write(tmp_path / "t.csv", first, later)], "--preset", "generic", "--coverage", "seen")
    rows = stored(lake)
    known = [[not math.isnan(value) for value in each["call_flow"]] for each in rows[:3]]
    assert known == [[False, True, False]] * 3
    assert all(math.isnan(value) for each in rows[:2] for value in each["put_flow"])
    assert rows[2]["put_flow"][0] == 2
    worth = dollars(2, 599.0, "10:02", call=False, vol=0.2)[0]
    assert rows[2]["signed_flow"][:2] == [pytest.approx(worth), 0.0]  # one side of a strike counts alone
    assert math.isnan(rows[2]["signed_flow"][2])


def test_without_a_vol_contracts_are_known_and_dollars_are_not(tmp_path: pathlib.Path) -> None:
    vols: dict[str, Any] = {"call_iv": [0.2, math.nan, math.nan], "put_iv": [math.nan, math.nan, 0.0]}
    rows = [row(at(clock), STRIKES, spot=600.5, **vols) for clock in CLOCKS[:2]]
    rows.append(row(at(CLOCKS[2]), STRIKES, spot=600.5))
    rows.append({"ts": at(CLOCKS[3]), "recorded_at": at(CLOCKS[3]), "spot": 600.5, "strike": None})
    lakes.write_foreign(tmp_path / "lake", "SPY", "a.parquet", rows)
    trades = [line(at("10:00"), 599.0, "C", 1.2, 1), line(at("10:00"), 600.0, "C", 1.0, 2)]
    trades += [line(at("10:00"), 601.0, "P", 1.2, 3), line(at("10:02"), 599.0, "C", 1.2, 4)]
    done = ingest(tmp_path / "lake", [write(tmp_path / "t.csv", *trades)], "--preset", "generic")
    assert "4 stored rows name no conventions that are known: valued by replay-1" in done.stdout
    assert "flow in 3 stored rows, 3 new" in done.stdout
    first, second, third, legacy = stored(tmp_path / "lake")
    assert (first["call_flow"], first["put_flow"]) == ([1, -2, 0], [0, 0, 3])
    assert first["signed_flow"][0] == pytest.approx(dollars(1, 599.0, "10:00", call=True, vol=0.2)[0])
    assert math.isnan(first["signed_flow"][1])
    assert math.isnan(first["gamma_flow"][1])
    assert first["signed_flow"][2] == pytest.approx(3 * -1 * 100 * 600.5)  # a vol of 0: in the money, delta -1
    assert first["gamma_flow"][2] == 0
    assert second["signed_flow"] == [0, 0, 0]
    assert third["call_flow"] == [4, 0, 0]
    assert math.isnan(third["signed_flow"][0])
    assert legacy["signed_flow"] is None


def test_dollars_are_by_the_conventions_that_the_stored_file_names(tmp_path: pathlib.Path) -> None:
    rows = [row(at("10:00"), STRIKES, spot=600.5, call_iv=[0.2] * 3, put_iv=[0.2] * 3)]
    with LakeWriter(tmp_path / "lake") as writer:
        metadata = schema.metadata(source="test", conventions="trading-time")
        writer.add(Partition("raw", "SPY", lakes.DAY), lakes.table_of(rows), metadata)
    path = write(tmp_path / "t.csv", line(at("10:00"), 599.0, "P", 1.2, 7))
    assert "conventions" not in ingest(tmp_path / "lake", [path], "--preset", "generic").stdout
    greeks = chains.option_greeks(False, 600.5, 599.0, 360 / (252 * 390), 0.2)
    found = stored(tmp_path / "lake")[0]
    assert found["signed_flow"][0] == pytest.approx(7 * greeks["delta"] * 100 * 600.5)
    assert found["gamma_flow"][0] == pytest.approx(7 * greeks["gamma"] * 100 * 600.5**2 * 0.01)


def test_a_chain_ingested_after_its_trades_is_stored_already(tmp_path: pathlib.Path) -> None:
    options = [chains.row(right=right, strike=strike) for strike in (739.0, 740.0) for right in "CP"]
    chain = ["ingest", "chain", str(chains.write_csv(tmp_path / "c.csv", options)), "--symbol", "SPY"]
    chain += ["--preset", "cboe-recorder", "--lake", str(tmp_path / "lake")]
    assert "1 snapshot written" in CliRunner().invoke(main, chain).stdout
    trade = write(tmp_path / "t.csv", line(at("09:59"), 740.0, "P", 1.2, 5))
    assert "1 new" in ingest(tmp_path / "lake", [trade], "--preset", "generic").stdout
    assert "0 snapshots written, 1 stored already" in CliRunner().invoke(main, chain).stdout
    with replay.open_lake(tmp_path / "lake") as opened:
        found = opened.snapshots("SPY", lakes.DAY, known_at="latest").row(0, named=True)
    delta = chains.option_greeks(False, 740.0, 740.0, 360 / (365 * 24 * 60), 0.2)["delta"]
    assert found["signed_flow"] == [0.0, pytest.approx(5 * delta * 100 * 740.0)]
    assert (found["put_flow"], found["put_bid"]) == ([0.0, 5.0], [1.0, 1.0])


def test_a_chain_corrected_after_its_trades_keeps_their_flow(tmp_path: pathlib.Path) -> None:
    """What the correction is given is what the trades, ingested again, would give it: by its own vols and spot."""

    def chain(name: str, **fields: object) -> str:
        options = [chains.row(right=right, strike=k, **fields) for k in (739.0, 740.0) for right in "CP"]  # type: ignore[arg-type]
        chain = ["ingest", "chain", str(chains.write_csv(tmp_path / name, options)), "--symbol", "SPY"]
        done = CliRunner().invoke(main, [*chain, "--preset", "cboe-recorder", "--lake", str(tmp_path / "lake")])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    chain("c.csv")
    trade = write(tmp_path / "t.csv", line(at("09:59"), 740.0, "P", 1.2, 5), line(at("09:59"), 739.0, "C", 1.0, 2))
    ingest(tmp_path / "lake", [trade], "--preset", "generic")
    later = {"fetched": "2026-07-24 18:00:00", "iv": 0.3, "spot": 741.0}
    assert "1 snapshot written" in chain("corrected.csv", **later)
    found = stored(tmp_path / "lake")[0]
    assert (found["call_flow"], found["put_flow"]) == ([-2.0, 0.0], [0.0, 5.0])
    delta = chains.option_greeks(False, 741.0, 740.0, 360 / (365 * 24 * 60), 0.3)["delta"]
    assert found["signed_flow"][1] == pytest.approx(5 * delta * 100 * 741.0)
    assert "flow in 2 stored rows, none new" in ingest(tmp_path / "lake", [trade], "--preset", "generic").stdout
    assert "0 snapshots written, 1 stored already" in chain("corrected.csv", **later)
    with replay.open_lake(tmp_path / "lake") as opened:
        oi = opened.heatmap("SPY", "2026-07-24T10:00:30", "oi", known_at="latest", oi="effective").values
    assert oi.tolist() == [[198.0, 205.0]]


def test_chains_and_trades_in_any_order_answer_the_same_once_trades_are_ingested_again(tmp_path: pathlib.Path) -> None:
    """A correction of 10:01 drops the strike 739 and lists 742; 7 calls of each are bought before."""

    def chain(name: str, *snapshots: tuple[str, str, tuple[float, ...]]) -> list[str]:
        options = [
            chains.row(f"2026-07-24T{ts}:00", f"2026-07-24 {known}:00", right, strike)
            for ts, known, strikes in snapshots
            for strike in strikes
            for right in "CP"
        ]
        path = chains.write_csv(tmp_path / name, options)
        return ["ingest", "chain", str(path), "--symbol", "SPY", "--preset", "cboe-recorder"]

    own = (739.0, 740.0, 741.0)
    first, second, third = (chain(f"{i}.csv", (f"10:0{i}", f"10:0{i}", own)) for i in range(3))
    correction = chain("b.csv", ("10:01", "18:00", (740.0, 741.0, 742.0)))
    bought = [line(at("10:00:30"), strike, "C", 1.2, 7) for strike in (739.0, 740.0, 742.0)]
    trades = ["ingest", "trades", str(write(tmp_path / "t.csv", *bought)), "--symbol", "SPY", "--preset", "generic"]

    def answers(root: str, *commands: list[str]) -> tuple[list[str], list[str]]:
        said = []
        for command in commands:
            done = CliRunner().invoke(main, [*command, "--lake", str(tmp_path / root)])
            assert done.exit_code == 0, done.stderr
            said.append(done.stdout)
        with replay.open_lake(tmp_path / root) as lake:
            found = []
            for known, oi in itertools.product((None, "latest"), ("settled", "effective")):
                for metric in ("signed_flow", "oi"):
                    shown = lake.heatmap("SPY", "2026-07-24T10:02:30", metric, known_at=known, oi=oi)
                    found.append(str((shown.strikes.tolist(), shown.values.tolist())))
            return said, found

    said, wanted = answers("chains", first, second, third, correction, trades)
    calls_and_puts = [[200.0, 200.0, 200.0, math.nan], [math.nan, 207.0, 200.0, 207.0], [207.0, 207.0, 200.0, math.nan]]
    assert wanted[-1] == str(([739.0, 740.0, 741.0, 742.0], calls_and_puts))
    said, _ = answers("middle", first, second, third, trades, correction)
    assert "1 strikes of revisions whose flow is not known: ingest the trades again" in said[-1]
    assert answers("middle", trades)[1] == wanted
    said, _ = answers("late", first, third, correction, trades, second)
    assert "3 strikes of revisions whose flow is not known: ingest the trades again" in said[-1]
    assert answers("late", trades)[1] == wanted


@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(
    prints=st.lists(
        st.tuples(
            st.integers(-60, 200), st.integers(0, 120), st.sampled_from(STRIKES[:2]), st.sampled_from("CP"),
            st.sampled_from([1.0, 1.05, 1.1, 1.15, 1.2]), st.integers(1, 50),
        ),
        min_size=1, max_size=25,
    ),
    rule=st.sampled_from(RULES),
)  # fmt: skip
def test_contracts_are_conserved_and_none_counts_before_it_is_known(
    tmp_path_factory: pytest.TempPathFactory, prints: list[tuple[int, int, float, str, float, int]], rule: str
) -> None:
    folder = tmp_path_factory.mktemp("flow")
    rows = [row(at(c), STRIKES, spot=600.5, call_iv=[0.2] * 3, put_iv=[0.2] * 3) for c in CLOCKS]
    with LakeWriter(folder / "lake") as writer:
        writer.add(
            Partition("raw", "SPY", lakes.DAY),
            lakes.table_of(rows),
            schema.metadata(source="test", conventions="replay-1"),
        )
    timed = [
        (at("10:00") + s * SECOND, at("10:00") + (s + lag) * SECOND, strike, right, price, size)
        for s, lag, strike, right, price, size in prints
    ]
    path = write(
        folder / "t.csv", *(line(ts, k, right, price, size, known) for ts, known, k, right, price, size in timed)
    )
    ingest_trades([path], folder / "lake", "SPY", "generic", rule=rule)
    order = sorted(range(len(timed)), key=lambda i: (timed[i][1], timed[i][0], i))
    contracts = {pair: n for n, pair in enumerate({(timed[i][2], timed[i][3]) for i in order})}
    made = [timed[i][0] for i in order]
    signs = sign_by_hand([(contracts[timed[i][2], timed[i][3]], timed[i][4], 1.0, 1.2) for i in order], rule, made)
    found = stored(folder / "lake")
    for number, clock in enumerate(CLOCKS):
        since = at(CLOCKS[number - 1]) if number else 0
        for side, right in (("call", "C"), ("put", "P")):
            for k, strike in enumerate(STRIKES):
                wanted = sum(
                    sign * timed[i][5] for i, sign in zip(order, signs, strict=True)
                    if since < timed[i][1] <= at(clock) and (timed[i][2], timed[i][3]) == (strike, right)
                )  # fmt: skip
                flow = found[number][f"{side}_flow"]
                assert (0 if flow is None else flow[k]) == wanted


@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-60, 150), st.integers(0, 90), st.sampled_from(STRIKES), st.sampled_from("CP"),
            st.sampled_from([1.0, 1.05, 1.1, 1.2]), st.integers(1, 9),
        ),
        min_size=1, max_size=15,
    ),
    st.sampled_from(CLOCKS[:3]), st.sampled_from(RULES), st.sampled_from(["chain", "seen"]),
)  # fmt: skip
def test_prints_that_became_known_later_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    prints: list[tuple[int, int, float, str, float, int]],
    until: str,
    rule: str,
    coverage: str,
) -> None:
    folder = tmp_path_factory.mktemp("later")
    rows = [row(at(c), STRIKES, spot=600.5, call_iv=[0.2] * 3, put_iv=[0.2] * 3) for c in CLOCKS]
    lines = [
        (line(at("10:00") + s * SECOND, k, right, price, size, at("10:00") + (s + lag) * SECOND), s + lag)
        for s, lag, k, right, price, size in prints
    ]
    cut = (at(until) - at("10:00")) // SECOND
    found = []
    for name, kept in (("whole", lines), ("early", [each for each in lines if each[1] <= cut])):
        lakes.write_foreign(folder / name, "SPY", "a.parquet", rows)
        if kept:
            path = write(folder / f"{name}.csv", *(text for text, _ in kept))
            ingest_trades([path], folder / name, "SPY", "generic", rule=rule, coverage=coverage)
        found.append(stored(folder / name))
    for whole, early in zip(*found, strict=True):
        for flow in ("signed_flow", "call_flow", "put_flow", "gamma_flow"):
            if early[flow] is not None and whole["ts"] <= lakes.moment(at(until)):
                told = [(a, b) for a, b in zip(whole[flow], early[flow], strict=True) if not math.isnan(b)]
                assert [a for a, _ in told] == [b for _, b in told]


def test_a_quote_of_after_the_trade_is_not_used(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "ts,quote_ts,expiration,strike,right,price,size,bid,ask\n"
        "2026-07-24T10:00:00,2026-07-24T10:00:01,2026-07-24,600,C,1.2,3,1.0,1.2\n"
        "2026-07-24T10:00:00,2026-07-24T09:59:59,2026-07-24,600,C,1.2,3,1.0,1.2\n"
    )
    done = ingest(None, [path], "--preset", "generic", "--classify-only")
    assert f"1 with a quote of after the trade, which is not used (first: {path}, line 2)" in done.stdout
    assert table_of(done.stdout)["without a quote"] == [1, 3, 0, 0, 1]
    assert "by the rule quote: 1 bought, 0 sold, 1 not told" in done.stdout


def test_thetadatas_old_form(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "root,expiration,strike,right,ms_of_day,sequence,size,condition,price,ms_of_day2,bid,ask,date\n"
        "SPY,20260724,600000,C,36000000,1,3,18,1.2,35999999,1.0,1.2,20260724\n"
        "SPY,20260724,600000,C,36000000,2,3,18,1.2,36000001,1.0,1.2,20260724\n"
    )
    done = ingest(None, [path], "--preset", "thetadata", "--classify-only")
    assert done.exit_code == 0, done.stderr
    assert "by the rule quote: 1 bought, 0 sold, 1 not told" in done.stdout
    assert "1 with a quote of after the trade" in done.stdout


THETA = "symbol,expiration,strike,right,trade_timestamp,quote_timestamp,sequence,condition,size,price,bid,ask"


def theta(clock: str, sequence: int, condition: int, price: float, *, size: int = 1, bid: float = 1.0) -> str:
    return (
        f"SPY,2026-07-24,600,C,2026-07-24T{clock},2026-07-24T09:00:00,{sequence},{condition},{size},{price},{bid},1.2"
    )


def test_conditions_cancel_and_come_late(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    lines = [
        theta("09:59:01", 2, 18, 1.1),  # at the mid: no change of price before it
        theta("09:59:01", 1, 18, 1.05, size=10),  # before it by its number: sold
        theta("09:59:02", 3, 40, 1.1, size=100),  # cancels it
        theta("09:59:03", 4, 2, 0.5, size=1000),  # out of sequence: sold, but no price to be held against
        theta("09:59:04", 5, 130, 1.1, size=10_000),  # a leg: at the mid, and since 1.05 the price is up
        theta("09:59:04", 5, 130, 1.1, size=10_000),  # again
    ]
    path.write_text("\n".join([THETA, *lines]) + "\n")
    done = ingest(lake, [path], "--preset", "thetadata")
    assert done.exit_code == 0, done.stderr
    for said in (
        f"1 cancel another print, left out; the other stays (first: {path}, line 4)",
        f"1 repeat another print, left out (first: {path}, line 7)",
        "1 reported late or out of order: no price for the tick test",
        "1 legs of trades in several options, signed by their own quote",
    ):
        assert said in done.stdout
    assert stored(lake)[0]["call_flow"] == [0, 1 - 10 - 1000 + 10_000, 0]


def test_a_map_of_ones_own_with_codes(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[columns]\nts = "t"\ncontract = "osi"\nprice = "px"\nsize = "n"\nbid = "b"\nask = "a"\ncondition = "c"\n'
        '[time]\nzone = "UTC"\ndelay = "90s"\n[condition]\ncancelled = ["X"]\nlate = ["L"]\n'
    )
    (tmp_path / "t.csv").write_text(
        "t,osi,px,n,b,a,c\n2026-07-24 13:59:00,SPY260724C00600000,1.2,3,1,1.2,\n"
        "2026-07-24 13:59:00,SPY   260724C00600000,1.2,5,1,1.2,X\n2026-07-24 13:59:00,SPY260724C600,1.2,7,1,1.2,L\n"
    )
    done = ingest(lake, [tmp_path / "t.csv"], "--columns", str(tmp_path / "m.toml"))
    assert done.exit_code == 0, done.stderr
    assert "1 cancel another print" in done.stdout
    assert "1 rejected: each has a contract that is no OCC symbol" in done.stdout
    assert stored(lake)[1]["call_flow"] == [0, 3, 0]  # known 90 s later, at 10:00:30
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((tmp_path / "m.toml").read_text() + "void = ['V']\n")
    assert "[condition] has void; it takes cancelled, late, legs" in ingest(
        lake, [tmp_path / "t.csv"], "--columns", str(wrong)
    ).stderr  # fmt: skip
    wrong.write_text((tmp_path / "m.toml").read_text().replace('["L"]', '"L"'))
    assert "[condition] late must be a list of texts" in ingest(
        lake, [tmp_path / "t.csv"], "--columns", str(wrong)
    ).stderr  # fmt: skip


GOOD = {"ts": "2026-07-24T10:00:00", "strike": "600", "right": "C", "price": "1", "size": "1", "bid": "1", "ask": "1.2"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bid": "oops"}, "has a bid that is no number"),
        ({"bid": "-0.01"}, "has a bid below 0 or infinite"),
        ({"ask": "inf"}, "has an ask below 0 or infinite"),
        ({"price": "-1"}, "has a price that is no number from 0"),
        ({"price": ""}, "has a price that is no number from 0"),
        ({"size": "1.5"}, "has a size that is no whole number above 0"),
        ({"size": "0"}, "has a size that is no whole number above 0"),
        ({"sequence": "x"}, "has a sequence that is no whole number"),
        ({"strike": "0"}, "has a strike that is no number above 0"),
        ({"right": "X"}, "has a right that is neither call nor put"),
        ({"ts": "soon"}, "has a ts that cannot be read"),
        ({"ts": "2026-07-25T10:00:00"}, "has a ts on a day without a session"),
        ({"ts": "2026-07-27T10:00:00"}, "has an expiration that was before the trade"),
        ({"quote_ts": "soon"}, "has a quote_ts that cannot be read"),
        ({"recorded_at": "2026-07-24T09:59:59"}, "has a recorded_at before its ts"),
        ({"root": "QQQ"}, "has a root that is not SPY"),
    ],
)
def test_rows_that_cannot_be_used_are_counted_with_their_line(
    fields: dict[str, str], reason: str, tmp_path: pathlib.Path
) -> None:
    fill = {
        "expiration": "2026-07-24",
        "recorded_at": GOOD["ts"],
        "quote_ts": GOOD["ts"],
        "sequence": "",
        "root": "SPY",
    }
    columns = [*GOOD, *fill]
    rows = [GOOD | fill, GOOD | fill | {"recorded_at": "2026-07-27T10:00:00"} | fields, GOOD | fill]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([",".join(columns), *(",".join(each[name] for name in columns) for each in rows)]) + "\n")
    if "recorded_at" in fields:
        assert fields["recorded_at"] in path.read_text()
    report = ingest_trades([path], None, "SPY", "generic")
    assert {each: (count.rows, count.line) for each, count in report.tally.rejected.items()} == {reason: (1, 3)}
    assert sum(report.prints.values()) == 2
    strict = ingest(None, [path], "--preset", "generic", "--classify-only", "--strict")
    assert (strict.exit_code, f"t.csv, line 3: the row {reason}" in strict.stderr) == (2, True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["x,x,2026-07-24,600,C,1,1,1,1"], "none of 1 rows can be used"),
        ([line(at("10:00"), 600.0, "C", 1.0, 0)], "none of 1 rows can be used"),
        ([line(at("10:00") + 86_400 * SECOND * 3, 600.0, "C", 1.0, 1)], "none of 1 rows can be used"),
        ([], "holds a header and no rows"),
    ],
)
def test_prints_that_cannot_be_used_are_said(
    tmp_path: pathlib.Path, lake: pathlib.Path, lines: list[str], said: str
) -> None:
    done = ingest(lake, [write(tmp_path / "t.csv", *lines)], "--preset", "generic")
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_trades_need_snapshots_to_go_into(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    path = write(tmp_path / "t.csv", line(at("10:00"), 600.0, "C", 1.0, 1))
    missing = ingest(tmp_path / "none", [path], "--preset", "generic")
    assert "ingest a chain or quotes first" in missing.stderr
    day = write(tmp_path / "d.csv", line(at("10:00"), 600.0, "C", 1.0, 1).replace("-24", "-23"))
    assert "the lake holds no snapshot of SPY on 2026-07-23" in ingest(lake, [day], "--preset", "generic").stderr
    before = sorted(lake.rglob("*.parquet"))
    monday = write(
        tmp_path / "m.csv", line(at("10:00") + 3 * 86_400 * SECOND, 600.0, "C", 1.0, 1).replace("-24", "-27")
    )
    both = ingest(lake, [path, monday], "--preset", "generic")
    assert (both.exit_code, "no snapshot of SPY on 2026-07-27" in both.stderr) == (2, True)
    assert sorted(lake.rglob("*.parquet")) == before, "nothing is written where a session is missing"
    assert "give --lake DIR, or --classify-only" in ingest(None, [path], "--preset", "generic").stderr
    assert "is given twice: its prints would count twice" in ingest(lake, [path, path], "--preset", "generic").stderr
    assert "lacks price, size" in ingest(lake, [write_other(tmp_path)], "--preset", "generic").stderr


def write_other(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "chain.csv"
    path.write_text("ts,expiration,strike,right,bid,ask\n")
    return path
