"""Files that are wrong in the ways that people's files are: the message each gets, word for word."""

from __future__ import annotations

import gzip
import pathlib
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from replay.cli import main
from tests import chains

COLUMNS = "ts,expiration,right,strike,bid,ask,iv,open_interest,spot"
SEP = "\n"


def rows(
    day: str = "2026-07-24", clock: str = "10:00:00", strike: str = "740", expiration: str | None = None
) -> list[str]:
    return [f"{day}T{clock},{expiration or day},{right},{strike},1.0,1.1,0.2,100,740.0" for right in "CP"]


def text(*lines: str) -> bytes:
    return (SEP.join([COLUMNS, *lines]) + SEP).encode()


def truncated() -> bytes:
    data = gzip.compress(text(*rows() * 3000))
    return data[: len(data) // 2]


def damaged(data: bytes) -> bytes:
    return data[:-8] + bytes(8)  # another checksum than the data's


Case = tuple[str, Callable[[], bytes], str]
CASES: dict[str, Case] = {
    "a truncated gzip": ("a.csv.gz", truncated, "FILE: is a gzip that is cut short or damaged; fetch it again"),
    "another time zone": (
        "utc.csv",
        lambda: text(*rows(clock="16:30:00"), *rows(clock="18:00:00"), *rows(clock="19:59:00")),
        "the rows of 2026-07-24 are at 16:30 to 19:59 New York, and the session is 09:30 to 16:00; they look like UTC: "
        "give --zone UTC, or [time] zone in the map; --zone America/New_York takes them as they are",
    ),
    "strikes as text": (
        "text.csv",
        lambda: text(*rows(strike="$740")),
        "none of 2 rows can be used; 2: each has a strike that is no number above 0, such as '$740'",
    ),
    "thousands separators": (
        "comma.csv",
        lambda: text(*rows(strike='"1,740.00"')),
        "none of 2 rows can be used; 2: each has a strike that is no number above 0, such as '1,740.00'; write it without "
        "thousands separators",
    ),
    "a header twice over": (
        "twice.csv",
        lambda: text(*rows()).replace(b"bid,ask", b"bid,bid"),
        "FILE: has column bid more than once",
    ),
    "a header and no more": ("header.csv", text, "FILE: holds a header and no rows"),
    "an empty file": ("empty.csv", lambda: b"", "FILE: is empty"),
    "a PDF": ("page.pdf", lambda: b"%PDF-1.7 1 0 obj", "FILE: is a PDF; CSV, CSV.gz and Parquet are read"),
    "other expirations alone": (
        "weekly.csv",
        lambda: text(*rows(expiration="2026-07-31")),
        "none of 2 rows can be used; 2: each expires on another date than its session's",
    ),
    "dates as DD-MM-YY": (
        "dates.csv",
        lambda: text(*rows(expiration="24-07-26")),
        "none of 2 rows can be used; 2: each has an expiration that is no date (YYYY-MM-DD), such as '24-07-26'",
    ),
    "times as DD-MM-YY": (
        "times.csv",
        lambda: text(*rows(day="24-07-26", expiration="2026-07-24")),
        "none of 2 rows can be used; 2: each has a ts that cannot be read, such as '24-07-26T10:00:00'",
    ),
    "an Excel file": (
        "a.xlsx",
        lambda: b"PK\x03\x04 rest",
        "FILE: is a zip or Excel file; CSV, CSV.gz and Parquet are read",
    ),
    "a vendor's error page": (
        "a.csv",
        lambda: b"<!DOCTYPE html>",
        "FILE: is a page of HTML or XML; CSV, CSV.gz and Parquet are read",
    ),
    "a body of JSON": ("a.csv", lambda: b'{"error": 1}', "FILE: is JSON; CSV, CSV.gz and Parquet are read"),
    "semicolons": (
        "a.csv",
        lambda: text(*rows()).replace(b",", b";"),
        "FILE: is separated by semicolons; commas are read",
    ),
    "text in UTF-16": (
        "a.csv",
        lambda: text(*rows()).decode().encode("utf-16"),
        "FILE: is text in UTF-16, not UTF-8; CSV, CSV.gz and Parquet are read",
    ),
    "a damaged gzip": (
        "a.csv.gz",
        lambda: damaged(gzip.compress(text(*rows() * 3000))),
        "FILE: is a gzip that is cut short or damaged; fetch it again",
    ),
    "no such file": ("", lambda: b"", "FILE: cannot be opened: No such file or directory"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_file_gets_its_message_and_nothing_is_written(tmp_path: pathlib.Path, name: str) -> None:
    file, make, said = CASES[name]
    path = tmp_path / (file or "missing.csv")
    if file:
        path.write_bytes(make())
    command = ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "generic"]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"error: invalid_input: {said.replace('FILE', str(path))}\n"
    assert not (tmp_path / "lake").exists()


def test_mixed_expirations_and_a_repeated_header_are_counted_and_the_rest_comes_in(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_bytes(text(*rows(), COLUMNS, *rows(strike="741"), *rows(expiration="2026-07-27")))
    command = ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "generic"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.stderr
    assert "SPY: 7 rows of 1 file, 4 options kept" in done.stdout
    assert f"1 row rejected: each repeats the header (first: {path}, line 4)" in done.stdout
    assert f"2 rows that expire on another date, left out (first: {path}, line 7)" in done.stdout
    strict = CliRunner().invoke(main, [*command, "--strict"])
    assert strict.stderr == f"error: invalid_input: {path}, line 4: the row repeats the header\n"


def test_utc_is_taken_as_utc_where_it_is_said(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "utc.csv"
    path.write_bytes(text(*rows(clock="18:00:00"), *rows(clock="19:59:00")))
    command = ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "generic"]
    done = CliRunner().invoke(main, [*command, "--zone", "UTC"])
    assert done.exit_code == 0, done.stderr
    assert "2 snapshots, 2 new" in done.stdout
    wrong = CliRunner().invoke(main, [*command, "--zone", "Mars/Olympus"])
    assert (
        wrong.stderr
        == "error: invalid_input: [time] zone 'Mars/Olympus' is no IANA time zone; America/New_York is one\n"
    )


def test_a_later_session_in_utc_is_refused_before_an_earlier_one_is_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "two.csv"
    path.write_bytes(text(*rows(day="2026-07-23"), *rows(clock="18:00:00"), *rows(clock="19:59:00")))
    command = ["ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "generic"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "the rows of 2026-07-24 are at 18:00 to 19:59 New York" in done.stderr
    assert not (tmp_path / "lake").exists()
    told = CliRunner().invoke(main, [*command, "--zone", "America/New_York"])
    assert told.exit_code == 0, told.stderr
    assert "3 snapshots written" in told.stdout


def test_rows_a_little_outside_of_the_session_come_in(tmp_path: pathlib.Path) -> None:
    path = chains.write_csv(tmp_path / "late.csv", chains.pair(ts="2026-07-24T16:15:00", fetched="2026-07-24 16:30:00"))
    command = [
        "ingest",
        "chain",
        str(path),
        "--symbol",
        "SPY",
        "--lake",
        str(tmp_path / "lake"),
        "--preset",
        "cboe-recorder",
    ]
    assert CliRunner().invoke(main, command).exit_code == 0
