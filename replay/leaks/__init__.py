"""The audit: whether anything a strategy records at an instant depends on what was not known then."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Unpack

from replay.broker.terms import Asked
from replay.engine.plan import make_plan
from replay.errors import InvalidRun
from replay.exposure.restate import Restatement
from replay.lake import Lake, open_lake
from replay.leaks.auditor import Auditor
from replay.leaks.report import Audit, Finding
from replay.strategy.loading import load

__all__ = ["SAMPLE", "Audit", "Finding", "audit"]

SAMPLE: Final = 12


def audit(
    strategy: Any,
    lake: Lake | str | os.PathLike[str],
    *,
    symbols: str | Sequence[str],
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    step: str | dt.timedelta = "1m",
    params: Mapping[str, Any] | None = None,
    latency: str | dt.timedelta = "0s",
    gaps: str = "mask",
    seed: int = 0,
    tier: str | None = None,
    style: str = "context",
    metric: str = "gex",
    mode: str = "raw",
    minutes: int | str = 60,
    oi: str = "settled",
    share: float = 1.0,
    conventions: str | None = None,
    sample: int | None = SAMPLE,
    progress: Callable[[int, int], None] | None = None,
    **terms: Unpack[Asked],
) -> Audit:
    """Run a strategy's sessions with the future replaced, and again as they are; see what changes.

    At instants T of each session every row not visible at T is dropped, corrupted or shifted; what the strategy
    recorded and logged up to T must stay the same. Each session also runs a second time, and once more in another
    order, which shows hidden state and randomness. While callbacks run, files, the lake, the clock and global random
    numbers are watched.

    Parameters
    ----------
    strategy, lake, symbols, start, end, step, params, latency, gaps, seed, tier, style, metric, mode, minutes,
    oi, share, conventions, terms
        As for :func:`replay.run`.
    sample
        How many instants of each session; ``None``: the open and every tick.
    progress
        Told sessions done, and how many there are.

    Returns
    -------
    :class:`Audit`, true if anything leaks.

    Raises
    ------
    StrategyFailed, GapFound
        If the strategy does not run through on the sessions as they are.
    RequestError
        For values that cannot be used.
    """
    if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool) or sample < 1):
        raise InvalidRun(f"sample {sample!r} is not a whole number from 1")
    loaded = load(strategy, style)
    own = not isinstance(lake, Lake)
    opened = lake if isinstance(lake, Lake) else open_lake(lake)
    try:
        plan = make_plan(
            loaded, opened, symbols=symbols, start=start, end=end, step=step, params=params or {}, latency=latency,
            gaps=gaps, seed=seed, tier=tier,
            request={"metric": metric, "mode": mode, "minutes": minutes} if style == "snapshot" else {},
            stated=Restatement(oi, share, conventions), terms=terms,
        )  # fmt: skip
        return Auditor(plan, opened, sample, progress).run()
    finally:
        if own:
            opened.close()
