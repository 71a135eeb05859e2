"""Compaction, thinning and ageing: the same answers before, meanwhile and after, and nothing lost on the way."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import pathlib
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay import schema
from replay.cli.compact import compact
from replay.errors import AgedOut, CannotWrite, ReplayError, UnreadableFile
from replay.storage.compaction import Outcome, merge_partition, opened
from replay.storage.engine import Engine
from replay.storage.files import LocalFiles, Partition, open_files, partitions
from replay.storage.reader import Reader
from replay.storage.thinning import drop_raw, thin_partition
from replay.storage.writer import LakeWriter
from replay.verify import verify_lake
from tests import lakes, second_method
from tests.lakes import MINUTE, SECOND, at, moment, row
from tests.second_method import SecondLake

METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
RAW = Partition("raw", "SPY", lakes.DAY)
THIN = Partition("1m", "SPY", lakes.DAY)
OWN = {"replay.schema_version": "1", "replay.source": "test", "replay.conventions": "test"}


def answer(lake: replay.Lake, symbol: str, as_of: int, known_at: int | str | None = "latest", **request: Any) -> bytes:
    known = lakes.moment(known_at) if isinstance(known_at, int) else known_at
    try:
        return lake.heatmap(symbol, lakes.moment(as_of), known_at=known, **request).to_json()
    except ReplayError as error:
        return error.code.encode()


def merge(root: pathlib.Path, partition: Partition = RAW, **options: Any) -> Outcome:
    with opened(root) as (store, reader):
        return merge_partition(store, reader, partition, **options)


def thin(root: pathlib.Path, partition: Partition = RAW, **options: Any) -> Outcome:
    with opened(root) as (store, reader):
        return thin_partition(store, reader, partition, **options)


def drop(root: pathlib.Path, partition: Partition = RAW, **options: Any) -> Outcome:
    with opened(root) as (store, reader):
        return drop_raw(store, reader, partition, **options)


def contents(root: pathlib.Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def paths(root: pathlib.Path, tier: str = "raw") -> list[pathlib.Path]:
    return sorted((root / f"tier={tier}").rglob("*.parquet"))


def some_rows(count: int, start: str = "10:00", step: int = 20 * SECOND, seed: str = "rows") -> list[lakes.Row]:
    rng = lakes.dice(seed)
    return [lakes.some_row(rng, at(start) + i * step, [599.0, 600.0, 601.0]) for i in range(count)]


def distinct(root: pathlib.Path, case: lakes.Case) -> list[tuple[int, int, str]]:
    """Every stored row once, by the second method."""
    rows = SecondLake(root).rows("raw", case.symbol, case.date)
    return sorted({(each.ts, each.recorded_at, repr((each.spot, each.strike, each.lists))) for each in rows})


# --- merging


def test_merging_changes_no_answer_and_loses_no_row(
    nasty: lakes.Nasty, nasty_lake: replay.Lake, tmp_path: pathlib.Path
) -> None:
    root = tmp_path / "merged"
    shutil.copytree(nasty.root, root)
    before = contents(root)
    with opened(root) as (store, reader):
        stored = list(partitions(store))
        outcomes = {each: merge_partition(store, reader, each) for each in stored}
        after = contents(root)
        again = [merge_partition(store, reader, each).verdict for each in stored]
    assert again == ["left" if each.verdict == "left" else "whole" for each in outcomes.values()]
    assert contents(root) == after
    with replay.open_lake(root) as new:
        for partition, outcome in outcomes.items():
            assert bool(outcome.reason) == (outcome.verdict == "left")
            if outcome.verdict == "merged":
                check_merged(nasty_lake, new, nasty.cases[partition.symbol])
            else:
                files = [
                    {path: data for path, data in each.items() if partition.folder in path} for each in (before, after)
                ]
                assert files[0] == files[1]
    merged = {partition.symbol for partition, outcome in outcomes.items() if outcome.verdict == "merged"}
    assert merged == {"CORRECT", "FILES", "LEGACY", "NANOS"}


def check_merged(old: replay.Lake, new: replay.Lake, case: lakes.Case) -> None:
    """Two lakes hold the same rows of a session, each once, and answer the same."""
    assert distinct(pathlib.Path(new.path), case) == distinct(pathlib.Path(old.path), case)
    rng = lakes.dice(f"merged {case.symbol}")
    for _ in range(20):
        as_of = rng.choice(case.moments)
        known_at: int | str | None = rng.choice([None, "latest", *rng.sample(case.moments, 2)])
        request: dict[str, Any] = {
            "metric": rng.choice(METRICS),
            "mode": rng.choice(["raw", "delta"]),
            "minutes": rng.choice([1, 60, 390]),
            "gaps": True,
        }
        truth = answer(old, case.symbol, as_of, known_at, **request)
        assert answer(new, case.symbol, as_of, known_at, **request) == truth, (case.symbol, as_of, known_at, request)
    cut = lakes.moment(rng.choice(case.moments))
    tables = [lake.snapshots(case.symbol, case.date, known_at=cut) for lake in (old, new)]
    assert tables[0].equals(tables[1])
    assert repr(old.levels(case.symbol, cut)) == repr(new.levels(case.symbol, cut))


def test_the_merged_file_is_sorted_named_by_its_content_and_small_grouped(root: pathlib.Path) -> None:
    rows = some_rows(450, "09:30")
    late = [lakes.revised(lakes.dice(i), old, old["recorded_at"] + SECOND) for i, old in enumerate(rows[::5])]
    for part in (rows[300:], rows[:300], late):
        lakes.write_own(root, "SPY", part)
    outcome = merge(root)
    (path,) = paths(root)
    assert (outcome.verdict, outcome.files, outcome.nbytes[1]) == ("merged", (3, 1), path.stat().st_size)
    assert path.name == f"{hashlib.sha256(path.read_bytes()).hexdigest()}.parquet"
    file = pq.ParquetFile(path)
    assert file.schema_arrow.equals(schema.ARROW)
    assert max(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)) <= 200
    found = second_method.read_file(str(path), 0)
    assert [(each.ts, each.recorded_at) for each in found] == sorted(
        (each["ts"], each["recorded_at"]) for each in rows + late
    )
    assert {each.kind for each in verify_lake(open_files(root))} == {"summary"}
    stat = path.stat()
    assert merge(root).verdict == "whole"
    assert path.stat() == stat


def test_files_of_other_cadence_or_conventions_stay_apart_and_sources_are_told_together(root: pathlib.Path) -> None:
    rows = some_rows(12)
    kinds = [OWN, OWN | {"replay.source": "b + a"}, OWN | {"replay.conventions": "x"}, OWN | {"replay.cadence_us": "5"}]
    for i, entries in enumerate([*kinds, *kinds]):
        lakes.write_foreign(root, "SPY", f"{i}.parquet", rows[i : i + 1], metadata=entries)
    assert merge(root).files == (8, 3)
    found = []
    for path in paths(root):
        own = {k.decode(): v.decode() for k, v in pq.read_schema(path).metadata.items() if k.startswith(b"replay.")}
        found.append((own, [each.ts for each in second_method.read_file(str(path), 0)]))
    starts = [each["ts"] for each in rows]
    expected = [
        (OWN | {"replay.source": "a + b + test"}, [starts[i] for i in (0, 1, 4, 5)]),
        (OWN | {"replay.conventions": "x"}, [starts[2], starts[6]]),
        (OWN | {"replay.cadence_us": "5"}, [starts[3], starts[7]]),
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_rows_that_contradict_each_other_stay_in_their_order(root: pathlib.Path) -> None:
    first, second, third = ([row(at("10:00"), [600.0], gex=[value])] for value in (1.0, 2.0, 3.0))
    lakes.write_foreign(root, "SPY", "a.parquet", first + third, metadata=OWN)
    lakes.write_foreign(root, "SPY", "b.parquet", second, metadata=OWN)
    lakes.write_foreign(root, "SPY", "c.parquet", first + third + second + third, metadata=OWN)
    lakes.write_foreign(root, "SPY", "d.parquet", first, metadata=OWN)
    assert merge(root).files == (4, 1)
    (path,) = paths(root)
    assert [each.lists["gex"] for each in second_method.read_file(str(path), 0)] == [[2.0], [3.0], [1.0]]
    with replay.open_lake(root) as lake:
        assert lake.heatmap("SPY", lakes.DAY, minutes=390).to_dict()["bars"][0]["values"] == [1.0]
    assert [each.kind for each in verify_lake(open_files(root))].count("fault") == 2


NANOS = pa.table(
    {
        "ts": pa.array([at("10:00") * 1000 + 1], pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
        "recorded_at": pa.array([at("10:01") * 1000], pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
        "spot": [600.0],
    }
)
LEFT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "unknown column": ([row(at("10:00"), [600.0], note=["x"])], {"types": {"note": pa.list_(pa.string())}}, "note"),
    "no clock": ([row(at("10:00"), [600.0]) | {"recorded_at": None}], {}, "without ts or recorded_at"),
    "finer clock": (NANOS, {}, "values of ts"),
    "wide number": (
        [row(at("10:00"), [600.0], gex=[2**60 + 1])],
        {"types": {"gex": pa.list_(pa.int64())}},
        "values of gex",
    ),
    "no spot": ([row(at("10:00"), [600.0], spot=None)], {}, "spot is no price"),
    "other day": ([row(at("10:00") + 86_400 * SECOND, [600.0])], {}, "not on 2026-07-24"),
    "other version": ([row(at("10:00"), [600.0])], {"metadata": OWN | {"replay.schema_version": "2"}}, "version 2"),
    "contradiction": ([row(at("12:00"), [600.0], gex=[7.0])], {"metadata": OWN | {"replay.cadence_us": "1"}}, "contra"),
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_cannot_be_merged_without_loss_is_left_and_named(root: pathlib.Path, kind: str) -> None:
    rows, options, reason = LEFT[kind]
    entries = options.get("metadata", OWN)
    lakes.write_foreign(root, "SPY", "odd.parquet", rows, **options | {"metadata": entries})
    lakes.write_foreign(root, "SPY", "plain.parquet", some_rows(3), metadata=OWN)
    lakes.write_foreign(root, "SPY", "noon.parquet", [row(at("12:00"), [600.0], gex=[8.0])], metadata=OWN)
    before = contents(root)
    outcome = merge(root)
    assert (outcome.verdict, outcome.files) == ("left", (3, 3))
    assert reason in outcome.reason
    assert contents(root) == before


def test_a_partition_with_a_broken_file_is_left(root: pathlib.Path) -> None:
    lakes.write_own(root, "SPY", some_rows(3))
    lakes.write_own(root, "SPY", some_rows(3, "11:00"))
    (paths(root)[0].parent / "broken.parquet").write_bytes(b"PAR1 is not all")
    before = contents(root)
    assert "broken.parquet" in merge(root).reason
    assert contents(root) == before


# --- killed in the middle


class Killed(Exception):
    """Where a test ends an operation."""


class Mortal(LocalFiles):
    """A store that dies before its n-th change."""

    def __init__(self, root: pathlib.Path, changes: int) -> None:
        super().__init__(root)
        self.left = changes

    def _change(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1

    def write(self, partition: Partition, data: bytes | memoryview) -> str:
        self._change()
        return super().write(partition, data)

    def remove(self, partition: Partition, name: str) -> None:
        self._change()
        super().remove(partition, name)


def stages(
    source: pathlib.Path, work: pathlib.Path, action: Callable[..., Outcome], partition: Partition
) -> Iterator[pathlib.Path]:
    """A copy of a lake for each change after which an action can be killed; the last is of the finished one."""
    for changes in range(100):
        target = work / str(changes)
        shutil.copytree(source, target)
        store = Mortal(target, changes)
        engine = Engine(store)
        reader = Reader(store, engine, 0)
        try:
            action(store, reader, partition)
        except Killed:
            yield target
        else:
            yield target
            return
        finally:
            reader.close()
            engine.close()


@pytest.mark.parametrize("symbol", ["FILES", "CORRECT"])
def test_a_killed_merge_answers_the_same_and_is_finished_by_the_next(
    nasty: lakes.Nasty, tmp_path: pathlib.Path, symbol: str
) -> None:
    case = nasty.cases[symbol]
    source, partition = tmp_path / "source", Partition("raw", symbol, case.date)
    shutil.copytree(lakes.folder_of(nasty.root, symbol, case.date), lakes.folder_of(source, symbol, case.date))
    cuts: list[int | str | None] = ["latest", *lakes.dice(symbol).sample(case.moments, 3)]

    def answers(root: pathlib.Path) -> list[bytes]:
        with replay.open_lake(root) as lake:
            return [answer(lake, symbol, case.moments[-1], cut, minutes=390, gaps=True) for cut in cuts]

    truth = answers(source)
    reached = list(stages(source, tmp_path / "work", merge_partition, partition))
    assert len(reached) > 3
    for stage in reached:
        assert answers(stage) == truth
        merge(stage, partition)
        assert contents(stage) == contents(reached[-1])


def test_a_store_that_refuses_keeps_what_it_has(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lakes.write_own(root, "SPY", some_rows(3))
    lakes.write_own(root, "SPY", some_rows(3, "11:00"))
    before = contents(root)

    def refuse(self: LocalFiles, partition: Partition, name: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(LocalFiles, "remove", refuse)
    with pytest.raises(CannotWrite, match="Permission denied"):
        merge(root)
    assert before.items() <= contents(root).items()


def test_readers_and_a_writer_at_work_meanwhile_miss_nothing(root: pathlib.Path) -> None:
    rows, more = some_rows(40), some_rows(6, "11:00", MINUTE)
    for i in range(0, 40, 4):
        lakes.write_own(root, "SPY", rows[i : i + 4])
    with replay.open_lake(root) as lake:
        truth = answer(lake, "SPY", at("10:59"), minutes=390)
    wrong: list[bytes] = []
    ready, done = threading.Event(), threading.Event()

    def read() -> None:
        with replay.open_lake(root) as lake:
            while not done.is_set():
                found = answer(lake, "SPY", at("10:59"), minutes=390)
                if found != truth:
                    wrong.append(found)
                ready.set()

    def write() -> None:
        for each in more:
            lakes.write_own(root, "SPY", [each])

    reading, writing = threading.Thread(target=read), threading.Thread(target=write)
    reading.start()
    ready.wait(20)
    writing.start()
    while writing.is_alive():
        merge(root)
    writing.join()
    merge(root)
    done.set()
    reading.join()
    assert wrong == []
    assert len(paths(root)) == 1
    found = SecondLake(root).rows("raw", "SPY", lakes.DAY)
    assert [(each.ts, each.recorded_at) for each in found] == lakes_clocks(rows + more)


def lakes_clocks(rows: list[lakes.Row]) -> list[tuple[int, int]]:
    return sorted((each["ts"], each["recorded_at"]) for each in rows)


# --- thinning


def check_thinned(lake: replay.Lake, symbol: str, ends: list[int], rng: random.Random, requests: int) -> None:
    """Raw and the thinned tier give the same bytes at the ends of minutes, knowing everything."""
    for end in ends:
        for _ in range(requests):
            request: dict[str, Any] = {
                "metric": rng.choice([*METRICS, "signed_flow"]),
                "mode": rng.choice(["raw", "delta"]),
                "minutes": rng.choice([1, 7, 60, 390]),
            }
            raw, thinned = (answer(lake, symbol, end, tier=tier, **request) for tier in ("raw", "1m"))
            assert thinned.replace(b'"tier_used":"1m"', b'"tier_used":"raw"') == raw, (symbol, end, request)
        levels = [lake.levels(symbol, lakes.moment(end), "latest", tier).to_dict() for tier in ("raw", "1m")]
        for each in levels:
            each.pop("recorded_at")  # that of the minute's latest part
        assert levels[0] == levels[1]


def test_the_thinned_tier_gives_raws_bytes_at_the_end_of_each_minute(
    nasty: lakes.Nasty, tmp_path: pathlib.Path
) -> None:
    root = tmp_path / "thinned"
    cases = [case for case in nasty.cases.values() if case.symbol not in ("TIERS", "THIN")]
    for case in cases:
        shutil.copytree(
            lakes.folder_of(nasty.root, case.symbol, case.date), lakes.folder_of(root, case.symbol, case.date)
        )
    with opened(root) as (store, reader):
        stored = list(partitions(store))
        assert {thin_partition(store, reader, each, dry_run=True).verdict for each in stored[:2]} == {"thinned"}
        assert not (root / "tier=1m").exists()
        assert {thin_partition(store, reader, each).verdict for each in stored} == {"thinned"}
        before = contents(root)
        assert {thin_partition(store, reader, each).verdict for each in stored} == {"whole"}
        assert contents(root) == before
    with replay.open_lake(root) as lake:
        for case in cases:
            last = at("23:59:59.999999", case.date)
            ends = sorted({min(each - each % MINUTE + MINUTE - 1, last) for each in case.moments if each <= last})
            rng = lakes.dice(f"ends {case.symbol}")
            check_thinned(lake, case.symbol, sorted(rng.sample(ends, min(len(ends), 6))), rng, 4)


CELL = st.one_of(st.none(), st.just(math.nan), st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 1e16, -1e16, 3.0]))


@st.composite
def minutes_of_rows(draw: st.DrawFn) -> list[lakes.Row]:
    ts, rows = at("10:00"), []
    for _ in range(draw(st.integers(1, 9))):
        ts += draw(st.sampled_from([1, 7, 20, 59, 61])) * SECOND
        strike = draw(st.one_of(st.none(), st.sets(st.sampled_from([599.0, 600.0, 601.0, 602.0]), max_size=3)))
        made = row(ts, None if strike is None else sorted(strike), lag=draw(st.sampled_from([0, 5, 300])) * SECOND)
        for name in ("gex", "call_oi", "put_oi", "signed_flow", "call_flow") if strike is not None else ():
            values = [draw(CELL) for _ in made["strike"]]
            made[name] = draw(st.sampled_from([values, values, values, None]))
        rows.append(made)
    return rows


@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(rows=minutes_of_rows(), late=st.lists(st.integers(0, 8), max_size=3))
def test_any_rows_thinned_give_raws_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[lakes.Row], late: list[int]
) -> None:
    root = tmp_path_factory.mktemp("any")
    lakes.write_own(root, "SPY", rows)
    for i in sorted({each for each in late if each < len(rows)}):
        lakes.write_own(root, "SPY", [rows[(i + 1) % len(rows)] | {"ts": rows[i]["ts"], "recorded_at": at("16:00")}])
    thin(root)
    ends = sorted({each["ts"] - each["ts"] % MINUTE + MINUTE - 1 for each in rows})
    with replay.open_lake(root) as lake:
        check_thinned(lake, "SPY", ends[-2:], lakes.dice(len(rows)), 5)


def rows_1m(root: pathlib.Path) -> list[dict[str, Any]]:
    """What the thinned tier holds, by the second method: clocks as offsets from 10:00 in seconds."""
    return [
        {
            "ts": (each.ts - at("10:00")) / SECOND,
            "recorded_at": (each.recorded_at - at("10:00")) / SECOND,
            "strike": each.strike,
            **{name: values for name, values in each.lists.items() if values is not None},
        }
        for each in SecondLake(root).rows("1m", "SPY", lakes.DAY)
    ]


def test_a_minute_by_hand(root: pathlib.Path) -> None:
    """The last with strikes, flows summed; what it does not list in a row of its own; the v1 row after it."""
    rows = [
        row(at("10:00:05"), [599.0, 600.0], gex=[1.0, 2.0], signed_flow=[5.0, 7.0], put_flow=[1.0, None]),
        row(at("10:00:10"), [600.0, 601.0], gex=[3.0, 4.0], signed_flow=[None, 11.0], lag=120 * SECOND),
        row(at("10:00:20"), None),
        row(at("10:00:30"), [600.0, 601.0], gex=[5.0, 6.0], signed_flow=[13.0, None]),
        row(at("10:00:40"), None, lag=SECOND),
        row(at("10:01:40"), [600.0], gex=[7.0], signed_flow=[17.0]),
    ]
    lakes.write_own(root, "SPY", rows, cadence_us=10 * SECOND)
    assert thin(root).files == (0, 1)
    assert rows_1m(root) == [
        {"ts": 29.999999, "recorded_at": 130.0, "strike": [599.0], "signed_flow": [5.0], "put_flow": [1.0]},
        {
            "ts": 30.0,
            "recorded_at": 130.0,
            "strike": [600.0, 601.0],
            "gex": [5.0, 6.0],
            "signed_flow": [20.0, 11.0],
            "put_flow": [None, None],
        },
        {"ts": 40.0, "recorded_at": 41.0, "strike": None},
        {"ts": 100.0, "recorded_at": 100.8, "strike": [600.0], "gex": [7.0], "signed_flow": [17.0]},
    ]
    entries = pq.read_schema(paths(root, "1m")[0]).metadata
    assert entries[b"replay.cadence_us"] == str(MINUTE).encode()
    assert entries[b"replay.conventions"] == b"test"
    assert {each.kind for each in verify_lake(open_files(root))} == {"summary"}


@pytest.mark.parametrize("flow", [None, 5.0])
def test_a_strike_that_comes_and_goes_leaves_no_empty_snapshot_at_full_minutes(
    root: pathlib.Path, flow: float | None
) -> None:
    """At :00 and :30 strikes differ: a replay of whole minutes on the thinned tier sees what was kept last."""
    rows = []
    for i in range(5):
        lists: dict[str, Any] = {} if flow is None else {"signed_flow": [flow, flow]}
        rows.append(row(at("10:15") + i * MINUTE, [600.0, 598.0][::-1], lag=0, gex=[2.0, 1.0], **lists))
        rows.append(row(at("10:15:30") + i * MINUTE, [600.0, 602.0], lag=0, gex=[3.0, 4.0], **lists))
    lakes.write_own(root, "SPY", rows, cadence_us=30 * SECOND)
    thin(root)
    with replay.open_lake(root) as lake:
        for i in range(1, 5):
            shown = lake.levels("SPY", f"2026-07-24T10:{15 + i}", tier="1m")
            assert (shown.ts, shown.magnet) == (moment(at("10:14:30") + i * MINUTE), 602.0)
            bars = lake.heatmap("SPY", f"2026-07-24T10:{15 + i}:59.999999", "signed_flow", tier="1m")
            assert bars.strikes.tolist() == [598.0, 600.0, 602.0]


def test_a_coarser_session_keeps_its_rows_and_cadence(root: pathlib.Path) -> None:
    rows = some_rows(6, step=5 * MINUTE)
    lakes.write_own(root, "SPY", rows)
    thin(root)
    assert [each["recorded_at"] for each in rows_1m(root)] == [i * 300 + 0.8 for i in range(6)]
    assert pq.read_schema(paths(root, "1m")[0]).metadata[b"replay.cadence_us"] == str(5 * MINUTE).encode()


LATER: dict[str, lakes.Row] = {
    "a correction of the row kept": row(at("10:00:50"), [600.0], lag=3600 * SECOND, gex=[9.0], signed_flow=[1.0]),
    "a correction of another": row(at("10:00:20"), [600.0], lag=30 * SECOND, gex=[9.0], signed_flow=[2.0]),
    "a later row of the minute": row(at("10:00:55"), [600.0], gex=[9.0], signed_flow=[4.0]),
    "a strike that is new": row(at("10:00:45"), [601.0], signed_flow=[8.0]),
    "a row of another minute": row(at("10:05"), [600.0], signed_flow=[16.0]),
}


@pytest.mark.parametrize("kind", LATER)
def test_what_comes_after_thinning_is_thinned_anew_and_never_counted_twice(
    root: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    rows = [
        row(at(wall), [600.0], lag=lag * SECOND, gex=[1.0], signed_flow=[flow])
        for wall, lag, flow in (("10:00:20", 1, 32.0), ("10:00:50", 600, 64.0))
    ]
    lakes.write_own(root, "SPY", rows)
    thin(root)

    def shown(path: pathlib.Path, tier: str | None) -> bytes:
        with replay.open_lake(path) as lake:
            found = answer(lake, "SPY", at("10:30"), tier=tier, metric="signed_flow")
        return found.replace(b'"tier_used":"1m"', b'"tier_used":"raw"')

    old = shown(root, "1m")
    lakes.write_own(root, "SPY", [LATER[kind]])
    new = shown(root, "raw")
    with replay.open_lake(root) as lake:
        empty = answer(lake, "QQQ", at("10:30"), metric="signed_flow").replace(b"QQQ", b"SPY")
    reached = list(stages(root, tmp_path / "work", thin_partition, RAW))
    assert len(reached) == 3
    assert shown(reached[1], "1m") in (old, new, empty)
    assert shown(reached[1], None) == new
    thin(reached[1])
    assert contents(reached[1]) == contents(reached[2])
    assert shown(reached[2], "1m") == new


def test_rows_that_were_not_thinned_here_are_not_replaced(root: pathlib.Path) -> None:
    lakes.write_own(root, "SPY", some_rows(5))
    lakes.write_own(root, "SPY", some_rows(2, "12:00"), tier="1m")
    before = contents(root)
    assert "not thinned from raw here" in thin(root).reason
    assert "not thinned from raw here" in drop(root).reason
    assert contents(root) == before


# --- ageing


def test_raw_goes_only_where_the_thinned_tier_stands_for_it(root: pathlib.Path) -> None:
    rows = some_rows(30)
    lakes.write_own(root, "SPY", rows)
    assert "not thinned yet" in drop(root).reason
    assert not (root / "tier=1m").exists()
    thin(root)
    lakes.write_own(root, "SPY", [lakes.revised(lakes.dice(1), rows[4], at("17:00"))])
    before = contents(root)
    assert "rows came since" in drop(root).reason
    assert contents(root) == before
    thin(root)
    assert drop(root).reason == (
        "1 of its snapshots were corrected, and the thinned tier does not hold what was known before; --drop-corrected "
        "removes them too"
    )
    assert drop(root, dry_run=True, corrected=True).verdict == "dropped"
    with replay.open_lake(root) as lake:
        truth = [answer(lake, "SPY", at("15:59:59.999999"), metric=each, minutes=390) for each in METRICS]
        assert drop(root, corrected=True).verdict == "dropped"
        found = [answer(lake, "SPY", at("15:59:59.999999"), metric=each, minutes=390) for each in METRICS]
    assert [each.replace(b'"tier_used":"1m"', b'"tier_used":"raw"') for each in found] == truth
    assert b'"tier_used":"1m"' in found[0]
    assert paths(root) == []
    assert drop(root).verdict == thin(root).verdict == "whole"


def test_dropping_that_is_killed_leaves_raw_whole_or_gone(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows = some_rows(30)
    for i in range(3):
        lakes.write_foreign(
            root, "SPY", f"{i}.parquet", rows[i::3], metadata=OWN | {"replay.cadence_us": str((i + 1) * SECOND)}
        )
    thin(root)

    def shown(path: pathlib.Path) -> bytes:
        with replay.open_lake(path) as lake:
            found = answer(lake, "SPY", at("15:59:59.999999"), minutes=390, metric="signed_flow")
        return found.replace(b'"tier_used":"1m"', b'"tier_used":"raw"')

    truth = shown(root)
    reached = list(stages(root, tmp_path / "work", drop_raw, RAW))
    assert len(reached) == 6
    for stage in reached:
        assert shown(stage) == truth
    assert drop(reached[3]).verdict == "dropped"
    assert shown(reached[3]) == truth


def test_what_comes_after_ageing_replaces_no_thinned_row(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows = some_rows(30)
    lakes.write_own(root, "SPY", rows)
    thin(root)
    drop(root)
    late = [each | {"recorded_at": at("17:00")} for each in rows[2::3]]  # one in each minute
    before = contents(root)
    with pytest.raises(AgedOut, match=r"raw of SPY 2026-07-24 was aged out, and rows in tier=raw\S+ would hide"):
        lakes.write_own(root, "SPY", late)
    assert contents(root) == before
    lakes.write_own(tmp_path / "other", "SPY", late)  # another program does as it likes
    shutil.copytree(tmp_path / "other" / "tier=raw", root / "tier=raw", dirs_exist_ok=True)
    before = contents(root)
    assert "no longer holds all" in thin(root).reason
    assert "no longer holds all" in drop(root).reason
    assert contents(root) == before


@pytest.mark.parametrize("stated", [{}, {"oi": "effective", "share": 0.5}])
def test_a_tape_opened_before_reads_on_after(root: pathlib.Path, stated: dict[str, Any]) -> None:
    """Merging replaces the files under it; what it has not read yet it finds in the new one."""
    rows = some_rows(30)
    rows += [lakes.revised(lakes.dice(i), each, each["recorded_at"] + MINUTE) for i, each in enumerate(rows[::4])]
    told = {"call_flow": [1.0] * 3, "put_flow": [2.0] * 3, "call_oi": [5.0] * 3, "put_oi": [5.0] * 3}
    rows = [each | told | dict.fromkeys(("gex", "dex", "vex", "chex")) for each in rows]
    for i in range(3):
        metadata = OWN | {"replay.conventions": "replay-1"}
        lakes.write_foreign(root, "SPY", f"{i}.parquet", rows[i::3] + rows[: 5 * i], metadata=metadata)
    with replay.open_lake(root) as lake:
        before = lake.tape("SPY", lakes.DAY, **stated)
        wanted = [tick.values("call_bid").tolist() for tick in lake.tape("SPY", lakes.DAY, **stated).ticks()]
        interest = [tick.values("oi").tolist() for tick in lake.tape("SPY", lakes.DAY, **stated).ticks()]
        assert merge(root).verdict == "merged"
        ticks = before.ticks()
        np.testing.assert_equal([tick.values("call_bid").tolist() for tick in ticks], wanted)
        np.testing.assert_equal([tick.values("oi").tolist() for tick in ticks], interest)
        with LakeWriter(root) as writer:
            late, table = lake.tape("SPY", lakes.DAY), lakes.table_of([rows[0] | told | {"strike": [1.0, 2.0, 3.0]}])
            table = table.select(["ts", "recorded_at", "spot", "strike", "call_flow"])
            writer.enrich(RAW, table, schema.metadata(source="trades"))
        with pytest.raises(UnreadableFile, match="rows list other strikes than when they were opened"):
            late.at("2026-07-24T10:05").values("put_bid")
        late = lake.tape("SPY", lakes.DAY)
        for path in paths(root):
            path.unlink()
        with pytest.raises(UnreadableFile, match="a file went away"):
            late.at("2026-07-24T10:05").values("put_bid")


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()


def test_a_lake_in_another_file_system(root: pathlib.Path, memory: Any) -> None:
    for i in range(3):
        lakes.write_own(root, "SPY", some_rows(30)[i::3])
    for path, data in contents(root).items():
        memory.pipe_file(f"/compacted/{path}", data)
    for action, partition in ((merge_partition, RAW), (thin_partition, RAW), (drop_raw, RAW)):
        with opened("/compacted", memory) as (store, reader):
            elsewhere = action(store, reader, partition)
        with opened(root) as (store, reader):
            assert action(store, reader, partition) == elsewhere
        found = {name.removeprefix("/compacted/"): memory.cat_file(name) for name in memory.find("/compacted")}
        assert found == contents(root)


# --- the command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(compact, arguments, env={"REPLAY_LAKE": None})


def test_the_command_tells_what_it_did(root: pathlib.Path) -> None:
    monday = lakes.DAY + dt.timedelta(3)
    for i in range(2):
        lakes.write_own(root, "SPY", some_rows(20)[i::2])
    lakes.write_own(root, "QQQ", some_rows(3))
    lakes.write_own(root, "SPY", [row(at("10:00", monday), [600.0], gex=[1.0])], date=monday)
    before = contents(root)
    tried = run("--lake", str(root), "--dry-run")
    assert contents(root) == before
    merged = run("--lake", str(root))
    assert tried.stdout.splitlines()[0] == merged.stdout.splitlines()[0]
    assert merged.stdout.startswith("SPY 2026-07-24 raw: 2 files -> 1, ")
    assert merged.stdout.splitlines()[1:] == ["1 merged, 2 as they should be"]
    assert tried.stdout.splitlines()[1:] == ["dry run, nothing was changed: 1 merged, 2 as they should be"]
    refused = run("--lake", str(root), "--symbol", " spy ", "--drop-raw-before", "2026-07-25")
    assert refused.exit_code == 1
    assert "SPY 2026-07-24 raw: left as it is: it is not thinned yet" in refused.stdout
    both = ("--lake", str(root), "--symbol", "SPY", "--tier", "1m", "--drop-raw-before", "2026-07-25")
    stored = contents(root)
    tried = run(*both, "--dry-run")
    assert (tried.exit_code, contents(root)) == (0, stored)
    done = run(*both)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "SPY 2026-07-24 1m: 0 files -> 1",
        "SPY 2026-07-24 raw: dropped",
        "SPY 2026-07-27 1m: 0 files -> 1",
        "2 thinned",
    ]
    assert tried.stdout.splitlines()[:3] == lines[:3]
    assert max(map(len, lines)) <= 80
    assert sorted({path.split("/")[1] for path in contents(root) if path.startswith("tier=raw")}) == [
        "symbol=QQQ",
        "symbol=SPY",
    ]
    again = run(*both)
    assert (again.exit_code, again.stdout) == (0, "1 as they should be\n")


def test_the_command_selects(root: pathlib.Path) -> None:
    for symbol in ("SPY", "QQQ"):
        for i in range(2):
            lakes.write_own(root, symbol, some_rows(4)[i::2])
    assert run("--lake", str(root), "--to", "2026-07-23").stdout == "no partitions\n"
    assert run("--lake", str(root), "--from", "2026-07-25").stdout == "no partitions\n"
    wrong = run("--lake", str(root), "--symbol", "IWM")
    assert (wrong.stdout, wrong.stderr) == ("no partitions\n", "note: no session of IWM; the lake holds QQQ, SPY\n")
    assert run("--lake", str(root), "--symbol", "QQQ").stdout.startswith("QQQ ")
    assert len(paths(root)) == 3
