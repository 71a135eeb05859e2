"""Files that appear whole or not at all, and folders that one process has to itself."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from replay.errors import CannotWrite, InvalidRun

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def alone(path: pathlib.Path, noun: str) -> Iterator[None]:
    """Make a folder and have it to oneself: another process at work in it is :class:`~replay.errors.InvalidRun`."""
    if path.exists() and not path.is_dir():
        raise InvalidRun(f"{path} is a file; name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(str(path), error) from error
    if sys.platform == "win32":
        yield
        return
    held = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRun(f"another {noun} is at work in {path}") from None
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """The system's errors as :class:`~replay.errors.CannotWrite`, naming the folder."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(str(path), error) from error


def stored_plan(*paths: pathlib.Path) -> dict[str, Any] | None:
    """What the first of these JSON files that is there holds; ``None`` where none is.

    Raises :class:`~replay.errors.InvalidRun` for one that is no JSON.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            try:
                found = json.loads(path.read_bytes())
            except ValueError as error:
                raise InvalidRun(f"{path} cannot be read: {error}; name another folder") from error
            if isinstance(found, dict):
                return found
    return None


def read_part(path: pathlib.Path, key: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """A table that :func:`as_ipc` wrote, and the JSON under a key of its metadata.

    Raises :class:`~replay.errors.InvalidRun` if it cannot be read.
    """
    try:
        with pa.OSFile(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        told: dict[str, Any] = json.loads(table.schema.metadata[key])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidRun(f"{path} cannot be read: {error}; remove it and resume") from error
    return table.replace_schema_metadata(None), told


def check_unchanged(path: pathlib.Path, of: object, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise :class:`~replay.errors.InvalidRun` unless a part was made of the lake's files as they are now."""
    if now != before:
        changed = sorted(set(now.items()) ^ set(before.items()))[0][0]
        raise InvalidRun(f"{path} cannot be gone on with: the lake's {of} has changed since ({changed})")


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Have a file hold this, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.urandom(4).hex()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def as_ipc(table: pa.Table) -> bytes:
    """A table as an Arrow file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def as_json(value: Any) -> bytes:
    """Plain values as JSON to be read by people; numbers are finite."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any], of: str = "") -> tuple[str, Any, Any] | None:
    """The first of our values that theirs lacks or has otherwise: its dotted name, theirs and ours."""
    for key, value in ours.items():
        other = theirs.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found = difference(other, value, f"{of}{key}.")
            if found is not None:
                return found
        elif other != value:
            return f"{of}{key}", other, value
    return None


def short(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
