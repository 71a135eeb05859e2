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

    Times are New York in the table and UTC elsewhere; cadence, lag and gap are seconds there.

    \b
    Example:
      replay sessions SPY --lake lake
      replay sessions --lake lake --format csv --out sessions.csv
    """
    from replay.lake import open_lake
    from replay.render import tables

    with open_lake(lake_path) as lake:
        held = lake.sessions(symbol)
        symbols = lake.symbols()
    chosen = output.choose_format(form, out_path, FORMATS, "csv")
    data = session_table(held).encode() if chosen == "table" else tables.frame_bytes(held, chosen)
    output.emit(data, out_path)
    if held.is_empty():
        click.echo(
            f"note: no session of {symbol or 'any symbol'}; the lake holds {', '.join(symbols) or 'nothing'}",
            err=True,
        )


def session_table(held: pl.DataFrame) -> str:
    """The sessions in 80 columns, and below them the columns and conventions they have in common."""
    from replay.render.tables import text_table

    header = ("symbol", "date", "tiers", "snaps", "New York", "every", "lag", "strikes", "revised", "gap")
    rows = [_row(row) for row in held.iter_rows(named=True)]
    text = text_table(header, rows, [False, False, False, True, False, True, True, False, True, True])
    for name in ("columns", "conventions"):
        for value, group in held.group_by(name, maintain_order=True):
            days = "all sessions" if len(group) == len(held) else f"{len(group)} of {len(held)} sessions"
            text += f"\n{name} of {days}:\n{_wrapped(str(value[0]) or 'none')}"
    return text


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    from replay.sessions import NEW_YORK

    hours = "-".join(row[end].astimezone(NEW_YORK).strftime("%H:%M") for end in ("first", "last"))
    strikes = f"{row['strikes']}: {row['lowest']:g}-{row['highest']:g}" if row["strikes"] else "none"
    return (
        row["symbol"],
        str(row["date"]),
        row["tiers"],
        str(row["snapshots"]),
        hours,
        duration(row["cadence"]),
        duration(row["lag"]),
        strikes,
        str(row["revisions"]),
        duration(row["longest_gap"]),
    )


def duration(seconds: float | None) -> str:
    """``30s``, ``5m01s``, ``2h05m``; ``-`` for none."""
    if not seconds:
        return "-"
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="  ") + "\n"
