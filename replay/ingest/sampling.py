"""Sparse quotes of contracts sampled onto a cadence: at each instant what was last known, unless it is too old."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from replay.ragged import Bools, Floats, Ints
from replay.sessions import Session, to_us

EVENTS: Final = ("date", "ts", "known", "kind", "strike", "call", "first", "second")
"""Columns of events: the session, of when it is and when it was known (microseconds since the epoch), what it is, the
contract, and of a quote bid and ask, of open interest the contracts, of trades their size, of the underlying (strike 0)
its price and rank: of prices of one instant that of the highest counts. Trades of size 0 at strike 0 say that the
session's trades are told, whether or not there are any."""

EVENT_TYPES: Final = (pl.Date, pl.Int64, pl.Int64, pl.Int8, pl.Float64, pl.Boolean, pl.Float64, pl.Float64)

QUOTE, INTEREST, TRADED, SPOT = range(4)
_CONTRACT: Final = ["strike", "call"]
_NEWEST: Final = ("ts", "known")
"""What orders quotes and open interest: one that comes late says nothing where a newer one is known."""
_NEWEST_PRICE: Final = ("ts", "second", "known")


@dataclass(slots=True)
class QuoteCount:
    """What became of quotes: events by kind, and options of snapshots by how they are quoted."""

    events: Counter[str] = field(default_factory=Counter)
    quoted: Counter[str] = field(default_factory=Counter)
    after_close: int = 0  # rows known after the close
    late: int = 0  # rows older than a quote may be when they became known
    no_spot: int = 0  # instants with a quote and without a price of the underlying


def counted(quotes: pl.DataFrame, count: QuoteCount) -> pl.DataFrame:
    """Quote events with what is no quote made unknown: prices not above 0, and both of a crossed quote."""
    bid, ask = (pl.when(pl.col(name) > 0).then(pl.col(name)) for name in ("first", "second"))
    quotes = quotes.with_columns(first=bid, second=ask)
    both = pl.col("first").is_not_null() & pl.col("second").is_not_null()
    told = quotes.select(
        crossed=(both & (pl.col("first") > pl.col("second"))).sum(),
        locked=(both & (pl.col("first") == pl.col("second"))).sum(),
        two_sided=(both & (pl.col("first") < pl.col("second"))).sum(),
        one_sided=(pl.col("first").is_not_null() ^ pl.col("second").is_not_null()).sum(),
        empty=(pl.col("first").is_null() & pl.col("second").is_null()).sum(),
    ).row(0, named=True)
    for name, number in told.items():
        count.events[name] += int(number)
    sound = ~(both & (pl.col("first") > pl.col("second")))
    return quotes.with_columns(pl.when(sound).then(pl.col(name)).alias(name) for name in ("first", "second"))


def slots(known: pl.Expr, opens: pl.Expr, cadence: int) -> pl.Expr:
    """The first instant of the cadence from the open at which something is known, counted from 0."""
    return pl.max_horizontal((known - opens + (cadence - 1)) // cadence, pl.lit(0)).cast(pl.Int64)


def thinned(events: pl.DataFrame, cadence: int, opens: dict[object, int]) -> pl.DataFrame:
    """Events without those that no sample can show: of a contract and instant the newest is kept, of trades the sum.

    ``opens`` gives each session's open, microseconds; what is not of one of them is left out. Keeps memory to the
    number of instants times contracts, however many ticks there are.
    """
    starts = pl.DataFrame(
        {"date": list(opens), "opens": list(opens.values())}, schema={"date": pl.Date, "opens": pl.Int64}
    )
    known = events.join(starts, on="date", maintain_order="left").with_columns(
        slot=slots(pl.col("known"), pl.col("opens"), cadence)
    )
    keys = ["date", "kind", "slot", *_CONTRACT]
    traded = known.filter(pl.col("kind") == TRADED)
    sums = traded.group_by(keys, maintain_order=True).agg(
        pl.col("ts", "known").max(), pl.col("first").sum(), pl.col("second").first()
    )
    rest = known.filter(~pl.col("kind").is_in([TRADED, SPOT])).sort(_NEWEST, maintain_order=True)
    prices = known.filter(pl.col("kind") == SPOT).sort(_NEWEST_PRICE, maintain_order=True)
    last = [each.unique(keys, keep="last", maintain_order=True).select(EVENTS) for each in (rest, prices)]
    return pl.concat([*last, sums.select(EVENTS)])


def sample(
    events: pl.DataFrame, session: Session, cadence: int, max_age: int | None, spot_age: int | None, count: QuoteCount
) -> pl.DataFrame:
    """One session's events as option rows, as :func:`replay.ingest.chain.snapshots_of` takes them.

    Parameters
    ----------
    events
        :data:`EVENTS`, in any order, later ones of one instant after earlier ones.
    cadence
        Microseconds between instants, from the open to the close inclusive.
    max_age, spot_age
        Microseconds for which a quote, and a price of the underlying, holds from its ``ts`` on; ``None``: the session.

    An event counts from when it was known, unless a newer one is known by then. At each instant at which any quote
    holds, every contract known of by then has a row: quoted, or not known. ``spot`` is null where no price of the
    underlying holds.
    """
    opens, closes = to_us(session.open), to_us(session.close)
    events = events.filter(pl.col("known") <= closes).with_columns(slot=slots(pl.col("known"), pl.lit(opens), cadence))
    instants = np.arange(opens, closes + 1, cadence, dtype=np.int64)
    events = events.filter(pl.col("slot") < len(instants)).sort(_NEWEST, maintain_order=True)
    options = events.filter(pl.col("kind") != SPOT)
    contracts = options.select(_CONTRACT).unique().sort(_CONTRACT).with_row_index("contract")
    options = options.join(contracts, on=_CONTRACT, maintain_order="left")
    shape = (len(instants), len(contracts))
    quoted, (bid, ask) = _held(options.filter(pl.col("kind") == QUOTE), shape, ("first", "second"))
    heard, (interest,) = _held(options.filter(pl.col("kind") == INTEREST), shape, ("first",))
    oldest = np.zeros_like(instants) if max_age is None else instants - max_age
    holds = quoted >= oldest[:, None]
    stale: Bools = np.asarray(~holds & (quoted >= 0), np.bool_)
    bid, ask = np.where(holds, bid, np.nan), np.where(holds, ask, np.nan)
    listed = (quoted >= 0) | (heard >= 0)
    shown: Bools = np.asarray((~np.isnan(bid) | ~np.isnan(ask)).any(axis=1), np.bool_)
    prices = events.filter(pl.col("kind") == SPOT).sort(_NEWEST_PRICE, maintain_order=True)
    spot = _spot(prices.with_columns(contract=0), instants, spot_age)
    at = np.flatnonzero((listed & shown[:, None]).ravel())
    row, column = at // shape[1], at % shape[1]
    _count_quoted(bid.ravel()[at], ask.ravel()[at], stale.ravel()[at], count)
    traded = options.filter(pl.col("kind") == TRADED)
    volume = _volume(traded, shape).ravel()[at] if len(traded) else np.full(len(at), np.nan)
    side = contracts["call"].to_numpy()
    return pl.DataFrame(
        {
            "ts": instants[row], "recorded_at": instants[row], "spot": spot[row],
            "strike": contracts["strike"].to_numpy()[column], "call": side[column], "bid": bid.ravel()[at],
            "ask": ask.ravel()[at], "iv": np.full(len(at), np.nan), "volume": volume,
            "open_interest": interest.ravel()[at],
        }
    ).with_columns(pl.col("spot", "bid", "ask", "iv", "volume", "open_interest").fill_nan(None))  # fmt: skip


def _held(events: pl.DataFrame, shape: tuple[int, int], names: tuple[str, ...]) -> tuple[Ints, list[Floats]]:
    """At each instant and contract (G, C): of when the newest event known is, -1 before any, and its values.

    ``events`` are ascending by how new they are.
    """
    last = np.full(shape, -1, np.int64)
    rows = np.arange(len(events))
    last[events["slot"].to_numpy(), events["contract"].to_numpy()] = rows  # newer events of a slot overwrite older ones
    last = np.maximum.accumulate(last, axis=0) if len(events) else last
    times = events["ts"].to_numpy()
    ts = np.where(last >= 0, times[np.maximum(last, 0)] if len(events) else -1, -1)
    found = []
    for name in names:
        values = events[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        found.append(np.where(last >= 0, values[np.maximum(last, 0)] if len(events) else np.nan, np.nan))
    return ts, found


def _volume(events: pl.DataFrame, shape: tuple[int, int]) -> Floats:
    """Contracts traded up to each instant (G, C)."""
    sizes = np.zeros(shape)
    np.add.at(sizes, (events["slot"].to_numpy(), events["contract"].to_numpy()), events["first"].to_numpy())
    return np.cumsum(sizes, axis=0)


def _spot(events: pl.DataFrame, instants: Ints, age: int | None) -> Floats:
    """The underlying's newest price known at each instant (G,), NaN where there is none, or it is too old."""
    ts, (price,) = _held(events, (len(instants), 1), ("first",))
    too_old = np.zeros_like(instants, np.bool_) if age is None else instants - ts[:, 0] > age
    return np.where(too_old, np.nan, price[:, 0])


def _count_quoted(bid: Floats, ask: Floats, stale: Bools, count: QuoteCount) -> None:
    has_bid, has_ask = ~np.isnan(bid), ~np.isnan(ask)
    count.quoted["two-sided"] += int((has_bid & has_ask).sum())
    count.quoted["one-sided"] += int((has_bid ^ has_ask).sum())
    count.quoted["too old"] += int(stale.sum())
    count.quoted["not quoted"] += int((~has_bid & ~has_ask & ~stale).sum())
