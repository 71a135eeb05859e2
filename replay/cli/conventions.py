"""``replay conventions``: what exposures are computed under, and what depends on it."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.levels import Levels

FORMATS = ("table", "json", "csv")
_PRICES = ("magnet", "call_wall", "put_wall", "gamma_flip")
_TOTALS = ("net_gex", "net_dex", "net_vex", "net_chex")


@click.group()
def conventions() -> None:
    """The conventions that exposures are computed under."""


@conventions.command("list")
def list_() -> None:
    """List the conventions that have a name, and what they say.

    An id is a name, and what differs from it: "replay-1;rate=0.045;dividend=0.012". Keys: calls, puts (dealers' side,
    1 or -1), dex (holders or dealers), clock (calendar or trading), rate, dividend, floor (minutes), vanna_point
    (0.01 or 1), charm_per (day or hour).

    \b
    Example:
      replay conventions list
    """
    import textwrap

    from replay.exposure.conventions import NAMED

    for name, each in NAMED.items():
        click.echo(textwrap.fill(f"{name:<14}{each.describe()}", 78, subsequent_indent=" " * 14))


@conventions.command()
@click.argument("symbol")
@options.lake
@options.moment
@click.option(
    "--under",
    "ids",
    multiple=True,
    metavar="ID",
    help="Conventions to compare, such as dealer-book; repeat it.  [default: all that have a name]",
)
@click.option("--oi/--no-oi", "effective", default=True, show_default=True, help="Add effective open interest's row.")
@options.output_format(*FORMATS)
@options.out
def compare(
    symbol: str,
    lake_path: str,
    as_of: str,
    known_at: str | None,
    tier: str | None,
    ids: tuple[str, ...],
    effective: bool,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Show how SYMBOL's magnet, walls, flip and totals at --as-of move under other conventions.

    Each option keeps its vol's total variance: on another clock it is the vol that gives the same price there. The
    first row is the snapshot as stored. Where the session stores flow, the last is on effective open interest.

    \b
    Example:
      replay conventions compare SPY --lake lake --as-of 2026-07-24T14:30
      replay conventions compare SPY --lake lake --as-of 2026-07-24T14:30 --under trading-time
    """
    from replay.errors import InvalidOpenInterest
    from replay.exposure.conventions import NAMED
    from replay.lake import open_lake
    from replay.sessions import parse_moment, to_us

    with open_lake(lake_path) as lake:
        stored = lake.levels(symbol, as_of, known_at=known_at, tier=tier)
        if stored.ts is None:
            click.echo(output.what_there_is(lake, stored.symbol, to_us(parse_moment(as_of)), "snapshot"), err=True)
        rows = [("as stored", stored)]
        for each in ids or NAMED:
            found = lake.levels(symbol, as_of, known_at=known_at, tier=tier, conventions=each)
            rows.append((each, found))
        if effective:
            try:
                rows.append(("effective oi", lake.levels(symbol, as_of, known_at=known_at, tier=tier, oi="effective")))
            except InvalidOpenInterest as error:
                click.echo(f"note: {error.message}", err=True)
    chosen = output.choose_format(form, out_path, FORMATS, "csv")
    output.emit(_table(rows) if chosen == "table" else _rows(rows, chosen), out_path)


def _table(rows: list[tuple[str, Levels]]) -> bytes:
    """Levels by convention in 80 columns."""
    import textwrap

    from replay.render.caption import price_text
    from replay.render.scale import human
    from replay.tables import text_table

    def cells(name: str, found: Levels) -> tuple[str, ...]:
        prices: list[Any] = [getattr(found, field) for field in _PRICES]
        totals: list[Any] = [getattr(found, field) for field in _TOTALS]
        return (
            name,
            *("-" if price is None else price_text(price) for price in prices),
            *("-" if total is None else human(total, signed=True) for total in totals),
        )

    header = ("conventions", "magnet", "call wall", "put wall", "flip", "gex", "dex", "vex", "chex")
    text = text_table(header, [cells(*row) for row in rows], [False, *[True] * 8])
    held = rows[0][1].conventions
    if held is not None:
        text += "\n" + textwrap.fill(f"stored under {held.id}: {held.describe()}", 78) + "\n"
    return text.encode()


def _rows(rows: list[tuple[str, Levels]], form: str) -> bytes:
    """One record a row with every level."""
    import polars as pl

    from replay import tables

    return tables.frame_bytes(pl.DataFrame([{"conventions": name} | found.to_dict() for name, found in rows]), form)
