"""What a replay has and the live server has not: a clock, a list of sessions, a stream of bars, what the page draws."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

import replay
from replay import contract, tables
from replay.errors import (
    InvalidClock,
    InvalidDuration,
    InvalidSymbol,
    InvalidTime,
)
from replay.server import shapes, tapes
from replay.server.asked import Asked, cut_text
from replay.server.clock import Reading
from replay.server.connection import ENDLESS, STOPPING
from replay.server.edge import HEAD
from replay.server.refusals import JSON
from replay.server.service import Service, start_of
from replay.server.stream import Stream, Wanted, parse_place, place_since
from replay.sessions import (
    find_session,
    from_us,
    iso_utc,
    parse_date,
    parse_duration,
    parse_moment,
    session_date,
    to_us,
)

_LONGEST = 366 * 24 * 60 * 60 * 1_000_000
_MOST_BODY = 10_000  # bytes of a change to the clock


def routes(service: Service) -> APIRouter:
    """The endpoints under ``/replay``, and ``/health``."""
    router = APIRouter()
    _clock_routes(router, service)
    _session_routes(router, service)
    _run_routes(router, service)
    return router


def _clock_routes(router: APIRouter, service: Service) -> None:
    @router.get(
        "/health",
        operation_id="health",
        tags=["server"],
        summary="Whether the server and its lake are there",
        response_class=Response,
        responses=shapes.answers(shapes.HEALTH, None),
    )
    async def health(request: Request) -> Response:  # noqa: ARG001
        await service.answers.apart(service.check_lake)
        return _json({"status": "ok", "version": replay.__version__})

    @router.get(
        "/replay/clock",
        operation_id="read_clock",
        tags=["clock"],
        summary="The moment that requests are answered for",
        response_class=Response,
        responses=shapes.answers(shapes.CLOCK, "free", reads=False),
    )
    async def read_clock(request: Request) -> Response:
        service.admit(request, "free")
        return _json(service.clock.read().to_dict())

    @router.post(
        "/replay/clock",
        operation_id="change_clock",
        tags=["clock"],
        summary="Set, step, pause, speed up: in the order at, step, speed, running, loop",
        response_class=Response,
        responses=shapes.answers(shapes.CLOCK, "alpha"),
        openapi_extra={
            "requestBody": {"required": True, "content": {JSON: {"schema": shapes.CLOCK_CHANGE}}},
        },
    )
    async def change_clock(request: Request) -> Response:
        service.admit(request, "alpha")
        # A page of another origin cannot send this type without asking first, and is not answered.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise InvalidClock(f"a change is JSON, sent with Content-Type: {JSON}")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BODY:
                raise InvalidClock("a change is a small object")
        changed = await service.answers.apart(lambda: change(service, body))  # which may list the lake
        return _json(changed.to_dict())


def change(service: Service, body: bytes) -> Reading:
    """Change the clock as a request's body says; all of it or, where anything in it is wrong, nothing."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidClock(f"the body is no JSON: {error}") from None
    known = shapes.CLOCK_CHANGE["properties"]
    if not isinstance(asked, dict) or not asked or set(asked) - set(known):
        raise InvalidClock(f"a change is an object with one or more of {', '.join(known)}")
    for name in (name for name, value in asked.items() if value is None):
        raise InvalidClock(f"{name} is null; leave it out, or say what it is to be")
    at, step, speed = asked.get("at"), asked.get("step"), asked.get("speed")
    if speed is not None and (isinstance(speed, bool) or not isinstance(speed, (int, float))):
        raise InvalidClock(f"speed {speed!r} is to be a number")
    for name in ("running", "loop"):
        if not isinstance(asked.get(name, False), bool):
            raise InvalidClock(f"{name} {asked[name]!r} is to be true or false")
    return service.clock.change(
        at=None if at is None else start_of(service.lake, _text(at, "at")),
        step=None if step is None else _step(_text(step, "step")),
        speed=speed,
        running=asked.get("running"),
        loop=asked.get("loop"),
    )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidClock(f"{name} {value!r} is to be text")
    return value


def _step(text: str) -> int:
    """``1m``, or ``-30s``, in microseconds."""
    stripped = text.strip()
    try:
        length = parse_duration(stripped[stripped[:1] in ("+", "-") :], "step", longest=_LONGEST)
    except InvalidDuration as error:
        raise InvalidClock(f"{error.message}, or back like -30s") from None
    return -length if stripped.startswith("-") else length


def _session_routes(router: APIRouter, service: Service) -> None:
    @router.get(
        "/replay/sessions",
        operation_id="sessions",
        tags=["sessions"],
        summary="The sessions that the lake holds",
        response_class=Response,
        responses=shapes.answers(shapes.SESSIONS, "free"),
        openapi_extra={"parameters": [_symbol_parameter()]},
    )
    async def sessions(request: Request) -> Response:
        service.admit(request, "free")
        symbol = Asked(request).one("symbol", InvalidSymbol)
        return _json({"sessions": await service.answers.apart(lambda: listing(service, symbol))})

    @router.get(
        "/replay/stream/{symbol:symbol}",
        operation_id="stream",
        tags=["sessions"],
        summary="Bars as the clock passes them, as server-sent events",
        response_class=Response,
        responses=shapes.answers(
            {"type": "string"},
            "alpha",
            media_type="text/event-stream",
            description="Events `bar`, one a bar; `moved` where the clock was set elsewhere. Never ends by itself.",
        ),
        openapi_extra={"parameters": [shapes.METRIC, shapes.MODE, shapes.TIER, _since_parameter(), _last_parameter()]},
    )
    async def stream(request: Request, symbol: str) -> Response:  # noqa: ARG001
        service.admit(request, "alpha")
        asked = Asked(request)
        wanted = Wanted(
            asked.symbol(),
            asked.metric(),
            asked.mode(),
            asked.tier(),
        )
        last, since = request.headers.get("last-event-id"), asked.one("since", InvalidTime)
        place = None
        if last:
            place = parse_place(last)
        elif since is not None:
            place = place_since(to_us(parse_moment(since, "since")), service.clock)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.scope.get(HEAD, False):
            return Response(headers=headers, media_type="text/event-stream")
        request.scope[ENDLESS] = True
        stopping = request.scope.get(STOPPING)
        found = Stream(
            service.lake,
            wanted,
            service.clock,
            service.answers.apart,
            service.files,
            lambda: stopping is not None and stopping.is_set(),
        )
        return StreamingResponse(found.events(place), headers=headers, media_type="text/event-stream")

    @router.get(
        "/replay/table/{symbol:symbol}",
        operation_id="table",
        tags=["sessions"],
        summary="A heatmap as long rows of CSV, the bytes of `replay heatmap --format csv`",
        response_class=Response,
        responses=shapes.answers({"type": "string"}, "alpha", media_type="text/csv", cached=True),
        openapi_extra={"parameters": [shapes.METRIC, shapes.MODE, shapes.MINUTES, *shapes.MOMENT]},
    )
    async def table(request: Request, symbol: str) -> Response:  # noqa: ARG001
        service.admit(request, "alpha")
        asked = Asked(request)
        name = asked.symbol()
        metric = asked.metric()
        mode = asked.mode()
        minutes = asked.minutes()
        as_of, known = asked.moment(service.clock)
        tier = asked.tier()
        files = await service.files(name, session_date(as_of))

        def make() -> bytes:
            shown = service.lake.heatmap(
                name, from_us(as_of), metric, mode, minutes=minutes, known_at=cut_text(known), tier=tier
            )
            return tables.frame_bytes(shown.to_polars(), "csv")

        key = ("table", name, metric, mode, minutes, as_of, known, tier, files)
        return await service.answers.give(request, key, make, "text/csv")

    _tape_routes(router, service)


def _tape_routes(router: APIRouter, service: Service) -> None:
    @router.get(
        "/replay/tape/{symbol}",
        operation_id="tape",
        tags=["page"],
        summary="Every stored row of a session with one metric, as arrays",
        response_class=Response,
        responses=shapes.answers(shapes.BINARY, "alpha", media_type=tapes.MEDIA_TYPE, cached=True),
        openapi_extra={"parameters": [shapes.DATE, shapes.METRIC, shapes.TIER]},
    )
    async def tape(request: Request, symbol: str) -> Response:  # noqa: ARG001
        service.admit(request, "alpha")
        asked = Asked(request)
        name, date, tier = asked.symbol(), _date(asked), asked.tier()
        metric = asked.metric()
        key = ("tape", name, date, metric, tier, await service.files(name, date))
        return await service.answers.give(
            request, key, lambda: tapes.tape_bytes(service.lake, name, date, metric, tier), tapes.MEDIA_TYPE
        )

    @router.get(
        "/replay/tape/{symbol}/levels",
        operation_id="tape_levels",
        tags=["page"],
        summary="The levels of every stored row of a session, as arrays",
        response_class=Response,
        responses=shapes.answers(shapes.BINARY, "alpha", media_type=tapes.MEDIA_TYPE, cached=True),
        openapi_extra={"parameters": [shapes.DATE, shapes.TIER]},
    )
    async def tape_levels(request: Request, symbol: str) -> Response:  # noqa: ARG001
        service.admit(request, "alpha")
        asked = Asked(request)
        name, date, tier = asked.symbol(), _date(asked), asked.tier()
        key = ("levels", name, date, tier, await service.files(name, date))
        return await service.answers.give(
            request, key, lambda: tapes.levels_bytes(service.lake, name, date, tier), tapes.MEDIA_TYPE
        )


def _run_routes(router: APIRouter, service: Service) -> None:
    @router.get(
        "/replay/runs",
        operation_id="runs",
        tags=["page"],
        summary="The runs that can be laid over a heatmap",
        response_class=Response,
        responses=shapes.answers(shapes.RUNS, "alpha", reads=False),
    )
    async def runs(request: Request) -> Response:
        service.admit(request, "alpha")
        return _json({"runs": await service.answers.apart(service.runs.listing)})

    @router.get(
        "/replay/runs/{name}",
        operation_id="run",
        tags=["page"],
        summary="What a run traded in a session",
        response_class=Response,
        responses=shapes.answers({"type": "object"}, "alpha", reads=False),
        openapi_extra={"parameters": [_symbol_parameter() | {"required": True}, shapes.DATE]},
    )
    async def run(request: Request, name: str) -> Response:
        service.admit(request, "alpha")
        asked = Asked(request)
        symbol = asked.one("symbol", InvalidSymbol)
        if symbol is None:
            raise InvalidSymbol("symbol is not given; it is one of the run's")
        date = _date(asked)
        wanted = contract.normalise_symbol(symbol)
        return _json(await service.answers.apart(lambda: service.runs.session(name, wanted, date)))


def listing(service: Service, symbol: str | None) -> list[dict[str, Any]]:
    """The sessions that a lake holds, by symbol and date, each with its tiers and hours."""
    service.check_lake()
    found: dict[tuple[str, dt.date], list[str]] = {}
    for each in service.lake.stored(symbol):
        found.setdefault((each.symbol, each.date), []).append(each.tier)
    rows = []
    for (name, date), held in found.items():
        session = find_session(date)
        hours = (None, None) if session is None else (iso_utc(to_us(session.open)), iso_utc(to_us(session.close)))
        rows.append({"symbol": name, "date": date.isoformat(), "tiers": held, "open": hours[0], "close": hours[1]})
    return rows


def _date(asked: Asked) -> dt.date:
    text = asked.one("date", InvalidTime)
    if text is None:
        raise InvalidTime("date is not given; it is a session such as 2026-07-24")
    return parse_date(text)


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type=JSON)


def _symbol_parameter() -> dict[str, Any]:
    return {
        "name": "symbol",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
        "description": "Its alone.",
    }


def _since_parameter() -> dict[str, Any]:
    text = "Begin with the bars passed since then, in the clock's session; else from now on."
    return {"name": "since", "in": "query", "required": False, "schema": {"type": "string"}, "description": text}


def _last_parameter() -> dict[str, Any]:
    text = "Go on after this event, as a browser asks by itself."
    return {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": text,
    }
