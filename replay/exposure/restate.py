"""Stored snapshots said otherwise: on effective open interest, or under other conventions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from replay.errors import InvalidConventions, InvalidOpenInterest
from replay.exposure.conventions import LIVE, Conventions, known_conventions
from replay.ragged import Bools, Floats, Ints, Ragged, align, beside, concatenate, nulls, packed, ragged
from replay.sessions import MINUTE, Session, iso_utc
from replay.snapshots import Snapshots, Timeline

SETTLED: Final = "settled"
EFFECTIVE: Final = "effective"
BASES: Final = (SETTLED, EFFECTIVE)
FLOWS: Final = ("call_flow", "put_flow")

_NEVER: Final = np.iinfo(np.int64).max
_EXPOSURES: Final = ("gex", "dex", "vex", "chex")
_VOLS: Final = ("call_iv", "put_iv")
_SIDES: Final = ("call_oi", "put_oi")
_INTEREST: Final = (*_SIDES, "oi")


@dataclasses.dataclass(frozen=True, slots=True)
class Restatement:
    """How stored snapshots are to be said.

    Attributes
    ----------
    basis
        ``settled``: the open interest as stored. ``effective``: with the session's signed flow so far added, a side
        and strike, max(0, settled + share * flow); flow that is not known adds nothing, and a total of which the sides
        are not known is not known either.
    share
        The part of signed volume that opens or closes contracts, 0 to 1.
    conventions
        The id to state exposures under; ``None``: that of each snapshot's own file.
    """

    basis: str = SETTLED
    share: float = 1.0
    conventions: str | None = None

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise InvalidOpenInterest(f"open interest {self.basis!r} is to be {' or '.join(BASES)}")
        share = self.share
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise InvalidOpenInterest(f"share {share!r} is to be a number from 0 to 1")
        if self.conventions is not None:
            Conventions.parse(self.conventions)

    @property
    def as_stored(self) -> bool:
        """Whether nothing is to be said otherwise."""
        return self.basis == SETTLED and self.conventions is None

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns that are said otherwise."""
        interest = _INTEREST if self.basis == EFFECTIVE else ()
        return () if self.as_stored else (*interest, *_EXPOSURES, *_VOLS)

    def needed(self, columns: Iterable[str]) -> tuple[str, ...]:
        """What is to be read of a snapshot for these columns of it; flow so far comes apart."""
        asked = dict.fromkeys(columns)
        if not self.as_stored and any(name in _EXPOSURES or name in _VOLS for name in asked):
            asked |= dict.fromkeys((*_EXPOSURES, *_VOLS, *_SIDES))
        if self.basis == EFFECTIVE and any(name in _INTEREST for name in asked):
            asked |= dict.fromkeys(_SIDES)
        return tuple(asked)

    def state(
        self, rows: Snapshots, so_far: FlowSoFar | None, ids: Sequence[str | None], session: Session | None
    ) -> Snapshots:
        """Snapshots so stated, with what they hold of the columns that are said otherwise.

        Each option's vol keeps its total variance: on another clock it is the vol that gives the same price there.
        An exposure that was not known, for want of a vol or of open interest, is not known after either.

        Parameters
        ----------
        rows
            R snapshots with what is :meth:`needed`.
        so_far
            Their flow so far, for effective open interest.
        ids
            The convention id that each one's file names (R).
        session
            Theirs; ``None`` on a day without one, where exposures cannot be stated.

        Raises
        ------
        InvalidConventions
            If a file names no convention id that this engine knows, or a snapshot stores exposures and not all that
            they come from.
        """
        interest: dict[str, Ragged] = {}
        if self.basis == EFFECTIVE and so_far is not None and _SIDES[0] in rows.lists:
            interest = _with_flow(rows, so_far, self.share)
            if "oi" in rows.lists:
                interest["oi"] = nulls(len(rows))
        if _EXPOSURES[0] in rows.lists and rows.has_strikes.any():
            rows = self._exposed(rows, interest, ids, session)
        return dataclasses.replace(rows, lists=rows.lists | interest)

    def _exposed(
        self, rows: Snapshots, interest: dict[str, Ragged], ids: Sequence[str | None], session: Session | None
    ) -> Snapshots:
        """The rows' exposures under the conventions that are wanted, each from those of its own file."""
        if session is None:
            raise InvalidConventions("exposures on a day without a session cannot be stated otherwise: it has no close")
        has_strikes = rows.has_strikes
        kinds = ["" if not listed else str(each) for each, listed in zip(ids, has_strikes.tolist(), strict=True)]
        order, parts = [], []
        for kind in dict.fromkeys(kinds):
            at = np.array([i for i, each in enumerate(kinds) if each == kind], np.int64)
            part = rows.take(at)
            if kind:
                held = held_conventions(kind)
                wanted = held if self.conventions is None else Conventions.parse(self.conventions)
                if held != wanted or interest:
                    own = {name: column.take(at) for name, column in interest.items()}
                    part = _restated(part, own, session, held, wanted)
            order.append(at)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        back = np.argsort(np.concatenate(order))
        lists = {name: concatenate([part.lists[name] for part in parts]).take(back) for name in rows.lists}
        return dataclasses.replace(rows, lists=lists)


AS_STORED: Final = Restatement()


def held_conventions(named: str | None) -> Conventions:
    """The conventions that a file's exposures were computed under.

    Raises :class:`~replay.errors.InvalidConventions` unless the file names ones that this engine knows.
    """
    found = known_conventions(named)
    if found is None:
        why = {LIVE: "'live', whose formulas are not published", "None": "not named"}
        told = why.get(str(named), repr(named))
        raise InvalidConventions(f"exposures can be stated otherwise where theirs is a known id; here it is {told}")
    return found


def no_flow() -> InvalidOpenInterest:
    """That a session stores nothing to make effective open interest from."""
    return InvalidOpenInterest(
        "effective open interest needs call_flow and put_flow, and the session stores neither; "
        "`replay ingest trades` adds them"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class FlowSoFar:
    """The signed flow of calls and puts (2, R, K) at the strikes (K,), from the open up to each of R snapshots."""

    grid: Floats
    totals: Floats

    def take(self, rows: Ints) -> FlowSoFar:
        """Those of these snapshots."""
        return FlowSoFar(self.grid, self.totals[:, rows])


def flow_so_far(rows: Snapshots) -> FlowSoFar:
    """The flow up to each of a session's visible snapshots, all of them and with :data:`FLOWS`."""
    grid, flows = _flows(rows)
    return FlowSoFar(grid, _running(flows, rows.ts))


def knows_flow(rows: Snapshots) -> bool:
    """Whether any of these snapshots knows the flow of a side."""
    return any(bool(rows.lists[name].known.any()) for name in FLOWS)


class FlowHistory:
    """The flow of all N stored rows of a session, and how what is known of it so far changes.

    A flow that is recorded late, or corrected, changes the effective open interest of the snapshots after it: each is
    stated anew from that ``recorded_at`` on. So at any (as_of, known_at) what is visible of :attr:`timeline` is what
    the rows visible then come to.

    Attributes
    ----------
    timeline
        M rows: the stored ones, and each again wherever a flow that became known later changes it.
    source
        Of which stored row each is made (M,).
    """

    def __init__(self, stored: Timeline, rows: Snapshots) -> None:
        self._stored = stored
        self._grid, self._flows = _flows(rows)
        ever = np.flatnonzero(stored.superseded_at > stored.recorded_at)
        order = ever[np.argsort(stored.recorded_at[ever], kind="stable")]
        self._moments, self._reached = stored.recorded_at[order], stored.ts[order]
        self.source, known = self._revised(order)
        ts = stored.ts[self.source]
        ends = np.full(len(ts), _NEVER, np.int64)
        ends[:-1] = np.where(ts[1:] == ts[:-1], known[1:], _NEVER)
        file = stored.file[self.source]
        self.timeline = Timeline(stored.tier, ts, known, ends, file, stored.cadences, stored.conventions)

    def _revised(self, order: Ints) -> tuple[Ints, Ints]:
        """Of which row each revision is made, and from when on it is known, by (ts, known)."""
        line = self._stored
        instants, instant = np.unique(line.ts, return_inverse=True)
        visible = np.full(len(instants), -1, np.int64)
        sources, moments = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        starts = np.flatnonzero(np.diff(self._moments)) + 1
        for group in np.split(order, starts) if len(order) else ():
            at = instant[group]
            before = np.where(visible[at] >= 0, self._flows[:, visible[at]].transpose(2, 0, 1), 0.0)
            moved = (self._flows[:, group].transpose(2, 0, 1) != before).any(axis=(0, 1))
            visible[at] = group
            touched = visible[at]
            if moved.any():
                first = int(at[moved].min())
                later = visible[first:]
                touched = np.union1d(touched, later[later >= 0])
            sources.append(touched)
            moments.append(np.full(len(touched), line.recorded_at[group[0]]))
        source, known = np.concatenate(sources), np.concatenate(moments)
        by_time = np.lexsort((known, line.ts[source]))
        return source[by_time], known[by_time]

    def so_far(self, positions: Ints) -> FlowSoFar:
        """The flow up to each of these rows of the timeline, as it was known when they were."""
        ts, known = self.timeline.ts[positions], self.timeline.recorded_at[positions]
        totals = np.zeros((2, len(positions), len(self._grid)))
        left = np.arange(len(positions))
        while len(left):
            moment = int(known[left].max())
            last = int(np.searchsorted(self._moments, moment, side="right"))
            earliest = np.full(last + 1, _NEVER, np.int64)  # touched by what became known from each place on
            earliest[:last] = np.minimum.accumulate(self._reached[:last][::-1])[::-1]
            alike = earliest[np.searchsorted(self._moments, known[left], side="right")] > ts[left]
            at = left[alike]  # nothing up to their ts has changed until the moment: one sum serves them
            seen = self._stored.visible(int(ts[at].max()), moment)
            sums = _running(self._flows[:, seen], self._stored.ts[seen])
            totals[:, at] = sums[:, np.searchsorted(self._stored.ts[seen], ts[at])]
            left = left[~alike]
        return FlowSoFar(self._grid, totals)


def _flows(rows: Snapshots) -> tuple[Floats, Floats]:
    """The strikes of all rows (K,), and each row's flow of calls and puts (2, R, K), 0 where not known or infinite."""
    grid, flows = align(rows.lists["strike"], [rows.lists[name] for name in FLOWS])
    return grid, np.stack([np.where(np.isfinite(flow), flow, 0.0) for flow in flows])


def _running(flows: Floats, ts: Ints) -> Floats:
    """Running sums over R rows of (2, R, K), minute by minute: in that order rows thinned to minutes give them too."""
    starts = np.flatnonzero(np.diff(ts // MINUTE, prepend=-1))
    if len(starts) == len(ts):
        return np.cumsum(flows, axis=1)
    sums = np.concatenate([np.cumsum(part, axis=1) for part in np.split(flows, starts[1:], axis=1)], axis=1)
    ends = np.append(starts[1:], len(ts))
    before = np.zeros((len(flows), len(starts), flows.shape[2]))
    before[:, 1:] = np.cumsum(sums[:, ends[:-1] - 1], axis=1)
    return sums + np.repeat(before, ends - starts, axis=1)


def _with_flow(rows: Snapshots, so_far: FlowSoFar, share: float) -> dict[str, Ragged]:
    """``call_oi`` and ``put_oi`` with the flow so far of each added."""
    strike = rows.lists["strike"]
    places = [np.searchsorted(so_far.grid, strike.row(i)) for i in range(len(rows))]
    found = {}
    # a strike that is no number is in no grid, and has no flow
    totals = np.append(so_far.totals, np.zeros((*so_far.totals.shape[:2], 1)), axis=2)
    for name, flow in zip(_SIDES, totals, strict=True):
        settled = rows.lists[name]
        found[name] = ragged(
            [
                np.maximum(settled.row(i) + share * flow[i, place], 0.0) if settled.known[i] else None
                for i, place in enumerate(places)
            ]
        )
    return found


def _restated(
    rows: Snapshots, interest: dict[str, Ragged], session: Session, held: Conventions, wanted: Conventions
) -> Snapshots:
    """gex, dex, vex, chex of rows from their vols and open interest, under other conventions; vols on their clock.

    ``interest`` takes the place of the stored one.
    """
    from replay.exposure.chain import exposures_at

    strike = rows.lists["strike"]
    count = strike.lengths
    spots, strikes = np.repeat(rows.spot, count), strike.flat()
    years = np.repeat(wanted.years(session, rows.ts), count)
    scale = np.sqrt(np.repeat(held.years(session, rows.ts), count) / years)
    vols, totals = {}, [np.zeros(len(strikes))] * len(_EXPOSURES)
    lacking = np.zeros(len(strikes), np.bool_)
    for side, call in (("call", True), ("put", False)):
        vol, settled = beside(rows.lists[f"{side}_iv"], strike), beside(rows.lists[f"{side}_oi"], strike)
        lacking |= np.isnan(settled) | ((settled != 0) & (np.isnan(vol) | ~np.isfinite(spots)))
        if held.clock != wanted.clock or held.floor != wanted.floor:
            vol = vol * scale
        vols[f"{side}_iv"] = packed(vol, strike)
        counted = beside(interest.get(f"{side}_oi", rows.lists[f"{side}_oi"]), strike)
        found = exposures_at(spots, strikes, years, vol, np.full(len(vol), call), counted, wanted)
        totals = [total + each for total, each in zip(totals, found, strict=True)]
    _check_sources(rows, lacking)
    exposures = {name: packed(total, strike) for name, total in zip(_EXPOSURES, totals, strict=True)}
    return dataclasses.replace(rows, lists=rows.lists | vols | exposures)


def _check_sources(rows: Snapshots, lacking: Bools) -> None:
    """Raise where an exposure is stored and what it comes from is ``lacking``: it would be lost without a word."""
    strike = rows.lists["strike"]
    stored = np.zeros(len(lacking), np.bool_)
    for name in _EXPOSURES:
        stored |= np.isfinite(beside(rows.lists[name], strike))
    lost = np.flatnonzero(stored & lacking)
    if len(lost):
        at = int(np.searchsorted(np.cumsum(strike.lengths), lost[0], side="right"))
        raise InvalidConventions(
            f"the snapshot of {iso_utc(int(rows.ts[at]))} stores exposures at strike {strike.flat()[lost[0]]:g}, but "
            "not the spot, call_iv, put_iv, call_oi and put_oi that they come from; they can only be shown as stored"
        )
