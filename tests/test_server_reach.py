"""Who reaches the server from where: pages of other origins, and lakes that lie elsewhere."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import signal
from collections.abc import Iterator

import fsspec
import pytest

import replay
from replay.server import serving
from replay.server.answers import Answers
from replay.server.app import make_app
from replay.server.clock import ReplayClock
from replay.server.held import Held
from replay.server.keys import Guard
from replay.server.service import SAME_FOR, Service
from replay.server.serving import numbers
from replay.server.trades import Runs
from tests import lakes
from tests.lakes import at, row
from tests.second_method import SecondLake, body
from tests.server import CLOCK, HEATMAP, Running, Time, asked, running
from tests.test_server_faults import wait_for, workers_of

ORIGIN = "http://localhost:3000"


@pytest.fixture(scope="module")
def server(nasty: lakes.Nasty) -> Iterator[Running]:
    """A server that pages of one other origin may read."""
    with running(nasty.root, "--allow-origin", ORIGIN, at="2026-07-24T10:10") as found:
        yield found


def test_a_page_of_an_allowed_origin_reads_answers(server: Running) -> None:
    got = server.get(HEATMAP + "CORRECT", {"Origin": ORIGIN, "X-Api-Key": "any"})
    assert got.headers["access-control-allow-origin"] == ORIGIN
    assert "X-RateLimit-Limit" in got.headers["access-control-expose-headers"]
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    before = server.ask(HEATMAP + "CORRECT", "OPTIONS", headers=asks)
    assert before.status == 200
    assert before.headers["access-control-allow-origin"] == ORIGIN
    assert "x-api-key" in before.headers["access-control-allow-headers"].lower()


def test_any_other_page_reads_none_and_sets_no_clock(server: Running) -> None:
    other = {"Origin": "http://evil.example"}
    assert "access-control-allow-origin" not in server.get(HEATMAP + "CORRECT", other).headers
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin in (ORIGIN, other["Origin"]):
        assert server.ask(CLOCK, "OPTIONS", headers=asks | {"Origin": origin}).status == 400
    before = server.get(CLOCK).json()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        sent = server.ask(CLOCK, "POST", headers=other | {"Content-Type": kind}, body=b'{"step": "1m"}')
        assert (sent.status, sent.error) == (400, "invalid_clock")
    assert server.get(CLOCK).json() == before


def test_a_lake_in_an_object_store_is_served_and_what_comes_to_it_shows_soon(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sessions are listed on a thread, and not for each request."""
    store = fsspec.filesystem("memory")
    lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00"), [600.0], gex=[1.0])])
    store.put(str(root), "/far-lake", recursive=True)
    passing = Time()
    monkeypatch.setattr("replay.server.service.monotonic", passing.ticks)
    try:
        with replay.open_lake("memory://far-lake") as lake:
            settings = serving.settings_for(lake, "memory://far-lake", at=at("10:05"), log=None)
            assert settings.lake == "memory://far-lake"
            clock = ReplayClock(settings.state, settings.spans, passing.ticks)
            answers = Answers()
            made = Service(
                lake,
                clock,
                Guard(None, settings.counts),
                answers,
                Runs(None),
                Held(settings.held),
                near=False,
                wall=lambda: 0,
            )
            app = make_app(made)
            with asyncio.Runner() as runner:

                def bars() -> list[list[float]]:
                    got = runner.run(asked(app, HEATMAP + "SPY"))
                    assert got.status == 200
                    found = got.json()
                    return [bar["values"] for bar in found["bars"]]

                assert bars() == [[1.0]]
                assert runner.run(asked(app, HEATMAP + "SPY")).json() == body(
                    SecondLake(root), "SPY", at("10:05"), None, "gex", "raw", 60
                )
                lakes.write_foreign(root, "SPY", "b.parquet", [row(at("10:01"), [600.0], gex=[2.0])])
                folder = "tier=raw/symbol=SPY/date=2026-07-24"
                store.put_file(str(root / folder / "b.parquet"), f"/far-lake/{folder}/b.parquet")
                assert bars() == [[1.0]], "as it was listed"
                passing.seconds += SAME_FOR + 0.1
                assert bars() == [[1.0], [2.0]]
                store.rm(f"/far-lake/{folder}", recursive=True)
                passing.seconds += SAME_FOR + 0.1
                gone = runner.run(asked(app, HEATMAP + "SPY"))
                assert (gone.status, gone.headers["retry-after"]) == (503, "5")
                assert "far-lake" not in gone.body.decode()
    finally:
        store.rm("/far-lake", recursive=True)


def test_what_one_worker_has_seen_of_a_lake_the_others_know(root: pathlib.Path) -> None:
    """Of a session that came while they run, and of one that was there before they were made."""
    held = numbers(64, 2)
    first, second = Held(held), Held(held)
    first.add("SPY", lakes.DAY)
    first.add("SPY", lakes.DAY)
    assert ("SPY", lakes.DAY) in second
    assert ("QQQ", lakes.DAY) not in second
    assert ("SPY", lakes.HALF_DAY) not in second
    second.add("QQQ", lakes.DAY)
    assert ("QQQ", lakes.DAY) in first
    assert int(held[0]) == 2
    for i in range(100):  # beyond what there is room for
        first.add(f"S{i}", lakes.DAY)
    assert int(held[0]) == 63
    assert ("SPY", lakes.DAY) in Held(held), "a worker that takes another's place"


def test_a_session_that_went_before_a_worker_was_made_is_missed(root: pathlib.Path) -> None:
    lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00"), [600.0])])
    lakes.write_foreign(root, "QQQ", "a.parquet", [row(at("10:00"), [600.0])])
    with running(root, "--workers", "2", at="2026-07-24T10:05") as server:
        shutil.rmtree(lakes.folder_of(root, "SPY"))
        for number in workers_of(server):
            os.kill(number, signal.SIGKILL)
        wait_for(lambda: server.get("/health").status, lambda status: status == 200)
        assert [server.get(HEATMAP + "SPY").status for _ in range(6)] == [503] * 6
        assert server.get(HEATMAP + "IWM").json()["bars"] == []
        shutil.move(root, root.with_name("away"))
        for path in ("/health", "/replay/sessions", HEATMAP + "IWM"):
            gone = server.get(path)
            assert (gone.status, gone.error) == (503, "no_lake"), path
        shutil.move(root.with_name("away"), root)
        assert server.get("/health").status == 200


def test_an_offset_whose_plus_is_not_escaped_is_understood(server: Running) -> None:
    for text in ("2026-07-24T10:10:00-04:00", "2026-07-24T14:10:00+00:00", "2026-07-24T14:10:00.000Z"):
        got = server.get(f"{HEATMAP}CORRECT?as_of={text}&known_at={text}")
        assert got.json()["as_of"] == "2026-07-24T14:10:00Z", text
    assert server.get(HEATMAP + "CORRECT", as_of="2026-07-24 10:10").json()["as_of"] == "2026-07-24T14:10:00Z"


def test_the_clock_is_set_to_the_latest_that_there_is(server: Running) -> None:
    told = server.ask(CLOCK, "POST", body={"at": "latest"}).json()
    assert told["now"] == "2026-11-27T18:00:00Z", "the close of the lake's last session"
    server.ask(CLOCK, "POST", body={"at": "2026-07-24T10:10"})
