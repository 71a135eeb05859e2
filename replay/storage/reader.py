"""The one way to read the past: which stored rows are visible, and what stands in them.

``sql/timeline.sql`` holds the rule of visibility. Its answer for a session is kept with the columns decoded, so a
further request on a session already read compares integers and copies arrays.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np

from replay.contract import TIERS
from replay.errors import LakeError, UnreadableFile
from replay.ragged import Ints, Ragged, concatenate
from replay.sessions import LATEST
from replay.snapshots import Clocks, Snapshots, Timeline, no_clocks, no_snapshots
from replay.storage.columns import CACHE_BYTES, ColumnCache, Footer, Kept
from replay.storage.engine import Engine
from replay.storage.files import FileStore, Partition, StoredFile
from replay.storage.rows import rows_equal

NEWEST: Final = -1
"""In place of an instant to decode from: the newest visible snapshot alone."""

_TIMELINES_KEPT: Final = 64
_ATTEMPTS: Final = 30
_STATEMENTS: Final = 4
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoredTimeline(Timeline):
    """A partition's timeline, by (ts, recorded_at, file, row): the answer of ``sql/timeline.sql``.

    Row ``i`` is row ``row[i]`` of ``files[file[i]]``.
    """

    partition: Partition
    files: tuple[StoredFile, ...]
    row: Ints


class Reader:
    """Reads sessions of one lake; safe for threads."""

    def __init__(self, store: FileStore, engine: Engine, cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._engine = engine
        self._columns = ColumnCache(store, cache_bytes)
        self._timelines: OrderedDict[Partition, StoredTimeline] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self._statements = ThreadPoolExecutor(_STATEMENTS, thread_name_prefix="replay-sql")

    def close(self) -> None:
        """Let the threads go."""
        self._closed = True
        self._statements.shutdown()

    def visible(
        self,
        symbol: str,
        date: dt.date,
        *,
        as_of: int,
        known_at: int,
        columns: Sequence[str],
        since: int | None = None,
        tier: str | None = None,
    ) -> tuple[Snapshots, Clocks]:
        """What was visible of a session at a moment.

        Parameters
        ----------
        as_of, known_at
            Microseconds since the epoch, both inclusive.
        columns
            List columns to decode beside ``strike``.
        since
            Decode snapshots from this instant on, inclusive; ``None``: all; :data:`NEWEST`: the last alone.
        tier
            Read this tier alone; ``None``: the finest of which anything is visible.

        Returns
        -------
        The snapshots from ``since`` on with their columns, and the clocks of all visible ones of the session.
        """

        def read(partition: Partition) -> tuple[Snapshots, Clocks]:
            ahead: dict[str, dict[str, Kept]] = {}

            def meanwhile(files: Sequence[StoredFile]) -> None:
                if since != NEWEST:
                    names = _with_fixed(columns)
                    ahead.update({f.path: self._columns.ahead(f, since or 0, as_of, names) for f in files})

            timeline, positions = self._timeline(partition, as_of, known_at, meanwhile)
            wanted = positions[-1:]
            if since != NEWEST:
                wanted = positions if since is None else positions[timeline.ts[positions] >= since]
            return self._decode(timeline, wanted, columns, ahead), timeline.clocks(positions)

        for each in TIERS if tier is None else (tier,):
            found = self._steadily(Partition(each, symbol, date), read)
            if len(found[1]):
                return found
        return no_snapshots(columns), no_clocks(TIERS[0])

    def timeline(self, partition: Partition) -> StoredTimeline:
        """Every stored row of a partition, visible or not."""
        return self._steadily(partition, lambda p: self._timeline(p, 0, 0)[0])

    def session(self, partition: Partition, columns: Sequence[str]) -> tuple[StoredTimeline, Snapshots]:
        """Every stored row of a partition with these columns, of which nothing is kept for further requests."""

        def read(partition: Partition) -> tuple[StoredTimeline, Snapshots]:
            ahead: dict[str, dict[str, Kept]] = {}

            def meanwhile(files: Sequence[StoredFile]) -> None:
                names = _with_fixed(columns)
                ahead.update({f.path: self._columns.ahead(f, -LATEST, LATEST, names) for f in files})

            timeline, _ = self._timeline(partition, 0, 0, meanwhile)
            rows = self._decode(timeline, np.arange(len(timeline.ts)), columns, ahead, keep=False)
            self._columns.forget(timeline.files)
            return timeline, rows

        return self._steadily(partition, read)

    def further(self, timeline: StoredTimeline, strike: Ragged, columns: Sequence[str]) -> dict[str, Ragged]:
        """More columns of every row of a timeline, parallel to its strikes; as in :meth:`session` nothing is kept.

        Where its files have been merged since, they are read from the ones that hold its rows now.
        """

        return self.some(timeline, strike, np.arange(len(timeline.ts)), columns)

    def some(
        self, timeline: StoredTimeline, strike: Ragged, positions: Ints, columns: Sequence[str]
    ) -> dict[str, Ragged]:
        """As :meth:`further`, of the rows at these positions; ``strike`` is that of all rows."""

        def read(partition: Partition) -> Snapshots:
            current = timeline
            if {file.path for file in timeline.files} - {file.path for file in self._store.files(partition)}:
                current = self._timeline(partition, 0, 0)[0]
            rows = _positions(timeline, current)[positions]
            try:
                return self._decode(current, rows, columns, keep=False)
            finally:
                self._columns.forget(current.files)

        found = self._steadily(timeline.partition, read)
        if not rows_equal(found.lists["strike"], strike.take(positions), 0.0).all():
            folder = f"{self._store.root}/{timeline.partition.folder}"
            raise UnreadableFile("rows list other strikes than when they were opened; open them again", path=folder)
        return {name: found.lists[name] for name in columns}

    def footers(self, timeline: StoredTimeline) -> list[Footer]:
        """The footers of a timeline's files, in their order."""
        return [self._columns.footer(file) for file in timeline.files]

    def snapshots(self, timeline: StoredTimeline, positions: Ints, columns: Sequence[str]) -> Snapshots:
        """The rows of a timeline at these positions with their columns."""
        return self._steadily(timeline.partition, lambda _: self._decode(timeline, positions, columns))

    def _decode(
        self,
        timeline: StoredTimeline,
        positions: Ints,
        columns: Sequence[str],
        ahead: Mapping[str, Mapping[str, Kept]] = MappingProxyType({}),
        *,
        keep: bool = True,
    ) -> Snapshots:
        if len(positions) == 0:
            return no_snapshots(columns)
        names = _with_fixed(columns)
        files = timeline.file[positions]
        parts, wheres = [], []
        for number in np.unique(files):
            where = np.flatnonzero(files == number)
            rows, file = timeline.row[positions[where]], timeline.files[number]
            part = self._columns.fetch(file, rows, names, ahead.get(file.path, {}), keep=keep)
            _check_parallel(part.lists, file, rows)
            parts.append(part)
            wheres.append(where)
        spot = np.concatenate([part.spot for part in parts])
        lists = {name: concatenate([part.lists[name] for part in parts]) for name in names[1:]}
        if len(parts) > 1:
            order = np.argsort(np.concatenate(wheres))
            spot, lists = spot[order], {name: column.take(order) for name, column in lists.items()}
        return Snapshots(timeline.ts[positions], timeline.recorded_at[positions], spot, lists)

    def _timeline(
        self,
        partition: Partition,
        as_of: int,
        known_at: int,
        meanwhile: Callable[[Sequence[StoredFile]], None] | None = None,
    ) -> tuple[StoredTimeline, Ints]:
        """A partition's timeline and the positions visible at a moment: by SQL when it is read, else as kept.

        While the statement runs on a thread of its own, ``meanwhile`` is called with the files.
        """
        files = tuple(self._store.files(partition))
        with self._lock:
            kept = self._timelines.get(partition)
            if kept is not None and kept.files == files:
                self._timelines.move_to_end(partition)
                return kept, kept.visible(as_of, known_at)
        if not files:
            none = np.empty(0, np.int64)
            return StoredTimeline(partition.tier, none, none, none, none, (), (), partition, files, none), none
        if self._closed:
            raise LakeError("the lake was closed; open it again")
        running = self._statements.submit(
            self._engine.arrays,
            "timeline",
            f"{self._store.root}/{partition.folder}",
            files=[self._store.duckdb_path(file.path) for file in files],
            as_of=as_of,
            known_at=known_at,
        )
        try:
            for file in files:
                self._columns.footer(file)  # a file that cannot be read is named before the statement's own error
            if meanwhile is not None:
                meanwhile(files)
        except BaseException:
            running.exception()
            raise
        found = running.result()
        visible = np.flatnonzero(found.pop("visible"))
        footers = [self._columns.footer(file) for file in files]
        timeline = StoredTimeline(
            partition.tier,
            cadences=tuple(footer.cadence_us for footer in footers),
            conventions=tuple(footer.conventions for footer in footers),
            partition=partition,
            files=files,
            **found,
        )
        with self._lock:
            self._timelines[partition] = timeline
            self._timelines.move_to_end(partition)
            while len(self._timelines) > _TIMELINES_KEPT:
                self._timelines.popitem(last=False)
        return timeline, visible

    def _steadily(self, partition: Partition, read: Callable[[Partition], _T]) -> _T:
        """Read again where files went away meanwhile: a compaction replaced them by others with the same rows."""
        for attempt in range(_ATTEMPTS):
            before = self._store.files(partition)
            try:
                return read(partition)
            except (FileNotFoundError, UnreadableFile) as error:
                gone = self._store.files(partition) != before
                if gone and attempt + 1 < _ATTEMPTS:
                    continue
                if isinstance(error, UnreadableFile):
                    raise
                folder = f"{self._store.root}/{partition.folder}"
                raise UnreadableFile("a file went away while it was read", path=folder) from error
        raise AssertionError("unreachable: the last attempt returns or raises")


def _positions(old: StoredTimeline, new: StoredTimeline) -> Ints:
    """Where the rows of a timeline (N,) stand in one of the same partition that was read later.

    Of rows with the same clocks each is the last, which is the one that is read.
    """
    if old is new:
        return np.arange(len(old.ts))
    last = {clocks: i for i, clocks in enumerate(zip(new.ts.tolist(), new.recorded_at.tolist(), strict=True))}
    wanted = zip(old.ts.tolist(), old.recorded_at.tolist(), strict=True)
    found = np.array([last.get(clocks, -1) for clocks in wanted], np.int64)
    if (found < 0).any():
        raise FileNotFoundError
    return found


def _with_fixed(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns to decode: ``spot`` and ``strike``, and those asked for."""
    return ("spot", "strike", *(name for name in columns if name != "strike"))


def _check_parallel(lists: dict[str, Ragged], file: StoredFile, rows: Ints) -> None:
    """Raise unless every list is as long as its row's strikes: a shifted value is worse than none."""
    strike = lists["strike"]
    for name, column in lists.items():
        wrong = np.flatnonzero(column.known & strike.known & (column.lengths != strike.lengths))
        if len(wrong):
            at = wrong[0]
            raise UnreadableFile(
                f"{name} holds {column.lengths[at]} values for {strike.lengths[at]} strikes",
                path=file.path,
                row=int(rows[at]),
            )
