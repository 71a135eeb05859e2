"""The moment that a server answers for: it stands, or runs through the lake's sessions, and moves by request alone."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.errors import InvalidClock
from replay.sessions import NEW_YORK, SECOND, find_session, from_us, iso_utc, session_date, to_us

FASTEST: Final = 3600.0
"""Market seconds a second."""

_AT, _WALL, _SPEED, _RUNNING, _LOOP, _VERSION, _COURSE, _LEG = range(8)
STATE_SIZE: Final = 8
"""Doubles that the state of a clock takes, in memory that processes share."""

_WAITING: Final = -1.0
"""In place of the ticks at which it was set: it has not begun to run."""

_EXACT: Final = 2**53
"""Microseconds from the epoch that a double holds exactly, either way: the years 1684 to 2255."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock as it was read.

    ``now`` is microseconds since the epoch; ``speed`` market seconds a second; ``running`` whether it moves;
    ``version`` grows with each change by request, and not as it runs. ``course`` is another one whenever the clock was
    set elsewhere, and ``leg`` counts the sessions that it has gone on to by itself on it.
    """

    now: int
    speed: float
    running: bool
    loop: bool
    version: int
    course: int = 0
    leg: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the moment in UTC and in New York, its session's date if it has one."""
        date = session_date(self.now)
        return {
            "now": iso_utc(self.now),
            "new_york": from_us(self.now).astimezone(NEW_YORK).isoformat(),
            "speed": self.speed,
            "running": self.running,
            "loop": self.loop,
            "session": None if find_session(date) is None else date.isoformat(),
            "version": self.version,
        }


class ReplayClock:
    """A clock over sessions, in memory that the workers of a server share.

    It goes by whole seconds of the market from where it was set, through the session of that date, and stands at the
    close; with ``loop`` it goes on at the open of the lake's next session, and after the last at that of the first.

    Parameters
    ----------
    state
        An array of :data:`STATE_SIZE` doubles with ``get_lock()``; doubles hold microseconds since the epoch exactly.
    spans
        Open and close of the lake's sessions, microseconds, ascending.
    ticks
        Seconds of a clock that only goes forward, and is the same in all processes.
    """

    def __init__(self, state: Any, spans: Sequence[Span], ticks: Callable[[], float]) -> None:
        self._state = state
        self._opens = [opens for opens, _ in spans]
        self._closes = [closes for _, closes in spans]
        self._before = [0, *itertools.accumulate(closes - opens for opens, closes in spans)]
        self._ticks = ticks

    def start(
        self, at: int, speed: float, *, loop: bool, version: int = 0, course: int = 0, begun: bool = True
    ) -> None:
        """Set it going, or standing where ``speed`` is 0; before any other process reads it.

        Versions count up from ``version``, and courses from ``course``, which differs from server to server. Where it
        has not ``begun`` it waits for :meth:`begin`.
        """
        wall = self._ticks() if begun else _WAITING
        self._state[:] = [_check_moment(at), wall, check_speed(speed), speed > 0, loop, version, course, 0]

    def begin(self) -> None:
        """Let a clock that waits run from now on."""
        with self._state.get_lock():
            if self._state[_WALL] == _WAITING:
                self._state[_WALL] = self._ticks()

    def read(self) -> Reading:
        """What it shows now."""
        with self._state.get_lock():
            return self._read()

    def change(
        self,
        *,
        at: int | None = None,
        step: int | None = None,
        speed: float | None = None,
        running: bool | None = None,
        loop: bool | None = None,
    ) -> Reading:
        """Set it to a moment, move it by ``step`` microseconds, and set how it runs, in that order.

        Raises
        ------
        InvalidClock
            For a speed that is none, or 0 where it is to run, and for a moment that no clock shows.
        """
        with self._state.get_lock():
            old = self._read()
            now = _check_moment((old.now if at is None else at) + (step or 0))
            pace = old.speed if speed is None else check_speed(speed)
            on = (speed > 0 if speed is not None else bool(self._state[_RUNNING])) if running is None else running
            if running and pace == 0:
                raise InvalidClock("the clock's speed is 0, at which it stands; give a speed above 0 beside running")
            looping = old.loop if loop is None else loop
            course, leg = (old.course, old.leg) if now == old.now else (old.course + 1, 0)
            self._state[:] = [now, self._ticks(), pace, on and pace > 0, looping, old.version + 1, course, leg]
            return self._read()

    def open_after(self, at: int) -> int | None:
        """The open of the lake's session after the one of a moment, which after the last is the first's."""
        if not self._opens:
            return None
        return self._opens[bisect.bisect_right(self._opens, at) % len(self._opens)]

    def went_by(self, reading: Reading, at: int, leg: int) -> bool:
        """Whether a clock as it was read has shown a moment on an earlier leg of its course."""
        behind, here = reading.leg - leg, session_date(reading.now)
        now = next((i for i, opens in enumerate(self._opens) if session_date(opens) == here), None)
        if now is None or behind < 1 or leg < 0:
            return False
        i = (now - behind) % len(self._opens)
        return session_date(self._opens[i]) == session_date(at) and at <= self._closes[i]

    def _read(self) -> Reading:
        at, wall, speed, running, loop, version, course, leg = self._state[:]
        start, now, moving, gone_on = int(at), int(at), bool(running), 0
        if moving:
            passed = 0 if wall == _WAITING else math.floor((self._ticks() - wall) * speed) * SECOND
            now, gone_on = self._looped(start, passed) if loop else (min(start + passed, self._end(start)), 0)
            moving = bool(loop and self._opens) or now < self._end(start)
        return Reading(now, speed, moving, bool(loop), int(version), int(course), int(leg) + gone_on)

    def _end(self, at: int) -> int:
        """Where a clock that is set to a moment comes to stand: at its session's close, after it where it is."""
        session = find_session(session_date(at))
        return at if session is None else max(to_us(session.close), at)

    def _looped(self, at: int, passed: int) -> tuple[int, int]:
        """The moment after so many microseconds of the lake's sessions, and how many were gone on to."""
        if not self._opens:
            return at, 0
        first = bisect.bisect_right(self._closes, at)
        if first < len(self._closes) and session_date(at) == session_date(self._opens[first]):
            left = self._closes[first] - at
            if passed < left:
                return at + passed, 0
            passed -= left
            first += 1
        first %= len(self._opens)
        rounds, through = divmod(self._before[first] + passed, self._before[-1])
        i = bisect.bisect_right(self._before, through) - 1
        return self._opens[i] + through - self._before[i], 1 + rounds * len(self._opens) + i - first


def _check_moment(at: int) -> int:
    if not -_EXACT <= at <= _EXACT:
        raise InvalidClock("the clock shows moments of the years 1685 to 2254, and no other")
    return at


def check_speed(speed: float) -> float:
    """``speed``, or :class:`~replay.errors.InvalidClock` unless it is from 0 to :data:`FASTEST`."""
    if not 0 <= speed <= FASTEST:  # NaN is not
        raise InvalidClock(f"speed {speed:g} is to be from 0, where the clock stands, to {FASTEST:g}")
    return float(speed)
