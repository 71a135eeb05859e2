"""Golden files: canonical answers kept to be compared with what the lake answers now."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass

import orjson

from replay import tables
from replay.errors import GoldenError, RequestError
from replay.golden.capture import check_capture, request_of
from replay.golden.difference import Comparison, Tolerance, ToleranceOf, compare_bodies, compare_objects, compare_rows
from replay.golden.spec import LEVELS, RUN, Entry, LevelsRequest, RunRequest, Spec, read_spec
from replay.golden.store import read_body, read_object, read_rows, write_whole
from replay.lake import Lake
from replay.regenerate import Request

__all__ = [
    "Check", "Comparison", "Spec", "Tolerance", "answer", "check", "check_capture", "compare", "read_spec", "record",
    "request_of", "unnamed", "write_whole",
]  # fmt: skip

_SUFFIXES = (".json", ".jsonl")
_NAMED = 20  # golden files that an error lists


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one golden: ``same``, ``differs`` or ``missing``; and what differs, for the second."""

    name: str
    status: str
    path: pathlib.Path
    comparison: Comparison | None = None


def answer(entry: Entry, lake: Lake) -> bytes:
    """The canonical bytes of the lake's answer to an entry now.

    A heatmap's are its body, those of levels one indented object, those of a run its rows as JSON lines.
    """
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


def compare(entry: Entry, path: pathlib.Path, data: bytes, tolerance: ToleranceOf) -> Comparison:
    """A golden file against the bytes of :func:`answer`.

    Raises :class:`~replay.errors.GoldenError` naming the file if it holds no such answer.
    """
    if isinstance(entry, RunRequest):
        return compare_rows(read_rows(path), [json.loads(line) for line in data.splitlines()], tolerance(RUN))
    if isinstance(entry, LevelsRequest):
        return compare_objects(read_object(path), json.loads(data), tolerance(LEVELS))
    return compare_bodies(read_body(path), json.loads(data), tolerance)


def check(spec: Spec, lake: Lake) -> list[Check]:
    """Every golden of a specification against the lake, in its order.

    Raises
    ------
    GoldenError
        If a golden file holds no answer, or the lake refuses a request.
    """
    return [_checked(spec, name, lake) for name in spec.entries]


def _checked(spec: Spec, name: str, lake: Lake) -> Check:
    path = spec.file(name)
    if not path.is_file():
        return Check(name, "missing", path)
    data = _answer(spec, name, lake)
    if data == path.read_bytes():
        return Check(name, "same", path)
    comparison = compare(spec.entries[name], path, data, spec.tolerance)
    return Check(name, "differs", path, comparison) if comparison else Check(name, "same", path)


def _answer(spec: Spec, name: str, lake: Lake) -> bytes:
    try:
        return answer(spec.entries[name], lake)
    except RequestError as error:
        raise GoldenError(f"{spec.path}, {name}: {error}") from error


def unnamed(spec: Spec) -> list[pathlib.Path]:
    """The golden files in a specification's folder that no entry names, sorted."""
    named = {spec.file(name).name for name in spec.entries}
    files = [path for path in spec.files.glob("*") if path.suffix in _SUFFIXES and path.is_file()]
    return sorted(path for path in files if path.name not in named)


def record(spec: Spec, lake: Lake, *, update: bool = False) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Write the golden files of a specification: those written, and those that hold the answer already.

    Raises
    ------
    GoldenError
        If files hold other answers and ``update`` is false, or the lake refuses a request; then nothing is written.
    """
    answers = {spec.file(name): _answer(spec, name, lake) for name in spec.entries}
    right = [path for path, data in answers.items() if path.is_file() and path.read_bytes() == data]
    others = [path for path in answers if path.is_file() and path not in right]
    if others and not update:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise GoldenError(
            f"{spec.path}: {len(others)} of {len(answers)} golden files hold another answer, and nothing is written: "
            f"{', '.join(path.name for path in others[:_NAMED])}{more}; --update replaces them"
        )
    written = [path for path in answers if path not in right]
    for path in written:
        write_whole(path, answers[path])
    return written, right
