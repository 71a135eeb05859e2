"""Ingest of snapshots in the lake's own schema and in its long form: what comes back is what went in."""

from __future__ import annotations

import pathlib
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import replay
from replay import schema
from replay.cli import main
from replay.errors import InputError
from replay.ingest.snapshots import ingest_snapshots
from tests import lakes
from tests.lakes import SECOND, at, row
from tests.second_method import SecondLake

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
METADATA = schema.metadata(source="test", conventions="replay-1", cadence_us=30 * SECOND)


def write(path: pathlib.Path, rows: list[lakes.Row], metadata: dict[bytes, bytes] | None = None) -> pathlib.Path:
    table = lakes.table_of(rows).replace_schema_metadata(METADATA if metadata is None else metadata)
    pq.write_table(table, path)
    return path


def test_a_lakes_own_files_come_back_as_they_were(tmp_path: pathlib.Path) -> None:
    files = sorted((FIXTURES / "tier=raw" / "symbol=SPY" / "date=2026-07-24").glob("*.parquet"))
    report = ingest_snapshots(files, tmp_path / "lake", "spy")
    assert sum(new for _, new in report.sessions.values()) == 781 + 93
    with replay.open_lake(FIXTURES) as old, replay.open_lake(tmp_path / "lake") as new:
        for moment in ("2026-07-24T11:11:11", "2026-07-24"):
            for metric in ("gex", "oi", "signed_flow"):
                wanted = old.heatmap("SPY", moment, metric, minutes=390, gaps=True).to_json()
                assert new.heatmap("SPY", moment, metric, minutes=390, gaps=True).to_json() == wanted
        assert new.sessions()["conventions"].to_list() == ["replay-1"]
    again = ingest_snapshots(files, tmp_path / "lake", "SPY")
    assert sum(new for _, new in again.sessions.values()) == 0


def test_the_long_form_of_sql_comes_back_as_it_was(tmp_path: pathlib.Path) -> None:
    query = "SELECT * FROM strikes WHERE symbol IN ('SPY', 'QQQ') AND date = '2026-06-05' ORDER BY ts, strike"
    done = CliRunner().invoke(main, ["sql", query, "--lake", str(FIXTURES), "--out", str(tmp_path / "long.parquet")])
    assert done.exit_code == 0, done.stderr
    arguments = [
        "ingest",
        "snapshots",
        str(tmp_path / "long.parquet"),
        "--symbol",
        "SPY",
        "--lake",
        str(tmp_path / "lake"),
    ]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "name no conventions; give --conventions" in refused.stderr
    assert not (tmp_path / "lake").exists()
    done = CliRunner().invoke(main, [*arguments, "--conventions", "replay-1"])
    assert done.exit_code == 0, done.stderr
    assert f"{781 * 19:,} rows of another symbol or tier, left out" in done.stdout
    assert "781 written, 0 stored already" in done.stdout
    with replay.open_lake(FIXTURES) as old, replay.open_lake(tmp_path / "lake") as new:
        for metric in ("gex", "chex", "oi", "signed_flow"):
            wanted = old.heatmap("SPY", "2026-06-05", metric, minutes=390, known_at="latest").to_json()
            assert new.heatmap("SPY", "2026-06-05", metric, minutes=390, known_at="latest").to_json() == wanted
        assert new.levels("SPY", "2026-06-05", known_at="latest") == old.levels("SPY", "2026-06-05", known_at="latest")


def test_long_rows_in_any_order_with_nulls_and_a_legacy_row(tmp_path: pathlib.Path) -> None:
    rows = [
        (at("10:00"), 601.0, 2.0, None), (at("10:00"), 600.0, None, None), (at("10:01"), 600.0, 5.0, 7.0),
        (at("10:02"), None, None, None), (at("10:00"), 601.0, 2.0, None),
    ]  # fmt: skip
    frame = pl.DataFrame(
        {"ts": [r[0] for r in rows], "recorded_at": [r[0] + SECOND for r in rows], "spot": 600.5,
         "strike": [r[1] for r in rows], "gex": [r[2] for r in rows], "vex": [r[3] for r in rows]},
        strict=False,
    ).with_columns(pl.col("ts", "recorded_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))  # fmt: skip
    frame.write_parquet(tmp_path / "long.parquet")
    ingest_snapshots([tmp_path / "long.parquet"], tmp_path / "lake", "SPY", conventions="live")
    first, second, legacy = SecondLake(tmp_path / "lake").rows("raw", "SPY", lakes.DAY)
    assert (first.strike, first.lists["gex"], first.lists.get("vex")) == ([600.0, 601.0], [None, 2.0], None)
    assert (second.strike, second.lists["gex"], second.lists["vex"]) == ([600.0], [5.0], [7.0])
    assert legacy.strike is None
    clash = pl.concat([frame, frame.filter(pl.col("gex") == 5.0).with_columns(gex=pl.lit(6.0))])
    clash.write_parquet(tmp_path / "clash.parquet")
    with pytest.raises(InputError, match=r"rows 2 and 5 differ, and both are of ts 2026-07-24T14:01:00Z"):
        ingest_snapshots([tmp_path / "clash.parquet"], tmp_path / "other", "SPY", conventions="live")


def test_rows_that_cannot_be_used_are_counted_or_refused(tmp_path: pathlib.Path) -> None:
    rows = [
        row(at("10:00"), [600.0, 601.0], gex=[1.0, 2.0]),
        row(at("10:01"), [601.0, 600.0], gex=[1.0, 2.0]),
        row(at("10:02"), [600.0], spot=-1.0, gex=[1.0]),
        row(at("10:03") + 86_400_000_000, [600.0], gex=[1.0]),  # a Saturday
    ]
    path = write(tmp_path / "rows.parquet", rows)
    report = ingest_snapshots([path], tmp_path / "lake", "SPY")
    assert {reason: (each.rows, each.line) for reason, each in report.tally.rejected.items()} == {
        "has a ts on a day without a session": (1, 3),
        "is not sound: spot is no price above 0": (1, 2),
        "is not sound: strikes do not ascend": (1, 1),
    }
    assert report.sessions == {lakes.DAY: (1, 1)}
    with pytest.raises(InputError, match=r"rows\.parquet: row 3 has a ts on a day without a session"):
        ingest_snapshots([path], tmp_path / "strict", "SPY", strict=True)
    with pytest.raises(InputError, match=r"none of 1 rows can be used; 1: each is not sound: spot"):
        ingest_snapshots([write(tmp_path / "bad.parquet", rows[2:3])], tmp_path / "none", "SPY")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"ts": [1], "price": [2.0]}), "lacks a column strike; it holds ts, price"),
        (pa.table({"ts": [1], "recorded_at": [1], "spot": [1.0], "strike": [1.0]}), r"column ts is int64, not timestamp\[us, tz=UTC\]"),
        (pa.table({"strike": [1.0], "gex": ["a"]}), "column ts is missing.*column gex is string, not a number"),
        (pa.table({"strike": [[1.0]]}), "column ts is missing"),
    ],
)  # fmt: skip
def test_other_tables_are_refused_by_column(tmp_path: pathlib.Path, table: Any, message: str) -> None:
    pq.write_table(table.replace_schema_metadata(METADATA), tmp_path / "other.parquet")
    with pytest.raises(InputError, match=message):
        ingest_snapshots([tmp_path / "other.parquet"], tmp_path / "lake", "SPY")
    assert not (tmp_path / "lake").exists()


def test_what_is_no_parquet_is_said_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text("ts,strike\n")
    with pytest.raises(InputError, match=r"a\.csv: is no Parquet file"):
        ingest_snapshots([tmp_path / "a.csv"], tmp_path / "lake", "SPY")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"b\.parquet: cannot be read"):
        ingest_snapshots([tmp_path / "b.parquet"], tmp_path / "lake", "SPY")
    with pytest.raises(InputError, match=r"c\.parquet: cannot be read: No such file"):
        ingest_snapshots([tmp_path / "c.parquet"], tmp_path / "lake", "SPY")
