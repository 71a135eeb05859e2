"""Lists of different lengths, one a row, over one flat array: how per-strike values leave Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ragged:
    """R lists of float64: row ``i`` is ``values[starts[i] : starts[i] + lengths[i]]``, or null where not ``known[i]``.

    ``values`` (N,), ``starts`` (R,), ``lengths`` (R,), ``known`` (R,); a null row has length 0.
    """

    values: Floats
    starts: Ints
    lengths: Ints
    known: Bools

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, i: int) -> Floats:
        """The list of one row; empty where it is null."""
        start = self.starts[i]
        return self.values[start : start + self.lengths[i]]

    def take(self, rows: Ints | Bools) -> Ragged:
        """The same lists, these rows only."""
        return Ragged(self.values, self.starts[rows], self.lengths[rows], self.known[rows])

    def shared(self) -> Ragged:
        """The same lists; where all rows are equal, and none is null or holds NaN, over one row of values."""
        block = self.block()
        if block is None or not (block[-1] == block[0]).all() or not (block == block[0]).all():
            return self
        return Ragged(block[0].copy(), np.zeros_like(self.starts), self.lengths, self.known)

    def block(self) -> Floats | None:
        """All rows as one (R, L) matrix, if all are known and of one length; else ``None``. May share memory."""
        if len(self) == 0 or not self.known.all():
            return None
        length = int(self.lengths[0])
        if not (self.lengths == length).all():
            return None
        first = int(self.starts[0])
        steps = np.diff(self.starts)
        if len(steps) == 0 or ((step := int(steps[0])) >= 0 and (steps == step).all()):
            step = length if len(steps) == 0 else int(steps[0])
            window = self.values[first : first + step * (len(self) - 1) + length]
            stride = window.strides[0]
            return np.lib.stride_tricks.as_strided(
                window, (len(self), length), (step * stride, stride), writeable=False
            )
        return np.asarray(self.values[self.starts[:, None] + np.arange(length)])

    def flat(self) -> Floats:
        """All values, row after row, without what lies between."""
        offsets = np.cumsum(self.lengths) - self.lengths
        return np.asarray(self.values[np.repeat(self.starts - offsets, self.lengths) + np.arange(self.lengths.sum())])

    def to_arrow(self) -> pa.ListArray:
        """The rows as an Arrow list array of float64."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        mask = None if self.known.all() else pa.array(~self.known)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(self.flat()), mask=mask)


def from_arrow(column: pa.ChunkedArray) -> Ragged:
    """A column of lists of float64 as :class:`Ragged`; a null value is NaN. May share memory."""
    array: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    offsets = numbers_of(array, np.dtype(np.int32), 1).astype(np.int64)
    lengths, known = np.diff(offsets), _known(array)
    if array.null_count:
        lengths = np.where(known, lengths, 0)
    return Ragged(doubles_of(array.values), offsets[:-1], lengths, known)


def doubles_of(array: pa.Array) -> Floats:
    """An array of float64; a null value is NaN. May share memory."""
    values = numbers_of(array, np.dtype(np.float64))
    return np.where(_known(array), values, np.nan) if array.null_count else values


def numbers_of(array: pa.Array, kind: np.dtype[Any], more: int = 0) -> NDArray[Any]:
    """What lies in an array's buffer of numbers, ``more`` of them than it is long.

    Arrow's own conversion loads pandas where that is installed, which takes longer than a request.
    """
    if array.buffers()[1] is None:
        return np.zeros(more, kind)
    start = array.offset * kind.itemsize
    return np.frombuffer(array.buffers()[1], kind, len(array) + more, start)


def _known(array: pa.Array) -> Bools:
    """Which values of an array are not null (N,)."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), np.bool_)
    laid = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return laid[array.offset : array.offset + len(array)].astype(np.bool_)


def ragged(rows: Sequence[Floats | None]) -> Ragged:
    """Lists, one a row; ``None`` is null."""
    lengths = np.array([0 if row is None else len(row) for row in rows], np.int64)
    values = np.concatenate([np.empty(0), *(row for row in rows if row is not None)])
    return Ragged(values, np.cumsum(lengths) - lengths, lengths, np.array([row is not None for row in rows], np.bool_))


def nulls(rows: int) -> Ragged:
    """So many null rows."""
    zeros = np.zeros(rows, np.int64)
    return Ragged(np.empty(0), zeros, zeros, np.zeros(rows, np.bool_))


def beside(column: Ragged, strikes: Ragged) -> Floats:
    """A column's values beside the strikes of all rows, row after row; NaN where the list is null."""
    laid = np.full(int(strikes.lengths.sum()), np.nan)
    laid[np.repeat(column.known, strikes.lengths)] = column.flat()
    return laid


def packed(values: Floats, like: Ragged) -> Ragged:
    """Values row after row as lists of the lengths of others, null where those are."""
    return Ragged(values, np.cumsum(like.lengths) - like.lengths, like.lengths, like.known)


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(len(part.values) for part in parts[:-1])])
    return Ragged(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.starts + shift for part, shift in zip(parts, shifts, strict=True)]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.known for part in parts]),
    )


def align(strikes: Ragged, columns: Sequence[Ragged]) -> tuple[Floats, list[Floats]]:
    """Lists that are parallel to each row's own strikes, laid on one common grid.

    Parameters
    ----------
    strikes
        R lists of strikes.
    columns
        Lists of R rows, each parallel to that row's strikes, or null.

    Returns
    -------
    The sorted union of all strikes (K,), and for each column a matrix (R, K), NaN where a row has no value. A matrix
    may be a read-only view of the lists.
    """
    same = strikes.block()
    if same is not None and same.shape[1] and (same == same[0]).all() and (np.diff(same[0]) > 0).all():
        grid = same[0].copy()
        lists, kinds = [grid], np.zeros(len(strikes), np.int64)
    else:
        same = None
        distinct: dict[bytes, int] = {}
        kinds = np.array([distinct.setdefault(strikes.row(i).tobytes(), len(distinct)) for i in range(len(strikes))])
        lists = [np.frombuffer(key, np.float64) for key in distinct]
        grid = np.unique(np.concatenate([np.empty(0), *lists]))
        grid = grid[np.isfinite(grid)]
    matrices = []
    for column in columns:
        block = column.block() if same is not None else None
        if block is not None and same is not None and block.shape == same.shape:
            matrices.append(block)
        else:
            matrices.append(_scatter(grid, lists, kinds, column))
    return grid, matrices


def _scatter(grid: Floats, lists: Sequence[Floats], kinds: Ints, column: Ragged) -> Floats:
    """One column on the grid (R, K), row ``i`` being parallel to ``lists[kinds[i]]``."""
    matrix = np.full((len(column), len(grid)), np.nan)
    for kind, own in enumerate(lists):
        finite = np.flatnonzero(np.isfinite(own))
        where = np.searchsorted(grid, own[finite])
        for i in np.flatnonzero((kinds == kind) & column.known).tolist():
            matrix[i, where] = column.row(i)[finite]
    return matrix
