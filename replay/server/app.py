"""The application: its routes, its errors, its document."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

import replay
from replay.errors import LakeError, ReplayError, RequestError
from replay.server import routes_replay, routes_v1
from replay.server.pages import docs_page, replay_page
from replay.server.refusals import no_route, refusal
from replay.server.service import Service

faults = logging.getLogger("replay.server")

_DESCRIPTION = """The live zero-DTE heatmap endpoint at any past moment, from a lake of stored snapshots.

Requests are answered for the moment that the replay's clock shows, `GET /replay/clock`, or for the one that `as_of`
names, and show what was known then and nothing later. What there is, `GET /replay/sessions` and the page's own
endpoints, is told whole, whatever the clock shows."""


def make_app(service: Service, origins: tuple[str, ...] = ()) -> FastAPI:
    """The application over a service; pages of these origins may read its answers."""
    app = FastAPI(
        title="zerodte-replay",
        version=replay.__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.include_router(routes_v1.routes(service))
    app.include_router(routes_replay.routes(service))
    _add_pages(app)
    _add_refusals(app)
    _add_document(app)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "HEAD"],
            allow_headers=["X-Api-Key", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"],
        )
    return app


def _add_pages(app: FastAPI) -> None:
    page, docs = replay_page(), docs_page()

    async def shown(request: Request) -> Response:
        files = docs if request.url.path.startswith("/docs") else page
        found = files.get(request.path_params.get("name", "index.html"), request)
        return no_route(404, "there is no such file", None) if found is None else found

    for path in ("/", "/page/{name}", "/docs", "/docs/", "/docs/{name}"):
        app.add_route(path, shown, methods=["GET"], include_in_schema=False)


def _add_refusals(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, ReplayError)
        if not isinstance(error, RequestError) and error.http_status >= 500:
            faults.warning("%s", error)
        return refusal(error)

    async def unreadable(request: Request, error: Exception) -> Response:
        return await refused(request, LakeError(str(error)))

    async def nothing(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = None if error.headers is None else dict(error.headers)
        return no_route(error.status_code, str(error.detail), headers)

    async def gone(_: Request, error: Exception) -> Response:  # noqa: ARG001  # nobody reads it but the access log
        return Response(status_code=499)

    async def failed(_: Request, error: Exception) -> Response:  # what it was is raised on, for the log
        return refusal(ReplayError(str(error)))

    app.add_exception_handler(Exception, failed)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(ReplayError, refused)
    app.add_exception_handler(OSError, unreadable)
    app.add_exception_handler(HTTPException, nothing)


def _add_document(app: FastAPI) -> None:
    """The OpenAPI document with the ways to give a key, and without the status that no route here has."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = plain()
            schemes = {
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "query": {"type": "apiKey", "in": "query", "name": "apiKey"},
            }
            made.setdefault("components", {})["securitySchemes"] = schemes
            for path in made["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
                    if "401" in operation["responses"]:  # and none, where the server asks for none
                        operation["security"] = [{"header": []}, {"query": []}, {}]
            made["components"].pop("schemas", None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as the framework's own documentation has it
