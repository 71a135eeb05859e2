"""One stored session laid out for the checks: its rows, and its snapshots as matrices over all strikes."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from replay.contract import TIERS
from replay.lake import Lake
from replay.quality.kinds import BY_ID
from replay.quality.report import Check, Example, Span
from replay.ragged import Bools, Floats, Ints, align
from replay.sessions import LATEST, MINUTE, Session, to_us
from replay.snapshots import Clocks, Snapshots, Timeline

QUOTES: Final = ("call_bid", "call_ask", "put_bid", "put_ask")
VOLUMES: Final = ("call_volume", "put_volume")
FLOWS: Final = ("signed_flow", "call_flow", "put_flow", "gamma_flow")
EXPOSURES: Final = ("gex", "dex", "vex", "chex")
COLUMNS: Final = (
    *QUOTES, *VOLUMES, "call_iv", "put_iv", "call_oi", "put_oi", "oi", *EXPOSURES, *FLOWS,
)  # fmt: skip
LONGEST_CADENCE: Final = 10 * MINUTE
"""A session sampled less often than this has gaps, however regular it is."""
EXAMPLES: Final = 5
SIDES: Final = ("C", "P")


@dataclass(frozen=True)
class Day:
    """One session as stored, with everything recorded since.

    Attributes
    ----------
    session, tier
        Which one, and the finest tier that holds any of it.
    timeline, rows
        All N stored rows by (ts, recorded_at), with every list column.
    all_clocks
        Of all visible snapshots, also before the open and after the close.
    clocks
        Of the R visible snapshots from open to close, which all below is of.
    visible
        Their positions among the rows (R,).
    spot
        (R,) USD; NaN where it is no price.
    grid
        Every strike listed in any snapshot (K,), ascending.
    listed
        Which strikes a snapshot lists (R, K).
    matrices
        Column -> (R, K), NaN where not known; without the columns of which nothing is known.
    """

    session: Session
    tier: str
    timeline: Timeline
    rows: Snapshots
    all_clocks: Clocks
    clocks: Clocks
    visible: Ints
    spot: Floats
    grid: Floats
    listed: Bools
    matrices: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.visible)

    @property
    def opens(self) -> int:
        """Microseconds since the epoch."""
        return to_us(self.session.open)

    @property
    def closes(self) -> int:
        """Microseconds since the epoch."""
        return to_us(self.session.close)

    @property
    def step(self) -> int:
        """The cadence, microseconds, as the checks use it: a minute where unknown, at most :data:`LONGEST_CADENCE`."""
        return min(self.all_clocks.median_step() or MINUTE, LONGEST_CADENCE)

    @property
    def with_strikes(self) -> Bools:
        """Which snapshots list strikes (R,)."""
        return np.asarray(self.listed.any(axis=1), np.bool_)

    def clocks_of(self, snapshot: int) -> tuple[int, int]:
        """Its ts and recorded_at, microseconds."""
        return int(self.clocks.ts[snapshot]), int(self.clocks.recorded_at[snapshot])

    @functools.cached_property
    def again(self) -> tuple[Ints, Bools]:
        """Positions of the rows (A,) whose instant has an earlier row, and which say what the one before them says."""
        line = self.timeline
        later = np.flatnonzero(line.ts[1:] == line.ts[:-1]) + 1
        digests = {i: row_digest(self.rows, i, COLUMNS) for i in np.union1d(later, later - 1).tolist()}
        return later, np.array([digests[i] == digests[i - 1] for i in later.tolist()], np.bool_)

    def gaps(self) -> list[Span]:
        """Stretches longer than two cadences without a snapshot, from open to close."""
        return replace(self.all_clocks, cadence=self.step).gaps(self.opens, self.closes)

    def both(self, name: str) -> Floats | None:
        """A column of calls and of puts, (2, R, K): ``bid`` is ``call_bid`` and ``put_bid``; ``None`` if neither."""
        sides = [self.matrices.get(f"{side}_{name}") for side in ("call", "put")]
        if sides[0] is None and sides[1] is None:
            return None
        empty = np.full(self.listed.shape, np.nan)
        return np.stack([empty if side is None else side for side in sides])

    @functools.cached_property
    def quotes(self) -> tuple[Floats, Floats] | None:
        """Bids and asks (2, R, K), 0 where there is none; ``None`` if no quotes are stored."""
        bid, ask = self.both("bid"), self.both("ask")
        if bid is None or ask is None:
            return None
        return np.where(bid > 0, bid, 0.0), np.where(ask > 0, ask, 0.0)

    @functools.cached_property
    def options(self) -> Bools:
        """Which options are listed (2, R, K): anything but an exposure is known of them, a 0 included."""
        listed = np.zeros((2, *self.listed.shape), np.bool_)
        for name in ("bid", "ask", "iv", "volume", "oi"):
            values = self.both(name)
            if values is not None:
                listed |= ~np.isnan(values)
        return listed

    @functools.cached_property
    def intrinsic(self) -> Floats:
        """What exercise would bring (2, R, K), USD; NaN where spot is not known."""
        call = self.spot[:, None] - self.grid
        return np.maximum(np.stack([call, -call]), 0.0)

    def spans(self, affected: Bools) -> tuple[Span, ...]:
        """Snapshots (R,) as stretches of neighbours."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], affected, [False]]).astype(np.int8)))
        ts = self.clocks.ts
        return tuple((int(ts[a]), int(ts[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))

    def cells(self, check_id: str, mask: Bools, of: float, size: Floats, **values: Floats) -> Check:
        """A check whose cases are cells (2, R, K) or (R, K), the worst being those of the largest ``size``."""
        return self.scored_cells(check_id, mask, mask, of, size, **values)

    def scored_cells(
        self, check_id: str, mask: Bools, scored: Bools, of: float, size: Floats, **values: Floats
    ) -> Check:
        """As :meth:`cells`, of which only some are scored; examples and spans are of those, if there are any."""
        shown = scored if scored.any() else mask if not BY_ID[check_id].cap else np.zeros_like(mask)
        where = np.argwhere(shown)
        order = np.argsort(-np.abs(size[shown]), kind="stable")[:EXAMPLES]
        examples = []
        for at in where[order]:
            told = {name: round(float(value[tuple(at)]), 6) for name, value in values.items()}
            side = SIDES[at[0]] if mask.ndim == 3 else None
            strike = float(self.grid[at[-1]])
            examples.append(Example(*self.clocks_of(at[-2]), strike=strike, side=side, values=told))
        affected = np.asarray(shown.any(axis=(0, 2) if mask.ndim == 3 else 1), np.bool_)
        return Check(
            BY_ID[check_id],
            int(mask.sum()),
            of,
            int(scored.sum()),
            examples=tuple(examples),
            spans=self.spans(affected),
        )

    def snapshots(self, check_id: str, mask: Bools, of: float, size: NDArray[Any], **values: Floats) -> Check:
        """A check whose cases are snapshots (R,), the worst being those of the largest ``size``."""
        where = np.flatnonzero(mask)
        order = where[np.argsort(-np.abs(size[where]), kind="stable")[:EXAMPLES]]
        examples = [
            Example(*self.clocks_of(i), values={name: round(float(each[i]), 6) for name, each in values.items()})
            for i in order
        ]
        found = int(mask.sum())
        scored = found if BY_ID[check_id].cap else 0
        return Check(BY_ID[check_id], found, of, scored, examples=tuple(examples), spans=self.spans(mask))


def read_day(lake: Lake, symbol: str, session: Session) -> Day | None:
    """A session from the finest tier that holds any of it; ``None`` if none does.

    Raises :class:`~replay.errors.LakeError` if it cannot be read right.
    """
    for tier in TIERS:
        track = lake.tape(symbol, session.date, tier=tier, columns=COLUMNS).tracks[0]
        timeline = track.timeline
        if len(timeline.ts):
            return lay_out(session, timeline, track.snapshots(np.arange(len(timeline.ts)), COLUMNS))
    return None


def lay_out(session: Session, timeline: Timeline, rows: Snapshots) -> Day:
    """A session from all its stored rows, which hold every one of :data:`COLUMNS`."""
    everything = timeline.visible(LATEST, LATEST)
    ts = timeline.ts[everything]
    visible = everything[(ts >= to_us(session.open)) & (ts <= to_us(session.close))]
    seen = rows.take(visible)
    held = [name for name in COLUMNS if (seen.lists[name].known & seen.has_strikes).any()]
    grid, laid = align(seen.lists["strike"], [seen.lists["strike"], *(seen.lists[name] for name in held)])
    matrices = {}
    for name, matrix in zip(held, laid[1:], strict=True):
        finite = np.isfinite(matrix)
        if finite.any():
            matrices[name] = matrix if finite.all() else np.where(finite, matrix, np.nan)
    spot = np.where(np.isfinite(seen.spot) & (seen.spot > 0), seen.spot, np.nan)
    return Day(
        session,
        timeline.tier,
        timeline,
        rows,
        timeline.clocks(everything),
        timeline.clocks(visible),
        visible,
        spot,
        grid,
        ~np.isnan(laid[0]),
        matrices,
    )


def row_digest(rows: Snapshots, row: int, columns: Sequence[str]) -> bytes:
    """A digest of a row's spot, strikes and these columns."""
    digest = hashlib.sha256(rows.spot[row].tobytes())
    for name in ("strike", *columns):
        column = rows.lists[name]
        digest.update(b"known" if column.known[row] else b"null")
        digest.update((column.row(row) + 0.0).tobytes())  # so that -0 is 0
    return digest.digest()


@dataclass(frozen=True)
class Fingerprint:
    """What a later session is compared with: the date, every snapshot's digest, and the last one's columns."""

    date: dt.date
    columns: tuple[str, ...]
    digests: frozenset[bytes]
    grid: Floats
    last: dict[str, Floats]


def content_columns(day: Day) -> tuple[str, ...]:
    """The columns that tell one snapshot from another: quotes and volumes; without any, gex."""
    held = tuple(name for name in (*QUOTES, *VOLUMES) if name in day.matrices)
    return held or tuple(name for name in ("gex",) if name in day.matrices)


def content_digests(day: Day, columns: Sequence[str]) -> NDArray[np.object_]:
    """For each snapshot (R,) a digest of its strikes and these columns; ``None`` where all of it is 0 or not known."""
    told = np.zeros(len(day), np.bool_)
    for name in columns:
        told |= np.nan_to_num(day.matrices[name]).any(axis=1)
    found = np.full(len(day), None, object)
    blocks = [np.ascontiguousarray(day.matrices[name]) + 0.0 for name in columns]
    for i in np.flatnonzero(told):
        digest = hashlib.sha256(day.grid[day.listed[i]].tobytes())
        for block in blocks:
            digest.update(block[i][day.listed[i]].tobytes())
        found[i] = digest.digest()
    return found


def fingerprint(day: Day) -> Fingerprint:
    """What a later session is compared with."""
    columns = content_columns(day)
    digests = content_digests(day, columns)
    told = [i for i, digest in enumerate(digests) if digest is not None]
    last = {name: day.matrices[name][told[-1]].copy() for name in columns} if told else {}
    return Fingerprint(day.session.date, columns, frozenset(digests[told]), day.grid, last)
