"""``replay sessions``: what the lake holds."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output

if TYPE_CHECKING:
    import polars as pl

FORMATS = ("table", "json", "csv")


@click.command()
@click.argument("symbol", required=False)
@options.lake
@options.output_format(*FORMATS)
@options.out
def sessions(symbol: str | None, lake_path: str, form: str | None, out_path: pathlib.Path | None) -> None:
    """List the sessions the lake holds, of SYMBOL or of all.

    In the table: snapshots, their first and last minute in New York, cadence, lag, strikes, revisions and the
    longest gap. Elsewhere times are UTC, and cadence, lag and gap seconds.

    \b
    Example:
      replay sessions SPY --lake lake
      replay sessions --lake lake --format csv --out sessions.csv
    """
    from replay import tables
    from replay.lake import open_lake

    with open_lake(lake_path) as lake:
        held = lake.sessions(symbol)
        symbols = lake.symbols()
    chosen = output.choose_format(form, out_path, FORMATS, "csv")
    data = session_table(held).encode() if chosen == "table" else tables.frame_bytes(held, chosen)
    output.emit(data, out_path)
    for row in held.filter(held["fault"].is_not_null()).iter_rows(named=True):
        click.echo(f"note: {row['symbol']} {row['date']} cannot be read: {row['fault']}", err=True)
    if held.is_empty():
        click.echo(
            f"note: no session of {symbol or 'any symbol'}; the lake holds {', '.join(symbols) or 'nothing'}",
            err=True,
        )


def session_table(held: pl.DataFrame) -> str:
    """The sessions in 80 columns, and below them the columns and conventions they have in common."""
    from replay.tables import text_table

    header = ("symbol", "date", "tier", "snaps", "New York", "every", "lag", "strikes", "rev", "gap")
    rows = [_row(row) for row in held.iter_rows(named=True)]
    text = text_table(header, rows, [False, False, False, True, False, True, True, True, True, True])
    held = held.filter(held["fault"].is_null())
    for name in ("columns", "conventions"):
        for value, group in held.group_by(name, maintain_order=True):
            days = "all sessions" if len(group) == len(held) else f"{len(group)} of {len(held)} sessions"
            said = [str(value[0]) or "none"]
            if name == "conventions":
                said = [_said(each) for each in said[0].split()]
            text += f"\n{name} of {days}:\n" + "".join(_wrapped(each) for each in said)
    return text


def _said(conventions_id: str) -> str:
    """A convention id, and what it says where this engine knows it."""
    from replay.exposure.conventions import known_conventions

    known = known_conventions(conventions_id)
    return conventions_id if known is None else f"{conventions_id}: {known.describe()}"


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    from replay.sessions import NEW_YORK

    if row["fault"]:
        return (row["symbol"], str(row["date"]), row["tiers"], "cannot be read", *[""] * 6)
    hours = "-".join(row[end].astimezone(NEW_YORK).strftime("%H:%M") for end in ("first", "last"))
    return (
        row["symbol"],
        str(row["date"]),
        row["tiers"],
        str(row["snapshots"]),
        hours,
        duration(row["cadence"]),
        duration(row["lag"]),
        str(row["strikes"]),
        str(row["revisions"]),
        duration(row["longest_gap"]),
    )


def duration(seconds: float | None) -> str:
    """``30s``, ``5m01s``, ``15.8m``, ``2h05m``, at most five characters; ``-`` for none."""
    if not seconds:
        return "-"
    if seconds < 60:
        return f"{seconds:.2g}s"
    minutes, rest = divmod(round(seconds), 60)
    if 10 <= minutes < 60:
        return f"{seconds / 60:.1f}m"
    if minutes < 10:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="  ") + "\n"
