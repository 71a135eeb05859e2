"""The one price that all options of an expiration settle at: an official one from a file, else the last spot."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from replay.contract import normalise_symbol
from replay.errors import InputError, InvalidTime
from replay.market import Market
from replay.sessions import NEW_YORK, find_session, from_us, parse_date, to_us
from replay.tape import GapPolicy

PRICES: Final = ("price", "settlement")


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a session settled at.

    Attributes
    ----------
    price
        USD; ``None`` where it is not known: nothing is invented.
    source
        ``file``, ``spot`` (the last before the close), or ``none``.
    ts
        The instant of the spot, microseconds since the epoch; ``None`` for a price of a file.
    reason
        Why there is no price; empty where there is one.
    """

    price: float | None
    source: str
    ts: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Settlements:
    """Official settlement prices: ``prices[symbol, date]`` in USD, and the SHA-256 of the file they come from."""

    prices: Mapping[tuple[str, dt.date], float] = field(default_factory=dict)
    source: str | None = None
    sha256: str | None = None

    def of(self, market: Market, policy: GapPolicy) -> Settlement:
        """The settlement of a session.

        The file's price; where it has none, the last spot of the session (in the revision first recorded), if at the
        close it is no older than two cadences, and what ``policy`` carries; else none.
        """
        given = self.prices.get((market.symbol, market.session.date))
        if given is not None:
            return Settlement(given, "file")
        known = np.flatnonzero(np.isfinite(market.spot) & (market.spot > 0))
        if len(known) == 0:
            return Settlement(None, "none", reason="no spot is known")
        last = int(known[-1])
        ts, close = int(market.ts[last]), to_us(market.session.close)
        limit = 2 * market.cadence(len(market) - 1) + policy.carried
        if close - ts > limit:
            at = from_us(ts).astimezone(NEW_YORK)
            return Settlement(
                None, "none", ts, f"the last spot is of {at:%H:%M:%S}, {_minutes(close - ts)} before the close"
            )
        return Settlement(float(market.spot[last]), "spot", ts)


def _minutes(us: int) -> str:
    return f"{us / 60_000_000:.1f} minutes"


def read_settlements(path: str | os.PathLike[str]) -> Settlements:
    """Settlement prices from a CSV file with the columns ``symbol``, ``date`` and ``price`` (or ``settlement``).

    Further columns are left alone; symbols are trimmed and upper-cased; dates are ISO 8601.

    Raises
    ------
    InputError
        Naming the file and line: a column that is missing, a date that is no session, a price that is none, or two
        prices for one session.
    """
    name = str(path)
    try:
        data = pathlib.Path(path).read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(error.strerror or str(error), path=name) from error
    except UnicodeDecodeError as error:
        raise InputError("is no CSV file in UTF-8", path=name) from error
    reader = csv.reader(lines, strict=True)
    prices: dict[tuple[str, dt.date], float] = {}
    try:
        for line, (symbol, day, text) in _rows(reader, name):
            key, price = (normalise_symbol(symbol), _date(day, name, line)), _price(text, name, line)
            if prices.setdefault(key, price) != price:
                raise InputError(
                    f"a second price of {key[0]} {key[1]}: {price:g} after {prices[key]:g}", path=name, line=line
                )
    except csv.Error as error:
        raise InputError(f"is no CSV: {error}", path=name, line=reader.line_num) from error
    if not prices:
        raise InputError("holds no settlement price", path=name)
    return Settlements(prices, pathlib.Path(path).name, hashlib.sha256(data).hexdigest())


def _rows(reader: Iterator[list[str]], path: str) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Each row's line, symbol, date and price as text."""
    header = [each.strip().lower() for each in next(reader, [])]
    price = next((each for each in PRICES if each in header), None)
    if price is None or not {"symbol", "date"} <= set(header):
        raise InputError(
            f"has the columns {', '.join(header) or 'none'}; symbol, date and price are needed", path=path, line=1
        )
    at = [header.index(each) for each in ("symbol", "date", price)]
    for line, row in enumerate(reader, 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise InputError(f"has {len(row)} fields; the header has {len(header)}", path=path, line=line)
        symbol, day, text = (row[i].strip() for i in at)
        yield line, (symbol, day, text)


def _date(text: str, path: str, line: int) -> dt.date:
    try:
        date = parse_date(text)
    except InvalidTime as error:
        raise InputError(error.message, path=path, line=line) from error
    if find_session(date) is None:
        raise InputError(f"{date} is no session of the exchange", path=path, line=line)
    return date


def _price(text: str, path: str, line: int) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not (math.isfinite(price) and price > 0):
        raise InputError(f"price {text!r} is not a number above 0", path=path, line=line)
    return price
