"""Merging the files of a partition into one: every revision kept, and the same answers before, meanwhile and after.

One file comes for each group of files whose metadata say the same (cadence, conventions and so on), since both are
told by the file. The new files are there before the first old one goes, and the old ones go in the order of their
names: of rows with one clock the last in (file name, row) order is read, so at every step the one that was read before
still is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.errors import CannotWrite, LakeError
from replay.ragged import Bools, Ints
from replay.storage.columns import Footer, reading
from replay.storage.engine import Engine
from replay.storage.files import FileStore, Partition, StoredFile, content_name, open_files
from replay.storage.reader import Reader, StoredTimeline
from replay.storage.soundness import row_faults
from replay.storage.writer import encode

SOURCES: Final = b" + "
"""What stands between the sources of a file that came from several."""

CHANGED: Final = "its files changed while they were read; run it again"
"""Why a partition of a store without locks may be left."""

Entries = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a partition.

    ``verdict`` is ``merged``, ``thinned`` or ``dropped``; ``whole`` where there was nothing to do; ``left`` where it
    was left as it is, and ``reason`` says why. ``files`` and ``nbytes`` are (before, after).
    """

    partition: Partition
    verdict: str
    files: tuple[int, int]
    nbytes: tuple[int, int]
    reason: str = ""


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], filesystem: Any | None = None) -> Iterator[tuple[FileStore, Reader]]:
    """A lake's store and a reader that keeps no column, for as long as the block lasts."""
    store = open_files(path, filesystem)
    engine = Engine(store)
    reader = Reader(store, engine, cache_bytes=0)
    try:
        yield store, reader
    finally:
        reader.close()
        engine.close()


def merge_partition(store: FileStore, reader: Reader, partition: Partition, *, dry_run: bool = False) -> Outcome:
    """Merge a partition's files into one sorted file, or one for each kind of metadata, under its lock.

    Rows that are the same in all become one; all others stay. A partition that cannot be merged without losing
    something is left as it is: one with a file or row that cannot be read or is not sound, with a column that is
    unknown here, with a value that a double or a microsecond cannot hold, or with rows of one clock that contradict
    each other across groups.

    Parameters
    ----------
    dry_run
        Tell what would come of it, and write nothing.

    Raises
    ------
    CannotWrite
        If the store refuses a file; what was stored is still there.
    """
    with store.lock(partition):
        files = store.files(partition)
        try:
            groups = _groups(reader, reader.timeline(partition))
            moved = [group for group in groups if not group.whole]
            reason = _contradiction(groups) if moved else ""
            tables = []
            for group in moved if not reason else ():
                table, reason = _table(store, group, partition)
                if reason:
                    break
                tables.append(table)
        except FileNotFoundError:
            reason = CHANGED
        except LakeError as error:
            reason = error.message
        if reason:
            return unchanged(partition, files, reason)
        if not moved:
            return unchanged(partition, files)
        come = [encode(table, _metadata(group)) for group, table in zip(moved, tables, strict=True) if table.num_rows]
        gone = sorted((file for group in moved for file in group.files), key=lambda file: file.name)
        if not dry_run:
            replace_files(store, partition, gone, come)
    stays = [file for group in groups if group.whole for file in group.files]
    after = (len(stays) + len(come), size_of(stays) + sum(len(data) for data in come))
    return Outcome(partition, "merged", (len(files), after[0]), (size_of(files), after[1]))


def replace_files(
    store: FileStore, partition: Partition, gone: Sequence[StoredFile], come: Sequence[memoryview]
) -> None:
    """Write files, and only then remove those that they stand for, in the order given."""
    for data in come:
        store.write(partition, data)
    remove_files(store, partition, [file.name for file in gone], spared={content_name(data) for data in come})


def remove_files(store: FileStore, partition: Partition, names: Sequence[str], spared: Set[str] = frozenset()) -> None:
    """Remove files of a partition one after the other, but for those spared."""
    for name in names:
        if name not in spared:
            try:
                store.remove(partition, name)
            except OSError as error:
                raise CannotWrite(f"{store.root}/{partition.folder}/{name}", error) from error


def unchanged(partition: Partition, files: Sequence[StoredFile], reason: str = "") -> Outcome:
    """The outcome of a partition that stays as it is: ``left`` for a reason, else ``whole``."""
    sizes = size_of(files)
    return Outcome(partition, "left" if reason else "whole", (len(files), len(files)), (sizes, sizes), reason)


def unmergeable(store: FileStore, reader: Reader, partition: Partition) -> str:
    """Why a partition's rows cannot all stand in files of this engine; empty if they can.

    Raises :class:`~replay.errors.LakeError` where a file cannot be read.
    """
    for group in _groups(reader, reader.timeline(partition)):
        reason = _table(store, group, partition)[1]
        if reason:
            return reason
    return ""


@dataclass(frozen=True, slots=True)
class _Group:
    """Files whose metadata say the same: their numbers in the timeline, and their rows in the order of time.

    ``positions`` are those of its rows in the timeline, without the repetitions; ``whole``: nothing is to be done.
    """

    timeline: StoredTimeline
    entries: Entries
    sources: tuple[bytes, ...]
    numbers: tuple[int, ...]
    rows: int
    positions: Ints
    whole: bool
    unknown: tuple[str, ...]

    @property
    def files(self) -> list[StoredFile]:
        return [self.timeline.files[number] for number in self.numbers]


def _groups(reader: Reader, timeline: StoredTimeline) -> list[_Group]:
    """The groups of a timeline's files."""
    footers = reader.footers(timeline)
    numbers: dict[Entries, list[int]] = {}
    for number, footer in enumerate(footers):
        numbers.setdefault(entries_of(footer), []).append(number)
    kept = ~repeated(reader, timeline)
    groups = []
    for entries, members in numbers.items():
        of_group = np.isin(timeline.file, members)
        positions = np.flatnonzero(of_group & kept)
        rows = sum(footers[number].metadata.num_rows for number in members)
        in_order = len(members) == 1 and bool((np.diff(timeline.row[positions]) > 0).all())
        whole = in_order and len(positions) == int(of_group.sum())
        names = dict.fromkeys(name for number in members for name in footers[number].schema.names)
        groups.append(
            _Group(
                timeline,
                entries,
                sources_of(footers[number] for number in members),
                tuple(members),
                rows - int((of_group & ~kept).sum()),
                positions,
                whole,
                tuple(name for name in names if name not in schema.BY_NAME),
            )
        )
    return groups


def entries_of(footer: Footer) -> Entries:
    """What a file's metadata say of its rows, but for where they come from."""
    own = (footer.schema.metadata or {}).items()
    apart = (schema.METADATA_VERSION, schema.METADATA_SOURCE)
    return tuple(sorted((key, value) for key, value in own if key.startswith(b"replay.") and key not in apart))


def sources_of(footers: Iterable[Footer]) -> tuple[bytes, ...]:
    """The sources that files name, sorted, each once."""
    named = ((footer.schema.metadata or {}).get(schema.METADATA_SOURCE, b"") for footer in footers)
    return tuple(sorted({source for each in named for source in each.split(SOURCES) if source}))


def _metadata(group: _Group) -> dict[bytes, bytes]:
    entries = {schema.METADATA_VERSION: schema.SCHEMA_VERSION.encode()}
    if group.sources:
        entries[schema.METADATA_SOURCE] = SOURCES.join(group.sources)
    return entries | dict(group.entries)


def repeated(reader: Reader, timeline: StoredTimeline) -> Bools:
    """Which rows of a timeline (N,) a later one of the same clocks repeats in all."""
    found = np.zeros(len(timeline.ts), np.bool_)
    alike = (np.diff(timeline.ts) == 0) & (np.diff(timeline.recorded_at) == 0)
    at = np.flatnonzero(np.append(alike, False) | np.append(False, alike)) if len(found) else np.empty(0, np.int64)
    rows = reader.snapshots(timeline, at, schema.VALUES)
    seen: set[tuple[int, int, bytes]] = set()
    for i in reversed(range(len(at))):
        digest = hashlib.sha256(rows.spot[i].tobytes())
        for column in rows.lists.values():
            digest.update(b"known" if column.known[i] else b"null")
            digest.update(column.row(i).tobytes())
        key = (int(rows.ts[i]), int(rows.recorded_at[i]), digest.digest())
        found[at[i]] = key in seen
        seen.add(key)
    return found


def _contradiction(groups: list[_Group]) -> str:
    """Why groups cannot be merged each by itself: rows of one clock that differ stand in several of them."""
    order = np.concatenate([np.full(len(group.positions), i) for i, group in enumerate(groups)])
    at = np.concatenate([group.positions for group in groups])
    by_time = np.argsort(at)
    timeline, at, order = groups[0].timeline, at[by_time], order[by_time]
    ts, recorded_at = timeline.ts[at], timeline.recorded_at[at]
    wrong = np.flatnonzero((np.diff(ts) == 0) & (np.diff(recorded_at) == 0) & (np.diff(order) != 0))
    if not len(wrong):
        return ""
    names = [shortened(timeline.files[timeline.file[at[wrong[0] + side]]].name) for side in (0, 1)]
    return (
        f"rows of {' and '.join(names)} contradict each other, and their files' metadata differ, so that no order of "
        "new files is sure to keep the one that is read; `replay verify` names the rows"
    )


def _table(store: FileStore, group: _Group, partition: Partition) -> tuple[pa.Table, str]:
    """The rows of a group in the order of time, or why they cannot stand in one file."""
    if group.rows != len(group.positions):
        return None, "it holds rows without ts or recorded_at; `replay verify` names them"
    if group.unknown:
        return None, f"it holds {', '.join(group.unknown)}, which this engine does not know and would lose"
    parts, offsets, count = [], np.zeros(len(group.timeline.files), np.int64), 0
    for number, file in zip(group.numbers, group.files, strict=True):
        with reading(file.path), store.open(file.path) as source:
            found = pq.read_table(source)
        version = (found.schema.metadata or {}).get(schema.METADATA_VERSION, schema.SCHEMA_VERSION.encode())
        if version != schema.SCHEMA_VERSION.encode():
            return None, f"{shortened(file.name)} is of schema version {version.decode('utf-8', 'replace')}"
        lossy = _lossy(found)
        if lossy:
            return None, f"{shortened(file.name)} holds {lossy} that would not be the same in a file of this engine"
        offsets[number] = count
        count += found.num_rows
        parts.append(schema.conform(found))
    at = group.timeline.row[group.positions] + offsets[group.timeline.file[group.positions]]
    table = pa.concat_tables(parts).take(pa.array(at))
    for message, wrong in row_faults(table, partition.date):
        if wrong.any():
            return None, f"it holds a row that is not sound ({message}); `replay verify` names it"
    return table, ""


def _lossy(table: pa.Table) -> str:
    """The first column with values that the stored type cannot hold; empty if there is none."""
    for name in table.column_names:
        try:
            table[name].cast(schema.BY_NAME[name].type)
        except pa.ArrowInvalid:
            return f"values of {name}"
    return ""


def shortened(name: str) -> str:
    """A file's name, of which a hash is not told to its end."""
    return name if len(name) <= 24 else f"{name[:12]}…{name[-8:]}"


def size_of(files: Sequence[StoredFile]) -> int:
    """How many bytes these files take together."""
    return sum(int(file.identity[0]) for file in files)
