"""Enriching stored rows: what two writers know of one clock becomes one row, and nothing is lost on the way."""

from __future__ import annotations

import functools
import math
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay import schema
from replay.errors import ConflictingRow
from replay.exposure.conventions import REPLAY_1
from replay.ingest.flow import keep_flow
from replay.sessions import find_session
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


# --- corrections that say nothing of flow


SESSION = find_session(lakes.DAY)
assert SESSION is not None
keep = functools.partial(keep_flow, session=SESSION, conventions=REPLAY_1)


def by_time(root: pathlib.Path) -> list[Any]:
    return sorted(stored(root), key=lambda each: (each.ts, each.recorded_at))


def correct(root: pathlib.Path, rows: list[lakes.Row]) -> int:
    with LakeWriter(root) as writer:
        return writer.add(PARTITION, lakes.table_of(rows), CHAIN, keep_flow=keep)


def test_a_correction_keeps_the_flow_of_the_revision_before_it(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0, 601.0, 602.0], gex=[1.0, 2.0, 3.0]), row(at("10:01"), [600.0], gex=[4.0])])
    flow: dict[str, Any] = {
        "signed_flow": [70.0, 0.0, -9.0],
        "call_flow": [7.0, 0.0, -1.0],
        "put_flow": [0.0, 0.0, math.nan],
    }
    enrich(root, [row(at("10:00"), [600.0, 601.0, 602.0], **flow)])
    later = [
        row(at("10:00"), [600.0, 601.0], lag=60 * SECOND, gex=[1.5, 2.5]),  # 602 was traded, and is no longer listed
        row(at("10:00"), [600.0, 601.0, 602.0], lag=90 * SECOND, gex=[1.7, 2.7, 3.7]),
        row(at("10:01"), [600.0, 601.0], lag=60 * SECOND, gex=[4.5, 1.0]),  # no flow is known of it
    ]
    assert correct(root, later) == 3
    assert correct(root, later) == 0
    first, second, third, bare, corrected = by_time(root)
    assert first.lists["gex"] == [1.0, 2.0, 3.0]
    assert (second.strike, second.lists["gex"]) == ([600.0, 601.0, 602.0], [1.5, 2.5, None])
    for each in (second, third):
        assert each.lists["call_flow"] == [7.0, 0.0, -1.0]
        assert each.lists["signed_flow"] == [None, 0.0, None]  # by its own vols, which are not known
    assert third.lists["gex"] == [1.7, 2.7, 3.7]
    assert third.lists["put_flow"] == [0.0, 0.0, None]
    assert (bare.lists.get("call_flow"), corrected.lists.get("call_flow")) == (None, None)
    assert corrected.strike == [600.0, 601.0]


def test_a_correction_takes_what_was_known_before_it_and_nothing_later(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], lag=SECOND, gex=[1.0], call_flow=[5.0])])
    add(root, [row(at("10:00"), [600.0], lag=90 * SECOND, gex=[2.0], call_flow=[6.0])])
    assert correct(root, [row(at("10:00"), [600.0], lag=60 * SECOND, gex=[3.0])]) == 1
    assert [(each.lists["gex"], each.lists["call_flow"]) for each in by_time(root)] == [
        ([1.0], [5.0]), ([3.0], [5.0]), ([2.0], [6.0])
    ]  # fmt: skip


def test_flow_that_a_correction_brings_itself_stays(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0], call_flow=[5.0])])
    assert correct(root, [row(at("10:00"), [600.0], lag=60 * SECOND, gex=[3.0], put_flow=[2.0])]) == 1
    assert (by_time(root)[1].lists["call_flow"], by_time(root)[1].lists["put_flow"]) == (None, [2.0])


def test_dollars_of_a_capture_that_knows_no_contracts_stay(root: pathlib.Path) -> None:
    add(root, [row(at("10:00"), [600.0], gex=[1.0], signed_flow=[5.5])])
    assert correct(root, [row(at("10:00"), [600.0], lag=60 * SECOND, gex=[3.0])]) == 1
    assert (by_time(root)[1].lists["gex"], by_time(root)[1].lists["signed_flow"]) == ([3.0], [5.5])
