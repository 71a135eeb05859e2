"""All stored rows of one session at one tier, with columns that are read when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from replay.heatmap import columns_of, combine
from replay.ragged import Floats, Ints, Ragged, nulls
from replay.sessions import MINUTE
from replay.snapshots import Snapshots, Timeline

Load = Callable[[Sequence[str]], dict[str, Ragged]]
LoadRows = Callable[[Ints, Sequence[str]], dict[str, Ragged]]

_FEW: Final = 4
"""So many times rows are read by themselves; then all rows are, as a strategy that looks now and again looks often."""

_NEVER: Final = np.iinfo(np.int64).max


def nothing(names: Sequence[str]) -> dict[str, Ragged]:
    """The columns of no rows."""
    return {name: nulls(0) for name in names}


class Track:
    """The rows of a :class:`~replay.snapshots.Timeline` with what is known of their columns.

    Parameters
    ----------
    timeline
        N stored rows.
    rows
        The same rows with ``spot``, ``strike`` and whatever else has been read.
    load
        Reads further list columns of all N rows by name.
    load_rows
        Reads list columns of the rows at some positions alone; ``None``: there is no cheaper way than all.
    """

    def __init__(self, timeline: Timeline, rows: Snapshots, load: Load, load_rows: LoadRows | None = None) -> None:
        self.timeline = timeline
        self._rows = rows
        self._lists = dict(rows.lists)
        self._load = load
        self._load_rows = load_rows
        self._few = 0

    @property
    def spot(self) -> Floats:
        """(N,) USD; NaN where not known."""
        return np.where(np.isfinite(self._rows.spot), self._rows.spot, np.nan)

    def column(self, name: str) -> Ragged:
        """A list column of all N rows, as stored."""
        self.read([name])
        return self._lists[name]

    def columns_read(self) -> list[str]:
        """The list columns read so far, beside ``strike``."""
        return [name for name in self._lists if name != "strike"]

    def read(self, names: Sequence[str]) -> None:
        """Have these list columns read."""
        missing = [name for name in names if name not in self._lists]
        if missing:
            self._lists |= self._load(missing)

    def snapshots(self, positions: Ints, names: Sequence[str]) -> Snapshots:
        """The rows at these positions with ``strike`` and these columns."""
        self.read(names)
        lists = {name: self._lists[name].take(positions) for name in ("strike", *names)}
        return Snapshots(
            self.timeline.ts[positions], self.timeline.recorded_at[positions], self._rows.spot[positions], lists
        )

    def some(self, positions: Ints, names: Sequence[str]) -> Snapshots:
        """As :meth:`part`, until that was asked for a few times: then all rows are read."""
        if all(name in self._lists for name in names) or self._few == _FEW:
            return self.snapshots(positions, names)
        self._few += 1
        return self.part(positions, names)

    def part(self, positions: Ints, names: Sequence[str]) -> Snapshots:
        """As :meth:`snapshots`, but what has not been read is read of these rows alone, and not kept."""
        missing = [name for name in names if name not in self._lists]
        if not missing or self._load_rows is None or len(positions) == 0:
            return self.snapshots(positions, names)
        rows = self.snapshots(positions, [name for name in names if name in self._lists])
        return replace(rows, lists=rows.lists | self._load_rows(positions, missing))

    def strikes(self, positions: Sequence[int]) -> list[Floats]:
        """The strikes of each of these rows, read-only."""
        return _listed(self.snapshots(np.array(positions, np.int64), ()), "strike")

    def values(self, name: str, positions: Sequence[int]) -> list[Floats]:
        """A metric or stored column of each of these rows, parallel to its strikes, read-only; NaN is not known."""
        columns = columns_of(name) if name == "oi" else (name,)
        rows = self.snapshots(np.array(positions, np.int64), columns)
        if name != "oi":
            return _listed(rows, name)
        sums = [combine(name, list(row)) for row in zip(*(_listed(rows, each) for each in columns), strict=True)]
        for row in sums:
            row.flags.writeable = False
        return sums

    def newest(self, instants: Ints, known: Ints) -> Ints:
        """For each instant (I,) the position of the newest row visible at it, -1 where there is none.

        ``instants`` and ``known`` (I,) ascend; the latter is the knowledge cut at each instant, inclusive.
        """
        line = self.timeline
        ever = np.flatnonzero(line.superseded_at > line.recorded_at)
        first = np.maximum(
            np.searchsorted(instants, line.ts[ever]), np.searchsorted(known, line.recorded_at[ever])
        )  # the instant from which each row, or a later revision of it, is visible
        reached = first < len(instants)
        newest = np.full(len(instants), -1, np.int64)
        np.maximum.at(newest, first[reached], ever[reached])
        return np.maximum.accumulate(newest)

    def patience(self, instants: Ints, known: Ints, newest: Ints) -> Ints:
        """For each instant (I,) how old its newest row may be: stale from lag + 2 cadences on, microseconds.

        The age is taken at the knowledge cut where that is before the instant: data that is seen later by a latency
        is not stale for it. Told exactly, from what was visible then, only where the age comes near it; elsewhere it
        is "never".
        """
        line = self.timeline
        limits = np.full(len(instants), _NEVER, np.int64)
        if len(line.ts) == 0:
            return limits
        least = int((line.recorded_at - line.ts).min()) + 2 * self._least_cadence()
        for i in np.flatnonzero((newest >= 0) & (np.minimum(instants, known) - line.ts[newest] >= least)).tolist():
            clocks = line.clocks(line.visible(int(instants[i]), int(known[i])))
            limits[i] = clocks.median_lag() + 2 * (clocks.median_step() or MINUTE)
        return limits

    def _least_cadence(self) -> int:
        """No cadence told from any part of these rows is shorter, microseconds."""
        given = set(self.timeline.cadences)
        if len(given) > 1 or None in given:
            steps = np.diff(np.unique(self.timeline.ts))
            given |= {MINUTE, int(steps.min(initial=MINUTE))}
        return min(each for each in given if each is not None)


def _listed(rows: Snapshots, name: str) -> list[Floats]:
    """A list column of each row, parallel to its strikes, read-only; NaN where not known, or not finite."""
    column, strike = rows.lists[name], rows.lists["strike"]
    block = column.block() if strike.known.all() else None
    if block is not None:
        if np.isinf(block).any():
            block = np.where(np.isinf(block), np.nan, block)
        block.flags.writeable = False
        return list(block)
    infinite = bool(np.isinf(column.values).any())
    found = []
    for i in range(len(rows)):
        known = column.known[i] and strike.known[i]  # what a row without strikes lists belongs to none
        row = column.row(i) if known else np.full(strike.lengths[i], np.nan)
        if infinite:
            row = np.where(np.isinf(row), np.nan, row)
        row = row.view()
        row.flags.writeable = False
        found.append(row)
    return found
