"""One task of a sweep: a session replayed with every set of parameters, its data read once."""

from __future__ import annotations

import datetime as dt
import functools
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from replay.broker.account import SESSIONS, blank
from replay.engine.plan import Plan
from replay.engine.session import Carried, replay_session, stage_of, tapes_of
from replay.errors import InvalidRun
from replay.lake import Lake
from replay.sessions import find_session
from replay.strategy.loading import Loaded, load

NUMBER = pa.field("set", pa.int64(), nullable=False)
SCHEMA = pa.schema([NUMBER, *SESSIONS])
"""A row a set and session: the set's number in the order of the grid, and the sums of the session."""


@dataclass(frozen=True)
class Task:
    """A session and some sets of parameters, as they travel to a worker.

    Attributes
    ----------
    plan
        The sweep's, without its strategy's code.
    lake
        Where the data lies, pickled.
    path
        Where the sender's Python finds modules.
    first, sets
        The number of the first set, and their parameters.
    """

    plan: Plan
    lake: bytes
    path: tuple[str, ...]
    date: dt.date
    first: int
    sets: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Done:
    """What a task gave: rows of :data:`SCHEMA`, the hashes of the files read, or why a set failed."""

    date: dt.date
    first: int
    table: pa.Table
    files: dict[str, str]
    error: dict[str, Any] | None = None


def work(task: Task) -> Done:
    """Do a task on this process, which keeps lakes open and strategies loaded for the next."""
    sys.path.extend(each for each in task.path if each not in sys.path)
    plan = replace(task.plan, strategy=_loaded(task.plan.strategy))
    return replay_sets(plan, _opened(task.lake), task.date, task.first, task.sets)


def replay_sets(plan: Plan, lake: Lake, date: dt.date, first: int, sets: Sequence[Mapping[str, Any]]) -> Done:
    """Replay a session with each set of parameters; the first that fails ends it."""
    session = find_session(date)
    assert session is not None, "only sessions are replayed"
    tapes = tapes_of(lake, plan, date, _columns.setdefault(plan.strategy.source, Carried()))
    stage = stage_of(plan, tapes)
    nothing = blank(session, plan.terms.capital)["sessions"]
    tables, error = [], None
    for number, params in enumerate(sets, first):
        carried = Carried()
        part = replay_session(replace(plan, params=params), tapes, carried, stage=stage, brief=True)
        _columns[plan.strategy.source] = Carried(columns=carried.columns)
        if part.error is not None:
            error = {**part.error, "set": number, "parameters": dict(params)}
            break
        own = part.trading.get("sessions", nothing)
        tables.append(own.add_column(0, NUMBER, pa.array([number], NUMBER.type)))
    files = {path: digest for tape in tapes.values() for path, digest in tape.fingerprint().items()}
    return Done(date, first, pa.concat_tables([SCHEMA.empty_table(), *tables]), files, error)


_columns: dict[str | None, Carried] = {}
"""By a strategy's source: the columns that its last session made use of."""


@functools.lru_cache(maxsize=4)
def _opened(pickled: bytes) -> Lake:
    lake: Lake = pickle.loads(pickled)  # noqa: S301  # of the process that sent the task
    return lake


@functools.lru_cache(maxsize=4)
def _loaded(bare: _Bare) -> Loaded:
    found = load(bare.reference, bare.style)
    if found.source != bare.source:
        raise InvalidRun(f"a worker finds another version of {bare.reference} than the one that is swept")
    return found


def bare(plan: Plan) -> Plan:
    """A plan without its strategy's code, which a worker loads by its reference."""
    return replace(plan, strategy=_Bare(**{**vars(plan.strategy), "target": None}))


@dataclass(frozen=True)
class _Bare(Loaded):
    """A strategy as it travels; by what it is loaded it is told apart."""

    def __hash__(self) -> int:
        return hash((self.reference, self.style, self.source))
