"""Observations read from a lake: what each tick showed, and the settlement of its session."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replay import levels
from replay.errors import InvalidStudy, InvalidTime
from replay.lake import Lake
from replay.market import Market
from replay.sessions import Session, calendar_span, find_session, parse_date, to_us
from replay.settlement import Settlements
from replay.study.instants import Instant
from replay.study.observations import LeftOut, Observations
from replay.study.pins import PREDICTORS, nearest_strike, step_at
from replay.tape import GapPolicy, Tape, Tick

Steps = Callable[[Sequence[dt.date]], Iterable[dt.date]]
"""What sessions are gone through with, so that somebody may count them."""


@dataclass(frozen=True)
class Span:
    """Which sessions to read: first and last date asked for or held, those the lake holds, and those it lacks.

    ``closed`` are dates that the lake holds and the exchange has no session on.
    """

    start: dt.date
    end: dt.date
    dates: tuple[dt.date, ...]
    missing: tuple[dt.date, ...]
    closed: tuple[dt.date, ...]


@dataclass
class _Session:
    """One session's rows of the arrays."""

    close: float
    source: str
    spot: list[float] = field(default_factory=list)
    expected_move: list[float] = field(default_factory=list)
    nearest: list[float] = field(default_factory=list)
    pin_score: list[float] = field(default_factory=list)
    pin: list[list[float]] = field(default_factory=list)
    step: list[list[float]] = field(default_factory=list)
    ts: list[int] = field(default_factory=list)


def span_of(lake: Lake, symbol: str, start: str | dt.date | None, end: str | dt.date | None) -> Span:
    """The sessions of a symbol from ``start`` to ``end``, both inclusive, ``None``: the lake's first and last.

    Raises
    ------
    InvalidTime
        For a date that is none, or the two the wrong way round.
    InvalidStudy
        If the lake holds no such session.
    """
    first, last = (None if each is None else parse_date(each, name) for each, name in ((start, "from"), (end, "to")))
    stored = lake.dates(symbol)
    held = [date for date in stored if find_session(date) is not None]
    if not held:
        raise InvalidStudy(f"the lake holds no session of {symbol}; it has {', '.join(lake.symbols()) or 'no symbol'}")
    first, last = first or stored[0], last or stored[-1]
    if first > last:
        raise InvalidTime(f"from {first} is after to {last}")
    dates = tuple(date for date in held if first <= date <= last)
    if not dates:
        raise InvalidStudy(
            f"no session of {symbol} from {first} to {last}; the lake holds {len(held)}, {held[0]} to {held[-1]}"
        )
    known_first, known_last = calendar_span()
    days = range(max(first, known_first).toordinal(), min(last, known_last).toordinal() + 1)
    lacking = set(map(dt.date.fromordinal, days)) - set(dates)
    missing = tuple(sorted(date for date in lacking if find_session(date)))
    return Span(
        first, last, dates, missing, tuple(date for date in stored if first <= date <= last and date not in held)
    )


def collect(
    lake: Lake,
    symbol: str,
    span: Span,
    instants: Sequence[Instant],
    predictors: Sequence[str],
    settlements: Settlements,
    *,
    latency: dt.timedelta,
    policy: GapPolicy,
    tier: str | None,
    stated: dict[str, Any],
    steps: Steps = iter,
) -> Observations:
    """The predictions of every session at every instant, as they stood, and the closes.

    Whatever is not known is left out and said: nothing is filled in.

    Raises
    ------
    InvalidStudy
        If no session is left.
    """
    left = [LeftOut(date, None, None, "the exchange had no session on that date") for date in span.closed]
    kept: dict[dt.date, _Session] = {}
    for date in steps(span.dates):
        tape = lake.tape(symbol, date, tier, levels.COLUMNS, **stated)
        settlement = settlements.of(Market(tape), policy)
        if settlement.price is None:
            left.append(LeftOut(date, None, None, f"no settlement: {settlement.reason}"))
            continue
        row = _Session(settlement.price, settlement.source)
        for instant in instants:
            _observe(tape, instant, predictors, latency, policy, row, left)
        kept[date] = row
    if not kept:
        raise InvalidStudy(
            f"no settlement is known of any of {len(span.dates)} sessions of {symbol} (of {left[-1].date}, "
            f"{left[-1].reason.partition(': ')[2]}); a file of settlement prices gives the closes"
        )
    rows = list(kept.values())
    shape = (len(rows), len(instants), len(predictors))
    return Observations(
        symbol=symbol,
        dates=tuple(kept),
        at=tuple(map(str, instants)),
        predictors=tuple(predictors),
        close=np.array([row.close for row in rows]),
        spot=np.array([row.spot for row in rows]),
        expected_move=np.array([row.expected_move for row in rows]),
        nearest=np.array([row.nearest for row in rows]),
        pin_score=np.array([row.pin_score for row in rows]),
        pin=np.array([row.pin for row in rows]).reshape(shape),
        step=np.array([row.step for row in rows]).reshape(shape),
        ts=np.array([row.ts for row in rows], np.int64),
        sources=tuple(row.source for row in rows),
        left_out=tuple(left),
    )


def _observe(
    tape: Tape,
    instant: Instant,
    predictors: Sequence[str],
    latency: dt.timedelta,
    policy: GapPolicy,
    row: _Session,
    left: list[LeftOut],
) -> None:
    """Add what stood at one instant of a session to its row."""
    moment, date = instant.of(tape.session), tape.session.date
    tick = None if moment is None else tape.at(moment, moment - latency, str(policy))
    why = _unknown(tape.session, tick)
    pins: list[float | None] = [None] * len(predictors)
    spot, strikes = math.nan, np.empty(0)
    expected: float | None = None
    score: float | None = None
    if tick is None or why:
        left.append(LeftOut(date, str(instant), None, why))
    else:
        spot, expected, score, strikes = tick.spot, tick.levels.expected_move, tick.levels.pin_score, tick.strikes
        pins = [PREDICTORS[name](tick) for name in predictors]
        left += [
            LeftOut(date, str(instant), name, "it is not known")
            for name, pin in zip(predictors, pins, strict=True)
            if pin is None
        ]
    row.spot.append(spot)
    row.expected_move.append(math.nan if expected is None else expected)
    row.nearest.append(nearest_strike(strikes, spot))
    row.pin_score.append(math.nan if score is None else score)
    row.pin.append([math.nan if pin is None else pin for pin in pins])
    row.step.append([math.nan if pin is None else step_at(strikes, pin) for pin in pins])
    row.ts.append(-1 if tick is None or tick.ts is None else to_us(tick.ts))


def _unknown(session: Session, tick: Tick | None) -> str:
    """Why nothing can be told at an instant; empty where it can."""
    if tick is None:
        return f"the session was open from {session.open:%H:%M} to {session.close:%H:%M}"
    if tick.ts is None:
        return "no snapshot was visible"
    if tick.stale:
        return f"the newest snapshot, of {tick.ts:%H:%M:%S}, was too old"
    if not math.isfinite(tick.spot):
        return "spot is not known"
    if not tick.levels.expected_move:
        return "the expected move is not known"
    return ""
