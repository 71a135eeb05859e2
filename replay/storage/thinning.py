"""The tier ``1m``: raw snapshots thinned to one a minute, and raw aged out where the thinned ones stand for it.

Of each minute the last snapshot with strikes is kept, with the flows of the minute summed into it and the latest
``recorded_at`` of its parts; beside it, where need be, the legacy v1 row that came after it, and a row with the flows
of those strikes that it does not list. So a heatmap as of the last microsecond of any minute, knowing everything,
comes out of the thinned tier as it does out of raw; its gaps alone follow the tier's own cadence.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay import schema
from replay.errors import LakeError, MixedConventions
from replay.ragged import Bools, Floats, Ints, align, ragged
from replay.sessions import LATEST, MINUTE, NEW_YORK
from replay.snapshots import Snapshots
from replay.storage.columns import Footer
from replay.storage.compaction import (
    CHANGED,
    SOURCES,
    Outcome,
    remove_files,
    replace_files,
    size_of,
    sources_of,
    unchanged,
    unmergeable,
)
from replay.storage.files import FileStore, Partition, content_name
from replay.storage.neighbours import Agreement
from replay.storage.reader import Reader, StoredTimeline
from replay.storage.rows import FLOWS, as_table, close, rows_equal
from replay.storage.writer import encode

TIER: Final = "1m"
_AGED_OUT: Final = "raw no longer holds all that was thinned; the thinned rows stay as they are"


def thin(rows: Snapshots) -> tuple[Snapshots, Ints]:
    """Thin a session.

    Parameters
    ----------
    rows
        The snapshots visible with everything known, ascending by ts, with all of :data:`replay.schema.VALUES`.

    Returns
    -------
    The thinned snapshots (M), ascending by ts, and the position in ``rows`` of the one that each is of (M,). What was
    traded at strikes that a minute's last snapshot is without has a row of its own, known with that one and a
    microsecond before it: at no other moment is it the newest.
    """
    bucket = rows.ts // MINUTE
    ends = np.flatnonzero(np.append(bucket[1:] != bucket[:-1], len(bucket) > 0)) + 1
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    has_strikes = rows.has_strikes
    kept: list[_Kept] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        sampled = np.flatnonzero(has_strikes[start:end]) + start
        if len(sampled) == 1:
            kept.append(_Kept(int(sampled[0])))
        elif len(sampled):
            kept += _minute(rows, sampled)
        if not len(sampled) or sampled[-1] != end - 1:
            kept.append(_Kept(end - 1))
    at = np.array([each.position for each in kept], np.int64)
    lists = {name: ragged([each.values(rows, name) for each in kept]) for name in schema.LISTS}
    recorded_at = [int(rows.recorded_at[list(each.parts) or [each.position]].max()) for each in kept]
    apart = np.array([each.strike is not None for each in kept], np.bool_)
    ends = rows.ts[[each.parts[-1] if each.parts else each.position for each in kept]] - apart
    return Snapshots(np.maximum(rows.ts[at], ends), np.array(recorded_at, np.int64), rows.spot[at], lists), at


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row to keep: that at ``position``, or where it has ``parts``, one with the flows of all of them.

    ``strike``: the row holds these strikes alone, and nothing but flows.
    """

    position: int
    parts: tuple[int, ...] = ()
    flows: dict[str, Floats | None] | None = None
    strike: Floats | None = None

    def values(self, rows: Snapshots, name: str) -> Floats | None:
        if self.flows is not None and name in self.flows:
            return self.flows[name]
        if self.strike is not None:
            return self.strike if name == "strike" else None
        column = rows.lists[name]
        return column.row(self.position) if column.known[self.position] else None


def _minute(rows: Snapshots, sampled: Ints) -> Iterator[_Kept]:
    """What is kept of the snapshots of a minute that have strikes, at least two."""
    strike = rows.lists["strike"].take(sampled)
    columns = [rows.lists[name].take(sampled) for name in FLOWS]
    grid, matrices = align(strike, columns)
    totals = {
        name: _total(matrix) if column.known.any() else None
        for name, column, matrix in zip(FLOWS, columns, matrices, strict=True)
    }
    listed = strike.row(len(sampled) - 1)
    others = ~np.isin(grid, listed)
    if others.any():
        flows = {name: None if total is None else total[others] for name, total in totals.items()}
        yield _Kept(int(sampled[-2]), tuple(sampled.tolist()), flows, grid[others])
    at = np.searchsorted(grid, listed)
    finite = np.isfinite(listed)
    own = {name: None if total is None else _picked(total, at, finite) for name, total in totals.items()}
    yield _Kept(int(sampled[-1]), tuple(sampled.tolist()), own)


def _picked(total: Floats, at: Ints, finite: Bools) -> Floats:
    """The totals at these places of the grid; NaN for a strike that is no number, which the grid has not."""
    picked = np.full(len(at), np.nan)
    picked[finite] = total[at[finite]]
    return picked


def _total(matrix: Floats) -> Floats:
    """The sum over rows in their order; what is no finite number adds nothing, unless nothing else is there."""
    total = np.full(matrix.shape[1], np.nan)
    for row in matrix:
        added = np.where(np.isnan(total), 0.0, total) + row
        total = np.where(np.isfinite(row), added, total)
    return total


@dataclass(frozen=True, slots=True)
class _Thinned:
    """What raw comes to: the rows, and as files, one for each id of conventions; ``minutes`` and ``snapshots`` are what
    raw has."""

    rows: Snapshots
    files: list[memoryview]
    conventions: list[str]
    minutes: Ints
    snapshots: int


def _thinned(reader: Reader, raw: Partition) -> _Thinned:
    """Thin what raw holds now: one file for each convention id of the rows that are kept."""
    timeline, stored = reader.session(raw, schema.VALUES)
    positions = timeline.visible(LATEST, LATEST)
    visible = stored.take(positions)
    rows, at = thin(visible)
    footers = reader.footers(timeline)
    step = timeline.clocks(positions).median_step()
    conventions = [footers[number].conventions or "" for number in timeline.file[positions[at]]]
    files, ids = [], sorted(set(conventions))
    for each in ids:
        cadence = None if step is None else max(step, MINUTE)
        entries = schema.metadata(source=_sources(footers), conventions=each or None, cadence_us=cadence)
        entries[schema.METADATA_THINNED] = str(len(visible)).encode()
        of_id = np.array([found == each for found in conventions], np.bool_)
        files.append(encode(as_table(rows.take(of_id), raw.date), entries))
    return _Thinned(rows, files, ids, np.unique(visible.ts // MINUTE), len(visible))


def thin_partition(
    store: FileStore, reader: Reader, raw: Partition, *, dry_run: bool = False, allow_mixed: bool = False
) -> Outcome:
    """Write the thinned tier of a raw partition, or bring it up to date, under the locks of both.

    What raw says now takes the place of what it said before. Nothing is replaced that was not thinned from raw by
    this function, and nothing where raw has been aged out since.

    Where a row kept before is neither repeated nor corrected by those kept now, the old ones go first: one who asks
    for this tier alone then finds nothing for a moment, but no flow twice. Other answers come from raw throughout.
    """
    partition = Partition(TIER, raw.symbol, raw.date)
    files = store.files(partition)
    if not store.files(raw):
        return unchanged(partition, files)
    with store.lock(raw), contextlib.nullcontext() if dry_run else store.lock(partition):
        files = store.files(partition)
        try:
            made = _thinned(reader, raw)
            timeline, stored = reader.session(partition, schema.VALUES)
            if _same(stored, made.rows):
                return unchanged(partition, files)
            reason = _not_to_be_replaced(reader, timeline, made)
            if not reason and not allow_mixed:
                _agree(store, partition, made.conventions)
        except FileNotFoundError:
            reason = CHANGED
        except LakeError as error:
            reason = error.message
        if reason:
            return unchanged(partition, files, reason)
        if not dry_run and _superseded(stored, made.rows):
            replace_files(store, partition, files, made.files)
        elif not dry_run:  # both together would count flows twice
            remove_files(store, partition, [file.name for file in files])
            replace_files(store, partition, [], made.files)
    after = (len(made.files), sum(len(data) for data in made.files))
    return Outcome(partition, "thinned", (len(files), after[0]), (size_of(files), after[1]))


def _agree(store: FileStore, partition: Partition, conventions: Sequence[str]) -> None:
    """Raise :class:`~replay.errors.MixedConventions` if these ids and those stored of the tier are several."""
    named = [each for each in conventions if each]
    if len(named) > 1:
        raise MixedConventions(
            f"raw holds exposures under {' and '.join(map(repr, named))}; --allow-mixed thins them side by side"
        )
    agreement = Agreement(store)
    for each in named:
        agreement.check(partition, each, replaced=True)


def _not_to_be_replaced(reader: Reader, timeline: StoredTimeline, made: _Thinned) -> str:
    """Why stored rows of the thinned tier are to stay, if they are."""
    for footer in reader.footers(timeline):
        count = (footer.schema.metadata or {}).get(schema.METADATA_THINNED, b"")
        if not count.isdigit():
            return "it holds rows that were not thinned from raw here; they stay as they are"
        if int(count) > made.snapshots:
            return _AGED_OUT
    return _AGED_OUT if len(np.setdiff1d(timeline.ts // MINUTE, made.minutes)) else ""


def drop_raw(
    store: FileStore,
    reader: Reader,
    raw: Partition,
    *,
    dry_run: bool = False,
    thinned: bool = False,
    corrected: bool = False,
) -> Outcome:
    """Remove the raw files of a partition if the thinned tier holds exactly what thinning them would give.

    Several files become one first, so that raw is either all there or not at all. The folder stays: writers lock it.

    Parameters
    ----------
    thinned
        Take it that the thinned tier is complete; for a ``dry_run`` in which it was not written.
    corrected
        Also where snapshots were corrected: the thinned tier holds what was known last, and not what was before.
    """
    partition = Partition(TIER, raw.symbol, raw.date)
    with store.lock(raw), store.lock(partition) if store.files(partition) else contextlib.nullcontext():
        files = store.files(raw)
        if not files:
            return unchanged(raw, files)
        try:
            reason = _must_stay(store, reader, raw) or ("" if thinned else _incomplete(reader, raw, partition))
            reason = reason or ("" if corrected else _revised(reader, raw))
        except FileNotFoundError:
            reason = CHANGED
        except LakeError as error:
            reason = error.message
        if reason:
            return unchanged(raw, files, reason)
        if not dry_run:
            if len(files) > 1:
                one = _one_file(reader, raw)
                replace_files(store, raw, files, [one])
                remove_files(store, raw, [content_name(one)])
            else:
                remove_files(store, raw, [files[0].name])
    return Outcome(raw, "dropped", (len(files), 0), (size_of(files), 0))


def _must_stay(store: FileStore, reader: Reader, raw: Partition) -> str:
    """Why raw cannot go, whatever stands for it."""
    if raw.date >= dt.datetime.now(NEW_YORK).date():
        return "the session may still be recorded; drop it from the day after on"
    footers = reader.footers(reader.timeline(raw))
    if len({footer.conventions for footer in footers}) > 1:
        return "its files name several conventions, so they cannot become one, nor go in one step"
    return unmergeable(store, reader, raw)


def _revised(reader: Reader, raw: Partition) -> str:
    """What was known of raw before it was corrected, which the thinned tier does not hold."""
    timeline = reader.timeline(raw)
    gone = int((timeline.superseded_at > timeline.recorded_at).sum()) - len(timeline.visible(LATEST, LATEST))
    if not gone:
        return ""
    return (
        f"{gone:,} of its snapshots were corrected, and the thinned tier does not hold what was known before; "
        "--drop-corrected removes them too"
    )


def _incomplete(reader: Reader, raw: Partition, partition: Partition) -> str:
    """What the thinned tier lacks to stand for raw."""
    timeline, stored = reader.session(partition, schema.VALUES)
    if not timeline.files:
        return "it is not thinned yet; `replay compact --tier 1m` does it"
    made = _thinned(reader, raw)
    if _same(stored, made.rows):
        return ""
    return _not_to_be_replaced(reader, timeline, made) or (
        "the thinned tier is not what raw comes to now: rows came since; run `replay compact --tier 1m` again"
    )


def _one_file(reader: Reader, raw: Partition) -> memoryview:
    """All rows of a partition as one file, in the order in which they are read."""
    timeline, rows = reader.session(raw, schema.VALUES)
    footers = reader.footers(timeline)
    entries = schema.metadata(
        source=_sources(footers),
        conventions=footers[0].conventions,
        cadence_us=timeline.clocks(timeline.visible(LATEST, LATEST)).cadence,
    )
    return encode(as_table(rows, raw.date), entries)


def _sources(footers: Sequence[Footer]) -> str:
    return SOURCES.join(sources_of(footers)).decode("utf-8", "replace")


def _same(a: Snapshots, b: Snapshots) -> bool:
    """Whether these are the same rows in all."""
    return len(a) == len(b) and bool((a.ts == b.ts).all()) and bool(_equal(a, b).all())


def _equal(a: Snapshots, b: Snapshots) -> Bools:
    """Which rows of two of R say the same, clocks of knowledge included (R,)."""
    equal = (a.recorded_at == b.recorded_at) & close(a.spot, b.spot, 0.0)
    for name in schema.LISTS:
        equal &= rows_equal(a.lists[name], b.lists[name], 0.0)
    return np.asarray(equal, np.bool_)


def _superseded(old: Snapshots, new: Snapshots) -> bool:
    """Whether new rows beside old ones are read as if they were alone: each old one is repeated or corrected."""
    at = np.searchsorted(new.ts, old.ts)
    if not len(old):
        return True
    if not np.isin(old.ts, new.ts).all():
        return False
    there = new.take(at)
    return bool(((there.recorded_at > old.recorded_at) | _equal(old, there)).all())
