"""Whether the times of a file's rows are New York's, or look as if they had been UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import polars as pl

from replay.errors import InputError
from replay.sessions import MINUTE, NEW_YORK, find_session, from_us, to_us

ADVICE: Final = "give --zone UTC, or [time] zone in the map; --zone America/New_York takes them as they are"
SECOND_ADVICE: Final = (
    "write their offset, as in 2026-07-24T14:00:00Z, or give --zone UTC if those of all files are; "
    "--zone America/New_York takes them as they are"
)
"""Of a file beside others."""
_MARGIN: Final = 30 * MINUTE
"""How far outside of its session a quote may usually stand."""


@dataclass(slots=True)
class _Seen:
    """Of a session's rows: how many, how many outside of it, how many would be if they were UTC, first and last."""

    rows: int = 0
    outside: int = 0
    moved_outside: int = 0
    first: int = 0
    last: int = 0


class WallClock:
    """Counts, by session, where rows stand."""

    def __init__(self) -> None:
        self._seen: dict[dt.date, _Seen] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows, which hold a ``ts`` in microseconds and its ``date``; days without a session are passed over."""
        for (date,), part in rows.select("date", "ts").partition_by("date", as_dict=True).items():
            session = find_session(date)
            if session is None:
                continue
            opens, closes = to_us(session.open) - _MARGIN, to_us(session.close) + _MARGIN
            ts = part["ts"].to_numpy()
            offset = session.open.astimezone(NEW_YORK).utcoffset()
            assert offset is not None
            moved = ts + int(offset / dt.timedelta(microseconds=1))
            seen = self._seen.setdefault(date, _Seen(first=int(ts[0]), last=int(ts[0])))
            seen.rows += len(ts)
            seen.outside += int(((ts < opens) | (ts > closes)).sum())
            seen.moved_outside += int(((moved < opens) | (moved > closes)).sum())
            seen.first, seen.last = min(seen.first, int(ts.min())), max(seen.last, int(ts.max()))

    def check(self, advice: str = ADVICE, path: str | None = None) -> None:
        """Raise :class:`~replay.errors.InputError` for a session most of whose rows lie outside of it, and hardly any
        would if their times had been meant as UTC. ``advice`` says what to do."""
        for date, seen in sorted(self._seen.items()):
            if 2 * seen.outside <= seen.rows or 20 * seen.moved_outside > seen.rows:
                continue
            session = find_session(date)
            assert session is not None, "only sessions are counted"
            first, last, start, end = (
                each.astimezone(NEW_YORK).strftime("%H:%M")
                for each in (from_us(seen.first), from_us(seen.last), session.open, session.close)
            )
            raise InputError(
                f"the rows of {date} are at {first} to {last} New York, and the session is {start} to {end}; they look "
                f"like UTC: {advice}",
                path=path,
            )
