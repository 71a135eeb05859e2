"""The endpoints as their OpenAPI document tells them: parameters, bodies, and every status that can come."""

from __future__ import annotations

from typing import Any, Final

from replay import contract
from replay.server.keys import PLANS

Schema = dict[str, Any]


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _of(*values: str, default: str | None = None) -> Schema:
    return {"type": "string", "enum": list(values)} | ({} if default is None else {"default": default})


_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_UNKNOWN: Final[Schema] = {"type": ["number", "null"]}
_UTC: Final[Schema] = {"type": "string", "format": "date-time"}
_DATE: Final[Schema] = {"type": "string", "format": "date"}

METRIC: Final = _parameter("metric", "Per-strike value.", _of(*contract.METRICS, default="gex"))
MODE: Final = _parameter("mode", "Values, or their change bar by bar.", _of(*contract.MODES, default="raw"))
BAR: Final = _parameter("bar", "Only 1m is served.", _of(contract.BAR, default=contract.BAR))
SERIES_BAR: Final = _parameter("bar", "Bar size; the last snapshot of each.", _of(*contract.SERIES_BARS, default="30s"))
MINUTES: Final = _parameter(
    "minutes",
    "How far to look back; clamped to 1-390.",
    {"type": "integer", "default": contract.MINUTES_DEFAULT},
)
AS_OF: Final = _parameter(
    "as_of",
    "The moment, in place of the clock's: ISO 8601, without an offset New York, a date is its close.",
    _TEXT | {"examples": ["2026-07-24T14:30", "2026-07-24T18:30:00Z", "2026-07-24"]},
)
AT: Final = _parameter("at", "Another name of `as_of`; one of the two.", _TEXT)
KNOWN_AT: Final = _parameter("known_at", "Use what was recorded by then; `latest`: everything since.", _TEXT)
TIER: Final = _parameter("tier", "Read this tier alone; else the finest there is.", _of(*contract.TIERS))
GAPS: Final = _parameter("gaps", "List stretches without data in gap_intervals.", {"type": "boolean", "default": False})
OI: Final = _parameter("oi", "Open interest to state exposures on.", _of("settled", "effective", default="settled"))
SHARE: Final = _parameter(
    "share",
    "The part of signed volume that opens or closes contracts, for oi=effective.",
    _NUMBER | {"minimum": 0, "maximum": 1, "default": 1},
)
CONVENTIONS: Final = _parameter("conventions", "State exposures under these; else as stored.", _TEXT)
DATE: Final = _parameter("date", "The session.", _DATE) | {"required": True}
MOMENT: Final = [AS_OF, AT, KNOWN_AT, TIER]


def _object(fields: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_GAPS: Final = _list(_object({"start": _UTC, "end": _UTC}))
HEATMAP: Final = _object(
    {
        "symbol": _TEXT,
        "underlying_price": _UNKNOWN,
        "expiration": _DATE,
        "metric": _of(*contract.METRICS),
        "mode": _of(*contract.MODES),
        "bar_size": _of(contract.BAR),
        "as_of": _UTC,
        "tier_used": _of(*contract.TIERS),
        "strikes_grid": _list(_NUMBER),
        "bars": _list(_object({"t": _UTC, "spot": _UNKNOWN, "values": _list(_UNKNOWN)})),
        "gap_intervals": _GAPS,
    }
)
STRIKE_FLOW: Final = _object(
    {
        "symbol": _TEXT,
        "underlying_price": _UNKNOWN,
        "expiration": _DATE,
        "bar_size": _of(contract.BAR),
        "as_of": _UTC,
        "tier_used": _of(*contract.TIERS),
        "strikes_grid": _list(_NUMBER),
        "bars": _list(
            _object(
                {
                    "t": _UTC,
                    "spot": _UNKNOWN,
                    "signed_delta_dollars": _list(_UNKNOWN),
                    "signed_gamma_dollars": _list(_UNKNOWN),
                    "contracts": _list(_UNKNOWN),
                }
            )
        ),
        "gap_intervals": _GAPS,
    }
)
_HEADLINES: Final = ("spot", "net_gex", "net_dex", "gamma_flip", "call_wall", "put_wall", "magnet")
_FLOWS: Final = ("hedge_flow_call_cumulative", "hedge_flow_put_cumulative", "hedge_flow_cumulative_all")
SERIES: Final = _object(
    {
        "symbol": _TEXT,
        "expiration": _DATE,
        "as_of": _UTC,
        "bar_size": _of(*contract.SERIES_BARS),
        "bars": _list(
            _object(
                {"t": _UTC}
                | dict.fromkeys(_HEADLINES, _UNKNOWN)
                | {"pin_score": {"type": ["integer", "null"]}, "pin_probability_pct": _UNKNOWN}
                | {"regime": {"type": ["string", "null"], "enum": ["positive_gamma", "negative_gamma", None]}}
                | dict.fromkeys(("atm_iv", "charm_dollars_per_hour", *_FLOWS), _UNKNOWN)
            )
        ),
    }
)
CLOCK: Final = _object(
    {
        "now": _UTC,
        "new_york": _UTC,
        "speed": _NUMBER,
        "running": {"type": "boolean"},
        "loop": {"type": "boolean"},
        "session": {"type": ["string", "null"]},
        "version": {"type": "integer"},
    }
)
CLOCK_CHANGE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "at": _TEXT | {"description": "Set it to a moment.", "examples": ["2026-07-24T10:00"]},
        "step": _TEXT | {"description": "Move it on, or back with a minus.", "examples": ["1m", "-30s"]},
        "speed": _NUMBER | {"description": "Market seconds a second; 0 stands.", "minimum": 0, "maximum": 3600},
        "running": {"type": "boolean", "description": "Whether it moves."},
        "loop": {"type": "boolean", "description": "Whether it goes on through every session of the lake."},
    },
}
SESSIONS: Final = _object(
    {
        "sessions": _list(
            _object(
                {
                    "symbol": _TEXT,
                    "date": _DATE,
                    "tiers": _list(_of(*contract.TIERS)),
                    "open": {"type": ["string", "null"]},
                    "close": {"type": ["string", "null"]},
                }
            )
        )
    }
)
RUNS: Final = _object({"runs": _list({"type": "object"})})
HEALTH: Final = _object({"status": _of("ok"), "version": _TEXT})

_ERROR: Final = _object({"status": _of("ERROR"), "error": _TEXT, "message": _TEXT})
_UNAUTHORIZED: Final = _object({"title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT})
_RESTRICTED: Final = _object(_ERROR["properties"] | {"current_plan": _TEXT, "required_plan": _TEXT})
_EXCEEDED: Final = _object(
    _ERROR["properties"] | {"current_plan": _TEXT, "limit": {"type": "integer"}, "upgrade_to": _TEXT, "reset_at": _UTC}
)


def _answer(description: str, schema: Schema, media_type: str = "application/json") -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def answers(
    body: Schema,
    plan: str | None,
    *,
    media_type: str = "application/json",
    description: str = "The answer.",
    cached: bool = False,
    reads: bool = True,
) -> dict[int | str, Schema]:
    """Every answer of an endpoint that wants a plan, ``None`` for one that is open.

    ``cached``: it has an ``ETag``. ``reads``: it needs the lake.
    """
    found: dict[int | str, Schema] = {
        200: _answer(description, body, media_type),
        400: _answer("A parameter that is refused; `error` says which.", _ERROR),
        404: _answer("Nothing at this path.", _ERROR),
        405: _answer("Another method than those served.", _ERROR),
    }
    if cached:
        found[304] = {"description": "The reader has it: If-None-Match names it."}
    if reads:
        found[503] = _answer("Stored data cannot be read just now.", _ERROR)
    if plan is not None:
        needed = PLANS[plan].name
        found |= {
            401: _answer("No key, or one that is not known.", _UNAUTHORIZED),
            403: _answer(f"The key's plan is below {needed}.", _RESTRICTED),
            429: _answer("The plan's requests of the day are used up.", _EXCEEDED),
        }
    return found


BINARY: Final[Schema] = {"type": "string", "format": "binary"}
