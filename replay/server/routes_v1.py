"""The live endpoint and its siblings, at the moment that the clock shows or that a request names."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from replay import contract
from replay.errors import (
    InvalidBar,
    InvalidConventions,
    InvalidOpenInterest,
)
from replay.server import shapes
from replay.server.asked import Asked, cut_text
from replay.server.refusals import JSON
from replay.server.service import Service
from replay.sessions import from_us, session_date
from replay.siblings.series import series
from replay.siblings.strike_flow import strike_flow


def routes(service: Service) -> APIRouter:
    """The endpoints under ``/v1``."""
    router = APIRouter(prefix="/v1/flow/zero-dte", tags=["the live endpoint"])

    @router.get(
        "/heatmap/{symbol:symbol}",
        operation_id="heatmap",
        summary="Strike x time matrix of a session",
        response_class=Response,
        responses=shapes.answers(shapes.HEATMAP, "alpha", cached=True),
        openapi_extra={
            "parameters": [
                *(shapes.METRIC, shapes.MODE, shapes.BAR, shapes.MINUTES, *shapes.MOMENT),
                *(shapes.GAPS, shapes.OI, shapes.SHARE, shapes.CONVENTIONS),
            ]
        },
    )
    async def heatmap(request: Request, symbol: str) -> Response:  # noqa: ARG001  # for the document
        service.admit(request, "alpha")
        asked = Asked(request)
        name = asked.symbol()
        asked.bar()
        metric = asked.metric()
        mode = asked.mode()
        minutes = asked.minutes()
        as_of, known = asked.moment(service.clock)
        tier = asked.tier()
        gaps, share = asked.flag("gaps"), asked.share()
        oi = asked.text("oi", InvalidOpenInterest, "settled")
        conventions = asked.one("conventions", InvalidConventions)
        key = (
            *("heatmap", name, metric, mode, minutes, as_of, known, tier, gaps, oi, share, conventions),
            await service.files(name, session_date(as_of)),
        )

        def make() -> bytes:
            shown = service.lake.heatmap(
                name,
                from_us(as_of),
                metric,
                mode,
                minutes=minutes,
                known_at=cut_text(known),
                gaps=gaps,
                tier=tier,
                oi=oi,
                share=share,
                conventions=conventions,
            )
            return shown.to_json()

        return await service.answers.give(request, key, make, JSON)

    @router.get(
        "/series/{symbol:symbol}",
        operation_id="series",
        summary="Headline numbers over time",
        response_class=Response,
        responses=shapes.answers(shapes.SERIES, "growth", cached=True),
        openapi_extra={"parameters": [shapes.SERIES_BAR, shapes.MINUTES, *shapes.MOMENT]},
    )
    async def headline_series(request: Request, symbol: str) -> Response:  # noqa: ARG001  # for the document
        service.admit(request, "growth")
        asked = Asked(request)
        name = asked.symbol()
        bar = contract.check_series_bar(asked.text("bar", InvalidBar, "30s"))
        minutes = asked.minutes()
        as_of, known = asked.moment(service.clock)
        tier = asked.tier()
        files = await service.files(name, session_date(as_of))

        def make() -> bytes:
            return series(service.lake, name, from_us(as_of), bar, minutes, cut_text(known), tier).to_json()

        key = ("series", name, bar, minutes, as_of, known, tier, files)
        return await service.answers.give(request, key, make, JSON)

    @router.get(
        "/strike-flow/{symbol:symbol}",
        operation_id="strike_flow",
        summary="Signed flow per strike and minute",
        response_class=Response,
        responses=shapes.answers(shapes.STRIKE_FLOW, "alpha", cached=True),
        openapi_extra={"parameters": [shapes.BAR, shapes.MINUTES, *shapes.MOMENT, shapes.GAPS]},
    )
    async def flow_by_strike(request: Request, symbol: str) -> Response:  # noqa: ARG001  # for the document
        service.admit(request, "alpha")
        asked = Asked(request)
        name = asked.symbol()
        bar = asked.bar()
        minutes = asked.minutes()
        as_of, known = asked.moment(service.clock)
        tier, gaps = asked.tier(), asked.flag("gaps")
        files = await service.files(name, session_date(as_of))

        def make() -> bytes:
            found = strike_flow(service.lake, name, from_us(as_of), bar, minutes, cut_text(known), gaps, tier)
            return found.to_json()

        key = ("strike-flow", name, minutes, as_of, known, tier, gaps, files)
        return await service.answers.give(request, key, make, JSON)

    return router
