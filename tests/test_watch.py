"""``replay watch``: the player by hand arithmetic, its keys and pictures, and the command in a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyte
import pytest
from click.testing import CliRunner

import replay
from replay.cli import main
from replay.cli.player import KEYS, Player, Shown
from replay.cli.screen import Keys
from replay.cli.watch import View, play
from replay.heatmap import Heatmap
from replay.render.frame import Ability, Status, frame
from replay.render.scale import human
from replay.render.terminal import heatmap_table
from replay.sessions import find_session, parse_moment, to_us

LAKE = pathlib.Path(__file__).parent.parent / "fixtures" / "lake"
DATE = "2026-07-24"
PLAIN = Ability(colour=False, unicode=True, truecolor=False)
DEADLINE = 90.0  # seconds until a slow machine is taken for a broken one
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
STATUS = re.compile(r" (\w+) (\d{4}-\d\d-\d\d)  (\d\d:\d\d:\d\d) New York  (playing|paused|at the close)")


def us(text: str) -> int:
    return to_us(parse_moment(text))


def session_of(date: str) -> Any:
    session = find_session(dt.date.fromisoformat(date))
    assert session is not None
    return session


def player(date: str = DATE, at: str | None = None, **options: Any) -> Player:
    return Player(session_of(date), start=None if at is None else us(f"{date}T{at}"), **options)


def pressed(played: Player, *keys: str) -> Player:
    for key in keys:
        played.press(key)
    return played


@pytest.fixture(scope="module")
def lake() -> Iterator[replay.Lake]:
    with replay.open_lake(LAKE) as opened:
        yield opened


class TestPlayer:
    @pytest.mark.parametrize(
        ("date", "opens", "closes"),
        [
            ("2026-07-24", "2026-07-24T13:30Z", "2026-07-24T20:00Z"),
            ("2025-11-28", "2025-11-28T14:30Z", "2025-11-28T18:00Z"),  # the day after Thanksgiving
            ("2026-03-06", "2026-03-06T14:30Z", "2026-03-06T21:00Z"),  # clocks go forward on the 8th
            ("2026-03-09", "2026-03-09T13:30Z", "2026-03-09T20:00Z"),
        ],
    )
    def test_it_begins_at_the_open_and_stops_at_the_close(self, date: str, opens: str, closes: str) -> None:
        played = player(date)
        assert (played.shown.now, played.state) == (us(opens), "playing")
        played.advance(1e6)
        assert (played.shown.now, played.state, played.until_next) == (us(closes), "at the close", None)

    def test_a_second_is_as_many_seconds_as_the_speed(self) -> None:
        played = player(speed=60.0)
        played.advance(1.5)
        assert played.now == us(f"{DATE}T09:31:30")
        played.speed = 0.5
        played.advance(1.0)
        assert played.now == us(f"{DATE}T09:31:30.5")
        assert played.shown.now == us(f"{DATE}T09:31:30")
        assert played.until_next == 1.0  # half a second at half the speed

    def test_many_short_frames_go_as_far_as_a_long_one(self) -> None:
        played = player(speed=60.0)
        for _ in range(1000):
            played.advance(0.0123)
        assert played.now == us(f"{DATE}T09:42:18")  # 12.3 s of 60

    @pytest.mark.parametrize(
        ("step", "at", "key", "then"),
        [
            (60, "10:00:00", "right", "10:01:00"),
            (60, "10:00:37", "right", "10:01:00"),
            (60, "10:00:00", "left", "09:59:00"),
            (60, "10:00:37", "left", "10:00:00"),
            (30, "10:00:37", "right", "10:01:00"),
            (30, "10:00:37", "left", "10:00:30"),
            (420, "09:45:00", "right", "09:51:00"),  # three sevens after the open
            (60, "09:30:00", "left", "09:30:00"),
            (60, "16:00:00", "right", "16:00:00"),
            (420, "15:59:00", "right", "16:00:00"),
            (420, "16:00:00", "left", "15:55:00"),  # 55 sevens after the open
            (60, "10:00:37", "up", "10:15:37"),
            (60, "10:00:37", "down", "09:45:37"),
            (60, "15:50:00", "page up", "16:00:00"),
            (60, "09:40:00", "page down", "09:30:00"),
            (60, "12:00:00", "home", "09:30:00"),
            (60, "12:00:00", "end", "16:00:00"),
        ],
    )
    def test_steps_and_seeks(self, step: int, at: str, key: str, then: str) -> None:
        played = pressed(player(at=at, step=step * 1_000_000), key)
        assert played.now == us(f"{DATE}T{then}")
        assert played.paused is (key in ("left", "right"))

    def test_seeks_end_at_an_early_close(self) -> None:
        played = pressed(player("2025-11-28", "12:50"), "up")
        assert (played.now, played.state) == (us("2025-11-28T18:00Z"), "at the close")
        assert pressed(played, " ", "down").state == "playing"  # space had nothing to pause
        assert played.now == us("2025-11-28T12:45")

    def test_a_pause_stands_and_goes_on(self) -> None:
        played = pressed(player(at="10:00"), " ")
        played.advance(100)
        assert (played.now, played.state, played.until_next) == (us(f"{DATE}T10:00"), "paused", None)
        pressed(played, " ").advance(1)
        assert (played.now, played.state) == (us(f"{DATE}T10:01"), "playing")

    def test_speeds(self) -> None:
        assert [pressed(player(speed=45.0), key).speed for key in "+=-_"] == [60, 60, 30, 30]
        assert pressed(player(speed=3600.0), "+").speed == 3600
        assert pressed(player(speed=0.5), "-").speed == 0.5

    def test_metrics_modes_help_and_other_keys(self) -> None:
        assert [pressed(player(), *"m" * n).metric for n in (1, 5, 6)] == ["dex", "signed_flow", "gex"]
        assert pressed(player(), "M").metric == "signed_flow"
        assert [pressed(player(), *keys).mode for keys in ("d", ["tab"], "dd")] == ["delta", "delta", "raw"]
        assert [pressed(player(), *keys).help for keys in ("?", "??")] == [True, False]
        assert all(pressed(player(), key).quit for key in ("q", "escape", "ctrl-c"))
        before = player().shown
        assert pressed(player(), "z", "7", "nothing").shown == before


class TestKeys:
    @pytest.mark.parametrize(
        ("pieces", "names"),
        [
            ([b"\x1b[C"], ["right"]),
            ([b"\x1bOC"], ["right"]),
            ([b"\x1b", b"[", b"C"], ["right"]),
            ([b"\x1b[1;", b"5D "], ["left", " "]),
            ([b"\x1b[A\x1b[B\x1b[5~\x1b[6~q"], ["up", "down", "page up", "page down", "q"]),
            ([b"\x1b[H\x1b[F\x1bOH\x1bOF\x1b[1~\x1b[4~\x1b[7~\x1b[8~"], ["home", "end"] * 4),
            ([b"\x1b[15~\x1b[200~\x1bx"], []),  # F5, a paste, Alt-x
            ([b"\x1b\x1b[C"], ["right"]),
            ([b"\x1b[\x1b[D"], ["[", "left"]),
            ([b"\t\x0c\x03\r\x00\xc3\xa4m"], ["tab", "ctrl-l", "ctrl-c", "m"]),
        ],
    )
    def test_sequences_however_they_arrive(self, pieces: list[bytes], names: list[str]) -> None:
        keys = Keys()
        assert [name for piece in pieces for name in keys.feed(piece)] == names
        assert not keys.waiting

    def test_a_lone_escape_is_one_when_nothing_follows(self) -> None:
        keys = Keys()
        assert (keys.feed(b"\x1b"), keys.waiting, keys.flush(), keys.waiting) == ([], True, ["escape"], False)
        assert (keys.feed(b"\x1b["), keys.flush(), keys.feed(b"q")) == ([], [], ["q"])


def status_at(now: str, newest: str | None = None) -> Status:
    return Status("SPY", session_of(now[:10]), us(now), "playing", 60.0, None if newest is None else us(newest))


def drawn(lake: replay.Lake, now: str, width: int = 80, height: int = 24, **options: Any) -> list[str]:
    """A frame of an instant of SPY, without the view."""
    minutes, ability = options.pop("minutes", 60), options.pop("ability", PLAIN)
    keys = options.pop("keys", ())
    shown = lake.heatmap("SPY", now, minutes=minutes, **options)
    return frame(
        shown, lake.levels_of(shown), status_at(now), minutes=minutes, width=width, height=height, ability=ability, keys=keys
    )  # fmt: skip


def rows_of(lines: list[str]) -> dict[str, tuple[str, str]]:
    """By strike, the cells of a picture and the newest value."""
    found = (re.fullmatch(r"([\d.]+) [MCPF ]*│(.*)│ *(\S+) *", line) for line in lines)
    return {row[1]: (row[2].rstrip(), row[3]) for row in found if row}


def assert_shows(lines: list[str], heatmap: Heatmap, levels: replay.Levels) -> None:
    """The cells are those that the table of one heatmap has, the values those of its last bar, the spot its own."""
    table = heatmap_table(heatmap, levels, width=200, height=None, colour=False, unicode=True)
    expected, seen = rows_of(table.splitlines()), rows_of(lines)
    assert len(seen) >= 8
    assert {strike: row[0] for strike, row in seen.items()} == {strike: expected[strike][0] for strike in seen}
    values = dict(zip((f"{strike:g}" for strike in heatmap.strikes), heatmap.values[-1].tolist(), strict=True))
    signed = heatmap.metric != "oi" or heatmap.mode == "delta"
    assert {strike: row[1] for strike, row in seen.items()} == {k: human(values[k], signed=signed) for k in seen}
    assert f"spot {heatmap.underlying_price:.2f}".rstrip("0") in lines[0]


class TestFrame:
    @pytest.mark.parametrize(
        ("now", "options"),
        [
            ("2026-07-24T10:00:00", {}),
            ("2026-07-24T14:30:15", {"metric": "oi"}),
            ("2026-07-24T14:30:15", {"mode": "delta"}),
            ("2026-07-24T11:31:00", {"known_at": "latest"}),
            ("2026-07-24T16:00:00", {"metric": "signed_flow"}),
            ("2025-11-28T13:00:00", {}),
            ("2026-03-09T14:00:00", {}),
        ],
    )
    def test_the_cells_are_those_of_the_heatmap_at_that_time(
        self, lake: replay.Lake, now: str, options: dict[str, Any]
    ) -> None:
        shown = lake.heatmap("SPY", now, **options)
        assert_shows(drawn(lake, now, **options), shown, lake.levels_of(shown))

    def test_the_frame_stands_still_while_the_bars_come_in_and_scroll(self, lake: replay.Lake) -> None:
        def outline(now: str) -> list[int]:
            return [column for column, sign in enumerate(drawn(lake, now)[1]) if sign in "┌┐"]

        times = ("09:31", "09:45", "10:30", "10:31", "12:17:30", "16:00")
        assert [outline(f"{DATE}T{time}") for time in times] == [outline(f"{DATE}T09:30:30")] * len(times)

    def test_a_gap_is_blank_up_to_now(self, lake: replay.Lake) -> None:
        now = "2026-04-15T12:00:00"
        shown = lake.heatmap("SPY", now)
        behind = (us(now) - int(shown.minutes[-1])) // 60_000_000
        assert behind > 5
        cells = [line.split("│")[1] for line in drawn(lake, now) if line.count("│") == 2]
        assert {cell[len(cell) - behind :].strip() for cell in cells} == {""}
        assert all(cell[len(cell) - behind - 1] != " " for cell in cells)

    @pytest.mark.parametrize("width", [1, 13, 20, 39, 60, 80, 200])
    @pytest.mark.parametrize("height", [1, 2, 4, 7, 15, 24, 60])
    def test_every_size_is_filled_and_not_exceeded(self, lake: replay.Lake, width: int, height: int) -> None:
        for minutes, ability, keys in ((60, Ability(True, True, False), ()), (390, Ability(False, False, False), KEYS)):
            lines = drawn(lake, f"{DATE}T11:00:00", width, height, minutes=minutes, ability=ability, keys=keys)
            assert len(lines) == height
            assert max(len(ESCAPES.sub("", line)) for line in lines) <= width
            assert ability.colour or "".join(lines).isascii()

    def test_the_newest_spot_is_always_in_sight(self, lake: replay.Lake) -> None:
        for minute in range(0, 390, 13):
            now = f"{DATE}T{9 + (30 + minute) // 60:02d}:{(30 + minute) % 60:02d}:59"
            spot = lake.heatmap("SPY", now).underlying_price
            assert spot is not None
            assert f"{round(spot)}" in rows_of(drawn(lake, now, height=14))

    @pytest.mark.parametrize(
        ("width", "text"),
        [
            (80, " SPY 2026-07-24  10:05:30 New York  playing 60x  newest 1m05s old  ? keys"),
            (60, " SPY  10:05:30  playing 60x  newest 1m05s old  ? keys"),
            (40, " SPY  10:05:30  playing 60x  ?"),
        ],
    )
    def test_the_status_line(self, lake: replay.Lake, width: int, text: str) -> None:
        status = status_at(f"{DATE}T10:05:30", f"{DATE}T10:04:25")
        line = frame("", lake.levels("XYZ", DATE), status, minutes=60, width=width, height=1, ability=PLAIN)
        assert line == [text.ljust(width)]


def view_of(lake: replay.Lake, date: str = DATE, known_at: str | None = None) -> View:
    return View(lake, "SPY", session_of(date), 60, known_at, None, PLAIN)


def shown_at(now: str) -> Shown:
    return Shown(us(now), "paused", 60.0, "gex", "raw", False)


class TestView:
    def test_corrections_show_when_they_became_known(self, lake: replay.Lake) -> None:
        """The correction of 11:24 to 11:29 became known at 13:05."""
        before, after = "2026-07-24T11:29:45", "2026-07-24T13:05:10"
        stood, latest = (view_of(lake, known_at=known).lines(shown_at(before), 80, 24) for known in (None, "latest"))
        for lines, known in ((stood, None), (latest, after)):
            heatmap = lake.heatmap("SPY", before, known_at=known)
            assert_shows(lines, heatmap, lake.levels_of(heatmap))
        assert rows_of(stood) != rows_of(latest)
        assert "as it stood" in stood[0]
        assert "known at latest" in latest[0]

    def test_legacy_rows_alone_are_said_and_no_error(self, lake: replay.Lake) -> None:
        lines = view_of(lake, "2026-03-06").lines(shown_at("2026-03-06T10:00:00"), 80, 24)
        assert "none with per-strike data" in " ".join(lines)
        assert "newest 30s old" in lines[-1]

    def test_nothing_known_yet_is_said_and_no_error(self, lake: replay.Lake) -> None:
        lines = view_of(lake).lines(shown_at("2026-07-24T09:30:00"), 80, 24)
        assert lines[0].startswith("SPY 2026-07-24 gex: no samples in the window up to 09:30")
        assert "no snapshot" in lines[-1]


class Stage:
    """A screen and a clock that move only when told: drawing takes ``cost`` seconds."""

    size = (80, 24)
    spoilt = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: float, keys: list[list[str]]) -> None:
        self.now, self.cost, self._keys = 1000.0, cost, keys
        self.waits: list[float | None] = []
        self.times: list[int] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def lines(self, shown: Shown, *_: int) -> list[str]:
        self.times.append(shown.now)
        self.now += self.cost
        return []

    def paint(self, *_: object) -> None:
        pass

    def keys(self, seconds: float | None) -> list[str]:
        self.waits.append(seconds)
        self.now += seconds or 0.0
        return self._keys.pop(0)

    def was_away(self) -> bool:
        return False


class TestPlay:
    def test_slow_drawing_skips_pictures_and_does_not_lag(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, 2.0, [[], [], [], ["q"]])
        play(player(), stage, stage)  # type: ignore[arg-type]  # a view and a screen in one
        assert [at - us(f"{DATE}T09:30") for at in stage.times[1:]] == [1_000_000, 121_000_000, 241_000_000]

    def test_ten_pictures_a_second_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, 0.01, [[]] * 100 + [["q"]])
        play(player(), stage, stage)  # type: ignore[arg-type]  # a view and a screen in one
        assert sum(wait or 0 for wait in stage.waits) == pytest.approx(len(stage.times) * 0.09, rel=0.05)
        assert stage.times[-1] - stage.times[1] == pytest.approx(99 * 0.1 * 60 * 1_000_000, abs=1_000_000)

    def test_it_waits_without_end_while_nothing_moves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, 0.01, [[" "], ["z"], ["end"], ["q"]])
        play(player(), stage, stage)  # type: ignore[arg-type]  # a view and a screen in one
        assert stage.waits[1:] == [None, None, None]
        assert len(stage.times) == 3  # playing, paused, the close: another key draws nothing


class Emulator(pyte.Screen):
    """pyte with the alternate screen, which it does not have."""

    kept: tuple[Any, Any] | None = None

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if kwargs.get("private") and 1049 in modes and self.kept is None:
            self.kept = ({row: dict(line) for row, line in self.buffer.items()}, (self.cursor.y, self.cursor.x))
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and 1049 in modes and self.kept is not None:
            (rows, (self.cursor.y, self.cursor.x)), self.kept = self.kept, None
            self.erase_in_display(2)
            for row, line in rows.items():
                self.buffer[row].update(line)


BEGIN = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); print('before', flush=True); "
RUN = BEGIN + "from replay.cli import main; main()"
SHELL = BEGIN + (  # what a shell does with Ctrl-Z and fg
    """
import os, signal, subprocess, sys
job = subprocess.Popen([sys.executable, "-m", "replay", *sys.argv[1:]], process_group=0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
os.tcsetpgrp(0, os.getpgrp())
print("stopped", os.WIFSTOPPED(status), "echo", bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)
input()
os.tcsetpgrp(0, job.pid)
os.killpg(job.pid, signal.SIGCONT)
_, status = os.waitpid(job.pid, 0)
os.tcsetpgrp(0, os.getpgrp())
sys.exit(os.waitstatus_to_exitcode(status))
"""
)


class Terminal:
    """``replay watch`` in a pseudo-terminal, and what one would see there."""

    def __init__(
        self, *arguments: str, lake: pathlib.Path = LAKE, columns: int = 80, rows: int = 24, run: str = RUN, **env: str
    ) -> None:
        self.screen = Emulator(columns, rows)
        self.sent = b""
        self._stream = pyte.ByteStream(self.screen)
        self._leader, self._follower = pty.openpty()
        self._size(columns, rows)
        self._before = termios.tcgetattr(self._follower)
        environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **env}
        self.process = subprocess.Popen(
            [sys.executable, "-c", run, "watch", *arguments, "--lake", str(lake)],
            stdin=self._follower, stdout=self._follower, stderr=self._follower,
            env=environment, start_new_session=True,
        )  # fmt: skip

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def clock(self) -> tuple[str, str] | None:
        """The time and the state that the status line shows."""
        found = STATUS.match(self.screen.display[-1])
        return (found[3], found[4]) if found else None

    def until(self, condition: Callable[[], object]) -> None:
        """Take what is printed until the condition holds."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "\n".join(["not in time", *self.lines])
            self._take(0.1)

    def _take(self, seconds: float) -> bool:
        if not select.select([self._leader], [], [], seconds)[0]:
            return False
        data = os.read(self._leader, 65536)
        self.sent += data
        self._stream.feed(data)
        return True

    def taken_over(self) -> bool:
        """Whether the alternate screen is on and the cursor hidden; they go together."""
        assert (self.screen.kept is not None) is self.screen.cursor.hidden
        return self.screen.kept is not None

    def until_clock(self, state: str, at: str | None = None) -> str:
        self.until(lambda: self.clock is not None and self.clock[1] == state and at in (None, self.clock[0]))
        assert self.clock is not None
        return self.clock[0]

    def type(self, keys: bytes) -> None:
        os.write(self._leader, keys)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._size(columns, rows)

    def ends(self) -> int:
        """The exit status, when all is as it was before."""
        self.until(lambda: self.process.poll() is not None)
        while self._take(0.0):
            pass
        assert not self.taken_over()
        assert pyte.modes.DECAWM in self.screen.mode
        assert termios.tcgetattr(self._follower) == self._before
        assert self.lines[0] == "before"
        return self.process.wait()

    def hang_up(self) -> None:
        for end in (self._follower, self._leader):
            os.close(end)
        self._leader = self._follower = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._leader >= 0:
            self.hang_up()


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> Terminal:
            return stack.enter_context(contextlib.closing(Terminal(*arguments, **options)))

        yield start


Start = Callable[..., Terminal]
PLAYED = ("SPY", "--date", DATE)


def test_it_plays_pauses_and_shows_what_stood_then(terminal: Start, lake: replay.Lake) -> None:
    seen = terminal(*PLAYED, "--from", "10:00")
    first = seen.until_clock("playing")
    seen.until(lambda: seen.clock is not None and seen.clock[0] > first)
    seen.type(b" ")
    at = seen.until_clock("paused")
    heatmap = lake.heatmap("SPY", f"{DATE}T{at}")
    assert_shows(seen.lines, heatmap, lake.levels_of(heatmap))
    seen.type(b"d")
    seen.until(lambda: "gex delta" in seen.lines[0])
    assert seen.clock == (at, "paused")
    heatmap = lake.heatmap("SPY", f"{DATE}T{at}", mode="delta")
    assert_shows(seen.lines, heatmap, lake.levels_of(heatmap))
    seen.type(b"\tm")
    seen.until(lambda: "dex raw" in seen.lines[0])
    assert seen.clock == (at, "paused")
    heatmap = lake.heatmap("SPY", f"{DATE}T{at}", metric="dex")
    assert_shows(seen.lines, heatmap, lake.levels_of(heatmap))
    seen.type(b" ")
    seen.until_clock("playing")
    seen.until(lambda: seen.clock is not None and seen.clock[0] > at)
    seen.type(b"q")
    assert seen.ends() == 0
    assert seen.lines[1:] == [""] * 23


def test_arrows_step_in_either_mode_and_in_pieces(terminal: Start) -> None:
    seen = terminal(*PLAYED, "--from", "11:00", "--speed", "0.01")
    seen.until_clock("playing", "11:00:00")
    for keys, then in (
        (b"\x1b[C", "11:01:00"),
        (b"\x1bOC", "11:02:00"),
        (b"\x1b[D\x1bOD\x1b[D", "10:59:00"),
        (b"\x1b[A", "11:14:00"),
        (b"\x1b[6~", "10:59:00"),
        (b"\x1b[H", "09:30:00"),
    ):
        seen.type(keys)
        seen.until_clock("paused", then)
    seen.type(b"\x1b")
    seen.type(b"[F")
    seen.until_clock("at the close", "16:00:00")
    seen.type(b"?")
    seen.until(lambda: "q: quit" in "".join(seen.lines))
    seen.type(b"q")
    assert seen.ends() == 0


def test_an_early_close_is_the_end_and_stays(terminal: Start, lake: replay.Lake) -> None:
    seen = terminal("SPY", "--date", "2025-11-28", "--from", "12:58", "--speed", "1200")
    seen.until_clock("at the close", "13:00:00")
    heatmap = lake.heatmap("SPY", "2025-11-28T13:00")
    assert_shows(seen.lines, heatmap, lake.levels_of(heatmap))
    seen.type(b" d")
    seen.until(lambda: "gex delta" in seen.lines[0])
    assert seen.clock == ("13:00:00", "at the close")
    seen.type(b"q")
    assert seen.ends() == 0


def test_a_new_size_is_filled(terminal: Start) -> None:
    seen = terminal(*PLAYED, "--from", "11:00")
    seen.until_clock("playing")
    seen.type(b" ")
    at = seen.until_clock("paused")
    for columns, rows in ((120, 40), (60, 15), (80, 24)):
        seen.resize(columns, rows)
        seen.until(
            lambda: (
                at in seen.lines[-1]
                and "gex raw" in seen.lines[0]
                and sum(at in line for line in seen.lines) == 1
                and any("└" in line for line in seen.lines)
            )
        )
        assert sum("┌" in line for line in seen.lines) == 1
    seen.type(b"q")
    assert seen.ends() == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda seen: seen.type(b"\x03"), 0),
        (lambda seen: seen.type(b"\x1b"), 0),
        (lambda seen: seen.process.send_signal(signal.SIGINT), 0),
        (lambda seen: seen.process.send_signal(signal.SIGTERM), 143),
        (lambda seen: seen.process.send_signal(signal.SIGQUIT), 131),
    ],
    ids=["ctrl-c", "esc", "sigint", "sigterm", "sigquit"],
)
@pytest.mark.parametrize("paused", [False, True])
def test_however_it_ends_the_terminal_is_as_before(
    terminal: Start, end: Callable[[Terminal], None], status: int, paused: bool
) -> None:
    seen = terminal(*PLAYED)
    seen.until_clock("playing")
    if paused:
        seen.type(b" ")
        seen.until_clock("paused")
    assert seen.taken_over()
    end(seen)
    assert seen.ends() == status


def test_a_suspended_one_leaves_the_terminal_and_takes_it_again(terminal: Start) -> None:
    seen = terminal(*PLAYED, "--from", "11:00", "--speed", "0.01", run=SHELL)
    seen.until_clock("playing", "11:00:00")
    seen.type(b"\x1a")
    seen.until(lambda: "stopped True echo True" in "\n".join(seen.lines))
    assert not seen.taken_over()
    seen.type(b"\n")
    seen.until_clock("playing", "11:00:00")
    assert "gex raw" in seen.lines[0]
    assert seen.taken_over()
    seen.type(b"q")
    assert seen.ends() == 0


def test_a_terminal_that_hangs_up_ends_it(terminal: Start) -> None:
    seen = terminal(*PLAYED)
    seen.until_clock("playing")
    seen.hang_up()
    assert seen.process.wait(DEADLINE) == 128 + signal.SIGHUP


def test_an_error_is_told_after_the_terminal_is_back(terminal: Start, tmp_path: pathlib.Path) -> None:
    shutil.copytree(LAKE, tmp_path / "lake")
    seen = terminal(*PLAYED, "--from", "11:00", lake=tmp_path / "lake")
    seen.until_clock("playing")
    seen.type(b" ")
    seen.until_clock("paused")
    broken = tmp_path / "lake" / "tier=raw" / "symbol=SPY" / f"date={DATE}" / "broken.parquet"
    broken.write_bytes(b"PAR1")
    seen.type(b"\x1b[C")
    assert seen.ends() == 2
    assert "error: unreadable_file:" in seen.lines[1]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"NO_COLOR": "", "TERM": "dumb"}])
def test_without_colour_none_is_sent_and_without_unicode_ascii(terminal: Start, env: dict[str, str]) -> None:
    seen = terminal(*PLAYED, "--from", "11:00", PYTHONIOENCODING="ascii", **env)
    seen.until_clock("playing")
    seen.type(b"q")
    assert seen.ends() == 0
    assert set(re.findall(rb"\x1b\[[0-9;]*m", seen.sent)) == {b"\x1b[0m"}
    assert seen.sent.isascii()


def test_with_colour_the_cells_have_the_palette_of_256(terminal: Start) -> None:
    seen = terminal(*PLAYED, "--from", "11:00", NO_COLOR="", COLORTERM="")
    seen.until_clock("playing")
    seen.type(b"q")
    assert seen.ends() == 0
    assert b"48;5;" in seen.sent
    assert b"48;2;" not in seen.sent


def test_what_is_no_terminal_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "replay", "watch", *PLAYED, "--lake", str(LAKE)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "use `replay heatmap`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("XYZ", "--date", DATE), "no data of XYZ; the lake holds QQQ, SPY"),
        (("SPY", "--date", "2026-07-23"), "the nearest are 2026-03-09, 2026-04-15, 2026-05-12, 2026-06-05, 2026-07-24"),
        (("QQQ", "--date", "2026-07-24"), "the lake holds 1, the nearest are 2026-06-05"),
        (("SPY", "--date", "2026-07-25"), "no session of the exchange; next to it are 2026-07-24 and 2026-07-27"),
        (("SPY", "--date", "2025-11-27"), "next to it are 2025-11-26 and 2025-11-28"),
        (("SPY", "--date", "2060-01-05"), "outside the calendar"),
        (("SPY", "--date", "today"), "invalid_time"),
        ((*PLAYED, "--from", "09:29"), "outside the session of 2026-07-24: 09:30 to 16:00"),
        (("SPY", "--date", "2025-11-28", "--from", "13:01"), "outside the session of 2025-11-28: 09:30 to 13:00"),
        ((*PLAYED, "--from", "noon"), "write it like 10:00"),
        ((*PLAYED, "--speed", "nan"), "not above 0"),
        ((*PLAYED, "--speed", "0"), "not above 0"),
        ((*PLAYED, "--step", "0m"), "write it like 30s"),
        ((*PLAYED, "--metric", "vega"), "invalid_metric"),
        ((*PLAYED, "--mode", "sum"), "invalid_mode"),
        ((*PLAYED, "--minutes", "x"), "invalid_minutes"),
        ((*PLAYED, "--tier", "2m"), "invalid_tier"),
        ((*PLAYED, "--lake", "nowhere"), "no_lake"),
    ],
)
def test_what_cannot_be_played_is_told_before_anything_is_drawn(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(sys.modules["replay.cli.watch"], "_is_terminal", lambda _: True)
    done = CliRunner().invoke(main, ["watch", "--lake", str(LAKE), *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
