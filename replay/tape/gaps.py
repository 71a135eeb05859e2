"""What a replay does where data stopped coming: stop, mask, or carry for a stated while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.errors import InvalidDuration, InvalidGapPolicy
from replay.sessions import LATEST, duration_text, parse_duration

POLICIES: Final = ("strict", "mask", "carry")


@dataclass(frozen=True, slots=True)
class GapPolicy:
    """``strict`` stops at a gap, ``mask`` gives NaN from an age of lag + 2 cadences on, ``carry`` so much later.

    ``carried`` is microseconds; 0 but for ``carry``.
    """

    kind: str
    carried: int = 0

    def __str__(self) -> str:
        return f"carry:{duration_text(self.carried)}" if self.kind == "carry" else self.kind


def parse_gaps(value: str | GapPolicy) -> GapPolicy:
    """A policy from ``strict``, ``mask`` or ``carry:LENGTH``, such as ``carry:5m``.

    Raises :class:`~replay.errors.InvalidGapPolicy` for anything else.
    """
    if isinstance(value, GapPolicy):
        return value
    kind, colon, length = value.strip().partition(":") if isinstance(value, str) else ("", "", "")
    if kind in ("strict", "mask") and not colon:
        return GapPolicy(kind)
    if kind == "carry" and colon:
        try:
            carried = parse_duration(length, "carry")
        except InvalidDuration as error:
            raise InvalidGapPolicy(f"gaps {value!r}: {error.message}") from None
        if carried:
            return GapPolicy("carry", min(carried, LATEST))
    raise InvalidGapPolicy(f"gaps {value!r} is not one of strict, mask, carry:LENGTH (such as carry:5m)")
