"""Random strategies on random quotes: against a second broker, and money that is neither made nor lost on the way."""

from __future__ import annotations

import datetime as dt
import pathlib
import random
import tempfile
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.engine.result import Result
from tests import lakes, second_broker
from tests.lakes import MINUTE, SECOND, Row
from tests.markets import store
from tests.second_broker import Asked

STRIKES = [596.0, 598.0, 600.0, 602.0, 604.0]
CLOSE = lakes.at("16:00")


def some_quote(rng: random.Random, fair: float) -> tuple[float | None, float | None]:
    """Mostly two sides around a price; now and then none, one, crossed or wide."""
    kind = rng.random()
    bid = max(round(fair - rng.choice([0.01, 0.02, 0.05]), 2), 0.0)
    ask = round(fair + rng.choice([0.01, 0.02, 0.05]), 2)
    if kind < 0.03:
        return None, None
    if kind < 0.06:
        return None, ask
    if kind < 0.08:
        return bid, None
    if kind < 0.10:
        return ask, bid
    if kind < 0.13:
        return bid, round(2 * ask + 0.2, 2)
    return bid, ask


def some_session(rng: random.Random) -> list[Row]:
    """Snapshots at an uneven step with a hole, strikes that come and go, known late, corrected later."""
    ts, spot, rows = lakes.at("15:00") + rng.randint(0, 50) * SECOND, 600.0, []
    while ts <= CLOSE + 2 * MINUTE:
        spot = round(spot + rng.gauss(0, 0.3), 2)
        own = [k for k in STRIKES if rng.random() > 0.02] or STRIKES
        time_value = 1.2 * max((CLOSE - ts) / (60 * MINUTE), 0.02)
        calls = [some_quote(rng, max(spot - k, 0) + max(time_value - abs(spot - k) / 6, 0.02)) for k in own]
        puts = [some_quote(rng, max(k - spot, 0) + max(time_value - abs(spot - k) / 6, 0.02)) for k in own]
        rows.append(
            lakes.row(
                ts, own, lag=rng.choice([0, 800_000, 90 * SECOND]), spot=spot,
                call_bid=[q[0] for q in calls], call_ask=[q[1] for q in calls],
                put_bid=[q[0] for q in puts], put_ask=[q[1] for q in puts],
            )
        )  # fmt: skip
        ts += rng.choice([20, 30, 30, 30, 30, 40]) * SECOND if rng.random() > 0.02 else 6 * MINUTE
    return rows


def some_legs(rng: random.Random) -> tuple[second_broker.Leg, ...]:
    kinds: list[Any] = [
        lambda: replay.iron_fly(rng.choice([598, 600, 602]), 2),
        lambda: replay.butterfly(rng.choice([598, 600, 602]), 2, rng.choice("CP")),
        lambda: replay.iron_condor(598, 602, 2),
        lambda: replay.vertical(rng.choice("CP"), *rng.sample(STRIKES, 2)),
        lambda: replay.straddle(rng.choice(STRIKES)),
        lambda: replay.strangle(598, 602),
        lambda: (replay.Leg(rng.choice("CP"), rng.choice(STRIKES), rng.choice([1, -1])),),
        lambda: (replay.Leg("C", 598, 1), replay.Leg("C", 602, rng.choice([-2, 3]))),
    ]
    return tuple((leg.right, leg.strike, leg.ratio) for leg in rng.choice(kinds)())


def run_script(root: pathlib.Path, asked: list[Asked], **terms: Any) -> tuple[Result, list[replay.Order]]:
    """Run a strategy that sends and withdraws what it is told; its orders are kept."""
    kept: list[replay.Order] = []

    def script(ctx: replay.Context) -> None:
        now = (ctx.now - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        for each, sent in zip(asked, kept, strict=False):
            if each.withdrawn == now:
                sent.cancel()
        for each in asked[len(kept) :]:
            if each.sent != now:
                break
            tif = each.tif if isinstance(each.tif, str) else f"{each.tif}us"
            kept.append(ctx.order(list(each.legs), each.quantity, each.limit, tif))

    asked_for: dict[str, Any] = {"fees": "zero", "capital": 1e9, "gaps": "carry:15m"} | terms
    result = replay.run(script, root, symbols="SPY", **asked_for)
    return result, kept


def some_orders(rng: random.Random, count: int) -> list[Asked]:
    made = []
    for minute in sorted(rng.randint(0, 58) for _ in range(count)):
        sent, legs, qty = lakes.at("15:00") + minute * MINUTE, some_legs(rng), rng.choice([-3, -1, 1, 2])
        limit = round(rng.uniform(-0.5, 2.5), 2) if rng.random() < 0.5 else None
        tif: Any = rng.choice(["session", "session", "ioc", rng.randint(1, 400) * SECOND])
        withdrawn = sent + rng.randint(1, 12) * MINUTE if rng.random() < 0.3 else None
        made.append(Asked(sent, legs, qty, limit, tif, None if withdrawn and withdrawn > CLOSE else withdrawn))
    return made


@pytest.mark.parametrize("seed", range(25))
def test_every_order_as_the_second_broker_has_it(seed: int, root: pathlib.Path) -> None:
    rng = lakes.dice(f"broker {seed}")
    rows = some_session(rng)
    late = [row | {"recorded_at": row["recorded_at"] + 3600 * SECOND, "call_ask": [9.0] * len(row["strike"])}
            for row in rng.sample(rows, 10)]  # fmt: skip
    store(root, rows + late)
    asked = some_orders(rng, 12)
    latency, epsilon = rng.choice([0, 0, 5, 45]) * SECOND, rng.choice([0.0, 0.02])
    max_wait = rng.choice([None, 90 * SECOND])
    share = rng.choice([1, 0, 0.25])
    fill = {1: "touch", 0: "mid", 0.25: "mid+25%"}[share]
    result, orders = run_script(
        root, asked, fill=fill, epsilon=epsilon, order_latency=f"{latency}us",
        max_wait=None if max_wait is None else f"{max_wait}us",
    )  # fmt: skip
    assert len(orders) == len(asked)
    profit = Fraction(0)
    spot = [row for row in rows if row["ts"] <= CLOSE][-1]["spot"]
    missed = result.ledger().filter(event="miss")
    for number, (mine, theirs) in enumerate(zip(orders, asked, strict=True), 1):
        out = second_broker.follow(
            rows, theirs, CLOSE, latency=latency, epsilon=epsilon, max_wait=max_wait, share=Fraction(str(share))
        )
        assert mine.status == out.status, (number, theirs, out, str(mine), mine.reason)
        assert mine.filled == out.at
        assert missed.filter(order=number)["reason"].to_list() == [reason for _, reason in out.misses]
        if out.paid is not None:
            sign = 1 if theirs.quantity > 0 else -1
            assert mine.price == pytest.approx(float(sign * out.paid), abs=2e-6)
            profit += abs(theirs.quantity) * (sign * second_broker.worth(theirs.legs, spot) - out.paid) * 100
    [row] = result.by_session().to_dicts()
    assert row["settled"]
    assert row["profit"] == pytest.approx(float(profit), abs=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    fill=st.sampled_from(["touch", "mid", "mid+33%", "patient", "same"]),
    fees=st.sampled_from(["zero", "us-broker", "0.37"]),
    slippage=st.integers(0, 3),
)
def test_no_money_is_made_or_lost_on_the_way(seed: int, fill: str, fees: str, slippage: int) -> None:
    rng = lakes.dice(seed)
    with tempfile.TemporaryDirectory() as folder:
        root = store(pathlib.Path(folder) / "lake", some_session(rng))
        result, _ = run_script(root, some_orders(rng, 15), fill=fill, fees=fees, slippage=slippage, capital=50_000)
        ledger, equity, trades = result.ledger(), result.equity(), result.trades()
        [row] = result.by_session().to_dicts()
    postings = ledger.select("cash", "position", "fees", "profit").drop_nulls()
    # every event is posted twice
    assert np.abs(postings.sum_horizontal().to_numpy()).max(initial=0) < 1e-6
    # cash is what the ledger's cash says, tick by tick, and equity is cash and value
    for at, cash, value, total in equity.select("at", "cash", "value", "equity").iter_rows():
        assert cash == pytest.approx(50_000 + (ledger.filter(pl.col("at") <= at)["cash"].sum() or 0), abs=1e-6)
        assert total == pytest.approx(cash + value, abs=1e-6)
    # fills and settlements by themselves say what was made
    traded = ledger.filter(pl.col("event").is_in(["fill", "settlement"]))
    money = traded.select(pl.col("quantity") * pl.col("price"))["quantity"].to_list()
    made = -sum(money) * 100 - sum(ledger.filter(event="fee")["fees"].to_list())
    assert row["profit"] == pytest.approx(made, abs=1e-6)
    assert trades["profit"].sum() == pytest.approx(made, abs=1e-6)
    assert -sum(postings["profit"].to_list()) - sum(postings["fees"].to_list()) == pytest.approx(made, abs=1e-6)
    assert postings["position"].sum() == pytest.approx(0, abs=1e-6)
    # contracts: what was bought and sold and settled is nothing in the end
    left = traded.group_by("right", "strike").agg(pl.col("quantity").sum())
    assert not any(left["quantity"].to_list())
    assert equity["contracts"][-1] == 0
    # other prices only move what crossed: worst is no better than touch
    assert row["worst"] <= row["touch"] + 1e-6
    if fill == "touch" and slippage == 0:
        assert row["touch"] == pytest.approx(row["profit"], abs=1e-6)
        assert row["mid"] >= row["touch"] - 1e-6


def test_the_same_trades_are_the_same_bytes(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rng = lakes.dice("bytes")
    store(root, some_session(rng))
    asked = some_orders(rng, 15)
    for name in ("one", "two"):
        run_script(root, asked, out=tmp_path / name)
    for each in ("ledger", "equity", "trades", "sessions"):
        one, two = ((tmp_path / name / f"{each}.parquet").read_bytes() for name in ("one", "two"))
        assert one == two
