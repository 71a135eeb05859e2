"""``replay ingest``: files into the lake."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from replay.cli import options

if TYPE_CHECKING:
    from replay.ingest.run import IngestReport, Progress


@click.group()
def ingest() -> None:
    """Turn files into snapshots of a lake."""


@ingest.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@options.lake
@click.option("--symbol", required=True, help="The underlying, such as SPY.")
@click.option("--preset", help="A column map that ships: cboe-recorder.")
@click.option("--columns", "map_path", type=click.Path(path_type=pathlib.Path), help="A column map of your own, TOML.")
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
def chain(
    files: tuple[pathlib.Path, ...],
    lake_path: str,
    symbol: str,
    preset: str | None,
    map_path: pathlib.Path | None,
    strict: bool,
) -> None:
    """Ingest FILES with one row per instant, strike and right: CSV, CSV.gz or Parquet.

    Only rows that expire on their own session's date are 0DTE. Every row is accounted for in the summary; what is
    stored already is not written again, and a row with the same ts and a later recorded_at is a correction.

    \b
    Example:
      replay ingest chain SPY_*.csv.gz --symbol SPY --lake lake --preset cboe-recorder
    """
    from replay.ingest import mapping
    from replay.ingest.run import ingest_chain

    if (preset is None) == (map_path is None):
        raise click.UsageError(f"give --columns MAP.toml or --preset ({', '.join(mapping.presets())})")
    columns = mapping.preset(preset) if preset is not None else mapping.read_mapping(map_path or "")
    with _progress(files) as progress:
        report = ingest_chain(files, lake_path, symbol, columns, strict=strict, progress=progress)
    click.echo(summary(report), nl=False)


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
    notes = [
        (count.repeated, "repeated rows fell together"),
        (count.contradicting, "contradicting rows: the last of each instant, strike and right is kept"),
        (
            count.shrunk,
            "revisions list fewer strikes than the one they replace, which counts for the whole chain",
        ),
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
        lines.append(
            f"  {_number(rejected.rows, 'row')} rejected: each {reason} (first: {rejected.path}, line {rejected.line})"
        )
    there = report.snapshots - report.written
    lines.append(f"{_number(report.written, 'snapshot')} written, {there:,} stored already")
    return "\n".join(lines) + "\n"
