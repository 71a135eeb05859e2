"""Adding snapshots to a lake: whole files, named by content, that never contradict what is stored."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from replay import schema
from replay.errors import ConflictingRow
from replay.ragged import Bools, Ints
from replay.sessions import iso_utc
from replay.snapshots import Snapshots
from replay.storage.engine import Engine
from replay.storage.files import Partition, open_files
from replay.storage.neighbours import Agreement, is_aged_out, refuse_aged_out
from replay.storage.reader import Reader, StoredTimeline
from replay.storage.rows import FLOWS, as_snapshots, as_table, extends, merge, repeats
from replay.storage.soundness import clocks_of, row_faults

GROUP_ROWS: Final = 200

_BY_TIME: Final = [("ts", "ascending"), ("recorded_at", "ascending")]
_SCATTERED: Final = tuple(
    c.name for c in schema.COLUMNS if c.derived and not c.name.endswith("_iv")
)  # doubles that hardly repeat: split by byte they compress best, the others by dictionary


KeepFlow = Callable[[Snapshots, Snapshots], Snapshots]
"""Makes of corrections without flow, and of as many rows before them, these with flow."""


class LakeWriter:
    """Writes snapshots into a lake, which comes into being with the first. Usable in a ``with``.

    ``allow_mixed``: let a symbol and tier hold exposures under more than one convention id. ``flow_unknown`` counts
    the strikes of added revisions of which the flow, known of other revisions of their ts, is not known, ``flow_gaps``
    added snapshots without flow before one that has it.
    """

    def __init__(
        self, path: str | os.PathLike[str], filesystem: Any | None = None, *, allow_mixed: bool = False
    ) -> None:
        self._store = open_files(path, filesystem)
        self._agreement = Agreement(self._store, allow_mixed=allow_mixed)
        self._engine = Engine(self._store)
        self._reader = Reader(self._store, self._engine)
        self.flow_unknown = self.flow_gaps = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release threads and DuckDB."""
        self._reader.close()
        self._engine.close()

    def add(
        self,
        partition: Partition,
        table: pa.Table,
        metadata: dict[bytes, bytes],
        *,
        keep_flow: KeepFlow | None = None,
    ) -> int:
        """Store the rows of a table that are not stored yet; returns how many there were.

        A row is stored already where the row of its ts and recorded_at has the same in every list that it has.

        Parameters
        ----------
        table
            Columns as :data:`replay.schema.ARROW`, optional ones may be missing; one row a (ts, recorded_at).
        metadata
            As :func:`replay.schema.metadata` makes it.
        keep_flow
            Gives corrections that know no flow that of the revision of their ts which was known before them.

        Raises
        ------
        ConflictingRow
            If a row differs from a stored row, or another row of the table, with the same ts and recorded_at.
        AgedOut
            If raw of the session was aged out: rows of it would hide the thinned ones.
        MixedConventions
            If the symbol and tier hold exposures under another convention id.
        ValueError
            If the table has not the columns of a snapshot, or a row is not sound.

        Nothing is written where it raises.
        """
        return self.add_all(partition, [(table, metadata)], keep_flow=keep_flow)

    def add_all(
        self,
        partition: Partition,
        parts: Sequence[tuple[pa.Table, dict[bytes, bytes]]],
        *,
        keep_flow: KeepFlow | None = None,
    ) -> int:
        """As :meth:`add`, of several tables with metadata of their own: all of them are stored, or none."""
        tables = [_sound(partition, table) for table, _ in parts]
        ids = [metadata.get(schema.METADATA_CONVENTIONS, b"").decode() for _, metadata in parts]
        named = sorted({each for each in ids if each})
        with self._held(partition, sum(table.num_rows for table in tables), named):
            come: list[pa.Table] = []
            for table in tables:
                come.append(_besides(partition, come, self._new(partition, table, keep_flow)))
            if any(table.num_rows for table in come):
                self._agreement.check_all(partition, named)
            for table, (_, metadata) in zip(come, parts, strict=True):
                if table.num_rows:
                    self._store.write(partition, encode(table, metadata))
        return sum(int(table.num_rows) for table in come)

    def _new(self, partition: Partition, table: pa.Table, keep_flow: KeepFlow | None) -> pa.Table:
        """The rows of a table, by time, that are not stored yet."""
        stored = self._stored(partition, table)
        known = np.array([bool(copies) for copies in stored.copies], np.bool_)
        at = np.flatnonzero(known)
        # of several rows of one clock the last counts, which is the one that is read
        last = np.array([stored.copies[i][-1] for i in at], np.int64)
        whole = table
        if keep_flow is not None:
            whole, unknown = self._with_flow(partition, stored.timeline, table, keep_flow)
            self.flow_unknown += int(unknown[~known].sum())
            self.flow_gaps += self._without_flow(stored.timeline, table)
        there = stored.rows.take(last)
        alike = repeats(as_snapshots(table.take(pa.array(at))), there)
        if whole is not table:
            alike |= repeats(as_snapshots(whole.take(pa.array(at))), there)
        lost = np.flatnonzero(~alike)
        if len(lost):
            raise stored.conflict(int(last[lost[0]]), "differs from")
        return whole.filter(pa.array(~known))

    def enrich(self, partition: Partition, table: pa.Table, metadata: dict[bytes, bytes]) -> int:
        """Store rows that say more of clocks that are stored: where a row is known in part, the whole replaces it.

        As :meth:`add`, but where a row of the same ts and recorded_at is stored, the two become one that lists the
        strikes of both and knows what either knows. What both know must be the same. It comes into a file in the
        stead of the stored row's, under that file's convention id and cadence; both files are there for a moment,
        and where the writer is killed between them, the next that enriches the row clears it up.

        Returns how many rows are new, or say more than before. Raises as :meth:`add`.
        """
        table = _sound(partition, table)
        conventions = metadata.get(schema.METADATA_CONVENTIONS, b"").decode()
        named = [conventions] if conventions else []
        with self._held(partition, table.num_rows, named):
            stored = self._stored(partition, table)
            pairs = [(i, m) for i, copies in enumerate(stored.copies) for m in copies]
            i, m = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
            old = stored.rows.take(m)
            merged, sound = merge(old, as_snapshots(table).take(i))
            if not sound.all():
                raise stored.conflict(int(m[np.flatnonzero(~sound)[0]]), "contradicts")
            more = np.flatnonzero(~extends(merged, old))
            fresh = table.filter(pa.array([not copies for copies in stored.copies], pa.bool_()))
            if fresh.num_rows:
                self._agreement.check_all(partition, named)
            for number in np.unique(stored.file[m[more]]):
                swap = more[stored.file[m[more]] == number]
                come = as_table(merged.take(swap), partition.date)
                self._rewrite(partition, stored, int(number), m[swap], come, metadata)
            if fresh.num_rows:
                self._store.write(partition, encode(fresh, metadata))
        return len({int(each) for each in i[more]}) + int(fresh.num_rows)

    @contextlib.contextmanager
    def _held(self, partition: Partition, rows: int, conventions: Sequence[str]) -> Iterator[None]:
        """Hold the partition against other writers, where so many rows may come into it."""
        refuse_aged_out(self._store, partition, rows)
        if not self._store.names(partition):  # a partition comes into being with its lock
            self._agreement.check_all(partition, conventions)
        with self._store.lock(partition):
            refuse_aged_out(self._store, partition, rows)  # it may have been while this writer waited
            yield

    def is_aged_out(self, partition: Partition) -> bool:
        """Whether raw of the session was removed, so that the thinned tier stands for it."""
        return is_aged_out(self._store, partition)

    def _with_flow(
        self, partition: Partition, timeline: StoredTimeline, table: pa.Table, keep_flow: KeepFlow
    ) -> tuple[pa.Table, Ints]:
        """Rows by time; those that know no flow with what was known of their ts before them. And how many strikes of
        each are still without, where another revision of its ts knows flow."""
        unknown = np.zeros(table.num_rows, np.int64)
        corrected = np.flatnonzero(np.isin(timeline.ts, clocks_of(table)[0]))
        if not len(corrected):
            return table, unknown
        rows, before = as_snapshots(table), self._reader.snapshots(timeline, corrected, FLOWS)
        told = before.has_strikes & _knows_flow(before)
        pairs = []
        for i in np.flatnonzero(rows.has_strikes & ~_knows_flow(rows)).tolist():
            of_ts = np.flatnonzero(told & (before.ts == rows.ts[i]))
            at = of_ts[before.recorded_at[of_ts] < rows.recorded_at[i]]
            pairs += [(i, int(at[-1]))] if len(at) else []
            if len(of_ts):
                carried = before.lists["strike"].row(int(at[-1])) if len(at) else np.empty(0)
                unknown[i] = len(np.setdiff1d(rows.lists["strike"].row(i), carried))
        if not pairs:
            return table, unknown
        mine, theirs = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
        others = np.ones(len(rows), np.bool_)
        others[mine] = False
        made = as_table(keep_flow(rows.take(mine), before.take(theirs)), partition.date)
        return pa.concat_tables([table.filter(pa.array(others)), made]).sort_by(_BY_TIME), unknown

    def _without_flow(self, timeline: StoredTimeline, table: pa.Table) -> int:
        """How many rows of a table, of instants not stored yet, know no flow, and the stored one after each does."""
        rows = as_snapshots(table)
        fresh = rows.has_strikes & ~_knows_flow(rows) & ~np.isin(rows.ts, timeline.ts)
        after = np.searchsorted(timeline.ts, rows.ts[fresh])
        after = after[after < len(timeline.ts)]
        nexts, place = np.unique(after, return_inverse=True)
        return int(_knows_flow(self._reader.snapshots(timeline, nexts, FLOWS))[place].sum())

    def shrunk(self, partition: Partition, table: pa.Table) -> int:
        """How many rows of a table list fewer strikes than the revision of their ts before them, there or stored."""
        ts, recorded_at, _ = clocks_of(table)
        strikes = pc.list_value_length(table["strike"]).fill_null(0).to_numpy()
        timeline = self._reader.timeline(partition)
        at = np.flatnonzero(np.isin(timeline.ts, ts))
        stored = self._reader.snapshots(timeline, at, ("strike",))
        clocks = [np.append(*pair) for pair in ((stored.ts, ts), (stored.recorded_at, recorded_at))]
        listed = np.append(stored.lists["strike"].lengths, strikes).astype(np.int64)
        own = np.arange(len(listed)) >= len(at)
        order = np.lexsort((own, clocks[1], clocks[0]))
        same_ts, same = (np.diff(clocks[i][order]) == 0 for i in (0, 1))
        order = order[np.append(~(same_ts & same), True)]  # of a stored row and its copy in the table the copy
        same_ts = np.diff(clocks[0][order]) == 0
        return int((same_ts & own[order][1:] & (np.diff(listed[order]) < 0)).sum())

    def rows(self, partition: Partition) -> tuple[StoredTimeline, Snapshots]:
        """Every stored row of a partition with all columns, in the order of the timeline."""
        return self._reader.session(partition, schema.VALUES)

    def metadata(self, timeline: StoredTimeline) -> list[dict[bytes, bytes]]:
        """What the metadata of a timeline's files say that is this engine's own, in their order."""
        return [_own(footer.schema) for footer in self._reader.footers(timeline)]

    def _rewrite(
        self,
        partition: Partition,
        stored: _Stored,
        number: int,
        gone: Ints,
        come: pa.Table,
        metadata: dict[bytes, bytes],
    ) -> None:
        """Let a file of the timeline go for one in which other rows stand in the place of some of its own."""
        file = stored.timeline.files[number]
        with self._store.open(file.path) as source:
            found = pq.read_table(source)
        foreign = [name for name in found.column_names if name not in schema.BY_NAME]
        if foreign:
            raise ConflictingRow(
                f"{file.path} holds {', '.join(foreign)}, which this engine does not know and would lose by "
                "replacing a row of the file; take the columns out, or write to another lake"
            )
        entries = _own(found.schema)
        sources = [each.get(schema.METADATA_SOURCE, b"") for each in (entries, metadata)]
        if sources[1] not in sources[0].split(b" + "):
            entries[schema.METADATA_SOURCE] = b" + ".join(each for each in sources if each)
        kept = np.ones(found.num_rows, np.bool_)
        kept[stored.timeline.row[stored.positions[gone]]] = False
        parts = [schema.conform(found).filter(pa.array(kept)), come]
        merged = pa.concat_tables(parts).sort_by(_BY_TIME)
        self._store.write(partition, encode(merged, entries))
        self._store.remove(partition, file.name)

    def _stored(self, partition: Partition, table: pa.Table) -> _Stored:
        """The stored rows of the partition that have the clocks of the table's rows."""
        ts, recorded_at, _ = clocks_of(table)
        repeated = np.flatnonzero((np.diff(ts) == 0) & (np.diff(recorded_at) == 0))
        if len(repeated):
            raise ConflictingRow(
                f"{partition.folder}: two rows to write have ts {iso_utc(int(ts[repeated[0]]))} "
                f"and recorded_at {iso_utc(int(recorded_at[repeated[0]]))}"
            )
        timeline = self._reader.timeline(partition)
        wanted = {key: i for i, key in enumerate(zip(ts.tolist(), recorded_at.tolist(), strict=True))}
        copies: list[list[int]] = [[] for _ in range(table.num_rows)]
        positions: list[int] = []
        for position, key in enumerate(zip(timeline.ts.tolist(), timeline.recorded_at.tolist(), strict=True)):
            if key in wanted:
                copies[wanted[key]].append(len(positions))
                positions.append(position)
        at = np.array(positions, np.int64)
        return _Stored(timeline, at, self._reader.snapshots(timeline, at, schema.VALUES), copies)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Stored rows that share their clocks with rows to write: M of a timeline, at ``positions``.

    ``copies`` holds, for each row to write, which of the M share its clocks, in the order of the timeline.
    """

    timeline: StoredTimeline
    positions: Ints
    rows: Snapshots
    copies: list[list[int]]

    @property
    def file(self) -> Ints:
        """In which file of the timeline each stands (M,)."""
        return self.timeline.file[self.positions]

    def conflict(self, m: int, how: str) -> ConflictingRow:
        """The error of a row to write that cannot stand beside the stored one."""
        position = self.positions[m]
        return ConflictingRow(
            f"the snapshot of ts {iso_utc(int(self.timeline.ts[position]))} recorded at "
            f"{iso_utc(int(self.timeline.recorded_at[position]))} {how} row {self.timeline.row[position]} of "
            f"{self.timeline.files[self.timeline.file[position]].path}; a correction has a later recorded_at"
        )


def _sound(partition: Partition, table: pa.Table) -> pa.Table:
    """The rows as they are stored, by time. Raises ``ValueError`` for one that is not sound."""
    table = schema.conform(table).sort_by(_BY_TIME)
    for message, wrong in row_faults(table, partition.date):
        if wrong.any():
            raise ValueError(f"{partition.folder}: {message}, in row {int(np.flatnonzero(wrong)[0])} by time")
    return table


def _besides(partition: Partition, others: Sequence[pa.Table], table: pa.Table) -> pa.Table:
    """The rows of a table that no other of the tables has; raises where one of them says otherwise."""
    own = {key: i for i, key in enumerate(zip(*(each.tolist() for each in clocks_of(table)[:2]), strict=True))}
    again: list[int] = []
    for other in others:
        shared = [
            (own[key], j)
            for j, key in enumerate(zip(*(each.tolist() for each in clocks_of(other)[:2]), strict=True))
            if key in own
        ]
        if shared:
            mine, theirs = (pa.array([pair[side] for pair in shared], pa.int64()) for side in (0, 1))
            a, b = as_snapshots(table.take(mine)), as_snapshots(other.take(theirs))
            wrong = np.flatnonzero(~repeats(a, b))
            if len(wrong):
                ts, recorded_at = (iso_utc(int(each[wrong[0]])) for each in (a.ts, a.recorded_at))
                raise ConflictingRow(
                    f"{partition.folder}: two rows to write differ, and have ts {ts}, recorded_at {recorded_at}"
                )
            again += [i for i, _ in shared]
    keep = np.ones(table.num_rows, np.bool_)
    keep[again] = False
    return table.filter(pa.array(keep))


def _knows_flow(rows: Snapshots) -> Bools:
    """Which rows know any flow (R,)."""
    return np.asarray(np.any([rows.lists[name].known for name in FLOWS], axis=0), np.bool_)


def _own(found: pa.Schema) -> dict[bytes, bytes]:
    """The entries of a file's metadata that are this engine's."""
    return {key: value for key, value in (found.metadata or {}).items() if key.startswith(b"replay.")}


def encode(table: pa.Table, metadata: dict[bytes, bytes]) -> memoryview:
    """A table as the bytes of a snapshot file: the same for the same rows and library."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        sink,
        row_group_size=GROUP_ROWS,
        compression="zstd",
        use_dictionary=[_leaf(c.name) for c in schema.COLUMNS if c.name not in _SCATTERED],
        column_encoding={_leaf(name): "BYTE_STREAM_SPLIT" for name in _SCATTERED},
    )
    return memoryview(sink.getvalue())


def _leaf(name: str) -> str:
    return f"{name}.list.element" if name in schema.LISTS else name
