"""The forms that chains come in: column maps, and those that no map can say."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from replay.errors import InputError
from replay.ingest.cboe import DELAY_US, JSON, QUOTEDATA, cboe_mapping, delayed_json, quotedata
from replay.ingest.chain import ChainCount
from replay.ingest.files import Batch, Tally, header_of, read_batches
from replay.ingest.mapping import OPTIONAL, REQUIRED, SIDES, Mapping, preset, presets

THETADATA: Final = "thetadata"
GENERIC: Final = "generic"


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
        if self.name == QUOTEDATA:
            yield quotedata(path, DELAY_US if self.delay_us is None else self.delay_us), cboe_mapping(self.name)
            return
        if self.name == JSON:
            yield delayed_json(path), cboe_mapping(self.name)
            return
        mapping = self.mapping or (thetadata_mapping(path) if self.joins else generic_mapping(path))
        delay = mapping.delay_us if self.delay_us is None else self.delay_us
        mapping = dataclasses.replace(mapping, delay_us=delay, zone=self.zone or mapping.zone)
        for batch in read_batches(path, mapping, tally, strict=strict):
            yield batch, mapping


def names() -> list[str]:
    """The names of all presets."""
    return sorted([*presets(), QUOTEDATA, JSON, THETADATA, GENERIC])


def source(name: str) -> Source:
    """A preset. Raises :class:`~replay.errors.InputError` listing what there is."""
    if name not in names():
        raise InputError(f"no preset {name!r}; there are {', '.join(names())}")
    return Source(name, preset(name) if name in presets() else None)


def generic_mapping(path: pathlib.Path) -> Mapping:
    """The map of a file with our own column names, of which it may lack the optional ones.

    Raises :class:`~replay.errors.InputError` naming the columns that are missing.
    """
    there = header_of(path)
    ours = (*REQUIRED, *(name for name in OPTIONAL if name != "date"))  # our ts is whole; a date beside it says no more
    columns: dict[str, str] = {name: name for name in ours if name in there}
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


def joined(rows: pl.DataFrame, count: ChainCount) -> pl.DataFrame:
    """One session's rows of several files about the same contracts as one row a contract and instant.

    Of each column the last known value is taken; rows that say the same, or otherwise, are counted. Open interest,
    which comes once a day, holds for all the day's instants from its own on; rows that know nothing else are no
    snapshot.
    """
    keys = ["ts", "recorded_at", "strike", "call"]
    values = ["spot", *SIDES]
    distinct = rows.unique()
    differing = distinct.group_by(keys).agg(pl.col(*values).drop_nulls().n_unique())
    count.repeated += len(rows) - len(distinct)
    count.contradicting += sum((differing.select(pl.max_horizontal(*values)).to_series() - 1).clip(0).to_list())
    merged = rows.group_by(keys, maintain_order=True).agg(pl.col(*values).drop_nulls().last(), pl.col("date").first())
    daily = (
        merged.filter(pl.col("open_interest").is_not_null()).select("strike", "call", "ts", "open_interest").sort("ts")
    )
    told = pl.any_horizontal(pl.col("bid", "ask", "iv", "volume").is_not_null())
    kept = merged.filter(told).sort("ts", maintain_order=True)
    count.interest_alone += len(merged) - len(kept)
    found = kept.drop("open_interest").join_asof(daily, on="ts", by=["strike", "call"], check_sortedness=False)
    return found.select(rows.columns)
