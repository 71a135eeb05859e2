"""Greeks against finite differences at 50 digits, vols against the prices they came from."""

from __future__ import annotations

import datetime as dt
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.exposure.chain import VolOrigin, option_exposures, resolve_vol
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.exposure.greeks import greeks, implied_vol
from replay.sessions import MINUTE, find_session, to_us
from tests import chains

YEAR = 365 * 24 * 60


def price(call: bool, spot: object, strike: float, years: object, vol: object, rate: float, dividend: float) -> object:
    """Black-Scholes-Merton at 50 digits."""
    s, k, t, v = (mpmath.mpf(x) for x in (spot, strike, years, vol))
    d1 = (mpmath.log(s / k) + (rate - dividend + v * v / 2) * t) / (v * mpmath.sqrt(t))
    d2 = d1 - v * mpmath.sqrt(t)
    side = 1 if call else -1
    forward, paid = s * mpmath.exp(-dividend * t), k * mpmath.exp(-rate * t)
    return side * (forward * mpmath.ncdf(side * d1) - paid * mpmath.ncdf(side * d2))


CASES = [
    (call, spot, strike, minutes / YEAR, vol, rate, dividend)
    for call in (True, False)
    for spot, strike in ((740.0, 740.0), (740.0, 745.0), (740.0, 733.0))
    for minutes in (1, 30, 390)
    for vol in (0.05, 0.15, 0.8)
    for rate, dividend in ((0.0, 0.0), (0.05, 0.013))
    if abs(math.log(spot / strike)) < 7 * vol * math.sqrt(minutes / YEAR)
]


@pytest.mark.parametrize(("call", "spot", "strike", "years", "vol", "rate", "dividend"), CASES)
def test_greeks_are_the_derivatives_of_the_price(
    call: bool, spot: float, strike: float, years: float, vol: float, rate: float, dividend: float
) -> None:
    one = np.ones(1)
    found = greeks(spot * one, strike * one, years * one, vol * one, np.array([call]), rate, dividend)
    with mpmath.workdps(50):

        def delta(s: object = spot, t: object = years, v: object = vol) -> object:
            return mpmath.diff(lambda x: price(call, x, strike, t, v, rate, dividend), s)

        expected = {
            "delta": delta(),
            "gamma": mpmath.diff(lambda x: price(call, x, strike, years, vol, rate, dividend), spot, 2),
            "vanna": mpmath.diff(lambda v: delta(v=v), vol),
            "charm": -mpmath.diff(lambda t: delta(t=t), years) / 365,
        }
    for name, value in expected.items():
        assert getattr(found, name)[0] == pytest.approx(float(value), rel=1e-8, abs=1e-12), name


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    call=st.booleans(),
    strike=st.floats(700, 780),
    minutes=st.floats(1, 390),
    vol=st.floats(0.02, 3.0),
)
def test_implied_vol_recovers_the_vol(call: bool, strike: float, minutes: float, vol: float) -> None:
    years = minutes / YEAR
    quoted = chains.bsm_price(call, 740.0, strike, years, vol)
    intrinsic = max(740.0 - strike, 0.0) if call else max(strike - 740.0, 0.0)
    if quoted - intrinsic < 740.0 * 1e-6:
        return
    one = np.ones(1)
    found = implied_vol(quoted * one, 740.0 * one, strike * one, years * one, np.array([call]))
    assert found[0] == pytest.approx(vol, rel=1e-6)


def test_where_a_vol_comes_from() -> None:
    rows = [  # given, bid, ask, strike, call, origin, vol where it is plain
        (0.2, 1.0, 1.1, 740.0, True, VolOrigin.GIVEN, 0.2),
        (0.0, 1.0, 1.1, 740.0, True, VolOrigin.SOLVED, None),
        (np.nan, 1.0, 1.1, 740.0, False, VolOrigin.SOLVED, None),
        (0.0, 0.0, 0.01, 760.0, True, VolOrigin.LIMIT, 0.0),  # no bid
        (0.0, np.nan, 0.01, 760.0, True, VolOrigin.LIMIT, 0.0),
        (0.0, 29.8, 30.1, 710.0, True, VolOrigin.LIMIT, 0.0),  # mid below intrinsic
        (0.0, 29.9, 30.1, 710.0, True, VolOrigin.LIMIT, 0.0),  # mid at intrinsic
        (0.0, np.nan, np.nan, 740.0, True, VolOrigin.UNKNOWN, np.nan),
        (0.0, 0.0, 0.0, 740.0, True, VolOrigin.UNKNOWN, np.nan),
        (0.0, 1.0, np.nan, 740.0, True, VolOrigin.UNKNOWN, np.nan),  # a bid alone settles nothing
        (0.0, 800.0, 810.0, 740.0, True, VolOrigin.UNKNOWN, np.nan),  # above spot: no vol gives that
    ]
    given_vol, bid, ask, strike, call = (np.array([row[i] for row in rows]) for i in range(5))
    spot, years = np.full(len(rows), 740.0), np.full(len(rows), 60 / YEAR)
    vol, origin = resolve_vol(given_vol, bid, ask, spot, strike, years, call.astype(np.bool_))
    assert [VolOrigin(o) for o in origin] == [row[5] for row in rows]
    for i, row in enumerate(rows):
        if row[6] is None:
            assert vol[i] == pytest.approx(chains.bisect_vol(bool(row[4]), 1.05, 740.0, row[3], 60 / YEAR), rel=1e-9)
        else:
            np.testing.assert_equal(vol[i], row[6])


@pytest.mark.parametrize(
    ("call", "strike", "delta"),
    [(True, 730.0, 1.0), (True, 750.0, 0.0), (True, 740.0, 0.5), (False, 750.0, -1.0), (False, 730.0, 0.0), (False, 740.0, -0.5)],
)  # fmt: skip
def test_the_limit_of_no_vol(call: bool, strike: float, delta: float) -> None:
    one = np.ones(1)
    found = greeks(740.0 * one, strike * one, 0.001 * one, 0.0 * one, np.array([call]))
    assert found.delta[0] == delta
    assert (found.gamma[0], found.vanna[0], found.charm[0]) == (0.0, 0.0, 0.0)


def test_unknown_options_are_nan_unless_nobody_holds_them() -> None:
    found = option_exposures(
        spot=np.full(2, 740.0), strike=np.full(2, 740.0), years=np.full(2, 0.001), call=np.array([True, True]),
        open_interest=np.array([10.0, 0.0]), given_vol=np.full(2, np.nan), bid=np.full(2, np.nan), ask=np.full(2, np.nan),
    )  # fmt: skip
    for values in (found.gex, found.dex, found.vex, found.chex):
        assert np.isnan(values[0])
        assert values[1] == 0.0


def test_time_to_the_close_is_on_the_clock_of_the_conventions_and_never_under_the_floor() -> None:
    session = find_session(dt.date(2015, 12, 24))  # a half day: 9:30 to 13:00
    assert session is not None
    opens, close = to_us(session.open), to_us(session.close)
    ts = np.array([opens - 30 * MINUTE, opens, close - 90 * MINUTE, close - MINUTE // 2, close, close + MINUTE])
    calendar = [240, 210, 90, 1, 1, 1]
    assert REPLAY_1.years(session, ts).tolist() == [minutes / (365 * 24 * 60) for minutes in calendar]
    trading = [210, 210, 90, 0.5, 0.25, 0.25]
    found = Conventions(clock="trading", floor=0.25).years(session, ts)
    assert found.tolist() == [minutes / (252 * 390) for minutes in trading]
