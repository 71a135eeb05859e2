"""Vols and dealers' exposures of option rows, under named conventions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from replay.exposure.conventions import REPLAY_1, Conventions
from replay.exposure.greeks import greeks, implied_vol
from replay.ragged import Bools, Floats

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

    Signs and units as the conventions say; NaN where not known.
    """

    vol: Floats
    origin: NDArray[np.int8]
    gex: Floats
    dex: Floats
    vex: Floats
    chex: Floats


def resolve_vol(
    given: Floats,
    bid: Floats,
    ask: Floats,
    spot: Floats,
    strike: Floats,
    years: Floats,
    call: Bools,
    rate: float = 0.0,
    dividend: float = 0.0,
) -> tuple[Floats, NDArray[np.int8]]:
    """The vol of N options and its origin.

    A given vol above 0 is taken. Else, where there is a bid and the mid is above intrinsic value (discounted, of the
    forward), it is solved from the mid. An option that is quoted without a bid, or without time value, has the
    limit 0. One without a vol and without a quote (none, 0 at 0, crossed, or one side alone that does not settle it),
    or whose mid no vol gives, has NaN.
    """
    quoted_bid, quoted_ask = bid > 0, ask > 0
    forward, discounted = (spot, strike)
    if rate or dividend:
        forward, discounted = spot * np.exp(-dividend * years), strike * np.exp(-rate * years)
    intrinsic = np.maximum(np.where(call, forward - discounted, discounted - forward), 0.0)
    mid = 0.5 * (bid + ask)
    origin = np.full(len(given), VolOrigin.UNKNOWN, np.int8)
    origin[quoted_ask & ~quoted_bid] = VolOrigin.LIMIT
    two_sided = quoted_ask & quoted_bid & (bid <= ask)
    origin[two_sided & ~(mid > intrinsic)] = VolOrigin.LIMIT
    origin[two_sided & (mid > intrinsic)] = VolOrigin.SOLVED
    origin[given > 0] = VolOrigin.GIVEN
    vol = np.where(origin == VolOrigin.GIVEN, given, np.where(origin == VolOrigin.LIMIT, 0.0, np.nan))
    at = np.flatnonzero(origin == VolOrigin.SOLVED)
    if len(at):
        vol[at] = implied_vol(mid[at], spot[at], strike[at], years[at], call[at], rate, dividend)
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
    conventions: Conventions = REPLAY_1,
) -> OptionExposures:
    """Exposures of N options, arguments (N,) each: USD, years, contracts, per sqrt(year); NaN for not known.

    ``years`` is time to expiry on the conventions' clock, see :meth:`Conventions.years`.
    """
    rate, dividend = conventions.rate, conventions.dividend
    vol, origin = resolve_vol(given_vol, bid, ask, spot, strike, years, call, rate, dividend)
    gex, dex, vex, chex = exposures_at(spot, strike, years, vol, call, open_interest, conventions)
    return OptionExposures(vol, origin, gex, dex, vex, chex)


def exposures_at(
    spot: Floats,
    strike: Floats,
    years: Floats,
    vol: Floats,
    call: Bools,
    open_interest: Floats,
    conventions: Conventions = REPLAY_1,
) -> tuple[Floats, Floats, Floats, Floats]:
    """gex, dex, vex, chex (N,) of options whose vols are settled.

    With OI contracts of 100 shares, greeks at the spot S, and the dealers' side s (1 or -1) of the right:
    gex = s gamma OI 100 S^2 0.01, dex = delta OI 100 S (of dealers' books times s), vex = s vanna OI 100 S times the
    vanna point, chex = s charm OI 100 S per the charm's time. Without open interest they are 0.
    """
    risk = greeks(spot, strike, years, vol, call, conventions.rate, conventions.dividend)
    dealer = np.where(call, float(conventions.calls), float(conventions.puts))
    shares = open_interest * CONTRACT_SIZE
    idle = open_interest == 0
    charm = risk.charm * (365.0 * conventions.charm_fraction)

    def total(per_share: Floats) -> Floats:
        return np.where(idle, 0.0, per_share * shares)

    return (
        total(dealer * risk.gamma * spot * spot * 0.01),
        total(risk.delta * spot if conventions.dex == "holders" else dealer * risk.delta * spot),
        total(dealer * risk.vanna * spot * conventions.vanna_point),
        total(dealer * charm * spot),
    )
