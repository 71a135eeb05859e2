"""``replay ingest quotes``: sparse quotes of contracts, sampled onto a cadence, into a lake."""

from __future__ import annotations

import pathlib
import textwrap
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.ingest.quotes import QuotesReport


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@options.ingested
@click.option("--preset", required=True, metavar="NAME", help="The files' form: lean, databento, polygon or generic.")
@click.option("--cadence", default="1m", show_default=True, metavar="30s|1m", help="From one snapshot to the next.")
@click.option(
    "--max-quote-age", default="15m", show_default=True, metavar="TIME|none", help="How long a quote holds at most."
)
@click.option("--bar", metavar="TIME", help="generic: ts are starts of bars of this length.")
@click.option(
    "--open-interest",
    "interest_files",
    multiple=True,
    type=click.Path(path_type=pathlib.Path),
    help="A file with ts, contract and open_interest, where FILES do not tell it; repeat it.",
)
@options.underlying("; repeat it.  [default: from FILES, else put-call parity]", age="TIME|none")
@click.option(
    "--spot",
    type=click.Choice(["file", "parity"]),
    default="file",
    show_default=True,
    help="parity: imply it by put-call parity, also where files hold it.",
)
@options.conventions
@click.option(
    "--zone",
    metavar="ZONE",
    help="Of times without an offset, of generic, --open-interest and --underlying.  [default: New York]",
)
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
def quotes(
    files: tuple[pathlib.Path, ...],
    lake_path: str,
    symbol: str,
    allow_mixed: bool,
    preset: str,
    cadence: str,
    max_quote_age: str,
    bar: str | None,
    interest_files: tuple[pathlib.Path, ...],
    price_files: tuple[pathlib.Path, ...],
    underlying_bar: str,
    underlying_age: str,
    spot: str,
    conventions_id: str,
    rate: float | None,
    dividend: float | None,
    zone: str | None,
    strict: bool,
) -> None:
    """Ingest FILES of quote bars or ticks: Lean's zips, Databento's DBN, Polygon's flat files, or CSV and Parquet.

    A bar is known at its end. At each instant of the cadence a contract has its last quote, unless that is too old.
    Crossed quotes are not known; vols are solved from the mids of two-sided ones.

    \b
    Example:
      replay ingest quotes *20151224*.zip --symbol GOOG --lake lake --preset lean
      replay ingest quotes a.dbn.zst --symbol SPY --lake lake --preset databento
    """
    from replay.ingest.mapping import check_zone
    from replay.ingest.quotes import ingest_quotes
    from replay.ingest.underlying import read_prices
    from replay.sessions import MINUTE, SECOND

    if bar is not None and preset != "generic":
        raise click.UsageError("--bar is for --preset generic; the others say when a quote was known")
    if zone is not None:
        check_zone(zone)
    age = _length(underlying_age, "underlying-age")
    prices = None
    if price_files:
        prices = read_prices(price_files, zone, _length(underlying_bar, "underlying-bar") or 0)
    step = _length(cadence, "cadence")
    if step is None or step < SECOND or (MINUTE % step and step % MINUTE):
        raise click.BadParameter(
            f"{cadence!r} is to be a second or more and a part of a minute or whole minutes, such as 30s or 5m",
            param_hint="--cadence",
        )
    report = ingest_quotes(
        files, lake_path, symbol, preset, cadence=step, max_age=_length(max_quote_age, "max-quote-age"),
        bar=_length(bar or "0s", "bar") or 0, zone=zone, open_interest=interest_files, underlying=prices, spot_age=age,
        parity=spot == "parity", conventions=options.conventions_of(conventions_id, rate, dividend),
        allow_mixed=allow_mixed, strict=strict,
    )  # fmt: skip
    output.emit(_summary(report).encode(), None)
    options.say_aged_out(report.aged_out, "snapshot")


def _length(text: str, name: str) -> int | None:
    from replay.ingest.mapping import LONGEST
    from replay.sessions import parse_duration

    return None if text == "none" else parse_duration(text, name, longest=LONGEST)


def _summary(report: QuotesReport) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    tally, told, vols = report.tally, report.quotes, report.count.vols
    lines = [f"{report.symbol}: {tally.read:,} rows of {report.files:,} file{'' if report.files == 1 else 's'}"]
    for date, (built, new) in report.sessions.items():
        contracts, strikes = report.contracts[date]
        state = f"{new:,} new" if new else "none new"
        lines.append(f"  {date}  {built:,} snapshots of {contracts:,} contracts, {strikes:,} strikes, {state}")
    for title, counts in (("quotes", told.events), ("options", told.quoted)):
        parts = [f"{number:,} {name.replace('_', '-')}" for name, number in counts.items() if number]
        text = f"{title}: {', '.join(parts) or 'none'}"
        lines += textwrap.wrap(text, 80, initial_indent="  ", subsequent_indent="    ")
    notes = [
        (vols["solved"], "vols solved from the mid"),
        (vols["limit"], "without a bid or time value: the limit 0"),
        (vols["unknown"], "not known: no two-sided quote, or none that gives a vol"),
        (vols["without open interest"], "without open interest: no exposures; --open-interest gives it"),
        (report.count.spots["parity"], "options whose spot is implied by put-call parity"),
        (told.no_spot, "instants without a price of the underlying, left out"),
        (report.count.flow_gaps, "snapshots without flow before one that has it, which holds what was traded"),
        (report.count.flow_unknown, "strikes of revisions whose flow is not known: ingest the trades again"),
        (told.late, "rows older than --max-quote-age when they became known"),
        (told.after_close, "rows known after the close, left out"),
        (report.others, "rows of other underlyings, left out"),
        (tally.other_expirations.rows, "rows that expire on another date, left out"),
    ]
    lines += [f"  {number:,} {text}" for number, text in notes if number]
    if report.ignored:
        lines.append(f"  {', '.join(report.ignored)} not read: vols are solved, and only a chain's volume is the day's")
    for reason, rejected in tally.rejected.items():
        where = f"first: {rejected.path}, line {rejected.line}"
        lines.append(f"  {rejected.rows:,} rejected: each {reason}{rejected.example} ({where})")
    built, new = (sum(each[i] for each in report.sessions.values()) for i in (0, 1))
    lines.append(f"{new:,} snapshots written, {built - new:,} stored already")
    return "\n".join(lines) + "\n"
