"""Levels from their changes from bar to bar, such that floating point gives the same changes again, to the last bit.

A difference of doubles is rounded, so that many levels may stand behind it; adding it to the level before finds one of
them, and not always one from which the next difference can be had. Here all of them are kept, step after step, as
progressions of whole numbers (:data:`_UNIT` to 1), and one is chosen from the end backwards.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np

from replay.ingest.bodies import Body
from replay.ragged import Bools, Floats

_UNIT: Final = 1 << 1075
"""Every double, and the middle between two, is a whole number of these parts."""
_DIGITS: Final = 53
_BINADES: Final = 6
"""How many powers of two below the largest number are told apart; floats below them count on a common grid."""
_KEPT: Final = 256
"""How many progressions are kept a step, those with the most numbers."""
_FOLLOWED: Final = 16
"""How many ways from one progression to another are followed, those nearest the plain sum."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The numbers ``low``, ``low + step`` … ``high``; ``step`` is a power of two."""

    low: int
    high: int
    step: int

    def holds(self, value: int) -> bool:
        """Whether it is one of them."""
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    @property
    def count(self) -> int:
        """How many there are."""
        return (self.high - self.low) // self.step + 1

    def within(self, low: int, high: int) -> _Run | None:
        """Those within these bounds."""
        first = self.low + -((self.low - max(low, self.low)) // self.step) * self.step
        last = self.low + (min(high, self.high) - self.low) // self.step * self.step
        return _Run(first, last, self.step) if first <= last else None

    def common(self, other: _Run) -> _Run | None:
        """Those that both have."""
        fine, coarse = (self, other) if self.step <= other.step else (other, self)
        return None if (coarse.low - fine.low) % fine.step else coarse.within(fine.low, fine.high)

    def on(self, place: int, step: int) -> _Run | None:
        """Those that lie further than ``place``, which is one of them if its bounds are left out, by whole steps."""
        first = self.low + (place - self.low) % step
        return _Run(first, first + (self.high - first) // step * step, step) if first <= self.high else None

    def nearest(self, wanted: int, low: int, high: int) -> int | None:
        """The one within these bounds that is nearest to what is wanted, the smaller of two."""
        inside = self.within(low, high)
        if inside is None:
            return None
        near = inside.low + (2 * (wanted - inside.low) + inside.step - 1) // (2 * inside.step) * inside.step
        return min(max(near, inside.low), inside.high)


def undone(body: Body, raw: Floats, known: Bools, shown: Floats) -> tuple[Floats, Bools]:
    """The levels (T, K) behind a body of mode ``delta``, and which of them it tells.

    A level is the one before and the change: one whose difference is the change exactly, the ``shown`` one if that
    will do. ``raw`` levels of the same moment stay as they are where they are ``known``. After a null the level is not
    known, unless it is in ``raw``, or what was ``shown`` before goes with the changes.

    Raises
    ------
    InputError
        Naming the change from which a level cannot be told.
    """
    levels = _summed(body.values, raw, known, shown)
    told = known.copy()
    told[:1] = True
    has = ~np.isnan(body.values[1:])
    told[1:] |= has
    wrong = has & (np.diff(levels, axis=0) != body.values[1:])
    for k in np.flatnonzero(wrong.any(axis=0)).tolist():
        for start, stop in _stretches(has[:, k]):
            if wrong[start : stop - 1, k].any():
                found = _anchored(body, k, start, stop, levels, known, shown)
                if found is not None:
                    levels[start:stop, k], told[start, k] = found, True
    told[1:] |= ~np.isnan(levels[:-1])  # and no change: a null
    return levels, told


def _summed(changes: Floats, raw: Floats, known: Bools, shown: Floats) -> Floats:
    """Levels by adding change to change, one of the floats around each sum; NaN from where none of them will do."""
    levels = np.full(changes.shape, np.nan)
    for i, change in enumerate(changes):
        if i == 0:
            levels[0] = change
        else:
            total = levels[i - 1] + change
            below, above = np.nextafter(total, -np.inf), np.nextafter(total, np.inf)
            for candidate in (shown[i], total, below, above):
                fits = np.isnan(levels[i]) & (candidate - levels[i - 1] == change)
                levels[i, fits] = candidate[fits]
        levels[i] = np.where(known[i], raw[i], levels[i])
    return levels


def _stretches(has: Bools) -> Iterator[tuple[int, int]]:
    """From where to where bars follow each other with a change between each two of them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], has, [False]]).astype(np.int8)))
    yield from ((start, end + 1) for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _anchored(
    body: Body, k: int, start: int, stop: int, levels: Floats, known: Bools, shown: Floats
) -> list[float] | None:
    """The levels of one strike from one bar to another; ``None`` where those that are known contradict the changes."""
    fixed = np.where(known[start:stop, k], levels[start:stop, k], np.nan)
    if start == 0:
        fixed[0] = levels[0, k]
    hints = shown[start:stop, k]
    if np.isnan(fixed).all():
        there = np.flatnonzero(~np.isnan(hints))
        if not len(there) or not (start == 0 or np.isnan(levels[start - 1, k])):
            _refuse(body, start + 1, k, "the level before it is null")
        fixed[there[0]] = hints[there[0]]
    found = levels_of(body.values[start:stop, k].tolist(), fixed.tolist(), hints.tolist())
    if isinstance(found, int):
        if known[start:stop, k].any():
            return None
        _refuse(body, start + found, k, "no number has this difference from the level before it")
    return found


def _refuse(body: Body, i: int, k: int, why: str) -> NoReturn:
    body.origin.refuse(
        f"bars[{i}].values[{k}], strike {body.strikes[k]:g}, is a change of {float(body.values[i, k])!r}, and its "
        f"level cannot be told: {why}; capture mode=raw"
    )


def levels_of(changes: Sequence[float], fixed: Sequence[float], hints: Sequence[float]) -> list[float] | int:
    """T levels of which each but the first differs from the one before by its change, in doubles.

    Parameters
    ----------
    changes
        (T,) finite; the first is not looked at.
    fixed
        (T,) levels that are known; NaN where not, but not everywhere.
    hints
        (T,) levels that are preferred to others; NaN where there is none.

    Returns
    -------
    The levels, or the place of the first change from which they could not be found.
    """
    places = [i for i, level in enumerate(fixed) if not math.isnan(level)]
    head = _open(_turned(changes[: places[0] + 1]), fixed[places[0]], hints[places[0] :: -1])
    if isinstance(head, int):
        return places[0] - head + 1
    found = head[::-1]
    for start, end in itertools.pairwise(places):
        between = _bridged(changes[start : end + 1], fixed[start], fixed[end], hints[start : end + 1])
        if between is None:
            return end
        found += between[1:]
    tail = _open(changes[places[-1] :], fixed[places[-1]], hints[places[-1] :])
    return places[-1] + tail if isinstance(tail, int) else found + tail[1:]


def _turned(changes: Sequence[float]) -> list[float]:
    """The changes of the same levels from the last to the first: those of two numbers, with the other sign."""
    return [0.0, *(-change for change in changes[:0:-1])]


def _open(changes: Sequence[float], first: float, hints: Sequence[float]) -> list[float] | int:
    """As :func:`levels_of`, where the first level alone is known."""
    reached = _reached(changes, first)
    if len(reached) < len(changes):
        return len(reached)
    total = sum(map(_exact, changes[1:]), _exact(first))
    return _traced(changes, reached, _chosen(reached[-1], total, hints[-1], -_LARGEST, _LARGEST), hints)


def _bridged(changes: Sequence[float], first: float, last: float, hints: Sequence[float]) -> list[float] | None:
    """As :func:`levels_of`, where the first and the last level are known: from both until they meet."""
    turned = _turned(changes)
    onwards, backwards = _reached(changes, first), _reached(turned, last)
    end = len(changes) - 1
    met = [i for i in range(len(changes)) if i < len(onwards) and end - i < len(backwards)]
    for i in sorted(met, key=lambda i: (len(onwards[i]) * len(backwards[end - i]), -i)):
        common = [run for a in onwards[i] for b in backwards[end - i] if (run := a.common(b)) is not None]
        if common:
            total = sum(map(_exact, changes[1 : i + 1]), _exact(first))
            value = _chosen(common, total, hints[i], -_LARGEST, _LARGEST)
            before = _traced(changes[: i + 1], onwards, value, hints)
            after = _traced(turned[: end - i + 1], backwards, value, hints[::-1])
            return before + after[-2::-1]
    return None


def _reached(changes: Sequence[float], first: float) -> list[list[_Run]]:
    """What can be reached from a level, change by change, until nothing can."""
    start = _exact(first)
    reached = [[_Run(start, start, 1)]]
    for change in changes[1:]:
        runs = _stepped(reached[-1], *_rounded_to(change))
        if not runs:
            break
        reached.append(runs)
    return reached


def _traced(changes: Sequence[float], reached: Sequence[list[_Run]], value: int, hints: Sequence[float]) -> list[float]:
    """The levels by which a value is reached with the last change."""
    found = [value]
    for i in range(len(changes) - 1, 0, -1):
        after, (low, high) = found[-1], _rounded_to(changes[i])
        found.append(_chosen(reached[i - 1], after - _exact(changes[i]), hints[i - 1], after - high, after - low))
    return [each / _UNIT for each in reversed(found)]


def _exact(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_UNIT // denominator)


_LARGEST: Final = _exact(sys.float_info.max)


def _rounded_to(value: float) -> tuple[int, int]:
    """The smallest and the largest number that rounds to a double, half to even."""
    own = _exact(value)
    below = abs(own - _exact(math.nextafter(value, 0.0) if value else -math.ulp(0.0)))
    above = _exact(math.ulp(value))
    if value < 0:
        below, above = above, below
    even = own // _exact(math.ulp(value)) % 2 == 0
    return own - below // 2 + (not even), own + above // 2 - (not even)


def _doubles(low: int, high: int) -> Iterator[_Run]:
    """The doubles from one number to another; of those near 0 beside large ones not all."""
    if low < 0:
        yield from (_Run(-run.high, -run.low, run.step) for run in _doubles(max(-high, 1), -low))
    low = max(low, 0)
    top = min(high, _LARGEST)
    for _ in range(_BINADES):
        if top < low:
            return
        step = max(2, 1 << max(0, top.bit_length() - _DIGITS))
        bottom = max(low, 1 << (top.bit_length() - 1) if top else 0)
        first, last = -(-bottom // step) * step, top // step * step
        if first <= last:
            yield _Run(first, last, step)
        top = bottom - 1
    step = max(2, 1 << max(0, top.bit_length() - _DIGITS))
    first, last = -(-low // step) * step, top // step * step
    if first <= last:
        yield _Run(first, last, step)


def _stepped(runs: Sequence[_Run], low: int, high: int) -> list[_Run]:
    """The doubles that lie further than numbers of these runs by something from ``low`` to ``high``."""
    found: dict[_Run | None, None] = {}
    for own in runs:
        for other in _doubles(own.low + low, own.high + high):
            if own.low == own.high or high - low >= own.step - 1:  # what lies between two of them is reached as well
                found[other] = None
            elif high - low == own.step - 2 and other.step < own.step:
                found.update(dict.fromkeys(_parted(own.low + low - 1, own.step, other)))
            else:
                found.update(dict.fromkeys(_crossed(own, other, low, high)))
    return sorted((run for run in found if run is not None), key=lambda run: (-run.count, run.low))[:_KEPT]


def _parted(hole: int, step: int, other: _Run) -> Iterator[_Run | None]:
    """The numbers of ``other`` but for those that lie further than ``hole`` by whole steps."""
    if (hole - other.low) % other.step:
        yield other
        return
    half = other.step
    while half < step:
        yield other.on(hole + half, 2 * half)
        half *= 2


def _crossed(own: _Run, other: _Run, low: int, high: int) -> Iterator[_Run | None]:
    """The numbers of ``other`` that lie further than one of ``own`` by something from ``low`` to ``high``."""
    grid = min(own.step, other.step)
    least = low + (other.low - own.low - low) % grid
    ways = _Run(least, least + (high - least) // grid * grid, grid)
    if own.count < ways.count:
        yield from (other.within(value + low, value + high) for value in _inner(own))
    elif other.step > own.step:
        yield from (other.within(own.low + by, own.high + by) for by in _inner(ways))
    else:
        yield from (_Run(own.low + by, own.high + by, own.step).within(other.low, other.high) for by in _inner(ways))


def _inner(run: _Run) -> Iterator[int]:
    """The numbers of a run, of a long one those in its middle."""
    first = max(0, run.count - _FOLLOWED) // 2
    yield from (run.low + i * run.step for i in range(first, min(run.count, first + _FOLLOWED)))


def _chosen(runs: Sequence[_Run], wanted: int, hint: float, low: int, high: int) -> int:
    """A number of these runs within bounds: the hint if it is one, else the one nearest to what is wanted."""
    if not math.isnan(hint):
        value = _exact(hint)
        if low <= value <= high and any(run.holds(value) for run in runs):
            return value
    near = [found for run in runs if (found := run.nearest(wanted, low, high)) is not None]
    return min(near, key=lambda found: (abs(found - wanted), found))
