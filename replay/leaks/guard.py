"""What a callback must not touch: files, the lake, clocks, global random numbers. Watched while callbacks run.

Four nets, since none is enough: Python's audit events see files, sockets and processes opened from Python; a profile
function sees calls of Python functions and of most built-in ones, whatever name they go by; functions that no profile
sees, such as ``duckdb.connect``, are replaced by name; and where the system counts the bytes that a process reads
(Linux), the count shows what compiled code reads, also from what was opened before the first callback.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import sys
import sysconfig
import threading
import zoneinfo
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any, Final

import numpy as np

import replay.lake
from replay.lake import Lake
from replay.strategy import Context

Report = Callable[[str, str, Context], None]
"""Told the kind of thing touched, ``read``, ``write``, ``clock``, ``random`` or ``outside``, what it was, and where."""

_STANDARD: Final = sysconfig.get_paths()["stdlib"] + os.sep
_PACKAGES: Final = sysconfig.get_paths()["purelib"] + os.sep
_QUIET: Final = ("<frozen importlib", os.sep + "importlib" + os.sep, os.sep + "zoneinfo" + os.sep, "linecache.py")
_CODE: Final = (".py", ".pyc", ".so", ".pyd", ".pth")
_ZONES: Final = tuple(f"{folder}{os.sep}" for folder in zoneinfo.TZPATH)
_READERS: Final = ("polars/io/", "pyarrow/", "pandas/io/", "duckdb/")
_READING: Final = ("read", "scan", "open", "connect", "dataset", "module_", "__init__")
_PYARROW: Final = ("parquet", "dataset", "csv", "feather", "ipc", "orc", "fs")
_BY_NAME: Final = {
    "duckdb": ("connect", "sql", "query", "execute", "read_parquet", "read_csv", "from_parquet", "table", "view"),
    "pyarrow": ("memory_map", "OSFile", "input_stream"),
}
_CONNECTION: Final = (*_BY_NAME["duckdb"][1:], "executemany", "from_query", "read_json")
_MANY: Final = 256
"""Bytes; less is read where a library asks for the number of cores."""
_OFTEN: Final = 2
"""Callbacks that read so many; what a library reads of its own, it reads once."""
_EVENTS: Final = {
    "socket.connect": "outside", "socket.getaddrinfo": "outside", "subprocess.Popen": "outside",
    "os.system": "outside", "os.exec": "outside", "os.fork": "outside", "os.posix_spawn": "outside",
    "os.listdir": "read", "os.scandir": "read", "sqlite3.connect": "read", "mmap.__new__": "read",
}  # fmt: skip
_WALL_CLOCKS: Final = frozenset({"time", "time_ns", "clock_gettime", "clock_gettime_ns"})
_NOW: Final = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today"})
_LAKE: Final = frozenset(
    id(each.__code__)
    for name, each in (*vars(Lake).items(), ("open_lake", replay.lake.open_lake))
    if hasattr(each, "__code__") and name != "__repr__"
)

_watching: Guard | None = None


class Guard:
    """Watches one thread's callbacks."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._thread = threading.get_ident()
        self._active = False
        self._ctx: Context | None = None
        self._bytes = Bytes()
        self._engines = 0
        self._accounted = False
        self._compiled: list[Context] = []

    def __deepcopy__(self, _: dict[int, Any]) -> Guard:
        return self

    @contextlib.contextmanager
    def watching(self, module: ModuleType | None) -> Iterator[None]:
        """Have the nets out; ``module`` is the strategy's, whose own names of watched functions are replaced too."""
        global _watching
        _install()
        before, _watching = _watching, self
        replaced = list(self._replace(module))
        self._bytes.open()
        try:
            yield
        finally:
            self._bytes.close()
            _watching = before
            for home, name, original in reversed(replaced):
                setattr(home, name, original)

    @contextlib.contextmanager
    def callback(self, ctx: Context) -> Iterator[None]:
        """A strategy's callback runs."""
        profile, drawn, before = sys.getprofile(), _drawn(), self._bytes.read()
        self._engines, self._accounted = 0, False
        self._active, self._ctx = True, ctx
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(profile)
            self._active = False
            self._afterwards(ctx, self._bytes.read() - before - self._bytes.cost - self._engines, drawn)

    def _afterwards(self, ctx: Context, read: int, drawn: tuple[int, bytes]) -> None:
        """Report what only shows when a callback is over."""
        if read >= _MANY and not self._accounted:
            self._compiled.append(ctx)
            if len(self._compiled) >= _OFTEN:
                self._report("read", "a file, by compiled code", ctx)
        if _drawn() != drawn:
            self._report("random", "numpy.random's global generator", ctx)

    @contextlib.contextmanager
    def engine(self) -> Iterator[None]:
        """The engine itself is at work within a callback, and may read."""
        active, self._active = self._active, False
        before = self._bytes.read() if active else 0
        try:
            yield
        finally:
            if active:
                self._engines += self._bytes.read() - before + self._bytes.cost
            self._active = active

    def touched(self, kind: str, what: str) -> None:
        """Report, if a callback is at work in this guard's thread."""
        if self._active and self._ctx is not None and threading.get_ident() == self._thread:
            self._accounted = True
            with self.engine():
                self._report(kind, what, self._ctx)

    def _replace(self, module: ModuleType | None) -> Iterator[tuple[Any, str, Any]]:
        homes = [sys.modules[name] for name in _BY_NAME if name in sys.modules]
        originals = {
            id(found): (f"{home.__name__}.{name}", found)
            for home in homes
            for name in _BY_NAME[home.__name__]
            if (found := getattr(home, name, None)) is not None
        }
        for home in (*homes, *([module] if module is not None else [])):
            for name, value in list(vars(home).items()):
                if id(value) in originals:
                    yield home, name, value
                    setattr(home, name, self._told(*originals[id(value)]))
        connection = getattr(sys.modules.get("duckdb"), "DuckDBPyConnection", None)
        for name in _CONNECTION:
            if connection is not None and name in vars(connection):
                yield connection, name, vars(connection)[name]
                setattr(connection, name, self._told(f"duckdb: a connection's {name}", vars(connection)[name]))

    def _told(self, name: str, original: Any) -> Any:
        def watched(*args: Any, **named: Any) -> Any:
            self.touched("read", f"{name}()")
            return original(*args, **named)

        return watched

    def _called(self, frame: FrameType, event: str, function: Any) -> None:
        if not self._active:
            return
        if event == "call":
            self._called_python(frame)
        elif event == "c_call":
            self._called_builtin(frame, function)

    def _called_python(self, frame: FrameType) -> None:
        code = frame.f_code
        if id(code) in _LAKE:
            self.touched("read", f"the lake: {code.co_qualname}()")
        elif code is _STARTS:
            self.touched("outside", "starts a thread, in which nothing is watched")
        elif code.co_filename.startswith(_PACKAGES) and code.co_name.startswith(_READING):
            inside = code.co_filename.removeprefix(_PACKAGES).replace(os.sep, "/")
            if inside.startswith(_READERS) and not inside.startswith("pandas/io/formats"):
                if inside.startswith("pyarrow/") and not inside.removeprefix("pyarrow/").startswith(_PYARROW):
                    return
                self.touched("read", f"{inside.split('/')[0]}: {code.co_qualname}()")

    def _called_builtin(self, frame: FrameType, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        name = getattr(function, "__qualname__", "")
        if name in _NOW and isinstance(owner, type):
            self._unless_standard(frame, "clock", f"{name}()")
        elif getattr(function, "__module__", None) == "time" and name in _WALL_CLOCKS:
            self._unless_standard(frame, "clock", f"time.{name}()")
        elif name == "Random.seed" and frame.f_locals.get("a", 0) is None:
            self.touched("random", "random.Random() without a seed")
        elif owner is _GLOBAL_RANDOM or (name == "urandom" and not _is_quiet(frame)):
            self.touched("random", f"{'random' if owner is _GLOBAL_RANDOM else 'os'}.{name.rpartition('.')[2]}()")

    def _unless_standard(self, frame: FrameType, kind: str, what: str) -> None:
        """Report, but for what the standard library does for itself, such as a log's time."""
        file = frame.f_code.co_filename
        if (not file.startswith(_STANDARD) or file.startswith(_PACKAGES)) and not _is_quiet(frame):
            self.touched(kind, what)

    def event(self, name: str, args: tuple[Any, ...]) -> None:
        """One of Python's audit events."""
        if not self._active:
            return
        if name == "open":
            path, _, flags = args
            if isinstance(path, int):
                return
            code = str(path).endswith(_CODE)
            if str(path).startswith(_ZONES) or (code and _is_quiet(sys._getframe(2))):
                self._accounted = True
                return
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY
            self.touched("write" if writes else "read", f"the file {_path(path)}")
        elif name in _EVENTS and not _is_quiet(sys._getframe(2)):
            self.touched(_EVENTS[name], name)


class Bytes:
    """How many bytes this process has read; always 0 where the system does not say. ``cost``: of asking."""

    def __init__(self) -> None:
        self._file = -1
        self.cost = 0

    def open(self) -> None:
        """Begin to count."""
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/self/io", os.O_RDONLY)
        before = self.read()
        self.cost = self.read() - before

    def close(self) -> None:
        """Count no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self) -> int:
        """So many up to now."""
        words = os.pread(self._file, 64, 0).split(maxsplit=2) if self._file >= 0 else []
        return int(words[1]) if len(words) > 1 and words[0] == b"rchar:" else 0


def _drawn() -> tuple[int, bytes]:
    """Where numpy's global generator stands."""
    state: Any = np.random.get_state(legacy=False)["state"]
    return int(state["pos"]), state["key"][:4].tobytes()


_STARTS: Final = threading.Thread.start.__code__
_GLOBAL_RANDOM: Final = random.random.__self__  # type: ignore[attr-defined]  # the instance behind the module's functions


def _path(path: Any) -> str:
    text = os.fsdecode(path) if isinstance(path, bytes | str | os.PathLike) else str(path)
    return pathlib.PurePath(text).name or text


def _is_quiet(frame: FrameType | None) -> bool:
    """Whether an import, a time zone or a traceback's source is behind it."""
    for _ in range(12):
        if frame is None:
            return False
        if any(part in frame.f_code.co_filename for part in _QUIET):
            return True
        frame = frame.f_back
    return False


_installed: list[bool] = []


def _install() -> None:
    """Hear audit events from now on; a hook cannot be taken away again, so it listens to whoever watches."""
    if _installed:
        return
    _installed.append(True)

    def hook(name: str, args: tuple[Any, ...]) -> None:
        guard = _watching
        if guard is not None and (name == "open" or name in _EVENTS):
            guard.event(name, args)

    sys.addaudithook(hook)
