"""Bodies: made once, kept within a bound of bytes, compressed when asked, and not sent again to who has them."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import brotli
from starlette.requests import Request
from starlette.responses import Response

import replay

CACHE_BYTES: Final = 128 * 2**20
WORKING: Final = max(2, min(4, os.cpu_count() or 2))
"""Bodies made at once; more threads would only wait for one another, and the answers at hand for them all."""

_ENTRY_BYTES: Final = 1024  # what an entry takes beside its body, roughly
_LEAST: Final = 1024  # bytes below which nothing is gained by compressing
_T = TypeVar("_T")

ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "br": functools.partial(brotli.compress, quality=1),
    "gzip": functools.partial(gzip.compress, compresslevel=1, mtime=0),
}
"""In the order of preference; the fastest settings, as an answer is made for one reader on a near network."""


class Bodies:
    """Bodies by key, the least recently used dropped first. Safe for threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now; never above the limit between calls."""
        return self._bytes

    def get(self, key: Hashable) -> bytes | None:
        with self._lock:
            body = self._kept.get(key)
            if body is not None:
                self._kept.move_to_end(key)
            return body

    def put(self, key: Hashable, body: bytes) -> None:
        """Keep a body, unless it alone would take a quarter of what may be kept."""
        size = len(body) + _ENTRY_BYTES
        if size > self._limit // 4:
            return
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += size - (0 if old is None else len(old) + _ENTRY_BYTES)
            self._kept[key] = body
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped) + _ENTRY_BYTES


class Answers:
    """Answers requests with bodies that are a function of their key. Belongs to one event loop."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.bodies = Bodies(limit)
        self._working = anyio.CapacityLimiter(WORKING)
        self._running: dict[Hashable, asyncio.Future[bytes]] = {}

    async def apart(self, work: Callable[[], _T]) -> _T:
        """Do something on a thread, so that others are answered meanwhile."""
        return await anyio.to_thread.run_sync(work, limiter=self._working)

    async def give(
        self, request: Request, key: tuple[Hashable, ...], make: Callable[[], bytes], media_type: str
    ) -> Response:
        """The body of a key as a response; made by ``make``, on a thread, where it is not at hand.

        The key says all that the body depends on, the stored files too, so that its hash is the ``ETag``; under it the
        body is kept, and a reader who has it is answered 304 without it.
        """
        encoding = wanted_encoding(request.headers.get("accept-encoding", ""))
        tag = hashlib.blake2b(
            repr((replay.__version__, key)).encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()
        headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        held = _held(request.headers.get("if-none-match", ""), tag)
        if held is not None:
            return Response(status_code=304, headers=headers | {"ETag": f'"{held}"'})
        body = self.bodies.get(tag)
        request.scope["replay.cached"] = body is not None
        if body is None:
            body = await self._once(tag, lambda: self.apart(make))
        if encoding is None or len(body) < _LEAST:
            return Response(body, headers=headers | {"ETag": f'"{tag}"'}, media_type=media_type)
        plain = body
        own = f"{tag}-{encoding}"
        packed = self.bodies.get(own)
        if packed is None:
            packed = await self._once(own, lambda: self.apart(lambda: ENCODERS[encoding](plain)))
        headers |= {"ETag": f'"{own}"', "Content-Encoding": encoding}
        return Response(packed, headers=headers, media_type=media_type)

    async def _once(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The body of a key, made once for all who ask for it meanwhile."""
        running = self._running.get(key)
        if running is not None:
            return await asyncio.shield(running)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            body = await make()
        except BaseException as error:
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # so that nobody having waited for it is no fault
            else:
                future.cancel()
            raise
        else:
            self.bodies.put(key, body)
            future.set_result(body)
            return body
        finally:
            del self._running[key]


def _held(given: str, tag: str) -> str | None:
    """The tag of a body, in whatever encoding, that ``If-None-Match`` names; ``None`` where it names none of it."""
    for part in given.split(","):
        each = part.strip().removeprefix("W/").strip('"')
        if each == "*":
            return tag
        if each == tag or (each.startswith(f"{tag}-") and each[len(tag) + 1 :] in ENCODERS):
            return each
    return None


def wanted_encoding(accepted: str) -> str | None:
    """The encoding of an ``Accept-Encoding`` header, the client's weights first; ``None``: as it is."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.strip().removeprefix("q=") if parameters else "1"
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            weights[name.strip()] = 0.0
    ranked = [(weights.get(name, weights.get("*", 0.0)), name) for name in ENCODERS]
    best, name = max(ranked, key=lambda each: each[0])
    return name if best > 0 and best >= weights.get("identity", 0.0) else None
