"""Checking each of the option rows that a file holds; a row that cannot be used says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

import polars as pl

from replay.errors import InputError
from replay.ingest.clock import WallClock
from replay.ingest.files import Batch, Tally
from replay.ingest.mapping import SIDES, Mapping
from replay.ingest.times import date_of, divided, instant, new_york_day, possible, text_of
from replay.products import AM_SETTLED
from replay.sessions import find_session

TOO_MUCH: Final = 1e12
"""Above every price and count, and small enough that no sum or square of them overflows."""
PRICED: Final = (1e-6, TOO_MUCH)
"""Between which prices of the underlying and strikes lie."""
NOT_0DTE: Final = "expires on another date than its session's"
_OCC = r"^(?:O:)?([A-Z]{1,6}[0-9]?) *(\d{6})([CP])(\d{8})$"
_THOUSANDS: Final = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_NOTHING: Final = ("", "null", "none", "na", "n/a", "nan", "-", "--")
"""What files write for a number that there is not, in lower case."""


def ours(rows: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """The file's rows with our names, one a contract: where a row holds both rights, the call's and then the put's."""
    base = [pl.col(theirs).alias(ours) for ours, theirs in mapping.columns.items() if theirs in rows.columns]
    if not mapping.call_columns:
        return rows.select("line", *base)
    parts = [
        rows.select(
            "line", *base, pl.lit(right).alias("right"), *(pl.col(each).alias(name) for name, each in own.items())
        )
        for right, own in ((mapping.call[0], mapping.call_columns), (mapping.put[0], mapping.put_columns))
    ]
    return pl.concat(parts, how="diagonal_relaxed").sort("line", maintain_order=True)


def check(
    batch: Batch, mapping: Mapping, path: str, tally: Tally, *, strict: bool, roots: Collection[str] = (),
    clock: WallClock | None = None,
) -> pl.DataFrame:  # fmt: skip
    """The usable rows: ``ts``, ``recorded_at`` (microseconds), ``date``, ``spot``, ``strike``, ``call`` and numbers.

    ``spot`` is null where the file tells none. Of contracts whose root the file tells, those of ``roots`` are usable.
    The others are counted by their first fault, or with ``strict`` raise :class:`~replay.errors.InputError`. ``clock``
    counts those that are taken for New York's time where they do not say so.
    """
    rows = ours(batch.rows.with_columns(line=pl.Series(batch.lines)), mapping)
    tally.read += len(rows)
    if "contract" in rows.columns:
        rows = with_contracts(rows)
    if "recorded_at" not in rows.columns:
        rows = rows.with_columns(recorded_at=pl.col("ts"))
    if "spot" not in rows.columns:
        rows = rows.with_columns(spot=pl.lit(None, pl.Float64))
    dated = ["date"] if "date" in rows.columns else []
    for name in ("ts", "recorded_at"):
        rows = _told_once(rows, [name, *dated], lambda some, name=name: instant(some, name, mapping))  # type: ignore[misc]
    rows = _told_once(rows, ["expiration"], lambda some: {"expires": date_of(some, "expiration")})
    if "recorded_at" not in mapping.columns:
        rows = rows.with_columns(recorded_at_us=pl.col("recorded_at_us") + mapping.delay_us)
    rows = rows.with_columns(
        session_date=new_york_day("ts_us"),
        call=pl.when(text_of("right").is_in(mapping.call)).then(True)
        .when(text_of("right").is_in(mapping.put)).then(False),
        **{
            f"{name}_number": number_of(rows, name, mapping)
            for name in ("strike", "spot", *SIDES) if name in rows.columns
        },
    )  # fmt: skip
    days = rows["session_date"].drop_nulls().unique()
    closed = [day for day in days if find_session(day) is None]
    rows = rows.with_columns(closed=pl.col("session_date").is_in(closed))
    rows = rows.with_columns(reason=_reason(rows, mapping, roots))
    bad = rows.filter(pl.col("reason").is_not_null())
    for reason, count, line in (
        bad.group_by("reason").agg(pl.len(), pl.col("line").min().alias("first")).sort("first", "reason").iter_rows()
    ):
        if reason == NOT_0DTE:
            tally.other_expirations.add(count, path, line)
            continue
        said = such_as(bad.filter(pl.col("reason") == reason), reason)
        if strict:
            raise InputError(f"the row {reason}{said}", path=path, line=line)
        tally.reject(reason, count, path, line, said)
    good = rows.filter(pl.col("reason").is_null())
    if clock is not None:
        clock.add(good.filter("ts_assumed").select(date="session_date", ts="ts_us"))
    return good.select(
        pl.col("ts_us").alias("ts"),
        pl.col("recorded_at_us").alias("recorded_at"),
        pl.col("session_date").alias("date"),
        pl.col("spot_number").alias("spot"),
        pl.col("strike_number").alias("strike"),
        "call",
        *(
            (pl.col(f"{name}_number") if f"{name}_number" in rows.columns else pl.lit(None, pl.Float64)).alias(name)
            for name in SIDES
        ),
    )


def _told_once(
    rows: pl.DataFrame, names: list[str], tell: Callable[[pl.DataFrame], dict[str, pl.Expr]]
) -> pl.DataFrame:
    """The rows with what is told of the values of some columns, each read once: a chain repeats its times often."""
    if any(rows.schema[name] != pl.String for name in names):
        return rows.with_columns(**tell(rows))
    values = rows.select(names).unique()
    return rows.join(values.with_columns(**tell(values)), on=names, how="left", nulls_equal=True, maintain_order="left")


def with_contracts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the root, expiration, right and strike that their OCC symbols say."""
    parts = pl.col("contract").cast(pl.String).str.strip_chars().str.extract_groups(_OCC)
    return rows.with_columns(
        parts.struct.rename_fields(["root", "expiration", "right", "strike"]).alias("osi")
    ).with_columns(
        root=pl.col("osi").struct.field("root"),
        expiration="20" + pl.col("osi").struct.field("expiration"),
        right=pl.col("osi").struct.field("right"),
        strike=divided(pl.col("osi").struct.field("strike").cast(pl.Float64), 1000),
    )


def such_as(rows: pl.DataFrame, reason: str) -> str:
    """What the first of these rows holds in the column that the reason names, and how to mend it."""
    name = next((each for each in reason.split()[2:3] if each in rows.columns), None)
    value = None if name is None else rows.head(1).select(possible(rows, name)).item()
    if value is None:
        return ""
    text = str(value)[:40]
    hint = "; write it without thousands separators" if _THOUSANDS.fullmatch(text.strip()) else ""
    return f", such as {text!r}{hint}"


def number_of(rows: pl.DataFrame, name: str, mapping: Mapping) -> pl.Expr:
    """A column's numbers in our units; null where it holds none, or NaN."""
    column = text_of(name) if rows.schema[name] == pl.String else pl.col(name)
    number = column.cast(pl.Float64, strict=False).fill_nan(None)
    scale = mapping.scale.get(name, 1.0)
    if scale < 1:  # a thousandth is no double, a thousand is
        return divided(number, 1 / scale)
    return number * scale if scale > 1 else number


def _reason(rows: pl.DataFrame, mapping: Mapping, roots: Collection[str]) -> pl.Expr:
    """The first fault of a row, or null."""
    there = rows.columns

    def above_zero(name: str) -> pl.Expr:
        number = pl.col(f"{name}_number")
        return (number.is_finite() & (number > 0)).fill_null(False)

    def unread(name: str) -> pl.Expr:
        if rows[f"{name}_number"].null_count() == rows[name].null_count():
            return pl.lit(False)
        nothing = text_of(name).str.to_lowercase().is_in(_NOTHING)
        return pl.col(name).is_not_null() & pl.col(f"{name}_number").is_null() & ~nothing

    faults = []
    if rows.schema["ts"] == pl.String:
        faults.append((text_of("ts") == mapping.columns["ts"], "repeats the header"))
    if "contract" in there:
        faults.append((pl.col("right").is_null(), "has a contract that is no OCC symbol such as SPY260724C00740000"))
    root = text_of("root").str.to_uppercase() if "root" in there and roots else None
    if root is not None:
        faults.append((~root.is_in([*roots]), f"has a root that is not {' or '.join(roots)}"))
    faults += [
        (~pl.col("ts_read"), "has a ts that cannot be read"),
        (~pl.col("recorded_at_read"), "has a recorded_at that cannot be read"),
        (pl.col("ts_us").is_null(), "has a ts that the wall clock does not show, or shows twice"),
        (
            pl.col("recorded_at_us").is_null(),
            "has a recorded_at that the wall clock does not show, or shows twice",
        ),
        (pl.col("recorded_at_us") < pl.col("ts_us"), "has a recorded_at before its ts"),
        (pl.col("closed"), "has a ts on a day without a session"),
        (pl.col("expires").is_null(), "has an expiration that is no date (YYYY-MM-DD)"),
        (pl.col("expires") != pl.col("session_date"), NOT_0DTE),
    ]
    if root is not None:
        told = text_of("settlement").str.to_lowercase() == "am" if "settlement" in there else root.is_in(AM_SETTLED)
        faults.append((told, "has a root that is AM-settled: it stopped trading the day before"))
    faults += [
        (pl.col("call").is_null(), "has a right that is neither call nor put"),
        (~above_zero("strike"), "has a strike that is no number above 0"),
        (~pl.col("strike_number").is_between(*PRICED), "has a strike that nothing is traded at"),
    ]
    if "spot" in mapping.columns:
        below = ~above_zero("spot") & pl.col("spot_number").is_not_null()
        faults.append((unread("spot") | below, "has a spot that is no number above 0"))
        faults.append((~pl.col("spot_number").is_between(*PRICED), "has a spot that nothing is traded at"))
    for name in SIDES:
        if name in there:
            number, named = pl.col(f"{name}_number"), f"{'an' if name[0] in 'aio' else 'a'} {name}"
            faults.append((unread(name), f"has {named} that is no number"))
            faults.append(((number < 0) | number.is_infinite(), f"has {named} below 0 or infinite"))
            faults.append((number > TOO_MUCH, f"has {named} that is more than there is"))
    chain: Any = pl
    for condition, reason in faults:
        chain = chain.when(condition.fill_null(False)).then(pl.lit(reason))
    result: pl.Expr = chain.otherwise(None)
    return result
