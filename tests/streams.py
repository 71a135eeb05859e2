"""Readers of server-sent events: one of an application in this process, and a raw one over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.server import Local, Message, Running, scope_of


@dataclass(frozen=True)
class Event:
    """One event as it came; ``number`` is its id."""

    kind: str
    number: str | None
    data: Any


def parse(text: str) -> list[Event]:
    """The events in a stream, by the rules of the HTML standard, as far as they are used; a comment is an event."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            assert name not in fields, block
            fields[name] = value.removeprefix(" ")
        if "data" in fields:
            found.append(Event(fields["event"], fields.get("id"), json.loads(fields["data"])))
        elif "" in fields:
            found.append(Event("comment", None, fields[""]))
        else:
            assert list(fields) == ["retry"]
    return found


def bars(events: list[Event]) -> list[Event]:
    """Those of bars; with them their ids are right."""
    found = [each for each in events if each.kind == "bar"]
    for each in found:
        assert each.number is not None
        assert each.number.startswith(each.data["as_of"] + "/")
    return found


# --- a reader in this process


class Reader:
    """Reads a stream of an application and knows when it has all that there is yet."""

    def __init__(self, server: Local, path: str, headers: dict[str, str]) -> None:
        self._idle, self._go, self._gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open = asyncio.Event()  # it takes what comes
        self.open.set()
        self.start: Message = {}
        self.chunks: list[bytes] = []
        self.pauses = 0
        sent = [("Host", "127.0.0.1"), *headers.items()]
        self.task = asyncio.ensure_future(server.app(scope_of(path, "GET", sent), self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.chunks.append(message.get("body", b""))
            await self.open.wait()

    async def pause(self, _: float) -> None:
        """What the stream does in place of sleeping."""
        self.pauses += 1
        self._idle.set()
        await self._go.wait()
        self._go.clear()

    async def take(self) -> list[Event]:
        """What has come since the last time."""
        idle = asyncio.ensure_future(self._idle.wait())
        await asyncio.wait({idle, self.task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert self._idle.is_set() or self.task.done(), "it neither ends nor waits"
        idle.cancel()
        found = parse(b"".join(self.chunks).decode())
        self.chunks.clear()
        return found

    def look_again(self) -> None:
        """Let it look at the clock."""
        self._idle.clear()
        self._go.set()

    async def later(self) -> list[Event]:
        """What comes when it looks at the clock again."""
        self.look_again()
        return await self.take()

    async def close(self) -> None:
        """Go away."""
        self._gone.set()
        self._go.set()
        self.open.set()
        await asyncio.wait_for(self.task, 10)


# --- over a socket


class Socket:
    """A raw HTTP client of one stream."""

    def __init__(
        self, server: Running, path: str, headers: str = "", method: str = "GET", buffer: int | None = None
    ) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        self._file = self.socket.makefile("rb")
        self.chunks = self._chunks()

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def head(self) -> list[str]:
        """The status line and the headers."""
        lines = []
        while (line := self._file.readline().decode().strip()) != "":
            lines.append(line)
        return lines

    def _chunks(self) -> Iterator[bytes]:
        """The body's chunks until its end, which is to be a right one."""
        while (size := int(self._file.readline(), 16)) > 0:
            yield self._file.read(size)
            assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"\r\n"

    def read(self, count: int) -> list[Event]:
        """So many bars."""
        text, found = "", list[Event]()
        for chunk in self.chunks:
            text += chunk.decode()
            found = bars(parse(text)) if text.endswith("\n\n") else found
            if len(found) >= count:
                break
        return found
