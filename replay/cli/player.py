"""The player of one session: where its clock stands, how fast it runs, what it shows, and what each key does.

Pure: it prints nothing, reads no clock and knows no lake. Instants are microseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from replay.contract import METRICS, MODES
from replay.sessions import MINUTE, SECOND, Session, to_us

State = Literal["playing", "paused", "at the close"]
_T = TypeVar("_T")

SEEK: Final = 15 * MINUTE
SPEEDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
"""What + and - go through, market seconds a second."""

KEYS: Final = (
    "space: pause, play",
    "left right: one step",
    "up down: 15 minutes",
    "home end: open, close",
    "+ -: speed",
    "m M: metric",
    "d: raw, delta",
    "q: quit",
)
"""What the keys do, for the help on the screen."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that a picture depends on beside the lake and the terminal's size; ``now`` in whole seconds."""

    now: int
    state: State
    speed: float
    metric: str
    mode: str
    help: bool


class Player:
    """Plays a session from ``start``, by default its open, to its close, where it stops.

    Parameters
    ----------
    session
        What is played; the clock never leaves it.
    start
        Where to begin, microseconds; ``None``: the open.
    step
        What the arrows left and right go by, microseconds. Steps count from the open: from 10:00:37 a step of a
        minute leads on to 10:01:00 and back to 10:00:00.
    speed
        Market seconds a second.
    metric, mode
        What is shown at first.
    """

    def __init__(
        self,
        session: Session,
        *,
        start: int | None = None,
        step: int = MINUTE,
        speed: float = 60.0,
        metric: str = "gex",
        mode: str = "raw",
    ) -> None:
        self.open, self.close = to_us(session.open), to_us(session.close)
        self.step = step
        self.now = self._within(self.open if start is None else start)
        self.speed = speed
        self.metric, self.mode = metric, mode
        self.paused = self.help = self.quit = False

    @property
    def state(self) -> State:
        """``at the close`` once it is reached, whether paused or not."""
        if self.now == self.close:
            return "at the close"
        return "paused" if self.paused else "playing"

    @property
    def shown(self) -> Shown:
        """What is to be seen now."""
        return Shown(self.now - self.now % SECOND, self.state, self.speed, self.metric, self.mode, self.help)

    @property
    def until_next(self) -> float | None:
        """Seconds until another second of the market is shown; ``None`` while the clock stands."""
        return (SECOND - self.now % SECOND) / SECOND / self.speed if self.state == "playing" else None

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass outside: the market's clock runs ``speed`` times as far, to the close."""
        if self.state == "playing":
            self.now = self._within(self.now + round(seconds * self.speed * SECOND))

    def press(self, key: str) -> None:
        """Do what a key is for; any other does nothing. Keys are named as in :mod:`replay.cli.screen`."""
        past = (self.now - self.open) % self.step
        match key:
            case " " if self.state != "at the close":
                self.paused = not self.paused
            case "right":
                self.paused, self.now = True, self._within(self.now - past + self.step)
            case "left":
                self.paused, self.now = True, self._within(self.now - (past or self.step))
            case "up" | "page up":
                self.now = self._within(self.now + SEEK)
            case "down" | "page down":
                self.now = self._within(self.now - SEEK)
            case "home":
                self.now = self.open
            case "end":
                self.now = self.close
            case "+" | "=":
                self.speed = next((speed for speed in SPEEDS if speed > self.speed), self.speed)
            case "-" | "_":
                self.speed = next((speed for speed in reversed(SPEEDS) if speed < self.speed), self.speed)
            case "m":
                self.metric = _next(METRICS, self.metric, 1)
            case "M":
                self.metric = _next(METRICS, self.metric, -1)
            case "d" | "tab":
                self.mode = _next(MODES, self.mode, 1)
            case "?" | "h":
                self.help = not self.help
            case "q" | "Q" | "escape" | "ctrl-c":
                self.quit = True
            case _:
                pass

    def _within(self, us: int) -> int:
        return min(max(us, self.open), self.close)


def _next(names: Sequence[_T], now: _T, by: int) -> _T:
    """The name so many places on, round and round."""
    return names[(names.index(now) + by) % len(names)]
