"""A run's folder, or its result, as the tables and the words that results are made of."""

from __future__ import annotations

import json
import os
import pathlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from replay.broker.account import TABLES
from replay.engine.result import Result
from replay.errors import InvalidRun
from replay.ragged import Floats

AUDIT = "audit.json"


@dataclass(frozen=True)
class Traded:
    """What a run traded.

    Attributes
    ----------
    name
        What to call it.
    run
        What ``run.json`` holds.
    sessions, trades, ledger, equity
        Its tables; columns as :mod:`replay.broker` has them.
    audit
        What an audit of the strategy found, as ``audit.json`` in its folder has it; ``None`` where none lies there.
    """

    name: str
    run: dict[str, Any]
    sessions: pl.DataFrame
    trades: pl.DataFrame
    ledger: pl.DataFrame
    equity: pl.DataFrame
    audit: dict[str, Any] | None = field(default=None)

    @property
    def settled(self) -> pl.DataFrame:
        """The sessions whose profit is known."""
        return self.sessions.filter("settled")

    @property
    def profits(self) -> Floats:
        """(S,) of the settled sessions, USD, in order."""
        return np.asarray(self.settled["profit"].to_numpy(), np.float64)

    @property
    def capital(self) -> float:
        """What the account began with, USD."""
        return float(self.run["terms"]["capital"])


def traded(source: Result | Traded | str | os.PathLike[str]) -> Traded:
    """What a result, or the run in a folder, traded.

    Raises
    ------
    InvalidRun
        If there is no run, it sent no order, or a file of it is gone or cannot be read.
    """
    if isinstance(source, Traded):
        return source
    if not isinstance(source, Result):
        return _read(pathlib.Path(source))
    if not source.traded:
        raise InvalidRun(f"the run of {source.run['strategy']['name']} sent no order; there is nothing to report")
    name = source.path.name if source.path is not None else str(source.run["strategy"]["name"])
    audit = None if source.path is None else _audit(source.path)
    return Traded(
        name, source.run, source.by_session(), source.trades(), source.ledger(), source.equity(), audit
    )  # fmt: skip


def _read(folder: pathlib.Path) -> Traded:
    path = folder / "run.json"
    try:
        run = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidRun(f"{path}: {error.strerror}; name the folder of a run") from error
    except ValueError as error:
        raise InvalidRun(f"{path} cannot be read: {error}") from error
    if not isinstance(run, dict) or "strategy" not in run or "terms" not in run:
        raise InvalidRun(f"{path} is not of a run that this version wrote")
    if "trading" not in run:
        raise InvalidRun(f"the run in {folder} sent no order; there is nothing to report")
    frames = {name: _frame(folder / f"{name}.parquet", name) for name in TABLES}
    audit = _audit(folder)
    return Traded(
        folder.resolve().name, run, frames["sessions"], frames["trades"], frames["ledger"], frames["equity"], audit
    )


def _frame(path: pathlib.Path, name: str) -> pl.DataFrame:
    try:
        found = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidRun(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    lacking = [each for each in TABLES[name].names if each not in found.columns]
    if lacking:
        raise InvalidRun(f"{path} has no column {lacking[0]!r}; it is not of a run that this version wrote")
    return found


def _audit(folder: pathlib.Path) -> dict[str, Any] | None:
    path = folder / AUDIT
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path} cannot be read: {error}") from error
    return found if isinstance(found, dict) and "leaks" in found else None
