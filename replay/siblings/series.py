"""A session's headline numbers over time: levels, regime, vol, charm and what dealers had to hedge so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from replay import contract, levels
from replay.account.greeks import option_delta
from replay.contract import check_series_bar, normalise_symbol
from replay.exposure.conventions import Conventions, known_conventions
from replay.heatmap import finite, last_of
from replay.lake import Lake, Moment
from replay.levels import Levels
from replay.products import MULTIPLIER
from replay.ragged import Floats, align
from replay.sessions import (
    MINUTE,
    SECOND,
    Session,
    find_session,
    floor_minute,
    iso_utc,
    parse_moment,
    session_date,
    to_us,
)
from replay.snapshots import Snapshots

_BARS: Final = {"30s": 30 * SECOND, "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE}
_FLOWS: Final = ("signed_flow", "call_flow", "put_flow")
_VOLS: Final = ("call_iv", "put_iv")
_COLUMNS: Final = (*levels.COLUMNS, *_FLOWS)
_BLOCK: Final = 1024
"""Rows laid on one grid at a time, so that memory does not grow with the session."""


@dataclass(frozen=True, eq=False)
class Series:
    """Bars of headline numbers, the last snapshot of each; ``as_of`` is microseconds since the epoch, UTC.

    Each bar has ``t`` (its start, ISO 8601, UTC) and, ``None`` where not known: ``spot``, ``gamma_flip``,
    ``call_wall``, ``put_wall``, ``magnet`` in USD; ``net_gex``, ``net_dex`` in the metric's unit; ``pin_score``, 0 to
    100, whole; ``pin_probability_pct`` never, as no formula of it is published; ``regime``, ``positive_gamma`` where
    spot is above the flip, ``negative_gamma`` below; ``atm_iv`` per sqrt(year), 0.123 is 12.3 %;
    ``charm_dollars_per_hour`` chex for an hour of its clock; ``hedge_flow_…`` delta-dollars bought (+) and sold by
    customers since the open, which is what dealers bought and sold to hedge.
    """

    symbol: str
    expiration: dt.date
    as_of: int
    bar_size: str
    bars: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """The vendor's body as plain values, fields in its order."""
        return {
            "symbol": self.symbol,
            "expiration": self.expiration.isoformat(),
            "as_of": iso_utc(self.as_of),
            "bar_size": self.bar_size,
            "bars": list(self.bars),
        }

    def to_json(self) -> bytes:
        """The vendor's body as UTF-8 JSON."""
        return orjson.dumps(self.to_dict())


def series(
    lake: Lake,
    symbol: str,
    as_of: Moment,
    bar: str = "30s",
    minutes: int | str = contract.MINUTES_DEFAULT,
    known_at: Moment | None = None,
    tier: str | None = None,
) -> Series:
    """The headline numbers of a window, as they stood at ``as_of``; arguments as :meth:`replay.Lake.heatmap`.

    Parameters
    ----------
    bar
        ``30s``, ``1m``, ``5m`` or ``15m``, aligned to the clock.

    Raises
    ------
    InvalidBar
        For any other bar.
    RequestError, LakeError
        As :meth:`replay.Lake.heatmap` does.
    """
    name, bar = normalise_symbol(symbol), check_series_bar(bar)
    span = contract.check_minutes(minutes)
    moment = to_us(parse_moment(as_of))
    rows, clocks = lake.visible(name, as_of, known_at, _COLUMNS, tier=tier)
    date = session_date(moment)
    session = find_session(date)
    listed = np.flatnonzero(rows.has_strikes)  # as in heatmaps, legacy v1 rows give no bar
    rows, ids = rows.take(listed), clocks.conventions
    held = [known_conventions(ids[i]) for i in listed.tolist()]
    first = int(np.searchsorted(rows.ts, floor_minute(moment - span * MINUTE)))
    bucket = rows.ts[first:] - rows.ts[first:] % _BARS[bar]
    last = last_of(bucket)
    wanted = first + last
    flows = _hedged(rows, held, session, int(wanted[-1]) + 1) if len(wanted) else {}
    bars = []
    for i, start in zip(wanted.tolist(), bucket[last].tolist(), strict=True):
        told = levels.build(rows.take(slice(i, i + 1)), name, session, held[i])
        bars.append(_bar(iso_utc(start), told) | {key: _plain(path[i]) for key, path in flows.items()})
    return Series(name, date, moment, bar, tuple(bars))


def _bar(t: str, told: Levels) -> dict[str, Any]:
    above = None
    if told.spot is not None and told.gamma_flip is not None and told.spot != told.gamma_flip:
        above = "positive_gamma" if told.spot > told.gamma_flip else "negative_gamma"
    return {
        "t": t,
        "spot": told.spot,
        "net_gex": told.net_gex,
        "net_dex": told.net_dex,
        "gamma_flip": told.gamma_flip,
        "call_wall": told.call_wall,
        "put_wall": told.put_wall,
        "magnet": told.magnet,
        "pin_score": None if told.pin_score is None else round(told.pin_score),
        "pin_probability_pct": None,
        "regime": above,
        "atm_iv": told.atm_iv,
        "charm_dollars_per_hour": _charm_per_hour(told),
    }


def _charm_per_hour(told: Levels) -> float | None:
    """Net chex for an hour of its conventions' clock; ``None`` where those are not known."""
    if told.net_chex is None or told.conventions is None:
        return None
    hourly = dataclasses.replace(told.conventions, charm_per="hour")
    return told.net_chex * (hourly.charm_fraction / told.conventions.charm_fraction)


def _hedged(
    rows: Snapshots, held: Sequence[Conventions | None], session: Session | None, count: int
) -> dict[str, Floats]:
    """Delta-dollars traded from the session's start up to each of the first ``count`` rows, NaN until any is known."""
    sums = np.empty((3, count))
    for start in range(0, count, _BLOCK):
        block = slice(start, min(start + _BLOCK, count))
        sums[:, block] = _traded(rows.take(block), held[block], session)
    calls, puts, total = map(_running, sums)
    return {
        "hedge_flow_call_cumulative": calls,
        "hedge_flow_put_cumulative": puts,
        "hedge_flow_cumulative_all": total,
    }


def _traded(rows: Snapshots, held: Sequence[Conventions | None], session: Session | None) -> Floats:
    """Delta-dollars of each row's calls, puts and both (3, R), NaN where not known."""
    grid, matrices = align(rows.lists["strike"], [rows.lists[name] for name in (*_FLOWS, *_VOLS)])
    total, *sides = (finite(matrix) for matrix in matrices)
    found = [
        _sums(_worth(right, flow, vol, grid, rows, held, session))
        for right, flow, vol in zip("CP", sides[:2], sides[2:], strict=True)
    ]
    return np.array([*found, _sums(total)])


def _worth(
    right: str,
    flow: Floats,
    vol: Floats,
    grid: Floats,
    rows: Snapshots,
    held: Sequence[Conventions | None],
    session: Session | None,
) -> Floats:
    """Contracts of one side (R, K) times delta 100 spot, by each row's own vols; NaN where not known."""
    traded = (flow != 0) & ~np.isnan(flow)
    quiet = ~traded.any(axis=1, keepdims=True)  # only there nothing traded is worth 0: else what traded has to be known
    worth = np.where(quiet & (flow == 0), 0.0, np.nan)
    row, cell = np.nonzero(traded)
    for each in dict.fromkeys(held):
        if each is None or session is None:
            continue
        own = np.array([other == each for other in held], np.bool_)[row]
        at = row[own], cell[own]
        spot, years = rows.spot[at[0]], each.years(session, rows.ts[at[0]])
        delta = option_delta(right, spot, grid[at[1]], years, vol[at], each.rate, each.dividend)
        worth[at] = flow[at] * delta * MULTIPLIER * spot
    return worth


def _sums(values: Floats) -> Floats:
    """Each row's sum of what is known, in order; NaN where nothing is."""
    known = np.isfinite(values)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    return np.where(known.any(axis=1), np.cumsum(np.where(known, values, 0.0), axis=1)[:, -1], np.nan)


def _running(values: Floats) -> Floats:
    """What has come together so far: NaN adds nothing, and is there until anything is known."""
    known = np.isfinite(values)
    return np.where(np.logical_or.accumulate(known), np.cumsum(np.where(known, values, 0.0)) + 0.0, np.nan)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
