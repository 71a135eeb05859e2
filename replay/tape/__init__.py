"""One session's snapshots in time order, to be stood at any instant of it. Knows no lake: tracks are given to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from replay import schema
from replay.contract import TIERS
from replay.errors import InvalidDuration, InvalidTime
from replay.exposure.restate import AS_STORED, Restatement
from replay.ragged import Ints
from replay.sessions import LATEST, SECOND, Session, parse_duration, parse_known_at, parse_moment, session_date, to_us
from replay.snapshots import no_snapshots, no_timeline, to_polars
from replay.tape.gaps import GapPolicy, parse_gaps
from replay.tape.tick import Quotes, Tick
from replay.tape.ticks import Ticks
from replay.tape.track import Track, nothing

if TYPE_CHECKING:
    import polars as pl

__all__ = ["GapPolicy", "Quotes", "Tape", "Tick", "Ticks", "Track", "clock", "parse_gaps"]


class Tape:
    """One session of one symbol; made by :meth:`replay.Lake.tape`.

    Attributes
    ----------
    symbol
        The underlying.
    session
        Date, open and close.
    tracks
        What is stored of it at each tier read, the finest first; one without rows where the symbol can have none.
    tier
        The tier that was asked for; ``None``: the finest of which anything is visible.
    stated
        What the rows are stated on, where not as stored.
    """

    def __init__(
        self,
        symbol: str,
        session: Session,
        tracks: Sequence[Track],
        tier: str | None = None,
        fingerprint: Callable[[], dict[str, str]] = dict,
        stated: Restatement = AS_STORED,
    ) -> None:
        self.symbol = symbol
        self.session = session
        self.tracks = tuple(tracks) or (Track(no_timeline(tier or TIERS[0]), no_snapshots(), nothing),)
        self.tier = tier
        self.stated = stated
        self._fingerprint = fingerprint

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(track.timeline.ts)} rows {track.timeline.tier}" for track in self.tracks)
        return f"<Tape {self.symbol} {self.session.date}: {counts}>"

    def __len__(self) -> int:
        """Snapshots of the finest tier, each instant counted once however often it was revised."""
        return next((n for n in (len(np.unique(track.timeline.ts)) for track in self.tracks) if n), 0)

    def at(self, as_of: str | dt.datetime, known_at: str | dt.datetime | None = None, gaps: str = "mask") -> Tick:
        """What stood at one instant; ``known_at`` ``None``: as ``as_of``, ``"latest"``: with all recorded since.

        Raises :class:`~replay.errors.InvalidTime` for an instant of another New York date than the session's.
        """
        moment = to_us(parse_moment(as_of))
        if session_date(moment) != self.session.date:
            raise InvalidTime(f"as_of {as_of!s} is not on {self.session.date}, the date of this tape")
        known = parse_known_at(known_at, moment)
        return Tick(Ticks(self, np.array([moment]), np.array([known]), parse_gaps(gaps)), 0)

    def ticks(
        self,
        step: str | dt.timedelta = "1m",
        latency: str | dt.timedelta = "0s",
        gaps: str | GapPolicy = "mask",
    ) -> Ticks:
        """The session tick by tick, from the open (exclusive) to the close (inclusive), whether or not data came.

        Parameters
        ----------
        step
            The clock's step, at least a second; the close is a tick also where the step does not end on it.
        latency
            A row recorded at R is seen from R + latency on.
        gaps
            ``strict``, ``mask`` or ``carry:LENGTH``; see :class:`~replay.tape.gaps.GapPolicy`.
        """
        instants = clock(self.session, step)
        late = min(parse_duration(latency, "latency"), LATEST)
        return Ticks(self, instants, instants - late, parse_gaps(gaps))

    def columns_read(self) -> list[str]:
        """The list columns that have been read so far, beside ``strike``, sorted."""
        return sorted({name for track in self.tracks for name in track.columns_read()})

    def to_polars(self) -> pl.DataFrame:
        """One row a snapshot of the finest tier, its last revision; columns as :meth:`replay.Lake.snapshots`."""
        track = next((track for track in self.tracks if len(track.timeline.ts)), self.tracks[0])
        rows = track.snapshots(track.timeline.visible(LATEST, LATEST), schema.VALUES)
        return to_polars(rows, tier=track.timeline.tier, symbol=self.symbol, expiration=self.session.date)

    def fingerprint(self) -> dict[str, str]:
        """The files behind this tape: path below the lake -> SHA-256."""
        return self._fingerprint()


def clock(session: Session, step: str | dt.timedelta) -> Ints:
    """The open, then each step after it up to the close, and the close: microseconds since the epoch.

    Raises :class:`~replay.errors.InvalidDuration` for a step below one second.
    """
    length = parse_duration(step, "step")
    if length < SECOND:
        raise InvalidDuration(f"step {step!r} is too short; a replay's clock steps by a second or more")
    opens, closes = to_us(session.open), to_us(session.close)
    return np.append(np.arange(opens, closes, length, dtype=np.int64), closes)
