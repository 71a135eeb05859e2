"""What every request passes on its way in and out: its host, headers that protect a browser, and the access log."""

from __future__ import annotations

import ipaddress
import logging
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replay.server.refusals import failure_body

HEAD: Final = "replay.head"
"""In the scope of a request that is answered as if it were a GET: true where only the head is wanted."""

_OWN_HOSTS: Final = (
    "a server that asks for no key is met as 127.0.0.1, localhost or [::1] alone, so that no page of another name "
    "reaches it; start it with --keys to be met under any"
)
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?", re.ASCII)
_PARTS: Final = re.compile(r"([&;/?])", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_\-]{20,}", re.ASCII)
_LOGGED: Final = 2_000  # characters of a path or a query
_PROTECTION: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

faults = logging.getLogger("replay.server")


class Edge:
    """Wraps an application.

    Parameters
    ----------
    log
        Takes one line of JSON a request, bytes; ``None``: no log.
    is_key
        Whether a text is somebody's key, which stands in no log; ``None``: no key is asked for, and ``Host`` has to
        name this machine.
    """

    def __init__(
        self, app: ASGIApp, log: Callable[[bytes], object] | None, is_key: Callable[[str], bool] | None
    ) -> None:
        self._app = app
        self._log = log
        self._is_key = is_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        told = {"status": 0, "bytes": 0, "whole": 0}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                message["headers"] = _protected(message.get("headers", ()), inner)
            elif message["type"] == "http.response.body":
                told["bytes"] += len(message.get("body", b""))
                told["whole"] = not message.get("more_body", False)
            await send(message)

        inner = scope
        if scope["method"] == "HEAD":
            inner = dict(scope, method="GET") | {HEAD: True}  # the server leaves the body out
        try:
            if self._is_key is None and not is_loopback(host_of(scope)):
                await _plain(sending, 400, failure_body("invalid_host", _OWN_HOSTS))
            else:
                await self._app(inner, receive, sending)
        except Exception:
            faults.exception("%s %s failed", scope["method"], self._without_keys(scope["path"]))
            if told["status"] and not told["whole"]:
                raise
            if not told["status"]:
                await _plain(sending, 500, failure_body("internal_error", "the server failed; its log says why"))
        finally:
            if self._log is not None:
                self._log(self._line(scope, inner, told, time.perf_counter() - begun))

    def _line(self, scope: Scope, inner: Scope, told: dict[str, int], seconds: float) -> bytes:
        """One request as a line of JSON. A key never stands in it, its owner's name does."""
        record: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "client": (scope.get("client") or ("",))[0],
            "method": scope["method"],
            "path": self._without_keys(scope["path"]),
            "query": self._without_keys(scope["query_string"].decode("latin-1")),
            "status": told["status"],
            "bytes": 0 if scope["method"] == "HEAD" else told["bytes"],
            "ms": round(seconds * 1000, 3),
        }
        for name in ("key", "as_of", "cached"):
            if (value := inner.get(f"replay.{name}")) is not None:
                record[name] = value
        return orjson.dumps(record) + b"\n"

    def _without_keys(self, text: str) -> str:
        """A path or a query string as it was sent, cut where it is long; what is or may be a key is left out."""
        parts = _PARTS.split(text)
        for i, part in enumerate(parts):
            name, equals, _ = part.partition("=")
            if equals and "key" in urllib.parse.unquote(name).lower():
                parts[i] = f"{name}=…"
        text = "".join(parts)
        if self._is_key is not None:
            is_key = self._is_key
            text = _TOKEN.sub(lambda found: "…" if is_key(found[0]) else found[0], text)
        return text[:_LOGGED].encode("utf-8", "replace").decode()


def host_of(scope: Scope) -> str:
    """The host name a request was sent to, without its port; empty where it names none, or none that can be."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    found = _HOST.fullmatch(host)
    return "" if found is None else found[1] or found[2]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: by its name, or an address that leads nowhere else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _protected(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """Headers of an answer with those that protect and those of its key's plan, where it has none of its own."""
    made = list(headers)
    held = {name.lower() for name, _ in made}
    rate = tuple((name.lower().encode(), value.encode()) for name, value in scope.get("replay.rate", ()))
    return made + [each for each in (*_PROTECTION, *rate) if each[0] not in held]


async def _plain(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
