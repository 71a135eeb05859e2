"""One session replayed into a strategy's callbacks."""

from __future__ import annotations

import datetime as dt
import functools
import pathlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa

import replay
from replay.broker.account import row_of, tables_of
from replay.broker.desk import Desk
from replay.engine.plan import Plan
from replay.errors import GapFound, ReplayError
from replay.lake import Lake
from replay.market import Market
from replay.records import moment_text
from replay.sessions import SECOND, iso_utc
from replay.strategy import Context, Strategy
from replay.tape import Tape, Ticks

Ticked = Callable[[int, int], None]
"""Told how many ticks of a session are done, and how many there are."""

_STRIDE: Final = 30
_PACKAGE: Final = str(pathlib.Path(replay.__file__).parent)
_SHIPPED: Final = str(pathlib.Path(replay.__file__).parent / "strategies")


@dataclass(frozen=True)
class Part:
    """What one session gave.

    ``told`` is its entry in ``run.json``; ``files`` are the hashes of the files read; ``error`` is why it ended before
    the close (``kind``, ``message``, ``session``, ``at``, ...), or ``None``; ``raised`` is the exception, if at hand.
    ``trading`` are the tables of :data:`replay.broker.account.TABLES` where orders were sent, of a session that did not
    end the ledger alone.
    """

    date: dt.date
    table: pa.Table
    told: dict[str, Any]
    files: dict[str, str]
    logged: list[dict[str, str]]
    error: dict[str, str] | None = None
    raised: BaseException | None = None
    trading: Mapping[str, pa.Table] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """What a session's strategies see and trade on; runs that differ in parameters alone can share one."""

    views: Mapping[str, Ticks]
    markets: Mapping[str, Callable[[], Market]]


def stage_of(plan: Plan, tapes: Mapping[str, Tape], markets: Mapping[str, Tape] | None = None) -> Stage:
    """The stage of a session; ``markets`` are the tapes that orders are filled on, ``None``: the same."""
    return Stage(
        {symbol: tape.ticks(plan.step, plan.latency, plan.gaps) for symbol, tape in tapes.items()},
        {symbol: functools.cache(functools.partial(Market, tape)) for symbol, tape in (markets or tapes).items()},
    )


@dataclass
class Carried:
    """A strategy between sessions: its instance, state and cash where it carries them, and the columns it has read."""

    instance: Strategy | None = None
    state: dict[str, Any] = field(default_factory=dict)
    cash: int | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def tapes_of(lake: Lake, plan: Plan, date: dt.date, carried: Carried | None = None) -> dict[str, Tape]:
    """The tapes of a plan's symbols, with the columns read at once that the session before made use of."""
    columns = carried.columns if carried else {}
    stated = plan.stated
    return {
        symbol: lake.tape(
            symbol, date, plan.tier, columns.get(symbol, ()),
            oi=stated.basis, share=stated.share, conventions=stated.conventions,
        )
        for symbol in plan.symbols
    }  # fmt: skip


def replay_session(
    plan: Plan,
    tapes: Mapping[str, Tape],
    carried: Carried,
    *,
    until: int | None = None,
    ticked: Ticked | None = None,
    markets: Mapping[str, Tape] | None = None,
    stage: Stage | None = None,
    brief: bool = False,
) -> Part:
    """Replay one session.

    Parameters
    ----------
    tapes
        One a symbol, in the plan's order.
    carried
        What comes from the session before, and where what goes on to the next is put.
    until
        Stop after the tick at this instant, microseconds, as if killed there: ``on_close`` is not called.
    ticked
        Called every so often.
    markets
        The tapes that orders are filled on; ``None``: the same.
    stage
        What several runs share of it, in place of one made of the tapes.
    brief
        Of what is traded keep the row of sums alone.
    """
    stage = stage or stage_of(plan, tapes, markets)
    views = stage.views
    keeps = plan.strategy.carries_state
    ctx = Context(views, carried.state if keeps else {}, plan.seed)
    cash = carried.cash if keeps and carried.cash is not None else plan.terms.capital
    desk = Desk(plan.terms, stage.markets, ctx.ticks, cash, plan.gaps)
    ctx.trade_at(desk)
    error: dict[str, str] | None = None
    ended: BaseException | None = None
    try:
        strategy = carried.instance if keeps and carried.instance else plan.strategy.make(plan.params, plan.request)
        _walk(ctx, strategy, list(views.values()), desk, until, ticked)
        carried.instance = strategy if keeps else None
    except GapFound as gap:
        ended, error = gap, _failure("gap", gap.message, ctx) | {
            "symbol": gap.symbol, "start": gap.start.isoformat(), "end": gap.end.isoformat()
        }  # fmt: skip
    except KeyboardInterrupt as interrupt:
        ended, error = interrupt, _failure("interrupted", "interrupted", ctx)
    except (Exception, SystemExit) as raised:  # noqa: BLE001  # whatever a strategy raises ends its run
        said = str(raised) if isinstance(raised, ReplayError) else f"{type(raised).__name__}: {raised}".rstrip(": ")
        ended, error = raised, _failure("failed", said, ctx) | {"traceback": _own_traceback(raised)}
    trading = _trading(desk, views, whole=error is None and until is None, brief=brief)
    carried.cash = desk.start if desk.book.lots else desk.book.cash
    carried.columns = {symbol: tuple(ticks.tape.columns_read()) for symbol, ticks in views.items()}
    return Part(
        ctx.session.date,
        ctx.recorder.table(),
        _told(ctx, views, done=ctx.place - (error is not None and error["kind"] == "gap")),
        {path: digest for tape in tapes.values() for path, digest in tape.fingerprint().items()},
        [{"at": moment_text(at), "message": message} for at, message in ctx.logged],
        error,
        ended,
        trading,
    )


def _trading(desk: Desk, views: Mapping[str, Ticks], *, whole: bool, brief: bool) -> dict[str, pa.Table]:
    """The tables of what was traded; of a session that did not end the ledger alone."""
    instants = next(iter(views.values())).instants[1:]
    if not desk.orders:
        return {}
    if not whole:
        return {"ledger": desk.ledger.table()}
    return {"sessions": row_of(desk, instants)} if brief else tables_of(desk, instants)


def _walk(
    ctx: Context, strategy: Strategy, views: list[Ticks], desk: Desk, until: int | None, ticked: Ticked | None
) -> None:
    """Call the callbacks, instant after instant."""
    breaches = [(stop, ticks) for ticks in views if (stop := ticks.breach()) is not None]
    stop, broken = min(breaches, key=lambda each: each[0][0], default=(None, views[0]))
    instants = views[0].instants
    end = len(instants) if until is None else sum(instant <= until for instant in instants)
    last = end if stop is None else min(end, stop[0])
    if last > 0:
        strategy.on_open(ctx)
    on_tick, take, alone = strategy.on_tick, ctx.take, len(views) == 1
    for start in range(1, last, _STRIDE):
        for i in range(start, min(start + _STRIDE, last)):
            if alone:
                ctx._i = i
            else:
                ctx.move(i)
            if desk.working or desk.news:
                for order in desk.match(instants[i]):
                    strategy.on_fill(ctx, order)
            returned = on_tick(ctx)
            if returned is not None:
                take(returned)
        if ticked is not None:
            ticked(min(start + _STRIDE, last) - 1, len(instants) - 1)
    if stop is not None and stop[0] < end:
        ctx.move(stop[0])
        raise broken.gap_found(stop)
    if until is None:
        strategy.on_close(ctx)
        desk.settle()


def _told(ctx: Context, views: Mapping[str, Ticks], done: int) -> dict[str, Any]:
    """A session's entry in ``run.json``, of which so many ticks were done."""
    return {
        "date": ctx.session.date.isoformat(),
        "ticks": done,
        "records": len(ctx.recorder),
        "symbols": {
            symbol: {
                **_evidence(ticks.tape),
                "stale_ticks": sum(ticks.stale[1 : done + 1]),
                "gaps": [{"start": iso_utc(start), "end": iso_utc(end)} for start, end in ticks.gaps(ctx.place)],
            }
            for symbol, ticks in views.items()
        },
    }


def _evidence(tape: Tape) -> dict[str, Any]:
    """How many rows a session is stored in, under which conventions, and how its two clocks stand to each other.

    ``lag_s`` is the median of ``recorded_at`` less ``ts``, seconds; ``instant_rows`` are those that were known in the
    very instant they describe, as no recorder knows them; ``revisions`` are rows that replace another.
    """
    lines = [track.timeline for track in tape.tracks if len(track.timeline.ts)]
    lags = np.concatenate([line.recorded_at - line.ts for line in lines] or [np.empty(0, np.int64)])
    return {
        "rows": len(lags),
        "revisions": sum(len(line.ts) - len(np.unique(line.ts)) for line in lines),
        "instant_rows": int((lags == 0).sum()),
        "lag_s": float(np.median(lags)) / SECOND if len(lags) else None,
        "conventions": sorted(
            {str(line.conventions[each]) for line in lines for each in np.unique(line.file).tolist()}
        ),
    }


def _failure(kind: str, message: str, ctx: Context) -> dict[str, str]:
    return {
        "kind": kind,
        "message": message,
        "session": ctx.session.date.isoformat(),
        "at": ctx.now.isoformat(),
    }


def _own_traceback(error: BaseException) -> str:
    """The traceback without the engine's frames that lead to the strategy's code."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) and not file.startswith(_SHIPPED)
