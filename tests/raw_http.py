"""Requests as bytes, to a server that is to bear them: what goes out is what is written, and answers are read apart."""

from __future__ import annotations

import pathlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from replay.server import connection
from tests import lakes, second_method
from tests.server import CLOCK, HEATMAP, Answer, Running, running

HIDDEN = "no client is to read this"
AT = "2026-07-24T11:00"
HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
NOSNIFF = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def machine(root: pathlib.Path) -> pathlib.Path:
    """A folder with a lake, runs, and beside them what is nobody's to read."""
    rng = lakes.dice("hardening")
    rows = [lakes.some_row(rng, lakes.at("10:00") + i * 20 * lakes.SECOND, [598.0, 599.0, 600.5]) for i in range(180)]
    lakes.write_own(root / "lake", "SPY", rows)
    for name in ("runs/one", "other"):
        (root / name).mkdir(parents=True)
        (root / name / "run.json").write_text(f'{{"note": "{HIDDEN}"}}', encoding="utf-8")
    for name in ("secret.txt", "runs/secret.txt"):
        (root / name).write_text(HIDDEN, encoding="utf-8")
    return root


@contextmanager
def served(folder: pathlib.Path) -> Iterator[Running]:
    """A server on such a folder."""
    log = str(folder / "access.log")
    with running(folder / "lake", "--runs", str(folder / "runs"), "--access-log", log, at=AT) as server:
        yield server


@contextmanager
def unharmed(server: Running, folder: pathlib.Path) -> Iterator[Running]:
    """The server, which answers after what is done to it as it did before, and has not failed meanwhile."""
    before = server.get(CLOCK).json()
    yield server
    assert server.get(CLOCK).json() == before
    lake = second_method.SecondLake(folder / "lake")
    assert server.get(HEATMAP + "SPY").json() == second_method.body(lake, "SPY", lakes.at("11:00"))
    assert server.process.poll() is None
    assert "Traceback" not in server.stderr()


def sent(port: int, data: bytes, *, half: bool = False, seconds: float = 10.0) -> bytes:
    """All that comes back for some bytes until the server ends the connection; ``half``: no more are to come."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        got = b""
        try:
            client.sendall(data)
            if half:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(1 << 20):
                got += part
        except (ConnectionResetError, BrokenPipeError):  # it refused to read on
            pass
        return got


def parsed(raw: bytes, head_only: bool = False) -> list[Answer]:
    """The answers in what came back, each whole."""
    found = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z -]+", status), status
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), lines
        code = int(status.split()[1])
        length = 0 if head_only or code in (100, 304) else int(headers["content-length"])
        assert len(raw) >= length, (status, headers, raw)
        found.append(Answer(code, headers, raw[:length]))
        raw = raw[length:]
    return found


def asked(server: Running, target: bytes, *lines: bytes, method: bytes = b"GET", body: bytes = b"") -> Answer:
    """The one answer to a request whose target and headers go out as they are."""
    head = b"%b %b HTTP/1.1\r\n%bConnection: close\r\n%b\r\n" % (method, target, HOST, b"".join(lines))
    (answer,) = parsed(sent(server.port, head + body), head_only=method == b"HEAD")
    return answer


def tells_nothing(answer: Answer, folder: pathlib.Path) -> None:
    """Nothing of the machine stands in an answer: no path of it, no file's text, no trace of code."""
    text = answer.body + repr(answer.headers).encode()
    package = str(pathlib.Path(connection.__file__).parent.parent)
    for each in (
        HIDDEN,
        str(folder),
        package,
        "site-packages",
        "Traceback",
        "secret.txt",
        "root:x:",
        str(pathlib.Path.home()),
    ):
        assert each.encode() not in text, (each, answer)


def sound(answer: Answer, *statuses: int) -> None:
    """An answer of one of these statuses, with what protects a browser, and a body of its kind."""
    assert answer.status in statuses, answer
    assert NOSNIFF.items() <= dict(answer.headers).items(), answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if answer.status >= 400 and answer.body:
        told = answer.json()
        assert (told["status"], list(told)) == ("ERROR", ["status", "error", "message"])
