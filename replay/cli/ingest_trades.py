"""``replay ingest trades``: prints into the signed flow of a lake's snapshots."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options

if TYPE_CHECKING:
    from replay.ingest.trades import TradesReport

_PLACES = (
    "at or above the ask",
    "between mid and ask",
    "at the mid",
    "between bid and mid",
    "at or below the bid",
    "no usable quote",
)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@click.option(
    "--lake", "lake_path", envvar=options.LAKE_VARIABLE, show_envvar=True, metavar="DIR",
    help="A lake that holds the snapshots.",
)  # fmt: skip
@click.option("--symbol", required=True, metavar="SYMBOL", help="The underlying, such as SPY.")
@click.option("--preset", metavar="NAME", help="The files' form: thetadata or generic.")
@click.option("--columns", "map_path", type=click.Path(path_type=pathlib.Path), help="A column map of your own, TOML.")
@click.option(
    "--rule",
    type=click.Choice(["quote", "lee-ready", "emo", "tick"]),
    default="quote",
    show_default=True,
    help="Who was the aggressor: by the quote, by the quote's ends alone, or by the price's last change.",
)
@click.option(
    "--coverage",
    type=click.Choice(["chain", "seen"]),
    default="chain",
    show_default=True,
    help="chain: a contract without a print had none; seen: of it nothing is known.",
)
@click.option("--classify-only", is_flag=True, help="Only classify the prints, of whatever expiration; needs no lake.")
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
def trades(
    files: tuple[pathlib.Path, ...],
    lake_path: str | None,
    symbol: str,
    preset: str | None,
    map_path: pathlib.Path | None,
    rule: str,
    coverage: str,
    classify_only: bool,
    strict: bool,
) -> None:
    """Sign the prints of FILES and add them as flow to the snapshots that a lake holds: CSV, CSV.gz or Parquet.

    A print counts in the first snapshot that is not before the print became known. Prints at a strike that a snapshot
    does not list, after the last snapshot, and of other expirations are counted and left out.

    \b
    Example:
      replay ingest trades trade_quote.parquet --symbol SPY --lake lake --preset thetadata
      replay ingest trades trade_quote.parquet --symbol SPY --preset thetadata --classify-only
    """
    from replay.ingest.mapping import read_mapping
    from replay.ingest.trades import PRESETS, ingest_trades

    if (preset is None) == (map_path is None):
        raise click.UsageError(f"give --columns MAP.toml or --preset ({', '.join(PRESETS)})")
    if not lake_path and not classify_only:
        raise click.UsageError("give --lake DIR, or --classify-only")
    mapping = preset if preset is not None else read_mapping(map_path or "")
    report = ingest_trades(
        files, None if classify_only else lake_path, symbol, mapping, rule=rule, coverage=coverage, strict=strict
    )
    click.echo(_summary(report, rule, classify_only=classify_only), nl=False)


def _summary(report: TradesReport, rule: str, *, classify_only: bool) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    from replay.tables import text_table

    tally = report.tally
    lines = [f"{report.symbol}: {tally.read:,} prints of {report.files:,} file{'' if report.files == 1 else 's'}"]
    rows = [(text, f"{report.places[i]:,}", f"{report.contracts[i]:,}") for i, text in enumerate(_PLACES)]
    lines.append(
        text_table(("price in the quote before it", "prints", "contracts"), rows, [False, True, True]).rstrip("\n")
    )
    lines.append(
        f"by the rule {rule}: {report.signs[1]:,} bought, {report.signs[-1]:,} sold, {report.signs[0]:,} not told"
    )
    notes = [
        (tally.other_expirations.rows, "expire on another date, left out"),
        (report.late_quotes, "with a quote of after the trade, which is not used"),
    ]
    if not classify_only:
        unlisted = report.unlisted
        where = f"first: {unlisted.example}, {unlisted.path}, line {unlisted.line}"
        notes += [
            (report.late, "became known after they were traded"),
            (report.after_last, "became known after the last snapshot, left out"),
            (unlisted.rows, f"at strikes that their snapshot does not list, left out ({where})"),
        ]
    lines += [f"  {number:,} {text}" for number, text in notes if number]
    for reason, rejected in tally.rejected.items():
        where = f"first: {rejected.path}, line {rejected.line}"
        lines.append(f"  {rejected.rows:,} rejected: each {reason}{rejected.example} ({where})")
    for date, (held, new) in report.sessions.items():
        lines.append(f"  {date}  flow in {held:,} stored rows, {f'{new:,}' if new else 'none'} new")
    return "\n".join(lines) + "\n"
