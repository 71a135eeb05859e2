"""The files of the page and of the documentation: read once, served by name, and nothing else by any name."""

from __future__ import annotations

import hashlib
import importlib.resources
import pathlib
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_OWN: Final = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; {_OWN}"
)
DOCS_POLICY: Final = (  # Swagger UI sets styles in attributes, and draws its signs from data
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    f"img-src 'self' data:; {_OWN}"
)
_SWAGGER: Final = ("swagger-ui-bundle.js", "swagger-ui.css")


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes, type and hash."""

    body: bytes
    media_type: str
    tag: str


class Pages:
    """The files of one page by name; ``index.html`` is the page itself."""

    def __init__(self, files: dict[str, bytes], policy: str) -> None:
        self._policy = policy
        self._files = {
            name: File(body, _TYPES[pathlib.PurePath(name).suffix], hashlib.sha256(body).hexdigest()[:32])
            for name, body in files.items()
        }

    def get(self, name: str, request: Request) -> Response | None:
        """A file as a response, 304 where the reader has it; ``None`` where there is none of that name."""
        file = self._files.get(name)
        if file is None:
            return None
        headers = {"ETag": f'"{file.tag}"', "Cache-Control": "no-cache", "Content-Security-Policy": self._policy}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, headers=headers, media_type=file.media_type)


def replay_page() -> Pages:
    """The page that draws heatmaps."""
    return Pages(_shipped("page"), PAGE_POLICY)


def docs_page() -> Pages:
    """The documentation of the endpoints, drawn by Swagger UI as fastapi-offline ships it."""
    static = importlib.resources.files("fastapi_offline") / "static"
    return Pages(_shipped("docs") | {name: (static / name).read_bytes() for name in _SWAGGER}, DOCS_POLICY)


def _shipped(folder: str) -> dict[str, bytes]:
    found = pathlib.Path(__file__).parent / folder
    return {each.name: each.read_bytes() for each in sorted(found.iterdir()) if each.suffix in _TYPES}
