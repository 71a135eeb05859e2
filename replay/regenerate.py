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
    from_us,
    iso_utc,
    parse_date,
    parse_duration,
    parse_moment,
    to_us,
)

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One heatmap: what :meth:`replay.Lake.heatmap` is asked for; ``as_of`` and ``known_at`` are its texts."""

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
        """A file's name without suffix: the same for the same request, another for any other."""
        parts = [self.symbol, clock_name(self.as_of), self.metric, self.mode]
        if self.minutes != contract.MINUTES_DEFAULT:
            parts.append(f"{self.minutes}m")
        if self.known_at is not None:
            latest = self.known_at.strip().lower() == "latest"
            parts.append("known-latest" if latest else f"known-{clock_name(self.known_at, 'known_at')}")
        if self.tier is not None:
            parts.append(f"tier-{self.tier}")
        if self.gaps:
            parts.append("gaps")
        return "_".join(parts)


def clock_name(moment: str, name: str = "as_of") -> str:
    """A moment for a file's name: ``2026-07-24_1430`` New York, with seconds and fraction only where there are any."""
    local = parse_moment(moment, name).astimezone(NEW_YORK)
    text = f"{local:%Y-%m-%d_%H%M}"
    if local.second or local.microsecond:
        text += f"{local:%S}"
    return text + (f".{local.microsecond:06d}" if local.microsecond else "")


@dataclass(frozen=True, slots=True)
class Bulk:
    """Requests in order of time, what was passed over because the session was not open then, and what is missing.

    ``outside`` are (date, New York time); ``missing`` are the exchange's sessions in the span that the lake lacks.
    """

    requests: tuple[Request, ...]
    outside: tuple[tuple[dt.date, str], ...]
    missing: tuple[dt.date, ...]


def bulk(
    lake: Lake,
    symbol: str,
    *,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    at: str = "close",
    metrics: Sequence[str] = ("gex",),
    modes: Sequence[str] = ("raw",),
    minutes: int | str = contract.MINUTES_DEFAULT,
    known_at: str | None = None,
    tier: str | None = None,
) -> Bulk:
    """Every request for a symbol's sessions from ``start`` to ``end``, both inclusive.

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
    if name not in lake.symbols():
        raise InvalidRun(f"the lake holds nothing of {name!r}; it has {', '.join(lake.symbols()) or 'no symbol'}")
    held = [date for date in lake.dates(name) if find_session(date)]
    first = parse_date(start, "from") if start is not None else held[0]
    last = parse_date(end, "to") if end is not None else held[-1]
    dates = [date for date in held if first <= date <= last]
    if not dates:
        raise InvalidRun(f"no session of {name} from {first} to {last}; the lake holds {held[0]} to {held[-1]}")
    span = contract.check_minutes(minutes)
    metrics = [contract.check_metric(each) for each in metrics]
    modes = [contract.check_mode(each) for each in modes]
    if known_at is not None and known_at.strip().lower() != "latest":
        parse_moment(known_at, "known_at")
    contract.check_tier(tier)
    requests: list[Request] = []
    outside: list[tuple[dt.date, str]] = []
    for date in dates:
        session = find_session(date)
        assert session is not None, "only sessions are listed"
        moments, shut = _moments(session, at)
        outside += [(date, text) for text in shut]
        requests += [
            Request(name, iso_utc(moment), metric, mode, span, known_at, tier)
            for moment in moments
            for metric in metrics
            for mode in modes
        ]
    known_first, known_last = calendar_span()
    days = range(max(first, known_first).toordinal(), min(last, known_last).toordinal() + 1)
    every = (dt.date.fromordinal(day) for day in days)
    missing = tuple(date for date in every if find_session(date) and date not in set(dates))
    return Bulk(tuple(requests), tuple(outside), missing)


def _moments(session: Session, at: str) -> tuple[list[int], list[str]]:
    """The moments of a session, ascending, and the times at which it was not open."""
    opens, closes = to_us(session.open), to_us(session.close)
    found: set[int] = set()
    shut: list[str] = []
    for part in (each.strip() for each in at.split(",")):
        time = _TIME.fullmatch(part)
        if part == "close":
            found.add(closes)
        elif part.startswith("every:"):
            step = parse_duration(part.removeprefix("every:"), "every")
            if step < MINUTE:
                raise InvalidTime(f"at {part!r}: the step must be a minute or more")
            found |= {*range(opens + step, closes, step), closes}
        elif time is not None:
            hour, minute, second = (int(each or 0) for each in time.groups())
            moment = to_us(dt.datetime.combine(session.date, dt.time(hour, minute, second), NEW_YORK))
            if opens <= moment <= closes:
                found.add(moment)
            else:
                shut.append(f"{from_us(moment).astimezone(NEW_YORK):%H:%M:%S}".removesuffix(":00"))
        else:
            raise InvalidTime(f"at {part!r} is not close, a New York time such as 10:00, or every:30m")
    return sorted(found), shut
