"""Exposures of a chain at hand, with no lake: a frame or arrays in, the same kind out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, overload

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from replay.errors import InputError, InvalidTime
from replay.exposure.chain import option_exposures
from replay.exposure.conventions import REPLAY_1, Conventions
from replay.ragged import Bools, Floats
from replay.sessions import find_session, parse_moment, session_date, to_us

_NEEDED: Final = ("strike", "right", "open_interest")
_OPTIONAL: Final = ("iv", "bid", "ask")
_CALLS: Final = ("c", "call")
_PUTS: Final = ("p", "put")


@overload
def exposures(
    chain: pl.DataFrame, *, spot: float, at: str | dt.datetime, conventions: Conventions | str = ...
) -> pl.DataFrame: ...
@overload
def exposures(
    chain: Mapping[str, ArrayLike], *, spot: float, at: str | dt.datetime, conventions: Conventions | str = ...
) -> dict[str, Floats]: ...
def exposures(
    chain: pl.DataFrame | Mapping[str, ArrayLike],
    *,
    spot: float,
    at: str | dt.datetime,
    conventions: Conventions | str = REPLAY_1,
) -> pl.DataFrame | dict[str, Floats]:
    """gex, dex, vex and chex per strike of one same-day chain at one instant.

    Parameters
    ----------
    chain
        N options, one each: ``strike`` (USD, above 0), ``right`` (``C``/``P`` or ``call``/``put``; as an array also
        True for calls), ``open_interest`` (contracts), and at least one of ``iv`` (per sqrt(year); 0 or NaN: to be
        solved) and the pair ``bid``, ``ask`` (USD). NaN and null are not known.
    spot
        USD.
    at
        The instant, on the expiration's date: an aware datetime, or ISO 8601 text, without an offset New York.
    conventions
        What to compute under, or its id.

    Returns
    -------
    The kind of ``chain``, with one row a strike (K,), ascending: ``strike``, ``gex``, ``dex``, ``vex``, ``chex`` in
    the conventions' units, ``call_oi``, ``put_oi`` (contracts), ``call_iv``, ``put_iv`` (per sqrt(year), 0 is the
    limit). NaN (null in a frame) is not known: as in a lake, also the exposures of a strike that lacks a right.

    Raises
    ------
    InputError
        If a column is missing, not a number, or not as it is to be, or a contract is there twice.
    InvalidTime
        If the exchange has no session on that date.
    """
    columns = _columns(chain)
    strike, call = columns["strike"], columns["call"].astype(np.bool_)
    if not np.isfinite(spot) or spot <= 0:
        raise InputError(f"spot {spot!r} is to be a price above 0")
    held = Conventions.parse(conventions) if isinstance(conventions, str) else conventions
    moment = to_us(parse_moment(at))
    session = find_session(session_date(moment))
    if session is None:
        raise InvalidTime(f"at {at}: the exchange has no session on that date, so nothing expires")
    risk = option_exposures(
        spot=np.full(len(strike), float(spot)),
        strike=strike,
        years=np.full(len(strike), float(held.years(session, np.array(moment)))),
        call=call,
        open_interest=columns["open_interest"],
        given_vol=columns["iv"],
        bid=columns["bid"],
        ask=columns["ask"],
        conventions=held,
    )
    grid, cell = np.unique(strike, return_inverse=True)
    found = {"strike": grid}
    for name in ("gex", "dex", "vex", "chex"):
        sides = [_laid(getattr(risk, name), cell, call == side, len(grid)) for side in (True, False)]
        found[name] = sides[0] + sides[1]
    for stored, values in (("oi", columns["open_interest"]), ("iv", risk.vol)):
        for side, name in ((True, "call"), (False, "put")):
            found[f"{name}_{stored}"] = _laid(values, cell, call == side, len(grid))
    if isinstance(chain, Mapping):
        return found
    return pl.DataFrame(found).with_columns(pl.all().fill_nan(None))


def _laid(values: Floats, cell: Any, chosen: Bools, size: int) -> Floats:
    """The chosen options' values by strike, NaN where a strike has none."""
    laid = np.full(size, np.nan)
    laid[cell[chosen]] = values[chosen]
    return laid


def _columns(chain: pl.DataFrame | Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """The chain's columns as arrays of one length, checked."""
    names = list(chain.keys()) if isinstance(chain, Mapping) else chain.columns
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(f"the chain lacks {', '.join(missing)}; it holds {', '.join(names) or 'nothing'}")
    if "iv" not in names and not {"bid", "ask"} <= set(names):
        raise InputError("the chain is to hold iv, or bid and ask to solve it from")
    numbers = [name for name in (*_NEEDED, *_OPTIONAL) if name in names and name != "right"]
    found: dict[str, Floats] = {name: _numbers(chain[name], name) for name in numbers}
    found["call"] = _calls(chain["right"]).astype(np.float64)
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the chain's columns differ in length: {lengths}")
    size = len(found["strike"])
    for name in _OPTIONAL:
        found.setdefault(name, np.full(size, np.nan))
    wrong = ~(np.isfinite(found["strike"]) & (found["strike"] > 0))
    for name in ("open_interest", *_OPTIONAL):
        wrong |= (found[name] < 0) | np.isinf(found[name])
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        shown = {name: float(values[row]) for name, values in found.items() if name != "call"}
        raise InputError(f"row {row} of the chain holds {shown}; strikes are above 0, other numbers not below 0")
    pairs = np.stack([found["strike"], found["call"]], axis=1)
    if len(np.unique(pairs, axis=0)) < size:
        raise InputError("the chain holds a strike and right twice; give one row a contract of one expiration")
    return found


def _numbers(column: Any, name: str) -> Floats:
    try:
        if not isinstance(column, pl.Series):
            return np.array(column, np.float64, ndmin=1)
        return np.array(column.cast(pl.Float64).to_numpy(), np.float64)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{name} of the chain is no number throughout: {str(error).splitlines()[0]}") from None


def _calls(column: Any) -> Bools:
    values = column.to_numpy() if isinstance(column, pl.Series) else np.array(column, ndmin=1)
    if values.dtype == np.bool_:
        return values
    texts = np.char.lower(values.astype(np.str_))
    call = np.isin(texts, _CALLS)
    wrong = np.flatnonzero(~call & ~np.isin(texts, _PUTS))
    if len(wrong):
        raise InputError(
            f"right {str(values[wrong[0]])!r} in row {wrong[0]} of the chain is neither C, P, call nor put"
        )
    return np.asarray(call, np.bool_)
