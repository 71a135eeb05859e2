"""Vols and dealers' exposures of option rows, by the definitions that the file's convention id names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from replay.exposure.greeks import greeks, implied_vol
from replay.ragged import Bools, Floats, Ints
from replay.sessions import FLOOR_MINUTES, MINUTE, YEAR_MINUTES

CONVENTIONS: Final = "replay-1"
"""Black-Scholes-Merton, rate and dividend 0; calendar time to the session's close over 365 days, at least a minute;
gex, vex and chex are dealers' (calls +, puts -), dex is holders'; per 1 % move, vol point and calendar day."""

CONTRACT_SIZE: Final = 100.0


class VolOrigin(IntEnum):
    """Where an option's vol comes from."""

    GIVEN = 0
    SOLVED = 1
    LIMIT = 2  # no bid or no time value: sigma -> 0
    UNKNOWN = 3  # neither a vol nor a quote to solve it from


@dataclass(frozen=True, slots=True)
class OptionExposures:
    """Of N options: the vol used and where it comes from, and what its open interest adds to its strike.

    ``gex``, ``vex``, ``chex`` are signed as dealers hold them (calls +, puts -), ``dex`` as holders do; NaN where not
    known. Units as :mod:`replay.schema` gives them.
    """

    vol: Floats
    origin: NDArray[np.int8]
    gex: Floats
    dex: Floats
    vex: Floats
    chex: Floats


def years_to(close: int, ts: Ints) -> Floats:
    """Calendar time from each instant (N,) to the close, years of 365 days, at least one minute."""
    return np.maximum((close - ts) / MINUTE, FLOOR_MINUTES) / YEAR_MINUTES


def resolve_vol(
    given: Floats, bid: Floats, ask: Floats, spot: Floats, strike: Floats, years: Floats, call: Bools
) -> tuple[Floats, NDArray[np.int8]]:
    """The vol of N options and its origin.

    A given vol above 0 is taken. Else, where there is a bid and the mid is above intrinsic value, it is solved from
    the mid. An option that is quoted without a bid, or without time value, has the limit 0. One without a vol and
    without a quote (none, 0 at 0, or one side alone that does not settle it), or whose mid no vol gives, has NaN.
    """
    quoted_bid, quoted_ask = bid > 0, ask > 0
    intrinsic = np.maximum(np.where(call, spot - strike, strike - spot), 0.0)
    mid = 0.5 * (bid + ask)
    origin = np.full(len(given), VolOrigin.UNKNOWN, np.int8)
    origin[quoted_ask & ~quoted_bid] = VolOrigin.LIMIT
    two_sided = quoted_ask & quoted_bid
    origin[two_sided & ~(mid > intrinsic)] = VolOrigin.LIMIT
    origin[two_sided & (mid > intrinsic)] = VolOrigin.SOLVED
    origin[given > 0] = VolOrigin.GIVEN
    vol = np.where(origin == VolOrigin.GIVEN, given, np.where(origin == VolOrigin.LIMIT, 0.0, np.nan))
    at = np.flatnonzero(origin == VolOrigin.SOLVED)
    if len(at):
        vol[at] = implied_vol(mid[at], spot[at], strike[at], years[at], call[at])
        origin[at[np.isnan(vol[at])]] = VolOrigin.UNKNOWN
    return vol, origin


def option_exposures(
    *,
    spot: Floats,
    strike: Floats,
    years: Floats,
    call: Bools,
    open_interest: Floats,
    given_vol: Floats,
    bid: Floats,
    ask: Floats,
) -> OptionExposures:
    """Exposures of N options, arguments (N,) each: USD, years, contracts, per sqrt(year); NaN for not known.

    With OI contracts of 100 shares and greeks at the snapshot's spot S: gex = gamma OI 100 S^2 0.01,
    dex = delta OI 100 S, vex = vanna OI 100 S 0.01, chex = charm OI 100 S. Without open interest they are 0.
    """
    vol, origin = resolve_vol(given_vol, bid, ask, spot, strike, years, call)
    risk = greeks(spot, strike, years, vol, call)
    dealer = np.where(call, 1.0, -1.0)
    shares = open_interest * CONTRACT_SIZE
    idle = open_interest == 0

    def total(per_share: Floats) -> Floats:
        return np.where(idle, 0.0, per_share * shares)

    return OptionExposures(
        vol=vol,
        origin=origin,
        gex=total(dealer * risk.gamma * spot * spot * 0.01),
        dex=total(risk.delta * spot),
        vex=total(dealer * risk.vanna * spot * 0.01),
        chex=total(dealer * risk.charm * spot),
    )
