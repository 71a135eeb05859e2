"""Golden files: canonical answers kept to be compared with what the lake answers now."""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from replay import contract, tables
from replay.errors import CannotWrite, GoldenError
from replay.golden.difference import Comparison, Tolerance, compare_bodies, compare_objects, compare_rows
from replay.golden.spec import Entry, LevelsRequest, RunRequest, Spec, read_spec
from replay.lake import Lake
from replay.regenerate import Request
from replay.sessions import MINUTE, floor_minute, parse_moment, to_us

__all__ = [
    "Check", "Comparison", "Spec", "answer", "check", "check_capture", "compare", "read_golden", "read_spec", "record",
    "write_whole",
]  # fmt: skip

_SUFFIXES: Final = (".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one golden: ``same``, ``differs`` or ``missing``; and what differs, for the second."""

    name: str
    status: str
    path: pathlib.Path
    comparison: Comparison | None = None


def answer(entry: Entry, lake: Lake) -> bytes:
    """The canonical bytes of what the lake answers to an entry now."""
    if isinstance(entry, Request):
        return lake.heatmap(
            entry.symbol, entry.as_of, metric=entry.metric, mode=entry.mode, minutes=entry.minutes,
            known_at=entry.known_at, gaps=entry.gaps, tier=entry.tier,
        ).to_json()  # fmt: skip
    if isinstance(entry, LevelsRequest):
        found = lake.levels(entry.symbol, entry.as_of, known_at=entry.known_at, tier=entry.tier)
        return orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    from replay.engine import run

    return tables.frame_bytes(run(entry.strategy, lake, **entry.asked).to_polars(), "jsonl")


def read_golden(path: pathlib.Path) -> Any:
    """A golden file's answer as parsed JSON: an object, or a list of rows.

    Raises :class:`~replay.errors.GoldenError` naming the file if it is none.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in data.splitlines()]
        found = json.loads(data)
    except (OSError, ValueError) as error:
        raise GoldenError(f"{path}: is no golden file: {error}") from None
    if not isinstance(found, dict):
        raise GoldenError(f"{path}: is no golden file: it holds a {type(found).__name__}, not an object")
    return found


def compare(
    entry: Entry, golden: Any, data: bytes, tolerances: Mapping[str, Tolerance], path: pathlib.Path
) -> Comparison:
    """A golden file's answer against the bytes of :func:`answer`."""

    def tolerance(of: str) -> Tolerance:
        return tolerances.get(of, Tolerance())

    if isinstance(entry, RunRequest):
        return compare_rows(golden, [json.loads(line) for line in data.splitlines()], tolerance("run"))
    found = json.loads(data)
    if isinstance(entry, LevelsRequest):
        return compare_objects(golden, found, tolerance("levels"))
    _check_body(golden, path)
    return compare_bodies(golden, found, tolerance)


def check(spec: Spec, lake: Lake) -> tuple[list[Check], list[pathlib.Path]]:
    """Every golden of a specification against the lake, and the files in its folder that no entry names."""
    done = []
    for name, entry in spec.entries.items():
        path = spec.file(name)
        if not path.is_file():
            done.append(Check(name, "missing", path))
            continue
        data = answer(entry, lake)
        if data == path.read_bytes():
            done.append(Check(name, "same", path))
            continue
        comparison = compare(entry, read_golden(path), data, spec.tolerances, path)
        done.append(Check(name, "differs" if comparison else "same", path, comparison or None))
    return done, unnamed(spec)


def unnamed(spec: Spec) -> list[pathlib.Path]:
    """The golden files in a specification's folder that no entry names, sorted."""
    named = {spec.file(name) for name in spec.entries}
    return sorted(path for path in spec.files.glob("*") if path.suffix in _SUFFIXES and path not in named)


def record(spec: Spec, lake: Lake, *, update: bool = False) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Write the golden files of a specification: those written, and those that were right already.

    Raises
    ------
    GoldenError
        If files hold other answers and ``update`` is false; then nothing is written.
    """
    answers = {spec.file(name): answer(entry, lake) for name, entry in spec.entries.items()}
    right = [path for path, data in answers.items() if path.is_file() and path.read_bytes() == data]
    others = [path for path in answers if path.is_file() and path not in right]
    if others and not update:
        named = ", ".join(path.name for path in others[:5]) + (
            f" and {len(others) - 5} more" if len(others) > 5 else ""
        )
        raise GoldenError(
            f"{spec.path}: {len(others)} golden files hold other answers: {named}; --update replaces them"
        )
    written = [path for path in answers if path not in right]
    for path in written:
        write_whole(path, answers[path])
    return written, right


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Have a file hold this, whole or not at all; its folder is made."""
    partial = path.with_name(f".{path.name}.{os.urandom(4).hex()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(str(path), error) from error


def check_capture(
    path: pathlib.Path, lake: Lake, *, known_at: str | None = None, tolerances: Mapping[str, Tolerance]
) -> Check:
    """A body of the live endpoint against what the lake answers to the same request.

    Symbol, moment, metric and mode are read from the body, and the span from its first bar; with ``known_at``
    ``None`` the lake answers with what was known at the body's ``as_of``.
    """
    body = read_golden(path)
    _check_body(body, path)
    entry = request_of(body, path, known_at)
    comparison = compare(entry, body, answer(entry, lake), tolerances, path)
    return Check(path.name, "differs" if comparison else "same", path, comparison or None)


def request_of(body: Mapping[str, Any], path: pathlib.Path, known_at: str | None = None) -> Request:
    """The request that a body answers; the shortest span that reaches its first bar."""
    as_of = to_us(parse_moment(str(body["as_of"])))
    minutes = contract.MINUTES_DEFAULT
    if body["bars"]:
        first = to_us(parse_moment(str(body["bars"][0]["t"]), "t"))
        minutes = (floor_minute(as_of) - first) // MINUTE
        if not 0 <= minutes <= contract.MINUTES_MAX:
            raise GoldenError(f"{path}: its first bar {body['bars'][0]['t']} is {minutes} minutes before its as_of")
    return Request(
        contract.normalise_symbol(body["symbol"]), str(body["as_of"]), contract.check_metric(body["metric"]),
        contract.check_mode(body["mode"]), contract.check_minutes(minutes), known_at,
    )  # fmt: skip


def _check_body(body: Any, path: pathlib.Path) -> None:
    """Raise :class:`~replay.errors.GoldenError` unless it is a body of the heatmap endpoint."""
    for name, kind in (("symbol", str), ("as_of", str), ("metric", str), ("mode", str), ("bars", list)):
        if not isinstance(body.get(name), kind):
            raise GoldenError(f"{path}: is no heatmap's body: {name} is {body.get(name)!r}")
    strikes = body.get("strikes_grid")
    if not isinstance(strikes, list) or not all(isinstance(each, int | float) for each in strikes):
        raise GoldenError(f"{path}: is no heatmap's body: strikes_grid is no list of numbers")
    for number, bar in enumerate(body["bars"]):
        if not isinstance(bar, dict) or "t" not in bar or not isinstance(bar.get("values"), list):
            raise GoldenError(f"{path}: is no heatmap's body: bar {number} has no t and values")
        if len(bar["values"]) != len(strikes):
            raise GoldenError(f"{path}: bar {number} has {len(bar['values'])} values for {len(strikes)} strikes")


def entries_text(entries: Sequence[Check]) -> str:
    """How many golden files are same, differ and are missing."""
    same, differ, missing = (sum(each.status == of for each in entries) for of in ("same", "differs", "missing"))
    return f"{len(entries)} golden files: {same} same, {differ} differ, {missing} missing"


def moment_of(value: str | dt.datetime | dt.date) -> str:
    """A moment as a request's text."""
    return value if isinstance(value, str) else value.isoformat()
