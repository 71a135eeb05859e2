"""A sweep's metric over two of its parameters, as a matrix to be drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay.ragged import Floats
from replay.sweeps.grid import Grid
from replay.sweeps.task import Sets


@dataclass(frozen=True, eq=False)
class Surface:
    """The median of a metric over the sets that share two values.

    Attributes
    ----------
    across, up
        The parameters' names; ``up`` is ``None`` where there is but one.
    columns, rows
        (X,) and (Y,), their values in the order of the grid.
    values
        (Y, X), NaN where no set has one.
    sets
        How many sets each cell is of.
    """

    across: str
    up: str | None
    columns: list[Any]
    rows: list[Any]
    values: Floats
    sets: int


def surfaces_of(values: Sequence[float | None], grid: Grid, sets: Sets) -> list[Surface]:
    """A surface for each pair of parameters that have several values, or of the only one.

    Parameters
    ----------
    values
        The metric of each set.
    """
    varied = [name for name in grid if len(grid[name]) > 1] or list(grid)[:1]
    pairs: list[tuple[str, str | None]] = [*itertools.combinations(varied, 2)] or [(varied[0], None)]
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    return [_surface(numbers, grid, sets, across, up) for across, up in pairs]


def _surface(numbers: Floats, grid: Grid, sets: Sets, across: str, up: str | None) -> Surface:
    columns, rows = list(grid[across]), [None] if up is None else list(grid[up])
    cells: dict[tuple[int, int], list[float]] = {}
    for number, each in zip(numbers.tolist(), sets, strict=True):
        place = 0 if up is None else rows.index(each[up]), columns.index(each[across])
        cells.setdefault(place, []).append(number)
    found = np.full((len(rows), len(columns)), np.nan)
    for place, held in cells.items():
        known = [value for value in held if not np.isnan(value)]
        if known:
            found[place] = np.median(known)
    return Surface(across, up, columns, rows, found, len(numbers) // found.size)
