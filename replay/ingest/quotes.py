"""Ingest of quotes: sparse bars or ticks of contracts in, snapshots on a cadence out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import AgedOut, ConflictingRow, InputError
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ingest import lean, opra
from replay.ingest.buckets import SessionBuckets
from replay.ingest.chain import ChainCount, snapshots_of
from replay.ingest.clock import ADVICE, SECOND_ADVICE, WallClock
from replay.ingest.files import Batch, Tally, header_of, read_batches
from replay.ingest.flow import keep_flow
from replay.ingest.mapping import Mapping
from replay.ingest.rows import check
from replay.ingest.sampling import EVENTS, INTEREST, QUOTE, SPOT, QuoteCount, counted, sample, thinned
from replay.ingest.times import new_york_day
from replay.ingest.underlying import Prices, with_parity
from replay.ingest.vendors import generic_mapping
from replay.products import roots_of
from replay.sessions import MINUTE, Session, find_session, to_us
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
_POLYGON_OTHERS: Final = {"window_start": "bars (minute_aggs or day_aggs)", "price": "trades"}
"""Columns that tell Polygon's other files, and what those hold."""
_IGNORED: Final = ("iv", "volume")
_LEAN_ADVICE: Final = "Lean's files count the milliseconds of New York's day"
_HELD_ROWS: Final = 1_000_000
"""Of so many events at most what no sample can show is still there; then they are thinned."""


@dataclass(slots=True)
class QuotesReport:
    """What an ingest did: ``tally`` of rows, ``quotes`` of events and options, ``count`` of vols, and by session its
    contracts and strikes, its snapshots and those of them that were new. ``aged_out`` are the snapshots left out of a
    session whose raw was removed."""

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    quotes: QuoteCount = field(default_factory=QuoteCount)
    count: ChainCount = field(default_factory=ChainCount)
    others: int = 0  # rows of other underlyings
    ignored: dict[str, None] = field(default_factory=dict)  # columns of our names that say nothing in quotes
    contracts: dict[dt.date, tuple[int, int]] = field(default_factory=dict)
    sessions: dict[dt.date, tuple[int, int]] = field(default_factory=dict)
    aged_out: dict[dt.date, int] = field(default_factory=dict)


def ingest_quotes(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    symbol: str,
    preset: str,
    *,
    cadence: int = CADENCE,
    max_age: int | None = MAX_AGE,
    bar: int = 0,
    zone: str | None = None,
    open_interest: Sequence[str | os.PathLike[str]] = (),
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
    zone
        For ``generic`` and ``open_interest``: of times without an offset; ``None``: New York.
    open_interest
        Files with our own column names that tell the contracts' open interest, known from its ``ts`` on.
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
    given = [os.path.realpath(file) for file in (*files, *open_interest)]
    for file, place in zip((*files, *open_interest), given, strict=True):
        if given.count(place) > 1:
            raise InputError("is given twice: what it tells would count twice", path=str(file))
    report = QuotesReport(name, len(files) + len(open_interest))
    reading = _Reading(name, preset, bar, zone, strict, max_age)
    with SessionBuckets() as buckets:
        held = _Held(buckets, cadence)
        if preset == "databento":
            files = sorted(files, key=lambda file: not opra.is_definition(pathlib.Path(file)))
        for file in files:
            for events in _events(pathlib.Path(file), reading, report):
                held.add(events)
        for file in open_interest:
            for events in _interest(pathlib.Path(file), reading, report):
                held.add(events)
        held.hand_on()
        if underlying is not None:
            buckets.add(price_events(underlying))
        if zone is None:
            reading.clock.check(_LEAN_ADVICE if preset == "lean" else ADVICE)
        with LakeWriter(lake, filesystem, allow_mixed=allow_mixed) as writer:
            for date, events in buckets.sessions():
                session = find_session(date)
                if session is None or not (events["kind"] == QUOTE).any():
                    continue
                rows = sample(events, session, cadence, max_age, spot_age, report.quotes)
                said = [f"quotes:{preset}", *(["oi=file"] if open_interest else [])]
                if parity:
                    rows = rows.with_columns(spot=pl.lit(None, pl.Float64))
                if rows["spot"].null_count() and (parity or not (events["kind"] == SPOT).any()):
                    lacking = rows["spot"].null_count()
                    rows = with_parity(rows, session, conventions)
                    report.count.spots["parity"] += lacking - rows["spot"].null_count()
                    said.append("spot=parity")
                report.count.spots["none"] += rows["spot"].null_count()
                report.quotes.no_spot += rows.filter(pl.col("spot").is_null())["ts"].n_unique()
                rows = rows.filter(pl.col("spot").is_not_null())
                if rows.is_empty():
                    continue
                options = rows.select("strike", "call").unique()
                report.contracts[date] = len(options), options["strike"].n_unique()
                table = snapshots_of(rows, session, report.count, conventions)
                metadata = schema.metadata(source=" ".join(said), conventions=conventions.id, cadence_us=cadence)
                try:
                    flow = functools.partial(keep_flow, session=session, conventions=conventions)
                    new = writer.add(Partition("raw", name, date), table, metadata, keep_flow=flow)
                except AgedOut as error:
                    report.aged_out[date] = error.rows
                    continue
                except ConflictingRow as error:
                    raise ConflictingRow(
                        f"{error.message}; give all of a session's quotes in one command, at one cadence, or use a new "
                        f"lake; the session {date} was not written"
                    ) from error
                report.sessions[date] = (table.num_rows, new)
                report.count.flow_unknown, report.count.flow_gaps = writer.flow_unknown, writer.flow_gaps
    if not report.sessions and not report.aged_out:
        raise InputError(f"none of {report.tally.read} rows can be used; {_why(report)}")
    return report


def _why(report: QuotesReport) -> str:
    reasons = [f"{count.rows}: each {reason}{count.example}" for reason, count in report.tally.rejected.items()]
    told = (
        (report.tally.other_expirations.rows, "expire on another date than their session's"),
        (report.others, "are of other underlyings"),
        (report.quotes.after_close, "were known after the close"),
        (report.quotes.late, "were older than --max-quote-age when they became known"),
        (
            report.count.spots["none"],
            "options have no price of the underlying that holds: give --underlying, --spot parity or --underlying-age",
        ),
    )
    return "; ".join([*reasons, *(f"{number} {text}" for number, text in told if number)]) or "no quote is among them"


@dataclass(frozen=True, slots=True)
class _Reading:
    """Whose quotes are read, and how their files are."""

    symbol: str
    preset: str
    bar: int
    zone: str | None
    strict: bool
    max_age: int | None
    names: opra.Names = field(default_factory=dict)
    clock: WallClock = field(default_factory=WallClock)

    def rows(self, batch: Batch, mapping: Mapping, path: pathlib.Path, tally: Tally) -> pl.DataFrame:
        """A batch's usable rows, ``ts`` the end of the bar if it is one, with ``known``: when, microseconds."""
        rows = check(
            batch, mapping, str(path), tally, strict=self.strict, roots=roots_of(self.symbol), clock=self.clock
        )
        ended = pl.col("ts") + self.bar
        return rows.with_columns(ts=ended, known=pl.max_horizontal(ended, pl.col("recorded_at")))

    def generic(self, path: pathlib.Path) -> Mapping:
        """The map of a file with our own names."""
        mapping = generic_mapping(path)
        return dataclasses.replace(mapping, zone=self.zone or mapping.zone)


class _Held:
    """Events on their way into buckets, thinned: a bounded number is held, however many there are."""

    def __init__(self, buckets: SessionBuckets, cadence: int) -> None:
        self._buckets, self._cadence = buckets, cadence
        self._parts: list[pl.DataFrame] = []
        self._rows = 0

    def add(self, events: pl.DataFrame) -> None:
        """Hold events. Where they become many they are thinned, and handed on unless few of them are left."""
        if len(events):
            self._parts.append(events)
            self._rows += len(events)
        if self._rows >= _HELD_ROWS:
            thin = self._thinned()
            self._parts, self._rows = [thin], len(thin)
            if 2 * self._rows >= _HELD_ROWS:
                self.hand_on()

    def hand_on(self) -> None:
        """Put what is held into the buckets."""
        if self._parts:
            self._buckets.add(self._thinned())
        self._parts, self._rows = [], 0

    def _thinned(self) -> pl.DataFrame:
        events = pl.concat(self._parts)
        opens = {date: to_us(_session(date).open) for date in events["date"].unique().to_list()}
        return thinned(events, self._cadence, opens)


def _session(date: dt.date) -> Session:
    session = find_session(date)
    assert session is not None, "rows of days without a session are rejected"
    return session


def _events(path: pathlib.Path, reading: _Reading, report: QuotesReport) -> Iterator[pl.DataFrame]:
    """A file's events, batch by batch."""
    if reading.preset == "lean":
        parts = [*lean.events(path, reading.symbol, report.tally)]  # of one day
        if parts:
            events = pl.concat(parts)
            quotes = events.filter(pl.col("kind") == QUOTE)
            reading.clock.add(quotes)
            told = pl.concat([counted(quotes, report.quotes), events.filter(pl.col("kind") != QUOTE)])
            yield _timely(told, report)
        return
    before = report.tally.read + report.others
    for batch, mapping in _batches(path, reading, report):
        rows = reading.rows(batch, mapping, path, report.tally)
        quotes = rows.select(
            "date", "ts", "known", pl.lit(QUOTE, pl.Int8).alias("kind"), "strike", "call",
            pl.col("bid").alias("first"), pl.col("ask").alias("second"),
        )  # fmt: skip
        quotes = counted(quotes.select(EVENTS), report.quotes)
        rows = _timely(rows, report)
        if reading.max_age is not None:
            report.quotes.late += int((rows["known"] - rows["ts"] > reading.max_age).sum())
        yield quotes.filter(_in_time(quotes))
        yield _told_interest(rows)
        priced = rows.filter(pl.col("spot").is_not_null())
        yield priced.select(
            "date", "ts", "known", pl.lit(SPOT, pl.Int8).alias("kind"), pl.lit(0.0).alias("strike"),
            pl.lit(False).alias("call"), pl.col("spot").alias("first"), pl.lit(0.0).alias("second"),
        ).select(EVENTS)  # fmt: skip
    defines = reading.preset == "databento" and opra.is_definition(path)
    if report.tally.read + report.others == before and not defines:
        raise InputError("holds no quotes", path=str(path))


def _interest(path: pathlib.Path, reading: _Reading, report: QuotesReport) -> Iterator[pl.DataFrame]:
    """The open interest that a file with our own names tells, batch by batch."""
    mapping = reading.generic(path)
    if "open_interest" not in mapping.columns:
        raise InputError("lacks open_interest", path=str(path))
    before = report.tally.read
    reading = dataclasses.replace(reading, bar=0, clock=WallClock())
    for batch in read_batches(path, mapping, report.tally, strict=reading.strict):
        rows = reading.rows(batch, mapping, path, report.tally)
        yield _told_interest(_timely(rows, report))
    if report.tally.read == before:
        raise InputError("holds a header and no rows", path=str(path))
    if reading.zone is None:
        reading.clock.check(SECOND_ADVICE, str(path))


def _told_interest(rows: pl.DataFrame) -> pl.DataFrame:
    """What rows tell of open interest, as events."""
    told = rows.filter(pl.col("open_interest").is_not_null())
    return told.select(
        "date", "ts", "known", pl.lit(INTEREST, pl.Int8).alias("kind"), "strike", "call",
        pl.col("open_interest").alias("first"), pl.lit(None, pl.Float64).alias("second"),
    ).select(EVENTS)  # fmt: skip


def _in_time(rows: pl.DataFrame) -> pl.Series:
    """Which rows were known by the close of their session."""
    closes = {date: to_us(_session(date).close) for date in rows["date"].unique().to_list()}
    return rows["known"] <= rows["date"].replace_strict(closes, return_dtype=pl.Int64)


def _timely(rows: pl.DataFrame, report: QuotesReport) -> pl.DataFrame:
    """The rows that were known by the close; the others are counted."""
    kept = rows.filter(_in_time(rows))
    report.quotes.after_close += len(rows) - len(kept)
    return kept


def _batches(path: pathlib.Path, reading: _Reading, report: QuotesReport) -> Iterator[tuple[Batch, Mapping]]:
    if reading.preset == "databento":
        before = 0
        for rows in opra.rows(path, reading.names):
            lines = np.arange(before, before + len(rows))
            before += len(rows)
            if len(rows):
                yield Batch(rows, lines, 0), _DATABENTO
        return
    if reading.preset == "polygon":
        yield from _flat_file(path, reading, report)
        return
    mapping = reading.generic(path)
    report.ignored |= dict.fromkeys(name for name in _IGNORED if name in mapping.columns)
    for batch in read_batches(path, mapping, report.tally, strict=reading.strict):
        yield batch, mapping


def _flat_file(path: pathlib.Path, reading: _Reading, report: QuotesReport) -> Iterator[tuple[Batch, Mapping]]:
    """The rows of a day's file of all underlyings that are of one."""
    there = header_of(path)
    for column, held in _POLYGON_OTHERS.items():
        if column in there:
            raise InputError(f"holds {held}, no quotes: give the file of quotes_v1", path=str(path))
    roots = "|".join(map(re.escape, roots_of(reading.symbol)))
    own = pl.col("ticker").str.contains(rf"^O:({roots})\d{{6}}[CP]").fill_null(False)
    for batch in read_batches(path, _POLYGON, report.tally, strict=reading.strict):
        kept = batch.rows.select(own).to_series()
        report.others += len(kept) - int(kept.sum())
        yield Batch(batch.rows.filter(kept), batch.lines[kept.to_numpy()], batch.bytes_read), _POLYGON


def price_events(underlying: Prices) -> pl.DataFrame:
    """Prices of the underlying as events of their sessions."""
    return underlying.frame.select(
        new_york_day("known").alias("date"), pl.col("known").alias("ts"), pl.col("recorded").alias("known"),
        pl.lit(SPOT, pl.Int8).alias("kind"), pl.lit(0.0).alias("strike"), pl.lit(False).alias("call"),
        pl.col("price").alias("first"), pl.lit(2.0).alias("second"),
    ).select(EVENTS)  # fmt: skip
