"""The strike x time matrix of one session, to the letter of the wire contract.

Knows snapshots, not lakes: what was visible is decided before it comes here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from replay.contract import BAR, FLOW_METRICS
from replay.errors import InvalidResample, NoStrikeData
from replay.exposure.conventions import REPLAY_1, known_conventions
from replay.exposure.restate import AS_STORED, Restatement
from replay.ragged import Bools, Floats, Ints, Ragged, align
from replay.sessions import MINUTE, iso_utc
from replay.snapshots import Snapshots

if TYPE_CHECKING:
    import polars as pl

_METRIC_COLUMNS = {"oi": ("call_oi", "put_oi", "oi")}
_RESAMPLE = re.compile(r"([1-9][0-9]{0,2})m", re.ASCII)
_DAY_MINUTES = 24 * 60
_EXACT = 2.0**53


def columns_of(metric: str) -> tuple[str, ...]:
    """The list columns, beside ``strike``, that a metric is made of."""
    return _METRIC_COLUMNS.get(metric, (metric,))


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """A heatmap of T bars and K strikes.

    Attributes
    ----------
    symbol, expiration, metric, mode, bar_size, tier_used
        As the wire contract names them; ``expiration`` is a date.
    underlying_price
        Spot of the newest visible snapshot in the window, USD; ``None`` without one.
    as_of, known_at
        Microseconds since the epoch, UTC, both inclusive.
    strikes
        (K,) USD, ascending.
    minutes
        (T,) start of each bar, microseconds since the epoch, UTC, ascending; see also :attr:`times`.
    spot
        (T,) USD, NaN where not known.
    levels
        (T, K) the metric before any delta, NaN where not sampled.
    gaps
        Start and end of each stretch without data that touches the window, microseconds; ``()`` unless asked for.
    tier
        The tier that was asked for; ``None``: the finest there is.
    listed
        (T, K) whether a bar's snapshots listed the strike; ``None``: all list all.
    conventions
        The id of the newest snapshot's exposures; ``None`` where its file names none.
    stated
        On which open interest, and under which conventions, it was asked for.
    """

    symbol: str
    underlying_price: float | None
    expiration: dt.date
    metric: str
    mode: str
    bar_size: str
    as_of: int
    known_at: int
    tier_used: str
    strikes: Floats
    minutes: Ints
    spot: Floats
    levels: Floats
    gaps: tuple[tuple[int, int], ...] = ()
    tier: str | None = None
    listed: Bools | None = None
    conventions: str | None = None
    stated: Restatement = AS_STORED

    @property
    def times(self) -> np.ndarray[Any, np.dtype[np.datetime64]]:
        """(T,) start of each bar, datetime64[us], UTC."""
        return self.minutes.astype("datetime64[us]")

    @property
    def values(self) -> Floats:
        """(T, K) float64 in the requested mode, NaN where not sampled; see :attr:`unit`."""
        if self.mode == "raw" or self.metric in FLOW_METRICS or len(self.levels) == 0:
            return self.levels
        return np.concatenate([self.levels[:1], np.diff(self.levels, axis=0)]) + 0.0

    @property
    def unit(self) -> str:
        """The unit of :attr:`values`, by :attr:`conventions` where this engine knows them."""
        return (known_conventions(self.conventions) or REPLAY_1).unit(self.metric)

    def __repr__(self) -> str:
        span = "no bars"
        if len(self.minutes):
            span = f"{len(self.minutes)} bars {iso_utc(int(self.minutes[0]))}..{iso_utc(int(self.minutes[-1]))}"
        return (
            f"<Heatmap {self.symbol} {self.expiration} {self.metric} {self.mode} {self.bar_size}: "
            f"{span} x {len(self.strikes)} strikes, as of {iso_utc(self.as_of)}, tier {self.tier_used}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """The contract's body as plain lists, floats, integers, ``None`` and text, fields in its order."""
        return self._body([plain(row) for row in self.values])

    def to_json(self, *, pretty: bool = False) -> bytes:
        """The contract's body as canonical UTF-8 JSON: the same bytes for the same heatmap, everywhere.

        Numbers are the shortest that read back the same; integral strikes are integers; not sampled is ``null``.
        """
        option = orjson.OPT_SERIALIZE_NUMPY | (orjson.OPT_INDENT_2 if pretty else 0)
        return orjson.dumps(self._body(list(self.values)), option=option)

    def _body(self, rows: list[Any]) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "underlying_price": self.underlying_price,
            "expiration": self.expiration.isoformat(),
            "metric": self.metric,
            "mode": self.mode,
            "bar_size": self.bar_size,
            "as_of": iso_utc(self.as_of),
            "tier_used": self.tier_used,
            "strikes_grid": whole(self.strikes),
            "bars": [
                {"t": iso_utc(t), "spot": spot, "values": row}
                for t, spot, row in zip(self.minutes.tolist(), plain(self.spot), rows, strict=True)
            ],
            "gap_intervals": [{"start": iso_utc(start), "end": iso_utc(end)} for start, end in self.gaps],
        }

    def to_polars(self) -> pl.DataFrame:
        """Long rows, one a bar and strike: ``t`` (UTC), ``spot``, ``strike``, ``value`` (null: not sampled)."""
        import polars as pl

        bars, strikes = self.levels.shape
        return pl.DataFrame(
            {
                "t": pl.Series(np.repeat(self.times, strikes), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"),
                "spot": pl.Series(np.repeat(self.spot, strikes)).fill_nan(None),
                "strike": np.tile(self.strikes, bars),
                "value": pl.Series(self.values.ravel()).fill_nan(None),
            }
        )

    def resample(self, bar: str) -> Heatmap:
        """The same window in coarser bars, aligned to the clock: the last of a bucket for levels, the sum for flow.

        Parameters
        ----------
        bar
            ``5m``, ``15m``, ``30m`` or any whole multiple of this heatmap's bar that divides a day. ``delta`` is
            taken anew between the coarser bars.

        Raises
        ------
        InvalidResample
            If it is no such length.
        """
        found = _RESAMPLE.fullmatch(bar) if isinstance(bar, str) else None
        length, own = int(found[1]) if found else 0, int(self.bar_size[:-1])
        if not length or length % own or _DAY_MINUTES % length:
            raise InvalidResample(
                f"resample {bar!r} is no multiple of {self.bar_size} that divides a day; 5m, 15m and 30m are"
            )
        bucket = self.minutes - self.minutes % (length * MINUTE)
        levels = _last_or_sum(self.metric, bucket, self.levels)
        last = last_of(bucket)
        shown, strikes, listed = levels, self.strikes, self.listed
        if listed is not None:  # strikes that no bar shown lists go
            first = np.concatenate([[0], last[:-1] + 1])[: len(last)].astype(np.int64)
            listed = np.maximum.reduceat(listed, first) if self.metric in FLOW_METRICS else listed[last]
            used = listed.any(axis=0)
            shown, strikes, listed = np.ascontiguousarray(levels[:, used]), strikes[used], listed[:, used]
        return dataclasses.replace(
            self,
            bar_size=bar,
            strikes=strikes,
            minutes=bucket[last],
            spot=self.spot[last],
            levels=shown,
            listed=listed,
        )


def build(
    window: Snapshots,
    *,
    symbol: str,
    expiration: dt.date,
    metric: str,
    mode: str,
    as_of: int,
    known_at: int,
    tier_used: str,
    gaps: tuple[tuple[int, int], ...] = (),
    tier: str | None = None,
    conventions: str | None = None,
    stated: Restatement = AS_STORED,
) -> Heatmap:
    """The heatmap of a window's visible snapshots, whose ``lists`` hold at least :func:`columns_of` the metric.

    Raises
    ------
    NoStrikeData
        If there are snapshots, but all are legacy v1 rows.
    """
    underlying, spot, grid, levels = None, np.empty(0), np.empty(0), np.empty((0, 0))
    minutes, listed = np.empty(0, np.int64), None
    if len(window):
        underlying = plain(window.spot[-1:])[0]
        sampled = window.has_strikes
        if not sampled.any():
            raise NoStrikeData(f"{symbol} has samples in the window up to {iso_utc(as_of)}, none with per-strike data")
        rows = window if sampled.all() else window.take(np.flatnonzero(sampled))
        bucket = rows.ts - rows.ts % MINUTE
        last = last_of(bucket)
        minutes, spot = bucket[last], rows.spot[last]
        if metric not in FLOW_METRICS:
            rows, bucket = rows.take(last), minutes
        strike = rows.lists["strike"]
        grid, matrices = align(strike, [rows.lists[name] for name in columns_of(metric)])
        listed = _listed(strike, bucket, metric)
        levels = _last_or_sum(metric, bucket, combine(metric, [finite(matrix) for matrix in matrices]))
    return Heatmap(
        symbol, underlying, expiration, metric, mode, BAR, as_of, known_at, tier_used,
        grid, minutes, spot, levels + 0.0, gaps, tier, listed, conventions, stated,
    )  # fmt: skip  # + 0.0: a copy of its own, without negative zeros


def last_of(bucket: Ints) -> Ints:
    """Positions of the last of each run of equal values."""
    return np.flatnonzero(np.append(bucket[1:] != bucket[:-1], len(bucket) > 0))


def _listed(strike: Ragged, bucket: Ints, metric: str) -> Bools | None:
    """Which strikes of the grid each bar's snapshots list; ``None`` where all list the same."""
    block = strike.block()
    if block is not None and (block == block[0]).all():
        return None
    ones = Ragged(np.ones_like(strike.values), strike.starts, strike.lengths, strike.known)
    _, (marked,) = align(strike, [ones])
    return ~np.isnan(_last_or_sum(metric, bucket, marked))


def finite(matrix: Floats) -> Floats:
    """The matrix with NaN for whatever is infinite: no number that a body could hold."""
    infinite = np.isinf(matrix)
    return np.where(infinite, np.nan, matrix) if infinite.any() else matrix


def combine(metric: str, matrices: list[Floats]) -> Floats:
    """A metric from the columns that :func:`columns_of` names, all of one shape."""
    if metric != "oi":
        return matrices[0]
    calls, puts, total = matrices
    sides = calls + puts
    return np.where(np.isnan(sides), total, sides)


def _last_or_sum(metric: str, bucket: Ints, matrix: Floats) -> Floats:
    """One row a bucket: its last, or for flow the sum in time order, in which NaN adds nothing unless all are."""
    if metric in FLOW_METRICS:
        return sum_over(bucket, matrix)
    last = last_of(bucket)
    return matrix if len(last) == len(matrix) else matrix[last]


def sum_over(bucket: Ints, matrix: Floats) -> Floats:
    """One row a bucket: the sum in time order, in which NaN adds nothing unless all are."""
    last = last_of(bucket)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)].astype(np.int64)
    total = np.full((len(last), matrix.shape[1]), np.nan)
    for step in range(int((last - first).max(initial=-1)) + 1):
        open_ = np.flatnonzero(first + step <= last)
        added, so_far = matrix[first[open_] + step], total[open_]
        total[open_] = np.where(np.isnan(added), so_far, np.where(np.isnan(so_far), 0.0, so_far) + added)
    return total


def plain(values: Floats) -> list[float | None]:
    """Floats with ``None`` for whatever is no finite number."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def whole(values: Floats) -> list[float | int | None]:
    """As :func:`plain`, integers where they are integral."""
    return [int(v) if v is not None and v.is_integer() and abs(v) < _EXACT else v for v in plain(values)]
