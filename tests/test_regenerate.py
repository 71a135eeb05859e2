"""Heatmaps in bulk: which moments, stable names, the bytes of `replay heatmap`, and runs that were stopped half way."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.cli import main
from replay.errors import InvalidRun, InvalidTime
from replay.regenerate import Request, bulk, clock_name
from tests import lakes
from tests.test_cli import on_terminal

LAKE = str(pathlib.Path(__file__).parent.parent / "fixtures" / "lake")
DAY, HALF = lakes.DAY, lakes.HALF_DAY
SATURDAY = dt.date(2026, 7, 25)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session that closes at 16:00, one at 13:00, a Saturday, and a session of legacy rows alone."""
    root = tmp_path_factory.mktemp("regenerate") / "lake"
    for date in (DAY, SATURDAY, HALF):
        opens = lakes.at("09:30", date)
        rows = [
            lakes.row(opens + i * 5 * lakes.MINUTE, [599.0, 600.0], gex=[1.5 * i, -2.0], call_oi=[3, 4], put_oi=[5, 6])
            for i in range(79)
        ]
        lakes.write_own(root, "SPY", rows, date=date, cadence_us=5 * lakes.MINUTE)
    lakes.write_own(root, "OLD", [lakes.row(lakes.at("10:00"), None)])
    return str(root)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"REPLAY_LAKE": None})


def regenerate(lake: str, out: pathlib.Path, *arguments: str, symbol: str = "SPY") -> Result:
    return run("regenerate", symbol, "--lake", lake, "--out", str(out), *arguments)


def names(out: pathlib.Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def moments(lake: str, at: str, date: dt.date = DAY) -> list[str]:
    with replay.open_lake(lake) as opened:
        found = bulk(opened, "spy", start=date, end=date, at=at)
    return [request.as_of for request in found.requests]


def test_close_is_the_sessions_own(lake: str) -> None:
    assert moments(lake, "close") == ["2026-07-24T20:00:00Z"]
    assert moments(lake, "close", HALF) == ["2026-11-27T18:00:00Z"]


def test_times_are_new_york_ascending_and_once_each(lake: str) -> None:
    assert moments(lake, "14:30, 9:30,close,16:00,10:00:05") == [
        "2026-07-24T13:30:00Z", "2026-07-24T14:00:05Z", "2026-07-24T18:30:00Z", "2026-07-24T20:00:00Z",
    ]  # fmt: skip
    assert moments(lake, "10:00", HALF) == ["2026-11-27T15:00:00Z"], "winter time"


def test_every_step_is_after_the_open_up_to_the_close(lake: str) -> None:
    assert moments(lake, "every:30m", HALF) == [
        f"2026-11-27T{wall}:00Z" for wall in ("15:00", "15:30", "16:00", "16:30", "17:00", "17:30", "18:00")
    ]
    assert len(moments(lake, "every:30m")) == 13
    assert moments(lake, "every:4h") == ["2026-07-24T17:30:00Z", "2026-07-24T20:00:00Z"], "the close is always there"
    assert moments(lake, "every:7h") == ["2026-07-24T20:00:00Z"]


def test_moments_outside_the_session_are_passed_over_and_told(lake: str, tmp_path: pathlib.Path) -> None:
    done = regenerate(lake, tmp_path, "--from", "2026-11-27", "--at", "09:29,13:00,13:01,14:30")
    assert (done.exit_code, names(tmp_path)) == (0, ["SPY_2026-11-27_1300_gex_raw.json"])
    assert done.stderr.splitlines() == [
        "note: outside the session: 3: 2026-11-27 09:29, 2026-11-27 13:01, 2026-11-27 14:30",
        f"{tmp_path}: 1 written, 3 passed over, outside the session",
    ]


def test_what_the_lake_lacks_and_what_is_no_session_is_told(lake: str, tmp_path: pathlib.Path) -> None:
    done = regenerate(lake, tmp_path, "--from", "2026-07-23", "--to", "2026-07-28")
    assert names(tmp_path) == ["SPY_2026-07-24_1600_gex_raw.json"]
    assert done.stderr.splitlines() == [
        "note: not in the lake, sessions of the exchange: 3: 2026-07-23, 2026-07-27, 2026-07-28",
        "note: in the lake, but no sessions of the exchange: 1: 2026-07-25",
        f"{tmp_path}: 1 written",
    ]
    # From July 27 to November 25, both inclusive, there are 88 weekdays; Labor Day is the one holiday among them, and
    # Thanksgiving the 26th.
    many = regenerate(lake, tmp_path)
    assert "note: not in the lake, sessions of the exchange: 87: 2026-07-27, 2026-07-28, " in many.stderr
    assert " and 77 more, up to 2026-11-25\n" in many.stderr


OPTIONS = [
    (),
    ("--minutes", "15"),
    ("--known-at", "latest"),
    ("--known-at", "2026-07-24T09:50:30.25"),
    ("--tier", "raw"),
    ("--metric", "oi", "--mode", "delta", "--minutes", "390", "--known-at", "2026-07-25", "--tier", "raw"),
]


@pytest.mark.parametrize("form", ["json", "parquet", "png", "html"])
def test_each_file_has_the_bytes_of_the_heatmap_command(lake: str, tmp_path: pathlib.Path, form: str) -> None:
    for options in OPTIONS:
        before = set(tmp_path.iterdir())
        done = regenerate(lake, tmp_path, "--to", "2026-07-24", "--at", "10:00", "--format", form, *options)
        assert (done.exit_code, done.stdout) == (0, "")
        (path,) = set(tmp_path.iterdir()) - before  # so every name is another
        single = run("heatmap", "SPY", "--lake", lake, "--as-of", "2026-07-24T10:00", "--format", form, *options)
        assert path.read_bytes() == single.stdout_bytes


def test_names_tell_apart_whatever_differs() -> None:
    plain = Request("SPY", "2026-07-24T14:30")
    assert plain.name == "SPY_2026-07-24_1430_gex_raw"
    assert Request("SPY", "2026-07-24T18:30:00Z").name == plain.name, "the same instant"
    others = [
        Request("SPY", "2026-07-24T14:30:05"),
        Request("SPY", "2026-07-24T14:30:00.000005"),
        Request("SPY", "2026-07-24T14:30", minutes=390),
        Request("SPY", "2026-07-24T14:30", known_at="latest"),
        Request("SPY", "2026-07-24T14:30", known_at="2026-07-25"),
        Request("SPY", "2026-07-24T14:30", known_at="2026-07-25T16:00:01"),
        Request("SPY", "2026-07-24T14:30", tier="1m"),
        Request("SPY", "2026-07-24T14:30", tier="raw"),
        Request("SPY", "2026-07-24T14:30", gaps=True),
        Request("SPY", "2026-07-24T14:30", mode="delta"),
        Request("SPY", "2026-07-24T14:30", metric="oi"),
        Request("BRK.B", "2026-07-24T14:30"),
    ]
    assert len({plain.name, *(each.name for each in others)}) == len(others) + 1
    assert others[2].name == "SPY_2026-07-24_1430_gex_raw_390m"
    assert others[4].name == "SPY_2026-07-24_1430_gex_raw_known-2026-07-25_1600"
    early, late = (clock_name(f"2026-11-01T0{hour}:30Z") for hour in (5, 6))
    assert (early, late) == ("2026-11-01_0130", "2026-11-01_0130-0500"), "the hour that the clock shows twice"


INSTANTS = st.builds(
    lambda base, seconds, micros: dt.datetime.fromisoformat(base) + dt.timedelta(seconds=seconds, microseconds=micros),
    st.sampled_from(["2026-07-24T18:30+00:00", "2026-11-01T05:30+00:00", "2026-11-01T06:30+00:00"]),
    st.sampled_from([0, 1, 10, 60, 100, 3600]),
    st.sampled_from([0, 1, 100_000, 500_000]),
)
OFFSETS = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-4)), dt.timezone(dt.timedelta(hours=5, minutes=30))])
REQUESTS = st.tuples(
    st.sampled_from(["SPY", "SPY.1M", "BRK-B"]), INSTANTS, st.sampled_from(["gex", "oi", "signed_flow"]),
    st.sampled_from(["raw", "delta"]), st.sampled_from([1, 59, 60, 390]),
    st.one_of(st.none(), st.just("latest"), INSTANTS), st.sampled_from([None, "raw", "1m"]), st.booleans(),
)  # fmt: skip


@settings(deadline=None, derandomize=True, max_examples=300)
@given(REQUESTS, st.lists(st.tuples(st.integers(0, 7), REQUESTS), max_size=2), OFFSETS, OFFSETS)
def test_names_are_the_same_exactly_where_the_requests_are(
    one: tuple[Any, ...], changes: list[tuple[int, tuple[Any, ...]]], zone: dt.timezone, other: dt.timezone
) -> None:
    """The second request differs from the first in few fields or none, and tells its times in another offset."""

    def name(fields: list[Any], zone: dt.timezone) -> str:
        told: list[Any] = [
            each.astimezone(zone).isoformat() if isinstance(each, dt.datetime) else each for each in fields
        ]
        return Request(*told).name

    first, second = list(one), list(one)
    for place, fields in changes:
        second[place] = fields[place]
    names = name(first, zone), name(second, other)
    assert (names[0] == names[1]) == (first == second)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]+", each) for each in names), "fit for any file system"


def test_several_metrics_and_modes(lake: str, tmp_path: pathlib.Path) -> None:
    done = regenerate(lake, tmp_path, "--from", "2026-11-27", "--metric", "gex, oi,gex", "--mode", "raw,delta")
    assert names(tmp_path) == [
        f"SPY_2026-11-27_1300_{each}.json" for each in ("gex_delta", "gex_raw", "oi_delta", "oi_raw")
    ]
    assert done.stderr == f"{tmp_path}: 4 written\n"


def test_a_rerun_writes_only_what_is_missing_and_touches_nothing(lake: str, tmp_path: pathlib.Path) -> None:
    span = ("--to", "2026-07-24", "--at", "every:1h")
    assert regenerate(lake, tmp_path, *span).stderr == f"{tmp_path}: 7 written\n"
    first, second, *_ = sorted(tmp_path.iterdir())
    whole = first.read_bytes()
    first.unlink()
    second.write_bytes(b"mine")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert regenerate(lake, tmp_path, *span).stderr == f"{tmp_path}: 1 written, 6 already there\n"
    assert first.read_bytes() == whole
    assert second.read_bytes() == b"mine"
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_empty_heatmaps_are_written_and_counted(lake: str, tmp_path: pathlib.Path) -> None:
    done = regenerate(lake, tmp_path, "--to", "2026-07-24", "--at", "close", "--known-at", "2026-07-01")
    assert done.stderr == f"{tmp_path}: 1 written (1 of them empty)\n"


def test_legacy_windows_are_refused_by_name_and_the_rest_is_written(tmp_path: pathlib.Path) -> None:
    """The shipped session of March 9 has legacy rows until 12:30."""
    span = ("--from", "2026-03-09", "--to", "2026-03-09", "--at", "10:00,11:00,close")
    done = regenerate(LAKE, tmp_path, *span)
    assert (done.exit_code, names(tmp_path)) == (0, ["SPY_2026-03-09_1600_gex_raw.json"])
    assert done.stderr.splitlines() == [
        "note: refused, no_strike_data_for_window: 2: SPY_2026-03-09_1000_gex_raw, SPY_2026-03-09_1100_gex_raw",
        f"{tmp_path}: 1 written, 2 refused",
    ]


def test_the_shipped_early_close_every_half_hour(tmp_path: pathlib.Path) -> None:
    """The day after Thanksgiving 2025 ended at 13:00, so 14:30 was not in it."""
    done = regenerate(LAKE, tmp_path, "--from", "2025-11-28", "--to", "2025-11-28", "--at", "every:30m,14:30")
    walls = ("1000", "1030", "1100", "1130", "1200", "1230", "1300")
    assert names(tmp_path) == [f"SPY_2025-11-28_{wall}_gex_raw.json" for wall in walls]
    assert done.stderr.splitlines() == [
        "note: outside the session: 1: 2025-11-28 14:30",
        f"{tmp_path}: 7 written, 1 passed over, outside the session",
    ]
    assert '"as_of":"2025-11-28T18:00:00Z"' in (tmp_path / "SPY_2025-11-28_1300_gex_raw.json").read_text()


def test_a_correction_known_later_is_in_latest_alone(tmp_path: pathlib.Path) -> None:
    """The shipped session of July 24 has rows that were corrected after 11:29:45."""
    span = ("--from", "2026-07-24", "--to", "2026-07-24", "--at", "11:29:45")
    for known in ((), ("--known-at", "latest"), ("--known-at", "2026-07-24T11:29:45")):
        assert regenerate(LAKE, tmp_path, *span, *known).exit_code == 0
    name = "SPY_2026-07-24_112945_gex_raw"
    then, latest, at = ((tmp_path / f"{name}{known}.json").read_bytes() for known in ("", "_known-latest", "_known-2026-07-24_112945"))  # fmt: skip
    assert then != latest
    assert then == at


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metric", "gex,"), "error: invalid_metric: metric '' is not one of gex"),
        (("--mode", "raw,x"), "error: invalid_mode: mode 'x'"),
        (("--minutes", "x"), "error: invalid_minutes: "),
        (("--known-at", "x"), "error: invalid_time: known_at 'x'"),
        (("--tier", "5m"), "error: invalid_tier: "),
        (("--at", "25:00"), "error: invalid_time: at '25:00' is not close, a New York time such as 10:00, or every:30m"),
        (("--at", "10:00,"), "error: invalid_time: at '' is not close"),
        (("--at", "every:30s"), "error: invalid_time: at 'every:30s': the step must be a minute or more"),
        (("--at", "every:x"), "error: invalid_duration: at every 'x' cannot be read"),
        (("--from", "x"), "error: invalid_time: from 'x' is not a date"),
        (("--from", "2026-12-01"), "error: invalid_time: from 2026-12-01 is after to 2026-11-27 of the lake"),
        (("--from", "2026-07-02", "--to", "2026-07-01"), "error: invalid_time: from 2026-07-02 is after to 2026-07-01"),
        (("--to", "2026-07-01", "--from", "2026-07-01"), "error: invalid_run: no session of SPY from 2026-07-01 to "),
        (("--from", "2026-07-25", "--to", "2026-07-25"), "error: invalid_run: no session of SPY from 2026-07-25 to "),
    ],
)  # fmt: skip
def test_wrong_values_are_errors_and_nothing_is_written(
    lake: str, tmp_path: pathlib.Path, options: tuple[str, ...], said: str
) -> None:
    done = regenerate(lake, tmp_path / "out", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_symbol_lists_what_there_is(lake: str, tmp_path: pathlib.Path) -> None:
    for symbol in ("QQQ", "../x"):
        done = regenerate(lake, tmp_path / "out", symbol=symbol)
        assert done.stderr == f"error: invalid_run: the lake holds nothing of {symbol.upper()}; it has OLD, SPY\n"
        assert done.exit_code == 2
        assert not (tmp_path / "out").exists()


def test_the_plan_is_of_the_symbol_and_span_that_were_asked_for(lake: str) -> None:
    with replay.open_lake(lake) as opened:
        found = bulk(opened, " spy ", end="2026-07-31", minutes="999", known_at=" Latest ")
        assert [request.as_of for request in found.requests] == ["2026-07-24T20:00:00Z"]
        assert (found.requests[0].symbol, found.requests[0].minutes) == ("SPY", 390)
        with pytest.raises(InvalidTime):
            bulk(opened, "SPY", at="noon")
        with pytest.raises(InvalidRun):
            bulk(opened, "QQQ")


def test_a_folder_that_cannot_be_written_is_an_error(lake: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    done = regenerate(lake, tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: cannot_write: {tmp_path / 'file' / 'out'}: ")
    (tmp_path / "out" / "SPY_2026-07-24_1600_gex_raw.json").mkdir(parents=True)
    done = regenerate(lake, tmp_path / "out", "--to", "2026-07-24", "--at", "10:00,close")
    assert done.exit_code == 2
    said, error = done.stderr.splitlines()
    assert said == f"{tmp_path / 'out'}: 1 written"
    assert error.startswith("error: cannot_write: ")


MANY = ("regenerate", "SPY", "--lake", LAKE, "--from", "2026-07-24", "--at", "every:10m", "--format", "html")


def start(out: pathlib.Path) -> subprocess.Popen[str]:
    """A run in a process of its own, once it has written some files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "replay", *MANY, "--out", str(out)], stderr=subprocess.PIPE, text=True
    )
    for _ in range(3000):
        if len(list(out.glob("*.html"))) >= 3 or process.poll() is not None:
            break
        time.sleep(0.01)
    return process


def test_a_killed_run_leaves_no_half_file_and_a_rerun_completes_it(tmp_path: pathlib.Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "Strünge ✓"
    assert run(*MANY, "--out", str(whole)).stderr == f"{whole}: 39 written\n"
    process = start(out)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = sorted(out.glob("SPY*.html"))
    assert 3 <= len(left) < 39
    for path in left:
        assert path.read_bytes() == (whole / path.name).read_bytes()
    (out / ".SPY_2026-07-24_1200_gex_raw.html.0123abcd.partial").write_bytes(b"half")  # as if killed while writing
    (out / ".other.partial").write_bytes(b"of another program")
    done = run(*MANY, "--out", str(out))
    assert done.stderr == f"{out}: {39 - len(left)} written, {len(left)} already there\n"
    assert names(out) == [".other.partial", *names(whole)]
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in names(whole))


@pytest.mark.skipif(sys.platform == "win32", reason="locks folders elsewhere")
def test_what_another_run_is_writing_is_left_to_it(lake: str, tmp_path: pathlib.Path) -> None:
    import fcntl

    partial = tmp_path / ".SPY_2026-07-24_1600_gex_raw.json.0123abcd.partial"
    partial.write_bytes(b"half")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert regenerate(lake, tmp_path, "--to", "2026-07-24").exit_code == 0
    assert partial.exists()
    os.close(descriptor)
    assert regenerate(lake, tmp_path, "--to", "2026-07-24").exit_code == 0
    assert not partial.exists()


def test_an_interrupt_ends_with_130_and_says_what_was_done(tmp_path: pathlib.Path) -> None:
    process = start(tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    written = len(list(tmp_path.glob("*.html")))
    assert process.returncode == 130
    assert said == f"{tmp_path}: {written} written\ninterrupted; run it again to go on\n"
    assert names(tmp_path) == [name for name in names(tmp_path) if name.startswith("SPY")], "no half file"


def test_an_interrupt_after_a_file_is_finished_counts_it(
    lake: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from replay.cli import output

    emit = output.emit

    def interrupted(data: bytes, out_path: pathlib.Path | None) -> None:
        assert out_path is not None
        emit(data, out_path)
        if out_path.name.startswith("SPY_2026-07-24_1130"):
            raise KeyboardInterrupt

    monkeypatch.setattr(output, "emit", interrupted)
    done = regenerate(lake, tmp_path, "--to", "2026-07-24", "--at", "every:1h")
    assert (done.exit_code, names(tmp_path)) == (
        130,
        ["SPY_2026-07-24_1030_gex_raw.json", "SPY_2026-07-24_1130_gex_raw.json"],
    )
    assert done.stderr == f"{tmp_path}: 2 written\ninterrupted; run it again to go on\n"


def test_a_terminal_shows_progress(tmp_path: pathlib.Path) -> None:
    status, shown = on_terminal(*MANY[:-4], "--at", "every:1h", "--format", "html", "--out", str(tmp_path))
    assert status == 0
    assert "/7" in shown
    assert "heatmaps" in shown
    assert "7 written" in shown.replace("\n", "")
