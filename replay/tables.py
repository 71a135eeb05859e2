"""Tables as text, CSV, JSON or Parquet. Nothing is cut without saying so."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import itertools
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

SHOWN_ROWS: Final = 1000
_LIST_WIDTH: Final = 32


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Columns side by side, two blanks apart; ``right`` says which are right-aligned."""
    widths = [max([len(name), *(len(row[i]) for row in rows)]) for i, name in enumerate(header)]
    lines = []
    for row in (header, *rows):
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def frame_text(frame: pl.DataFrame, *, width: int, more: bool = False) -> str:
    """A frame as text at most ``width`` wide: columns that do not fit are named below it, as are rows left out."""
    header, cells = list(frame.columns), [[_cell(value) for value in row] for row in frame.iter_rows()]
    right = [kind.is_numeric() for kind in frame.dtypes]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(header)]
    fits, used = 0, -2
    while fits < len(header) and (fits == 0 or used + 2 + widths[fits] <= width):
        used += 2 + widths[fits]
        fits += 1
    text = text_table(header[:fits], [row[:fits] for row in cells], right[:fits])
    if fits < len(header):
        text += f"{len(header) - fits} more columns do not fit: {', '.join(header[fits:])} (--format csv has all)\n"
    if more:
        text += f"the first {len(cells)} rows; there are more (--format csv has all)\n"
    return text


def frame_bytes(frame: pl.DataFrame, form: str, *, width: int = 80) -> bytes:
    """A frame as ``table``, ``csv``, ``json`` (one array of objects), ``jsonl`` (an object a line) or ``parquet``."""
    buffer = io.BytesIO()
    write_batches([frame.to_arrow()], form, buffer, width=width)
    return buffer.getvalue()


def write_batches(
    batches: Iterable[pa.Table] | pa.RecordBatchReader, form: str, file: IO[bytes], *, width: int
) -> None:
    """Tables or batches of one schema, one after the other, in one of the formats of :func:`frame_bytes`."""
    if form == "table":
        _write_text(batches, file, width)
    elif form == "parquet":
        _write_parquet(batches, file)
    else:
        _write_rows(batches, form, file)


def _frames(batches: Iterable[Any]) -> Iterable[pl.DataFrame]:
    import polars as pl

    for batch in batches:
        frame = pl.from_arrow(_telling(batch))
        assert isinstance(frame, pl.DataFrame)
        yield frame


def _telling(batch: Any) -> pa.Table:
    """A batch whose columns have names of their own, with intervals and bytes, which few formats know, as text."""
    import pyarrow as pa

    names: list[str] = []
    arrays = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        number, own = 1, name
        while own in names:
            number, own = number + 1, f"{name}_{number}"
        names.append(own)
        if pa.types.is_interval(column.type):
            column = pa.array([None if each is None else interval(each) for each in column.to_pylist()], pa.string())
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            column = pa.array([None if each is None else each.hex() for each in column.to_pylist()], pa.string())
        arrays.append(column)
    return pa.table(arrays, names=names)


def interval(value: Any) -> str:
    """An interval of months, days and nanoseconds, such as ``1 day 00:15:47.5``."""
    seconds, nanoseconds = divmod(abs(value.nanoseconds), 1_000_000_000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if nanoseconds:
        clock += f".{nanoseconds:09d}".rstrip("0")
    parts = [
        f"{count} {noun}{'' if abs(count) == 1 else 's'}"
        for count, noun in ((value.months, "month"), (value.days, "day"))
        if count
    ]
    return " ".join([*parts, f"-{clock}" if value.nanoseconds < 0 else clock])


def _json_default(value: Any) -> Any:
    """What JSON has no form for: decimals as numbers, the rest as text."""
    if isinstance(value, decimal.Decimal):
        whole = value == value.to_integral_value() and abs(value) < 2**63
        return int(value) if whole else float(value)
    return str(value)


def _write_text(batches: Iterable[Any], file: IO[bytes], width: int) -> None:
    import polars as pl

    kept: list[pl.DataFrame] = []
    for frame in _frames(_with_empty(batches)):
        kept.append(frame)
        if sum(map(len, kept)) > SHOWN_ROWS:
            break
    shown = pl.concat(kept)
    more = len(shown) > SHOWN_ROWS
    file.write(frame_text(shown.head(SHOWN_ROWS), width=width, more=more).encode())


def _write_parquet(batches: Any, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    tables = map(_telling, _with_empty(batches))
    first = next(tables)
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        for table in itertools.chain([first], tables):
            writer.write(table)


def _with_empty(batches: Any) -> Iterable[Any]:
    """The batches; of a reader without any, one empty table, so that its columns are seen."""
    none = True
    for batch in batches:
        none = False
        yield batch
    if none and hasattr(batches, "schema"):
        yield batches.schema.empty_table()


def _write_rows(batches: Any, form: str, file: IO[bytes]) -> None:
    import orjson

    before = opened = False
    for frame in _frames(_with_empty(batches)):
        if form == "csv":
            flat = _flat(frame).write_csv(include_header=not before, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
            file.write(flat.encode())
            before = True
            continue
        if form == "jsonl":
            for row in frame.iter_rows(named=True):
                file.write(
                    orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE, default=_json_default)
                )
            continue
        if not opened:  # only now, when there is something to write
            file.write(b"[")
            opened = True
        for row in frame.iter_rows(named=True):
            file.write(b",\n" if before else b"\n")
            file.write(orjson.dumps(row, option=orjson.OPT_UTC_Z, default=_json_default))
            before = True
    if form == "json":
        file.write(b"\n]\n")


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with what CSV has not as text: lists as JSON, lengths of time, local times with their offset."""
    import orjson
    import polars as pl

    def text(value: Any) -> str:
        plain = value.to_list() if isinstance(value, pl.Series) else value
        return orjson.dumps(plain, option=orjson.OPT_UTC_Z, default=_json_default).decode()

    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    local = [
        name
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime) and kind.time_zone not in (None, "UTC")
    ]
    lengths = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Duration)]
    return frame.with_columns(
        *(
            pl.Series(name, [None if each is None else str(each) for each in frame[name]], pl.String)
            for name in lengths
        ),
        *(pl.col(name).map_elements(text, return_dtype=pl.String) for name in nested),
        *(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z") for name in local),
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.4e}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, str):
        return value.replace("\n", " ")
    if isinstance(value, list):
        text = f"[{', '.join(_cell(each) for each in value[:4])}{', …' if len(value) > 4 else ''}]"
        return text if len(text) <= _LIST_WIDTH else f"[{len(value)} values]"
    return str(value)
