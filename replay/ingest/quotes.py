"""Ingest of quotes: sparse bars or ticks of contracts in, snapshots on a cadence out."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import ConflictingRow, InputError
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ingest import lean, opra
from replay.ingest.buckets import SessionBuckets
from replay.ingest.chain import ChainCount, snapshots_of
from replay.ingest.mapping import Mapping
from replay.ingest.rows import Batch, Tally, check, read_batches
from replay.ingest.sampling import EVENTS, INTEREST, QUOTE, SPOT, QuoteCount, counted, sample, thinned
from replay.ingest.underlying import Prices, with_parity
from replay.ingest.vendors import generic_mapping
from replay.sessions import MINUTE, find_session, to_us
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

PRESETS: Final = ("lean", "databento", "polygon", "generic")
CADENCE: Final = MINUTE
MAX_AGE: Final = 15 * MINUTE
"""How long a quote holds, unless said otherwise: sparse contracts are quoted anew every few minutes at best."""

_POLYGON: Final = Mapping(
    "polygon", {"ts": "sip_timestamp", "contract": "ticker", "bid": "bid_price", "ask": "ask_price"}, "UTC", "ns"
)
_DATABENTO: Final = Mapping("databento", {name: name for name in opra.ROWS}, "UTC", "ns")
_ROUNDS: Final = 32
"""After so many batches what is held of a session is thinned again."""


@dataclass(slots=True)
class QuotesReport:
    """What an ingest did: ``tally`` of rows, ``quotes`` of events and options, ``count`` of vols, and by session its
    contracts and strikes, and its snapshots and those of them that were new."""

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    quotes: QuoteCount = field(default_factory=QuoteCount)
    count: ChainCount = field(default_factory=ChainCount)
    others: int = 0  # rows of other underlyings
    contracts: dict[dt.date, tuple[int, int]] = field(default_factory=dict)
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)


def ingest_quotes(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    symbol: str,
    preset: str,
    *,
    cadence: int = CADENCE,
    max_age: int | None = MAX_AGE,
    bar: int = 0,
    underlying: Prices | None = None,
    spot_age: int | None = 5 * MINUTE,
    parity: bool = False,
    conventions: Conventions = REPLAY_1,
    allow_mixed: bool = False,
    strict: bool = False,
    filesystem: Any | None = None,
) -> QuotesReport:
    """Sample quotes of contracts onto a cadence, and put the snapshots into a lake.

    Parameters
    ----------
    preset
        The form of the files, one of :data:`PRESETS`.
    cadence
        Microseconds from one snapshot to the next, from the open on.
    max_age
        Microseconds for which a quote holds; ``None``: the session.
    bar
        For ``generic``: the length of the bars whose starts ``ts`` are; a bar is known at its end.
    underlying, spot_age
        The underlying's price where the files hold none, and for how long one holds.
    parity
        Imply the underlying's price by put-call parity, also where the files hold it.
    conventions, allow_mixed, strict
        As for :func:`replay.ingest.run.ingest_chain`.

    Raises
    ------
    InputError, ConflictingRow, MixedConventions
        As :func:`replay.ingest.run.ingest_chain`.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    report = QuotesReport(name, len(files))
    with SessionBuckets() as buckets:
        for file in files:
            held: list[pl.DataFrame] = []
            for events in _events(pathlib.Path(file), preset, name, bar, report, strict=strict):
                held.append(_thin(events, cadence))
                if len(held) >= _ROUNDS:
                    held = [_thin(pl.concat(held), cadence)]
            for events in held:
                buckets.add(events)
        if underlying is not None:
            buckets.add(_prices(underlying))
        with LakeWriter(lake, filesystem, allow_mixed=allow_mixed) as writer:
            for date, events in buckets.sessions():
                session = find_session(date)
                if session is None or not (events["kind"] == QUOTE).any():
                    continue
                rows = sample(events, session, cadence, max_age, spot_age, report.quotes)
                said = [f"quotes:{preset}"]
                if parity:
                    rows = rows.with_columns(spot=pl.lit(None, pl.Float64))
                if rows["spot"].null_count() and (parity or not (events["kind"] == SPOT).any()):
                    lacking = rows["spot"].null_count()
                    rows = with_parity(rows, session, conventions)
                    report.count.spots["parity"] += lacking - rows["spot"].null_count()
                    said.append("spot=parity")
                report.count.spots["none"] += rows["spot"].null_count()
                rows = rows.filter(pl.col("spot").is_not_null())
                if rows.is_empty():
                    continue
                options = rows.select("strike", "call").unique()
                report.contracts[date] = len(options), options["strike"].n_unique()
                table = snapshots_of(rows, session, report.count, conventions)
                metadata = schema.metadata(source=" ".join(said), conventions=conventions.id, cadence_us=cadence)
                try:
                    new = writer.add(Partition("raw", name, date), table, metadata)
                except ConflictingRow as error:
                    raise ConflictingRow(f"{error.message}; the session {date} was not written") from error
                report.sessions[date] = (table.num_rows, new)
    if not report.sessions:
        raise InputError(f"none of {report.tally.read} rows can be used; {_why(report)}")
    return report


def _why(report: QuotesReport) -> str:
    reasons = [f"{count.rows}: each {reason}{count.example}" for reason, count in report.tally.rejected.items()]
    told = (
        (report.tally.other_expirations.rows, "expire on another date than their session's"),
        (report.others, "are of other underlyings"),
        (report.quotes.after_close, "were known after the close"),
        (report.count.spots["none"], "options have no price of the underlying: give --underlying, or --spot parity"),
    )
    return "; ".join([*reasons, *(f"{number} {text}" for number, text in told if number)]) or "no quote is among them"


def _events(
    path: pathlib.Path, preset: str, symbol: str, bar: int, report: QuotesReport, *, strict: bool
) -> Iterator[pl.DataFrame]:
    """A file's events, batch by batch."""
    if preset == "lean":
        for events in lean.events(path, symbol, report.tally):
            quotes = events.filter(pl.col("kind") == QUOTE)
            yield pl.concat([counted(quotes, report.quotes), events.filter(pl.col("kind") != QUOTE)])
        return
    before = report.tally.read
    for batch, mapping in _batches(path, preset, symbol, report, strict=strict):
        roots = (symbol, f"{symbol}W", f"{symbol}P")
        rows = check(batch, mapping, str(path), report.tally, strict=strict, roots=roots)
        known = pl.max_horizontal(pl.col("ts") + bar, pl.col("recorded_at"))
        rows = rows.with_columns(known=known)
        quotes = rows.select(
            "date", "known", pl.lit(QUOTE, pl.Int8).alias("kind"), "strike", "call",
            pl.col("bid").alias("first"), pl.col("ask").alias("second"),
        )  # fmt: skip
        yield counted(quotes.select(EVENTS), report.quotes)
        told = rows.filter(pl.col("open_interest").is_not_null())
        yield told.select(
            "date", "known", pl.lit(INTEREST, pl.Int8).alias("kind"), "strike", "call",
            pl.col("open_interest").alias("first"), pl.lit(None, pl.Float64).alias("second"),
        ).select(EVENTS)  # fmt: skip
        priced = rows.filter(pl.col("spot").is_not_null())
        yield priced.select(
            "date", "known", pl.lit(SPOT, pl.Int8).alias("kind"), pl.lit(0.0).alias("strike"),
            pl.lit(False).alias("call"), pl.col("spot").alias("first"), pl.lit(0.0).alias("second"),
        ).select(EVENTS)  # fmt: skip
    if report.tally.read + report.others == before:
        raise InputError("holds no quotes", path=str(path))


def _batches(
    path: pathlib.Path, preset: str, symbol: str, report: QuotesReport, *, strict: bool
) -> Iterator[tuple[Batch, Mapping]]:
    if preset == "databento":
        before = 0
        for rows in opra.rows(path):
            lines = np.arange(before, before + len(rows))
            before += len(rows)
            if len(rows):
                yield Batch(rows, lines, 0), _DATABENTO
        return
    mapping = _POLYGON if preset == "polygon" else generic_mapping(path)
    for batch in read_batches(path, mapping, report.tally, strict=strict):
        if preset != "polygon":
            yield batch, mapping
            continue
        own = batch.rows["ticker"].str.contains(rf"^O:{symbol}[WP]?\d").fill_null(False)
        report.others += int((~own).sum())
        yield Batch(batch.rows.filter(own), batch.lines[own.to_numpy()], batch.bytes_read), mapping


def _thin(events: pl.DataFrame, cadence: int) -> pl.DataFrame:
    """Events of the exchange's sessions, thinned."""
    opens: dict[object, int] = {}
    for date in events["date"].unique().to_list():
        session = find_session(date)
        if session is not None:
            opens[date] = to_us(session.open)
    return thinned(events, cadence, opens)


def _prices(underlying: Prices) -> pl.DataFrame:
    """Prices of the underlying as events of their sessions."""
    day = pl.col("known").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    return underlying.frame.select(
        day.dt.date().alias("date"), "known", pl.lit(SPOT, pl.Int8).alias("kind"), pl.lit(0.0).alias("strike"),
        pl.lit(False).alias("call"), pl.col("price").alias("first"), pl.lit(2.0).alias("second"),
    ).select(EVENTS)  # fmt: skip
