"""The server's clock: it stands or runs as it is told, against a walk second by second, and no other request moves it."""

from __future__ import annotations

import asyncio
import functools
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.errors import InvalidClock
from replay.server.clock import STATE_SIZE, ReplayClock
from replay.server.serving import numbers
from tests import lakes
from tests.lakes import DAY, HALF_DAY, MINUTE, SECOND, at
from tests.second_method import hours, new_york_date, utc_text
from tests.server import (
    CLOCK,
    HEATMAP,
    SERIES,
    STREAM,
    STRIKE_FLOW,
    Answer,
    Local,
    Time,
    asked,
    refused,
    running,
    scope_of,
)

FIELDS = ["now", "new_york", "speed", "running", "loop", "session", "version"]
SPANS = tuple(span for span in (hours(DAY), hours(HALF_DAY)) if span is not None)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A lake of two sessions, the second a half day."""
    root = tmp_path_factory.mktemp("clock")
    for date in (DAY, HALF_DAY):
        rows = [lakes.row(at("09:30", date) + i * MINUTE, [600.0], gex=[float(i)]) for i in range(30)]
        lakes.write_own(root, "SPY", rows, date=date)
    return root


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def standing(two_days: pathlib.Path, passing: Time) -> Iterator[Local]:
    with Local(two_days, "2026-07-24T10:00", time=passing) as server:
        yield server


@pytest.fixture(scope="module")
def unmoved(two_days: pathlib.Path) -> Iterator[Local]:
    """One that every test is to leave as it was."""
    with Local(two_days, "2026-07-24T10:00", time=Time()) as server:
        before = server.get(CLOCK).json()
        assert before["version"] == 1
        yield server
        assert server.get(CLOCK).json() == before


def started(root: pathlib.Path, where: str, speed: float, passing: Time, *, loop: bool = False) -> Local:
    return Local(root, where, speed=speed, loop=loop, time=passing)


def shown(server: Local) -> str:
    """What it shows in New York."""
    told = server.get(CLOCK).json()
    return str(told["new_york"])[:-6]


def change(server: Local, **change: Any) -> Any:
    got = server.ask(CLOCK, "POST", body=change)
    assert got.status == 200, got
    return got.json()


# --- standing and running


def test_it_stands_where_it_was_set(standing: Local, passing: Time) -> None:
    first = standing.get(CLOCK)
    passing.seconds += 1e6
    told = standing.get(CLOCK).json()
    assert list(told) == FIELDS
    assert told == first.json()
    assert told == {
        "now": "2026-07-24T14:00:00Z",
        "new_york": "2026-07-24T10:00:00-04:00",
        "speed": 0.0,
        "running": False,
        "loop": False,
        "session": "2026-07-24",
        "version": 1,
    }
    assert first.headers["cache-control"] == "no-store"


def test_it_runs_by_whole_seconds_and_stops_at_the_close(two_days: pathlib.Path, passing: Time) -> None:
    with started(two_days, "2026-07-24T15:50:00.25", 60, passing) as server:
        for wait, wall, moving in (
            (0.0, "15:50:00.250000", True), (0.01, "15:50:00.250000", True), (0.49, "15:50:30.250000", True),
            (0.125, "15:50:37.250000", True), (9.125, "15:59:45.250000", True), (0.2, "15:59:57.250000", True),
            (1.0, "16:00:00", False), (1e6, "16:00:00", False),
        ):  # fmt: skip
            passing.seconds += wait
            assert shown(server) == f"2026-07-24T{wall}"
            assert server.get(CLOCK).json()["running"] is moving
        told = change(server, step="-2m")
        assert (told["now"], told["running"]) == ("2026-07-24T19:58:00Z", True), "it was not told to stop"


def test_it_stops_at_the_close_of_a_half_day(two_days: pathlib.Path, passing: Time) -> None:
    with started(two_days, "2026-11-27T12:59", 1, passing) as server:
        passing.seconds += 59
        assert shown(server) == "2026-11-27T12:59:59"
        passing.seconds += 300
        assert shown(server) == "2026-11-27T13:00:00"
        assert server.get(HEATMAP + "SPY").json()["as_of"] == "2026-11-27T18:00:00Z"


@pytest.mark.parametrize("where", ["2026-07-25T12:00:00", "2026-07-24T16:00:01", "2026-07-24T23:59:59"])
def test_it_stands_where_no_session_is_left(two_days: pathlib.Path, passing: Time, where: str) -> None:
    with started(two_days, where, 3600, passing) as server:
        passing.seconds += 1000
        assert shown(server) == where
        assert server.get(CLOCK).json()["running"] is False


def test_it_loops_through_the_lakes_sessions_and_around(two_days: pathlib.Path, passing: Time) -> None:
    with started(two_days, "2026-07-24T15:00", 3600, passing, loop=True) as server:
        seen = []
        for _ in range(14):
            seen.append(shown(server)[5:16])
            passing.seconds += 1
        assert seen == [
            *("07-24T15:00", "11-27T09:30", "11-27T10:30", "11-27T11:30", "11-27T12:30", "07-24T10:00"),
            *("07-24T11:00", "07-24T12:00", "07-24T13:00", "07-24T14:00", "07-24T15:00", "11-27T09:30"),
            *("11-27T10:30", "11-27T11:30"),
        ]
        assert change(server, loop=False)["loop"] is False
        passing.seconds += 1000
        assert shown(server) == "2026-11-27T13:00:00"


def test_requests_are_answered_for_what_it_shows(two_days: pathlib.Path, passing: Time) -> None:
    with started(two_days, "2026-07-24T09:35:30", 60, passing) as server:
        bars = []
        for _ in range(4):
            for path in (HEATMAP, SERIES):
                told = server.get(path + "SPY", bar="1m").json()
                assert told["as_of"] == server.get(CLOCK).json()["now"]
            bars.append(len(told["bars"]))
            passing.seconds += 1
        assert bars == [6, 7, 8, 9]


# --- changes


def test_each_change_by_itself(standing: Local, passing: Time) -> None:
    assert change(standing, at="2026-11-27T10:00")["now"] == "2026-11-27T15:00:00Z"
    assert change(standing, step="90s")["now"] == "2026-11-27T15:01:30Z"
    assert change(standing, step="-1m")["now"] == "2026-11-27T15:00:30Z"
    assert change(standing, step="+250ms")["now"] == "2026-11-27T15:00:30.250000Z"
    told = change(standing, speed=2)
    assert (told["speed"], told["running"]) == (2.0, True)
    passing.seconds += 10
    told = change(standing, running=False)
    assert (told["now"], told["speed"], told["running"]) == ("2026-11-27T15:00:50.250000Z", 2.0, False)
    passing.seconds += 10
    told = change(standing, running=True)
    assert (told["now"], told["running"]) == ("2026-11-27T15:00:50.250000Z", True)
    passing.seconds += 5
    told = change(standing, speed=0)
    assert (told["now"], told["running"]) == ("2026-11-27T15:01:00.250000Z", False)
    assert change(standing, loop=True)["loop"] is True
    assert change(standing, at="2026-11-27")["now"] == "2026-11-27T18:00:00Z", "a date is its close"
    assert standing.get(CLOCK).json()["version"] == 11


def test_changes_at_once_are_made_in_order(standing: Local, passing: Time) -> None:
    told = change(standing, running=True, loop=True, speed=30, step="-90s", at="2026-07-24T12:00")
    assert (told["now"], told["speed"], told["running"], told["loop"], told["version"]) == (
        *("2026-07-24T15:58:30Z", 30.0, True, True, 2),
    )
    passing.seconds += 1
    assert change(standing, speed=60, running=False)["now"] == "2026-07-24T15:59:00Z"
    passing.seconds += 100
    assert standing.get(CLOCK).json()["now"] == "2026-07-24T15:59:00Z"


BAD: list[Any] = [
    *({}, [], "x", 5, None, [{"step": "1m"}], {"now": "2026-07-24"}, {"step": "1m", "more": 1}),
    *({"at": "noon"}, {"at": 5}, {"at": ["2026-07-24"]}, {"at": ""}, {"at": "2026-03-08T02:30"}, {"at": "0001-01-01"}),
    *(
        {"step": "1"},
        {"step": 60},
        {"step": "--1m"},
        {"step": "+-1m"},
        {"step": "1 m"},
        {"step": ""},
        {"step": "-"},
        {"step": "9000h"},
    ),
    *({"step": "0.0000001s"}, {"at": "9999-12-31", "step": "24h"}, {"at": "9999-12-31T23:59:59.999999Z"}),
    *({"speed": -1}, {"speed": 3600.1}, {"speed": "60"}, {"speed": True}, {"speed": [1]}, {"speed": 1e300}),
    *({"running": 1}, {"running": "yes"}, {"loop": 0}, {"loop": "no"}, {"loop": [True]}),
    *({"step": "1m", "speed": -1}, {"at": "2026-07-24T11:00", "step": "x"}, {"at": "2026-07-24T11:00", "loop": 5}),
    *({"speed": 60, "running": "x"}, {"running": True, "at": "x"}, {"running": True, "speed": 0}),
    *({"at": None}, {"step": None, "speed": 60}, {"loop": None}),
]


@pytest.mark.parametrize("bad", BAD, ids=json.dumps)
def test_a_bad_change_changes_nothing(unmoved: Local, bad: Any) -> None:
    before = unmoved.get(CLOCK).json()
    got = unmoved.ask(CLOCK, "POST", body=json.dumps(bad).encode(), headers={"Content-Type": "application/json"})
    assert got.status == 400
    assert got.error in ("invalid_clock", "invalid_time")
    assert unmoved.get(CLOCK).json() == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"speed": NaN}', b'{"speed": 1e999}', b"\xff", b'{"at": "\xff"}', b"step=1m"]
)
def test_what_is_no_json_changes_nothing(unmoved: Local, body: bytes) -> None:
    before = unmoved.get(CLOCK).json()
    got = unmoved.ask(CLOCK, "POST", body=body, headers={"Content-Type": "application/json"})
    assert (got.status, got.error) == (400, "invalid_clock")
    assert unmoved.get(CLOCK).json() == before


def test_a_large_body_is_refused_before_it_is_there(unmoved: Local) -> None:
    sent = 0
    got: list[Any] = []

    async def receive() -> Any:
        nonlocal sent
        sent += 1000
        assert sent < 1_000_000, "an endless body is read on"
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    async def send(message: Any) -> None:
        got.append(message)

    headers = [("Host", "127.0.0.1"), ("Content-Type", "application/json")]
    unmoved.run(unmoved.app(scope_of(CLOCK, "POST", headers), receive, send))
    assert got[0]["status"] in (400, 413)
    assert unmoved.get(CLOCK).json()["version"] == 1


@pytest.mark.parametrize(
    "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx", None]
)
def test_another_content_type_than_json_is_refused(unmoved: Local, given: str | None) -> None:
    headers = {} if given is None else {"Content-Type": given}
    got = unmoved.ask(CLOCK, "POST", body=b'{"step": "1m"}', headers=headers)
    assert (got.status, got.error) == (400, "invalid_clock")
    assert unmoved.get(CLOCK).json()["version"] == 1


@pytest.mark.parametrize("given", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_name_is_taken(standing: Local, given: str) -> None:
    got = standing.ask(CLOCK, "POST", body=b'{"step": "1m"}', headers={"Content-Type": given})
    assert (got.status, got.json()["now"]) == (200, "2026-07-24T14:01:00Z")


def test_no_other_request_moves_it(standing: Local, passing: Time) -> None:
    before = standing.get(CLOCK).json()
    for path in (HEATMAP, SERIES, STRIKE_FLOW):
        for query in ({}, {"as_of": "2026-11-27T10:00"}, {"at": "2026-07-24T15:00", "known_at": "latest"}, {"at": "x"}):
            standing.get(path + "SPY", **query)
    for path in ("/replay/sessions", "/health", "/openapi.json", "/docs", "/replay/tape/SPY?date=2026-11-27"):
        assert standing.get(path).status == 200, path
    for method in ("PUT", "DELETE", "PATCH"):
        assert standing.ask(CLOCK, method, body={"step": "1m"}).status == 405
    assert standing.get(CLOCK, at="2026-11-27", step="1m", speed="60").json() == before
    assert standing.get(CLOCK).json() == before


# --- against a walk second by second


@functools.cache
def _session_of_hour(hour: int) -> tuple[int, int] | None:
    """Open and close of the session of a New York date, which changes at whole hours."""
    return hours(new_york_date(hour * 3600 * SECOND))


class Walk:
    """What a clock shows, by going on a second at a time."""

    def __init__(self, now: int) -> None:
        self.now, self.speed, self.running, self.loop = now, 0.0, False, False
        self.waited = 0.0
        self.gone = 0

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        if self.running:
            while self.gone + 1 <= self.waited * self.speed:
                self.gone += 1
                self._second()

    def begin(self) -> None:
        """It was changed: seconds count from here."""
        self.waited, self.gone = 0.0, 0

    def _second(self) -> None:
        session = _session_of_hour(self.now // (3600 * SECOND))
        if not self.loop:
            if session is not None and self.now < session[1]:
                self.now = min(self.now + SECOND, session[1])
            return
        self.enter()
        session = _session_of_hour(self.now // (3600 * SECOND))
        assert session is not None
        self.now += SECOND
        if self.now >= session[1]:
            later = [opens for opens, _ in SPANS if opens > session[1]]
            self.now += (later or [SPANS[0][0]])[0] - session[1]

    def enter(self) -> None:
        """A clock that runs through the lake's sessions is in one of them."""
        session = _session_of_hour(self.now // (3600 * SECOND))
        if session not in SPANS or session is None or self.now >= session[1]:
            later = [opens for opens, _ in SPANS if opens > self.now]
            self.now = (later or [SPANS[0][0]])[0]

    def moves(self) -> bool:
        session = _session_of_hour(self.now // (3600 * SECOND))
        return self.running and (self.loop or (session is not None and self.now < session[1]))


WALLS = [
    at("09:30"), at("15:59:58.5"), at("16:00"), at("08:00"), at("23:00"), at("15:30:00.000001"),
    at("12:59:30", HALF_DAY), at("13:00", HALF_DAY), at("09:29:59", HALF_DAY),
    at("12:00", DAY.replace(day=25)), at("15:50", DAY.replace(day=27)), at("15:00", DAY.replace(day=23)),
    at("12:00", HALF_DAY.replace(month=12, day=1)),
]  # fmt: skip
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "at": st.sampled_from(WALLS),
        "step": st.integers(-3 * 60, 7 * 60).map(lambda minutes: minutes * MINUTE),
        "speed": st.sampled_from([0.0, 0.5, 1.0, 7.25, 60.0, 600.0]),
        "running": st.booleans(),
        "loop": st.booleans(),
    },
)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(WALLS),
    st.lists(st.tuples(st.integers(0, 8 * 40).map(lambda eighths: eighths / 8), CHANGES), min_size=1, max_size=6),
)
def test_the_clock_goes_as_a_walk_does(start: int, steps: list[tuple[float, dict[str, Any]]]) -> None:
    passing = Time()
    clock = ReplayClock(numbers(STATE_SIZE, 1), SPANS, passing.ticks)
    clock.start(start, 0.0, loop=False)
    walk = Walk(start)
    version = 0
    for seconds, change in steps:
        for part in (seconds / 2, seconds / 2):
            passing.seconds += part
            walk.wait(part)
            read = clock.read()
            assert (read.now, read.running) == (walk.now, walk.moves())
        if change.get("running") and change.get("speed", walk.speed) == 0:
            with pytest.raises(InvalidClock, match="speed is 0"):
                clock.change(**change)
        elif change:
            got = clock.change(**change)
            version += 1
            walk.now = change.get("at", walk.now) + change.get("step", 0)
            if "speed" in change:
                walk.speed, walk.running = change["speed"], change["speed"] > 0
            walk.running = change.get("running", walk.running) and walk.speed > 0
            walk.loop = change.get("loop", walk.loop)
            walk.begin()
            if walk.running and walk.loop:
                walk.enter()
            assert (got.now, got.running, got.speed, got.loop) == (walk.now, walk.moves(), walk.speed, walk.loop)
        assert clock.read().version == version


def test_shared_memory_holds_a_moment_exactly_or_refuses_it() -> None:
    for workers in (1, 2):
        clock = ReplayClock(numbers(STATE_SIZE, workers), SPANS, Time().ticks)
        clock.start(at("10:00:00.000001"), 0.0, loop=False)
        assert clock.read().now == at("10:00:00.000001")
        for moment in (at("15:59:59.999999"), 1, -1, 2**52 + 1, 2**53 + 1, 253_402_300_799_999_999, -(2**53) - 1):
            before = clock.read()
            try:
                assert clock.change(at=moment).now == moment
            except InvalidClock:
                assert clock.read() == before
                assert abs(moment) > 2**52


def test_a_clock_without_sessions_stands() -> None:
    passing = Time()
    clock = ReplayClock(numbers(STATE_SIZE, 1), (), passing.ticks)
    clock.start(at("12:00", DAY.replace(day=25)), 60.0, loop=True)
    passing.seconds += 100
    assert (clock.read().now, clock.read().running) == (at("12:00", DAY.replace(day=25)), False)


# --- over processes


def test_two_workers_share_it(two_days: pathlib.Path) -> None:
    with running(two_days, "--workers", "2", at="2026-07-24T10:00") as server, ThreadPoolExecutor(8) as pool:

        def together(path: str) -> list[Answer]:
            return list(pool.map(lambda _: server.get(path), range(8)))

        until = time.monotonic() + 20
        while sum(each.get("cached") is False for each in server.log()) < 2:  # each worker makes it once
            assert time.monotonic() < until, "one worker answers alone"
            assert {each.status for each in together(HEATMAP + "SPY")} == {200}
        versions = set()
        for step in range(1, 4):
            got = server.ask(CLOCK, "POST", body={"step": "1m"}).json()
            assert got["now"] == utc_text(at("10:00") + step * MINUTE)
            versions.add(got["version"])
            assert {each.body for each in together(CLOCK)} == {server.get(CLOCK).body}
            assert {each.json()["as_of"] for each in together(HEATMAP + "SPY")} == {got["now"]}
        assert len(versions) == 3
        server.ask(CLOCK, "POST", body={"speed": 3600})
        while (read := server.get(CLOCK).json())["now"] <= got["now"]:
            assert time.monotonic() < until + 20, "it does not run"
        told = [each.json() for each in together(CLOCK)]
        assert {each["version"] for each in told} == {read["version"]} == {max(versions) + 1}
        assert min(each["now"] for each in told) >= read["now"], "both go by the same time"
        assert server.ask(CLOCK, "POST", body={"at": "9999-12-31T23:59:59.999999Z"}).status == 400
        assert {each.status for each in together(CLOCK)} == {200}
        assert server.stop() == 0


# --- where it starts


def test_it_starts_at_the_last_close_and_says_so(two_days: pathlib.Path) -> None:
    with running(two_days, "--loop", at="latest") as server:
        assert server.get(CLOCK).json()["now"] == "2026-11-27T18:00:00Z"
        told = server.stderr()
        assert "2 sessions of SPY" in told
        assert "2026-11-27 13:00:00 New York, stands; once it has a speed it runs through every session" in told
        assert server.stop() == 0


def test_it_may_be_stopped_as_soon_as_it_serves(root: pathlib.Path) -> None:
    rng = lakes.dice("stop")
    strikes = [float(k) for k in range(300)]
    rows = [lakes.row(at("09:30") + i * MINUTE, strikes, gex=[rng.random() for _ in strikes]) for i in range(390)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    for _ in range(2):
        with running(root, at="latest") as server:
            assert server.stop() == 0, server.stderr()


@pytest.mark.parametrize(("options", "number"), [((), signal.SIGINT), (("--workers", "2"), signal.SIGTERM)])
def test_a_signal_is_heard_from_the_line_on_that_says_it_serves(
    two_days: pathlib.Path, options: tuple[str, ...], number: int
) -> None:
    command = [sys.executable, "-m", "replay", "serve", "--lake", str(two_days), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("serving http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()


def test_a_clock_waits_until_a_worker_is_ready() -> None:
    passing = Time()
    clock = ReplayClock(numbers(STATE_SIZE, 1), SPANS, passing.ticks)
    clock.start(at("10:00"), 60.0, loop=False, begun=False)
    passing.seconds += 100
    read = clock.read()
    assert (read.now, read.running) == (at("10:00"), True)
    clock.begin()
    passing.seconds += 2
    clock.begin()  # another worker
    assert clock.read().now == at("10:02")


def test_a_start_that_is_none_is_refused(two_days: pathlib.Path, tmp_path: pathlib.Path) -> None:
    lake = ("--lake", str(two_days), "--port", "0")
    assert "speed" in refused("serve", *lake, "--speed", "-1")
    assert "speed" in refused("serve", *lake, "--speed", "nan")
    assert "at 'noon'" in refused("serve", *lake, "--at", "noon")
    tmp_path.joinpath("empty").mkdir()
    for origin in ("localhost:3000", "*", "http://localhost:3000/", "ftp://x", ""):
        assert "is to be a scheme and a host" in refused("serve", *lake, "--allow-origin", origin)
    keys = tmp_path / "keys.toml"
    keys.write_text("[keys]\n")
    assert "holds no key" in refused("serve", *lake, "--keys", str(keys))
    assert "error: no_lake:" in refused("serve", "--lake", str(tmp_path / "empty"))


def test_a_stream_does_not_move_it(standing: Local) -> None:
    async def looked() -> None:
        reading = asyncio.create_task(asked(standing.app, STREAM + "SPY"))
        await asyncio.sleep(0.3)
        assert not reading.done()
        reading.cancel()

    standing.run(looked())
    assert standing.get(CLOCK).json()["version"] == 1
    assert standing.get(CLOCK).json()["now"] == "2026-07-24T14:00:00Z"
