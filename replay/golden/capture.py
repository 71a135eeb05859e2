"""Bodies captured from the live endpoint: the request that each answers, and the lake's answer to it."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from replay import contract
from replay.errors import GoldenError, ReplayError
from replay.golden.difference import EXACT, Comparison, Tolerance, compare_bodies
from replay.golden.store import instant, read_body
from replay.lake import Lake
from replay.regenerate import Request
from replay.sessions import MINUTE, floor_minute


def check_capture(
    path: pathlib.Path,
    lake: Lake,
    *,
    known_at: str | None = None,
    minutes: int | str | None = None,
    tolerance: Tolerance = EXACT,
) -> Comparison:
    """A body of the live endpoint against the lake's answer to the same request.

    Parameters
    ----------
    known_at
        ``None``: what was known at the body's ``as_of``, which is what live showed; ``latest`` or a moment.
    minutes
        How far the request looked back; ``None``: read from the body, see :func:`request_of`.
    tolerance
        How far the metric's values and the spots may be off.

    Raises
    ------
    GoldenError
        If the file is no such body.
    ReplayError
        If the lake refuses the request.
    """
    body = read_body(path)
    asked = request_of(body, path, known_at=known_at, minutes=minutes)
    found = lake.heatmap(
        asked.symbol, asked.as_of, metric=asked.metric, mode=asked.mode, minutes=asked.minutes,
        known_at=asked.known_at, gaps=asked.gaps,
    ).to_dict()  # fmt: skip
    loose = {asked.metric, "spot"}
    return compare_bodies(body, found, lambda name: tolerance if name in loose else EXACT)


def request_of(
    body: Mapping[str, Any], path: pathlib.Path, *, known_at: str | None = None, minutes: int | str | None = None
) -> Request:
    """The request that a body answers.

    A window begins with the minute ``minutes`` before ``as_of``. The span is the one with which it begins with the
    body's first bar: a shorter one misses the bar, a longer one could begin with an earlier bar, and then bar 0 of mode
    ``delta`` is another. It is at least 1, and 60, the endpoint's own, for a body without bars, whose span cannot be
    read.
    """
    if body.get("bar_size") != contract.BAR:
        raise GoldenError(f"{path}: bar_size is {body.get('bar_size')!r}; the endpoint's is {contract.BAR!r}")
    as_of = instant(body["as_of"], f"{path}: as_of")
    if minutes is None:
        minutes = _span(body, as_of, path)
    try:
        return Request(
            contract.normalise_symbol(body["symbol"]),
            body["as_of"],
            contract.check_metric(body["metric"]),
            contract.check_mode(body["mode"]),
            contract.check_minutes(minutes),
            known_at,
            gaps=bool(body.get("gap_intervals")),
        )
    except ReplayError as error:
        raise GoldenError(f"{path}: {error.message}") from None


def _span(body: Mapping[str, Any], as_of: int, path: pathlib.Path) -> int:
    starts = [instant(bar["t"], f"{path}, bar {number}: t") for number, bar in enumerate(body["bars"])]
    if not starts:
        return contract.MINUTES_DEFAULT
    if max(starts) > as_of:
        raise GoldenError(f"{path}: a bar begins after as_of {body['as_of']}")
    span = (floor_minute(as_of) - floor_minute(min(starts))) // MINUTE
    if span > contract.MINUTES_MAX:
        raise GoldenError(f"{path}: the first bar is {span} minutes before as_of; {contract.MINUTES_MAX} are served")
    return span
