"""Walk-forward: the set that was best until then, seen on the sessions after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from replay.ragged import Ints
from replay.sweeps.metrics import best_of, measure
from replay.sweeps.plan import Walk


@dataclass(frozen=True)
class Window:
    """Sessions by their number: ``train`` from ``start`` to ``middle``, ``test`` from there to ``end``, all exclusive
    at their ends; ``chosen`` is the set that was best in ``train``, and the rest what it came to in each.
    """

    start: int
    middle: int
    end: int
    chosen: int
    in_sample: dict[str, Any]
    out_of_sample: dict[str, Any]


def windows_of(rows: dict[str, Any], walk: Walk, metric: str) -> list[Window]:
    """Every window that has all its sessions; the tests follow one another, so that each session is in one at most.

    Parameters
    ----------
    rows
        (sets, sessions), as :func:`replay.sweeps.metrics.by_set` gives them.
    """
    sets, sessions = rows["profit"].shape
    found = []
    for start in range(0, sessions - walk.train - walk.test + 1, walk.test):
        middle, end = start + walk.train, start + walk.train + walk.test
        trained = [measure(rows, number, slice(start, middle)) for number in range(sets)]
        chosen = best_of(trained, metric)
        found.append(
            Window(start, middle, end, chosen, trained[chosen], measure(rows, chosen, slice(middle, end)))
        )  # fmt: skip
    return found


def out_of_sample(table: pa.Table, windows: Sequence[Window], sessions: int) -> pa.Table:
    """The rows of the tested sessions in order, of the set that was chosen for each, with the window's number."""
    places: Ints = np.concatenate([each.chosen * sessions + np.arange(each.middle, each.end) for each in windows])
    numbers = np.repeat(np.arange(len(windows)), [each.end - each.middle for each in windows])
    field = pa.field("window", pa.int64(), nullable=False)
    return table.take(pa.array(places)).drop_columns(["equity"]).add_column(0, field, pa.array(numbers, pa.int64()))


def describe(windows: Sequence[Window], dates: Sequence[dt.date], sets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Windows by their dates with what was chosen, and the sessions at the end that no window reached."""
    return {
        "windows": [
            {
                "train": _span(dates[each.start : each.middle]),
                "test": _span(dates[each.middle : each.end]),
                "set": each.chosen,
                "parameters": sets[each.chosen],
                "in_sample": each.in_sample,
                "out_of_sample": each.out_of_sample,
            }
            for each in windows
        ],
        "untested": [date.isoformat() for date in dates[windows[-1].end :]],
    }


def _span(dates: Sequence[dt.date]) -> list[str]:
    return [dates[0].isoformat(), dates[-1].isoformat()]
