"""What a broker and the exchanges charge a contract."""

from __future__ import annotations

import math
import pathlib
import tomllib
from dataclasses import dataclass, fields
from typing import Any, Final

from replay.account.legs import micro
from replay.errors import InvalidTerms
from replay.products import Product

AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Fees:
    """USD a contract, each leg of an order, on the way in and on the way out.

    Attributes
    ----------
    commission
        The broker's.
    clearing, regulatory
        The Options Clearing Corporation's, and the options regulatory fee of the exchanges.
    exchange
        For products that one exchange alone lists, such as SPX.
    sale
        The trading activity fee, on contracts sold.
    exercise
        On contracts that are exercised or assigned at settlement.
    """

    name: str
    commission: float = 0.0
    clearing: float = 0.0
    regulatory: float = 0.0
    exchange: float = 0.0
    sale: float = 0.0
    exercise: float = 0.0

    def trade(self, quantity: int) -> int:
        """On a trade of so many contracts (below 0: sold), micro-dollars."""
        each = self.commission + self.clearing + self.regulatory + self.exchange + (self.sale if quantity < 0 else 0.0)
        return micro(each) * abs(quantity)

    def settlement(self, quantity: int) -> int:
        """On so many contracts exercised or assigned, micro-dollars."""
        return micro(self.exercise) * abs(quantity)


PRESETS: Final = {
    each.name: each
    for each in (
        Fees("zero"),
        Fees("us-broker", commission=0.65, clearing=0.02, regulatory=0.02815, sale=0.00244),
        Fees("index", commission=0.65, clearing=0.02, regulatory=0.02815, sale=0.00244, exchange=0.65),
    )
}
"""Brokers' usual 0.65 and the fees passed on, as published in 2025; ``index`` adds what SPX options cost more."""


def fees_for(given: str | float, product: Product) -> Fees:
    """Fees by a preset's name, ``auto``, an amount a contract, or a TOML file.

    ``auto`` is ``us-broker``, and ``index`` for options that settle in cash.

    Raises
    ------
    InvalidTerms
        For anything else, naming what there is.
    """
    text = str(given).strip()
    if text == AUTO:
        return PRESETS["us-broker" if product.physical else "index"]
    if text in PRESETS:
        return PRESETS[text]
    if text.endswith(".toml"):
        return _read(pathlib.Path(text))
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < 1000:
        raise InvalidTerms(
            f"fees {given!r}: give {AUTO}, {', '.join(PRESETS)}, USD a contract such as 0.65, or a TOML file"
        )
    return Fees(f"{amount:g} a contract", commission=amount)


def _read(path: pathlib.Path) -> Fees:
    names = [field.name for field in fields(Fees) if field.name != "name"]
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTerms(f"fees {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTerms(f"fees {path} is no TOML: {error}") from error
    for name, value in found.items():
        if name not in names:
            raise InvalidTerms(f"fees {path}: {name!r} is none of {', '.join(names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1000:
            raise InvalidTerms(f"fees {path}: {name} = {value!r} is not an amount in USD from 0")
    return Fees(path.name, **{name: float(value) for name, value in found.items()})
