"""``replay watch``: a past session played in the terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
import sys
import time
from typing import IO, TYPE_CHECKING, Final

import click

from replay.cli import options, output
from replay.cli.player import KEYS, Player, Shown

if TYPE_CHECKING:
    from replay.cli.screen import Screen
    from replay.lake import Lake
    from replay.render.frame import Ability
    from replay.sessions import Session

FRAME_SECONDS: Final = 0.1
FASTEST: Final = 3600.0
KNOWN: Final = ("as-it-stood", "latest")

_STEP: Final = re.compile(r"([1-9][0-9]{0,4})([sm])", re.ASCII)
_UNITS: Final = {"s": 1_000_000, "m": 60_000_000}


class _Speed(click.ParamType[float]):
    """Market seconds a second: above 0, at most :data:`FASTEST`."""

    name = "speed"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            speed = float(str(value))
        except ValueError:
            speed = math.nan
        if not 0 < speed <= FASTEST:
            self.fail(f"{value!r} is not above 0 and at most {FASTEST:g}", param, ctx)
        return speed


class _Step(click.ParamType[int]):
    """``30s`` or ``1m`` as microseconds."""

    name = "step"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _STEP.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} cannot be read; write it like 30s, 1m or 15m", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command()
@click.argument("symbol")
@options.lake
@click.option("--date", required=True, metavar="DATE", help="The session: 2026-07-24.")
@click.option("--from", "begin", metavar="HH:MM", help="Begin at this New York time.  [default: the open]")
@click.option("--speed", type=_Speed(), default="60", show_default=True, metavar="X", help="Market seconds a second.")
@click.option(
    "--step", type=_Step(), default="1m", show_default=True, metavar="30s|1m|…", help="What left and right go by."
)
@click.option(
    "--metric", default="gex", show_default=True, metavar="gex|dex|vex|chex|oi|signed_flow", help="What to show first."
)
@click.option(
    "--mode", default="raw", show_default=True, metavar="raw|delta", help="Values, or their change bar by bar."
)
@click.option("--minutes", default="60", show_default=True, metavar="1..390", help="How far to look back; clamped.")
@click.option(
    "--known-at",
    "known",
    type=click.Choice(KNOWN),
    default=KNOWN[0],
    show_default=True,
    help="What was recorded by the instant shown, or everything since.",
)
@click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]")
def watch(
    symbol: str,
    lake_path: str,
    date: str,
    begin: str | None,
    speed: float,
    step: int,
    metric: str,
    mode: str,
    minutes: str,
    known: str,
    tier: str | None,
) -> None:
    """Play SYMBOL's session in the terminal, from the open to the close, as it stood at each instant.

    \b
    Keys:
      space               pause, play on
      left, right         one step back, on, and pause
      up, down            15 minutes on, back (also page up, page down)
      home, end           to the open, to the close
      + -                 faster, slower
      m M                 next, previous metric
      d, tab              values, or their change bar by bar
      ?                   what the keys do
      q, Esc, Ctrl-C      quit

    \b
    Example:
      replay watch SPY --lake lake --date 2026-07-24
      replay watch SPY --lake lake --date 2026-07-24 --from 13:00 --speed 30 --metric oi
    """
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise click.UsageError("watch plays in a terminal, and this is none; use `replay heatmap` for a file or a pipe")
    try:
        from replay.cli.screen import full_screen
    except ImportError:
        raise click.UsageError("watch needs a Unix terminal; use `replay heatmap` on this system") from None
    from replay import contract
    from replay.lake import open_lake
    from replay.render.frame import Ability
    from replay.sessions import to_us

    session = find(date)
    player = Player(
        session,
        start=None if begin is None else to_us(moment_of(begin, session)),
        step=step,
        speed=speed,
        metric=contract.check_metric(metric),
        mode=contract.check_mode(mode),
    )
    span, tier = contract.check_minutes(minutes), contract.check_tier(tier)
    ability = Ability(output.use_colour(), output.use_unicode(), output.use_true_colour())
    with open_lake(lake_path) as lake:
        name = held(lake, symbol, session)
        view = View(lake, name, session, span, None if known == KNOWN[0] else known, tier, ability)
        with contextlib.suppress(KeyboardInterrupt), full_screen() as screen:  # Ctrl-C is one of the keys that quit
            play(player, view, screen)


class View:
    """What of a lake is played and how it is drawn."""

    def __init__(
        self,
        lake: Lake,
        symbol: str,
        session: Session,
        minutes: int,
        known_at: str | None,
        tier: str | None,
        ability: Ability,
    ) -> None:
        self._lake, self._symbol, self._session = lake, symbol, session
        self._minutes, self._known_at, self._tier, self._ability = minutes, known_at, tier, ability

    def lines(self, shown: Shown, width: int, height: int) -> list[str]:
        """The picture of an instant, read as it stood then."""
        from replay.errors import NoStrikeData
        from replay.heatmap import Heatmap
        from replay.render.frame import Status, frame
        from replay.sessions import from_us, to_us

        now = from_us(shown.now)
        levels = self._lake.levels(self._symbol, now, self._known_at, self._tier)
        picture: Heatmap | str
        try:
            picture = self._lake.heatmap(
                self._symbol,
                now,
                metric=shown.metric,
                mode=shown.mode,
                minutes=self._minutes,
                known_at=self._known_at,
                tier=self._tier,
            )
        except NoStrikeData as error:  # a stretch of legacy rows, which may end
            picture = f"{error.message}."
        newest = None if levels.ts is None else to_us(levels.ts)
        return frame(
            picture,
            levels,
            Status(self._symbol, self._session, shown.now, shown.state, shown.speed, newest),
            minutes=self._minutes,
            width=width,
            height=height,
            ability=self._ability,
            keys=KEYS if shown.help else (),
        )


def play(player: Player, view: View, screen: Screen) -> None:
    """Draw, wait and press keys until one quits. What takes long to draw is followed by a later picture."""
    drawn: Shown | None = None
    clock: float | None = None
    while not player.quit:
        begun = time.monotonic()
        if player.shown != drawn or screen.spoilt:
            drawn, size = player.shown, screen.size
            screen.paint(view.lines(drawn, *size), size)
        if clock is None:  # the first picture reads the files, which takes nothing from the session
            clock = time.monotonic()
        wait = player.until_next
        if wait is not None:
            wait = max(clock + wait, begun + FRAME_SECONDS) - time.monotonic()
        keys = screen.keys(None if wait is None else max(wait, 0.0))
        now = time.monotonic()
        player.advance(0.0 if screen.was_away() else now - clock)
        clock = now
        for key in keys:
            player.press(key)


def find(date: str) -> Session:
    """The session of a date, or :class:`~replay.errors.InvalidTime` that names those beside it."""
    from replay.errors import InvalidTime
    from replay.sessions import calendar_span, find_session, parse_date

    day = parse_date(date)
    session = find_session(day)
    if session is not None:
        return session
    first, last = calendar_span()
    if not first <= day <= last:
        raise InvalidTime(f"date {day} is outside the calendar, which knows {first} to {last}")
    around = [day + dt.timedelta(days=days) for days in range(-9, 10)]
    near = [each for each in around if find_session(each)]
    names = [str(each) for each in (*[n for n in near if n < day][-1:], *[n for n in near if n > day][:1])]
    raise InvalidTime(f"date {day} is no session of the exchange; next to it are {' and '.join(names)}")


def moment_of(begin: str, session: Session) -> dt.datetime:
    """A New York time of day in a session, or :class:`~replay.errors.InvalidTime` outside its hours."""
    from replay.errors import InvalidTime
    from replay.sessions import NEW_YORK

    try:
        wall = dt.time.fromisoformat(begin.strip().zfill(len("HH:MM")))
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is not None:
        raise InvalidTime(f"from {begin!r} is no time of day in New York; write it like 10:00 or 13:04:30")
    moment = dt.datetime.combine(session.date, wall, NEW_YORK)
    if not session.open <= moment <= session.close:
        raise InvalidTime(
            f"from {begin} is outside the session of {session.date}: {session.open:%H:%M} to {session.close:%H:%M}"
        )
    return moment


def held(lake: Lake, symbol: str, session: Session) -> str:
    """The symbol as the lake names it, if the lake holds the session of it; else a usage error with what it holds."""
    from replay.contract import normalise_symbol

    name, symbols = normalise_symbol(symbol), lake.symbols()
    if name not in symbols:
        raise click.BadParameter(
            f"no data of {name}; the lake holds {', '.join(symbols) or 'nothing'}", param_hint="SYMBOL"
        )
    dates = lake.dates(name)
    if session.date not in dates:
        near = sorted(dates, key=lambda date: abs(date - session.date))[:5]
        there = f"{len(dates)}, the nearest are {', '.join(map(str, sorted(near)))}" if dates else "none"
        raise click.BadParameter(f"no session {session.date} of {name}; the lake holds {there}", param_hint="--date")
    return name


def _is_terminal(stream: IO[str] | None) -> bool:
    """Whether a standard stream is there and is a terminal."""
    return stream is not None and stream.isatty()
