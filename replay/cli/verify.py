"""``replay verify``: is the lake whole and right."""

from __future__ import annotations

import click

from replay.cli import options


@click.command()
@options.lake
@click.option("--symbol", help="Check this symbol alone.")
@click.option("--fix", is_flag=True, help="Sweep what killed writers left behind. Data is never touched.")
@click.pass_context
def verify(ctx: click.Context, lake_path: str, symbol: str | None, fix: bool) -> None:
    """Check every file: that it opens, matches its name, schema and partition, and that its rows make sense.

    Each fault is named with file and row; the exit status is 1 if there is any.

    \b
    Example:
      replay verify --lake lake
    """
    from replay.contract import normalise_symbol
    from replay.storage.files import open_files, require_lake
    from replay.verify import verify_lake

    store = open_files(lake_path)
    require_lake(store)
    counts = {"fault": 0, "note": 0}
    summary = None
    for finding in verify_lake(store, symbol=symbol and normalise_symbol(symbol), fix=fix):
        if finding.kind == "summary":
            summary = finding.message
            continue
        counts[finding.kind] += 1
        click.echo(f"{finding.kind}: {finding}")
    click.echo(f"{summary}: {counts['fault']} faults, {counts['note']} notes")
    ctx.exit(1 if counts["fault"] else 0)
