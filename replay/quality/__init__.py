"""How good the data of a lake is: per session a score, and what is wrong, counted and with its worst cases."""

from __future__ import annotations

import datetime as dt

from replay import contract
from replay.errors import InvalidTime, LakeError
from replay.lake import Lake
from replay.quality import chain, clocks
from replay.quality.day import Day, Fingerprint, fingerprint, read_day
from replay.quality.kinds import KINDS, CheckKind
from replay.quality.report import Check, Example, QualityReport, SessionQuality
from replay.sessions import SECOND, calendar_span, find_session, parse_date

__all__ = ["KINDS", "Check", "CheckKind", "Example", "QualityReport", "SessionQuality", "assess", "assess_day"]


def assess(
    lake: Lake, symbol: str, start: str | dt.date | None = None, end: str | dt.date | None = None
) -> QualityReport:
    """Check every session that a lake holds of a symbol, from everything recorded, one session at a time.

    Parameters
    ----------
    symbol
        One that the lake lacks gives a report without sessions.
    start, end
        First and last date, both inclusive; ``None``: the lake's. The session before ``start`` is read as well, to
        see whether it comes again.

    Returns
    -------
    A session that cannot be read is in it with its fault; those that the exchange held and the lake has not are named.

    Raises
    ------
    InvalidTime
        If ``start`` or ``end`` is no date, or they are the wrong way round.
    """
    name = contract.normalise_symbol(symbol)
    held = lake.dates(name)
    first = parse_date(start, "from") if start is not None else (held[0] if held else None)
    last = parse_date(end, "to") if end is not None else (held[-1] if held else None)
    if first is not None and last is not None and first > last:
        raise InvalidTime(f"from {first} is after to {last}")
    if first is None or last is None or not held:
        return QualityReport(name, first, last)
    before: Fingerprint | None = None
    sessions = []
    for date in [*[each for each in held if each < first][-1:], *(each for each in held if first <= each <= last)]:
        found, before = _session(lake, name, date, before)
        if found is not None and date >= first:
            sessions.append(found)
    return QualityReport(name, first, last, tuple(sessions), _missing(first, last, set(held)))


def _session(
    lake: Lake, symbol: str, date: dt.date, before: Fingerprint | None
) -> tuple[SessionQuality | None, Fingerprint | None]:
    """One session, and what the next is to be compared with; ``None`` if it holds no row."""
    session = find_session(date)
    if session is None:
        return SessionQuality(date, fault="the exchange had no session on that date"), before
    try:
        day = read_day(lake, symbol, session)
    except LakeError as error:
        return SessionQuality(date, fault=error.message), before
    if day is None:
        return None, before
    return assess_day(day, before), fingerprint(day)


def assess_day(day: Day, before: Fingerprint | None = None) -> SessionQuality:
    """Every check of one session; ``before`` is what the stored session before it held."""
    found = [
        clocks.gaps(day),
        *clocks.lags(day),
        *clocks.revisions(day),
        clocks.unchanged(day),
        clocks.previous_session(day, before),
        clocks.legacy(day),
        clocks.outside(day),
        clocks.unsound(day),
        *chain.quotes(day),
        *chain.parity(day),
        *chain.vols(day),
        chain.exposures(day),
        chain.volumes(day),
        chain.open_interest(day),
        chain.flow(day),
        *chain.strikes(day),
    ]
    by_id = {check.kind.id: check for check in found}
    stored = day.all_clocks
    step = stored.median_step()
    return SessionQuality(
        date=day.session.date,
        tier=day.tier,
        snapshots=len(stored),
        rows=len(day.timeline.ts),
        strikes=len(day.grid),
        first=int(stored.ts[0]),
        last=int(stored.ts[-1]),
        cadence=None if step is None else step / SECOND,
        lag=stored.median_lag() / SECOND,
        opens=day.opens,
        closes=day.closes,
        checks=tuple(by_id[kind.id] for kind in KINDS),
    )


def _missing(first: dt.date, last: dt.date, held: set[dt.date]) -> tuple[dt.date, ...]:
    known_first, known_last = calendar_span()
    days = range(max(first, known_first).toordinal(), min(last, known_last).toordinal() + 1)
    return tuple(date for date in map(dt.date.fromordinal, days) if date not in held and find_session(date))
