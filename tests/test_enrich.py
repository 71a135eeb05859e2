"""Enriching stored rows: what two writers know of one clock becomes one row, and nothing is lost on the way."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay import schema
from replay.errors import ConflictingRow
from replay.storage import files
from replay.storage.files import Partition
from replay.storage.writer import LakeWriter
from tests import lakes
from tests.lakes import SECOND, at, row
from tests.second_method import SecondLake

PARTITION = Partition("raw", "SPY", lakes.DAY)
CHAIN = schema.metadata(source="chain", conventions="replay-1", cadence_us=60 * SECOND)
FLOW = schema.metadata(source="trades")


def add(root: pathlib.Path, rows: list[lakes.Row]) -> int:
    with LakeWriter(root) as writer:
        return writer.add(PARTITION, lakes.table_of(rows), CHAIN)


def enrich(root: pathlib.Path, rows: list[lakes.Row]) -> int:
    with LakeWriter(root) as writer:
        return writer.enrich(PARTITION, lakes.table_of(rows), FLOW)


def stored(root: pathlib.Path) -> list[Any]:
    return SecondLake(root).rows("raw", "SPY", lakes.DAY)


def data_files(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted(root.rglob("*.parquet"))


def test_what_two_writers_know_becomes_one_row(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0, 601.0], gex=[1.0, 2.0]), row(at("10:01"), [600.0], gex=[5.0])])
    found = enrich(root, [row(at("10:00"), [601.0, 602.0], signed_flow=[7.0, 8.0])])
    assert found == 1
    first, second = stored(root)
    assert first.strike == [600.0, 601.0, 602.0]
    assert first.lists["gex"] == [1.0, 2.0, None]
    assert first.lists["signed_flow"] == [None, 7.0, 8.0]
    assert (second.strike, second.lists["gex"]) == ([600.0], [5.0])
    (path,) = data_files(root)
    entries = pq.ParquetFile(path).schema_arrow.metadata
    assert entries[b"replay.source"] == b"chain + trades"
    assert (entries[b"replay.conventions"], entries[b"replay.cadence_us"]) == (b"replay-1", b"60000000")


def test_values_fill_what_was_nan_and_a_legacy_row_gets_strikes(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0, 601.0], gex=[1.0, math.nan]), row(at("10:01"), None)])
    assert enrich(root, [row(at("10:00"), [601.0], gex=[2.0]), row(at("10:01"), [600.0], gex=[3.0])]) == 2
    first, second = stored(root)
    assert first.lists["gex"] == [1.0, 2.0]
    assert (second.strike, second.lists["gex"]) == ([600.0], [3.0])


def test_a_row_of_a_clock_that_is_not_stored_is_added(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0])])
    assert enrich(root, [row(at("10:00"), [600.0], vex=[2.0]), row(at("10:02"), [600.0], vex=[4.0])]) == 2
    assert [(each.lists.get("gex"), each.lists["vex"]) for each in stored(root)] == [([1.0], [2.0]), (None, [4.0])]


def test_enriching_twice_and_adding_again_changes_nothing(root: pathlib.Path) -> None:
    base, flow = row(at("10:00"), [600.0], gex=[1.0]), row(at("10:00"), [600.0], signed_flow=[2.0])
    add(root, [base])
    assert enrich(root, [flow]) == 1
    before = data_files(root)
    assert enrich(root, [flow]) == 0
    assert add(root, [base]) == 0
    assert data_files(root) == before


def test_only_rows_of_the_same_clock_are_touched(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0])])
    add(root, [row(at("10:00"), [600.0], lag=5 * SECOND, gex=[9.0])])
    enrich(root, [row(at("10:00"), [600.0], signed_flow=[2.0])])
    assert [(each.lists["gex"], each.lists.get("signed_flow")) for each in stored(root)] == [
        ([1.0], [2.0]),
        ([9.0], None),
    ]


@pytest.mark.parametrize("change", [{"gex": [2.0]}, {"spot": 601.0, "gex": [1.0]}])
def test_a_row_that_contradicts_is_refused_and_nothing_changes(root: pathlib.Path, change: Any) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0])])
    before = data_files(root)
    with pytest.raises(ConflictingRow, match=r"ts 2026-07-24T14:00:00Z .* contradicts row 0 of"):
        enrich(root, [row(at("10:00"), [600.0], **{"signed_flow": [1.0]} | change)])
    assert data_files(root) == before


def test_a_file_with_columns_of_another_program_is_left_alone(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0])])
    (path,) = data_files(root)
    table = pq.read_table(path).append_column("their_notes", pa.array(["kept"]))
    path.unlink()
    pq.write_table(table, path.with_name("theirs.parquet"))
    with pytest.raises(ConflictingRow, match=r"theirs\.parquet holds their_notes"):
        enrich(root, [row(at("10:00"), [600.0], signed_flow=[1.0])])
    assert [each.name for each in data_files(root)] == ["theirs.parquet"]


def test_a_writer_killed_half_way_is_cleared_up_by_the_next(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0]), row(at("10:01"), [600.0], gex=[3.0])])
    flow = [row(at("10:00"), [600.0], signed_flow=[2.0])]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.LocalFiles, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            enrich(root, flow)
    assert len(data_files(root)) == 2
    enrich(root, flow)
    assert len(data_files(root)) <= 2
    for each in stored(root):
        assert (each.ts == at("10:01")) == ("signed_flow" not in each.lists or each.lists["signed_flow"] is None)
