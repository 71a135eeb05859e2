"""Writing: whole files named by content, nothing twice, nothing contradicted, and nothing lost."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import multiprocessing
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import replay
from replay import schema
from replay.errors import CannotWrite, ConflictingRow
from replay.storage.files import Partition, is_content_name, is_leftover
from replay.storage.writer import LakeWriter
from tests import lakes
from tests.lakes import MINUTE, SECOND, at, row
from tests.second_method import SecondLake

PARTITION = Partition("raw", "SPY", lakes.DAY)
METADATA = schema.metadata(source="test", conventions="test")


def rows_of(start: int, count: int, seed: str = "rows") -> list[lakes.Row]:
    rng = lakes.dice(seed)
    return [lakes.some_row(rng, at("09:30") + (start + i) * 10 * SECOND, [599.0, 600.0, 601.0]) for i in range(count)]


def add(root: pathlib.Path, rows: list[lakes.Row]) -> int:
    return LakeWriter(root).add(PARTITION, lakes.table_of(rows), METADATA)


def contents(root: pathlib.Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def stored(root: pathlib.Path) -> list[tuple[int, int]]:
    """The clocks of every stored row, by the second method."""
    return sorted((each.ts, each.recorded_at) for each in SecondLake(root).rows("raw", "SPY", lakes.DAY))


def clocks(rows: list[lakes.Row]) -> list[tuple[int, int]]:
    return sorted((each["ts"], each["recorded_at"]) for each in rows)


# --- the file


def test_a_file_is_named_by_its_content(root: pathlib.Path) -> None:
    assert add(root, rows_of(0, 5)) == 5
    assert add(root, rows_of(5, 5)) == 5
    files = contents(root)
    assert len(files) == 2
    for path, data in files.items():
        assert path == f"tier=raw/symbol=SPY/date=2026-07-24/{hashlib.sha256(data).hexdigest()}.parquet"
        assert is_content_name(path.rsplit("/", 1)[1])


def test_a_file_has_exactly_the_stored_schema_and_its_metadata(root: pathlib.Path) -> None:
    metadata = schema.metadata(source="a vendor", conventions="replay-1", cadence_us=5 * SECOND)
    table = lakes.table_of(rows_of(0, 3)).select(["gex", "spot", "strike", "recorded_at", "ts"])
    LakeWriter(root).add(PARTITION, table.append_column("unknown", pa.array([1, 2, 3])), metadata)
    path = next(root.rglob("*.parquet"))
    found = pq.ParquetFile(path).schema_arrow
    assert found.equals(schema.ARROW)
    assert {key: value for key, value in found.metadata.items() if key.startswith(b"replay.")} == {
        b"replay.schema_version": b"1",
        b"replay.source": b"a vendor",
        b"replay.conventions": b"replay-1",
        b"replay.cadence_us": b"5000000",
    }
    assert pq.ParquetFile(path).read().column("vex").null_count == 3


def test_rows_are_sorted_and_row_groups_are_small(root: pathlib.Path) -> None:
    rows = [row(at("09:30") + i * SECOND, [600.0], lag=lag, gex=[float(i)]) for i in range(900) for lag in (1, 900_000)]
    lakes.dice(3).shuffle(rows)
    assert add(root, rows) == 1800
    file = pq.ParquetFile(next(root.rglob("*.parquet")))
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert sum(sizes) == 1800
    assert max(sizes) <= 200
    assert min(sizes[:-1]) >= 100
    table = file.read(columns=["ts", "recorded_at"])
    pairs = list(zip(*(table[name].cast(pa.int64()).to_pylist() for name in ("ts", "recorded_at")), strict=True))
    assert pairs == clocks(rows)


def test_what_is_written_is_what_is_read(root: pathlib.Path) -> None:
    rows = rows_of(0, 40)
    add(root, rows)
    found = SecondLake(root).rows("raw", "SPY", lakes.DAY)
    for wrote, read in zip(rows, found, strict=True):
        assert (read.ts, read.recorded_at, read.spot, read.strike) == (
            wrote["ts"],
            wrote["recorded_at"],
            wrote["spot"],
            wrote["strike"],
        )
        for name in ("gex", "call_oi", "signed_flow", "put_iv"):
            plain = wrote[name]
            if plain is not None:
                plain = [None if v is None or math.isnan(v) else v + 0.0 for v in plain]
            assert read.lists[name] == plain


# --- the same again


def test_the_same_twice_changes_nothing(root: pathlib.Path) -> None:
    rows = rows_of(0, 300)
    assert add(root, rows) == 300
    before = contents(root)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for again in (rows, rows[::-1], rows[17:40], rows[:1], []):
        assert add(root, again) == 0
    assert contents(root) == before
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == stamps


def test_the_same_rows_make_the_same_bytes_in_another_lake(tmp_path: pathlib.Path) -> None:
    rows = rows_of(0, 50)
    add(tmp_path / "a", rows)
    add(tmp_path / "b", rows[::-1])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    LakeWriter("/lake", memory).add(PARTITION, lakes.table_of(rows), METADATA)
    found = {path.removeprefix("/lake/"): memory.cat_file(path) for path in memory.find("/lake")}
    memory.store.clear()
    assert found == contents(tmp_path / "a")


def test_only_what_is_new_is_written(root: pathlib.Path) -> None:
    rows = rows_of(0, 30)
    assert add(root, rows[:20]) == 20
    assert add(root, rows[10:]) == 10
    assert stored(root) == clocks(rows)
    late = [each | {"recorded_at": each["recorded_at"] + MINUTE} for each in rows[:5]]
    assert add(root, rows + late) == 5, "a later recorded_at is another row, whatever stands in it"
    assert stored(root) == clocks(rows + late)


def test_a_computed_value_may_differ_in_its_last_bits_alone(root: pathlib.Path) -> None:
    base = row(at("10:00"), [600.0, 601.0], gex=[1e9, -3.5], call_oi=[100.0, 200.0])
    add(root, [base])
    before = contents(root)
    assert add(root, [base | {"gex": [1e9 * (1 + 1e-13), -3.5 * (1 - 1e-13)]}]) == 0
    for other in ({"gex": [1e9 * (1 + 1e-6), -3.5]}, {"call_oi": [100.0 + 1e-9, 200.0]}, {"spot": 600.0000001}):
        with pytest.raises(ConflictingRow):
            add(root, [base | other])
    assert contents(root) == before


# --- conflicts and unsound rows


def test_a_row_that_says_less_than_a_stored_one_is_stored_already(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0, 601.0], gex=[1.0, 2.0], call_oi=[3.0, math.nan])])
    before = contents(root)
    assert add(root, [row(at("10:00"), [600.0, 601.0], call_oi=[3.0, math.nan])]) == 0
    assert contents(root) == before


@pytest.mark.parametrize(
    "change",
    [
        {"spot": 601.0},
        {"gex": [1.0, 3.0]},
        {"gex": [1.0, math.nan]},
        {"gex": [1.0, -2.0]},
        {"strike": [600.0, 602.0]},
        {"strike": [600.0], "gex": [1.0], "call_oi": [3.0]},
        {"strike": None, "gex": None, "call_oi": None},
        {"call_oi": [3.0, 0.0]},
        {"vex": [0.0, 0.0]},
    ],
    ids=str,
)
def test_a_row_that_contradicts_a_stored_one_is_refused_and_nothing_is_written(root: pathlib.Path, change: Any) -> None:
    base = row(at("10:00"), [600.0, 601.0], gex=[1.0, 2.0], call_oi=[3.0, math.nan])
    add(root, [base])
    before = contents(root)
    with pytest.raises(ConflictingRow, match=r"2026-07-24T14:00:00Z recorded at 2026-07-24T14:00:00\.800000Z") as error:
        add(root, [*rows_of(0, 4), base | change, *rows_of(10_000, 0)])
    assert (error.value.code, error.value.http_status) == ("conflicting_row", 503)
    assert contents(root) == before
    assert add(root, rows_of(0, 4)) == 4, "the lock is free again"


def test_rows_that_contradict_each_other_are_refused(root: pathlib.Path) -> None:
    base = row(at("10:00"), [600.0], gex=[1.0])
    with pytest.raises(ConflictingRow, match="two rows"):
        add(root, [base, base | {"gex": [2.0]}])
    assert contents(root) == {}


def test_of_foreign_rows_that_contradict_each_other_the_one_that_is_read_counts(root: pathlib.Path) -> None:
    base = row(at("10:00"), [600.0], gex=[1.0])
    lakes.write_foreign(root, "SPY", "a.parquet", [base])
    lakes.write_foreign(root, "SPY", "b.parquet", [base | {"gex": [2.0]}])
    assert add(root, [base | {"gex": [2.0]}]) == 0
    with pytest.raises(ConflictingRow, match=r"b\.parquet"):
        add(root, [base])


@pytest.mark.parametrize(
    "fault",
    [
        {"ts": None},
        {"recorded_at": None},
        {"recorded_at": at("10:00") - 1},
        {"ts": at("10:00", dt.date(2026, 7, 23)), "recorded_at": at("16:00")},
        {"spot": None},
        {"spot": math.nan},
        {"spot": 0.0},
        {"spot": -1.0},
        {"spot": math.inf},
        {"strike": [601.0, 600.0]},
        {"strike": [600.0, 600.0]},
        {"strike": [600.0, math.nan]},
        {"strike": [600.0, None]},
        {"gex": [1.0]},
        {"gex": [1.0, 2.0, 3.0]},
        {"gex": []},
        {"strike": None},
        {"expiration": dt.date(2026, 7, 25)},
    ],
    ids=str,
)
def test_an_unsound_row_is_refused_and_nothing_is_written(root: pathlib.Path, fault: Any) -> None:
    base = row(at("10:00"), [600.0, 601.0], gex=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"tier=raw/symbol=SPY/date=2026-07-24"):
        add(root, [row(at("10:01"), [600.0], gex=[1.0]), base | fault])
    assert contents(root) == {}


@pytest.mark.parametrize("missing", ["ts", "recorded_at", "spot"])
def test_a_table_without_the_columns_is_refused(root: pathlib.Path, missing: str) -> None:
    table = lakes.table_of([row(at("10:00"), [600.0], gex=[1.0])]).drop_columns([missing])
    with pytest.raises(ValueError, match=f"column {missing} is missing"):
        LakeWriter(root).add(PARTITION, table, METADATA)
    assert contents(root) == {}


# --- writers that die


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_write_that_fails_leaves_the_lake_as_it_was(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    rows = rows_of(0, 20)
    add(root, rows[:10])
    before = contents(root)

    def fail(handle: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(CannotWrite if isinstance(error, OSError) else type(error)):
            add(root, rows)
    assert contents(root) == before
    assert add(root, rows) == 10
    assert stored(root) == clocks(rows)


WRITE = textwrap.dedent(
    """
    import os, pathlib, sys, time
    from tests import lakes, test_writer
    stage, root = sys.argv[1], pathlib.Path(sys.argv[2])

    def hang(*args, **kwargs):
        print("there", flush=True)
        time.sleep(600)

    if stage == "before the file is whole":
        os.fsync = hang
    elif stage == "before its name":
        pathlib.Path.replace = hang
    elif stage == "after its name":
        from replay.storage import files
        files._sync_folder = hang
    print("ready", flush=True)
    test_writer.add(root, test_writer.rows_of(0, 200))
    print("done", flush=True)
    """
)


def writer(stage: str, root: pathlib.Path) -> subprocess.Popen[str]:
    home = pathlib.Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, stage, str(root)], stdout=subprocess.PIPE, text=True, env=environment, cwd=home
    )


def check_survived(root: pathlib.Path) -> None:
    """The lake reads, holds all of the new rows or none, has at most a leftover, and takes the rows again."""
    old, new = rows_of(300, 10), rows_of(0, 200)
    names = [path.name for path in root.rglob("*") if path.is_file()]
    assert all(is_content_name(name) or is_leftover(name) for name in names)
    assert sum(map(is_leftover, names)) <= 1
    found = stored(root)
    assert found in (clocks(old), clocks(old + new))
    with replay.open_lake(root) as lake:
        shown = lake.snapshots("SPY", lakes.DAY)
        assert len(shown) == len(found)
    assert add(root, new) == (0 if len(found) > len(old) else len(new))
    assert stored(root) == clocks(old + new)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("stage", "leftovers", "files"),
    [("before the file is whole", 1, 1), ("before its name", 1, 1), ("after its name", 0, 2)],
)
def test_a_writer_killed_at_a_stage_leaves_a_whole_lake(
    root: pathlib.Path, stage: str, leftovers: int, files: int
) -> None:
    add(root, rows_of(300, 10))
    process = writer(stage, root)
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(2)] == ["ready", "there"]
    process.kill()
    process.wait(30)
    process.stdout.close()
    names = [path.name for path in root.rglob("*") if path.is_file()]
    assert (sum(map(is_leftover, names)), sum(map(is_content_name, names))) == (leftovers, files)
    check_survived(root)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04])
def test_a_writer_killed_at_any_moment_leaves_a_whole_lake(root: pathlib.Path, delay: float) -> None:
    add(root, rows_of(300, 10))
    process = writer("at any moment", root)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    time.sleep(delay)
    process.kill()
    process.wait(30)
    process.stdout.close()
    check_survived(root)


# --- writers at once


def _add_part(root: pathlib.Path, number: int, parts: int, gate: Any, results: Any) -> None:
    gate.wait(60)
    written = 0
    for start in range(0, 60, 20):  # rows of its own, and those that all have
        written += add(
            root, rows_of(1000 + 100 * number + start, 20, f"own {number} {start}") + rows_of(start, 20, f"{start}")
        )
    results.put(written)


def test_two_writers_at_once_lose_nothing_and_write_nothing_twice(root: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(2), context.Queue()
    writers = [context.Process(target=_add_part, args=(root, number, 2, gate, results)) for number in range(2)]
    for each in writers:
        each.start()
    written = [results.get(timeout=60) for _ in writers]
    for each in writers:
        each.join(60)
    assert [each.exitcode for each in writers] == [0, 0]
    wanted = [r for start in range(0, 60, 20) for r in rows_of(start, 20, f"{start}")]
    wanted += [
        r
        for n in range(2)
        for start in range(0, 60, 20)
        for r in rows_of(1000 + 100 * n + start, 20, f"own {n} {start}")
    ]
    assert stored(root) == clocks(wanted), "each row once"
    assert sum(written) == len(wanted)
    assert not [path for path in root.rglob("*") if is_leftover(path.name)]


def test_writers_in_threads_of_one_process_are_serialised_too(root: pathlib.Path) -> None:
    rows, counts = rows_of(0, 100), []
    shared = LakeWriter(root)

    def work(own: LakeWriter) -> None:
        counts.append(own.add(PARTITION, lakes.table_of(rows), METADATA))

    threads = [threading.Thread(target=work, args=(shared if i % 2 else LakeWriter(root),)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(counts) == [0, 0, 0, 100]
    assert stored(root) == clocks(rows)


def test_a_reader_sees_a_whole_lake_while_it_is_written(root: pathlib.Path) -> None:
    add(root, rows_of(0, 10))
    stop = threading.Event()

    def write() -> None:
        for start in range(10, 200, 10):
            if stop.is_set():
                return
            add(root, rows_of(start, 10, f"part {start}"))

    thread = threading.Thread(target=write)
    with replay.open_lake(root) as lake:
        thread.start()
        seen = [10]
        try:
            while thread.is_alive():
                seen.append(len(lake.snapshots("SPY", lakes.DAY)))
        finally:
            stop.set()
            thread.join(60)
        seen.append(len(lake.snapshots("SPY", lakes.DAY)))
    assert seen == sorted(seen)
    assert {count % 10 for count in seen} == {0}
    assert seen[-1] == 200
