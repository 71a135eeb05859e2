"""What a request asks: each parameter once, and the moment it is for."""

from __future__ import annotations

import math
import re
from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request

from replay.contract import (
    BAR,
    MINUTES_DEFAULT,
    check_bar,
    check_metric,
    check_minutes,
    check_mode,
    check_tier,
    normalise_symbol,
)
from replay.errors import (
    BarUnavailable,
    InvalidGapPolicy,
    InvalidMetric,
    InvalidMinutes,
    InvalidMode,
    InvalidOpenInterest,
    InvalidTier,
    InvalidTime,
    RequestError,
)
from replay.server.clock import ReplayClock
from replay.sessions import LATEST, from_us, iso_utc, parse_known_at, parse_moment, to_us

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off", ""})
_OFFSET: Final = re.compile(r"(T[0-9:.]+) ([0-9]{2}:?[0-9]{2})\Z", re.ASCII)


class _Symbol(Convertor[str]):
    """A path's last segment, whatever is in it."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("symbol", _Symbol())


class Asked:
    """The parameters of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._given = request.query_params

    def one(self, name: str, wrong: type[RequestError]) -> str | None:
        """A parameter's text, ``None`` where it is not given; given twice it is an error of its own kind."""
        values = self._given.getlist(name)
        if len(values) > 1:
            raise wrong(f"{name} is given {len(values)} times; once is right")
        return values[0] if values else None

    def text(self, name: str, wrong: type[RequestError], default: str) -> str:
        """As :meth:`one`, with a default."""
        value = self.one(name, wrong)
        return default if value is None else value

    def metric(self) -> str:
        """The metric, ``gex`` where none is given."""
        return check_metric(self.text("metric", InvalidMetric, "gex"))

    def mode(self) -> str:
        """The mode, ``raw`` where none is given."""
        return check_mode(self.text("mode", InvalidMode, "raw"))

    def minutes(self) -> int:
        """How far to look back, clamped."""
        return check_minutes(self.text("minutes", InvalidMinutes, str(MINUTES_DEFAULT)))

    def bar(self) -> str:
        """The contract's bar."""
        return check_bar(self.text("bar", BarUnavailable, BAR))

    def tier(self) -> str | None:
        """The tier to read alone; ``None`` for the finest there is."""
        return check_tier(self.one("tier", InvalidTier))

    def flag(self, name: str) -> bool:
        """A parameter that is yes or no; not given is no."""
        value = self.text(name, InvalidGapPolicy, "").strip().lower()
        if value not in _YES | _NO:
            raise InvalidGapPolicy(f"{name} {value!r} is to be true or false")
        return value in _YES

    def share(self) -> float:
        """The part of signed volume that opens or closes contracts; 1 where it is not given."""
        value = self.text("share", InvalidOpenInterest, "1")
        try:
            share = float(value)
        except ValueError:
            share = math.nan
        if not math.isfinite(share):
            raise InvalidOpenInterest(f"share {value!r} is to be a number from 0 to 1")
        return share

    def symbol(self) -> str:
        """The path's last segment, trimmed and upper-cased; 404 where it is empty, or a slash not escaped follows."""
        path = self._request.scope.get("raw_path") or self._request.scope["path"].encode("utf-8", "surrogatepass")
        route = str(getattr(self._request.scope.get("route"), "path", ""))
        symbol = self._request.path_params["symbol"]
        if not symbol or (route and path.count(b"/") != route.count("/")):
            raise HTTPException(404, "there is nothing at this path")
        return normalise_symbol(symbol)

    def moment(self, clock: ReplayClock) -> tuple[int, int]:
        """``as_of`` and ``known_at`` in microseconds: as asked, else what the clock shows, else as ``as_of``."""
        as_of, at = self.one("as_of", InvalidTime), self.one("at", InvalidTime)
        if as_of is not None and at is not None:
            raise InvalidTime("at is another name of as_of; give one of them")
        given = at if as_of is None else as_of
        moment = clock.read().now if given is None else to_us(parse_moment(_with_plus(given)))
        known_at = self.one("known_at", InvalidTime)
        known = parse_known_at(None if known_at is None else _with_plus(known_at), moment)
        self._request.scope["replay.as_of"] = iso_utc(moment)
        return moment, known


def _with_plus(text: str) -> str:
    """A time with the ``+`` of its offset, which stands for a space in a query where it is not escaped."""
    return _OFFSET.sub(r"\1+\2", text)


def cut_text(known_at: int) -> str:
    """A knowledge cut as :class:`replay.Lake` takes it."""
    return "latest" if known_at == LATEST else from_us(known_at).isoformat()
