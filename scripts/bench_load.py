"""Clients that ask a server over and over, and bare servers to measure it against; each in a process of its own.

python -m scripts.bench_load ask PORT CLIENTS SECONDS < paths.json    lists of paths, asked for by turns
python -m scripts.bench_load hello                                    a bare application of a few bytes
python -m scripts.bench_load file FILE                                one that reads a file for each request
"""

from __future__ import annotations

import asyncio
import itertools
import json
import pathlib
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, cast

import uvicorn

HELLO: Final = b'{"hello":"world"}'
MOST: Final = 2_000_000
"""Requests after which clients stop, whatever time is left."""
PATIENCE: Final = 30.0
"""Seconds after which an answer that has not come counts as an error."""


class Client(asyncio.Protocol):
    """One connection that is kept, with one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._awaited = -1  # bytes of the answer, head included, once its head is there
        self._kind = 0
        self._begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        asked = self._load.following()
        self._buffer.clear()
        self._awaited = -1
        if asked is None:
            self._transport.close()
            return
        self._kind, request = asked
        self._begun = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._awaited < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            self._awaited = end + 4 + length
        if len(self._buffer) >= self._awaited:
            right = self._buffer.startswith(b"HTTP/1.1 200 ") and len(self._buffer) == self._awaited
            self._load.told(self._kind, time.perf_counter() - self._begun, right, self._awaited)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._load.ended(lost=self._awaited >= 0 or bool(self._buffer) or not self._load.over)


class Load:
    """What all clients of a run ask, and what came of it."""

    def __init__(self, paths: list[list[str]], clients: int, seconds: float) -> None:
        self._paths = [itertools.cycle(each) for each in paths]
        self._turn = itertools.count()
        self._unique = itertools.count(1)
        self._left = clients
        self._until = time.perf_counter() + seconds
        self.done = asyncio.Event()
        self.seconds: list[list[float]] = [[] for _ in paths]
        self.errors = 0
        self.nbytes = 0

    @property
    def over(self) -> bool:
        """Whether the time, or the most requests, have passed."""
        return time.perf_counter() >= self._until or sum(map(len, self.seconds)) >= MOST

    def following(self) -> tuple[int, bytes] | None:
        """The next request and the list it is from; ``{n}`` in a path becomes a number that no other has."""
        if self.over:
            return None
        kind = next(self._turn) % len(self._paths)
        path = next(self._paths[kind])
        if "{n}" in path:
            path = path.replace("{n}", f"{next(self._unique):06}")
        return kind, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def told(self, kind: int, seconds: float, right: bool, nbytes: int) -> None:
        """An answer has come whole."""
        self.seconds[kind].append(seconds)
        self.nbytes += nbytes
        self.errors += not right

    def ended(self, *, lost: bool) -> None:
        """A connection has ended."""
        self.errors += lost
        self._left -= 1
        if self._left == 0:
            self.done.set()


async def _ask(port: int, clients: int, seconds: float, paths: list[list[str]]) -> dict[str, Any]:
    load, loop = Load(paths, clients, seconds), asyncio.get_running_loop()
    begun = time.perf_counter()
    for _ in range(clients):
        await loop.create_connection(lambda: Client(load), "127.0.0.1", port)
    try:
        await asyncio.wait_for(load.done.wait(), seconds + PATIENCE)
    except TimeoutError:
        load.errors += load._left
    took = time.perf_counter() - begun
    every = sorted(itertools.chain.from_iterable(load.seconds))
    return {
        "clients": clients,
        "seconds": took,
        "requests": len(every),
        "errors": load.errors,
        "per_s": len(every) / took,
        "mb_per_s": load.nbytes / took / 1e6,
        **_spread(every),
        "kinds": [{"requests": len(each), **_spread(sorted(each))} for each in load.seconds],
    }


def _spread(ascending: list[float]) -> dict[str, float]:
    """p50, p99 and the longest, in milliseconds."""
    if not ascending:
        return {}
    at = min(len(ascending) - 1, int(len(ascending) * 0.99))
    found = {"p50_ms": statistics.median(ascending), "p99_ms": ascending[at], "max_ms": ascending[-1]}
    return {name: value * 1e3 for name, value in found.items()}


def _bare(answers: Iterator[bytes]) -> None:
    """Serve bytes under uvicorn as `replay serve` runs it, on a free port, which is printed."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001
        body = next(answers)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    bound = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(bound.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[bound])


def main() -> None:
    kind, *given = sys.argv[1:]
    if kind == "hello":
        _bare(itertools.repeat(HELLO))
    elif kind == "file":
        path = pathlib.Path(given[0])
        _bare(path.read_bytes() for _ in itertools.count())
    else:
        import uvloop

        port, clients, seconds = int(given[0]), int(given[1]), float(given[2])
        print(json.dumps(uvloop.run(_ask(port, clients, seconds, json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
