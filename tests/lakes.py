"""Small nasty lakes: every case a symbol of its own, written by the package's writer or by a foreign program."""

from __future__ import annotations

import datetime as dt
import math
import pathlib
import random
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from replay import schema
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = dt.date(2026, 7, 24)
HALF_DAY = dt.date(2026, 11, 27)
LISTS = (
    *("gex", "dex", "vex", "chex", "call_oi", "put_oi", "signed_flow", "call_flow", "put_flow"),
    *("gamma_flow", "call_bid", "call_ask", "put_bid", "put_ask", "call_iv", "put_iv"),
    *("call_volume", "put_volume"),
)
NEW_YORK = ZoneInfo("America/New_York")

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One session of one symbol; ``moments`` are its clocks, microseconds, ascending."""

    symbol: str
    date: dt.date
    moments: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Nasty:
    """A lake with every case, by symbol."""

    root: pathlib.Path
    cases: dict[str, Case] = field(repr=False)


def at(wall: str, date: dt.date = DAY) -> int:
    """Microseconds since the epoch of a New York wall-clock time."""
    moment = dt.datetime.combine(date, dt.time.fromisoformat(wall), NEW_YORK)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def moment(us: int) -> dt.datetime:
    """The aware UTC datetime of microseconds since the epoch."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)


def dice(seed: str | int) -> random.Random:
    """Numbers drawn from a seed, the same on every machine."""
    return random.Random(seed)  # noqa: S311  # data, not secrets


def row(ts: int, strike: list[float] | None, *, lag: int = 800_000, spot: float | None = 600.0, **lists: Any) -> Row:
    """One snapshot by hand."""
    return {"ts": ts, "recorded_at": ts + lag, "spot": spot, "strike": strike, **lists}


def some_value(rng: random.Random) -> float | None:
    """A cell: mostly a number, now and then a zero, a negative zero, NaN or null."""
    kind = rng.random()
    if kind < 0.06:
        return math.nan
    if kind < 0.09:
        return None
    if kind < 0.13:
        return 0.0
    if kind < 0.16:
        return -0.0
    return float(rng.randint(-9, 9)) if kind < 0.3 else rng.gauss(0, 1) * 10 ** rng.randint(-3, 9)


def some_row(
    rng: random.Random, ts: int, strike: list[float] | None, *, lag: int = 800_000, spotless: bool = False
) -> Row:
    """One snapshot with values drawn at random; now and then a whole list is null, and ``spotless`` a spot."""
    unknown = spotless and rng.random() < 0.2
    made = row(ts, strike, lag=lag, spot=rng.choice([None, math.nan]) if unknown else _price(rng))
    if strike is None:
        return made
    for name in LISTS:
        values = [some_value(rng) for _ in strike]
        if name.endswith(("_oi", "_iv", "_bid", "_ask", "_volume")):
            values = [None if v is None else abs(v) for v in values]
        if name.endswith("_iv"):
            values = [None if v is None else v % 1.0 for v in values]
        made[name] = None if rng.random() < 0.06 else values
    return made


def _price(rng: random.Random) -> float:
    return round(rng.uniform(595, 605), 2)


def revised(rng: random.Random, old: Row, recorded_at: int) -> Row:
    """A correction of a snapshot."""
    made = some_row(rng, old["ts"], old["strike"])
    return made | {"recorded_at": recorded_at}


def table_of(rows: list[Row], types: dict[str, pa.DataType] | None = None) -> pa.Table:
    """Rows as an Arrow table of the stored types, or of others where given; absent keys are null."""
    names = list(dict.fromkeys(["ts", "recorded_at", "spot", *(name for each in rows for name in each)]))
    columns = {}
    for name in names:
        wanted = (types or {}).get(name) or (schema.BY_NAME[name].type if name in schema.BY_NAME else None)
        values = [each.get(name) for each in rows]
        if name in ("ts", "recorded_at"):
            clocks = pa.array(values, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
            columns[name] = clocks.cast(wanted, safe=False)
        else:
            columns[name] = pa.array(values, wanted)
    return pa.table(columns)


def folder_of(root: pathlib.Path, symbol: str, date: dt.date = DAY, tier: str = "raw") -> pathlib.Path:
    """A partition's folder."""
    return root / f"tier={tier}" / f"symbol={symbol}" / f"date={date}"


def write_foreign(
    root: pathlib.Path,
    symbol: str,
    name: str,
    rows: list[Row] | pa.Table,
    *,
    date: dt.date = DAY,
    tier: str = "raw",
    group: int = 7,
    types: dict[str, pa.DataType] | None = None,
    metadata: dict[str, str] | None = None,
) -> pathlib.Path:
    """Write a file as another program would: any name, any widths, small row groups, no metadata of ours."""
    table = rows if isinstance(rows, pa.Table) else table_of(rows, types)
    if metadata is not None:
        table = table.replace_schema_metadata(metadata)
    path = folder_of(root, symbol, date, tier) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink:
        pq.write_table(table, sink, row_group_size=group)
    return path


def write_own(
    root: pathlib.Path,
    symbol: str,
    rows: list[Row],
    *,
    date: dt.date = DAY,
    tier: str = "raw",
    cadence_us: int | None = None,
) -> int:
    """Write rows with the package's writer."""
    metadata = schema.metadata(source="test", conventions="test", cadence_us=cadence_us)
    return LakeWriter(root).add(Partition(tier, symbol, date), table_of(rows), metadata)


def _strikes(rng: random.Random, count: int = 6) -> list[float]:
    return sorted(rng.sample([595 + k / 2 for k in range(21)], count))


def _every(rng: random.Random, start: int, step: int, count: int, strike: list[float] | None = None) -> list[Row]:
    own = strike if strike is not None else _strikes(rng)
    return [some_row(rng, start + i * step, own) for i in range(count)]


def _corrections(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Corrections within the day and overnight, some corrected again."""
    first = _every(rng, at("09:30"), 20 * SECOND, 60)
    late = [revised(rng, old, old["recorded_at"] + rng.randint(1, 900 * SECOND)) for old in rng.sample(first, 14)]
    late += [revised(rng, old, old["recorded_at"] + rng.randint(1, 300 * SECOND)) for old in late[:5]]
    overnight = [revised(rng, old, at("08:00", DAY + dt.timedelta(1))) for old in rng.sample(first, 9)]
    write_own(root, symbol, first)
    write_own(root, symbol, late)
    write_own(root, symbol, overnight)
    return [*first, *late, *overnight]


def _gaps(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """A half day of a known cadence with stretches missing, at its start and end too."""
    rows = _every(rng, at("09:30", HALF_DAY), MINUTE, 211)
    missing = {*range(6), *range(40, 55), 90, 91, 120, *range(190, 211)}
    rows = [each for i, each in enumerate(rows) if i not in missing]
    write_own(root, symbol, rows, date=HALF_DAY, cadence_us=MINUTE)
    return rows


def _uneven(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """No cadence in the metadata, uneven steps and lags, late corrections."""
    ts, rows = at("09:28"), []
    for _ in range(70):
        ts += rng.choice([5, 20, 20, 20, 30, 60, 240]) * SECOND + rng.randint(0, 999_999)
        rows.append(some_row(rng, ts, _strikes(rng, 4), lag=rng.randint(0, 40 * SECOND), spotless=True))
    late = [revised(rng, old, old["recorded_at"] + 3600 * SECOND) for old in rows[::4]]
    write_foreign(root, symbol, "all.parquet", rows + late)
    return rows + late


def _legacy(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Rows without strikes between others, and corrections from either kind to the other."""
    rows = [some_row(rng, at("10:00") + i * 25 * SECOND, None if i % 3 == 2 else [599.0, 600.0]) for i in range(48)]
    late = [
        some_row(rng, old["ts"], [599.0, 600.0] if old["strike"] is None else None, lag=200 * SECOND)
        for old in rng.sample(rows, 12)
    ]
    write_own(root, symbol, rows)
    write_own(root, symbol, late)
    return rows + late


def _all_legacy(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Not one row with strikes."""
    rows = [some_row(rng, at("10:00") + i * MINUTE, None) for i in range(20)]
    write_own(root, symbol, rows)
    return rows


def _drifting(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Strikes that come and go, halves among them, empty lists, and lists out of order."""
    rows = []
    for i in range(60):
        own = [590.0 + i // 6 + k / 2 for k in range(rng.randint(0, 6))]
        if i % 7 == 3:
            own.reverse()
        rows.append(some_row(rng, at("11:00") + i * 23 * SECOND, own, spotless=True))
    write_foreign(root, symbol, "drift.parquet", rows, group=11)
    return rows


def _files(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Files that overlap: the same rows twice, rows that contradict each other, foreign names, no order."""
    rows = _every(rng, at("12:00"), 15 * SECOND, 60)
    write_own(root, symbol, rows[:30])
    write_foreign(root, symbol, "part-0.parquet", rng.sample(rows[10:45], 35), group=4)
    against = [revised(rng, old, old["recorded_at"]) for old in rows[20:60:3]]
    write_foreign(root, symbol, "a?b[1].parquet", against + rng.sample(rows[40:], 20), group=5)
    write_foreign(
        root, symbol, "zz *.parquet", against[3:9] + [revised(rng, old, old["recorded_at"]) for old in against[5:7]]
    )
    return rows


def _types(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Other widths and kinds of the same columns, columns missing, columns unknown, other clocks."""
    own = [598.0, 599.0, 600.0, 601.0]
    rows = _every(rng, at("13:00"), 12 * SECOND, 80, own)
    wide = {name: pa.large_list(pa.float32()) for name in ("strike", "gex", "dex", "call_oi", "signed_flow")}
    write_foreign(root, symbol, "float32.parquet", rows[:20], types=wide | {"spot": pa.float32()})
    fixed = {name: pa.list_(pa.float64(), 4) for name in ("strike", "gex", "vex", "put_oi")}
    elsewhere = dict.fromkeys(("ts", "recorded_at"), pa.timestamp("ms", tz="America/New_York"))
    write_foreign(root, symbol, "fixed.parquet", rows[20:40], types=fixed | elsewhere)
    thin = [{name: each[name] for name in ("gex", "spot", "strike", "recorded_at", "ts")} for each in rows[40:60]]
    thin = [each | {"note": "x", "flag": i, "nested": {"a": 1.5}} for i, each in enumerate(thin)]
    write_foreign(root, symbol, "thin.parquet", thin)
    whole = {name: pa.list_(pa.int32()) for name in ("strike", "call_volume")}
    last = [
        each | {"strike": [int(k) for k in own], "call_volume": [1, 2, 3, None], "flag": "other"} for each in rows[60:]
    ]
    write_foreign(root, symbol, "whole.parquet", last, types=whole)
    return rows


def _nanoseconds(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """One file whose clocks are nanoseconds, beside one of microseconds."""
    rows = _every(rng, at("13:00:00.000001"), 12 * SECOND, 40)
    clocks_ns = dict.fromkeys(("ts", "recorded_at"), pa.timestamp("ns", tz="UTC"))
    write_foreign(root, symbol, "a nanoseconds.parquet", rows[:25], types=clocks_ns)
    write_foreign(root, symbol, "b microseconds.parquet", rows[15:])
    return rows


def _flow(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Flow each second, then four times a second, with rows that know nothing of it."""
    rows = _every(rng, at("14:00"), SECOND, 150, [599.0, 600.0, 601.0])
    rows += _every(rng, at("14:02:45.125"), SECOND // 4, 200, [599.0, 600.0, 600.5])
    for each in rng.sample(rows, 40):
        each["signed_flow"] = None
    rows += [some_row(rng, at("14:01:30.5") + i * SECOND, None) for i in range(5)]
    rows += [row(at("14:05") + i * SECOND, [599.0, 600.0], signed_flow=[math.nan, None]) for i in range(9)]
    write_own(root, symbol, rows, cadence_us=SECOND)
    return rows


def _edges(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Before the open, at the open, at the close, after it, and the last microsecond of a minute."""
    walls = (
        *("04:00", "09:29:59.999999", "09:30", "09:30:59.999999", "09:31", "12:00:00.000001", "12:00:59.999999"),
        *("15:58:30", "15:59", "15:59:59.999999", "16:00", "16:00:00.000001", "16:15", "23:59:59.999999"),
    )
    rows = [some_row(rng, at(wall), _strikes(rng), lag=rng.choice([0, 1, 800_000])) for wall in walls]
    write_own(root, symbol, rows)
    return rows


def _tiers(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Raw rows that became known late, beside thinned ones that did not."""
    thin = _every(rng, at("10:00"), MINUTE, 40)
    raw = [some_row(rng, at("10:05") + i * 20 * SECOND, _strikes(rng), lag=600 * SECOND) for i in range(50)]
    write_own(root, symbol, thin, tier="1m", cadence_us=MINUTE)
    write_own(root, symbol, raw)
    return thin + raw


def _thinned(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Nothing but thinned rows."""
    rows = _every(rng, at("10:00:59"), MINUTE, 40)
    write_own(root, symbol, rows, tier="1m", cadence_us=MINUTE)
    return rows


def _totals(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Open interest as a total alone, as sides alone, as one side, and as all three."""
    rows = _every(rng, at("10:00"), 30 * SECOND, 60, [599.0, 600.0, 601.0])
    for i, each in enumerate(rows):
        each["oi"] = None if i % 4 == 1 else [abs(v) if (v := some_value(rng)) else v for _ in range(3)]
        if i % 4 in (0, 2):
            each["call_oi"] = None
        if i % 4 == 0:
            each["put_oi"] = None
    write_own(root, symbol, rows)
    return rows


def _still(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """The same lists in every row."""
    same: dict[str, Any] = {name: [float(rng.randint(-99, 99)) for _ in range(5)] for name in LISTS}
    rows = [row(at("10:00") + i * 30 * SECOND, [598.0, 599.0, 600.0, 601.0, 602.0], **same) for i in range(40)]
    write_own(root, symbol, rows)
    return rows


def _holes(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """Lists with a strike that is no number."""
    rows = _every(rng, at("10:00"), 30 * SECOND, 30, [math.nan, 598.0, 599.0, 600.0])
    rows += [row(at("10:20") + i * 30 * SECOND, [598.0, None, 600.0], gex=[1.0, 9.0, 2.0]) for i in range(5)]  # type: ignore[list-item]
    write_foreign(root, symbol, "holes.parquet", rows)
    return rows


def _no_rows(rng: random.Random, root: pathlib.Path, symbol: str) -> list[Row]:
    """A file without rows, one without row groups' worth of clocks, and one with rows."""
    rows = _every(rng, at("10:00"), 30 * SECOND, 20)
    write_foreign(root, symbol, "empty.parquet", table_of(rows).slice(0, 0))
    timeless = [each | {"ts": None} if i % 2 else each | {"recorded_at": None} for i, each in enumerate(rows[:6])]
    write_foreign(root, symbol, "timeless.parquet", timeless)
    write_foreign(root, symbol, "rows.parquet", rows)
    return rows


CASES: dict[str, tuple[dt.date, Callable[[random.Random, pathlib.Path, str], list[Row]]]] = {
    "CORRECT": (DAY, _corrections),
    "GAPS": (HALF_DAY, _gaps),
    "UNEVEN": (DAY, _uneven),
    "LEGACY": (DAY, _legacy),
    "ALLLEGACY": (DAY, _all_legacy),
    "DRIFT": (DAY, _drifting),
    "FILES": (DAY, _files),
    "TYPES": (DAY, _types),
    "NANOS": (DAY, _nanoseconds),
    "FLOW": (DAY, _flow),
    "EDGES": (DAY, _edges),
    "TIERS": (DAY, _tiers),
    "THIN": (DAY, _thinned),
    "TOTALS": (DAY, _totals),
    "STILL": (DAY, _still),
    "HOLES": (DAY, _holes),
    "NOROWS": (DAY, _no_rows),
}


def build(root: pathlib.Path, symbol: str) -> Case:
    """Write one case into a lake."""
    date, write = CASES[symbol]
    rows = write(dice(f"lake {symbol}"), root, symbol)
    return Case(symbol, date, clocks(rows))


def build_all(root: pathlib.Path) -> dict[str, Case]:
    """Write every case into one lake."""
    return {symbol: build(root, symbol) for symbol in CASES}


def clocks(rows: Iterable[Row]) -> tuple[int, ...]:
    """Every clock of some rows, ascending."""
    return tuple(sorted({each[name] for each in rows for name in ("ts", "recorded_at") if each[name] is not None}))


def hide(
    source: pathlib.Path,
    target: pathlib.Path,
    case: Case,
    keep: Container[tuple[str, int, int]],
    spoil: Callable[[str, list[Any], pa.DataType, list[bool]], list[Any]] | None,
) -> None:
    """Copy a case with the rows that are not in ``keep`` (tier, file, row) left out, or spoilt column by column."""
    for tier in ("raw", "1m"):
        folder = folder_of(source, case.symbol, case.date, tier)
        for number, path in enumerate(sorted(folder.glob("*.parquet"), key=lambda each: each.name)):
            with pa.OSFile(str(path), "rb") as file:
                table = pq.ParquetFile(file).read()
            kept = [(tier, number, i) in keep for i in range(table.num_rows)]
            if spoil is None:
                table = table.filter(pa.array(kept, pa.bool_()))
                if not table.num_rows:
                    continue
            else:
                for i, column in enumerate(table.schema):
                    if column.name not in ("ts", "recorded_at"):
                        values = spoil(column.name, table.column(i).to_pylist(), column.type, kept)
                        table = table.set_column(i, column.with_nullable(True), pa.array(values, column.type))
            write_foreign(target, case.symbol, path.name, table, date=case.date, tier=tier, group=9)
