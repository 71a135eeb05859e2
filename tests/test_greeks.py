"""Greeks against mpmath at 50 digits, QuantLib and published values; vols against correctly rounded prices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from replay.exposure.greeks import Greeks, greeks, implied_vol

NAMES = ("delta", "gamma", "vanna", "charm")
MINUTE, LONGEST = 1 / (365 * 24 * 60), 2.0
VOLS, STRIKES = (0.01, 5.0), (0.2, 5.0)  # the strikes as multiples of spot


@dataclass(frozen=True)
class Option:
    """Exact doubles, and what 50 digits make of them."""

    spot: float
    strike: float
    years: float
    vol: float
    call: bool
    rate: float
    dividend: float

    @property
    def spread(self) -> float:
        return self.vol * math.sqrt(self.years)

    def parts(self) -> Any:
        """side, discounted forward and strike, d1, d2."""
        s, k, t, v, r, q = map(mpmath.mpf, (self.spot, self.strike, self.years, self.vol, self.rate, self.dividend))
        total = v * mpmath.sqrt(t)
        d1 = (mpmath.log(s / k) + (r - q + v * v / 2) * t) / total
        return 1 if self.call else -1, s * mpmath.exp(-q * t), k * mpmath.exp(-r * t), d1, d1 - total

    def price(self) -> Any:
        side, forward, paid, d1, d2 = self.parts()
        return side * (forward * mpmath.ncdf(side * d1) - paid * mpmath.ncdf(side * d2))

    def time_value(self) -> Any:
        side, forward, paid, _, _ = self.parts()
        return self.price() - max(side * (forward - paid), 0)

    def vega(self) -> Any:
        _, forward, _, d1, _ = self.parts()
        return forward * mpmath.npdf(d1) * mpmath.sqrt(self.years)

    def greeks(self) -> dict[str, Any]:
        s, t, v, r, q = map(mpmath.mpf, (self.spot, self.years, self.vol, self.rate, self.dividend))
        side, forward, _, d1, d2 = self.parts()
        density, total = forward / s * mpmath.npdf(d1), v * mpmath.sqrt(t)
        # erfc, as mpmath's ncdf loses digits in the tails.
        delta = side * forward / s * mpmath.erfc(-side * d1 / mpmath.sqrt(2)) / 2
        charm = (density * (d2 / (2 * t) - (r - q) / total) + q * delta) / 365
        return {"delta": delta, "gamma": density / (s * total), "vanna": -density * d2 / v, "charm": charm}


def columns(options: list[Option]) -> list[NDArray[Any]]:
    """spot, strike, years, vol, call, rate, dividend."""
    return [np.array(each) for each in zip(*((*vars(option).values(),) for option in options), strict=True)]


def random_options(seed: int, count: int, deviations: float) -> list[Option]:
    """Over the whole domain, as many deviations about the spot as there are strikes."""
    rng, found = np.random.default_rng(seed), []
    for i in range(count):
        spot = (740.0, 100.0, float(rng.uniform(1, 6000)))[i % 3]
        years = math.exp(rng.uniform(math.log(MINUTE), math.log(LONGEST)))
        vol = math.exp(rng.uniform(math.log(VOLS[0]), math.log(VOLS[1])))
        rate, dividend = (0.0, 0.0) if i % 4 == 0 else rng.uniform(-0.02, 0.10, 2).tolist()
        low, high = (math.log(each) for each in STRIKES)
        away = min(max(rng.uniform(-1, 1) * deviations * vol * math.sqrt(years), low), high)
        found.append(Option(spot, spot * math.exp(away), years, vol, bool(rng.random() < 0.5), rate, dividend))
    return found


def corners() -> list[Option]:
    rates = ((0.0, 0.0), (0.05, 0.013), (-0.02, 0.1))
    multiples = (0.2, 0.5, 0.999, 1 - 1e-9, 1.0, 1 + 2**-52, 1.0001, 5.0)
    grid = itertools.product(multiples, (MINUTE, 1 / 365, 0.25, LONGEST), (*VOLS, 0.15), (True, False), rates)
    return [Option(740.0, 740.0 * m, years, vol, call, *each) for m, years, vol, call, each in grid]


def near_zeros(seed: int, count: int) -> list[Option]:
    """Strikes where d2, which vanna is proportional to, passes 0, and where charm does without a dividend's part."""
    rng, found = np.random.default_rng(seed), []
    for i, each in enumerate(random_options(seed, count, 1.0)):
        carry = (each.rate - each.dividend) * each.years * (1 if i % 2 else -1)
        aside = 0.0 if i % 3 == 0 else float(rng.choice([-1, 1])) * 10 ** rng.uniform(-16, -3)
        found.append(Option(**{**vars(each), "strike": each.spot * math.exp(carry - each.spread**2 / 2) * (1 + aside)}))
        # The double nearest to the vol at which d2 is 0, for a strike a little below the spot.
        strike = each.spot * (1 - 10 ** rng.uniform(-9, -2))
        years = each.years * 0.01 + MINUTE
        with mpmath.workdps(50):
            vol = float(mpmath.sqrt(2 * mpmath.log(mpmath.mpf(each.spot) / mpmath.mpf(strike)) / years))
        if VOLS[0] <= vol <= VOLS[1]:
            found.append(Option(each.spot, strike, years, vol, each.call, 0.0, 0.0))
    return [each for each in found if STRIKES[0] <= each.strike / each.spot <= STRIKES[1]]


def near_charm_zeros(seed: int, count: int) -> list[Option]:
    """Strikes, to the nearest double, where charm's part by the dividend takes away all of the other."""
    found: list[Option] = []
    for each in random_options(seed, 40 * count, 1.0):
        if each.dividend == 0 or len(found) == 2 * count:
            continue

        def charm(log: float, each: Option = each) -> Any:
            return Option(**{**vars(each), "strike": each.spot * math.exp(log)}).greeks()["charm"]

        reach = min(1.6, 7 * each.spread)
        places = np.linspace(-reach, reach, 15).tolist()
        values = [charm(place) for place in places]
        for low, high, below, above in zip(places, places[1:], values, values[1:], strict=False):
            if below * above >= 0:
                continue
            for _ in range(55):
                middle = (low + high) / 2
                low, high = (middle, high) if charm(middle) * below > 0 else (low, middle)
            zero = Option(**{**vars(each), "strike": each.spot * math.exp(low)})
            found += [zero, Option(**{**vars(zero), "strike": zero.strike * (1 + 1e-9)})]
            break
    return found


def hold(options: list[Option]) -> None:
    """Each greek within 1e-12 of itself; where abs(d1) > 8, that or within 1e-300.

    So far out 1e-300 alone is past what a double can do: at d1 = 9 gamma is 1e-19, and its last digit 1e-35.
    """
    found = greeks(*columns(options))
    for i, option in enumerate(options):
        deviations = abs(option.parts()[3])
        for name, expected in option.greeks().items():
            error = abs(mpmath.mpf(float(getattr(found, name)[i])) - expected)
            bound = max(abs(expected) * mpmath.mpf("1e-12"), mpmath.mpf("1e-300") if deviations > 8 else 0)
            assert error <= bound, (name, option, float(deviations), float(error / abs(expected)))


@pytest.fixture(autouse=True)
def _fifty_digits() -> Any:
    with mpmath.workdps(50):
        yield


def twice_cancelled() -> list[Option]:
    """Where charm loses two digits or three to d2, and as many again to the dividend's part."""
    return [
        Option(838.9988010954688, 839.0093504358372, 0.0006994765096335169, 0.014825633991567742, False, 0.016053838489799587, 0.03417526511387907),
        Option(740.0, 740.0112100858694, 0.001469054882842935, 0.04007325818683847, True, 0.0004979026493034527, 0.011569188287098523),
    ]  # fmt: skip


POINTS: dict[str, Callable[[], list[Option]]] = {
    "corners": corners,
    "within 8 deviations": lambda: random_options(1, 400, 8.0),
    "tails": lambda: random_options(2, 300, 60.0),
    "zeros of d2": lambda: near_zeros(3, 250),
    "zeros of charm": lambda: near_charm_zeros(4, 12),
    "twice cancelled": twice_cancelled,
}


@pytest.mark.parametrize("name", POINTS)
def test_each_greek_is_right_to_twelve_digits(name: str) -> None:
    hold(POINTS[name]())


def test_the_points_are_where_they_are_said_to_be() -> None:
    """The points named after a zero lie so near one that plain arithmetic in doubles says nothing there."""
    vanna = [abs(each.parts()[4] / each.parts()[3]) for each in POINTS["zeros of d2"]()]
    assert sum(value < 1e-12 for value in vanna) >= 20
    charm = [
        abs(each.greeks()["charm"] * 365 / (each.dividend * each.greeks()["delta"]))
        for each in POINTS["zeros of charm"]()
    ]
    assert len(charm) == 24
    assert sum(value < 1e-12 for value in charm) >= 8
    assert sum(abs(each.parts()[3]) > 8 for each in POINTS["tails"]()) >= 100


@pytest.mark.parametrize("option", random_options(5, 12, 2.0))
def test_the_reference_is_the_derivative_of_the_price(option: Option) -> None:
    def delta(**other: Any) -> Any:
        return mpmath.diff(lambda x: Option(**{**vars(option), **other, "spot": x}).price(), option.spot)

    expected = {
        "delta": delta(),
        "gamma": mpmath.diff(lambda x: Option(**{**vars(option), "spot": x}).price(), option.spot, 2),
        "vanna": mpmath.diff(lambda x: delta(vol=x), option.vol),
        "charm": -mpmath.diff(lambda x: delta(years=x), option.years) / 365,
    }
    for name, value in option.greeks().items():
        assert abs(value / expected[name] - 1) < 1e-12, name


def test_delta_is_quantlibs() -> None:
    options = [*corners(), *random_options(6, 1500, 8.0), *random_options(7, 500, 60.0)]
    found = greeks(*columns(options)).delta
    for option, delta in zip(options, found, strict=True):
        right = QuantLib.Option.Call if option.call else QuantLib.Option.Put
        forward = option.spot * math.exp((option.rate - option.dividend) * option.years)
        discount = math.exp(-option.rate * option.years)
        payoff = QuantLib.PlainVanillaPayoff(right, option.strike)
        black = QuantLib.BlackCalculator(payoff, forward, option.spread, discount)
        assert delta == pytest.approx(black.delta(option.spot), rel=0, abs=1e-9), option


# Haug, Option Pricing Formulas, McGraw-Hill, 1st ed. 1998. Numbers and pages as QuantLib's
# test-suite/europeanoption.cpp quotes them: (call, strike, spot, dividend, rate, years, vol, published).
HAUG_PRICES = {
    "pages 2-8": [
        (True, 65.0, 60.0, 0.0, 0.08, 0.25, 0.30, 2.1334),
        (False, 95.0, 100.0, 0.05, 0.10, 0.50, 0.20, 2.4648),
        (False, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
        (True, 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
        (True, 1.60, 1.56, 0.08, 0.06, 0.50, 0.12, 0.0291),
        (False, 70.0, 75.0, 0.05, 0.10, 0.50, 0.35, 4.0870),
    ],
    "page 24": [
        (True, 100.0, 90.0, 0.10, 0.10, 0.10, 0.15, 0.0205),
        (True, 100.0, 100.0, 0.10, 0.10, 0.10, 0.25, 3.1217),
        (True, 100.0, 110.0, 0.10, 0.10, 0.50, 0.35, 15.3086),
        (False, 100.0, 90.0, 0.10, 0.10, 0.10, 0.25, 10.2155),
        (False, 100.0, 110.0, 0.10, 0.10, 0.50, 0.15, 1.0646),
    ],
    "page 27": [(True, 40.0, 42.0, 0.08, 0.04, 0.75, 0.35, 5.0975)],
}
HAUG_GREEKS = {
    "pages 11-16": [
        ("delta", True, 100.0, 105.0, 0.10, 0.10, 0.50, 0.36, 0.5946),
        ("delta", False, 100.0, 105.0, 0.10, 0.10, 0.50, 0.36, -0.3566),
        ("gamma", True, 60.0, 55.0, 0.0, 0.10, 0.75, 0.30, 0.0278),
        ("gamma", False, 60.0, 55.0, 0.0, 0.10, 0.75, 0.30, 0.0278),
    ],
}
# The NAG Library's example results of s30abc (bsm_greeks), whose formulas are Haug's: a put, charm a year.
NAG_PUT = Option(spot=55.0, strike=60.0, years=0.7, vol=0.3, call=False, rate=0.1, dividend=0.0)
NAG_GREEKS = {"delta": -0.4770, "gamma": 0.0289, "vanna": 0.2566, "charm": -0.2137}


@pytest.mark.parametrize(("page", "row"), [(page, row) for page, rows in HAUG_PRICES.items() for row in rows])
def test_haugs_published_prices_give_his_vols(page: str, row: tuple[Any, ...]) -> None:
    call, strike, spot, dividend, rate, years, vol, published = row
    found = implied_vol(published, spot, strike, years, call, rate, dividend)
    half_a_digit = 0.51e-4 / float(Option(spot, strike, years, vol, call, rate, dividend).vega())
    assert found == pytest.approx(vol, rel=0, abs=half_a_digit), page


@pytest.mark.parametrize(("page", "row"), [(page, row) for page, rows in HAUG_GREEKS.items() for row in rows])
def test_haugs_published_greeks(page: str, row: tuple[Any, ...]) -> None:
    name, call, strike, spot, dividend, rate, years, vol, published = row
    found = greeks(spot, strike, years, vol, call, rate, dividend)
    assert getattr(found, name) == pytest.approx(published, rel=0, abs=0.51e-4), page


def test_published_vanna_and_charm() -> None:
    found = greeks(**vars(NAG_PUT))
    for name, published in NAG_GREEKS.items():
        scale = 365 if name == "charm" else 1
        assert getattr(found, name) * scale == pytest.approx(published, rel=0, abs=0.51e-4), name


def test_a_vol_comes_back_from_its_correctly_rounded_price() -> None:
    options = [*corners(), *random_options(8, 600, 4.0), *random_options(9, 300, 30.0)]
    options = [each for each in options if each.time_value() > each.spot * 1e-6]
    assert len(options) > 500
    spot, strike, years, vol, call, rate, dividend = columns(options)
    prices = np.array([float(each.price()) for each in options])
    # Half the last digit of no such price is worth that much, so that none is excepted.
    rounding = np.spacing(prices) / 2 / np.array([float(each.vega()) for each in options])
    assert rounding.max() < 1e-9
    np.testing.assert_allclose(implied_vol(prices, spot, strike, years, call, rate, dividend), vol, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("rate", "dividend"), [(0.0, 0.0), (0.05, 0.013), (-0.02, 0.1)])
@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize("strike", [150.0, 733.0, 740.0, 747.0, 3600.0])
def test_there_is_no_vol_at_or_beyond_the_bounds_of_a_price(
    rate: float, dividend: float, call: bool, strike: float
) -> None:
    for years in (MINUTE, 0.1, LONGEST):
        forward, paid = 740.0 * math.exp(-dividend * years), strike * math.exp(-rate * years)
        low, high = max(forward - paid if call else paid - forward, 0.0), forward if call else paid
        outside = [low, math.nextafter(low, 0), low - 0.01, high, math.nextafter(high, 1e9), high + 1, 1e300]
        found = implied_vol(np.array(outside), 740.0, strike, years, call, rate, dividend)
        assert np.isnan(found).all(), found
        assert implied_vol((low + high) / 2, 740.0, strike, years, call, rate, dividend) > 0


ODD = [-math.inf, -740.0, -0.0, 0.0, 5e-324, 1e-200, 1e-9, 0.2, 1.0, 740.0, 1e9, 1e200, 1.7e308, math.inf, math.nan]


@pytest.mark.parametrize(
    ("rate", "dividend"), [(0.0, 0.0), (0.05, 0.013), (-0.02, 0.1), (math.nan, 0.0), (0.0, math.inf), (-math.inf, 0.0)]
)
def test_odd_arguments_neither_warn_nor_give_numbers(rate: float, dividend: float) -> None:
    grid = np.array(list(itertools.product(ODD, ODD, ODD, ODD, (0, 1)))).T
    spot, strike, years, last, call = (*grid[:4], grid[4] == 1)
    valid = np.isfinite(grid).all(axis=0) & (spot > 0) & (strike > 0) & (years > 0) & math.isfinite(rate + dividend)
    vol = implied_vol(last, spot, strike, years, call, rate, dividend)
    assert np.isnan(vol[~(valid & (last > 0))]).all()
    assert ((vol > 0) & (vol < math.inf) | np.isnan(vol)).all()
    found = greeks(spot, strike, years, last, call, rate, dividend)
    # Of numbers a market could hold, however wild, there are greeks.
    usual = valid & (last >= 0) & (last < 1e10) & (years > 1e-10) & (years < 1e3)
    usual &= (spot > 1e-10) & (spot < 1e10) & (strike > 1e-10) & (strike < 1e10)
    for name in NAMES:
        value = getattr(found, name)
        assert np.isnan(value[~(valid & (last >= 0))]).all(), name
        assert not np.isnan(value[usual]).any(), name


@pytest.mark.parametrize("vol", [0.0, 5e-324, 1e-310, 1e-200, 1e-120, 1e-30])
@pytest.mark.parametrize(("rate", "dividend"), [(0.0, 0.0), (0.05, 0.013)])
def test_a_vanishing_vol_has_the_limits(vol: float, rate: float, dividend: float) -> None:
    for strike, call, share in ((730.0, True, 1), (750.0, True, 0), (750.0, False, -1), (730.0, False, 0)):
        found = greeks(740.0, strike, 0.001, vol, call, rate, dividend)
        assert found.delta == pytest.approx(share * math.exp(-dividend * 0.001), rel=1e-15)
        assert found.gamma == 0
        assert found.vanna == 0
        # The last of charm is the dividend's own, which a vol of 0 leaves out.
        assert found.charm == pytest.approx(dividend * float(found.delta) / 365 if vol > 1e-80 else 0, rel=1e-15)


def test_shapes_broadcast() -> None:
    strikes, calls = np.linspace(700, 780, 9), np.array([[True], [False]])
    found = greeks(740.0, strikes, 0.001, 0.2, calls, 0.05, np.full((2, 9), 0.01))
    for i, j in itertools.product(range(2), range(9)):
        alone = greeks(740.0, strikes[j], 0.001, 0.2, bool(calls[i, 0]), 0.05, 0.01)
        for name in NAMES:
            assert getattr(alone, name).shape == ()
            assert getattr(found, name)[i, j] == pytest.approx(float(getattr(alone, name)), rel=1e-13)
    assert implied_vol(10.0, 740.0, strikes, 0.01, calls).shape == (2, 9)
    assert implied_vol(10.0, 740.0, 740.0, 0.01, True).shape == ()
    none = greeks([], [], [], [], [])
    assert [getattr(none, name).shape for name in NAMES] == [(0,)] * 4
    assert implied_vol([], 740.0, [], 0.01, []).shape == (0,)
    with pytest.raises(ValueError, match="shape"):
        greeks(np.ones(3), np.ones(4), 0.001, 0.2, True)
    with pytest.raises(ValueError, match="shape"):
        implied_vol(np.ones(3), np.ones(4), 740.0, 0.001, True)


def test_an_option_is_the_same_in_any_company() -> None:
    """Options are worked on in blocks: what one gets must not hang on where it stands."""
    options = [*random_options(10, 500, 8.0), *near_zeros(11, 60)]
    rows = columns(options)
    once = greeks(*rows)
    many = greeks(*(np.tile(each, 20) for each in rows))
    for name in NAMES:
        expected = np.tile(getattr(once, name), 20)
        np.testing.assert_allclose(getattr(many, name), expected, rtol=1e-13)


def sides(*arguments: float) -> tuple[Greeks, Greeks]:
    spot, strike, years, vol, rate, dividend = arguments
    call, put = (greeks(spot, strike, years, vol, right, rate, dividend) for right in (True, False))
    return call, put


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    multiple=st.floats(*STRIKES), years=st.floats(MINUTE, LONGEST), vol=st.floats(*VOLS),
    rate=st.floats(-0.02, 0.1), dividend=st.floats(-0.02, 0.1),
)  # fmt: skip
def test_a_call_less_its_put_is_a_forward(
    multiple: float, years: float, vol: float, rate: float, dividend: float
) -> None:
    call, put = sides(740.0, 740.0 * multiple, years, vol, rate, dividend)
    paid = math.exp(-dividend * years)
    assert call.delta - put.delta == pytest.approx(paid, rel=1e-14)
    assert call.charm - put.charm == pytest.approx(
        dividend * paid / 365, rel=0, abs=1e-14 * (1 + abs(float(call.charm)))
    )
    assert call.gamma == put.gamma
    assert call.gamma >= 0
    assert call.vanna == put.vanna
