"""Ingest of chains: files in, snapshots in the lake, every row accounted for."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import ConflictingRow, InputError
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ingest.buckets import SessionBuckets
from replay.ingest.chain import ChainCount, snapshots_of
from replay.ingest.mapping import Mapping
from replay.ingest.rows import NOT_0DTE, Tally, check, read_batches
from replay.sessions import find_session
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class IngestReport:
    """What an ingest did: ``tally`` of the rows read, ``count`` of the options kept, and by session the snapshots
    built and those of them that the lake did not have yet."""

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    count: ChainCount = field(default_factory=ChainCount)
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)

    @property
    def snapshots(self) -> int:
        """Snapshots built."""
        return sum(built for built, _ in self.sessions.values())

    @property
    def written(self) -> int:
        """Snapshots that were new to the lake."""
        return sum(new for _, new in self.sessions.values())


def ingest_chain(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    symbol: str,
    mapping: Mapping,
    *,
    conventions: Conventions = REPLAY_1,
    allow_mixed: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    filesystem: Any | None = None,
) -> IngestReport:
    """Turn files with one row per (instant, strike, right) into snapshots of a lake.

    Parameters
    ----------
    files
        CSV, CSV.gz or Parquet, in the order in which their rows came.
    lake
        Where to write; it comes into being if there is none. On ``filesystem`` (fsspec) if one is given.
    mapping
        Which column is what.
    conventions
        What exposures are computed under, and vols solved.
    allow_mixed
        Let the symbol hold exposures under other conventions beside these.
    strict
        Refuse a file with a row that cannot be used, before anything is written.
    progress
        Called with a file's path and how many of its bytes have been read.

    Raises
    ------
    InputError
        If a file cannot be read, or no row of all can be used. Nothing is written then.
    MixedConventions
        If the lake holds the symbol's exposures under other conventions.
    ConflictingRow
        If a snapshot differs from a stored one with the same ts and recorded_at. Sessions before it by date
        have been written whole; running again after the cause is removed writes the rest.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    report = IngestReport(name, len(files))
    with SessionBuckets() as buckets:
        for file in files:
            path = pathlib.Path(file)
            before = report.tally.read
            for batch in read_batches(path, mapping, report.tally, strict=strict):
                rows = check(batch, mapping, str(path), report.tally, strict=strict)
                buckets.add(rows)
                if progress is not None:
                    progress(str(path), batch.bytes_read)
            if report.tally.read == before:
                raise InputError("holds a header and no rows", path=str(path))
        _write(report, buckets, LakeWriter(lake, filesystem, allow_mixed=allow_mixed), mapping, conventions)
    if not report.sessions:
        raise InputError(f"none of {report.tally.read} rows can be used; {_why(report.tally)}")
    return report


def _write(
    report: IngestReport, buckets: SessionBuckets, writer: LakeWriter, mapping: Mapping, conventions: Conventions
) -> None:
    """Build and store the snapshots, a session at a time."""
    metadata = schema.metadata(source=f"chain:{mapping.name}", conventions=conventions.id)
    with writer:
        for date, rows in buckets.sessions():
            session = find_session(date)
            assert session is not None, "rows of days without a session are rejected"
            table = snapshots_of(rows.drop("date"), session, report.count, conventions)
            try:
                new = writer.add(Partition("raw", report.symbol, date), table, metadata)
            except ConflictingRow as error:
                raise ConflictingRow(f"{error.message}; the session {date} was not written") from error
            report.sessions[date] = (table.num_rows, new)


def _why(tally: Tally) -> str:
    reasons = [f"{count.rows}: each {reason}" for reason, count in tally.rejected.items()]
    if tally.other_expirations.rows:
        reasons.append(f"{tally.other_expirations.rows}: each {NOT_0DTE}")
    return "; ".join(reasons)
