"""Is a lake whole and right: every file opened, every row checked, each fault named."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.errors import UnreadableFile
from replay.ragged import Bools, Ragged, from_arrow
from replay.sessions import find_session, iso_utc
from replay.storage.columns import reading
from replay.storage.files import (
    FileStore,
    Partition,
    StoredFile,
    content_name,
    is_content_name,
    is_data,
    is_leftover,
    partitions,
)
from replay.storage.soundness import clocks_of, floats_of, row_faults, value_faults


@dataclass(frozen=True, slots=True)
class Finding:
    """A ``fault``, a ``note`` on something that is none, or the closing ``summary``."""

    kind: str
    message: str
    path: str = ""
    row: int | None = None

    def __str__(self) -> str:
        where = self.path + ("" if self.row is None else f", row {self.row}")
        return f"{where}: {self.message}" if where else self.message


@dataclass(slots=True)
class _Stored:
    """Where a row stands and a digest of what stands in it, to find another that contradicts it."""

    path: str
    row: int
    content: bytes


def verify_lake(store: FileStore, *, symbol: str | None = None, fix: bool = False) -> Iterator[Finding]:
    """Check a lake file by file.

    Parameters
    ----------
    symbol
        Check this one alone.
    fix
        Remove what killed writers left; a partition that is being written to is passed over. Data is not touched.

    Yields
    ------
    Faults and notes as they are found, then one summary.
    """
    files = rows = 0
    yield from _strays(store)
    for partition in partitions(store, symbol=symbol):
        if find_session(partition.date) is None:
            yield Finding("fault", "the exchange had no session on that date", partition.folder)
        yield from _names(store, partition, fix=fix)
        check = _PartitionCheck(store, partition)
        for file in store.files(partition):
            files += 1
            rows += yield from check.file(file)
    yield Finding("summary", f"{files} files, {rows} rows")


def _strays(store: FileStore) -> Iterator[Finding]:
    """Notes on folders that no partition lies in, so that nothing in them is ever read."""
    read = {partition.folder for partition in partitions(store)}
    known = {folder.rsplit("/", depth)[0] for folder in read for depth in (1, 2)} | read
    for tier in store.folders(""):
        below = [f"{tier}/{symbol}" for symbol in store.folders(tier)]
        for folder in (tier, *below, *(f"{symbol}/{date}" for symbol in below for date in store.folders(symbol))):
            if folder not in known:
                yield Finding("note", "is no tier, symbol or date of a lake; nothing in it is read", folder)


def _names(store: FileStore, partition: Partition, *, fix: bool) -> Iterator[Finding]:
    """Notes on names that are not this engine's own."""
    leftovers = []
    readable = {file.name for file in store.files(partition)}
    for name in store.names(partition):
        path = f"{partition.folder}/{name}"
        if is_leftover(name):
            leftovers.append(name)
        elif not is_data(name):
            yield Finding("note", "is no snapshot file and is not read", path)
        elif name not in readable:
            yield Finding("fault", "is no file that can be read", path)
        elif not is_content_name(name):
            yield Finding("note", "written by another program; it is read like the others", path)
    if leftovers and fix:
        with store.lock(partition, wait=False) as held:
            for name in leftovers:
                if held:
                    store.remove(partition, name)
                said = "swept" if held else "a writer is at work here; not swept"
                yield Finding("note", said, f"{partition.folder}/{name}")
    else:
        for name in leftovers:
            said = "left by a writer that was killed or still writes; --fix sweeps it"
            yield Finding("note", said, f"{partition.folder}/{name}")


class _PartitionCheck:
    """Checks the files of one partition, one after the other."""

    def __init__(self, store: FileStore, partition: Partition) -> None:
        self._store = store
        self._partition = partition
        self._seen: dict[tuple[int, int], _Stored] = {}

    def file(self, file: StoredFile) -> Generator[Finding, None, int]:
        """Yields what is wrong with a file; returns how many rows it holds."""
        path = f"{self._partition.folder}/{file.name}"
        rows = 0
        try:
            with reading(file.path):
                rows = yield from self._contents(file, path)
        except UnreadableFile as error:
            yield Finding("fault", error.message.removeprefix(f"{file.path}: "), path)
        except FileNotFoundError:
            yield Finding("note", "went away while the lake was checked", path)
        return rows

    def _contents(self, file: StoredFile, path: str) -> Generator[Finding, None, int]:
        own = is_content_name(file.name)
        if own and content_name(self._store.read(file.path)) != file.name:
            yield Finding("fault", "its content does not match the hash in its name", path)
        with self._store.open(file.path) as source:
            parquet = pq.ParquetFile(source)
            yield from (Finding("fault", fault, path) for fault in _schema_faults(parquet.schema_arrow, own=own))
            if schema.faults_of(parquet.schema_arrow):
                return int(parquet.metadata.num_rows)
            stored = [name for name in schema.BY_NAME if name in parquet.schema_arrow.names]
            rows, newest = 0, None
            for group in range(parquet.metadata.num_row_groups):
                table = schema.conform(parquet.read_row_group(group, columns=stored))
                for finding in self._rows(table, path, rows):
                    yield replace(finding, path=path)
                if own:
                    ts, _, _ = clocks_of(table)
                    falls = np.diff(ts, prepend=ts[:1] if newest is None else newest) < 0
                    yield from (replace(f, path=path) for f in _each(falls, "ts is before that of the row above", rows))
                    newest = ts[-1:] if len(ts) else newest
                rows += table.num_rows
        return rows

    def _rows(self, table: pa.Table, path: str, first: int) -> Iterator[Finding]:
        """Faults of one row group, of which ``first`` is the first row."""
        for message, wrong in (*row_faults(table, self._partition.date), *value_faults(table)):
            yield from _each(wrong, message, first)
        ts, recorded_at, clocked = clocks_of(table)
        spot, lists = floats_of(table["spot"]), [from_arrow(table[name]) for name in schema.LISTS]
        for i in np.flatnonzero(clocked).tolist():
            row = _Stored(path, first + i, _content(spot[i], lists, i))
            yield from self._contradiction((int(ts[i]), int(recorded_at[i])), row)

    def _contradiction(self, clocks: tuple[int, int], row: _Stored) -> Iterator[Finding]:
        """A fault if a row differs from an earlier one of the same ts and recorded_at."""
        before = self._seen.get(clocks)
        if before is not None and before.content != row.content:
            yield Finding(
                "fault",
                f"contradicts row {before.row} of {before.path}: both have ts {iso_utc(clocks[0])} and recorded_at "
                f"{iso_utc(clocks[1])}; the last one is read",
                row=row.row,
            )
        self._seen[clocks] = row


def _schema_faults(found: pa.Schema, *, own: bool) -> list[str]:
    """What is wrong with a file's schema; one of this engine's own must be exactly the stored one."""
    faults = schema.faults_of(found)
    if own and not faults:
        if not found.equals(schema.ARROW):
            faults.append("its name is this engine's, its schema is not")
        if (found.metadata or {}).get(schema.METADATA_VERSION) != schema.SCHEMA_VERSION.encode():
            faults.append(f"its metadata does not give schema version {schema.SCHEMA_VERSION}")
    return faults


def _content(spot: np.float64, lists: Sequence[Ragged], row: int) -> bytes:
    """A digest of what stands in a row beside its clocks."""
    digest = hashlib.sha256(spot.tobytes())
    for column in lists:
        digest.update(b"known" if column.known[row] else b"null")
        digest.update(column.row(row).tobytes())
    return digest.digest()


def _each(wrong: Bools, message: str, first: int) -> Iterator[Finding]:
    """A fault for each row that is wrong."""
    for i in np.flatnonzero(wrong).tolist():
        yield Finding("fault", message, row=first + i)
