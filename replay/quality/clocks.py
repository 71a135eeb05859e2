"""Checks of when things were sampled and known, and of what was stored more than once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from replay.quality.day import EXAMPLES, EXPOSURES, FLOWS, QUOTES, VOLUMES, Day, Fingerprint, content_digests
from replay.quality.kinds import BY_ID
from replay.quality.report import Check, Example, not_made
from replay.ragged import Bools, Floats
from replay.sessions import MINUTE, SECOND, session_date

JITTER: Final = 0.9
"""A stretch of so many cadences counts as one: sources do not keep time to the second."""
SAME_SHARE: Final = 0.9
SAME_CELLS: Final = 10
"""A snapshot is the previous session's if of so many cells, or more, that are not 0 this share is the same."""


def gaps(day: Day) -> Check:
    """Stretches longer than two cadences without a snapshot, a late start and an early end among them."""
    spans = day.gaps()
    inside = day.clocks.ts
    measures = {"longest_minutes": max((end - start for start, end in spans), default=0) / MINUTE}
    if len(inside):
        measures |= {
            "late_start_minutes": (int(inside[0]) - day.opens) / MINUTE,
            "early_end_minutes": (day.closes - int(inside[-1])) / MINUTE,
        }
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:EXAMPLES]
    examples = tuple(
        Example(start, until=end, values={"minutes": round((end - start) / MINUTE, 1)}) for start, end in longest
    )
    minutes = sum(end - start for start, end in spans) / MINUTE
    return Check(BY_ID["gaps"], minutes, day.session.minutes, minutes, measures, examples, tuple(spans))


def lags(day: Day) -> list[Check]:
    """Late, early, in bulk, and at once: what ``recorded_at`` of each instant's first row says."""
    if not len(day):
        return [not_made(each, "no snapshot from open to close") for each in ("late", "skew", "bulk", "instant")]
    lag = day.clocks.first_recorded_at - day.clocks.ts
    _, which, counts = np.unique(day.clocks.first_recorded_at, return_inverse=True, return_counts=True)
    shared = counts[which] > 1
    median = float(np.median(lag[~shared])) if (~shared).any() else float(np.median(lag))
    tolerance = max(day.step, MINUTE)
    late, early = ~shared & (lag > median + tolerance), ~shared & (lag < median - tolerance)
    seconds = lag / SECOND
    told = {"median_seconds": median / SECOND, "longest_seconds": float(seconds.max())}
    return [
        replace(day.snapshots("late", late, len(day), lag, seconds_of_lag=seconds), measures=told),
        replace(
            day.snapshots("skew", early, len(day), median - lag, seconds_of_lag=seconds),
            measures={"drift_seconds": _drift(seconds)},
        ),
        replace(day.snapshots("bulk", shared, len(day), counts[which]), measures={"most_at_once": float(counts.max())}),
        day.snapshots("instant", lag == 0, len(day), np.zeros(len(day))),
    ]


def _drift(lag: Floats) -> float:
    """How much longer the median lag of the last third is than that of the first; 0 of less than three snapshots."""
    third = len(lag) // 3
    return round(float(np.median(lag[-third:]) - np.median(lag[:third])), 6) if third else 0.0


def revisions(day: Day) -> list[Check]:
    """Rows of an instant recorded later than another of it: what says the same again, and what corrects it."""
    line = day.timeline
    rows, same = day.again
    later = line.recorded_at[rows] > line.recorded_at[rows - 1]
    found = []
    for check_id, chosen in (("repeated", rows[later & same]), ("revised", rows[later & ~same])):
        waits = (line.recorded_at[chosen] - line.recorded_at[chosen - 1]) / SECOND
        order = chosen[np.argsort(-waits, kind="stable")[:EXAMPLES]]
        examples = tuple(
            Example(
                int(line.ts[i]),
                int(line.recorded_at[i]),
                values={"seconds_later": int(line.recorded_at[i] - line.recorded_at[i - 1]) / SECOND},
            )
            for i in order.tolist()
        )
        options = float(sum(_options_in(day, i) for i in chosen.tolist()))
        found.append(
            Check(
                BY_ID[check_id],
                len(chosen),
                len(line.ts),
                len(chosen) if BY_ID[check_id].cap else 0,
                {"options": options},
                examples,
                day.spans(np.isin(day.clocks.ts, line.ts[chosen])),
                f"{options:,.0f} options in them" if options else "",
            )
        )
    return found


def _options_in(day: Day, row: int) -> int:
    """How many options a stored row lists."""
    total = 0
    for side in ("call", "put"):
        known = [
            ~np.isnan(column.row(row))
            for name in ("bid", "ask", "iv", "volume", "oi")
            if (column := day.rows.lists[f"{side}_{name}"]).known[row]
        ]
        total += int(np.logical_or.reduce(known).sum()) if known else 0
    return total


def unchanged(day: Day) -> Check:
    """Runs of snapshots with the same strikes, quotes, volumes and flow; without quotes and volumes, exposures."""
    held: list[str] = [name for name in (*QUOTES, *VOLUMES) if name in day.matrices]
    held = held or [name for name in EXPOSURES if name in day.matrices]
    if not held:
        return not_made("unchanged", "quotes, volumes and exposures are not stored")
    held += [name for name in FLOWS if name in day.matrices]
    rows = np.flatnonzero(day.with_strikes)
    same = (day.listed[rows[1:]] == day.listed[rows[:-1]]).all(axis=1)
    for name in held:
        values = day.matrices[name]
        after, before = values[rows[1:]], values[rows[:-1]]
        same &= ((after == before) | (np.isnan(after) & np.isnan(before))).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    ts = day.clocks.ts
    shortest = max(JITTER * 2 * day.step, MINUTE)
    mask = np.zeros(len(day), np.bool_)
    runs = []
    for first, last in zip(rows[edges[::2]].tolist(), rows[edges[1::2]].tolist(), strict=True):
        if ts[last] - ts[first] >= shortest:
            mask[first + 1 : last + 1] = True
            runs.append((int(ts[first]), int(ts[last])))
    mask &= day.with_strikes
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:EXAMPLES]
    examples = tuple(
        Example(start, until=end, values={"minutes": round((end - start) / MINUTE, 2)}) for start, end in longest
    )
    found = int(mask.sum())
    return Check(BY_ID["unchanged"], found, len(rows), found, {}, examples, tuple(runs))


def previous_session(day: Day, before: Fingerprint | None) -> Check:
    """Snapshots that equal one of the session before, or its last one in nearly every cell."""
    if before is None:
        return not_made("previous_session", "no earlier session to compare with")
    columns = [name for name in before.columns if name in day.matrices]
    if not columns or not before.digests:
        return not_made("previous_session", f"nothing stored to compare with {before.date}")
    carried = _like_the_last(day, before, columns)
    exact = np.zeros(len(day), np.bool_)
    if len(columns) == len(before.columns):
        exact[:] = [digest is not None and digest in before.digests for digest in content_digests(day, columns)]
    mask = carried | exact
    first = np.arange(len(day), 0, -1)
    return replace(
        day.snapshots("previous_session", mask, int(day.with_strikes.sum()), first),
        measures={"exact_snapshots": float(exact.sum()), "like_the_last_snapshots": float(carried.sum())},
        note=f"compared with {before.date}" if mask.any() else "",
    )


def _like_the_last(day: Day, before: Fingerprint, columns: list[str]) -> Bools:
    """Snapshots (R,) of whose cells that are not 0 :data:`SAME_SHARE` are as in the last of the session before."""
    _, mine, theirs = np.intersect1d(day.grid, before.grid, assume_unique=True, return_indices=True)
    told, same = np.zeros(len(day), np.int64), np.zeros(len(day), np.int64)
    for name in columns:
        now, then = day.matrices[name][:, mine], before.last[name][theirs]
        with np.errstate(invalid="ignore"):
            known = ~np.isnan(now) & ~np.isnan(then) & ((now != 0) | (then != 0))
        told += known.sum(axis=1)
        same += (known & (now == then)).sum(axis=1)
    return (told >= SAME_CELLS) & (same >= SAME_SHARE * told)


def legacy(day: Day) -> Check:
    """Snapshots whose list of strikes is null."""
    strikes = day.rows.lists["strike"].known[day.visible]
    return day.snapshots("legacy", ~strikes, len(day), np.zeros(len(day)))


def outside(day: Day) -> Check:
    """Snapshots before the open or after the close."""
    clocks = day.all_clocks
    where = np.flatnonzero((clocks.ts < day.opens) | (clocks.ts > day.closes))
    examples = tuple(Example(int(clocks.ts[i]), int(clocks.recorded_at[i])) for i in where[:EXAMPLES])
    return Check(BY_ID["outside"], len(where), len(clocks), examples=examples)


def unsound(day: Day) -> Check:
    """Stored rows that make no sense, or contradict another with the same two clocks."""
    line, strike = day.timeline, day.rows.lists["strike"]
    owner = np.repeat(np.arange(len(strike)), strike.lengths)
    values = strike.flat()
    unordered = ~np.isfinite(values)
    unordered[1:] |= (owner[1:] == owner[:-1]) & ~(values[1:] > values[:-1])
    spot = day.rows.spot
    rows, same = day.again
    contradicting = np.zeros(len(line.ts), np.bool_)
    contradicting[rows[~same & (line.recorded_at[rows] == line.recorded_at[rows - 1])]] = True
    faults = {
        "known_before_ts_rows": line.recorded_at < line.ts,
        "off_date_rows": np.array([session_date(int(us)) != day.session.date for us in line.ts], np.bool_),
        "no_spot_rows": ~(np.isfinite(spot) & (spot > 0)),
        "strikes_out_of_order_rows": np.bincount(owner[unordered], minlength=len(strike)).astype(np.bool_),
        "contradicting_rows": contradicting,
    }
    wrong = np.logical_or.reduce(list(faults.values()))
    measures = {name: float(mask.sum()) for name, mask in faults.items()}
    examples = tuple(Example(int(line.ts[i]), int(line.recorded_at[i])) for i in np.flatnonzero(wrong)[:EXAMPLES])
    affected = np.isin(day.clocks.ts, line.ts[wrong])
    told = [f"{count:.0f} {name.removesuffix('_rows').replace('_', ' ')}" for name, count in measures.items() if count]
    found = int(wrong.sum())
    return Check(BY_ID["unsound"], found, len(wrong), found, measures, examples, day.spans(affected), ", ".join(told))
