"""What a lake stores: one row is one snapshot, the whole chain of one symbol at one instant.

This is the only home of column names, types and units. Per-strike values are list columns parallel by index to
``strike``; NaN in a list means not known, a null list means that none of it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = "1"

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
PER_STRIKE: Final = pa.list_(pa.float64())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a snapshot file.

    ``derived`` columns are computed by the engine from the others, so they may differ in the last bits between
    machines; all others are stored as the source gave them.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    required: bool = False
    derived: bool = False


COLUMNS: Final = (
    Column("ts", TIMESTAMP, "UTC", "the instant described", required=True),
    Column("recorded_at", TIMESTAMP, "UTC", "when it became known, not before ts", required=True),
    Column("spot", pa.float64(), "USD", "the underlying's price at ts", required=True),
    Column("expiration", pa.date32(), "date", "the session's date, New York"),
    Column("strike", PER_STRIKE, "USD", "ascending, no repeats; a null list is a legacy v1 row"),
    Column("gex", PER_STRIKE, "USD of delta per 1 % move", "dealers' gamma exposure", derived=True),
    Column("dex", PER_STRIKE, "USD of delta", "holders' net delta", derived=True),
    Column("vex", PER_STRIKE, "USD of delta per vol point", "dealers' vanna exposure", derived=True),
    Column("chex", PER_STRIKE, "USD of delta per calendar day", "dealers' charm exposure", derived=True),
    Column("call_oi", PER_STRIKE, "contracts", "open interest of the calls"),
    Column("put_oi", PER_STRIKE, "contracts", "open interest of the puts"),
    Column("oi", PER_STRIKE, "contracts", "total open interest, only where the sides are unknown"),
    Column(
        "signed_flow",
        PER_STRIKE,
        "delta-dollars",
        "traded since the previous snapshot, bought +",
        derived=True,
    ),
    Column("call_flow", PER_STRIKE, "contracts", "signed call volume since the previous snapshot"),
    Column("put_flow", PER_STRIKE, "contracts", "signed put volume since the previous snapshot"),
    Column("gamma_flow", PER_STRIKE, "gamma-dollars", "traded since the previous snapshot", derived=True),
    Column("call_bid", PER_STRIKE, "USD", "best bid of the call"),
    Column("call_ask", PER_STRIKE, "USD", "best ask of the call"),
    Column("put_bid", PER_STRIKE, "USD", "best bid of the put"),
    Column("put_ask", PER_STRIKE, "USD", "best ask of the put"),
    Column("call_iv", PER_STRIKE, "1 per sqrt(year)", "vol used for the call; 0 is the limit", derived=True),
    Column("put_iv", PER_STRIKE, "1 per sqrt(year)", "vol used for the put; 0 is the limit", derived=True),
    Column("call_volume", PER_STRIKE, "contracts", "call volume, cumulative in the session"),
    Column("put_volume", PER_STRIKE, "contracts", "put volume, cumulative in the session"),
)

BY_NAME: Final = {column.name: column for column in COLUMNS}
ARROW: Final = pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in COLUMNS])
LISTS: Final = tuple(c.name for c in COLUMNS if c.type == PER_STRIKE)
VALUES: Final = tuple(name for name in LISTS if name != "strike")
REQUIRED: Final = tuple(c.name for c in COLUMNS if c.required)

_READ_BY_NAME: Final = frozenset({"ts", "recorded_at", "file_index", "file_row_number"})
"""Names that DuckDB, for which case is no difference, reads clocks and rows by."""

METADATA_VERSION: Final = b"replay.schema_version"
METADATA_SOURCE: Final = b"replay.source"
METADATA_CONVENTIONS: Final = b"replay.conventions"
METADATA_CADENCE: Final = b"replay.cadence_us"
METADATA_THINNED: Final = b"replay.thinned_snapshots"
"""How many raw snapshots a session had when it was thinned; only files that were thinned have it."""


def faults_of(found: pa.Schema) -> list[str]:
    """What keeps a file with this schema from being read as snapshots, a sentence each; empty if nothing does.

    Missing optional columns and unknown columns are no faults, nor are other widths of the same kind of number.
    """
    faults = [f"column {name} is missing" for name in REQUIRED if name not in found.names]
    for name in found.names:
        twin = name.lower()
        if twin in _READ_BY_NAME and name not in REQUIRED:
            faults.append(f"column {name} cannot be told from the {twin} that the reader needs; rename it")
    for column in COLUMNS:
        positions = found.get_all_field_indices(column.name)
        if len(positions) > 1:
            faults.append(f"column {column.name} is there {len(positions)} times")
        elif positions and not _fits(found.field(positions[0]).type, column.type):
            faults.append(f"column {column.name} is {found.field(positions[0]).type}, not {column.type}")
    return faults


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    if wanted == TIMESTAMP:
        return bool(pa.types.is_timestamp(found)) and found.tz is not None
    if wanted == pa.float64():
        return _is_number(found)
    if wanted == pa.date32():
        return bool(pa.types.is_date(found))
    if pa.types.is_null(found):
        return True
    is_list = pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found)
    return is_list and (_is_number(found.value_type) or bool(pa.types.is_null(found.value_type)))


def _is_number(found: pa.DataType) -> bool:
    return bool(pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_decimal(found))


def conform(table: pa.Table) -> pa.Table:
    """The table with exactly the stored columns, in order and of the stored types; a missing one is null.

    Raises ``ValueError`` naming the columns if :func:`faults_of` finds any fault.
    """
    faults = faults_of(table.schema)
    if faults:
        raise ValueError("; ".join(faults))
    arrays = [
        # nanoseconds are cut to the microsecond, whole numbers become the nearest double
        table[c.name].cast(c.type, safe=False) if c.name in table.column_names else pa.nulls(table.num_rows, c.type)
        for c in COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=ARROW)


def metadata(*, source: str, conventions: str | None = None, cadence_us: int | None = None) -> dict[bytes, bytes]:
    """File metadata: who wrote it, under which convention id, and the cadence in microseconds if it is fixed."""
    entries = {METADATA_VERSION: SCHEMA_VERSION.encode(), METADATA_SOURCE: source.encode()}
    if conventions is not None:
        entries[METADATA_CONVENTIONS] = conventions.encode()
    if cadence_us is not None:
        entries[METADATA_CADENCE] = str(cadence_us).encode()
    return entries


def cadence_of(entries: dict[bytes, bytes] | None) -> int | None:
    """The cadence in microseconds that a file's metadata gives, if it gives one that can be."""
    text = (entries or {}).get(METADATA_CADENCE, b"")
    return int(text) if text.isdigit() and int(text) > 0 else None


def describe(names: Iterable[str]) -> str:
    """Column names with their units, for messages and docs."""
    return ", ".join(f"{name} [{BY_NAME[name].unit}]" for name in names)
