"""Adding snapshots to a lake: whole files, named by content, that never contradict what is stored."""

from __future__ import annotations

import os
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.errors import ConflictingRow
from replay.ragged import Bools, Ragged, from_arrow
from replay.sessions import iso_utc
from replay.storage.engine import Engine
from replay.storage.files import Partition, open_files
from replay.storage.reader import Reader
from replay.storage.soundness import clocks_of, floats_of, row_faults

GROUP_ROWS: Final = 200
DERIVED_TOLERANCE: Final = 1e-9
"""Relative: within it a computed column is the same; machines differ in the last bits of exp and log."""

_SCATTERED: Final = tuple(
    c.name for c in schema.COLUMNS if c.derived and not c.name.endswith("_iv")
)  # doubles that hardly repeat: split by byte they compress best, the others by dictionary


class LakeWriter:
    """Writes snapshots into a lake, which comes into being with the first. Usable in a ``with``."""

    def __init__(self, path: str | os.PathLike[str], filesystem: Any | None = None) -> None:
        self._store = open_files(path, filesystem)
        self._engine = Engine(self._store)
        self._reader = Reader(self._store, self._engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release threads and DuckDB."""
        self._reader.close()
        self._engine.close()

    def add(self, partition: Partition, table: pa.Table, metadata: dict[bytes, bytes]) -> int:
        """Store the rows of a table that are not stored yet; returns how many there were.

        Parameters
        ----------
        table
            Columns as :data:`replay.schema.ARROW`, optional ones may be missing; one row a (ts, recorded_at).
        metadata
            As :func:`replay.schema.metadata` makes it.

        Raises
        ------
        ConflictingRow
            If a row differs from a stored row, or another row of the table, with the same ts and recorded_at.
            Nothing is written then.
        ValueError
            If the table has not the columns of a snapshot, or a row is not sound.
        """
        table = schema.conform(table).sort_by([("ts", "ascending"), ("recorded_at", "ascending")])
        for message, wrong in row_faults(table, partition.date):
            if wrong.any():
                raise ValueError(f"{partition.folder}: {message}, in row {int(np.flatnonzero(wrong)[0])} by time")
        with self._store.lock(partition):
            table = self._unknown(partition, table)
            if table.num_rows:
                self._store.write(partition, encode(table, metadata))
        return int(table.num_rows)

    def _unknown(self, partition: Partition, table: pa.Table) -> pa.Table:
        """The rows that the partition does not hold yet."""
        ts, recorded_at, _ = clocks_of(table)
        repeated = np.flatnonzero((np.diff(ts) == 0) & (np.diff(recorded_at) == 0))
        if len(repeated):
            raise ConflictingRow(
                f"{partition.folder}: two rows to write have ts {iso_utc(int(ts[repeated[0]]))} "
                f"and recorded_at {iso_utc(int(recorded_at[repeated[0]]))}"
            )
        timeline = self._reader.timeline(partition)
        stored = {
            key: position  # of several rows the last, which is the one that is read
            for position, key in enumerate(zip(timeline.ts.tolist(), timeline.recorded_at.tolist(), strict=True))
        }
        matched = [stored.get(key) for key in zip(ts.tolist(), recorded_at.tolist(), strict=True)]
        known = np.array([position is not None for position in matched], np.bool_)
        if not known.any():
            return table
        positions = np.array([position for position in matched if position is not None], np.int64)
        old = self._reader.snapshots(timeline, positions, schema.VALUES)
        new = table.filter(pa.array(known))
        same = _equal(old.spot, floats_of(new["spot"]), 0.0)
        for name in schema.LISTS:
            tolerance = DERIVED_TOLERANCE if schema.BY_NAME[name].derived else 0.0
            same &= rows_equal(old.lists[name], from_arrow(new[name]), tolerance)
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            position = positions[at]
            raise ConflictingRow(
                f"the snapshot of ts {iso_utc(int(timeline.ts[position]))} recorded at "
                f"{iso_utc(int(timeline.recorded_at[position]))} differs from row {timeline.row[position]} of "
                f"{timeline.files[timeline.file[position]].path}; a correction has a later recorded_at"
            )
        return table.filter(pa.array(~known))


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


def _equal(a: Any, b: Any, tolerance: float) -> Bools:
    return np.asarray(np.isclose(a, b, rtol=tolerance, atol=0.0, equal_nan=True), np.bool_)


def rows_equal(a: Ragged, b: Ragged, tolerance: float) -> Bools:
    """Which rows of two lists of R rows hold the same values, NaN equal to NaN, (R,)."""
    same = (a.known == b.known) & (a.lengths == b.lengths)
    at = np.flatnonzero(same)
    left, right = a.take(at).flat(), b.take(at).flat()
    wrong = np.repeat(at, a.lengths[at])[~_equal(left, right, tolerance)]
    same[wrong] = False
    return np.asarray(same, np.bool_)
