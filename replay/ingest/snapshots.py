"""Ingest of snapshots that are made already: Parquet in the lake's own schema, or in its long form."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.contract import TIERS, is_symbol, normalise_symbol
from replay.errors import AgedOut, ConflictingRow, InputError
from replay.exposure.conventions import LIVE, Conventions
from replay.ingest.buckets import SessionBuckets
from replay.ingest.files import Tally
from replay.ingest.times import date_of, new_york_day, possible
from replay.sessions import find_session, iso_utc
from replay.storage.files import Partition
from replay.storage.soundness import row_faults, value_faults
from replay.storage.writer import LakeWriter

_BATCH_ROWS: Final = {"wide": 500, "long": 100_000}
_CLOCKS: Final = ("ts", "recorded_at")
_LONG_NEEDED: Final = ("ts", "recorded_at", "spot", "strike")
_EXPOSURES: Final = ("gex", "dex", "vex", "chex")
_METADATA: Final = (schema.METADATA_CONVENTIONS, schema.METADATA_CADENCE)


@dataclass(slots=True)
class SnapshotsReport:
    """What an ingest did: ``tally`` of the files' rows, and by session the snapshots read and those that were new.

    In ``aged_out`` are those left out of a session whose raw was removed.
    """

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    others: int = 0  # rows of another symbol or tier
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)
    aged_out: dict[dt.date, int] = field(default_factory=dict)


def ingest_snapshots(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    symbol: str,
    *,
    tier: str = "raw",
    conventions: str | None = None,
    allow_mixed: bool = False,
    strict: bool = False,
    filesystem: Any | None = None,
) -> SnapshotsReport:
    """Put snapshots from Parquet files into a lake.

    Parameters
    ----------
    files
        Each either as a lake stores it (one row a snapshot, lists beside ``strike``), or long (one row a snapshot and
        strike, as the SQL view ``strikes`` has it). Where there is a column ``symbol`` or ``tier``, other ones' rows
        are left out.
    tier
        Where to put them.
    conventions
        The convention id of exposures in files whose metadata name none.
    strict
        Refuse a file with a row that cannot be used.

    Raises
    ------
    InputError
        If a file cannot be read or used, or no row of all can; nothing is written then. If rows of a session are not
        sound, or contradict each other; sessions before it by date have been written whole.
    ConflictingRow, MixedConventions
        As :meth:`replay.storage.writer.LakeWriter.add`; sessions before it by date have been written whole.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    if tier not in TIERS:
        raise InputError(f"tier {tier!r} is not one of {', '.join(TIERS)}")
    if conventions not in (None, LIVE):
        Conventions.parse(str(conventions))
    report = SnapshotsReport(name, len(files))
    origins: dict[str, dict[bytes, bytes]] = {}
    with SessionBuckets() as buckets:
        for file in files:
            path = pathlib.Path(file)
            origins[str(path)] = _origin(path, conventions)
            for rows in _read(path, name, tier, report, strict=strict):
                buckets.add(rows.with_columns(path=pl.lit(str(path))))
        with LakeWriter(lake, filesystem, allow_mixed=allow_mixed) as writer:
            for date, rows in buckets.sessions():
                partition = Partition(tier, name, date)
                parts = [
                    (_table(part.drop("date", "path"), origin, date, report.tally, strict=strict), origins[origin])
                    for (origin,), part in rows.partition_by("path", as_dict=True, maintain_order=True).items()
                ]
                _write(writer, partition, [each for each in parts if each[0].num_rows], report)
    if not report.sessions and not report.aged_out:
        reasons = "; ".join(f"{count.rows}: each {reason}" for reason, count in report.tally.rejected.items())
        left = f"{report.others} are of another symbol or tier" if report.others else ""
        elsewhere = report.tally.other_expirations.rows
        expire = f"{elsewhere} expire on another date than their session's" if elsewhere else ""
        why = "; ".join(each for each in (reasons, left, expire) if each) or "there are none"
        raise InputError(f"none of {report.tally.read} rows can be used; {why}")
    return report


def _write(
    writer: LakeWriter,
    partition: Partition,
    parts: Sequence[tuple[pa.Table, dict[bytes, bytes]]],
    report: SnapshotsReport,
) -> None:
    if not parts:
        return
    try:
        new = writer.add_all(partition, parts)
    except AgedOut as error:
        report.aged_out[partition.date] = error.rows
        return
    except ConflictingRow as error:
        raise ConflictingRow(f"{error.message}; the session {partition.date} was not written") from error
    report.sessions[partition.date] = (sum(table.num_rows for table, _ in parts), new)


def _origin(path: pathlib.Path, conventions: str | None) -> dict[bytes, bytes]:
    """The metadata that the file's snapshots are stored with."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                raise InputError("is no Parquet file", path=str(path))
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot be read: {reason}", path=str(path)) from error
    metadata = schema.metadata(source="snapshots", conventions=conventions)
    metadata |= {key: value for key, value in (found.metadata or {}).items() if key in _METADATA}
    if schema.METADATA_CONVENTIONS not in metadata and set(_EXPOSURES) & set(found.names):
        raise InputError(
            "holds exposures, and its metadata name no conventions; give --conventions, such as replay-1, or "
            f"{LIVE} for those of the live endpoint",
            path=str(path),
        )
    return metadata


def _read(
    path: pathlib.Path, symbol: str, tier: str, report: SnapshotsReport, *, strict: bool
) -> Iterator[pl.DataFrame]:
    """The file's rows batch by batch, with their session's ``date`` and their ``number`` in the file, from 0."""
    parquet = pq.ParquetFile(path)
    found = parquet.schema_arrow
    _check_columns(path, found)
    known = [name for name in (*(column.name for column in schema.COLUMNS), "symbol", "tier") if name in found.names]
    size = _BATCH_ROWS["wide" if _is_wide(found) else "long"]
    before = 0
    for batch in parquet.iter_batches(size, columns=known):
        rows = pl.DataFrame(pl.from_arrow(_in_utc(pa.Table.from_batches([batch]))))
        rows = rows.with_columns(possible(rows, name) for name in _CLOCKS)
        rows = rows.with_columns(number=pl.int_range(before, before + len(rows), dtype=pl.Int64))
        before += len(rows)
        report.tally.read += len(rows)
        for column, own in (("symbol", symbol), ("tier", tier)):
            if column in rows.columns:
                same = pl.col(column).cast(pl.String).str.to_uppercase() == own.upper()
                report.others += int(rows.select((~same.fill_null(False)).sum()).item())
                rows = rows.filter(same).drop(column)
        rows = rows.with_columns(_us("ts", up=False), _us("recorded_at", up=True))
        rows = rows.with_columns(date=new_york_day("ts"))
        if "expiration" in rows.columns and size == _BATCH_ROWS["long"]:
            unread = date_of(rows, "expiration").is_null() & pl.col("expiration").is_not_null()
            faults = [(unread, "has an expiration that is no date (YYYY-MM-DD)")]
            rows = _rejecting(rows, faults, str(path), report.tally, strict=strict)
            other = rows.filter(date_of(rows, "expiration") != pl.col("date"))
            if len(other):
                report.tally.other_expirations.add(len(other), str(path), int(other["number"][0]))
            rows = rows.filter((date_of(rows, "expiration") == pl.col("date")).fill_null(True))
        closed = [day for day in rows["date"].drop_nulls().unique() if find_session(day) is None]
        rows = _rejecting(
            rows,
            [
                (pl.any_horizontal(pl.col(*_CLOCKS).is_null()), "has no ts or no recorded_at"),
                (pl.col("date").is_in(closed), "has a ts on a day without a session"),
            ],
            str(path), report.tally, strict=strict,
        )  # fmt: skip
        yield rows
    if not before:
        raise InputError("holds no rows", path=str(path))


def _is_wide(found: pa.Schema) -> bool:
    places = found.get_all_field_indices("strike")
    kind = found.field(places[0]).type if places else pa.null()
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _check_columns(path: pathlib.Path, found: pa.Schema) -> None:
    """Raise unless the columns are those of snapshots, in either form."""
    if "strike" not in found.names:
        raise InputError(f"lacks a column strike; it holds {', '.join(found.names)}", path=str(path))
    if _is_wide(found):
        faults = schema.faults_of(found)
    else:
        faults = [f"column {name} is missing" for name in _LONG_NEEDED if name not in found.names]
        for name in dict.fromkeys(found.names):
            times = len(found.get_all_field_indices(name))
            if times > 1:
                faults.append(f"column {name} is there {times} times")
                continue
            kind = found.field(name).type
            number = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
            if name in ("spot", *schema.LISTS) and not (number or pa.types.is_null(kind)):
                faults.append(f"column {name} is {kind}, not a number")
            if pa.types.is_decimal256(kind):
                faults.append(f"column {name} is {kind}, with more digits than can be read")
            dated = (pa.types.is_date, pa.types.is_timestamp, pa.types.is_integer, pa.types.is_string, pa.types.is_null)
            if name == "expiration" and not (any(each(kind) for each in dated) or pa.types.is_large_string(kind)):
                faults.append(f"column {name} is {kind}, not a date")
            if name in _CLOCKS and not (pa.types.is_timestamp(kind) and kind.tz is not None):
                faults.append(f"column {name} is {kind}, not {schema.TIMESTAMP}")
    if faults:
        raise InputError("; ".join(faults), path=str(path))


def _in_utc(table: pa.Table) -> pa.Table:
    """The table with clocks of whatever zone as the same instants in UTC."""
    for name in _CLOCKS:
        place = table.schema.get_field_index(name)
        column = table.column(place)
        table = table.set_column(place, name, column.cast(pa.timestamp(column.type.unit, "UTC")))
    return table


def _us(name: str, *, up: bool) -> pl.Expr:
    """Microseconds since the epoch; what is finer is cut, or rounded up."""
    ns = pl.col(name).dt.epoch("ns")
    return ((ns + 999) // 1000 if up else ns // 1000).alias(name)


def _rejecting(
    rows: pl.DataFrame, faults: Sequence[tuple[pl.Expr, str]], path: str, tally: Tally, *, strict: bool
) -> pl.DataFrame:
    """The rows without those that have a fault, which are counted, or refused."""
    for wrong, reason in faults:
        bad = rows.filter(wrong.fill_null(False))
        if len(bad):
            if strict:
                raise InputError(f"row {bad['number'][0]} {reason}", path=path)
            tally.reject(reason, len(bad), path, int(bad["number"][0]))
            rows = rows.filter(~wrong.fill_null(False))
    return rows


def _table(rows: pl.DataFrame, path: str, date: dt.date, tally: Tally, *, strict: bool) -> pa.Table:
    """One session's rows of one file as sound snapshots."""
    if isinstance(rows.schema["strike"], (pl.List, pl.Array)):
        rows = _distinct(rows, path)
    else:
        rows = _widened(rows, path, tally, strict=strict)
    numbers = rows["number"].to_numpy()
    stamps = [(pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")) for name in _CLOCKS]
    lists = [pl.col(name).cast(pl.List(pl.Float64)) for name in schema.LISTS if name in rows.columns]
    table = schema.conform(rows.with_columns(*stamps, *lists).drop("number").to_arrow())
    sound = np.ones(table.num_rows, np.bool_)
    for message, wrong in (*row_faults(table, date), *value_faults(table)):
        bad = np.flatnonzero(wrong & sound)
        if len(bad):
            if strict:
                raise InputError(f"row {numbers[bad[0]]}: {message}", path=path)
            tally.reject(f"is not sound: {message}", len(bad), path, int(numbers[bad[0]]))
            sound &= ~wrong
    position = table.schema.get_field_index("expiration")
    dates = pa.array([date] * table.num_rows, pa.date32())
    return table.set_column(position, schema.ARROW.field("expiration"), dates).filter(pa.array(sound))


def _distinct(rows: pl.DataFrame, path: str) -> pl.DataFrame:
    """Wide rows, each once."""
    twice = rows.select(pl.struct(_CLOCKS).is_duplicated()).to_series().to_numpy()
    kept = np.ones(len(rows), np.bool_)
    first: dict[tuple[int, int], tuple[int, str]] = {}
    for i in np.flatnonzero(twice).tolist():
        row = rows.row(i, named=True)
        number, said = row.pop("number"), repr(row)
        clocks = row["ts"], row["recorded_at"]
        kept[i] = clocks not in first
        same, wanted = first.setdefault(clocks, (number, said))
        if said != wanted:
            raise InputError(
                f"rows {same} and {number} differ, and both are of ts {iso_utc(clocks[0])}, "
                f"recorded_at {iso_utc(clocks[1])}",
                path=path,
            )
    return rows.filter(pl.Series(kept))


def _widened(rows: pl.DataFrame, path: str, tally: Tally, *, strict: bool) -> pl.DataFrame:
    """Long rows as one row a snapshot, lists beside ascending strikes; null strikes are a legacy snapshot's."""
    keys = [*_CLOCKS, "strike"]
    names = [name for name in schema.VALUES if name in rows.columns]
    rows = rows.with_columns(pl.col("spot", "strike", *names).cast(pl.Float64))
    unlisted = pl.col("strike").is_null() & pl.col("strike").is_not_null().any().over(_CLOCKS)
    rows = _rejecting(rows, [(unlisted, "has no strike, and others of its instant have")], path, tally, strict=strict)
    rows = rows.unique(subset=[*keys, "spot", *names], keep="first", maintain_order=True)
    twice = rows.filter(rows.select(pl.struct(keys).is_duplicated()).to_series())
    if len(twice):
        at = twice.row(0, named=True)
        raise InputError(
            f"rows {twice['number'][0]} and {twice['number'][1]} differ, and both are of ts {iso_utc(at['ts'])}, "
            f"recorded_at {iso_utc(at['recorded_at'])}, strike {at['strike']}",
            path=path,
        )
    if "oi" in names and {"call_oi", "put_oi"} <= set(names):
        sides = (pl.col("call_oi") + pl.col("put_oi")).fill_nan(None)
        other = pl.col("oi").is_not_nan() & (pl.col("oi") != sides)
        rows = _rejecting(rows, [(other, "has an oi that is not call_oi + put_oi")], path, tally, strict=strict)
        rows = rows.with_columns(oi=pl.when(sides.is_null()).then(pl.col("oi")))
    known = [pl.col(name).fill_nan(None).is_not_null().any().alias(f"{name} known") for name in names]
    listed = pl.col("strike").is_not_null()
    wide = (
        rows.sort(keys, nulls_last=True, maintain_order=True)
        .group_by(_CLOCKS, maintain_order=True)
        .agg(
            pl.col("spot").first(),
            (pl.col("spot").n_unique() > 1).alias("spots"),
            pl.col("number").min(),
            pl.col("strike").filter(listed),
            *(pl.col(name).filter(listed).fill_null(float("nan")) for name in names),
            *known,
        )
    )
    if wide["spots"].any():
        at = wide.filter("spots").row(0, named=True)
        raise InputError(f"the rows of ts {iso_utc(at['ts'])}, from row {at['number']}, disagree on spot", path=path)
    return wide.with_columns(
        *(pl.when(f"{name} known").then(pl.col(name)).alias(name) for name in names),
        strike=pl.when(pl.col("strike").list.len() > 0).then(pl.col("strike")),
    ).drop("spots", *(f"{name} known" for name in names))
