"""Specifications of golden files: which requests, where their canonical answers lie, and how near is near enough."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from replay import contract
from replay.errors import GoldenError, ReplayError
from replay.golden.difference import EXACT, Tolerance
from replay.regenerate import Request, clock_name, is_latest, knowledge_names
from replay.sessions import parse_date, parse_duration, parse_moment
from replay.tape import parse_gaps

LEVELS: Final = "levels"
RUN: Final = "run"
TOLERANCES: Final = (*contract.METRICS, "spot", LEVELS, RUN)
"""What a tolerance may be given for: a metric's values, spots and ``underlying_price``, levels, runs' rows."""

_TOP: Final = ("lake", "files", "tolerance", "heatmap", "levels", "run")
_HEATMAP: Final = ("symbol", "as_of", "metric", "mode", "minutes", "known_at", "tier", "gaps")
_LEVELS: Final = ("symbol", "as_of", "known_at", "tier")
_RUN: Final = ("name", "strategy", "symbols", "from", "to", "step", "latency", "gaps", "seed", "tier", "params")
_BOUNDS: Final = ("absolute", "relative")

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LevelsRequest:
    """What :meth:`replay.Lake.levels` is asked for."""

    symbol: str
    as_of: str
    known_at: str | None = None
    tier: str | None = None

    @property
    def name(self) -> str:
        """A file's name without suffix: ``SPY_2026-07-24_1430_levels``."""
        return "_".join(
            [self.symbol, clock_name(self.as_of), LEVELS, *knowledge_names(self.known_at, self.tier)],
        )


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What :func:`replay.run` is asked for; ``asked`` are its further arguments, ``name`` the file's."""

    name: str
    strategy: str
    asked: Mapping[str, Any] = field(default_factory=dict)


Entry = Request | LevelsRequest | RunRequest


@dataclass(frozen=True, slots=True)
class Spec:
    """A specification, read and checked.

    ``lake`` and ``files`` are paths, ``entries`` by the names of their files, ``tolerances`` by metric.
    """

    path: pathlib.Path
    lake: pathlib.Path | None
    files: pathlib.Path
    entries: Mapping[str, Entry]
    tolerances: Mapping[str, Tolerance]

    def tolerance(self, of: str) -> Tolerance:
        """How far a value may be off, for one of :data:`TOLERANCES`; exact unless said otherwise."""
        return self.tolerances.get(of, EXACT)

    def file(self, name: str) -> pathlib.Path:
        """Where an entry's golden file lies."""
        suffix = "jsonl" if isinstance(self.entries[name], RunRequest) else "json"
        return self.files / f"{name}.{suffix}"


def read_spec(path: str | os.PathLike[str]) -> Spec:
    """A specification from a TOML file.

    Raises :class:`~replay.errors.GoldenError` naming file, entry and key, and what would be right.
    """
    path = pathlib.Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GoldenError(f"{path} cannot be read: {error}") from None
    _only(found, _TOP, str(path))
    lake = _text(found, "lake", str(path))
    files = _text(found, "files", str(path)) or path.stem
    entries: dict[str, Entry] = {}
    for kind, make in _MAKERS.items():
        for where, each in _listed(found, kind, path):
            for entry in _made(make, each, where, path.parent):
                if entry.name in entries:
                    other = "; give one of them a name" if isinstance(entry, RunRequest) else ""
                    raise GoldenError(f"{where}: {entry.name} is there twice{other}")
                entries[entry.name] = entry
    if not entries:
        raise GoldenError(f"{path} has no entry; write [[heatmap]], [[levels]] or [[run]]")
    tolerances = _tolerances(found.get("tolerance", {}), str(path))
    return Spec(path, None if lake is None else path.parent / lake, path.parent / files, entries, tolerances)


def heatmap_request(
    symbol: str,
    as_of: str,
    metric: str = "gex",
    mode: str = "raw",
    minutes: int | str = contract.MINUTES_DEFAULT,
    known_at: str | None = None,
    tier: str | None = None,
    gaps: bool = False,
) -> Request:
    """A heatmap's request with every value checked, so that its name may be a file's.

    Raises
    ------
    RequestError
        For a value that the contract refuses, and for a symbol that no lake could hold.
    """
    return Request(
        _symbol(symbol),
        _moment(as_of, "as_of"),
        contract.check_metric(metric),
        contract.check_mode(mode),
        contract.check_minutes(minutes),
        None if known_at is None else _known(known_at),
        contract.check_tier(tier),
        gaps,
    )


def _symbol(value: str) -> str:
    name = contract.normalise_symbol(value)
    if not contract.is_symbol(name):
        raise GoldenError(f"symbol {value!r} is none that a lake could hold, such as SPY")
    return name


def _moment(value: str, key: str) -> str:
    parse_moment(value, key)
    return value


def _known(value: str) -> str:
    return value if is_latest(value) else _moment(value, "known_at")


def _listed(found: Table, kind: str, path: pathlib.Path) -> list[tuple[str, Table]]:
    """The entries of one kind, each with where it stands."""
    entries = found.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise GoldenError(f"{path}: {kind} is no list of tables; write [[{kind}]], once for each entry")
    return [(f"{path}, [[{kind}]] {number}", each) for number, each in enumerate(entries, 1)]


def _made(
    make: Callable[[Table, str, pathlib.Path], list[Entry]], each: Table, where: str, base: pathlib.Path
) -> list[Entry]:
    try:
        return make(each, where, base)
    except ReplayError as error:
        if error.message.startswith(where):
            raise
        raise GoldenError(f"{where}: {error.message}") from None


def _only(found: Table, known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise GoldenError(f"{where}: key {unknown[0]!r} is not one of {', '.join(known)}")


def _text(found: Table, key: str, where: str) -> str | None:
    """A text that is not empty, or a date or datetime of TOML as its text; ``None`` if there is none."""
    value = found.get(key)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if value is not None and not (isinstance(value, str) and value.strip()):
        raise GoldenError(f"{where}: {key} is {value!r}; it is a text that is not empty")
    return value


def _needed(found: Table, key: str, where: str) -> str:
    value = _text(found, key, where)
    if value is None:
        raise GoldenError(f"{where}: {key} is missing")
    return value


def _texts(found: Table, key: str, default: str | None, where: str) -> list[str]:
    value = found.get(key, default)
    values = [value] if isinstance(value, str) else value
    if value is None:
        raise GoldenError(f"{where}: {key} is missing")
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise GoldenError(f"{where}: {key} is {value!r}; it is a text, or a list of texts")
    return values


def _heatmaps(found: Table, where: str, _: pathlib.Path) -> list[Entry]:
    _only(found, _HEATMAP, where)
    gaps = found.get("gaps", False)
    if not isinstance(gaps, bool):
        raise GoldenError(f"{where}: gaps is {gaps!r}; it is true or false")
    asked = {
        "symbol": _needed(found, "symbol", where),
        "as_of": _needed(found, "as_of", where),
        "mode": _text(found, "mode", where) or "raw",
        "minutes": found.get("minutes", contract.MINUTES_DEFAULT),
        "known_at": _text(found, "known_at", where),
        "tier": _text(found, "tier", where),
        "gaps": gaps,
    }
    return [heatmap_request(metric=metric, **asked) for metric in _texts(found, "metric", "gex", where)]


def _levels(found: Table, where: str, _: pathlib.Path) -> list[Entry]:
    _only(found, _LEVELS, where)
    known = _text(found, "known_at", where)
    request = LevelsRequest(
        _symbol(_needed(found, "symbol", where)),
        _moment(_needed(found, "as_of", where), "as_of"),
        None if known is None else _known(known),
        contract.check_tier(_text(found, "tier", where)),
    )
    return [request]


def _runs(found: Table, where: str, base: pathlib.Path) -> list[Entry]:
    _only(found, _RUN, where)
    params, seed = found.get("params", {}), found.get("seed", 0)
    if not isinstance(params, dict):
        raise GoldenError(f"{where}: params is {params!r}; it is a table")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise GoldenError(f"{where}: seed is {seed!r}; it is a whole number from 0")
    symbols = [_symbol(each) for each in _texts(found, "symbols", None, where)]
    asked: dict[str, Any] = {"symbols": symbols, "params": params, "seed": seed}
    span = []
    for key, argument in (("from", "start"), ("to", "end")):
        value = _text(found, key, where)
        asked[argument] = None if value is None else parse_date(value, key).isoformat()
        span += [asked[argument]] if value is not None else []
    if len(span) == 2 and span[0] > span[1]:
        raise GoldenError(f"{where}: from {span[0]} is after to {span[1]}")
    checks: dict[str, Callable[[str], object]] = {
        "step": lambda text: parse_duration(text, "step"),
        "latency": lambda text: parse_duration(text, "latency"),
        "gaps": parse_gaps,
        "tier": contract.check_tier,
    }
    for key, check in checks.items():
        if (value := _text(found, key, where)) is not None:
            check(value)
            asked[key] = value
    strategy = _needed(found, "strategy", where)
    name = _text(found, "name", where)
    if name is None:
        name = "_".join([RUN, _short(strategy), *symbols, *span])
    elif _safe(name) != name or name.startswith("."):
        raise GoldenError(f"{where}: name {name!r} is a file's; it is letters, digits, '-', '_' and '.'")
    return [RunRequest(name, _from_spec(strategy, base), asked)]


def _from_spec(strategy: str, base: pathlib.Path) -> str:
    """A reference to a strategy; a Python file's is relative to the specification."""
    place, colon, name = strategy.rpartition(":")
    if not colon:
        return str(base / strategy) if strategy.endswith(".py") else strategy
    return f"{base / place}:{name}" if place.endswith(".py") else strategy


def _short(strategy: str) -> str:
    """A strategy's own name as a part of a file's."""
    _, colon, name = strategy.rpartition(":")
    return _safe(name if colon else pathlib.PurePath(strategy.removesuffix(".py")).name)


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)


def _tolerances(found: Any, where: str) -> dict[str, Tolerance]:
    if not isinstance(found, dict):
        raise GoldenError(f"{where}: tolerance is no table; write [tolerance] and gex = {{ relative = 1e-9 }}")
    made: dict[str, Tolerance] = {}
    for name, each in found.items():
        own = f"{where}, [tolerance] {name}"
        if name not in TOLERANCES:
            raise GoldenError(f"{where}, [tolerance]: key {name!r} is not one of {', '.join(TOLERANCES)}")
        if not isinstance(each, dict):
            raise GoldenError(f"{own} is {each!r}; write {name} = {{ absolute = 0.5, relative = 1e-9 }}")
        _only(each, _BOUNDS, own)
        for key, value in each.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
                raise GoldenError(f"{own}: {key} is {value!r}; it is a number from 0")
        made[name] = Tolerance(float(each.get("absolute", 0)), float(each.get("relative", 0)))
    return made


_MAKERS: Final = {"heatmap": _heatmaps, LEVELS: _levels, RUN: _runs}
