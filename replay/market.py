"""A session on the market's own clock: what was quoted at each instant, whenever it became known. Knows no lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from replay.ragged import Floats, Ints, Ragged
from replay.sessions import MINUTE, to_us
from replay.tape import Tape

SIDES: Final = ("call_bid", "call_ask", "put_bid", "put_ask")


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
        self._lists: Mapping[str, Ragged] | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def after(self, us: int) -> int:
        """The number of the first snapshot later than an instant; ``len(self)`` where there is none."""
        return int(np.searchsorted(self.ts, us, side="right"))

    def cadence(self, number: int) -> int:
        """The usual step between snapshots as it could be told at the snapshot of this number, microseconds.

        From the files' metadata, else the median step up to and including it; a minute until there are two.
        """
        return self._track.timeline.clocks(self._rows[: number + 1]).median_step() or MINUTE

    def lists(self) -> Mapping[str, Ragged]:
        """``strike`` and the four quotes by :data:`SIDES`, N rows each."""
        if self._lists is None:
            self._lists = self._track.snapshots(self._rows, SIDES).lists
        return self._lists

    def column(self, number: int, strike: float) -> int | None:
        """Where a strike stands in a snapshot's lists; ``None`` where it is not listed."""
        listed = self.lists()["strike"].row(number)
        at = int(np.searchsorted(listed, strike))
        return at if at < len(listed) and listed[at] == strike else None
