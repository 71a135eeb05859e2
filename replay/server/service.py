"""What the routes share: the lake, the clock, who may ask, and what was there before."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from starlette.requests import Request

from replay.contract import MINUTES_MAX
from replay.errors import LakeError, NoLake, ReplayError
from replay.lake import Lake
from replay.server.answers import Answers
from replay.server.clock import ReplayClock
from replay.server.held import Held
from replay.server.keys import Guard, require
from replay.server.trades import Runs
from replay.sessions import from_us, parse_moment, session_date, to_us

LATEST: Final = "latest"
"""In place of a moment: the close of the lake's last session."""
SAME_FOR: Final = 2.0
"""Seconds that the files of a lake in an object store are taken to stay as they were listed."""

_FEW_FILES: Final = 32
"""So many are listed in no time; more on a thread, so that others are answered meanwhile."""
_LISTED_KEPT: Final = 1000


class Service:
    """One worker's side of a server.

    Parameters
    ----------
    lake, clock, guard, answers, runs, held
        What is answered from, for which moment, to whom, how, the runs to show, and the sessions that were there.
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
        held: Held,
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
        self._held = held
        self._listed: dict[tuple[str, dt.date], _Listed] = {}

    def admit(self, request: Request, plan: str) -> None:
        """Let a request in, or raise what :class:`~replay.server.keys.Guard` does; leaves its name for the log."""
        presented = request.headers.get("x-api-key") or request.query_params.get("apiKey")
        number = self._guard.find(presented)
        if number is not None:
            key = self._guard.key(number)
            request.scope["replay.key"] = key.name
            request.scope["replay.rate"] = self._guard.count(number, self._wall())
            require(key.plan, plan)

    def is_key(self, text: str) -> bool:
        """Whether a text is a key, which then stands in no log."""
        return self._guard.knows(text)

    def warm(self) -> None:
        """Read the session that the clock shows once, so that what comes with a first reading is behind us."""
        now = self.clock.read().now
        date = session_date(now)
        for symbol in [each.symbol for each in self.lake.stored() if each.date == date][:1]:
            with contextlib.suppress(ReplayError, OSError):  # whoever asks for it is told
                self.lake.heatmap(symbol, from_us(now), minutes=MINUTES_MAX)

    async def files(self, symbol: str, date: dt.date) -> str:
        """A hash of what a session is stored in now, the same as long as none of it changes.

        Raises
        ------
        LakeError
            Where nothing is left of a session that was there, or of the lake: an empty answer would be a silent gap.
        """
        kept = self._listed.get((symbol, date))
        if self._near and (kept is None or kept.files <= _FEW_FILES):
            return self._list(symbol, date).digest
        if self._near or kept is None or monotonic() - kept.at > SAME_FOR:
            kept = await self.answers.apart(lambda: self._list(symbol, date))
        return kept.digest

    def _list(self, symbol: str, date: dt.date) -> _Listed:
        now, found = monotonic(), self.lake.identity(symbol, date)
        if found:
            self._held.add(symbol, date)
        elif (symbol, date) in self._held:
            raise LakeError(f"the files of {symbol} {date} are gone from {self.lake.path}")
        else:
            self.check_lake()
        listed = _Listed(now, len(found), hashlib.blake2b(repr(found).encode(), digest_size=16).hexdigest())
        if len(self._listed) > _LISTED_KEPT:
            self._listed.clear()
        self._listed[symbol, date] = listed
        return listed

    def check_lake(self) -> None:
        """Raise :class:`~replay.errors.NoLake` where the lake is gone."""
        if not self.lake.exists():
            raise NoLake(f"{self.lake.path} is gone")


class _Listed(NamedTuple):
    """When a session's files were listed, how many there were, and a hash of them."""

    at: float
    files: int
    digest: str


def start_of(lake: Lake, at: str) -> int:
    """A moment to set a clock to, microseconds: as text, or ``latest``, the close of the lake's last session.

    Raises
    ------
    InvalidTime
        If it cannot be read.
    NoLake
        For the last session of a lake that holds none.
    """
    if at.strip().lower() != LATEST:
        return to_us(parse_moment(at, "at"))
    dates = [each.date for each in lake.stored()]
    if not dates:
        raise NoLake(f"{lake.path} holds no session yet; `replay ingest` writes some, or give another time")
    return to_us(parse_moment(max(dates)))
