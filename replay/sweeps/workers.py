"""Where a sweep's tasks are done: here, on processes of this machine, on a Dask cluster, on an executor at hand."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Final, Protocol

from replay.engine.processes import open_pool
from replay.errors import InvalidRun, MissingExtra
from replay.sweeps.task import Done, Job, Task, work

ATTEMPTS: Final = 3
_AHEAD: Final = 3
_ANSWER: Final = 10
"""Seconds that a scheduler has to answer."""
_PATIENCE: Final = 60
"""Seconds without an outcome after which it is asked whether anybody is at work."""


class Workers(Protocol):
    """Executors for a sweep, a new one where the last broke.

    ``count`` is how many tasks are done at a time; ``renews``, whether a task that lost its worker is to be given to a
    new executor, or has been tried enough.
    """

    count: int
    renews: bool

    def executor(self) -> Executor:
        """An executor that takes tasks."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error means that a worker died, and not that its task failed."""
        ...

    def check(self) -> None:
        """Raise :class:`~replay.errors.InvalidRun` where nobody is at work any more."""
        ...

    def close(self) -> None:
        """Let the workers go, and what they have not done."""
        ...


class Processes:
    """Processes of this machine, which break all together: their tasks are tried again on new ones."""

    renews = True

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: Executor | None = None
        self._before = set(multiprocessing.active_children())

    def executor(self) -> Executor:
        """A fresh pool; the one before is let go."""
        self._release()
        self._pool = open_pool(self.count, __name__)
        return self._pool

    def lost(self, error: BaseException) -> bool:
        """A pool breaks with its worker."""
        return isinstance(error, BrokenExecutor)

    def check(self) -> None:
        """A pool breaks by itself."""

    def close(self) -> None:
        """End the processes, also those still at work."""
        self._release()
        for child in set(multiprocessing.active_children()) - self._before:
            child.terminate()

    def _release(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class Cluster:
    """Workers of a Dask cluster, by its scheduler's address; a task whose worker dies goes to another by itself."""

    renews = False

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise MissingExtra("a sweep on a Dask cluster", "cluster") from None
        try:
            self._client = Client(address, timeout=_ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidRun(f"scheduler {address!r} does not answer: {said}") from error
        self._address = address
        try:
            self.check()
        except InvalidRun:
            self._client.close()
            raise
        self.count = sum(self._threads())
        self._executor: Executor = self._client.get_executor(pure=False)

    def executor(self) -> Executor:
        """The cluster's."""
        return self._executor

    def lost(self, error: BaseException) -> bool:
        """A task that killed several workers, or whose cluster went away."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker | CancelledError)

    def check(self) -> None:
        """A scheduler waits for workers for as long as there are none."""
        if not self._threads():
            raise InvalidRun(f"scheduler {self._address!r} has no worker; start some: dask worker {self._address}")

    def _threads(self) -> list[int]:
        """How many tasks each of the workers does at a time."""
        return [worker["nthreads"] for worker in self._client.scheduler_info(n_workers=-1)["workers"].values()]

    def close(self) -> None:
        """Leave the cluster as it was."""
        with contextlib.suppress(OSError, TimeoutError):
            self._executor.shutdown(wait=False)  # which cancels what is left
            self._client.close()


class Given:
    """An executor of the caller's, which stays the caller's."""

    renews = False

    def __init__(self, executor: Executor) -> None:
        self.count = os.cpu_count() or 1
        self._executor = executor

    def executor(self) -> Executor:
        """As it was given."""
        return self._executor

    def lost(self, error: BaseException) -> bool:
        """It is not for us to make it anew."""
        return isinstance(error, BrokenExecutor | CancelledError)

    def check(self) -> None:
        """It is not for us to know."""

    def close(self) -> None:
        """Nothing is ours."""


def workers_for(count: int, scheduler: str | None, executor: Executor | None) -> Workers | None:
    """What was asked for; ``None``: one worker, which is this process.

    Raises :class:`~replay.errors.InvalidRun` for a count that is none and for two that were asked for, and what a
    :class:`Cluster` does.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidRun(f"workers {count!r} is not a whole number from 1")
    if (count > 1) + (scheduler is not None) + (executor is not None) > 1:
        raise InvalidRun("workers, scheduler and executor: give one of them")
    if executor is not None:
        return Given(executor)
    if scheduler is not None:
        return Cluster(scheduler)
    return Processes(count) if count > 1 else None


def gather(workers: Workers, job: Job, tasks: Sequence[Task]) -> Iterator[Done]:
    """Each task's outcome in the order of the tasks.

    Where a pool of processes breaks, what was at work is tried again one by one, so that the task which kills its
    worker is told from those that were beside it.

    Raises
    ------
    InvalidRun
        Where a task's worker died three times, or nobody is at work any more.
    """
    left: deque[tuple[Task, Future[Done] | None]] = deque((task, None) for task in tasks)
    waiting: deque[tuple[Task, Future[Done]]] = deque()
    deaths: Counter[str] = Counter()
    alone: set[str] = set()
    executor = workers.executor()
    while left or waiting:
        try:
            while left and len(waiting) < (1 if alone else workers.count * _AHEAD):
                task, known = left[0]
                waiting.append((task, known or executor.submit(work, job, task)))
                left.popleft()
            done = _outcome(waiting[0][1], workers)
        except BaseException as error:
            if not workers.lost(error):
                raise
            found = [(task, future if _has_result(future) else None) for task, future in waiting] or [left.popleft()]
            lost = [task for task, future in found if future is None]
            deaths.update(task.name for task in lost)
            if not workers.renews or deaths[lost[0].name] >= ATTEMPTS:
                raise InvalidRun(_died(lost[0], deaths[lost[0].name] if workers.renews else None)) from error
            alone = {task.name for task in lost}
            left.extendleft(reversed(found))
            waiting.clear()
            executor = workers.executor()
            continue
        task, _ = waiting.popleft()
        alone.discard(task.name)
        yield done


def _outcome(future: Future[Done], workers: Workers) -> Done:
    """A task's outcome, as long as somebody is at work."""
    while True:
        try:
            return future.result(timeout=_PATIENCE)
        except TimeoutError:
            if future.done():  # of its own doing, or just now
                return future.result()
            workers.check()


def _has_result(future: Future[Done]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _died(task: Task, times: int | None) -> str:
    """Why a sweep ends whose worker died so many times; ``None``: as often as its executor bears it."""
    count = len(task.sets)
    sets = f"set {task.first}" if count == 1 else f"sets {task.first} to {task.first + count - 1}"
    often = "as often as the executor tries it again" if times is None else f"{times} times"
    return (
        f"a worker died {often} at session {task.dates[0]}, {sets}; sweep it with 1 worker to see why "
        '(a script that asks for more needs `if __name__ == "__main__":`)'
    )
