"""What a user writes: a strategy, and the context its callbacks are given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from replay.errors import InvalidRecord, InvalidSymbol
from replay.records import Recorder
from replay.tape import Tick, Ticks

__all__ = ["Context", "Strategy"]


class Strategy:
    """Base of strategies; override what is needed.

    Parameters of a strategy are typed class attributes with a default, such as ``band: float = 0.5``; a run may set
    them. A new instance is made for each session, unless ``carries_state`` is true: then one instance and one
    ``ctx.state`` go through all sessions in order.

    What :meth:`on_tick` returns, if it is no ``None``, is a mapping that is recorded.
    """

    carries_state: ClassVar[bool] = False

    def on_open(self, ctx: Context) -> None:
        """Once a session, at the open, before the first tick."""

    def on_tick(self, ctx: Context) -> Mapping[str, Any] | None:
        """At each step of the clock after the open, up to and including the close."""

    def on_close(self, ctx: Context) -> None:
        """Once a session, at the close, after the last tick."""


class Context(Tick):
    """What a callback sees: the tick of the first symbol, and what belongs to the run.

    Attributes
    ----------
    state
        A dict for whatever the strategy keeps; new each session.
    symbols
        The symbols of the run, in its order; ``ctx["QQQ"]`` is the tick of one of them at the same instant.
    """

    __slots__ = ("_logged", "_recorder", "_rng", "_seed", "_views", "state", "symbols")

    def __init__(self, views: Mapping[str, Ticks], state: dict[str, Any], seed: int = 0) -> None:
        self.symbols = tuple(views)
        super().__init__(views[self.symbols[0]], 0)
        self.state = state
        self._views: dict[str, Tick] = {name: Tick(ticks, 0) for name, ticks in views.items()}
        self._views[self.symbols[0]] = self
        self._recorder = Recorder(self.session.date)
        self._logged: list[tuple[int, str]] = []
        self._seed = seed
        self._rng: np.random.Generator | None = None

    def __getitem__(self, symbol: str) -> Tick:
        try:
            return self._views[symbol]
        except KeyError:
            raise InvalidSymbol(f"symbol {symbol!r} is not in this run; it has {', '.join(self.symbols)}") from None

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers that depend on the run's seed and the session alone."""
        if self._rng is None:
            self._rng = np.random.default_rng([self._seed, self.session.date.toordinal()])
        return self._rng

    def record(self, **values: Any) -> None:
        """Record a row at this instant: numbers, text, dates, aware datetimes, timedeltas, lists of them, ``None``."""
        self._recorder.add(self._ticks.instants[self._i], values)

    def log(self, message: object) -> None:
        """Note something beside the rows, with this instant."""
        self._logged.append((self._ticks.instants[self._i], str(message)))

    def take(self, returned: Any) -> None:
        """Record what a callback returned."""
        if not isinstance(returned, Mapping):
            raise InvalidRecord(f"a callback returned a {type(returned).__name__}; return a mapping to record, or None")
        self._recorder.add(self._ticks.instants[self._i], returned)

    def move(self, i: int) -> None:
        """Stand at the instant of this number."""
        for view in self._views.values():
            view._i = i

    @property
    def place(self) -> int:
        """Which instant this is: 0 the open, 1 the first tick."""
        return self._i

    @property
    def recorder(self) -> Recorder:
        """The rows recorded so far."""
        return self._recorder

    @property
    def logged(self) -> list[tuple[int, str]]:
        """What was logged so far: instant in microseconds, and text."""
        return self._logged

    @property
    def elapsed(self) -> dt.timedelta:
        """Time since the open."""
        return self.now - self.session.open

    @property
    def remaining(self) -> dt.timedelta:
        """Time until the close."""
        return self.session.close - self.now
