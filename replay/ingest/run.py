"""Ingest of chains: files in, snapshots in the lake, every row accounted for."""

from __future__ import annotations

import datetime as dt
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import AgedOut, ConflictingRow, InputError
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ingest.buckets import SessionBuckets
from replay.ingest.chain import ChainCount, snapshots_of
from replay.ingest.clock import WallClock
from replay.ingest.files import Tally
from replay.ingest.flow import keep_flow
from replay.ingest.mapping import Mapping
from replay.ingest.rows import NOT_0DTE, check
from replay.ingest.underlying import Prices, with_parity
from replay.ingest.vendors import Source, joined
from replay.products import roots_of
from replay.sessions import Session, find_session
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class IngestReport:
    """What an ingest did: ``tally`` of the rows read, ``count`` of the options kept, and by session the snapshots
    built and those of them that the lake did not have yet; or in ``aged_out``
    those left out of a session whose raw was removed."""

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    count: ChainCount = field(default_factory=ChainCount)
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)
    aged_out: dict[dt.date, int] = field(default_factory=dict)

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
    mapping: Mapping | Source,
    *,
    solve: bool = False,
    underlying: Prices | None = None,
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
        Which column is what, or a preset.
    solve
        Solve every vol from the quote's mid, also where the file gives one.
    underlying
        The underlying's price where a row has none; without it, put-call parity implies it.
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
    origin = mapping if isinstance(mapping, Source) else Source(mapping.name, mapping)
    report = IngestReport(name, len(files))
    roots = roots_of(name)
    clock = WallClock()
    with SessionBuckets() as buckets:
        for file in files:
            path = pathlib.Path(file)
            before = report.tally.read
            for batch, columns in origin.read(path, report.tally, strict=strict):
                rows = check(batch, columns, str(path), report.tally, strict=strict, roots=roots, clock=clock)
                buckets.add(rows)
                if progress is not None:
                    progress(str(path), batch.bytes_read)
            if report.tally.read == before:
                raise InputError("holds a header and no rows", path=str(path))
        if origin.zone is None:
            clock.check()
        with LakeWriter(lake, filesystem, allow_mixed=allow_mixed) as writer:
            _write(report, buckets, writer, _Making(origin, conventions, underlying, solve))
    if not report.sessions and not report.aged_out:
        raise InputError(f"none of {report.tally.read} rows can be used; {_why(report.tally, report.count)}")
    return report


@dataclass(frozen=True, slots=True)
class _Making:
    """How a session's rows become snapshots."""

    source: Source
    conventions: Conventions
    underlying: Prices | None
    solve: bool

    def snapshots(self, rows: pl.DataFrame, session: Session, count: ChainCount) -> tuple[pa.Table | None, str]:
        """One session's snapshots, none where no row can be used, and what they are made from."""
        if self.source.joins:
            rows = joined(rows, count)
        if self.solve:
            rows = rows.with_columns(iv=pl.lit(None, pl.Float64))
        said = [f"chain:{self.source.name}", *(["iv=solve"] if self.solve else [])]
        for name, fill in (("instant", _of_instant), ("file", self._from_file), ("parity", self._from_parity)):
            lacking = rows["spot"].null_count()
            if lacking:
                rows = fill(rows, session)
                filled = lacking - rows["spot"].null_count()
                count.spots[name] += filled
                said += [f"spot={name}"] if filled and name != "instant" else []
        count.spots["none"] += rows["spot"].null_count()
        rows = rows.filter(pl.col("spot").is_not_null())
        if rows.is_empty():
            return None, ""
        return snapshots_of(rows.drop("date"), session, count, self.conventions), " ".join(said)

    def _from_file(self, rows: pl.DataFrame, _: Session) -> pl.DataFrame:
        return rows if self.underlying is None else self.underlying.of(rows)

    def _from_parity(self, rows: pl.DataFrame, session: Session) -> pl.DataFrame:
        return rows if self.underlying is not None else with_parity(rows, session, self.conventions)


def _of_instant(rows: pl.DataFrame, _: Session) -> pl.DataFrame:
    """The rows with ``spot`` where it was null, as the last of their ``ts`` and ``recorded_at`` has it."""
    return rows.with_columns(spot=pl.coalesce("spot", pl.col("spot").drop_nulls().last().over("ts", "recorded_at")))


def _write(report: IngestReport, buckets: SessionBuckets, writer: LakeWriter, making: _Making) -> None:
    """Build and store the snapshots, a session at a time."""
    for date, rows in buckets.sessions():
        session = find_session(date)
        assert session is not None, "rows of days without a session are rejected"
        table, origin = making.snapshots(rows, session, report.count)
        if table is None:
            continue
        metadata = schema.metadata(source=origin, conventions=making.conventions.id)
        partition = Partition("raw", report.symbol, date)
        report.count.shrunk += writer.shrunk(partition, table)
        try:
            flow = functools.partial(keep_flow, session=session, conventions=making.conventions)
            new = writer.add(partition, table, metadata, keep_flow=flow)
        except AgedOut as error:
            report.aged_out[date] = error.rows
            continue
        except ConflictingRow as error:
            raise ConflictingRow(f"{error.message}; the session {date} was not written") from error
        report.sessions[date] = (table.num_rows, new)
        report.count.flow_unknown, report.count.flow_gaps = writer.flow_unknown, writer.flow_gaps


def _why(tally: Tally, count: ChainCount) -> str:
    reasons = [f"{each.rows}: each {reason}{each.example}" for reason, each in tally.rejected.items()]
    if tally.other_expirations.rows:
        reasons.append(f"{tally.other_expirations.rows}: each {NOT_0DTE}")
    if count.spots["none"]:
        reasons.append(f"{count.spots['none']}: neither they nor anything else gives a spot")
    if count.interest_alone:
        reasons.append(f"{count.interest_alone}: each tells open interest alone; give quotes or greeks too")
    return "; ".join(reasons)
