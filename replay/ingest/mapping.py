"""Which column of a file is what: maps in TOML, some of which ship as presets.

[columns]                 # ours = the file's
ts = "quote_ts"           # the instant described; required, as are spot, expiration, right and strike
recorded_at = "fetched"   # when it became known; without it, known at once
bid = "bid"               # and ask, iv, volume, open_interest: optional
[time]
zone = "America/New_York" # of times that carry no offset
unit = "ms"               # of times that are numbers since the epoch: s, ms, us or ns
[right]
call = ["C", "call"]      # how the file writes the two rights
put = ["P", "put"]
"""

from __future__ import annotations

import pathlib
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from replay.errors import InputError

REQUIRED: Final = ("ts", "spot", "expiration", "right", "strike")
OPTIONAL: Final = ("recorded_at", "bid", "ask", "iv", "volume", "open_interest")
UNITS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in a unit."""
_PRESETS = pathlib.Path(__file__).parent / "presets"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A column map; ``columns`` goes from our names to the file's."""

    name: str
    columns: dict[str, str]
    zone: str = "America/New_York"
    unit: str | None = None
    call: tuple[str, ...] = ("C", "c", "call", "Call", "CALL")
    put: tuple[str, ...] = field(default=("P", "p", "put", "Put", "PUT"))


def presets() -> list[str]:
    """The names of the maps that ship."""
    return sorted(path.stem for path in _PRESETS.glob("*.toml"))


def preset(name: str) -> Mapping:
    """A map that ships. Raises :class:`~replay.errors.InputError` listing what there is."""
    if name not in presets():
        raise InputError(f"no preset {name!r}; there are {', '.join(presets())}")
    return read_mapping(_PRESETS / f"{name}.toml", name)


def read_mapping(path: str | pathlib.Path, name: str | None = None) -> Mapping:
    """A map from a TOML file, checked. Raises :class:`~replay.errors.InputError` naming the entry that is wrong."""
    where = str(path)
    try:
        found = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read as a column map: {error}", path=where) from error
    _only(found, {"columns", "time", "right"}, "the map", where)
    columns = _texts(found.get("columns", {}), "columns", where)
    _only(columns, {*REQUIRED, *OPTIONAL}, "[columns]", where)
    missing = [each for each in REQUIRED if each not in columns]
    if missing:
        raise InputError(f"[columns] lacks {', '.join(missing)}", path=where)
    time = _texts(found.get("time", {}), "time", where)
    _only(time, {"zone", "unit"}, "[time]", where)
    zone = time.get("zone", "America/New_York")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"[time] zone {zone!r} is no IANA time zone; America/New_York is one", path=where) from None
    if time.get("unit") not in (None, *UNITS):
        raise InputError(f"[time] unit {time['unit']!r} is not one of {', '.join(UNITS)}", path=where)
    rights = found.get("right", {})
    if not isinstance(rights, dict):
        raise InputError("[right] must be a table", path=where)
    _only(rights, {"call", "put"}, "[right]", where)
    given = {key: _names(value, key, where) for key, value in rights.items()}
    both = set(given.get("call", ())) & set(given.get("put", ()))
    if both:
        raise InputError(f"[right] {', '.join(sorted(both))} cannot be call and put", path=where)
    return Mapping(name or pathlib.Path(path).stem, columns, zone, time.get("unit"), **given)


def _only(found: dict[str, Any], allowed: set[str], what: str, where: str) -> None:
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise InputError(f"{what} has {', '.join(unknown)}; it takes {', '.join(sorted(allowed))}", path=where)


def _texts(found: Any, what: str, where: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f"[{what}] must be a table of texts", path=where)
    return found


def _names(value: Any, key: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise InputError(f'[right] {key} must be a list of texts, such as ["{key[0].upper()}"]', path=where)
    return tuple(value)
