"""What a session's corrections changed: the same session as it was known at two moments, compared value by value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from replay import contract, schema
from replay.errors import InvalidTime
from replay.sessions import iso_utc, parse_date, parse_moment, session_date, to_us

if TYPE_CHECKING:
    import polars as pl

    from replay.lake import Lake, Moment

Cut = str | dt.datetime
"""A moment of knowledge: an aware UTC datetime, or ``latest``."""

LATEST_WORD: Final = "latest"
_OF_VALUES: Final = ("spot", "strike", *schema.VALUES)


@dataclass(frozen=True, eq=False)
class SessionDifference:
    """A session as known at one moment against the same session as known at another.

    Attributes
    ----------
    symbol, date
        Which session.
    known_at
        The two moments: aware UTC datetimes, or ``"latest"``.
    tiers
        The tier read at each moment; ``None`` where nothing was visible.
    counts
        How many snapshots were visible at each moment.
    snapshots
        One row for each snapshot that differs, ascending by ``ts``: ``ts``, ``kind``, ``recorded_before`` and
        ``recorded_after`` (all times UTC). It ``appeared``, ``vanished``, or was ``corrected``, which a row recorded
        later is, also where it says the same.
    changes
        One row for each value that a correction changed, by ``ts``, column and strike: ``ts``, ``column``, ``strike``,
        ``before``, ``after``. The column ``strike`` says which strikes came and went, ``spot`` has no strike; null is
        what was not known. Units in :data:`replay.schema.COLUMNS`.
    levels
        The levels of the newest snapshot at each moment, as :meth:`replay.levels.Levels.to_dict` names them; empty
        where neither has one.
    """

    symbol: str
    date: dt.date
    known_at: tuple[Cut, Cut]
    tiers: tuple[str | None, str | None]
    counts: tuple[int, int]
    snapshots: pl.DataFrame
    changes: pl.DataFrame
    levels: tuple[dict[str, Any], dict[str, Any]]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return len(self.snapshots) > 0

    def of_kind(self, kind: str) -> pl.DataFrame:
        """The snapshots that ``appeared``, ``vanished`` or were ``corrected``."""
        return self.snapshots.filter(self.snapshots["kind"] == kind)

    def changed_levels(self) -> dict[str, tuple[Any, Any]]:
        """The levels that differ, before and after."""
        before, after = self.levels
        return {name: (before[name], after[name]) for name in before if before[name] != after[name]}

    def to_polars(self) -> pl.DataFrame:
        """One row for each changed value, and one for each snapshot that came, went or says the same again."""
        order = ["ts", "kind", "recorded_before", "recorded_after", "column", "strike", "before", "after"]
        joined = self.snapshots.join(self.changes, on="ts", how="left", maintain_order="left_right")
        return joined.select(order)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, times as ISO 8601 text in UTC, the changes below their snapshots."""
        changes: dict[dt.datetime, list[dict[str, Any]]] = {}
        for ts, column, strike, before, after in self.changes.iter_rows():
            cell = {"column": column, "strike": strike, "before": before, "after": after}
            changes.setdefault(ts, []).append(cell)
        return {
            "symbol": self.symbol,
            "date": self.date.isoformat(),
            "known_at": [each if isinstance(each, str) else iso_utc(to_us(each)) for each in self.known_at],
            "tiers": list(self.tiers),
            "counts": list(self.counts),
            "levels": [dict(each) for each in self.levels],
            "snapshots": [
                {
                    "ts": iso_utc(to_us(row["ts"])),
                    "kind": row["kind"],
                    "recorded": [
                        None if row[name] is None else iso_utc(to_us(row[name]))
                        for name in ("recorded_before", "recorded_after")
                    ],
                    "changes": changes.get(row["ts"], []) if row["kind"] == "corrected" else [],
                }
                for row in self.snapshots.iter_rows(named=True)
            ],
        }


def differences(
    lake: Lake,
    symbol: str,
    date: str | dt.date,
    a: Moment,
    b: Moment = LATEST_WORD,
    as_of: Moment | None = None,
    tier: str | None = None,
) -> SessionDifference:
    """What differs between a session as known at ``a`` and as known at ``b``.

    Parameters
    ----------
    symbol, date
        Which session; one that the lake lacks has no difference.
    a, b
        Snapshots with ``recorded_at`` up to then are known: as ``known_at`` of :meth:`replay.lake.Lake.heatmap`,
        ``"latest"`` included.
    as_of
        Only snapshots with ``ts <= as_of``; ``None``: all of the session.
    tier
        ``raw``, ``1m``, or ``None`` for the finest of which anything was visible, at each moment by itself.

    Raises
    ------
    InvalidTime
        If a time cannot be read.
    LakeError
        If stored files cannot be read right.
    """
    name, day, tier = contract.normalise_symbol(symbol), parse_date(date), contract.check_tier(tier)
    cuts = (_cut(a, "known_at"), _cut(b, "and"))
    before, after = (lake.snapshots(name, day, as_of, known_at=cut, tier=tier) for cut in cuts)
    tiers = tuple(frame["tier"][0] if len(frame) else None for frame in (before, after))
    snapshots = _snapshots(before, after)
    return SessionDifference(
        symbol=name,
        date=day,
        known_at=cuts,
        tiers=(tiers[0], tiers[1]),
        counts=(len(before), len(after)),
        snapshots=snapshots,
        changes=_changes(before, after, snapshots),
        levels=_levels(lake, name, day, before, after, cuts, tier),
    )


def _cut(value: Moment, name: str) -> Cut:
    if isinstance(value, str) and value.strip().lower() == LATEST_WORD:
        return LATEST_WORD
    try:
        return parse_moment(value, name)
    except InvalidTime as error:
        raise InvalidTime(f"{error.message}, or 'latest'") from None


def _snapshots(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The snapshots that are there once alone, or of which another row is visible."""
    import polars as pl

    clocks = [
        frame.select("ts", pl.col("tier").alias(f"tier_{side}"), pl.col("recorded_at").alias(f"recorded_{side}"))
        for side, frame in (("before", before), ("after", after))
    ]
    both = clocks[0].join(clocks[1], on="ts", how="full", coalesce=True).sort("ts")
    kind = (
        pl.when(pl.col("recorded_before").is_null())
        .then(pl.lit("appeared"))
        .when(pl.col("recorded_after").is_null())
        .then(pl.lit("vanished"))
        .otherwise(pl.lit("corrected"))
    )
    same = pl.struct("recorded_before", "tier_before").eq_missing(
        pl.struct(recorded_before="recorded_after", tier_before="tier_after")
    )
    return both.filter(~same).select("ts", kind.alias("kind"), "recorded_before", "recorded_after")


def _changes(before: pl.DataFrame, after: pl.DataFrame, snapshots: pl.DataFrame) -> pl.DataFrame:
    """Every value that differs in the corrected snapshots."""
    import polars as pl

    corrected = snapshots.filter(pl.col("kind") == "corrected").select("ts")
    sides = [frame.join(corrected, on="ts", how="semi", maintain_order="left") for frame in (before, after)]
    pairs = sides[0].join(sides[1], on="ts", how="inner", suffix="_after", maintain_order="left")
    schema_of: dict[str, Any] = {"ts": before.schema["ts"], "column": pl.Int8}
    schema_of |= dict.fromkeys(("strike", "before", "after"), pl.Float64)
    found = [pl.DataFrame(schema=schema_of)]
    for rank, name in enumerate(_OF_VALUES):
        a, b = pl.col(name), pl.col(f"{name}_after")
        differ = pairs.filter(~a.eq_missing(b)).select(
            "ts", "strike", "strike_after", a.alias("before"), b.alias("after")
        )
        for cells in (_spots(differ),) if name == "spot" else _cells(differ):
            changed = cells.filter(~pl.col("before").eq_missing(pl.col("after")))
            found.append(changed.select("ts", pl.lit(rank, pl.Int8).alias("column"), "strike", "before", "after"))
    names = dict(enumerate(_OF_VALUES))
    ordered = pl.concat(found).sort("ts", "column", "strike")
    return ordered.with_columns(pl.col("column").replace_strict(names, return_dtype=pl.String))


def _spots(pairs: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return pairs.select("ts", pl.lit(None, pl.Float64).alias("strike"), "before", "after")


def _cells(pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The values ``before`` and ``after`` of pairs of lists, a row a strike, null where not known."""
    import polars as pl

    plain = (
        pl.col("strike").eq_missing(pl.col("strike_after"))
        & pl.col("before").is_not_null()
        & pl.col("after").is_not_null()
        & (pl.col("strike").list.n_unique() == pl.col("strike").list.len())
        & (pl.col("strike").list.len() > 0)
    ).fill_null(value=False)
    side_by_side = pairs.filter(plain).select("ts", "strike", "before", "after").explode("strike", "before", "after")
    yield side_by_side.filter(pl.col("strike").is_finite()).with_columns(pl.col("before", "after").fill_nan(None))
    sides = [
        _long(pairs.filter(~plain).select("ts", strike, side), strike, side)
        for strike, side in (("strike", "before"), ("strike_after", "after"))
    ]
    yield sides[0].join(sides[1], on=["ts", "strike"], how="full", coalesce=True)


def _long(lists: pl.DataFrame, strike: str, side: str) -> pl.DataFrame:
    """The known values of one list a row, a row a strike."""
    import polars as pl

    known = lists.rename({strike: "strike"}) if strike != "strike" else lists
    cells = known.filter(pl.col("strike").is_not_null() & pl.col(side).is_not_null()).explode("strike", side)
    finite = cells.filter(pl.col("strike").is_finite() & pl.col(side).is_not_nan())
    return finite.unique(["ts", "strike"], keep="last", maintain_order=True)


def _levels(
    lake: Lake,
    symbol: str,
    date: dt.date,
    before: pl.DataFrame,
    after: pl.DataFrame,
    cuts: tuple[Cut, Cut],
    tier: str | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The levels at the last snapshot of the two, as known at each moment."""
    last = max((frame["ts"][-1] for frame in (before, after) if len(frame)), default=None)
    if last is None or session_date(to_us(last)) != date:
        return {}, {}
    found = [lake.levels(symbol, last, known_at=cut, tier=tier).to_dict() for cut in cuts]
    return found[0], found[1]
