"""Golden files on disk: read with their shape checked, written whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from replay.errors import CannotWrite, GoldenError
from replay.golden.difference import is_number
from replay.sessions import to_us


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """A JSON file that holds one object.

    Raises :class:`~replay.errors.GoldenError` naming the file if it is none.
    """
    try:
        found = _parsed(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise GoldenError(f"{path} is no golden file: {error}") from None
    if not isinstance(found, dict):
        raise GoldenError(f"{path} is no golden file: it holds a {type(found).__name__}, not an object")
    return found


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """A file of JSON lines, an object each.

    Raises :class:`~replay.errors.GoldenError` naming file and line if it is none.
    """
    rows = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise GoldenError(f"{path} is no golden file: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            row = _parsed(line)
        except (ValueError, RecursionError) as error:
            raise GoldenError(f"{path}, line {number} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise GoldenError(f"{path}, line {number} holds a {type(row).__name__}, not an object")
        rows.append(row)
    return rows


def _parsed(data: bytes) -> Any:
    """JSON, and NaN and infinities, which some programs write; integers that are no double are infinite."""
    return json.loads(data, parse_int=lambda text: int(text) if len(text) < 300 else float(text))


def read_body(path: pathlib.Path) -> dict[str, Any]:
    """A body of the heatmap endpoint.

    Raises :class:`~replay.errors.GoldenError` naming file and field if it is none.
    """
    body = read_object(path)
    check_body(body, path)
    return body


def check_body(body: Mapping[str, Any], path: pathlib.Path) -> None:
    """Raise :class:`~replay.errors.GoldenError` unless an object has the shape of the heatmap endpoint's body."""
    for name, kind in (("symbol", str), ("as_of", str), ("metric", str), ("mode", str), ("bars", list)):
        if not isinstance(body.get(name), kind):
            told = repr(body[name]) if name in body else "missing"
            raise GoldenError(f"{path} is no heatmap's body: {name} is {told}, not {_KINDS[kind]}")
    instant(body["as_of"], f"{path}: as_of")
    strikes = body.get("strikes_grid")
    if not isinstance(strikes, list) or not all(is_number(each) and math.isfinite(each) for each in strikes):
        raise GoldenError(f"{path} is no heatmap's body: strikes_grid is no list of numbers")
    if len({*strikes}) != len(strikes):
        raise GoldenError(f"{path} is no heatmap's body: strikes_grid has a strike twice")
    seen: set[int] = set()
    for number, bar in enumerate(body["bars"]):
        t = _check_bar(bar, len(strikes), f"{path}, bar {number}")
        if t in seen:
            raise GoldenError(f"{path}, bar {number}: there are two of {bar['t']}")
        seen.add(t)


_KINDS: Final = {str: "text", list: "a list"}


def _check_bar(bar: Any, strikes: int, where: str) -> int:
    """The bar's instant."""
    if not isinstance(bar, dict) or not isinstance(bar.get("t"), str) or not isinstance(bar.get("values"), list):
        raise GoldenError(f"{where} is none: it has a text t and a list values")
    if len(bar["values"]) != strikes:
        raise GoldenError(f"{where} has {len(bar['values'])} values for {strikes} strikes")
    for value in bar["values"]:
        if value is not None and not is_number(value):
            raise GoldenError(f"{where} has a value {value!r}; values are numbers or null")
    return instant(bar["t"], f"{where}: t")


def instant(text: str, what: str) -> int:
    """Microseconds since the epoch of an instant that is told with its offset.

    Raises :class:`~replay.errors.GoldenError` with ``what`` it is if it cannot be read.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.utcoffset() is not None:
            return to_us(moment.astimezone(dt.UTC))
    except (ValueError, OverflowError):
        pass
    raise GoldenError(f"{what} is {text!r}, no time with its offset such as 2026-07-24T18:30:00Z")


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Have a file hold this, whole or not at all; its folder is made.

    Raises :class:`~replay.errors.CannotWrite` naming the file if it cannot be written.
    """
    partial = path.with_name(f".{path.name[:200]}.{os.urandom(4).hex()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(str(path), error) from error
