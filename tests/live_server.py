"""A server on this machine that answers like the live endpoint, from a lake or as it is told."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.second_method import SecondLake, body, utc_text


@dataclass(frozen=True)
class Asked:
    """One request: its path, its parameters, its headers by lower-case name."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A running server: its address, what it was asked, and answers that come before the usual one, in order."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    first: list[Answer] = field(default_factory=list)


def from_lake(lake: SecondLake, clock: Callable[[], int]) -> Callable[[Asked], Answer]:
    """The contract's answers from a lake at a clock's time, to whole milliseconds."""

    def reply(asked: Asked) -> Answer:
        symbol = asked.path.rpartition("/")[2]
        now = clock() // 1000 * 1000
        made = body(lake, symbol, now, None, asked.query["metric"], "raw", int(asked.query["minutes"]))
        return Answer(made | {"as_of": utc_text(now)})

    return reply


@contextmanager
def serving(reply: Callable[[Asked], Answer]) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write an answer: two would wait for each other

        def do_GET(self) -> None:  # the base names it
            path, _, query = self.path.partition("?")
            asked = Asked(path, dict(urllib.parse.parse_qsl(query)), {k.lower(): v for k, v in self.headers.items()})
            server.asked.append(asked)
            answer = server.first.pop(0) if server.first else reply(asked)
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Server(f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
