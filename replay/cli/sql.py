"""``replay sql``: DuckDB over the lake, read only."""

from __future__ import annotations

import pathlib

import click

from replay.cli import options, output

FORMATS = ("table", "csv", "json", "parquet")


@click.command()
@click.argument("statement")
@options.lake
@options.output_format(*FORMATS)
@options.out
def sql(statement: str, lake_path: str, form: str | None, out_path: pathlib.Path | None) -> None:
    """Run one SELECT over the views `snapshots` and `strikes`.

    snapshots: every stored row, revisions included, lists by strike. strikes: one row per snapshot and strike.
    Their columns and units: `DESCRIBE strikes`, or the README. Nothing can be written.

    \b
    Example:
      replay sql --lake lake "SELECT strike, avg(gex) FROM strikes WHERE symbol = 'SPY' GROUP BY 1 ORDER BY 1"
    """
    from polars.exceptions import PolarsError

    from replay import tables
    from replay.errors import QueryError
    from replay.storage.engine import query_views
    from replay.storage.files import open_files, require_lake

    chosen = output.choose_format(form, out_path, FORMATS, "csv")
    store = open_files(lake_path)
    require_lake(store)
    try:
        with query_views(store, statement) as batches, output.sink(out_path) as file:
            tables.write_batches(batches, chosen, file, width=output.terminal_width())
    except PolarsError as error:
        raise QueryError(f"the answer cannot be written as {chosen}: {error}; cast the column to text") from error
