"""Cboe's delayed quotes: the quote table as its page saves it, and the body that the page is made from."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import pathlib
import re
import zlib
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from replay.errors import InputError
from replay.ingest.files import CUT_SHORT, GZIP, Batch, magic_of
from replay.ingest.mapping import SIDES, Mapping
from replay.sessions import NEW_YORK

QUOTEDATA: Final = "cboe-quotedata"
JSON: Final = "cboe-json"
DELAY_US: Final = 15 * 60 * 1_000_000
"""How far behind its own time Cboe's page is: it tells when it was made, and shows quotes from so long before."""

_SIDE: Final = ("Last Sale", "Net", "Bid", "Ask", "Volume", "IV", "Delta", "Gamma", "Open Interest")
_TABLE: Final = ("Expiration Date", "Calls", *_SIDE, "Strike", "Puts", *_SIDE)
_OLDER: Final = {"Vol": "Volume", "Open Int": "Open Interest"}
"""Columns that were named otherwise until 2020."""

_OURS: Final = {"bid": "Bid", "ask": "Ask", "iv": "IV", "volume": "Volume", "open_interest": "Open Interest"}
_HEAD: Final = 12
_DATE: Final = re.compile(
    r"(?:(?P<month>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),?|(?P<day2>\d{1,2}) (?P<month2>[A-Za-z]{3,9})\.?,?)\s+"
    r"(?P<year>\d{4}),?(?: at| @)?\s*(?P<clock>\d{1,2}:\d{2})\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*"
    r"(?P<zone>EDT|EST|ET|GMT-[45])\b"
)
_SAID: Final = re.compile(
    r'(?:Date:\s*(?P<date>[^"\n]*?)"?(?:,Bid\b|$)|^"?(?P<older>\w+ \d+ \d+ @ [^,]*))', re.MULTILINE
)
_LAST: Final = re.compile(
    r'(?:Last:\s*(?P<price>\d+(?:\.\d+)?)\s*"?(?:,\s*[A-Za-z"]|,?\s*$)|\A[^,]*\),(?P<older>\d+(?:\.\d+)?),)',
    re.MULTILINE,
)


def cboe_mapping(name: str) -> Mapping:
    """How :func:`quotedata` and :func:`delayed_json` name the columns that they give."""
    return Mapping(name, {each: each for each in ("contract", "ts", "recorded_at", "spot", *SIDES)})


def quotedata(path: pathlib.Path, delay_us: int = DELAY_US) -> Batch:
    """The contracts of a page of Cboe's quote table, saved as CSV.

    Above the table stand the underlying's last price and the New York minute at which the page was made, which also
    goes on when the market is closed: the quotes were known then, and describe the moment ``delay_us`` before. A line
    of the table holds a strike's call and put.

    Raises :class:`~replay.errors.InputError` naming the line that is not as it is to be.
    """
    try:
        lines = _bytes_of(path, "a CSV of Cboe's quote table is read").decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError("is no text in UTF-8", path=str(path)) from error
    head = "\n".join(lines[:_HEAD]).lstrip()
    start = next((i for i, line in enumerate(lines[:_HEAD]) if line.lstrip('"').startswith(_TABLE[0])), None)
    last, said = _LAST.search(head), _SAID.search(head)
    if start is None or last is None or said is None:
        lacks = {
            f"the header {_TABLE[0]}": start,
            "Last: the price (without thousands separators)": last,
            "Date: the minute": said,
        }
        missing = ", ".join(name for name, found in lacks.items() if found is None)
        raise InputError(f"is no quote table of Cboe's: it lacks {missing} in its first {_HEAD} lines", path=str(path))
    known = _made(said["date"] or said["older"], path)
    rows = csv.reader(lines[start:])
    names = [_OLDER.get(name.strip(), name.strip()) for name in next(rows)]
    if names != list(_TABLE):
        raise InputError(f"the table is to have the columns {', '.join(_TABLE)}", path=str(path), line=start + 1)
    body = [(i, fields) for i, fields in enumerate(rows, start + 2) if any(field.strip() for field in fields)]
    for number, fields in body:
        if len(fields) != len(_TABLE):
            raise InputError(f"the row has {len(fields)} fields, not {len(_TABLE)}", path=str(path), line=number)
    sides = [dict(zip(_SIDE, range(first + 1, first + 1 + len(_SIDE)), strict=True)) for first in (1, 12)]
    columns: dict[str, list[str]] = {"contract": [fields[first] for first in (1, 12) for _, fields in body]}
    for ours, theirs in _OURS.items():
        columns[ours] = [fields[side[theirs]] for side in sides for _, fields in body]
    table = pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String)).with_columns(
        ts=pl.lit(_text_of(known - dt.timedelta(microseconds=delay_us))),
        recorded_at=pl.lit(_text_of(known)),
        spot=pl.lit(float(last["price"] or last["older"])),
    )
    return Batch(table, np.array([number for number, _ in body] * 2, np.int64), path.stat().st_size)


def _bytes_of(path: pathlib.Path, read: str) -> bytes:
    """What a file holds, unzipped."""
    zipped = magic_of(path, read)[:2] == GZIP
    data = path.read_bytes()
    try:
        return gzip.decompress(data) if zipped else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(CUT_SHORT, path=str(path)) from error


def _made(said: str, path: pathlib.Path) -> dt.datetime:
    """When a page was made, from what stands above its table."""
    found = _DATE.fullmatch(said.strip())
    if found is not None:
        day, month = found["day"] or found["day2"], found["month"] or found["month2"]
        half = (found["half"] or "").replace(".", "").upper()
        text = f"{day} {month[:3]} {found['year']} {found['clock']} {half}"
        try:
            naive = dt.datetime.strptime(text, "%d %b %Y %I:%M %p" if half else "%d %b %Y %H:%M ")
        except ValueError:
            pass
        else:
            return naive.replace(tzinfo=NEW_YORK)
    raise InputError(
        f"Date: {said.strip()!r} is no minute of New York, such as July 24, 2026 at 2:15 PM EDT; "
        "save the page in English",
        path=str(path),
    )


def delayed_json(path: pathlib.Path) -> Batch:
    """The contracts of a body of Cboe's delayed-quotes service.

    ``timestamp`` (UTC) is when the body was made, the underlying's ``last_trade_time`` (New York) what it describes.

    Raises :class:`~replay.errors.InputError` naming the field that is not as it is to be.
    """
    try:
        body = orjson.loads(_bytes_of(path, "JSON is read"))
    except orjson.JSONDecodeError as error:
        raise InputError(f"is no JSON: {error}", path=str(path)) from error
    data = body.get("data") if isinstance(body, dict) else None
    options = data.get("options") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(options, list) or not options:
        raise InputError("is no body of Cboe's delayed quotes: it lacks a list data.options", path=str(path))
    wrong = next((i for i, each in enumerate(options) if not isinstance(each, dict)), None)
    if wrong is not None:
        raise InputError(f"data.options[{wrong}] is not an object", path=str(path))
    described = _moment(data.get("last_trade_time"), "data.last_trade_time", NEW_YORK, path)
    known = _moment(body.get("timestamp"), "timestamp", dt.UTC, path)
    spot = data.get("current_price", data.get("close"))
    if isinstance(spot, bool) or not isinstance(spot, (int, float)):
        raise InputError(f"data.current_price is {spot!r}, not a price", path=str(path))
    wanted = {"contract": "option"} | {each: each for each in SIDES}
    found = {ours: [each.get(theirs) for each in options] for ours, theirs in wanted.items()}
    rows = pl.DataFrame(found, schema_overrides=dict.fromkeys(wanted, pl.String), strict=False).with_columns(
        ts=pl.lit(_text_of(described)), recorded_at=pl.lit(_text_of(known)), spot=pl.lit(float(spot))
    )
    return Batch(rows, np.arange(len(options)), path.stat().st_size)


def _moment(value: Any, field: str, zone: dt.tzinfo, path: pathlib.Path) -> dt.datetime:
    """A time of a body, which is of this zone where it carries no offset."""
    try:
        moment = dt.datetime.fromisoformat(value)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        return moment.astimezone(NEW_YORK)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{field} is {value!r}, not a time", path=str(path)) from None


def _text_of(moment: dt.datetime) -> str:
    """As New York text with its offset."""
    return moment.astimezone(NEW_YORK).isoformat(sep=" ")
