"""``replay compact``: one file a partition, the thinned tier, and raw aged out where that stands for it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    import datetime as dt

    from replay.storage.compaction import Outcome
    from replay.storage.files import FileStore, Partition
    from replay.storage.reader import Reader


@click.command()
@options.lake
@click.option("--symbol", "symbols", multiple=True, metavar="SYMBOL", help="These alone; repeat it.  [default: all]")
@click.option("--from", "start", metavar="DATE", help="First session.  [default: the lake's first]")
@click.option("--to", "end", metavar="DATE", help="Last session.  [default: the lake's last]")
@click.option("--tier", type=click.Choice(["1m"]), help="Write the thinned tier from raw, instead of merging files.")
@click.option(
    "--drop-raw-before",
    "drop_before",
    metavar="DATE",
    help="Remove raw of earlier sessions, where the thinned tier is complete.",
)
@click.option(
    "--drop-corrected", is_flag=True, help="Also raw with corrections; what was known before them is lost then."
)
@click.option(
    "--allow-mixed", is_flag=True, help="Let the thinned tier hold a symbol's exposures under several conventions."
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done; write and remove nothing.")
@click.pass_context
def compact(
    ctx: click.Context,
    lake_path: str,
    symbols: tuple[str, ...],
    start: str | None,
    end: str | None,
    tier: str | None,
    drop_before: str | None,
    drop_corrected: bool,
    allow_mixed: bool,
    dry_run: bool,
) -> None:
    """Merge the files of each partition into one sorted file that answers the same, every revision kept.

    Readers and writers may be at work meanwhile, and a compaction that is killed loses nothing. What cannot be merged
    without loss is left as it is, and named.

    --tier 1m keeps the last snapshot of each minute with the minute's flow. As of the last microsecond of a minute,
    with everything known, it gives raw's heatmaps; only gaps follow its own cadence of a minute. Raw is preferred
    where it exists. --drop-raw-before removes raw where thinning it again gives just what is stored and nothing was
    corrected; anything else stays, is named, and makes the exit status 1.

    \b
    Example:
      replay compact --lake lake
      replay compact --lake lake --symbol SPY --tier 1m --drop-raw-before 2026-08-01
    """
    from replay.contract import normalise_symbol
    from replay.errors import InvalidTime
    from replay.sessions import parse_date
    from replay.storage.compaction import opened
    from replay.storage.files import require_lake

    chosen = {normalise_symbol(symbol) for symbol in symbols}
    first, last, before = (
        None if text is None else parse_date(text, name)
        for text, name in ((start, "from"), (end, "to"), (drop_before, "drop-raw-before"))
    )
    if drop_corrected and before is None:
        raise click.UsageError("--drop-corrected goes with --drop-raw-before")
    if first is not None and last is not None and first > last:
        raise InvalidTime(f"from {first} is after to {last}")
    done: Counter[str] = Counter()
    refused = False
    with output.writing(lake_path), opened(lake_path) as (store, reader):
        require_lake(store)
        selected = _selected(store, chosen, first, last)
        with contextlib.closing(
            _work(
                store,
                reader,
                selected,
                tier,
                before,
                dry_run=dry_run,
                allow_mixed=allow_mixed,
                corrected=drop_corrected,
            )
        ) as work:
            for outcome in work:
                done[outcome.verdict] += 1
                refused |= outcome.verdict == "left" and before is not None and outcome.partition.tier == "raw"
                if outcome.verdict != "whole":
                    click.echo(_line(outcome))
    click.echo(_summary(done, dry_run=dry_run))
    ctx.exit(1 if refused else 0)


def _selected(store: FileStore, symbols: set[str], first: dt.date | None, last: dt.date | None) -> list[Partition]:
    """The partitions that are asked for; a symbol that has none is noted."""
    from replay.storage.files import partitions

    stored = list(partitions(store))
    for symbol in sorted(symbols - {each.symbol for each in stored}):
        held = ", ".join(sorted({each.symbol for each in stored})) or "nothing"
        click.echo(f"note: no session of {symbol}; the lake holds {held}", err=True)
    return [
        each
        for each in stored
        if (not symbols or each.symbol in symbols)
        and (first is None or each.date >= first)
        and (last is None or each.date <= last)
    ]


def _work(
    store: FileStore,
    reader: Reader,
    selected: list[Partition],
    tier: str | None,
    before: dt.date | None,
    *,
    dry_run: bool,
    allow_mixed: bool,
    corrected: bool,
) -> Generator[Outcome, None, None]:
    """Do what is asked for, partition by partition."""
    from replay.cli.progress import steps
    from replay.storage.compaction import merge_partition
    from replay.storage.thinning import drop_raw, thin_partition

    with contextlib.closing(steps(selected, "partitions")) as each_of:
        for partition in each_of:
            if not store.files(partition):
                continue
            if tier is None and before is None:
                yield merge_partition(store, reader, partition, dry_run=dry_run)
                continue
            if partition.tier != "raw":
                continue
            thinned = False
            if tier is not None:
                outcome = thin_partition(store, reader, partition, dry_run=dry_run, allow_mixed=allow_mixed)
                thinned = dry_run and outcome.verdict == "thinned"
                yield outcome
            if before is not None and partition.date < before:
                yield drop_raw(store, reader, partition, dry_run=dry_run, thinned=thinned, corrected=corrected)


def _line(outcome: Outcome) -> str:
    """What became of a partition."""
    partition, (files, files_after), (size, size_after) = outcome.partition, outcome.files, outcome.nbytes
    name = f"{partition.symbol} {partition.date} {partition.tier}"
    if outcome.verdict == "left":
        return f"{name}: left as it is: {outcome.reason}"
    if outcome.verdict == "dropped":
        return f"{name}: dropped, {_files(files)}, {_bytes(size)}"
    return f"{name}: {_files(files)} -> {files_after}, {_bytes(size)} -> {_bytes(size_after)}"


def _summary(done: Counter[str], *, dry_run: bool) -> str:
    told = {"merged": "merged", "thinned": "thinned", "dropped": "dropped", "whole": "as they should be"}
    parts = [f"{done[verdict]:,} {text}" for verdict, text in told.items() if done[verdict]]
    parts += [f"{done['left']:,} left as they are"] if done["left"] else []
    return ("dry run, nothing was changed: " if dry_run else "") + (", ".join(parts) or "no partitions")


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _bytes(count: int) -> str:
    """``812 B``, ``3.4 kB``, ``11.2 MB``."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
