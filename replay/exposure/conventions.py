"""Conventions that exposures are computed under: named, written into each file, told apart by their id.

An id is a name, and what differs from it: ``replay-1``, ``dealer-book``, ``replay-1;rate=0.045;dividend=0.012``.
Names and keys are those of :data:`NAMED` and of the fields of :class:`Conventions`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

import numpy as np

from replay.contract import UNITS
from replay.errors import InvalidConventions
from replay.ragged import Floats, Ints
from replay.sessions import FLOOR_MINUTES, MINUTE, YEAR_MINUTES, Session, to_us

SESSION_MINUTES: Final = 390
TRADING_YEAR_MINUTES: Final = 252 * SESSION_MINUTES
_CHOICES: Final = {
    "calls": (1, -1),
    "puts": (1, -1),
    "dex": ("holders", "dealers"),
    "clock": ("calendar", "trading"),
    "vanna_point": (0.01, 1.0),
    "charm_per": ("day", "hour"),
}
_BOUNDS: Final = {"rate": (-0.5, 1.0), "dividend": (-0.5, 1.0), "floor": (0.001, 60.0)}


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a strike's exposures are made of its options' greeks and open interest.

    Attributes
    ----------
    calls, puts
        The side that dealers are taken to have of each open contract: 1 long, -1 short. Signs of gex, vex, chex.
    dex
        Whose net delta dex is: ``holders`` (delta times open interest, puts negative), or ``dealers``: the book
        whose derivatives gex, vex and chex are, signed as they are.
    clock
        ``calendar``: time to the close over 365 days. ``trading``: minutes of the session left over 252 days of
        390 minutes; before the open, all of the session's.
    rate, dividend
        Per year, continuously compounded.
    floor
        Minutes that time to the close never falls below.
    vanna_point
        The change of vol that vex is for: 0.01 is a vol point, 1 a whole unit.
    charm_per
        The time that chex is for: a ``day`` of the clock (a 365th or 252nd year), or an ``hour`` (a 24th of the one,
        a 6.5th of the other).
    """

    calls: int = 1
    puts: int = -1
    dex: str = "holders"
    clock: str = "calendar"
    rate: float = 0.0
    dividend: float = 0.0
    floor: float = FLOOR_MINUTES
    vanna_point: float = 0.01
    charm_per: str = "day"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                allowed = " or ".join(_text(each) for each in choices)
                raise InvalidConventions(f"{name} {getattr(self, name)!r} is to be {allowed}")
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high):
                raise InvalidConventions(f"{name} {value!r} is to be a number from {low} to {high}")

    @classmethod
    def parse(cls, text: str) -> Conventions:
        """The conventions that an id names. Raises :class:`~replay.errors.InvalidConventions` saying what is wrong."""
        name, *differences = (part.strip() for part in text.split(";"))
        if name not in NAMED:
            raise InvalidConventions(f"no conventions are named {name!r}; there are {', '.join(NAMED)}")
        kinds = {field.name: type(getattr(REPLAY_1, field.name)) for field in fields(cls)}
        changed: dict[str, Any] = {}
        for each in differences:
            key, equals, value = (part.strip() for part in each.partition("="))
            if not equals or key not in kinds or key in changed:
                raise InvalidConventions(f"{each!r} in {text!r} is to be KEY=VALUE, each once, of {', '.join(kinds)}")
            try:
                changed[key] = kinds[key](value)
            except ValueError:
                raise InvalidConventions(f"{key} {value!r} in {text!r} is no number") from None
        return replace(NAMED[name], **changed)

    @property
    def id(self) -> str:
        """The shortest text that :meth:`parse` reads back as these; the same for the same conventions."""
        own = asdict(self)
        texts: list[tuple[str, ...]] = []
        for name, named in NAMED.items():
            base = asdict(named)
            texts.append((name, *(f"{key}={_text(own[key])}" for key in own if own[key] != base[key])))
        shortest = min(texts, key=len)
        return ";".join(shortest)

    @property
    def year_minutes(self) -> int:
        """Minutes in a year of the clock."""
        return YEAR_MINUTES if self.clock == "calendar" else TRADING_YEAR_MINUTES

    @property
    def charm_fraction(self) -> float:
        """The part of a year that chex is for."""
        days, hours = (365.0, 24.0) if self.clock == "calendar" else (252.0, SESSION_MINUTES / 60)
        return 1.0 / days if self.charm_per == "day" else 1.0 / (days * hours)

    def years(self, session: Session, ts: Ints) -> Floats:
        """Time from each instant (microseconds, any shape) to a session's close, in years of the clock."""
        close = to_us(session.close)
        start = ts if self.clock == "calendar" else np.maximum(ts, to_us(session.open))
        return np.asarray(np.maximum((close - start) / MINUTE, self.floor) / self.year_minutes, np.float64)

    def unit(self, metric: str) -> str:
        """The unit of a metric's values."""
        if metric == "vex" and self.vanna_point != REPLAY_1.vanna_point:
            return "USD of delta per unit of vol"
        if metric == "chex" and (self.clock, self.charm_per) != (REPLAY_1.clock, REPLAY_1.charm_per):
            return f"USD of delta per {self.clock} {self.charm_per}"
        return UNITS[metric]

    def describe(self) -> str:
        """What they say, a clause each."""
        holds = {(1, -1): "calls +, puts -", (-1, 1): "calls -, puts +", (1, 1): "both +", (-1, -1): "both -"}
        clock = "365 days of calendar time" if self.clock == "calendar" else "252 sessions of 390 minutes"
        return (
            f"dealers {holds[self.calls, self.puts]}; dex of {self.dex}; {clock}, at least {_text(self.floor)} min; "
            f"rate {_text(self.rate)}, dividend {_text(self.dividend)}; "
            f"vex per {_text(self.vanna_point)} of vol; chex per {self.charm_per}"
        )


def _text(value: Any) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, (int, float)) else str(value)


REPLAY_1: Final = Conventions()
"""Calendar time to the close over 365 days, at least a minute; rate and dividend 0; dealers long calls, short puts;
dex is holders'; per vol point and calendar day."""

NAMED: Final = {
    "replay-1": REPLAY_1,
    "dealer-book": Conventions(dex="dealers"),
    "trading-time": Conventions(clock="trading"),
    "short-all": Conventions(calls=-1),
    "vanna-unit": Conventions(vanna_point=1.0),
    "charm-hour": Conventions(charm_per="hour"),
}
"""Conventions with a name, the engine's own first."""

LIVE: Final = "live"
"""The id of files captured from the live endpoint, whose formulas are not published but for gex."""


@functools.cache
def known_conventions(text: str | None) -> Conventions | None:
    """The conventions that a file's id names; ``None`` if it has none, or one that this engine does not know."""
    try:
        return None if text is None else Conventions.parse(text)
    except InvalidConventions:
        return None
