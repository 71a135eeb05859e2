"""The bodies of one ``as_of`` together: the rows with which a lake gives all of them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from replay.contract import FLOW_METRICS
from replay.heatmap import columns_of, combine
from replay.ingest.bodies import Body
from replay.ingest.differences import undone
from replay.ingest.revisions import Revisions, Row
from replay.ragged import Bools, Floats, Ints
from replay.sessions import iso_utc

_ULPS: Final = 8
"""How many floats to either side of a sum or difference the one is looked for that gives it exactly."""


def rows_of(bodies: Sequence[Body], revisions: Revisions) -> dict[int, Row]:
    """The rows, by ts, that must come for the bodies to be given back; those that say nothing new are left out.

    Parameters
    ----------
    bodies
        With bars, of one ``as_of`` and tier.
    revisions
        What the lake shows at that moment.

    Raises
    ------
    InputError
        If two bodies contradict each other, or a level cannot be told from its changes.
    """
    return _Moment(bodies, revisions).rows()


@dataclass(slots=True)
class _Said:
    """What the bodies say of one metric: ``values`` (B, K) where ``told`` (B, K), and ``shown`` (B, K) by the lake."""

    values: Floats
    told: Bools
    shown: Floats


class _Moment:
    """B minutes that have a bar in any body, and K strikes that are in any grid."""

    def __init__(self, bodies: Sequence[Body], revisions: Revisions) -> None:
        self._bodies, self._revisions = bodies, revisions
        self._as_of = bodies[0].as_of
        self._strikes = np.unique(np.concatenate([body.strikes for body in bodies]))
        self._bars = np.unique(np.concatenate([body.minutes for body in bodies]))
        self._stored = [revisions.minute(int(t)) for t in self._bars]
        self._at = [revisions.at(int(t)) for t in self._bars]
        self._places = [
            (np.searchsorted(self._bars, body.minutes), np.searchsorted(self._strikes, body.strikes)) for body in bodies
        ]
        self._spot = self._spots()
        self._said = {metric: self._say(metric) for metric in dict.fromkeys(body.metric for body in bodies)}
        self._listed = self._list()
        changes = [said.told & ~_same(said.values, said.shown) for said in self._said.values()]
        self._changed = np.logical_or.reduce(changes).any(axis=1)

    def rows(self) -> dict[int, Row]:
        """Those that are new or change."""
        found = {}
        for i in range(len(self._bars)):
            row = self._row(i)
            if row is not None:
                found[row.ts] = row
        return found

    def _of(self, metric: str) -> Iterator[tuple[Body, Ints, Ints]]:
        """The bodies of a metric with the places of their bars and strikes: raw ones first, then the shorter ones."""
        own = [(body, *places) for body, places in zip(self._bodies, self._places, strict=True)]
        own.sort(key=lambda each: (_is_delta(each[0]), -int(each[0].minutes[0])))
        yield from (each for each in own if each[0].metric == metric)

    def _spots(self) -> Floats:
        spot = np.full(len(self._bars), np.nan)
        for body, (bars, _) in zip(self._bodies, self._places, strict=True):
            wrong = np.flatnonzero(~np.isnan(spot[bars]) & (spot[bars] != body.spot))
            if len(wrong):
                i = int(wrong[0])
                t = int(body.minutes[i])
                other = next(each for each in self._bodies if t in each.minutes)
                body.origin.refuse(
                    f"spot of bar {iso_utc(t)} is {float(body.spot[i])!r}; it is {float(spot[bars][i])!r} in "
                    f"{other.origin}, of the same as_of"
                )
            spot[bars] = body.spot
        return spot

    def _say(self, metric: str) -> _Said:
        size = (len(self._bars), len(self._strikes))
        shown = np.array([_shown(rows, metric, self._strikes) for rows in self._stored]).reshape(size)
        said = _Said(np.full(size, np.nan), np.zeros(size, np.bool_), shown)
        done: list[Body] = []
        for body, bars, strikes in self._of(metric):
            cells = np.ix_(bars, strikes)
            told = np.ones(body.values.shape, np.bool_)
            values = body.values
            if _is_delta(body):
                values, told = undone(body, said.values[cells], said.told[cells], shown[cells])
            before = said.values[cells]
            wrong = np.argwhere(said.told[cells] & told & ~_same(before, values))
            if len(wrong):
                i, k = (int(each) for each in wrong[0])
                t, strike = int(body.minutes[i]), float(body.strikes[k])
                other = next(each for each in done if t in each.minutes and strike in each.strikes)
                body.origin.refuse(
                    f"{metric} of bar {iso_utc(t)}, strike {strike:g}, is {_told(values[i, k])}; it is "
                    f"{_told(before[i, k])} in {other.origin}, of the same as_of"
                )
            said.values[cells] = np.where(told, values, before)
            said.told[cells] |= told
            done.append(body)
        return said

    def _list(self) -> Bools:
        """Which strikes (B, K) the row of each bar lists, so that the bodies' grids come back."""
        allowed = np.ones((len(self._bars), len(self._strikes)), np.bool_)
        for bars, strikes in self._places:
            inside = np.zeros(len(self._strikes), np.bool_)
            inside[strikes] = True
            allowed[bars] &= inside
        listed = np.zeros_like(allowed)
        for said in self._said.values():
            listed |= said.told & ~np.isnan(said.values)
        wrong = np.argwhere(listed & ~allowed)
        if len(wrong):
            self._refuse(int(wrong[0][0]), int(wrong[0][1]))
        summed = np.zeros_like(allowed)
        for i, rows in enumerate(self._stored):
            for row in rows:
                on = np.isin(self._strikes, [] if row.strike is None else row.strike)
                summed[i] |= on
                if row is rows[-1]:
                    listed[i] |= on & allowed[i]
        for body, (bars, strikes) in sorted(
            zip(self._bodies, self._places, strict=True), key=lambda each: -int(each[0].minutes[0])
        ):  # the shortest window first: what it lists is in the longer ones too
            seen = listed | summed if body.metric in FLOW_METRICS else listed
            for k in strikes[~seen[np.ix_(bars, strikes)].any(axis=0)].tolist():
                can = bars[allowed[bars, k]]
                if not len(can):
                    self._refuse(int(bars[-1]), k)
                listed[can[0], k] = True  # which no shorter window shows, also of bodies that came before
        return listed

    def _refuse(self, i: int, k: int) -> None:
        """Refuse two bodies of which one has a strike and the other, which shows the bar as well, has it not."""
        t, strike = int(self._bars[i]), self._strikes[k]
        there = [body for body in self._bodies if t in body.minutes]
        one = next(body for body in there if strike in body.strikes)
        other = next(body for body in there if strike not in body.strikes)
        one.origin.refuse(
            f"strikes_grid has {strike:g}, and bar {iso_utc(t)} is to list it; {other.origin}, of the same as_of, has "
            "that bar without the strike: one row cannot give back both"
        )

    def _row(self, i: int) -> Row | None:
        """The row of a bar; ``None`` where the lake shows it as it is to be."""
        rows = self._stored[i]
        old = rows[-1] if rows else None
        on = self._listed[i]
        grid = self._strikes[on]
        same = old is not None and old.strike is not None and np.array_equal(old.strike, grid)
        if old is not None and same and old.spot == self._spot[i] and not self._changed[i]:
            return None
        lists = {} if old is None else {name: old.on(name, grid) for name in old.lists}
        for metric, said in self._said.items():
            if said.told[i].any() or not len(grid):
                change = (said.told[i] & ~_same(said.values[i], said.shown[i]))[on]
                self._set(lists, metric, said.values[i][on], change, rows[:-1], grid)
        ts = int(self._bars[i]) if old is None else old.ts
        row = Row(ts, self._as_of, float(self._spot[i]), grid, lists)
        stored = self._revisions.stored(ts, self._as_of)
        if stored is not None:  # what a lake holds of these clocks stays; if that cannot be, the check says so
            row = row.merged(stored)
        return None if old is not None and row.same(old) else row

    @staticmethod
    def _set(
        lists: dict[str, Floats], metric: str, values: Floats, change: Bools, earlier: Sequence[Row], grid: Floats
    ) -> None:
        """Have the columns of a row give a metric's values where they are to change."""
        nothing = np.full(len(grid), np.nan)
        if metric in FLOW_METRICS and earlier:
            values = _summand(_shown(earlier, metric, grid), values)
        lists[metric] = np.where(change, values, lists.get(metric, nothing))
        if metric == "oi":
            sides = [name for name in columns_of(metric) if name != metric and name in lists]
            if len(sides) > 1:
                both = change & ~np.isnan(lists[sides[0]] + lists[sides[1]])  # a total is shown where not both are
                for name in sides:
                    lists[name] = np.where(both, np.nan, lists[name])


def _is_delta(body: Body) -> bool:
    """Whether the values are changes from bar to bar; those of a flow are what they are."""
    return body.mode == "delta" and body.metric not in FLOW_METRICS


def _same(a: Floats, b: Floats) -> Bools:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)), np.bool_)


def _told(value: float) -> str:
    return "null" if np.isnan(value) else repr(float(value))


def _shown(rows: Sequence[Row], metric: str, grid: Floats) -> Floats:
    """A metric of one minute's rows on a grid (K,): of the last, or summed for a flow."""
    if not rows:
        return np.full(len(grid), np.nan)
    if metric not in FLOW_METRICS:
        return combine(metric, [rows[-1].on(name, grid) for name in columns_of(metric)])
    total = np.full(len(grid), np.nan)
    for row in rows:
        added = row.on(metric, grid)
        total = np.where(np.isnan(added), total, np.where(np.isnan(total), 0.0, total) + added)
    return total


def _summand(partial: Floats, total: Floats) -> Floats:
    """What is to be added to partial sums (K,) for the totals, NaN counting as nothing."""
    found, near = total - partial, total - partial
    for x in _around(near):
        found = np.where((partial + found != total) & (partial + x == total), x, found)
    return np.where(np.isnan(partial), total, found)


def _around(values: Floats) -> Iterator[Floats]:
    """The values, and the floats next to them on both sides, the nearest first."""
    yield values
    below, above = values, values
    for _ in range(_ULPS):
        below, above = np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
        yield below
        yield above
