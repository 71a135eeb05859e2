"""Servers to ask: ``replay serve`` in a process of its own, and its application in this one, without a socket."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from click.testing import CliRunner

import replay
from replay.cli import main
from replay.server import serving
from replay.server.answers import CACHE_BYTES, Answers
from replay.server.app import make_app
from replay.server.clock import ReplayClock
from replay.server.edge import Edge
from replay.server.held import Held
from replay.server.keys import Guard, Key
from replay.server.service import Service
from replay.server.trades import Runs
from tests import lakes

HEATMAP = "/v1/flow/zero-dte/heatmap/"
SERIES = "/v1/flow/zero-dte/series/"
STRIKE_FLOW = "/v1/flow/zero-dte/strike-flow/"
CLOCK = "/replay/clock"
STREAM = "/replay/stream/"

Headers = Mapping[str, str]
Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """What came back; ``headers`` by lower-case name."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """The body as plain values."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The code of an error."""
        return str(self.json()["error"])


def path_of(path: str, **query: Any) -> str:
    """A path with its query; a list is a parameter that is repeated."""
    return f"{path}?{urllib.parse.urlencode(query, doseq=True)}" if query else path


# --- in a process of its own


@dataclass(frozen=True)
class Running:
    """A server that runs: its address, and its process."""

    url: str
    process: subprocess.Popen[bytes]
    _stderr: Any

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def stderr(self) -> str:
        """All that it has said so far."""
        return os.pread(self._stderr.fileno(), 50_000_000, 0).decode()

    def log(self) -> list[dict[str, Any]]:
        """The lines of its access log."""
        return [json.loads(line) for line in self.stderr().splitlines() if line.startswith("{")]

    def ask(
        self, path: str, method: str = "GET", *, headers: Headers | None = None, body: Any = None, **query: Any
    ) -> Answer:
        """One request on a connection of its own; a body that is no bytes is sent as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path_of(path, **query), body, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Headers | None = None, /, **query: Any) -> Answer:
        """A GET."""
        return self.ask(path, headers=headers, **query)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Tell it to stop; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(
    root: pathlib.Path, *options: str, at: str = "2026-07-24T10:00", host: str = "127.0.0.1"
) -> Iterator[Running]:
    """``replay serve`` on a lake, on a free port, until the block ends."""
    command = [sys.executable, "-m", "replay", "serve", "--lake", str(root), "--at", at, "--port", "0", "--host", host]
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=stderr)
        server = Running("", process, stderr)
        try:
            yield Running(_address(server), process, stderr)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _address(server: Running, seconds: float = 30.0) -> str:
    """Where it says that it serves, once it is well."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        told = server.stderr()
        assert server.process.poll() is None, told
        found = re.search(r"serving (http://\S+:(\d+))/  ", told)
        if found is not None:
            url = f"http://127.0.0.1:{found[2]}"
            try:
                if Running(url, server.process, None).get("/health").status == 200:
                    return url
            except OSError:
                pass
        time.sleep(0.02)
    raise AssertionError(f"it does not serve: {server.stderr()}")


def refused(*arguments: str) -> str:
    """What ``replay`` says that refuses its arguments, with exit status 2."""
    with mock.patch.object(serving, "serve", side_effect=AssertionError("it is served")):
        done = CliRunner().invoke(main, arguments, env={"REPLAY_LAKE": None})
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    return done.stderr


# --- in this process


class Time:
    """A time that passes when it is told to: seconds of the machine, and microseconds of the wall."""

    def __init__(self, wall: int = 0) -> None:
        self.seconds = 1000.0
        self.wall = wall

    def ticks(self) -> float:
        """Seconds."""
        return self.seconds


class Local(AbstractContextManager["Local"]):
    """The application of a lake, asked on an event loop of its own; with a ``time``, its clock goes by that."""

    def __init__(
        self,
        root: pathlib.Path,
        at: int | str = "2026-07-24T10:00",
        *,
        speed: float = 0.0,
        loop: bool = False,
        time: Time | None = None,
        keys: Sequence[Key] | None = None,
        cache_bytes: int = CACHE_BYTES,
        log: Callable[[bytes], object] | None = None,
    ) -> None:
        self._runner = asyncio.Runner()
        self.lake = replay.open_lake(root)
        start = lakes.at(at[11:], dt.date.fromisoformat(at[:10])) if isinstance(at, str) else at
        settings = serving.settings_for(
            self.lake, root, at=start, speed=speed, loop=loop, keys=keys, cache_bytes=cache_bytes, log=None
        )
        self.app: Application
        if time is None and log is None:
            self.app = serving.build(settings)
            return
        given = time or Time()
        clock = ReplayClock(settings.state, settings.spans, given.ticks)
        clock.start(start, speed, loop=loop, version=1)
        guard = Guard(settings.keys, settings.counts)
        self.service = Service(
            self.lake,
            clock,
            guard,
            Answers(cache_bytes),
            Runs(None),
            Held(settings.held),
            near=True,
            wall=lambda: given.wall,
        )
        self.app = Edge(make_app(self.service), log, None if keys is None else self.service.is_key)

    def __exit__(self, *_: object) -> None:
        self._runner.close()
        self.lake.close()

    def run(self, work: Awaitable[Any]) -> Any:
        """Wait for something on the application's loop."""

        async def waited() -> Any:
            return await work

        return self._runner.run(waited())

    def ask(
        self, path: str, method: str = "GET", *, headers: Headers | None = None, body: Any = None, **query: Any
    ) -> Answer:
        """One request."""
        answer: Answer = self.run(asked(self.app, path, method, headers=headers, body=body, **query))
        return answer

    def get(self, path: str, headers: Headers | None = None, /, **query: Any) -> Answer:
        """A GET."""
        return self.ask(path, headers=headers, **query)


def scope_of(path: str, method: str, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A request as a server hands it to an application."""
    raw, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": urllib.parse.unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }


async def asked(
    app: Application, path: str, method: str = "GET", *, headers: Headers | None = None, body: Any = None, **query: Any
) -> Answer:
    """One request to an application; as :meth:`Running.ask`."""
    sent = {"Host": "127.0.0.1"} | dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    parts = [{"type": "http.request", "body": body or b"", "more_body": False}]
    got: list[Message] = []

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: Message) -> None:
        got.append(message)

    await app(scope_of(path_of(path, **query), method, list(sent.items())), receive, send)
    assert [each["type"] for each in got[:1]] == ["http.response.start"]
    names = {name.decode().lower(): value.decode("latin-1") for name, value in got[0]["headers"]}
    return Answer(got[0]["status"], names, b"".join(each.get("body", b"") for each in got[1:]))
