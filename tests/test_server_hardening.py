"""Symbols, paths, queries and headers that no good client sends: refused or borne, and nothing of the machine told."""

from __future__ import annotations

import itertools
import pathlib
import re
import urllib.parse
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import lakes, second_method
from tests.raw_http import asked, machine, parsed, sent, served, sound, tells_nothing, unharmed
from tests.server import CLOCK, HEATMAP, SERIES, STRIKE_FLOW, Running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the server has."""
    return machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def server(folder: pathlib.Path) -> Iterator[Running]:
    """A server as it is started."""
    with served(folder) as found:
        yield found


@pytest.fixture
def well(server: Running, folder: pathlib.Path) -> Iterator[Running]:
    """The server, which is well after a test."""
    with unharmed(server, folder) as found:
        yield found


SYMBOLS = {
    "../../etc/passwd": "../../ETC/PASSWD",
    "..%2f..%2f..%2fetc/passwd": "..%2F..%2F..%2FETC/PASSWD",
    "/etc/passwd": "/ETC/PASSWD",
    "C:\\WINDOWS\\system.ini": "C:\\WINDOWS\\SYSTEM.INI",
    "SPY'; drop": "SPY'; DROP",
    "SPY'; DROP TABLE t; --": "SPY'; DROP TABLE T; --",
    "*": "*",
    "SPY*": "SPY*",
    "\0": "\0",
    "SPY\0": "SPY\0",
    "ﬁ": "ﬁ",
    "ſpy": "ſPY",
    "日経": "日経",
    "💥" * 500: "💥" * 500,
    "A" * 10_000: "A" * 10_000,
    "%s%n{0}": "%S%N{0}",
    ".": ".",
    "date=2026-07-24": "DATE=2026-07-24",
}


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda each: ascii(each[:16]))
def test_a_symbol_that_is_none_matches_no_data(well: Running, folder: pathlib.Path, symbol: str) -> None:
    quoted = urllib.parse.quote(symbol, safe="").encode()
    answer = asked(well, HEATMAP.encode() + quoted)
    sound(answer, 200)
    told = answer.json()
    assert (told["symbol"], told["strikes_grid"], told["bars"]) == (SYMBOLS[symbol], [], [])
    for path in (SERIES, STRIKE_FLOW):
        assert asked(well, path.encode() + quoted).json()["bars"] == []
    if "/" not in symbol:
        sound(asked(well, b"/replay/tape/%b?date=2026-07-24" % quoted), 200)
    for path in (HEATMAP, SERIES, STRIKE_FLOW, "/replay/table/"):
        tells_nothing(asked(well, path.encode() + quoted), folder)


@pytest.mark.parametrize("symbol", [b"%FF", b"%C0%AE%C0%AE", b"%ED%A0%80", b"%F8%88%80%80%AF", b"SPY%FF"])
def test_bytes_that_are_no_text_match_no_data(well: Running, symbol: bytes) -> None:
    answer = asked(well, HEATMAP.encode() + symbol)
    sound(answer, 200)
    told = answer.json()
    assert told["bars"] == []
    assert "�" in told["symbol"]
    answer.body.decode("utf-8")


def test_a_symbol_of_several_lines_makes_no_header(well: Running) -> None:
    answer = asked(well, HEATMAP.encode() + b"SPY%0d%0aX-Made:%20up")
    sound(answer, 200)
    assert (answer.json()["symbol"], answer.json()["bars"]) == ("SPY\r\nX-MADE: UP", []), "matches no data"
    assert "x-made" not in answer.headers


def test_minutes_that_are_odd(well: Running, folder: pathlib.Path) -> None:
    lake = second_method.SecondLake(folder / "lake")
    for given_, minutes in {"-5": 1, "0": 1, "1000000000": 390, "9" * 50_000: 390, "+7": 7, "007": 7}.items():
        answer = asked(well, f"{HEATMAP}SPY?minutes={urllib.parse.quote(given_)}".encode())
        assert answer.json() == second_method.body(lake, "SPY", lakes.at("11:00"), minutes=minutes)
    for wrong in ("1e9", "NaN", "inf", "", "%00", "5%00", "60.0", "0x10", "%D9%A5", "true", "5;drop", "5&minutes=6"):
        answer = asked(well, f"{HEATMAP}SPY?minutes={wrong}".encode())
        sound(answer, 400)
        assert answer.error == "invalid_minutes"


@pytest.mark.parametrize(
    "name", ["metric", "mode", "bar", "as_of", "known_at", "tier", "gaps", "share", "oi", "conventions"]
)
def test_parameters_given_twice_are_refused(well: Running, name: str) -> None:
    right = {"metric": "gex", "mode": "raw", "bar": "1m", "tier": "raw", "gaps": "1", "share": "1", "oi": "settled"}
    value = right.get(name, "2026-07-24T10:30")
    answer = asked(well, f"{HEATMAP}SPY?{name}={value}&{name}={value}".encode())
    sound(answer, 400)
    assert "once is right" in answer.json()["message"]


PATHS = (
    HEATMAP,
    SERIES,
    STRIKE_FLOW,
    "/replay/tape/",
    "/replay/table/",
    "/replay/runs/",
    "/page/",
    "/docs/",
    "/",
    "//",
)


QUERY = (
    *("metric", "mode", "bar", "minutes", "as_of", "at", "known_at", "tier", "gaps", "oi", "share", "conventions"),
    *("date", "symbol", "apiKey", "since", "x"),
)


WORDS = (
    *("SPY", "gex", "raw", "delta", "1m", "30s", "60", "-5", "1e9", "NaN", "-inf", "latest", "2026-07-24", "effective"),
    *("2026-07-24T10:30", "9999-12-31T23:59:59.999999Z", "0001-01-01", "2026-11-01T01:30", "../..", "%", "replay-1"),
)


anything = st.one_of(st.sampled_from(WORDS), st.text(max_size=12), st.binary(max_size=12))


quoted = st.one_of(
    anything.map(lambda each: urllib.parse.quote(each if isinstance(each, bytes) else each.encode(), safe="").encode()),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=20).map(str.encode),
)


headers = st.lists(
    st.tuples(
        st.sampled_from([b"Accept-Encoding", b"If-None-Match", b"Last-Event-ID", b"X-Api-Key", b"Range", b"Origin",
                         b"Content-Type", b"Accept", b"Cookie", b"X-Forwarded-For", b"X-Forwarded-Host", b"TE"]),
        st.one_of(
            st.sampled_from([b"gzip;q=nan, br;q=inf", b"*", b"br;q=-1;q=2,,;", b'W/"x", *', b"bytes=0-5", b"null"]),
            st.binary(max_size=30).map(lambda each: re.sub(rb"[\0-\x1f\x7f]", b"?", each)),
        ),
    ),
    max_size=4,
)  # fmt: skip


bounded = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@bounded
@given(
    path=st.sampled_from(PATHS),
    tail=quoted,
    query=st.lists(st.tuples(st.sampled_from(QUERY), quoted), max_size=5),
    lines=headers,
    method=st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"]),
)
def test_paths_queries_and_headers_at_random(
    well: Running,
    folder: pathlib.Path,
    path: str,
    tail: bytes,
    query: list[tuple[str, bytes]],
    lines: list[tuple[bytes, bytes]],
    method: bytes,
) -> None:
    target = path.encode() + tail + (b"?" if query else b"")
    target += b"&".join(name.encode() + b"=" + value for name, value in query)
    answer = asked(well, target, *(name + b": " + value + b"\r\n" for name, value in lines), method=method)
    if answer.headers.get("content-type", "").startswith("text/plain"):  # what the parser of HTTP refuses
        assert answer.status == 400
    else:
        sound(answer, 200, 304, 400, 404, 405)
    tells_nothing(answer, folder)


FILES = (
    *(
        "..%2fsecret.txt",
        "..%2F..%2Fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..%5csecret.txt",
        "%2fetc%2fpasswd",
        "secret.txt",
    ),
    *("index.html%00.txt", "%00", "..%00", "one%2f..%2fsecret.txt", "%252e%252e%252fsecret.txt", "..%c0%afsecret.txt"),
    *(
        "../secret.txt",
        "../../secret.txt",
        "./",
        "..",
        ".",
        "file:%2f%2f%2fetc%2fpasswd",
        "..;%2fsecret.txt",
        "*",
        "other",
    ),
    *(
        "..%2fother",
        "%2e%2e%2fother",
        "app.py",
        "..%2fapp.py",
        "..%2fpages.py",
        "__init__.py",
        "one%2frun.json",
        "~root",
    ),
)


def test_no_file_is_read_by_a_name_that_is_none_of_a_pages(well: Running, folder: pathlib.Path) -> None:
    everywhere = {str(folder / "secret.txt"), "/etc/passwd"}
    names = [*FILES, *(urllib.parse.quote(each, safe="") for each in everywhere), *everywhere]
    for name, below in itertools.product(names, ("/page/", "/docs/", "/replay/runs/")):
        query = "?symbol=SPY&date=2026-07-24" if "runs" in below else ""
        target = f"{below}{name}{query}".encode()
        answer = asked(well, target)
        sound(answer, 400, 404)
        if answer.status == 404:
            assert answer.body.count(b"/") == 0
            tells_nothing(answer, folder)
        else:
            assert answer.json()["message"] == f"there is no run {urllib.parse.unquote(name)!r}; there are one"
    told = asked(well, b"/replay/runs/one?symbol=SPY&date=2026-07-24")
    sound(told, 400)
    tells_nothing(told, folder)
    assert asked(well, b"/replay/runs").json() == {"runs": []}


def test_headers_that_protect_a_browser(well: Running) -> None:
    pages = {path: asked(well, path.encode()) for path in ("/", "/docs", "/docs/swagger-ui.css")}
    for answer in pages.values():
        sound(answer, 200)
        policy = answer.headers["content-security-policy"]
        for rule in (
            "script-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ):
            assert rule in policy
        assert "unsafe-eval" not in policy
        assert "http" not in policy
        assert "script-src 'self' 'unsafe" not in policy
    assert "unsafe" not in pages["/"].headers["content-security-policy"]
    for path in (HEATMAP + "SPY", "/health", "/openapi.json", CLOCK, "/none", "/replay/sessions", SERIES + "SPY?bar=x"):
        answer = asked(well, path.encode())
        sound(answer, 200, 400, 404)
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    for host in (
        b"evil.example",
        b"127.0.0.1.evil.example",
        b"evil.example:8787",
        b"[::2]",
        b"localhost@evil.example",
        b"",
    ):
        request = b"GET /health HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host
        (answer,) = parsed(sent(well.port, request))
        sound(answer, 400)
        assert answer.error == "invalid_host"


def test_a_slash_too_many_is_nothing(well: Running) -> None:
    """No status that is not in the document, and no address made of what a client called the host."""
    for path in (
        b"/v1/flow/zero-dte/heatmap/",
        b"/replay/stream/",
        b"/health/",
        b"/replay/clock/",
        b"/replay/sessions/",
        b"/replay/runs/",
    ):
        sound(asked(well, path), 404)
