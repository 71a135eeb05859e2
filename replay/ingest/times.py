"""Times and dates of a file's rows, in whatever form, as microseconds since the epoch and as dates."""

from __future__ import annotations

import polars as pl

from replay.ingest.mapping import UNITS, Mapping
from replay.sessions import NEW_YORK

_OFFSET = r"(Z|z|[+-]\d{2}(?::?\d{2})?)$"
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


def text_of(name: str) -> pl.Expr:
    """A column as text without blanks around it."""
    return pl.col(name).cast(pl.String).str.strip_chars()


def divided(number: pl.Expr, by: float) -> pl.Expr:
    """A number over another, to the nearest double: polars itself multiplies by the inverse, which is not that."""

    def over(values: pl.Series) -> pl.Series:
        return pl.Series(values.cast(pl.Float64).to_numpy() / by).fill_nan(None)

    return number.map_batches(over, return_dtype=pl.Float64)


def new_york_day(name: str) -> pl.Expr:
    """The date in New York of a column of microseconds since the epoch."""
    moment = pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return moment.dt.convert_time_zone(str(NEW_YORK)).dt.date()


def date_of(rows: pl.DataFrame, name: str) -> pl.Expr:
    """A date, or the date of a time: ``YYYY-MM-DD`` or ``YYYYMMDD`` where it is text; null where it is none."""
    kind = rows.schema[name]
    if kind == pl.Date:
        return pl.col(name)
    if isinstance(kind, pl.Datetime):
        return pl.col(name).dt.date()
    day = text_of(name).str.extract(r"^(\d{4}-\d{2}-\d{2}|\d{8})(?:[T ]\d{2}:\d{2}.*)?$").str.replace_all("-", "")
    return day.str.to_date("%Y%m%d", strict=False)


def instant(rows: pl.DataFrame, name: str, mapping: Mapping) -> dict[str, pl.Expr]:
    """Microseconds since the epoch, ``_read`` whether the time could be read (read but null, no clock shows it), and
    ``_assumed`` whether it is taken for New York's where it does not say so.

    What is finer than a microsecond is cut from ``ts`` and rounds ``recorded_at`` up: nothing is known too early.
    """
    kind = rows.schema[name]
    bare = pl.lit(True)
    if "date" in rows.columns and (name == "ts" or "recorded_at" not in mapping.columns):
        naive = _of_day(rows, name)
        read = naive.is_not_null()
        ns = _wall(naive, mapping.zone)
    elif isinstance(kind, pl.Datetime):
        naive = pl.col(name)
        read = naive.is_not_null()
        bare = pl.lit(kind.time_zone is None)
        ns = naive.dt.epoch("ns") if kind.time_zone is not None else _wall(naive, mapping.zone)
    elif kind.is_numeric() or mapping.unit is not None:
        factor = UNITS[mapping.unit or "us"]
        number = pl.col(name) if kind.is_numeric() else text_of(name)
        real = number.cast(pl.Float64, strict=False)
        whole = number.cast(pl.Int64, strict=False)  # exact where there is no fraction, which a float's range is not
        part = (real - real.floor()) * factor
        finer = part.ceil() if name == "recorded_at" else part.floor()
        below = real.floor().cast(pl.Int64, strict=False)
        start = pl.when(real == real.floor()).then(pl.coalesce(whole, below)).otherwise(below)
        ns = start * factor + pl.when(real == real.floor()).then(0).otherwise(finer.cast(pl.Int64, strict=False))
        read = ns.is_not_null()
        bare = pl.lit(False)
    else:
        text = text_of(name).str.replace("T", " ", literal=True)
        text = pl.when(text.str.contains(r"^\d{4}-")).then(text)  # strptime takes 24-07-26 for the year 24
        bare = text.str.replace(_OFFSET, "").str.strip_chars()
        naive = pl.coalesce(bare.str.to_datetime(form, time_unit="ns", strict=False) for form in _FORMATS)
        read = naive.is_not_null()
        mark = text.str.slice(11).str.extract(_OFFSET)
        bare = mark.is_null()
        ns = pl.when(bare).then(_wall(naive, mapping.zone)).otherwise(naive.dt.epoch("ns") - _offset_ns(mark))
    us = (ns + 999) // 1000 if name == "recorded_at" else ns // 1000
    return {f"{name}_us": us, f"{name}_read": read, f"{name}_assumed": bare & (mapping.zone == str(NEW_YORK))}


def _of_day(rows: pl.DataFrame, name: str) -> pl.Expr:
    """The wall clock of a time of the row's own ``date``: milliseconds since midnight, or text."""
    day = date_of(rows, "date")
    since = pl.col(name).cast(pl.String).str.strip_chars()
    elapsed = pl.duration(milliseconds=since.cast(pl.Int64, strict=False))
    written = day.dt.strftime("%Y-%m-%d") + " " + since
    clock = pl.coalesce(written.str.to_datetime(form, time_unit="ns", strict=False) for form in _FORMATS)
    return pl.when(since.str.contains(r"^\d+$")).then(day.cast(pl.Datetime("ns")) + elapsed).otherwise(clock)


def _wall(naive: pl.Expr, zone: str) -> pl.Expr:
    return naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.epoch("ns")


def _offset_ns(mark: pl.Expr) -> pl.Expr:
    digits = mark.str.replace_all(r"[^\d]", "")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    sign = pl.when(mark.str.starts_with("-")).then(-1).otherwise(1)
    return sign * (hours * 3600 + minutes * 60) * 1_000_000_000
