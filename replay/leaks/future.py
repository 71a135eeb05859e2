"""Tapes whose future was replaced: what is not visible at an instant is dropped, corrupted or shifted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.ragged import Bools, Floats, Ints, Ragged
from replay.sessions import MINUTE
from replay.snapshots import Snapshots, Timeline
from replay.tape import Tape, Track

_NEVER: Final = np.iinfo(np.int64).max
_LATER: Final = 7 * MINUTE
_HASTE: Final = 1000

Change = Callable[[Floats, Bools, np.random.Generator], Floats]
"""New values from old ones, where the mask says so."""


def _shuffled(values: Floats, future: Bools, rng: np.random.Generator) -> Floats:
    values[future] = rng.permutation(values[future])
    return values


def _scaled(values: Floats, future: Bools, _: np.random.Generator) -> Floats:
    values[future] = values[future] * 3.0 + 1.0
    return values


def _negated(values: Floats, future: Bools, _: np.random.Generator) -> Floats:
    values[future] = -values[future]
    return values


def _unknown(values: Floats, future: Bools, _: np.random.Generator) -> Floats:
    values[future] = np.nan
    return values


def _same(values: Floats, _: Bools, __: np.random.Generator) -> Floats:
    return values


_VALUES: Final[dict[str, Change]] = {
    "shuffled": _shuffled,
    "scaled": _scaled,
    "negated": _negated,
    "unknown": _unknown,
}
PERTURBATIONS: Final = ("dropped", *_VALUES, "shifted later", "hastened")


@dataclass(frozen=True, slots=True)
class Cut:
    """What divides past and future: a row is past if ``ts <= as_of`` and ``recorded_at <= known_at``."""

    as_of: int
    known_at: int

    def future(self, timeline: Timeline) -> Bools:
        """Which rows are the future."""
        return (timeline.ts > self.as_of) | (timeline.recorded_at > self.known_at)


def perturbed(tape: Tape, cut: Cut, how: str, seed: int, around: Callable[[Track], Track] = lambda each: each) -> Tape:
    """The tape with its future replaced, and nothing else.

    Parameters
    ----------
    how
        One of :data:`PERTURBATIONS`. ``scaled`` moves the future's strikes as well; ``hastened`` brings all of it to
        just after the cut.
    around
        Called with each new track, to wrap it.
    """
    tracks = [around(_track(track, cut, how, seed)) for track in tape.tracks]
    return Tape(tape.symbol, tape.session, tracks, tape.tier, tape.fingerprint, tape.stated)


def _track(track: Track, cut: Cut, how: str, seed: int) -> Track:
    line = track.timeline
    future = cut.future(line)
    ts, recorded_at = _clocks(line, cut, future, how)
    kept = np.flatnonzero(~future) if how == "dropped" else np.arange(len(line.ts))
    order = kept[np.lexsort((kept, recorded_at[kept], ts[kept]))]
    change = _VALUES.get(how, _same)
    rng = np.random.default_rng(seed)

    def lists(names: Sequence[str]) -> dict[str, Ragged]:
        track.read([name for name in names if name != "strike"])
        found = {}
        for name in names:
            column = track.column(name)
            if name == "strike":
                column = _changed(column, future, _scaled, rng) if how == "scaled" else column
            elif change is not _same:
                column = _changed(column, future, change, rng)
            found[name] = column.take(order)
        return found

    spot = change(track.spot.copy(), future, rng)
    timeline = replace_clocks(line, ts[order], recorded_at[order], line.file[order])
    rows = Snapshots(timeline.ts, timeline.recorded_at, spot[order], lists(["strike"]))
    return Track(timeline, rows, lists)


def _clocks(line: Timeline, cut: Cut, future: Bools, how: str) -> tuple[Ints, Ints]:
    """The clocks of all rows; those of the future stay in the future."""
    ts, recorded_at = line.ts.copy(), line.recorded_at.copy()
    if how == "shifted later":
        ts[future & (line.ts > cut.as_of)] += _LATER
        recorded_at[future] += _LATER
    elif how == "hastened":
        ahead = line.ts > cut.as_of
        ts[ahead] = cut.as_of + 1 + (line.ts[ahead] - cut.as_of) // _HASTE
        late = line.recorded_at > cut.known_at
        recorded_at[late] = cut.known_at + 1 + (line.recorded_at[late] - cut.known_at) // _HASTE
    return ts, recorded_at


def replace_clocks(line: Timeline, ts: Ints, recorded_at: Ints, file: Ints) -> Timeline:
    """A timeline of other rows, sorted by (ts, recorded_at): each superseded by the next of its ts."""
    superseded_at = np.full(len(ts), _NEVER, np.int64)
    again = np.flatnonzero(ts[1:] == ts[:-1])
    superseded_at[again] = recorded_at[again + 1]
    return replace(_plain(line), ts=ts, recorded_at=recorded_at, superseded_at=superseded_at, file=file)


def _plain(line: Timeline) -> Timeline:
    """A timeline without what a store knows beside it."""
    return Timeline(
        line.tier, line.ts, line.recorded_at, line.superseded_at, line.file, line.cadences, line.conventions
    )


def _changed(column: Ragged, future: Bools, change: Change, rng: np.random.Generator) -> Ragged:
    """A column with the values of the future's rows changed."""
    starts = np.cumsum(column.lengths) - column.lengths
    values = change(column.flat().copy(), np.repeat(future, column.lengths), rng)
    return Ragged(values, starts, column.lengths, column.known)
