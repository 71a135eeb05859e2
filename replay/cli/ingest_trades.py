"""``replay ingest trades``: prints into the signed flow of a lake's snapshots."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.ingest.trades import TradesReport

_PLACES = (
    ("at or above the ask", (0, 1)),
    ("between mid and ask", (2,)),
    ("at the mid", (3,)),
    ("between bid and mid", (4,)),
    ("at or below the bid", (5, 6)),
    ("at a locked quote", (7,)),
    ("by a crossed quote", (8,)),
    ("without a quote", (9,)),
)
"""What the numbers of a Place are called; the last three are shown where there are any."""
_ALWAYS = 5


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
    help="chain: FILES hold every print of the chain, from the open to their last; seen: of a contract nothing is "
    "known before its first print.",
)
@click.option("--zone", metavar="ZONE", help="Of times without an offset.  [default: the map's, or New York]")
@click.option("--delay", metavar="TIME", help="How much later than ts a print was known, where no column says it.")
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
    zone: str | None,
    delay: str | None,
    classify_only: bool,
    strict: bool,
) -> None:
    """Sign the prints of FILES and add them as flow to the snapshots that a lake holds: CSV, CSV.gz or Parquet.

    A print counts in the first snapshot that is not before the print became known. Prints at a strike that a snapshot
    does not list, after the last snapshot, of other expirations, and records that cancel one are counted and left out.
    Give all files of a session at once. Late reports are flow, but no price for the tick test.

    \b
    Example:
      replay ingest trades trade_quote.parquet --symbol SPY --lake lake --preset thetadata
      replay ingest trades trade_quote.parquet --symbol SPY --preset thetadata --classify-only
    """
    from replay.ingest.mapping import LONGEST, check_zone, read_mapping
    from replay.ingest.trades import PRESETS, ingest_trades
    from replay.sessions import parse_duration

    if (preset is None) == (map_path is None):
        raise click.UsageError(f"give --columns MAP.toml or --preset ({', '.join(PRESETS)})")
    if not lake_path and not classify_only:
        raise click.UsageError("give --lake DIR, or --classify-only")
    mapping = preset if preset is not None else read_mapping(map_path or "")
    report = ingest_trades(
        files, None if classify_only else lake_path, symbol, mapping, rule=rule, coverage=coverage,
        delay_us=None if delay is None else parse_duration(delay, "delay", longest=LONGEST),
        zone=None if zone is None else check_zone(zone), strict=strict,
    )  # fmt: skip
    output.emit(_summary(report, rule).encode(), None)
    options.say_aged_out(report.aged_out, "print")


def _summary(report: TradesReport, rule: str) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    from replay.tables import text_table

    tally, apart = report.tally, report.count
    lines = [f"{report.symbol}: {tally.read:,} prints of {report.files:,} file{'' if report.files == 1 else 's'}"]
    rows = []
    for i, (text, numbers) in enumerate(_PLACES):
        sides = [sum(report.prints[each, sign] for each in numbers) for sign in (1, -1, 0)]
        contracts = sum(report.contracts[each, sign] for each in numbers for sign in (1, -1, 0))
        total = sum(sides)
        if i < _ALWAYS or total:
            rows.append((text, *(f"{number:,}" for number in (total, contracts, *sides))))
    header = ("price in the quote before it", "prints", "contracts", "bought", "sold", "not told")
    lines.append(text_table(header, rows, [False, *[True] * 5]).rstrip("\n"))
    bought, sold, untold = (sum(n for (_, side), n in report.prints.items() if side == sign) for sign in (1, -1, 0))
    lines.append(f"by the rule {rule}: {bought:,} bought, {sold:,} sold, {untold:,} not told")
    counted = [
        (tally.other_expirations, "expire on another date, left out"),
        (apart.cancelled, "cancel another print, left out; the other stays"),
        (apart.repeated, "repeat another print, left out"),
        (apart.late_quotes, "with a quote of after the trade, which is not used"),
        (report.after_last, "became known after the last snapshot, left out"),
        (report.unlisted, "at strikes that their snapshot does not list, left out"),
    ]
    for count, text in counted:
        if count.rows:
            strike = f"{count.example}, " if count.example else ""
            lines.append(f"  {count.rows:,} {text} (first: {strike}{count.path}, line {count.line})")
    notes = [
        (report.disorderly, "reported late or out of order: no price for the tick test"),
        (report.legs, "legs of trades in several options, signed by their own quote"),
        (report.late, "became known after they were traded"),
        (report.unnamed, "stored rows name no conventions that are known: valued by replay-1"),
    ]
    lines += [f"  {number:,} {text}" for number, text in notes if number]
    for reason, rejected in tally.rejected.items():
        where = f"first: {rejected.path}, line {rejected.line}"
        lines.append(f"  {rejected.rows:,} rejected: each {reason}{rejected.example} ({where})")
    for date, flow in report.sessions.items():
        new = f"{flow.new:,}" if flow.new else "none"
        lines.append(
            f"  {date}  flow in {flow.rows:,} stored rows, {new} new; the last print is of {_clock(flow.until)}"
        )
    return "\n".join(lines) + "\n"


def _clock(us: int) -> str:
    """The wall clock of New York."""
    from replay.sessions import NEW_YORK, from_us

    return from_us(us).astimezone(NEW_YORK).strftime("%H:%M:%S")
