"""``replay ingest heatmap``: captured bodies of the live endpoint into a lake."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.ingest.captures import CaptureReport, Written


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@options.ingested
@click.option(
    "--leave-out",
    is_flag=True,
    help="Leave out, and name, bodies that could not be given back, instead of refusing their session.",
)
def heatmap(files: tuple[pathlib.Path, ...], lake_path: str, symbol: str, allow_mixed: bool, leave_out: bool) -> None:
    """Ingest FILES of captured answers of the live heatmap endpoint: JSON, one body a file or one a line, or gzip.

    They may be of any metric, mode, window and session, in any order within one command. The lake answers each captured
    request with the captured body: a row is known from its body's as_of, and what other metrics were known to be is
    carried forward into it. What could not be given back is refused, and nothing of its session is written.

    \b
    Example:
      replay ingest heatmap captures/*.json.gz --symbol SPY --lake lake
    """
    from replay.ingest.captures import ingest_captures

    report = ingest_captures(files, lake_path, symbol, leave_out=leave_out, allow_mixed=allow_mixed)
    for reason in report.left_out:
        click.echo(f"left out: {reason}", err=True)
    output.emit(_summary(report).encode(), None)
    options.say_aged_out(report.aged_out, "body", "bodies")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def written_text(written: Written) -> str:
    """How many rows came, in a few words."""
    parts = [(written.new, "new"), (written.corrections, "correcting"), (written.filled, "saying more than before")]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count) or "none new"


def _summary(report: CaptureReport) -> str:
    """What an ingest did, in at most 80 columns where names allow."""
    bodies = f"{report.bodies.total():,} {'body' if report.bodies.total() == 1 else 'bodies'}"
    lines = [f"{report.symbol}: {bodies} of {_number(report.files, 'file')}"]
    lines.append("  " + ", ".join(f"{metric} {count:,}" for metric, count in sorted(report.bodies.items())))
    lines += [f"  {date}  rows: {written_text(written)}" for date, written in report.sessions.items()]
    notes = [
        (len(report.left_out), "left out, named on stderr"),
        (report.repeated, "repeat another body of the same as_of"),
        (report.empty, "without bars"),
        (report.gaps, "gap intervals, which are not kept"),
        *((count, f"with the field {name!r}, which is not kept") for name, count in sorted(report.unknown.items())),
    ]
    lines += [f"  {count:,} {text}" for count, text in notes if count]
    rows = sum(written.rows for written in report.sessions.values())
    lines.append(f"{_number(rows, 'row')} written")
    return "\n".join(lines) + "\n"
