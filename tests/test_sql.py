"""`replay sql`: the views say what the files hold, and nothing can be written or read beyond them."""

from __future__ import annotations

import json
import pathlib
import shutil

import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from replay import queries, schema
from replay.cli import main
from replay.ingest.mapping import preset
from replay.ingest.run import ingest_chain
from tests import chains


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("sql")
    rows = [row for strike in (739.0, 740.0) for row in chains.pair(strike=strike)]
    rows.append(chains.row(strike=741.0))
    for late in ("2026-07-24 10:15:30", "2026-07-24 12:00:00"):
        path = chains.write_csv(folder / "rows.csv", [row | {"fetched_at_et": late} for row in rows])
        ingest_chain([path], folder / "lake", "SPY", preset("cboe-recorder"))
    return folder / "lake"


def run(lake: pathlib.Path, statement: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["sql", statement, "--lake", str(lake), *options])


def rows_of(lake: pathlib.Path, statement: str) -> list[dict[str, object]]:
    done = run(lake, statement, "--format", "json")
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_snapshots_are_the_stored_rows_revisions_included(lake: pathlib.Path) -> None:
    stored = pl.concat(pl.DataFrame(pq.read_table(path)) for path in sorted(lake.rglob("*.parquet")))
    found = run(lake, "SELECT * FROM snapshots ORDER BY recorded_at", "--format", "parquet")
    frame = pl.read_parquet(found.stdout_bytes)
    assert frame.columns == ["tier", "symbol", "date", *schema.BY_NAME]
    assert frame.drop("tier", "symbol", "date").equals(stored.sort("recorded_at"))
    assert set(frame["symbol"]) == {"SPY"}


def test_strikes_are_long_and_what_is_not_known_is_null(lake: pathlib.Path) -> None:
    found = rows_of(lake, "SELECT strike, call_bid, put_bid, oi, gex FROM strikes ORDER BY recorded_at, strike")
    assert [row["strike"] for row in found] == [739.0, 740.0, 741.0] * 2
    assert [row["put_bid"] for row in found[:3]] == [1.0, 1.0, None]
    assert [row["oi"] for row in found[:3]] == [200.0, 200.0, None]
    assert found[2]["gex"] is None


def test_the_views_columns_are_the_documented_ones(lake: pathlib.Path) -> None:
    for view in ("snapshots", "strikes"):
        described = rows_of(lake, f"SELECT column_name, column_type FROM (DESCRIBE {view})")  # noqa: S608  # a name above
        text = queries.load(f"view_{view}").text.split("-- returns:")[1]
        documented = [line[2:].split()[:2] for line in text.splitlines() if line.startswith("--") and line[2:].strip()]
        names = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
        assert [(row["column_name"], row["column_type"]) for row in described] == [
            (name, names.get(kind, kind)) for name, kind in documented
        ]


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "COPY snapshots TO '{lake}/out.parquet'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO snapshots SELECT * FROM snapshots",
        "DROP VIEW snapshots",
        "ATTACH '{lake}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "EXPORT DATABASE '{lake}/x'",
        "SELECT 1; DROP VIEW snapshots",
        "SELECT 1; SELECT 2",
        "",
        " -- nothing",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT nothing FROM strikes",
        "SELEC 1",
        "SELECT error('at run time') FROM strikes",
    ],
)
def test_what_is_refused(
    lake: pathlib.Path, statement: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(lake.rglob("*"))
    done = run(lake, statement.format(lake=lake), "--format", "csv")
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: invalid_query: ")
    assert "root:" not in done.stdout
    assert sorted(lake.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_lake_under_an_odd_name_is_read_like_any_other(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    odd = tmp_path / "sp ace[1]'q*?"
    shutil.copytree(lake, odd)
    assert rows_of(odd, "SELECT count(*) AS n FROM snapshots") == [{"n": 2}]
    assert run(odd, "SELECT * FROM read_text('/etc/passwd')").exit_code == 2


def test_an_empty_answer_still_has_its_columns(lake: pathlib.Path) -> None:
    statement = "SELECT ts, spot FROM snapshots WHERE false"
    assert run(lake, statement, "--format", "csv").stdout == "ts,spot\n"
    assert rows_of(lake, statement) == []
    assert pl.read_parquet(run(lake, statement, "--format", "parquet").stdout_bytes).columns == ["ts", "spot"]
    assert run(lake, statement, "--format", "table").stdout.split() == ["ts", "spot"]


def test_large_answers_are_whole_and_tables_say_what_they_leave_out(lake: pathlib.Path) -> None:
    statement = "SELECT i, i * 2 AS twice FROM range(25000) AS r(i) ORDER BY i"
    lines = run(lake, statement, "--format", "csv").stdout.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (25_001, "i,twice", "24999,49998")
    assert len(rows_of(lake, statement)) == 25_000
    assert pl.read_parquet(run(lake, statement, "--format", "parquet").stdout_bytes).height == 25_000
    table = run(lake, statement, "--format", "table").stdout
    assert "the first 1000 rows; there are more" in table
    wide = run(lake, "SELECT * FROM strikes", "--format", "table").stdout
    assert "more columns do not fit: " in wide
    assert max(map(len, wide.splitlines()[:3])) <= 80


def test_lists_and_times_are_written_plainly(lake: pathlib.Path) -> None:
    done = run(lake, "SELECT ts, strike FROM snapshots ORDER BY recorded_at LIMIT 1", "--format", "csv")
    assert done.stdout == 'ts,strike\n2026-07-24T14:00:00Z,"[739.0,740.0,741.0]"\n'


@pytest.mark.parametrize("form", ["csv", "json", "table", "parquet"])
def test_intervals_blobs_decimals_and_equal_names_are_written(lake: pathlib.Path, form: str) -> None:
    statement = """SELECT recorded_at - ts AS lag, ts, ts, '\\xff'::BLOB AS raw, 1.50::DECIMAL(9, 2) AS paid,
        sum(1) OVER () AS n, [1, NULL] AS listed, {'a': 1} AS pair FROM snapshots ORDER BY recorded_at LIMIT 1"""
    done = run(lake, statement, "--format", form)
    assert done.exit_code == 0, done.stderr
    if form == "json":
        row = json.loads(done.stdout)[0]
        assert (row["lag"], row["raw"], row["paid"], row["n"]) == ("00:15:30", "ff", 1.5, 2)
        assert [value for name, value in row.items() if name.startswith("ts")] == ["2026-07-24T14:00:00Z"] * 2
        assert (row["listed"], row["pair"]) == ([1, None], {"a": 1})
    if form == "csv":
        assert "00:15:30,2026-07-24T14:00:00Z,2026-07-24T14:00:00Z,ff,1.50,2," in done.stdout


def test_sums_are_the_same_on_every_run() -> None:
    shipped = queries.shipped("fixtures") / "lake"  # large enough for two threads to share it
    sums = [
        run(shipped, "SELECT sum(gex), sum(vex), sum(chex), sum(signed_flow) FROM strikes").stdout for _ in range(8)
    ]
    assert sums == sums[:1] * 8


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_duckdbs_own_tables_are_written(lake: pathlib.Path, form: str) -> None:
    done = run(lake, "SELECT * FROM duckdb_settings()", "--format", form)
    assert (done.exit_code, done.stderr) == (0, "")
