"""A second broker, slow and plain: one order at a time over a list of snapshots, in decimal fractions.

It shares no code with the package, and knows only what its documentation says.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.lakes import MINUTE, Row

Leg = tuple[str, float, int]


@dataclass
class Asked:
    """An order as its sender gives it; ``withdrawn`` is when it was cancelled, microseconds."""

    sent: int
    legs: tuple[Leg, ...]
    quantity: int
    limit: float | None
    tif: str | int
    withdrawn: int | None = None


@dataclass
class Outcome:
    """What became of an order: ``paid`` is what one combination cost (below 0: brought), USD a share."""

    status: str = "working"
    at: int | None = None
    paid: Fraction | None = None
    misses: list[tuple[int, str]] = field(default_factory=list)


def exact(price: float) -> Fraction:
    """A quote as it is written."""
    return Fraction(str(price))


def quote_of(row: Row, leg: Leg) -> tuple[Any, Any] | None:
    if leg[1] not in row["strike"]:
        return None
    at = row["strike"].index(leg[1])
    side = {"C": "call", "P": "put"}[leg[0]]
    return row[f"{side}_bid"][at], row[f"{side}_ask"][at]


def trouble(row: Row, leg: Leg, buys: bool, max_spread: float) -> str | None:
    """Why a leg cannot be traded on a snapshot."""
    found = quote_of(row, leg)
    if found is None:
        return "strike not listed"
    bid, ask = found
    if ask is None or ask != ask or ask <= 0:
        return "no quote"
    if bid is None or bid != bid or bid <= 0:
        bid = 0
        if not buys:
            return "no bid"
    if bid > ask:
        return "crossed"
    spread, mid = exact(ask) - exact(bid), (exact(ask) + exact(bid)) / 2
    return "too wide" if spread > Fraction(1, 10) and spread > Fraction(str(max_spread)) * mid else None


def cadence(rows: list[Row], last: int) -> int:
    """The median step of the snapshots up to one of them."""
    clocks = [row["ts"] for row in rows[: last + 1]]
    steps = [b - a for a, b in itertools.pairwise(clocks)]
    return int(statistics.median(steps)) if steps else MINUTE


def follow(
    rows: list[Row],
    asked: Asked,
    close: int,
    *,
    latency: int = 0,
    epsilon: float = 0,
    max_wait: int | None = None,
    max_spread: float = 0.5,
    share: Fraction = Fraction(1),
) -> Outcome:
    """One order through the first-recorded snapshots of a session, ascending; ``share`` of mid to touch is paid."""
    out = Outcome()
    buys = asked.quantity > 0
    arrives = asked.sent + latency
    rests = False
    for number, row in enumerate(rows):
        ts = row["ts"]
        if ts > close:
            break
        if ts <= asked.sent or ts < arrives:
            continue
        if asked.withdrawn is not None and ts > asked.withdrawn and ts >= asked.withdrawn + latency:
            break
        wait = 2 * cadence(rows, number) if max_wait is None else max_wait
        if asked.limit is None and ts > arrives + wait:
            out.status = "expired"
            return out
        if isinstance(asked.tif, int) and ts > asked.sent + asked.tif:
            out.status = "expired"
            return out
        troubles = [found for leg in asked.legs if (found := trouble(row, leg, (leg[2] > 0) == buys, max_spread))]
        if troubles:
            out.misses.append((ts, troubles[0]))
        else:
            natural, middle = Fraction(0), Fraction(0)
            for leg in asked.legs:
                quoted = quote_of(row, leg)
                assert quoted is not None
                bid, ask = exact(quoted[0] or 0), exact(quoted[1])
                contracts = leg[2] if buys else -leg[2]
                natural += contracts * (ask if contracts > 0 else bid)
                middle += contracts * (bid + ask) / 2
            most = None if asked.limit is None else exact(asked.limit) * (1 if buys else -1)
            if rests:
                assert most is not None
                if natural <= most - exact(epsilon):
                    out.status, out.at, out.paid = "filled", ts, most
                    return out
            else:
                cents = (middle + share * (natural - middle)) * 100
                price = min(Fraction(-((-cents.numerator) // cents.denominator), 100), natural)
                if most is None or price <= most:
                    out.status, out.at, out.paid = "filled", ts, price
                    return out
                rests = True
        if asked.tif == "ioc":
            out.status = "expired"
            return out
    ends = [asked.sent + asked.tif] if isinstance(asked.tif, int) else []
    if asked.withdrawn is not None:
        arrived = asked.withdrawn + latency
        if asked.limit is None:  # its patience as it stood when the withdrawal came
            known = sum(row["ts"] <= arrived for row in rows) - 1
            ends.append(arrives + (2 * cadence(rows, known) if max_wait is None else max_wait))
        out.status = "expired" if ends and min(ends) < arrived else "cancelled"
    else:
        out.status = "expired"
    return out


def worth(legs: tuple[Leg, ...], spot: float) -> Fraction:
    """A combination at settlement; less than a cent in the money is not exercised."""
    total = Fraction(0)
    for right, strike, ratio in legs:
        inside = exact(spot) - exact(strike) if right == "C" else exact(strike) - exact(spot)
        total += ratio * (inside if inside >= Fraction(1, 100) else 0)
    return total
