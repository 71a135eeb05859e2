"""Sweeps: many sets of parameters over many sessions, here or on a cluster."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Unpack

from replay.broker.terms import Asked
from replay.engine.plan import make_plan
from replay.errors import GapFound, InvalidRun, StrategyFailed
from replay.exposure.restate import Restatement
from replay.lake import Lake, open_lake
from replay.sessions import NEW_YORK
from replay.strategy.loading import load
from replay.sweeps.folder import SweepFolder
from replay.sweeps.grid import Grid, sets_of
from replay.sweeps.metrics import METRICS
from replay.sweeps.plan import SweepPlan, check_metric, make_walk
from replay.sweeps.result import Sweep, sweep_of
from replay.sweeps.task import Done, Task, do, job_of
from replay.sweeps.workers import Workers, gather, workers_for

__all__ = ["METRICS", "Interrupted", "Progress", "Sweep", "sweep"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: sets x sessions done, and in all."""

    done: int
    all: int


class Interrupted(KeyboardInterrupt):
    """A sweep that was stopped from the keyboard; ``progress`` is how far it was."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


def sweep(
    strategy: Any,
    lake: Lake | str | os.PathLike[str],
    *,
    symbols: str | Sequence[str],
    grid: Grid,
    params: Mapping[str, Any] | None = None,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    step: str | dt.timedelta = "1m",
    latency: str | dt.timedelta = "0s",
    gaps: str = "mask",
    seed: int = 0,
    tier: str | None = None,
    style: str = "context",
    body_metric: str = "gex",
    mode: str = "raw",
    minutes: int | str = 60,
    oi: str = "settled",
    share: float = 1.0,
    conventions: str | None = None,
    metric: str = "sharpe",
    train: int | None = None,
    test: int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    executor: Executor | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **terms: Unpack[Asked],
) -> Sweep:
    """Backtest every set of parameters of a grid; each session's data is read once for all of them.

    Every set trades what a :func:`replay.run` with its parameters does, and the answer is the same bytes wherever it is
    worked out. What a strategy records is not kept.

    Parameters
    ----------
    strategy, lake, symbols, start, end, step, latency, gaps, seed, tier, style, oi, share, conventions, terms
        As for :func:`replay.run`. Workers find the strategy by its reference and the lake by its path or file system. A
        strategy that carries state has all sessions of a set in one task.
    grid
        Values by name of the parameter: every combination is a set, the last name changing fastest.
    params
        Values that all sets have in common.
    body_metric, mode, minutes
        Of the heatmap, for the style ``snapshot``.
    metric
        What the best set is chosen by: ``sharpe``, ``total``, ``mean``, ``median``, ``win_rate``, ``profit_factor``,
        ``sortino``, ``max_drawdown`` (the least), ``mid``, ``touch`` or ``worst``. Of equals the first in the grid.
    train, test
        Walk-forward: the set that is best in so many sessions is seen on so many after them; then so many further on.
    workers, scheduler, executor
        Processes here; or the address of a Dask scheduler, ``tcp://HOST:8786`` (extra ``[cluster]``), whose workers
        have this package and see the lake at the same place; or any executor.
    out, resume
        A folder to write ``sweep.parquet``, ``sessions.parquet``, ``sweep.json`` (and, of a walk-forward,
        ``out_of_sample.parquet``) to; whether to go on with the sweep in it.
    progress
        Called as the sweep goes on.

    Returns
    -------
    :class:`~replay.sweeps.result.Sweep`

    Raises
    ------
    RequestError
        For values that cannot be used, a scheduler that does not answer, and a task whose worker died three times.
    StrategyFailed, GapFound
        Where a callback raised, or the policy ``strict`` met a gap, naming session and parameters.
    Interrupted
        A ``KeyboardInterrupt``; what was done is kept in ``out``.
    """
    if resume and out is None:
        raise InvalidRun("resume needs the folder of the sweep to go on with")
    loaded = load(strategy, style)
    own = not isinstance(lake, Lake)
    opened = lake if isinstance(lake, Lake) else open_lake(lake)
    found: Workers | None = None
    try:
        sets = sets_of(loaded, grid, params or {})
        run = make_plan(
            loaded, opened, symbols=symbols, start=start, end=end, step=step, params=sets[0], latency=latency,
            gaps=gaps, seed=seed, tier=tier,
            request={"metric": body_metric, "mode": mode, "minutes": minutes} if style == "snapshot" else {},
            stated=Restatement(oi, share, conventions), terms=terms, trials=len(sets),
        )  # fmt: skip
        values = {name: list(dict.fromkeys(each[name] for each in sets)) for name in grid}
        walk = make_walk(train, test, len(run.dates))
        plan = SweepPlan(run, values, sets, check_metric(metric), walk)
        found = workers_for(workers, scheduler, executor)
        if found is not None and loaded.reference is None:
            raise InvalidRun(f"strategy {loaded.name} is not at the top of a file; other workers cannot load it")
        if out is None:
            size = plan.task_size(1 if found is None else found.count)
            return sweep_of(plan, _outcomes(plan, opened, found, plan.tasks(size), None, {}, progress), None)
        return _into(pathlib.Path(out), plan, opened, found, resume=resume, progress=progress)
    finally:
        if found is not None:
            found.close()
        if own:
            opened.close()


def _into(
    out: pathlib.Path,
    plan: SweepPlan,
    lake: Lake,
    workers: Workers | None,
    *,
    resume: bool,
    progress: Callable[[Progress], None] | None,
) -> Sweep:
    """Sweep into a folder, or go on with what is in it."""
    if out.resolve().is_relative_to(pathlib.Path(lake.path).resolve()):
        raise InvalidRun(f"{out} lies within the lake, whose files are read as snapshots; name another folder")
    folder = SweepFolder(out, plan)
    with folder.alone():
        size = folder.begin(plan.task_size(1 if workers is None else workers.count), resume=resume)
        finished = folder.finished(lake)
        if finished is not None:
            return finished
        tasks = plan.tasks(size)
        found = sweep_of(
            plan, _outcomes(plan, lake, workers, tasks, folder, folder.done(tasks, lake), progress), folder.path
        )
        folder.write(found)
        return found


def _outcomes(
    plan: SweepPlan,
    lake: Lake,
    workers: Workers | None,
    tasks: list[Task],
    folder: SweepFolder | None,
    kept: dict[str, Done],
    progress: Callable[[Progress], None] | None,
) -> Iterator[Done]:
    """Every task's outcome in the order of the tasks, those of ``kept`` as they are."""
    left = [task for task in tasks if task.name not in kept]
    every = len(plan.sets) * len(plan.run.dates)
    count = every - sum(len(task.sets) * len(task.dates) for task in left)
    work = (do(plan.run, lake, task) for task in left)
    fresh = work if workers is None or not left else gather(workers, job_of(plan.run, lake), left)

    def tell() -> None:
        if progress is not None:
            progress(Progress(count, every))

    tell()
    try:
        for task in tasks:
            done = kept.get(task.name) or next(fresh)
            if done.error is not None:
                raise _raised(done.error, Progress(count, every)) from done.raised
            if task.name not in kept:
                if folder is not None:
                    folder.add(task, done)
                count += len(task.sets) * len(task.dates)
                tell()
            yield done
    except KeyboardInterrupt:
        raise Interrupted(Progress(count, every)) from None


def _raised(error: Mapping[str, Any], progress: Progress) -> BaseException:
    """The error that a set's early end is to the caller."""
    if error["kind"] == "interrupted":
        return Interrupted(progress)
    parameters = ", ".join(f"{name}={value}" for name, value in error["parameters"].items())
    if error["kind"] == "gap":
        span = (dt.datetime.fromisoformat(error[name]).astimezone(NEW_YORK) for name in ("start", "end"))
        return GapFound(error["message"], error["symbol"], *span)
    at = dt.datetime.fromisoformat(error["at"])
    date = dt.date.fromisoformat(error["session"])
    said = f"set {error['set']} ({parameters}), session {date}, {at:%H:%M:%S}: {error['message']}"
    return StrategyFailed(said, session=date, at=at, traceback=error["traceback"])
