"""Connections that no good client makes: heads, bodies and bytes that are none, and clients that are slow or leave."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from replay.server import connection
from tests import lakes, second_method
from tests.raw_http import AT, HOST, JSON, NOSNIFF, asked, machine, parsed, sent, served, sound, tells_nothing, unharmed
from tests.server import CLOCK, HEATMAP, STREAM, Running

REQUEST_SECONDS, WRITE_SECONDS = 0.6, 0.6
_IMPATIENT = f"""
import socket, sys
from replay.cli import main
from replay.server import connection, serving
connection.REQUEST_SECONDS, connection.WRITE_SECONDS = {REQUEST_SECONDS}, {WRITE_SECONDS}
listen = serving.listen
def listen_briefly(host, port):
    made = listen(host, port)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
    return made
serving.listen = listen_briefly
main(sys.argv[1:])
"""
"""A server whose patience is short, and whose sockets hold little of what a client does not read."""


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


@pytest.fixture(scope="module")
def impatient(folder: pathlib.Path) -> Iterator[int]:
    """The port of a server of little patience."""
    command = [sys.executable, "-c", _IMPATIENT, "serve", "--lake", str(folder / "lake"), "--at", AT, "--port", "0"]
    with subprocess.Popen([*command, "--access-log", "off"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.match(r"serving http://127.0.0.1:(\d+)/", process.stderr.readline())
        assert found is not None
        yield int(found[1])
        process.terminate()
        assert process.wait(20) == 0


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 20), st.binary(max_size=6)), min_size=1, max_size=4),
    request=st.sampled_from(
        [
            b"GET /v1/flow/zero-dte/heatmap/SPY?minutes=5 HTTP/1.1\r\n" + HOST + b"Accept: */*\r\n\r\n",
            b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 9\r\n\r\n" + b'{"no": 1}',
            b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n9\r\n"
            + b'{"no": 1}' + b"\r\n0\r\n\r\n",
        ]
    ),
)  # fmt: skip
@example(cuts=[(0, 200, b"\0" * 30)], request=b"")
@example(cuts=[(0, 200, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")], request=b"")  # TLS
def test_requests_with_bytes_changed_at_random(
    well: Running, folder: pathlib.Path, cuts: list[tuple[int, int, bytes]], request: bytes
) -> None:
    for start, length, put in cuts:
        request = request[:start] + put + request[start + length :]
    for answer in parsed(sent(well.port, request, half=True)):
        assert answer.status in (100, 200, 400, 404, 405, 431), (request, answer)
        tells_nothing(answer, folder)


@pytest.mark.parametrize(
    "request_line",
    [b"\x00\xff\x01 garbage", b"GET", b"GET / HTTP/9.9", b"get / HTTP/1.1", b"GET /\xff HTTP/1.1", b"CONNECT a:80 HTTP/1.1",
     b"PRI * HTTP/2.0", b"GET /?metric=\xff HTTP/1.1", b"GET / HTTP/1.1 HTTP/1.1", b"GET  / HTTP/1.1\r\n"],
)  # fmt: skip
def test_a_request_line_that_is_none_is_400(well: Running, request_line: bytes) -> None:
    (answer,) = parsed(sent(well.port, request_line + b"\r\n" + HOST + b"\r\n"))
    assert (answer.status, answer.headers["connection"]) == (400, "close")


@pytest.mark.parametrize(
    "line",
    [b"X : a\r\n", b"X: a\0b\r\n", b"X: a\r\n b\r\n", b": a\r\n", b"X\r\n", b"X: a\nY: b\r\n", b"\xff: a\r\n",
     b"Content-Length: -5\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n",
     b"Content-Length: 99999999999999999999999\r\n", b"Content-Length: 0x5\r\n",
     b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, gzip\r\n",
     b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
     b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
     b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"],
)  # fmt: skip
def test_headers_that_could_be_read_in_two_ways_are_400(well: Running, line: bytes) -> None:
    """Among them what requests are smuggled with: no second request is read out of the first one's body."""
    hidden = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    raw = sent(well.port, b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + line + b"\r\n" + hidden, half=True)
    assert [each.status for each in parsed(raw)][-1:] == [400]
    assert b'"ok"' not in raw


def test_a_chunked_body_is_read(well: Running) -> None:
    body = b'2\r\n{"\r\n3;x=y\r\nno"\r\n4\r\n: 1}\r\n0\r\nA: trailer\r\n\r\n'
    answer = asked(well, CLOCK.encode(), JSON, b"Transfer-Encoding: chunked\r\n", method=b"POST", body=body)
    sound(answer, 400)
    assert "a change is an object" in answer.json()["message"]


def test_heads_at_the_limit_and_beyond(well: Running) -> None:
    def head(size: int, target: bytes = b"/health", line: bytes = b"X") -> bytes:
        start = b"GET %b HTTP/1.1\r\n%bConnection: close\r\n" % (target, HOST)
        return start + line + b": " + b"a" * (size - len(start) - len(line) - 6) + b"\r\n\r\n"

    limit = connection.HEAD_BYTES
    assert len(head(limit - 100)) == limit - 100
    (answer,) = parsed(sent(well.port, head(limit - 100)))
    sound(answer, 200)
    long = b"/health?" + b"a" * limit
    many = b"GET /health HTTP/1.1\r\n" + HOST + b"a: b\r\n" * (limit // 6) + b"\r\n"
    for beyond in (head(limit + 100), head(limit + 100)[:-4], many, b"GET %b HTTP/1.1\r\n%b\r\n" % (long, HOST), long):
        request = beyond if beyond is not long else b"GET " + long  # a line that does not end
        (answer,) = parsed(sent(well.port, request))
        assert (answer.status, answer.error, answer.headers["connection"]) == (431, "request_too_large", "close")
        assert NOSNIFF["x-content-type-options"] == answer.headers["x-content-type-options"]
    assert b" 200 " not in sent(well.port, head(5_000_000))  # refused before all of it is read, and perhaps untold


def test_large_bodies_change_nothing(well: Running) -> None:
    for size, given_ in ((20_000_000, 20_000_000), (10**14, 100_000), (10_001, 10_001)):
        head = b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n" % size
        raw = sent_and_answered(well.port, head + b"\r\n" + b" " * given_)
        assert raw.startswith(b"HTTP/1.1 400 "), raw
        assert b'"invalid_clock"' in raw
        raw = sent_and_answered(well.port, head.replace(JSON, b"") + b"\r\n" + b" " * given_)
        assert b"sent with Content-Type: application/json" in raw
    deep = b"[" * 9_000
    answer = asked(well, CLOCK.encode(), JSON, b"Content-Length: 9000\r\n", method=b"POST", body=deep)
    sound(answer, 400)


def sent_and_answered(port: int, data: bytes) -> bytes:
    """The first bytes that come back for some, of which the server need not read all."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(data)
        got = client.recv(1 << 16)
        while got.endswith(b"\r\n\r\n"):
            got += client.recv(1 << 16)
        return got


def test_a_client_that_leaves_in_its_request_is_no_fault(well: Running, folder: pathlib.Path) -> None:
    def left() -> int:
        lines = (folder / "access.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["status"] for line in lines].count(499)

    before = left()
    with socket.create_connection(("127.0.0.1", well.port)) as client:
        client.sendall(b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 50\r\n\r\n{")
        time.sleep(0.1)
    until = time.monotonic() + 5
    while left() == before and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == before + 1


def test_requests_sent_at_once_are_answered_in_their_order(well: Running, folder: pathlib.Path) -> None:
    lake = second_method.SecondLake(folder / "lake")
    minutes = [1 + i % 40 for i in range(300)]
    requests = [f"GET {HEATMAP}SPY?minutes={each} HTTP/1.1\r\n".encode() + HOST + b"\r\n" for each in minutes]
    last = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    *answers, health = parsed(sent(well.port, b"".join(requests) + last, seconds=30))
    assert health.json()["status"] == "ok"
    expected = {each: second_method.body(lake, "SPY", lakes.at("11:00"), minutes=each) for each in set(minutes)}
    for each, answer in zip(minutes, answers, strict=True):
        assert answer.json() == expected[each]


# --- slow clients


def lasted(port: int, data: bytes, drip: bytes, *, every: float = 0.1) -> float:
    """Seconds until the server ends a connection on which, after some bytes, others come drop by drop."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=every) as client:
        client.sendall(data)
        drops = iter(drip)
        while time.monotonic() < begun + 15:
            try:
                if client.recv(1 << 16) == b"":
                    break
            except TimeoutError:
                try:
                    client.sendall(bytes([next(drops, 97)]))
                except (BrokenPipeError, ConnectionResetError):
                    break
            except ConnectionResetError:
                break
        return time.monotonic() - begun


@pytest.mark.parametrize(
    ("data", "drip"),
    [
        (b"", b"GET /health HTTP/1.1\r\n"),
        (b"GET /health HTTP/1.1\r\n", b"X-Slow: "),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /health HTTP/1.1\r\n"),
        (b"POST /replay/clock HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 5000\r\n\r\n", b'{"running": false'),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n", b"a"),
        (b"GET " + STREAM.encode() + b"SPY HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n", b"a"),
    ],
    ids=["line", "headers", "second request", "body", "unread body", "body of a stream"],
)
def test_a_request_that_comes_drop_by_drop_is_ended(impatient: int, data: bytes, drip: bytes) -> None:
    took = lasted(impatient, data, drip)
    assert REQUEST_SECONDS - 0.1 < took < REQUEST_SECONDS + 5


BIG = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


def reader(port: int) -> socket.socket:
    """A client with a small buffer that has asked for much."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(BIG)
    return client


def test_readers_that_do_not_read_are_left(impatient: int) -> None:
    (whole,) = parsed(sent(impatient, BIG))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(reader(impatient)) for _ in range(20)]
        begun = time.monotonic()
        assert b'"ok"' in sent(impatient, b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert time.monotonic() - begun < 5  # nobody waits for them
        time.sleep(WRITE_SECONDS * 3)
        for client in clients:
            got = 0
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(1 << 20):
                    got += len(part)
            assert got < len(whole.body)


def test_a_reader_that_is_slow_and_steady_gets_it_all(impatient: int) -> None:
    (whole,) = parsed(sent(impatient, BIG))
    begun, got = time.monotonic(), b""
    with reader(impatient) as client:
        while part := client.recv(1 << 15):
            got += part
            time.sleep(0.03)
    assert time.monotonic() - begun > 2 * WRITE_SECONDS
    assert parsed(got)[0].body == whole.body
