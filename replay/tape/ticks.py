"""One way through a tape: the clock's instants, what is visible at each, and where the data is stale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from replay import contract, heatmap, levels
from replay.errors import GapFound, NoStrikeData
from replay.exposure.conventions import known_conventions
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.ragged import Floats, Ints
from replay.sessions import MINUTE, NEW_YORK, floor_minute, from_us, to_us
from replay.tape.gaps import GapPolicy
from replay.tape.tick import Tick
from replay.tape.track import Track

if TYPE_CHECKING:
    from replay.tape import Tape

_NOTHING = np.empty(0)
_NOTHING.flags.writeable = False


class Ticks(Sequence[Tick]):
    """The ticks of a session, in order; ``ticks[0]`` is the first after the open, ``ticks[-1]`` stands at the close.

    Iterating stops with :class:`~replay.errors.GapFound` at a gap where the policy is ``strict``.

    Attributes
    ----------
    tape
        What is replayed.
    instants, known
        Each instant and its knowledge cut, microseconds since the epoch; the first of them is the open, which is no
        tick.
    stale, spot
        Whether the policy is passed, and the underlying's price, at each instant.
    known_rows
        Per metric or column asked for so far, its row at each instant.
    """

    def __init__(self, tape: Tape, instants: Ints, known: Ints, policy: GapPolicy) -> None:
        self.tape = tape
        self.policy = policy
        self.instants: list[int] = instants.tolist()
        self.known: list[int] = known.tolist()
        self.known_rows: dict[str, list[Floats]] = {}
        self._strikes: list[Floats] | None = None
        self._track = np.zeros(len(instants), np.int64)
        self._newest = np.full(len(instants), -1, np.int64)
        limits = np.zeros(len(instants), np.int64)
        ts = np.zeros(len(instants), np.int64)
        spot = np.full(len(instants), np.nan)
        for number, track in reversed(list(enumerate(tape.tracks))):  # so that the finest has the last word
            newest = track.newest(instants, known)
            seen = newest >= 0
            self._track[seen], self._newest[seen] = number, newest[seen]
            limits[seen] = track.patience(instants, known, newest)[seen]
            ts[seen], spot[seen] = track.timeline.ts[newest[seen]], track.spot[newest[seen]]
        self._ts = ts.tolist()
        judged = np.minimum(instants, known)  # what a latency holds back is not late for it
        self._judged: list[int] = judged.tolist()
        self._late = (self._newest < 0) | (judged - ts >= limits)
        stale = (self._newest < 0) | (judged - ts - policy.carried >= limits)
        self.stale: list[bool] = stale.tolist()
        self.spot: list[float] = np.where(stale, np.nan, spot).tolist()
        self._positions: list[int] = self._newest.tolist()
        self._levels: dict[tuple[int, int], Levels] = {}
        self._visible: tuple[int, Ints] = (-1, _NOTHING.astype(np.int64))

    def __len__(self) -> int:
        return len(self.instants) - 1

    @overload
    def __getitem__(self, index: int) -> Tick: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tick]: ...
    def __getitem__(self, index: int | slice) -> Tick | list[Tick]:
        found = range(1, len(self.instants))[index]
        return [Tick(self, i) for i in found] if isinstance(found, range) else Tick(self, found)

    def __iter__(self) -> Iterator[Tick]:
        stop = self.breach()
        for i in range(1, len(self.instants)):
            if stop is not None and i >= stop[0]:
                raise self.gap_found(stop)
            yield Tick(self, i)

    def __repr__(self) -> str:
        stale = sum(self.stale[1:])
        return f"<Ticks {self.tape.symbol} {self.tape.session.date}: {len(self)}, {stale} stale, gaps {self.policy}>"

    def track_at(self, i: int) -> Track:
        """The track that is read at an instant."""
        return self.tape.tracks[int(self._track[i])]

    def newest_ts(self, i: int) -> int | None:
        """``ts`` of the newest snapshot visible at an instant, microseconds; ``None`` before the first."""
        return self._ts[i] if self._positions[i] >= 0 else None

    def strikes(self) -> list[Floats]:
        """The strikes of the newest row at each instant, read-only; never masked."""
        if self._strikes is None:
            self._strikes = self._rows("strike")
        return self._strikes

    def rows(self, name: str) -> list[Floats]:
        """A metric or column of the newest row at each instant, read-only; NaN where stale."""
        rows = self.known_rows.get(name)
        if rows is None:
            rows = self.known_rows[name] = self._rows(name)
        return rows

    def _rows(self, name: str) -> list[Floats]:
        rows = [_NOTHING] * len(self.instants)
        for number, track in enumerate(self.tape.tracks):
            where = np.flatnonzero((self._track == number) & (self._newest >= 0)).tolist()
            positions = [self._positions[i] for i in where]
            found = track.strikes(positions) if name == "strike" else track.values(name, positions)
            for i, row in zip(where, found, strict=True):
                rows[i] = row
        if name != "strike":
            for i in [i for i, stale in enumerate(self.stale) if stale and self._positions[i] >= 0]:
                rows[i] = np.full(len(rows[i]), np.nan)
                rows[i].flags.writeable = False
        return rows

    def levels(self, i: int) -> Levels:
        """The levels at an instant."""
        if self.stale[i]:
            return Levels(self.tape.symbol)
        key = (int(self._track[i]), self._positions[i])
        found = self._levels.get(key)
        if found is None:
            track, position = self.track_at(i), np.array(key[1:])
            line, newest = track.timeline, track.some(position, levels.COLUMNS)
            held = known_conventions(line.conventions[line.file[position[0]]])
            found = self._levels[key] = levels.build(newest, self.tape.symbol, self.tape.session, held)
        return found

    def heatmap(self, i: int, metric: str, mode: str, minutes: int | str, *, gaps: bool = False) -> Heatmap:
        """The heatmap at an instant; arguments as :meth:`replay.Lake.heatmap` takes them."""
        metric, mode = contract.check_metric(metric), contract.check_mode(mode)
        since = floor_minute(self.instants[i] - contract.check_minutes(minutes) * MINUTE)
        tape, track, visible = self.tape, self.track_at(i), self._visible_at(i)
        inside = visible[np.searchsorted(track.timeline.ts[visible], since) :]
        found = track.timeline.clocks(visible).gaps_in_window(tape.session, self.instants[i], since) if gaps else ()
        return heatmap.build(
            track.snapshots(inside, heatmap.columns_of(metric)),
            symbol=tape.symbol,
            expiration=tape.session.date,
            metric=metric,
            mode=mode,
            as_of=self.instants[i],
            known_at=self.known[i],
            tier_used=track.timeline.tier if len(visible) else contract.TIERS[0],
            gaps=found,
            tier=tape.tier,
            conventions=track.timeline.conventions[track.timeline.file[visible[-1]]] if len(visible) else None,
            stated=tape.stated,
        )

    def history(self, i: int, metric: str, mode: str, minutes: int | str) -> Floats:
        """A metric's bars (T, K) on the strikes of the newest snapshot at an instant; see :meth:`Tick.history`."""
        strikes = self.strikes()[i]
        try:
            shown = self.heatmap(i, metric, mode, minutes)
        except NoStrikeData:
            values = np.empty((0, len(strikes)))
        else:
            values = shown.values
            if not np.array_equal(shown.strikes, strikes):
                values = np.full((len(shown.minutes), len(strikes)), np.nan)
                _, theirs, ours = np.intersect1d(shown.strikes, strikes, return_indices=True)
                values[:, ours] = shown.values[:, theirs]
        values.flags.writeable = False
        return values

    def gaps(self, i: int = -1) -> list[tuple[int, int]]:
        """The session's gaps as they were known at an instant, the last by default; microseconds, start and end."""
        i = range(len(self.instants))[i]
        clocks = self.track_at(i).timeline.clocks(self._visible_at(i))
        return clocks.session_gaps(self.tape.session, self._judged[i])

    def breach(self) -> tuple[int, int, int] | None:
        """Where a ``strict`` run stops: the instant's number, and the gap's start and end in microseconds.

        Until snapshots are visible that tell lag and cadence, which one alone does not, nothing is judged but at the
        close.
        """
        if self.policy.kind != "strict":
            return None
        last = len(self.instants) - 1
        for i, now in enumerate(self.instants):
            if self._positions[i] < 0:
                if i == last:
                    return i, to_us(self.tape.session.open), now
                continue
            clocks = self.track_at(i).timeline.clocks(self._visible_at(i))
            if clocks.median_step() is None and i < last:
                continue
            found = clocks.session_gaps(self.tape.session, self._judged[i])
            if found:
                return i, *found[0]
            if self._late[i]:
                return i, self._ts[i], self._judged[i]
        return None

    def gap_found(self, stop: tuple[int, int, int]) -> GapFound:
        """The error that names a :meth:`breach`."""
        i, *span = stop
        now, start, end = (from_us(us).astimezone(NEW_YORK) for us in (self.instants[i], *span))
        return GapFound(
            f"{self.tape.symbol} {self.tape.session.date}: no snapshot from {start:%H:%M:%S} to {end:%H:%M:%S} "
            f"New York, met at {now:%H:%M:%S}; gaps 'mask' or 'carry:5m' go on",
            symbol=self.tape.symbol,
            start=start,
            end=end,
        )

    def _visible_at(self, i: int) -> Ints:
        """Positions of all rows visible at an instant, in its track."""
        if self._visible[0] != i:
            self._visible = i, self.track_at(i).timeline.visible(self.instants[i], self.known[i])
        return self._visible[1]
