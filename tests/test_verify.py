"""`verify` finds each kind of fault, names file and row, and sweeps leftovers only."""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay import schema
from replay.storage.files import Partition, content_name, open_files
from replay.storage.writer import LakeWriter, encode
from replay.verify import Finding, verify_lake

DATE = dt.date(2026, 7, 24)
SPY = Partition("raw", "SPY", DATE)
NOON = dt.datetime(2026, 7, 24, 16, 0, tzinfo=dt.UTC)
METADATA = schema.metadata(source="test")

Table = dict[str, Sequence[object]]


def table(rows: int = 3, /, **columns: Sequence[object]) -> pa.Table:
    """Sound snapshots a minute apart, with these columns instead of the sound ones."""
    ts = [NOON + dt.timedelta(minutes=i) for i in range(rows)]
    sound: Table = {
        "ts": ts,
        "recorded_at": [each + dt.timedelta(seconds=1) for each in ts],
        "spot": [740.0] * rows,
        "expiration": [DATE] * rows,
        "strike": [[739.0, 740.0]] * rows,
        "gex": [[1.0, -2.0]] * rows,
    }
    given = sound | columns
    return pa.table({name: pa.array(values, schema.BY_NAME[name].type) for name, values in given.items()})


def _lax(content: pa.Table) -> pa.Table:
    """The stored columns; null where the schema forbids it, if the content is so."""
    whole = schema.conform(content)
    if not any(whole[name].null_count for name in schema.REQUIRED):
        return whole
    return pa.Table.from_arrays(whole.columns, schema=pa.schema([field.with_nullable(True) for field in schema.ARROW]))


def findings(lake: pathlib.Path, *, fix: bool = False) -> list[Finding]:
    found = list(verify_lake(open_files(lake), fix=fix))
    assert found[-1].kind == "summary"
    return found[:-1]


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "lake"
    LakeWriter(path).add(SPY, table(), METADATA)
    return path


@pytest.fixture
def add(lake: pathlib.Path) -> Callable[..., str]:
    """Put a file into the partition, named by its content like the engine's own, or otherwise."""

    def put(content: pa.Table | bytes, name: str | None = None) -> str:
        data = content if isinstance(content, bytes) else bytes(encode(_lax(content), METADATA))
        name = name or content_name(data)
        (lake / SPY.folder / name).write_bytes(data)
        return f"{SPY.folder}/{name}"

    return put


def test_a_sound_lake_has_no_findings(lake: pathlib.Path) -> None:
    assert findings(lake) == []
    assert str(list(verify_lake(open_files(lake)))[-1]) == "1 files, 3 rows"


LATER = NOON + dt.timedelta(hours=1)
TS = [LATER + dt.timedelta(minutes=i) for i in range(3)]
SOON = [each + dt.timedelta(seconds=1) for each in TS]


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ({"ts": TS, "recorded_at": [SOON[0], TS[1] - dt.timedelta(seconds=1), SOON[2]]}, 1, "recorded_at is before ts"),
        ({"ts": TS, "recorded_at": [SOON[0], SOON[1], None]}, 2, "ts or recorded_at is null"),
        ({"ts": [TS[0], TS[2], TS[1]], "recorded_at": [SOON[2]] * 3}, 2, "ts is before that of the row above"),
        ({"ts": [TS[0] - dt.timedelta(days=1), *TS[1:]], "recorded_at": SOON}, 0, "ts is not on 2026-07-24"),
        ({"ts": TS, "recorded_at": SOON, "expiration": [DATE, DATE, dt.date(2026, 7, 27)]}, 2, "expiration is not"),
        ({"ts": TS, "recorded_at": SOON, "spot": [740.0, float("nan"), 740.0]}, 1, "spot is no price"),
        ({"ts": TS, "recorded_at": SOON, "spot": [740.0, 740.0, None]}, 2, "spot is no price"),
        ({"ts": TS, "recorded_at": SOON, "strike": [[739.0, 740.0], [740.0, 739.0], [739.0, 740.0]]}, 1, "do not ascend"),
        ({"ts": TS, "recorded_at": SOON, "strike": [[739.0, 740.0], [740.0, 740.0], [739.0, 740.0]]}, 1, "do not ascend"),
        ({"ts": TS, "recorded_at": SOON, "strike": [[739.0, 740.0], [739.0, None], [739.0, 740.0]]}, 1, "do not ascend"),
        ({"ts": TS, "recorded_at": SOON, "gex": [[1.0, 2.0], [1.0, 2.0], [1.0]]}, 2, "gex is not as long as strike"),
        ({"ts": TS, "recorded_at": SOON, "strike": [None, [739.0, 740.0], [739.0, 740.0]]}, 0, "gex is there and strike is null"),
    ],
)  # fmt: skip
def test_each_fault_names_file_and_row(
    columns: Table, row: int, said: str, lake: pathlib.Path, add: Callable[..., str]
) -> None:
    path = add(table(**columns))
    found = [each for each in findings(lake) if each.row is not None]
    assert [(each.kind, each.path, each.row) for each in found] == [("fault", path, row)]
    assert said in found[0].message
    if "row above" not in said:  # the writer sorts, and refuses all else
        with pytest.raises(ValueError, match=said):
            LakeWriter(lake).add(SPY, table(**columns), METADATA)


def test_the_writer_sorts_what_is_out_of_order(tmp_path: pathlib.Path) -> None:
    LakeWriter(tmp_path / "lake").add(SPY, table(ts=[TS[0], TS[2], TS[1]], recorded_at=[SOON[2]] * 3), METADATA)
    assert findings(tmp_path / "lake") == []


def test_every_row_that_is_wrong_is_named(lake: pathlib.Path, add: Callable[..., str]) -> None:
    ts = [LATER + dt.timedelta(seconds=i) for i in range(300)]
    add(table(300, ts=ts, recorded_at=[each - dt.timedelta(seconds=1) for each in ts]))
    assert [each.row for each in findings(lake)] == list(range(300))


def test_what_is_never_read_is_said(lake: pathlib.Path) -> None:
    for folder in (
        "tier=5m/symbol=SPY/date=2026-07-24",
        "tier=raw/symbol=spy/date=2026-07-24",
        "tier=raw/symbol=SPY/date=20260724",
    ):
        (lake / folder).mkdir(parents=True)
    (lake / SPY.folder / "gone.parquet").symlink_to(lake / "nowhere")
    (lake / SPY.folder / "folder.parquet").mkdir()
    found = findings(lake)
    assert [each.path for each in found if each.kind == "fault"] == [
        f"{SPY.folder}/folder.parquet",
        f"{SPY.folder}/gone.parquet",
    ]
    assert [each.path for each in found if each.kind == "note"] == [
        "tier=5m", "tier=5m/symbol=SPY", "tier=5m/symbol=SPY/date=2026-07-24",
        "tier=raw/symbol=spy", "tier=raw/symbol=SPY/date=20260724", "tier=raw/symbol=spy/date=2026-07-24",
    ]  # fmt: skip


def test_a_contradiction_names_both_rows(lake: pathlib.Path, add: Callable[..., str]) -> None:
    path = add(table(gex=[[1.0, -2.0], [1.0, -2.5], [1.0, -2.0]]))
    found = findings(lake)
    assert [(each.kind, each.row) for each in found] == [("fault", 1)]
    first = min(path, next(f"{SPY.folder}/{p.name}" for p in (lake / SPY.folder).glob("*") if p.name not in path))
    assert f"contradicts row 1 of {first}" in found[0].message


def test_identical_rows_are_no_fault(lake: pathlib.Path, add: Callable[..., str]) -> None:
    add(table(2))
    assert findings(lake) == []


def test_files_that_do_not_open_or_do_not_match(lake: pathlib.Path, add: Callable[..., str]) -> None:
    own = next((lake / SPY.folder).glob("*.parquet"))
    whole = own.read_bytes()
    changed = bytearray(whole)
    changed[200] ^= 0xFF
    own.write_bytes(bytes(changed))
    assert any("does not match the hash" in each.message for each in findings(lake))
    own.write_bytes(whole[:-100])
    found = findings(lake)
    assert {each.kind for each in found} == {"fault"}
    assert any(own.name in each.path and "arquet" in each.message for each in found)
    own.write_bytes(whole)
    add(b"", "0.parquet")
    assert [each.path for each in findings(lake) if each.kind == "fault"] == [f"{SPY.folder}/0.parquet"]


def test_schemas_that_cannot_be_read_are_faults(lake: pathlib.Path) -> None:
    broken = table().drop_columns(["spot"]).append_column("spot", pa.array(["740"] * 3))
    pq.write_table(broken, lake / SPY.folder / "other.parquet")
    faults = [each for each in findings(lake) if each.kind == "fault"]
    assert [each.message for each in faults] == ["column spot is string, not double"]


def test_an_own_name_demands_the_own_schema(lake: pathlib.Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table(2), sink)
    data = sink.getvalue().to_pybytes()
    (lake / SPY.folder / content_name(data)).write_bytes(data)
    messages = [each.message for each in findings(lake)]
    assert messages == [
        "its name is this engine's, its schema is not",
        "its metadata does not give schema version 1",
    ]


def test_foreign_names_are_listed_and_no_fault(lake: pathlib.Path) -> None:
    pq.write_table(table(2), lake / SPY.folder / "part-0.parquet")
    (lake / SPY.folder / "README.txt").write_text("mine")
    found = findings(lake)
    assert [(each.kind, each.path.rsplit("/", 1)[1]) for each in found] == [
        ("note", "README.txt"),
        ("note", "part-0.parquet"),
    ]


def test_a_day_without_a_session_is_a_fault(lake: pathlib.Path) -> None:
    saturday = lake / "tier=raw" / "symbol=SPY" / "date=2026-07-25"
    saturday.mkdir()
    assert [(each.kind, each.path) for each in findings(lake)] == [("fault", "tier=raw/symbol=SPY/date=2026-07-25")]


def test_leftovers_are_swept_by_fix_alone_and_never_from_a_writer_at_work(lake: pathlib.Path) -> None:
    folder = lake / SPY.folder
    leftover = folder / f".{'a' * 64}.{'b' * 16}.partial"
    leftover.write_bytes(b"half")
    before = sorted(folder.glob("*.parquet"))
    assert [(each.kind, "--fix" in each.message) for each in findings(lake)] == [("note", True)]
    assert leftover.exists()
    with open_files(lake).lock(SPY):
        assert [each.message for each in findings(lake, fix=True)] == ["a writer is at work here; not swept"]
    assert leftover.exists()
    assert [each.message for each in findings(lake, fix=True)] == ["swept"]
    assert not leftover.exists()
    assert sorted(folder.glob("*.parquet")) == before
