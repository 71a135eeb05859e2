"""``replay run`` as its user types it: what is printed where, and exit statuses."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

import replay
from replay.cli import main
from replay.queries import shipped

LAKE = str(shipped("fixtures") / "lake")
BASE = ["--lake", LAKE, "--symbol", "SPY"]
DAY = ["--from", "2026-07-24", "--to", "2026-07-24"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", *arguments])


def test_piped_rows_are_json_lines_and_the_summary_is_beside_them() -> None:
    done = run("levels", *BASE, *DAY, "--step", "30m")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 13
    assert rows[0]["at"] == "2026-07-24T10:00:00-04:00"
    with replay.open_lake(LAKE) as lake:
        assert rows[0]["magnet"] == lake.levels("SPY", "2026-07-24T10:00").magnet
    assert done.stderr.splitlines() == [
        "levels on SPY: 1 sessions, 2026-07-24 to 2026-07-24, complete",
        "13 ticks, 13 rows recorded",
    ]


def test_csv_has_a_header_once() -> None:
    done = run("levels", *BASE, "--step", "3h", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 2 + 6 * 3
    assert rows[0]["at"] == "2025-11-28T12:30:00-05:00"


def test_gaps_and_missing_sessions_are_said() -> None:
    done = run("levels", *BASE, "--from", "2026-04-14", "--to", "2026-04-16", "--step", "5m")
    assert "gaps (mask): 1, 5 stale ticks" in done.stderr  # 11:50 to 12:10
    assert "  SPY 2026-04-15: no snapshot 11:47:00-12:12:00 New York" in done.stderr
    assert "not in the lake: 2 sessions of the exchange, 2026-04-14, 2026-04-16" in done.stderr


def test_on_a_terminal_the_last_rows_are_drawn_in_80_columns() -> None:
    """Through a pseudo-terminal, whose width is not known: 80 columns are taken."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "replay", "run", "levels", *BASE, *DAY]
    environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=child, stderr=subprocess.PIPE, env=environment, text=True) as running:
        os.close(child)
        text = b""
        while True:
            try:
                block = os.read(parent, 65536)
            except OSError:
                break
            if not block:
                break
            text += block
        assert running.stderr is not None
        running.stderr.read()
    os.close(parent)
    lines = text.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:3] == ["at", "spot", "magnet"]
    assert lines[-2].startswith("2026-07-24 16:00  705.19     705")
    assert lines[-1] == "the last 20 of 390 rows; --format csv or --out DIR gives all"


def test_a_failure_keeps_rows_tells_the_traceback_and_exits_2(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def notes(ctx):\n    ctx.log('here')\n    return {'x': 1 if ctx.now.hour < 11 else nothing}\n",
        encoding="utf-8",
    )
    done = run(f"{tmp_path}/mine.py:notes", *BASE, *DAY, "--step", "15m")
    assert done.exit_code == 2
    assert len(done.stdout.splitlines()) == 5
    assert 'mine.py", line 3, in notes' in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: strategy_failed: session 2026-07-24, 11:00:00: NameError: name 'nothing' is not defined"
    )
    assert "2026-07-24 09:45:00  here" in done.stderr


def test_out_holds_what_was_asked_for(tmp_path: pathlib.Path) -> None:
    done = run("levels", *BASE, *DAY, "--out", str(tmp_path / "out"), "--format", "csv")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["records.csv", "run.json"]
    assert f"written to {tmp_path / 'out'}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", *BASE], "error: unknown_strategy: no strategy 'nothing'; there ship coin, flip_breakout, levels"),
        (["levels", "--lake", LAKE], "Missing option '--symbol'"),
        (["levels", "--lake", LAKE, "--symbol", "IWM"], "error: invalid_run: the lake holds nothing of 'IWM'"),
        (["levels", *BASE, "--param", "x"], "'x' is not NAME=VALUE"),
        (["levels", *BASE, "--param", "x=1", "--param", "x=2"], "x is given twice"),
        (["levels", *BASE, "--param", "x=1"], "error: invalid_parameter: strategy levels has no parameter 'x'"),
        (["levels", *BASE, "--step", "soon"], "error: invalid_duration: step 'soon'"),
        (["levels", *BASE, "--gaps", "fill"], "error: invalid_gaps: gaps 'fill'"),
        (["levels", *BASE, "--from", "2026-13-01"], "error: invalid_time: start '2026-13-01'"),
        (["levels", *BASE, "--resume"], "error: invalid_run: resume needs the folder"),
        (["levels", *BASE, "--format", "table", "--out", "x"], "--format table is for the terminal"),
        (["levels", "--lake", "nowhere", "--symbol", "SPY"], "error: no_lake:"),
    ],
)
def test_wrong_input_is_one_line_and_exit_status_2(
    arguments: list[str], said: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_has_its_folder_to_itself_and_never_writes_into_the_lake(tmp_path: pathlib.Path) -> None:
    import fcntl

    (tmp_path / "out").mkdir()
    held = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    busy = run("levels", *BASE, *DAY, "--out", str(tmp_path / "out"))
    os.close(held)
    assert busy.exit_code == 2
    assert "another run is at work in" in busy.stderr
    inside = run("levels", *BASE, *DAY, "--out", f"{LAKE}/mine")
    assert inside.exit_code == 2
    assert "lies within the lake" in inside.stderr
    assert not (pathlib.Path(LAKE) / "mine").exists()


def test_what_a_strategy_prints_is_no_row(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text("def notes(ctx):\n    print('hello')\n    return {'x': 1}\n", encoding="utf-8")
    done = run(f"{tmp_path}/mine.py:notes", *BASE, *DAY, "--step", "3h")
    assert [json.loads(line)["x"] for line in done.stdout.splitlines()] == [1, 1, 1]
    assert done.stderr.count("hello") == 3


def test_a_finished_run_is_checked_before_it_is_said_to_be_there(tmp_path: pathlib.Path) -> None:
    asked = ["levels", *BASE, *DAY, "--out", str(tmp_path / "out")]
    assert run(*asked).exit_code == 0
    assert run(*asked, "--resume").exit_code == 0
    (tmp_path / "out" / "records.parquet").unlink()
    gone = run(*asked, "--resume")
    assert gone.exit_code == 2
    assert "records.parquet is gone" in gone.stderr
