"""Ingest of trades: signs against plain Python, the published counts, and flow that is conserved and never early."""

from __future__ import annotations

import datetime as dt
import math
import pathlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay import schema
from replay.cli import main
from replay.ingest.signing import RULES, Place, aggressors, places, tick_signs
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


def sign_by_hand(prints: list[tuple[int, float, float, float]], rule: str) -> list[int]:
    """(contract, price, bid, ask) in order -> signs, in exact fractions of a ten-thousandth."""
    last: dict[int, tuple[Fraction, int]] = {}
    signs = []
    for contract, price, bid, ask in prints:
        p = Fraction(round(price * 10_000))
        before, tick = last.get(contract, (p, 0))
        tick = 1 if p > before else -1 if p < before else tick
        last[contract] = (p, tick)
        quoted = math.isfinite(bid) and math.isfinite(ask)
        b, a = (Fraction(round(x * 10_000)) if quoted else Fraction(0) for x in (bid, ask))
        usable = quoted and a > 0 and a >= b and not (a == b == p)
        if rule == "tick" or not usable:
            signs.append(tick)
        elif p >= a:
            signs.append(1)
        elif p <= b:
            signs.append(-1)
        elif rule == "emo" or p == (a + b) / 2:
            signs.append(tick)
        else:
            signs.append(1 if p > (a + b) / 2 else -1)
    return signs


cents = st.integers(0, 40).map(lambda n: n / 100)
quotes = st.one_of(cents, st.just(math.nan), st.just(math.inf))


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), cents.filter(bool), quotes, quotes), max_size=30), st.sampled_from(RULES))
def test_signs_are_those_of_plain_python(prints: list[tuple[int, float, float, float]], rule: str) -> None:
    contract, price, bid, ask = (np.array([each[i] for each in prints]) for i in range(4))
    floats = [each.astype(np.float64) for each in (price, bid, ask)]
    tick = tick_signs(floats[0], contract.astype(np.int64))
    assert aggressors(places(*floats), tick, rule).tolist() == sign_by_hand(prints, rule)


def test_noise_of_doubles_moves_no_price() -> None:
    found = places(np.array([0.1 + 0.2, 0.15]), np.array([0.1, 0.1]), np.array([0.3, 0.2]))
    assert found.tolist() == [Place.ABOVE, Place.MID]


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real trades are not there")
def test_the_published_counts_of_the_real_trades() -> None:
    done = ingest(None, [SAMPLE], "--preset", "thetadata", "--classify-only")
    assert done.exit_code == 0, done.stderr
    counts = [int(line.split()[-2]) for line in done.stdout.splitlines()[2:8]]
    assert counts == [1, 40, 5, 51, 1, 0]
    assert "98 prints of 1 file" in done.stdout
    assert "98 expire on another date, left out" in done.stdout


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


def test_of_contracts_not_seen_nothing_is_known_where_that_is_said(tmp_path: pathlib.Path, lake: pathlib.Path) -> None:
    path = write(tmp_path / "t.csv", line(at("10:02") + 5, 600.0, "C", 1.2, 3))
    ingest(lake, [path], "--preset", "generic", "--coverage", "seen")
    first = stored(lake)[0]
    known = [not math.isnan(value) for value in first["call_flow"]]
    assert known == [False, True, False]
    assert all(math.isnan(value) for value in first["put_flow"])
    assert [not math.isnan(value) for value in first["signed_flow"]] == known


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
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
    assert ingest(folder / "lake", [path], "--preset", "generic", "--rule", rule).exit_code == 0
    order = sorted(range(len(timed)), key=lambda i: (timed[i][1], timed[i][0], i))
    contracts = {pair: n for n, pair in enumerate({(timed[i][2], timed[i][3]) for i in order})}
    signs = sign_by_hand([(contracts[timed[i][2], timed[i][3]], timed[i][4], 1.0, 1.2) for i in order], rule)
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


def test_a_quote_of_after_the_trade_is_not_used(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "ts,quote_ts,expiration,strike,right,price,size,bid,ask\n"
        "2026-07-24T10:00:00,2026-07-24T10:00:01,2026-07-24,600,C,1.2,3,1.0,1.2\n"
        "2026-07-24T10:00:00,2026-07-24T09:59:59,2026-07-24,600,C,1.2,3,1.0,1.2\n"
    )
    done = ingest(None, [path], "--preset", "generic", "--classify-only")
    assert "1 with a quote of after the trade, which is not used" in done.stdout
    assert "by the rule quote: 1 bought, 0 sold, 1 not told" in done.stdout


def test_thetadatas_old_form(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "root,expiration,strike,right,ms_of_day,sequence,size,condition,price,bid,ask,date\n"
        "SPY,20260724,600000,C,36000000,1,3,18,1.2,1.0,1.2,20260724\n"
    )
    done = ingest(None, [path], "--preset", "thetadata", "--classify-only")
    assert done.exit_code == 0, done.stderr
    assert "by the rule quote: 1 bought, 0 sold, 0 not told" in done.stdout


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
    assert "give --lake DIR, or --classify-only" in ingest(None, [path], "--preset", "generic").stderr
    assert "is given twice: its prints would count twice" in ingest(lake, [path, path], "--preset", "generic").stderr
    assert "lacks price, size" in ingest(lake, [write_other(tmp_path)], "--preset", "generic").stderr


def write_other(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "chain.csv"
    path.write_text("ts,expiration,strike,right,bid,ask\n")
    return path
