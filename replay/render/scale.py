"""The colour scale that all pictures share, and numbers short enough to be read in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from replay.contract import FLOW_METRICS, SIGNED_METRICS
from replay.heatmap import Heatmap

Rgb = tuple[int, int, int]

PERCENTILE: Final = 98

# Equally spaced, lightest at 0, told apart with any colour vision.
# The arms are those of ColorBrewer's PuOr and RdBu, and its YlGnBu.
DIVERGING: Final[tuple[Rgb, ...]] = (
    (127, 59, 8), (179, 88, 6), (224, 130, 20), (253, 184, 99), (254, 224, 182), (250, 250, 250),
    (209, 229, 240), (146, 197, 222), (67, 147, 195), (33, 102, 172), (5, 48, 97),
)  # fmt: skip
SEQUENTIAL: Final[tuple[Rgb, ...]] = (
    (255, 255, 229), (237, 248, 177), (199, 233, 180), (127, 205, 187), (65, 182, 196),
    (29, 145, 192), (34, 94, 168), (37, 52, 148), (8, 29, 88),
)  # fmt: skip

XTERM: Final[dict[Rgb, int]] = dict(
    zip(
        DIVERGING + SEQUENTIAL,
        (94, 130, 172, 215, 223, 231, 195, 153, 74, 25, 17, 230, 193, 151, 79, 38, 32, 25, 18, 17),
        strict=True,
    )
)
"""For each stop the nearest in hue of the 256 colours of older terminals."""

_SUFFIXES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from -limit (or 0, unless ``signed``) to limit, in the metric's unit; beyond it the end colour.

    ``limit`` is 0 where no value is other than 0. ``skips_first``: the first bar had no say in the limit.
    """

    limit: float
    signed: bool
    skips_first: bool

    @property
    def high(self) -> float:
        """The upper end, above 0 even where the limit is not."""
        return self.limit or 1.0

    @property
    def low(self) -> float:
        """The lower end."""
        return -self.high if self.signed else 0.0

    @property
    def stops(self) -> tuple[Rgb, ...]:
        """The palette, equally spaced from :attr:`low` to :attr:`high`; 0 is the middle or the first."""
        return DIVERGING if self.signed else SEQUENTIAL

    def colours(self, values: NDArray[Any], *, stepped: bool = False) -> NDArray[np.uint8]:
        """Red, green and blue of values (...,) as (..., 3); ``stepped`` takes the nearest stop of :attr:`stops`.

        A value that is not finite takes the colour of 0.
        """
        known = np.where(np.isfinite(values), values, 0.0)
        at = np.clip((known - self.low) / (self.high - self.low), 0.0, 1.0)
        if stepped:
            at = np.rint(at * (len(self.stops) - 1)) / (len(self.stops) - 1)
        places = np.linspace(0.0, 1.0, len(self.stops))
        channels = [np.interp(at, places, channel) for channel in np.array(self.stops, float).T]
        return np.stack(channels, axis=-1).round().astype(np.uint8)

    def ticks(self) -> list[tuple[float, str]]:
        """Where to write which number along the scale; the ends say that they reach further."""
        middle = [self.low, self.low / 2, 0.0] if self.signed else [0.0, self.high / 4]
        at = [*middle, self.high / 2, *([] if self.signed else [self.high * 3 / 4]), self.high]
        if not self.limit:
            return [(0.0, "0")]
        text = [human(value, signed=self.signed) for value in at]
        if self.signed:
            text[0] = f"≤ {text[0]}"
        text[-1] = f"≥ {text[-1]}"
        return list(zip(at, text, strict=True))

    def sentence(self) -> str:
        """What the limit is, in words (ASCII)."""
        if not self.limit:
            return "no value other than 0"
        ends = f"-{human(self.limit)} to +{human(self.limit)}" if self.signed else f"0 to {human(self.limit)}"
        of = "values other than 0" if not self.skips_first else "values other than 0 after the first bar"
        return f"{ends}, the {PERCENTILE}th percentile of the size of {of}"


def scale_of(heatmap: Heatmap) -> Scale:
    """The scale of a heatmap's values: robust, centred on 0 where values have a sign.

    The limit is the 98th percentile of the absolute finite values that are not 0. In ``delta`` mode the first
    bar is the level itself, not a change, so it has no say where there are other bars.
    """
    changes = heatmap.mode == "delta" and heatmap.metric not in FLOW_METRICS
    skips_first = changes and len(heatmap.minutes) > 1
    sizes = np.abs(heatmap.values[1:] if skips_first else heatmap.values)
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    limit = float(np.percentile(sizes, PERCENTILE)) if len(sizes) else 0.0
    return Scale(limit, heatmap.metric in SIGNED_METRICS or changes, skips_first)


def human(value: float, *, signed: bool = False) -> str:
    """A number in three digits, at most six characters: ``+812M``, ``-1.2B``, ``45.3k``, ``0``.

    ``signed`` writes the plus too. k, M, B and T are thousand, million, billion (1e9) and trillion (1e12). A value
    that is not finite is empty text.
    """
    if not math.isfinite(value):
        return ""
    rounded = abs(float(f"{value:.3g}"))
    if rounded == 0:
        return "0"
    sign = "-" if value < 0 else "+" if signed else ""
    if rounded >= 1e15 or rounded < 1e-3:
        return f"{sign}{rounded:.0e}"
    for size, suffix in _SUFFIXES:
        if rounded >= size:
            return f"{sign}{_three(rounded / size)}{suffix}"
    return sign + _three(rounded)


def _three(size: float) -> str:
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = f"{size:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
