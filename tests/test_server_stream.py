"""Server-sent events: each bar as the clock passes it, late data late, a correction again, and nothing lost or repeated."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import pathlib
import time
import types
from collections.abc import Callable
from typing import Any

import pytest

from tests import lakes
from tests.lakes import DAY, HALF_DAY, MINUTE, SECOND, at, row
from tests.second_method import EPOCH, SecondLake, body, hours, utc_text
from tests.server import CLOCK, STREAM, Local, Running, Time, path_of, running
from tests.streams import Event, Reader, Socket, bars

STRIKES = [598.0, 599.5, 600.0, 601.0]
FIELDS = ["symbol", "expiration", "metric", "mode", "bar_size", "as_of", "tier_used", "strikes_grid", "bar"]


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., contextlib.AbstractAsyncContextManager[Reader]]:
    """Opens readers; only the last one looks at the clock."""

    @contextlib.asynccontextmanager
    async def opened(server: Local, symbol: str = "SPY", last: str | None = None, **query: Any) -> Any:
        headers = {} if last is None else {"Last-Event-ID": last}
        reader = Reader(server, path_of(STREAM + symbol, **query), headers)
        monkeypatch.setattr("replay.server.stream.asyncio", types.SimpleNamespace(sleep=reader.pause))
        try:
            yield reader
        finally:
            await reader.close()

    return opened


Opened = Callable[..., contextlib.AbstractAsyncContextManager[Reader]]


def events_of(server: Local, opened: Opened, *where: Any, **how: Any) -> list[Event]:
    """All that a reader gets who comes now."""

    async def read() -> list[Event]:
        async with opened(server, *where, **how) as reader:
            return await reader.take()

    found: list[Event] = server.run(read())
    return found


# --- lakes


def session_rows() -> list[lakes.Row]:
    """From before the open: snapshots 20 s apart, some of them late, some corrected, one without strikes."""
    rng = lakes.dice("stream")
    rows = [lakes.some_row(rng, at("09:27") + i * 20 * SECOND, STRIKES[: rng.randint(2, 4)]) for i in range(60)]
    for i in (20, 21, 35):
        rows[i]["recorded_at"] += rng.randint(2, 4) * MINUTE
    rows[40] = row(rows[40]["ts"], None)
    late = [lakes.revised(rng, rows[i], rows[i]["recorded_at"] + rng.randint(1, 5) * MINUTE) for i in range(2, 60, 5)]
    return rows + [each for each in late if each["strike"] is not None]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A lake of one session."""
    root = tmp_path_factory.mktemp("stream")
    lakes.write_own(root, "SPY", session_rows())
    return root


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A lake of two sessions, with snapshots before the open, in the first minutes, and up to the close."""
    root = tmp_path_factory.mktemp("streams")
    for date, close in ((DAY, at("16:00")), (HALF_DAY, at("13:00", HALF_DAY))):
        rng = lakes.dice(str(date))
        starts = [*(at("09:20", date) + i * MINUTE for i in range(18)), *(close + i * MINUTE for i in range(-6, 2))]
        lakes.write_own(root, "SPY", [lakes.some_row(rng, start, STRIKES) for start in starts], date=date)
    return root


def complete(lake: SecondLake, moment: int, how: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The heatmap at a moment, and what is known in each bar that is complete by then."""
    told = body(lake, "SPY", moment, None, how.get("metric", "gex"), how.get("mode", "raw"), 390)
    known = {
        each["t"]: (each["spot"], {k: v for k, v in zip(told["strikes_grid"], each["values"], strict=True) if v is not None})
        for each in told["bars"]
        if each["t"] < utc_text(moment)
    }  # fmt: skip
    return told, known


def wanted(lake: SecondLake, first: int, last: int, **how: Any) -> list[dict[str, Any]]:
    """The bars to be told at each minute after ``first`` until ``last``: new ones, and those that are another."""
    found = []
    for moment in range(first + MINUTE, last + 1, MINUTE):
        (_, before), (told, now) = complete(lake, moment - MINUTE, how), complete(lake, moment, how)
        head = {name: told[name] for name in FIELDS[:-1]}
        found += [
            head | {"bar": each}
            for each in told["bars"]
            if each["t"] in now and now[each["t"]] != before.get(each["t"])
        ]
    return found


# --- what comes


@pytest.mark.parametrize(
    "how", [{}, {"metric": "signed_flow"}, {"metric": "oi", "mode": "delta"}, {"mode": "delta", "tier": "raw"}], ids=str
)
def test_bars_come_as_the_clock_passes_them(one: pathlib.Path, reading: Opened, how: dict[str, str]) -> None:
    passing, second = Time(), SecondLake(one)

    async def follow(server: Local) -> list[Event]:
        got: list[Event] = []
        async with reading(server, "%20spy", **how) as reader:
            assert await reader.take() == []
            headers = {name.decode(): value.decode() for name, value in reader.start["headers"]}
            assert headers["content-type"].startswith("text/event-stream")
            assert (headers["cache-control"], reader.start["status"]) == ("no-store", 200)
            assert "content-length" not in headers
            for _ in range(70):
                passing.seconds += 20
                now = server.service.clock.read().now
                fresh = await reader.later()
                for each in fresh:
                    assert each.kind == "bar"
                    assert now - 20 * SECOND < at_of(each.data["as_of"]) <= now, "neither early nor late"
                got += fresh
        return got

    with Local(one, "2026-07-24T09:28:30", speed=1, time=passing) as server:
        got = server.run(follow(server))
    assert [list(each.data) for each in got] == [FIELDS] * len(got)
    told = wanted(second, at("09:28"), at("09:51"), **how)
    assert [each.data for each in bars(got)] == told
    if not how:
        times = [each["bar"]["t"] for each in told]
        assert len({*times}) == 20
        assert len(times) > 24, "corrections are sent again"
        assert times != sorted(times), "what is late comes late"
    numbers = [each.number for each in got]
    assert len({*numbers}) == len(numbers)


def test_changes_are_told_once_though_the_first_bar_goes_out_of_sight(root: pathlib.Path, reading: Opened) -> None:
    """After 390 minutes the window's first bar is the level itself, which is no news of it."""
    rows = [row(at("09:00") + i * MINUTE, [600.0], lag=0) | {"gex": [float(i * i)]} for i in range(3)]
    rows += [row(at("15:40") + i * MINUTE, [600.0], lag=0) | {"gex": [50.0 + i]} for i in range(2)]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root, "2026-07-24T15:45", time=Time()) as server:
        told = events_of(server, reading, "SPY", mode="delta", since="2026-07-24T09:00")
    got = [(each.data["bar"]["t"][11:16], each.data["bar"]["values"]) for each in told]
    assert got == [("13:00", [0.0]), ("13:01", [1.0]), ("13:02", [3.0]), ("19:40", [50.0]), ("19:41", [1.0])]


def at_of(text: str) -> int:
    """Microseconds since the epoch of an instant as it is told."""
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(microseconds=1)


def test_a_late_snapshot_comes_late_and_a_correction_again_by_hand(root: pathlib.Path, reading: Opened) -> None:
    rows = [
        row(at("10:00:30"), [600.0], gex=[1.0]),
        row(at("10:01:30"), [600.0], gex=[2.0], lag=150 * SECOND),  # known at 10:04
        row(at("10:02:30"), [600.0], gex=[3.0]),
        row(at("10:00:30"), [600.0], gex=[9.0], lag=270 * SECOND),  # known at 10:05
        row(at("10:02:10"), [600.0], gex=[8.0], lag=240 * SECOND),  # not the last of its minute
        row(at("10:02:30"), [600.0], gex=[3.0], lag=300 * SECOND),  # says the same again
        row(at("10:06"), [600.0], gex=[5.0], lag=0),  # known as its minute begins
        row(at("10:06:20"), [600.0], gex=[6.0], lag=0),
    ]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root, "2026-07-24T10:10", time=Time()) as server:
        got = events_of(server, reading, since="2026-07-24T09:30")
    assert [(each.data["as_of"][11:16], each.data["bar"]["t"][11:16], each.data["bar"]["values"]) for each in got] == [
        ("14:01", "14:00", [1.0]),
        ("14:03", "14:02", [3.0]),
        ("14:04", "14:01", [2.0]),
        ("14:05", "14:00", [9.0]),
        ("14:07", "14:06", [6.0]),
    ]


def test_since_begins_earlier_and_never_later_than_now(one: pathlib.Path, reading: Opened) -> None:
    second = SecondLake(one)
    with Local(one, "2026-07-24T09:45:30", time=Time()) as server:
        for since, first in (
            ("2026-07-24T09:35", "09:34"), ("2026-07-24T13:40:59Z", "09:39"), ("2026-07-24T09:45:30", "09:44"),
            ("2026-07-24T04:00", "03:59"),
        ):  # fmt: skip
            got = events_of(server, reading, since=since)
            assert [each.data for each in got] == wanted(second, at(first), at("09:45"))
        for since in ("2026-07-24T09:46", "2026-07-24T09:50", "2026-07-24", "2026-11-27T10:00", "2026-07-23T10:00"):
            assert events_of(server, reading, since=since) == [], "nothing that the clock has not passed"


def test_requests_that_are_none(one: pathlib.Path) -> None:
    with Local(one, time=Time()) as server:
        for query, code in (
            ({"metric": "x"}, "invalid_metric"), ({"mode": "x"}, "invalid_mode"), ({"tier": "x"}, "invalid_tier"),
            ({"since": "x"}, "invalid_time"), ({"since": ["2026-07-24"] * 2}, "invalid_time"), ({"metric": ["gex"] * 2}, "invalid_metric"),
        ):  # fmt: skip
            got = server.get(STREAM + "SPY", **query)
            assert (got.status, got.error) == (400, code)
        for last in (
            "x",
            "5",
            "2026-07-24T14:31:00Z",
            "2026-07-24T14:31:00Z/1",
            "2026-99-24T14:31:00Z/1/1",
            "/1/1",
            "T" * 20 + "/1/1",
        ):
            got = server.get(STREAM + "SPY", {"Last-Event-ID": last})
            assert (got.status, got.error) == (400, "invalid_time")
        assert server.get(STREAM + "SPY/x").status == 404


def test_a_symbol_without_data_and_a_session_without_strikes_send_nothing(nasty: lakes.Nasty, reading: Opened) -> None:
    with Local(nasty.root, "2026-07-24T10:30", time=Time()) as server:
        for symbol in ("NONE", "..%2Fetc", "ALLLEGACY"):
            assert events_of(server, reading, symbol, since="2026-07-24T09:55") == []


# --- going on


def test_a_reader_goes_on_after_every_event_without_loss_or_repeat(one: pathlib.Path, reading: Opened) -> None:
    with Local(one, "2026-07-24T09:50", time=Time()) as server:
        whole = events_of(server, reading, since="2026-07-24T09:20")
        assert len(whole) >= 25
        for i, each in enumerate(whole):
            assert events_of(server, reading, last=each.number) == whole[i + 1 :], each.number
        assert events_of(server, reading, last=whole[3].number, since="2026-07-24T09:20") == whole[4:], (
            "it goes before since"
        )
    with Local(one, "2026-07-24T09:50", time=Time(), keys=None) as other:
        assert events_of(other, reading, last=whole[5].number) == whole[6:], "another worker knows as much"


def test_a_minute_with_several_bars_can_be_cut_anywhere(root: pathlib.Path, reading: Opened) -> None:
    rows = [row(at("10:00") + i * MINUTE, [600.0], gex=[float(i)], lag=(10 - i) * MINUTE) for i in range(8)]
    rows += [row(at("10:09"), [600.0], gex=[9.0]), row(at("10:10"), [600.0], gex=[10.0])]
    lakes.write_foreign(root, "SPY", "a.parquet", rows)
    with Local(root, "2026-07-24T10:12", time=Time()) as server:
        whole = events_of(server, reading, since="2026-07-24T09:59")
        assert [each.data["bar"]["values"] for each in whole] == [[float(i)] for i in (*range(8), 9, 10)]
        assert len({each.data["as_of"] for each in whole[:9]}) == 1
        for i, each in enumerate(whole):
            assert events_of(server, reading, last=each.number) == whole[i + 1 :]


def test_a_reader_who_was_away_while_the_clock_ran_misses_nothing(one: pathlib.Path, reading: Opened) -> None:
    passing = Time()
    with Local(one, "2026-07-24T09:29", speed=60, time=passing) as server:
        last, got = None, []
        for wait in (0.0, 3.25, 0.5, 1.0, 6.0, 4.0, 10.0):
            passing.seconds += wait
            fresh = events_of(server, reading, last=last, **({} if last else {"since": "2026-07-24T09:20"}))
            got += [each.data for each in fresh]
            last = fresh[-1].number if fresh else last
        assert got == wanted(SecondLake(one), at("09:19"), at("09:53"))


# --- a clock that is set, and one that loops


def test_a_clock_that_is_set_back_says_that_it_moved(one: pathlib.Path, reading: Opened) -> None:
    second = SecondLake(one)

    async def follow(server: Local) -> None:
        clock = server.service.clock
        async with reading(server) as reader:
            assert await reader.take() == []
            clock.change(step=2 * MINUTE)
            forward = await reader.later()
            assert [each.data for each in bars(forward)] == wanted(second, at("09:40"), at("09:42"))
            assert len(bars(forward)) == len(forward)
            clock.change(at=at("09:35:30"))
            assert await reader.later() == [Event("moved", None, {"now": "2026-07-24T13:35:30Z"})]
            clock.change(step=90 * SECOND)
            assert [each.data for each in await reader.later()] == wanted(second, at("09:35"), at("09:37"))
            clock.change(at=at("10:00", HALF_DAY))
            assert await reader.later() == [Event("moved", None, {"now": "2026-11-27T15:00:00Z"})]
            clock.change(speed=0, loop=True, running=False)
            assert await reader.later() == [], "how it runs is no move"
        clock.change(at=at("09:38"))
        async with reading(server, last=bars(forward)[-1].number) as reader:
            assert await reader.take() == [Event("moved", None, {"now": "2026-07-24T13:38:00Z"})]
            clock.change(step=MINUTE)
            assert [each.data for each in await reader.later()] == wanted(second, at("09:38"), at("09:39"))

    with Local(one, "2026-07-24T09:40", time=Time()) as server:
        server.run(follow(server))


def test_a_loop_goes_on_to_the_next_session_and_around(two: pathlib.Path, reading: Opened) -> None:
    passing, second = Time(), SecondLake(two)
    opens, closes = zip(*(hours(date) or (0, 0) for date in (DAY, HALF_DAY)), strict=True)

    async def follow(server: Local) -> list[Event]:
        got: list[Event] = []
        async with reading(server) as reader:
            got += await reader.take()
            for _ in range(120):
                passing.seconds += 5.125
                got += await reader.later()
        return got

    with Local(two, "2026-07-24T15:55", speed=60, loop=True, time=passing) as server:
        got = server.run(follow(server))
        told = wanted(second, at("15:55"), closes[0]) + wanted(second, opens[1], closes[1])
        told += wanted(second, opens[0], closes[0]) + wanted(second, opens[1], at("09:40", HALF_DAY))
        assert [each.data for each in bars(got)] == told
        assert len(told) > 20
        assert len(bars(got)) == len(got), "a clock that loops was not set"


def test_a_loop_can_be_cut_anywhere(two: pathlib.Path, reading: Opened) -> None:
    passing = Time()
    with Local(two, "2026-07-24T15:57", speed=60, loop=True, time=passing) as server:
        first = events_of(server, reading, since="2026-07-24T15:56")
        passing.seconds += 20  # 09:47 of the next session
        whole = first + events_of(server, reading, last=first[-1].number)
        assert {each.data["expiration"] for each in whole} == {"2026-07-24", "2026-11-27"}
        for i, each in enumerate(whole):
            assert events_of(server, reading, last=each.number) == whole[i + 1 :], each.number


def test_nothing_is_told_that_the_clock_has_not_passed_whatever_a_reader_says_it_has(
    two: pathlib.Path, reading: Opened
) -> None:
    passing = Time()
    with Local(two, "2026-07-24T09:40", speed=60, loop=True, time=passing) as server:
        now = server.service.clock.read()
        moved = [Event("moved", None, {"now": "2026-07-24T13:40:00Z"})]
        for course, leg in ((now.course, 0), (now.course, 1), (now.course, 7), (now.course + 1, 0), (3, 2)):
            for minute in ("2026-07-24T18:36:00Z", "2026-11-27T15:00:00Z", "2026-11-25T15:00:00Z"):
                last = f"{minute}/1/{course:x}.{leg}"
                assert events_of(server, reading, last=last) == moved, last
        passing.seconds += 6.4 * 60  # over the close
        now = server.service.clock.read()
        assert now.leg == 1
        for minute in ("2026-07-25T15:00:00Z", "2026-07-24T20:30:00Z", "2026-11-27T20:30:00Z", "2026-11-27T15:00:00Z"):
            for leg in (0, 1, 2):
                got = events_of(server, reading, last=f"{minute}/1/{now.course:x}.{leg}")
                assert [each.kind for each in got] == ["moved"], (minute, leg)


def test_a_reader_who_was_away_over_sessions_gets_each_of_them(tmp_path: pathlib.Path, reading: Opened) -> None:
    dates = [DAY.replace(day=day) for day in (20, 21, 22, 23, 24)]
    for date in dates:
        rows = [row(at("15:50", date) + i * MINUTE, [600.0], lag=0, gex=[float(date.day + i)]) for i in range(9)]
        lakes.write_foreign(tmp_path, "SPY", "a.parquet", rows, date=date)
    passing = Time()
    with Local(tmp_path, "2026-07-20T15:49", speed=60, loop=True, time=passing) as server:
        passing.seconds += 5
        first = events_of(server, reading, since="2026-07-20T15:49")
        assert len(first) == 4
        server.service.clock.change(speed=120.0)
        passing.seconds += 4 * 195 + 1  # four sessions on, at twice the speed
        rest = events_of(server, reading, last=first[-1].number)
        days = [each.data["expiration"] for each in [*first, *rest]]
        assert [days.count(str(date)) for date in dates[:4]] == [9] * 4, "no session is passed over"
        assert sorted(days) == days


def test_one_session_looped_is_told_again_from_its_start(one: pathlib.Path, reading: Opened) -> None:
    passing, second = Time(), SecondLake(one)

    async def follow(server: Local) -> list[Event]:
        async with reading(server) as reader:
            assert await reader.take() == []
            passing.seconds += 4 * 60
            return await reader.later()

    with Local(one, "2026-07-24T15:59", speed=3, loop=True, time=passing) as server:
        got = server.run(follow(server))
    assert [each.data for each in bars(got)] == wanted(second, at("09:30"), at("09:41"))


# --- a lake that cannot be read, and readers that are slow or gone


@pytest.mark.parametrize("left", [None, b"", b"PAR1"])
def test_files_that_cannot_be_read_are_waited_for(
    one: pathlib.Path, root: pathlib.Path, reading: Opened, left: bytes | None
) -> None:
    lakes.write_own(root, "SPY", session_rows())
    path = next(root.rglob("*.parquet"))
    kept = path.read_bytes()

    async def follow(server: Local) -> list[Event]:
        async with reading(server) as reader:
            got = await reader.take()
            server.service.clock.change(at=at("09:35"))
            got += await reader.later()
            path.unlink()
            if left is not None:
                path.write_bytes(left)
            server.service.clock.change(at=at("09:40"))
            for _ in range(3):
                assert await reader.later() == []
            path.write_bytes(kept)
            return got + await reader.later()

    with Local(root, "2026-07-24T09:30", time=Time()) as server:
        got = server.run(follow(server))
    assert [each.data for each in bars(got)] == wanted(SecondLake(one), at("09:30"), at("09:40"))


def test_silence_is_broken_now_and_then(one: pathlib.Path, reading: Opened) -> None:
    async def follow(server: Local) -> list[Event]:
        got: list[Event] = []
        async with reading(server) as reader:
            for _ in range(400):
                got += await reader.later()
        return got

    with Local(one, "2026-07-24T09:40", time=Time()) as server:
        assert 2 <= sum(each.kind == "comment" for each in server.run(follow(server))) <= 3


def test_nothing_is_made_for_a_reader_who_does_not_take_it(one: pathlib.Path, reading: Opened) -> None:
    passing = Time()

    async def follow(server: Local) -> tuple[int, list[Event]]:
        async with reading(server, since="2026-07-24T09:20") as reader:
            reader.open.clear()
            for _ in range(20):
                passing.seconds += 1
                await asyncio.sleep(0.02)
            held = len(reader.chunks)
            reader.open.set()
            return held, await reader.take()

    with Local(one, "2026-07-24T09:30", speed=60, time=passing) as server:
        held, got = server.run(follow(server))
    assert held == 1, "one is made, and no other until it is taken"
    assert [each.data for each in bars(got)] == wanted(SecondLake(one), at("09:19"), at("09:50"))


def test_a_reader_who_goes_is_forgotten(one: pathlib.Path, reading: Opened) -> None:
    async def follow(server: Local) -> None:
        async with reading(server) as reader:
            await reader.take()
        assert reader.task.done()

    with Local(one, time=Time()) as server:
        server.run(follow(server))


# --- over a socket


def test_over_a_socket_it_reads_goes_on_and_ends_when_the_server_stops(one: pathlib.Path) -> None:
    told = wanted(SecondLake(one), at("09:30"), at("09:45"))
    with running(one, "--speed", "600", at="2026-07-24T09:30:00") as server:
        server.ask(CLOCK, "POST", body={"at": "2026-07-24T09:45", "running": False})
        path = STREAM + "SPY?since=2026-07-24T09:31"
        with Socket(server, path) as client:
            head = client.head()
            assert head[0] == "HTTP/1.1 200 OK"
            assert "transfer-encoding: chunked" in head
            assert not [each for each in head if each.startswith("content-encoding")]
            first = client.read(len(told) // 2)
        assert [each.data for each in first] == told[: len(first)]
        with Socket(server, path, f"Last-Event-ID: {first[-1].number}\r\nAccept-Encoding: gzip\r\n") as client:
            client.head()
            rest = client.read(len(told) - len(first))
            assert [each.data for each in first + rest] == told
            head_only = server.ask(path, "HEAD")
            assert (head_only.status, head_only.body) == (200, b"")
            with Socket(server, STREAM + "SPY", method="HEAD") as other, Socket(server, STREAM + "NONE") as third:
                assert other.head()[0] == third.head()[0] == "HTTP/1.1 200 OK"
                other.socket.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert other.head()[0] == "HTTP/1.1 200 OK", "there is no body to wait for"
                begun = time.monotonic()
                server.process.terminate()
                assert b"".join(client.chunks) == b"", "it ends, and rightly"
                list(third.chunks)
                assert server.stop() == 0
                assert time.monotonic() - begun < 5
        assert "Traceback" not in server.stderr()


def busy(server: Running) -> int:
    """Processor time that a server has taken, in hundredths of a second."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(server: Running) -> float:
    """Resident memory of a server, MB."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="no /proc to read memory from")
def test_a_reader_who_does_not_read_costs_no_memory(root: pathlib.Path) -> None:
    count = 12_000
    rows = [  # three minutes that are corrected each minute
        row(at("09:30") + i * MINUTE, [float(k) for k in range(count)], lag=(3 + j - i) * MINUTE, spot=600.0 + j)
        | {"gex": [1 / 3] * count}
        for j in range(16)
        for i in range(3)
    ]
    lakes.write_foreign(root, "SPY", "a.parquet", rows, group=1)
    path = STREAM + "SPY?since=2026-07-24T09:30"
    with running(root, "--speed", "3600", "--cache-mb", "8", at="2026-07-24T10:00") as server:

        def taken(events: int) -> float:
            """What a reader takes of so many events, MB."""
            size = 0
            with Socket(server, path) as client:
                client.head()
                for _ in range(events):
                    size += len(next(client.chunks))
            return size / 2**20

        read = taken(48)
        before = memory(server)
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(Socket(server, path, buffer=4096))
            until = time.monotonic() + 20
            taking = True
            while taking:  # until it makes no more, as nobody takes it
                assert time.monotonic() < until
                had = busy(server)
                time.sleep(0.5)
                taking = busy(server) - had > 5
            more = memory(server) - before
            assert server.get("/health").status == 200
            begun = time.monotonic()
            assert server.stop() == 0, "nobody is waited for who takes nothing of an answer without an end"
            assert time.monotonic() - begun < 10
        assert read > 12
        assert more < read * 1.5, f"{more:.1f} MB more for three times {read:.1f} MB that are not taken"
