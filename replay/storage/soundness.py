"""What makes a stored row sound: the checks that the writer demands, and those that verify reports beside them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay import schema
from replay.ragged import Bools, Floats, Ints, Ragged, from_arrow
from replay.sessions import session_date

NOT_NEGATIVE: Final = tuple(
    name for name in schema.VALUES if name.endswith(("oi", "_volume", "_bid", "_ask", "_iv"))
)  # contracts, prices and vols


def row_faults(table: pa.Table, date: dt.date) -> Iterator[tuple[str, Bools]]:
    """Each kind of fault that a row of a session can have, and which rows (R,) have it.

    ``table`` has exactly the stored columns, see :func:`replay.schema.conform`.
    """
    ts, recorded_at, clocked = clocks_of(table)
    strike = from_arrow(table["strike"])
    spot = floats_of(table["spot"])
    on_date = np.array([session_date(int(us)) == date for us in ts], np.bool_)
    expires = np.array([each in (None, date) for each in table["expiration"].to_pylist()], np.bool_)
    yield "ts or recorded_at is null; the row is never read", ~clocked
    yield "recorded_at is before ts", clocked & (recorded_at < ts)
    yield f"ts is not on {date} in New York", clocked & ~on_date
    yield f"expiration is not {date}", ~expires
    yield "spot is no price above 0", ~(np.isfinite(spot) & (spot > 0))
    yield "strikes do not ascend", _not_ascending(strike)
    for name in schema.VALUES:
        column = from_arrow(table[name])
        yield f"{name} is not as long as strike", column.known & strike.known & (column.lengths != strike.lengths)
        yield f"{name} is there and strike is null", column.known & ~strike.known


def value_faults(table: pa.Table) -> Iterator[tuple[str, Bools]]:
    """As :func:`row_faults`, of values that cannot be, which are stored and read all the same."""
    strike = from_arrow(table["strike"])
    yield "a strike is no price above 0", _any(strike, strike.flat() <= 0)
    for name in schema.VALUES:
        column = from_arrow(table[name])
        values = column.flat()
        yield f"{name} holds an infinite value", _any(column, np.isinf(values))
        if name in NOT_NEGATIVE:
            yield f"{name} holds a value below 0", _any(column, values < 0)


def _any(column: Ragged, wrong: Bools) -> Bools:
    """Which rows of lists hold any value that is wrong (R,)."""
    row = np.repeat(np.arange(len(column)), column.lengths)
    return np.bincount(row[wrong], minlength=len(column)).astype(np.bool_)


def clocks_of(table: pa.Table) -> tuple[Ints, Ints, Bools]:
    """``ts`` and ``recorded_at`` in microseconds (R,), and which rows have both; the others hold 0 there."""
    known = ~(_null(table["ts"]) | _null(table["recorded_at"]))
    return _micros(table["ts"]), _micros(table["recorded_at"]), known


def floats_of(column: pa.ChunkedArray) -> Floats:
    """A column of numbers as float64 (R,), NaN for null."""
    return np.asarray(column.to_numpy(), np.float64)


def _not_ascending(strike: Ragged) -> Bools:
    """Rows whose strikes are not finite, ascending and without repeats."""
    values = strike.flat()
    row = np.repeat(np.arange(len(strike)), strike.lengths)
    wrong = ~np.isfinite(values)
    wrong[1:] |= (row[1:] == row[:-1]) & ~(values[1:] > values[:-1])
    return _any(strike, wrong)


def _micros(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(), np.int64)


def _null(column: pa.ChunkedArray) -> Bools:
    return np.asarray(column.is_null().to_numpy(), np.bool_)
