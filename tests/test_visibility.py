"""Nothing leaks: answers equal the second method's, and no row that is not visible changes a byte of them."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import json
import math
import os
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.contract import METRICS, MODES
from replay.errors import NoStrikeData
from replay.storage.engine import Engine
from replay.storage.files import Partition, open_files
from replay.storage.reader import Reader
from tests import lakes, second_method
from tests.second_method import LATEST, SecondLake

SHIPPED = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
SHIPPED_SESSIONS = sorted({"/".join(folder.parts[-2:]) for folder in SHIPPED.glob("tier=*/symbol=*/date=*")})
NO_STRIKES = "no_strike_data_for_window"
EVERY = pytest.mark.parametrize("symbol", sorted(lakes.CASES))

Request = dict[str, Any]


def asked(lake: replay.Lake, symbol: str, request: Request) -> bytes:
    """The bytes of an answer, or the code of the error."""
    known = request["known_at"]
    arguments = {name: value for name, value in request.items() if name not in ("as_of", "known_at")}
    try:
        shown = lake.heatmap(
            symbol,
            lakes.moment(request["as_of"]),
            known_at=None if known is None else "latest" if known == LATEST else lakes.moment(known),
            **arguments,
        )
    except NoStrikeData as error:
        return error.code.encode()
    body = shown.to_json()
    assert json.dumps(json.loads(body)) == json.dumps(shown.to_dict())
    return body


def expected(second: SecondLake, symbol: str, request: Request) -> str:
    """The second method's answer, as text of which every digit and the order of fields count."""
    try:
        return json.dumps(second_method.body(second, symbol, **request))
    except second_method.NoStrikeData:
        return NO_STRIKES


def equal(found: bytes, wanted: str) -> bool:
    return (json.dumps(json.loads(found)) if found.startswith(b"{") else found.decode()) == wanted


def moments_of(clocks: tuple[int, ...], date: dt.date) -> list[int]:
    """Every clock, the microseconds beside it, whole minutes, and the ends of the day."""
    walls = (
        "00:00",
        "09:29:59.999999",
        "09:30",
        "12:59:59",
        "13:00",
        "16:00",
        "16:00:00.8",
        "20:00",
        "23:59:59.999999",
    )
    near = {clock + step for clock in clocks for step in (-1, 0, 1)}
    minutes = {clock - clock % lakes.MINUTE + step for clock in clocks for step in (-1, 0, 59 * lakes.SECOND)}
    ends = {lakes.at(wall, date) for wall in walls}
    return sorted(us for us in near | minutes | ends if second_method.new_york_date(us) == date)


def any_request(rng: random.Random, clocks: tuple[int, ...], date: dt.date) -> Request:
    moments = moments_of(clocks, date)
    later = lakes.at("09:00", date + dt.timedelta(days=3))
    return {
        "as_of": rng.choice(moments),
        "known_at": rng.choice([None, None, LATEST, later, rng.choice(moments)]),
        "metric": rng.choice(METRICS),
        "mode": rng.choice(MODES),
        "minutes": rng.choice([-3, 1, 2, 60, 390, 1000, rng.randint(1, 390)]),
        "gaps": rng.random() < 0.5,
        "tier": rng.choice([None, None, None, "raw", "1m"]),
    }


def check(lake: replay.Lake, second: SecondLake, symbol: str, request: Request) -> None:
    date, known = second_method.new_york_date(request["as_of"]), request["known_at"]
    cut = request["as_of"] if known is None else known
    if request["tier"] == "1m" and not second.visible(symbol, date, request["as_of"], cut, "1m")[0]:
        return  # what tier_used is then has a test of its own, in test_contract
    assert equal(asked(lake, symbol, request), expected(second, symbol, request)), (symbol, request)


@EVERY
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(seed=st.integers(0, 2**32))
def test_answers_equal_the_second_method(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str, seed: int
) -> None:
    case = nasty.cases[symbol]
    request = any_request(lakes.dice(seed), case.moments, case.date)
    check(nasty_lake, nasty_second, symbol, request)


@EVERY
def test_whole_session_equals_the_second_method(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, nasty_second: SecondLake, symbol: str
) -> None:
    date = nasty.cases[symbol].date
    for metric in METRICS:
        for mode in MODES:
            request: Request = {"as_of": lakes.at("16:15", date), "known_at": LATEST, "metric": metric, "mode": mode}
            request |= {"minutes": 390, "gaps": True, "tier": None}
            found = asked(nasty_lake, symbol, request)
            assert equal(found, expected(nasty_second, symbol, request)), (metric, mode)
            assert b'"bars":[{' in found or symbol == "ALLLEGACY", "the case shows something"


@pytest.fixture(scope="module")
def shipped() -> tuple[replay.Lake, SecondLake]:
    assert SHIPPED_SESSIONS, f"the repository ships a lake at {SHIPPED}"
    return replay.open_lake(SHIPPED), SecondLake(SHIPPED)


@pytest.mark.parametrize("session", SHIPPED_SESSIONS or ["missing"])
def test_shipped_lake_equals_the_second_method(shipped: tuple[replay.Lake, SecondLake], session: str) -> None:
    lake, second = shipped
    symbol, date = (part.split("=")[1] for part in session.split("/"))
    day = dt.date.fromisoformat(date)
    stored = [row for tier in ("raw", "1m") for row in second.rows(tier, symbol, day)]
    clocks = sorted({us for row in stored for us in (row.ts, row.recorded_at)})
    rng = lakes.dice(session)
    moments = moments_of(tuple(rng.sample(clocks, min(len(clocks), 60))), day)
    for _ in range(12):
        request = {
            "as_of": rng.choice(moments),
            "known_at": rng.choice([None, None, LATEST, rng.choice(moments)]),
            "metric": rng.choice(METRICS),
            "mode": rng.choice(MODES),
            "minutes": rng.choice([1, 15, 60, 390]),
            "gaps": rng.random() < 0.5,
            "tier": None,
        }
        check(lake, second, symbol, request)


# --- what is not visible changes nothing


def answers(root: pathlib.Path, symbol: str, as_of: int, known_at: int) -> list[bytes]:
    """What a moment shows, by every road that shows it."""
    with replay.open_lake(root) as lake:
        shown = [
            asked(lake, symbol, {"as_of": as_of, "known_at": known_at} | request)
            for request in (
                {"metric": "gex", "minutes": 390, "gaps": True},
                {"metric": "gex", "mode": "delta", "minutes": 17},
                {"metric": "oi", "mode": "delta", "minutes": 390},
                {"metric": "signed_flow", "minutes": 390, "gaps": True},
                {"metric": "chex", "minutes": 1, "tier": "1m", "gaps": True},
            )
        ]
        levels = lake.levels(symbol, lakes.moment(as_of), _known(known_at))
        table = lake.snapshots(symbol, second_method.new_york_date(as_of), lakes.moment(as_of), _known(known_at))
        return [*shown, repr(levels).encode(), repr(table.to_dicts()).encode()]


def _known(us: int) -> str | dt.datetime:
    return "latest" if us == LATEST else lakes.moment(us)


def spoiler(rng: random.Random) -> Callable[[str, list[Any], pa.DataType, list[bool]], list[Any]]:
    """Values shuffled, scaled, signs flipped, NaN, strikes moved or gone, lists of another length, spots changed."""

    def spoil(name: str, rows: list[Any], kind: pa.DataType, kept: list[bool]) -> list[Any]:
        fixed = pa.types.is_fixed_size_list(kind)
        return [row if keep else spoilt(name, row, fixed=fixed) for row, keep in zip(rows, kept, strict=True)]

    def spoilt(name: str, row: Any, *, fixed: bool) -> Any:
        if name == "spot":
            return rng.choice([None, math.nan, -1.0, 1e6, 599.5])
        if not isinstance(row, list):
            if row is None and name in ("gex", "oi", "signed_flow") and not fixed:
                return [1.0, 2.0]
            return row
        numbers = [0 if v is None or v != v else v for v in row]
        how = rng.randrange(7)
        if how == 0:
            return rng.sample(numbers, len(numbers))
        if how == 1:
            return [v * 3 for v in numbers]
        if how == 2:
            return [-v for v in numbers]
        if how == 3:
            return [v + 1 for v in numbers]
        if how == 4:
            return None
        if how == 5 and not fixed:
            return [*numbers, 7]
        return [None] * len(row)

    return spoil


def check_hidden(
    source: pathlib.Path, work: pathlib.Path, case: lakes.Case, as_of: int, known_at: int, seed: str
) -> None:
    second = SecondLake(source)
    rows = {(tier, *row.place): row for tier in ("raw", "1m") for row in second.rows(tier, case.symbol, case.date)}
    in_time = {key for key, row in rows.items() if row.ts <= as_of and row.recorded_at <= known_at}
    seen = {
        (tier, *row.place)
        for tier in ("raw", "1m")
        for row in second_method.visible(second.rows(tier, case.symbol, case.date), as_of, known_at)
    }
    truth = answers(source, case.symbol, as_of, known_at)
    spoil = spoiler(lakes.dice(seed))
    for name, kept, how in (("deleted", in_time, None), ("in time", in_time, spoil), ("unseen", seen, spoil)):
        target = work / name
        (target / "tier=raw").mkdir(parents=True)
        lakes.hide(source, target, case, kept, how)
        assert answers(target, case.symbol, as_of, known_at) == truth, (case.symbol, as_of, known_at, name)
        shutil.rmtree(target)


@EVERY
def test_rows_not_visible_change_nothing(nasty: lakes.Nasty, tmp_path: pathlib.Path, symbol: str) -> None:
    case = nasty.cases[symbol]
    rng = lakes.dice(f"hidden {symbol}")
    moments = rng.sample(moments_of(case.moments, case.date), 3)
    for i, moment in enumerate(moments):
        as_of, known_at = ((moment, moment), (moment, LATEST), (lakes.at("16:15", case.date), moment))[i % 3]
        check_hidden(nasty.root, tmp_path, case, as_of, known_at, f"{symbol} {i}")


def test_rows_not_visible_change_nothing_at_every_moment(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rng = lakes.dice("every moment")
    rows = [lakes.some_row(rng, lakes.at("10:00") + i * 40 * lakes.SECOND, [599.0, 600.0]) for i in range(4)]
    late = [lakes.revised(rng, old, old["recorded_at"] + 90 * lakes.SECOND) for old in rows[::2]]
    lakes.write_own(root, "SPY", rows)
    lakes.write_own(root, "SPY", late)
    case = lakes.Case("SPY", lakes.DAY, lakes.clocks(rows + late))
    for clock in case.moments:
        for moment in (clock - 1, clock):
            check_hidden(root, tmp_path / "work", case, moment, moment, str(moment))


@pytest.mark.parametrize("group", [1, 7])
def test_a_number_that_cannot_be_read_hurts_no_moment_that_does_not_show_it(root: pathlib.Path, group: int) -> None:
    rows = [lakes.row(lakes.at("10:00") + i * lakes.MINUTE, [600.0], gex=[i]) for i in range(3)]
    whole = {"gex": pa.list_(pa.int64())}
    late = lakes.row(lakes.at("10:00"), [600.0], lag=3600 * lakes.SECOND, gex=[2**60 + 1])  # no double is that
    lakes.write_foreign(root, "SPY", "a.parquet", rows, types=whole, group=group)
    request = {"as_of": lakes.at("10:05"), "known_at": None, "gaps": True}
    with replay.open_lake(root) as lake:
        truth = asked(lake, "SPY", request)
    lakes.write_foreign(root, "SPY", "a.parquet", [*rows, late], types=whole, group=group)
    with replay.open_lake(root) as lake:
        for _ in range(3):
            assert asked(lake, "SPY", request) == truth


def test_a_sample_published_late_is_not_seen_before(root: pathlib.Path) -> None:
    ts = lakes.at("14:30")
    lakes.write_own(root, "SPY", [lakes.row(ts, [600.0], gex=[1.0])])
    lakes.write_own(root, "SPY", [lakes.row(ts, [600.0], lag=8 * 3600 * lakes.SECOND, gex=[2.0])])
    lake = replay.open_lake(root)

    def shown(as_of: int, known_at: dt.datetime | str | None = None) -> list[Any]:
        return [bar["values"] for bar in lake.heatmap("SPY", lakes.moment(as_of), known_at=known_at).to_dict()["bars"]]

    assert shown(ts + 799_999) == []
    assert shown(ts + 800_000) == [[1.0]]
    assert shown(lakes.at("15:00")) == [[1.0]]
    assert shown(lakes.at("15:00"), "latest") == [[2.0]]
    assert shown(lakes.at("15:00"), lakes.moment(ts + 8 * 3600 * lakes.SECOND)) == [[2.0]]
    assert shown(lakes.at("15:00"), lakes.moment(ts + 8 * 3600 * lakes.SECOND - 1)) == [[1.0]]
    assert shown(ts - 1, "latest") == []


# --- the same bytes however they are read


def sample_requests(case: lakes.Case, count: int) -> list[Request]:
    rng = lakes.dice(f"bytes {case.symbol}")
    moments = moments_of(case.moments, case.date)
    return [
        {
            "as_of": rng.choice(moments[len(moments) // 2 :]),
            "known_at": rng.choice([None, LATEST, rng.choice(moments)]),
            "metric": rng.choice(METRICS),
            "mode": rng.choice(MODES),
            "minutes": rng.choice([1, 5, 60, 390]),
            "gaps": True,
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("cache_bytes", [0, 2_000, 2**20, 256 * 2**20])
@pytest.mark.parametrize("threads", [1, 8])
def test_same_bytes_at_any_threads_and_cache(
    nasty: lakes.Nasty, nasty_second: SecondLake, threads: int, cache_bytes: int
) -> None:
    with replay.open_lake(nasty.root, threads=threads, cache_bytes=cache_bytes) as lake:
        cache = lake._reader._columns
        for case in nasty.cases.values():
            wanted = [(request, expected(nasty_second, case.symbol, request)) for request in sample_requests(case, 5)]
            for _ in range(3):  # cold, warming, warm
                for request, text in wanted:
                    assert equal(asked(lake, case.symbol, request), text), (case.symbol, request)
                    assert cache.nbytes <= cache_bytes
        held = sum(kept.nbytes for kept in cache._kept.values())
        assert held == cache.nbytes
        assert (held > 0) == (cache_bytes > 0)


def test_the_cache_keeps_its_bound_under_more_than_it_can_hold(root: pathlib.Path) -> None:
    strikes = [500.0 + k for k in range(200)]
    numbers = np.random.default_rng(1).normal(size=(300, 200))
    for day in range(3):
        date = lakes.DAY - dt.timedelta(days=day)
        rows = [
            lakes.row(lakes.at("09:30", date) + i * lakes.MINUTE, strikes, gex=values.tolist(), dex=values.tolist())
            for i, values in enumerate(numbers)
        ]
        lakes.write_own(root, "SPY", rows, date=date)
    limit, held = 2**20, set()
    with replay.open_lake(root, cache_bytes=limit) as lake:
        first = [
            lake.heatmap("SPY", lakes.DAY - dt.timedelta(days=d), m, minutes=390).to_json()
            for d in range(3)
            for m in ("gex", "dex")
        ]
        for _ in range(2):
            again = []
            for day in range(3):
                for metric in ("gex", "dex"):
                    again.append(lake.heatmap("SPY", lakes.DAY - dt.timedelta(days=day), metric, minutes=390).to_json())
                    held.add(lake._reader._columns.nbytes)
            assert again == first
    assert 0 < max(held) <= limit


def test_threads_of_one_lake_answer_as_one(nasty: lakes.Nasty, nasty_second: SecondLake) -> None:
    work = [
        (case.symbol, request, expected(nasty_second, case.symbol, request))
        for case in nasty.cases.values()
        for request in sample_requests(case, 4)
    ]
    with (
        replay.open_lake(nasty.root, threads=2, cache_bytes=20_000) as lake,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(lambda each: asked(lake, each[0], each[1]), work * 3))
    assert [equal(body, text) for body, (_, _, text) in zip(found, work * 3, strict=True)] == [True] * len(found)


@EVERY
def test_the_statement_and_the_kept_timeline_pick_the_same_rows(
    nasty: lakes.Nasty, nasty_second: SecondLake, symbol: str
) -> None:
    case = nasty.cases[symbol]
    store = open_files(nasty.root)
    engine = Engine(store, threads=2)
    reader = Reader(store, engine)
    rng = lakes.dice(f"sql {symbol}")
    for tier in ("raw", "1m"):
        partition = Partition(tier, symbol, case.date)
        files = [store.duckdb_path(file.path) for file in store.files(partition)]
        if not files:
            continue
        timeline = reader.timeline(partition)
        for _ in range(12):
            as_of, known_at = rng.choice(case.moments), rng.choice([*case.moments, LATEST])
            rows = engine.arrays("timeline", symbol, files=files, as_of=as_of, known_at=known_at)
            picked = np.flatnonzero(rows["visible"])
            assert picked.tolist() == timeline.visible(as_of, known_at).tolist()
            seen = second_method.visible(nasty_second.rows(tier, symbol, case.date), as_of, known_at)
            assert list(zip(rows["file"][picked].tolist(), rows["row"][picked].tolist(), strict=True)) == [
                row.place for row in seen
            ]
    engine.close()


# --- files that come, change and go


def values_of(lake: replay.Lake, symbol: str = "SPY") -> list[Any]:
    shown = lake.heatmap(symbol, lakes.DAY, minutes=390).to_dict()
    return [bar["values"] for bar in shown["bars"]]


def test_new_replaced_and_deleted_files_are_noticed(root: pathlib.Path) -> None:
    first = lakes.row(lakes.at("10:00"), [600.0], gex=[1.0])
    second = lakes.row(lakes.at("10:01"), [600.0], gex=[2.0])
    path = lakes.write_foreign(root, "SPY", "a.parquet", [first])
    lake = replay.open_lake(root)
    for _ in range(3):
        assert values_of(lake) == [[1.0]]
    other = lakes.write_foreign(root, "SPY", "b.parquet", [second])
    for _ in range(3):
        assert values_of(lake) == [[1.0], [2.0]]
    stat = path.stat()
    fresh = lakes.write_foreign(root, "SPY", "c.tmp", [first | {"gex": [5.0]}])
    assert fresh.stat().st_size == stat.st_size
    os.utime(fresh, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fresh.replace(path)  # the same size and time, another file
    for _ in range(3):
        assert values_of(lake) == [[5.0], [2.0]]
    lakes.write_foreign(root, "SPY", "a.parquet", [first | {"gex": [6.0]}])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # written over in place
    for _ in range(3):
        assert values_of(lake) == [[6.0], [2.0]]
    path.unlink()
    for _ in range(3):
        assert values_of(lake) == [[2.0]]
    other.unlink()
    assert values_of(lake) == []
    assert lake.levels("SPY", lakes.DAY).spot is None
    lakes.write_own(root, "SPY", [second | {"gex": [7.0]}])
    assert values_of(lake) == [[7.0]]


def test_partial_and_hidden_files_are_not_read(root: pathlib.Path) -> None:
    path = lakes.write_foreign(root, "SPY", "a.parquet", [lakes.row(lakes.at("10:00"), [600.0], gex=[1.0])])
    for name in (".hidden.parquet", f".{'0' * 64}.{'1' * 16}.partial", "_SUCCESS", "notes.txt", "b.parquet.tmp"):
        (path.parent / name).write_bytes(b"no parquet at all")
    (path.parent / "folder.parquet").mkdir()
    assert values_of(replay.open_lake(root)) == [[1.0]]


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()


def put(memory: Any, root: pathlib.Path, symbol: str) -> None:
    for path in root.glob(f"tier=*/symbol={symbol}/**/*.parquet"):
        memory.pipe_file(f"/lake/{path.relative_to(root).as_posix()}", path.read_bytes())


@EVERY
def test_a_lake_in_another_file_system_gives_the_same_bytes(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, memory: Any, symbol: str
) -> None:
    case = nasty.cases[symbol]
    put(memory, nasty.root, symbol)
    for threads in (1, 8):
        with replay.open_lake("/lake", memory, threads=threads) as lake:
            assert lake.symbols() == [symbol]
            for request in sample_requests(case, 4):
                for _ in range(2):
                    assert asked(lake, symbol, request) == asked(nasty_lake, symbol, request)


def test_a_replaced_object_is_noticed(root: pathlib.Path, memory: Any) -> None:
    row = lakes.row(lakes.at("10:00"), [600.0], gex=[1.0])
    lakes.write_foreign(root, "SPY", "a.parquet", [row])
    put(memory, root, "SPY")
    lake = replay.open_lake("memory://lake", memory)
    for _ in range(3):
        assert values_of(lake) == [[1.0]]
    lakes.write_foreign(root, "SPY", "a.parquet", [row | {"gex": [9.0]}])
    put(memory, root, "SPY")
    for _ in range(3):
        assert values_of(lake) == [[9.0]]
