"""Captures of the live endpoint into snapshots, such that each captured request is answered as it was."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from replay import heatmap, schema
from replay.contract import MINUTES_MIN, MODES, TIERS, is_symbol, normalise_symbol
from replay.errors import InputError
from replay.exposure.conventions import LIVE
from replay.heatmap import Heatmap
from replay.ingest.bodies import Body, SessionBodies, parse, read_body, read_file
from replay.ingest.moment import TOGETHER, rows_of
from replay.ingest.revisions import Revisions, Row, snapshots
from replay.sessions import MINUTE, floor_minute, iso_utc
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

SOURCE: Final = "heatmap:live"
METADATA: Final = schema.metadata(source=SOURCE, conventions=LIVE, cadence_us=MINUTE)


@dataclass(slots=True)
class CaptureReport:
    """What an ingest did.

    ``bodies`` counts by metric; ``repeated`` those that say what another of the same request says, ``empty`` those
    without bars, ``gaps`` the gap intervals and ``unknown`` by name the fields that are not kept. ``left_out`` says of
    each body that was left out why. ``sessions`` has the rows that are the first of their bar, those that correct an
    earlier one, and those stored before that say more now; ``aged_out`` the bodies left out of a session whose raw was
    removed.
    """

    symbol: str
    files: int
    bodies: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    empty: int = 0
    gaps: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    sessions: dict[dt.date, Written] = field(default_factory=dict)
    aged_out: dict[dt.date, int] = field(default_factory=dict)


@dataclass(slots=True)
class Written:
    """Rows written of a session."""

    new: int = 0
    corrections: int = 0
    filled: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.corrections + self.filled

    def add(self, other: Written) -> None:
        """Count those of another write."""
        self.new += other.new
        self.corrections += other.corrections
        self.filled += other.filled


def ingest_captures(
    files: Sequence[str | os.PathLike[str]],
    lake: str | os.PathLike[str],
    symbol: str,
    *,
    leave_out: bool = False,
    allow_mixed: bool = False,
    filesystem: Any | None = None,
) -> CaptureReport:
    """Put captured bodies of the live endpoint into a lake.

    Parameters
    ----------
    files
        JSON, one body a file or one a line, plain or gzip; of any metric, mode, window and session, in any order.
    lake
        Where to write; it comes into being if there is none. On ``filesystem`` (fsspec) if one is given.
    symbol
        Whose bodies they are.
    leave_out
        Leave out, and name in the report, what is no body, and bodies that contradict what came before them such that
        not all could be given back.
    allow_mixed
        Let the symbol hold exposures under other conventions beside live's.

    Raises
    ------
    InputError
        If a file cannot be read or holds what is no body; nothing is written then. If the bodies of a session
        contradict each other, or the lake, such that one of them could not be given back; nothing of that session
        is written then, sessions before it by date have been written whole.
    MixedConventions
        If the lake holds the symbol's exposures under other conventions.
    """
    name = normalise_symbol(symbol)
    if not is_symbol(name):
        raise InputError(f"symbol {symbol!r} is none; it is 1 to 15 letters, digits, dots or dashes, such as SPY")
    report = CaptureReport(name, len(files))
    with SessionBodies() as bodies:
        for file in files:
            for origin, text in read_file(pathlib.Path(file)):
                try:
                    body = read_body(parse(text, origin), origin, name)
                except InputError as error:
                    if not leave_out:
                        raise
                    report.left_out.append(error.message)
                    continue
                bodies.add(body, text)
                report.bodies[body.metric] += 1
                report.empty += not len(body.minutes)
                report.gaps += body.gaps
                report.unknown.update(body.unknown)
        with LakeWriter(lake, filesystem, allow_mixed=allow_mixed) as writer:
            for date in bodies.dates():
                if writer.is_aged_out(Partition(TIERS[0], name, date)):
                    report.aged_out[date] = sum(len(group) for group in bodies.moments(date, name))
                    continue
                session = CapturedSession(writer, name, date)
                for group in bodies.moments(date, name):
                    if leave_out:
                        report.repeated += len(group) - len(group := distinct(group))
                        report.left_out += [error.message for _, error in session.take_each(group)]
                    else:
                        report.repeated += session.take(group)
                report.sessions[date] = session.flush()
    return report


def distinct(group: Sequence[Body]) -> list[Body]:
    """The bodies of one ``as_of`` without those that say what another one says."""
    found: list[Body] = []
    for body in group:
        if not any(body.repeats(other) for other in found):
            found.append(body)
    return found


class CapturedSession:
    """One session of a lake as captures see it: bodies in, and rows out that give them back.

    The lake's rows are read once. What :meth:`take` makes is in memory until :meth:`flush`.
    """

    def __init__(self, writer: LakeWriter, symbol: str, date: dt.date) -> None:
        self._writer, self._symbol, self._date = writer, symbol, date
        self._tiers = {tier: Revisions(writer, Partition(tier, symbol, date)) for tier in TIERS}
        self._columns: set[str] = set()
        self._hint = f"; {TOGETHER}" if any(each.has_captures for each in self._tiers.values()) else ""
        self._counts = Written()

    def take(self, group: Sequence[Body]) -> int:
        """Make the rows of all bodies of one ``as_of``; returns how many of them repeat another.

        Raises
        ------
        InputError
            If they could not all be given back; what was taken before stays as it was.
        """
        bodies = distinct(group)
        made = self._made(bodies)
        for tier, revisions in self._tiers.items():
            for row in made[tier].values():
                before = revisions.at(row.ts)
                if before is None:
                    self._counts.new += 1
                elif before.recorded_at < row.recorded_at:
                    self._counts.corrections += 1
            revisions.put(made[tier].values())
        return len(group) - len(bodies)

    def take_each(self, group: Sequence[Body]) -> list[tuple[Body, InputError]]:
        """As :meth:`take`, but leaves out what cannot be given back beside the bodies before it; returns it, and why.

        Bodies of mode ``raw`` come before those of ``delta``.
        """
        try:
            self.take(group)
        except InputError:
            taken: list[Body] = []
            left: list[tuple[Body, InputError]] = []
            for body in sorted(group, key=lambda body: MODES.index(body.mode)):
                try:
                    self._made([*taken, body])
                except InputError as error:
                    left.append((body, error))
                else:
                    taken.append(body)
            if taken:
                self.take(taken)
            return left
        return []

    def flush(self) -> Written:
        """Write what was made since the last time."""
        done, self._counts = self._counts, Written()
        rows = sum(revisions.flush(self._writer, METADATA, self._columns) for revisions in self._tiers.values())
        done.filled = max(0, rows - done.new - done.corrections)
        return done

    def _made(self, bodies: Sequence[Body]) -> dict[str, dict[int, Row]]:
        """The rows by tier and ts that must come for all bodies of one ``as_of`` to be given back."""
        as_of = bodies[0].as_of
        self._columns.update(body.metric for body in bodies)
        for revisions in self._tiers.values():
            revisions.advance(as_of, self._columns)
        made: dict[str, dict[int, Row]] = {}
        for tier, revisions in self._tiers.items():
            there = [body for body in bodies if body.tier == tier and len(body.minutes)]
            made[tier] = rows_of(there, revisions) if there else {}
        for body in bodies:
            self._check(body, made)
        return made

    def _check(self, body: Body, made: dict[str, dict[int, Row]]) -> None:
        """Refuse a body that the lake, with the rows that are made, would not give back."""
        empty = not len(body.minutes)
        # how far a body without bars looked back is not known: at least a minute
        since = floor_minute(body.as_of) - MINUTES_MIN * MINUTE if empty else body.since
        tier = next((tier for tier in TIERS if self._tiers[tier].window(0, body.as_of, made[tier])), TIERS[0])
        rows = self._tiers[tier].window(since, body.as_of, made[tier])
        shown = [row for row in rows if row.strike is not None]
        if empty:
            if shown:
                body.origin.refuse(f"has no bars; the lake shows one at {iso_utc(floor_minute(shown[0].ts))} then")
            return
        if tier != body.tier:
            body.origin.refuse(f"cannot be given back: tier_used is {body.tier}, and the lake has {tier} rows then")
        window = snapshots(shown, heatmap.columns_of(body.metric))
        found = heatmap.build(
            window, symbol=self._symbol, expiration=self._date, metric=body.metric, mode=body.mode,
            as_of=body.as_of, known_at=body.as_of, tier_used=tier,
        )  # fmt: skip
        difference = _difference(body, found)
        if difference:
            body.origin.refuse(f"cannot be given back: {difference}{self._hint}")


def _difference(body: Body, found: Heatmap) -> str:
    """The first field in which the lake's answer would differ; empty if there is none."""
    more = np.setdiff1d(found.minutes, body.minutes)
    if len(more):
        return f"it has no bar at {iso_utc(int(more[0]))}, and the lake shows one"
    more = np.setdiff1d(found.strikes, body.strikes)
    if len(more):
        return f"strikes_grid lacks {more[0]:g}, which the lake lists"
    lost = np.setdiff1d(body.strikes, found.strikes)
    if len(lost):
        return f"strikes_grid has {lost[0]:g}, which no row of the lake can list"
    for name, own, others in (("spot", body.spot, found.spot), ("values", body.values, found.values)):
        wrong = np.argwhere(~((own == others) | (np.isnan(own) & np.isnan(others))))
        if len(wrong):
            at = tuple(int(each) for each in wrong[0])
            cell = f"bars[{at[0]}].{name}" + (f"[{at[1]}], strike {body.strikes[at[1]]:g}," if at[1:] else "")
            return f"{cell} is {_told(own[at])}, and the lake would show {_told(others[at])}"
    return ""


def _told(value: float) -> str:
    return "null" if np.isnan(value) else repr(float(value))
