"""The ``replay`` command: parse, call, render. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

from typing import Any

import click

import replay
from replay.cli.audit import audit
from replay.cli.compact import compact
from replay.cli.conventions import conventions
from replay.cli.demo import demo
from replay.cli.diff import diff
from replay.cli.golden import golden
from replay.cli.heatmap import heatmap
from replay.cli.ingest import ingest
from replay.cli.ingest_heatmap import heatmap as ingest_heatmap
from replay.cli.ingest_quotes import quotes as ingest_quotes
from replay.cli.ingest_snapshots import snapshots as ingest_snapshots
from replay.cli.ingest_trades import trades as ingest_trades
from replay.cli.keys import keys
from replay.cli.levels import levels
from replay.cli.quality import quality
from replay.cli.record import record
from replay.cli.regenerate import regenerate
from replay.cli.report import report
from replay.cli.run import backtest, run
from replay.cli.serve import serve
from replay.cli.sessions import sessions
from replay.cli.sql import sql
from replay.cli.strategies import strategies
from replay.cli.study import study
from replay.cli.sweep import sweep
from replay.cli.verify import verify
from replay.cli.watch import watch
from replay.errors import ReplayError


class _Group(click.Group):
    """The one place where errors become ``error: code: text`` on stderr and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ReplayError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(replay.__version__, prog_name="replay")
def main() -> None:
    """Rebuild past 0DTE strike x time heatmaps from a lake of Parquet snapshots, exactly as they stood.

    \b
    Try it on the simulated lake that ships:  replay demo
    Then bring in your own chains:            replay ingest chain --help
    """


for _kind in (ingest_quotes, ingest_trades, ingest_heatmap, ingest_snapshots):
    ingest.add_command(_kind)

for _command in (
    heatmap,
    levels,
    conventions,
    run,
    backtest,
    report,
    sweep,
    audit,
    strategies,
    study,
    watch,
    regenerate,
    golden,
    sessions,
    ingest,
    record,
    diff,
    compact,
    quality,
    verify,
    sql,
    serve,
    keys,
    demo,
):
    main.add_command(_command)
