"""One session's option rows as snapshots with exposures."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

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
    spot_differs: int = 0  # snapshots whose rows do not agree on spot; the last row's is kept
    vols: Counter[str] = field(default_factory=Counter)
    spots: Counter[str] = field(default_factory=Counter)  # rows by where their spot is from, if not their own


def snapshots_of(
    rows: pl.DataFrame, session: Session, count: ChainCount, conventions: Conventions = REPLAY_1
) -> pa.Table:
    """Snapshots (one a ts and recorded_at) from checked option rows in the order they came.

    Columns as :data:`replay.schema.ARROW`; columns of which the rows know nothing are null.
    """
    kept = _collapse(rows, count)
    ts, strike = kept["ts"].to_numpy(), kept["strike"].to_numpy()
    recorded_at, call = kept["recorded_at"].to_numpy(), kept["call"].to_numpy()
    numbers = {name: _floats(kept[name]) for name in _SIDES}
    spot = _floats(kept["snapshot_spot"])
    risk = option_exposures(
        spot=spot,
        strike=strike,
        years=conventions.years(session, ts),
        call=call,
        open_interest=numbers["open_interest"],
        given_vol=numbers["iv"],
        bid=numbers["bid"],
        ask=numbers["ask"],
        conventions=conventions,
    )
    count.options += len(kept)
    count.shrunk += _shrunk(kept)
    for origin in VolOrigin:
        count.vols[origin.name.lower()] += int((risk.origin == origin).sum())
    known = {name for name in _SIDES if rows[name].is_not_null().any()} | {"iv"}
    if "open_interest" not in known:
        count.vols["without open interest"] += len(kept)
    return _by_strike(_Options(ts, recorded_at, spot, strike, call, numbers, risk), known, session.date)


def _collapse(rows: pl.DataFrame, count: ChainCount) -> pl.DataFrame:
    """One row an instant, strike and right, the last that came; sorted, with the snapshot's own spot."""
    kept = rows.unique(subset=_KEY, keep="last", maintain_order=True)
    distinct = rows.n_unique() if len(kept) < len(rows) else len(rows)
    count.repeated += len(rows) - distinct
    count.contradicting += distinct - len(kept)
    snapshot = ["ts", "recorded_at"]
    spots = kept.group_by(snapshot).agg(
        pl.col("spot").last().alias("snapshot_spot"), (pl.col("spot").n_unique() > 1).alias("differs")
    )
    count.spot_differs += int(spots["differs"].sum())
    return kept.join(spots, on=snapshot, how="left").sort(_KEY)


def _shrunk(kept: pl.DataFrame) -> int:
    """How many snapshots list fewer strikes than the earlier revision that they replace."""
    sizes = kept.group_by("ts", "recorded_at").agg(pl.col("strike").n_unique()).sort("ts", "recorded_at")
    return int((sizes["strike"] < sizes.select(pl.col("strike").shift(1).over("ts")).to_series()).sum())


def _floats(column: pl.Series) -> Floats:
    return np.array(column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), np.float64)


@dataclass(frozen=True, slots=True)
class _Options:
    """N options sorted by ts, recorded_at, strike and right (puts first)."""

    ts: Ints
    recorded_at: Ints
    spot: Floats
    strike: Floats
    call: Bools
    numbers: dict[str, Floats]
    risk: OptionExposures


def _by_strike(options: _Options, known: set[str], date: dt.date) -> pa.Table:
    """Calls and puts of a strike side by side, lists by snapshot."""
    new_snapshot = _changes(options.ts, options.recorded_at)
    new_strike = new_snapshot | _changes(options.strike)
    cell = np.cumsum(new_strike) - 1  # which (snapshot, strike) an option belongs to
    cells = int(cell[-1]) + 1
    starts = np.flatnonzero(new_snapshot)
    offsets = np.append(cell[starts], cells).astype(np.int32)

    def side(values: Floats, calls: bool) -> Floats:
        laid = np.full(cells, np.nan)
        chosen = options.call == calls
        laid[cell[chosen]] = values[chosen]
        return laid

    def net(values: Floats) -> Floats:
        return side(values, True) + side(values, False)

    def lists(values: Floats) -> pa.ListArray:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))

    risk = options.risk
    columns: dict[str, Any] = {
        "ts": pa.array(options.ts[starts]).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(options.recorded_at[starts]).cast(schema.TIMESTAMP),
        "spot": pa.array(options.spot[starts]),
        "expiration": pa.array([date] * len(starts), pa.date32()),
        "strike": lists(options.strike[np.flatnonzero(new_strike)]),
    }
    if "open_interest" in known:
        columns |= {name: lists(net(getattr(risk, name))) for name in ("gex", "dex", "vex", "chex")}
    values = options.numbers | {"iv": risk.vol}
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
