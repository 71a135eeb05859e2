"""A session as arrays that a page draws any moment of: every stored row of one metric, and the levels of each.

Layout: 4 bytes, little-endian, the header's length; the header, JSON padded with spaces so that what follows is aligned
to 8 bytes; then arrays, each at the offset from there that the header names, little-endian and aligned to 8 bytes.
Times are microseconds since the epoch as doubles, which hold them exactly.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson

from replay import contract, levels
from replay.errors import InvalidTier
from replay.exposure.conventions import REPLAY_1, known_conventions
from replay.heatmap import columns_of, combine, finite
from replay.lake import Lake
from replay.ragged import Ragged, align
from replay.render.scale import DIVERGING, PERCENTILE, SEQUENTIAL
from replay.sessions import to_us
from replay.tape import Tape, Track

MEDIA_TYPE: Final = "application/octet-stream"
MOST_CELLS: Final = 32 * 2**20
"""Rows times strikes of one tape; above that the thinned tier is to be asked for."""
LEVELS: Final = (
    *("spot", "magnet", "call_wall", "put_wall", "gamma_flip", "max_pain", "pin_score"),
    *("net_gex", "net_dex", "net_vex", "net_chex", "atm_iv", "expected_move"),
)

_ALIGNED: Final = 8
_Array = np.ndarray[Any, np.dtype[Any]]


def tape_bytes(lake: Lake, symbol: str, date: dt.date, metric: str, tier: str | None) -> bytes:
    """Every stored row of a session with one metric.

    Raises
    ------
    RequestError
        For a metric or tier that is none, a date without a session, and a session too large to be sent whole.
    LakeError
        If stored files cannot be read right.
    """
    metric = contract.check_metric(metric)
    columns = columns_of(metric)
    tape = lake.tape(symbol, date, tier, columns)
    packed = Packed()
    tracks = [_track(packed, track, metric, columns) for track in tape.tracks]
    header = _header(tape) | {
        "metric": metric,
        "flow": metric in contract.FLOW_METRICS,
        "signed": metric in contract.SIGNED_METRICS,
        "percentile": PERCENTILE,
        "diverging": DIVERGING,
        "sequential": SEQUENTIAL,
        "tracks": tracks,
    }
    return packed.joined(header)


def levels_bytes(lake: Lake, symbol: str, date: dt.date, tier: str | None) -> bytes:
    """The levels of every stored row of a session, in the order of :func:`tape_bytes`; raises what that does."""
    tape = lake.tape(symbol, date, tier, levels.COLUMNS)
    packed = Packed()
    tracks = []
    for track in tape.tracks:
        line = track.timeline
        rows = track.snapshots(np.arange(len(line.ts)), levels.COLUMNS)
        found = np.full((len(LEVELS), len(line.ts)), np.nan)
        for i in range(len(line.ts)):
            held = known_conventions(line.conventions[line.file[i]])
            told = levels.build(rows.take(slice(i, i + 1)), tape.symbol, tape.session, held)
            found[:, i] = [np.nan if value is None else value for value in (getattr(told, name) for name in LEVELS)]
        arrays = packed.clocks(track) | {name: packed.add(values) for name, values in zip(LEVELS, found, strict=True)}
        known = [known_conventions(each) or REPLAY_1 for each in line.conventions]
        units = [{metric: each.unit(metric) for metric in ("gex", "dex", "vex", "chex")} for each in known]
        tracks.append({"tier": line.tier, "rows": len(line.ts), "units": units, "arrays": arrays})
    return packed.joined(_header(tape) | {"tracks": tracks})


def _header(tape: Tape) -> dict[str, Any]:
    session = tape.session
    return {
        "symbol": tape.symbol,
        "date": session.date.isoformat(),
        "open": to_us(session.open),
        "close": to_us(session.close),
    }


def _track(packed: Packed, track: Track, metric: str, columns: tuple[str, ...]) -> dict[str, Any]:
    line = track.timeline
    count = len(line.ts)
    rows = track.snapshots(np.arange(count), columns)
    at = np.flatnonzero(rows.has_strikes)
    sampled = rows.take(at)
    strike = sampled.lists["strike"]
    ones = Ragged(np.ones_like(strike.values), strike.starts, strike.lengths, strike.known)
    grid, matrices = align(strike, [*(sampled.lists[name] for name in columns), ones])
    if count * len(grid) > MOST_CELLS:
        raise InvalidTier(
            f"the session has {count:,} rows of {len(grid):,} strikes, more than a page can hold; "
            "ask for tier=1m, which `replay compact --tier 1m` writes"
        )
    values = np.full((count, len(grid)), np.nan)
    values[at] = combine(metric, [finite(matrix) for matrix in matrices[:-1]])
    listed = np.zeros((count, len(grid)), np.uint8)
    listed[at] = ~np.isnan(matrices[-1])
    arrays: dict[str, Any] = packed.clocks(track) | {
        "spot": packed.add(track.spot),
        "file": packed.add(line.file.astype(np.uint8 if len(line.conventions) <= 256 else np.uint16)),
        "sampled": packed.add(rows.has_strikes.astype(np.uint8)),
        "values": packed.add(values + 0.0),
        "listed": None if listed[at].all() else packed.add(listed),
    }
    held = [known_conventions(each) or REPLAY_1 for each in line.conventions]
    return {
        "tier": line.tier,
        "rows": count,
        "strikes": grid.tolist(),
        "cadences": list(line.cadences),
        "conventions": list(line.conventions),
        "units": [each.unit(metric) for each in held],
        "arrays": arrays,
    }


class Packed:
    """Arrays one after the other, each told by its type, offset and shape."""

    def __init__(self) -> None:
        self._arrays: list[_Array] = []
        self._size = 0

    def add(self, values: _Array) -> dict[str, Any]:
        """Add an array of doubles, or of unsigned bytes or 16-bit numbers; what a header says of it."""
        laid = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        told = {"type": laid.dtype.str[1:], "offset": self._size, "shape": list(laid.shape)}
        self._arrays.append(laid)
        self._size += -(-laid.nbytes // _ALIGNED) * _ALIGNED
        return told

    def clocks(self, track: Track) -> dict[str, Any]:
        """Add the clocks of a track's rows."""
        line = track.timeline
        return {
            name: self.add(getattr(line, name).astype(np.float64)) for name in ("ts", "recorded_at", "superseded_at")
        }

    def joined(self, header: dict[str, Any]) -> bytes:
        """All of it under a header."""
        text = orjson.dumps(header)
        text += b" " * (-(4 + len(text)) % _ALIGNED)
        return b"".join([struct.pack("<I", len(text)), text, *self._padded()])

    def _padded(self) -> Iterator[bytes]:
        for laid in self._arrays:
            yield laid.tobytes()
            yield b"\0" * (-laid.nbytes % _ALIGNED)
