"""Checks of what stands in the chain: quotes, parity, vols, volume, open interest and the strikes listed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from replay.quality.day import EXAMPLES, FLOWS, Day
from replay.quality.kinds import BY_ID
from replay.quality.report import Check, Example, not_made
from replay.ragged import Bools, Floats, Ints

NEAR: Final = 7
"""The forward is the median over so many strikes whose calls and puts are nearest each other, ..."""
FEWEST: Final = 3
"""... and not known from fewer."""
LEAST_TOLERANCE: Final = 0.05
PARITY_TOLERANCE: Final = 1e-4
SPOT_TOLERANCE: Final = 2e-4
"""USD, and parts of spot. Interest of a day is about 1e-4 of spot, which early exercise and dividends do not pass, as
the expiring option is exercised on the day itself; spot and quotes of a good source are a second apart."""
LOCKED_SHARE: Final = 0.01
"""Locked quotes are scored where they are more of all than this."""
WIDE_USD: Final = 0.05
WIDE_SHARE: Final = 0.1
VOL_GRID: Final = 1e-4
"""Vendors give vols to so much; one that is finer was solved by the ingest, if most are on this grid."""

_NO_QUOTES: Final = "quotes are not stored"


@dataclass(frozen=True)
class Forward:
    """What calls and puts imply of the underlying: ``price`` and ``tolerance`` (R,), NaN where too few strikes tell.

    ``low`` and ``high`` (R, K) are where a strike would buy and sell it: call bid - put ask + K, and call ask - put
    bid + K; not known where a quote lacks its ask or is crossed. ``near`` (R, K) are the strikes that told the price.
    """

    price: Floats
    half_spread: Floats
    low: Floats
    high: Floats
    near: Bools


def forward_of(day: Day) -> Forward | None:
    """The forward of each snapshot; ``None`` where no quotes are stored.

    The price is the median of call mid - put mid + K over the :data:`NEAR` strikes where call and put, each with bid
    and ask, are nearest each other: put-call parity without interest, and without any say of the stored spot.
    """
    if day.quotes is None:
        return None
    (call_bid, put_bid), (call_ask, put_ask) = day.quotes
    usable = (call_ask > 0) & (put_ask > 0) & (call_bid <= call_ask) & (put_bid <= put_ask)
    low = np.where(usable, call_bid - put_ask + day.grid, np.nan)
    high = np.where(usable, call_ask - put_bid + day.grid, np.nan)
    apart = (call_bid + call_ask - put_bid - put_ask) / 2
    distance = np.where(usable & (call_bid > 0) & (put_bid > 0), np.abs(apart), np.inf)
    count = min(NEAR, len(day.grid))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    told = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    implied = np.where(told, np.take_along_axis(apart + day.grid, nearest, axis=1), np.nan)
    half = np.where(told, np.take_along_axis((high - low) / 2, nearest, axis=1), np.nan)
    enough = told.sum(axis=1) >= FEWEST
    price, half_spread = np.full(len(day), np.nan), np.full(len(day), np.nan)
    if enough.any():
        price[enough] = np.nanmedian(implied[enough], axis=1)
        half_spread[enough] = np.nanmedian(half[enough], axis=1)
    near = np.zeros(usable.shape, np.bool_)
    np.put_along_axis(near, nearest, told, axis=1)
    return Forward(price, half_spread, low, high, near)


def quotes(day: Day) -> list[Check]:
    """Quotes that lack a side or both, that cross or lock, and that are wide where it matters."""
    ids = ("no_quote", "one_sided", "crossed", "locked", "wide")
    forward = forward_of(day)
    if day.quotes is None or forward is None:
        return [not_made(each, _NO_QUOTES) for each in ids]
    bid, ask = day.quotes
    has_bid, has_ask = bid > 0, ask > 0
    any_side, two = has_bid | has_ask, has_bid & has_ask
    listed = int(day.options.sum())
    tolerance = _tolerance(day.spot, SPOT_TOLERANCE)[:, None]
    faulty = (has_bid & ~has_ask) | (has_ask & ~has_bid & (day.intrinsic > tolerance))
    spread, mid = ask - bid, (bid + ask) / 2
    near = two & forward.near & (spread >= 0)
    wide = near & (spread > WIDE_USD) & (spread > WIDE_SHARE * mid)
    found = [
        day.cells("no_quote", day.options & ~any_side, listed, np.nan_to_num(day.intrinsic)),
        day.scored_cells(
            "one_sided", has_bid ^ has_ask, faulty, int(any_side.sum()), np.nan_to_num(day.intrinsic), bid=bid, ask=ask
        ),
        day.cells("crossed", two & (bid > ask), int(two.sum()), spread, bid=bid, ask=ask),
        _locked(day, two & (bid == ask), int(two.sum()), mid),
        day.scored_cells("wide", wide, np.zeros_like(wide), int(near.sum()), spread, bid=bid, ask=ask),
    ]
    if near.any():
        relative = float(np.median(spread[near] / mid[near]))
        measures = {"median_spread_usd": round(float(np.median(spread[near])), 6), "median_relative": relative}
        found[4] = replace(found[4], measures=measures)
    return found


def _locked(day: Day, locked: Bools, of: int, price: Floats) -> Check:
    check = day.cells("locked", locked, of, price, price=price)
    return check if locked.sum() > LOCKED_SHARE * of else replace(check, scored=0)


def parity(day: Day) -> list[Check]:
    """Strikes that disagree with the others on the forward, and snapshots whose spot does."""
    forward = forward_of(day)
    if forward is None:
        return [not_made(each, _NO_QUOTES) for each in ("parity", "spot_parity")]
    known = ~np.isnan(forward.price)
    if not known.any():
        why = f"no snapshot has {FEWEST} strikes with bid and ask of call and put"
        return [not_made(each, why) for each in ("parity", "spot_parity")]
    price = forward.price[:, None]
    beyond = np.fmax(forward.low - price, price - forward.high)
    tested = ~np.isnan(beyond)
    limit = (_tolerance(forward.price, PARITY_TOLERANCE) + forward.half_spread)[:, None]
    outside = tested & (np.nan_to_num(beyond) > limit)
    strikes = day.cells(
        "parity", outside, int(tested.sum()), np.nan_to_num(beyond),
        low=forward.low, high=forward.high, forward=np.broadcast_to(price, outside.shape),
    )  # fmt: skip
    return [strikes, _spot_parity(day, forward)]


def _spot_parity(day: Day, forward: Forward) -> Check:
    away = day.spot - forward.price
    tested = ~np.isnan(away)
    if not tested.any():
        return not_made("spot_parity", "spot is not known where the quotes tell a forward")
    off = np.nan_to_num(away)
    mask = tested & (np.abs(off) > _tolerance(day.spot, SPOT_TOLERANCE) + forward.half_spread)
    check = day.snapshots("spot_parity", mask, int(tested.sum()), off, spot=day.spot, forward=forward.price)
    size = np.abs(away[tested])
    bp = size / day.spot[tested] * 1e4
    measures = {
        "median_usd": round(float(np.median(size)), 6),
        "largest_usd": round(float(size.max()), 6),
        "median_bp": round(float(np.median(bp)), 6),
        "largest_bp": round(float(bp.max()), 6),
    }
    return replace(check, measures=measures)


def _tolerance(price: Floats, part: float) -> Floats:
    return np.maximum(LEAST_TOLERANCE, part * price)


def vols(day: Day) -> list[Check]:
    """Vols at the limit 0, and options without one."""
    vol = day.both("iv")
    if vol is None:
        return [not_made(each, "vols are not stored") for each in ("zero_vol", "unknown_vol")]
    known = ~np.isnan(vol)
    zero = vol == 0
    scored, size = np.zeros_like(zero), np.zeros(vol.shape)
    if day.quotes is not None:
        bid, ask = day.quotes
        size = np.nan_to_num((bid + ask) / 2 - day.intrinsic)
        scored = zero & (bid > 0) & (ask >= bid) & (size > _tolerance(day.spot, SPOT_TOLERANCE)[:, None])
    zeros = day.scored_cells("zero_vol", zero, scored, int(known.sum()), size)
    positive = vol[vol > 0]
    fine = np.abs(positive / VOL_GRID - np.round(positive / VOL_GRID)) > 1e-6
    solved = int(fine.sum()) if len(positive) and fine.mean() < 0.5 else 0
    if solved:
        share = (solved + int(zero.sum())) / int(known.sum())
        note = f"{solved:,} more solved by the ingest, so the source had none of {share:.1%}"
        zeros = replace(zeros, note=note, measures={"solved_options": float(solved), "share_without_source_vol": share})
    listed = day.options
    missing = day.cells("unknown_vol", listed & ~known, int(listed.sum()), np.zeros(vol.shape))
    return [zeros, missing]


def exposures(day: Day) -> Check:
    """Listed strikes whose gex is not known."""
    gex = day.matrices.get("gex")
    if gex is None:
        return not_made("unknown_exposure", "gex is not stored")
    return day.cells("unknown_exposure", day.listed & np.isnan(gex), int(day.listed.sum()), np.zeros(gex.shape))


def volumes(day: Day) -> Check:
    """Cumulative volume below the last that was known of the option."""
    volume = day.both("volume")
    if volume is None:
        return not_made("volume_falls", "volumes are not stored")
    before, steps = _last_known(volume)
    fall = np.where(steps, np.nan_to_num(before - volume), 0.0)
    return day.cells("volume_falls", fall > 0, int(steps.sum()), fall, before=before, after=volume)


def open_interest(day: Day) -> Check:
    """Options whose open interest differs from the last that was known of them."""
    interest = day.both("oi")
    if interest is None and "oi" in day.matrices:
        total = day.matrices["oi"]
        interest = np.stack([total, np.full(total.shape, np.nan)])
    if interest is None:
        return not_made("oi_moves", "open interest is not stored")
    before, steps = _last_known(interest)
    change = np.where(steps, np.nan_to_num(interest - before), 0.0)
    moves = change != 0
    check = day.cells(
        "oi_moves", moves, int((~np.isnan(interest)).any(axis=1).sum()), change, before=before, after=interest
    )
    options = int(moves.any(axis=1).sum())
    return replace(check, number=options, scored=options, measures={"changes": float(moves.sum())})


def _last_known(values: Floats) -> tuple[Floats, Bools]:
    """For each cell (2, R, K) the value last known before it, and where there is one to compare with."""
    known = ~np.isnan(values)
    place: Ints = np.where(known, np.arange(values.shape[1])[None, :, None], -1)
    last = np.maximum.accumulate(place, axis=1)
    earlier = np.concatenate([np.full_like(last[:, :1], -1), last[:, :-1]], axis=1)
    before = np.take_along_axis(values, np.maximum(earlier, 0), axis=1)
    return before, known & (earlier >= 0)


def flow(day: Day) -> Check:
    """Snapshots that know no flow, after one that does and before one that does."""
    columns = [day.matrices[name] for name in FLOWS if name in day.matrices]
    if not columns:
        return not_made("flow_holes", "flow is not stored")
    rows = np.flatnonzero(day.with_strikes)
    told = np.any([~np.isnan(column[rows]).all(axis=1) for column in columns], axis=0)
    inside = np.maximum.accumulate(told) & np.maximum.accumulate(told[::-1])[::-1]
    holes = np.zeros(len(day), np.bool_)
    holes[rows] = inside & ~told
    return day.snapshots("flow_holes", holes, int(inside.sum()), np.zeros(len(day)))


def strikes(day: Day) -> list[Check]:
    """Strikes that come and go at the edges of the window, and those left out inside it."""
    rows = np.flatnonzero(day.with_strikes)
    ids = ("strikes_come_and_go", "strike_holes")
    if not len(rows):
        return [not_made(each, "strikes are not stored") for each in ids]
    listed = day.listed[rows]
    partly = ~listed.all(axis=0)
    came, went = int((~listed[:-1] & listed[1:]).sum()), int((listed[:-1] & ~listed[1:]).sum())
    lowest = day.grid[listed.argmax(axis=1)]
    highest = day.grid[::-1][listed[:, ::-1].argmax(axis=1)]
    middle = (lowest + highest) / 2
    measures = {"came": float(came), "went": float(went), "drift_usd": float(middle.max() - middle.min())}
    again = (np.diff(listed.astype(np.int8), axis=0) != 0).sum(axis=0)
    examples = tuple(
        Example(strike=float(day.grid[k]), values={"changes": float(again[k])})
        for k in np.argsort(-again, kind="stable")[:EXAMPLES]
        if again[k] > 1
    )
    note = f"{came:,} came and {went:,} went, the window drifts {measures['drift_usd']:g} USD" if partly.any() else ""
    moved = np.zeros(len(day), np.bool_)
    moved[rows[1:]] = (listed[1:] != listed[:-1]).any(axis=1)
    drift = Check(BY_ID[ids[0]], int(partly.sum()), len(day.grid), 0, measures, examples, day.spans(moved), note)
    return [drift, _holes(day, rows, listed)]


def _holes(day: Day, rows: Ints, listed: Bools) -> Check:
    """Cells not listed between listed ones both in time and in strike."""

    def between(axis: int) -> Bools:
        before = np.maximum.accumulate(listed, axis=axis)
        after = np.flip(np.maximum.accumulate(np.flip(listed, axis), axis=axis), axis)
        return np.asarray(before & after, np.bool_)

    inside = between(0) & between(1)
    holes = np.zeros(day.listed.shape, np.bool_)
    holes[rows] = inside & ~listed
    return day.cells("strike_holes", holes, int(inside.sum()), np.zeros(holes.shape))
