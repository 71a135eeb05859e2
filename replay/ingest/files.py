"""Reading the rows of CSV, CSV.gz or Parquet in batches, as the file has them."""

from __future__ import annotations

import csv
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from replay.errors import InputError
from replay.ingest.mapping import NUMBERS, Mapping

BLOCK_BYTES: Final = 4 * 2**20
PARQUET_ROWS: Final = 100_000
MALFORMED: Final = "has another number of fields than the header"
UNCLOSED: Final = "has a quotation mark that is not closed on its line"
CUT_SHORT: Final = "is a gzip that is cut short or damaged; fetch it again"
_LINE_END: Final = re.compile(rb"\r+\n")
GZIP: Final = b"\x1f\x8b"

_OTHERS: Final = {
    b"%PDF": "a PDF",
    b"PK": "a zip or Excel file",
    b"\xff\xfe": "text in UTF-16, not UTF-8",
    b"<": "a page of HTML or XML",
    b"{": "JSON",
    b"[{": "JSON",
}


@dataclass(slots=True)
class Count:
    """How many rows, and where the first of them stands."""

    rows: int = 0
    path: str = ""
    line: int = 0
    example: str = ""

    def add(self, rows: int, path: str, line: int, example: str = "") -> None:
        """Count further rows, the first of which stands there; ``example`` is what it holds, with a hint."""
        if self.rows == 0:
            self.path, self.line, self.example = path, line, example
        self.rows += rows


@dataclass(slots=True)
class Tally:
    """What became of the rows read: how many, and those rejected or left out by reason. A row of both rights is two."""

    read: int = 0
    rejected: dict[str, Count] = field(default_factory=dict)
    other_expirations: Count = field(default_factory=Count)

    def reject(self, reason: str, rows: int, path: str, line: int, example: str = "") -> None:
        """Count rejected rows."""
        self.rejected.setdefault(reason, Count()).add(rows, path, line, example)


@dataclass(slots=True)
class Batch:
    """Rows as the file has them, with the line (CSV, from 1) or row (Parquet, from 0) of each."""

    rows: pl.DataFrame
    lines: np.ndarray[Any, np.dtype[np.int64]]
    bytes_read: int


class _Lines:
    """A CSV's bytes in blocks of whole lines, for a parser for which a quotation mark reaches over line ends: a line on
    which one is not closed is given another number of fields than the header, which the parser tells of.

    ``lines`` have been given, and ``unclosed`` are the numbers, from 1, of those with such a mark.
    """

    def __init__(self, source: pa.NativeFile, columns: int, path: pathlib.Path) -> None:
        self._source, self._path = source, str(path)
        self._instead = b"," * columns
        self.lines = 0
        self.unclosed: set[int] = set()

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The blocks, each with the number of its first line."""
        rest = b""
        while True:
            data = bytes(self._source.read(BLOCK_BYTES))
            end = len(rest) + len(data) if not data else (rest + data).rfind(b"\n") + 1
            block, left = (rest + data)[:end], (rest + data)[end:]
            if len(left) > BLOCK_BYTES:
                raise InputError(f"has a line longer than {BLOCK_BYTES:,} bytes", path=self._path, line=self.lines + 1)
            first = self.lines + 1
            if block:
                yield first, self._mended(block)
            if not data:
                return
            rest = left

    def _mended(self, data: bytes) -> bytes:
        if b"\r" in data:  # the parser would end a row at each
            data = _LINE_END.sub(b"\n", data).replace(b"\r", b" ")
        if not data.isascii():
            data = data.decode("utf-8", "replace").encode()
        if b'"' in data:
            codes = np.frombuffer(data, np.uint8)
            line_of_mark = np.searchsorted(np.flatnonzero(codes == ord("\n")), np.flatnonzero(codes == ord('"')))
            odd = np.flatnonzero(np.bincount(line_of_mark) % 2).tolist()
            if odd:
                lines = data.split(b"\n")
                for at in odd:
                    lines[at] = self._instead
                data = b"\n".join(lines)
                self.unclosed |= {self.lines + at + 1 for at in odd}
        self.lines += data.count(b"\n") + (len(data) > 0 and not data.endswith(b"\n"))
        return data


def read_batches(path: pathlib.Path, mapping: Mapping, tally: Tally, *, strict: bool = False) -> Iterator[Batch]:
    """The mapped columns of a file, batch by batch, named as ours.

    Raises :class:`~replay.errors.InputError` naming the file where it cannot be read or lacks a mapped column.
    """
    magic = magic_of(path)
    try:
        yield from _parquet(path, mapping) if magic == b"PAR1" else _csv(path, mapping, tally, magic, strict=strict)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unread(path, magic, error) from error


def _unread(path: pathlib.Path, magic: bytes, error: Exception) -> InputError:
    """That a file could not be read."""
    zipped = magic[:2] == GZIP and isinstance(error, OSError)
    return InputError(CUT_SHORT if zipped else f"cannot be read: {str(error).splitlines()[0]}", path=str(path))


def _csv(path: pathlib.Path, mapping: Mapping, tally: Tally, magic: bytes, *, strict: bool) -> Iterator[Batch]:
    compression = "gzip" if magic[:2] == GZIP else None
    header = _header(path, compression)
    wanted = _wanted(path, header, mapping)
    with path.open("rb") as raw, pa.input_stream(raw, compression=compression) as source:
        text = _Lines(source, len(header), path)
        for first, block in text.blocks():
            if first == 1:
                _, _, block = block.partition(b"\n")
                first = 2
            table, malformed = _parsed(block, header, wanted, first) if block else (None, [])
            for line in malformed:
                fault = UNCLOSED if line in text.unclosed else MALFORMED
                if strict:
                    raise InputError(f"the row {fault}", path=str(path), line=line)
                tally.read += 1
                tally.reject(fault, 1, str(path), line)
            if table is None:
                continue
            if first + table.num_rows + len(malformed) <= text.lines:
                raise InputError(
                    "has a quotation mark inside of a value, behind which line ends are lost", path=str(path)
                )
            lines = _physical(np.arange(first, first + table.num_rows), malformed)
            rows = _frame(table)
            written = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()  # a blank line is no row
            yield Batch(rows.filter(written), lines[written.to_numpy()], raw.tell())


def _parsed(block: bytes, header: list[str], wanted: list[str], first: int) -> tuple[pa.Table, list[int]]:
    """The rows of a block of lines, of which the first has this number, and the numbers of those that are malformed.

    A block is parsed whole and at once: a reader of a stream reads ahead in another thread, which a refusal in between
    would leave behind.
    """
    malformed: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append(first + row.number - 1)
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(block),
        read_options=pyarrow.csv.ReadOptions(column_names=header, block_size=len(block) + 1, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=wanted,
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return table, malformed


def _physical(lines: np.ndarray[Any, np.dtype[np.int64]], skipped: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The lines that rows stand on, counted without the skipped ones before them."""
    for number in skipped:  # ascending, and few
        lines = lines + (lines >= number)
    return lines


def header_of(path: pathlib.Path) -> list[str]:
    """The names of a CSV, CSV.gz or Parquet file's columns; raises as :func:`read_batches` does."""
    magic = magic_of(path)
    try:
        if magic == b"PAR1":
            return list(pq.read_schema(path).names)
        return [name.strip() for name in _header(path, "gzip" if magic[:2] == GZIP else None)]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unread(path, magic, error) from error


def magic_of(path: pathlib.Path, read: str = "CSV, CSV.gz and Parquet are read") -> bytes:
    """A file's first four bytes.

    Raises :class:`~replay.errors.InputError` if there are none, or they are of what is not among that ``read``.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError("is a pipe, which cannot be read twice; give a file", path=str(path))
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", path=str(path)) from error
    if not magic:
        raise InputError("is empty", path=str(path))
    for start, what in _OTHERS.items():
        if magic.startswith(start) and what not in read:
            raise InputError(f"is {what}; {read}", path=str(path))
    return magic


def _header(path: pathlib.Path, compression: str | None) -> list[str]:
    with pa.input_stream(str(path), compression=compression) as source:
        head = bytes(source.read(65536)).removeprefix(b"\xef\xbb\xbf")
    first = head.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    if "\0" in first:
        raise InputError("is no text: neither CSV nor Parquet", path=str(path))
    if "\r" in first:
        raise InputError("has lines that end in a carriage return alone; end them in a line feed", path=str(path))
    if first.count('"') % 2:
        raise InputError(f"the header {UNCLOSED}", path=str(path), line=1)
    if ";" in first and "," not in first:
        raise InputError("is separated by semicolons; commas are read", path=str(path))
    return next(csv.reader([first]), [""])


def _parquet(path: pathlib.Path, mapping: Mapping) -> Iterator[Batch]:
    with pq.ParquetFile(path) as file:
        wanted = _wanted(path, file.schema_arrow.names, mapping)
        for name in wanted:
            kind = file.schema_arrow.field(name).type
            if pa.types.is_decimal256(kind):
                raise InputError(
                    f"column {name.strip()} holds {kind}, with more digits than can be read", path=str(path)
                )
        numbers = {theirs for ours, theirs in mapping.columns.items() if ours in NUMBERS}
        numbers |= {*mapping.call_columns.values(), *mapping.put_columns.values()}
        before = 0
        total = max(file.metadata.num_rows, 1)
        size = path.stat().st_size
        for batch in file.iter_batches(PARQUET_ROWS, columns=wanted):
            lines = np.arange(before, before + batch.num_rows)
            before += batch.num_rows
            frame = _as_text(_frame(pa.table(batch)), path)
            for name, kind in frame.schema.items():
                if kind.is_nested() or kind in (pl.Boolean, pl.Duration):
                    raise InputError(f"column {name} holds {kind}, not text, numbers or times", path=str(path))
                if kind.is_temporal() and name in numbers:
                    raise InputError(f"column {name} holds {kind}, not numbers", path=str(path))
            yield Batch(frame, lines, size * before // total)


def _as_text(frame: pl.DataFrame, path: pathlib.Path) -> pl.DataFrame:
    """The frame with bytes as the text they are."""
    for name in frame.select(pl.col(pl.Binary)).columns:
        try:
            frame = frame.with_columns(pl.col(name).cast(pl.String))
        except pl.exceptions.PolarsError:
            raise InputError(f"column {name} holds bytes that are no text in UTF-8", path=str(path)) from None
    return frame


def _wanted(path: pathlib.Path, there: list[str], mapping: Mapping) -> list[str]:
    """The file's own names of the mapped columns, which blanks may surround there."""
    own: dict[str, str] = {}
    repeated = set()
    for name in there:
        repeated |= {name.strip()} & set(own)
        own.setdefault(name.strip(), name)
    missing = [name for name in mapping.theirs if name not in own and name not in mapping.absent]
    if missing:
        raise InputError(
            f"lacks column {', '.join(missing)} of the map {mapping.name}; it has {', '.join(there)[:500]}",
            path=str(path),
        )
    if repeated & set(mapping.theirs):
        raise InputError(
            f"has column {', '.join(sorted(repeated & set(mapping.theirs)))} more than once", path=str(path)
        )
    return [own[name] for name in mapping.theirs if name in own]


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String)).rename(str.strip)
