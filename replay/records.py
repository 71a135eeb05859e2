"""What a strategy records: rows of plain values, as typed tables that fit together over sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay.errors import InvalidRecord
from replay.sessions import NEW_YORK, UTC, from_us

RESERVED: Final = ("session", "at")
AT: Final = pa.timestamp("us", tz="America/New_York")
FIXED: Final = (pa.field("session", pa.date32(), nullable=False), pa.field("at", AT, nullable=False))

_KINDS: Final[dict[type, pa.DataType]] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    dt.datetime: AT,
    dt.date: pa.date32(),
    dt.timedelta: pa.duration("us"),
}
_ALLOWED: Final = "None, numbers, text, dates, aware datetimes, timedeltas, or lists of these"


class Recorder:
    """The rows of one session, in the order they were recorded.

    Each value is checked and copied as it comes, so that what a strategy changes later changes no row.
    """

    def __init__(self, session: dt.date) -> None:
        self._session = session
        self._at: list[int] = []
        self._rows: list[dict[str, Any]] = []
        self._kinds: dict[str, pa.DataType] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, at: int, values: Mapping[str, Any]) -> None:
        """Record a row at an instant, microseconds since the epoch.

        Raises :class:`~replay.errors.InvalidRecord` naming the field that cannot be recorded.
        """
        row: dict[str, Any] = {}
        kinds = dict(self._kinds)
        for name, value in values.items():
            if not isinstance(name, str) or not name or name in RESERVED:
                raise InvalidRecord(f"field {name!r} cannot be recorded: names are text other than 'session' and 'at'")
            row[name], kind = _plain(name, value)
            known = kinds.get(name)
            kinds[name] = kind if known is None else wider(name, known, kind)
        self._kinds = kinds
        self._at.append(at)
        self._rows.append(row)

    def table(self) -> pa.Table:
        """All rows: ``session``, ``at`` (New York), then the fields in the order they first came."""
        fields = [*FIXED, *(pa.field(name, kind) for name, kind in self._kinds.items())]
        columns: list[Any] = [
            pa.array([self._session] * len(self), pa.date32()),
            pa.array(self._at, pa.int64()).cast(AT),
        ]
        for name, kind in self._kinds.items():
            columns.append(pa.array([row.get(name) for row in self._rows], kind))
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _plain(name: str, value: Any) -> tuple[Any, pa.DataType]:
    """A value as Arrow takes it, and its type; NaN is not known, and so null."""
    if isinstance(value, np.datetime64):  # without a zone of its own; this package's are UTC
        value = None if np.isnat(value) else from_us(int(value.astype("datetime64[us]").astype(np.int64)))
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return None, pa.null()
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    if isinstance(value, bool | str | dt.timedelta):
        return value, next(kind for each, kind in _KINDS.items() if isinstance(value, each))
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidRecord(f"field {name!r} is {value}, which is beyond 64 bits")
        return int(value), pa.int64()
    if isinstance(value, float):
        return (None if value != value else float(value) + 0.0), pa.float64()
    if isinstance(value, dt.datetime):
        if value.utcoffset() is None:
            raise InvalidRecord(f"field {name!r} is {value.isoformat()}, without an offset; record an aware datetime")
        return value.astimezone(UTC), AT
    if isinstance(value, dt.date):
        return value, pa.date32()
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise InvalidRecord(
                f"field {name!r} is an array of shape {value.shape}; only one dimension can be recorded"
            )
        value = list(value) if value.dtype.kind == "M" else value.tolist()
    if isinstance(value, list | tuple):
        found = [_plain(name, each) for each in value]
        kind = pa.null()
        for _, each_kind in found:
            kind = wider(name, kind, each_kind)
        return [each for each, _ in found], pa.list_(kind)
    raise InvalidRecord(f"field {name!r} is a {type(value).__name__}; what can be recorded is {_ALLOWED}")


def wider(name: str, a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """The type that holds values of both; whole numbers beside others become floats.

    Raises :class:`~replay.errors.InvalidRecord` if there is none.
    """
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(wider(name, a.value_type, b.value_type))
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise InvalidRecord(f"field {name!r} was recorded as {_word(a)} and as {_word(b)}; a field keeps one kind of value")


def _word(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_word(kind.value_type)}"
    if kind == AT:
        return "datetime"
    return {"double": "float", "int64": "int", "string": "text", "date32[day]": "date"}.get(str(kind), str(kind))


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The fields of all, in the order they first come, each of a type that holds all its values."""
    kinds: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = kinds.get(field.name)
            kinds[field.name] = field.type if known is None else wider(field.name, known, field.type)
    for fixed in FIXED:
        kinds.pop(fixed.name, None)
    return pa.schema([*FIXED, *(pa.field(name, kind) for name, kind in kinds.items())])


def conformed(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Each table with the fields of a common schema, null where it lacks one."""
    for table in tables:
        columns = [
            table[field.name].cast(field.type, safe=False)  # to the nearest float
            if field.name in table.column_names
            else pa.nulls(len(table), field.type)
            for field in schema
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows of some sessions' tables as one."""
    schema = common_schema(table.schema for table in tables)
    return pa.concat_tables([schema.empty_table(), *conformed(tables, schema)])


def moment_text(us: int) -> str:
    """An instant as New York wall clock, for messages: ``2026-07-24 10:31:00``."""
    return f"{from_us(us).astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"
