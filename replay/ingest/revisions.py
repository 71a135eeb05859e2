"""The rows of one session in memory, as captures see them: which are visible when, and which are to be written."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from replay import schema
from replay.ragged import Floats, ragged
from replay.sessions import MINUTE
from replay.snapshots import Snapshots
from replay.storage.files import Partition
from replay.storage.rows import as_table
from replay.storage.writer import LakeWriter


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A snapshot. ``lists`` holds the columns that are known, parallel to ``strike``, which is ``None`` in legacy rows.

    ``live``: from a capture, so that a column it lacks was not said then. ``fresh``: made, or filled, in this run.
    """

    ts: int
    recorded_at: int
    spot: float
    strike: Floats | None
    lists: Mapping[str, Floats]
    live: bool = True
    fresh: bool = True

    def on(self, name: str, grid: Floats) -> Floats:
        """A column on other strikes, NaN where it has no value."""
        return laid(self.strike, self.lists.get(name), grid)

    def same(self, other: Row) -> bool:
        """Whether two rows of one ts, which have strikes or not, answer the same; a list of NaN is one not known."""
        if self.spot != other.spot or self.strike is None or other.strike is None:
            return False
        if not np.array_equal(self.strike, other.strike):
            return False
        names = {*self.lists, *other.lists}
        return all(
            np.array_equal(self.on(name, self.strike), other.on(name, self.strike), equal_nan=True) for name in names
        )

    def merged(self, stored: Row) -> Row:
        """This row and one of the same clocks as a lake holds them: the strikes of both, and what either knows.

        Where both know something else, that of ``stored`` stays.
        """
        if stored.strike is None or self.strike is None:
            return replace(self, spot=stored.spot)
        grid = np.union1d(self.strike, stored.strike)
        lists = {}
        for name in {**stored.lists, **self.lists}:
            known = stored.on(name, grid)
            lists[name] = np.where(np.isnan(known), self.on(name, grid), known)
        return replace(self, spot=stored.spot, strike=grid, lists=lists)


def laid(own: Floats | None, values: Floats | None, grid: Floats) -> Floats:
    """Values parallel to ascending strikes of their own on other ascending ones, NaN where there is none."""
    found = np.full(len(grid), np.nan)
    if own is not None and values is not None and len(own) and len(grid):
        at = np.minimum(np.searchsorted(own, grid), len(own) - 1)
        there = own[at] == grid
        found[there] = values[at[there]]
    return found


class Revisions:
    """Every row of a partition, and those that are visible at the moment that :meth:`advance` went to."""

    def __init__(self, writer: LakeWriter, partition: Partition) -> None:
        self._partition = partition
        self._rows = sorted(_stored(writer, partition), key=lambda row: row.recorded_at)
        self._stored = {(row.ts, row.recorded_at): row for row in self._rows}
        self.has_captures = any(row.live for row in self._rows)
        self._next = 0
        self._now = -1
        self._visible: dict[int, Row] = {}
        self._order: list[int] = []
        self._pending: dict[tuple[int, int], Row] = {}

    def advance(self, now: int, columns: Collection[str]) -> None:
        """Go to as_of = known_at = ``now``, in microseconds.

        On the way a capture's row that comes after a fresh one, and lacks some of these columns, is filled with what
        was known of them before it: it would have been written so, had all been known in time.
        """
        if now < self._now:
            self._next, self._visible, self._order = 0, {}, []
        self._now = now
        while self._next < len(self._rows) and self._rows[self._next].recorded_at <= now:
            row = self._rows[self._next]
            before = self._visible.get(row.ts)
            if row.live and row.strike is not None and before is not None and before.fresh:
                lists = {
                    name: before.on(name, row.strike)
                    for name in before.lists
                    if name in columns and name not in row.lists
                }
                if lists:
                    row = replace(row, lists={**row.lists, **lists}, fresh=True)
                    self._rows[self._next] = self._pending[row.ts, row.recorded_at] = row
            self._show(row)
            self._next += 1

    def window(self, since: int, until: int, made: Mapping[int, Row] = MappingProxyType({})) -> list[Row]:
        """The visible rows of these instants, both inclusive, as they are once those ``made``, by ts, are put."""
        start, end = bisect.bisect_left(self._order, since), bisect.bisect_right(self._order, until)
        found = self._order[start:end]
        more = [ts for ts in made if since <= ts <= until and ts not in self._visible]
        return [made.get(ts) or self._visible[ts] for ts in (sorted([*found, *more]) if more else found)]

    def minute(self, start: int) -> list[Row]:
        """The visible rows of a minute that have strikes."""
        return [row for row in self.window(start, start + MINUTE - 1) if row.strike is not None]

    def at(self, ts: int) -> Row | None:
        """The visible row of an instant."""
        return self._visible.get(ts)

    def stored(self, ts: int, recorded_at: int) -> Row | None:
        """The row of these clocks as the lake holds it, or will: what it knows cannot change."""
        return self._stored.get((ts, recorded_at))

    def is_revised(self, start: int) -> bool:
        """Whether rows of a minute become known later than now."""
        return any(start <= row.ts < start + MINUTE for row in self._rows[self._next :])

    def put(self, rows: Iterable[Row]) -> None:
        """Take rows that became known at the moment that :meth:`advance` went to."""
        for row in rows:
            self._pending[row.ts, row.recorded_at] = self._stored[row.ts, row.recorded_at] = row
            before = self._visible.get(row.ts)
            if before is not None and before.recorded_at == row.recorded_at:
                place = next(i for i in range(self._next - 1, -1, -1) if self._rows[i] is before)
                self._rows[place] = row
            else:
                self._rows.insert(self._next, row)
                self._next += 1
            self._show(row)

    def flush(self, writer: LakeWriter, metadata: dict[bytes, bytes], columns: Collection[str]) -> int:
        """Write the rows that are not written yet; returns how many are new to the lake, or say more than before.

        Rows that come after are filled first, as in :meth:`advance`.
        """
        if not self._pending:
            return 0
        if self._next < len(self._rows):
            self.advance(self._rows[-1].recorded_at, columns)
        rows = [self._pending[clocks] for clocks in sorted(self._pending)]
        written = writer.enrich(self._partition, _table(rows, self._partition), metadata)
        self._stored.update(self._pending)  # also those that were filled
        self._pending.clear()
        return written

    def _show(self, row: Row) -> None:
        if row.ts not in self._visible:
            bisect.insort(self._order, row.ts)
        self._visible[row.ts] = row


def snapshots(rows: Sequence[Row], columns: Iterable[str]) -> Snapshots:
    """Rows as arrays, with these columns beside the strikes."""
    lists = {name: ragged([row.lists.get(name) for row in rows]) for name in columns}
    return Snapshots(
        np.array([row.ts for row in rows], np.int64),
        np.array([row.recorded_at for row in rows], np.int64),
        np.array([row.spot for row in rows], np.float64),
        {"strike": ragged([row.strike for row in rows]), **lists},
    )


def _table(rows: Sequence[Row], partition: Partition) -> pa.Table:
    return as_table(snapshots(rows, schema.VALUES), partition.date)


def _stored(writer: LakeWriter, partition: Partition) -> Iterable[Row]:
    """The rows of a partition in the order of its timeline; strikes that are no numbers are left out."""
    timeline, rows = writer.rows(partition)
    sources = [entries.get(schema.METADATA_SOURCE, b"") for entries in writer.metadata(timeline)]
    live = [any(each.startswith(b"heatmap:") for each in source.split(b" + ")) for source in sources]
    for i in range(len(rows)):
        strike = rows.lists["strike"].row(i) if rows.has_strikes[i] else None
        known = [name for name in schema.VALUES if rows.lists[name].known[i]] if strike is not None else []
        lists = {name: rows.lists[name].row(i) for name in known}
        if strike is not None and not (np.isfinite(strike).all() and (np.diff(strike) > 0).all()):
            order = np.argsort(strike, kind="stable")
            order = order[np.isfinite(strike[order])]
            strike, lists = strike[order], {name: values[order] for name, values in lists.items()}
        yield Row(
            int(rows.ts[i]), int(rows.recorded_at[i]), float(rows.spot[i]), strike, lists,
            live=live[timeline.file[i]], fresh=False,
        )  # fmt: skip
