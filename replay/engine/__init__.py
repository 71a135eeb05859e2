"""Runs: sessions replayed minute by minute into a strategy, with what they recorded and what ran."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from replay.broker.terms import Asked
from replay.engine.folder import FORMATS, FolderParts, MemoryParts
from replay.engine.plan import Plan, make_plan
from replay.engine.pool import check_workers
from replay.engine.pool import parts as session_parts
from replay.engine.result import Result
from replay.engine.session import Carried, Part
from replay.engine.trading import joined, session_tables, sums
from replay.errors import GapFound, InvalidRecord, InvalidRun, StrategyFailed
from replay.exposure.restate import Restatement
from replay.lake import Lake, open_lake
from replay.records import common_schema
from replay.sessions import NEW_YORK, find_session
from replay.strategy.loading import load

__all__ = ["FORMATS", "Interrupted", "Progress", "Result", "run"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: sessions done and in all, ticks done so far in all sessions."""

    sessions_done: int
    sessions: int
    ticks_done: int


class Interrupted(KeyboardInterrupt):
    """A run that was stopped from the keyboard; ``result`` holds what was done."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def run(
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
    workers: int = 1,
    trials: int = 1,
    out: str | os.PathLike[str] | None = None,
    form: str = "parquet",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **terms: Unpack[Asked],
) -> Result:
    """Replay sessions tick by tick into a strategy.

    Parameters
    ----------
    strategy
        A :class:`~replay.Strategy` subclass, a function of the context, or a reference to one: ``levels`` (that
        ships), ``package.module:Name``, ``path/to/file.py:Name``.
    lake
        A lake, or where it lies.
    symbols
        The first is the context's own, the others are ``ctx["QQQ"]``.
    start, end
        First and last session, both inclusive; ``None``: the lake's. Sessions the lake lacks are listed in
        ``run["missing_sessions"]``.
    step
        The clock's step, from the open (exclusive) to the close (inclusive).
    params
        Values of the strategy's parameters.
    latency
        A row recorded at R is seen from R + latency on.
    gaps
        ``mask``: NaN from an age of lag + 2 cadences on; ``carry:5m``: so much later; ``strict``: stop at a gap.
    seed
        Of ``ctx.rng``.
    style, metric, mode, minutes
        ``snapshot``: a function ``strategy(at, body)`` on the body of this heatmap.
    oi, share, conventions
        Open interest and conventions to show exposures on, as for :meth:`replay.Lake.heatmap`.
    workers
        Processes; the answer does not depend on it.
    trials
        How many sets of parameters were tried before this one was chosen, it included: what a report's significance is
        held against.
    out, form, resume
        A folder to write ``records.parquet`` (``csv``, ``jsonl``), ``run.json`` and ``log.jsonl`` to; whether to go
        on with the run in it.
    progress
        Called as the run goes on.
    terms
        ``fill``, ``fees``, ``slippage``, ``epsilon``, ``max_wait``, ``max_spread``, ``capital``, ``order_latency``,
        ``root`` and ``settlement``: what orders are filled, charged and settled on; see
        :func:`replay.broker.terms.make_terms`. Without an ``order_latency`` of their own orders take ``latency``.

    Returns
    -------
    :class:`~replay.Result`: the recorded rows, what was traded, the gaps, and what ran.

    Raises
    ------
    RequestError
        For values that cannot be used.
    StrategyFailed, GapFound
        Where a callback raised, or the policy ``strict`` met a gap; ``error.result`` holds what was recorded.
    Interrupted
        A ``KeyboardInterrupt`` with what was done as ``result``.
    """
    if form not in FORMATS:
        raise InvalidRun(f"format {form!r} is not one of {', '.join(FORMATS)}")
    if resume and out is None:
        raise InvalidRun("resume needs the folder of the run to go on with")
    loaded = load(strategy, style)
    own = not isinstance(lake, Lake)
    opened = lake if isinstance(lake, Lake) else open_lake(lake)
    try:
        plan = make_plan(
            loaded, opened, symbols=symbols, start=start, end=end, step=step, params=params or {}, latency=latency,
            gaps=gaps, seed=seed, tier=tier,
            request={"metric": metric, "mode": mode, "minutes": minutes} if style == "snapshot" else {},
            stated=Restatement(oi, share, conventions), terms=terms, trials=trials,
        )  # fmt: skip
        check_workers(plan, workers)
        return _run(plan, opened, workers, None if out is None else pathlib.Path(out), form, resume, progress)
    finally:
        if own:
            opened.close()


def _run(
    plan: Plan,
    lake: Lake,
    workers: int,
    out: pathlib.Path | None,
    form: str,
    resume: bool,
    progress: Callable[[Progress], None] | None,
) -> Result:
    if out is not None:
        if out.resolve().is_relative_to(pathlib.Path(lake.path).resolve()):
            raise InvalidRun(f"{out} lies within the lake, whose files are read as snapshots; name another folder")
        folder = FolderParts(out, plan, form)
        with folder.alone():
            return _run_into(folder, plan, lake, workers, form, resume, progress)
    memory = MemoryParts()
    last = _replay(plan, lake, workers, memory, Carried(), [], progress)
    kept = [*memory, *([last] if last else [])]
    result = Result(
        _told(plan, lambda: kept, form), None, lambda: iter([part.table for part in kept]), _log(kept),
        lambda name: joined(name, session_tables(kept, plan)),
    )  # fmt: skip
    if last is not None:
        raise _raised(last, result) from last.raised
    return result


def _run_into(
    folder: FolderParts,
    plan: Plan,
    lake: Lake,
    workers: int,
    form: str,
    resume: bool,
    progress: Callable[[Progress], None] | None,
) -> Result:
    """Run into a folder, or go on with what is in it."""
    done = folder.begin(resume=resume, lake=lake)
    finished = folder.finished()
    if finished is not None:
        return Result(finished, folder.path, lambda: folder.written(form), folder.log(), folder.traded)
    carried = Carried()
    if plan.strategy.carries_state and done:
        found = folder.carried(done)
        if found is None:
            folder.forget()
            done = []
        carried = found or carried
    last = _replay(plan, lake, workers, folder, carried, done, progress)
    further = [last] if last else []
    run = _told(plan, lambda: itertools.chain(folder, further), form)
    log = _log(itertools.chain(folder, further))
    typed = [] if form == "parquet" else [part.table for part in itertools.chain(folder, further)]
    folder.write(run, further, form)
    result = Result(run, folder.path, lambda: iter(typed) if typed else folder.written(form), log, folder.traded)
    if last is not None:
        raise _raised(last, result) from last.raised
    return result


def _replay(
    plan: Plan,
    lake: Lake,
    workers: int,
    kept: MemoryParts | FolderParts,
    carried: Carried,
    done: Sequence[dt.date],
    progress: Callable[[Progress], None] | None,
) -> Part | None:
    """Replay what is not done; the part of the session that ended early, if one did."""
    ticks, count = sum(part.told["ticks"] for part in kept), len(done)
    schema = common_schema(part.table.schema for part in kept)
    left = plan.dates[count:]

    def tell(within: int = 0, _: int = 0) -> None:
        if progress is not None:
            progress(Progress(count, len(plan.dates), ticks + within))

    tell()
    try:
        for part in session_parts(
            plan, lake, left, workers=workers, carried=carried, ticked=tell if progress else None
        ):
            try:
                schema = common_schema([schema, part.table.schema])
            except InvalidRecord as error:
                return _without_rows(part, error)
            if part.error is not None:
                return part
            kept.add(part, carried)
            count, ticks = count + 1, ticks + part.told["ticks"]
            tell()
    except KeyboardInterrupt as interrupt:  # while no callback ran
        return _interrupted(plan.dates[min(count, len(plan.dates) - 1)], interrupt)
    return None


def _without_rows(part: Part, error: InvalidRecord) -> Part:
    """A session whose rows do not fit to those of the sessions before it."""
    at = part.table["at"][0].as_py().isoformat()
    told = {"kind": "failed", "message": f"{error}: in the sessions before, and in this one", "traceback": ""}
    told |= {"session": part.date.isoformat(), "at": at}
    return replace(part, table=part.table.select(["session", "at"]).slice(0, 0), error=told, raised=error)


def _interrupted(date: dt.date, interrupt: BaseException) -> Part:
    at = find_session(date)
    assert at is not None, "only sessions are replayed"
    told = {"kind": "interrupted", "message": "interrupted", "session": date.isoformat(), "at": at.open.isoformat()}
    return Part(date, common_schema([]).empty_table(), {}, {}, [], told, interrupt)


def _log(found: Iterable[Part]) -> tuple[dict[str, str], ...]:
    return tuple(line for part in found for line in part.logged)


def _told(plan: Plan, parts: Callable[[], Iterable[Part]], form: str) -> dict[str, Any]:
    """What ``run.json`` says."""
    sessions: list[dict[str, Any]] = []
    files: dict[str, str] = {}
    error, rows, orders = None, 0, False
    for part in parts():
        orders = orders or bool(part.trading)
        sessions += [part.told] if part.told else []
        files |= part.files
        rows += len(part.table)
        error = part.error
    return plan.describe() | {
        "format": form,
        "status": "complete" if error is None else error["kind"],
        "records": rows,
        **({"trading": sums(session_tables(parts(), plan))} if orders else {}),
        "sessions": sessions,
        "lake": {"fingerprint": _digest(files), "files": dict(sorted(files.items()))},
        "error": None if error is None else {key: value for key, value in error.items() if key != "traceback"},
    }


def _digest(files: Mapping[str, str]) -> str:
    """One hash over the paths and hashes of all files read."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _raised(part: Part, result: Result) -> BaseException:
    """The error that an early end is to its caller."""
    error = part.error or {}
    if error["kind"] == "interrupted":
        return Interrupted(result)
    if error["kind"] == "gap":
        span = (dt.datetime.fromisoformat(error[name]).astimezone(NEW_YORK) for name in ("start", "end"))
        found: GapFound | StrategyFailed = GapFound(error["message"], error["symbol"], *span)
    else:
        at = dt.datetime.fromisoformat(error["at"])
        said = f"session {part.date}, {at:%H:%M:%S}: {error['message']}"
        found = StrategyFailed(said, session=part.date, at=at, traceback=error["traceback"])
    found.result = result
    return found
