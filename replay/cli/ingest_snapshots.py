"""``replay ingest snapshots``: Parquet in the lake's own schema, or its long form, into a lake."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.ingest.snapshots import SnapshotsReport


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@options.ingested
@click.option("--tier", type=click.Choice(["raw", "1m"]), default="raw", show_default=True, help="Where to put them.")
@click.option(
    "--conventions",
    "conventions_id",
    metavar="ID",
    help="Of exposures in files that name none; live: those of the live endpoint.",
)
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
def snapshots(
    files: tuple[pathlib.Path, ...],
    lake_path: str,
    symbol: str,
    allow_mixed: bool,
    tier: str,
    conventions_id: str | None,
    strict: bool,
) -> None:
    """Ingest FILES of snapshots: Parquet as a lake stores it, or long, with one row a snapshot and strike.

    Long rows have ts, recorded_at, spot and strike, and any of the lake's per-strike columns as numbers. Where there
    is a column symbol or tier, other rows are left out.

    \b
    Example:
      replay ingest snapshots export.parquet --symbol SPY --lake lake
    """
    from replay.ingest.snapshots import ingest_snapshots

    report = ingest_snapshots(
        files, lake_path, symbol, tier=tier, conventions=conventions_id, allow_mixed=allow_mixed, strict=strict
    )
    output.emit(_summary(report).encode(), None)
    options.say_aged_out(report.aged_out, "snapshot")


def _summary(report: SnapshotsReport) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    tally = report.tally
    lines = [f"{report.symbol}: {tally.read:,} rows of {report.files:,} file{'' if report.files == 1 else 's'}"]
    for date, (built, new) in report.sessions.items():
        lines.append(f"  {date}  {built:,} snapshot{'' if built == 1 else 's'}, {f'{new:,}' if new else 'none'} new")
    if tally.other_expirations.rows:
        first = tally.other_expirations
        lines.append(
            f"  {first.rows:,} rows that expire on another date, left out (first: {first.path}, row {first.line})"
        )
    if report.others:
        lines.append(f"  {report.others:,} rows of another symbol or tier, left out")
    for reason, rejected in tally.rejected.items():
        lines.append(f"  {rejected.rows:,} rejected: each {reason} (first: {rejected.path}, row {rejected.line})")
    built, new = (sum(each[i] for each in report.sessions.values()) for i in (0, 1))
    lines.append(f"{new:,} written, {built - new:,} stored already")
    return "\n".join(lines) + "\n"
