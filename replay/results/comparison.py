"""Runs side by side: the same metrics of each, and the profits of the sessions that two of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from replay.results.activity import Activity, activity
from replay.results.intervals import Interval, mean_interval
from replay.results.metrics import Metrics, session_metrics
from replay.results.traded import Traded, column


@dataclass(frozen=True, eq=False)
class Paired:
    """A run less another, over the sessions that both settled.

    Attributes
    ----------
    sessions
        How many they are.
    mean, total
        Of the differences, USD; ``None`` without any.
    interval
        Of the mean, by bootstrap over the pairs.
    better
        In how many sessions the first made more.
    """

    sessions: int
    mean: float | None
    total: float | None
    interval: Interval
    better: int


@dataclass(frozen=True, eq=False)
class Compared:
    """Another run beside the reported one: what it comes to, and the reported one less it."""

    name: str
    traded: Traded
    metrics: Metrics
    activity: Activity
    paired: Paired


def compare(own: Traded, others: Sequence[Traded]) -> tuple[Compared, ...]:
    """Runs beside a run; a name that is taken is numbered."""
    found: list[Compared] = []
    for each in others:
        taken = {own.name, *(other.name for other in found)}
        name = next(
            named
            for i in range(1, len(taken) + 2)
            if (named := each.name if i == 1 else f"{each.name} ({i})") not in taken
        )
        metrics = session_metrics(each.known())
        found.append(Compared(name, each, metrics, activity(each), paired(own, each)))
    return tuple(found)


def paired(own: Traded, other: Traded) -> Paired:
    """A run less another, session by session."""
    ours = own.sessions.select("session", "profit")
    theirs = other.sessions.select("session", theirs="profit")
    both = ours.join(theirs, on="session", how="inner").drop_nulls().sort("session")
    away = column(both, "profit") - column(both, "theirs")
    return Paired(
        len(away),
        float(away.mean()) if len(away) else None,
        float(away.sum()) if len(away) else None,
        mean_interval(away, own.seed),
        int((away > 0).sum()),
    )


def curves(runs: Sequence[Traded]) -> list[pl.DataFrame]:
    """Of each run ``session`` and ``gained``, the profits so far, USD; a session that is not settled adds nothing."""
    return [
        run.sessions.select("session", gained=pl.Series(np.cumsum(np.nan_to_num(run.profits())))) for run in runs
    ]  # fmt: skip
