"""Lean's minute zips: quote and trade bars and open interest of options, and the underlying's bars, a day each.

A zip holds a CSV without a header for each contract,
``{date}_{symbol}_minute_{quote|trade|openinterest}_{style}_{call|put}_{strike x 10000}_{expiry}.csv``, or the
underlying's, ``{date}_{symbol}_minute_{quote|trade}.csv``. Times are milliseconds since New York midnight at the start
of a bar, so a bar is known a minute later; prices are in ten-thousandths of a dollar.
"""

from __future__ import annotations

import datetime as dt
import io
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

import polars as pl

from replay.errors import InputError
from replay.ingest.files import Tally
from replay.ingest.sampling import EVENT_TYPES, EVENTS, INTEREST, QUOTE, SPOT, TRADED
from replay.ingest.times import divided
from replay.sessions import MINUTE, NEW_YORK, find_session, to_us

_MEMBER: Final = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[a-z0-9.]+)_minute_(?P<kind>quote|trade|openinterest)"
    r"(?:_[a-z]+_(?P<right>call|put)_(?P<strike>\d+)_(?P<expiry>\d{8}))?\.csv"
)
_COLUMNS: Final = {"quote": 11, "trade": 6, "openinterest": 2}
_BID_CLOSE, _ASK_CLOSE, _TRADE_CLOSE, _VOLUME = 4, 9, 4, 5
_LAST: Final = {"quote": "ask size", "trade": "volume", "openinterest": "open interest"}
_DAY_MS: Final = 86_399_999
_SCALE: Final = 10_000.0


def events(path: pathlib.Path, symbol: str, tally: Tally) -> Iterator[pl.DataFrame]:
    """The events of a zip's contracts that expire on its day, and of the underlying; the others' bars are counted.

    Raises :class:`~replay.errors.InputError` naming the zip, the member and the line that is not as it is to be.
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            members = [(name, _told(name, symbol, path)) for name in sorted(zipped.namelist())]
            if not members:
                raise InputError("is a zip without files", path=str(path))
            trading = {found["date"] for _, found in members if found["kind"] == "trade" and found["right"]}
            yield from (_none_traded(_midnight(date, str(path))) for date in sorted(trading))
            for name, found in members:
                data, where = zipped.read(name), f"{path}, {name}"
                if found["expiry"] not in (None, found["date"]):
                    rows = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
                    tally.read += rows
                    tally.other_expirations.add(rows, where, 1)
                    continue
                yield _member(data, found, where, tally)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: a password is asked for
        raise InputError(f"is no zip that can be read: {error}", path=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=str(path)) from error


def _told(name: str, symbol: str, path: pathlib.Path) -> re.Match[str]:
    """What a member's name says."""
    found = _MEMBER.fullmatch(name)
    if found is None:
        raise InputError(f"holds {name}, which is no minute file of Lean's", path=str(path))
    if found["symbol"] != symbol.lower():
        raise InputError(f"holds {name}, which is of {found['symbol'].upper()}, not {symbol}", path=str(path))
    return found


def _midnight(date: str, where: str) -> dt.datetime:
    """The start of a session's day, New York."""
    try:
        day = dt.datetime.strptime(date, "%Y%m%d").replace(tzinfo=NEW_YORK)
    except ValueError:
        raise InputError(f"{date} is no date", path=where) from None
    if find_session(day.date()) is None:
        raise InputError(f"is of {day.date()}, a day without a session", path=where)
    return day


def _none_traded(day: dt.datetime) -> pl.DataFrame:
    """The event that says that a day's trades are told, so that before its first one a contract has traded none."""
    values = (day.date(), to_us(day), to_us(day), TRADED, 0.0, False, 0.0, None)
    return pl.DataFrame([values], schema=dict(zip(EVENTS, EVENT_TYPES, strict=True)), orient="row")


def _bars(data: bytes, kind: str, where: str) -> pl.DataFrame:
    """A member's lines as numbers ``c0``, ``c1``, …; null where a field is empty."""
    width = _COLUMNS[kind]
    try:
        bars = pl.read_csv(io.BytesIO(data), has_header=False, infer_schema=False)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys((f"c{i}" for i in range(width)), pl.Float64))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"cannot be read as CSV: {str(error).splitlines()[0]}", path=where) from error
    if bars.width != width or data.count(b",") != (width - 1) * len(bars):
        fields = [line.count(b",") + 1 for line in data.splitlines()]
        at = next((i for i, number in enumerate(fields) if number != width), 0)
        raise InputError(f"has {fields[at]} fields, not the {width} of a {kind} file", path=where, line=at + 1)
    names = {name: f"c{i}" for i, name in enumerate(bars.columns)}
    read = bars.rename(names).with_columns(pl.all().cast(pl.Float64, strict=False).name.suffix("n"))
    number = [pl.col(f"{name}n") for name in names.values()]
    unread = pl.any_horizontal(pl.col(name).is_not_null() & pl.col(f"{name}n").is_null() for name in names.values())
    needed = [number[0]] if kind == "quote" else [number[0], number[-1]]
    faults = {
        f"cannot be read as {width} numbers": unread,
        "has a number below 0 or not finite": pl.any_horizontal((each < 0) | ~each.is_finite() for each in number),
        f"lacks its time or its {_LAST[kind]}": pl.any_horizontal(each.is_null() for each in needed),
        "starts with no milliseconds of a day": number[0] > _DAY_MS,
    }
    first = read.select(fault.fill_null(False).arg_true().first().alias(said) for said, fault in faults.items())
    for said, row in first.row(0, named=True).items():
        if row is not None:
            raise InputError(said, path=where, line=row + 1)
    return read.select(each.name.map(lambda name: name.removesuffix("n")) for each in number)


def _member(data: bytes, found: re.Match[str], where: str, tally: Tally) -> pl.DataFrame:
    """One contract's bars, or the underlying's, as events."""
    kind = found["kind"]
    day = _midnight(found["date"], where)
    bars = _bars(data, kind, where)
    tally.read += len(bars)
    length = 0 if kind == "openinterest" else MINUTE
    known = (pl.col("c0").cast(pl.Int64) * 1000) + to_us(day) + length
    bid, ask = (divided(pl.col(f"c{i}"), _SCALE) for i in (_BID_CLOSE, _ASK_CLOSE))
    nothing = pl.lit(None, pl.Float64)
    if found["right"] is None:
        usable = (bid > 0) & (ask >= bid)
        mid = divided(pl.col(f"c{_BID_CLOSE}") + pl.col(f"c{_ASK_CLOSE}"), 2 * _SCALE)
        price = pl.when(usable).then(mid) if kind == "quote" else divided(pl.col(f"c{_TRADE_CLOSE}"), _SCALE)
        told, strike, call = (SPOT, price, pl.lit(float(kind == "quote"))), 0.0, False
    else:
        strike, call = int(found["strike"]) / _SCALE, found["right"] == "call"
        told = {
            "quote": (QUOTE, bid, ask),
            "trade": (TRADED, pl.col(f"c{_VOLUME}"), nothing),
            "openinterest": (INTEREST, pl.col("c1"), nothing),
        }[kind]
    made = bars.select(
        date=pl.lit(day.date()), ts=known, known=known, kind=pl.lit(told[0], pl.Int8), strike=pl.lit(strike),
        call=pl.lit(call), first=told[1], second=told[2],
    ).select(EVENTS)  # fmt: skip
    return made.filter(pl.col("first") > 0) if told[0] == SPOT else made
