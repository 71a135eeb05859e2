"""Times and dates of a file's rows, in whatever form, as microseconds since the epoch and as dates."""

from __future__ import annotations

import polars as pl

from replay.ingest.mapping import UNITS, Mapping
from replay.sessions import NEW_YORK

_OFFSET = r"(Z|z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)$"
_CENTURY = r"^(?:19|20|21)\d{2}"
_LEAP_SECOND = r"\d{2}:60"
_SPAN_NS = (-(2**61), 2**62 + 2**61)
"""The years from 1897 to 2189: what lies outside is no time of a quote, and may be none that can be counted with."""
_DAY_NS = 86_400 * 10**9
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
        return possible(rows, name)
    if isinstance(kind, pl.Datetime):
        return possible(rows, name).dt.date()
    day = text_of(name).str.extract(r"^(\d{4}-\d{2}-\d{2}|\d{8})(?:[T ]\d{2}:\d{2}.*)?$").str.replace_all("-", "")
    return pl.when(day.str.contains(_CENTURY)).then(day).str.to_date("%Y%m%d", strict=False)


def instant(rows: pl.DataFrame, name: str, mapping: Mapping) -> dict[str, pl.Expr]:
    """Microseconds since the epoch, ``_read`` whether the time could be read (read but null, no clock shows it), and
    ``_assumed`` whether it is taken for New York's where it does not say so.

    What is finer than a microsecond is cut from ``ts`` and rounds ``recorded_at`` up: nothing is known too early.
    """
    kind = rows.schema[name]
    assumed = pl.lit(True)
    if "date" in rows.columns and (name == "ts" or "recorded_at" not in mapping.columns):
        naive = _of_day(rows, name)
        read = naive.is_not_null()
        ns = _wall(naive, mapping.zone)
    elif isinstance(kind, pl.Datetime):
        naive = possible(rows, name)
        read = naive.is_not_null()
        assumed = pl.lit(kind.time_zone is None)
        ns = naive.dt.epoch("ns") if kind.time_zone is not None else _wall(naive, mapping.zone)
    elif kind.is_numeric() or mapping.unit is not None:
        factor = UNITS[mapping.unit or "us"]
        number = pl.col(name) if kind.is_numeric() else text_of(name)
        real = _within(number.cast(pl.Float64, strict=False), factor)
        whole = number.cast(pl.Int64, strict=False)  # exact where there is no fraction, which a float's range is not
        part = (real - real.floor()) * factor
        finer = part.ceil() if name == "recorded_at" else part.floor()
        below = real.floor().cast(pl.Int64, strict=False)
        start = pl.when(real == real.floor()).then(pl.coalesce(whole, below)).otherwise(below)
        ns = start * factor + pl.when(real == real.floor()).then(0).otherwise(finer.cast(pl.Int64, strict=False))
        read = ns.is_not_null()
        assumed = pl.lit(False)
    else:
        text = text_of(name).str.replace("T", " ", literal=True)
        looks = text.str.contains(_CENTURY + "-") & ~text.str.contains(_LEAP_SECOND)
        text = pl.when(looks).then(text)  # strptime takes 24-07-26 for the year 24
        bare = text.str.replace(_OFFSET, "").str.strip_chars()
        naive = pl.coalesce(bare.str.to_datetime(form, time_unit="ns", strict=False) for form in _FORMATS)
        read = naive.is_not_null()
        mark = text.str.slice(11).str.extract(_OFFSET)
        assumed = mark.is_null()
        ns = pl.when(assumed).then(_wall(naive, mapping.zone)).otherwise(naive.dt.epoch("ns") - _offset_ns(mark))
    us = (ns + 999) // 1000 if name == "recorded_at" else ns // 1000
    return {f"{name}_us": us, f"{name}_read": read, f"{name}_assumed": assumed & (mapping.zone == str(NEW_YORK))}


def possible(rows: pl.DataFrame, name: str) -> pl.Expr:
    """A column; where it holds dates or times, null where one lies outside of 1897 to 2189."""
    kind = rows.schema[name]
    if not isinstance(kind, pl.Datetime | pl.Date):
        return pl.col(name)
    return _within(pl.col(name), UNITS[kind.time_unit] if isinstance(kind, pl.Datetime) else _DAY_NS)


def _within(value: pl.Expr, unit_ns: int) -> pl.Expr:
    """A time, null where it lies outside of :data:`_SPAN_NS`; counted since the epoch in a unit of so many of them."""
    first, last = (each // unit_ns for each in _SPAN_NS)
    return pl.when(value.to_physical().is_between(first, last)).then(value)


def _of_day(rows: pl.DataFrame, name: str) -> pl.Expr:
    """The wall clock of a time of the row's own ``date``: milliseconds since midnight, or text."""
    day = date_of(rows, "date")
    since = pl.col(name).cast(pl.String).str.strip_chars()
    milliseconds = since.cast(pl.Int64, strict=False)
    elapsed = pl.duration(milliseconds=pl.when(milliseconds.is_between(0, _DAY_NS // 10**6)).then(milliseconds))
    written = day.dt.strftime("%Y-%m-%d") + " " + pl.when(~since.str.contains(_LEAP_SECOND)).then(since)
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
