"""Sessions whose raw is gone: what still may come, what may not, and under which conventions."""

from __future__ import annotations

import datetime as dt
import pathlib
import threading
import time
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import replay
from replay import schema
from replay.cli import main
from replay.errors import AgedOut, MixedConventions
from replay.sessions import NEW_YORK
from replay.storage.compaction import Outcome, opened
from replay.storage.files import Partition, open_files
from replay.storage.thinning import drop_raw, thin_partition
from replay.storage.writer import LakeWriter, encode
from tests import chains, lakes
from tests.lakes import SECOND, at, row

DAYS = [dt.date(2026, 7, day) for day in (22, 23, 24)]


def raw(date: dt.date) -> Partition:
    return Partition("raw", "SPY", date)


def store(
    root: pathlib.Path, date: dt.date, conventions: str = "replay-1", *, allow_mixed: bool = False, **lists: Any
) -> int:
    """One snapshot of a session."""
    with LakeWriter(root, allow_mixed=allow_mixed) as writer:
        table = lakes.table_of([row(at("10:00", date), [600.0], **({"gex": [1.0]} | lists))])
        return writer.add(raw(date), table, schema.metadata(source="test", conventions=conventions))


def thin(root: pathlib.Path, date: dt.date, **options: Any) -> Outcome:
    with opened(root) as (files, reader):
        return thin_partition(files, reader, raw(date), **options)


def age(root: pathlib.Path, date: dt.date) -> Outcome:
    thin(root, date, allow_mixed=True)
    with opened(root) as (files, reader):
        return drop_raw(files, reader, raw(date))


def run(*arguments: str | pathlib.Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


# --- conventions


@pytest.mark.parametrize("late", [DAYS[0], DAYS[2]])
def test_conventions_are_held_against_the_tier_that_stands_for_raw(tmp_path: pathlib.Path, late: dt.date) -> None:
    store(tmp_path, DAYS[1])
    assert age(tmp_path, DAYS[1]).verdict == "dropped"
    with pytest.raises(MixedConventions, match=r"tier=1m/symbol=SPY/date=2026-07-23 holds .*'replay-1'.*'dealer-book'"):
        store(tmp_path, late, "dealer-book")
    assert store(tmp_path, late) == 1


def test_folders_without_files_hide_no_neighbour(tmp_path: pathlib.Path) -> None:
    store(tmp_path, DAYS[0])
    for date in DAYS[1:]:
        (tmp_path / raw(date).folder).mkdir(parents=True)
    with pytest.raises(MixedConventions, match="date=2026-07-22 holds"):
        store(tmp_path, dt.date(2026, 7, 27), "dealer-book")


def test_thinning_mixes_no_conventions_unless_told_to(tmp_path: pathlib.Path) -> None:
    for date, conventions in ((DAYS[0], "replay-1"), (DAYS[1], "dealer-book")):
        store(tmp_path, date, conventions, allow_mixed=True)
    assert thin(tmp_path, DAYS[0]).verdict == "thinned"
    left = thin(tmp_path, DAYS[1])
    assert (left.verdict, left.files) == ("left", (0, 0))
    assert "date=2026-07-22 holds exposures under 'replay-1', and these rows are under 'dealer-book'" in left.reason
    assert thin(tmp_path, DAYS[1], allow_mixed=True).verdict == "thinned"
    store(tmp_path, DAYS[2], allow_mixed=True)
    with LakeWriter(tmp_path, allow_mixed=True) as writer:
        later = lakes.table_of([row(at("10:01", DAYS[2]), [600.0], gex=[2.0])])
        writer.add(raw(DAYS[2]), later, schema.metadata(source="test", conventions="dealer-book"))
    assert "raw holds exposures under 'dealer-book' and 'replay-1'; --allow-mixed" in thin(tmp_path, DAYS[2]).reason
    done = run("compact", "--lake", tmp_path, "--tier", "1m", "--from", str(DAYS[2]))
    assert "SPY 2026-07-24 1m: left as it is: raw holds" in done.stdout
    assert (
        "1 thinned"
        in run("compact", "--lake", tmp_path, "--tier", "1m", "--from", str(DAYS[2]), "--allow-mixed").stdout
    )


def test_a_session_that_is_thinned_anew_under_others_agrees_with_the_rest(tmp_path: pathlib.Path) -> None:
    store(tmp_path, DAYS[0])
    thin(tmp_path, DAYS[0])
    for path in (tmp_path / raw(DAYS[0]).folder).iterdir():
        path.unlink()
    with pytest.raises(AgedOut):
        store(tmp_path, DAYS[0], "dealer-book")
    files = open_files(tmp_path)
    table = lakes.table_of([row(at("10:00", DAYS[0]), [600.0], lag=9 * SECOND, gex=[1.0])])
    files.write(raw(DAYS[0]), encode(schema.conform(table), schema.metadata(source="x", conventions="dealer-book")))
    assert thin(tmp_path, DAYS[0]).verdict == "thinned"


def test_raw_of_several_conventions_stays(tmp_path: pathlib.Path) -> None:
    store(tmp_path, DAYS[0])
    with LakeWriter(tmp_path, allow_mixed=True) as writer:
        later = lakes.table_of([row(at("10:01", DAYS[0]), [600.0], gex=[2.0])])
        writer.add(raw(DAYS[0]), later, schema.metadata(source="test", conventions="dealer-book"))
    left = age(tmp_path, DAYS[0])
    assert (left.verdict, left.reason) == (
        "left", "its files name several conventions, so they cannot become one, nor go in one step"
    )  # fmt: skip
    with replay.open_lake(tmp_path) as lake:
        assert [each["conventions"] for each in lake.sessions().to_dicts()] == ["dealer-book replay-1"]


def columns(date: dt.date) -> pa.Table:
    """A snapshot as another program might write it, every column nullable."""
    table = schema.conform(lakes.table_of([row(at("10:00", date), [600.0, 601.0], lag=9 * SECOND, gex=[1.0, 2.0])]))
    return pa.table({name: table[name] for name in table.column_names})


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (columns(DAYS[0]).append_column("note", pa.array(["x"])), "it holds note, which this engine does not know"),
        (
            pa.concat_tables([columns(DAYS[0]), columns(DAYS[0]).set_column(1, "recorded_at", pa.nulls(1, schema.TIMESTAMP))]),
            "it holds rows without ts or recorded_at",
        ),
        (columns(DAYS[0]).set_column(3, "expiration", pa.array([DAYS[1]])), "it holds a row that is not sound"),
        (
            columns(DAYS[0]).set_column(4, "strike", pa.array([[601.0, 600.0]], pa.list_(pa.float64()))),
            "it holds a row that is not sound",
        ),
    ],
)  # fmt: skip
def test_raw_that_thinning_would_lose_something_of_stays(tmp_path: pathlib.Path, table: pa.Table, reason: str) -> None:
    path = lakes.write_foreign(tmp_path, "SPY", "own.parquet", table, date=DAYS[0])
    left = age(tmp_path, DAYS[0])
    assert left.verdict == "left"
    assert reason in left.reason
    assert path.exists()
    done = run("compact", "--lake", tmp_path, "--tier", "1m", "--drop-raw-before", str(DAYS[2]))
    assert done.exit_code == 1
    assert reason in " ".join(done.stdout.split())
    assert path.exists()


def test_raw_with_corrections_goes_only_when_that_is_meant(tmp_path: pathlib.Path) -> None:
    rows = [row(at("10:00", DAYS[0]), [600.0], lag=lag * SECOND, gex=[float(lag)]) for lag in (1, 9)]
    lakes.write_own(tmp_path, "SPY", rows, date=DAYS[0])
    command = ("compact", "--lake", tmp_path, "--tier", "1m", "--drop-raw-before", str(DAYS[2]))
    kept = run(*command)
    assert kept.exit_code == 1
    assert "1 of its snapshots were corrected" in kept.stdout
    with replay.open_lake(tmp_path) as lake:
        assert lake.levels("SPY", f"{DAYS[0]}T10:00:05").magnet == 600.0
    gone = run(*command, "--drop-corrected")
    assert gone.exit_code == 0, gone.output
    assert "1 dropped" in gone.stdout
    assert run("compact", "--lake", tmp_path, "--drop-corrected").exit_code == 2


# --- what comes late


def test_raw_of_a_day_that_is_not_over_stays(tmp_path: pathlib.Path) -> None:
    today = dt.datetime.now(NEW_YORK).date()
    store(tmp_path, today)
    left = age(tmp_path, today)
    assert (left.verdict, left.reason) == ("left", "the session may still be recorded; drop it from the day after on")


def test_a_writer_that_waited_while_raw_was_aged_out_writes_nothing(tmp_path: pathlib.Path) -> None:
    """The lock is held by what ages raw out; two writers wait for it, and find raw gone."""
    store(tmp_path, DAYS[0])
    thin(tmp_path, DAYS[0])
    files = open_files(tmp_path)
    raised: list[str] = []

    def write(how: str) -> None:
        table = lakes.table_of([row(at("10:01", DAYS[0]), [600.0], gex=[2.0])])
        with LakeWriter(tmp_path) as writer:
            try:
                getattr(writer, how)(raw(DAYS[0]), table, schema.metadata(source="late", conventions="replay-1"))
            except AgedOut:
                raised.append(how)

    threads = [threading.Thread(target=write, args=(how,)) for how in ("add", "enrich")]
    with files.lock(raw(DAYS[0])):
        for thread in threads:
            thread.start()
        time.sleep(0.5)  # until both wait
        for file in files.files(raw(DAYS[0])):
            files.remove(raw(DAYS[0]), file.name)
    for thread in threads:
        thread.join()
    assert sorted(raised) == ["add", "enrich"]
    assert files.files(raw(DAYS[0])) == []


def test_an_ingest_leaves_out_what_is_aged_out_and_goes_on(tmp_path: pathlib.Path) -> None:
    lake = tmp_path / "lake"

    def chain(name: str, dates: list[dt.date]) -> list[str | pathlib.Path]:
        rows = [
            chains.row(ts=f"{date}T10:00:00", fetched=f"{date} 10:15:30", right=right, expiry=str(date))
            for date in dates for right in "CP"
        ]  # fmt: skip
        path = chains.write_csv(tmp_path / name, rows)
        return ["ingest", "chain", path, "--symbol", "SPY", "--preset", "cboe-recorder", "--lake", lake]

    assert run(*chain("first.csv", DAYS[:1])).exit_code == 0
    assert age(lake, DAYS[0]).verdict == "dropped"
    done = run(*chain("all.csv", DAYS))
    assert done.exit_code == 1
    assert done.stderr == (
        "2026-07-22: 1 snapshot left out: raw of the session was aged out\n"
        "note: rows in tier=raw would hide the thinned ones that stand for it; to ingest the whole session again, "
        "remove its tier=1m folder first, or use another lake\n"
    )
    assert done.stdout.splitlines()[-1] == "2 snapshots written, 0 stored already"
    again = run(*chain("all.csv", DAYS))
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (1, "0 snapshots written, 2 stored already")
    alone = run(*chain("first.csv", DAYS[:1]))
    assert (alone.exit_code, alone.stderr) == (1, done.stderr)

    trades = tmp_path / "t.csv"
    header = "ts,recorded_at,expiration,strike,right,price,size,bid,ask"
    prints = [f"{d}T09:59:00-04:00,{d}T09:59:00-04:00,{d},740,C,1.1,3,1.0,1.1" for d in DAYS[:2]]
    trades.write_text("\n".join([header, *prints]) + "\n")
    signed = run("ingest", "trades", trades, "--symbol", "SPY", "--preset", "generic", "--lake", lake)
    assert (signed.exit_code, "flow in 1 stored rows, 1 new" in signed.stdout) == (1, True)
    assert signed.stderr.startswith("2026-07-22: 1 print left out: raw of the session was aged out\n")

    with replay.open_lake(lake) as opened_lake:
        frames = [opened_lake.snapshots("SPY", date) for date in DAYS]
    paths = [tmp_path / f"{date}.parquet" for date in DAYS]
    for frame, path in zip(frames, paths, strict=True):
        frame.drop("tier").write_parquet(path)
    copied = run("ingest", "snapshots", *paths, "--symbol", "SPY", "--lake", lake, "--conventions", "replay-1")
    assert copied.exit_code == 1, copied.stderr
    assert copied.stderr.startswith("2026-07-22: 1 snapshot left out")


def test_captures_of_a_session_that_is_aged_out_are_left_out(tmp_path: pathlib.Path) -> None:
    lake = tmp_path / "lake"
    bodies = {}
    for date in DAYS[:2]:
        store(tmp_path / "source", date)
        with replay.open_lake(tmp_path / "source") as source:
            bodies[date] = tmp_path / f"{date}.json"
            bodies[date].write_bytes(source.heatmap("SPY", f"{date}T10:01").to_json())
    assert run("ingest", "heatmap", bodies[DAYS[0]], "--symbol", "SPY", "--lake", lake).exit_code == 0
    assert age(lake, DAYS[0]).verdict == "dropped"
    done = run("ingest", "heatmap", *bodies.values(), "--symbol", "SPY", "--lake", lake)
    assert done.exit_code == 1, done.stderr
    assert done.stderr.startswith("2026-07-22: 1 body left out: raw of the session was aged out\n")
    assert done.stdout.splitlines()[-1] == "1 row written"


def test_sessions_from_a_day_after_the_last_are_refused(tmp_path: pathlib.Path) -> None:
    store(tmp_path, DAYS[0])
    wrong = run("compact", "--lake", tmp_path, "--from", "2026-07-24", "--to", "2026-07-22")
    assert (wrong.exit_code, wrong.stderr) == (2, "error: invalid_time: from 2026-07-24 is after to 2026-07-22\n")
