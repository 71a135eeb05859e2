"""Pools of processes on this machine, which end with the process that asked for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pyarrow as pa


def open_pool(
    count: int, preload: str, begin: Callable[..., None] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """So many processes, each with its share of the cores.

    Parameters
    ----------
    preload
        The module to import before the processes part, where they are forked of one.
    begin, arguments
        Called first in each.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([preload])
    threads = max(1, pa.cpu_count() // count)
    own = dict(os.environ)  # a process that others are forked of keeps the environment of its own start
    return ProcessPoolExecutor(count, context, _begin, (own, list(sys.path), threads, begin, arguments))


def _begin(
    environment: dict[str, str],
    path: list[str],
    threads: int,
    begin: Callable[..., None] | None,
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(environment)
    pa.set_cpu_count(threads)  # of Arrow: the other cores have workers of their own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers it, and ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.path[:] = path
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
