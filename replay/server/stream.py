"""Bars as a clock passes them, as server-sent events.

At each full minute that the clock passes, the bars that are complete by then and were not there a minute before, or
were otherwise, are sent: one an event, as the heatmap of that minute shows them. So a bar comes when it is known, late
data late, and a correction is the same bar again. Each event's id is the minute, its number among that minute's, and
where on its way the clock passed it, so that a reader who says the last one it has goes on after it: what to send is
a function of the id alone, and nothing is kept of a reader but where it is. The next event is made when the last one
has been taken, so that a slow reader falls behind, and costs no memory.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import orjson

from replay import contract
from replay.errors import InvalidTime, LakeError, NoStrikeData
from replay.heatmap import Heatmap, plain, whole
from replay.lake import Lake
from replay.ragged import Floats
from replay.server.clock import Reading, ReplayClock
from replay.sessions import MINUTE, find_session, floor_minute, from_us, iso_utc, parse_moment, session_date, to_us

POLL: Final = 0.1
"""Seconds between two looks at the clock."""
KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent, so that a reader who has gone is noticed."""
RETRY_MS: Final = 1000

Mark = tuple[bytes, bytes]
"""Short hashes of a bar: of its levels, and of its values in the mode asked for where there is a bar before it."""

_ID: Final = re.compile(r"([0-9TZ:\-]{20})/([0-9]{1,6})/([0-9a-f]{1,13})\.([0-9]{1,9})", re.ASCII)
_PASSED: Final = 10_000_000  # later than any number of a minute's events


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a lake is streamed: arguments as :meth:`replay.Lake.heatmap` takes them, checked."""

    symbol: str
    metric: str
    mode: str
    tier: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is: it has the first ``sent`` events of the minute that ends at ``at``, microseconds, which the
    clock passed on this ``leg`` of a ``course``."""

    at: int
    sent: int
    course: int
    leg: int


def parse_place(text: str) -> Place:
    """The place that an event's id names; raises :class:`~replay.errors.InvalidTime` for any other text."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise InvalidTime(f"Last-Event-ID {text!r} is none of this stream's; they are like 2026-07-24T14:31:00Z/1/5f.0")
    at = to_us(parse_moment(found[1], "Last-Event-ID"))
    return Place(floor_minute(at), int(found[2]), int(found[3], 16), int(found[4]))


def place_since(at: int, clock: ReplayClock) -> Place | None:
    """The place before all that the clock has passed since a moment of its session; ``None`` for any other moment."""
    reading = clock.read()
    if at > reading.now or session_date(at) != session_date(reading.now):
        return None
    return Place(floor_minute(at), 0, reading.course, reading.leg)


class Stream:
    """One reader's events.

    Parameters
    ----------
    lake, wanted
        What is streamed.
    clock
        Whose passing minutes it follows.
    apart
        Runs work on a thread.
    files
        Raises :class:`~replay.errors.LakeError` where a session's files that were there are gone.
    stopping
        Whether the server is about to stop, which ends the stream.
    """

    def __init__(
        self,
        lake: Lake,
        wanted: Wanted,
        clock: ReplayClock,
        apart: Callable[[Callable[[], Heatmap | None]], Awaitable[Heatmap | None]],
        files: Callable[[str, dt.date], Awaitable[object]],
        stopping: Callable[[], bool],
    ) -> None:
        self._lake = lake
        self._wanted = wanted
        self._clock = clock
        self._apart = apart
        self._files = files
        self._stopping = stopping

    async def events(self, place: Place | None) -> AsyncIterator[bytes]:
        """The events after a place; ``None``: from now on. Never ends by itself, nor tells what the clock has not
        passed."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        place = _standing(self._clock.read()) if place is None else place
        before: dict[int, Mark] | None = None
        silent = 0.0
        while not self._stopping():
            reading = self._clock.read()
            if not self._goes_on(place, reading):  # the clock was set back, or to another session
                place, before = _standing(reading), None
                yield f"event: moved\ndata: {orjson.dumps({'now': iso_utc(reading.now)}).decode()}\n\n".encode()
            elif place.course != reading.course:
                place = replace(place, course=reading.course, leg=reading.leg)
            following = self._following(place, reading)
            if following is None:
                await asyncio.sleep(POLL)
                silent += POLL
                if silent >= KEEP_ALIVE:
                    silent = 0.0
                    yield b": still here\n\n"
                continue
            if following.at not in (place.at, place.at + MINUTE):  # of another session, or of this one again
                before = None
            try:
                if before is None:
                    before = _marks(await self._shown(following.at - MINUTE), following.at - MINUTE)
                shown = await self._shown(following.at)
            except LakeError:  # files that cannot be read just now: the reader waits, and misses nothing
                await asyncio.sleep(1.0)
                silent += 1.0
                continue
            now = _marks(shown, following.at)
            fresh = [i for t, i in _places(shown) if t in now and _differs(before.get(t), now[t])]
            for number, i in enumerate(fresh, 1):
                if number > following.sent and shown is not None:
                    silent = 0.0
                    way = f"{following.course:x}.{following.leg}"
                    yield _event(f"{iso_utc(following.at)}/{number}/{way}", shown, i)
            place, before = replace(following, sent=_PASSED), now

    def _goes_on(self, place: Place, reading: Reading) -> bool:
        """Whether the clock has passed a place, and gone on from there by itself or within its session."""
        if place.course != reading.course or place.leg == reading.leg:
            return place.at <= reading.now and session_date(place.at) == session_date(reading.now)
        return self._clock.went_by(reading, place.at, place.leg)

    def _following(self, place: Place, reading: Reading) -> Place | None:
        """The minute to be told next, with how many of its events are had; ``None`` until the clock has passed it."""
        if place.sent < _PASSED:
            return place
        at, leg = place.at + MINUTE, place.leg
        if leg < reading.leg:  # the rest of its session first, then the session after it
            session = find_session(session_date(place.at))
            if session is None or at > to_us(session.close):
                opens = self._clock.open_after(place.at)
                at, leg = (at if opens is None else opens + MINUTE), leg + 1
        return Place(at, 0, place.course, leg) if leg < reading.leg or at <= reading.now else None

    async def _shown(self, at: int) -> Heatmap | None:
        """The session so far at the end of a minute; ``None`` where there is nothing to show."""
        wanted = self._wanted

        def read() -> Heatmap | None:
            try:
                return self._lake.heatmap(
                    wanted.symbol,
                    from_us(at),
                    wanted.metric,
                    wanted.mode,
                    minutes=contract.MINUTES_MAX,
                    tier=wanted.tier,
                )
            except NoStrikeData:
                return None

        await self._files(wanted.symbol, session_date(at))
        return await self._apart(read)


def _standing(reading: Reading) -> Place:
    """The place of a reader who has all up to now."""
    return Place(floor_minute(reading.now), _PASSED, reading.course, reading.leg)


def _places(shown: Heatmap | None) -> list[tuple[int, int]]:
    return [] if shown is None else list(zip(shown.minutes.tolist(), range(len(shown.minutes)), strict=True))


def _marks(shown: Heatmap | None, at: int) -> dict[int, Mark]:
    """A mark of each bar that is complete at a moment, by its start."""
    if shown is None:
        return {}
    values, marks = shown.values, {}
    for t, i in _places(shown):
        if t + MINUTE <= at:
            spot = shown.spot[i].tobytes()
            marks[t] = _hash(shown, shown.levels[i], spot), _hash(shown, values[i], spot) if i else b""
    return marks


def _hash(shown: Heatmap, values: Floats, spot: bytes) -> bytes:
    known = np.isfinite(values)  # a strike that other bars alone list makes this one no other
    told = shown.strikes[known].tobytes() + values[known].tobytes() + spot
    return hashlib.blake2b(told, digest_size=8).digest()


def _differs(before: Mark | None, now: Mark) -> bool:
    """Whether a bar is to be told: it is new, or other, or changed otherwise from the bar before it.

    The first bar of a window has no bar before it, and is no other for the one it had being out of sight.
    """
    return before is None or before[0] != now[0] or (now[1] != b"" and before[1] != now[1])


def _event(number: str, shown: Heatmap, i: int) -> bytes:
    """One bar as an event."""
    (spot,), values = plain(shown.spot[i : i + 1]), plain(shown.values[i])
    data = {
        "symbol": shown.symbol,
        "expiration": shown.expiration.isoformat(),
        "metric": shown.metric,
        "mode": shown.mode,
        "bar_size": shown.bar_size,
        "as_of": iso_utc(shown.as_of),
        "tier_used": shown.tier_used,
        "strikes_grid": whole(shown.strikes),
        "bar": {"t": iso_utc(int(shown.minutes[i])), "spot": spot, "values": values},
    }
    return f"id: {number}\nevent: bar\ndata: {orjson.dumps(data).decode()}\n\n".encode()
