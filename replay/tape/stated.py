"""A session's rows said otherwise, computed as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from replay.exposure.restate import EFFECTIVE, FLOWS, FlowHistory, Restatement, held_conventions
from replay.ragged import Floats, Ints, Ragged, ragged
from replay.sessions import Session
from replay.snapshots import Snapshots
from replay.tape.track import Track

KEPT_BYTES: Final = 64 * 2**20
"""Of rows that were stated, so many bytes are kept for further requests."""


class StatedTrack(Track):
    """The rows of a track as a restatement says them, and again wherever flow that became known later changes them.

    Parameters
    ----------
    stored
        N rows as stored.
    stated
        How to say them; not as stored.
    session
        Theirs.

    Raises
    ------
    InvalidConventions
        If a row with strikes stands in a file that names no convention id that this engine knows.
    """

    def __init__(self, stored: Track, stated: Restatement, session: Session) -> None:
        line = stored.timeline
        rows = stored.snapshots(np.arange(len(line.ts)), FLOWS if stated.basis == EFFECTIVE else ())
        for number in np.unique(line.file[rows.has_strikes]).tolist():
            held_conventions(line.conventions[number])
        self._stored, self._stated, self._session = stored, stated, session
        self._history = FlowHistory(line, rows) if stated.basis == EFFECTIVE else None
        self._source = np.arange(len(line.ts)) if self._history is None else self._history.source
        timeline = line if self._history is None else self._history.timeline
        self._held = [line.conventions[number] for number in line.file.tolist()]
        if stated.conventions is not None:
            timeline = replace(timeline, conventions=(stated.conventions,) * len(timeline.conventions))
        super().__init__(timeline, rows.take(self._source), self._taken)
        self._kept: dict[int, dict[str, Floats | None]] = {}
        self._kept_bytes = 0
        self._asked: dict[str, None] = {}

    def column(self, name: str) -> Ragged:
        """A list column of all M rows."""
        return self.snapshots(np.arange(len(self.timeline.ts)), (name,)).lists[name]

    def columns_read(self) -> list[str]:
        """The list columns read so far, beside ``strike``."""
        return list(dict.fromkeys((*super().columns_read(), *self._asked)))

    def read(self, names: Sequence[str]) -> None:
        """Have what these list columns come from read."""
        self._stored.read(self._stated.needed(names))
        self._asked |= dict.fromkeys(name for name in names if name in self._stated.columns)
        super().read([name for name in names if name not in self._stated.columns])

    def snapshots(self, positions: Ints, names: Sequence[str]) -> Snapshots:
        """The rows at these positions with ``strike`` and these columns; ``recorded_at`` is that of the stored row."""
        self.read(names)
        said = [name for name in names if name in self._stated.columns]
        rows = super().snapshots(positions, [name for name in names if name not in said])
        recorded_at = self._stored.timeline.recorded_at[self._source[positions]]
        return replace(rows, recorded_at=recorded_at, lists=rows.lists | self._said(positions, said))

    def _taken(self, names: Sequence[str]) -> dict[str, Ragged]:
        return {name: self._stored.column(name).take(self._source) for name in names}

    def _said(self, positions: Ints, names: Sequence[str]) -> dict[str, Ragged]:
        """These columns of the rows at these positions, of which those stated before are kept."""
        wanted = positions.tolist()
        missing = [each for each in dict.fromkeys(wanted) if not self._kept.get(each, {}).keys() >= set(names)]
        if missing:
            self._state(np.array(missing, np.int64), names)
        found = {name: ragged([self._kept[each][name] for each in wanted]) for name in names}
        if self._kept_bytes > KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = 0
        return found

    def _state(self, positions: Ints, names: Sequence[str]) -> None:
        """State the rows at these positions and keep what comes of it."""
        source = self._source[positions]
        rows = self._stored.snapshots(source, self._stated.needed(names))
        so_far = None if self._history is None else self._history.so_far(positions)
        found = self._stated.state(rows, so_far, [self._held[each] for each in source.tolist()], self._session)
        said = {name: found.lists[name] for name in found.lists if name in self._stated.columns}
        for i, position in enumerate(positions.tolist()):
            kept = {name: column.row(i) if column.known[i] else None for name, column in said.items()}
            self._kept.setdefault(position, {}).update(kept)
            self._kept_bytes += sum(0 if row is None else row.nbytes for row in kept.values())
