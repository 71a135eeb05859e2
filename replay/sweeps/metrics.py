"""What each set of a sweep came to, a row a set, and which is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay.ragged import Floats, Ints
from replay.results.metrics import SESSIONS_A_YEAR, session_metrics
from replay.sweeps.grid import Grid
from replay.sweeps.task import Sets

COLUMNS: Final = pa.schema(
    [
        pa.field("sessions", pa.int64(), nullable=False),
        pa.field("unsettled", pa.int64(), nullable=False),
        pa.field("trades", pa.int64(), nullable=False),
        pa.field("total", pa.float64(), nullable=False),
        pa.field("mean", pa.float64()),
        pa.field("median", pa.float64()),
        pa.field("win_rate", pa.float64()),
        pa.field("profit_factor", pa.float64()),
        pa.field("sharpe", pa.float64()),
        pa.field("sortino", pa.float64()),
        pa.field("max_drawdown", pa.float64(), nullable=False),
        pa.field("fees", pa.float64(), nullable=False),
        pa.field("mid", pa.float64(), nullable=False),
        pa.field("touch", pa.float64(), nullable=False),
        pa.field("worst", pa.float64(), nullable=False),
    ]
)
"""Columns of ``sweep.parquet`` after the set's number and its parameters.

``sessions`` are the settled ones, whose profits after fees all sums and ratios are of, USD (see
:class:`replay.results.metrics.Metrics`); ``unsettled`` ones held contracts at the close without a settlement price.
``trades`` and ``fees`` are of both. ``mid``, ``touch`` and ``worst`` are the totals had every fill been made there.
"""

METRICS: Final = ("sharpe", "total", "mean", "median", "win_rate", "profit_factor", "sortino", "max_drawdown",
                  "mid", "touch", "worst")  # fmt: skip
"""What sets can be told apart by: more is better, but of ``max_drawdown`` less."""


def by_set(rows: pa.Table, sets: int) -> dict[str, Any]:
    """Columns of rows that are ordered by set and session, each as (sets, sessions)."""
    count = len(rows) // sets
    found = {}
    for name in ("profit", "mid", "touch", "worst", "fees", "trades", "settled"):
        column = rows[name].to_numpy()  # null comes as NaN
        found[name] = np.asarray(column).reshape(sets, count)
    return found


def measure(rows: dict[str, Any], number: int, sessions: slice | Ints = slice(None)) -> dict[str, Any]:
    """What a set came to over some of the sessions, by the names of :data:`COLUMNS`."""
    own = {name: values[number, sessions] for name, values in rows.items()}
    settled = own["settled"].astype(bool)
    found = session_metrics(own["profit"][settled].astype(np.float64))
    return {
        "sessions": found.sessions,
        "unsettled": int((~settled).sum()),
        "trades": int(own["trades"].sum()),
        "total": _cents(found.total),
        **{name: getattr(found, name) for name in ("mean", "median", "win_rate", "profit_factor", "sharpe", "sortino")},
        "max_drawdown": _cents(found.max_drawdown),
        "fees": _cents(float(own["fees"].sum())),
        **{name: _cents(float(own[name][settled].sum())) for name in ("mid", "touch", "worst")},
    }


def rank(measured: dict[str, Any], metric: str) -> float:
    """What a set is worth by a metric: more is better; what is not defined is worse than anything that is.

    A profit factor without any loss is the best there is, if anything was gained.
    """
    value = measured[metric]
    if value is None:
        return math.inf if metric == "profit_factor" and measured["total"] > 0 else -math.inf
    return -float(value) if metric == "max_drawdown" else float(value)


def best_of(measured: Sequence[dict[str, Any]], metric: str) -> int:
    """The number of the best set; of several the first in the order of the grid."""
    return max(range(len(measured)), key=lambda number: (rank(measured[number], metric), -number))


def sharpe_variance(measured: Sequence[dict[str, Any]]) -> float | None:
    """The variance of the sets' Sharpe ratios per session; ``None`` of fewer than two that are defined."""
    found = [each["sharpe"] for each in measured if each["sharpe"] is not None]
    return float(np.var(np.array(found) / math.sqrt(SESSIONS_A_YEAR), ddof=1)) if len(found) > 1 else None


def settled_profits(rows: dict[str, Any], number: int) -> Floats:
    """(S,) of a set's settled sessions, USD, in order."""
    kept = rows["settled"][number].astype(bool)
    return np.asarray(rows["profit"][number][kept], np.float64)


def table_of(measured: Sequence[dict[str, Any]], grid: Grid, sets: Sets) -> pa.Table:
    """A row a set: its number, the parameters that are varied, and :data:`COLUMNS`."""
    fields = [pa.field("set", pa.int64(), nullable=False)]
    arrays = [pa.array(range(len(sets)), pa.int64())]
    for name in grid:
        values = [each[name] for each in sets]
        array = (
            pa.array(values, _kind(values)) if _kind(values) is not None else pa.array(map(str, values), pa.string())
        )
        fields.append(pa.field(column_name(name), array.type))
        arrays.append(array)
    for field in COLUMNS:
        fields.append(field)
        arrays.append(pa.array([each[field.name] for each in measured], field.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def column_name(parameter: str) -> str:
    """What a parameter's column is called: as it is, unless a metric has that name."""
    return f"parameter_{parameter}" if parameter in ("set", *COLUMNS.names) else parameter


def _kind(values: Sequence[Any]) -> pa.DataType | None:
    """The type that holds a parameter's values; ``None``: none but text does."""
    kinds = {type(value) for value in values} - {type(None)}
    for whole, kind in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64()), ({str}, pa.string())):
        if kinds <= whole:
            return kind
    return None


def _cents(value: float) -> float:
    """USD of a sum, whose parts are whole micro-dollars, without what adding doubles leaves."""
    return round(value, 6)
