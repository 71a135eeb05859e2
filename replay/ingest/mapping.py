"""Which column of a file is what: maps in TOML, some of which ship as presets.

[columns]                 # ours = the file's
ts = "quote_ts"           # the instant described; required
date = "day"              # optional: ts is then the time of that day, as text or in milliseconds since midnight
recorded_at = "fetched"   # when it became known; without it, known at once, or after [time] delay
expiration = "expiry"     # required, as are right and strike; or instead of the three
contract = "osi"          # the OCC symbol, SPY260724C00740000
spot = "underlying"       # optional: else from another file, or by put-call parity
price = "px"              # of trades; and size, quote_ts (when the quote beside it stood), sequence and condition
root = "ticker"           # optional: rows of another root than the symbol's are left out
settlement = "tod"        # optional, also in the file: am where the root settles at the open, else pm
bid = "bid"               # and ask, iv, volume, open_interest: optional
[call]                    # where a row holds both rights: the call's columns, and in [put] the put's;
bid = "call_bid"          # instead of right, and of these in [columns]
[time]
zone = "America/New_York" # of times that carry no offset
unit = "ms"               # of times that are numbers since the epoch: s, ms, us or ns
delay = "15m"             # how much later than ts a row was known, where no column says it
[scale]
strike = 0.001            # what a number is multiplied by
[right]
call = ["C", "call"]      # how the file writes the two rights
put = ["P", "put"]
[condition]               # of trades: how the file marks records that cancel others, late reports, and legs
cancelled = ["CANC"]
late = ["OSEQ"]
legs = ["SPRD"]
"""

from __future__ import annotations

import pathlib
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from replay.errors import InputError, InvalidDuration
from replay.sessions import MINUTE, parse_duration

REQUIRED: Final = ("ts", "expiration", "right", "strike")
SIDES: Final = ("bid", "ask", "iv", "volume", "open_interest")
PRINT: Final = ("price", "size", "quote_ts", "sequence", "condition")
"""What trades have beside quotes."""
CONDITIONS: Final = ("cancelled", "late", "legs")
"""What the condition of a trade may say of it."""
NUMBERS: Final = ("strike", "spot", "price", "size", "sequence", *SIDES)
"""What are numbers, in text or not."""
OPTIONAL: Final = ("recorded_at", "date", "spot", "contract", "root", "settlement", *SIDES, *PRINT)
UNITS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in a unit."""
LONGEST: Final = 3_650 * 24 * 60 * MINUTE
"""The longest delay, age or bar, in microseconds: times stay such as can be counted with."""
_PRESETS = pathlib.Path(__file__).parent / "presets"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A column map; ``columns`` goes from our names to the file's."""

    name: str
    columns: dict[str, str]
    zone: str = "America/New_York"
    unit: str | None = None
    call: tuple[str, ...] = ("C", "c", "call", "Call", "CALL")
    put: tuple[str, ...] = ("P", "p", "put", "Put", "PUT")
    call_columns: dict[str, str] = field(default_factory=dict)
    put_columns: dict[str, str] = field(default_factory=dict)
    delay_us: int = 0
    scale: dict[str, float] = field(default_factory=dict)
    conditions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def theirs(self) -> list[str]:
        """Every column of the file that the map names, each once."""
        named = (*self.columns.values(), *self.call_columns.values(), *self.put_columns.values())
        return list(dict.fromkeys(named))

    @property
    def absent(self) -> set[str]:
        """Those of them that the file may lack."""
        return {theirs for ours, theirs in self.columns.items() if ours == "settlement"}


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
    _only(found, {"columns", "call", "put", "time", "scale", "right", "condition"}, "the map", where)
    columns = _texts(found.get("columns", {}), "columns", where)
    sides = {side: _texts(found.get(side, {}), side, where) for side in ("call", "put")}
    _only(columns, {*REQUIRED, *OPTIONAL}, "[columns]", where)
    for side, own in sides.items():
        _only(own, set(SIDES), f"[{side}]", where)
    _complete(columns, sides, where)
    time = _texts(found.get("time", {}), "time", where)
    _only(time, {"zone", "unit", "delay"}, "[time]", where)
    zone = check_zone(time.get("zone", "America/New_York"), where)
    try:
        delay = parse_duration(time["delay"], "delay", longest=LONGEST) if "delay" in time else 0
    except InvalidDuration as error:
        raise InputError(f"[time] {error.message}", path=where) from None
    scale = found.get("scale", {})
    if not isinstance(scale, dict) or not all(type(value) in (int, float) and value > 0 for value in scale.values()):
        raise InputError("[scale] must be a table of numbers above 0", path=where)
    _only(scale, {"strike", "spot", *SIDES}, "[scale]", where)
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
    codes = found.get("condition", {})
    if not isinstance(codes, dict):
        raise InputError("[condition] must be a table", path=where)
    _only(codes, set(CONDITIONS), "[condition]", where)
    conditions = {key: _names(value, key, where, "condition") for key, value in codes.items()}
    return Mapping(
        name or pathlib.Path(path).stem, columns, zone, time.get("unit"), **given,
        call_columns=sides["call"], put_columns=sides["put"], delay_us=delay,
        scale={key: float(value) for key, value in scale.items()}, conditions=conditions,
    )  # fmt: skip


def check_zone(zone: str, where: str | None = None) -> str:
    """A time zone's name. Raises :class:`~replay.errors.InputError` if there is none of that name."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"[time] zone {zone!r} is no IANA time zone; America/New_York is one", path=where) from None
    return zone


def _complete(columns: dict[str, str], sides: dict[str, dict[str, str]], where: str) -> None:
    """Raise unless a row tells its instant and its contracts, each in one way."""
    wide = bool(sides["call"] or sides["put"])
    needed = ["ts"] if "contract" in columns else [name for name in REQUIRED if name != "right" or not wide]
    missing = [each for each in needed if each not in columns]
    if missing:
        raise InputError(f"[columns] lacks {', '.join(missing)}", path=where)
    if wide and not (sides["call"] and sides["put"]):
        raise InputError("[call] and [put] go together", path=where)
    twice = [name for name in ("right", "contract", *SIDES) if wide and name in columns]
    if twice:
        raise InputError(f"[columns] has {', '.join(twice)}, which [call] and [put] stand for", path=where)


def _only(found: dict[str, Any], allowed: set[str], what: str, where: str) -> None:
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise InputError(f"{what} has {', '.join(unknown)}; it takes {', '.join(sorted(allowed))}", path=where)


def _texts(found: Any, what: str, where: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f"[{what}] must be a table of texts", path=where)
    return found


def _names(value: Any, key: str, where: str, table: str = "right") -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise InputError(f'[{table}] {key} must be a list of texts, such as ["{key[0].upper()}"]', path=where)
    return tuple(value)
