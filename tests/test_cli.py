"""The commands as their users call them: formats, errors on stderr with exit 2, pipes, terminals, interruptions."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.ingest.mapping import preset
from replay.ingest.run import ingest_chain
from tests import chains

METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")
CLI = [sys.executable, "-m", "replay"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two recorded snapshots of SPY, known a quarter of an hour late, five strikes."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [
        row
        for minute, spot in ((0, 740.0), (5, 741.5))
        for strike in (738.0, 739.0, 740.0, 741.0, 742.5)
        for row in chains.pair(
            ts=f"2026-07-24T10:{minute:02d}:10", fetched=f"2026-07-24 10:{minute + 15}:30", strike=strike, spot=spot, bid=1.0 + minute / 100
        )
    ]  # fmt: skip
    rows += [row | {"bid": 0.95, "fetched_at_et": "2026-07-24 11:00:00"} for row in rows[:10]]
    path = chains.write_csv(folder / "rows.csv", rows)
    ingest_chain([path], folder / "lake", "SPY", preset("cboe-recorder"))
    return str(folder / "lake")


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"REPLAY_LAKE": None, **environment})


AS_OF = ("--as-of", "2026-07-24T10:30")


def test_piped_heatmap_is_the_contracts_body(lake: str) -> None:
    done = run("heatmap", " spy ", "--lake", lake, *AS_OF)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout_bytes == replay.open_lake(lake).heatmap("SPY", "2026-07-24T10:30").to_json()
    body = json.loads(done.stdout)
    assert [bar["t"] for bar in body["bars"]] == ["2026-07-24T14:00:00Z", "2026-07-24T14:05:00Z"]
    assert body["strikes_grid"] == [738, 739, 740, 741, 742.5]


def test_the_lake_may_come_from_the_environment(lake: str) -> None:
    assert (
        run("heatmap", "SPY", *AS_OF, REPLAY_LAKE=lake).stdout_bytes
        == run("heatmap", "SPY", "--lake", lake, *AS_OF).stdout_bytes
    )


def test_pretty_is_the_same_body(lake: str) -> None:
    plain, pretty = (
        run("heatmap", "SPY", "--lake", lake, *AS_OF),
        run("heatmap", "SPY", "--lake", lake, *AS_OF, "--pretty"),
    )
    assert json.loads(plain.stdout) == json.loads(pretty.stdout)
    assert pretty.stdout.count("\n") > 10


@pytest.mark.parametrize("metric", METRICS)
def test_csv_and_parquet_are_long_rows(lake: str, metric: str) -> None:
    arguments = ("heatmap", "SPY", "--lake", lake, *AS_OF, "--known-at", "latest", "--metric", metric)
    body = json.loads(run(*arguments).stdout)
    expected = [
        (bar["t"], bar["spot"], strike, value)
        for bar in body["bars"]
        for strike, value in zip(body["strikes_grid"], bar["values"], strict=True)
    ]
    rows = list(csv.reader(io.StringIO(run(*arguments, "--format", "csv").stdout)))
    assert rows[0] == ["t", "spot", "strike", "value"]
    assert [
        (t, float(spot), float(strike), float(value) if value else None) for t, spot, strike, value in rows[1:]
    ] == expected
    frame = pl.read_parquet(run(*arguments, "--format", "parquet").stdout_bytes)
    assert frame.schema == {
        "t": pl.Datetime("us", "UTC"),
        "spot": pl.Float64,
        "strike": pl.Float64,
        "value": pl.Float64,
    }
    assert [(row[0].strftime("%Y-%m-%dT%H:%M:%SZ"), *row[1:]) for row in frame.iter_rows()] == expected


def test_table_html_and_png(lake: str, tmp_path: pathlib.Path) -> None:
    arguments = ("heatmap", "SPY", "--lake", lake, *AS_OF)
    table = run(*arguments, "--format", "table", COLUMNS="80").stdout
    assert "742.5" in table
    assert max(map(len, table.splitlines())) <= 80
    for form, start in (("html", b"<!doctype html>"), ("png", b"\x89PNG\r\n")):
        out = tmp_path / f"map.{form}"
        done = run(*arguments, "--out", str(out))
        assert (done.exit_code, done.stdout) == (0, "")
        assert out.read_bytes()[: len(start)].lower() == start.lower()
        assert run(*arguments, "--format", form).stdout_bytes == out.read_bytes(), "the same bytes each time"


def test_resample_coarsens_the_answer_and_bar_does_not(lake: str) -> None:
    arguments = ("heatmap", "SPY", "--lake", lake, *AS_OF, "--known-at", "latest")
    body = json.loads(run(*arguments, "--resample", "30m").stdout)
    assert (body["bar_size"], [bar["t"] for bar in body["bars"]]) == ("30m", ["2026-07-24T14:00:00Z"])
    fine = json.loads(run(*arguments).stdout)
    assert body["bars"][0]["values"] == fine["bars"][-1]["values"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bar", "5m", "--metric", "x"), "error: bar_unavailable: "),
        (("--metric", "GEX", "--mode", "x"), "error: invalid_metric: "),
        (("--mode", "Delta", "--minutes", "x"), "error: invalid_mode: "),
        (("--minutes", "1e9", "--known-at", "x"), "error: invalid_minutes: "),
        (("--known-at", "yesterday"), "error: invalid_time: "),
        (("--as-of", "2026-03-08T02:30"), "error: invalid_time: "),
        (("--as-of", "2026-11-01T01:30"), "error: invalid_time: "),
        (("--tier", "5m"), "error: invalid_tier: "),
        (("--resample", "7m"), "error: invalid_resample: "),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_2(lake: str, options: tuple[str, ...], said: str) -> None:
    done = run("heatmap", "SPY", "--lake", lake, *AS_OF, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["heatmap", "levels", "sessions", "verify", "sql"])
def test_no_lake_is_an_error(command: str, tmp_path: pathlib.Path) -> None:
    arguments = {"heatmap": ("SPY", *AS_OF), "levels": ("SPY", *AS_OF), "sql": ("SELECT 1",)}.get(command, ())
    for path, said in ((tmp_path / "none", "does not exist"), (tmp_path, "is no lake")):
        done = run(command, *arguments, "--lake", str(path))
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith("error: no_lake: ")
        assert said in done.stderr
    done = run(command, *arguments)
    assert done.exit_code == 2
    assert "REPLAY_LAKE" in done.stderr


@pytest.mark.parametrize(
    ("symbol", "as_of", "said"),
    [
        ("QQQ", "2026-07-24T10:30", "no data of QQQ; the lake holds SPY"),
        ("../../etc", "2026-07-24T10:30", "no data of ../../ETC; the lake holds SPY"),
        ("SPY", "2026-07-27", "no session 2026-07-27 of SPY; the lake holds 1 from 2026-07-24"),
        ("SPY", "2026-07-24T10:10", "no sample of SPY in the window up to 2026-07-24T14:10:00Z was known"),
    ],
)
def test_what_is_not_there_is_empty_and_said(lake: str, symbol: str, as_of: str, said: str) -> None:
    done = run("heatmap", symbol, "--lake", lake, "--as-of", as_of)
    assert done.exit_code == 0
    assert (json.loads(done.stdout)["bars"], json.loads(done.stdout)["strikes_grid"]) == ([], [])
    assert said in done.stderr


def test_levels(lake: str) -> None:
    done = run("levels", "SPY", "--lake", lake, *AS_OF)
    assert json.loads(done.stdout) == replay.open_lake(lake).levels("SPY", "2026-07-24T10:30").to_dict()
    assert json.loads(done.stdout)["spot"] == 741.5
    assert "741.5" in run("levels", "SPY", "--lake", lake, *AS_OF, "--format", "table").stdout


def test_sessions_in_all_formats(lake: str) -> None:
    found = json.loads(run("sessions", "--lake", lake, "--format", "json").stdout)
    assert len(found) == 1
    row = found[0]
    assert (row["symbol"], row["date"], row["tiers"], row["snapshots"], row["revisions"]) == (
        "SPY",
        "2026-07-24",
        "raw",
        2,
        1,
    )
    assert (row["first"], row["last"]) == ("2026-07-24T14:00:10Z", "2026-07-24T14:05:10Z")
    assert (row["cadence"], row["strikes"], row["lowest"], row["highest"]) == (300.0, 5, 738.0, 742.5)
    assert row["longest_gap"] == (5 * 60 + 54) * 60 + 50  # 10:05:10 to 16:00
    assert row["columns"].split()[:5] == ["strike", "gex", "dex", "vex", "chex"]
    assert row["conventions"] == "replay-1"
    rows = list(csv.DictReader(io.StringIO(run("sessions", "SPY", "--lake", lake, "--format", "csv").stdout)))
    assert list(rows[0]) == list(row)
    table = run("sessions", "--lake", lake, "--format", "table").stdout
    assert "10:00-10:05" in table
    assert max(map(len, table.splitlines())) <= 80
    empty = run("sessions", "QQQ", "--lake", lake, "--format", "json")
    assert (json.loads(empty.stdout), empty.exit_code) == ([], 0)
    assert "the lake holds SPY" in empty.stderr


def test_a_session_that_cannot_be_read_hides_no_other(lake: str, tmp_path: pathlib.Path) -> None:
    shutil.copytree(lake, tmp_path / "lake")
    broken = tmp_path / "lake" / "tier=raw" / "symbol=SPY" / "date=2026-07-23"
    broken.mkdir()
    (broken / "a.parquet").write_bytes(b"PAR1")
    done = run("sessions", "--lake", str(tmp_path / "lake"), "--format", "json")
    assert [(row["date"], row["snapshots"], row["fault"] is None) for row in json.loads(done.stdout)] == [
        ("2026-07-23", 0, False),
        ("2026-07-24", 2, True),
    ]
    assert "note: SPY 2026-07-23 cannot be read: " in done.stderr
    table = run("sessions", "--lake", str(tmp_path / "lake"), "--format", "table").stdout
    assert "cannot be read" in table
    assert "10:00-10:05" in table


def test_ingest_counts_and_verify_is_clean(tmp_path: pathlib.Path) -> None:
    rows = [*chains.pair(), *chains.pair(strike=741.0, expiry="2026-07-27"), chains.row(strike="x")]
    path = chains.write_csv(tmp_path / "rows.csv", rows)
    arguments = ("ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(tmp_path / "lake"))
    assert run(*arguments).exit_code == 2
    done = run(*arguments, "--preset", "cboe-recorder")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "5 rows of 1 file, 2 options kept" in done.stdout
    assert f"2 rows that expire on another date, left out (first: {path}, line 4)" in done.stdout
    assert (
        f"1 row rejected: each has a strike that is no number above 0, such as 'x' (first: {path}, line 6)"
        in done.stdout
    )
    assert done.stdout.endswith("1 snapshot written, 0 stored already\n")
    assert run(*arguments, "--preset", "cboe-recorder").stdout.endswith("0 snapshots written, 1 stored already\n")
    strict = run(*arguments, "--preset", "cboe-recorder", "--strict")
    assert (strict.exit_code, strict.stderr) == (
        2,
        f"error: invalid_input: {path}, line 6: the row has a strike that is no number above 0, such as 'x'\n",
    )
    clean = run("verify", "--lake", str(tmp_path / "lake"))
    assert (clean.exit_code, clean.stdout) == (0, "1 files, 1 rows: 0 faults, 0 notes\n")
    next((tmp_path / "lake").rglob("*.parquet")).write_bytes(b"PAR1")
    broken = run("verify", "--lake", str(tmp_path / "lake"))
    assert broken.exit_code == 1
    assert "fault: tier=raw/symbol=SPY/date=2026-07-24/" in broken.stdout


def test_an_output_that_cannot_be_written_is_said_and_leaves_the_old_one(lake: str, tmp_path: pathlib.Path) -> None:
    done = run("heatmap", "SPY", "--lake", lake, *AS_OF, "--out", str(tmp_path / "none" / "a.json"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: cannot_write: {tmp_path / 'none' / 'a.json'}: ")
    old = tmp_path / "old.json"
    old.write_text("old")
    assert run("heatmap", "SPY", "--lake", lake, *AS_OF, "--metric", "x", "--out", str(old)).exit_code == 2
    assert old.read_text() == "old"
    assert run("heatmap", "SPY", "--lake", lake, *AS_OF, "--out", str(old)).exit_code == 0
    assert json.loads(old.read_text())["symbol"] == "SPY"
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def on_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command with a terminal of 80 columns on standard output and error; its status and what it shows."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LINES": "40", "TERM": "xterm-256color", **environment}
    process = subprocess.Popen([*CLI, *arguments], stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_a_coloured_table_and_no_color_is_kept(lake: str) -> None:
    status, shown = on_terminal("heatmap", "SPY", "--lake", lake, *AS_OF, NO_COLOR="")
    assert status == 0
    assert "\x1b[" in shown
    status, plain = on_terminal("heatmap", "SPY", "--lake", lake, *AS_OF, NO_COLOR="1")
    assert status == 0
    assert "\x1b[" not in plain
    assert "742.5" in plain
    assert max(map(len, plain.splitlines())) <= 80


def test_binary_formats_are_kept_off_a_terminal(lake: str) -> None:
    status, shown = on_terminal("heatmap", "SPY", "--lake", lake, *AS_OF, "--format", "png")
    assert status == 2
    assert "give --out FILE" in shown


def test_a_closed_pipe_is_no_trouble(lake: str) -> None:
    command = f"{sys.executable} -m replay sql --lake {lake} 'SELECT i FROM range(9999999) AS r(i)' | head -n 2"  # noqa: S608  # our own text
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 2
    assert "Traceback" not in done.stderr


def test_out_writes_through_links_and_into_pipes(lake: str, tmp_path: pathlib.Path) -> None:
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    assert run("heatmap", "SPY", "--lake", lake, *AS_OF, "--out", str(link)).exit_code == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["symbol"] == "SPY"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    assert run("heatmap", "SPY", "--lake", lake, *AS_OF, "--format", "json", "--out", str(pipe)).exit_code == 0
    assert reader.communicate(timeout=20)[0] == target.read_bytes()
    assert pipe.is_fifo()


@pytest.mark.parametrize("options", [("--out", ""), ("--lake", ""), ("--out", "map.zip")])
def test_empty_paths_and_unknown_formats_are_refused(lake: str, options: tuple[str, ...]) -> None:
    done = run("heatmap", "SPY", "--lake", lake, *AS_OF, *options)
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("command", [("heatmap", "SPY", *AS_OF), ("sql", "SELECT * FROM strikes, range(1000)")])
def test_a_full_disk_is_an_error_and_no_traceback(lake: str, command: tuple[str, ...]) -> None:
    with pathlib.Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*CLI, *command, "--lake", lake], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: cannot_write: standard output: No space left on device\n")


def test_a_lake_that_cannot_be_written_is_said(tmp_path: pathlib.Path) -> None:
    path = chains.write_csv(tmp_path / "rows.csv", chains.pair())
    (tmp_path / "lake").write_text("a file")
    arguments = ("--symbol", "SPY", "--lake", str(tmp_path / "lake"), "--preset", "cboe-recorder")
    done = run("ingest", "chain", str(path), *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: cannot_write: ")
    assert (tmp_path / "lake").read_text() == "a file"


def _ingest_of(path: pathlib.Path, lake: pathlib.Path) -> list[str]:
    return [*CLI, "ingest", "chain", str(path), "--symbol", "SPY", "--lake", str(lake), "--preset", "cboe-recorder"]


def test_an_ingest_that_is_interrupted_ends_cleanly(tmp_path: pathlib.Path) -> None:
    header, *body = chains.csv_text(chains.pair()).splitlines(keepends=True)
    path = tmp_path / "rows.csv"
    path.write_text(header + "".join(body) * 500_000)
    arguments = _ingest_of(path, tmp_path / "lake")
    for delay in (1.0, 2.0, 4.0):  # an early interrupt may come before the command has begun
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert not list(tmp_path.rglob("*.partial"))
        if process.returncode == 130:
            break
    assert (process.returncode, said.strip()) == (130, "interrupted")


def test_an_ingest_that_is_killed_leaves_a_lake_that_reads(tmp_path: pathlib.Path) -> None:
    rows = [
        row
        for minute in range(60)
        for strike in range(60)
        for row in chains.pair(
            ts=f"2026-07-24T10:{minute:02d}:00", fetched="2026-07-24 11:00:00", strike=700.0 + strike
        )
    ]
    path = chains.write_csv(tmp_path / "rows.csv", rows)
    target = tmp_path / "lake"
    arguments = _ingest_of(path, target)
    for delay in (0.3, 0.6, 0.9, 1.2):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (target / "tier=raw").exists():
            checked = run("verify", "--lake", str(target))
            assert checked.exit_code == 0, checked.output
    assert subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.count("60 snapshots") >= 1
    assert run("verify", "--lake", str(target), "--fix").exit_code == 0
    assert json.loads(run("sessions", "--lake", str(target), "--format", "json").stdout)[0]["snapshots"] == 60
