"""When in a session a prediction is taken: at New York times, or so long before the close."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from replay.errors import InvalidDuration, InvalidTime
from replay.sessions import MINUTE, NEW_YORK, Session, duration_text, parse_duration

AT: Final = ("11:00", "14:00", "15:00", "15:30")
_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", re.ASCII)
_BEFORE: Final = "close-"
_HOURS: Final = dt.time(9, 30), dt.time(16, 0)
_LONGEST: Final = 390 * MINUTE


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment of any session: a New York ``time``, or ``before`` so many microseconds ahead of the real close."""

    time: dt.time | None = None
    before: int = 0

    def __str__(self) -> str:
        if self.time is None:
            return f"{_BEFORE}{duration_text(self.before)}"
        return self.time.isoformat("auto" if self.time.second else "minutes")

    def of(self, session: Session) -> dt.datetime | None:
        """The moment in one session, aware; ``None`` unless it lies from the open (inclusive) to before the close."""
        if self.time is None:
            moment = session.close - dt.timedelta(microseconds=self.before)
        else:
            moment = dt.datetime.combine(session.date, self.time, NEW_YORK)
        return moment if session.open <= moment < session.close else None


def parse_instants(at: str | Sequence[str]) -> tuple[Instant, ...]:
    """Moments from texts such as ``15:30`` and ``close-30m``, or one text of them with commas; each is kept once.

    Raises :class:`~replay.errors.InvalidTime` for one that is neither, that lies outside of every session, or is none.
    """
    texts = at.split(",") if isinstance(at, str) else at
    found = tuple(dict.fromkeys(_instant(each.strip()) for each in texts))
    if not found:
        raise InvalidTime("at: no time is given; write it like 14:00,15:30")
    return found


def _instant(text: str) -> Instant:
    if text.startswith(_BEFORE):
        try:
            before = parse_duration(text.removeprefix(_BEFORE))
        except InvalidDuration as error:
            raise InvalidTime(f"at {text!r}: {error.message}") from None
        if not 0 < before <= _LONGEST:
            raise InvalidTime(f"at {text!r} is not before the close, or is before the open")
        return Instant(before=before)
    time = _TIME.fullmatch(text)
    if time is None:
        raise InvalidTime(f"at {text!r} is neither a New York time such as 15:30 nor close-30m")
    hour, minute, second = (int(each or 0) for each in time.groups())
    found = dt.time(hour, minute, second)
    if not _HOURS[0] <= found < _HOURS[1]:
        raise InvalidTime(f"at {text!r} is not from 09:30 to before 16:00, New York")
    return Instant(found)
