"""Specifications of golden files: which requests, where their canonical answers lie, and how near is near enough."""

from __future__ import annotations

import datetime as dt
import pathlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from replay import contract
from replay.errors import GoldenError, ReplayError
from replay.golden.difference import EXACT, Tolerance
from replay.regenerate import Request, clock_name

_TOP: Final = {"lake", "files", "tolerance", "heatmap", "levels", "run"}
_HEATMAP: Final = {"symbol", "as_of", "metric", "mode", "minutes", "known_at", "tier", "gaps"}
_LEVELS: Final = {"symbol", "as_of", "known_at", "tier"}
_RUN: Final = {"name", "strategy", "symbols", "from", "to", "step", "latency", "gaps", "seed", "tier", "params"}
LEVELS: Final = "levels"
RUNS: Final = "run"
TOLERANCES: Final = (*contract.METRICS, "spot", LEVELS, RUNS)


@dataclass(frozen=True, slots=True)
class LevelsRequest:
    """What :meth:`replay.Lake.levels` is asked for."""

    symbol: str
    as_of: str
    known_at: str | None = None
    tier: str | None = None

    @property
    def name(self) -> str:
        """A file's name without suffix."""
        return Request(self.symbol, self.as_of, LEVELS, known_at=self.known_at, tier=self.tier).name.replace("_raw", "")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What :func:`replay.run` is asked for; ``asked`` are its further arguments."""

    name: str
    strategy: str
    asked: Mapping[str, Any] = field(default_factory=dict)


Entry = Request | LevelsRequest | RunRequest


@dataclass(frozen=True, slots=True)
class Spec:
    """A specification, read and checked.

    ``lake`` and ``files`` are paths, ``entries`` by their names, ``tolerances`` by metric.
    """

    path: pathlib.Path
    lake: pathlib.Path | None
    files: pathlib.Path
    entries: Mapping[str, Entry]
    tolerances: Mapping[str, Tolerance]

    def tolerance(self, of: str) -> Tolerance:
        """How far a value of a metric may be off; exact unless said otherwise."""
        return self.tolerances.get(of, EXACT)

    def file(self, name: str) -> pathlib.Path:
        """Where an entry's golden file lies."""
        suffix = "jsonl" if isinstance(self.entries[name], RunRequest) else "json"
        return self.files / f"{name}.{suffix}"


def read_spec(path: pathlib.Path) -> Spec:
    """A specification from a TOML file.

    Raises :class:`~replay.errors.GoldenError` naming file, entry and key, and what would be right.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GoldenError(f"{path}: cannot be read: {error}") from None
    _only(found, _TOP, str(path))
    lake = found.get("lake")
    files = found.get("files", path.stem)
    for key, value in (("lake", lake), ("files", files)):
        if value is not None and not (isinstance(value, str) and value):
            raise GoldenError(f"{path}: {key} is {value!r}; it is a path, relative to this file")
    entries: dict[str, Entry] = {}
    for kind, make in (("heatmap", _heatmaps), ("levels", _levels), ("run", _runs)):
        listed = found.get(kind, [])
        if not isinstance(listed, list):
            raise GoldenError(f"{path}: {kind} is a table; write [[{kind}]], once an entry")
        for number, each in enumerate(listed, 1):
            where = f"{path}, [[{kind}]] {number}"
            try:
                made = {entry.name: entry for entry in make(each, where, path.parent)}
            except GoldenError:
                raise
            except ReplayError as error:
                raise GoldenError(f"{where}: {error.message}") from None
            twice = sorted(set(made) & set(entries))
            if twice:
                raise GoldenError(f"{where}: {twice[0]} is asked for twice")
            entries |= made
    if not entries:
        raise GoldenError(f"{path}: there is no entry; write [[heatmap]], [[levels]] or [[run]]")
    base = path.parent
    tolerances = _tolerances(found.get("tolerance", {}), str(path))
    return Spec(path, None if lake is None else base / lake, base / files, entries, tolerances)


def _only(found: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise GoldenError(f"{where}: key {unknown[0]!r} is not one of {', '.join(sorted(known))}")


def _text(found: Mapping[str, Any], key: str, where: str) -> str | None:
    """A text, or a date or datetime of TOML as its text."""
    value = found.get(key)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if value is not None and not isinstance(value, str):
        raise GoldenError(f"{where}: {key} is {value!r}; it is text")
    return value


def _needed(found: Mapping[str, Any], key: str, where: str) -> str:
    value = _text(found, key, where)
    if not value:
        raise GoldenError(f"{where}: {key} is missing")
    return value


def _symbol(value: str, where: str) -> str:
    name = contract.normalise_symbol(value)
    if not contract.is_symbol(name):
        raise GoldenError(f"{where}: symbol {value!r} is none that a lake could hold")
    return name


def _list(found: Mapping[str, Any], key: str, default: str, where: str) -> list[str]:
    value = found.get(key, default)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise GoldenError(f"{where}: {key} is {value!r}; it is text, or a list of texts")
    return values


def _heatmaps(found: Mapping[str, Any], where: str, _: pathlib.Path) -> list[Entry]:
    _only(found, _HEATMAP, where)
    gaps = found.get("gaps", False)
    if not isinstance(gaps, bool):
        raise GoldenError(f"{where}: gaps is {gaps!r}; it is true or false")
    made: list[Entry] = []
    for metric in _list(found, "metric", "gex", where):
        request = Request(
            _symbol(_needed(found, "symbol", where), where),
            _needed(found, "as_of", where),
            contract.check_metric(metric),
            contract.check_mode(_text(found, "mode", where) or "raw"),
            contract.check_minutes(found.get("minutes", contract.MINUTES_DEFAULT)),
            _text(found, "known_at", where),
            contract.check_tier(_text(found, "tier", where)),
            gaps,
        )
        made.append(request)
    return made


def _levels(found: Mapping[str, Any], where: str, _: pathlib.Path) -> list[Entry]:
    _only(found, _LEVELS, where)
    request = LevelsRequest(
        _symbol(_needed(found, "symbol", where), where),
        _needed(found, "as_of", where),
        _text(found, "known_at", where),
        contract.check_tier(_text(found, "tier", where)),
    )
    return [request]


def _runs(found: Mapping[str, Any], where: str, base: pathlib.Path) -> list[Entry]:
    _only(found, _RUN, where)
    strategy = _needed(found, "strategy", where)
    place, _, name = strategy.rpartition(":")
    file = place or strategy
    if file.endswith(".py"):
        strategy = f"{base / file}:{name}" if place else str(base / file)
    params, seed = found.get("params", {}), found.get("seed", 0)
    if not isinstance(params, dict):
        raise GoldenError(f"{where}: params is {params!r}; it is a table")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise GoldenError(f"{where}: seed is {seed!r}; it is a whole number")
    if "symbols" not in found:
        raise GoldenError(f"{where}: symbols is missing")
    asked: dict[str, Any] = {
        "symbols": [_symbol(each, where) for each in _list(found, "symbols", "", where)],
        "start": _text(found, "from", where),
        "end": _text(found, "to", where),
        "params": params,
        "seed": seed,
    }
    for key in ("step", "latency", "gaps", "tier"):
        if (value := _text(found, key, where)) is not None:
            asked[key] = value
    span = [each for each in (asked["start"], asked["end"]) if each]
    default = "_".join(["run", _word(found["strategy"]), *asked["symbols"], *span])
    return [RunRequest(_word(_text(found, "name", where) or default), strategy, asked)]


def _word(text: str) -> str:
    """A text as a part of a file's name."""
    stem = text.rpartition(":")[2] if ":" in text else pathlib.PurePath(text).stem
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in stem)


def _tolerances(found: Any, where: str) -> dict[str, Tolerance]:
    if not isinstance(found, dict):
        raise GoldenError(f"{where}: tolerance is no table; write [tolerance] and gex = {{ relative = 1e-9 }}")
    made: dict[str, Tolerance] = {}
    for name, each in found.items():
        if name not in TOLERANCES:
            raise GoldenError(f"{where}, [tolerance]: {name!r} is not one of {', '.join(TOLERANCES)}")
        if not isinstance(each, dict):
            raise GoldenError(f"{where}, [tolerance]: {name} is {each!r}; write {{ absolute = 0, relative = 1e-9 }}")
        _only(each, {"absolute", "relative"}, f"{where}, [tolerance] {name}")
        for key, value in each.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise GoldenError(f"{where}, [tolerance]: {name}.{key} is {value!r}; it is a number from 0")
        made[name] = Tolerance(float(each.get("absolute", 0)), float(each.get("relative", 0)))
    return made


__all__ = ["Entry", "LevelsRequest", "RunRequest", "Spec", "clock_name", "read_spec"]
