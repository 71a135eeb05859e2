"""What was found: a check's number with its worst examples, a session's checks and score, and the whole report."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from replay.quality.kinds import BY_ID, KINDS, MAJOR_PENALTY, CheckKind, score_of
from replay.sessions import MINUTE, NEW_YORK, from_us, iso_utc, session_date

if TYPE_CHECKING:
    import polars as pl

SEVERITIES: Final = ("unknown", "none", "info", "minor", "major")

Span = tuple[int, int]
"""A stretch of a session, both ends inclusive, microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Example:
    """One case: when, at which strike and side, with what values.

    ``ts`` is microseconds, UTC, as are ``recorded_at`` of a snapshot and ``until`` of a stretch; ``side`` is ``C`` or
    ``P``; ``values`` are named numbers, of a change ``before`` and ``after``.
    """

    ts: int | None = None
    recorded_at: int | None = None
    until: int | None = None
    strike: float | None = None
    side: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [] if self.strike is None else [f"{self.strike:g}" + (f" {self.side}" if self.side else "")]
        if self.ts is not None:
            parts.append(_clock(self.ts) + ("" if self.until is None else f"-{_clock(self.until)}"))
        if self.ts is not None and self.recorded_at is not None and self.recorded_at - self.ts > MINUTE:
            parts.append(f"(known {_clock(self.recorded_at, self.ts)})")
        values = dict(self.values)
        if {"before", "after"} <= values.keys():
            parts.append(f"{number_text(values.pop('before'))} -> {number_text(values.pop('after'))}")
        for name, value in values.items():
            words = name.replace("_", " ")
            counted = words.startswith(("minutes", "seconds", "changes"))
            parts.append(f"{number_text(value)} {words}" if counted else f"{words} {number_text(value)}")
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times as ISO 8601 text in UTC."""
        return {
            "ts": _iso(self.ts),
            "recorded_at": _iso(self.recorded_at),
            "until": _iso(self.until),
            "strike": self.strike,
            "side": self.side,
            "values": dict(self.values),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one session.

    Attributes
    ----------
    kind
        What it counts.
    number
        How many cases there are; ``None`` where the check cannot be made, and ``note`` says why.
    of
        How many there could be.
    scored
        How many of the cases count against the session.
    measures
        Further numbers by name; a name ends with its unit.
    examples
        The worst cases, the worst first.
    spans
        Where in the session they lie, ascending.
    note
        A remark, or why the check cannot be made.
    """

    kind: CheckKind
    number: float | None = None
    of: float | None = None
    scored: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    spans: tuple[Span, ...] = ()
    note: str = ""

    @property
    def share(self) -> float | None:
        """``number / of``; ``None`` where either is not known, or there could be none."""
        return self.number / self.of if self.number is not None and self.of else None

    @property
    def penalty(self) -> int:
        """Hundredths of a point."""
        return self.kind.penalty(self.scored, self.of or 0)

    @property
    def severity(self) -> str:
        """``unknown`` (not made), ``none`` (nothing found), ``info`` (not scored), ``minor`` or ``major``."""
        if self.number is None:
            return "unknown"
        if not self.number:
            return "none"
        if not self.penalty:
            return "info"
        return "major" if self.penalty >= MAJOR_PENALTY else "minor"

    def sentence(self, examples: int | None = None) -> str:
        """What was found, in words, with so many of the worst cases (``None``: all that are kept); New York time."""
        if self.number is None:
            return self.note
        parts = [f"{number_text(self.number)} of {number_text(self.of or 0)} {self.kind.unit}"]
        if 0 < self.scored < self.number:
            parts.append(f"{number_text(self.scored)} scored")
        parts += [self.note] if self.note else []
        text = ", ".join(parts)
        shown = self.examples[:examples]
        return text + (": " + "; ".join(map(str, shown)) if shown else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values in a stable order."""
        return {
            "id": self.kind.id,
            "severity": self.severity,
            "number": self.number,
            "of": self.of,
            "unit": self.kind.unit,
            "share": self.share,
            "scored": None if self.number is None else self.scored,
            "penalty": self.penalty / 100,
            "finding": self.sentence(),
            "measures": dict(self.measures),
            "examples": [each.to_dict() for each in self.examples],
            "spans": [[_iso(start), _iso(end)] for start, end in self.spans],
        }


@dataclass(frozen=True, slots=True)
class SessionQuality:
    """One stored session: what there is of it, every check, and the score.

    ``rows`` are those stored, ``snapshots`` the instants, ``cadence`` and ``lag`` seconds, ``opens`` and ``closes`` the
    session's ends in microseconds. ``fault`` says why it could not be read; there are no checks and no score then.
    """

    date: dt.date
    tier: str = ""
    snapshots: int = 0
    rows: int = 0
    strikes: int = 0
    first: int | None = None
    last: int | None = None
    cadence: float | None = None
    lag: float | None = None
    opens: int = 0
    closes: int = 0
    checks: tuple[Check, ...] = ()
    fault: str | None = None

    @property
    def score(self) -> float | None:
        """0..100 as :mod:`replay.quality.kinds` says; ``None`` if the session could not be read."""
        return None if self.fault is not None else score_of(check.penalty for check in self.checks)

    def check(self, check_id: str) -> Check:
        """The check with this id; ``KeyError`` if there is none."""
        return {check.kind.id: check for check in self.checks}[check_id]

    def worst(self) -> list[Check]:
        """The checks that cost anything, the dearest first."""
        return sorted((each for each in self.checks if each.penalty), key=lambda each: -each.penalty)

    def to_dict(self) -> dict[str, Any]:
        """Plain values in a stable order."""
        return {
            "date": self.date.isoformat(),
            "score": self.score,
            "fault": self.fault,
            "tier": self.tier or None,
            "snapshots": self.snapshots,
            "rows": self.rows,
            "strikes": self.strikes,
            "first": _iso(self.first),
            "last": _iso(self.last),
            "cadence_seconds": self.cadence,
            "lag_seconds": self.lag,
            "checks": [check.to_dict() for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The data quality of a symbol's sessions, ascending by date.

    ``missing`` are sessions of the exchange from ``start`` to ``end`` of which the lake holds nothing.
    """

    symbol: str
    start: dt.date | None
    end: dt.date | None
    sessions: tuple[SessionQuality, ...] = ()
    missing: tuple[dt.date, ...] = ()

    def __len__(self) -> int:
        return len(self.sessions)

    def below(self, score: float) -> list[SessionQuality]:
        """The sessions with a lower score, and those that could not be read."""
        return [each for each in self.sessions if each.score is None or each.score < score]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values in a stable order, times as ISO 8601 text in UTC."""
        fields = ("id", "what", "unit", "why", "floor", "points", "cap")
        return {
            "symbol": self.symbol,
            "from": None if self.start is None else self.start.isoformat(),
            "to": None if self.end is None else self.end.isoformat(),
            "missing": [date.isoformat() for date in self.missing],
            "kinds": [{name: getattr(kind, name) for name in fields} for kind in KINDS],
            "sessions": [each.to_dict() for each in self.sessions],
        }

    def to_polars(self) -> pl.DataFrame:
        """One row a session and check; a session that could not be read has one row, with the fault as its finding."""
        import polars as pl

        numbers = dict.fromkeys(("number", "of", "share", "scored", "penalty"), pl.Float64)
        texts = dict.fromkeys(("check", "severity", "unit", "finding"), pl.String)
        types = {"symbol": pl.String, "date": pl.Date, "score": pl.Float64} | texts | numbers
        order = ["symbol", "date", "score", "check", "severity", *numbers, "unit", "finding"]
        rows: list[dict[str, Any]] = []
        for session in self.sessions:
            head = {"symbol": self.symbol, "date": session.date, "score": session.score}
            if session.fault is not None:
                rows.append(head | {"severity": "major", "finding": session.fault})
            for check in session.checks:
                told = check.to_dict()
                rows.append(head | {"check": told["id"]} | {name: told[name] for name in order if name in told})
        return pl.DataFrame(rows, schema=types).select(order)


def not_made(check_id: str, why: str) -> Check:
    """A check that cannot be made."""
    return Check(BY_ID[check_id], note=why)


def score_text(score: float) -> str:
    """A score to the tenth below it, so that only a session without a fault shows as 100."""
    return f"{math.floor(score * 10 + 1e-6) / 10:.1f}"


def number_text(value: float) -> str:
    """A number with thousands separated, and decimals as far as they say anything."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}".rstrip("0") if abs(value) >= 100 else f"{value:.4g}"


def _iso(us: int | None) -> str | None:
    return None if us is None else iso_utc(us)


def _clock(us: int, beside: int | None = None) -> str:
    """The time in New York, with its date where that is another than of the instant it stands beside."""
    local = from_us(us).astimezone(NEW_YORK)
    text = local.time().isoformat("milliseconds" if local.microsecond else "seconds")
    return text if beside is None or session_date(beside) == local.date() else f"{local.date()} {text}"
