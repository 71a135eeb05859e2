"""Errors as the live endpoint answers them. What a client reads names no file and no path of this machine."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.responses import Response

from replay.errors import LakeError, MissingExtra, QuotaExceeded, Refused, ReplayError, RequestError, Unauthorized

JSON: Final = "application/json"
RETRY_SECONDS: Final = 5
"""When a client may ask again for stored data that could not be read."""

_TITLES: Final = {404: "not_found", 405: "method_not_allowed"}


def failure_body(code: str, message: str, **fields: Any) -> bytes:
    """An error's body: ``status``, ``error``, ``message``, and whatever more is said."""
    return orjson.dumps({"status": "ERROR", "error": code, "message": _text(message), **fields})


def refusal(error: ReplayError) -> Response:
    """The answer to a request that failed on purpose."""
    if isinstance(error, Unauthorized):
        body = orjson.dumps({"title": "Unauthorized", "status": 401, "detail": error.message})
        return Response(body, 401, media_type=JSON)
    if isinstance(error, Refused):
        code = "Quota exceeded" if isinstance(error, QuotaExceeded) else error.code
        return Response(
            failure_body(code, error.message, **error.said), error.http_status, dict(error.headers), media_type=JSON
        )
    if isinstance(error, RequestError):
        return Response(failure_body(error.code, error.message), 400, media_type=JSON)
    if isinstance(error, LakeError):
        message = "stored data of this session cannot be read just now; try again"
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return Response(failure_body(error.code, message), 503, headers, media_type=JSON)
    if isinstance(error, MissingExtra):
        return Response(failure_body(error.code, error.message), error.http_status, media_type=JSON)
    return Response(failure_body("internal_error", "the server failed; its log says why"), 500, media_type=JSON)


def no_route(status: int, detail: str, headers: dict[str, str] | None) -> Response:
    """The answer to a path or method that is none."""
    return Response(failure_body(_TITLES.get(status, "error"), detail), status, headers, media_type=JSON)


def _text(message: str) -> str:
    """A message as Unicode text, whatever was in a request."""
    return message.encode("utf-8", "replace").decode("utf-8")
