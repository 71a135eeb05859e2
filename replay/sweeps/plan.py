"""What a sweep is to do: a run for every set of parameters, cut into tasks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from replay.engine.plan import Plan
from replay.errors import InvalidRun
from replay.sweeps.metrics import METRICS
from replay.sweeps.task import Sets, Task

_FEWEST: Final = 16
_MOST: Final = 256
"""Sets in a task: fewer than the one would read a session's data too often, more than the other take too long."""
_TASKS_A_WORKER: Final = 4


@dataclass(frozen=True)
class Walk:
    """Windows of a walk-forward: so many sessions to choose a set on, and so many after them to see what it is worth.

    ``test`` sessions further on lies the next window.
    """

    train: int
    test: int


@dataclass(frozen=True)
class SweepPlan:
    """One sweep, without where it reads, works and writes.

    Attributes
    ----------
    run
        What all sets have in common; its parameters are the first set's.
    grid
        The values of each parameter that is varied.
    sets
        Every parameter's value for each set, the last name of the grid changing fastest.
    metric
        What the best set is chosen by.
    walk
        ``None``: no walk-forward.
    """

    run: Plan
    grid: Mapping[str, list[Any]]
    sets: Sets
    metric: str
    walk: Walk | None

    @property
    def fixed(self) -> dict[str, Any]:
        """The parameters that all sets have in common."""
        return {name: value for name, value in self.sets[0].items() if name not in self.grid}

    def describe(self) -> dict[str, Any]:
        """What decides the bytes, as plain values for ``sweep.json``."""
        told = self.run.describe()
        return {
            "strategy": told.pop("strategy") | {"parameters": self.fixed},
            "grid": {name: list(values) for name, values in self.grid.items()},
            "metric": self.metric,
            "walk_forward": None if self.walk is None else dataclasses.asdict(self.walk),
            **told,
        }

    def tasks(self, size: int) -> list[Task]:
        """Every task, of at most so many sets, in order."""
        dates = self.run.dates
        spans = [dates] if self.run.strategy.carries_state else [(date,) for date in dates]
        return [
            Task(span, first, tuple(self.sets[first : first + size]))
            for span in spans
            for first in range(0, len(self.sets), size)
        ]

    def task_size(self, workers: int) -> int:
        """How many sets a task is to have for so many workers: all of them, unless there would be too few tasks."""
        spans = 1 if self.run.strategy.carries_state else len(self.run.dates)
        fewest = 1 if self.run.strategy.carries_state else _FEWEST
        share = math.ceil(len(self.sets) * spans / (workers * _TASKS_A_WORKER)) if workers > 1 else _MOST
        return min(max(share, fewest), _MOST)


def check_metric(metric: str) -> str:
    """Raise :class:`~replay.errors.InvalidRun` unless sets can be told apart by it."""
    if metric not in METRICS:
        raise InvalidRun(f"metric {metric!r} is not one of {', '.join(METRICS)}")
    return metric


def make_walk(train: int | None, test: int | None, sessions: int) -> Walk | None:
    """The windows that were asked for, of so many sessions.

    Raises :class:`~replay.errors.InvalidRun` for a length that is none, one without the other, and too few sessions.
    """
    if train is None and test is None:
        return None
    for name, value in (("train", train), ("test", test)):
        if value is None:
            raise InvalidRun(f"a walk-forward needs train and test; {name} is not given")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidRun(f"{name} {value!r} is not a whole number of sessions from 1")
    assert train is not None
    assert test is not None
    if train + test > sessions:
        raise InvalidRun(f"train {train} and test {test} need {train + test} sessions; there are {sessions}")
    return Walk(train, test)
