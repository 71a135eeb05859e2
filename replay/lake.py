"""The lake as its user sees it: heatmaps, levels and snapshots of any past moment."""

from __future__ import annotations

import datetime as dt
import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from replay import contract, heatmap, levels, schema
from replay.errors import InvalidMetric, InvalidTime
from replay.exposure.conventions import known_conventions
from replay.exposure.restate import EFFECTIVE, FLOWS, Restatement, flow_so_far, knows_flow, no_flow
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.sessions import (
    LATEST,
    MINUTE,
    find_session,
    floor_minute,
    parse_date,
    parse_known_at,
    parse_moment,
    session_date,
    to_us,
)
from replay.snapshots import Clocks, Snapshots, no_clocks, no_snapshots, to_polars
from replay.storage import inventory
from replay.storage.columns import CACHE_BYTES
from replay.storage.engine import Engine
from replay.storage.files import Partition, StoredFile, fingerprint, is_url, open_files, require_lake
from replay.storage.reader import NEWEST, Reader
from replay.tape import Tape, Track
from replay.tape.stated import StatedTrack

if TYPE_CHECKING:
    import polars as pl

Moment = str | dt.datetime | dt.date


def open_lake(
    path: str | os.PathLike[str],
    filesystem: Any | None = None,
    *,
    threads: int = 1,
    cache_bytes: int = CACHE_BYTES,
) -> Lake:
    """Open a lake of snapshots for reading.

    Parameters
    ----------
    path
        The folder that holds ``tier=raw``; on ``filesystem`` if one is given. Or its URL, such as
        ``s3://bucket/lake`` (extra ``[cluster]``), with the keys and the endpoint of the environment.
    filesystem
        An fsspec file system; ``None``: this machine's files.
    threads
        Threads of DuckDB. Answers do not depend on it.
    cache_bytes
        How many bytes of decoded columns to keep for further requests.

    Raises
    ------
    NoLake
        If there is none at that path.
    """
    return Lake(path, filesystem, threads=threads, cache_bytes=cache_bytes)


class Lake:
    """A lake opened for reading; see :func:`open_lake`. Safe for threads; usable in a ``with``."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        filesystem: Any | None = None,
        *,
        threads: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._opened_with = (path, filesystem, threads, cache_bytes)
        self._store = open_files(path, filesystem)
        require_lake(self._store)
        self._engine = Engine(self._store, threads)
        self._reader = Reader(self._store, self._engine, cache_bytes)

    def __repr__(self) -> str:
        return f"<Lake {self._store.root}: {', '.join(self.symbols()) or 'empty'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        path, filesystem, threads, cache_bytes = self._opened_with
        where = self.path if filesystem is None and not is_url(path) else path
        return functools.partial(Lake, threads=threads, cache_bytes=cache_bytes), (where, filesystem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release threads and DuckDB."""
        self._reader.close()
        self._engine.close()

    @property
    def path(self) -> str:
        """Where the lake lies."""
        return self._store.root

    def heatmap(
        self,
        symbol: str,
        as_of: Moment,
        metric: str = "gex",
        mode: str = "raw",
        bar: str = contract.BAR,
        minutes: int | str = contract.MINUTES_DEFAULT,
        known_at: Moment | None = None,
        gaps: bool = False,
        tier: str | None = None,
        oi: str = "settled",
        share: float = 1.0,
        conventions: str | None = None,
    ) -> Heatmap:
        """The heatmap exactly as it stood at ``as_of``, knowing what was recorded by ``known_at``.

        Parameters
        ----------
        symbol
            Trimmed and upper-cased; one that the lake lacks answers empty, as live would.
        as_of
            ISO 8601 text, a datetime or a date; without an offset New York, a date is that session's close.
            Snapshots with ``ts <= as_of`` are shown.
        metric, mode, bar, minutes
            As the wire contract has them: one of six metrics, ``raw`` or ``delta``, ``1m``, 1..390 (clamped).
        known_at
            Snapshots with ``recorded_at <= known_at`` are shown. ``None``: as ``as_of``, which is what live
            showed then. ``"latest"``: with everything recorded since.
        gaps
            List stretches longer than two cadences without a snapshot.
        tier
            ``raw``, ``1m``, or ``None`` for the finest there is.
        oi, share, conventions
            Open interest and conventions to state the exposures on; see :class:`replay.exposure.restate.Restatement`.

        Raises
        ------
        RequestError
            For values the contract refuses, where the window holds legacy rows alone, and where the exposures
            cannot be stated as asked.
        LakeError
            If stored files cannot be read right.
        """
        name = contract.normalise_symbol(symbol)
        contract.check_bar(bar)
        metric, mode = contract.check_metric(metric), contract.check_mode(mode)
        span = contract.check_minutes(minutes)
        moment = to_us(parse_moment(as_of))
        known, tier, date = parse_known_at(known_at, moment), contract.check_tier(tier), session_date(moment)
        stated = Restatement(oi, share, conventions)
        since = floor_minute(moment - span * MINUTE)
        cut = _Cut(name, date, moment, known, tier)
        window, clocks = self._stated(cut, heatmap.columns_of(metric), since, stated)
        return heatmap.build(
            window,
            symbol=name,
            expiration=date,
            metric=metric,
            mode=mode,
            as_of=moment,
            known_at=known,
            tier_used=clocks.tier,
            gaps=clocks.gaps_in_window(find_session(date), moment, since) if gaps else (),
            tier=tier,
            conventions=clocks.newest_conventions if conventions is None else conventions,
            stated=stated,
        )

    def levels(
        self,
        symbol: str,
        as_of: Moment,
        known_at: Moment | None = None,
        tier: str | None = None,
        oi: str = "settled",
        share: float = 1.0,
        conventions: str | None = None,
    ) -> Levels:
        """Magnet, walls, flip, max pain, pin score and totals of the newest snapshot visible at a moment.

        Arguments as for :meth:`heatmap`; every level is ``None`` where it is not known.
        """
        name = contract.normalise_symbol(symbol)
        moment = to_us(parse_moment(as_of))
        known, tier = parse_known_at(known_at, moment), contract.check_tier(tier)
        return self._levels(_Cut(name, session_date(moment), moment, known, tier), Restatement(oi, share, conventions))

    def levels_of(self, shown: Heatmap) -> Levels:
        """The levels at a heatmap's own as_of and known_at, from the tier and as stated as was asked for it."""
        cut = _Cut(shown.symbol, session_date(shown.as_of), shown.as_of, shown.known_at, shown.tier)
        return self._levels(cut, shown.stated)

    def snapshots(
        self,
        symbol: str,
        date: str | dt.date,
        as_of: Moment | None = None,
        known_at: Moment | None = "latest",
        tier: str | None = None,
    ) -> pl.DataFrame:
        """One session's visible snapshots, one row each, ascending by ts, with all stored columns.

        Parameters
        ----------
        date
            The session's date.
        as_of
            Only snapshots with ``ts <= as_of``; ``None``: all of the session.
        known_at
            Only what was recorded by then; ``"latest"``: all; ``None``: as ``as_of``.
        """
        name, day, tier = contract.normalise_symbol(symbol), parse_date(date), contract.check_tier(tier)
        moment = LATEST if as_of is None else to_us(parse_moment(as_of))
        cut = _Cut(name, day, moment, parse_known_at(known_at, moment), tier)
        window, clocks = self._visible(cut, schema.VALUES, None)
        return to_polars(window, tier=clocks.tier, symbol=name, expiration=day)

    def visible(
        self,
        symbol: str,
        as_of: Moment,
        known_at: Moment | None = None,
        columns: Sequence[str] = (),
        minutes: int | str | None = None,
        tier: str | None = None,
    ) -> tuple[Snapshots, Clocks]:
        """The snapshots visible at a moment, ascending by ts, and the clocks of all that are visible of the session.

        ``columns`` are list columns to read beside ``strike``; ``minutes`` is how far to look back, as for
        :meth:`heatmap`, ``None`` from the session's start.
        """
        name, moment = contract.normalise_symbol(symbol), to_us(parse_moment(as_of))
        since = None if minutes is None else floor_minute(moment - contract.check_minutes(minutes) * MINUTE)
        known, tier = parse_known_at(known_at, moment), contract.check_tier(tier)
        return self._visible(_Cut(name, session_date(moment), moment, known, tier), columns, since)

    def tape(
        self,
        symbol: str,
        date: str | dt.date,
        tier: str | None = None,
        columns: Sequence[str] = (),
        *,
        oi: str = "settled",
        share: float = 1.0,
        conventions: str | None = None,
    ) -> Tape:
        """One session to replay: ``for tick in lake.tape("SPY", "2026-07-24").ticks(step="1m")``.

        Parameters
        ----------
        symbol
            One that the lake lacks gives an empty tape.
        date
            The session's date.
        tier
            ``raw``, ``1m``, or ``None`` for the finest of which anything is visible.
        columns
            List columns to read at once, such as ``["gex", "call_iv"]``; others are read when first asked for.
        oi, share, conventions
            As for :meth:`heatmap`.

        Raises
        ------
        InvalidTime
            If the exchange has no session on that date.
        InvalidMetric
            If a column is no stored list column.
        """
        name, day, tier = contract.normalise_symbol(symbol), parse_date(date), contract.check_tier(tier)
        for column in (columns,) if isinstance(columns, str) else columns:
            if isinstance(columns, str) or column not in schema.VALUES:
                raise InvalidMetric(f"columns {columns!r}: each is to be one of {', '.join(schema.VALUES)}")
        session = find_session(day)
        if session is None:
            raise InvalidTime(f"date {day} is no session of the exchange")
        stated = Restatement(oi, share, conventions)
        flows = FLOWS if stated.basis == EFFECTIVE else ()
        needed = dict.fromkeys((*stated.needed(columns), *flows))
        tracks: list[Track] = []
        files: list[tuple[Partition, StoredFile]] = []
        has_strikes, has_flow = False, False
        for partition in _partitions(name, day, tier):
            timeline, rows = self._reader.session(partition, tuple(needed))
            further = functools.partial(self._reader.further, timeline, rows.lists["strike"])
            some = functools.partial(self._reader.some, timeline, rows.lists["strike"])
            track = Track(timeline, rows, further, some)
            tracks.append(track if stated.as_stored else StatedTrack(track, stated, session))
            files += [(partition, file) for file in timeline.files]
            has_strikes |= bool(rows.has_strikes.any())
            has_flow |= bool(flows) and knows_flow(rows)
        if flows and has_strikes and not has_flow:
            raise no_flow()
        return Tape(name, session, tracks, tier, lambda: fingerprint(self._store, files), stated)

    def fingerprint(self, symbol: str, date: str | dt.date, tier: str | None = None) -> dict[str, str]:
        """The files that a session is stored in now: path below the lake -> SHA-256."""
        name, day, tier = contract.normalise_symbol(symbol), parse_date(date), contract.check_tier(tier)
        held = [(each, file) for each in _partitions(name, day, tier) for file in self._store.files(each)]
        return fingerprint(self._store, held)

    def identity(self, symbol: str, date: dt.date) -> tuple[tuple[str, StoredFile], ...]:
        """The files that a session is stored in now, each with its tier: equal as long as none of them changes."""
        held = _partitions(contract.normalise_symbol(symbol), date, None)
        return tuple((each.tier, file) for each in held for file in self._store.files(each))

    def exists(self) -> bool:
        """Whether the lake is still there."""
        return self._store.exists()

    def stored(self, symbol: str | None = None) -> list[Partition]:
        """The sessions that hold any file, by symbol, date and tier; no file is opened."""
        return inventory.stored(self._store, None if symbol is None else contract.normalise_symbol(symbol))

    def sessions(self, symbol: str | None = None) -> pl.DataFrame:
        """What the lake holds, one row a symbol and date; columns as :class:`replay.storage.inventory.Holding`."""
        name = None if symbol is None else contract.normalise_symbol(symbol)
        return inventory.frame(inventory.take(self._store, self._reader, name))

    def symbols(self) -> list[str]:
        """The symbols the lake holds, sorted."""
        return inventory.symbols(self._store)

    def dates(self, symbol: str) -> list[dt.date]:
        """The sessions the lake holds of a symbol, ascending."""
        return inventory.dates(self._store, contract.normalise_symbol(symbol))

    def _levels(self, cut: _Cut, stated: Restatement) -> Levels:
        newest, clocks = self._stated(cut, levels.COLUMNS, NEWEST, stated)
        held = known_conventions(clocks.newest_conventions if stated.conventions is None else stated.conventions)
        return levels.build(newest, cut.symbol, find_session(cut.date), held)

    def _stated(self, cut: _Cut, columns: Sequence[str], since: int, stated: Restatement) -> tuple[Snapshots, Clocks]:
        """As :meth:`_visible`, stated as asked; effective open interest counts all of the session that is visible."""
        if stated.as_stored:
            return self._visible(cut, columns, since)
        whole = stated.basis == EFFECTIVE
        needed = dict.fromkeys((*stated.needed(columns), *(FLOWS if whole else ())))
        rows, clocks = self._visible(cut, tuple(needed), None if whole else since)
        wanted = np.arange(len(rows))
        if whole:
            wanted = wanted[-1:] if since == NEWEST else np.flatnonzero(rows.ts >= since)
        window, so_far = rows.take(wanted), None
        if whole and window.has_strikes.any():
            if not knows_flow(rows) and not self._stores_flow(cut):
                raise no_flow()
            so_far = flow_so_far(rows).take(wanted)
        ids = clocks.conventions[len(clocks) - len(window) :]
        return stated.state(window, so_far, ids, find_session(cut.date)), clocks

    def _stores_flow(self, cut: _Cut) -> bool:
        """Whether any stored row of a session knows flow, be it visible or not."""
        for partition in _partitions(cut.symbol, cut.date, cut.tier):
            timeline = self._reader.timeline(partition)
            if knows_flow(self._reader.snapshots(timeline, np.arange(len(timeline.ts)), FLOWS)):
                return True
        return False

    def _visible(self, cut: _Cut, columns: Sequence[str], since: int | None) -> tuple[Snapshots, Clocks]:
        if not contract.is_symbol(cut.symbol):  # and so never part of a path
            return no_snapshots(columns), no_clocks(contract.TIERS[0])
        return self._reader.visible(
            cut.symbol, cut.date, as_of=cut.as_of, known_at=cut.known_at, columns=columns, since=since, tier=cut.tier
        )


class _Cut(NamedTuple):
    """Of which session what is looked at: rows up to ``as_of`` recorded by ``known_at``, microseconds, of a tier."""

    symbol: str
    date: dt.date
    as_of: int
    known_at: int
    tier: str | None


def _partitions(symbol: str, date: dt.date, tier: str | None) -> list[Partition]:
    """Where a session would lie, the finest tier first; nowhere for what is no symbol, and so never part of a path."""
    tiers = contract.TIERS if tier is None else (tier,)
    return [Partition(each, symbol, date) for each in tiers] if contract.is_symbol(symbol) else []
