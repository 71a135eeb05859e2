"""Signed flow per strike and minute: in delta-dollars, in gamma-dollars and in contracts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from replay import contract, heatmap
from replay.errors import NoStrikeData
from replay.heatmap import finite, plain, sum_over, whole
from replay.lake import Lake, Moment
from replay.ragged import Floats, Ints, align
from replay.sessions import (
    MINUTE,
    find_session,
    floor_minute,
    iso_utc,
    parse_known_at,
    parse_moment,
    session_date,
    to_us,
)

_COLUMNS: Final = ("signed_flow", "gamma_flow", "call_flow", "put_flow")


@dataclass(frozen=True, eq=False)
class StrikeFlow:
    """Flow of T bars and K strikes.

    ``strikes`` (K,) USD; ``minutes`` (T,) the start of each bar and ``as_of``, microseconds since the epoch, UTC;
    ``spot`` (T,) USD; ``delta_dollars``, ``gamma_dollars`` and ``contracts`` (T, K), what buyers who crossed the spread
    bought less what sellers sold in the minute, NaN where not known. Contracts are those of both sides, bought +.
    """

    symbol: str
    underlying_price: float | None
    expiration: dt.date
    as_of: int
    tier_used: str
    strikes: Floats
    minutes: Ints
    spot: Floats
    delta_dollars: Floats
    gamma_dollars: Floats
    contracts: Floats
    gaps: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The vendor's body as plain values, fields in its order."""
        bars = zip(
            self.minutes.tolist(),
            plain(self.spot),
            map(plain, self.delta_dollars),
            map(plain, self.gamma_dollars),
            map(whole, self.contracts),
            strict=True,
        )
        names = ("spot", "signed_delta_dollars", "signed_gamma_dollars", "contracts")
        return {
            "symbol": self.symbol,
            "underlying_price": self.underlying_price,
            "expiration": self.expiration.isoformat(),
            "bar_size": contract.BAR,
            "as_of": iso_utc(self.as_of),
            "tier_used": self.tier_used,
            "strikes_grid": whole(self.strikes),
            "bars": [{"t": iso_utc(t)} | dict(zip(names, values, strict=True)) for t, *values in bars],
            "gap_intervals": [{"start": iso_utc(start), "end": iso_utc(end)} for start, end in self.gaps],
        }

    def to_json(self) -> bytes:
        """The vendor's body as UTF-8 JSON."""
        return orjson.dumps(self.to_dict())


def strike_flow(
    lake: Lake,
    symbol: str,
    as_of: Moment,
    bar: str = contract.BAR,
    minutes: int | str = contract.MINUTES_DEFAULT,
    known_at: Moment | None = None,
    gaps: bool = False,
    tier: str | None = None,
) -> StrikeFlow:
    """The flow of a window, as it stood at ``as_of``; arguments as :meth:`replay.Lake.heatmap`.

    Raises
    ------
    NoStrikeData
        Where the window holds snapshots, but none that knows flow in gamma-dollars and contracts.
    RequestError, LakeError
        As :meth:`replay.Lake.heatmap` does.
    """
    name = contract.normalise_symbol(symbol)
    contract.check_bar(bar)
    span = contract.check_minutes(minutes)
    moment = to_us(parse_moment(as_of))
    window, clocks = lake.visible(name, as_of, known_at, _COLUMNS, span, tier)
    date, since = session_date(moment), floor_minute(moment - span * MINUTE)
    shown = heatmap.build(
        window,
        symbol=name,
        expiration=date,
        metric="signed_flow",
        mode="raw",
        as_of=moment,
        known_at=parse_known_at(known_at, moment),
        tier_used=clocks.tier,
        gaps=clocks.gaps_in_window(find_session(date), moment, since) if gaps else (),
    )
    rows = window.take(window.has_strikes)
    if len(rows) and not any(rows.lists[column].known.any() for column in _COLUMNS[1:]):
        raise NoStrikeData(
            f"{name} has samples in the window, none with flow in gamma-dollars and contracts, "
            "which `replay ingest trades` writes"
        )
    bucket = rows.ts - rows.ts % MINUTE
    _, laid = align(rows.lists["strike"], [rows.lists[column] for column in _COLUMNS[1:]])
    gamma, calls, puts = (sum_over(bucket, finite(matrix)) for matrix in laid)
    contracts = np.where(np.isnan(calls), puts, np.where(np.isnan(puts), calls, calls + puts))
    return StrikeFlow(
        shown.symbol,
        shown.underlying_price,
        shown.expiration,
        shown.as_of,
        shown.tier_used,
        shown.strikes,
        shown.minutes,
        shown.spot,
        shown.levels,
        gamma + 0.0,
        contracts + 0.0,
        shown.gaps,
    )
