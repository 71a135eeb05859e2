"""Snapshots in time order, as arrays: what leaves the lake and what matrices and levels are made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from replay.ragged import Bools, Floats, Ints, Ragged, nulls
from replay.sessions import Session, to_us

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of one session's visible snapshots, one a ts, ascending.

    ``ts``, ``recorded_at`` of the visible revision and ``first_recorded_at`` of the first one (R,) are microseconds
    since the epoch, UTC; ``cadence``, microseconds, is what the files' metadata give and agree on, else ``None``. Each
    stands in file number ``file`` (R,), whose metadata name the convention id ``named[file]``, ``None`` for none.
    """

    tier: str
    ts: Ints
    recorded_at: Ints
    first_recorded_at: Ints
    cadence: int | None
    file: Ints
    named: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def conventions(self) -> list[str | None]:
        """The convention id of each snapshot (R)."""
        return [self.named[number] for number in self.file.tolist()]

    @property
    def newest_conventions(self) -> str | None:
        """The convention id of the last snapshot; ``None`` also where there is none."""
        return self.named[self.file[-1]] if len(self) else None

    def median_step(self) -> int | None:
        """The cadence: as the metadata gives it, else the median step of ts, microseconds; ``None`` if unknown."""
        if self.cadence is not None:
            return self.cadence
        return int(np.median(np.diff(self.ts))) if len(self) > 1 else None

    def median_lag(self) -> int:
        """The lag: the median time from ts until anything was known of it, microseconds; 0 without snapshots."""
        return int(np.median(self.first_recorded_at - self.ts)) if len(self) else 0

    def gaps(self, opens: int, until: int) -> list[tuple[int, int]]:
        """Stretches longer than two cadences without a snapshot, from ``opens`` to ``until``, microseconds.

        Where the cadence is unknown, one minute stands in for it.
        """
        if until <= opens:
            return []
        step = self.median_step() or 60_000_000
        inside = self.ts[(self.ts >= opens) & (self.ts <= until)]
        edges = np.concatenate([[opens], inside, [until]])
        return [(int(edges[i]), int(edges[i + 1])) for i in np.flatnonzero(np.diff(edges) > 2 * step)]

    def session_gaps(self, session: Session | None, as_of: int) -> list[tuple[int, int]]:
        """The gaps of a session as known at a moment: up to the close, or the moment less the usual lag."""
        if session is None:
            return []
        return self.gaps(to_us(session.open), min(as_of - self.median_lag(), to_us(session.close)))

    def gaps_in_window(self, session: Session | None, as_of: int, since: int) -> tuple[tuple[int, int], ...]:
        """The gaps of a session known at a moment that reach into the window which begins at ``since``."""
        return tuple(gap for gap in self.session_gaps(session, as_of) if gap[1] > since)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All stored rows of one session at one tier, by (ts, recorded_at): which of them is visible when.

    ``ts``, ``recorded_at``, ``superseded_at`` (N,) are microseconds since the epoch, UTC; row ``i`` is visible where
    ``ts <= as_of`` and ``recorded_at <= known_at < superseded_at``. It stands in file number ``file[i]``, whose
    metadata give ``cadences[file[i]]``, microseconds or ``None``, and the convention id ``conventions[file[i]]``.
    """

    tier: str
    ts: Ints
    recorded_at: Ints
    superseded_at: Ints
    file: Ints
    cadences: tuple[int | None, ...]
    conventions: tuple[str | None, ...]

    def visible(self, as_of: int, known_at: int) -> Ints:
        """Positions of the rows visible at a moment, ascending by ts, one a ts."""
        seen = (self.ts <= as_of) & (self.recorded_at <= known_at) & (known_at < self.superseded_at)
        return np.flatnonzero(seen)

    def clocks(self, positions: Ints) -> Clocks:
        """The clocks of these rows; a file without one of them, or without a cadence, has no say in the cadence."""
        file = self.file[positions]
        cadences = {self.cadences[number] for number in np.unique(file).tolist()} - {None}
        cadence = cadences.pop() if len(cadences) == 1 else None
        ts = self.ts[positions]
        first = self.recorded_at[np.searchsorted(self.ts, ts, side="left")]
        return Clocks(self.tier, ts, self.recorded_at[positions], first, cadence, file, self.conventions)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """R snapshots, ascending by ts.

    ``ts`` and ``recorded_at`` (R,) are microseconds since the epoch, UTC; ``spot`` (R,) USD; ``lists`` holds one
    :class:`~replay.ragged.Ragged` of R rows a column, parallel to ``lists["strike"]``.
    """

    ts: Ints
    recorded_at: Ints
    spot: Floats
    lists: dict[str, Ragged]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def has_strikes(self) -> Bools:
        """Which snapshots carry per-strike data (R,); the others are legacy v1 rows."""
        return self.lists["strike"].known

    def take(self, rows: Any) -> Snapshots:
        """These snapshots only: a mask or positions."""
        return Snapshots(
            self.ts[rows],
            self.recorded_at[rows],
            self.spot[rows],
            {name: column.take(rows) for name, column in self.lists.items()},
        )


def no_snapshots(columns: Sequence[str] = ()) -> Snapshots:
    """None at all, with these list columns."""
    none = np.empty(0, np.int64)
    return Snapshots(none, none, np.empty(0), {name: nulls(0) for name in ("strike", *columns)})


def no_timeline(tier: str) -> Timeline:
    """A timeline without rows."""
    none = np.empty(0, np.int64)
    return Timeline(tier, none, none, none, none, (), ())


def no_clocks(tier: str) -> Clocks:
    """The clocks of nothing."""
    none = np.empty(0, np.int64)
    return Clocks(tier, none, none, none, None, none, ())


def to_polars(snapshots: Snapshots, *, tier: str, symbol: str, expiration: dt.date) -> pl.DataFrame:
    """One row a snapshot: the clocks (UTC), spot, and the list columns; a list that is not known is null."""
    import polars as pl

    def clock(us: Ints) -> pl.Series:
        return pl.Series(us).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")

    fixed = {
        "tier": pl.repeat(tier, len(snapshots), dtype=pl.String, eager=True),
        "symbol": pl.repeat(symbol, len(snapshots), dtype=pl.String, eager=True),
        "ts": clock(snapshots.ts),
        "recorded_at": clock(snapshots.recorded_at),
        "spot": pl.Series(snapshots.spot).fill_nan(None),
        "expiration": pl.repeat(expiration, len(snapshots), dtype=pl.Date, eager=True),
    }
    lists = {name: pl.Series(column.to_arrow()) for name, column in snapshots.lists.items()}
    return pl.DataFrame(fixed | lists)
