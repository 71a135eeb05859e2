"""Where a lake's files lie: ``LAKE/tier=raw/symbol=SPY/date=2026-06-05/<content hash>.parquet``.

Partitions are found from (tier, symbol, date); the hot path never lists the lake.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import pathlib
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from replay.contract import TIERS, is_symbol
from replay.errors import CannotWrite, MissingExtra, NoLake

if sys.platform != "win32":
    import fcntl

SUFFIX: Final = ".parquet"
_LEFTOVER = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{16}\.partial")
_CONTENT_NAME = re.compile(r"[0-9a-f]{64}\.parquet")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One session of one symbol at one tier."""

    tier: str
    symbol: str
    date: dt.date

    @property
    def folder(self) -> str:
        """The partition's path below the lake, with ``/``."""
        return f"tier={self.tier}/symbol={self.symbol}/date={self.date.isoformat()}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it was when listed; ``identity`` changes whenever the file behind ``path`` does."""

    path: str
    name: str
    identity: tuple[int | str, ...]


def content_name(data: bytes | memoryview) -> str:
    """The name a file with this content has: its SHA-256 in hexadecimal, and the suffix."""
    return hashlib.sha256(data).hexdigest() + SUFFIX


def is_content_name(name: str) -> bool:
    """Whether a name is one that this engine gives; any other is a foreign file."""
    return _CONTENT_NAME.fullmatch(name) is not None


def is_leftover(name: str) -> bool:
    """Whether a name is that of a file whose writer has not finished, or never will."""
    return _LEFTOVER.fullmatch(name) is not None


def is_data(name: str) -> bool:
    """Whether a file of this name is read as snapshots."""
    return name.endswith(SUFFIX) and not name.startswith(".")


class FileStore(Protocol):
    """What the engine asks of the place a lake lies in."""

    root: str

    def exists(self) -> bool: ...
    def folders(self, below: str) -> list[str]: ...
    def names(self, partition: Partition) -> list[str]: ...
    def holds(self, partition: Partition) -> bool: ...
    def files(self, partition: Partition) -> list[StoredFile]: ...
    def open(self, path: str) -> Any: ...
    def read(self, path: str) -> bytes: ...
    def write(self, partition: Partition, data: bytes | memoryview) -> str: ...
    def remove(self, partition: Partition, name: str) -> None: ...
    def lock(self, partition: Partition, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]: ...
    def duckdb_path(self, path: str) -> str: ...
    def duckdb_root(self) -> str: ...
    def duckdb_filesystem(self) -> Any | None: ...


def open_files(path: str | os.PathLike[str], filesystem: Any | None = None) -> FileStore:
    """The store at a path: of this machine, of an fsspec file system, or at a URL such as ``s3://bucket/lake``.

    Raises what :func:`filesystem_at` does.
    """
    filesystem = filesystem_at(path) if filesystem is None else filesystem
    if filesystem is not None:
        return RemoteFiles(os.fspath(path), filesystem)
    return LocalFiles(pathlib.Path(path).absolute())


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a URL, which is for fsspec to open."""
    return "://" in os.fspath(path)


def filesystem_at(path: str | os.PathLike[str]) -> Any | None:
    """The fsspec file system of a URL, with the keys and the endpoint of the environment; ``None`` for a plain path.

    Raises
    ------
    MissingExtra
        If fsspec, or what it needs for the protocol, is not installed.
    NoLake
        If no file system has that protocol, or it cannot be reached.
    """
    if not is_url(path):
        return None
    try:
        import fsspec

        return fsspec.core.url_to_fs(os.fspath(path))[0]
    except ImportError:
        raise MissingExtra(f"a lake at {os.fspath(path)}", "cluster") from None
    except (ValueError, OSError) as error:
        raise NoLake(f"{os.fspath(path)} cannot be opened: {error}") from error


def require_lake(store: FileStore) -> None:
    """Raise :class:`~replay.errors.NoLake` unless at least one known tier is stored there."""
    if not store.exists():
        raise NoLake(f"{store.root} does not exist; a lake is a folder that `replay ingest` has written")
    if not any(f"tier={tier}" in store.folders("") for tier in TIERS):
        raise NoLake(
            f"{store.root} is no lake: it holds none of {', '.join(f'tier={tier}' for tier in TIERS)}; "
            "`replay ingest` writes one"
        )


def partitions(store: FileStore, *, symbol: str | None = None, tier: str | None = None) -> Iterator[Partition]:
    """Every partition stored, by symbol, date and tier; folders of other names are passed over."""
    found = []
    for each_tier in TIERS if tier is None else (tier,):
        for folder in store.folders(f"tier={each_tier}"):
            each_symbol = folder.removeprefix("symbol=")
            if each_symbol == folder or not is_symbol(each_symbol) or symbol not in (None, each_symbol):
                continue
            for name in store.folders(f"tier={each_tier}/{folder}"):
                with contextlib.suppress(ValueError):
                    date = dt.date.fromisoformat(name.removeprefix("date="))
                    if name == f"date={date.isoformat()}":
                        found.append(Partition(each_tier, each_symbol, date))
    yield from sorted(found, key=lambda p: (p.symbol, p.date, TIERS.index(p.tier)))


def fingerprint(store: FileStore, files: Iterable[tuple[Partition, StoredFile]]) -> dict[str, str]:
    """Path below the lake -> SHA-256 of the content: of a file named by it, which `verify` checks, the name says it."""
    found = {}
    for partition, file in files:
        name = file.name if is_content_name(file.name) else content_name(store.read(file.path))
        found[f"{partition.folder}/{file.name}"] = name.removesuffix(SUFFIX)
    return found


def _escape(path: str) -> str:
    """A path for DuckDB, which reads ``*``, ``?`` and ``[`` as patterns."""
    return re.sub(r"([*?\[])", r"[\1]", path)


class LocalFiles:
    """A lake in a folder of this machine."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root
        self.root = str(root)

    def exists(self) -> bool:
        return self._root.is_dir()

    def folders(self, below: str) -> list[str]:
        try:
            with os.scandir(self._root / below) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def names(self, partition: Partition) -> list[str]:
        try:
            return sorted(os.listdir(self._root / partition.folder))  # noqa: PTH208  # names, not paths
        except (FileNotFoundError, NotADirectoryError):
            return []

    def holds(self, partition: Partition) -> bool:
        return any(map(is_data, self.names(partition)))

    def files(self, partition: Partition) -> list[StoredFile]:
        folder = f"{self.root}{os.sep}{partition.folder}"
        while True:
            try:
                with os.scandir(folder) as entries:
                    data = [entry for entry in entries if is_data(entry.name) and entry.is_file()]
            except (FileNotFoundError, NotADirectoryError):
                return []
            try:
                found = [_stored(entry) for entry in data]
            except FileNotFoundError:  # replaced by another since it was listed, which a new listing shows
                continue
            return sorted(found, key=lambda file: file.name)

    def open(self, path: str) -> Any:
        return pa.OSFile(path, "rb")

    def read(self, path: str) -> bytes:
        return pathlib.Path(path).read_bytes()

    def write(self, partition: Partition, data: bytes | memoryview) -> str:
        """Let a file appear whole or not at all, named by its content; returns its path."""
        folder = self._folder(partition)
        target = folder / content_name(data)
        partial = folder / f".{target.stem}.{secrets.token_hex(8)}.partial"
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise CannotWrite(str(folder), error) from error
            raise
        _sync_folder(folder)
        return str(target)

    def _folder(self, partition: Partition) -> pathlib.Path:
        folder = self._root / partition.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(str(folder), error) from error
        return folder

    def remove(self, partition: Partition, name: str) -> None:
        (self._root / partition.folder / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, partition: Partition, *, wait: bool = True) -> Iterator[bool]:
        """Hold the partition against other writers; yields whether it is held.

        The lock is on the folder itself, so a killed writer leaves nothing behind.
        """
        folder = self._folder(partition)
        if sys.platform == "win32":  # it has no such locks: writers of one partition are not serialised there
            yield True
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def duckdb_path(self, path: str) -> str:
        return _escape(path)

    def duckdb_root(self) -> str:
        return self.root

    def duckdb_filesystem(self) -> Any | None:
        return None


def _stored(entry: os.DirEntry[str]) -> StoredFile:
    stat = os.stat(entry.path)  # noqa: PTH116  # measured: half the cost of a Path
    return StoredFile(entry.path, entry.name, (stat.st_size, stat.st_mtime_ns, stat.st_ino))


def _sync_folder(folder: pathlib.Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RemoteFiles:
    """A lake on an fsspec file system, such as an object store, where an object appears when it is whole."""

    def __init__(self, root: str, filesystem: Any) -> None:
        self._fs = filesystem
        self.root = filesystem._strip_protocol(root).rstrip("/")

    def exists(self) -> bool:
        try:
            return bool(self._fs.isdir(self.root))
        except Exception as error:  # each protocol has errors of its own, and none is known here
            raise NoLake(f"{self._with_protocol(self.root)} cannot be reached: {error}") from error

    def _entries(self, below: str) -> list[dict[str, Any]]:
        try:
            return list(self._fs.ls(f"{self.root}/{below}".rstrip("/"), detail=True, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def folders(self, below: str) -> list[str]:
        entries = self._entries(below)
        return sorted(e["name"].rstrip("/").rsplit("/", 1)[-1] for e in entries if e["type"] == "directory")

    def names(self, partition: Partition) -> list[str]:
        return sorted(e["name"].rsplit("/", 1)[-1] for e in self._entries(partition.folder))

    def holds(self, partition: Partition) -> bool:  # noqa: ARG002  # a folder is there by what it holds
        return True

    def files(self, partition: Partition) -> list[StoredFile]:
        found = []
        for entry in self._entries(partition.folder):
            name = entry["name"].rsplit("/", 1)[-1]
            if entry["type"] == "file" and is_data(name):
                marks = (entry.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "created"))
                identity = (entry["size"], *(str(mark) for mark in marks if mark is not None))
                found.append(StoredFile(entry["name"], name, identity))
        return sorted(found, key=lambda file: file.name)

    def open(self, path: str) -> Any:
        return self._fs.open(path, "rb")

    def read(self, path: str) -> bytes:
        return bytes(self._fs.cat_file(path))

    def write(self, partition: Partition, data: bytes | memoryview) -> str:
        """Write an object named by its content; returns its path."""
        folder = f"{self.root}/{partition.folder}"
        self._fs.makedirs(folder, exist_ok=True)
        target = f"{folder}/{content_name(data)}"
        self._fs.pipe_file(target, bytes(data))
        return target

    def remove(self, partition: Partition, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(f"{self.root}/{partition.folder}/{name}")

    @contextlib.contextmanager
    def lock(self, partition: Partition, *, wait: bool = True) -> Iterator[bool]:  # noqa: ARG002  # no lock there
        yield True

    def duckdb_path(self, path: str) -> str:
        return _escape(self._with_protocol(path))

    def duckdb_root(self) -> str:
        return self._with_protocol(self.root)

    def _with_protocol(self, path: str) -> str:
        protocol = self._fs.protocol
        return f"{protocol if isinstance(protocol, str) else protocol[0]}://{path}"

    def duckdb_filesystem(self) -> Any | None:
        return self._fs
