"""Option chains for tests: rows as a recorder would write them, and their exposures by plain scalar arithmetic."""

from __future__ import annotations

import csv
import gzip
import io
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

HEADER = (  # noqa: SIM905  # reads as the file does
    "fetched_at_et,quote_ts,spot,expiry,type,strike,bid,ask,bid_size,ask_size,last_trade_price,"
    "iv,delta,gamma,theta,vega,rho,volume,open_interest"
).split(",")


def row(
    ts: str = "2026-07-24T10:00:00",
    fetched: str = "2026-07-24 10:15:30",
    right: str = "C",
    strike: object = 740.0,
    **fields: object,
) -> dict[str, object]:
    """One row of the cboe-recorder form."""
    values: dict[str, object] = {
        "spot": 740.0, "expiry": "2026-07-24", "bid": 1.0, "ask": 1.1, "iv": 0.2, "volume": 10.0, "open_interest": 100.0
    }  # fmt: skip
    return {"fetched_at_et": fetched, "quote_ts": ts, "type": right, "strike": strike} | values | fields


def pair(**fields: object) -> list[dict[str, object]]:
    """A call and a put of one strike."""
    return [row(right="C", **fields), row(right="P", **fields)]  # type: ignore[arg-type]  # fields of row()


def csv_text(rows: Iterable[dict[str, object]], header: Sequence[str] = HEADER) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n", restval="", extrasaction="raise")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_csv(path: pathlib.Path, rows: Iterable[dict[str, object]]) -> pathlib.Path:
    """Rows as CSV, or CSV.gz by the name."""
    data = csv_text(rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def bsm_price(call: bool, spot: float, strike: float, years: float, vol: float) -> float:
    """Black-Scholes-Merton with rate and dividend 0."""
    d1 = math.log(spot / strike) / (vol * math.sqrt(years)) + 0.5 * vol * math.sqrt(years)
    d2 = d1 - vol * math.sqrt(years)
    if call:
        return spot * normal_cdf(d1) - strike * normal_cdf(d2)
    return strike * normal_cdf(-d2) - spot * normal_cdf(-d1)


def bisect_vol(call: bool, price: float, spot: float, strike: float, years: float) -> float:
    """The vol that gives a price, by bisection on the out-of-the-money side."""
    inside = max(spot - strike, 0.0) if call else max(strike - spot, 0.0)
    out_of_money = call if inside == 0 else not call
    low, high = 1e-6, 50.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if bsm_price(out_of_money, spot, strike, years, middle) < price - inside:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def option_greeks(call: bool, spot: float, strike: float, years: float, vol: float) -> dict[str, float]:
    """Delta, gamma, vanna (per unit of vol) and charm (per day), by the textbook's formulas at rate 0."""
    root = math.sqrt(years)
    d1 = math.log(spot / strike) / (vol * root) + 0.5 * vol * root
    d2 = d1 - vol * root
    density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    return {
        "delta": normal_cdf(d1) - (0.0 if call else 1.0),
        "gamma": density / (spot * vol * root),
        "vanna": -density * d2 / vol,
        "charm": density * d2 / (2.0 * years) / 365.0,
    }


def strike_exposures(call: dict[str, Any], put: dict[str, Any], years: float) -> dict[str, float]:
    """gex, dex, vex, chex of one strike from a call's and a put's row, vols solved where they must be."""
    total = {"gex": 0.0, "dex": 0.0, "vex": 0.0, "chex": 0.0}
    for is_call, each in ((True, call), (False, put)):
        spot, strike = float(each["spot"]), float(each["strike"])
        bid, ask, vol = float(each["bid"]), float(each["ask"]), float(each["iv"] or 0)
        intrinsic = max(spot - strike, 0.0) if is_call else max(strike - spot, 0.0)
        mid = 0.5 * (bid + ask)
        if vol == 0 and bid > 0 and mid - intrinsic > 0:
            vol = bisect_vol(is_call, mid, spot, strike, years)
        if vol > 0:
            greeks = option_greeks(is_call, spot, strike, years, vol)
        else:
            ahead = 1.0 if is_call else -1.0
            delta = 0.5 * ahead if spot == strike else (ahead if intrinsic > 0 else 0.0)
            greeks = {"delta": delta, "gamma": 0.0, "vanna": 0.0, "charm": 0.0}
        side, shares = (1.0 if is_call else -1.0), float(each["open_interest"]) * 100.0
        total["gex"] += side * greeks["gamma"] * shares * spot * spot * 0.01
        total["dex"] += greeks["delta"] * shares * spot
        total["vex"] += side * greeks["vanna"] * shares * spot * 0.01
        total["chex"] += side * greeks["charm"] * shares * spot
    return total
