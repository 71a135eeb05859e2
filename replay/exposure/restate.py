"""Stored snapshots said otherwise: on effective open interest, or under other conventions."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np

from replay.errors import InvalidConventions, InvalidOpenInterest
from replay.exposure.conventions import LIVE, Conventions, known_conventions
from replay.ragged import Floats, Ragged, align
from replay.sessions import Session
from replay.snapshots import Clocks, Snapshots

SETTLED: Final = "settled"
EFFECTIVE: Final = "effective"
BASES: Final = (SETTLED, EFFECTIVE)
COLUMNS: Final = ("call_oi", "put_oi", "call_iv", "put_iv", "call_flow", "put_flow")
"""What restating needs beside spot and strikes; the flows for effective open interest alone."""

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

    def apply(self, rows: Snapshots, clocks: Clocks, session: Session | None) -> Snapshots:
        """All visible rows of a session, with :data:`COLUMNS`, so stated: open interest and exposures.

        Each option's vol keeps its total variance: on another clock it is the vol that gives the same price there.
        An exposure that was not known, for want of a vol or of open interest, is not known after either.

        Raises
        ------
        InvalidConventions
            If the rows' files do not name one convention id that this engine knows.
        InvalidOpenInterest
            If effective open interest is asked for and no flow is stored.
        """
        if self.as_stored or not len(rows):
            return rows
        held = held_conventions(clocks)
        wanted = held if self.conventions is None else Conventions.parse(self.conventions)
        if session is None:
            raise InvalidConventions("exposures on a day without a session cannot be stated otherwise: it has no close")
        lists = dict(rows.lists)
        if self.basis == EFFECTIVE:
            lists |= effective_interest(rows, self.share)
        interest = dataclasses.replace(rows, lists=lists)
        if held == wanted and self.basis == SETTLED:
            return rows
        return restate(interest, session, held, wanted)


AS_STORED: Final = Restatement()


def held_conventions(clocks: Clocks) -> Conventions:
    """The conventions that visible rows' exposures were computed under.

    Raises :class:`~replay.errors.InvalidConventions` unless their files name one id that this engine knows.
    """
    named = sorted(str(each) for each in clocks.conventions)
    found = known_conventions(next(iter(clocks.conventions))) if len(clocks.conventions) == 1 else None
    if found is None:
        why = {LIVE: "whose formulas are not published", "None": "which name none"}
        told = " and ".join(f"{each!r}, {why[each]}" if each in why else repr(each) for each in named)
        raise InvalidConventions(
            f"exposures can be stated otherwise where one known id holds for all; here it is {told}"
        )
    return found


def effective_interest(rows: Snapshots, share: float) -> dict[str, Ragged]:
    """``call_oi`` and ``put_oi`` of visible rows, ascending, with the flow up to each added."""
    if not any(rows.lists[name].known.any() for name in ("call_flow", "put_flow")):
        raise InvalidOpenInterest(
            "effective open interest needs call_flow and put_flow, and the session stores neither"
        )
    strike = rows.lists["strike"]
    grid, flows = align(strike, [rows.lists["call_flow"], rows.lists["put_flow"]])
    found = {}
    for name, flow in zip(("call_oi", "put_oi"), flows, strict=True):
        so_far = np.cumsum(np.where(np.isnan(flow), 0.0, flow), axis=0)
        settled = rows.lists[name]
        places = [np.searchsorted(grid, strike.row(i)) for i in range(len(rows))]
        added = [share * so_far[i, at] if settled.known[i] else np.empty(0) for i, at in enumerate(places)]
        total = np.maximum(settled.flat() + np.concatenate([np.empty(0), *added]), 0.0)
        found[name] = _packed(total, settled)
    return found


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
