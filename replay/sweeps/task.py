"""One task of a sweep: a session replayed with every set of parameters, its data read once."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from replay.broker.account import SESSIONS, blank
from replay.engine.plan import Plan, versions
from replay.engine.session import Carried, Part, replay_session, stage_of, tapes_of
from replay.errors import InvalidRun
from replay.lake import Lake
from replay.sessions import find_session
from replay.strategy.loading import Loaded, load

NUMBER: Final = pa.field("set", pa.int64(), nullable=False)
SCHEMA: Final = pa.schema([NUMBER, *SESSIONS])
"""A row a set and session: the set's number in the order of the grid, and the sums of the session."""

Sets = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Task:
    """Some sessions, in order, with some sets of parameters; ``first`` is the number of the first set.

    A strategy that carries its state has all sessions in one task, any other one.
    """

    dates: tuple[dt.date, ...]
    first: int
    sets: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        """What tells it from the other tasks of its sweep."""
        return f"{self.dates[0]}.{self.first}"


@dataclass(frozen=True)
class Job:
    """What all tasks have in common, as it travels to a worker.

    Attributes
    ----------
    plan
        Without its strategy's code.
    lake
        Where the data lies, pickled.
    path
        Where the sender's Python finds modules.
    versions
        What the sender computes with.
    """

    plan: Plan
    lake: bytes
    path: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """What a task gave.

    Attributes
    ----------
    table
        Rows of :data:`SCHEMA`, by session and then by set; every session's equity begins with the capital, unless the
        strategy carries its cash.
    told
        Each session's entry in ``sweep.json``: date, ticks, and per symbol rows, clocks, stale ticks and gaps.
    files
        Path below the lake -> SHA-256 of what was read.
    error
        Why a set failed, with its number and parameters; ``raised`` is the exception, if at hand.
    """

    table: pa.Table
    told: list[dict[str, Any]]
    files: dict[str, str]
    error: dict[str, Any] | None = None
    raised: BaseException | None = field(default=None, compare=False)


def job_of(plan: Plan, lake: Lake) -> Job:
    """What a worker elsewhere needs to do tasks of a plan."""
    bare = _Bare(**{**vars(plan.strategy), "target": None})
    return Job(replace(plan, strategy=bare), pickle.dumps(lake), tuple(sys.path), versions())


def work(job: Job, task: Task) -> Done:
    """Do a task on this process, which keeps lakes open and strategies loaded for the next.

    Raises :class:`~replay.errors.InvalidRun` where this process computes with other versions than the sender's, or
    finds another strategy.
    """
    for name, own in versions().items():
        if own != job.versions[name]:
            raise InvalidRun(f"a worker has {name} {own}, not {job.versions[name]}, and might give other bytes")
    sys.path.extend(each for each in job.path if each not in sys.path)
    plan = replace(job.plan, strategy=_loaded(job.plan.strategy))
    return replace(do(plan, _opened(job.lake), task), raised=None)  # which need not survive the way back


def do(plan: Plan, lake: Lake, task: Task) -> Done:
    """Replay a task's sessions with each of its sets; the first that fails ends it."""
    tables: list[pa.Table] = [SCHEMA.empty_table()]
    told: list[dict[str, Any]] = []
    files: dict[str, str] = {}
    carried = [Carried() for _ in task.sets]
    for date in task.dates:
        session = find_session(date)
        assert session is not None, "only sessions are replayed"
        tapes = tapes_of(lake, plan, date, _columns.get(plan.strategy.source))
        stage = stage_of(plan, tapes)
        part: Part | None = None
        for number, params in enumerate(task.sets):
            own = carried[number]
            part = replay_session(replace(plan, params=params), tapes, own, stage=stage, brief=True)
            if part.error is not None:
                failed = {**part.error, "set": task.first + number, "parameters": dict(params)}
                return Done(pa.concat_tables(tables), told, files, failed, part.raised)
            cash = plan.terms.capital if own.cash is None or not plan.strategy.carries_state else own.cash
            row = part.trading["sessions"] if part.trading else blank(session, cash)["sessions"]
            tables.append(row.add_column(0, NUMBER, pa.array([task.first + number], NUMBER.type)))
            _columns[plan.strategy.source] = Carried(columns=own.columns)
        assert part is not None, "a task has sets"
        told.append({name: value for name, value in part.told.items() if name != "records"})
        files |= part.files
    return Done(pa.concat_tables(tables).combine_chunks(), told, files)


_columns: dict[str | None, Carried] = {}
"""By a strategy's source: the columns that its last session made use of."""


_sources: dict[str, str | None] = {}
"""By module: the hash of the source that it was loaded from."""


@functools.lru_cache(maxsize=4)
def _opened(pickled: bytes) -> Lake:
    lake: Lake = pickle.loads(pickled)  # noqa: S301  # of the process that sent the task
    return lake


@functools.lru_cache(maxsize=4)
def _loaded(bare: _Bare) -> Loaded:
    place = (bare.reference or "").rpartition(":")[0]
    if _sources.get(place, bare.source) != bare.source:  # edited since it was loaded here
        importlib.reload(sys.modules[place])
    found = load(bare.reference, bare.style)
    if place in sys.modules:
        _sources[place] = bare.source
    if found.source != bare.source:
        raise InvalidRun(f"a worker finds another version of {bare.reference} than the one that is swept")
    return found


@dataclass(frozen=True)
class _Bare(Loaded):
    """A strategy as it travels; by what it is loaded it is told apart."""

    def __hash__(self) -> int:
        return hash((self.reference, self.style, self.source))
