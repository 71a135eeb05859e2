"""What a user writes: a strategy, and the context its callbacks are given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from replay.account.legs import Leg
from replay.account.order import Order
from replay.account.portfolio import Portfolio
from replay.errors import InvalidOrder, InvalidRecord, InvalidSymbol
from replay.records import Recorder
from replay.sessions import MINUTE, to_us
from replay.tape import Tick, Ticks

__all__ = ["Context", "Strategy"]


class Desk(Protocol):
    """Where a context's orders go."""

    portfolio: Portfolio
    orders: list[Order]

    def send(self, symbol: str, legs: Any, quantity: int, limit: float | None, tif: str, tag: str) -> Order:
        """Send an order at the instant the strategy stands at."""
        ...


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

    def on_fill(self, ctx: Context, order: Order) -> None:
        """When a fill becomes known: at the first tick from the filling snapshot on, before :meth:`on_tick`."""

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

    __slots__ = ("_close", "_desk", "_logged", "_recorder", "_rng", "_seed", "_views", "state", "symbols")

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
        self._desk: Desk | None = None
        self._close = to_us(self.session.close)

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

    def order(
        self,
        legs: Leg | Iterable[Leg | Sequence[Any]],
        qty: int = 1,
        limit: float | None = None,
        tif: str = "session",
        tag: str = "",
        *,
        symbol: str | None = None,
    ) -> Order:
        """Send an order for combinations of options that expire today.

        It is matched against the market's snapshots after this instant, whenever those become known here; it is filled
        whole or not at all.

        Parameters
        ----------
        legs
            A :class:`~replay.Leg` or several, as ``iron_fly(740, 5)`` makes them.
        qty
            Combinations to buy; below 0 to sell.
        limit
            USD a share and combination: the most a purchase pays, the least a sale receives; ``None``: at the market.
        tif
            ``session``, ``ioc`` (the first snapshot alone), or a length of time such as ``10m``.
        tag
            Your own name for it, in the ledger.
        symbol
            Of which of the run's symbols; ``None``: the first.

        Returns
        -------
        The order, whose ``status`` tells what became of it, as far as is known here.

        Raises
        ------
        InvalidOrder
            For what cannot be ordered; nothing is sent then.
        """
        if symbol is not None and symbol not in self._views:
            raise InvalidSymbol(f"symbol {symbol!r} is not in this run; it has {', '.join(self.symbols)}")
        return self._at_desk.send(symbol or self.symbols[0], legs, qty, limit, tif, tag)

    def flatten(
        self, limit: float | None = None, tif: str = "session", tag: str = "", *, symbol: str | None = None
    ) -> Order | None:
        """Send one order that closes a symbol's positions, but for long options without a bid; ``None`` where there is
        nothing to close. As :meth:`order`."""
        closing = self.portfolio.closing(symbol or self.symbols[0])
        return None if closing is None else self.order(*closing, limit, tif, tag, symbol=symbol)

    @property
    def portfolio(self) -> Portfolio:
        """Positions, cash, greeks, profit and buying power, as far as they are known at this instant."""
        return self._at_desk.portfolio

    @property
    def orders(self) -> tuple[Order, ...]:
        """Every order of this session, in the order sent."""
        return tuple(self._at_desk.orders)

    @property
    def _at_desk(self) -> Desk:
        if self._desk is None:
            raise InvalidOrder("this context has no broker; orders are taken in a run")
        return self._desk

    @property
    def ticks(self) -> Mapping[str, Tick]:
        """The tick of each symbol, by its name."""
        return self._views

    def trade_at(self, desk: Desk) -> None:
        """Have orders go to this desk."""
        self._desk = desk

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
    def minutes_left(self) -> float:
        """Minutes until the close."""
        return (self._close - self._ticks.instants[self._i]) / MINUTE

    @property
    def elapsed(self) -> dt.timedelta:
        """Time since the open."""
        return self.now - self.session.open

    @property
    def remaining(self) -> dt.timedelta:
        """Time until the close."""
        return self.session.close - self.now
