"""What a run is to do: everything that decides its bytes, checked before it starts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import replay
from replay import contract
from replay.broker.terms import Asked, Terms, make_terms
from replay.errors import InvalidRun
from replay.exposure.restate import AS_STORED, Restatement
from replay.lake import Lake
from replay.sessions import calendar_span, duration_text, find_session, parse_date, parse_duration
from replay.strategy.loading import Loaded
from replay.tape import clock, parse_gaps

_LIBRARIES: Final = ("duckdb", "numpy", "pyarrow", "polars")


@dataclass(frozen=True)
class Plan:
    """One run, without where it reads and writes.

    Attributes
    ----------
    strategy, params
        What is called, and the value of each of its parameters.
    symbols
        The first is the context's own.
    step, latency, gaps
        The clock's step, the delay of knowledge, and the gap policy, as text.
    seed
        Of ``ctx.rng``.
    tier
        ``None``: the finest of which anything is visible.
    request
        The heatmap that the style ``snapshot`` hands over.
    dates
        The sessions to replay, ascending.
    missing
        Sessions of the exchange between the first and the last asked for, of which the lake holds nothing.
    stated
        On which open interest, and under which conventions, exposures are shown.
    terms
        On which orders are filled, charged and settled.
    trials
        How many sets of parameters were tried before this one was chosen, it included.
    """

    strategy: Loaded
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    step: str
    latency: str
    gaps: str
    seed: int
    tier: str | None
    request: Mapping[str, Any] = field(default_factory=dict)
    dates: tuple[dt.date, ...] = ()
    missing: tuple[dt.date, ...] = ()
    stated: Restatement = AS_STORED
    terms: Terms = field(default_factory=Terms)
    trials: int = 1

    def describe(self) -> dict[str, Any]:
        """What decides the bytes, as plain values for ``run.json``."""
        return {
            "strategy": {
                "name": self.strategy.name,
                "source_sha256": self.strategy.source,
                "style": self.strategy.style,
                "parameters": dict(self.params),
                **({"heatmap": dict(self.request)} if self.request else {}),
            },
            "symbols": list(self.symbols),
            "step": self.step,
            "latency": self.latency,
            "gaps": self.gaps,
            "seed": self.seed,
            "tier": self.tier,
            **({} if self.stated.as_stored else {"stated": dataclasses.asdict(self.stated)}),
            "terms": self.terms.describe(),
            "trials": self.trials,
            "dates": [date.isoformat() for date in self.dates],
            "missing_sessions": [date.isoformat() for date in self.missing],
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """What computes: this package, Python, and the libraries below."""
    found = {"zerodte-replay": replay.__version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def make_plan(
    strategy: Loaded,
    lake: Lake,
    *,
    symbols: str | Sequence[str],
    start: str | dt.date | None,
    end: str | dt.date | None,
    step: str | dt.timedelta,
    params: Mapping[str, Any],
    latency: str | dt.timedelta,
    gaps: str,
    seed: int,
    tier: str | None,
    request: Mapping[str, Any],
    stated: Restatement = AS_STORED,
    terms: Asked | None = None,
    trials: int = 1,
) -> Plan:
    """A plan from what was asked for, checked; the lake tells which sessions there are.

    Raises
    ------
    RequestError
        Naming the value that cannot be used, and what can.
    """
    names = _symbols(symbols, lake)
    policy = parse_gaps(gaps)
    delay = duration_text(parse_duration(latency, "latency"))
    asked: Asked = {**(terms or {})}
    if asked.get("order_latency") is None:
        asked["order_latency"] = delay
    dates, missing = _dates(names, lake, start, end)
    session = find_session(dates[0])
    assert session is not None, "only sessions are chosen"
    clock(session, step)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InvalidRun(f"seed {seed!r} is not a whole number from 0")
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise InvalidRun(f"trials {trials!r} is not a whole number from 1")
    if request:
        contract.check_metric(request["metric"])
        contract.check_mode(request["mode"])
        request = {**request, "minutes": contract.check_minutes(request["minutes"])}
    for name in names if policy.kind == "strict" else ():
        lacking = sorted(set(dates) - set(lake.dates(name)))
        if lacking:
            raise InvalidRun(f"gaps 'strict': the lake holds nothing of {name} for the session {lacking[0]}")
    if policy.kind == "strict" and missing:
        raise InvalidRun(
            f"gaps 'strict': the lake holds nothing of {', '.join(names)} for the session {missing[0]}"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}"
        )
    return Plan(
        strategy,
        strategy.settle(params),
        names,
        duration_text(parse_duration(step, "step")),
        delay,
        str(policy),
        seed,
        contract.check_tier(tier),
        request,
        dates,
        missing,
        stated,
        make_terms(names, **asked),
        trials,
    )


def _symbols(symbols: str | Sequence[str], lake: Lake) -> tuple[str, ...]:
    names = tuple(contract.normalise_symbol(each) for each in ([symbols] if isinstance(symbols, str) else symbols))
    held = lake.symbols()
    for name in names:
        if name not in held:
            raise InvalidRun(f"the lake holds nothing of {name!r}; it has {', '.join(held) or 'no symbol'}")
    if not names or len(set(names)) < len(names):
        raise InvalidRun(f"symbols {', '.join(names) or 'none'}: give at least one, each once")
    return names


def _dates(
    symbols: Sequence[str], lake: Lake, start: str | dt.date | None, end: str | dt.date | None
) -> tuple[tuple[dt.date, ...], tuple[dt.date, ...]]:
    """The sessions to replay, and those of the exchange in the same span that the lake lacks."""
    held = sorted({date for symbol in symbols for date in lake.dates(symbol) if find_session(date)})
    known_from, known_to = calendar_span()
    first = parse_date(start, "start") if start is not None else (held[0] if held else known_from)
    last = parse_date(end, "end") if end is not None else (held[-1] if held else known_from)
    if last < first:
        raise InvalidRun(f"the run ends on {last}, before it starts on {first}")
    dates = tuple(date for date in held if first <= date <= last)
    if not dates:
        span = f"{len(held)} from {held[0]} to {held[-1]}" if held else "none"
        raise InvalidRun(f"no session of {', '.join(symbols)} from {first} to {last}; the lake holds {span}")
    days = range(max(first, known_from).toordinal(), min(last, known_to).toordinal() + 1)
    every = (dt.date.fromordinal(day) for day in days)
    return dates, tuple(date for date in every if date not in set(dates) and find_session(date))
