"""Historical heatmaps in bulk: which requests, and the stable name of each one's file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from replay import contract
from replay.errors import InvalidRun, InvalidTime
from replay.lake import Lake
from replay.sessions import (
    MINUTE,
    NEW_YORK,
    Session,
    calendar_span,
    find_session,
    iso_utc,
    parse_date,
    parse_duration,
    parse_moment,
    to_us,
)

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", re.ASCII)
_CLOSE = "close"

Moment = str | int | dt.time
"""When in a session: ``close``, each so many microseconds after the open and at the close, or a New York time."""


@dataclass(frozen=True, slots=True)
class Request:
    """One heatmap: what :meth:`replay.Lake.heatmap` is asked for; ``as_of`` and ``known_at`` are texts."""

    symbol: str
    as_of: str
    metric: str = "gex"
    mode: str = "raw"
    minutes: int = contract.MINUTES_DEFAULT
    known_at: str | None = None
    tier: str | None = None
    gaps: bool = False

    @property
    def name(self) -> str:
        """A file's name without suffix: the same for the same request, another for any other.

        ``SPY_2026-07-24_1430_gex_raw``: symbol, New York date and time, metric, mode; then minutes, known_at, tier
        and gaps, as far as they are not the contract's own.
        """
        parts = [self.symbol, clock_name(self.as_of), self.metric, self.mode]
        if self.minutes != contract.MINUTES_DEFAULT:
            parts.append(f"{self.minutes}m")
        return "_".join([*parts, *knowledge_names(self.known_at, self.tier), *(["gaps"] if self.gaps else [])])


def knowledge_names(known_at: str | None, tier: str | None) -> list[str]:
    """What a file's name says of the knowledge cut and the tier, where they were asked for."""
    parts = []
    if known_at is not None:
        parts.append("known-latest" if is_latest(known_at) else f"known-{clock_name(known_at, 'known_at')}")
    if tier is not None:
        parts.append(f"tier-{tier}")
    return parts


def is_latest(known_at: str) -> bool:
    """Whether a knowledge cut is ``latest``, as :meth:`replay.Lake.heatmap` reads it."""
    return known_at.strip().lower() == "latest"


def clock_name(moment: str, name: str = "as_of") -> str:
    """A moment for a file's name: ``2026-07-24_1430``, New York.

    Seconds and fraction follow where there are any, and the offset where the clock shows the time a second time.
    """
    local = parse_moment(moment, name).astimezone(NEW_YORK)
    text = f"{local.date()}_{local:%H%M}"
    if local.second or local.microsecond:
        text += f"{local:%S}"
    if local.microsecond:
        text += f".{local.microsecond:06d}"
    return f"{text}{local:%z}" if local.fold else text


@dataclass(frozen=True, slots=True)
class Bulk:
    """Requests in order of time, and what there is none for.

    Attributes
    ----------
    requests
        One a file.
    outside
        Date and New York time of each moment passed over because the session was not open then.
    missing
        The exchange's sessions in the span that the lake lacks.
    closed
        Dates in the span that the lake holds and the exchange has no session on.
    """

    requests: tuple[Request, ...]
    outside: tuple[tuple[dt.date, str], ...]
    missing: tuple[dt.date, ...]
    closed: tuple[dt.date, ...]


def bulk(
    lake: Lake,
    symbol: str,
    *,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    at: str = _CLOSE,
    metrics: Sequence[str] = ("gex",),
    modes: Sequence[str] = ("raw",),
    minutes: int | str = contract.MINUTES_DEFAULT,
    known_at: str | None = None,
    tier: str | None = None,
) -> Bulk:
    """Every request for a symbol's sessions from ``start`` to ``end``, both inclusive; ``None``: the lake's.

    Parameters
    ----------
    at
        Moments of each session, separated by commas: ``close``, New York times such as ``10:00``, or ``every:30m``
        after the open, up to the close and at it.
    known_at
        ``None``: as it stood at each moment; ``latest``: with everything recorded since; or a moment.

    Raises
    ------
    RequestError
        For a value that cannot be used, and where the lake has no such session.
    """
    name = contract.normalise_symbol(symbol)
    metrics = tuple(dict.fromkeys(contract.check_metric(each) for each in metrics))
    modes = tuple(dict.fromkeys(contract.check_mode(each) for each in modes))
    span, tier = contract.check_minutes(minutes), contract.check_tier(tier)
    if known_at is not None and not is_latest(known_at):
        parse_moment(known_at, "known_at")
    wanted = _parse_at(at)
    first, last, sessions, closed = _held(lake, name, start, end)
    requests: list[Request] = []
    outside: list[tuple[dt.date, str]] = []
    for session in sessions:
        moments, shut = _moments(session, wanted)
        outside += [(session.date, text) for text in shut]
        requests += [
            Request(name, iso_utc(moment), metric, mode, span, known_at, tier)
            for moment in moments
            for metric in metrics
            for mode in modes
        ]
    missing = _missing(first, last, {session.date for session in sessions})
    return Bulk(tuple(requests), tuple(outside), missing, closed)


def _held(
    lake: Lake, name: str, start: str | dt.date | None, end: str | dt.date | None
) -> tuple[dt.date, dt.date, list[Session], tuple[dt.date, ...]]:
    """First and last date, the sessions that the lake holds between them, and dates it holds that are none."""
    asked = [None if date is None else parse_date(date, of) for date, of in ((start, "from"), (end, "to"))]
    dates = lake.dates(name)
    if not dates:
        raise InvalidRun(f"the lake holds nothing of {name}; it has {', '.join(lake.symbols()) or 'no symbol'}")
    first, last = asked[0] or dates[0], asked[1] or dates[-1]
    if first > last:
        ends = [f"{date}{'' if given else ' of the lake'}" for date, given in ((first, start), (last, end))]
        raise InvalidTime(f"from {ends[0]} is after to {ends[1]}")
    found = [(date, find_session(date)) for date in dates if first <= date <= last]
    sessions = [session for _, session in found if session is not None]
    if not sessions:
        raise InvalidRun(
            f"no session of {name} from {first} to {last}; the lake holds {len(dates)} dates, {dates[0]} to {dates[-1]}"
        )
    return first, last, sessions, tuple(date for date, session in found if session is None)


def _missing(first: dt.date, last: dt.date, held: set[dt.date]) -> tuple[dt.date, ...]:
    known_first, known_last = calendar_span()
    days = range(max(first, known_first).toordinal(), min(last, known_last).toordinal() + 1)
    every = map(dt.date.fromordinal, days)
    return tuple(date for date in every if date not in held and find_session(date))


def _parse_at(at: str) -> list[Moment]:
    wanted: list[Moment] = []
    for part in (each.strip() for each in at.split(",")):
        time = _TIME.fullmatch(part)
        if part == _CLOSE:
            wanted.append(part)
        elif part.startswith("every:"):
            step = parse_duration(part.removeprefix("every:"), "at every")
            if step < MINUTE:
                raise InvalidTime(f"at {part!r}: the step must be a minute or more")
            wanted.append(step)
        elif time is not None:
            hour, minute, second = (int(each or 0) for each in time.groups())
            wanted.append(dt.time(hour, minute, second))
        else:
            raise InvalidTime(f"at {part!r} is not close, a New York time such as 10:00, or every:30m")
    return wanted


def _moments(session: Session, wanted: Sequence[Moment]) -> tuple[list[int], list[str]]:
    """The moments of a session, microseconds, ascending, and the times at which it was not open."""
    opens, closes = to_us(session.open), to_us(session.close)
    found: set[int] = set()
    shut: dict[str, None] = {}
    for each in wanted:
        if isinstance(each, dt.time):
            moment = dt.datetime.combine(session.date, each, NEW_YORK)
            if session.open <= moment <= session.close:
                found.add(to_us(moment))
            else:
                shut[each.isoformat("auto" if each.second else "minutes")] = None
        else:
            found.add(closes)
            if isinstance(each, int):
                found.update(range(opens + each, closes, each))
    return sorted(found), list(shut)
