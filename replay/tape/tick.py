"""One instant of a replay: what stood there, and nothing later."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from replay import schema
from replay.contract import METRICS
from replay.errors import InvalidMetric, NoStrikeData
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.ragged import Floats
from replay.sessions import NEW_YORK, Session, from_us, to_us

if TYPE_CHECKING:
    import polars as pl

    from replay.tape.ticks import Ticks

_VALUES: Final = frozenset((*METRICS, *schema.VALUES))
_FIRST: Final = to_us(dt.datetime(1, 1, 2, tzinfo=dt.UTC))
_LAST: Final = to_us(dt.datetime.max.replace(tzinfo=dt.UTC))
_QUOTES: Final = ("call_bid", "call_ask", "put_bid", "put_ask")


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """Best bids and asks of one snapshot, (K,) USD by strike, NaN where there is none; read-only."""

    strikes: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats

    @property
    def call_mid(self) -> Floats:
        """(K,) USD; NaN where a side is missing."""
        return (self.call_bid + self.call_ask) / 2

    @property
    def put_mid(self) -> Floats:
        """(K,) USD; NaN where a side is missing."""
        return (self.put_bid + self.put_ask) / 2

    def to_polars(self) -> pl.DataFrame:
        """One row a strike; null where there is no quote."""
        import polars as pl

        columns = {name: getattr(self, name) for name in ("strikes", *_QUOTES)}
        return pl.DataFrame(columns).fill_nan(None).rename({"strikes": "strike"})


class Tick:
    """One instant of a session as it stood: rows with ``ts <= now`` and ``recorded_at <= now - latency``.

    Where the gap policy is passed (:attr:`stale`), spot, values, levels and quotes are not known. Heatmaps and
    history carry their own times and are never masked.
    """

    __slots__ = ("_i", "_ticks")

    def __init__(self, ticks: Ticks, i: int) -> None:
        self._ticks = ticks
        self._i = i

    def __repr__(self) -> str:
        age = self.age
        state = "nothing visible" if age is None else f"spot {self.spot:g}, {len(self.strikes)} strikes, age {age}"
        return f"<Tick {self.symbol} {self.now:%Y-%m-%d %H:%M:%S} New York: {state}{', stale' if self.stale else ''}>"

    @property
    def symbol(self) -> str:
        """The underlying."""
        return self._ticks.tape.symbol

    @property
    def session(self) -> Session:
        """Date, open and close."""
        return self._ticks.tape.session

    @property
    def now(self) -> dt.datetime:
        """This instant, aware, New York."""
        return from_us(self._ticks.instants[self._i]).astimezone(NEW_YORK)

    @property
    def known_at(self) -> dt.datetime:
        """The knowledge cut at this instant: now less the latency, aware, New York; as near it as a datetime gets."""
        return from_us(min(max(self._ticks.known[self._i], _FIRST), _LAST)).astimezone(NEW_YORK)

    @property
    def tier(self) -> str:
        """The tier that is read."""
        return self._ticks.track_at(self._i).timeline.tier

    @property
    def ts(self) -> dt.datetime | None:
        """The instant the newest visible snapshot describes, aware, New York; ``None`` before the first."""
        ts = self._ticks.newest_ts(self._i)
        return None if ts is None else from_us(ts).astimezone(NEW_YORK)

    @property
    def age(self) -> dt.timedelta | None:
        """How long ago the newest visible snapshot's ``ts`` is; ``None`` before the first."""
        ts = self._ticks.newest_ts(self._i)
        return None if ts is None else dt.timedelta(microseconds=self._ticks.instants[self._i] - ts)

    @property
    def stale(self) -> bool:
        """Whether nothing is visible, or the newest snapshot is older than the gap policy bears with.

        For ``mask`` that is an age of lag + 2 cadences and more, as both were known then, beside the latency asked for.
        """
        return self._ticks.stale[self._i]

    @property
    def spot(self) -> float:
        """The underlying's price in the newest snapshot, USD; NaN where not known or stale."""
        return self._ticks.spot[self._i]

    @property
    def strikes(self) -> Floats:
        """The newest snapshot's strikes (K,), USD, ascending, read-only; empty before the first, and for v1 rows."""
        return self._ticks.strikes()[self._i]

    def values(self, name: str) -> Floats:
        """A metric, or a stored list column, of the newest snapshot.

        Parameters
        ----------
        name
            ``gex``, ``dex``, ``vex``, ``chex``, ``oi``, ``signed_flow`` or a column such as ``call_iv``. Flow is that
            of the snapshot, since the one before; :meth:`heatmap` sums it over the minute.

        Returns
        -------
        (K,) parallel to :attr:`strikes`, read-only; NaN where not known or stale.
        """
        try:
            return self._ticks.known_rows[name][self._i]
        except (KeyError, TypeError):
            if not isinstance(name, str) or name not in _VALUES:
                names = ", ".join(dict.fromkeys((*METRICS, *schema.VALUES)))
                raise InvalidMetric(f"{name!r} is neither a metric nor a stored list column: {names}") from None
            return self._ticks.rows(name)[self._i]

    def heatmap(
        self, metric: str = "gex", mode: str = "raw", minutes: int | str = 60, *, gaps: bool = False
    ) -> Heatmap:
        """The heatmap at this instant: ``lake.heatmap(symbol, as_of=now, known_at=now - latency, ...)``."""
        return self._ticks.heatmap(self._i, metric, mode, minutes, gaps=gaps)

    def history(self, metric: str = "gex", minutes: int | str = 60, mode: str = "raw") -> Floats:
        """A metric over the last minutes (T, K): the bars of :meth:`heatmap`, on the newest snapshot's strikes.

        Row ``i`` is the bar that starts at ``times(minutes)[i]``; column ``j`` is ``strikes[j]``. A minute without a
        snapshot has no row; a strike that a bar did not have is NaN. Read-only.
        """
        return self._ticks.history(self._i, metric, mode, minutes)

    def times(self, minutes: int | str = 60) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        """The start of each bar of :meth:`history` (T,), datetime64[us], UTC, ascending."""
        try:
            return self.heatmap(minutes=minutes).times
        except NoStrikeData:
            return np.empty(0, "datetime64[us]")

    @property
    def levels(self) -> Levels:
        """Magnet, walls, flip, pin score and totals of the newest snapshot; each ``None`` where not known or stale."""
        return self._ticks.levels(self._i)

    @property
    def quotes(self) -> Quotes:
        """Bids and asks of the newest snapshot."""
        return Quotes(self.strikes, *(self.values(name) for name in _QUOTES))
