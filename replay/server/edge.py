"""What every request passes on its way in and out: its host, headers that protect a browser, and the access log."""

from __future__ import annotations

import ipaddress
import logging
import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replay.server.refusals import failure_body

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which a server that asks for no key may be met: a page of another name that leads here is not let in."""

SECRET: Final = frozenset({"apikey"})
"""Query parameters, in lower case, that stand in no log."""

HEAD: Final = "replay.head"
"""In the scope of a request that is answered as if it were a GET: true where only the head is wanted."""

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
    hosts
        Names that ``Host`` may have, beside this machine's own addresses; ``None``: any.
    log
        Takes one line of JSON a request, bytes; ``None``: no log.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, log: Callable[[bytes], object] | None) -> None:
        self._app = app
        self._hosts = hosts
        self._log = log

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
            if self._hosts is not None and not (host_of(scope) in self._hosts or is_loopback(host_of(scope))):
                await _plain(sending, 400, failure_body("invalid_host", "this host name is not served here"))
            else:
                await self._app(inner, receive, sending)
        except Exception:
            faults.exception("%s %s failed", scope["method"], scope["path"][:_LOGGED])
            if told["status"] and not told["whole"]:
                raise
            if not told["status"]:
                await _plain(sending, 500, failure_body("internal_error", "the server failed; its log says why"))
        finally:
            if self._log is not None:
                self._log(_line(scope, inner, told, time.perf_counter() - begun))


def host_of(scope: Scope) -> str:
    """The host name a request was sent to, without its port; empty where it names none."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


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


def _line(scope: Scope, inner: Scope, told: dict[str, int], seconds: float) -> bytes:
    """One request as a line of JSON. The key itself never stands in it, its owner's name does."""
    record: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": scope["path"][:_LOGGED],
        "query": _without_secrets(scope["query_string"])[:_LOGGED],
        "status": told["status"],
        "bytes": told["bytes"],
        "ms": round(seconds * 1000, 3),
    }
    for name in ("key", "as_of", "cached", "fault"):
        if (value := inner.get(f"replay.{name}")) is not None:
            record[name] = value
    return orjson.dumps(record) + b"\n" if _is_text(record) else orjson.dumps(record | {"path": "?"}) + b"\n"


def _is_text(record: dict[str, Any]) -> bool:
    """Whether a path can be written as UTF-8, which one with lone surrogates cannot."""
    try:
        record["path"].encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_secrets(query: bytes) -> str:
    """A query string as it was sent, keys' values left out."""
    parts = []
    for part in query.decode("latin-1").split("&"):
        name = urllib.parse.unquote_plus(part.partition("=")[0]).strip().lower()
        parts.append(f"{part.partition('=')[0]}=…" if name in SECRET else part)
    return "&".join(parts)
