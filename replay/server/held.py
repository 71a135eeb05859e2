"""Which sessions were there: what is gone of them is a fault, and no empty answer, whichever process is asked."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any, Final

CAPACITY: Final = 65_536
"""Sessions that come while a server runs, and that it remembers; beyond it those of the start are remembered alone."""

_BITS: Final = 52  # of a hash, which a double holds exactly


class Held:
    """The sessions that a server has seen files of, in memory that its workers share.

    Parameters
    ----------
    state
        An array of doubles with ``get_lock()``: how many there are, and a hash of each.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._known: set[float] = set()
        self._read = 0

    def add(self, symbol: str, date: dt.date) -> None:
        """Remember a session."""
        mark = _mark(symbol, date)
        if mark in self._known:
            return
        with self._state.get_lock():
            self._catch_up()
            if mark not in self._known and self._read + 1 < len(self._state):
                self._state[self._read + 1] = mark
                self._state[0] = self._read + 1
                self._catch_up()

    def __contains__(self, session: tuple[str, dt.date]) -> bool:
        self._catch_up()
        return _mark(*session) in self._known

    def _catch_up(self) -> None:
        count = int(self._state[0])
        if count > self._read:
            self._known.update(self._state[self._read + 1 : count + 1])
            self._read = count


def _mark(symbol: str, date: dt.date) -> float:
    digest = hashlib.blake2b(f"{symbol} {date}".encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "big") >> (64 - _BITS))
