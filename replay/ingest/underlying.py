"""The underlying's price where a chain's rows do not hold it: from a file of its own, or by put-call parity."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from replay.errors import InputError
from replay.exposure.conventions import Conventions
from replay.ingest.clock import SECOND_ADVICE, WallClock
from replay.ingest.files import Tally, header_of, read_batches
from replay.ingest.mapping import Mapping
from replay.ingest.rows import PRICED
from replay.ingest.times import instant, new_york_day, text_of
from replay.ragged import Ints
from replay.sessions import MINUTE, NEW_YORK, Session

AGE_US: Final = 5 * MINUTE
"""How old a price of the underlying may be, unless said otherwise."""

NEAREST: Final = 5
"""How many strikes around the money put-call parity is taken at."""

_NAMES: Final = ("ts", "price", "recorded_at")


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the underlying: ``frame`` has ``known`` (microseconds since the epoch), ``price`` and ``recorded``, not
    before ``known``: when the file says that it was recorded. By known and then recorded."""

    frame: pl.DataFrame
    age_us: int = AGE_US

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with ``spot`` where it was null: the last price at or before their ``ts`` that was recorded by their
        ``recorded_at``, unless it is too old."""
        clocks = rows.select("ts", "recorded_at").unique()
        ts, recorded_at = (clocks[name].to_numpy() for name in ("ts", "recorded_at"))
        at = self.newest(ts, recorded_at)
        price = np.where(at >= 0, self.frame["price"].to_numpy()[np.maximum(at, 0)], np.nan)
        found = clocks.with_columns(price=pl.Series(price).fill_nan(None))
        joined = rows.join(found, on=["ts", "recorded_at"], how="left", maintain_order="left")
        return joined.with_columns(spot=pl.coalesce("spot", "price")).drop("price")

    def newest(self, ts: Ints, recorded_at: Ints) -> Ints:
        """Which price stood at each of N instants, as far as was recorded by then; -1 where none did."""
        known, recorded = (self.frame[name].to_numpy() for name in ("known", "recorded"))
        at = np.searchsorted(known, ts, side="right") - 1
        while True:
            at[(at >= 0) & (known[at] < ts - self.age_us)] = -1
            early = np.flatnonzero((at >= 0) & (recorded[at] > recorded_at))
            if not len(early):
                return np.asarray(at, np.int64)
            at[early] -= 1


def read_prices(
    files: Sequence[str | os.PathLike[str]], zone: str | None = None, bar_us: int = 0, age_us: int = AGE_US
) -> Prices:
    """Prices from CSV, CSV.gz or Parquet with the columns ``ts`` and ``price``, and maybe ``recorded_at``.

    Parameters
    ----------
    zone
        Of times without an offset; ``None``: New York, unless they look like UTC.
    bar_us
        The length of the bars whose starts ``ts`` are, microseconds: a bar's price is known at its end.
    age_us
        How old a price may be.

    Raises
    ------
    InputError
        If a file cannot be read, holds a time or price that cannot be, or its times look like UTC.
    """
    parts = []
    for file in files:
        path, tally, clock = pathlib.Path(file), Tally(), WallClock()
        names = [name for name in _NAMES if name != "recorded_at" or name in header_of(path)]
        mapping = Mapping("underlying", {name: name for name in names}, zone or str(NEW_YORK))
        for batch in read_batches(path, mapping, tally, strict=True):
            own = instant(batch.rows, "ts", mapping)
            part = batch.rows.with_columns(
                line=pl.Series(batch.lines),
                known=own["ts_us"] + bar_us,
                assumed=own["ts_assumed"],
                number=text_of("price").cast(pl.Float64, strict=False),
            )
            recorded = pl.col("known")
            if "recorded_at" in names:
                recorded = instant(batch.rows, "recorded_at", mapping)["recorded_at_us"]
            part = part.with_columns(recorded=recorded)
            sound = (pl.col("recorded") >= pl.col("known")) & pl.col("number").is_between(*PRICED)
            wrong = part.filter(~sound.fill_null(False))
            if len(wrong):
                held = ", ".join(f"{name} {wrong[name][0]!s}" for name in names)
                later = ", and a recorded_at not before the time" if "recorded_at" in names else ""
                raise InputError(
                    f"has {held}; a row is a time and a price above 0{later}",
                    path=str(path),
                    line=int(wrong["line"][0]),
                )
            clock.add(part.filter("assumed").select(date=new_york_day("known"), ts="known"))
            parts.append(part.select("known", pl.col("number").alias("price"), "recorded"))
        if zone is None:
            clock.check(SECOND_ADVICE, str(path))
    if not parts:
        raise InputError(f"{', '.join(str(file) for file in files)}: no price of the underlying")
    frame = pl.concat(parts).unique(["known", "recorded"], keep="last", maintain_order=True).sort("known", "recorded")
    return Prices(frame, age_us)


def with_parity(rows: pl.DataFrame, session: Session, conventions: Conventions) -> pl.DataFrame:
    """The rows with ``spot`` where it was null, as put-call parity implies it at each ``ts`` and ``recorded_at``.

    Of European options C - P = S exp(-qT) - K exp(-rT), so every strike at which both rights have an uncrossed quote of
    two sides, by the last row of each, gives S; taken is the median over the :data:`NEAREST` strikes at which the two
    mids are closest. American options near the money on the day they expire differ from that by less than their spread.
    Null where no strike tells.
    """
    two_sided = (pl.col("bid") > 0) & (pl.col("ask") >= pl.col("bid"))
    keys = ["ts", "recorded_at", "strike"]
    quotes = rows.filter(pl.col("spot").is_null()).unique([*keys, "call"], keep="last", maintain_order=True)
    mids = quotes.filter(two_sided).with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
    calls, puts = (mids.filter(side).select(*keys, "mid") for side in (pl.col("call"), ~pl.col("call")))
    both = calls.join(puts, on=keys, suffix="_put").with_columns(apart=(pl.col("mid") - pl.col("mid_put")).abs())
    years = pl.Series(conventions.years(session, both["ts"].to_numpy()), dtype=pl.Float64)
    both = both.with_columns(years=years).with_columns(
        implied=((pl.col("mid") - pl.col("mid_put")) + pl.col("strike") * (-conventions.rate * pl.col("years")).exp())
        * (conventions.dividend * pl.col("years")).exp()
    )
    nearest = (
        both.sort("ts", "recorded_at", "apart", "strike")
        .group_by("ts", "recorded_at", maintain_order=True)
        .head(NEAREST)
    )
    implied = nearest.group_by("ts", "recorded_at").agg(pl.col("implied").median().round(4))
    joined = rows.join(implied, on=["ts", "recorded_at"], how="left", maintain_order="left")
    positive = pl.when(pl.col("implied") > 0).then(pl.col("implied"))
    return joined.with_columns(spot=pl.coalesce("spot", positive)).drop("implied")
