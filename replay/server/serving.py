"""Running a server: its settings, its socket, and one process or several on it."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import pathlib
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from replay.errors import CannotWrite, InvalidAddress, NoLake
from replay.lake import Lake, open_lake
from replay.server.answers import CACHE_BYTES, Answers
from replay.server.app import make_app
from replay.server.clock import STATE_SIZE, ReplayClock, Span
from replay.server.connection import Connection
from replay.server.edge import Edge, is_loopback
from replay.server.held import CAPACITY, Held
from replay.server.keys import Guard, Key
from replay.server.log import AccessLog
from replay.server.service import Service
from replay.server.trades import Runs
from replay.sessions import find_session, to_us
from replay.storage.files import is_url

KEEP_ALIVE_SECONDS: Final = 30
_LAKE_SECONDS: Final = 0.5
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.\-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
GRACE_SECONDS: Final = 30
"""How long answers that have begun may take to end once the server was told to stop."""
BACKLOG: Final = 2048
SWITCH_SECONDS: Final = 0.0005
"""How long a thread that makes a body may keep the interpreter from the one that answers; Python's own is 0.005."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What each worker of a server is made from.

    ``state``, ``counts`` and ``held`` are memory that the workers share: of the clock, of the keys' quotas, and of the
    sessions that were there. ``log`` is where the access log goes: a file's path, ``-`` for standard error, ``None``
    for nowhere.
    """

    lake: str
    spans: tuple[Span, ...]
    state: Any
    counts: Any
    held: Any
    keys: tuple[Key, ...] | None = None
    runs: str | None = None
    origins: tuple[str, ...] = ()
    cache_bytes: int = CACHE_BYTES
    log: str | None = "-"

    @property
    def clock(self) -> ReplayClock:
        """The clock over the shared state."""
        return ReplayClock(self.state, self.spans, time.monotonic)


class _Own(list[float]):
    """Numbers of a single process, in place of memory that several share."""

    def __init__(self, count: int) -> None:
        super().__init__([0.0] * count)
        self._lock = threading.RLock()

    def get_lock(self) -> threading.RLock:
        return self._lock


def numbers(count: int, workers: int) -> Any:
    """So many doubles with a lock, shared where there are several workers."""
    return _Own(count) if workers == 1 else multiprocessing.get_context("spawn").Array("d", max(count, 1))


def settings_for(
    lake: Lake,
    path: str | os.PathLike[str],
    *,
    at: int,
    speed: float = 0.0,
    loop: bool = False,
    workers: int = 1,
    keys: Sequence[Key] | None = None,
    runs: str | os.PathLike[str] | None = None,
    origins: Sequence[str] = (),
    cache_bytes: int = CACHE_BYTES,
    log: str | None = "-",
) -> Settings:
    """Settings of a server on a lake, whose clock starts at a moment (microseconds) once a worker is ready.

    Raises :class:`~replay.errors.InvalidAddress` for an origin that no page can have.
    """
    spans, stored = [], lake.stored()
    for date in sorted({each.date for each in stored}):
        session = find_session(date)
        if session is not None:
            spans.append((to_us(session.open), to_us(session.close)))
    made = Settings(
        lake=os.fspath(path) if is_url(path) else lake.path,
        spans=tuple(spans),
        state=numbers(STATE_SIZE, workers),
        counts=numbers(2 * len(keys or ()), workers),
        held=numbers(1 + CAPACITY, workers),
        keys=None if keys is None else tuple(keys),
        runs=None if runs is None else os.fspath(runs),
        origins=tuple(map(check_origin, origins)),
        cache_bytes=cache_bytes,
        log=log,
    )
    held = Held(made.held)
    for each in stored:
        held.add(each.symbol, each.date)
    made.clock.start(at, speed, loop=loop, course=secrets.randbits(40), begun=False)
    return made


def build(settings: Settings) -> ASGIApp:
    """One worker's application."""
    return _application(_service(settings), settings)


def _service(settings: Settings) -> Service:
    return Service(
        _opened(settings),
        settings.clock,
        Guard(settings.keys, settings.counts),
        Answers(settings.cache_bytes),
        Runs(None if settings.runs is None else pathlib.Path(settings.runs)),
        Held(settings.held),
        near=not is_url(settings.lake),
        wall=lambda: time.time_ns() // 1000,
    )


def _opened(settings: Settings) -> Lake:
    """The lake; a worker that takes another's place while it is gone waits for it, and leaves requests to others."""
    while True:
        try:
            return open_lake(settings.lake, cache_bytes=settings.cache_bytes)
        except NoLake:
            if multiprocessing.parent_process() is None:
                raise
            time.sleep(_LAKE_SECONDS)


def _application(service: Service, settings: Settings) -> ASGIApp:
    log = None if settings.log is None else AccessLog(settings.log).write
    made = Edge(make_app(service, settings.origins), log, None if settings.keys is None else service.is_key)
    service.clock.begin()
    return made


def check_log(target: str | None) -> None:
    """Raise :class:`~replay.errors.CannotWrite` unless the access log can be written there."""
    if target not in (None, "-"):
        try:
            with open(str(target), "ab"):  # noqa: PTH123  # a name as it was given
                pass
        except OSError as error:
            raise CannotWrite(str(target), error) from error


def check_origin(origin: str) -> str:
    """``origin``, or :class:`~replay.errors.InvalidAddress` unless it is one as browsers send it."""
    if _ORIGIN.fullmatch(origin) is None:
        raise InvalidAddress(f"origin {origin!r} is to be a scheme and a host, such as http://localhost:3000")
    return origin


def check_host(host: str, *, keys: bool) -> None:
    """Raise :class:`~replay.errors.InvalidAddress` for a host beyond this machine where no key is asked for."""
    if not keys and not is_loopback(host):
        raise InvalidAddress(
            f"host {host} is reached from other machines, and no key is asked for; "
            "give --keys FILE (`replay keys add` makes one), or serve 127.0.0.1"
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any that is free.

    Raises :class:`~replay.errors.InvalidAddress` where it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
            made.set_inheritable(True)
        except OSError:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidAddress(f"{host}:{port} cannot be served: {reason}; --port 0 takes one that is free") from error
    return made


def url_of(bound: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(settings: Settings, bound: socket.socket, workers: int = 1, ready: Callable[[], object] = int) -> None:
    """Serve on a socket until told to stop by SIGINT or SIGTERM; answers that have begun are finished.

    A worker that dies is replaced by another. ``ready`` is called once a signal from then on stops it as it should.
    """
    config = uvicorn.Config(
        functools.partial(_worker, settings),
        factory=True,
        http=Connection,
        ws="none",
        lifespan="off",
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if workers > 1:
        supervisor = Multiprocess(config, sockets=[bound])  # which takes signals from here on
        ready()
        supervisor.run()
        return
    server = uvicorn.Server(config)

    def told(_number: int, _frame: object) -> None:
        """A signal before uvicorn takes them itself; it also hands them on here once it has stopped."""
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    ready()
    server.run(sockets=[bound])


def _worker(settings: Settings) -> ASGIApp:
    """The application of a process that serves; one of several ends with the process that started it."""
    sys.setswitchinterval(SWITCH_SECONDS)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is no request is no news
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="replay-parent", daemon=True).start()
    service = _service(settings)
    threading.Thread(target=service.warm, name="replay-warm").start()  # an end in its midst would be an abort
    return _application(service, settings)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
