"""Reading the prints of trades from CSV, CSV.gz or Parquet, and checking each."""

from __future__ import annotations

import dataclasses
import pathlib
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from replay.errors import InputError
from replay.ingest.clock import WallClock
from replay.ingest.files import Batch, Count, Tally, header_of
from replay.ingest.mapping import CONDITIONS, REQUIRED, Mapping
from replay.ingest.rows import PRICED, TOO_MUCH, number_of, ours, such_as, with_contracts
from replay.ingest.times import date_of, instant, new_york_day, text_of
from replay.products import AM_SETTLED, roots_of
from replay.sessions import find_session

PRESETS: Final = ("thetadata", "generic")

_NAMES: Final = {
    "ts": ("ts", "trade_timestamp", "timestamp", "ms_of_day"),
    "date": ("date",),
    "recorded_at": ("recorded_at",),
    "expiration": ("expiration",),
    "strike": ("strike",),
    "right": ("right",),
    "contract": ("contract",),
    "root": ("root", "symbol"),
    "price": ("price",),
    "size": ("size",),
    "bid": ("bid",),
    "ask": ("ask",),
    "quote_ts": ("quote_ts", "quote_timestamp", "ms_of_day2"),
    "sequence": ("sequence",),
    "condition": ("condition",),
}
_NEEDED: Final = ("expiration", "strike", "right")
_NUMBERS: Final = ("strike", "price", "size", "bid", "ask")


def _codes(*spans: tuple[int, int]) -> tuple[str, ...]:
    return tuple(str(code) for first, last in spans for code in range(first, last + 1))


_CODES: Final = {
    # ThetaData's published table of trade conditions: its columns Cancel and Late Report; 35-38 and from 130 on the
    # legs of spreads, straddles, combinations and stock with options.
    "thetadata": {
        "cancelled": _codes((40, 44)),
        "late": _codes((2, 2), (5, 8), (13, 13), (15, 15), (26, 28), (65, 65)),
        "legs": _codes((35, 38), (130, 144)),
    },
    # The names of OPRA's messages.
    "generic": {"cancelled": ("CANC", "CNCL", "CNCO", "CNOL"), "late": ("OSEQ", "LATE")},
}


@dataclass(slots=True)
class PrintCount:
    """Prints that were read and stand apart: ``cancelled`` records and ``repeated`` ones, which are left out, and
    ``late_quotes``, whose quote is of after the trade and not used."""

    cancelled: Count = field(default_factory=Count)
    repeated: Count = field(default_factory=Count)
    late_quotes: Count = field(default_factory=Count)


def mapping_of(path: pathlib.Path, mapping: Mapping | str) -> Mapping:
    """The map of a file: as given, or by its columns for one of :data:`PRESETS`.

    ThetaData's version 2 has ``ms_of_day`` and ``date``, and strikes in thousandths of a dollar; version 3 has
    ``trade_timestamp``, and dollars.
    """
    if isinstance(mapping, Mapping):
        missing = [each for each in ("price", "size") if each not in mapping.columns]
        if missing:
            raise InputError(f"the map {mapping.name} lacks {', '.join(missing)} in [columns]")
        return mapping
    if mapping not in PRESETS:
        raise InputError(f"no preset {mapping!r}; there are {', '.join(PRESETS)}")
    there = header_of(path)
    named = {each: next((name for name in names if name in there), "") for each, names in _NAMES.items()}
    columns = {key: value for key, value in named.items() if value}
    old = columns.get("ts") == "ms_of_day"
    if not old:
        columns.pop("date", None)
    if "contract" in columns:
        columns = {key: value for key, value in columns.items() if key not in (*_NEEDED, "root")}
    contract = ("contract",) if "contract" in columns else tuple(each for each in REQUIRED if each != "ts")
    missing = [each for each in ("ts", *contract, "price", "size", *(("date",) if old else ())) if each not in columns]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}; it has {', '.join(there)[:500]}", path=str(path))
    return Mapping(mapping, columns, scale={"strike": 0.001} if old else {}, conditions=_CODES[mapping])


def as_asked(mapping: Mapping, delay_us: int | None, zone: str | None) -> Mapping:
    """The map with the delay and the zone that were asked for instead of its own."""
    delay = mapping.delay_us if delay_us is None else delay_us
    return dataclasses.replace(mapping, delay_us=delay, zone=mapping.zone if zone is None else zone)


def prints(
    batch: Batch,
    mapping: Mapping,
    path: str,
    symbol: str,
    tally: Tally,
    count: PrintCount,
    *,
    strict: bool,
    clock: WallClock | None = None,
) -> pl.DataFrame:
    """The usable prints of a batch; the other rows are counted by their first fault. ``clock`` counts those that are
    taken for New York's time where they do not say so.

    Columns: ``date``, ``ts`` and ``known`` (microseconds), ``expires``, ``strike``, ``call``, ``price``, ``size``,
    ``bid`` and ``ask`` (null without a quote of before the trade), ``sequence``, ``late``, ``leg``, and ``line``.
    """
    tally.read += len(batch.lines)
    rows = _typed(ours(batch.rows.with_columns(line=pl.Series(batch.lines)), mapping), mapping)
    rows = rows.with_columns(reason=_reason(rows, mapping, symbol))
    bad = rows.filter(pl.col("reason").is_not_null())
    for key, group in bad.group_by("reason", maintain_order=True):
        text, line = str(key[0]), _first(group)
        said = such_as(group, text)
        if strict:
            raise InputError(f"the row {text}{said}", path=path, line=line)
        tally.reject(text, len(group), path, line, said)
    good = rows.filter(pl.col("reason").is_null())
    gone = good.filter(pl.col("cancelled"))
    if len(gone):
        count.cancelled.add(len(gone), path, _first(gone))
    good = good.filter(~pl.col("cancelled"))
    after = good.filter(pl.col("quote_ts_us") > pl.col("ts_us"))
    if len(after):
        count.late_quotes.add(len(after), path, _first(after))
    if clock is not None:
        clock.add(good.filter("ts_assumed").select(date="session_date", ts="ts_us"))
    usable = pl.when(pl.col("quote_ts_us") <= pl.col("ts_us"))
    return good.select(
        pl.col("session_date").alias("date"), pl.col("ts_us").alias("ts"), pl.col("recorded_at_us").alias("known"),
        "expires", pl.col("strike_number").alias("strike"), "call", pl.col("price_number").alias("price"),
        pl.col("size_number").alias("size"), usable.then(pl.col("bid_number")).alias("bid"),
        usable.then(pl.col("ask_number")).alias("ask"), "sequence", "late", pl.col("legs").alias("leg"),
        pl.col("line").cast(pl.Int64),
    )  # fmt: skip


def _first(rows: pl.DataFrame) -> int:
    """The line of the first of a batch's rows, which are as the file has them."""
    return int(rows["line"][0])


def _typed(rows: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Rows with their clocks, dates, right and numbers as such, null where they cannot be read."""
    if "contract" in rows.columns:
        rows = with_contracts(rows)
    for name in ("bid", "ask", "sequence", "condition"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, pl.String).alias(name))
    for name in ("recorded_at", "quote_ts"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.col("ts").alias(name))
    for name in ("ts", "recorded_at", "quote_ts"):
        told = instant(rows, name if name in mapping.columns else "ts", mapping).values()
        rows = rows.with_columns(
            each.alias(f"{name}_{what}") for each, what in zip(told, ("us", "read", "assumed"), strict=True)
        )
    code = text_of("condition")
    return rows.with_columns(
        recorded_at_us=pl.col("recorded_at_us") + (0 if "recorded_at" in mapping.columns else mapping.delay_us),
        session_date=new_york_day("ts_us"),
        expires=date_of(rows, "expiration"),
        call=pl.when(text_of("right").is_in(mapping.call)).then(True)
        .when(text_of("right").is_in(mapping.put)).then(False),
        **{f"{name}_number": number_of(rows, name, mapping) for name in _NUMBERS},
        sequence=pl.col("sequence").cast(pl.Int64, strict=False),
        told=pl.col("sequence").is_not_null(),
        **{name: code.is_in(mapping.conditions.get(name, ())).fill_null(False) for name in CONDITIONS},
    )  # fmt: skip


def _reason(rows: pl.DataFrame, mapping: Mapping, symbol: str) -> pl.Expr:
    """The first fault of a row, or null."""

    def sound(name: str, least: pl.Expr) -> pl.Expr:
        return (pl.col(f"{name}_number").is_finite() & least).fill_null(False)

    roots = roots_of(symbol)
    closed = [day for day in rows["session_date"].drop_nulls().unique() if find_session(day) is None]
    strike, price, size = (pl.col(f"{name}_number") for name in ("strike", "price", "size"))
    faults: list[tuple[pl.Expr, str]] = []
    if rows.schema["ts"] == pl.String:
        faults.append((text_of("ts") == mapping.columns["ts"], "repeats the header"))
    if "contract" in rows.columns:
        faults.append((pl.col("right").is_null(), "has a contract that is no OCC symbol such as SPY260724C00740000"))
    if "root" in rows.columns:
        root = text_of("root").str.to_uppercase()
        faults.append((root.is_in(AM_SETTLED), "has a root that is AM-settled: it stopped trading the day before"))
        faults.append((~root.is_in(roots), f"has a root that is not {' or '.join(roots)}"))
    for name in ("ts", "recorded_at"):
        faults.append((~pl.col(f"{name}_read"), f"has a {name} that cannot be read"))
        faults.append((pl.col(f"{name}_us").is_null(), f"has a {name} that the wall clock does not show, or twice"))
    faults += [
        (pl.col("recorded_at_us") < pl.col("ts_us"), "has a recorded_at before its ts"),
        (pl.col("quote_ts").is_not_null() & pl.col("quote_ts_us").is_null(), "has a quote_ts that cannot be read"),
        (pl.col("session_date").is_in(closed), "has a ts on a day without a session"),
        (pl.col("expires").is_null(), "has an expiration that is no date (YYYY-MM-DD)"),
        (pl.col("expires") < pl.col("session_date"), "has an expiration that was before the trade"),
        (pl.col("call").is_null(), "has a right that is neither call nor put"),
        (~sound("strike", strike > 0), "has a strike that is no number above 0"),
        (~strike.is_between(*PRICED), "has a strike that nothing is traded at"),
        (~sound("price", price >= 0), "has a price that is no number from 0"),
        (~sound("size", (size > 0) & (size == size.floor())), "has a size that is no whole number above 0"),
        (price > TOO_MUCH, "has a price that is more than there is"),
        (size > TOO_MUCH, "has a size that is more than there is"),
        (pl.col("told") & pl.col("sequence").is_null(), "has a sequence that is no whole number"),
    ]
    for name in ("bid", "ask"):
        number = pl.col(f"{name}_number")
        faults.append((pl.col(name).is_not_null() & number.is_null(), f"has a {name} that is no number"))
        faults.append(
            ((number < 0) | number.is_infinite(), f"has {'an' if name[0] in 'aio' else 'a'} {name} below 0 or infinite")
        )
    chain: Any = pl
    for wrong, reason in faults:
        chain = chain.when(wrong.fill_null(False)).then(pl.lit(reason))
    result: pl.Expr = chain.otherwise(None)
    return result
