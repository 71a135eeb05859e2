"""What a sweep gave: a row a set, a row a set and session, and what ran."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from replay.results.metrics import deflated_sharpe
from replay.sweeps import walk
from replay.sweeps.metrics import (
    best_of,
    by_set,
    column_name,
    measure,
    rank,
    settled_profits,
    sharpe_variance,
    table_of,
)
from replay.sweeps.plan import SweepPlan
from replay.sweeps.surface import Surface, surfaces_of
from replay.sweeps.task import Done

if TYPE_CHECKING:
    import pathlib

    import polars as pl


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """A sweep's outcome.

    Attributes
    ----------
    told
        What ``sweep.json`` holds: strategy and its source's hash, grid, terms, versions, the lake's fingerprint, how
        many sets were tried, the best of them, and the windows of a walk-forward.
    sets
        A row a set, columns as :data:`replay.sweeps.metrics.COLUMNS`; :meth:`to_polars` is its frame.
    sessions
        A row a set and session, by set; columns as :data:`replay.sweeps.task.SCHEMA`.
    out_of_sample
        The tested sessions of a walk-forward, each of the set chosen before; ``None`` without one.
    path
        The folder written to; ``None`` for a sweep that wrote none.
    """

    told: dict[str, Any]
    sets: pa.Table
    sessions: pa.Table
    out_of_sample: pa.Table | None
    path: pathlib.Path | None

    @property
    def trials(self) -> int:
        """How many sets of parameters were tried."""
        return int(self.told["trials"])

    @property
    def best(self) -> dict[str, Any]:
        """The best set by the metric asked for: its number, parameters, metrics, and its deflated Sharpe ratio.

        That is given as a report on a run with so many trials has it, and by the variance of the sets' own ratios (per
        session), which is that of the paper.
        """
        found: dict[str, Any] = self.told["best"]
        return found

    @property
    def traded(self) -> bool:
        """Whether any set sent an order."""
        return bool(np.any(self.sessions["orders"].to_numpy()))

    def to_polars(self) -> pl.DataFrame:
        """A row a set, in the order of the grid."""
        return _frame(self.sets)

    def by_session(self) -> pl.DataFrame:
        """A row a set and session."""
        return _frame(self.sessions)

    def ranked(self) -> pl.DataFrame:
        """A row a set, the best first."""
        rows, metric = self.sets.to_pylist(), self.told["metric"]
        return self.to_polars()[sorted(range(len(rows)), key=lambda number: (-rank(rows[number], metric), number))]

    def surfaces(self, metric: str | None = None) -> list[Surface]:
        """The median of a metric (``None``: the one asked for) over each pair of parameters that were varied."""
        grid = self.told["grid"]
        columns = self.sets.to_pydict()
        sets = [
            dict(zip(grid, values, strict=True))
            for values in zip(*(columns[column_name(name)] for name in grid), strict=True)
        ]
        kept = {name: list(dict.fromkeys(each[name] for each in sets)) for name in grid}
        return surfaces_of(columns[metric or self.told["metric"]], kept, sets)

    def __repr__(self) -> str:
        told = self.told
        return (
            f"<Sweep {told['strategy']['name']} on {', '.join(told['symbols'])}: {self.trials} sets x "
            f"{len(told['dates'])} sessions, best by {told['metric']}: {told['best']['parameters']}>"
        )

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(repr(self))}</p>{self.to_polars()._repr_html_()}"


def sweep_of(plan: SweepPlan, outcomes: Iterable[Done], path: pathlib.Path | None) -> Sweep:
    """What the tasks' outcomes, in the order of the tasks, come to."""
    tables: list[pa.Table] = []
    told: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    for done in outcomes:
        tables.append(done.table)
        told |= {each["date"]: each for each in done.told}
        files |= done.files
    table = _in_order(pa.concat_tables(tables), plan)
    rows = by_set(table, len(plan.sets))
    measured = [measure(rows, number) for number in range(len(plan.sets))]
    best = best_of(measured, plan.metric)
    variance = sharpe_variance(measured)
    profits = settled_profits(rows, best)
    tested, walked = None, None
    if plan.walk is not None:
        windows = walk.windows_of(rows, plan.walk, plan.metric)
        tested = walk.out_of_sample(table, windows, len(plan.run.dates))
        varied = [{name: each[name] for name in plan.grid} for each in plan.sets]
        walked = plan.describe()["walk_forward"] | walk.describe(windows, plan.run.dates, varied)
        walked["out_of_sample"] = measure(by_set(tested, 1), 0)
    described = plan.describe() | {
        "walk_forward": walked,
        "best": {
            "set": best,
            "parameters": dict(plan.sets[best]),
            **measured[best],
            "deflated_sharpe": deflated_sharpe(profits, len(plan.sets)),
            "deflated_sharpe_by_spread": None
            if variance is None
            else deflated_sharpe(profits, len(plan.sets), variance),
            "sharpe_variance": variance,
        },
        "sessions": [told[date.isoformat()] for date in plan.run.dates],
        "lake": {
            "fingerprint": hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest(),
            "files": dict(sorted(files.items())),
        },
    }
    return Sweep(described, table_of(measured, plan.grid, plan.sets), table, tested, path)


def _in_order(table: pa.Table, plan: SweepPlan) -> pa.Table:
    """Rows by set and session, their equity chained over the sessions as in a run of the set alone."""
    sessions = table["session"].cast(pa.int32()).to_numpy()
    table = table.take(pa.array(np.lexsort((sessions, table["set"].to_numpy())))).combine_chunks()
    if plan.run.strategy.carries_state:
        return table
    shape = len(plan.sets), len(plan.run.dates)
    profit = np.nan_to_num(table["profit"].to_numpy()).reshape(shape)
    before = np.zeros(shape)
    for at in range(1, shape[1]):
        before[:, at] = np.round(before[:, at - 1] + profit[:, at - 1], 6)
    equity = np.round(table["equity"].to_numpy() + before.ravel(), 6)
    place = table.schema.get_field_index("equity")
    return table.set_column(place, table.schema.field(place), pa.array(equity, from_pandas=True))


def _frame(table: pa.Table) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
