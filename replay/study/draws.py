"""Random signs, orders and resamples of sessions, from one seed; the same on every machine and numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from replay.ragged import Floats, Ints

_BLOCK = 2**21  # numbers held at once


class Draws:
    """Numbers made from the bits of a seeded PCG64, which numpy keeps the same for ever, in the order asked for.

    ``stream`` tells apart what is drawn from one seed for several purposes.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))

    def _raw(self, rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
        return np.asarray(self._bits.random_raw(rows * columns), np.uint64).reshape(rows, columns)

    def signs(self, count: int, sessions: int) -> Iterator[Floats]:
        """A coin for each session, ``count`` times over: blocks (B, sessions) of +1.0 and -1.0."""
        for rows in _blocks(count, sessions):
            yield np.where(self._raw(rows, sessions) >> np.uint64(63), 1.0, -1.0)

    def orders(self, count: int, sessions: int) -> Iterator[Ints]:
        """The sessions in random order, ``count`` times over: blocks (B, sessions) of their numbers."""
        for rows in _blocks(count, sessions):
            yield np.argsort(self._raw(rows, sessions), axis=1, kind="stable")

    def resamples(self, count: int, sessions: int) -> Iterator[Floats]:
        """Sessions drawn with replacement, ``count`` times over: blocks (B, sessions) of how often each was drawn."""
        for rows in _blocks(count, sessions):
            part = (self._raw(rows, sessions) >> np.uint64(11)).astype(np.float64) * 2.0**-53
            drawn = (part * sessions).astype(np.int64) + np.arange(rows)[:, None] * sessions
            yield np.bincount(drawn.ravel(), minlength=rows * sessions).reshape(rows, sessions).astype(np.float64)


def _blocks(count: int, sessions: int) -> Iterator[int]:
    rows = max(1, _BLOCK // max(sessions, 1))
    for done in range(0, count, rows):
        yield min(rows, count - done)
