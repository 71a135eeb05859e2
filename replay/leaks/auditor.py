"""One audit at work: sessions as they are, with other futures, and again."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from replay.engine.plan import Plan
from replay.engine.session import Carried, Part, replay_session, tapes_of
from replay.errors import GapFound, InvalidRecord, InvalidRun, StrategyFailed
from replay.lake import Lake
from replay.leaks.fresh import in_fresh_process
from replay.leaks.future import PERTURBATIONS, Cut, perturbed
from replay.leaks.guard import Guard
from replay.leaks.report import Audit, Finding
from replay.records import common_schema, conformed, moment_text
from replay.sessions import LATEST, NEW_YORK, parse_duration, to_us
from replay.strategy import Context, Strategy
from replay.strategy.loading import Loaded
from replay.tape import Tape, Track, clock

Told = Callable[[int, int], None]
Said = list[tuple[str, dict[str, Any]]]
_ORDER: Final = {"future": 0, "again": 1}


class _Guarded(Strategy):
    """A strategy whose callbacks are watched."""

    def __init__(self, inner: Strategy, guard: Guard) -> None:
        self.inner = inner
        self.guard = guard

    def on_open(self, ctx: Context) -> None:
        with self.guard.callback(ctx):
            self.inner.on_open(ctx)

    def on_tick(self, ctx: Context) -> Mapping[str, Any] | None:
        with self.guard.callback(ctx):
            return self.inner.on_tick(ctx)

    def on_close(self, ctx: Context) -> None:
        with self.guard.callback(ctx):
            self.inner.on_close(ctx)


@dataclass(frozen=True)
class _Watched(Loaded):
    """A loaded strategy whose instances are watched."""

    guard: Guard | None = None

    def make(self, values: Mapping[str, Any], request: Mapping[str, Any]) -> Strategy:
        assert self.guard is not None, "made with one"
        return _Guarded(super().make(values, request), self.guard)


class Auditor:
    """Audits one plan.

    Parameters
    ----------
    sample
        How many instants of each session have their future replaced; ``None``: the open and every tick.
    progress
        Told sessions done, and how many there are.
    """

    def __init__(self, plan: Plan, lake: Lake, sample: int | None, progress: Told | None) -> None:
        self._guard = Guard(self._touched)
        self._plan = plan
        self._watched = replace(plan, strategy=_Watched(**vars(plan.strategy), guard=self._guard))
        self._lake = lake
        self._sample = sample
        self._progress: Told = progress or (lambda _, __: None)
        self._latency = parse_duration(plan.latency, "latency")
        self._findings: dict[tuple[str, str], Finding] = {}
        self._notes: dict[str, str] = {}
        self._read_at = ("", "")
        self._instants = self._ticks = 0

    def run(self) -> Audit:
        """Audit every session of the plan."""
        plan, carried = self._plan, Carried()
        done: list[tuple[dt.date, Carried, Part]] = []
        for number, date in enumerate(plan.dates):
            self._progress(number, len(plan.dates))
            given, tapes = _copied(carried, plan), tapes_of(self._lake, plan, date)
            module = sys.modules.get(getattr(plan.strategy.target, "__module__", ""))
            with self._guard.watching(module):
                reference = self._replay(self._watched, tapes, carried)
            _raise_failure(reference)
            if self._same_again(tapes, given, reference, "nothing changed: a second run"):
                self._replace_futures(tapes, given, reference)
            done.append((date, given, reference))
        if len(done) > 1:
            for date, given, reference in reversed(done):
                tapes = tapes_of(self._lake, plan, date)
                self._same_again(tapes, given, reference, "nothing changed: the sessions in another order")
        self._afresh([reference for _, _, reference in done])
        self._progress(len(plan.dates), len(plan.dates))
        found = sorted(self._findings.values(), key=lambda each: (_ORDER.get(each.kind, 2), each.session, each.at))
        return Audit(
            plan.strategy.name, plan.symbols, [date.isoformat() for date in plan.dates], self._instants,
            PERTURBATIONS, self._ticks, plan.seed, plan.strategy.source, dict(plan.params), found,
            list(self._notes.values()),
        )  # fmt: skip

    def _afresh(self, references: list[Part]) -> None:
        """Run all sessions in a fresh process, unless it is known that they leak: a process takes a second to start."""
        parts, why = ([], "it leaks already") if self._findings else in_fresh_process(self._plan, self._lake)
        for reference, part in zip(references, parts, strict=False):
            self._ticks += int(part.told["ticks"])
            self._compare(reference, part, None, "again", "nothing changed: a fresh process")
        if why is not None:
            self._notes["fresh"] = f"not run in a fresh process, {why}"

    def _replay(
        self,
        plan: Plan,
        tapes: Mapping[str, Tape],
        carried: Carried,
        until: int | None = None,
        markets: Mapping[str, Tape] | None = None,
    ) -> Part:
        """Replay a session; what its tracks read, the engine reads, and no strategy."""
        own = self._all_aside(tapes)
        part = replay_session(plan, own, carried, until=until, markets=self._all_aside(markets) if markets else own)
        if part.error is not None and part.error["kind"] == "interrupted":
            raise KeyboardInterrupt
        self._ticks += int(part.told["ticks"])
        return part

    def _all_aside(self, tapes: Mapping[str, Tape]) -> dict[str, Tape]:
        return {
            name: Tape(
                tape.symbol, tape.session, [self._aside(track) for track in tape.tracks], tape.tier, stated=tape.stated
            )
            for name, tape in tapes.items()
        }

    def _aside(self, track: Track) -> Track:
        def read(names: Any) -> Any:
            with self._guard.engine():
                return {name: track.column(name) for name in names}

        return Track(track.timeline, track.snapshots(np.arange(len(track.timeline.ts)), ()), read)

    def _same_again(self, tapes: Mapping[str, Tape], given: Carried, reference: Part, how: str) -> bool:
        """Run a session as it is once more; whether it recorded the same."""
        part = self._replay(self._plan, tapes, _copied(given, self._plan))
        return self._compare(reference, part, None, "again", how)

    def _replace_futures(self, tapes: Mapping[str, Tape], given: Carried, reference: Part) -> None:
        """Replace the future at each instant of the sample, in each way."""
        last = int(_instants(tapes, self._plan)[-1])
        for at in self._chosen(tapes):
            self._instants += 1
            cut, traded = (
                Cut(at, at - self._latency),
                Cut(at, LATEST),
            )  # orders are filled on all that was quoted by now
            for number, how in enumerate(PERTURBATIONS):
                seed, until = self._plan.seed + number, None if at == last else at
                changed = {name: perturbed(tape, cut, how, seed) for name, tape in tapes.items()}
                markets = {name: perturbed(tape, traded, how, seed) for name, tape in tapes.items()}
                part = self._replay(self._plan, changed, _copied(given, self._plan), until, markets)
                self._compare(reference, part, at, "future", how)

    def _chosen(self, tapes: Mapping[str, Tape]) -> list[int]:
        """The instants whose future is replaced: ends, those around corrections and gaps, and others by the seed."""
        instants = _instants(tapes, self._plan)
        if self._sample is None or self._sample >= len(instants):
            return [int(each) for each in instants]
        wanted = [len(instants) - 1, 0]
        odd: list[int] = []
        for tape in tapes.values():
            for track in tape.tracks:
                line = track.timeline
                again = line.recorded_at[1:][line.ts[1:] == line.ts[:-1]] + self._latency
                last = np.flatnonzero(np.append(line.ts[1:] != line.ts[:-1], len(line.ts) > 0))
                gaps = line.clocks(last).session_gaps(tape.session, int(instants[-1])) if len(last) else []
                edges = np.unique(np.concatenate([again, np.array(gaps, np.int64).ravel()]))
                at = np.searchsorted(instants, edges[(edges > instants[0]) & (edges <= instants[-1])])
                odd += np.unique(np.concatenate([at - 1, at])).tolist()
        half = self._sample // 2
        wanted += odd if len(odd) <= half else [odd[i] for i in np.linspace(0, len(odd) - 1, half).round().astype(int)]
        chance = np.random.default_rng([self._plan.seed, int(instants[0]) // 10**6])
        order = dict.fromkeys([*wanted, *chance.permutation(len(instants)).tolist()])
        return sorted(int(instants[i]) for i in list(order)[: self._sample])

    def _compare(self, reference: Part, part: Part, until: int | None, kind: str, how: str) -> bool:
        """Whether a part recorded and logged what the reference did, up to an instant; the first difference is kept."""
        last = until is None or until == to_us(_close(reference))
        change = _difference(*_as_said(reference, part, None if last else until))
        if part.error is not None:
            change = (_clock(part.error["at"]), "error", "none", part.error["message"])
        if change is None:
            return True
        at, name, before, after = change
        cut = None if until is None else moment_text(until)[11:]
        finding = Finding(kind, reference.date.isoformat(), at, how, cut, name, before, after)
        self._findings.setdefault((kind, how), finding)
        return False

    def _touched(self, kind: str, what: str, ctx: Context) -> None:
        session, at = ctx.session.date.isoformat(), f"{ctx.now:%H:%M:%S}"
        if kind == "read" and self._read_at == (session, at):
            return  # what a read does within itself, or once more
        if kind == "read":
            self._read_at = session, at
        if kind == "write":
            self._notes.setdefault(what, f"{session} {at} writes {what}")
        else:
            self._findings.setdefault((kind, what), Finding(kind, session, at, what))


def _close(part: Part) -> dt.datetime:
    from replay.sessions import find_session

    session = find_session(part.date)
    assert session is not None, "only sessions are replayed"
    return session.close


def _instants(tapes: Mapping[str, Tape], plan: Plan) -> np.ndarray[Any, np.dtype[np.int64]]:
    return clock(next(iter(tapes.values())).session, plan.step)


def _copied(carried: Carried, plan: Plan) -> Carried:
    """What is carried into a session, to be used more than once."""
    if not plan.strategy.carries_state:
        return Carried()
    try:
        return Carried(copy.deepcopy(carried.instance), copy.deepcopy(carried.state))
    except Exception as error:
        raise InvalidRun(
            f"strategy {plan.strategy.name} carries what cannot be copied ({type(error).__name__}: {error}); "
            "keep plain values in ctx.state"
        ) from error


def _as_said(a: Part, b: Part, until: int | None) -> tuple[Said, Said]:
    """What two parts said, as values of the same types: rows after the instant widen a field of those before it."""
    tables = [a.table, b.table]
    with contextlib.suppress(InvalidRecord):  # of kinds that no type holds both: that is a difference
        tables = list(conformed(tables, common_schema(table.schema for table in tables)))
    return _said(a, tables[0], until), _said(b, tables[1], until)


def _said(part: Part, table: Any, until: int | None) -> Said:
    """Everything a part recorded and logged up to an instant: New York time, and the fields that are not null."""
    rows = table.to_pylist()
    said = [(row["at"], {name: value for name, value in row.items() if value is not None}) for row in rows]
    said.extend(
        (dt.datetime.fromisoformat(line["at"]).replace(tzinfo=NEW_YORK), {"log": line["message"]})
        for line in part.logged
    )
    if "ledger" in part.trading:
        sent = (row for row in part.trading["ledger"].to_pylist() if row["event"] in ("order", "cancel"))
        said.extend((row["at"], {row["event"]: f"{row['quantity']:+d} x ({row['legs']})"}) for row in sent)
    return [
        (f"{at:%H:%M:%S}", {k: v for k, v in fields.items() if k not in ("session", "at")})
        for at, fields in said
        if until is None or to_us(at) <= until
    ]


def _difference(
    before: list[tuple[str, dict[str, Any]]], after: list[tuple[str, dict[str, Any]]]
) -> tuple[str, str, str, str] | None:
    """The first thing said otherwise: when, which field, and both values as text."""
    for (at, old), (when, new) in zip(before, after, strict=False):
        if at != when:
            return min(at, when), "a record", at, when
        for name in dict.fromkeys((*old, *new)):
            if repr(old.get(name)) != repr(new.get(name)):
                return at, name, _short(old.get(name)), _short(new.get(name))
    if len(before) != len(after):
        at = (before if len(before) > len(after) else after)[min(len(before), len(after))][0]
        return at, "records", f"{len(before)} in all", f"{len(after)}"
    return None


def _short(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _clock(at: str) -> str:
    return f"{dt.datetime.fromisoformat(at):%H:%M:%S}"


def _raise_failure(part: Part) -> None:
    """Raise what ended a session as it is; an audit needs one that runs through."""
    error = part.error
    if error is None:
        return
    if isinstance(part.raised, GapFound):
        raise part.raised
    at = dt.datetime.fromisoformat(error["at"])
    said = f"session {part.date}, {at:%H:%M:%S}: {error['message']}"
    raise StrategyFailed(said, session=part.date, at=at, traceback=error["traceback"]) from part.raised
