"""Orders, fills and settlement on sessions whose quotes are written by hand."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

import pytest

import replay
from replay import Leg, butterfly, iron_condor, iron_fly, straddle, strangle, vertical
from replay.errors import InputError, InvalidOrder, InvalidRun, InvalidTerms, StrategyFailed
from replay.settlement import Settlements
from tests import lakes
from tests.markets import DAY, MINUTE, SECOND, act, chain, events, every, fills, scripted, store

CALL = Leg("C", 600)
FLAT = {600.0: (1.00, 1.10)}


def settled(price: float, date: dt.date = DAY, symbol: str = "SPY") -> Settlements:
    return Settlements({(symbol, date): price})


def order(*args: Any, **more: Any) -> Any:
    return lambda ctx: ctx.order(*args, **more)


class TestWhen:
    """Which snapshot fills an order, and when its sender learns of it."""

    def test_the_first_snapshot_after_it_was_sent(self, root: pathlib.Path) -> None:
        rows = [chain(f"10:0{i}:30", {600.0: (1.0 + i, 1.1 + i)}) for i in range(5)]
        result = act(store(root, rows), {"10:02": order(CALL)})
        assert fills(result) == [("10:02:30", "C", 600.0, 1, 3.1)]

    def test_never_the_snapshot_of_the_very_instant(self, root: pathlib.Path) -> None:
        rows = [chain(f"10:0{i}", {600.0: (1.0 + i, 1.1 + i)}) for i in range(5)]
        result = act(store(root, rows), {"10:02": order(CALL)})
        assert fills(result) == [("10:03:00", "C", 600.0, 1, 4.1)]

    def test_on_the_markets_clock_whenever_it_was_recorded(self, root: pathlib.Path) -> None:
        """Known 15 minutes late: an order of 10:00 is filled at about 10:00's prices, and is told so at once."""
        rows = [chain(f"{h:02}:{m:02}:20", {600.0: (1 + m / 100, 1.5 + m / 100)}, lag=15 * MINUTE)
                for h, m in [(9, 45), (10, 0), (10, 1), (10, 2), (10, 15), (10, 16)]]  # fmt: skip
        seen: list[Any] = []

        def look(ctx: replay.Context) -> None:
            seen.append((ctx.orders[0].status, ctx.orders[0].price, f"{ctx.ts:%H:%M:%S}"))

        result = act(store(root, rows, cadence_us=MINUTE), {"10:00": order(CALL), "10:01": look})
        assert fills(result) == [("10:00:20", "C", 600.0, 1, 1.5)]
        assert seen == [("filled", 1.5, "09:45:20")]

    def test_in_the_revision_first_recorded(self, root: pathlib.Path) -> None:
        rows = [chain("10:00:30", FLAT), chain("10:01:00", FLAT)]
        store(root, [rows[0] | {"recorded_at": rows[0]["ts"] + 30 * MINUTE, "call_ask": [9.9]}, *rows])
        assert fills(act(root, {"10:00": order(CALL)})) == [("10:00:30", "C", 600.0, 1, 1.1)]

    def test_with_latency_not_before_it_reaches_the_market(self, root: pathlib.Path) -> None:
        rows = every("10:00", "10:05", 10 * SECOND, FLAT)
        for latency, wall in (("0s", "10:00:10"), ("10s", "10:00:10"), ("11s", "10:00:20"), ("30s", "10:00:30")):
            result = act(store(root, rows), {"10:00": order(CALL)}, order_latency=latency)
            assert [each[0] for each in fills(result)] == [wall], latency

    def test_without_an_order_latency_the_runs_counts(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:05", 10 * SECOND, FLAT))
        assert fills(act(root, {"10:00": order(CALL)}, latency="25s"))[0][0] == "10:00:30"
        assert fills(act(root, {"10:00": order(CALL)}, latency="25s", order_latency="0s"))[0][0] == "10:00:10"

    def test_a_snapshot_that_comes_too_late_does_not_fill_a_market_order(self, root: pathlib.Path) -> None:
        rows = every("09:31", "10:00", MINUTE, FLAT) + every("10:05", "10:10", MINUTE, FLAT)
        result = act(store(root, rows), {"10:00": order(CALL)})
        assert events(result, "fill", "expire") == [("10:02:00", "expire", "no snapshot in time")]
        assert fills(act(root, {"10:00": order(CALL)}, max_wait="5m"))[0][0] == "10:05:00"
        assert fills(act(root, {"10:00": order(CALL)}, max_wait="299s")) == []

    def test_a_limit_order_waits_for_the_session(self, root: pathlib.Path) -> None:
        rows = [*every("09:31", "10:00", MINUTE, {600.0: (1.0, 1.1)}), chain("12:00", {600.0: (0.8, 0.9)})]
        store(root, rows)
        assert fills(act(root, {"09:40": order(CALL, limit=0.95)})) == [("12:00:00", "C", 600.0, 1, 0.95)]
        assert events(act(root, {"09:40": order(CALL, limit=0.95, tif="10m")}), "expire") == [
            ("09:50:00", "expire", "no snapshot in time")
        ]

    def test_immediate_or_cancel_has_one_snapshot(self, root: pathlib.Path) -> None:
        rows = [chain("10:00:30", {600.0: (1.0, 1.1)}), chain("10:01", {600.0: (0.8, 0.9)})]
        store(root, rows)
        assert events(act(root, {"10:00": order(CALL, limit=0.95, tif="ioc")}), "fill", "expire") == [
            ("10:00:30", "expire", "limit not reached")
        ]

    def test_an_order_of_the_open_and_one_of_the_close(self, root: pathlib.Path) -> None:
        store(root, every("09:30", "16:00", MINUTE, FLAT))
        result = act(root, {"open": order(CALL), "16:00": order(CALL), "close": order(CALL)})
        assert events(result, "fill", "expire") == [
            ("09:31:00", "fill", None), *[("16:00:00", "expire", "not reached by the close")] * 2
        ]  # fmt: skip

    def test_the_sender_learns_of_it_at_the_next_tick_before_it_acts(self, root: pathlib.Path) -> None:
        store(root, every("09:30:30", "16:00", MINUTE, FLAT))
        told: list[tuple[str, str]] = []

        class Told(replay.Strategy):
            def on_fill(self, ctx: replay.Context, order: replay.Order) -> None:
                told.append((f"fill of #{order.number} {order.filled_at:%H:%M:%S}", f"{ctx.now:%H:%M}"))

            def on_tick(self, ctx: replay.Context) -> None:
                if ctx.now.minute == 0 and ctx.now.hour == 10:
                    ctx.order(CALL)
                if ctx.orders and ctx.now.minute < 3 and ctx.now.hour == 10:
                    told.append((ctx.orders[0].status, f"{ctx.now:%H:%M}"))

        replay.run(Told, root, symbols="SPY")
        assert told == [
            ("working", "10:00"), ("fill of #1 10:00:30", "10:01"), ("filled", "10:01"), ("filled", "10:02")
        ]  # fmt: skip

    def test_working_orders_match_in_the_order_of_time(self, root: pathlib.Path) -> None:
        """Of two limits, the one that the market reaches first is filled first, whichever was sent first."""
        rows = [chain("10:00", {600.0: (1.0, 1.1), 601.0: (0.5, 0.6)}), chain("10:00:20", {600.0: (1.0, 1.1),
                601.0: (0.5, 0.6)}), chain("10:00:30", {600.0: (1.0, 1.1), 601.0: (0.3, 0.4)}),
                chain("10:00:40", {600.0: (0.8, 0.9), 601.0: (0.3, 0.4)})]  # fmt: skip

        def both(ctx: replay.Context) -> None:
            ctx.order(CALL, limit=0.95)
            ctx.order(Leg("C", 601), limit=0.45)

        assert [each[:3] for each in fills(act(store(root, rows), {"10:00": both}))] == [
            ("10:00:30", "C", 601.0), ("10:00:40", "C", 600.0)
        ]  # fmt: skip

    def test_cancelled_before_the_market_comes(self, root: pathlib.Path) -> None:
        store(root, [*every("10:00", "10:10", MINUTE, {600.0: (1.0, 1.1)}), chain("10:11", {600.0: (0.1, 0.2)})])
        withdraw = {"10:00": order(CALL, limit=0.5), "10:05": lambda ctx: ctx.orders[0].cancel()}
        assert events(act(root, withdraw), "fill", "cancel") == [("10:05:00", "cancel", "")]

    def test_a_withdrawal_that_is_still_on_its_way(self, root: pathlib.Path) -> None:
        store(root, [*every("10:00", "10:05", MINUTE, {600.0: (1.0, 1.1)}), chain("10:05:20", {600.0: (0.1, 0.2)})])
        withdraw = {"10:00": order(CALL, limit=0.5), "10:05": lambda ctx: ctx.orders[0].cancel()}
        assert events(act(root, withdraw, order_latency="30s"), "fill", "cancel") == [("10:05:20", "fill", None)]
        assert events(act(root, withdraw, order_latency="20s"), "fill", "cancel") == [("10:05:20", "cancel", "")]


class TestWhere:
    """Other symbols, tiers and statements of the same session."""

    def test_each_symbol_trades_on_its_own_market(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "16:00", MINUTE, FLAT, spot=602.0))
        store(root, every("10:00:20", "16:00", MINUTE, {500.0: (3.0, 3.2)}, spot=505.0), "QQQ")

        def both(ctx: replay.Context) -> None:
            ctx.order(CALL)
            ctx.order(Leg("C", 500), -2, symbol="QQQ")

        seen = []
        result = act(
            root, {"10:00": both, "10:05": lambda ctx: seen.append([p.symbol for p in ctx.portfolio.positions]),
                   "11:00": lambda ctx: ctx.flatten(symbol="QQQ")}, symbols=["SPY", "QQQ"],
        )  # fmt: skip
        assert seen == [["QQQ", "SPY"]]
        assert fills(result) == [
            ("10:00:20", "C", 500.0, -2, 3.0), ("10:01:00", "C", 600.0, 1, 1.1), ("11:00:20", "C", 500.0, 2, 3.2)
        ]  # fmt: skip
        assert result.by_session()["profit"].to_list() == [pytest.approx(100 * (2 - 1.1) - 200 * 0.2)]

    def test_a_symbol_without_data_that_day_fills_nothing(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "16:00", MINUTE, FLAT))
        store(root, every("10:00", "16:00", MINUTE, FLAT, date=dt.date(2026, 7, 23)), "QQQ", dt.date(2026, 7, 23))
        result = act(root, {"10:00": order(CALL, symbol="QQQ")}, symbols=["SPY", "QQQ"], start=DAY)
        assert events(result, "fill", "expire") == [("10:02:00", "expire", "no snapshot in time")]

    def test_the_thinned_tier_is_a_market_of_its_own_cadence(self, root: pathlib.Path) -> None:
        store(root, every("10:00:59", "15:59:59", MINUTE, FLAT, spot=602.0), tier="1m", cadence_us=MINUTE)
        result = act(root, {"10:00": order(CALL)}, tier="1m")
        assert fills(result) == [("10:00:59", "C", 600.0, 1, 1.1)]
        assert result.by_session()["profit"].to_list() == [pytest.approx(90)]

    def test_on_effective_open_interest_fills_are_the_same(self) -> None:
        lake = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
        asked: dict[str, Any] = {"symbols": "SPY", "start": DAY, "end": DAY, "params": {"center": "spot"}}
        plain, stated = (replay.run("pin_fly", lake, oi=oi, **asked) for oi in ("settled", "effective"))
        assert plain.trades().drop("magnet").equals(stated.trades().drop("magnet"))


class TestPrices:
    """What an order pays."""

    QUOTES = ({600.0: (2.00, 2.10), 605.0: (0.50, 0.56)}, {600.0: (1.50, 1.58), 595.0: (0.30, 0.34)})

    def paid(self, root: pathlib.Path, legs: Any, qty: int = 1, **terms: Any) -> float | None:
        store(root, every("10:00", "10:10", MINUTE, *self.QUOTES))
        result = act(root, {"10:00": order(legs, qty)}, **terms)
        prices = result.trades()["price"].to_list()
        return prices[0] if prices else None

    def test_touch_buys_at_the_ask_and_sells_at_the_bid(self, root: pathlib.Path) -> None:
        assert self.paid(root, iron_fly(600, 5)) == pytest.approx(2.10 + 1.58 - 0.50 - 0.30)
        assert self.paid(root, iron_fly(600, 5), -1) == pytest.approx(2.00 + 1.50 - 0.56 - 0.34)

    def test_mid_rounds_against_the_order_to_the_cent(self, root: pathlib.Path) -> None:
        assert self.paid(root, vertical("C", 600, 605), fill="mid") == pytest.approx(2.05 - 0.53)
        assert self.paid(root, Leg("C", 605), fill="mid") == 0.53
        store(root / "odd", every("10:00", "10:10", MINUTE, {600.0: (1.00, 1.05)}))
        bought = act(root / "odd", {"10:00": order(CALL), "10:02": order(CALL, -1)}, fill="mid")
        assert [each[4] for each in fills(bought)] == [1.03, 1.02]

    def test_part_of_the_way_from_mid_to_touch(self, root: pathlib.Path) -> None:
        # mid 1.52, touch 1.60, a quarter of the way 1.54
        assert self.paid(root, vertical("C", 600, 605), fill="mid+25%") == pytest.approx(1.54)
        assert self.paid(root, vertical("C", 600, 605), -1, fill="mid+50%") == pytest.approx(1.48)
        assert self.paid(root, vertical("C", 600, 605), fill="mid+100%") == pytest.approx(1.60)

    def test_index_combinations_trade_in_nickels(self, root: pathlib.Path) -> None:
        quotes = {6000.0: (2.00, 2.30), 6005.0: (0.50, 0.56)}
        store(root, every("10:00", "10:10", MINUTE, quotes), symbol="SPX")
        result = act(root, {"10:00": order(vertical("C", 6000, 6005))}, fill="mid", symbols="SPX")
        assert result.trades()["price"].to_list() == [1.65]  # mid 2.15 - 0.53 = 1.62

    def test_rounding_goes_no_further_than_the_touch(self, root: pathlib.Path) -> None:
        """Quotes that are not on the tick themselves: 1.02 would be 1.05 in nickels, and the ask is 1.03."""
        store(root, every("10:00", "10:10", MINUTE, {6000.0: (1.01, 1.03)}), symbol="SPX")
        acts = {"10:00": order(Leg("C", 6000)), "10:05": order(Leg("C", 6000), -1)}
        assert [each[4] for each in fills(act(root, acts, fill="mid", symbols="SPX"))] == [1.03, 1.01]

    def test_slippage_is_ticks_a_leg(self, root: pathlib.Path) -> None:
        assert self.paid(root, iron_fly(600, 5), slippage=2) == pytest.approx(2.88 + 4 * 0.02)
        assert self.paid(root, iron_fly(600, 5), -1, slippage=2) == pytest.approx(2.60 - 4 * 0.02)
        assert self.paid(root, Leg("P", 595), -1, slippage=40) == 0.0

    def test_a_limit_that_crosses_at_once_pays_the_touch(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:10", MINUTE, *self.QUOTES))
        buy, sell = order(CALL, limit=2.5), order(CALL, -1, limit=1.5)
        assert [each[4] for each in fills(act(root, {"10:00": buy, "10:03": sell}))] == [2.10, 2.00]

    def test_a_resting_limit_is_filled_at_its_limit(self, root: pathlib.Path) -> None:
        asks = [1.50, 1.40, 1.31, 1.30, 1.29, 1.00]
        rows = [chain(f"10:0{i}", {600.0: (0.90, ask)}) for i, ask in enumerate(asks)]
        store(root, rows)
        assert fills(act(root, {"10:00": order(CALL, limit=1.30)})) == [("10:03:00", "C", 600.0, 1, 1.30)]
        assert fills(act(root, {"10:00": order(CALL, limit=1.30)}, epsilon=0.01))[0][::4] == ("10:04:00", 1.30)
        assert fills(act(root, {"10:00": order(CALL, limit=1.30)}, epsilon=0.02))[0][::4] == ("10:05:00", 1.30)

    def test_a_resting_sale_of_a_combination(self, root: pathlib.Path) -> None:
        """The short fly's natural price is 2.60 - 0.90; a sale for 1.80 waits until it is there."""
        puts = {595.0: (0.30, 0.34), 600.0: (1.50, 1.58)}
        rows = [chain(f"10:0{i}", {600.0: (1.1 + i / 100, 1.2 + i / 100), 605.0: (0.50, 0.56)}, puts) for i in range(8)]
        result = act(store(root, rows), {"10:00": order(iron_fly(600, 5), -2, limit=1.75)})
        [sold] = result.trades().to_dicts()
        assert (sold["price"], sold["quantity"], f"{sold['opened_at']:%H:%M}") == (1.75, -2, "10:05")
        assert sum(-row[3] * row[4] for row in fills(result)) == pytest.approx(3.50)

    def test_patient_stands_at_mid_and_then_crosses(self, root: pathlib.Path) -> None:
        quotes = [(1.0, 1.2), (1.0, 1.2), (1.0, 1.2), (1.1, 1.3), (1.1, 1.3)]
        rows = [chain(f"10:0{i}", {600.0: quote}) for i, quote in enumerate(quotes)]
        store(root, rows)
        assert fills(act(root, {"10:00": order(CALL)}, fill="patient")) == [("10:02:00", "C", 600.0, 1, 1.2)]
        assert fills(act(root, {"10:00": order(CALL)}, fill="patient:90s")) == [("10:03:00", "C", 600.0, 1, 1.3)]

    def test_patient_is_filled_at_mid_where_the_market_comes_to_it(self, root: pathlib.Path) -> None:
        quotes = [(1.0, 1.2), (1.0, 1.2), (0.9, 1.1), (0.9, 1.1)]
        rows = [chain(f"10:0{i}", {600.0: quote}) for i, quote in enumerate(quotes)]
        assert fills(act(store(root, rows), {"10:00": order(CALL)}, fill="patient")) == [
            ("10:02:00", "C", 600.0, 1, 1.1)
        ]

    def test_same_fills_on_what_was_seen_and_says_so(self, root: pathlib.Path) -> None:
        rows = [chain(f"10:0{i}", {600.0: (1.0 + i, 1.1 + i)}) for i in range(5)]
        result = act(store(root, rows), {"10:02": order(CALL)}, fill="same")
        assert fills(result) == [("10:02:00", "C", 600.0, 1, 3.1)]
        assert result.ledger().filter(event="fill")["how"].to_list() == ["same"]
        assert result.by_session()["same_fills"].to_list() == [1]

    def test_same_tells_of_its_fill_at_the_next_tick_too(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:10", MINUTE, FLAT))
        told = []

        class Told(replay.Strategy):
            def on_fill(self, ctx: replay.Context, order: replay.Order) -> None:
                told.append((order.number, f"{ctx.now:%H:%M}"))

            def on_tick(self, ctx: replay.Context) -> None:
                if f"{ctx.now:%H:%M}" == "10:02":
                    assert ctx.order(CALL).is_filled

        replay.run(Told, root, symbols="SPY", fill="same")
        assert told == [(1, "10:03")]

    def test_mid_touch_and_worst_of_a_fill(self, root: pathlib.Path) -> None:
        """Worst is the dearer touch of this snapshot and the next, and a tick more."""
        rows = [chain("10:00", FLAT), chain("10:01", {600.0: (1.0, 1.1)}), chain("10:02", {600.0: (1.2, 1.4)})]
        result = act(store(root, rows), {"10:00": order(CALL, 3)}, settlement=settled(602.0))
        [row] = result.by_session().to_dicts()
        assert [row[name] for name in ("profit", "mid", "touch", "worst")] == pytest.approx(
            [300 * (2 - 1.1), 300 * (2 - 1.05), 300 * (2 - 1.1), 300 * (2 - 1.41)]
        )


class TestMisses:
    """Quotes that fill nothing."""

    @pytest.mark.parametrize(
        ("quote", "qty", "reason"),
        [
            ((None, None), 1, "no quote"),
            ((1.0, None), 1, "no quote"),
            ((1.0, None), -1, "no quote"),
            ((0.0, 0.0), 1, "no quote"),
            ((1.0, 1e6), 1, "no quote"),
            ((1.0, float("inf")), -1, "no quote"),
            ((1.2, 1.1), 1, "crossed"),
            ((1.2, 1.1), -1, "crossed"),
            ((0.0, 0.05), -1, "no bid"),
            ((None, 0.05), -1, "no bid"),
            ((0.5, 0.9), 1, "too wide"),
            ((0.0, 0.15), 1, "too wide"),
        ],
    )
    def test_is_counted_and_the_next_snapshot_is_tried(
        self, root: pathlib.Path, quote: tuple[float | None, float | None], qty: int, reason: str
    ) -> None:
        rows = [chain("10:00", FLAT), chain("10:01", {600.0: quote}), chain("10:02", FLAT)]
        result = act(store(root, rows), {"10:00": order(CALL, qty)})
        assert events(result, "miss", "fill") == [("10:01:00", "miss", reason), ("10:02:00", "fill", None)]
        assert result.by_session()["misses"].to_list() == [1]

    def test_a_cheap_option_without_a_bid_can_be_bought(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:02", MINUTE, {600.0: (0.0, 0.05)}))
        assert fills(act(root, {"10:00": order(CALL)}))[0][4] == 0.05

    def test_all_legs_or_none(self, root: pathlib.Path) -> None:
        rows = [chain(f"10:0{i}", {600.0: (1.0, 1.1), 605.0: (0.5, None if i < 3 else 0.6)}) for i in range(5)]
        result = act(store(root, rows), {"10:00": order(vertical("C", 605, 600))}, max_wait="5m")
        assert events(result, "miss", "fill") == [
            ("10:01:00", "miss", "no quote"), ("10:02:00", "miss", "no quote"), *[("10:03:00", "fill", None)] * 2
        ]  # fmt: skip

    def test_a_strike_that_is_not_listed_and_a_legacy_row(self, root: pathlib.Path) -> None:
        legacy = lakes.row(lakes.at("10:02"), None)
        rows = [chain("10:00", FLAT), chain("10:01", {601.0: (1.0, 1.1)}), legacy, chain("10:03", FLAT)]
        result = act(store(root, rows), {"10:00": order(CALL)}, max_wait="5m")
        assert [each[2] for each in events(result, "miss")] == ["strike not listed", "no chain"]
        assert len(fills(result)) == 1

    def test_nothing_usable_in_time_expires_with_the_last_reason(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:10", MINUTE, {600.0: (1.2, 1.1)}))
        assert events(act(root, {"10:00": order(CALL)}), "expire") == [("10:02:00", "expire", "crossed")]

    def test_how_wide_is_an_option(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:10", MINUTE, {600.0: (0.5, 0.9)}))
        assert fills(act(root, {"10:00": order(CALL)}, max_spread="60%"))[0][4] == 0.9
        assert fills(act(root, {"10:00": order(CALL)}, max_spread="inf"))[0][4] == 0.9
        assert fills(act(root, {"10:00": order(CALL)}, max_spread=0.57)) == []


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[dt.date]]:
    """A lake of sixteen sessions with the same quotes, in each of which one order can be held."""
    root = tmp_path_factory.mktemp("payoffs") / "lake"
    every_day = (dt.date(2026, 6, 1) + dt.timedelta(i) for i in range(60))
    dates = [day for day in every_day if replay.find_session(day)][:16]
    quotes = {float(k): (1.0, 1.0) for k in range(585, 616)}
    for date in dates:
        store(root, every("10:00", "10:05", MINUTE, quotes, quotes, date=date), date=date)
    return root, dates


class TestSettlement:
    """One price for all options of a session, or none."""

    def held(self, root: pathlib.Path, legs: Any, qty: int = 1, **asked: Any) -> Any:
        return act(root, {"10:00": order(legs, qty)}, **asked).by_session().to_dicts()[0]

    @pytest.mark.parametrize(
        "price", [590.0, 594.99, 595.0, 597.31, 599.995, 600.0, 600.005, 600.01, 603.0, 605.0, 617.5]
    )
    def test_payoffs_by_hand(self, days: tuple[pathlib.Path, list[dt.date]], price: float) -> None:
        """Each builder held to settlement, against its diagram; less than a cent in the money is not exercised."""

        def call(strike: float) -> float:
            cents = round((price - strike) * 100, 3)
            return cents / 100 if cents >= 1 else 0.0

        def put(strike: float) -> float:
            cents = round((strike - price) * 100, 3)
            return cents / 100 if cents >= 1 else 0.0

        diagrams = {
            iron_fly(600, 5): call(600) + put(600) - call(605) - put(595),
            butterfly(600, 5): call(595) - 2 * call(600) + call(605),
            butterfly(600, 5, "P"): put(595) - 2 * put(600) + put(605),
            iron_condor(597, 603, 4): call(603) + put(597) - call(607) - put(593),
            vertical("C", 600, 605): call(600) - call(605),
            vertical("P", 600, 595): put(600) - put(595),
            straddle(600): call(600) + put(600),
            strangle(597, 603): call(603) + put(597),
        }
        if round(price * 100) == price * 100:  # on whole cents the diagrams are those of the textbook
            off = abs(price - 600)
            shapes = [min(off, 5.0), max(5 - off, 0.0), max(5 - off, 0.0), min(max(off - 3, 0.0), 4.0)]
            assert list(diagrams.values())[:4] == pytest.approx(shapes, abs=1e-9)
        root, dates = days
        held = [(legs, qty, worth) for legs, worth in diagrams.items() for qty in (1, -3)]
        asked = dict(zip(dates, held, strict=True))
        result = act(
            root, {"10:00": lambda ctx: ctx.order(*asked[ctx.session.date][:2])},
            settlement=Settlements({("SPY", date): price for date in dates}),
        )  # fmt: skip
        profits = result.by_session()["profit"].to_list()
        assert profits == pytest.approx(
            [100 * qty * (worth - sum(leg.ratio for leg in legs)) for legs, qty, worth in held], abs=1e-6
        )
        for legs, worth in diagrams.items():
            assert replay.payoff(legs, price) == pytest.approx(worth, abs=1e-9)

    def test_a_box_at_parity_loses_exactly_the_fees(self, root: pathlib.Path) -> None:
        calls, puts = {595.0: (6.2, 6.2), 605.0: (1.4, 1.4)}, {595.0: (0.9, 0.9), 605.0: (6.1, 6.1)}
        store(root, every("10:00", "10:05", MINUTE, calls, puts))
        box = [("C", 595, 1), ("C", 605, -1), ("P", 605, 1), ("P", 595, -1)]
        for price in (590.0, 600.37, 640.0):
            for qty in (1, -7):
                row = self.held(root, box, qty, settlement=settled(price), fill="mid", fees="us-broker")
                bought, sold = 0.65 + 0.02 + 0.02815, 0.65 + 0.02 + 0.02815 + 0.00244
                assert row["profit"] == pytest.approx(-abs(qty) * 2 * (bought + sold), abs=1e-9)
                assert row["fees"] == -row["profit"]

    def test_the_file_before_the_last_spot(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "16:00", MINUTE, FLAT, spot=604.0))
        assert (row := self.held(root, CALL))["settlement_source"] == "spot"
        assert (row["settlement"], row["profit"]) == (604.0, pytest.approx(400 - 110))
        row = self.held(root, CALL, settlement=settled(603.0))
        assert (row["settlement_source"], row["profit"]) == ("file", pytest.approx(300 - 110))

    def test_without_a_fresh_spot_it_is_not_settled_and_says_so(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "15:57", MINUTE, FLAT, spot=604.0))
        result = act(root, {"10:00": order(CALL)})
        [row] = result.by_session().to_dicts()
        assert (row["settled"], row["profit"], row["equity"], row["open_contracts"]) == (False, None, None, 1)
        assert row["unsettled_because"] == "the last spot is of 15:57:00, 3.0 minutes before the close"
        assert result.run["trading"]["unsettled_sessions"] == ["2026-07-24"]
        assert result.equity()["equity"].to_list()[-1] is None
        assert events(result, "unsettled")[0][0] == "16:00:00"
        assert self.held(root, CALL, gaps="carry:1m")["settled"]
        assert not self.held(root, CALL, gaps="carry:59s")["settled"]

    def test_a_session_that_is_flat_at_the_close_needs_no_price(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "11:00", MINUTE, FLAT))
        result = act(root, {"10:00": order(CALL), "10:30": lambda ctx: ctx.flatten()})
        assert result.by_session().to_dicts()[0]["profit"] == pytest.approx(-10)

    def test_both_legs_of_a_vertical_settle_at_one_price(self, root: pathlib.Path) -> None:
        """Between the strikes: the long one is worth its intrinsic value and the short one nothing."""
        store(root, every("10:00", "10:05", MINUTE, {600.0: (3.0, 3.0), 605.0: (1.0, 1.0)}))
        result = act(root, {"10:00": order(vertical("C", 600, 605))}, settlement=settled(602.5))
        rows = result.ledger().filter(event="settlement").to_dicts()
        assert [(row["strike"], row["price"], row["spot"]) for row in rows] == [
            (600.0, 2.5, 602.5),
            (605.0, 0.0, 602.5),
        ]

    def test_a_half_day_settles_at_its_own_close(self, root: pathlib.Path) -> None:
        date = dt.date(2026, 11, 27)
        store(root, every("10:00", "13:00", MINUTE, FLAT, spot=604.0, date=date), date=date)
        result = act(root, {"10:00": order(CALL), "12:59": order(CALL), "13:00": order(CALL)})
        assert [each[0] for each in events(result, "fill", "settlement", "expire")] == [
            "10:01:00", "13:00:00", "13:00:00", "13:00:00"
        ]  # fmt: skip
        assert result.by_session()["profit"].to_list() == [pytest.approx(2 * 400 - 220)]

    def test_spxw_on_a_third_friday_settles_at_the_close(self, root: pathlib.Path) -> None:
        date = dt.date(2026, 7, 17)
        store(root, every("10:00", "16:00", MINUTE, {6000.0: (1.0, 1.1)}, spot=6010.0, date=date), "SPX", date)
        result = act(root, {"10:00": order(Leg("C", 6000))}, symbols="SPX")
        assert result.run["terms"]["roots"] == {"SPX": "SPXW"}
        assert result.by_session()["profit"].to_list() == [pytest.approx(1000 - 110)]

    @pytest.mark.parametrize(("symbol", "root_"), [("SPX", "SPX"), ("NDX", "NDX"), ("VIX", "VIXW"), ("RUT", "RUT")])
    def test_roots_that_settle_at_the_open_are_refused(self, root: pathlib.Path, symbol: str, root_: str) -> None:
        store(root, every("10:00", "10:05", MINUTE, FLAT), symbol)
        with pytest.raises(InvalidRun, match=f"{root_} options are AM-settled: they stop trading the day before"):
            replay.run(scripted({}), root, symbols=symbol, root=root_)

    def test_a_symbol_that_has_no_other_can_be_replayed_but_not_traded(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:05", MINUTE, {20.0: (1.0, 1.1)}), "VIX")
        assert act(root, {}, symbols="VIX").status == "complete"
        with pytest.raises(StrategyFailed, match="VIX options are AM-settled"):
            act(root, {"10:00": order(Leg("C", 20))}, symbols="VIX")

    def test_physical_delivery_and_its_pin(self, root: pathlib.Path) -> None:
        quotes = {float(k): (1.0, 1.0) for k in range(595, 606)}
        store(root, every("10:00", "10:05", MINUTE, quotes, quotes))
        row = self.held(root, iron_fly(600, 5), -2, settlement=settled(600.40))
        # Two short calls at 600 are assigned: 200 shares are delivered. 600's calls and puts lie within 0.1 %.
        assert (row["assigned_shares"], row["pin_contracts"], row["open_contracts"]) == (-200, 4, 8)
        assert row["settlement_value"] == pytest.approx(-80.0)
        row = self.held(root, iron_fly(600, 5), -2, settlement=settled(600.61))
        assert row["pin_contracts"] == 0

    def test_cash_settlement_assigns_nothing(self, root: pathlib.Path) -> None:
        quotes = {float(k): (1.0, 1.0) for k in (5995, 6000, 6005)}
        store(root, every("10:00", "10:05", MINUTE, quotes, quotes), "SPX")
        row = self.held(root, iron_fly(6000, 5), -2, settlement=settled(6003.0, symbol="SPX"), symbols="SPX")
        assert (row["assigned_shares"], row["pin_contracts"], row["settlement_value"]) == (0, 0, -600.0)

    def test_sessions_start_anew_and_equity_is_chained(self, root: pathlib.Path) -> None:
        days = [dt.date(2026, 7, 20 + i) for i in range(4)]
        for i, day in enumerate(days):
            store(
                root, every("10:00", "16:00" if i != 2 else "11:00", MINUTE, FLAT, spot=601.0 + i, date=day), date=day
            )
        result = act(root, {"10:00": order(CALL)}, capital=1000.0)
        rows = result.by_session()
        assert rows["profit"].to_list() == [pytest.approx(-10), pytest.approx(90), None, pytest.approx(290)]
        assert rows["equity"].to_list() == [pytest.approx(990), pytest.approx(1080), None, pytest.approx(1370)]
        opens = result.equity().group_by("session", maintain_order=True).first()["cash"].to_list()
        assert opens == pytest.approx([1000, 990, 1080, 1080])

    def test_a_strategy_that_carries_state_carries_its_cash(self, root: pathlib.Path) -> None:
        days = [dt.date(2026, 7, 20 + i) for i in range(3)]
        for day in days:
            store(root, every("10:00", "16:00", MINUTE, FLAT, spot=603.0, date=day), date=day)
        seen = []

        class Carries(replay.Strategy):
            carries_state = True

            def on_tick(self, ctx: replay.Context) -> None:
                if f"{ctx.now:%H:%M}" == "10:00":
                    seen.append(ctx.portfolio.cash)
                    ctx.order(CALL)

        result = replay.run(Carries, root, symbols="SPY", fees="zero", capital=1000)
        assert seen == pytest.approx([1000, 1190, 1380])
        assert result.by_session()["equity"].to_list() == pytest.approx([1190, 1380, 1570])


class TestSettlementFile:
    """Prices from a file, and what is wrong with it."""

    def read(self, tmp_path: pathlib.Path, text: str) -> Settlements:
        from replay.settlement import read_settlements

        path = tmp_path / "s.csv"
        path.write_text(text, encoding="utf-8")
        return read_settlements(path)

    def test_reads_price_or_settlement(self, tmp_path: pathlib.Path) -> None:
        found = self.read(tmp_path, "\ufeffsymbol,date,price,note\n spy ,2026-07-24,738.93,x\n\nQQQ,2026-07-24,1,y\n")
        assert found.prices == {("SPY", DAY): 738.93, ("QQQ", DAY): 1.0}
        assert self.read(tmp_path, "date,Settlement,symbol\n2026-07-24,2,SPY\n").prices == {("SPY", DAY): 2.0}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("symbol,date\n", "line 1: has the columns symbol, date; symbol, date and price are needed"),
            ("symbol,date,price\n", "holds no settlement price"),
            ("symbol,date,price\nSPY,2026-07-25,1\n", "line 2: 2026-07-25 is no session of the exchange"),
            ("symbol,date,price\nSPY,24/07/2026,1\n", "line 2: date '24/07/2026' is not a date"),
            ("symbol,date,price\nSPY,2026-07-24,0\n", "line 2: price '0' is not a number above 0"),
            ("symbol,date,price\nSPY,2026-07-24,nan\n", "line 2: price 'nan' is not a number above 0"),
            ("symbol,date,price\nSPY,2026-07-24\n", "line 2: has 2 fields; the header has 3"),
            ("symbol,date,price\nSPY,2026-07-24,1\nspy,2026-07-24,2\n", "line 3: a second price of SPY 2026-07-24"),
        ],
    )
    def test_names_the_line(self, tmp_path: pathlib.Path, text: str, said: str) -> None:
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            self.read(tmp_path, text)


class TestFees:
    """What is charged."""

    def test_each_leg_and_contract_both_ways(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "16:00", MINUTE, FLAT))
        result = act(root, {"10:00": order(CALL, 3), "11:00": lambda ctx: ctx.flatten()}, fees=0.65)
        assert result.by_session()["fees"].to_list() == [pytest.approx(6 * 0.65)]
        assert result.ledger().filter(event="fee")["fees"].to_list() == pytest.approx([3 * 0.65] * 2)

    def test_a_file_with_an_exercise_fee(self, root: pathlib.Path, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "fees.toml"
        path.write_text("commission = 0.5\nexercise = 5\n", encoding="utf-8")
        store(root, every("10:00", "16:00", MINUTE, {600.0: (1, 1), 610.0: (1, 1)}, spot=605.0))

        def two(ctx: replay.Context) -> None:
            ctx.order(CALL, 2)
            ctx.order(Leg("C", 610), 2)

        result = act(root, {"10:00": two}, fees=str(path))
        assert result.by_session()["fees"].to_list() == [pytest.approx(4 * 0.5 + 2 * 5)]

    def test_auto_takes_the_index_fee_where_options_settle_in_cash(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "16:00", MINUTE, FLAT), "SPX")
        store(root, every("10:00", "16:00", MINUTE, FLAT), "SPY")
        fees = [
            act(root, {"10:00": order(CALL)}, fees="auto", symbols=symbol).by_session()["fees"].item()
            for symbol in ("SPX", "SPY")
        ]
        assert fees == pytest.approx([0.69815 + 0.65, 0.69815])

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"fees": "free"}, "fees 'free': give auto, zero, us-broker, index"),
            ({"fees": -1}, "fees -1: give"),
            ({"fees": "none.toml"}, "fees none.toml: No such file"),
            ({"fill": "best"}, "fill 'best' is not one of touch, mid"),
            ({"fill": "mid+101%"}, r"fill 'mid\+101%'"),
            ({"slippage": -1}, "slippage -1 is not a whole number of ticks"),
            ({"slippage": 0.5}, "slippage 0.5 is not"),
            ({"capital": 0}, "capital 0 is not an amount"),
            ({"epsilon": -0.01}, "epsilon -0.01 is not an amount"),
            ({"max_wait": "soon"}, "max_wait 'soon' cannot be read"),
            ({"max_spread": "0"}, "max_spread '0' is not a share"),
            ({"order_latency": "-1s"}, "order_latency '-1s' cannot be read"),
        ],
    )
    def test_wrong_terms(self, root: pathlib.Path, asked: dict[str, Any], said: str) -> None:
        store(root, every("10:00", "10:05", MINUTE, FLAT))
        with pytest.raises(InvalidTerms, match=said):
            act(root, {}, **asked)


class TestAudit:
    """What the market's clock shows is no look-ahead; what a strategy makes of the future is."""

    def test_fills_on_what_is_known_later_are_honest(self, root: pathlib.Path) -> None:
        rows = [chain(f"{10 + m // 60}:{m % 60:02}:20", {600.0: (1 + m / 100, 1.1 + m / 100)}, lag=15 * MINUTE)
                for m in range(120)]  # fmt: skip
        store(root, rows, cadence_us=MINUTE)

        def buys(ctx: replay.Context) -> dict[str, Any] | None:
            if ctx.now.minute % 20 == 0 and ctx.now.hour < 12 and not ctx.portfolio:
                ctx.order(CALL)
            elif ctx.now.minute % 20 == 7:
                ctx.flatten()
            last = ctx.orders[-1] if ctx.orders else None
            return {"price": last.price, "status": last.status} if last else None

        found = replay.audit(buys, root, symbols="SPY", fees="zero", sample=4)
        assert not found, str(found.to_text())

    def test_orders_alone_give_a_leak_away(self, root: pathlib.Path) -> None:
        """It records nothing, and orders by what its session will have closed at."""
        store(root, every("10:00", "16:00", MINUTE, FLAT, spot=602.0))

        def peeks(ctx: replay.Context) -> None:
            if f"{ctx.now:%H:%M}" == "10:30":
                line = ctx._ticks.tape.tracks[0]
                ctx.order(CALL, 1 if line.spot[-1] > 600 else -1)

        found = replay.audit(peeks, root, symbols="SPY", fees="zero", step="30m", sample=None)
        assert [each.kind for each in found.findings] == ["future"] * len(found.findings)
        assert any(each.field == "order" for each in found.findings)


class TestPortfolio:
    """What a strategy may know of its account."""

    def test_prices_are_those_it_can_see(self, root: pathlib.Path) -> None:
        """Known five minutes late: at 10:04 the quotes of 9:59 are seen, though the fill was of 10:00:30."""
        rows = [chain(f"{h:02}:{m:02}:30", {600.0: (m / 10, m / 10 + 0.2)}, lag=5 * MINUTE)
                for h, m in [(9, 50 + i) for i in range(10)] + [(10, i) for i in range(10)]]  # fmt: skip
        seen = []

        def look(ctx: replay.Context) -> None:
            [held] = ctx.portfolio.positions
            seen.append((held.quantity, held.price, held.bid, held.ask, ctx.portfolio.unrealised("touch")))

        store(root, rows, cadence_us=MINUTE)
        act(root, {"10:05": order(CALL, 2), "10:08": look})
        # filled at 10:05:30's ask of 0.7; seen at 10:08: the quotes of 10:02:30
        assert seen[0] == pytest.approx((2, 0.7, 0.2, 0.4, 200 * (0.2 - 0.7)))

    def test_cash_profit_and_what_is_asked_for(self, root: pathlib.Path) -> None:
        calls, puts = {600.0: (2.0, 2.1), 605.0: (0.5, 0.6)}, {600.0: (2.0, 2.1), 595.0: (0.5, 0.6)}
        store(root, every("10:00", "16:00", MINUTE, calls, puts))
        seen: dict[str, float] = {}

        def look(ctx: replay.Context) -> None:
            own = ctx.portfolio
            seen.update(cash=own.cash, mid=own.unrealised(), touch=own.unrealised("touch"), value=own.value())
            seen.update(asked=own.requirement, power=own.buying_power, equity=own.equity(), profit=own.profit())

        result = act(root, {"10:00": order(iron_fly(600, 5), -2), "10:05": look}, capital=10_000, fees=1)
        # sold for 4.0 - 1.2 = 2.8 twice; mid 4.1 - 1.1 = 3.0; closing costs 4.2 - 1.0 = 3.2
        assert seen == pytest.approx(
            {"cash": 10_000 + 560 - 8, "mid": -40, "touch": -80, "value": -600, "asked": 1000, "power": 9552,
             "equity": 9952, "profit": -48}
        )  # fmt: skip
        told = next(row for row in result.equity().to_dicts() if f"{row['at']:%H:%M}" == "10:05")
        assert [told[name] for name in ("cash", "value", "equity", "profit", "touch", "contracts", "mark_age")] == (
            pytest.approx([10_552, -600, 9952, -48, -88, 8, 0])
        )

    def test_an_order_beyond_buying_power_is_rejected(self, root: pathlib.Path) -> None:
        calls, puts = {600.0: (2.0, 2.0), 605.0: (0.5, 0.5)}, {600.0: (2.0, 2.0), 595.0: (0.5, 0.5)}
        store(root, every("10:00", "16:00", MINUTE, calls, puts))
        fly = order(iron_fly(600, 5), -1)  # asks for 500, brings 300
        for capital, what in ((200.0, "fill"), (199.99, "reject")):
            result = act(root, {"10:00": fly}, capital=capital)
            assert {each[1] for each in events(result, "fill", "reject")} == {what}, capital
        result = act(root, {"10:00": order(CALL, 6)}, capital=1000)
        assert events(result, "fill", "reject") == [("10:01:00", "reject", "buying power")]
        assert result.by_session()["rejected"].to_list() == [1]

    def test_what_frees_buying_power_is_never_rejected(self, root: pathlib.Path) -> None:
        rows = every("10:00", "10:30", MINUTE, {600.0: (2.0, 2.0)}) + every("10:31", "16:00", MINUTE, {600.0: (90, 90)})
        store(root, rows)
        result = act(root, {"10:00": order(CALL, -1), "11:00": lambda ctx: ctx.flatten()}, capital=9_000)
        assert [each[4] for each in fills(result)] == [2.0, 90.0]
        assert result.by_session()["equity"].to_list() == [pytest.approx(9000 - 8800)]

    def test_flatten_leaves_long_options_nobody_bids_for(self, root: pathlib.Path) -> None:
        calls = {600.0: (2.0, 2.1), 605.0: (0.0, 0.05)}
        store(root, every("10:00", "16:00", MINUTE, calls, spot=600.0))
        result = act(root, {"10:00": order(vertical("C", 605, 600)), "11:00": lambda ctx: ctx.flatten()})
        assert fills(result)[2:] == [("11:01:00", "C", 600.0, 1, 2.1)]
        assert result.by_session()["open_contracts"].to_list() == [1]

    def test_greeks_are_the_sum_of_the_positions(self, root: pathlib.Path) -> None:
        rows = every("10:00", "16:00", MINUTE, FLAT, FLAT, call_iv=[0.2], put_iv=[0.2])
        seen = []
        act(
            store(root, rows),
            {"10:00": order(straddle(600), 2), "12:00": lambda ctx: seen.append(ctx.portfolio.greeks)},
        )
        years = 4 * 60 / (365 * 24 * 60)
        bumped = [_black_scholes(600 + bump, 600, years, 0.2) for bump in (-0.01, 0, 0.01)]
        delta, gamma = (bumped[2] - bumped[0]) / 0.02, (bumped[2] - 2 * bumped[1] + bumped[0]) / 1e-4
        vega = (_black_scholes(600, 600, years, 0.2001) - _black_scholes(600, 600, years, 0.1999)) / 0.02
        day = 1e-7
        theta = (_black_scholes(600, 600, years - day, 0.2) - _black_scholes(600, 600, years + day, 0.2)) / (
            2 * day * 365
        )
        assert seen[0] == pytest.approx([200 * delta, 200 * gamma, 200 * theta, 200 * vega], rel=1e-4)


def _black_scholes(spot: float, strike: float, years: float, vol: float) -> float:
    """A straddle, by the textbook."""
    import math
    from statistics import NormalDist

    d1 = (math.log(spot / strike) + vol * vol / 2 * years) / (vol * math.sqrt(years))
    d2, cdf = d1 - vol * math.sqrt(years), NormalDist().cdf
    return spot * cdf(d1) - strike * cdf(d2) + strike * cdf(-d2) - spot * cdf(-d1)


class TestWrongOrders:
    """What cannot be ordered is said, and nothing is sent."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (([],), "an order needs at least one leg"),
            (([("X", 600, 1)],), "right 'X' is neither C nor P"),
            (([("C", 600, 0)],), "ratio 0 is not a whole number"),
            (([("C", -5, 1)],), "strike -5 is not a price above 0"),
            (([("C", float("nan"), 1)],), "strike nan is not a price"),
            (([("C", 600, 1), ("C", 600.0, -1)],), "600C stands in two legs"),
            ((CALL, 0), "quantity 0 is not a whole number"),
            ((CALL, 10_001), "quantity 10001 is not a whole number of combinations up to 10,000"),
            ((CALL, 1.5), "quantity 1.5 is not a whole number"),
            ((CALL, 1, 1.005), "limit 1.005 is no multiple of 0.01"),
            ((CALL, 1, "x"), "limit 'x' is not a price"),
            ((CALL, 1, 1.0, "day"), "tif 'day' cannot be read"),
            ((5,), "legs 5: give Leg"),
        ],
    )
    def test_is_an_error_of_the_strategy(self, root: pathlib.Path, arguments: Any, said: str) -> None:
        store(root, every("10:00", "10:05", MINUTE, FLAT))
        with pytest.raises(StrategyFailed, match=f"invalid_order: {said}") as caught:
            act(root, {"10:01": order(*arguments)})
        assert isinstance(caught.value.__cause__, InvalidOrder)

    def test_ticks_of_index_options(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:05", MINUTE, FLAT), "SPX")
        with pytest.raises(StrategyFailed, match=r"limit 1\.01 is no multiple of 0\.05"):
            act(root, {"10:00": order(CALL, 1, 1.01)}, symbols="SPX")
        with pytest.raises(StrategyFailed, match=r"limit 3\.05 is no multiple of 0\.1, the tick of SPX options"):
            act(root, {"10:00": order(CALL, 1, 3.05)}, symbols="SPX")
        act(root, {"10:00": order(vertical("C", 600, 605), 1, 3.05)}, symbols="SPX")

    def test_a_context_outside_of_a_run_takes_none(self, root: pathlib.Path) -> None:
        store(root, every("10:00", "10:05", MINUTE, FLAT))
        ticks = replay.open_lake(root).tape("SPY", DAY).ticks()
        with pytest.raises(InvalidOrder, match="orders are taken in a run"):
            replay.Context({"SPY": ticks}, {}).order(CALL)

    @pytest.mark.parametrize(
        "build", [lambda: iron_fly(600, 0), lambda: strangle(605, 600), lambda: butterfly(600, -1)]
    )
    def test_builders_refuse_what_is_none(self, build: Any) -> None:
        with pytest.raises(InvalidOrder):
            build()
