"""``replay ingest``: files into the lake."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.ingest.run import IngestReport, Progress


@click.group()
def ingest() -> None:
    """Turn files into snapshots of a lake."""


@ingest.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@options.ingested
@click.option(
    "--preset",
    metavar="NAME",
    help="A form that ships: cboe-recorder, cboe-quotedata, cboe-json, optionsdx, orats-minute, thetadata, generic.",
)
@click.option("--columns", "map_path", type=click.Path(path_type=pathlib.Path), help="A column map of your own, TOML.")
@click.option(
    "--iv",
    type=click.Choice(["given", "solve"]),
    default="given",
    show_default=True,
    help="given: the file's vol where it is above 0, else solved; solve: every vol from the mid.",
)
@options.conventions
@options.underlying(", for rows without a spot; repeat it.  [default: put-call parity]")
@click.option("--zone", metavar="ZONE", help="Of times without an offset.  [default: the preset's, or New York]")
@click.option(
    "--delay",
    metavar="TIME",
    help="How much later than ts a row was known, where no column says it.  [default: the preset's]",
)
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
def chain(
    files: tuple[pathlib.Path, ...],
    lake_path: str,
    symbol: str,
    allow_mixed: bool,
    preset: str | None,
    map_path: pathlib.Path | None,
    iv: str,
    conventions_id: str,
    rate: float | None,
    dividend: float | None,
    price_files: tuple[pathlib.Path, ...],
    underlying_bar: str,
    underlying_age: str,
    zone: str | None,
    delay: str | None,
    strict: bool,
) -> None:
    """Ingest FILES with one row per instant, strike and right, or strike: CSV, CSV.gz, Parquet; JSON of Cboe's.

    Only rows that expire on their own session's date are 0DTE. Every row is accounted for in the summary; what is
    stored already is not written again, and a row with the same ts and a later recorded_at is a correction.

    \b
    Example:
      replay ingest chain SPY_*.csv.gz --symbol SPY --lake lake --preset cboe-recorder
      replay ingest chain rows.csv --symbol SPY --lake lake --preset generic --underlying spy.csv --rate 0.045
    """
    import dataclasses

    from replay.ingest import mapping, underlying, vendors
    from replay.ingest.run import ingest_chain
    from replay.sessions import parse_duration

    if (preset is None) == (map_path is None):
        raise click.UsageError(f"give --columns MAP.toml or --preset ({', '.join(vendors.names())})")
    if preset is not None:
        source = vendors.source(preset)
    else:
        own = mapping.read_mapping(map_path or "")
        source = vendors.Source(own.name, own)
    source = dataclasses.replace(
        source,
        delay_us=None if delay is None else parse_duration(delay, "delay", longest=mapping.LONGEST),
        zone=None if zone is None else mapping.check_zone(zone),
    )
    prices = None
    if price_files:
        bar = parse_duration(underlying_bar, "underlying-bar", longest=mapping.LONGEST)
        age = parse_duration(underlying_age, "underlying-age", longest=mapping.LONGEST)
        prices = underlying.read_prices(price_files, zone, bar, age)
    with _progress(files) as progress:
        report = ingest_chain(
            files, lake_path, symbol, source, solve=iv == "solve", underlying=prices,
            conventions=options.conventions_of(conventions_id, rate, dividend), allow_mixed=allow_mixed,
            strict=strict, progress=progress,
        )  # fmt: skip
    output.emit(summary(report).encode(), None)
    options.say_aged_out(report.aged_out, "snapshot")


@contextlib.contextmanager
def _progress(files: tuple[pathlib.Path, ...]) -> Iterator[Progress | None]:
    """A bar over the files' bytes on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    sizes = {str(path): path.stat().st_size for path in files if path.is_file()}
    done: dict[str, int] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=max(sum(sizes.values()), 1))

        def advance(path: str, bytes_read: int) -> None:
            done[path] = min(bytes_read, sizes[path])
            bar.update(task, completed=sum(done.values()), description=pathlib.Path(path).name)

        yield advance


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def summary(report: IngestReport) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    tally, count = report.tally, report.count
    lines = [f"{report.symbol}: {tally.read:,} rows of {_number(report.files, 'file')}, {count.options:,} options kept"]
    for date, (built, new) in report.sessions.items():
        lines.append(f"  {date}  {_number(built, 'snapshot')}, {f'{new:,}' if new else 'none'} new")
    vols = {
        "given": "given by the file",
        "solved": "solved from the mid",
        "limit": "without a bid or time value: the limit 0",
        "unknown": "not known: no vol and no quote that gives one",
        "without open interest": "without open interest: no exposures",
    }
    lines += [f"  vol of {count.vols[key]:,} {text}" for key, text in vols.items() if count.vols[key]]
    spots = {
        "instant": "as other rows of their instant have it",
        "file": "from the underlying's file",
        "parity": "implied by put-call parity",
        "none": "not known: left out",
    }
    lines += [f"  spot of {_number(count.spots[key], 'row')} {text}" for key, text in spots.items() if count.spots[key]]
    notes = [
        (count.repeated, "repeated rows fell together"),
        (count.contradicting, "contradicting rows: the last of each instant, strike and right is kept"),
        (
            count.shrunk,
            "revisions list fewer strikes than the one they replace, which counts for the whole chain",
        ),
        (count.flow_gaps, "snapshots without flow before one that has it, which holds what was traded"),
        (count.flow_unknown, "strikes of revisions whose flow is not known: ingest the trades again"),
        (count.crossed, "crossed quotes, from which no vol is solved"),
        (count.spot_differs, "snapshots whose rows disagree on spot: the last row's is kept"),
    ]
    lines += [f"  {number:,} {text}" for number, text in notes if number]
    others = tally.other_expirations
    if others.rows:
        lines.append(
            f"  {_number(others.rows, 'row')} that expire on another date, left out "
            f"(first: {others.path}, line {others.line})"
        )
    for reason, rejected in tally.rejected.items():
        rows, where = _number(rejected.rows, "row"), f"first: {rejected.path}, line {rejected.line}"
        lines.append(f"  {rows} rejected: each {reason}{rejected.example} ({where})")
    there = report.snapshots - report.written
    lines.append(f"{_number(report.written, 'snapshot')} written, {there:,} stored already")
    return "\n".join(lines) + "\n"
