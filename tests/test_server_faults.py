"""Files, workers and signals that go wrong under a running server: it says so, loses no answer, and recovers."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner

from replay.cli import main
from tests import lakes, second_method
from tests.server import CLOCK, HEATMAP, SERIES, STREAM, Answer, Running, path_of, running

AT = "2026-07-24T11:00"
STRIKES = [598.0, 599.0, 600.0, 601.5]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a lake whose session is stored in six files."""
    base = tmp_path_factory.mktemp("faults")
    write(base / "lake", "SPY")
    return base


def write(root: pathlib.Path, symbol: str) -> None:
    """A session of 180 snapshots with corrections, in six files."""
    rng = lakes.dice(f"faults {symbol}")
    rows = [lakes.some_row(rng, lakes.at("10:00") + i * 20 * lakes.SECOND, STRIKES) for i in range(180)]
    late = [lakes.revised(rng, old, old["recorded_at"] + 300 * lakes.SECOND) for old in rows[::7]]
    for start in range(0, 180, 36):
        lakes.write_own(root, symbol, rows[start : start + 36])
    lakes.write_own(root, symbol, late)


@pytest.fixture(scope="module")
def server(base: pathlib.Path) -> Iterator[Running]:
    """A server on it."""
    with running(base / "lake", "--access-log", "off", at=AT) as found:
        yield found


@pytest.fixture
def stored(base: pathlib.Path, server: Running) -> Iterator[pathlib.Path]:
    """The session's folder; the server answers after a test as it did before, and has not failed meanwhile."""
    folder = lakes.folder_of(base / "lake", "SPY")
    yield folder
    expected = second_method.body(second_method.SecondLake(base / "lake"), "SPY", lakes.at("11:00"))
    assert server.get(HEATMAP + "SPY").json() == expected
    assert server.process.poll() is None
    assert "Traceback" not in server.stderr()


_numbers = itertools.count(1)


def asked(server: Running, *, fresh: bool = True, path: str = HEATMAP + "SPY") -> Answer:
    """An answer for the clock's moment, or a fresh one a little before it, which no one has asked for."""
    moment = f"2026-07-24T10:59:59.{next(_numbers):06}" if fresh else AT
    return server.get(path, as_of=moment)


def unavailable(answer: Answer, base: pathlib.Path, *codes: str) -> None:
    """503, with when to ask again, and nothing of where or what the files are."""
    assert (answer.status, answer.headers["retry-after"]) == (503, "5"), answer
    told = answer.json()
    assert told["error"] in codes, told
    assert list(told) == ["status", "error", "message"]
    for each in (str(base), ".parquet", "tier=", "lake/", os.sep):
        assert each not in told["message"]
    assert "etag" not in answer.headers


def overwrite(path: pathlib.Path, data: bytes) -> None:
    """Another content under the same name, in place."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "without its first bytes": lambda data: data[8:],
    "garbage": lambda data: bytes((i * 37 + 11) % 251 for i in range(len(data))),
    "garbage with right ends": lambda data: data[:4] + b"\xff" * (len(data) - 12) + data[-8:],
    "text": lambda _: b'{"symbol": "SPY"}\n' * 50,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_cannot_be_read_are_503_until_they_can(
    base: pathlib.Path, server: Running, stored: pathlib.Path, kind: str
) -> None:
    before = asked(server, fresh=False)
    one, two = sorted(stored.iterdir())[:2]
    whole = {path: path.read_bytes() for path in (one, two)}
    for path in (one, two):
        overwrite(path, BROKEN[kind](whole[path]))
        unavailable(asked(server), base, "unreadable_file")
        unavailable(asked(server, fresh=False), base, "unreadable_file")  # and what was kept is not given either
        unavailable(asked(server, path=SERIES + "SPY"), base, "unreadable_file")
        unavailable(server.get("/replay/tape/SPY", date="2026-07-24"), base, "unreadable_file")
        assert server.get(HEATMAP + "QQQ").status == 200
        assert server.get("/health").status == 200
        overwrite(path, whole[path])
        assert asked(server).status == 200
        again = asked(server, fresh=False)
        assert (again.status, again.body) == (200, before.body)


def test_a_session_that_vanishes_is_503_until_it_is_back(
    base: pathlib.Path, server: Running, stored: pathlib.Path
) -> None:
    before = asked(server, fresh=False)
    away = base / "away"
    for move in (stored, stored.parent, stored.parent.parent):
        shutil.move(move, away)
        for path in (HEATMAP + "SPY", SERIES + "SPY", "/replay/table/SPY"):
            unavailable(asked(server, path=path), base, "lake_error")
            unavailable(asked(server, fresh=False, path=path), base, "lake_error")
        shutil.move(away, move)
        assert asked(server, fresh=False).body == before.body
        assert asked(server).status == 200


def test_a_lake_that_vanishes_is_503_until_it_is_back(
    base: pathlib.Path, server: Running, stored: pathlib.Path
) -> None:
    before = asked(server, fresh=False)
    (base / "lake").rename(base / "elsewhere")
    for path in (HEATMAP + "SPY", HEATMAP + "QQQ", SERIES + "NEVER"):
        unavailable(asked(server, path=path), base, "lake_error" if "SPY" in path else "no_lake")
    unavailable(server.get("/health"), base, "no_lake")
    assert server.get(CLOCK).status == 200
    assert server.get("/").status == 200
    (base / "elsewhere").rename(base / "lake")
    assert server.get("/health").status == 200
    assert asked(server, fresh=False).body == before.body
    assert asked(server, path=HEATMAP + "QQQ").json()["bars"] == []


def test_rows_that_come_and_files_that_are_replaced_show_at_once(
    base: pathlib.Path, server: Running, stored: pathlib.Path
) -> None:
    before = asked(server, fresh=False)
    rng = lakes.dice("replaced")
    correction = [lakes.some_row(rng, lakes.at("10:59:40"), STRIKES, lag=15 * lakes.SECOND)]
    lakes.write_own(base / "lake", "SPY", correction)
    after = asked(server, fresh=False)
    assert after.headers["etag"] != before.headers["etag"]
    assert server.get(HEATMAP + "SPY", {"If-None-Match": before.headers["etag"]}, as_of=AT).status == 200
    lake = second_method.SecondLake(base / "lake")
    assert after.json() == second_method.body(lake, "SPY", lakes.at("11:00")) != before.json()
    first = sorted(stored.iterdir())[0]
    other = base / "other"
    write(other, "SPY")
    rows = [lakes.some_row(rng, lakes.at("10:40") + i * lakes.MINUTE, STRIKES) for i in range(5)]
    lakes.write_foreign(other, "NEW", "new.parquet", rows)
    (lakes.folder_of(other, "NEW") / "new.parquet").replace(first)
    now = asked(server, fresh=False).json()
    assert now == second_method.body(second_method.SecondLake(base / "lake"), "SPY", lakes.at("11:00"))
    assert now != after.json()


def test_a_folder_or_pipe_among_the_files_stops_nothing(
    base: pathlib.Path, server: Running, stored: pathlib.Path
) -> None:
    before = asked(server, fresh=False)
    (stored / "folder.parquet").mkdir()
    os.mkfifo(stored / "pipe.parquet")
    (stored / "gone.parquet").symlink_to(stored / "nowhere")
    (stored / ".half.parquet").write_bytes(b"PAR1")
    try:
        assert asked(server, fresh=False).body == before.body
        assert asked(server).status == 200
    finally:
        (stored / "folder.parquet").rmdir()
        for name in ("pipe.parquet", "gone.parquet", ".half.parquet"):
            (stored / name).unlink()


# --- under load


@dataclass
class Poll:
    """Threads that ask over kept connections until told to stop, or until nobody listens any more."""

    port: int
    paths: Callable[[int], str]
    whole: list[tuple[str, int, bytes]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    lost: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, count: int) -> None:
        """Begin."""
        numbers = itertools.count()
        for _ in range(count):
            thread = threading.Thread(target=self._poll, args=(numbers,))
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Wait until all have ended."""
        self.over.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _poll(self, numbers: Iterator[int]) -> None:
        client: socket.socket | None = None
        while not self.over.is_set():
            path = self.paths(next(numbers))
            try:
                if client is None:
                    client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            except OSError:
                client = None
                self.lost += 1
                if self.over.wait(0.02):
                    return
                continue
            got = b""
            answer = None
            with contextlib.suppress(ConnectionResetError):
                while answer is None and (part := client.recv(1 << 16)):
                    got += part
                    answer = whole(got)
            if answer is None:
                client.close()
                client = None
                if got:
                    self.cut.append(f"{path}: {got[:200]!r}")
                else:
                    self.lost += 1
            else:
                self.whole.append((path, *answer))
        if client is not None:
            client.close()


def whole(got: bytes) -> tuple[int, bytes] | None:
    """Status and body of an answer that is there to its end."""
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return None
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return (int(head[9:12]), body) if len(body) == length else None


MOMENTS = [f"2026-07-24T10:{30 + i % 30:02}:{i // 30 * 11:02}" for i in range(150)]


def heatmap_at(number: int) -> str:
    """One request of 150."""
    return path_of(HEATMAP + "SPY", as_of=MOMENTS[number % len(MOMENTS)])


def test_a_session_is_compacted_and_nobody_notices(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "lake"
    write(root, "SPY")
    lake = second_method.SecondLake(root)
    micros = {text: lakes.at(text[11:]) for text in MOMENTS}
    expected = {path_of(HEATMAP + "SPY", as_of=t): second_method.body(lake, "SPY", us) for t, us in micros.items()}
    with running(root, "--access-log", "off", at=AT) as server:
        poll = Poll(server.port, heatmap_at)
        poll.start(4)
        try:
            for symbol in ("SPY", "QQQ"):
                before = len(poll.whole)
                wait_for(lambda since=before: len(poll.whole) - since, lambda count: count >= 60)  # type: ignore[misc]
                assert len(list(lakes.folder_of(root, "SPY").iterdir())) == (6 if symbol == "SPY" else 1)
                done = CliRunner().invoke(main, ["compact", "--lake", str(root)])
                assert done.exit_code == 0, done.output
        finally:
            poll.end()
        assert "Traceback" not in server.stderr()
    assert (poll.cut, poll.lost) == ([], 0)
    for path, status, body in poll.whole:
        assert (status, json.loads(body)) == (200, expected[path])


def workers_of(server: Running) -> list[int]:
    """The processes of a server's workers."""
    found = []
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                if b"spawn_main" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def stopped_under_load(server: Running) -> None:
    """Told to stop while threads ask, and streams and an idle connection are open, all that began comes whole."""
    with contextlib.ExitStack() as stack:
        for line in (b"GET %bSPY", b"HEAD %bSPY", b"GET %bSPY HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /health"):
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            stream.sendall(line % STREAM.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
        idle = http.client.HTTPConnection("127.0.0.1", server.port)
        idle.request("GET", "/health")
        assert idle.getresponse().read()
        poll = Poll(server.port, lambda number: path_of(HEATMAP + "SPY", as_of=f"2026-07-24T10:59:59.{number:06}"))
        poll.start(6)
        try:
            wait_for(lambda: len(poll.whole), lambda count: count >= 50)
            begun = time.monotonic()
            assert server.stop(seconds=15) == 0
        finally:
            poll.end()
            idle.close()
        assert time.monotonic() - begun < 10
    assert poll.cut == []
    assert {status for _, status, _ in poll.whole} == {200}
    assert "Traceback" not in server.stderr()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_one_worker_stops_under_load(base: pathlib.Path) -> None:
    with running(base / "lake", "--access-log", "off", at=AT) as server:
        stopped_under_load(server)


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").is_dir(), reason="finds workers in /proc")
def test_a_killed_worker_is_replaced_and_two_stop_under_load(base: pathlib.Path) -> None:
    with running(base / "lake", "--access-log", "off", "--workers", "2", at=AT) as server:
        expected = asked(server, fresh=False)
        server.ask(CLOCK, "POST", body={"at": "2026-07-24T10:45"})
        first = wait_for(lambda: sorted(workers_of(server)), lambda pids: len(pids) == 2)
        os.kill(first[0], signal.SIGKILL)
        second = wait_for(lambda: sorted(workers_of(server)), lambda pids: len(pids) == 2 and first[0] not in pids)
        assert first[1] in second
        for _ in range(20):
            assert asked(server, fresh=False).body == expected.body
            assert server.get(CLOCK).json()["now"] == "2026-07-24T14:45:00Z"  # which both share, and the new one
        stopped_under_load(server)


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").is_dir(), reason="finds workers in /proc")
def test_workers_end_with_the_process_that_started_them(base: pathlib.Path) -> None:
    with running(base / "lake", "--access-log", "off", "--workers", "2", at=AT) as server:
        workers = wait_for(lambda: workers_of(server), lambda pids: len(pids) == 2)
        server.stop(signal.SIGKILL)
        try:
            wait_for(lambda: [pid for pid in workers if is_there(pid)], lambda pids: not pids)
        finally:
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 20.0) -> Any:
    """What is seen, once it is good."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if good(found):
            return found
        time.sleep(0.05)
    raise AssertionError(look())


# --- at the start


def test_what_cannot_be_served_is_said_in_a_line(tmp_path: pathlib.Path, base: pathlib.Path) -> None:
    lake = ["--lake", str(base / "lake")]
    garbage = tmp_path / "garbage.toml"
    garbage.write_bytes(b"\xff\xfe[[[")
    plans = tmp_path / "plans.toml"
    plans.write_text('[keys.me]\nplan = "gold"\nsha256 = "' + "0" * 64 + '"\n', encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases: dict[str, list[str]] = {
            f"invalid_address: 127.0.0.1:{port} cannot be served": [*lake, "--port", str(port)],
            "invalid_address: host 0.0.0.0": [*lake, "--host", "0.0.0.0"],  # noqa: S104
            "invalid_address: host nowhere.invalid": [*lake, "--host", "nowhere.invalid"],
            "invalid_key": [*lake, "--keys", str(tmp_path / "none.toml")],
            "invalid_key: ": [*lake, "--keys", str(garbage)],
            "invalid_key: " + str(plans): [*lake, "--keys", str(plans)],
            "invalid_time": [*lake, "--at", "yesterday"],
            "invalid_time: at": [*lake, "--at", "2026-03-08T02:30"],
            "invalid_clock": [*lake, "--speed", "nan"],
            "invalid_clock: speed": [*lake, "--speed", "-1"],
            "no_lake": ["--lake", str(tmp_path / "nothing")],
            "no_lake: ": ["--lake", str(tmp_path / "empty")],
            "cannot_write": [*lake, "--access-log", str(tmp_path / "no" / "log")],
        }
        for told, options in cases.items():
            done = CliRunner().invoke(main, ["serve", *options])
            assert (done.exit_code, done.stdout) == (2, ""), (options, done.output)
            assert done.stderr.startswith(f"error: {told}"), done.stderr
            assert done.stderr.count("\n") == 1, done.stderr
