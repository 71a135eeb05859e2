"""Predicted pins: what each predictor names at one instant, and how far apart strikes lie there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from replay import levels
from replay.errors import InvalidStudy
from replay.ragged import Floats
from replay.tape import Tick


def _highest_oi(tick: Tick) -> float | None:
    interest = tick.values("oi")
    known = np.isfinite(tick.strikes) & np.isfinite(interest)
    return levels.peak(tick.strikes[known], interest[known], tick.spot)


def _nearest_wall(tick: Tick) -> float | None:
    walls = [each for each in (tick.levels.call_wall, tick.levels.put_wall) if each is not None]
    return min(walls, key=lambda wall: abs(wall - tick.spot)) if walls else None


PREDICTORS: Final[dict[str, Callable[[Tick], float | None]]] = {
    "magnet": lambda tick: tick.levels.magnet,
    "max_pain": lambda tick: tick.levels.max_pain,
    "highest_oi": _highest_oi,
    "call_wall": lambda tick: tick.levels.call_wall,
    "put_wall": lambda tick: tick.levels.put_wall,
    "nearest_wall": _nearest_wall,
}
"""Each predictor's price in USD at a tick that is not stale, always a listed strike; ``None`` where it is not known.

``highest_oi`` is the strike of the largest open interest, calls and puts together (of ties the nearest spot, then the
lower), ``nearest_wall`` the wall that is nearer spot (of two as near the call wall); the others are :class:`Levels`'.
"""

USUAL: Final = ("magnet", "max_pain", "highest_oi", "call_wall", "put_wall")


def check_predictors(names: str | Sequence[str]) -> tuple[str, ...]:
    """Predictors by name, each once, in the order given; :class:`~replay.errors.InvalidStudy` for an unknown one."""
    wanted = tuple(dict.fromkeys((names,) if isinstance(names, str) else names))
    for name in wanted:
        if name not in PREDICTORS:
            raise InvalidStudy(f"pin {name!r} is not one of {', '.join(PREDICTORS)}")
    if not wanted:
        raise InvalidStudy(f"no pin is given; there are {', '.join(PREDICTORS)}")
    return wanted


def step_at(strikes: Floats, price: float) -> float:
    """The distance from a listed strike to the listed strike nearest it, USD; NaN where there is no other."""
    others = strikes[np.isfinite(strikes) & (strikes != price)]
    return float(np.abs(others - price).min()) if len(others) else float("nan")


def nearest_strike(strikes: Floats, spot: float) -> float:
    """The listed strike nearest spot, the lower of two, USD; NaN without strikes."""
    listed = strikes[np.isfinite(strikes)]
    return float(listed[np.argmin(np.abs(listed - spot))]) if len(listed) else float("nan")
