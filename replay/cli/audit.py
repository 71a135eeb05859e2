"""``replay audit``: whether what a strategy records depends on what was not known."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from replay.cli import options, output
from replay.cli.terms import trading_terms


@click.command()
@click.argument("strategy")
@options.lake
@options.run_options
@trading_terms
@click.option("--every", is_flag=True, help="Replace the future at the open and every tick, in place of a sample.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="At how many instants of each session to replace the future.",
)
@options.output_format("text", "json", default="text")
@options.out
def audit(
    strategy: str,
    lake_path: str,
    params: tuple[str, ...],
    every: bool,
    sample: int,
    form: str,
    out_path: pathlib.Path | None,
    **asked: Any,
) -> None:
    """Look for look-ahead, hidden state and randomness in STRATEGY; exit status 1 where there is any.

    Its sessions run again with everything dropped, corrupted or shifted that was not visible at an instant: what was
    recorded up to that instant must not change. Files, the lake, clocks and global random numbers are watched.

    \b
    Example:
      replay audit my_strategy.py:PinDrift --lake lake --symbol SPY --from 2026-07-17 --to 2026-08-12
      replay audit levels --lake lake --symbol SPY --from 2026-07-24 --to 2026-07-24 --every --step 5m
    """
    import orjson

    from replay.cli.progress import counted
    from replay.errors import StrategyFailed
    from replay.leaks import audit as audit_all

    with counted("sessions") as progress:
        try:
            found = audit_all(
                strategy,
                lake_path,
                params=options.named_values(params),
                sample=None if every else sample,
                progress=progress,
                **asked,
            )
        except StrategyFailed as error:
            click.echo(error.traceback.rstrip("\n"), err=True)
            raise
    if form == "json":
        output.emit(orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2) + b"\n", out_path)
    else:
        output.emit(found.to_text().encode(), out_path)
    if found:
        click.get_current_context().exit(1)
