"""Bodies of the live endpoint, captured in files: read, checked, and put by session until they are needed."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import math
import pathlib
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Final, NoReturn, Self

import numpy as np
import orjson

from replay.contract import BAR, METRICS, MINUTES_MAX, MINUTES_MIN, MODES, TIERS, normalise_symbol
from replay.errors import InputError
from replay.ragged import Floats, Ints
from replay.sessions import MINUTE, find_session, floor_minute, iso_utc, session_date, to_us

FIELDS: Final = (
    *("symbol", "underlying_price", "expiration", "metric", "mode", "bar_size", "as_of", "tier_used"),
    *("strikes_grid", "bars", "gap_intervals"),
)
_NUMBERS: Final = frozenset({int, float})
_CELLS: Final = frozenset({int, float, type(None)})
_GZIP: Final = b"\x1f\x8b"
_QUOTED: Final = 300  # letters of a server's message


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a body stands: its file, or what was asked for, and the line where it is one of several."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}, line {self.line}"

    def refuse(self, message: str) -> NoReturn:
        """Raise :class:`~replay.errors.InputError` that names this body."""
        raise InputError(message, path=self.path, line=self.line)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One answer of the live endpoint: T bars and K strikes.

    ``as_of`` and ``minutes`` (T,) are microseconds since the epoch, UTC; ``strikes`` (K,) and ``spot`` (T,) USD;
    ``values`` (T, K) as the body has them, NaN for null. ``gaps`` is how many gap intervals it lists, and ``unknown``
    names the fields that the contract does not have.
    """

    origin: Origin
    date: dt.date
    as_of: int
    metric: str
    mode: str
    tier: str
    strikes: Floats
    minutes: Ints
    spot: Floats
    values: Floats
    gaps: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def since(self) -> int:
        """Where the window begins: the shortest span of at least a minute that has the first bar, microseconds."""
        span = (floor_minute(self.as_of) - int(self.minutes[0])) // MINUTE
        return floor_minute(self.as_of) - max(MINUTES_MIN, span) * MINUTE

    def repeats(self, other: Body) -> bool:
        """Whether two bodies of one ``as_of`` are the same."""
        return (self.metric, self.mode, self.tier) == (other.metric, other.mode, other.tier) and all(
            np.array_equal(a, b, equal_nan=True)
            for a, b in (
                (self.strikes, other.strikes),
                (self.minutes, other.minutes),
                (self.spot, other.spot),
                (self.values, other.values),
            )
        )


def read_body(found: Any, origin: Origin, symbol: str) -> Body:
    """A parsed JSON value as a body of the endpoint, every field checked.

    Raises
    ------
    InputError
        Naming file, line and field if it is none of the symbol, or none that a lake could give back.
    """
    if not isinstance(found, dict):
        origin.refuse(f"holds {_kind(found)}, not the body of an answer")
    if "bars" not in found and (found.get("status") == "ERROR" or "error" in found or "detail" in found):
        origin.refuse(f"is an error, not an answer: {error_text(found)}")
    for name in FIELDS:
        if name not in found:
            origin.refuse(f"lacks the field {name}")
    text = {name: _text(found, name, origin) for name in ("symbol", "metric", "mode", "bar_size", "as_of", "tier_used")}
    if normalise_symbol(text["symbol"]) != symbol:
        origin.refuse(f"symbol is {text['symbol']!r}, not {symbol}")
    for name, choices in (("metric", METRICS), ("mode", MODES), ("bar_size", (BAR,)), ("tier_used", TIERS)):
        if text[name] not in choices:
            origin.refuse(f"{name} is {text[name]!r}, not {' or '.join(choices)}")
    as_of = _instant(text["as_of"], "as_of", origin)
    date = session_date(as_of)
    if found["expiration"] != date.isoformat():
        origin.refuse(f"expiration is {found['expiration']!r}; as_of {text['as_of']} is on {date} in New York")
    if find_session(date) is None:
        origin.refuse(f"as_of {text['as_of']} is on {date}, a day without a session")
    if found["underlying_price"] is not None:
        _price(found["underlying_price"], "underlying_price", origin)
    strikes = _strikes(found["strikes_grid"], origin)
    if not isinstance(found["bars"], list):
        origin.refuse(f"bars is {_kind(found['bars'])}, not a list")
    if not isinstance(found["gap_intervals"], list):
        origin.refuse(f"gap_intervals is {_kind(found['gap_intervals'])}, not a list")
    minutes, spot, values = _bars(found["bars"], strikes, as_of, date, origin)
    return Body(
        origin, date, as_of, text["metric"], text["mode"], text["tier_used"], strikes, minutes, spot, values,
        len(found["gap_intervals"]), tuple(sorted(set(found) - set(FIELDS))),
    )  # fmt: skip


def error_text(found: Any) -> str:
    """What a server's error body says, on one line."""
    said: list[str] = []
    if isinstance(found, Mapping):
        said = [str(found[key]) for key in ("error", "title", "message", "detail") if found.get(key)]
    text = " ".join(": ".join(said or [str(found)]).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_QUOTED]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _text(found: Mapping[str, Any], name: str, origin: Origin) -> str:
    value = found[name]
    if not isinstance(value, str):
        origin.refuse(f"{name} is {_kind(value)}, not text")
    return value


def _instant(text: str, what: str, origin: Origin) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.utcoffset() is not None:
            return to_us(moment.astimezone(dt.UTC))
    except (ValueError, OverflowError):
        pass
    return origin.refuse(f"{what} is {text!r}, no time with its offset such as 2026-07-24T18:30:00Z")


def _price(value: Any, what: str, origin: Origin) -> None:
    if type(value) not in _NUMBERS or not math.isfinite(value) or value <= 0:
        told = repr(value) if type(value) in (*_NUMBERS, str) else _kind(value)
        origin.refuse(f"{what} is {told}, not a price above 0")


def _strikes(found: Any, origin: Origin) -> Floats:
    if not isinstance(found, list):
        origin.refuse(f"strikes_grid is {_kind(found)}, not a list")
    for i, value in enumerate(found):
        if type(value) not in _NUMBERS or not math.isfinite(value):
            origin.refuse(f"strikes_grid[{i}] is {value!r}, not a number")
    strikes = np.array(found, np.float64)
    below = np.flatnonzero(strikes <= 0)
    if len(below):
        origin.refuse(f"strikes_grid[{below[0]}] is {found[int(below[0])]}, not a price above 0")
    wrong = np.flatnonzero(np.diff(strikes) <= 0)
    if len(wrong):
        i = int(wrong[0])
        origin.refuse(f"strikes_grid does not ascend: {found[i]} is before {found[i + 1]}")
    return strikes


def _bars(bars: list[Any], strikes: Floats, as_of: int, date: dt.date, origin: Origin) -> tuple[Ints, Floats, Floats]:
    """Start, spot and values of each bar."""
    minutes, spot = np.empty(len(bars), np.int64), np.empty(len(bars))
    values = np.empty((len(bars), len(strikes)))
    for i, bar in enumerate(bars):
        if not isinstance(bar, dict):
            origin.refuse(f"bars[{i}] is {_kind(bar)}, not an object")
        for name in ("t", "spot", "values"):
            if name not in bar:
                origin.refuse(f"bars[{i}] lacks the field {name}")
        minutes[i] = t = _instant(_text(bar, "t", origin), f"bars[{i}].t", origin)
        if t % MINUTE:
            origin.refuse(f"bars[{i}].t is {bar['t']}, not the start of a minute")
        if t > as_of:
            origin.refuse(f"bars[{i}].t is {bar['t']}, after as_of {iso_utc(as_of)}")
        if session_date(t) != date:
            origin.refuse(f"bars[{i}].t is {bar['t']}, not on {date} in New York")
        if i and t <= minutes[i - 1]:
            origin.refuse(f"bars do not ascend: {bars[i - 1]['t']} is before {bar['t']}")
        _price(bar["spot"], f"bars[{i}].spot", origin)
        spot[i] = bar["spot"]
        row = bar["values"]
        if not isinstance(row, list):
            origin.refuse(f"bars[{i}].values is {_kind(row)}, not a list")
        if len(row) != len(strikes):
            origin.refuse(f"bars[{i}].values holds {len(row)} values; strikes_grid has {len(strikes)} strikes")
        if not _CELLS.issuperset(map(type, row)):
            k = next(k for k, value in enumerate(row) if type(value) not in _CELLS)
            origin.refuse(f"bars[{i}].values[{k}] is {row[k]!r}, neither a number nor null")
        values[i] = np.array(row, np.float64)
        if np.isinf(values[i]).any():
            origin.refuse(f"bars[{i}].values[{int(np.argmax(np.isinf(values[i])))}] is too large for a number")
    if len(bars) and (floor_minute(as_of) - minutes[0]) // MINUTE > MINUTES_MAX:
        origin.refuse(f"bars[0].t is {bars[0]['t']}, more than {MINUTES_MAX} minutes before as_of {iso_utc(as_of)}")
    if len(strikes) and not len(bars):
        origin.refuse("strikes_grid has strikes, and there are no bars")
    return minutes, spot, values


def parse(data: bytes, origin: Origin) -> Any:
    """A JSON value. Raises :class:`~replay.errors.InputError` naming the file if it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return origin.refuse(f"is not JSON: {error.msg} at byte {error.pos}")


def read_file(path: pathlib.Path) -> Iterator[tuple[Origin, bytes]]:
    """The JSON texts of a file: one, or one a line; gzip is known by its first bytes.

    Raises :class:`~replay.errors.InputError` naming the file if it cannot be read or holds nothing.
    """
    there = False
    try:
        with path.open("rb") as raw, _plain(raw) as source:
            for origin, text in _texts(source, str(path)):
                there = True
                yield origin, text
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"is a broken gzip file: {str(error).rstrip('.')}", path=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=str(path)) from error
    if not there:
        raise InputError("is empty", path=str(path))


def _plain(raw: IO[bytes]) -> IO[bytes]:
    head = raw.read(2)
    raw.seek(0)
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if head == _GZIP else raw


def _texts(source: IO[bytes], path: str) -> Iterator[tuple[Origin, bytes]]:
    """A text for each line where the first that is not blank is whole, else one for all."""
    number, first = 0, b""
    for line in source:
        number += 1
        if line.strip():
            first = line
            break
    else:
        return
    first = first.removeprefix(b"\xef\xbb\xbf") if number == 1 else first
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        rest = source.read()
        # a broken first line of several: each of the others is whole
        second = next((line for line in rest.splitlines() if line.strip()), b"")
        whole = not second or not second.lstrip().startswith(b"{") or not second.rstrip().endswith(b"}")
        yield Origin(path, None if whole else number), first + rest if whole else first
        return
    several = False
    for at, line in enumerate(source, number + 1):
        if line.strip():
            if not several:
                yield Origin(path, number), first
            several = True
            yield Origin(path, at), line
    if not several:
        yield Origin(path), first


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """A body that is put away: its moment, and where its text lies."""

    as_of: int
    number: int
    origin: Origin = field(compare=False)
    start: int = field(compare=False)
    length: int = field(compare=False)


class SessionBodies:
    """Bodies on disk by session, so that one moment's are in memory. Use it in a ``with``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="replay-captures-")
        self._held: dict[dt.date, list[Held]] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, body: Body, text: bytes) -> None:
        """Put a body away by its text."""
        with self._path(body.date).open("ab") as file:
            start = file.tell()
            file.write(text)
        self._held.setdefault(body.date, []).append(Held(body.as_of, self._count, body.origin, start, len(text)))
        self._count += 1

    def dates(self) -> list[dt.date]:
        """The sessions there are bodies of, ascending."""
        return sorted(self._held)

    def moments(self, date: dt.date, symbol: str) -> Iterator[list[Body]]:
        """The bodies of a session, those of one ``as_of`` together, ascending."""
        group: list[Body] = []
        with self._path(date).open("rb") as file:
            for held in sorted(self._held[date]):
                file.seek(held.start)
                body = read_body(parse(file.read(held.length), held.origin), held.origin, symbol)
                if group and group[0].as_of != body.as_of:
                    yield group
                    group = []
                group.append(body)
        if group:
            yield group

    def _path(self, date: dt.date) -> pathlib.Path:
        return pathlib.Path(self._folder.name) / date.isoformat()
