"""The terms that a run's orders are filled, charged and settled on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from replay.account.legs import MICRO, is_whole, micro
from replay.broker.fees import AUTO, Fees, fees_for
from replay.errors import InvalidDuration, InvalidTerms
from replay.products import Product, product_of, settles_at_close
from replay.sessions import duration_text, parse_duration
from replay.settlement import Settlements, read_settlements

MODELS: Final = ("touch", "mid", "mid+X%", "patient", "same")
_MID_PLUS: Final = re.compile(r"mid\+(\d{1,3}(?:\.\d{1,3})?)%")


@dataclass(frozen=True, slots=True)
class FillModel:
    """At what price an order is filled that can be filled at once.

    Attributes
    ----------
    name
        ``touch``, ``mid``, ``mid+25%`` (a quarter of the way from mid to touch), ``patient`` or ``same``.
    share
        How much of the way from mid to touch is paid, 0 to 1.
    wait
        ``patient``: how long an order stands at mid before it crosses, microseconds; ``None``: one cadence.
    """

    name: str = "touch"
    share: float = 1.0
    wait: int | None = None

    @property
    def posts(self) -> bool:
        """Whether orders stand at mid first."""
        return self.name.startswith("patient")

    @property
    def same(self) -> bool:
        """Whether orders fill on the snapshot that they were decided on."""
        return self.name == "same"


@dataclass(frozen=True)
class Terms:
    """Terms of a run; see :func:`make_terms`. Amounts are micro-dollars, times microseconds."""

    model: FillModel = field(default_factory=FillModel)
    epsilon: int = 0
    max_wait: int | None = None
    max_spread: float = 0.5
    slippage: int = 0
    capital: int = 100_000 * MICRO
    latency: int = 0
    products: Mapping[str, Product] = field(default_factory=dict)
    fees: Mapping[str, Fees] = field(default_factory=dict)
    settlements: Settlements = field(default_factory=Settlements)

    def describe(self) -> dict[str, Any]:
        """As plain values for ``run.json``."""
        return {
            "fill": self.model.name,
            "epsilon": self.epsilon / MICRO,
            "max_wait": "2 cadences" if self.max_wait is None else duration_text(self.max_wait),
            "max_spread": self.max_spread if math.isfinite(self.max_spread) else None,
            "slippage_ticks": self.slippage,
            "capital": self.capital / MICRO,
            "order_latency": duration_text(self.latency),
            "roots": {symbol: product.root for symbol, product in self.products.items()},
            "fees": {symbol: dataclasses.asdict(fees) for symbol, fees in self.fees.items()},
            "settlement": {"file": self.settlements.source, "sha256": self.settlements.sha256},
        }


class Asked(TypedDict, total=False):
    """What can be asked of :func:`make_terms`."""

    fill: str
    epsilon: float
    max_wait: str | dt.timedelta | None
    max_spread: float | str
    fees: str | float
    slippage: int
    capital: float
    order_latency: str | dt.timedelta | None
    root: str | None
    settlement: str | os.PathLike[str] | Settlements | None


def make_terms(
    symbols: tuple[str, ...],
    *,
    fill: str = "touch",
    epsilon: float = 0.0,
    max_wait: str | dt.timedelta | None = None,
    max_spread: float | str = 0.5,
    fees: str | float = AUTO,
    slippage: int = 0,
    capital: float = 100_000.0,
    order_latency: str | dt.timedelta | None = None,
    root: str | None = None,
    settlement: str | os.PathLike[str] | Settlements | None = None,
) -> Terms:
    """Terms for the options of these symbols.

    Parameters
    ----------
    fill
        ``touch``: an order that can be filled at once crosses the spread. ``mid``, ``mid+25%``: it pays the mid, or so
        much of the way from there to the touch, rounded against it to the product's tick. ``patient``, ``patient:90s``:
        it stands at the mid for a cadence (or so long), then crosses. ``same``: it is filled at the touch of the very
        snapshot that it was decided on, which nobody can do; a run with it is marked.
    epsilon
        USD that the natural price must pass a resting limit by before it is filled.
    max_wait
        A snapshot so much later than a market order reached the market does not fill it; ``None``: two cadences.
    max_spread
        A leg whose ask is more than so much of its mid (and ten ticks) above its bid is not filled on; ``inf``: any is.
    fees
        ``auto`` (``us-broker``, or ``index`` for cash-settled ones), a preset, USD a contract, or a TOML file.
    slippage
        Ticks a leg that an order which crosses pays more.
    capital
        USD that each session begins with.
    order_latency
        How long an order, or its withdrawal, is on its way; ``None``: not at all.
    root
        The root to trade, of a symbol with several; those that settle at the open are refused, as is an order of a
        symbol that has no other.
    settlement
        Official settlement prices, or a file of them; where it has none the last spot stands in, if it is fresh.

    Raises
    ------
    InvalidTerms, InvalidRun, InputError
        Naming what cannot be used.
    """
    if not is_whole(slippage) or not 0 <= slippage <= 1000:
        raise InvalidTerms(f"slippage {slippage!r} is not a whole number of ticks from 0 to 1000")
    traded = symbols if root is not None else [symbol for symbol in symbols if settles_at_close(symbol)]
    products = {symbol: product_of(symbol, root) for symbol in traded}
    return Terms(
        parse_model(fill),
        micro(_amount(epsilon, "epsilon", 0.0, 100.0)),
        None if max_wait is None else _duration(max_wait, "max_wait"),
        _spread(max_spread),
        int(slippage),
        micro(_amount(capital, "capital", 1.0, 1e12)),
        0 if order_latency is None else _duration(order_latency, "order_latency"),
        products,
        {symbol: fees_for(fees, product) for symbol, product in products.items()},
        settlement
        if isinstance(settlement, Settlements)
        else Settlements()
        if settlement is None
        else read_settlements(settlement),
    )


def parse_model(text: str) -> FillModel:
    """A fill model from its name; raises :class:`~replay.errors.InvalidTerms`, listing what there is."""
    name, colon, wait = text.strip().lower().partition(":") if isinstance(text, str) else ("", "", "")
    share = _MID_PLUS.fullmatch(name)
    if share is not None and not colon and float(share[1]) <= 100:
        return FillModel(f"mid+{float(share[1]):g}%", float(share[1]) / 100)
    if name == "mid" and not colon:
        return FillModel("mid", 0.0)
    if name in ("touch", "same") and not colon:
        return FillModel(name)
    if name == "patient":
        length = _duration(wait, "patient") if colon else None
        return FillModel("patient" if length is None else f"patient:{duration_text(length)}", 1.0, length)
    raise InvalidTerms(f"fill {text!r} is not one of {', '.join(MODELS)}, such as mid+25% or patient:90s")


def _duration(value: str | dt.timedelta, name: str) -> int:
    try:
        return min(parse_duration(value, name), 2**52)
    except InvalidDuration as error:
        raise InvalidTerms(error.message) from None


def _spread(value: float | str) -> float:
    text = str(value).strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InvalidTerms(f"max_spread {value!r} is not a share of the mid above 0, such as 0.5 or 50%, or inf")
    return found


def _amount(value: float, name: str, least: float, most: float) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not least <= found <= most:
        raise InvalidTerms(f"{name} {value!r} is not an amount in USD from {least:g} to {most:g}")
    return found
