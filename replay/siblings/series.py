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
from replay.account.greeks import option_greeks
from replay.contract import check_series_bar, normalise_symbol
from replay.exposure.conventions import Conventions, known_conventions
from replay.heatmap import last_of
from replay.lake import Lake, Moment
from replay.levels import Levels
from replay.products import MULTIPLIER
from replay.ragged import Floats
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
_COLUMNS: Final = (*levels.COLUMNS, *_FLOWS)


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
    first = int(np.searchsorted(rows.ts, floor_minute(moment - span * MINUTE)))
    bucket = rows.ts[first:] - rows.ts[first:] % _BARS[bar]
    last = last_of(bucket)
    wanted = first + last
    session = find_session(date)
    ids = clocks.conventions
    held = [known_conventions(each) for each in ids]
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
    total = np.full(count, np.nan)
    calls, puts = total.copy(), total.copy()
    for i in np.flatnonzero(rows.has_strikes[:count]).tolist():
        total[i] = _sum(_row(rows, "signed_flow", i))
        calls[i] = _side(rows, "C", i, held[i], session)
        puts[i] = _side(rows, "P", i, held[i], session)
    return {
        "hedge_flow_call_cumulative": _running(calls),
        "hedge_flow_put_cumulative": _running(puts),
        "hedge_flow_cumulative_all": _running(total),
    }


def _side(rows: Snapshots, right: str, i: int, held: Conventions | None, session: Session | None) -> float:
    """Delta-dollars of one side of a row, contracts times delta 100 spot by its own vols; NaN where not known."""
    flow = _row(rows, "call_flow" if right == "C" else "put_flow", i)
    traded = np.flatnonzero((flow != 0) & ~np.isnan(flow))
    if len(traded) == 0 or held is None or session is None:
        return 0.0 if np.isfinite(flow).any() and len(traded) == 0 else np.nan
    strikes, vols = (_row(rows, name, i)[traded] for name in ("strike", "call_iv" if right == "C" else "put_iv"))
    spot = np.full(len(traded), rows.spot[i])
    years = np.full(len(traded), float(held.years(session, rows.ts[i : i + 1])[0]))
    delta = option_greeks(right, spot, strikes, years, vols, held.rate, held.dividend).delta
    return _sum(flow[traded] * delta * MULTIPLIER * rows.spot[i])


def _row(rows: Snapshots, name: str, i: int) -> Floats:
    """A column of a row by its strikes, NaN where it is not known, and where the strike is no number."""
    strikes, column = rows.lists["strike"].row(i), rows.lists[name]
    return np.where(np.isfinite(strikes), column.row(i), np.nan) if column.known[i] else np.full(len(strikes), np.nan)


def _sum(values: Floats) -> float:
    """The sum of what is known, in order; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.cumsum(known)[-1]) if len(known) else np.nan


def _running(values: Floats) -> Floats:
    """What has come together so far: NaN adds nothing, and is there until anything is known."""
    known = np.isfinite(values)
    return np.where(np.logical_or.accumulate(known), np.cumsum(np.where(known, values, 0.0)) + 0.0, np.nan)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
