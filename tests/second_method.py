"""The contract's answers a second time: slow, plain Python over pyarrow, and nothing of the package under test."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import os
import pathlib
import statistics
import warnings
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

MINUTE = 60_000_000
LATEST = 2**62
NEW_YORK = ZoneInfo("America/New_York")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TIERS = ("raw", "1m")
EXPOSURES = ("gex", "dex", "vex", "chex")
QUOTES = ("call_bid", "call_ask", "put_bid", "put_ask")
LISTS = (
    *(*EXPOSURES, "call_oi", "put_oi", "oi", "signed_flow", "call_flow", "put_flow", "gamma_flow", *QUOTES),
    *("call_iv", "put_iv", "call_volume", "put_volume"),
)

Values = list[float | None]


class NoStrikeData(Exception):
    """The window holds samples, none with per-strike data."""


@dataclass(frozen=True)
class Row:
    """One stored row; ``place`` is (position of the file by name, row in the file)."""

    ts: int
    recorded_at: int
    place: tuple[int, int]
    spot: float | None
    strike: Values | None
    lists: dict[str, Values | None]
    cadence: int | None

    def by_strike(self, name: str) -> dict[float, float | None]:
        """The values of a column by strike; a strike that is no number has no value."""
        if self.strike is None:
            return {}
        values = self.lists[name]
        if values is None:
            return {k: None for k in self.strike if k is not None}
        return {k: v for k, v in zip(self.strike, values, strict=True) if k is not None}


def known(value: float | None) -> float | None:
    """The value, or ``None`` for whatever is no finite number; a negative zero is a zero."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None


def read_file(path: str, number: int) -> list[Row]:
    """Every row of one Parquet file that has both clocks."""
    with pa.OSFile(path, "rb") as source:
        table = pq.ParquetFile(source).read()
    metadata = table.schema.metadata or {}
    cadence = int(metadata[b"replay.cadence_us"]) if b"replay.cadence_us" in metadata else None

    def clock(name: str) -> list[int | None]:
        if table[name].type.unit == "ns":
            up = 999 if name == "recorded_at" else 0  # known a little later rather than too early
            return [None if ns is None else (ns + up) // 1000 for ns in table[name].cast(pa.int64()).to_pylist()]
        column = table[name].cast(pa.timestamp("us", tz="UTC"), safe=False)
        return list(column.cast(pa.int64()).to_pylist())

    def lists(name: str) -> list[Values | None]:
        if name not in table.column_names:
            return [None] * table.num_rows
        return [None if row is None else [known(v) for v in row] for row in table[name].to_pylist()]

    strike, columns = lists("strike"), {name: lists(name) for name in LISTS}
    clocks = zip(clock("ts"), clock("recorded_at"), table["spot"].to_pylist(), strict=True)
    return [
        Row(
            ts,
            recorded_at,
            (number, i),
            known(spot),
            strike[i],
            {name: columns[name][i] for name in LISTS},
            cadence,
        )
        for i, (ts, recorded_at, spot) in enumerate(clocks)
        if ts is not None and recorded_at is not None
    ]


class SecondLake:
    """A lake's rows, each partition read once and as it was then."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = pathlib.Path(root)
        self._rows: dict[tuple[str, str, dt.date], list[Row]] = {}

    def rows(self, tier: str, symbol: str, date: dt.date) -> list[Row]:
        """Every row of a partition, in (file name, row) order."""
        key = (tier, symbol, date)
        if key not in self._rows:
            folder = self.root / f"tier={tier}" / f"symbol={symbol}" / f"date={date}"
            names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            files = [name for name in names if name.endswith(".parquet") and not name.startswith(".")]
            self._rows[key] = [row for i, name in enumerate(files) for row in read_file(str(folder / name), i)]
        return self._rows[key]

    def visible(
        self, symbol: str, date: dt.date, as_of: int, known_at: int, tier: str | None = None
    ) -> tuple[list[Row], str]:
        """The rows visible at a moment, one a ts, ascending, and the tier they are of."""
        for each in TIERS if tier is None else (tier,):
            seen = visible(self.rows(each, symbol, date), as_of, known_at)
            if seen:
                return seen, each
        return [], "raw"


def visible(rows: list[Row], as_of: int, known_at: int) -> list[Row]:
    """Of the rows with both clocks up to the moment, the last revision of each ts, ascending by ts."""
    last: dict[int, Row] = {}
    for row in rows:
        if row.ts <= as_of and row.recorded_at <= known_at:
            other = last.get(row.ts)
            if other is None or (other.recorded_at, other.place) < (row.recorded_at, row.place):
                last[row.ts] = row
    return [last[ts] for ts in sorted(last)]


def new_york_date(us: int) -> dt.date:
    """The New York date of an instant."""
    return (EPOCH + dt.timedelta(microseconds=us)).astimezone(NEW_YORK).date()


def utc_text(us: int) -> str:
    """``2026-06-05T18:45:12Z``, with a fraction only if there is one."""
    moment = EPOCH + dt.timedelta(microseconds=us)
    fraction = f".{moment.microsecond:06}" if moment.microsecond else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


@functools.cache
def _calendar() -> Any:
    import exchange_calendars

    with warnings.catch_warnings():
        # the library's own, not ours: it reads a schedule in a way that pandas is about to change
        warnings.filterwarnings("ignore", r"Series\.values returning an ndarray", DeprecationWarning)
        return exchange_calendars.get_calendar("XNYS", start="2018-01-01", end="2028-12-31")


@functools.cache
def hours(date: dt.date) -> tuple[int, int] | None:
    """Open and close of a session by the reference library, microseconds; ``None`` if there is none."""
    day = date.isoformat()
    if not _calendar().is_session(day):
        return None
    opens, closes = _calendar().session_open(day), _calendar().session_close(day)
    return opens.value // 1000, closes.value // 1000


def first_recorded(rows: list[Row], ts: int) -> int:
    """When anything was first known of an instant."""
    return min(row.recorded_at for row in rows if row.ts == ts)


def lag_and_cadence(seen: list[Row], stored: list[Row]) -> tuple[int, int]:
    """Lag and cadence of the visible rows.

    A cadence that cannot be told is a minute; half microseconds are cut.
    """
    firsts: dict[int, int] = {}
    for row in stored:
        firsts[row.ts] = min(row.recorded_at, firsts.get(row.ts, row.recorded_at))
    given = {row.cadence for row in seen if row.cadence is not None}
    steps = [b.ts - a.ts for a, b in itertools.pairwise(seen)]
    lag = int(statistics.median(firsts[row.ts] - row.ts for row in seen)) if seen else 0
    cadence = given.pop() if len(given) == 1 else None
    if cadence is None:
        cadence = int(statistics.median(steps)) if steps else MINUTE
    return lag, cadence


def gaps_of(seen: list[Row], stored: list[Row], date: dt.date, as_of: int) -> list[tuple[int, int]]:
    """Stretches longer than two cadences without a visible row, from the open to min(as_of - lag, close)."""
    session = hours(date)
    if session is None:
        return []
    lag, cadence = lag_and_cadence(seen, stored)
    opens, until = session[0], min(as_of - lag, session[1])
    if until <= opens:
        return []
    edges = [opens, *(row.ts for row in seen if opens <= row.ts <= until), until]
    return [(a, b) for a, b in itertools.pairwise(edges) if b - a > 2 * cadence]


def clock(date: dt.date, step: int) -> list[int]:
    """The instants of a replay of a session: each step after the open, and the close."""
    session = hours(date)
    assert session is not None, date
    opens, closes = session
    instants: list[int] = []
    while (now := opens + step * (len(instants) + 1)) < closes:
        instants.append(now)
    return [*instants, closes]


@dataclass(frozen=True)
class Stood:
    """What stood at one instant: the rows visible then, of which the last is the newest, and all that are stored."""

    now: int
    known_at: int
    tier: str
    seen: list[Row]
    stored: list[Row]

    @property
    def newest(self) -> Row | None:
        """The newest visible row."""
        return self.seen[-1] if self.seen else None

    @property
    def age(self) -> int | None:
        """Microseconds from the newest row's ts until now."""
        return self.now - self.seen[-1].ts if self.seen else None

    def patience(self) -> int:
        """Lag and two cadences, of the rows visible now: from there on the newest row is stale, but for the latency."""
        lag, cadence = lag_and_cadence(self.seen, self.stored)
        return lag + 2 * cadence

    def tells_cadence(self) -> bool:
        """Whether the visible rows tell a cadence: by what their files give, or as the step from one to another."""
        return len(self.seen) > 1 or len({row.cadence for row in self.seen} - {None}) == 1

    @property
    def latency(self) -> int:
        """By how much knowledge comes after the instant, microseconds."""
        return max(0, self.now - self.known_at)

    def stale(self, carried: int = 0) -> bool:
        """Whether nothing is visible, or what is has been stale for so long."""
        return self.age is None or self.age - self.latency >= self.patience() + carried

    def gaps(self, date: dt.date) -> list[tuple[int, int]]:
        """The session's gaps as they were known now."""
        return gaps_of(self.seen, self.stored, date, self.now - self.latency)


def stood(lake: SecondLake, symbol: str, date: dt.date, now: int, known_at: int, tier: str | None = None) -> Stood:
    """What stood at one instant of a session."""
    seen, used = lake.visible(symbol, date, now, known_at, tier)
    if not seen:
        used = tier or "raw"
    return Stood(now, known_at, used, seen, lake.rows(used, symbol, date))


def parallel(row: Row | None, name: str, *, masked: bool = False) -> Values:
    """A metric or column of a row, or its strikes, in the order of its strikes."""
    strikes = [] if row is None or row.strike is None else row.strike
    if name == "strike":
        return strikes
    if row is None or masked:
        return [None] * len(strikes)
    if name != "oi":
        return row.lists[name] or [None] * len(strikes) if row.strike is not None else []
    columns = [parallel(row, side) for side in ("call_oi", "put_oi")] + [row.lists["oi"] or [None] * len(strikes)]
    return [
        total if call is None or put is None else call + put
        for call, put, total in (zip(*columns, strict=True) if strikes else ())
    ]


def metric_of(row: Row, metric: str) -> dict[float, float | None]:
    """One snapshot's metric by strike."""
    if metric != "oi":
        return row.by_strike(metric)
    calls, puts, total = row.by_strike("call_oi"), row.by_strike("put_oi"), row.by_strike("oi")
    found: dict[float, float | None] = {}
    for k, call in calls.items():
        put = puts[k]
        found[k] = total[k] if call is None or put is None else call + put
    return found


def flow_of(rows: list[Row]) -> dict[float, float | None]:
    """The signed flow of one minute's snapshots, in time order."""
    total: dict[float, float | None] = {}
    for row in rows:
        for k, value in row.by_strike("signed_flow").items():
            so_far = total.setdefault(k, None)
            if value is not None:
                total[k] = (0.0 if so_far is None else so_far) + value
    return total


def number(strike: float) -> int | float:
    """An integral strike as an integer."""
    return int(strike) if strike == int(strike) else strike


def body(
    lake: SecondLake,
    symbol: str,
    as_of: int,
    known_at: int | None = None,
    metric: str = "gex",
    mode: str = "raw",
    minutes: int = 60,
    gaps: bool = False,
    tier: str | None = None,
) -> dict[str, Any]:
    """The contract's body; clocks in microseconds since the epoch. Raises :class:`NoStrikeData`."""
    name, date = symbol.strip().upper(), new_york_date(as_of)
    cut = as_of if known_at is None else known_at
    since = (as_of - max(1, min(390, minutes)) * MINUTE) // MINUTE * MINUTE
    seen, used = lake.visible(name, date, as_of, cut, tier)
    window = [row for row in seen if row.ts >= since]
    sampled = [row for row in window if row.strike is not None]
    if window and not sampled:
        raise NoStrikeData
    by_minute: dict[int, list[Row]] = {}
    for row in sampled:
        by_minute.setdefault(row.ts // MINUTE * MINUTE, []).append(row)
    grid: set[float] = set()
    cells: list[dict[float, float | None]] = []
    for rows in by_minute.values():
        made = flow_of(rows) if metric == "signed_flow" else metric_of(rows[-1], metric)
        grid |= set(made)
        cells.append(made)
    strikes = sorted(grid)
    raw = [[made.get(k) for k in strikes] for made in cells]
    shown = raw
    if mode == "delta" and metric != "signed_flow":
        shown = [
            values if i == 0 else [_minus(v, before) for v, before in zip(values, raw[i - 1], strict=True)]
            for i, values in enumerate(raw)
        ]
    stretches = gaps_of(seen, lake.rows(used, name, date), date, as_of) if gaps else []
    return {
        "symbol": name,
        "underlying_price": window[-1].spot if window else None,
        "expiration": date.isoformat(),
        "metric": metric,
        "mode": mode,
        "bar_size": "1m",
        "as_of": utc_text(as_of),
        "tier_used": used,
        "strikes_grid": [number(k) for k in strikes],
        "bars": [
            {"t": utc_text(t), "spot": rows[-1].spot, "values": values}
            for (t, rows), values in zip(by_minute.items(), shown, strict=True)
        ],
        "gap_intervals": [{"start": utc_text(start), "end": utc_text(end)} for start, end in stretches if end > since],
    }


def _minus(value: float | None, before: float | None) -> float | None:
    return None if value is None or before is None else value - before + 0.0


def levels(lake: SecondLake, symbol: str, as_of: int, known_at: int, tier: str | None = None) -> dict[str, Any]:
    """The levels of the newest visible row, by the names of ``Levels.to_dict``."""
    date = new_york_date(as_of)
    seen, _ = lake.visible(symbol, date, as_of, known_at, tier)
    names = (
        "ts recorded_at spot magnet call_wall put_wall gamma_flip max_pain pin_score "
        "net_gex net_dex net_vex net_chex atm_iv expected_move"
    )
    found: dict[str, Any] = {"symbol": symbol} | dict.fromkeys(names.split())
    if not seen:
        return found
    row, session = seen[-1], hours(date)
    found |= {"ts": utc_text(row.ts), "recorded_at": utc_text(row.recorded_at), "spot": row.spot}
    for name in EXPOSURES:
        each = [v for v in row.by_strike(name).values() if v is not None]
        found[f"net_{name}"] = sum(each) if each else None
    gex = {k: v for k, v in row.by_strike("gex").items() if v is not None}
    found["magnet"] = peak({k: abs(v) for k, v in gex.items()}, row.spot)
    found["call_wall"] = peak(gex, row.spot)
    found["put_wall"] = peak({k: -v for k, v in gex.items()}, row.spot)
    found["gamma_flip"] = gamma_flip(gex, row.spot)
    found["max_pain"] = max_pain(row.by_strike("call_oi"), row.by_strike("put_oi"), row.spot)
    found["atm_iv"] = atm_iv(row.by_strike("call_iv"), row.by_strike("put_iv"), row.spot)
    if found["atm_iv"] is not None and session is not None and row.spot is not None:
        left = max((session[1] - row.ts) / MINUTE, 1.0) / (365 * 24 * 60)
        found["expected_move"] = row.spot * found["atm_iv"] * math.sqrt(left)
    if session is not None:
        over = min(max((row.ts - session[0]) / (session[1] - session[0]), 0.0), 1.0)
        interest = metric_of(row, "oi")
        found["pin_score"] = pin_score(gex, interest, row.spot, found["magnet"], found["expected_move"], over)
    return found


def nearest(candidates: list[float], spot: float | None) -> float:
    """The candidate nearest spot, the lower of two; without a spot the lowest."""
    return min(candidates, key=lambda k: (0.0 if spot is None else abs(k - spot), k))


def peak(values: dict[float, float], spot: float | None) -> float | None:
    """The strike of the largest value above zero."""
    above = {k: v for k, v in values.items() if v > 0}
    if not above:
        return None
    most = max(above.values())
    return nearest([k for k, v in above.items() if v == most], spot)


def gamma_flip(gex: dict[float, float], spot: float | None) -> float | None:
    """Where gex cumulated from the lowest strike changes sign, interpolated, nearest spot."""
    running, before, crossings = 0.0, None, []
    for k in sorted(gex):
        running += gex[k]
        if running == 0:
            continue
        if before is not None and (before[1] > 0) != (running > 0):
            crossings.append(before[0] + (k - before[0]) * (before[1] / (before[1] - running)))
        before = (k, running)
    return nearest(crossings, spot) if crossings else None


def max_pain(calls: dict[float, float | None], puts: dict[float, float | None], spot: float | None) -> float | None:
    """The strike that leaves holders the least intrinsic value."""
    if not any(calls.values()) and not any(puts.values()):
        return None
    pain = {
        settled: sum(max(settled - k, 0.0) * (v or 0.0) for k, v in calls.items())
        + sum(max(k - settled, 0.0) * (v or 0.0) for k, v in puts.items())
        for settled in calls
    }
    return nearest([k for k, v in pain.items() if v == min(pain.values())], spot)


def atm_iv(calls: dict[float, float | None], puts: dict[float, float | None], spot: float | None) -> float | None:
    """The vol at the strike nearest spot that has one above zero: the mean of its sides."""
    usable = {k: [v for v in (calls[k], puts[k]) if v is not None and v > 0] for k in calls}
    usable = {k: vols for k, vols in usable.items() if vols}
    if not usable or spot is None:
        return None
    vols = usable[nearest(list(usable), spot)]
    return sum(vols) / len(vols)


def pin_score(
    gex: dict[float, float],
    interest: dict[float, float | None],
    spot: float | None,
    magnet: float | None,
    expected_move: float | None,
    over: float,
) -> float | None:
    """30 concentration + 25 proximity + 25 elapsed + 20 gamma share."""
    held = sorted((v for v in interest.values() if v is not None and v > 0), reverse=True)
    if magnet is None or spot is None or not expected_move or not held:
        return None
    z = (magnet - spot) / expected_move
    share = abs(gex[magnet]) / sum(abs(v) for v in gex.values())
    return 30 * sum(held[:3]) / sum(held) + 25 * math.exp(-z * z / 2) + 25 * over + 20 * share
