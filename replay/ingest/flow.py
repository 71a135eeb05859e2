"""Signed prints as flow: what was traded between one snapshot and the next, strike by strike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from replay.exposure.chain import CONTRACT_SIZE
from replay.exposure.conventions import Conventions
from replay.exposure.greeks import greeks
from replay.ragged import Bools, Floats, Ints, Ragged, beside, concatenate, packed
from replay.sessions import MINUTE, Session
from replay.snapshots import Snapshots
from replay.storage.rows import with_flow

_SIDES: Final = ((True, "call_flow"), (False, "put_flow"))
_NEVER: Final = np.iinfo(np.int64).max
PROMPT: Final = MINUTE


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow of one session.

    ``rows`` are the stored rows that the prints reach, with their flow columns; ``after_last`` (N,) says which prints
    became known after the last snapshot, ``unlisted`` (N,) which are at strikes that their snapshot does not list.
    """

    rows: Snapshots
    after_last: Bools
    unlisted: Bools


def flow_of(
    prints: pl.DataFrame, stored: Snapshots, session: Session, conventions: Sequence[Conventions], *, seen: bool
) -> Flow:
    """What was traded since the snapshot before, for every stored row that the prints reach.

    A print counts at the first snapshot that is not before it became known, in every revision of it that lists its
    strike, and in those after them, which are given the strike. Prints reach as
    far as the first snapshot that is not before the last of them became known that took no more than :data:`PROMPT`
    above the usual; of what comes later than that nothing else is known.

    Parameters
    ----------
    prints
        N prints that expire with the session: ``ts`` and ``known`` (microseconds), ``strike``, ``call``, ``size`` and
        ``sign``.
    stored
        The session's stored rows, by ts and then recorded_at.
    conventions
        Of each stored row.
    seen
        Take a contract to have been traded 0 times only from its first print on, rather than from the open.
    """
    instants = np.unique(stored.ts[stored.has_strikes])
    known = prints["known"].to_numpy()
    at = np.searchsorted(instants, known)
    shown = at < len(instants)
    before = np.concatenate([[-_NEVER], instants[:-1]])[: len(instants)]
    lag = known - prints["ts"].to_numpy()
    prompt = known[lag <= (np.median(lag) if len(lag) else 0) + PROMPT]
    inside = before < prompt.max(initial=-_NEVER)
    reached = inside.copy()
    reached[at[shown]] = True
    kept_at = np.flatnonzero(stored.has_strikes & np.isin(stored.ts, instants[reached]))
    kept = stored.take(kept_at)
    grid = np.unique(np.concatenate([kept.lists["strike"].flat(), prints["strike"].to_numpy()]))
    place = np.searchsorted(grid, prints["strike"].to_numpy())
    instant = np.searchsorted(instants, kept.ts)
    signed: Floats = (prints["sign"].cast(pl.Float64) * prints["size"]).to_numpy()
    own = [conventions[i] for i in kept_at.tolist()]
    shape = (len(instants), len(grid))
    sums: dict[str, Floats] = {}
    for call, side in _SIDES:
        here = prints["call"].to_numpy() == call
        sums[side] = np.zeros(shape)
        np.add.at(sums[side], (at[here & shown], place[here & shown]), signed[here & shown])
    kept, row, cell = _with_strikes(kept, grid, instant, np.logical_or.reduce([each != 0 for each in sums.values()]))
    strikes = kept.lists["strike"]
    columns: dict[str, Floats] = {}
    for call, side in _SIDES:
        here, summed = prints["call"].to_numpy() == call, sums[side]
        printed = np.zeros(shape, np.bool_)
        printed[at[here & shown], place[here & shown]] = True
        first = np.full(len(grid), _NEVER if seen else -_NEVER)
        if seen:
            np.minimum.at(first, place[here], known[here])
        told = (inside[instant[row]] & (first[cell] <= kept.ts[row])) | printed[instant[row], cell]
        columns[side] = np.where(told, summed[instant[row], cell] + 0.0, np.nan)
    made = {name: packed(values, strikes) for name, values in columns.items()}
    made |= _worth(kept, columns, session, own)
    unlisted = np.zeros(len(known), np.bool_)
    unlisted[shown] = ~_listed(kept, instant, cell, shape)[at[shown], place[shown]]
    return Flow(Snapshots(kept.ts, kept.recorded_at, kept.spot, {"strike": strikes} | made), ~shown, unlisted)


def _with_strikes(kept: Snapshots, grid: Floats, instant: Ints, moved: Bools) -> tuple[Snapshots, Ints, Ints]:
    """The rows, by instant and then recorded_at, with strikes that ``moved`` (I, K) and a revision before them lists,
    and of which row and place of the grid each strike is.

    A correction of a chain keeps the flow of strikes that it is without; it is the same where the flow comes after it.
    """
    strikes = kept.lists["strike"]
    row, cell = np.repeat(np.arange(len(kept)), strikes.lengths), np.searchsorted(grid, strikes.flat())
    listed = np.zeros((len(kept), len(grid)), np.bool_)
    listed[row, cell] = True
    for i in (np.flatnonzero(np.diff(instant) == 0) + 1).tolist():
        listed[i] |= listed[i - 1] & moved[instant[i]]
    if listed.sum() == len(cell):
        return kept, row, cell
    laid = {}
    for name in ("call_iv", "put_iv"):
        values = np.full(listed.shape, np.nan)
        values[row, cell] = beside(kept.lists[name], strikes)
        laid[name] = values[listed]
    row, cell = np.nonzero(listed)
    lengths = listed.sum(axis=1)
    wide = Ragged(grid[cell], np.cumsum(lengths) - lengths, lengths, strikes.known)
    lists = {"strike": wide} | {name: packed(values, wide) for name, values in laid.items()}
    return Snapshots(kept.ts, kept.recorded_at, kept.spot, lists), row, cell


def _listed(kept: Snapshots, instant: Ints, cell: Ints, shape: tuple[int, int]) -> Bools:
    """Which strikes of the grid the newest revision of each instant lists."""
    listed = np.zeros(shape, np.bool_)
    newest = np.ones(len(kept), np.bool_)
    newest[:-1] = instant[1:] != instant[:-1]
    last = np.repeat(newest, kept.lists["strike"].lengths)
    listed[np.repeat(instant, kept.lists["strike"].lengths)[last], cell[last]] = True
    return listed


def keep_flow(rows: Snapshots, before: Snapshots, session: Session, conventions: Conventions) -> Snapshots:
    """Corrections that know no flow (R) with the contracts traded up to the revision before each, worth anew.

    A strike with flow is listed, also where the correction leaves it out. Where the revision before knows USD and no
    contracts, as a capture does, the USD stay.
    """
    found = with_flow(rows, before)
    strikes = found.lists["strike"]
    sides = {side: beside(found.lists[side], strikes) for _, side in _SIDES}
    worth = _worth(found, sides, session, [conventions] * len(found))
    contracts = np.any([found.lists[side].known for _, side in _SIDES], axis=0)
    both = np.where(contracts, np.arange(len(found)), np.arange(len(found)) + len(found))
    kept = {name: concatenate([column, found.lists[name]]).take(both) for name, column in worth.items()}
    return replace(found, lists=found.lists | kept)


def _worth(
    rows: Snapshots, sides: Mapping[str, Floats], session: Session, conventions: Sequence[Conventions]
) -> dict[str, Ragged]:
    """``signed_flow`` and ``gamma_flow`` of contracts traded at each strike of each row (C,), NaN for not known.

    A contract is worth delta 100 S USD of delta and gamma 100 S^2 0.01 a percent, by the row's own vol, spot and time
    left. Where a vol is not known, the contracts are and the USD are not. Where one side of a strike is not known, the
    total is the other's, as in sums over time.
    """
    strikes = rows.lists["strike"]
    listed, row = strikes.flat(), np.repeat(np.arange(len(rows)), strikes.lengths)
    totals = {name: np.zeros(len(row)) for name in ("signed_flow", "gamma_flow")}
    told = np.zeros(len(row), np.bool_)
    for call, side in _SIDES:
        flow = np.nan_to_num(sides[side])
        told |= ~np.isnan(sides[side])
        vol = beside(rows.lists["call_iv" if call else "put_iv"], strikes)
        traded = np.flatnonzero(flow)
        for each in dict.fromkeys(conventions):
            same = np.array([other == each for other in conventions], np.bool_)
            at = traded[same[row[traded]]]
            spot, years = rows.spot[row[at]], each.years(session, rows.ts[row[at]])
            risk = greeks(spot, listed[at], years, vol[at], call, each.rate, each.dividend)
            shares = flow[at] * CONTRACT_SIZE * spot
            totals["signed_flow"][at] += shares * risk.delta
            totals["gamma_flow"][at] += shares * risk.gamma * spot * 0.01
    return {name: packed(np.where(told, total + 0.0, np.nan), strikes) for name, total in totals.items()}
