"""Is a lake whole and right: every file opened, every row checked, each fault named."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from replay import schema
from replay.errors import UnreadableFile
from replay.ragged import Bools, Ints, Ragged, from_arrow
from replay.sessions import find_session, iso_utc, session_date
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

ROWS_SHOWN: Final = 3
"""Rows named for one kind of fault in one file; the number of the others is given."""


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
    for partition in partitions(store, symbol=symbol):
        if find_session(partition.date) is None:
            yield Finding("fault", "the exchange had no session on that date", partition.folder)
        yield from _names(store, partition, fix=fix)
        check = _PartitionCheck(store, partition)
        for file in store.files(partition):
            files += 1
            rows += yield from check.file(file)
    yield Finding("summary", f"{files} files, {rows} rows")


def _names(store: FileStore, partition: Partition, *, fix: bool) -> Iterator[Finding]:
    """Notes on names that are not this engine's own."""
    leftovers = []
    for name in store.names(partition):
        path = f"{partition.folder}/{name}"
        if is_leftover(name):
            leftovers.append(name)
        elif not is_data(name):
            yield Finding("note", "is no snapshot file and is not read", path)
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
                    ts = _micros(table["ts"])
                    falls = np.diff(ts, prepend=ts[:1] if newest is None else newest) < 0
                    yield from (replace(f, path=path) for f in _each(falls, "ts is before that of the row above", rows))
                    newest = ts[-1:] if len(ts) else newest
                rows += table.num_rows
        return rows

    def _rows(self, table: pa.Table, path: str, first: int) -> Iterator[Finding]:
        """Faults of one row group, of which ``first`` is the first row."""
        date = self._partition.date
        ts, recorded_at = _micros(table["ts"]), _micros(table["recorded_at"])
        clocked = ~(_null(table["ts"]) | _null(table["recorded_at"]))
        lists = {name: from_arrow(table[name]) for name in schema.LISTS}
        strike = lists["strike"]
        spot = np.asarray(table["spot"].to_numpy(), np.float64)
        dates = np.array([session_date(int(us)) == date for us in ts], np.bool_)
        expirations = np.array([each in (None, date) for each in table["expiration"].to_pylist()], np.bool_)
        yield from _each(~clocked, "ts or recorded_at is null; the row is never read", first)
        yield from _each(clocked & (recorded_at < ts), "recorded_at is before ts", first)
        yield from _each(clocked & ~dates, f"ts is not on {date} in New York", first)
        yield from _each(~expirations, f"expiration is not {date}", first)
        yield from _each(~(np.isfinite(spot) & (spot > 0)), "spot is no price above 0", first)
        yield from _each(_not_ascending(strike), "strikes do not ascend", first)
        for name in schema.VALUES:
            column = lists[name]
            wrong = column.known & strike.known & (column.lengths != strike.lengths)
            yield from _each(wrong, f"{name} is not as long as strike", first)
            yield from _each(column.known & ~strike.known, f"{name} is there and strike is null", first)
        for i in np.flatnonzero(clocked).tolist():
            content = _content(spot[i], [lists[name] for name in schema.LISTS], i)
            yield from self._contradiction((int(ts[i]), int(recorded_at[i])), _Stored(path, first + i, content))

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
    """A fault for each of the first rows that are wrong, and one for the number of the others."""
    at = np.flatnonzero(wrong)
    for i in at[:ROWS_SHOWN]:
        yield Finding("fault", message, row=first + int(i))
    if len(at) > ROWS_SHOWN:
        yield Finding("fault", f"{message}, as in {len(at) - ROWS_SHOWN} more rows up to this", row=first + int(at[-1]))


def _not_ascending(strike: Ragged) -> Bools:
    """Rows whose strikes are not finite, ascending and without repeats."""
    values = strike.flat()
    row = np.repeat(np.arange(len(strike)), strike.lengths)
    wrong = ~np.isfinite(values)
    wrong[1:] |= (row[1:] == row[:-1]) & ~(values[1:] > values[:-1])
    return np.bincount(row[wrong], minlength=len(strike)).astype(np.bool_)


def _micros(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(), np.int64)


def _null(column: pa.ChunkedArray) -> Bools:
    return np.asarray(column.is_null().to_numpy(), np.bool_)
