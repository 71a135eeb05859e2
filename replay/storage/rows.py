"""Rows of one instant against each other: whether one says all that another says, and what both say together."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay import schema
from replay.ragged import Bools, Floats, Ints, Ragged, from_arrow, ragged
from replay.snapshots import Snapshots
from replay.storage.soundness import clocks_of, floats_of

DERIVED_TOLERANCE: Final = 1e-9
"""Relative: within it a computed column is the same; machines differ in the last bits of exp and log."""

FLOWS: Final = ("signed_flow", "call_flow", "put_flow", "gamma_flow")
"""Columns that say what happened since the previous snapshot."""


def as_snapshots(table: pa.Table) -> Snapshots:
    """A table with exactly the stored columns as arrays."""
    ts, recorded_at, _ = clocks_of(table)
    lists = {name: from_arrow(table[name]) for name in schema.LISTS}
    return Snapshots(ts, recorded_at, floats_of(table["spot"]), lists)


def as_table(rows: Snapshots, date: dt.date) -> pa.Table:
    """Rows of a session as a table with the stored columns; a list column that they lack is null."""
    columns: dict[str, Any] = {
        "ts": pa.array(rows.ts).cast(schema.TIMESTAMP),
        "recorded_at": pa.array(rows.recorded_at).cast(schema.TIMESTAMP),
        "spot": pa.array(rows.spot),
        "expiration": pa.array([date] * len(rows), pa.date32()),
    }
    columns |= {name: rows.lists[name].to_arrow() for name in schema.LISTS if name in rows.lists}
    return schema.conform(pa.table(columns))


def tolerance_of(name: str) -> float:
    """How far apart, relatively, two values of a column may be and be the same."""
    return DERIVED_TOLERANCE if schema.BY_NAME[name].derived else 0.0


def close(a: Any, b: Any, tolerance: float) -> Bools:
    """Whether numbers are the same, NaN equal to NaN."""
    return np.asarray(np.isclose(a, b, rtol=tolerance, atol=0.0, equal_nan=True), np.bool_)


def rows_equal(a: Ragged, b: Ragged, tolerance: float) -> Bools:
    """Which rows of two lists of R rows hold the same values, NaN equal to NaN, (R,)."""
    same = (a.known == b.known) & (a.lengths == b.lengths)
    if same.all() and (first := _only(a)) is not None and (other := _only(b)) is not None:
        return np.asarray(same & bool(close(first, other, tolerance).all()), np.bool_)
    at = np.flatnonzero(same)
    left, right = a.take(at).flat(), b.take(at).flat()
    wrong = np.repeat(at, a.lengths[at])[~close(left, right, tolerance)]
    same[wrong] = False
    return np.asarray(same, np.bool_)


def _only(column: Ragged) -> Any:
    """The values of all rows where they share one row of them; ``None`` where they do not, or some is null."""
    if len(column) == 0 or not column.known.all() or (column.starts != column.starts[0]).any():
        return None
    return column.row(0)


def repeats(new: Snapshots, old: Snapshots) -> Bools:
    """Which rows of ``new`` have the spot and strikes of those of ``old``, and their values in each list there is."""
    same = close(new.spot, old.spot, 0.0) & rows_equal(new.lists["strike"], old.lists["strike"], 0.0)
    for name in schema.VALUES:
        same &= ~new.lists[name].known | rows_equal(new.lists[name], old.lists[name], tolerance_of(name))
    return same


def extends(less: Snapshots, more: Snapshots) -> Bools:
    """Which rows of ``more`` know all that those of ``less`` know, and the same of it, (R,)."""
    found = close(less.spot, more.spot, 0.0)
    alike = rows_equal(less.lists["strike"], more.lists["strike"], 0.0)
    for name in schema.VALUES:
        a, b = less.lists[name], more.lists[name]
        side_by_side = np.flatnonzero(alike & a.known & b.known & (a.lengths == b.lengths))
        left, right = a.take(side_by_side).flat(), b.take(side_by_side).flat()
        lost = ~(np.isnan(left) | close(left, right, tolerance_of(name)))
        found[np.repeat(side_by_side, a.lengths[side_by_side])[lost]] = False
        for i in np.flatnonzero(alike & a.known & ~b.known).tolist():
            found[i] &= bool(np.isnan(a.row(i)).all())
    for i in np.flatnonzero(found & ~alike & less.has_strikes).tolist():
        found[i] = _row_extends(less, more, i)
    return found


def _row_extends(less: Snapshots, more: Snapshots, i: int) -> bool:
    """As :func:`extends`, of one row whose strikes differ."""
    listed, wider = less.lists["strike"].row(i), more.lists["strike"].row(i)
    if not np.isin(listed, wider).all():
        return False
    at = np.searchsorted(wider, listed)
    for name in schema.VALUES:
        a, b = less.lists[name], more.lists[name]
        known = a.row(i) if a.known[i] else np.full(len(listed), np.nan)
        there = b.row(i)[at] if b.known[i] else np.full(len(listed), np.nan)
        if not (np.isnan(known) | close(known, there, tolerance_of(name))).all():
            return False
    return True


def merge(a: Snapshots, b: Snapshots) -> tuple[Snapshots, Bools]:
    """What rows of the same clocks say together, and which of them (R,) do not contradict each other.

    The strikes of both are listed; where both know a value, that of ``a`` stays.
    """
    lists: dict[str, list[Floats | None]] = {name: [] for name in schema.LISTS}
    sound = close(a.spot, b.spot, 0.0)
    for i in range(len(a)):
        grids = [rows.lists["strike"].row(i) for rows in (a, b)]
        grid = np.union1d(*grids)
        places = [np.searchsorted(grid, own) for own in grids]
        lists["strike"].append(grid if a.has_strikes[i] or b.has_strikes[i] else None)
        for name in schema.VALUES:
            first, second = (_laid(rows.lists[name], i, at, len(grid)) for rows, at in zip((a, b), places, strict=True))
            if first is None or second is None:
                lists[name].append(second if first is None else first)
                continue
            both = ~np.isnan(first) & ~np.isnan(second)
            sound[i] &= bool(close(first[both], second[both], tolerance_of(name)).all())
            lists[name].append(np.where(np.isnan(first), second, first))
    merged = {name: ragged(values) for name, values in lists.items()}
    return Snapshots(a.ts, a.recorded_at, a.spot, merged), sound


def with_flow(rows: Snapshots, before: Snapshots) -> Snapshots:
    """Rows with the flow of those before them, strike by strike (R each); a strike that has some is listed."""
    lists: dict[str, list[Floats | None]] = {name: [] for name in schema.LISTS}
    for i in range(len(rows)):
        listed = before.lists["strike"].row(i)
        moved = np.zeros(len(listed), np.bool_)
        for name in FLOWS:
            flow = before.lists[name]
            if flow.known[i]:
                moved |= np.isfinite(flow.row(i)) & (flow.row(i) != 0)
        own = rows.lists["strike"].row(i)
        grid = np.union1d(own, listed[moved])
        kept = np.isin(listed, grid)
        at, theirs = np.searchsorted(grid, own), np.searchsorted(grid, listed[kept])
        lists["strike"].append(grid)
        for name in schema.VALUES:
            values = _laid(rows.lists[name], i, at, len(grid))
            if name in FLOWS and before.lists[name].known[i]:
                values = np.full(len(grid), np.nan)
                values[theirs] = before.lists[name].row(i)[kept]
            lists[name].append(values)
    laid = {name: ragged(values) for name, values in lists.items()}
    return Snapshots(rows.ts, rows.recorded_at, rows.spot, laid)


def _laid(column: Ragged, i: int, at: Ints, size: int) -> Floats | None:
    """One row's values on a grid; ``None`` where the list is null."""
    if not column.known[i]:
        return None
    laid = np.full(size, np.nan)
    laid[at] = column.row(i)
    return laid
