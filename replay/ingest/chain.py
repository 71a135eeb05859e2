"""One session's option rows as snapshots with exposures."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from replay import schema
from replay.exposure.chain import OptionExposures, VolOrigin, option_exposures
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ragged import Bools, Floats, Ints
from replay.sessions import Session

_KEY: Final = ("ts", "recorded_at", "strike", "call")
_SIDES: Final = {"bid": "bid", "ask": "ask", "iv": "iv", "volume": "volume", "open_interest": "oi"}


@dataclass(slots=True)
class ChainCount:
    """What became of one session's rows: kept options by the origin of their vol, and those that fell together."""

    options: int = 0
    repeated: int = 0  # the same in every field as another row
    contradicting: int = 0  # another row of the same instant, strike and right, of which the last is kept
    shrunk: int = 0  # revisions with fewer strikes than the one of the same instant before them
    interest_alone: int = 0  # rows of open interest and nothing else: no snapshot
    flow_unknown: int = 0  # strikes that revisions list and of which the flow, known of others, is not known
    flow_gaps: int = 0  # snapshots without flow before stored ones that have it
    crossed: int = 0  # options with a bid above the ask, and no vol but one that would be solved from them
    spot_differs: int = 0  # snapshots whose rows do not agree on spot; the last row's is kept
    vols: Counter[str] = field(default_factory=Counter)
    spots: Counter[str] = field(default_factory=Counter)  # rows by where their spot is from, if not their own


def snapshots_of(
    rows: pl.DataFrame, session: Session, count: ChainCount, conventions: Conventions = REPLAY_1
) -> pa.Table:
    """Snapshots (one a ts and recorded_at) from checked option rows in the order they came.

    Columns as :data:`replay.schema.ARROW`; columns of which the rows know nothing are null.
    """
    kept, options = _collapse(rows, count)
    numbers = {name: _floats(kept[name]) for name in _SIDES}
    risk = option_exposures(
        spot=options.spot[options.snapshot],
        strike=options.strike,
        years=conventions.years(session, options.ts)[options.snapshot],
        call=options.call,
        open_interest=numbers["open_interest"],
        given_vol=numbers["iv"],
        bid=numbers["bid"],
        ask=numbers["ask"],
        conventions=conventions,
    )
    count.options += len(kept)
    count.crossed += int(((numbers["bid"] > numbers["ask"]) & (numbers["ask"] > 0) & ~(numbers["iv"] > 0)).sum())
    for origin in VolOrigin:
        count.vols[origin.name.lower()] += int((risk.origin == origin).sum())
    known = {name for name in _SIDES if rows[name].is_not_null().any()} | {"iv"}
    if "open_interest" not in known:
        count.vols["without open interest"] += len(kept)
    return _by_strike(options, numbers, risk, known, session.date)


@dataclass(frozen=True, slots=True)
class _Options:
    """N options of S snapshots, sorted by ts, recorded_at, strike and right (puts first)."""

    ts: Ints  # (S,)
    recorded_at: Ints  # (S,)
    spot: Floats  # (S,)
    starts: Ints  # (S,) where each snapshot begins among the N
    snapshot: Ints  # (N,) which snapshot an option belongs to
    strike: Floats  # (N,)
    call: Bools  # (N,)
    cell: Ints  # (N,) which (snapshot, strike) an option belongs to, counted from 0

    @property
    def offsets(self) -> NDArray[np.int32]:
        """(S + 1,) where the strikes of each snapshot begin among all."""
        return np.append(self.cell[self.starts], self.cell[-1] + 1).astype(np.int32)


def _collapse(rows: pl.DataFrame, count: ChainCount) -> tuple[pl.DataFrame, _Options]:
    """One row an instant, strike and right, the last that came, in order."""
    order = _order(rows)
    kept = rows[order]
    ts, recorded_at, strike, call = (kept[name].to_numpy() for name in _KEY)
    new = _changes(ts, recorded_at, strike, call)
    if not new.all():
        distinct = rows.n_unique()
        count.repeated += len(rows) - distinct
        count.contradicting += distinct - int(new.sum())
        last = np.append(new[1:], True)
        kept, order = kept.filter(pl.Series(last)), order[last]
        ts, recorded_at, strike, call = (kept[name].to_numpy() for name in _KEY)
    new_snapshot = _changes(ts, recorded_at)
    starts = np.flatnonzero(new_snapshot)
    spot = _floats(kept["spot"])
    differs = np.minimum.reduceat(spot, starts) != np.maximum.reduceat(spot, starts)
    count.spot_differs += int(differs.sum())
    newest = _floats(rows["spot"])[np.maximum.reduceat(order, starts)] if differs.any() else spot[starts]
    cell = np.cumsum(new_snapshot | _changes(strike)) - 1
    return kept, _Options(
        ts[starts], recorded_at[starts], newest, starts, np.cumsum(new_snapshot) - 1, strike, call, cell
    )


def _order(rows: pl.DataFrame) -> Ints:
    """What sorts rows by instant, strike and right, those of one key as they came."""
    ts, recorded_at, strike, call = (rows[name].to_numpy() for name in _KEY)
    bits = np.ascontiguousarray(strike, np.float64).view(np.uint64)  # of numbers above 0, in their order
    contract = (bits << np.uint64(1)) | call
    return np.lexsort((contract, recorded_at, ts))


def _floats(column: pl.Series) -> Floats:
    return np.array(column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), np.float64)


def _by_strike(
    options: _Options, numbers: dict[str, Floats], risk: OptionExposures, known: set[str], date: dt.date
) -> pa.Table:
    """Calls and puts of a strike side by side, lists by snapshot."""
    cells, offsets = int(options.cell[-1]) + 1, options.offsets
    sides = {calls: np.flatnonzero(options.call == calls) for calls in (True, False)}
    places = {calls: options.cell[at] for calls, at in sides.items()}

    def side(values: Floats, calls: bool) -> Floats:
        laid = np.full(cells, np.nan)
        laid[places[calls]] = values[sides[calls]]
        return laid

    def net(values: Floats) -> Floats:
        return side(values, True) + side(values, False)

    def lists(values: Floats) -> pa.ListArray:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))

    columns: dict[str, Any] = {
        "ts": pa.array(options.ts).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(options.recorded_at).cast(schema.TIMESTAMP),
        "spot": pa.array(options.spot),
        "expiration": pa.array([date] * len(options.ts), pa.date32()),
        "strike": lists(options.strike[np.flatnonzero(_changes(options.cell))]),
    }
    if "open_interest" in known:
        columns |= {name: lists(net(getattr(risk, name))) for name in ("gex", "dex", "vex", "chex")}
    values = numbers | {"iv": risk.vol}
    for name, stored in _SIDES.items():
        if name in known:
            columns[f"call_{stored}"] = lists(side(values[name], True))
            columns[f"put_{stored}"] = lists(side(values[name], False))
    return schema.conform(pa.table(columns))


def _changes(*keys: np.ndarray[Any, Any]) -> Bools:
    """Where any key differs from the one before, (N,); the first does."""
    changed = np.ones(len(keys[0]), np.bool_)
    changed[1:] = False
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return changed
