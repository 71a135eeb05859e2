"""A connection that bears no client for long: heads of a bounded size, requests and answers within a bounded time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 64 * 1024
"""Of a request's line and headers together."""
REQUEST_SECONDS: Final = 15.0
"""In which a request has to arrive, from its first byte or the connection's start to its last."""
WRITE_SECONDS: Final = 60.0
"""For which a client may take nothing of an answer that waits for it."""
STOPPING: Final = "replay.stopping"
"""In the scope of a request: an event, set when the server is about to stop, so that an endless answer ends."""
ENDLESS: Final = "replay.endless"
"""In the scope of a request: that its answer has no end of its own, and a reader loses nothing by its breaking off."""


def _refused(status: bytes, body: bytes) -> bytes:
    """An answer to what is no request, after which the connection ends."""
    return (
        b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
    )


_UNREADABLE: Final = _refused(
    b"400 Bad Request", b'{"status":"ERROR","error":"bad_request","message":"this is no HTTP request"}'
)
_TOO_LARGE: Final = _refused(
    b"431 Request Header Fields Too Large",
    b'{"status":"ERROR","error":"request_too_large","message":"the request line and headers are over 64 kB"}',
)


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the bounds above, none of which it has of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._in_head = True
        self._too_large = False
        self._stopping = asyncio.Event()
        self._arriving: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(arriving=True, leaving=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._arriving is None and (self.cycle is None or self.cycle.response_complete):
                self._expect()
        super().data_received(data)
        if self._in_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[STOPPING] = self._stopping  # type: ignore[typeddict-unknown-key]  # extensions are allowed

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES:
            self._too_large = True
            raise ValueError("the head is too large")  # the parser's caller answers it
        self._in_head, self._head = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._stop(arriving=True)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # which says no more than these do
        self.transport.write(_TOO_LARGE if self._too_large else _UNREADABLE)
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._leaving is None:
            self._wait_for(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(leaving=True)

    def shutdown(self) -> None:
        """Told by the server that it is about to stop: an answer that has begun is finished first.

        One without an end is not waited for where its reader takes nothing.
        """
        self._stopping.set()
        super().shutdown()
        if self._leaving is not None and self.scope.get(ENDLESS):
            self.transport.abort()

    def _expect(self) -> None:
        self._arriving = self.loop.call_later(REQUEST_SECONDS, self._late)

    def _wait_for(self, left: int) -> None:
        """Leave a client who by then has taken nothing of the bytes that are left for it."""
        self._leaving = self.loop.call_later(WRITE_SECONDS, self._left, left)

    def _left(self, before: int) -> None:
        size = self.transport.get_write_buffer_size()
        if size < before:
            self._wait_for(size)
        else:
            self._leaving = None
            self.transport.abort()

    def _late(self) -> None:
        self._arriving = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop(self, *, arriving: bool = False, leaving: bool = False) -> None:
        if arriving and self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None
        if leaving and self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
