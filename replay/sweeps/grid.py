"""The sets of parameters that a sweep tries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from replay.errors import InvalidParameter
from replay.strategy.loading import Loaded

MOST_SETS: Final = 10_000

Grid = Mapping[str, Sequence[Any]]


def parse_grid(texts: Iterable[str]) -> dict[str, list[str]]:
    """``wing=5,10,15`` and the like as names and values.

    Raises :class:`~replay.errors.InvalidParameter` for a text that is none, and a name that is given twice.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or not all(value.strip() for value in values.split(",")):
            raise InvalidParameter(f"grid {text!r} is not NAME=VALUE,VALUE,…")
        if name in found:
            raise InvalidParameter(f"grid: {name} is given twice")
        found[name] = [value.strip() for value in values.split(",")]
    return found


def sets_of(strategy: Loaded, grid: Grid, fixed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every parameter's value for each set, the last name of the grid changing fastest.

    Parameters
    ----------
    grid
        Values by name; text is read as the parameter's type.
    fixed
        Values that all sets have in common.

    Raises
    ------
    InvalidParameter
        For a grid without a value, a name that stands in both or that the strategy does not have, a value that does
        not fit, one that is given twice, or too many sets.
    """
    if not grid or not all(len(values) for values in grid.values()):
        raise InvalidParameter("a sweep needs a grid: at least one parameter with values")
    both = sorted(set(grid) & set(fixed))
    if both:
        raise InvalidParameter(f"parameter {both[0]} stands in the grid and by itself; give it once")
    count = math.prod(len(values) for values in grid.values())
    if count > MOST_SETS:
        raise InvalidParameter(f"the grid has {count:,} sets, over {MOST_SETS:,}; make it coarser")
    every = itertools.product(*grid.values())
    found = [strategy.settle({**fixed, **dict(zip(grid, values, strict=True))}) for values in every]
    for name in grid:
        kept = list(dict.fromkeys(each[name] for each in found))
        if len(kept) < len(grid[name]):
            raise InvalidParameter(f"grid: a value of {name} is given twice: {', '.join(map(str, grid[name]))}")
    return found
