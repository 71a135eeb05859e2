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
from replay.ingest.revisions import Revisions, Row, laid
from replay.ragged import Bools, Floats, Ints
from replay.sessions import iso_utc
from replay.storage.rows import FLOWS

TOGETHER: Final = "give all captures of a session in one command"
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
        self._places = [
            (np.searchsorted(self._bars, body.minutes), np.searchsorted(self._strikes, body.strikes)) for body in bodies
        ]
        self._spot = self._spots()
        self._said = {metric: self._say(metric) for metric in dict.fromkeys(body.metric for body in bodies)}
        self._changes = {metric: said.told & ~_same(said.values, said.shown) for metric, said in self._said.items()}
        self._changed = np.logical_or.reduce([*self._changes.values()]).any(axis=1)
        self._sealed = np.array([self._is_sealed(rows[-1]) if rows else False for rows in self._stored], np.bool_)
        self._listed, early = self._list()
        flows = [change for metric, change in self._changes.items() if metric in FLOW_METRICS]
        self._early = early & np.logical_or.reduce([~self._staying(), *flows])

    def rows(self) -> dict[int, Row]:
        """Those that are new or change."""
        found = {}
        for i in range(len(self._bars)):
            for row in self._split(i) if self._early[i].any() or self._is_outdone(i) else self._row(i):
                found[row.ts] = row
        return found

    def _is_sealed(self, row: Row) -> bool:
        """Whether a row is known as of this very moment, so that what it says cannot be taken back."""
        return self._revisions.stored(row.ts, self._as_of) is not None

    def _staying(self) -> Bools:
        """Which strikes (B, K) rows that stay list before the last of their minute, or as sealed."""
        return np.array(
            [
                np.isin(self._strikes, _strikes_of(rows if sealed else rows[:-1]))
                for rows, sealed in zip(self._stored, self._sealed, strict=True)
            ]
        ).reshape(len(self._bars), len(self._strikes))

    def _is_outdone(self, i: int) -> bool:
        """Whether the last row of a bar is sealed and says what its bodies do not, such as what it carried forward."""
        rows = self._stored[i]
        held = self._revisions.stored(rows[-1].ts, self._as_of) if rows else None
        if held is None:
            return False
        if held.spot != self._spot[i] or not np.isin(_strikes_of([held]), self._strikes[self._listed[i]]).all():
            return True
        return any(
            (self._changes[metric][i] & ~np.isnan(held.on(name, self._strikes))).any()
            for metric in self._said
            for name in columns_of(metric)
        )

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

    def _allowed(self, *, flow: bool) -> Bools:
        """Which strikes (B, K) all bodies of levels, or of flows, that show a bar have."""
        allowed = np.ones((len(self._bars), len(self._strikes)), np.bool_)
        for body, (bars, strikes) in zip(self._bodies, self._places, strict=True):
            if (body.metric in FLOW_METRICS) == flow:
                allowed[bars] &= np.isin(np.arange(len(self._strikes)), strikes)
        return allowed

    def _list(self) -> tuple[Bools, Bools]:
        """Which strikes (B, K) the last row of each bar lists, and which an earlier one, so that the grids come back.

        Levels are shown of a minute's last row, and flows are summed over all of them: a strike that flows show and
        levels do not is listed by an earlier one.
        """
        levels, flows = (self._allowed(flow=flow) for flow in (False, True))
        allowed = levels & flows
        listed, traded = np.zeros_like(allowed), np.zeros_like(allowed)
        for metric, said in self._said.items():
            known = said.told & ~np.isnan(said.values)
            if metric in FLOW_METRICS:
                traded |= known
            else:
                listed |= known
        for wrong in (np.argwhere(listed & ~allowed), np.argwhere(traded & ~flows)):
            if len(wrong):
                self._refuse(int(wrong[0][0]), int(wrong[0][1]))
        last, staying = np.zeros_like(allowed), self._staying()
        for i, rows in enumerate(self._stored):
            last[i] = np.isin(self._strikes, _strikes_of(rows[-1:]))
        listed |= last & allowed
        # beside levels of this moment that came before, a strike is listed where none of their windows is without it
        later = np.logical_or.accumulate(listed[::-1], axis=0)[::-1]
        sealed = np.array([bool(rows) and _knows_levels(rows[-1]) for rows in self._stored], np.bool_) & self._sealed
        room = levels & (later | ~sealed[:, None]) & (last | ~staying)
        listed |= traded & room
        early = traded & ~room
        for body, (bars, strikes) in sorted(
            zip(self._bodies, self._places, strict=True), key=lambda each: -int(each[0].minutes[0])
        ):  # the shortest window first: what it lists is in the longer ones too
            flow = body.metric in FLOW_METRICS
            seen = listed | early | staying if flow else listed
            for k in strikes[~seen[np.ix_(bars, strikes)].any(axis=0)].tolist():
                can, before = bars[allowed[bars, k]], bars[flows[bars, k]]
                if len(can):
                    listed[can[0], k] = True  # which no shorter window shows, also of bodies that came before
                elif flow and len(before):
                    early[before[0], k] = True
                else:
                    self._refuse(int(bars[-1]), k)
        return listed, early

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

    def _row(self, i: int) -> Iterator[Row]:
        """The row of a bar; none where the lake shows it as it is to be."""
        rows = self._stored[i]
        old = rows[-1] if rows else None
        on = self._listed[i]
        grid = self._strikes[on]
        same = old is not None and old.strike is not None and np.array_equal(old.strike, grid)
        if old is not None and same and old.spot == self._spot[i] and not self._changed[i]:
            return
        lists = {} if old is None else {name: old.on(name, grid) for name in old.lists}
        for metric, said in self._said.items():
            if said.told[i].any() or not len(grid):
                change = self._changes[metric][i][on]
                self._set(lists, metric, said.values[i][on], change, rows[:-1], grid)
        ts = int(self._bars[i]) if old is None else old.ts
        row = Row(ts, self._as_of, float(self._spot[i]), grid, lists)
        stored = self._revisions.stored(ts, self._as_of)
        if stored is not None:  # what a lake holds of these clocks stays; if that cannot be, the check says so
            row = row.merged(stored)
        if old is None or not row.same(old):
            yield row

    def _split(self, i: int) -> Iterator[Row]:
        """Two rows of a bar: of the flow at strikes that its levels are without, and its last."""
        rows = self._stored[i]
        old = rows[-1] if rows else None
        on = self._listed[i]
        grid = self._strikes[on]
        earlier = rows[:-1]
        stays = bool(self._sealed[i]) and self._is_outdone(i)
        if self._early[i].any():
            first = self._first(i)
            yield first
            stays |= old is not None and bool(self._sealed[i]) and first.ts == old.ts
            earlier = [first, *(row for row in earlier if row.ts != first.ts)]
        if stays and old is not None and all(row.ts != old.ts for row in earlier):
            earlier = [*earlier, old]
        ts = int(self._bars[i]) if old is None else old.ts
        if earlier and ts <= earlier[-1].ts:
            ts = earlier[-1].ts + 1
        if ts > self._as_of or self._revisions.is_revised(int(self._bars[i])):
            self._refuse_split(i)
        gone = FLOWS if stays else ()
        lists = {} if old is None else {name: old.on(name, grid) for name in old.lists if name not in gone}
        for metric, said in self._said.items():
            if metric not in FLOW_METRICS:
                change = self._changes[metric][i][on]
                self._set(lists, metric, said.values[i][on], change, [], grid)
        for metric in FLOW_METRICS:
            total = _shown(rows, metric, grid)
            if metric in self._said:
                flow = self._said[metric]
                total = np.where(flow.told[i][on], flow.values[i][on], total)
            partial = _shown(earlier, metric, grid)
            lists[metric] = np.where(_same(partial, total), np.nan, _summand(partial, total))
        row = Row(ts, self._as_of, float(self._spot[i]), grid, lists)
        held = self._revisions.stored(ts, self._as_of)
        yield row if held is None else row.merged(held)

    def _first(self, i: int) -> Row:
        """The first row of a minute, with the flow at strikes that its last one is not to list."""
        rows, early = self._stored[i], self._early[i]
        base = rows[0] if len(rows) > 1 else None
        ts = int(self._bars[i]) if base is None else base.ts
        grid = np.union1d(self._strikes[early], _strikes_of([] if base is None else [base]))
        lists = {} if base is None else {name: base.on(name, grid) for name in base.lists}
        for metric, said in self._said.items():
            if metric in FLOW_METRICS:
                told = np.isin(grid, self._strikes[early & said.told[i]])
                total = laid(self._strikes, said.values[i], grid)
                flow = _summand(_shown(rows[1:-1], metric, grid), total)
                lists[metric] = np.where(told, flow, lists.get(metric, np.full(len(grid), np.nan)))
        row = Row(ts, self._as_of, float(self._spot[i]) if base is None else base.spot, grid, lists)
        held = self._revisions.stored(ts, self._as_of)
        return row if held is None else row.merged(held)

    def _refuse_split(self, i: int) -> None:
        """Refuse bodies for which a second row of a minute would have to come, and cannot."""
        t = int(self._bars[i])
        body = next(each for each in self._bodies if t in each.minutes)
        body.origin.refuse(
            f"bar {iso_utc(t)} takes a second row, as its flows are at strikes that its levels are without, or a row "
            f"of the same as_of says otherwise; that goes neither at as_of itself nor before later captures; {TOGETHER}"
        )

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


def _strikes_of(rows: Sequence[Row]) -> Floats:
    """The strikes that any of these rows lists."""
    own = [row.strike for row in rows if row.strike is not None]
    return np.unique(np.concatenate(own)) if own else np.empty(0)


def _knows_levels(row: Row) -> bool:
    return any(name not in FLOWS for name in row.lists)


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
