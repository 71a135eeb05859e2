"""Reading the prints of trades from CSV, CSV.gz or Parquet, and checking each."""

from __future__ import annotations

import pathlib
from typing import Any, Final

import polars as pl

from replay.errors import InputError
from replay.ingest.mapping import REQUIRED, Mapping
from replay.ingest.rows import AM_SETTLED, Batch, Tally, header_of, number_of, ours, such_as, with_contracts
from replay.ingest.times import date_of, instant, text_of
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
    "quote_ts": ("quote_ts", "quote_timestamp"),
}


def mapping_of(path: pathlib.Path, mapping: Mapping | str) -> Mapping:
    """The map of a file: as given, or by its columns for one of :data:`PRESETS`."""
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
    contract = ("contract",) if "contract" in columns else tuple(each for each in REQUIRED if each != "ts")
    missing = [each for each in ("ts", *contract, "price", "size", *(("date",) if old else ())) if each not in columns]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}; it has {', '.join(there)[:500]}", path=str(path))
    return Mapping(mapping, columns, scale={"strike": 0.001} if old else {})


def prints(
    batch: Batch, mapping: Mapping, path: str, symbol: str, tally: Tally, *, strict: bool
) -> tuple[pl.DataFrame, int]:
    """The usable prints, and how many of them have a quote of after the trade, which is taken from them.

    Columns: ``date``, ``ts`` and ``known`` (microseconds), ``expires``, ``strike``, ``call``, ``price``, ``size``,
    ``bid``, ``ask``, and ``path`` and ``line``, where they stand. The other rows are counted by their first fault.
    """
    tally.read += len(batch.lines)
    rows = ours(batch.rows.with_columns(line=pl.Series(batch.lines)), mapping)
    if "contract" in rows.columns:
        rows = with_contracts(rows)
    for name in ("recorded_at", "quote_ts"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.col("ts").alias(name))
    for name in ("ts", "recorded_at", "quote_ts"):
        times = instant(rows, name if name in mapping.columns else "ts", mapping)
        rows = rows.with_columns(**{f"{name}_us": next(iter(times.values()))})
    for name in ("bid", "ask"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, pl.Float64).alias(name))
    rows = rows.with_columns(
        recorded_at_us=pl.col("recorded_at_us") + (0 if "recorded_at" in mapping.columns else mapping.delay_us),
        session_date=pl.col("ts_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        .dt.convert_time_zone("America/New_York").dt.date(),
        expires=date_of(rows, "expiration"),
        call=pl.when(text_of("right").is_in([*mapping.call, "C", "CALL"])).then(True)
        .when(text_of("right").is_in([*mapping.put, "P", "PUT"])).then(False),
        **{f"{name}_number": number_of(rows, name, mapping) for name in ("strike", "price", "size", "bid", "ask")},
    )  # fmt: skip
    closed = [day for day in rows["session_date"].drop_nulls().unique() if find_session(day) is None]
    above = {
        name: (pl.col(f"{name}_number").is_finite() & (pl.col(f"{name}_number") > 0)).fill_null(False)
        for name in ("strike", "price", "size")
    }
    roots = (symbol, f"{symbol}W", f"{symbol}P")
    faults = [
        (pl.col("ts_us").is_null(), "has a ts that cannot be read"),
        (pl.col("recorded_at_us").is_null(), "has a recorded_at that cannot be read"),
        (pl.col("recorded_at_us") < pl.col("ts_us"), "has a recorded_at before its ts"),
        (pl.col("session_date").is_in(closed), "has a ts on a day without a session"),
        (pl.col("expires").is_null(), "has an expiration that is no date (YYYY-MM-DD)"),
        (pl.col("expires") < pl.col("session_date"), "has an expiration that was before the trade"),
        (pl.col("call").is_null(), "has a right that is neither call nor put"),
        *((~sound, f"has a {name} that is no number above 0") for name, sound in above.items()),
    ]
    if "root" in rows.columns:
        root = text_of("root").str.to_uppercase()
        faults.insert(0, (~root.is_in(roots), f"has a root that is not {' or '.join(roots)}"))
        faults.insert(0, (root.is_in(AM_SETTLED), "has a root that is AM-settled: it stopped trading the day before"))
    chain: Any = pl
    for wrong, reason in faults:
        chain = chain.when(wrong.fill_null(False)).then(pl.lit(reason))
    rows = rows.with_columns(reason=chain.otherwise(None))
    bad = rows.filter(pl.col("reason").is_not_null())
    for key, group in bad.group_by("reason", maintain_order=True):
        text, line = str(key[0]), int(group["line"].min())  # type: ignore[arg-type]  # lines are there
        said = such_as(group, text)
        if strict:
            raise InputError(f"the row {text}{said}", path=path, line=line)
        tally.reject(text, len(group), path, line, said)
    good = rows.filter(pl.col("reason").is_null())
    after = pl.col("quote_ts_us") > pl.col("ts_us")
    late = int(good.select(after.fill_null(False).sum()).item())
    usable = pl.when(~after.fill_null(True))
    usable_prints = good.select(
        pl.col("session_date").alias("date"), pl.col("ts_us").alias("ts"), pl.col("recorded_at_us").alias("known"),
        "expires", pl.col("strike_number").alias("strike"), "call", pl.col("price_number").alias("price"),
        pl.col("size_number").alias("size"), usable.then(pl.col("bid_number")).alias("bid"),
        usable.then(pl.col("ask_number")).alias("ask"), pl.lit(path).alias("path"), pl.col("line").cast(pl.Int64),
    )  # fmt: skip
    return usable_prints, late
