"""The underlying's price where a chain's rows do not hold it: from a file of its own, or by put-call parity."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from replay.errors import InputError
from replay.exposure.conventions import Conventions
from replay.ingest.mapping import Mapping
from replay.ingest.rows import Tally, read_batches
from replay.ingest.times import instant, text_of
from replay.sessions import MINUTE, Session

AGE_US: Final = 5 * MINUTE
"""How old a price of the underlying may be, unless said otherwise."""

NEAREST: Final = 5
"""How many strikes around the money put-call parity is taken at."""

_NAMES: Final = ("ts", "price")


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the underlying: ``frame`` has ``known`` (microseconds since the epoch, ascending) and ``price``."""

    frame: pl.DataFrame
    age_us: int = AGE_US

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with ``spot`` where it was null: the last price at or before their ``ts``, unless it is too old."""
        instants_ = rows.select("ts").unique().sort("ts")
        found = instants_.join_asof(
            self.frame, left_on="ts", right_on="known", strategy="backward", tolerance=self.age_us
        )
        joined = rows.join(found.select("ts", "price"), on="ts", how="left", maintain_order="left")
        return joined.with_columns(spot=pl.coalesce("spot", "price")).drop("price")


def read_prices(files: Sequence[str | os.PathLike[str]], zone: str, bar_us: int = 0, age_us: int = AGE_US) -> Prices:
    """Prices from CSV, CSV.gz or Parquet with the columns ``ts`` and ``price``.

    Parameters
    ----------
    zone
        Of times without an offset.
    bar_us
        The length of the bars whose starts ``ts`` are, microseconds: a bar's price is known at its end.
    age_us
        How old a price may be.

    Raises
    ------
    InputError
        If a file cannot be read, or holds a time or price that cannot be.
    """
    mapping = Mapping("underlying", {"ts": "ts", "spot": "price"}, zone)
    parts = []
    for file in files:
        path, tally = pathlib.Path(file), Tally()
        for batch in read_batches(path, mapping, tally, strict=True):
            known = instant(batch.rows, "ts", mapping)["ts_us"]
            number = text_of("price").cast(pl.Float64, strict=False)
            part = batch.rows.with_columns(line=pl.Series(batch.lines), known=known, number=number)
            sound = pl.col("known").is_not_null() & pl.col("number").is_finite() & (pl.col("number") > 0)
            wrong = part.filter(~sound.fill_null(False))
            if len(wrong):
                held = ", ".join(f"{name} {wrong[name][0]!s}" for name in _NAMES)
                raise InputError(
                    f"has {held}; a row is a time and a price above 0", path=str(path), line=int(wrong["line"][0])
                )
            parts.append(part.select(pl.col("known") + bar_us, pl.col("number").alias("price")))
    if not parts:
        raise InputError(f"{', '.join(str(file) for file in files)}: no price of the underlying")
    frame = pl.concat(parts).unique("known", keep="last", maintain_order=True).sort("known")
    return Prices(frame, age_us)


def with_parity(rows: pl.DataFrame, session: Session, conventions: Conventions) -> pl.DataFrame:
    """The rows with ``spot`` where it was null, as put-call parity implies it at each ``ts`` and ``recorded_at``.

    Of European options C - P = S exp(-qT) - K exp(-rT), so every strike at which both rights have an uncrossed quote of
    two sides gives S; taken is the median over the :data:`NEAREST` strikes at which the two mids are closest. American
    options near the money on the day they expire differ from that by less than their spread. Null where no strike
    tells.
    """
    two_sided = (pl.col("bid") > 0) & (pl.col("ask") >= pl.col("bid"))
    mids = rows.filter(pl.col("spot").is_null() & two_sided).with_columns(mid=(pl.col("bid") + pl.col("ask")) / 2)
    keys = ["ts", "recorded_at", "strike"]
    calls, puts = (
        mids.filter(side).unique(keys, keep="last").select(*keys, "mid") for side in (pl.col("call"), ~pl.col("call"))
    )
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
