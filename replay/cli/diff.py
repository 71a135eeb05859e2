"""``replay diff``: what corrections changed of a session, from one moment of knowledge to another."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output

if TYPE_CHECKING:
    import polars as pl

    from replay.corrections import Cut, SessionDifference

FORMATS = ("table", "json", "csv", "parquet")
_SNAPSHOTS = 5
_VALUES = 8
_UNKNOWN = "-"


@click.command()
@click.argument("symbol")
@click.argument("date")
@options.lake
@click.option("--known-at", required=True, metavar="TIME|latest", help="What was recorded by then, ...")
@click.option(
    "--and", "known_after", default="latest", show_default=True, metavar="TIME|latest", help="... and what by then."
)
@click.option("--as-of", metavar="TIME", help="Only snapshots up to this moment.  [default: the whole session]")
@click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]")
@click.option("--all", "everything", is_flag=True, help="Leave nothing out of the table.")
@options.output_format(*FORMATS)
@options.out
def diff(
    symbol: str,
    date: str,
    lake_path: str,
    known_at: str,
    known_after: str,
    as_of: str | None,
    tier: str | None,
    everything: bool,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Show what differs between SYMBOL's session of DATE as known at one moment and as known at another.

    Snapshots that came, went or were corrected; of the corrected ones each value that changed, and the levels at the
    session's last snapshot. The table shows the largest changes first, by their share of the column's largest value,
    in New York time; the other formats hold every change, in UTC. Without --format it is the table.

    \b
    Example:
      replay diff SPY 2026-07-24 --lake lake --known-at 2026-07-24T16:00
      replay diff SPY 2026-07-24 --lake lake --known-at 2026-07-24T10:30 --and latest --out all.csv
    """
    from replay.corrections import differences
    from replay.lake import open_lake

    chosen = output.choose_format(form, out_path, FORMATS, "table")
    with open_lake(lake_path) as lake:
        found = differences(lake, symbol, date, known_at, known_after, as_of=as_of, tier=tier)
    if chosen == "table":
        output.emit(text_of(found, everything=everything).encode(), out_path)
    elif chosen == "json":
        import orjson

        output.emit(orjson.dumps(found.to_dict()), out_path)
    else:
        from replay.tables import frame_bytes

        output.emit(frame_bytes(found.to_polars(), chosen), out_path)
    if not any(found.counts):
        click.echo(f"note: nothing of {found.symbol} on {found.date} was known at either moment", err=True)


def text_of(found: SessionDifference, *, everything: bool = False) -> str:
    """A difference in lines of at most 80 characters."""
    corrected = ranked(found)
    kinds = {kind: len(found.of_kind(kind)) for kind in ("appeared", "vanished", "corrected")}
    lines = [
        f"{found.symbol} {found.date}, tier {_arrow(*(tier or 'none' for tier in found.tiers))}, New York time",
        f"known at {_moment(found.known_at[0])}: {found.counts[0]:,} snapshots",
        f"known at {_moment(found.known_at[1])}: {found.counts[1]:,} snapshots",
    ]
    if not found:
        return "\n".join([*lines, "nothing differs", ""])
    told = {"appeared": "came", "vanished": "went", "corrected": "corrected"}
    lines.append(", ".join(f"{kinds[kind]:,} {word}" for kind, word in told.items() if kinds[kind]))
    for kind in ("appeared", "vanished"):
        of_kind = found.of_kind(kind)["ts"]
        if len(of_kind):
            lines.append(f"{told[kind]}: {_clock(of_kind[0])} to {_clock(of_kind[-1])}")
    same = kinds["corrected"] - len(corrected)
    if same:
        lines.append(f"corrected, but the same in every value: {same:,}")
    text = "\n".join(lines) + "\n" + _levels(found)
    shown = len(corrected) if everything else _SNAPSHOTS
    for row in corrected[:shown]:
        text += "\n" + _snapshot(found, row, everything=everything)
    if len(corrected) > shown:
        text += f"\n… and {len(corrected) - shown:,} more corrected snapshots (--all shows them)\n"
    return text


def ranked(found: SessionDifference) -> list[dict[str, Any]]:
    """The corrected snapshots with a changed value, the largest change first; ``cells`` are theirs, as ranked.

    A change is as large as its share of the largest value, before or after, of its column among all changes; one from
    or to what is not known counts as if that were 0.
    """
    import polars as pl

    both = pl.max_horizontal(pl.col("before", "after").abs())
    change = (pl.col("after").fill_null(0.0) - pl.col("before").fill_null(0.0)).abs()
    cells = found.changes.with_columns(size=(change / both.max().over("column")).fill_nan(0.0))
    cells = cells.sort("size", descending=True, maintain_order=True)
    order = cells.group_by("ts", maintain_order=True).agg(pl.col("size").max()).select("ts")
    by_ts = {key[0]: group for key, group in cells.partition_by("ts", as_dict=True).items()}
    clocks = {row["ts"]: row for row in found.of_kind("corrected").iter_rows(named=True)}
    return [clocks[ts] | {"cells": by_ts[ts]} for ts in order["ts"]]


def _snapshot(found: SessionDifference, row: dict[str, Any], *, everything: bool) -> str:
    """A corrected snapshot: its clocks, strikes that came and went, and the largest changes."""
    import polars as pl

    from replay.tables import text_table

    strikes: pl.DataFrame = row["cells"].filter(pl.col("column") == "strike")
    cells: pl.DataFrame = row["cells"].filter(pl.col("column") != "strike")
    recorded = _arrow(*(_clock(row[name], found.date) for name in ("recorded_before", "recorded_after")))
    text = f"{_clock(row['ts'])}, recorded {recorded}\n"
    for side, word in (("after", "came"), ("before", "went")):
        values = strikes[side].drop_nulls().sort()
        if len(values):
            text += f"  strikes that {word}: {len(values):,}, {_number(values[0])} to {_number(values[-1])}\n"
    shown = len(cells) if everything else _VALUES
    rows = [
        (f"  {column}", _number(strike) if strike is not None else "", *_sides(before, after))
        for column, strike, before, after in cells.head(shown).select("column", "strike", "before", "after").iter_rows()
    ]
    if rows:
        header = ("  column", "strike", "before", "after", "change")
        text += text_table(header, rows, [False, True, True, True, True])
    if len(cells) > shown:
        text += f"  … and {len(cells) - shown:,} more changes\n"
    return text


def _levels(found: SessionDifference) -> str:
    """The levels that changed, side by side."""
    from replay.tables import text_table

    changed = {name: pair for name, pair in found.changed_levels().items() if name not in ("symbol", "recorded_at")}
    if not changed:
        return ""
    rows = []
    for name, (before, after) in changed.items():
        if name == "ts":
            sides = tuple(_clock(dt.datetime.fromisoformat(each)) if each else _UNKNOWN for each in (before, after))
            rows.append(("  snapshot", *sides, ""))
        else:
            rows.append((f"  {name}", *_sides(before, after)))
    return "\nlevels of the last snapshot\n" + text_table(
        ("  level", "before", "after", "change"), rows, [False, True, True, True]
    )


def _sides(before: float | None, after: float | None) -> tuple[str, str, str]:
    """Two values and their difference, with as many digits as tell them apart."""
    texts = [_number(value) for value in (before, after)]
    if before is None or after is None:
        return texts[0], texts[1], ""
    if texts[0] == texts[1]:
        texts = [_number(value, 12) for value in (before, after)]
    return texts[0], texts[1], f"{after - before:+.3g}"


def _number(value: float | None, digits: int = 6) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}g}"


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _moment(cut: Cut) -> str:
    return cut if isinstance(cut, str) else _clock(cut, dt.date.min)


def _clock(moment: dt.datetime, date: dt.date | None = None) -> str:
    """The time in New York; with its date where that is not the one given."""
    from replay.sessions import NEW_YORK

    local = moment.astimezone(NEW_YORK)
    text = local.time().isoformat().rstrip("0") if local.microsecond else local.time().isoformat()
    return text if date in (None, local.date()) else f"{local.date()} {text}"
