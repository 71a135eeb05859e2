"""What was predicted at each instant of each session, and where the session closed: arrays, without a lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.ragged import Bools, Floats

GRID: Final = 2.0**20
"""Moneyness and moves are rounded to a part of so many of an expected move, so that their sums are the same in any
order, and so on any machine."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be studied: a session, one ``at`` of it, or one ``predictor`` there; and why."""

    date: dt.date
    at: str | None
    predictor: str | None
    reason: str


@dataclass(frozen=True, eq=False)
class Observations:
    """S sessions, I instants, P predictors; NaN is not known.

    Attributes
    ----------
    symbol
        The underlying.
    dates, at, predictors
        S dates ascending, I instants as text, P names.
    close
        (S,) what the session settled at, USD.
    spot, expected_move, nearest, pin_score
        (S, I) USD, USD from then to the close, the strike nearest spot, 0 to 100; all of the newest snapshot visible.
    pin, step
        (S, I, P) the predicted pin and the distance from it to the next strike, USD.
    ts
        (S, I) the instant the snapshot describes, microseconds since the epoch; -1 where there is none.
    sources
        Where each of S closes comes from: ``file`` or ``spot``.
    left_out
        Sessions that are not among the S, and cells that are NaN.
    """

    symbol: str
    dates: tuple[dt.date, ...]
    at: tuple[str, ...]
    predictors: tuple[str, ...]
    close: Floats
    spot: Floats
    expected_move: Floats
    nearest: Floats
    pin_score: Floats
    pin: Floats
    step: Floats
    ts: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    sources: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def known(self) -> Bools:
        """(S, I, P): whether pin, spot, expected move and close are all known."""
        return np.isfinite(self.moneyness) & np.isfinite(self.move)[..., None]

    @property
    def moneyness(self) -> Floats:
        """(S, I, P): the pin less spot, in expected moves."""
        return on_grid((self.pin - self.spot[..., None]) / self.expected_move[..., None])

    @property
    def move(self) -> Floats:
        """(S, I): the close less spot, in expected moves."""
        return on_grid((self.close[:, None] - self.spot) / self.expected_move)


def on_grid(values: Floats) -> Floats:
    """Values rounded to multiples of 1 / :data:`GRID`."""
    return np.asarray(np.rint(values * GRID) / GRID, np.float64)


def groups(at: Sequence[str]) -> list[tuple[str, slice]]:
    """What is told of each instant, and of all of them together where there are several: a name, and which they are."""
    each = [(name, slice(i, i + 1)) for i, name in enumerate(at)]
    return [*each, ("all", slice(None))] if len(at) > 1 else each
