"""What the routes share: the lake, the clock, who may ask, and what was there before."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final

from starlette.requests import Request

from replay.contract import MINUTES_MAX
from replay.errors import LakeError, NoLake, ReplayError
from replay.lake import Lake
from replay.server.answers import Answers
from replay.server.clock import ReplayClock
from replay.server.keys import Guard, require
from replay.server.trades import Runs
from replay.sessions import from_us, session_date

SAME_FOR: Final = 2.0
"""Seconds that the files of a lake in an object store are taken to stay as they were listed."""


class Service:
    """One worker's side of a server.

    Parameters
    ----------
    lake, clock, guard, answers, runs
        What is answered from, for which moment, to whom, how, and the runs to show.
    near
        Whether the lake lies on this machine, so that listing a session's files takes no time.
    wall
        The time in microseconds since the epoch: of quotas alone, no answer depends on it.
    """

    def __init__(
        self,
        lake: Lake,
        clock: ReplayClock,
        guard: Guard,
        answers: Answers,
        runs: Runs,
        *,
        near: bool,
        wall: Callable[[], int],
    ) -> None:
        self.lake = lake
        self.clock = clock
        self.answers = answers
        self.runs = runs
        self._guard = guard
        self._wall = wall
        self._near = near
        self._held = {(each.symbol, each.date) for each in lake.stored()}
        self._listed: dict[tuple[str, dt.date], tuple[float, Hashable]] = {}

    def admit(self, request: Request, plan: str) -> None:
        """Let a request in, or raise what :class:`~replay.server.keys.Guard` does; leaves its name for the log."""
        presented = request.headers.get("x-api-key") or request.query_params.get("apiKey")
        number = self._guard.find(presented)
        if number is not None:
            key = self._guard.key(number)
            request.scope["replay.key"] = key.name
            request.scope["replay.rate"] = self._guard.count(number, self._wall())
            require(key.plan, plan)

    def warm(self) -> None:
        """Read the session that the clock shows once, so that what comes with a first reading is behind us."""
        now = self.clock.read().now
        date = session_date(now)
        for symbol in sorted(symbol for symbol, held in self._held if held == date)[:1]:
            with contextlib.suppress(ReplayError, OSError):  # whoever asks for it is told
                self.lake.heatmap(symbol, from_us(now), minutes=MINUTES_MAX)

    async def files(self, symbol: str, date: dt.date) -> Hashable:
        """What a session is stored in now, equal as long as none of it changes.

        Raises
        ------
        LakeError
            Where nothing is left of a session that was there, or of the lake: an empty answer would be a silent gap.
        """
        if self._near:
            return self._files(symbol, date)
        kept = self._listed.get((symbol, date))
        now = monotonic()
        if kept is None or now - kept[0] > SAME_FOR:
            found = await self.answers.apart(lambda: self._files(symbol, date))
            if len(self._listed) > 1000:
                self._listed.clear()
            self._listed[symbol, date] = kept = (now, found)
        return kept[1]

    def _files(self, symbol: str, date: dt.date) -> Hashable:
        found = self.lake.identity(symbol, date)
        if found:
            self._held.add((symbol, date))
        elif (symbol, date) in self._held:
            raise LakeError(f"the files of {symbol} {date} are gone from {self.lake.path}")
        elif not self.lake.exists():
            raise NoLake(f"{self.lake.path} is gone")
        return found
