"""Bodies over HTTP: compressed as asked, not sent again, kept within a bound, made once, and never of an older lake."""

from __future__ import annotations

import asyncio
import gzip
import pathlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replay
from replay.server.answers import Bodies
from tests import lakes
from tests.lakes import HALF_DAY, MINUTE, SECOND, at, row
from tests.second_method import utc_text
from tests.server import HEATMAP, Answer, Local, Time, asked

METRICS = ("gex", "dex", "vex", "chex", "oi", "signed_flow")


@pytest.fixture(scope="module")
def local(nasty: lakes.Nasty) -> Iterator[Local]:
    with Local(nasty.root, "2026-07-24T10:00") as server:
        yield server


class Watched:
    """A lake whose heatmaps are counted, and made as one is told."""

    def __init__(self, lake: replay.Lake, make: Any) -> None:
        self._lake = lake
        self.heatmap = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lake, name)


def test_a_fault_of_the_server_is_told_as_json_without_its_reason(
    nasty: lakes.Nasty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Local(nasty.root, time=Time()) as server:

        def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("the secret reason")

        monkeypatch.setattr(server.service, "lake", Watched(server.lake, broken))
        with caplog.at_level("ERROR"):
            got = server.get(HEATMAP + "CORRECT")
    assert (got.status, got.error) == (500, "internal_error")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert b"secret" not in got.body
    assert "the secret reason" in caplog.text


# --- compression

BIG = HEATMAP + "CORRECT?minutes=390"


def decoded(got: Answer) -> bytes:
    encoding = got.headers.get("content-encoding")
    if encoding == "gzip":
        return gzip.decompress(got.body)
    return bytes(brotli.decompress(got.body)) if encoding == "br" else got.body


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        (None, {None}), ("", {None}), ("identity", {None}), ("deflate, zstd", {None}), ("gzip", {"gzip"}),
        ("GZip", {"gzip"}), ("br", {"br"}), ("gzip, deflate, br", {"gzip", "br"}), ("gzip;q=0", {None}),
        ("gzip; q=0.0", {None}), ("gzip;q=0, br;q=0", {None}), ("br;q=0.1, gzip;q=0.9", {"gzip"}),
        ("br;q=0.9,gzip;q=0.1", {"br"}), ("*", {"gzip", "br"}), ("*;q=0", {None}), ("gzip;q=0, *", {"br", None}),
        ("br;q=0, *;q=0.5", {"gzip"}), ("identity;q=0, gzip", {"gzip"}), ("gzip;q=x", {None}),
        ("identity;q=1, gzip;q=0.5", {None}), ("identity;q=0.5, gzip;q=1", {"gzip"}), ("identity, *;q=0", {None}),
        ("gzip;q=nan, br", {"br"}), (",,;q=1,", {None}),
    ],
)  # fmt: skip
def test_a_body_is_compressed_as_it_is_asked_for(local: Local, accepted: str | None, wanted: set[str | None]) -> None:
    plain = local.get(BIG)
    got = local.get(BIG, {} if accepted is None else {"Accept-Encoding": accepted})
    encoding = got.headers.get("content-encoding")
    assert encoding in wanted
    assert decoded(got) == plain.body
    assert "accept-encoding" in got.headers["vary"].lower()
    assert int(got.headers["content-length"]) == len(got.body)
    assert (got.headers["etag"] == plain.headers["etag"]) == (encoding is None), "another body, another tag"
    if encoding is not None:
        assert len(got.body) < len(plain.body) * 0.7


def test_a_small_body_is_not_compressed(local: Local) -> None:
    got = local.get(HEATMAP + "NONE", {"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in got.headers
    assert got.json()["bars"] == []


# --- ETag


@pytest.mark.parametrize("accepted", ["identity", "gzip", "br"])
def test_who_has_a_body_is_not_sent_it_again(local: Local, accepted: str) -> None:
    got = local.get(BIG, {"Accept-Encoding": accepted})
    tag = got.headers["etag"]
    assert tag.startswith('"')
    for held in (tag, f"W/{tag}", f'"other", {tag}', f'{tag} , "x"'):
        again = local.get(BIG, {"Accept-Encoding": accepted, "If-None-Match": held})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag), held
        assert again.headers["vary"] == "Accept-Encoding"
        assert again.headers["cache-control"] == got.headers["cache-control"]
        assert "content-encoding" not in again.headers
    for held in ('"other"', tag[:-2] + '"', tag[1:-2], '""', f'"{tag.strip(chr(34))}-zip"'):
        again = local.get(BIG, {"Accept-Encoding": accepted, "If-None-Match": held})
        assert (again.status, again.body) == (200, got.body), held


def test_another_request_has_another_tag(local: Local, nasty: lakes.Nasty) -> None:
    queries: list[dict[str, Any]] = [
        *({"metric": each} for each in METRICS[1:]), {}, {"mode": "delta"}, {"minutes": 59}, {"gaps": 1},
        {"as_of": "2026-07-24T10:00:00.000001"}, {"known_at": "latest"}, {"tier": "raw"}, {"tier": "1m"},
    ]  # fmt: skip
    tags = [local.get(HEATMAP + "CORRECT", **query).headers["etag"] for query in queries]
    tags += [local.get(HEATMAP + "DRIFT").headers["etag"]]
    assert len({*tags}) == len(tags)
    again = local.get(HEATMAP + "CORRECT", as_of="2026-07-24T14:00Z", metric="gex").headers["etag"]
    assert again == tags[5], "the same moment said otherwise"
    with Local(nasty.root) as other:
        assert other.get(HEATMAP + "CORRECT").headers["etag"] == tags[5], "another worker says the same"


# --- the cache


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(0, 40_000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9_000)), max_size=60),
)
def test_bodies_are_bounded_in_bytes_and_the_least_used_go_first(
    limit: int, steps: list[tuple[bool, int, int]]
) -> None:
    bodies, model = Bodies(limit), OrderedDict[int, bytes]()
    for number, (put, key, size) in enumerate(steps):
        if put:
            body_ = bytes([number % 256]) * size
            bodies.put(key, body_)
            if size + 1024 <= limit // 4:
                model.pop(key, None)
                model[key] = body_
        else:
            got = bodies.get(key)
            if got is not None:
                assert got == model[key], "never another key's, nor an older one"
                model.move_to_end(key)
        while sum(len(each) + 1024 for each in model.values()) > limit:
            model.popitem(last=False)
        assert bodies.nbytes <= limit
        assert bodies.nbytes >= sum(len(each) for each in model.values())
    for key in range(10):
        assert bodies.get(key) == model.get(key)


def test_what_a_body_is_kept_under_does_not_grow_with_the_files_of_its_session(root: pathlib.Path) -> None:
    """A session of many files: they are listed on a thread, and no list of them is kept beside each body."""
    for i in range(60):
        lakes.write_foreign(root, "SPY", f"{i:03}.parquet", [row(at("10:00") + i * MINUTE, [600.0], lag=0)])
    with Local(root, "2026-07-24T11:30", time=Time()) as server:
        first = server.get(HEATMAP + "SPY")
        assert len(first.json()["bars"]) == 30
        assert server.get(HEATMAP + "SPY", {"If-None-Match": first.headers["etag"]}).status == 304
        lakes.write_foreign(root, "SPY", "new.parquet", [row(at("11:15"), [600.0], lag=0)])
        assert len(server.get(HEATMAP + "SPY").json()["bars"]) == 31
        kept = server.service.answers.bodies._kept
        assert len(kept) == 2
        assert all(isinstance(key, str) and len(key) < 50 for key in kept)


def test_the_servers_cache_stays_within_its_bound(nasty: lakes.Nasty) -> None:
    limit = 100_000
    with Local(nasty.root, time=Time(), cache_bytes=limit) as server:
        for i in range(120):
            encoding = ("identity", "gzip", "br")[i % 3]
            as_of = utc_text(at("09:35") + i * SECOND)
            assert server.get(HEATMAP + "CORRECT", {"Accept-Encoding": encoding}, as_of=as_of).status == 200
            assert server.service.answers.bodies.nbytes <= limit
        assert server.service.answers.bodies.nbytes > limit // 2


@pytest.mark.parametrize(("symbol", "status"), [("CORRECT", 200), ("ALLLEGACY", 400)])
def test_the_same_request_at_once_is_computed_once(nasty: lakes.Nasty, symbol: str, status: int) -> None:
    made: list[str] = []
    lock = threading.Lock()
    with Local(nasty.root, time=Time()) as server:

        def slow(name: str, *arguments: Any, **options: Any) -> Any:
            with lock:
                made.append(name)
            time.sleep(0.1)
            return server.lake.heatmap(name, *arguments, **options)

        server.service.lake = Watched(server.lake, slow)  # type: ignore[assignment]  # what is asked of it is there

        async def together() -> list[Answer]:
            plain = [asked(server.app, HEATMAP + symbol, at="2026-07-24T10:05") for _ in range(12)]
            packed = [
                asked(server.app, HEATMAP + symbol, at="2026-07-24T10:05", headers={"Accept-Encoding": "gzip"})
                for _ in range(12)
            ]
            other = asked(server.app, HEATMAP + "DRIFT")
            return await asyncio.gather(*plain, *packed, other)

        *got, other = server.run(together())
        assert {each.status for each in got} == {status}
        assert len({decoded(each) for each in got}) == 1
        assert other.json()["symbol"] == "DRIFT"
        assert sorted(made) == sorted([symbol, "DRIFT"])
        server.get(HEATMAP + symbol, at="2026-07-24T10:05")
        assert made.count(symbol) == (1 if status == 200 else 2), "a body is kept, an error is not"


# --- a lake that changes


def values(got: Answer) -> list[list[Any]]:
    return [bar["values"] for bar in got.json()["bars"]]


def test_what_is_added_replaced_or_corrected_shows_at_once(root: pathlib.Path) -> None:
    first = row(at("10:00"), [600.0], gex=[1.0])
    path = lakes.write_foreign(root, "SPY", "a.parquet", [first])
    with Local(root, "2026-07-24T10:30") as server:
        encodings = {"Accept-Encoding": "gzip"}

        def shown(**query: Any) -> list[list[Any]]:
            got = server.get(HEATMAP + "SPY", **query)
            packed = server.get(HEATMAP + "SPY", encodings, **query)
            assert decoded(packed) == got.body
            tags.append(got.headers["etag"])
            for tag in tags[:-1]:
                again = server.get(HEATMAP + "SPY", {"If-None-Match": tag}, **query)
                assert again.status == (304 if tag == tags[-1] else 200)
            return values(got)

        tags: list[str] = []
        assert shown() == [[1.0]]
        lakes.write_foreign(root, "SPY", "b.parquet", [row(at("10:01"), [600.0], gex=[2.0])])
        assert shown() == [[1.0], [2.0]]
        late = row(at("10:00"), [600.0], lag=600 * SECOND, gex=[3.0])
        lakes.write_foreign(root, "SPY", "c.parquet", [late])
        assert shown() == [[3.0], [2.0]]
        assert shown(known_at="2026-07-24T10:09") == [[1.0], [2.0]]
        partial = lakes.write_foreign(root, "SPY", "a.partial", [row(at("10:00"), [600.0], lag=SECOND, gex=[4.0])])
        partial.replace(path)
        assert shown(known_at="2026-07-24T10:09") == [[4.0], [2.0]]
        lakes.folder_of(root, "SPY").joinpath("b.parquet").unlink()
        assert shown() == [[3.0]]
        lakes.write_own(root, "QQQ", [row(at("10:02"), [500.0], gex=[5.0])])
        assert values(server.get(HEATMAP + "QQQ")) == [[5.0]]
        lakes.write_own(root, "SPY", [row(at("10:02", HALF_DAY), [500.0], gex=[6.0])], date=HALF_DAY)
        assert values(server.get(HEATMAP + "SPY", at=f"{HALF_DAY}T10:05")) == [[6.0]]


def test_files_that_are_gone_or_broken_are_503_that_names_none_and_come_back(
    root: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = lakes.write_foreign(root, "SPY", "a.parquet", [row(at("10:00"), [600.0], gex=[1.0])])
    kept = path.read_bytes()
    with Local(root, "2026-07-24T10:30") as server:
        for broken in (None, b"", b"PAR1", kept[: len(kept) // 2], kept[:-1]):
            assert values(server.get(HEATMAP + "SPY")) == [[1.0]]
            path.unlink()
            if broken is not None:
                path.write_bytes(broken)
            got = server.get(HEATMAP + "SPY")
            assert got.status == 503
            assert int(got.headers["retry-after"]) > 0
            assert got.json()["status"] == "ERROR"
            assert str(root) not in got.body.decode()
            assert "a.parquet" not in got.body.decode()
            path.write_bytes(kept)
        moved = root.rename(root.with_name("elsewhere"))
        assert server.get(HEATMAP + "SPY").status == 503
        assert server.get("/health").status == 503
        assert server.get(HEATMAP + "NONE").status == 503
        moved.rename(root)
        assert values(server.get(HEATMAP + "SPY")) == [[1.0]]
        assert server.get("/health").status == 200
    assert str(root) in caplog.text, "whoever runs it is told which"
