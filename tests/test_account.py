"""Margin, greeks, the book of lots, and products: against hand arithmetic, QuantLib, and each other."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  # as its own documentation has it
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.account.book import Book
from replay.account.greeks import option_greeks
from replay.account.legs import Contract, intrinsic
from replay.account.margin import Held, most_owed, requirement
from replay.errors import InvalidRun
from replay.products import product_of

CALL, PUT = Contract("SPY", "C", 600.0), Contract("SPY", "P", 600.0)


def asked(held: list[Held], spot: float = 600.0, share: float = 0.15, mark: float = 2.0) -> float:
    return requirement(held, spot, lambda _, __: mark, share)


class TestMargin:
    """What positions ask for, by hand."""

    @pytest.mark.parametrize(
        ("held", "worth"),
        [
            ([("C", 600.0, 3)], 0.0),  # bought options owe nothing
            ([("C", 600.0, 1), ("C", 605.0, -1)], 0.0),
            ([("C", 600.0, -1), ("C", 605.0, 1)], 500.0),  # a vertical asks for its width
            ([("P", 600.0, -2), ("P", 590.0, 2)], 2000.0),
            ([("P", 595.0, 1), ("P", 600.0, -1), ("C", 600.0, -1), ("C", 605.0, 1)], 500.0),  # a fly for one side
            ([("P", 590.0, 1), ("P", 600.0, -1), ("C", 605.0, -1), ("C", 610.0, 1)], 1000.0),  # a condor for the wider
            ([("C", 595.0, 1), ("C", 600.0, -2), ("C", 605.0, 1)], 0.0),  # a long butterfly owes nothing
            ([("C", 595.0, 1), ("C", 600.0, -2), ("C", 610.0, 1)], 500.0),  # a broken wing the difference
        ],
    )
    def test_defined_risk_is_the_most_that_is_owed(self, held: list[Held], worth: float) -> None:
        assert asked(held) == worth

    def test_naked_call(self) -> None:
        # price 2.00, 15 % of 600 = 90 less nothing at the money, 10 less 10 USD out of it; 10 % of 600 = 60 at least
        assert asked([("C", 600.0, -1)]) == pytest.approx(100 * (2 + 90))
        assert asked([("C", 610.0, -1)]) == pytest.approx(100 * (2 + 80))
        assert asked([("C", 640.0, -1)]) == pytest.approx(100 * (2 + 60))
        assert asked([("C", 590.0, -1)]) == pytest.approx(100 * (2 + 90))
        assert asked([("C", 600.0, -1)], share=0.2) == pytest.approx(100 * (2 + 120))

    def test_naked_put(self) -> None:
        assert asked([("P", 600.0, -1)]) == pytest.approx(100 * (2 + 90))
        assert asked([("P", 580.0, -1)]) == pytest.approx(100 * (2 + 70))
        assert asked([("P", 560.0, -1)]) == pytest.approx(100 * (2 + 56))  # 10 % of its strike

    def test_of_a_naked_straddle_the_dearer_side_and_the_others_price(self) -> None:
        held: list[Held] = [("C", 610.0, -1), ("P", 600.0, -1)]
        prices = {("C", 610.0): 1.0, ("P", 600.0): 3.0}
        found = requirement(held, 600.0, lambda right, strike: prices[right, strike], 0.15)
        assert found == pytest.approx(100 * (3 + 90 + 1))

    def test_a_ratio_spread_is_a_vertical_and_a_naked_one(self) -> None:
        # +1 600, -2 605: the dearest of the sold is naked, the other covered by the one below it
        assert asked([("C", 600.0, 1), ("C", 605.0, -2)]) == pytest.approx(100 * (2 + 85))

    def test_the_dearest_of_the_sold_are_the_naked_ones(self) -> None:
        # puts: the one at 600 is naked, and 520 is covered by 510; calls: 600 is naked, and 690 covered by 700
        assert asked([("P", 600.0, -1), ("P", 520.0, -1), ("P", 510.0, 1)]) == pytest.approx(100 * (2 + 90) + 1000)
        assert asked([("C", 600.0, -1), ("C", 690.0, -1), ("C", 700.0, 1)]) == pytest.approx(100 * (2 + 90) + 1000)

    def test_an_unknown_spot_makes_it_unknown(self) -> None:
        assert math.isnan(asked([("C", 600.0, -1)], spot=math.nan))
        assert asked([("C", 600.0, -1), ("C", 605.0, 1)], spot=math.nan) == 500.0

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 2**32))
    def test_what_is_owed_at_no_price_is_more(self, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311  # data, not secrets
        held: list[Held] = [
            (right, float(strike), rng.randint(-3, 3)) for right in "CP" for strike in range(590, 611, 5)
        ]
        if sum(count for right, _, count in held if right == "C") < 0:
            assert most_owed(held) == math.inf
            return
        most = most_owed(held)
        owed = [
            -100 * sum(count * max((price - k) if right == "C" else (k - price), 0) for right, k, count in held)
            for price in [0, *range(500, 900, 1)]
        ]
        assert most == pytest.approx(max(0, *owed))


class TestGreeks:
    """Against QuantLib's analytic engine."""

    @pytest.mark.parametrize("right", ["C", "P"])
    @pytest.mark.parametrize(("rate", "dividend"), [(0.0, 0.0), (0.045, 0.013)])
    def test_as_quantlib_has_them(self, right: str, rate: float, dividend: float) -> None:
        today = ql.Date(24, 7, 2026)
        ql.Settings.instance().evaluationDate = today
        days, counter = 5, ql.Actual365Fixed()
        kind = ql.Option.Call if right == "C" else ql.Option.Put
        for spot in (560.0, 598.0, 600.0, 603.5, 640.0):
            process = ql.BlackScholesMertonProcess(
                ql.QuoteHandle(ql.SimpleQuote(spot)),
                ql.YieldTermStructureHandle(ql.FlatForward(today, dividend, counter)),
                ql.YieldTermStructureHandle(ql.FlatForward(today, rate, counter)),
                ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.23, counter)),
            )
            option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, 600.0), ql.EuropeanExercise(today + days))
            option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
            found = option_greeks(
                right, np.array([spot]), 600.0, np.array([days / 365]), np.array([0.23]), rate, dividend
            )
            expected = [option.delta(), option.gamma(), option.theta() / 365, option.vega() / 100]
            assert [float(each[0]) for each in found] == pytest.approx(expected, rel=1e-9, abs=1e-12)

    def test_limits_and_unknowns(self) -> None:
        spot = np.array([599.0, 600.0, 601.0, math.nan, 600.0])
        vol = np.array([0.0, 0.0, 0.0, 0.2, math.nan])
        found = option_greeks("C", spot, 600.0, np.full(5, 0.001), vol)
        assert found.delta.tolist()[:3] == [0.0, 0.5, 1.0]
        assert option_greeks("P", spot, 600.0, np.full(5, 0.001), vol).delta.tolist()[:3] == [-1.0, -0.5, 0.0]
        assert all(np.isnan(each[3:]).all() for each in found)
        assert all((each[:3] == 0).all() for each in found[1:])


class TestBook:
    """Lots, first in, first out."""

    def test_by_hand(self) -> None:
        book = Book(10_000_000_000)
        assert book.execute(CALL, 2, 1_000_000, 1)[0] == (-200_000_000, 200_000_000, 0, 0)
        assert book.execute(CALL, 1, 3_000_000, 2)[0] == (-300_000_000, 300_000_000, 0, 0)
        posting, closed = book.execute(CALL, -5, 4_000_000, 3)
        # sold 5 at 4.00: two bought at 1.00, one at 3.00, two opened short
        assert [tuple(each) for each in closed] == [(1, 2, 600_000_000), (2, 1, 100_000_000)]
        assert posting == (2_000_000_000, -1_300_000_000, 0, -700_000_000)
        assert (book.quantity(CALL), book.cost(CALL), book.realised) == (-2, -800_000_000, 700_000_000)
        book.execute(CALL, 2, 5_000_000, 4)
        assert (book.lots, book.realised) == ({}, 500_000_000)
        assert book.cash == 10_000_000_000 + book.realised

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([CALL, PUT]), st.integers(-9, 9), st.integers(0, 10**7)), max_size=40))
    def test_every_posting_balances_and_cash_and_cost_are_what_was_made(
        self, trades: list[tuple[Contract, int, int]]
    ) -> None:
        book, fees = Book(0), 0
        for number, (contract, quantity, price) in enumerate(trades, 1):
            if quantity:
                posting, _ = book.execute(contract, quantity, price, number)
                assert sum(posting) == 0
                assert sum(book.charge(7 * abs(quantity))) == 0
                fees += 7 * abs(quantity)
        held = {contract: sum(q for c, q, _ in trades if c == contract) for contract in (CALL, PUT)}
        assert {contract: book.quantity(contract) for contract in (CALL, PUT)} == held
        assert book.cash == -sum(q * p * 100 for _, q, p in trades) - fees
        assert book.cash + sum(map(book.cost, book.lots)) == book.realised - book.fees
        assert book.spent == sum(map(book.cost, book.lots))
        assert book.held == {contract: sum(lot.quantity for lot in lots) for contract, lots in book.lots.items()}


class TestProducts:
    """What is traded of a symbol."""

    @pytest.mark.parametrize(
        ("symbol", "root", "physical", "ticks"),
        [
            ("SPY", "SPY", True, (10_000, 10_000)),
            ("SPX", "SPXW", False, (50_000, 100_000)),
            ("XSP", "XSP", False, (10_000, 10_000)),
            ("NDX", "NDXP", False, (50_000, 100_000)),
            ("TSLA", "TSLA", True, (10_000, 50_000)),
            ("SNA", "SNA", True, (10_000, 50_000)),
        ],
    )
    def test_roots_delivery_and_ticks(self, symbol: str, root: str, physical: bool, ticks: tuple[int, int]) -> None:
        found = product_of(symbol)
        assert (found.root, found.physical, (found.tick_below, found.tick_above)) == (root, physical, ticks)
        assert (found.tick(2_990_000), found.tick(3_000_000), found.tick(9_000_000, legs=2)) == (*ticks, ticks[0])

    def test_a_root_of_another_symbol(self) -> None:
        with pytest.raises(InvalidRun, match="root 'SPXW' is none of SPY; it has SPY"):
            product_of("SPY", "SPXW")


@pytest.mark.parametrize(
    ("right", "strike", "price", "worth"),
    [
        ("C", 600.0, 600.01, 10_000), ("C", 600.0, 600.009, 0), ("C", 600.0, 612.345, 12_345_000),
        ("P", 600.0, 599.99, 10_000), ("P", 600.0, 599.991, 0), ("P", 600.0, 600.0, 0), ("C", 0.07, 0.1, 30_000),
    ],
)  # fmt: skip
def test_exercise_by_exception_begins_at_a_cent(right: str, strike: float, price: float, worth: int) -> None:
    assert intrinsic(right, strike, price) == worth
