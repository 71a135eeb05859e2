"""Stored snapshots said otherwise: on effective open interest, or under other conventions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Final

import numpy as np

from replay.errors import InvalidConventions, InvalidOpenInterest
from replay.exposure.conventions import LIVE, Conventions, known_conventions
from replay.ragged import Floats, Ints, Ragged, align, ragged
from replay.sessions import Session
from replay.snapshots import Snapshots, Timeline

SETTLED: Final = "settled"
EFFECTIVE: Final = "effective"
BASES: Final = (SETTLED, EFFECTIVE)
COLUMNS: Final = ("call_oi", "put_oi", "call_iv", "put_iv", "call_flow", "put_flow")
"""What restating needs beside spot and strikes; the flows for effective open interest alone."""

_NEVER: Final = np.iinfo(np.int64).max
_EXPOSURES: Final = ("gex", "dex", "vex", "chex")


@dataclasses.dataclass(frozen=True, slots=True)
class Restatement:
    """How stored snapshots are to be said.

    Attributes
    ----------
    basis
        ``settled``: the open interest as stored. ``effective``: with the session's signed flow so far added, a side
        and strike, max(0, settled + share * flow); flow that is not known adds nothing.
    share
        The part of signed volume that opens or closes contracts, 0 to 1.
    conventions
        The id to state exposures under; ``None``: that of the files.
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

    def apply(self, rows: Snapshots, held: Collection[str | None], session: Session | None) -> Snapshots:
        """All visible rows of a session, with :data:`COLUMNS`, so stated: open interest and exposures.

        Each option's vol keeps its total variance: on another clock it is the vol that gives the same price there.
        An exposure that was not known, for want of a vol or of open interest, is not known after either. ``held`` are
        the convention ids that the rows' files name.

        Raises
        ------
        InvalidConventions
            If the rows' files do not name one convention id that this engine knows.
        InvalidOpenInterest
            If effective open interest is asked for and no flow is stored.
        """
        if self.as_stored or not len(rows):
            return rows
        if self.basis == EFFECTIVE:
            grid, flows = _flows(rows)
            interest = _with_flow(rows, np.arange(len(rows)), grid, np.cumsum(flows, axis=1), self.share)
            rows = dataclasses.replace(rows, lists=rows.lists | interest)
        return self._exposed(rows, held, session)

    def apply_to_all(self, timeline: Timeline, rows: Snapshots, session: Session) -> tuple[Timeline, Snapshots, Ints]:
        """All stored rows of a timeline so stated, with a further revision wherever later knowledge changes one.

        A flow that is recorded late, or corrected, changes the effective open interest of the snapshots after it: each
        is stated anew from that ``recorded_at`` on. So at any (as_of, known_at) what is visible of the answer is what
        :meth:`apply` makes of the rows visible then.

        Returns the timeline of M rows, these with the columns that change, and of which row each is made (M,).
        """
        source = np.arange(len(rows))
        if not len(rows):
            return timeline, rows, source
        if self.basis == EFFECTIVE:
            timeline, rows, source = _revised(timeline, rows, self.share)
        held = {timeline.conventions[number] for number in np.unique(timeline.file).tolist()}
        return timeline, self._exposed(rows, held, session), source

    def _exposed(self, rows: Snapshots, held: Collection[str | None], session: Session | None) -> Snapshots:
        """The rows' exposures under the conventions that are wanted, from their open interest and vols."""
        own = held_conventions(held)
        wanted = own if self.conventions is None else Conventions.parse(self.conventions)
        if session is None:
            raise InvalidConventions("exposures on a day without a session cannot be stated otherwise: it has no close")
        if own == wanted and self.basis == SETTLED:
            return rows
        return restate(rows, session, own, wanted)


AS_STORED: Final = Restatement()


def held_conventions(held: Collection[str | None]) -> Conventions:
    """The conventions that exposures were computed under, of the ids that their files name.

    Raises :class:`~replay.errors.InvalidConventions` unless that is one id, and this engine knows it.
    """
    found = known_conventions(next(iter(held))) if len(held) == 1 else None
    if found is None:
        why = {LIVE: "whose formulas are not published", "None": "which name none"}
        named = sorted(str(each) for each in held)
        told = " and ".join(f"{each!r}, {why[each]}" if each in why else repr(each) for each in named)
        raise InvalidConventions(
            f"exposures can be stated otherwise where one known id holds for all; here it is {told}"
        )
    return found


def _flows(rows: Snapshots) -> tuple[Floats, Floats]:
    """The strikes of all rows (K,), and each row's flow of calls and puts (2, R, K), 0 where not known."""
    if not any(rows.lists[name].known.any() for name in ("call_flow", "put_flow")):
        raise InvalidOpenInterest(
            "effective open interest needs call_flow and put_flow, and the session stores neither"
        )
    grid, flows = align(rows.lists["strike"], [rows.lists["call_flow"], rows.lists["put_flow"]])
    return grid, np.stack([np.where(np.isnan(flow), 0.0, flow) for flow in flows])


def _with_flow(rows: Snapshots, source: Ints, grid: Floats, so_far: Floats, share: float) -> dict[str, Ragged]:
    """``call_oi`` and ``put_oi`` of the rows at ``source`` (M,), with the flow so far (2, M, K) of each added."""
    strike = rows.lists["strike"]
    places = [np.searchsorted(grid, strike.row(i)) for i in source.tolist()]
    found = {}
    for name, flow in zip(("call_oi", "put_oi"), so_far, strict=True):
        settled = rows.lists[name]
        found[name] = ragged(
            [
                np.maximum(settled.row(i) + share * flow[m, places[m]], 0.0) if settled.known[i] else None
                for m, i in enumerate(source.tolist())
            ]
        )
    return found


def _revised(timeline: Timeline, rows: Snapshots, share: float) -> tuple[Timeline, Snapshots, Ints]:
    """Stored rows on effective open interest, and again wherever a flow that became known later changes it."""
    grid, flows = _flows(rows)
    instants, instant = np.unique(timeline.ts, return_inverse=True)
    visible = np.full(len(instants), -1, np.int64)
    current, so_far = np.zeros((2, len(instants), len(grid))), np.zeros((2, len(instants), len(grid)))
    made: list[tuple[int, int, Floats]] = []  # of which row, known from when on, with which flow so far
    ever = np.flatnonzero(timeline.superseded_at > timeline.recorded_at)
    order = ever[np.argsort(timeline.recorded_at[ever], kind="stable")]
    moments, starts = np.unique(timeline.recorded_at[order], return_index=True)
    for moment, group in zip(moments.tolist(), np.split(order, starts[1:]), strict=True):
        at = instant[group]
        visible[at], current[:, at] = group, flows[:, group]
        first = int(at.min())
        before = so_far[:, first - 1 : first] if first else np.zeros((2, 1, len(grid)))
        now = np.cumsum(np.concatenate([before, current[:, first:]], axis=1), axis=1)[:, 1:]
        moved = (now != so_far[:, first:]).any(axis=(0, 2))
        moved[at - first] = True
        so_far[:, first:] = now
        changed = np.flatnonzero(moved & (visible[first:] >= 0)) + first
        made += [(int(visible[u]), moment, so_far[:, u].copy()) for u in changed.tolist()]
    made.sort(key=lambda each: (int(timeline.ts[each[0]]), each[1]))
    source, known = (np.array([each[i] for each in made], np.int64) for i in (0, 1))
    ts = timeline.ts[source]
    ends = np.full(len(source), _NEVER, np.int64)
    ends[:-1] = np.where(ts[1:] == ts[:-1], known[1:], _NEVER)
    revised = Timeline(timeline.tier, ts, known, ends, timeline.file[source], timeline.cadences, timeline.conventions)
    interest = _with_flow(rows, source, grid, np.stack([each[2] for each in made], axis=1), share)
    taken = rows.take(source)
    return revised, Snapshots(ts, known, taken.spot, taken.lists | interest), source


def restate(rows: Snapshots, session: Session, held: Conventions, wanted: Conventions) -> Snapshots:
    """gex, dex, vex, chex of rows from their vols and open interest, under other conventions; vols on their clock."""
    from replay.exposure.chain import exposures_at

    strike = rows.lists["strike"]
    count = strike.lengths
    spots, strikes = np.repeat(rows.spot, count), strike.flat()
    years = np.repeat(wanted.years(session, rows.ts), count)
    scale = np.sqrt(np.repeat(held.years(session, rows.ts), count) / years)
    vols, totals = {}, [np.zeros(len(strikes))] * len(_EXPOSURES)
    for side, call in (("call", True), ("put", False)):
        vol, interest = _flat(rows.lists[f"{side}_iv"], strike), _flat(rows.lists[f"{side}_oi"], strike)
        if held.clock != wanted.clock or held.floor != wanted.floor:
            vol = vol * scale
        vols[f"{side}_iv"] = _packed(vol, strike)
        found = exposures_at(spots, strikes, years, vol, np.full(len(vol), call), interest, wanted)
        totals = [total + each for total, each in zip(totals, found, strict=True)]
    exposures = {name: _packed(total, strike) for name, total in zip(_EXPOSURES, totals, strict=True)}
    return dataclasses.replace(rows, lists=rows.lists | vols | exposures)


def _flat(column: Ragged, strike: Ragged) -> Floats:
    """A column's values beside the strikes of all rows, row after row; NaN where the list is null."""
    laid = np.full(int(strike.lengths.sum()), math.nan)
    known = np.repeat(column.known, strike.lengths)
    laid[known] = column.flat()
    return laid


def _packed(values: Floats, like: Ragged) -> Ragged:
    """Values row after row as lists of the lengths of others, null where those are."""
    return Ragged(values, np.cumsum(like.lengths) - like.lengths, like.lengths, like.known)
