"""Where a sweep's tasks are done: here, on processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Final, Protocol

import pyarrow as pa

from replay.errors import InvalidRun, MissingExtra
from replay.sweeps.task import Done, Task, work

ATTEMPTS: Final = 3
_AHEAD: Final = 3


class Workers(Protocol):
    """Executors for a sweep, a new one where the last broke."""

    count: int

    def executor(self) -> Executor:
        """An executor that takes tasks."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error means that a worker died, and not that its task failed."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class Processes:
    """Processes of this machine."""

    def __init__(self, count: int) -> None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidRun(f"workers {count!r} is not a whole number from 1")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._before = set(multiprocessing.active_children())

    def executor(self) -> Executor:
        """A fresh pool; the one before is let go."""
        self._release()
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        threads = max(1, pa.cpu_count() // self.count)
        self._pool = ProcessPoolExecutor(self.count, context, _begin, (threads,))
        return self._pool

    def lost(self, error: BaseException) -> bool:
        """A pool breaks with its worker."""
        from concurrent.futures.process import BrokenProcessPool

        return isinstance(error, BrokenProcessPool)

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

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise MissingExtra("a sweep on a Dask cluster", "cluster") from None
        try:
            self._client = Client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InvalidRun(f"scheduler {address!r} does not answer: {error or type(error).__name__}") from error
        self.count = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def executor(self) -> Executor:
        """The cluster's."""
        executor: Executor = self._client.get_executor(pure=False, retries=ATTEMPTS - 1)
        return executor

    def lost(self, error: BaseException) -> bool:
        """A task that killed several workers, or whose cluster went away."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        return isinstance(error, KilledWorker | CancelledError)

    def close(self) -> None:
        """Leave the cluster as it was."""
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close()


class Given:
    """An executor of the caller's, which stays the caller's."""

    def __init__(self, executor: Executor) -> None:
        self.count = os.cpu_count() or 1
        self._executor = executor

    def executor(self) -> Executor:
        """As it was given."""
        return self._executor

    def lost(self, error: BaseException) -> bool:  # noqa: ARG002  # as the others'
        """A broken executor cannot be made anew here."""
        return False

    def close(self) -> None:
        """Nothing is ours."""


def gather(workers: Workers, tasks: Sequence[Task]) -> Iterator[Done]:
    """Each task's outcome in the order of the tasks; one whose worker died is tried again.

    Raises
    ------
    InvalidRun
        Where a task's worker died three times.
    """
    executor = workers.executor()
    waiting: deque[tuple[Task, Future[Done]]] = deque()
    left = deque(tasks)
    attempt = 1
    while left or waiting:
        try:
            while left and len(waiting) < workers.count * _AHEAD:
                waiting.append((left[0], executor.submit(work, left[0])))
                left.popleft()
            done = waiting[0][1].result()
        except BaseException as error:
            if not workers.lost(error):
                raise
            if attempt == ATTEMPTS:
                at = (waiting[0][0] if waiting else left[0]).date
                raise InvalidRun(
                    f"a worker died {attempt} times at or after session {at}; sweep it with 1 worker to see why "
                    '(a script that asks for more needs `if __name__ == "__main__":`)'
                ) from None
            attempt += 1
            left.extendleft(task for task, _ in reversed(waiting))
            waiting.clear()
            executor = workers.executor()
            continue
        waiting.popleft()
        attempt = 1
        yield done


def _begin(threads: int) -> None:
    """Make a process a worker: with its share of the cores, and no longer there than its parent."""
    pa.set_cpu_count(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers it, and ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
