"""What a lake holds: sessions, and for each its tiers, clocks, gaps, revisions, columns and conventions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from replay import schema
from replay.contract import is_symbol
from replay.errors import LakeError
from replay.sessions import LATEST, SECOND, find_session, from_us, to_us
from replay.storage.columns import Footer
from replay.storage.files import FileStore, Partition, partitions
from replay.storage.reader import Reader, StoredTimeline

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Holding:
    """One session of one symbol, as its finest tier has it with everything recorded since.

    ``snapshots`` counts instants, ``legacy`` those without strikes, ``revisions`` the stored rows that correct an
    earlier one; ``cadence``, ``lag`` and ``longest_gap`` are seconds, the last between open and close; ``strikes``
    counts the distinct ones; ``columns`` are those of which anything is stored. ``fault`` says what keeps the session
    from being read; all else is empty then.
    """

    symbol: str
    date: dt.date
    tiers: str
    snapshots: int
    legacy: int
    first: dt.datetime | None
    last: dt.datetime | None
    cadence: float | None
    lag: float
    longest_gap: float
    strikes: int
    lowest: float | None
    highest: float | None
    revisions: int
    files: int
    columns: str
    conventions: str
    fault: str | None = None


def symbols(store: FileStore) -> list[str]:
    """The symbols of all tiers, sorted."""
    return sorted({partition.symbol for partition in partitions(store)})


def dates(store: FileStore, symbol: str) -> list[dt.date]:
    """The sessions of a symbol at any tier, ascending."""
    if not is_symbol(symbol):
        return []
    return sorted({partition.date for partition in partitions(store, symbol=symbol)})


def stored(store: FileStore, symbol: str | None = None) -> list[Partition]:
    """Every partition with a file to read, by symbol, date and tier."""
    return [each for each in partitions(store, symbol=symbol) if store.holds(each)]


def take(store: FileStore, reader: Reader, symbol: str | None = None) -> Iterator[Holding]:
    """Every session by symbol and date; a session without a row left is passed over."""
    for _, group in groupby(partitions(store, symbol=symbol), key=lambda p: (p.symbol, p.date)):
        tiers = list(group)
        try:
            held = [(p, timeline) for p in tiers if len((timeline := reader.timeline(p)).ts)]
            if held:
                yield _holding(reader, held[0][1], [p.tier for p, _ in held])
        except LakeError as error:
            yield _unreadable(tiers, error)


def _unreadable(tiers: list[Partition], error: LakeError) -> Holding:
    """A session that cannot be read: what there is of it, and why."""
    return Holding(
        symbol=tiers[0].symbol, date=tiers[0].date, tiers=" ".join(p.tier for p in tiers), snapshots=0, legacy=0,
        first=None, last=None, cadence=None, lag=0.0, longest_gap=0.0, strikes=0, lowest=None, highest=None,
        revisions=0, files=0, columns="", conventions="", fault=error.message,
    )  # fmt: skip


def _holding(reader: Reader, timeline: StoredTimeline, tiers: list[str]) -> Holding:
    partition = timeline.partition
    positions = timeline.visible(LATEST, LATEST)
    clocks = timeline.clocks(positions)
    strike = reader.snapshots(timeline, positions, ()).lists["strike"]
    grid = np.unique(np.concatenate([np.empty(0), *(strike.row(i) for i in range(len(strike)))]))
    session = find_session(partition.date)
    gaps = clocks.gaps(to_us(session.open), to_us(session.close)) if session else []
    step = clocks.median_step()
    footers = reader.footers(timeline)
    return Holding(
        symbol=partition.symbol,
        date=partition.date,
        tiers=" ".join(tiers),
        snapshots=len(clocks),
        legacy=int((~strike.known).sum()),
        first=from_us(int(clocks.ts[0])),
        last=from_us(int(clocks.ts[-1])),
        cadence=None if step is None else step / SECOND,
        lag=clocks.median_lag() / SECOND,
        longest_gap=max((end - start for start, end in gaps), default=0) / SECOND,
        strikes=len(grid),
        lowest=float(grid[0]) if len(grid) else None,
        highest=float(grid[-1]) if len(grid) else None,
        revisions=len(timeline.ts) - len(clocks),
        files=len(timeline.files),
        columns=" ".join(_columns_known(footers)),
        conventions=" ".join(sorted({footer.conventions or "unknown" for footer in footers})),
    )


def _columns_known(footers: list[Footer]) -> list[str]:
    """The per-strike columns of which any file stores a value, by its statistics; without those, its name will do."""
    known = set()
    for footer in footers:
        for group in range(footer.metadata.num_row_groups):
            chunks = footer.metadata.row_group(group)
            for i in range(chunks.num_columns):
                chunk = chunks.column(i)
                statistics = chunk.statistics
                empty = statistics is not None and statistics.has_null_count and not statistics.num_values
                if not empty:
                    known.add(chunk.path_in_schema.split(".", 1)[0])
    return [name for name in schema.LISTS if name in known]


def frame(holdings: Iterator[Holding]) -> pl.DataFrame:
    """Holdings as a table, one row a session; the times are UTC."""
    import polars as pl

    types: dict[str, pl.DataType | type[pl.DataType]] = {
        "str": pl.String,
        "int": pl.Int64,
        "float": pl.Float64,
        "dt.date": pl.Date,
        "dt.datetime": pl.Datetime("us", "UTC"),
    }
    columns = {field.name: types[str(field.type).removesuffix(" | None")] for field in fields(Holding)}
    return pl.DataFrame([asdict(holding) for holding in holdings], schema=columns)
