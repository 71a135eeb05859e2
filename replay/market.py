"""A session on the market's own clock: what was quoted at each instant, whenever it became known. Knows no lake."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from replay.exposure.conventions import REPLAY_1, Conventions, known_conventions
from replay.ragged import Floats, Ints, Ragged
from replay.sessions import MINUTE, to_us
from replay.tape import Tape

COLUMNS: Final = ("call_bid", "call_ask", "put_bid", "put_ask", "call_iv", "put_iv")
"""What a market is read with: quotes to trade on, and vols for the account's greeks."""


class Market:
    """The first-recorded revision of each snapshot of a tape, up to the close.

    A trade is made on what the market showed at the time, not on what a data vendor had published of it by then, nor
    on what was corrected later. Strategies see a :class:`~replay.tape.Tick` instead.

    Attributes
    ----------
    symbol, session
        The tape's.
    ts, recorded_at
        (N,) microseconds since the epoch; ``ts`` ascends and holds each instant once.
    spot
        (N,) USD, NaN where not known.
    """

    def __init__(self, tape: Tape) -> None:
        self.symbol = tape.symbol
        self.session = tape.session
        self._track = next((track for track in tape.tracks if len(track.timeline.ts)), tape.tracks[0])
        line = self._track.timeline
        ts, first = np.unique(line.ts, return_index=True)
        kept = ts <= to_us(tape.session.close)
        self._rows: Ints = first[kept]
        self.ts: Ints = ts[kept]
        self.recorded_at: Ints = line.recorded_at[self._rows]
        self.spot: Floats = self._track.spot[self._rows]
        self._start: int | None = None
        self._columns: dict[str, Ragged] = {}
        self._places: dict[float, Ints] = {}

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def conventions(self) -> Conventions:
        """Those of the session's last snapshot; the engine's own where its file names none."""
        line = self._track.timeline
        named = line.conventions[line.file[self._rows[-1]]] if len(self) else None
        return known_conventions(named) or REPLAY_1

    def after(self, us: int) -> int:
        """The number of the first snapshot later than an instant; ``len(self)`` where there is none."""
        return int(np.searchsorted(self.ts, us, side="right"))

    def cadence(self, number: int) -> int:
        """The usual step between snapshots as it could be told at the snapshot of this number, microseconds.

        From the files' metadata, else the median step up to and including it; a minute until there are two.
        """
        return self._track.timeline.clocks(self._rows[: number + 1]).median_step() or MINUTE

    def read_from(self, number: int) -> None:
        """Have the quotes of the snapshots from this number on read; those before are not known here."""
        number = min(max(number, 0), len(self))
        if self._start is None or number < self._start:
            self._start = number
            self._places.clear()
            self._columns = dict(self._track.part(self._rows[number:], COLUMNS).lists)

    def has_chain(self, number: int) -> bool:
        """Whether a snapshot lists strikes."""
        return bool(self._column("strike").known[number - self._first])

    def quote(self, number: int, right: str, strike: float) -> tuple[float, float] | None:
        """Bid and ask of one option in one snapshot, USD, NaN where there is none; ``None``: not listed."""
        row = number - self._first
        listed = self._column("strike").row(row)
        at = int(np.searchsorted(listed, strike))
        if at == len(listed) or listed[at] != strike:
            return None
        side = "call" if right == "C" else "put"
        bids, asks = self._column(f"{side}_bid"), self._column(f"{side}_ask")
        return (
            float(bids.row(row)[at]) if bids.known[row] else math.nan,
            float(asks.row(row)[at]) if asks.known[row] else math.nan,
        )

    def quotes(self, right: str, strike: float) -> tuple[Floats, Floats]:
        """Bid and ask of one option in every snapshot, (N,) USD each, NaN where there is none or none was read."""
        side = "call" if right == "C" else "put"
        return self.series(f"{side}_bid", strike), self.series(f"{side}_ask", strike)

    def series(self, name: str, strike: float) -> Floats:
        """A list column at one strike in every snapshot, (N,), NaN where it is not known or was not read."""
        values, place = self._column(name), self._place(strike)
        known = (place >= 0) & values.known & (place < values.lengths)
        found = np.full(len(self), np.nan)
        found[self._first :][known] = values.values[values.starts[known] + place[known]]
        return found

    @property
    def _first(self) -> int:
        """The first snapshot whose columns are read."""
        if self._start is None:
            self.read_from(0)
        assert self._start is not None
        return self._start

    def _column(self, name: str) -> Ragged:
        """A list column of the snapshots from :attr:`_first` on."""
        rows = self._rows[self._first :]
        if name not in self._columns:
            self._columns |= self._track.part(rows, (name,)).lists
        return self._columns[name]

    def _place(self, strike: float) -> Ints:
        """Where a strike stands in the lists of each snapshot from :attr:`_first` on; -1 where it is not listed."""
        found = self._places.get(strike)
        if found is None:
            listed = self._column("strike")
            block = listed.block()
            if block is not None and (listed.starts == listed.starts[0]).all():
                block = block[:1]
            if block is not None:
                hit = block == strike
                found = np.broadcast_to(np.where(hit.any(axis=1), hit.argmax(axis=1), -1), len(listed))
            else:
                found = np.full(len(listed), -1, np.int64)
                rows = np.repeat(np.arange(len(listed)), listed.lengths)
                at = np.flatnonzero(listed.flat() == strike)
                found[rows[at]] = at - (np.cumsum(listed.lengths) - listed.lengths)[rows[at]]
            self._places[strike] = found
        return found
