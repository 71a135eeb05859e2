"""Reading option rows from CSV, CSV.gz or Parquet in batches, and checking each; a row that cannot be used says why."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from replay.errors import InputError
from replay.ingest.mapping import OPTIONAL, UNITS, Mapping
from replay.sessions import find_session

BLOCK_BYTES: Final = 4 * 2**20
PARQUET_ROWS: Final = 100_000
NUMBERS: Final = ("bid", "ask", "iv", "volume", "open_interest")
NOT_0DTE: Final = "expires on another date than its session's"
MALFORMED: Final = "has another number of fields than the header"

_OFFSET = r"(Z|z|[+-]\d{2}(?::?\d{2})?)$"
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


@dataclass(slots=True)
class Count:
    """How many rows, and where the first of them stands."""

    rows: int = 0
    path: str = ""
    line: int = 0

    def add(self, rows: int, path: str, line: int) -> None:
        """Count further rows, the first of which stands there."""
        if self.rows == 0:
            self.path, self.line = path, line
        self.rows += rows


@dataclass(slots=True)
class Tally:
    """What became of the rows read: how many, and those rejected or left out by reason."""

    read: int = 0
    rejected: dict[str, Count] = field(default_factory=dict)
    other_expirations: Count = field(default_factory=Count)

    def reject(self, reason: str, rows: int, path: str, line: int) -> None:
        """Count rejected rows."""
        self.rejected.setdefault(reason, Count()).add(rows, path, line)


@dataclass(slots=True)
class Batch:
    """Rows as the file has them, with the line (CSV, from 1) or row (Parquet, from 0) of each."""

    rows: pl.DataFrame
    lines: np.ndarray[Any, np.dtype[np.int64]]
    bytes_read: int


def read_batches(path: pathlib.Path, mapping: Mapping, tally: Tally, *, strict: bool = False) -> Iterator[Batch]:
    """The mapped columns of a file, batch by batch, named as ours.

    Raises :class:`~replay.errors.InputError` naming the file where it cannot be read or lacks a mapped column.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", path=str(path)) from error
    if not magic:
        raise InputError("is empty", path=str(path))
    try:
        yield from _parquet(path, mapping) if magic == b"PAR1" else _csv(path, mapping, tally, magic, strict=strict)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", path=str(path)) from error


def _csv(path: pathlib.Path, mapping: Mapping, tally: Tally, magic: bytes, *, strict: bool) -> Iterator[Batch]:
    malformed: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append(row.number)
        tally.read += 1
        tally.reject(MALFORMED, 1, str(path), row.number)
        return "skip"

    compression = "gzip" if magic[:2] == b"\x1f\x8b" else None
    with path.open("rb") as raw, pa.input_stream(raw, compression=compression) as source:
        header = _header(path, compression)
        wanted = _wanted(path, header, mapping)
        table = pyarrow.csv.open_csv(
            source,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted.values()},
                include_columns=list(dict.fromkeys(wanted.values())),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        before = 0
        for batch in table:
            ordinal = np.arange(before, before + batch.num_rows)
            if strict and malformed:
                raise InputError(f"the row {MALFORMED}", path=str(path), line=malformed[0])
            lines = _physical(ordinal + 2, malformed)
            before += batch.num_rows
            rows = _renamed(pa.table(batch), wanted)
            written = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()  # a blank line is no row
            yield Batch(rows.filter(written), lines[written.to_numpy()], raw.tell())


def _physical(lines: np.ndarray[Any, np.dtype[np.int64]], skipped: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The lines that rows stand on, counted without the skipped ones before them."""
    for number in skipped:  # ascending, and few
        lines = lines + (lines >= number)
    return lines


def _header(path: pathlib.Path, compression: str | None) -> list[str]:
    with pa.input_stream(str(path), compression=compression) as source:
        head = bytes(source.read(65536)).removeprefix(b"\xef\xbb\xbf")
    first = head.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    if "\0" in first:
        raise InputError("is no text: neither CSV nor Parquet", path=str(path))
    return [name.strip('"') for name in first.split(",")]


def _parquet(path: pathlib.Path, mapping: Mapping) -> Iterator[Batch]:
    with pq.ParquetFile(path) as file:
        wanted = _wanted(path, file.schema_arrow.names, mapping)
        before = 0
        total = max(file.metadata.num_rows, 1)
        size = path.stat().st_size
        for batch in file.iter_batches(PARQUET_ROWS, columns=list(dict.fromkeys(wanted.values()))):
            lines = np.arange(before, before + batch.num_rows)
            before += batch.num_rows
            yield Batch(_renamed(pa.table(batch), wanted), lines, size * before // total)


def _wanted(path: pathlib.Path, there: list[str], mapping: Mapping) -> dict[str, str]:
    missing = [name for name in mapping.columns.values() if name not in there]
    if missing:
        raise InputError(
            f"lacks column {', '.join(missing)} of the map {mapping.name}; it has {', '.join(there)[:500]}",
            path=str(path),
        )
    repeated = sorted({name for name in mapping.columns.values() if there.count(name) > 1})
    if repeated:
        raise InputError(f"has column {', '.join(repeated)} more than once", path=str(path))
    return mapping.columns


def _renamed(table: pa.Table, wanted: dict[str, str]) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.select(pl.col(theirs).alias(ours) for ours, theirs in wanted.items())


def check(batch: Batch, mapping: Mapping, path: str, tally: Tally, *, strict: bool) -> pl.DataFrame:
    """The usable rows: ``ts``, ``recorded_at`` (microseconds), ``date``, ``spot``, ``strike``, ``call`` and numbers.

    The others are counted by their first fault, or with ``strict`` raise :class:`~replay.errors.InputError`.
    """
    tally.read += len(batch.lines)
    rows = batch.rows.with_columns(line=pl.Series(batch.lines))
    if "recorded_at" not in rows.columns:
        rows = rows.with_columns(recorded_at=pl.col("ts"))
    for name in ("ts", "recorded_at"):
        rows = rows.with_columns(**_instant(rows, name, mapping))
    rows = rows.with_columns(
        date=pl.col("ts_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        .dt.convert_time_zone("America/New_York").dt.date(),
        expires=_date(rows),
        call=pl.when(_text("right").is_in(mapping.call)).then(True)
        .when(_text("right").is_in(mapping.put)).then(False),
        strike_number=pl.col("strike").cast(pl.Float64, strict=False),
        spot_number=pl.col("spot").cast(pl.Float64, strict=False),
        **{f"{name}_number": _number(name) for name in OPTIONAL if name in NUMBERS and name in rows.columns},
    )  # fmt: skip
    days = rows["date"].drop_nulls().unique()
    closed = [day for day in days if find_session(day) is None]
    rows = rows.with_columns(closed=pl.col("date").is_in(closed))
    rows = rows.with_columns(reason=_reason(rows.columns))
    bad = rows.filter(pl.col("reason").is_not_null())
    for reason, count, line in (
        bad.group_by("reason").agg(pl.len(), pl.col("line").min().alias("first")).sort("first", "reason").iter_rows()
    ):
        if reason == NOT_0DTE:
            tally.other_expirations.add(count, path, line)
            continue
        if strict:
            raise InputError(f"the row {reason}", path=path, line=line)
        tally.reject(reason, count, path, line)
    good = rows.filter(pl.col("reason").is_null())
    return good.select(
        pl.col("ts_us").alias("ts"),
        pl.col("recorded_at_us").alias("recorded_at"),
        "date",
        pl.col("spot_number").alias("spot"),
        pl.col("strike_number").alias("strike"),
        "call",
        *(
            (pl.col(f"{name}_number") if f"{name}_number" in rows.columns else pl.lit(None, pl.Float64)).alias(name)
            for name in NUMBERS
        ),
    )


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars()


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False)


def _date(rows: pl.DataFrame) -> pl.Expr:
    kind = rows.schema["expiration"]
    if kind == pl.Date:
        return pl.col("expiration")
    if isinstance(kind, pl.Datetime):
        return pl.col("expiration").dt.date()
    day = _text("expiration").str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}.*)?$")
    return day.str.to_date("%Y-%m-%d", strict=False)


def _instant(rows: pl.DataFrame, name: str, mapping: Mapping) -> dict[str, pl.Expr]:
    """Microseconds since the epoch, and whether the time could be read: read but null, no clock shows it.

    What is finer than a microsecond is cut from ``ts`` and rounds ``recorded_at`` up: nothing is known too early.
    """
    kind = rows.schema[name]
    if isinstance(kind, pl.Datetime):
        naive = pl.col(name)
        read = naive.is_not_null()
        ns = naive.dt.epoch("ns") if kind.time_zone is not None else _wall(naive, mapping.zone)
    elif kind.is_numeric() or mapping.unit is not None:
        factor = UNITS[mapping.unit or "us"]
        number = pl.col(name) if kind.is_numeric() else _text(name)
        real = number.cast(pl.Float64, strict=False)
        whole = number.cast(pl.Int64, strict=False)  # exact where there is no fraction, which a float's range is not
        part = (real - real.floor()) * factor
        finer = part.ceil() if name == "recorded_at" else part.floor()
        below = real.floor().cast(pl.Int64, strict=False)
        start = pl.when(real == real.floor()).then(pl.coalesce(whole, below)).otherwise(below)
        ns = start * factor + pl.when(real == real.floor()).then(0).otherwise(finer.cast(pl.Int64, strict=False))
        read = ns.is_not_null()
    else:
        text = _text(name).str.replace("T", " ", literal=True)
        bare = text.str.replace(_OFFSET, "").str.strip_chars()
        naive = pl.coalesce(bare.str.to_datetime(form, time_unit="ns", strict=False) for form in _FORMATS)
        read = naive.is_not_null()
        mark = text.str.slice(11).str.extract(_OFFSET)
        ns = pl.when(mark.is_null()).then(_wall(naive, mapping.zone)).otherwise(naive.dt.epoch("ns") - _offset_ns(mark))
    us = (ns + 999) // 1000 if name == "recorded_at" else ns // 1000
    return {f"{name}_us": us, f"{name}_read": read}


def _wall(naive: pl.Expr, zone: str) -> pl.Expr:
    return naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.epoch("ns")


def _offset_ns(mark: pl.Expr) -> pl.Expr:
    digits = mark.str.replace_all(r"[^\d]", "")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    sign = pl.when(mark.str.starts_with("-")).then(-1).otherwise(1)
    return sign * (hours * 3600 + minutes * 60) * 1_000_000_000


def _reason(there: list[str]) -> pl.Expr:
    """The first fault of a row, or null."""

    def above_zero(name: str) -> pl.Expr:
        number = pl.col(f"{name}_number")
        return (number.is_finite() & (number > 0)).fill_null(False)

    faults = [
        (~pl.col("ts_read"), "has a ts that cannot be read"),
        (~pl.col("recorded_at_read"), "has a recorded_at that cannot be read"),
        (pl.col("ts_us").is_null(), "has a ts that the wall clock does not show, or shows twice"),
        (
            pl.col("recorded_at_us").is_null(),
            "has a recorded_at that the wall clock does not show, or shows twice",
        ),
        (pl.col("recorded_at_us") < pl.col("ts_us"), "has a recorded_at before its ts"),
        (pl.col("closed"), "has a ts on a day without a session"),
        (pl.col("expires").is_null(), "has an expiration that is no date (YYYY-MM-DD)"),
        (pl.col("expires") != pl.col("date"), NOT_0DTE),
        (pl.col("call").is_null(), "has a right that is neither call nor put"),
        (~above_zero("strike"), "has a strike that is no number above 0"),
        (~above_zero("spot"), "has a spot that is no number above 0"),
    ]
    for name in NUMBERS:
        if name in there:
            number = pl.col(f"{name}_number")
            unread = pl.col(name).is_not_null() & number.is_null()
            faults.append((unread, f"has a {name} that is no number"))
            faults.append(((number < 0) | number.is_infinite(), f"has a {name} below 0 or infinite"))
    chain: Any = pl
    for condition, reason in faults:
        chain = chain.when(condition.fill_null(False)).then(pl.lit(reason))
    result: pl.Expr = chain.otherwise(None)
    return result
