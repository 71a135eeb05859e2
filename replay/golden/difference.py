"""What differs between two answers, by strike, minute and metric, the worst first. Knows no lake."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.errors import GoldenError
from replay.sessions import iso_utc, to_us

Cells = dict[tuple[str, float], Any]
_MOMENTS: Final = frozenset({"as_of", "t"})
_SHOWN: Final = 80  # letters of a value in a message


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number is near enough if it is off by no more than the larger of ``absolute`` and ``relative`` times golden.

    Both bounds are inclusive. What is not finite is near itself alone, and NaN not even that.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        for name, value in (("absolute", self.absolute), ("relative", self.relative)):
            if not (math.isfinite(value) and value >= 0):
                raise GoldenError(f"{name} is {value!r}; it is a number from 0")

    def holds(self, golden: float, found: float) -> bool:
        """Whether a number is near enough."""
        if golden == found or not (math.isfinite(golden) and math.isfinite(found)):
            return golden == found
        return abs(found - golden) <= max(self.absolute, self.relative * abs(golden))


EXACT: Final = Tolerance()
ToleranceOf = Callable[[str], Tolerance]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs.

    Attributes
    ----------
    field
        The metric, or the field's name; ``bars`` and ``strikes_grid`` for a bar or a strike of one side alone.
    golden, found
        The values, or words such as ``absent``.
    t, strike
        Which cell of a heatmap, where it is one; ``t`` is also a recorded row's moment.
    """

    field: str
    golden: Any
    found: Any
    t: str | None = None
    strike: float | None = None

    @property
    def size(self) -> float:
        """How far it is off, in the field's unit; infinite where one side is no finite number."""
        if is_number(self.golden) and is_number(self.found):
            off = abs(self.found - self.golden)
            return float(off) if math.isfinite(off) else math.inf
        return math.inf

    def __str__(self) -> str:
        where = self.field
        if self.t is not None:
            where += f" {self.t}"
        if self.strike is not None:
            where += f" strike {strike_text(self.strike)}"
        off = f", off by {self.size:.6g}" if math.isfinite(self.size) else ""
        return f"{where}: golden {_text(self.golden)}, now {_text(self.found)}{off}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences of one answer: fields, bars and rows before strikes and cells, and of these the worst first.

    ``golden`` and ``found`` are the answers compared, as parsed JSON. False where nothing differs.
    """

    differences: Sequence[Difference]
    golden: Any = field(repr=False)
    found: Any = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.differences)

    def lines(self, most: int) -> list[str]:
        """How many differences there are, the worst of them, and how many more; of ``most`` 0 the first alone."""
        count = len(self.differences)
        lines = [f"{count:,} difference{'' if count == 1 else 's'}"]
        lines += [f"  {each}" for each in self.differences[:most]]
        return [*lines, f"  and {count - most:,} more"] if 0 < most < count else lines


class Word(str):
    """What stands for something that is no value: told without quotes, and equal to no value."""

    __slots__ = ()


ABSENT: Final = Word("absent")


def is_number(value: Any) -> bool:
    """Whether a parsed value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def strike_text(strike: float) -> str:
    """A strike as the wire has it: integral ones without a fraction."""
    return str(int(strike)) if strike.is_integer() else repr(strike)


def instant_text(value: Any) -> Any:
    """An instant with an offset as the engine writes it; anything else as it is."""
    try:
        moment = dt.datetime.fromisoformat(value)
        return value if moment.utcoffset() is None else iso_utc(to_us(moment))
    except (TypeError, ValueError, OverflowError):
        return value


def compare_bodies(golden: Mapping[str, Any], found: Mapping[str, Any], tolerance: ToleranceOf) -> Comparison:
    """Two bodies of the heatmap endpoint, as parsed JSON of its shape (:func:`replay.golden.store.check_body`).

    Bars are told apart by instant and strikes by price, so neither order nor spelling matters.
    """
    differences = list(_fields(golden, found, tolerance, but=("bars", "strikes_grid")))
    old, new = bars_of(golden), bars_of(found)
    for t in sorted({*old, *new}):
        if t not in new or t not in old:
            differences.append(_of_one_side("bars", t in old, "a bar", t=t))
        else:
            differences += _fields(old[t], new[t], tolerance, but=("values",), t=t)
    grids = [set(map(float, each["strikes_grid"])) for each in (golden, found)]
    for strike in sorted(grids[0] ^ grids[1]):
        differences.append(_of_one_side("strikes_grid", strike in grids[0], "listed", strike=strike))
    metric = str(golden["metric"])
    near, theirs, ours = tolerance(metric), cells_of(golden), cells_of(found)
    for t, strike in sorted(theirs.keys() & ours.keys()):
        differences += _values(metric, theirs[t, strike], ours[t, strike], near, t, strike)
    return _sorted(differences, golden, found)


def _of_one_side(
    name: str, golden: bool, what: str, *, t: str | None = None, strike: float | None = None
) -> Difference:
    sides = (Word(what), ABSENT) if golden else (ABSENT, Word(what))
    return Difference(name, *sides, t=t, strike=strike)


def bars_of(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A body's bars by instant."""
    return {str(instant_text(bar["t"])): bar for bar in body["bars"]}


def cells_of(body: Mapping[str, Any]) -> Cells:
    """A body's values by instant and strike."""
    strikes = [float(strike) for strike in body["strikes_grid"]]
    return {
        (t, strike): value
        for t, bar in bars_of(body).items()
        for strike, value in zip(strikes, bar["values"], strict=True)
    }


def compare_objects(golden: Mapping[str, Any], found: Mapping[str, Any], tolerance: Tolerance) -> Comparison:
    """Two flat objects, field by field."""
    return _sorted(list(_fields(golden, found, lambda _: tolerance)), golden, found)


def compare_rows(
    golden: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> Comparison:
    """Two lists of recorded rows, told apart by their moment and, of several at one moment, by their order."""
    differences: list[Difference] = []
    old, new = _numbered(golden), _numbered(found)
    for key in dict.fromkeys((*old, *new)):
        if key not in old or key not in new:
            differences.append(_of_one_side("rows", key in old, "a row", t=key[0]))
        else:
            differences += _fields(old[key], new[key], lambda _: tolerance, t=key[0])
    return _sorted(differences, golden, found)


def _numbered(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    seen: Counter[str] = Counter()
    numbered = {}
    for row in rows:
        at = str(row.get("at"))
        numbered[at, seen[at]] = row
        seen[at] += 1
    return numbered


def _fields(
    golden: Mapping[str, Any],
    found: Mapping[str, Any],
    tolerance: ToleranceOf,
    *,
    but: Sequence[str] = (),
    t: str | None = None,
) -> Iterator[Difference]:
    for name in dict.fromkeys((*golden, *found)):
        if name in but:
            continue
        old, new = golden.get(name, ABSENT), found.get(name, ABSENT)
        if name in _MOMENTS:
            old, new = instant_text(old), instant_text(new)
        yield from _values(name, old, new, tolerance("spot" if name == "underlying_price" else name), t)


def _values(
    name: str, golden: Any, found: Any, near: Tolerance, t: str | None = None, strike: float | None = None
) -> Iterator[Difference]:
    if _same(golden, found, near):
        return
    if isinstance(golden, list) and isinstance(found, list) and len(golden) == len(found):
        for i, (old, new) in enumerate(zip(golden, found, strict=True)):
            yield from _values(f"{name}[{i}]", old, new, near, t, strike)
        return
    yield Difference(name, golden, found, t, strike)


def _same(golden: Any, found: Any, near: Tolerance) -> bool:
    if is_number(golden) and is_number(found):
        return near.holds(golden, found)
    return type(golden) is type(found) and bool(golden == found)


def _sorted(differences: list[Difference], golden: Any, found: Any) -> Comparison:
    order = sorted(differences, key=lambda each: (each.strike is not None, -each.size))
    return Comparison(tuple(order), golden, found)


def _text(value: Any) -> str:
    text = "null" if value is None else str(value) if isinstance(value, Word) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
