"""Files whose form a column map cannot say: Cboe's delayed quotes as CSV and JSON, and ThetaData's by their columns."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from replay.errors import InputError
from replay.ingest.mapping import OPTIONAL, REQUIRED, SIDES, Mapping, preset, presets
from replay.ingest.rows import Batch, Tally, header_of, read_batches
from replay.sessions import NEW_YORK

QUOTEDATA: Final = "cboe-quotedata"
JSON: Final = "cboe-json"
THETADATA: Final = "thetadata"
GENERIC: Final = "generic"
DELAY_US: Final = 15 * 60 * 1_000_000
"""How late Cboe's delayed quotes are shown: a page tells the instant that it describes, not when it was loaded."""

_QUOTEDATA: Final = (
    "expiration", "calls", "call last", "call net", "call_bid", "call_ask", "call_volume", "call_iv", "call delta",
    "call gamma", "call_open_interest", "strike", "puts", "put last", "put net", "put_bid", "put_ask", "put_volume",
    "put_iv", "put delta", "put gamma", "put_open_interest",
)  # fmt: skip
_HEAD: Final = 12
_DATE: Final = re.compile(
    r"Date:\s*(?:(?P<month>[A-Z][a-z]+) (?P<day>\d{1,2}),|(?P<day2>\d{1,2}) (?P<month2>[A-Z][a-z]+),?)\s*"
    r"(?P<year>\d{4}) at (?P<clock>\d{1,2}:\d{2}) (?P<half>AM|PM)"
)
_LAST: Final = re.compile(r"Last:\s*(?P<price>[\d.,]*\d)")
_BESIDE: Final = ("contract", "ts", "recorded_at", "spot")


@dataclass(frozen=True, slots=True)
class Source:
    """A form that chains come in: a column map, or the name of one of this module's own."""

    name: str
    mapping: Mapping | None = None
    delay_us: int | None = None
    zone: str | None = None

    @property
    def joins(self) -> bool:
        """Whether several files tell of the same contracts, so that their rows are to be joined."""
        return self.name == THETADATA

    def read(self, path: pathlib.Path, tally: Tally, *, strict: bool) -> Iterator[tuple[Batch, Mapping]]:
        """A file's rows batch by batch, each with the map of its columns."""
        if self.name in (QUOTEDATA, JSON):
            batch = quotedata(path) if self.name == QUOTEDATA else delayed_json(path)
            yield batch, self._as_asked(cboe_mapping(self.name, DELAY_US))
            return
        mapping = self.mapping or (thetadata_mapping(path) if self.joins else generic_mapping(path))
        mapping = self._as_asked(mapping)
        for batch in read_batches(path, mapping, tally, strict=strict):
            yield batch, mapping

    def _as_asked(self, mapping: Mapping) -> Mapping:
        """The map with the delay and the zone that were asked for instead of its own."""
        delay = mapping.delay_us if self.delay_us is None else self.delay_us
        zone = mapping.zone if self.zone is None or self.name in (QUOTEDATA, JSON) else self.zone
        return dataclasses.replace(mapping, delay_us=delay, zone=zone)


def names() -> list[str]:
    """The names of all presets."""
    return sorted([*presets(), QUOTEDATA, JSON, THETADATA, GENERIC])


def source(name: str) -> Source:
    """A preset. Raises :class:`~replay.errors.InputError` listing what there is."""
    if name not in names():
        raise InputError(f"no preset {name!r}; there are {', '.join(names())}")
    return Source(name, preset(name) if name in presets() else None)


def cboe_mapping(name: str, delay_us: int) -> Mapping:
    """How :func:`quotedata` and :func:`delayed_json` name the columns that they give."""
    columns = {each: each for each in (*_BESIDE, *SIDES) if each != "recorded_at" or name == JSON}
    return Mapping(name, columns, "UTC" if name == JSON else "America/New_York", delay_us=delay_us)


def quotedata(path: pathlib.Path) -> Batch:
    """The contracts of a page of Cboe's quote table, saved as CSV.

    Above the table stand the underlying's last price and the New York minute that the quotes describe; a line of the
    table holds a strike's call and put.

    Raises :class:`~replay.errors.InputError` naming the line that is not as it is to be.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=str(path)) from error
    head = "\n".join(lines[:_HEAD])
    start = next((i for i, line in enumerate(lines[:_HEAD]) if line.lstrip('"').startswith("Expiration Date")), None)
    last, date = _LAST.search(head), _DATE.search(head)
    if start is None or last is None or date is None:
        lacks = {"the header Expiration Date": start, "Last: the price": last, "Date: the minute": date}
        missing = ", ".join(name for name, found in lacks.items() if found is None)
        raise InputError(f"is no quote table of Cboe's: it lacks {missing} in its first {_HEAD} lines", path=str(path))
    names = [name.strip() for name in lines[start].split(",")]
    if len(names) != len(_QUOTEDATA):
        raise InputError(f"the table has {len(names)} columns, not {len(_QUOTEDATA)}", path=str(path), line=start + 1)
    body = [(i, line.split(",")) for i, line in enumerate(lines[start + 1 :], start + 2) if line.strip()]
    for number, fields in body:
        if len(fields) != len(_QUOTEDATA):
            raise InputError(f"the row has {len(fields)} fields, not {len(_QUOTEDATA)}", path=str(path), line=number)
    table = pl.DataFrame([fields for _, fields in body], schema=dict.fromkeys(_QUOTEDATA, pl.String), orient="row")
    parts = []
    for side, contract in (("call", "calls"), ("put", "puts")):
        parts.append(
            table.select(pl.col(contract).alias("contract"), *(pl.col(f"{side}_{each}").alias(each) for each in SIDES))
        )
    rows = pl.concat(parts).with_columns(
        ts=pl.lit(_minute(date, path)), spot=pl.lit(last["price"].replace(",", "")).cast(pl.Float64)
    )
    return Batch(rows, np.array([number for number, _ in body] * 2, np.int64), path.stat().st_size)


def _minute(found: re.Match[str], path: pathlib.Path) -> str:
    """The minute above the table, New York, as ISO 8601."""
    day, month = found["day"] or found["day2"], found["month"] or found["month2"]
    text = f"{day} {month} {found['year']} {found['clock']} {found['half']}"
    for form in ("%d %B %Y %I:%M %p", "%d %b %Y %I:%M %p"):
        try:
            return dt.datetime.strptime(text, form).isoformat(sep=" ")  # a wall clock
        except ValueError:
            continue
    raise InputError(f"Date: {text} is no date", path=str(path))


def delayed_json(path: pathlib.Path) -> Batch:
    """The contracts of a body of Cboe's delayed-quotes service.

    ``timestamp`` (UTC) is when the body was made, the underlying's ``last_trade_time`` (New York) what it describes.

    Raises :class:`~replay.errors.InputError` naming the field that is not as it is to be.
    """
    try:
        body = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", path=str(path)) from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"is no JSON: {error}", path=str(path)) from error
    data = body.get("data") if isinstance(body, dict) else None
    options = data.get("options") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(options, list) or not options:
        raise InputError("is no body of Cboe's delayed quotes: it lacks a list data.options", path=str(path))
    described = _utc(data.get("last_trade_time"), "data.last_trade_time", path)
    known = _text(body.get("timestamp"), "timestamp", path).replace("T", " ")
    spot = data.get("current_price", data.get("close"))
    wanted = {"contract": "option"} | {each: each for each in SIDES}
    found = {ours: [each.get(theirs) for each in options] for ours, theirs in wanted.items()}
    rows = pl.DataFrame(found, schema_overrides=dict.fromkeys(SIDES, pl.Float64), strict=False)
    rows = rows.with_columns(ts=pl.lit(described), recorded_at=pl.lit(known), spot=pl.lit(spot, pl.Float64))
    return Batch(rows, np.arange(len(options)), path.stat().st_size)


def _text(value: Any, field: str, path: pathlib.Path) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{field} is {value!r}, not a time", path=str(path))
    return value


def _utc(value: Any, field: str, path: pathlib.Path) -> str:
    """A New York wall clock as UTC text."""
    text = _text(value, field, path)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{field} is {text!r}, not a time", path=str(path)) from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=NEW_YORK)
    return aware.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" ")


def generic_mapping(path: pathlib.Path) -> Mapping:
    """The map of a file with our own column names, of which it may lack the optional ones.

    Raises :class:`~replay.errors.InputError` naming the columns that are missing.
    """
    there = header_of(path)
    columns: dict[str, str] = {name: name for name in (*REQUIRED, *OPTIONAL) if name in there}
    needed = ("ts",) if "contract" in columns else REQUIRED
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}; it has {', '.join(there)[:500]}", path=str(path))
    return Mapping(GENERIC, columns)


_THETA: Final = {
    "ts": ("timestamp", "ms_of_day"),
    "date": ("date",),
    "expiration": ("expiration",),
    "strike": ("strike",),
    "right": ("right",),
    "root": ("root", "symbol"),
    "spot": ("underlying_price",),
    "bid": ("bid",),
    "ask": ("ask",),
    "iv": ("implied_vol",),
    "volume": ("volume",),
    "open_interest": ("open_interest",),
}


def thetadata_mapping(path: pathlib.Path) -> Mapping:
    """The map of one of ThetaData's files of contracts, quotes, greeks or open interest, by the columns it has.

    Version 2 has ``ms_of_day`` and ``date``, and strikes in thousandths of a dollar; version 3 has ``timestamp``, and
    dollars.

    Raises :class:`~replay.errors.InputError` naming the columns that are missing.
    """
    there = header_of(path)
    columns = {}
    for ours, names in _THETA.items():
        theirs = next((name for name in names if name in there), None)
        if theirs is not None:
            columns[ours] = theirs
    old = columns.get("ts") == "ms_of_day"
    if not old:
        columns.pop("date", None)
    needed = ("ts", "expiration", "strike", "right", *(("date",) if old else ()))
    missing = [name for name in needed if name not in columns]
    if missing:
        lacks = ", ".join(" or ".join(_THETA[each]) for each in missing)
        raise InputError(
            f"is no file of ThetaData's contracts: it lacks {lacks}; it has {', '.join(there)[:500]}",
            path=str(path),
        )
    return Mapping(THETADATA, columns, scale={"strike": 0.001} if old else {})


def joined(rows: pl.DataFrame) -> pl.DataFrame:
    """One session's rows of several files about the same contracts as one row a contract and instant.

    Of each column the last known value is taken. Open interest, which comes once a day, holds for all the day's
    instants from its own on; rows that know nothing else are no snapshot.
    """
    keys = ["ts", "recorded_at", "strike", "call"]
    values = ["spot", *SIDES]
    merged = rows.group_by(keys, maintain_order=True).agg(pl.col(*values).drop_nulls().last(), pl.col("date").first())
    daily = (
        merged.filter(pl.col("open_interest").is_not_null()).select("strike", "call", "ts", "open_interest").sort("ts")
    )
    told = pl.any_horizontal(pl.col("bid", "ask", "iv", "volume").is_not_null())
    kept = merged.filter(told).sort("ts", maintain_order=True)
    found = kept.drop("open_interest").join_asof(daily, on="ts", by=["strike", "call"], check_sortedness=False)
    return found.select(rows.columns)
