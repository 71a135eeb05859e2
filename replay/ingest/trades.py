"""Ingest of trades: prints with the quote before them become the signed flow of stored snapshots."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import polars as pl

from replay import schema
from replay.contract import is_symbol, normalise_symbol
from replay.errors import ConflictingRow, InputError, NoLake
from replay.exposure.conventions import REPLAY_1, known_conventions
from replay.ingest.buckets import SessionBuckets
from replay.ingest.clock import WallClock
from replay.ingest.files import Count, Tally, read_batches
from replay.ingest.flow import flow_of
from replay.ingest.mapping import Mapping
from replay.ingest.prints import PRESETS, PrintCount, as_asked, mapping_of, prints
from replay.ingest.signing import RULES, aggressors, in_order, places, tick_signs
from replay.sessions import find_session
from replay.storage.files import Partition, open_files
from replay.storage.rows import as_table
from replay.storage.writer import LakeWriter

COVERAGES: Final = ("chain", "seen")

_SAME: Final = ("expires", "strike", "call", "ts", "sequence", "price", "size")
"""What two records of one print have in common, where the file numbers them."""
_FIRST: Final = ("bid", "ask", "late", "leg")
"""What decides between records of one print that became known together."""


@dataclass(frozen=True, slots=True)
class SessionFlow:
    """One session's ``rows`` that the prints reach, how many of them are ``new``, and when its last print became known
    (``until``, microseconds)."""

    rows: int
    new: int
    until: int


@dataclass(slots=True)
class TradesReport:
    """What an ingest did: ``tally`` of the rows and ``count`` of prints that stand apart; of all prints signed, by
    (place, sign), how many ``prints`` and ``contracts``; and where those that expire on their own day went. In
    ``aged_out`` are those left out of a session whose raw was removed.

    ``late`` became known after they were traded, ``disorderly`` are reported late or after a later one of their
    contract, ``legs`` are part of a trade of several options, and rows of ``unnamed`` conventions are valued by
    replay-1.
    """

    symbol: str
    files: int
    tally: Tally = field(default_factory=Tally)
    count: PrintCount = field(default_factory=PrintCount)
    prints: Counter[tuple[int, int]] = field(default_factory=Counter)
    contracts: Counter[tuple[int, int]] = field(default_factory=Counter)
    disorderly: int = 0
    legs: int = 0
    late: int = 0
    after_last: Count = field(default_factory=Count)
    unlisted: Count = field(default_factory=Count)
    unnamed: int = 0
    sessions: dict[dt.date, SessionFlow] = field(default_factory=dict)
    aged_out: dict[dt.date, int] = field(default_factory=dict)


def ingest_trades(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str] | None,
    symbol: str,
    mapping: Mapping | str,
    *,
    rule: str = "quote",
    coverage: str = "chain",
    delay_us: int | None = None,
    zone: str | None = None,
    strict: bool = False,
    filesystem: Any | None = None,
) -> TradesReport:
    """Sign prints and add them, as flow since the snapshot before, to the snapshots that a lake holds.

    A print counts in the first snapshot whose ``ts`` is not before the print became known, in every stored revision of
    it, valued with that revision's own vols and spot. A record that cancels a print is left out; the print was known
    and stays. Late reports are flow, but no price that another print is held against.

    Parameters
    ----------
    files
        CSV, CSV.gz or Parquet, one row a print, with the quote before it where the rule needs one.
    lake
        A lake that holds the sessions' snapshots; ``None``: only classify.
    mapping
        Which column is what, or one of :data:`PRESETS`.
    rule
        One of :data:`replay.ingest.signing.RULES`.
    coverage
        ``chain``: the files hold every print of the chain from the open up to their last one: a contract without any
        had none. ``seen``: of a contract nothing is known before its first print.
    delay_us, zone
        Instead of the map's: microseconds from a trade until it became known, and the zone of times without offset.
    strict
        Refuse a file with a row that cannot be used.

    Raises
    ------
    InputError
        If a file cannot be read, no row of all can be used, or the lake holds no snapshot of a session. Nothing is
        written then.
    ConflictingRow
        If a snapshot has other flow already. Sessions before it, by date, have been written whole.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    if rule not in RULES or coverage not in COVERAGES:
        raise InputError(f"rule {rule!r} is to be one of {', '.join(RULES)}, coverage {coverage!r} chain or seen")
    paths = [pathlib.Path(file) for file in files]
    twice = [path for path, times in Counter(each.resolve() for each in paths).items() if times > 1]
    if twice:
        raise InputError("is given twice: its prints would count twice", path=str(twice[0]))
    report = TradesReport(name, len(paths))
    source = mapping if isinstance(mapping, str) else mapping.name
    dates: set[dt.date] = set()
    clock = WallClock()
    with SessionBuckets() as buckets:
        for number, path in enumerate(paths):
            columns = as_asked(mapping_of(path, mapping), delay_us, zone)
            before = report.tally.read
            for batch in read_batches(path, columns, report.tally, strict=strict):
                usable = prints(batch, columns, str(path), name, report.tally, report.count, strict=strict, clock=clock)
                others = usable.filter(pl.col("expires") != pl.col("date"))
                if len(others):
                    report.tally.other_expirations.add(len(others), str(path), int(others["line"][0]))
                dates.update(usable.filter(pl.col("expires") == pl.col("date"))["date"].unique())
                buckets.add(usable.with_columns(file=pl.lit(number, pl.Int32)))
            if report.tally.read == before:
                raise InputError("holds a header and no rows", path=str(path))
        if zone is None:
            clock.check()
        with contextlib.ExitStack() as stack:
            store = None
            if lake is not None and dates:
                store = stack.enter_context(_Store(lake, filesystem, name, seen=coverage == "seen"))
                store.check(sorted(dates))
            for date, rows in buckets.sessions():
                own = signed(_distinct(rows, report, paths), rule, report).filter(pl.col("expires") == date)
                if store is not None and len(own):
                    store.add(date, own, report, f"trades:{source} rule={rule} coverage={coverage}", paths)
    if not (report.prints if lake is None else report.sessions or report.aged_out):
        reasons = [f"{each.rows}: each {reason}{each.example}" for reason, each in report.tally.rejected.items()]
        elsewhere = report.tally.other_expirations.rows
        if lake is not None and elsewhere:
            reasons.append(f"{elsewhere} expire on another date, which --classify-only counts")
        cancelled = report.count.cancelled.rows
        reasons += [f"{cancelled} {'cancels' if cancelled == 1 else 'cancel'} another print"] if cancelled else []
        raise InputError(f"none of {report.tally.read} rows can be used; {'; '.join(reasons)}")
    return report


def _distinct(rows: pl.DataFrame, report: TradesReport, paths: Sequence[pathlib.Path]) -> pl.DataFrame:
    """One session's prints without those that repeat another's number, contract, time, price and size; counted."""
    if rows["sequence"].null_count() == len(rows):
        return rows
    # of several records of a print the one that came first tells when it was known, in whatever order files have them
    earliest = rows.with_row_index("place").sort("known", *_FIRST, "place")
    first = earliest.filter(pl.struct(_SAME).is_first_distinct())["place"]
    again = rows["sequence"].is_not_null() & ~pl.int_range(len(rows), eager=True).is_in(first.implode())
    if again.any():
        _count(report.count.repeated, rows.filter(again), paths)
    return rows.filter(~again)


def signed(rows: pl.DataFrame, rule: str, report: TradesReport) -> pl.DataFrame:
    """One session's prints in the order in which they became known, with their ``sign``; counted."""
    rows = rows.sort("known", "ts", "sequence", maintain_order=True)
    contract = rows.select(pl.struct("expires", "strike", "call").rank("dense").cast(pl.Int64)).to_series().to_numpy()
    price, bid, ask = (rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("price", "bid", "ask"))
    ordered = np.zeros(len(rows), np.bool_)
    prompt = np.flatnonzero(~rows["late"].to_numpy())
    ordered[prompt] = in_order(contract[prompt], rows["ts"].to_numpy()[prompt])
    place = places(price, bid, ask)
    sign = aggressors(place, tick_signs(price, contract, ordered), rule)
    size = rows["size"].to_numpy()
    kind = place.astype(np.int64) * 3 + sign + 1
    prints_of, contracts_of = np.bincount(kind), np.bincount(kind, weights=size)
    for each in np.flatnonzero(prints_of).tolist():
        report.prints[each // 3, each % 3 - 1] += int(prints_of[each])
        report.contracts[each // 3, each % 3 - 1] += int(contracts_of[each])
    report.disorderly += int((~ordered).sum())
    report.legs += int(rows["leg"].sum())
    return rows.with_columns(sign=pl.Series(sign))


def _count(count: Count, rows: pl.DataFrame, paths: Sequence[pathlib.Path], *, strike: bool = False) -> None:
    """Count prints, with the place of the one that stands first."""
    if len(rows):
        first = rows.sort("file", "line").row(0, named=True)
        example = f"{first['strike']:g}" if strike else ""
        count.add(len(rows), str(paths[first["file"]]), first["line"], example)


class _Store:
    """A lake whose snapshots get their flow. Use in a ``with``."""

    def __init__(self, lake: str | os.PathLike[str], filesystem: Any | None, symbol: str, *, seen: bool) -> None:
        self._files = open_files(lake, filesystem)
        if not self._files.exists():
            raise NoLake(
                f"{self._files.root} does not exist; trades go into the snapshots of a lake: "
                "ingest a chain or quotes first"
            )
        self._symbol, self._seen = symbol, seen
        self._writer = LakeWriter(lake, filesystem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def check(self, dates: Sequence[dt.date]) -> None:
        """Raise unless the lake holds snapshots of all these sessions."""
        stored = {date: Partition("raw", self._symbol, date) for date in dates}
        missing = [
            date for date, each in stored.items() if not self._files.names(each) and not self._writer.is_aged_out(each)
        ]
        if missing:
            raise InputError(
                f"the lake holds no snapshot of {self._symbol} on {', '.join(map(str, missing))}; "
                "ingest its chain or quotes first"
            )

    def add(
        self, date: dt.date, rows: pl.DataFrame, report: TradesReport, source: str, paths: Sequence[pathlib.Path]
    ) -> None:
        """Enrich the stored snapshots of a session by its prints."""
        partition, session = Partition("raw", self._symbol, date), find_session(date)
        assert session is not None, "prints of days without a session are rejected"
        if self._writer.is_aged_out(partition):
            report.aged_out[date] = len(rows)
            return
        timeline, stored = self._writer.rows(partition)
        ids = [timeline.conventions[number] for number in timeline.file.tolist()]
        held = [known_conventions(each) for each in ids]
        flow = flow_of(rows, stored, session, [each or REPLAY_1 for each in held], seen=self._seen)
        try:
            new = self._writer.enrich(partition, as_table(flow.rows, date), schema.metadata(source=source))
        except ConflictingRow as error:
            raise ConflictingRow(
                f"{error.message}; give all of a session's trades in one command, by the same rule, or use a new lake"
            ) from error
        report.late += int((rows["known"] > rows["ts"]).sum())
        report.unnamed += sum(each is None for each in held)
        _count(report.after_last, rows.filter(flow.after_last), paths)
        _count(report.unlisted, rows.filter(flow.unlisted), paths, strike=True)
        report.sessions[date] = SessionFlow(len(flow.rows), new, int(rows["known"].max()))  # type: ignore[arg-type]


__all__ = ["COVERAGES", "PRESETS", "SessionFlow", "TradesReport", "ingest_trades"]
