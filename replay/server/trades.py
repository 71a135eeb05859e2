"""Runs that traded, as a page lays them over a heatmap: trades, lots while they were held, and profit by tick."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

import polars as pl

from replay.engine.folder import RUN
from replay.errors import InvalidRun
from replay.results.lots import lots_of
from replay.results.traded import traded
from replay.sessions import to_us

_TRADE = ("order", "tag", "legs", "quantity", "opened_at", "closed_at", "exit", "price", "fees", "profit", "settlement")


class Runs:
    """The runs in a folder: the folder itself where it is one, else each folder in it that is."""

    def __init__(self, folder: pathlib.Path | None) -> None:
        self._folder = folder

    def _paths(self) -> dict[str, pathlib.Path]:
        if self._folder is None:
            return {}
        if (self._folder / RUN).is_file():
            return {self._folder.resolve().name: self._folder}
        try:
            found = [each for each in self._folder.iterdir() if (each / RUN).is_file()]
        except OSError:
            raise InvalidRun("the folder of runs cannot be read") from None
        return {each.name: each for each in sorted(found)}

    def listing(self) -> list[dict[str, Any]]:
        """Each complete run that sent orders: name, strategy, symbols, sessions with trades, and profit in USD."""
        found = []
        for name, path in self._paths().items():
            try:
                run = traded(path)
            except InvalidRun:  # one that is not complete, or sent no order, has nothing to show
                continue
            found.append(
                {
                    "name": name,
                    "strategy": run.strategy["name"],
                    "symbols": run.run["symbols"],
                    "sessions": [each.isoformat() for each in run.sessions["session"]],
                    "profit": float(run.known().sum()),
                    "settled": not run.unsettled,
                }
            )
        return found

    def session(self, name: str, symbol: str, date: dt.date) -> dict[str, Any]:
        """What a run traded of a symbol in a session; times are microseconds since the epoch, money USD.

        ``legs`` are lots (:mod:`replay.results.lots`), each with its own end; a trade's ``opening_fees`` are what was
        paid when it was opened, ``fees`` all that it came to. ``equity`` is the account's, of all ``symbols``.

        Raises
        ------
        InvalidRun
            Listing what there is where no run has that name, or it did not trade the symbol.
        """
        path = self._paths().get(name)
        if path is None:
            raise InvalidRun(f"there is no run {name!r}; there are {', '.join(self._paths()) or 'none'}")
        try:
            run = traded(path)
        except InvalidRun:  # whose text names the folder
            raise InvalidRun(f"the run {name!r} cannot be shown; `replay report` says why") from None
        if symbol not in run.run["symbols"]:
            raise InvalidRun(f"the run {name!r} did not trade {symbol}; it has {', '.join(run.run['symbols'])}")
        own = run.trades.filter((pl.col("session") == date) & (pl.col("symbol") == symbol))
        lots = lots_of(run, date, symbol)
        paid = dict(lots.group_by("order").agg(pl.col("fees").sum()).iter_rows())
        equity = run.equity.filter(pl.col("session") == date)
        return {
            "name": name,
            "strategy": run.strategy["name"],
            "parameters": run.strategy["parameters"],
            "trades": [
                _plain(row) | {"opening_fees": paid[row["order"]]} for row in own.select(_TRADE).iter_rows(named=True)
            ],
            "legs": [_plain(row) for row in lots.drop("fees").iter_rows(named=True)],
            "equity": {
                "at": [to_us(at) for at in equity["at"]],
                "profit": equity["profit"].to_list(),
                "symbols": run.run["symbols"],
            },
        }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: to_us(value) if isinstance(value, dt.datetime) else value for name, value in row.items()}
