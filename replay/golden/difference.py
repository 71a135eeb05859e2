"""What differs between two answers, by strike, minute and metric, the worst first. Knows no lake."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Cells = dict[tuple[str, float], float | None]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number is near enough if it is off by no more than the larger of ``absolute`` and ``relative`` times golden."""

    absolute: float = 0.0
    relative: float = 0.0

    def holds(self, golden: float, found: float) -> bool:
        """Whether a number is near enough."""
        return golden == found or abs(found - golden) <= max(self.absolute, self.relative * abs(golden))


EXACT: Final = Tolerance()


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs.

    ``t`` and ``strike`` say which cell of a heatmap, where it is one; ``field`` is the metric, or the field's name.
    ``size`` is how far it is off; infinite where one side has no number, or the text differs.
    """

    field: str
    golden: Any
    found: Any
    t: str | None = None
    strike: float | None = None

    @property
    def size(self) -> float:
        """How far it is off."""
        if _is_number(self.golden) and _is_number(self.found):
            return abs(float(self.found) - float(self.golden))
        return math.inf

    def __str__(self) -> str:
        where = self.field
        if self.t is not None:
            where += f" {self.t}"
        if self.strike is not None:
            where += f" strike {self.strike:g}"
        off = f", off by {self.size:.6g}" if math.isfinite(self.size) else ""
        return f"{where}: golden {_text(self.golden)}, now {_text(self.found)}{off}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences of one answer, the worst first: fields before cells, then by size.

    ``golden`` and ``found`` are the answers compared.
    """

    differences: Sequence[Difference]
    golden: Any = field(repr=False)
    found: Any = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.differences)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return "null" if value is None else str(value) if isinstance(value, _Word) else repr(value)


class _Word(str):
    """What stands for something that is no value: told without quotes."""

    __slots__ = ()


_ABSENT: Final = _Word("absent")
Tolerances = Callable[[str], Tolerance]


def compare_bodies(golden: Mapping[str, Any], found: Mapping[str, Any], tolerance: Tolerances) -> Comparison:
    """Two bodies of the heatmap endpoint, as parsed JSON."""
    metric = str(golden.get("metric"))
    differences = list(_fields(golden, found, ("bars", "strikes_grid"), tolerance))
    ours = {str(bar["t"]): bar for bar in found.get("bars", [])}
    theirs = {str(bar["t"]): bar for bar in golden.get("bars", [])}
    for t in sorted({*ours, *theirs}):
        if t not in ours or t not in theirs:
            here = (_ABSENT, _Word("a bar")) if t in ours else (_Word("a bar"), _ABSENT)
            differences.append(Difference("bars", *here, t=t))
        else:
            differences += _values("spot", theirs[t].get("spot"), ours[t].get("spot"), tolerance("spot"), t)
    old, new = cells_of(golden), cells_of(found)
    strikes = [set(map(float, each.get("strikes_grid", []))) for each in (golden, found)]
    for strike in sorted(strikes[0] ^ strikes[1]):
        here = (_Word("listed"), _ABSENT) if strike in strikes[0] else (_ABSENT, _Word("listed"))
        differences.append(Difference("strikes_grid", *here, strike=strike))
    for t, strike in sorted({*old, *new}):
        if t in ours and t in theirs and strike in strikes[0] and strike in strikes[1]:
            differences += _values(metric, old.get((t, strike)), new.get((t, strike)), tolerance(metric), t, strike)
    return _sorted(differences, golden, found)


def cells_of(body: Mapping[str, Any]) -> Cells:
    """A body's values by (t, strike)."""
    strikes = [float(strike) for strike in body.get("strikes_grid", [])]
    return {
        (str(bar["t"]), strike): value
        for bar in body.get("bars", [])
        for strike, value in zip(strikes, bar["values"], strict=True)
    }


def compare_objects(golden: Mapping[str, Any], found: Mapping[str, Any], tolerance: Tolerance) -> Comparison:
    """Two flat objects, field by field."""
    return _sorted(list(_fields(golden, found, (), lambda _: tolerance)), golden, found)


def compare_rows(
    golden: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> Comparison:
    """Two lists of recorded rows, row by row; ``t`` is the row's moment."""
    differences: list[Difference] = []
    if len(golden) != len(found):
        differences.append(Difference("rows", len(golden), len(found)))
    for number, (old, new) in enumerate(zip(golden, found, strict=False)):
        at = str(old.get("at", number))
        differences += [
            Difference(each.field, each.golden, each.found, at) for each in _fields(old, new, (), lambda _: tolerance)
        ]
    return _sorted(differences, golden, found)


def _fields(
    golden: Mapping[str, Any], found: Mapping[str, Any], but: Sequence[str], tolerance: Tolerances
) -> Iterator[Difference]:
    for name in dict.fromkeys((*golden, *found)):
        if name not in but:
            near = tolerance("spot" if name == "underlying_price" else name)
            yield from _values(name, golden.get(name, _ABSENT), found.get(name, _ABSENT), near)


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
    if _is_number(golden) and _is_number(found):
        return near.holds(golden, found)
    return type(golden) is type(found) and bool(golden == found)


def _sorted(differences: list[Difference], golden: Any, found: Any) -> Comparison:
    order = sorted(differences, key=lambda each: (each.strike is not None, -each.size))
    return Comparison(tuple(order), golden, found)
