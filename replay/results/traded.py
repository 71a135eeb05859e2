"""What a report is made of: a run, the tables of what it traded, and an audit of its strategy, if there is one."""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from replay.broker.account import TABLES
from replay.engine.folder import RUN
from replay.engine.result import Result
from replay.errors import InvalidRun
from replay.ragged import Floats

AUDIT: Final = "audit.json"
"""Where in a run's folder ``replay audit --format json --out`` is looked for."""

Run = Result | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Traded:
    """A complete run that sent orders.

    Attributes
    ----------
    name
        The folder's name, or the strategy's.
    run
        What ``run.json`` says.
    ledger, equity, trades, sessions
        The tables, as :data:`replay.broker.account.TABLES` has them.
    audit
        What ``audit.json`` says; ``None`` without one.
    """

    name: str
    run: dict[str, Any]
    ledger: pl.DataFrame
    equity: pl.DataFrame
    trades: pl.DataFrame
    sessions: pl.DataFrame
    audit: dict[str, Any] | None = None

    @property
    def capital(self) -> float:
        """USD that the account began with."""
        return float(self.run["terms"]["capital"])

    @property
    def seed(self) -> int:
        """The run's seed, which its intervals are drawn with."""
        return int(self.run["seed"])

    @property
    def trials(self) -> int:
        """Parameter sets or strategies tried, this one among them."""
        return int(self.run["trials"])

    @property
    def strategy(self) -> dict[str, Any]:
        """Name, source hash and parameters."""
        found: dict[str, Any] = self.run["strategy"]
        return found

    def profits(self, way: str = "profit") -> Floats:
        """(N,) USD by session after fees, NaN where not settled; ``way``: ``profit``, ``mid``, ``touch``, ``worst``."""
        return column(self.sessions, way)

    def known(self, way: str = "profit") -> Floats:
        """The same of the settled sessions alone."""
        found = self.profits(way)
        return found[np.isfinite(found)]

    @property
    def unsettled(self) -> list[dt.date]:
        """The sessions whose result is not known."""
        return self.sessions.filter(~pl.col("settled"))["session"].to_list()

    @property
    def settled(self) -> pl.DataFrame:
        """The sessions whose result is known."""
        return self.sessions.filter(pl.col("settled"))


def column(frame: pl.DataFrame, name: str) -> Floats:
    """A column of numbers, NaN where null."""
    return np.array(frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), np.float64)


def traded(run: Run) -> Traded:
    """What a run traded, from its result or its folder.

    Raises
    ------
    InvalidRun
        Naming the folder or file that is missing, cannot be read, or holds no complete run with orders.
    """
    return _of_result(run) if isinstance(run, Result) else _of_folder(pathlib.Path(run))


def _of_result(result: Result) -> Traded:
    name = result.path.name if result.path is not None else str(result.run["strategy"]["name"])
    _check(result.run, name)
    frames = (result.ledger(), result.equity(), result.trades(), result.by_session())
    return Traded(name, result.run, *frames, None if result.path is None else _audit(result.path))


def _of_folder(folder: pathlib.Path) -> Traded:
    if not folder.is_dir():
        raise InvalidRun(f"{folder} is no folder of a run")
    run = _json(folder / RUN)
    if run is None:
        raise InvalidRun(f"{folder / RUN} is missing: no run was written to {folder}")
    _check(run, str(folder / RUN))
    frames = {name: _table(folder / f"{name}.parquet", name) for name in TABLES}
    told = [session["date"] for session in run["sessions"]]
    if [date.isoformat() for date in frames["sessions"]["session"]] != told:
        raise InvalidRun(f"{folder / 'sessions.parquet'} and {RUN} are of different runs: their sessions differ")
    name = folder.resolve().name
    return Traded(
        name, run, frames["ledger"], frames["equity"], frames["trades"], frames["sessions"], _audit(folder)
    )  # fmt: skip


def _check(run: dict[str, Any], where: str) -> None:
    """Raise :class:`InvalidRun` for a run that there is no report of."""
    lacking = [
        name
        for name in ("strategy", "status", "terms", "seed", "trials", "sessions", "symbols", "lake")
        if name not in run
    ]
    if lacking:
        raise InvalidRun(f"{where} is of no run: it has no {lacking[0]}")
    if run["status"] != "complete":
        raise InvalidRun(f"{where}: the run is not complete but {run['status']}; --resume goes on with it")
    if "trading" not in run:
        raise InvalidRun(f"{where}: the run sent no order, so there is nothing to report")


def _json(path: pathlib.Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRun(f"{path} cannot be read: it holds no object")
    return found


def _audit(folder: pathlib.Path) -> dict[str, Any] | None:
    """The audit in a run's folder."""
    found = _json(folder / AUDIT)
    if found is not None and not isinstance(found.get("leaks"), bool):
        raise InvalidRun(f"{folder / AUDIT} is no audit: write it with replay audit --format json")
    return found


def _table(path: pathlib.Path, name: str) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidRun(f"{path} cannot be read: {said}") from error
    wanted = pl.from_arrow(TABLES[name].empty_table())
    assert isinstance(wanted, pl.DataFrame)
    for column, kind in wanted.schema.items():
        if frame.schema.get(column) != kind:
            raise InvalidRun(f"{path}: column {column} is {frame.schema.get(column) or 'missing'}, not {kind}")
    return frame
