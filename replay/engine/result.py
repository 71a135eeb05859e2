"""What a run gave: recorded rows, and what ran."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replay.broker.account import TABLES
from replay.records import joined

if TYPE_CHECKING:
    import pathlib

    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A run's outcome.

    Attributes
    ----------
    run
        What ``run.json`` holds: strategy and its source hash, parameters, the lake's fingerprint, versions, sessions
        with their gaps, seed, status.
    path
        The folder written to; ``None`` for a run that wrote none.
    """

    run: dict[str, Any]
    path: pathlib.Path | None
    _tables: Callable[[], Iterator[pa.Table]]
    _logged: tuple[dict[str, str], ...] = ()
    _trading: Callable[[str], pa.Table] | None = None

    @property
    def status(self) -> str:
        """``complete``, ``interrupted``, ``failed`` (in a callback) or ``gap`` (where the policy is ``strict``)."""
        return str(self.run["status"])

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Each session's entry of ``run.json``: date, ticks, records, and per symbol rows, stale ticks and gaps."""
        return list(self.run["sessions"])

    def to_arrow(self) -> pa.Table:
        """The recorded rows: ``session``, ``at`` (New York), then the fields in the order they first came."""
        return joined(list(self._tables()))

    def to_polars(self) -> pl.DataFrame:
        """The recorded rows as a frame; null is not known."""
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    @property
    def traded(self) -> bool:
        """Whether any order was sent."""
        return "trading" in self.run

    def ledger(self) -> pl.DataFrame:
        """Every order, fill, miss, fee and settlement; columns as :data:`replay.broker.ledger.SCHEMA`."""
        return self._frame("ledger")

    def equity(self) -> pl.DataFrame:
        """The account tick by tick; columns as :data:`replay.broker.equity.SCHEMA`."""
        return self._frame("equity")

    def trades(self) -> pl.DataFrame:
        """The round trips; columns as :data:`replay.broker.trades.SCHEMA`."""
        return self._frame("trades")

    def by_session(self) -> pl.DataFrame:
        """One row a session; columns as :data:`replay.broker.account.SESSIONS`."""
        return self._frame("sessions")

    def _frame(self, name: str) -> pl.DataFrame:
        import polars as pl

        table = TABLES[name].empty_table() if self._trading is None or not self.traded else self._trading(name)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def gaps(self) -> pl.DataFrame:
        """Every gap met, one row each: session, symbol, start and end (New York)."""
        import polars as pl

        clock = pl.Datetime("us", "America/New_York")
        rows = [
            (
                dt.date.fromisoformat(session["date"]),
                symbol,
                dt.datetime.fromisoformat(gap["start"]),
                dt.datetime.fromisoformat(gap["end"]),
            )
            for session in self.sessions
            for symbol, told in session["symbols"].items()
            for gap in told["gaps"]
        ]
        return pl.DataFrame(
            rows, schema={"session": pl.Date, "symbol": pl.String, "start": clock, "end": clock}, orient="row"
        )

    def log(self) -> pl.DataFrame:
        """What the strategy logged: ``at`` (New York wall clock) and ``message``."""
        import polars as pl

        return pl.DataFrame(list(self._logged), schema={"at": pl.String, "message": pl.String})

    def __repr__(self) -> str:
        dates = [session["date"] for session in self.sessions]
        span = f"{len(dates)} sessions {dates[0]}..{dates[-1]}" if dates else "no session"
        gaps = sum(len(told["gaps"]) for session in self.sessions for told in session["symbols"].values())
        name = self.run["strategy"]["name"]
        return (
            f"<Result {name} on {', '.join(self.run['symbols'])}: {span}, {self.run['records']} rows, "
            f"{gaps} gaps, {self.status}>"
        )

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(repr(self))}</p>{self.to_polars()._repr_html_()}"
