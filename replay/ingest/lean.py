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
from replay.ingest.rows import Tally
from replay.ingest.sampling import EVENTS, INTEREST, QUOTE, SPOT, TRADED
from replay.ingest.times import divided
from replay.sessions import MINUTE, NEW_YORK, to_us

_MEMBER: Final = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[a-z0-9.]+)_minute_(?P<kind>quote|trade|openinterest)"
    r"(?:_[a-z]+_(?P<right>call|put)_(?P<strike>\d+)_(?P<expiry>\d{8}))?\.csv"
)
_COLUMNS: Final = {"quote": 11, "trade": 6, "openinterest": 2}
_BID_CLOSE, _ASK_CLOSE, _TRADE_CLOSE, _VOLUME = 4, 9, 4, 5
_SCALE: Final = 10_000.0


def events(path: pathlib.Path, symbol: str, tally: Tally) -> Iterator[pl.DataFrame]:
    """The events of a zip's contracts that expire on its day, and of the underlying; the others' bars are counted.

    Raises :class:`~replay.errors.InputError` naming the zip, the member and the line that is not as it is to be.
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            names = zipped.namelist()
            if not names:
                raise InputError("is a zip without files", path=str(path))
            for name in sorted(names):
                found = _MEMBER.fullmatch(name)
                if found is None:
                    raise InputError(f"holds {name}, which is no minute file of Lean's", path=str(path))
                if found["symbol"] != symbol.lower():
                    raise InputError(
                        f"holds {name}, which is of {found['symbol'].upper()}, not {symbol}", path=str(path)
                    )
                data = zipped.read(name)
                if found["expiry"] not in (None, found["date"]):
                    rows = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
                    tally.read += rows
                    tally.other_expirations.add(rows, f"{path}, {name}", 1)
                    continue
                yield _member(data, found, f"{path}, {name}", tally)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"is no zip that can be read: {error}", path=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=str(path)) from error


def _member(data: bytes, found: re.Match[str], where: str, tally: Tally) -> pl.DataFrame:
    """One contract's bars, or the underlying's, as events."""
    kind, width = found["kind"], _COLUMNS[found["kind"]]
    try:
        bars = pl.read_csv(io.BytesIO(data), has_header=False, infer_schema=False)
        if bars.width != width:
            raise InputError(f"has {bars.width} fields a line, not the {width} of a {kind} file", path=where)
        bars = bars.rename({name: f"c{i}" for i, name in enumerate(bars.columns)}).cast(pl.Float64)
    except pl.exceptions.NoDataError:
        bars = pl.DataFrame(schema=dict.fromkeys((f"c{i}" for i in range(width)), pl.Float64))
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot be read as {width} numbers a line: {reason}", path=where) from error
    tally.read += len(bars)
    wrong = bars.with_row_index("line", 1).filter(~pl.col("c0").is_between(0, 86_399_999) | pl.col("c0").is_null())
    if len(wrong):
        raise InputError("starts with no milliseconds of a day", path=where, line=int(wrong["line"][0]))
    try:
        day = dt.datetime.strptime(found["date"], "%Y%m%d").replace(tzinfo=NEW_YORK)
    except ValueError:
        raise InputError(f"{found['date']} is no date", path=where) from None
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
        date=pl.lit(day.date()), known=known, kind=pl.lit(told[0], pl.Int8), strike=pl.lit(strike), call=pl.lit(call),
        first=told[1], second=told[2],
    ).select(EVENTS)  # fmt: skip
    return made.filter(pl.col("first").is_not_null()) if told[0] == SPOT else made
