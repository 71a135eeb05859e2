"""Databento's DBN files of OPRA quotes, through their own decoder: the extra ``[databento]``."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from replay.errors import InputError, MissingExtra

_CHUNK: Final = 4 * 2**20
_HEAD: Final = 64 * 2**10
_OCC: Final = re.compile(r"([A-Z]{1,6}[0-9]?) *(\d{6})([CP])(\d{8})")
_QUOTES: Final = ("CBBOMsg", "CMBP1Msg", "BBOMsg", "MBP1Msg")
_FAR: Final = 2**63 - 1

ROWS: Final = {"contract": pl.String, "ts": pl.Int64, "bid": pl.Float64, "ask": pl.Float64}
"""Columns of the rows: the OCC symbol, when the quote was received (nanoseconds since the epoch), USD."""


Names = dict[int, list[tuple[int, int, str]]]
"""Which OCC symbol an instrument id had from when until when, nanoseconds since the epoch, the end exclusive."""


def rows(path: pathlib.Path, names: Names | None = None) -> Iterator[pl.DataFrame]:
    """The best bids and offers of a file, chunk by chunk, with the contracts that its metadata or definitions name.

    ``names`` holds what other files named, and is given what this one names.

    A quote is known when it was received (``ts_recv``), a sampled one at its interval's end. Undefined prices are null.

    Raises
    ------
    InputError
        If the file is no DBN, is cut off, or holds records that are no quotes.
    MissingExtra
        Without the decoder.
    """
    dbn = _library()
    kinds = tuple(getattr(dbn, name) for name in _QUOTES)
    named: Names = {} if names is None else names
    with _opened(path) as file:
        decoder = _decoder(file, dbn)
        while chunk := file.read(_CHUNK):
            try:
                decoder.write(chunk)
                records = decoder.decode()
            except (dbn.DBNError, ValueError, RuntimeError) as error:
                raise InputError(f"is no DBN that can be read: {error}", path=str(path)) from error
            yield _quotes(records, kinds, named, path, dbn)
        if len(decoder.buffer()):
            raise InputError("is cut off in the middle of a record", path=str(path))
    if not named:
        raise InputError("names no contracts: give a file with symbol mappings", path=str(path))


def is_definition(path: pathlib.Path) -> bool:
    """Whether a file is of the schema ``definition``: it names contracts. Raises as :func:`rows` does."""
    dbn = _library()
    with _opened(path) as file:
        decoder = _decoder(file, dbn)
        while chunk := file.read(_HEAD):
            try:
                decoder.write(chunk)
                records = decoder.decode()
            except (dbn.DBNError, ValueError, RuntimeError) as error:
                raise InputError(f"is no DBN that can be read: {error}", path=str(path)) from error
            if records:
                return isinstance(records[0], dbn.Metadata) and bool(records[0].schema == dbn.Schema.DEFINITION)
    return False


def _library() -> Any:
    try:
        import databento_dbn
    except ImportError as error:
        raise MissingExtra("reading DBN", "databento") from error
    return databento_dbn


def _decoder(file: Any, dbn: Any) -> Any:
    """A decoder for a file that stands at its start, as it does afterwards."""
    magic = file.read(4)
    file.seek(0)
    return dbn.DBNDecoder(compression=dbn.Compression.ZSTD if magic == b"\x28\xb5\x2f\xfd" else dbn.Compression.NONE)


def _opened(path: pathlib.Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", path=str(path)) from error


def _quotes(
    records: list[Any],
    kinds: Any,
    named: Names,
    path: pathlib.Path,
    dbn: Any,
) -> pl.DataFrame:
    """The quotes among some records; what names contracts is noted."""
    found: dict[str, list[Any]] = {name: [] for name in ROWS}
    for record in records:
        if isinstance(record, dbn.Metadata):
            _note_mappings(record, named)
        elif isinstance(record, dbn.SymbolMappingMsg):
            for symbol in (record.stype_out_symbol, record.stype_in_symbol):
                _note(named, record.instrument_id, 0, _FAR, symbol)
        elif isinstance(record, dbn.InstrumentDefMsg):
            _note(named, record.instrument_id, 0, _FAR, record.raw_symbol)
        elif isinstance(record, kinds):
            level = record.levels[0]
            found["contract"].append(_name(named, record.instrument_id, record.ts_recv))
            found["ts"].append(record.ts_recv)
            for side in ("bid", "ask"):
                price = getattr(level, f"{side}_px")
                found[side].append(None if price == dbn.UNDEF_PRICE else price / dbn.FIXED_PRICE_SCALE)
        elif not isinstance(record, dbn.SystemMsg):
            raise InputError(
                f"holds {type(record).__name__}, which is no quote; cbbo-1s, cbbo-1m, cmbp-1, bbo and mbp-1 are read",
                path=str(path),
            )
    return pl.DataFrame(found, schema=ROWS)


def _note_mappings(metadata: Any, named: Names) -> None:
    """Which symbol an instrument id had when, as the metadata say; dates are UTC, the end is exclusive."""
    day = 86_400_000_000_000
    for symbol, intervals in metadata.mappings.items():
        for each in intervals:
            start, end = ((each[name].toordinal() - _EPOCH) * day for name in ("start_date", "end_date"))
            for number, name in ((str(each["symbol"]), symbol), (symbol, str(each["symbol"]))):  # either way round
                if number.isdigit():
                    _note(named, int(number), start, end, name)


_EPOCH: Final = 719_163  # 1970-01-01 as an ordinal


def _note(named: Names, instrument: int, start: int, end: int, symbol: str) -> None:
    if _OCC.fullmatch(symbol.strip()):
        named.setdefault(instrument, []).append((start, end, symbol.strip()))


def _name(named: Names, instrument: int, at: int) -> str | None:
    return next((symbol for start, end, symbol in named.get(instrument, ()) if start <= at < end), None)
