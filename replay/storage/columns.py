"""Decoding columns of immutable files, and keeping what was decoded within a bound of bytes."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.errors import UnreadableFile
from replay.ragged import Floats, Ints, Ragged, doubles_of, from_arrow, nulls
from replay.storage.files import FileStore, StoredFile

CACHE_BYTES: Final = 256 * 2**20
_CORES: Final = 2
"""Up to so many, decoding beside a statement takes one thread: with more the two got in each other's way."""
_PASSING: Final = 8
"""Of files that nothing is kept of, so many footers stay: what is asked for next is often of the same file."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of itself: its Parquet metadata, Arrow schema, and the first row of each row group."""

    metadata: pq.FileMetaData
    schema: pa.Schema
    group_starts: Ints  # (groups + 1,), the last is the number of rows

    def groups_between(self, since: int, until: int) -> list[int]:
        """The row groups whose ts, by their statistics, reach into a span of microseconds; none if there are none."""
        if self.schema.field("ts").type != schema.TIMESTAMP:
            return []
        position = next(i for i in range(self.metadata.num_columns) if self.metadata.schema.column(i).path == "ts")
        found = []
        for group in range(self.metadata.num_row_groups):
            statistics = self.metadata.row_group(group).column(position).statistics
            if statistics is None or not statistics.has_min_max:
                return []
            if statistics.min_raw <= until and statistics.max_raw >= since:
                found.append(group)
        return found

    @property
    def cadence_us(self) -> int | None:
        """The cadence the metadata gives, microseconds."""
        return schema.cadence_of(self.schema.metadata)

    @property
    def conventions(self) -> str | None:
        """The convention id the exposures were computed under."""
        text = (self.schema.metadata or {}).get(schema.METADATA_CONVENTIONS)
        return text.decode("utf-8", "replace") if text else None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows of one file: ``spot`` (R,) where it was asked for, and list columns of R rows."""

    spot: Floats
    lists: dict[str, Ragged]


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows ``first`` to ``last`` (exclusive) of one column of one file."""

    first: int
    last: int
    data: Ragged | Floats

    @property
    def nbytes(self) -> int:
        if isinstance(self.data, Ragged):
            return self.data.values.nbytes + 17 * len(self.data)
        return self.data.nbytes


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Arrow's and the system's errors on one file as :class:`~replay.errors.UnreadableFile`.

    A file that is not there stays ``FileNotFoundError``: whoever listed it looks again.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(str(error).strip().split("\n", 1)[0], path=path) from error


def read_footer(store: FileStore, file: StoredFile) -> Footer:
    """A file's footer; raises :class:`~replay.errors.UnreadableFile` if it is no Parquet."""
    with reading(file.path), store.open(file.path) as source:
        parquet = pq.ParquetFile(source)
        metadata = parquet.metadata
        counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return Footer(metadata, parquet.schema_arrow, np.cumsum([0, *counts]))


class ColumnCache:
    """Decoded columns of files by (path, identity), the least recently used dropped first.

    A file that changed has another identity, so what was kept of it is never used again. Safe for threads.
    """

    def __init__(self, store: FileStore, limit: int = CACHE_BYTES) -> None:
        self._store = store
        self._limit = limit
        self._kept: OrderedDict[tuple[str, tuple[int | str, ...], str], Kept] = OrderedDict()
        self._footers: OrderedDict[tuple[str, tuple[int | str, ...]], Footer] = OrderedDict()
        self._passing: OrderedDict[tuple[str, tuple[int | str, ...]], None] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of decoded data held now; never above the limit between calls."""
        return self._bytes

    def footer(self, file: StoredFile) -> Footer:
        """The file's footer, checked to be readable as snapshots."""
        key = (file.path, file.identity)
        with self._lock:
            footer = self._footers.get(key)
            if footer is not None:
                self._footers.move_to_end(key)
                return footer
        footer = read_footer(self._store, file)
        faults = schema.faults_of(footer.schema)
        if faults:
            raise UnreadableFile("; ".join(faults), path=file.path)
        with self._lock:
            self._footers[key] = footer
            while len(self._footers) > 256:
                self._footers.popitem(last=False)
        return footer

    def forget(self, files: Iterable[StoredFile]) -> None:
        """Let the footers of these files go, but for the last few: a wide file's takes some 200 kB."""
        with self._lock:
            for file in files:
                self._passing[file.path, file.identity] = None
                self._passing.move_to_end((file.path, file.identity))
            while len(self._passing) > _PASSING:
                self._footers.pop(self._passing.popitem(last=False)[0], None)

    def ahead(self, file: StoredFile, since: int, until: int, names: Sequence[str]) -> dict[str, Kept]:
        """Columns of the row groups that may hold a ``ts`` from ``since`` to ``until``, to be handed to :meth:`fetch`.

        Nothing where the file's statistics do not tell, or some of it is kept already.
        """
        footer = self.footer(file)
        groups = footer.groups_between(since, until)
        with self._lock:
            known = any((file.path, file.identity, name) in self._kept for name in names)
        if not groups or known:
            return {}
        return self._decode(file, footer, groups[0], groups[-1] + 1, names, threads=pa.cpu_count() > _CORES)

    def fetch(
        self,
        file: StoredFile,
        rows: Ints,
        names: Sequence[str],
        ahead: Mapping[str, Kept] = MappingProxyType({}),
        *,
        keep: bool = True,
    ) -> Decoded:
        """``spot`` and list columns of at least one row of a file; a column that it lacks is null.

        What has been decoded ``ahead`` is used where it holds the rows. ``keep``: keep what is decoded for later.
        """
        footer = self.footer(file)
        groups = np.searchsorted(footer.group_starts, [rows.min(), rows.max()], side="right") - 1
        first, last = int(groups[0]), int(groups[1]) + 1
        held: dict[str, Kept] = {}
        absent: list[str] = []
        with self._lock:
            for name in names:
                key = (file.path, file.identity, name)
                kept = self._kept.get(key, ahead.get(name))
                if kept is None:
                    absent.append(name)
                    continue
                if kept.first <= footer.group_starts[first] and footer.group_starts[last] <= kept.last:
                    held[name] = kept
                else:  # decode anew over both spans, so that what is kept stays in one piece
                    absent.append(name)
                    first = min(first, int(np.searchsorted(footer.group_starts, kept.first)))
                    last = max(last, int(np.searchsorted(footer.group_starts, kept.last)))
        if absent:
            held |= self._decode(file, footer, first, last, absent)
        if keep:
            self._keep(file, held)
        spot, lists = np.empty(0), {}
        for name in names:
            data, own = held[name].data, rows - held[name].first
            if isinstance(data, Ragged):
                lists[name] = data.take(own)
            else:
                spot = data[own]
        return Decoded(spot, lists)

    def _decode(
        self, file: StoredFile, footer: Footer, first: int, last: int, names: Sequence[str], *, threads: bool = True
    ) -> dict[str, Kept]:
        start, stop = int(footer.group_starts[first]), int(footer.group_starts[last])
        stored = [name for name in names if name in footer.schema.names]
        with reading(file.path), self._store.open(file.path) as source:
            # pre_buffer=False: measured a third faster than the default on a local file
            parquet = pq.ParquetFile(source, metadata=footer.metadata, pre_buffer=False)
            table = parquet.read_row_groups(range(first, last), columns=stored, use_threads=threads)
            decoded = {name: _plain(table[name], name) for name in stored}
        made: dict[str, Kept] = {}
        for name in names:
            empty = nulls(stop - start) if name in schema.LISTS else np.full(stop - start, np.nan)
            made[name] = Kept(start, stop, decoded.get(name, empty))
        return made

    def _keep(self, file: StoredFile, made: Mapping[str, Kept]) -> None:
        with self._lock:
            for name, kept in made.items():
                key = (file.path, file.identity, name)
                old = self._kept.pop(key, None)
                self._bytes += kept.nbytes - (old.nbytes if old else 0)
                self._kept[key] = kept
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes


def _plain(column: pa.ChunkedArray, name: str) -> Ragged | Floats:
    """An Arrow column as numpy, NaN for null."""
    wanted = schema.BY_NAME[name].type
    if column.type != wanted:
        column = column.cast(wanted, safe=False)  # to the nearest double
    if name in schema.LISTS:
        return from_arrow(column).shared()
    return doubles_of(column.combine_chunks())
