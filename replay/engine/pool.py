"""The sessions of a run in order, on one process or several."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any, Final

from replay.engine.plan import Plan
from replay.engine.processes import open_pool
from replay.engine.session import Carried, Part, Ticked, replay_session, tapes_of
from replay.errors import InvalidRun
from replay.lake import Lake
from replay.strategy.loading import load

_AHEAD: Final = 2
_ATTEMPTS: Final = 3
_at_work: dict[str, Any] = {}
"""In a worker: its lake, its plan, and the columns that its last session read."""


def parts(
    plan: Plan, lake: Lake, dates: Sequence[dt.date], *, workers: int, carried: Carried, ticked: Ticked | None = None
) -> Iterator[Part]:
    """Each session's part, in order; the one that ends with an error is the last."""
    if workers == 1:
        for date in dates:
            part = replay_session(plan, tapes_of(lake, plan, date, carried), carried, ticked=ticked)
            yield part
            if part.error is not None:
                return
        return
    yield from _by_workers(plan, lake, dates, workers)


def check_workers(plan: Plan, workers: int) -> None:
    """Raise :class:`~replay.errors.InvalidRun` unless so many processes can serve this plan."""
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise InvalidRun(f"workers {workers!r} is not a whole number from 1")
    if workers > 1 and plan.strategy.carries_state:
        raise InvalidRun(f"strategy {plan.strategy.name} carries state from session to session; it runs on 1 worker")
    if workers > 1 and plan.strategy.reference is None:
        raise InvalidRun(f"strategy {plan.strategy.name} is not at the top of a file; other workers cannot load it")


def _by_workers(plan: Plan, lake: Lake, dates: Sequence[dt.date], workers: int) -> Iterator[Part]:
    before = set(multiprocessing.active_children())
    pool = _pool(plan, lake, workers)
    waiting: deque[tuple[dt.date, Future[Part]]] = deque()
    left = deque(dates)
    attempt = 1
    try:
        while left or waiting:
            try:
                while left and len(waiting) < workers * _AHEAD:
                    waiting.append((left[0], pool.submit(_work, left[0])))
                    left.popleft()
                part = waiting[0][1].result()
            except BrokenProcessPool:
                if attempt == _ATTEMPTS:
                    at = (waiting or [(left[0],)])[0][0]
                    raise InvalidRun(
                        f"a worker died {attempt} times at or after session {at}; run it with 1 worker to see why "
                        '(a script that asks for more needs `if __name__ == "__main__":`)'
                    ) from None
                attempt += 1
                left.extendleft(date for date, _ in reversed(waiting))
                waiting.clear()
                pool.shutdown(wait=False, cancel_futures=True)
                pool = _pool(plan, lake, workers)
                continue
            waiting.popleft()
            attempt = 1
            yield part
            if part.error is not None:
                return
    finally:  # also on an interrupt: what is still at work is of no use any more
        pool.shutdown(wait=False, cancel_futures=True)
        if waiting:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


def _pool(plan: Plan, lake: Lake, workers: int) -> Executor:
    bare = replace(plan, strategy=replace(plan.strategy, target=None))
    return open_pool(workers, __name__, _begin, bare, lake)


def _begin(plan: Plan, lake: Lake) -> None:
    strategy = load(plan.strategy.reference, plan.strategy.style)
    _at_work.update(plan=replace(plan, strategy=strategy), lake=lake, carried=Carried())


def _work(date: dt.date) -> Part:
    plan, carried = _at_work["plan"], _at_work["carried"]
    part = replay_session(plan, tapes_of(_at_work["lake"], plan, date, carried), carried)
    return replace(part, raised=None)  # which need not survive the way to the parent
