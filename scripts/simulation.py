"""A simulated 0DTE session: a spot pulled to a strike, its option chain, and the snapshots of it.

Prices are rounded to the cent, vols to four decimals and contracts to one before exposures are computed from them, so
what is stored is a function of rounded inputs. Draws are a PCG64 bit stream turned into numbers here, because numpy
promises the bits of its generators to be the same in every version, but not its distributions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from replay import schema
from replay.exposure.chain import CONTRACT_SIZE, option_exposures
from replay.exposure.conventions import REPLAY_1
from replay.exposure.greeks import greeks
from replay.ragged import Bools, Floats, Ints, Ragged
from replay.sessions import NEW_YORK, SECOND, Session, find_session, to_us

CADENCE: Final = 30 * SECOND
PULL: Final = 1.6
"""Hourly drift is PULL (pin - spot) / (hours left + SOFT_HOURS): a distance shrinks like a power of the time left."""
SOFT_HOURS: Final = 0.12
REALISED: Final = 0.7
"""Spot moves with this share of the implied vol: what the pull leaves of it."""
HOURS_A_YEAR: Final = 365 * 24
RECENTRE: Final = 1.5
"""How far spot goes from the centre of a drifting strike window before the window follows, USD."""

STALE: Final = (dt.time(11, 0), dt.time(11, 30))
"""When the corrected session's open interest was the evening's before, both inclusive."""
RESTATED: Final = ((dt.time(11, 10), dt.time(11, 15)), (dt.time(15, 0), dt.time(15, 10)))
"""When its trades were signed the wrong way, both inclusive."""
STALE_KNOWN: Final = dt.time(13, 5)
RESTATED_KNOWN: Final = dt.time(18, 30)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one session is to be; dollars, strikes a dollar apart, New York wall-clock times.

    ``reach`` is how many strikes are simulated on either side of the pin, ``window`` how many around spot are
    listed (``None``: all). Snapshots before ``strikes_from`` are legacy rows; those strictly inside ``hole`` are
    missing; ``corrected`` adds the corrections that :func:`snapshots` tells of.
    """

    name: str
    symbol: str
    date: dt.date
    purpose: str
    pin: int
    start: float
    vol: float
    reach: int
    window: int | None = None
    strikes_from: dt.time = dt.time.min
    hole: tuple[dt.time, dt.time] | None = None
    corrected: bool = False

    @property
    def session(self) -> Session:
        """The exchange's session of the date."""
        session = find_session(self.date)
        if session is None:
            raise ValueError(f"{self.date} is no session")
        return session

    def instant(self, wall: dt.time) -> int:
        """A wall-clock time of the date, microseconds since the epoch."""
        return to_us(dt.datetime.combine(self.date, wall, NEW_YORK))


class _Draws:
    """Numbers from one seeded PCG64 bit stream, in the order asked for."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))

    def uniform(self, *shape: int) -> Floats:
        """Between 0 and 1, both exclusive."""
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), np.uint64)
        return ((raw >> np.uint64(11)).astype(np.float64) + 0.5).reshape(shape) * 2.0**-53

    def normal(self, *shape: int) -> Floats:
        """Standard normal."""
        return np.asarray(ndtri(self.uniform(*shape)), np.float64)


@dataclass(frozen=True, slots=True)
class _Side:
    """Calls or puts: open interest (K,), all else (R, K); ``given_vol`` is NaN where nothing is bid for time value."""

    open_interest: Floats
    stale_interest: Floats
    bid: Floats
    ask: Floats
    given_vol: Floats
    flow: Floats
    volume: Floats


@dataclass(frozen=True, slots=True)
class _Market:
    """R instants of K strikes."""

    ts: Ints
    spot: Floats
    strike: Floats
    calls: _Side
    puts: _Side
    latency: Ints


def snapshots(plan: Plan, seed: int) -> list[pa.Table]:
    """The session's snapshots as they were recorded, one table a recording, columns as ``schema.ARROW``.

    A corrected session is recorded three times: live, when the open interest of :data:`STALE` was the evening's
    before and the trades of :data:`RESTATED` had the wrong sign; at :data:`STALE_KNOWN`, with the open interest put
    right; at :data:`RESTATED_KNOWN`, with the trades put right.
    """
    market = _simulate(plan, _Draws(seed))
    stale, restated = _within(plan, market.ts, STALE), np.zeros(len(market.ts), np.bool_)
    for span in RESTATED:
        restated |= _within(plan, market.ts, span)
    none = np.zeros_like(restated)
    live = market.ts + market.latency
    if not plan.corrected:
        kept = none | True if plan.hole is None else ~_within(plan, market.ts, plan.hole, inclusive=False)
        return [_table(plan, market, kept, live, none, none)]
    return [
        _table(plan, market, ~none, live, stale, restated),
        _table(plan, market, stale, _republished(market, stale, plan.instant(STALE_KNOWN)), none, restated),
        _table(plan, market, restated, _republished(market, restated, plan.instant(RESTATED_KNOWN)), none, none),
    ]


def _republished(market: _Market, rows: Bools, start: int) -> Ints:
    """When each of these snapshots is recorded again (R,): one after the other, some tens of milliseconds apart."""
    return start + np.cumsum(np.where(rows, market.latency // 16, 0))


def _within(plan: Plan, ts: Ints, span: tuple[dt.time, dt.time], *, inclusive: bool = True) -> Bools:
    first, last = plan.instant(span[0]), plan.instant(span[1])
    return (ts >= first) & (ts <= last) if inclusive else (ts > first) & (ts < last)


def _simulate(plan: Plan, draws: _Draws) -> _Market:
    opens, closes = to_us(plan.session.open), to_us(plan.session.close)
    ts = np.arange(opens, closes + 1, CADENCE, dtype=np.int64)
    spot = _path(plan, (closes - ts) / (3600 * SECOND), draws)
    strike = np.arange(plan.pin - plan.reach, plan.pin + plan.reach + 1, dtype=np.float64)
    interest = _open_interest(plan, strike, draws)
    vol = _smile(plan, spot, strike, draws)
    years = REPLAY_1.years(plan.session, ts)
    fair = _out_of_the_money(spot, strike, vol, years)
    cents, strike_cents = np.rint(spot * 100).astype(np.int64), np.rint(strike * 100).astype(np.int64)
    step = np.diff(spot, prepend=spot[0])

    def side(sign: int) -> _Side:
        now, before = interest[sign]
        inside = np.maximum(sign * (cents[:, None] - strike_cents[None, :]), 0)
        bid, ask, alive = _quotes(fair, inside)
        flow, volume = _trades(plan, spot, strike, sign * step, draws)
        return _Side(now, before, bid / 100, ask / 100, np.where(alive, vol, np.nan), flow, volume)

    calls, puts = side(1), side(-1)
    latency = 300_000 + np.floor(1_200_000 * draws.uniform(len(ts))).astype(np.int64)
    return _Market(ts, spot, strike, calls, puts, latency)


def _path(plan: Plan, hours_left: Floats, draws: _Draws) -> Floats:
    """Spot by the cent (R,): Gaussian steps, and a pull to the pin that grows towards the close."""
    hours = CADENCE / (3600 * SECOND)
    noise = draws.normal(len(hours_left)) * (plan.pin * plan.vol * REALISED * (hours / HOURS_A_YEAR) ** 0.5)
    path = [plan.start]
    for left, shock in zip(hours_left[:-1].tolist(), noise[1:].tolist(), strict=True):
        path.append(path[-1] + PULL * (plan.pin - path[-1]) * hours / (left + SOFT_HOURS) + shock)
    return np.asarray(np.rint(np.array(path) * 100) / 100, np.float64)


def _open_interest(plan: Plan, strike: Floats, draws: _Draws) -> dict[int, tuple[Floats, Floats]]:
    """Contracts (K,) of calls (1) and puts (-1), each now and the evening before.

    A hill around the pin with more in round strikes, calls above and puts below; and a pile of calls at the pin.
    The evening before there was less of all, and the pile was one of puts, four dollars lower.
    """
    away = strike - plan.pin
    hill = 2600.0 * np.exp(-np.abs(away) / 7.0)
    hill *= np.where(strike % 10 == 0, 2.2, np.where(strike % 5 == 0, 1.6, 1.0))
    found = {}
    for sign, pile, old_pile in ((1, 13_500.0, 2_400.0), (-1, 4_800.0, 15_500.0)):
        contracts = hill * np.exp(sign * np.clip(away, -6, 6) * 0.07 + 0.25 * draws.normal(len(strike)))
        now, before = np.where(away == 0, pile, contracts), np.where(away == -4, old_pile, contracts)
        found[sign] = (np.rint(now), np.rint(0.8 * before))
    return found


def _smile(plan: Plan, spot: Floats, strike: Floats, draws: _Draws) -> Floats:
    """Vol (R, K) to four decimals: a level that wanders and rises in the last minutes, skewed to the puts, curved."""
    left = np.arange(len(spot))[::-1] * (CADENCE / (3600 * SECOND))
    level = plan.vol * np.exp(0.003 * np.cumsum(draws.normal(len(spot)))) * (1.0 + 0.6 * np.exp(-left / 0.2))
    away = (strike[None, :] / spot[:, None] - 1.0) * 100.0
    vol = level[:, None] * (1.0 - 0.12 * away + 0.07 * away * away)
    return np.asarray(np.rint(vol * 1e4) / 1e4, np.float64)


def _out_of_the_money(spot: Floats, strike: Floats, vol: Floats, years: Floats) -> Ints:
    """Black-Scholes-Merton price (R, K) of each strike's out-of-the-money option, hundredths of a cent."""
    spots, strikes = spot[:, None], strike[None, :]
    total = vol * np.sqrt(years)[:, None]
    side = np.where(strikes >= spots, 1.0, -1.0)
    d1 = np.log(spots / strikes) / total + 0.5 * total
    price = side * (spots * ndtr(side * d1) - strikes * ndtr(side * (d1 - total)))
    return np.asarray(np.rint(np.maximum(price, 0.0) * 1e4), np.int64)


def _quotes(fair: Ints, inside: Ints) -> tuple[Ints, Ints, Bools]:
    """Bid and ask (R, K), cents, and where the time value is bid for.

    Out of the money the spread widens with the price and a bid under a cent is none. Where none is left, the other
    right of the strike is quoted around its intrinsic value ``inside`` (cents), the mid half a cent below it.
    """
    alive = fair - _half_spread(fair) >= 100
    price = fair + 100 * inside
    half = _half_spread(price)
    bid = np.maximum((price - half) // 100, 0)
    ask = np.maximum(-((-price - half) // 100), bid + 1)
    dead_inside = ~alive & (inside > 0)
    bid = np.where(dead_inside, np.minimum(bid, inside - 1), bid)
    return bid, np.where(dead_inside, 2 * inside - 1 - bid, ask), alive


def _half_spread(price: Ints) -> Ints:
    return 30 + price // 400


def _trades(plan: Plan, spot: Floats, strike: Floats, favour: Floats, draws: _Draws) -> tuple[Floats, Floats]:
    """Signed contracts since the previous snapshot and cumulative volume (R, K); none at the open.

    Most near spot, at the pin and at both ends of the day; bought on balance when spot moves in their favour.
    """
    rows = len(spot)
    near = np.exp(-0.5 * ((strike[None, :] - spot[:, None]) / 2.2) ** 2)
    busy = 1.0 + 1.2 * np.linspace(-1.0, 1.0, rows)[:, None] ** 2
    mean = 130.0 * busy * near * np.where(strike == plan.pin, 1.5, 1.0)[None, :]
    contracts = np.floor(-mean * np.log(draws.uniform(rows, len(strike))))
    contracts[0] = 0.0
    lean = np.clip(favour, -0.3, 0.3)[:, None]
    bought = np.clip(2.0 * draws.uniform(rows, len(strike)) - 1.0 + lean, -1.0, 1.0)
    return np.rint(contracts * bought) + 0.0, np.cumsum(contracts, axis=0)


def _listed(plan: Plan, market: _Market) -> Bools:
    """Which strikes each snapshot lists (R, K): none in a legacy row, else all or those of the drifting window."""
    listed = np.ones((len(market.ts), len(market.strike)), np.bool_)
    if plan.window is not None:
        centre = float(np.rint(market.spot[0]))
        for row, spot in enumerate(market.spot.tolist()):
            if abs(spot - centre) > RECENTRE:
                centre = float(np.rint(spot))
            listed[row] = np.abs(market.strike - centre) <= plan.window
    listed[market.ts < plan.instant(plan.strikes_from)] = False
    return listed


def _table(plan: Plan, market: _Market, kept: Bools, recorded_at: Ints, stale: Bools, restated: Bools) -> pa.Table:
    """The kept snapshots; with the evening's open interest in the stale ones, and flow of wrong sign in the restated.

    After a hole the trades since the previous snapshot are not known: that row's flow lists are null.
    """
    rows = np.flatnonzero(kept)
    listed = _listed(plan, market)[rows]
    seen = listed & (np.diff(market.ts[rows], prepend=market.ts[rows][0]) <= CADENCE)[:, None] if plan.hole else listed
    columns = _columns(plan, market, stale, restated)
    lists = {
        name: _lists(np.broadcast_to(values, (len(market.ts), len(market.strike)))[rows], shown)
        for name, values in columns.items()
        for shown in (seen if name.endswith("_flow") else listed,)
    }
    fixed = {
        "ts": pa.array(market.ts[rows]).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(recorded_at[rows]).cast(schema.TIMESTAMP),
        "spot": pa.array(market.spot[rows]),
        "expiration": pa.array([plan.date] * len(rows), pa.date32()),
        "strike": _lists(np.broadcast_to(market.strike, listed.shape), listed),
    }
    return schema.conform(pa.table(fixed | lists))


def _columns(plan: Plan, market: _Market, stale: Bools, restated: Bools) -> dict[str, Floats]:
    """Every per-strike column beside ``strike``, broadcastable to (R, K)."""
    shape = (len(market.ts), len(market.strike))
    spot, strike = np.repeat(market.spot, shape[1]), np.tile(market.strike, shape[0])
    years = np.repeat(REPLAY_1.years(plan.session, market.ts), shape[1])
    signed = np.where(restated, -1.0, 1.0)[:, None]
    columns: dict[str, Floats] = {}
    totals = dict.fromkeys(("gex", "dex", "vex", "chex", "signed_flow", "gamma_flow"), np.zeros(shape))
    for name, side in (("call", market.calls), ("put", market.puts)):
        call = np.full(len(spot), name == "call")
        interest = np.where(stale[:, None], side.stale_interest, side.open_interest)
        risk = option_exposures(
            spot=spot, strike=strike, years=years, call=call, open_interest=interest.ravel(),
            given_vol=side.given_vol.ravel(), bid=side.bid.ravel(), ask=side.ask.ravel(),
        )  # fmt: skip
        one = greeks(spot, strike, years, risk.vol, call)
        flow = side.flow * signed + 0.0
        dollars = CONTRACT_SIZE * market.spot[:, None]
        for total in ("gex", "dex", "vex", "chex"):
            totals[total] = totals[total] + getattr(risk, total).reshape(shape)
        totals["signed_flow"] = totals["signed_flow"] + flow * one.delta.reshape(shape) * dollars
        per_percent = dollars * market.spot[:, None] * 0.01
        totals["gamma_flow"] = totals["gamma_flow"] + flow * one.gamma.reshape(shape) * per_percent
        columns |= {
            f"{name}_oi": interest, f"{name}_flow": flow, f"{name}_volume": side.volume,
            f"{name}_bid": side.bid, f"{name}_ask": side.ask, f"{name}_iv": risk.vol.reshape(shape),
        }  # fmt: skip
    return columns | {name: total + 0.0 for name, total in totals.items()}


def _lists(values: Floats, shown: Bools) -> pa.ListArray:
    """The shown values of each row (R, K) as its list; null where a row shows none."""
    lengths = shown.sum(axis=1).astype(np.int64)
    return Ragged(values[shown], np.cumsum(lengths) - lengths, lengths, lengths > 0).to_arrow()
