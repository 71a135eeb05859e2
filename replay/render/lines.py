"""The lines that a page and a picture draw over the cells: how each level looks and what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from replay.levels import Levels
from replay.render.caption import marks_of, price_text

Dash = Literal["solid", "dash", "dashdot", "dot"]

_LOOKS: Final[dict[str, tuple[str, Dash]]] = {
    "M": ("#7b1fa2", "solid"),
    "C": ("#00695c", "dash"),
    "P": ("#ad1457", "dashdot"),
    "F": ("#37474f", "dot"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A price in USD with its label; ``dash`` is ``None`` for spot, whose path is drawn apart."""

    price: float
    label: str
    colour: str
    dash: Dash | None


def lines_of(levels: Levels | None, spot: float | None) -> list[Line]:
    """Levels and the newest spot in ascending order; levels at one price share a line, and the first one's look."""
    names: dict[float, list[str]] = {}
    looks: dict[float, tuple[str, Dash]] = {}
    for mark in marks_of(levels):
        names.setdefault(mark.price, []).append(mark.name)
        looks.setdefault(mark.price, _LOOKS[mark.letter])
    lines = [Line(price, f"{', '.join(named)} {price_text(price)}", *looks[price]) for price, named in names.items()]
    if spot is not None:
        lines.append(Line(spot, f"spot {price_text(spot)}", "#000000", None))
    return sorted(lines, key=lambda line: line.price)
