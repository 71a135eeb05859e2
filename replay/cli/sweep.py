"""``replay sweep``: every set of parameters of a grid backtested over the same sessions."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.cli.terms import trading_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.sweeps import Progress
    from replay.sweeps.result import Sweep

FORMATS = ("table", "json", "csv", "parquet")


@click.command()
@click.argument("strategy")
@options.lake
@click.option(
    "--grid",
    "grid_texts",
    multiple=True,
    required=True,
    metavar="NAME=V1,V2,…",
    help="Values of a parameter to try; repeat it: every combination is a set.",
)
@click.option(
    "--metric",
    default="sharpe",
    show_default=True,
    metavar="METRIC",
    help="What the best set is chosen by: sharpe, total, mean, median, win_rate, profit_factor, sortino, "
    "max_drawdown, mid, touch or worst.",
)
@click.option(
    "--train",
    type=click.IntRange(min=1),
    metavar="SESSIONS",
    help="Walk-forward: choose the best set on so many sessions, and see it on the --test sessions after them.",
)
@click.option(
    "--test",
    type=click.IntRange(min=1),
    metavar="SESSIONS",
    help="Walk-forward: sessions to see the chosen set on; the next window lies so many further on.",
)
@options.session_options("--body-metric")
@trading_terms
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes of this machine.")
@click.option(
    "--scheduler",
    metavar="tcp://HOST:8786",
    help="A Dask cluster to work on instead; needs the extra [cluster].",
)
@click.option(
    "--out",
    "out_path",
    type=options.OutPath(file_okay=False, path_type=pathlib.Path),
    help="Folder for sweep.parquet, sessions.parquet, sweep.json and sweep.html.",
)
@click.option("--resume", is_flag=True, help="Go on with the sweep in --out where it stopped.")
@options.output_format(*FORMATS)
def sweep(
    strategy: str,
    lake_path: str,
    grid_texts: tuple[str, ...],
    params: tuple[str, ...],
    out_path: pathlib.Path | None,
    form: str | None,
    **asked: Any,
) -> None:
    """Backtest STRATEGY with every combination of the values of a --grid, and rank them.

    Each session is read once for all sets. Every set trades what `replay backtest` with its parameters does, and the
    answer is the same bytes on one worker, on several, on a cluster, and resumed.

    \b
    Example:
      replay sweep pin_fly --lake lake --symbol SPY --grid wing=5,10,15 --grid center=magnet,max_pain --workers 2
      replay sweep pin_fly --lake lake --symbol SPY --grid wing=2,5,10 --train 60 --test 20 --out wings
      replay sweep pin_fly --lake s3://bucket/lake --symbol SPY --grid wing=2,5,10 --scheduler tcp://10.0.0.1:8786
    """
    from replay.errors import StrategyFailed
    from replay.sweeps import Interrupted
    from replay.sweeps import sweep as replay_sweep
    from replay.sweeps.grid import parse_grid

    chosen = output.choose_format(form, None, FORMATS, "table")
    with _progress() as progress:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no row
                found = replay_sweep(
                    strategy,
                    lake_path,
                    grid=parse_grid(grid_texts),
                    params=options.named_values(params),
                    out=out_path,
                    progress=progress,
                    **asked,
                )
        except Interrupted as interrupt:
            click.echo(_after_interrupt(interrupt.progress, out_path), err=True)
            click.get_current_context().exit(130)
        except StrategyFailed as error:
            click.echo(error.traceback.rstrip("\n"), err=True)
            raise
    if out_path is not None:
        _write_page(found, out_path)
    output.emit(_bytes(found, chosen), None)
    if chosen != "table" and not found.traded:
        click.echo("note: no set sent an order", err=True)


@contextlib.contextmanager
def _progress() -> Any:
    """A bar of sets x sessions."""
    from replay.cli.progress import counted

    with counted("sets x sessions") as tell:

        def show(at: Progress) -> None:
            if tell is not None:
                tell(at.done, at.all)

        told: Callable[[Progress], None] | None = show if tell is not None else None
        yield told


def _bytes(found: Sweep, form: str) -> bytes:
    if form == "table":
        from replay.render.sweep_text import sweep_text

        return sweep_text(found).encode()
    from replay.tables import frame_bytes

    return frame_bytes(found.to_polars(), form)


def _write_page(found: Sweep, out_path: pathlib.Path) -> None:
    from replay.errors import MissingExtra
    from replay.render.sweep import sweep_html

    try:
        output.emit(sweep_html(found), out_path / "sweep.html")
    except MissingExtra as error:
        click.echo(f"note: no sweep.html: {error.message}", err=True)
    click.echo(f"written to {out_path}", err=True)


def _after_interrupt(at: Progress, out_path: pathlib.Path | None) -> str:
    way = "--resume goes on from here" if out_path is not None else "--out DIR can be resumed"
    return f"interrupted at {at.done:,} of {at.all:,} sets x sessions; {way}"
