"""``replay run`` and ``replay backtest``: sessions replayed minute by minute into a strategy, its orders filled."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output
from replay.cli.report import compared, reported, runs_beside
from replay.cli.terms import trading_terms

if TYPE_CHECKING:
    from replay.engine import Result

FORMATS = ("table", "parquet", "csv", "jsonl")
_SHOWN = 20


def _run_command(command: Callable[..., None]) -> click.Command:
    """A command with all that a run can be asked for."""
    for option in (
        options.output_format(*FORMATS),
        compared,
        click.option(
            "--trials",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Sets of parameters that were tried before this one was chosen.",
        ),
        click.option("--resume", is_flag=True, help="Go on with the run in --out where it stopped."),
        click.option(
            "--out",
            "out_path",
            type=options.OutPath(file_okay=False, path_type=pathlib.Path),
            help="Folder for records, log, run.json, and what was traded with its report.html.",
        ),
        click.option(
            "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes to share sessions."
        ),
        trading_terms,
        options.run_options,
        options.lake,
        click.argument("strategy"),
        click.command(),
    ):
        command = option(command)
    assert isinstance(command, click.Command)
    return command


@_run_command
def run(strategy: str, **asked: Any) -> None:
    """Replay sessions tick by tick into STRATEGY, showing it only what was known at each instant.

    STRATEGY is package.module:Name, path/to/file.py:Name, or one that ships (`replay strategies`). What it records
    goes to --out, or to standard output: drawn on a terminal, JSON lines in a pipe. Where it sends orders they are
    filled, charged and settled, and reported as by `replay backtest`.

    \b
    Example:
      replay run levels --lake lake --symbol SPY --from 2026-07-17 --to 2026-08-12 --out levels-july
      replay run my_strategy.py:PinDrift --lake lake --symbol SPY --symbol QQQ --param band=0.5 --latency 2s
    """
    _replayed(strategy, **asked)


@_run_command
def backtest(strategy: str, **asked: Any) -> None:
    """Backtest STRATEGY: `replay run` of one that sends orders.

    Orders are filled on the market's snapshots after they were sent, charged fees, and settled at the close. With --out
    the folder holds ledger.parquet, equity.parquet, trades.parquet, sessions.parquet, run.json and report.html.

    \b
    Example:
      replay backtest pin_fly --lake lake --symbol SPY --settlement settlement.csv --out fly
      replay backtest pin_fly --lake lake --symbol SPY --param center=max_pain --fill mid+25% --fees 0.65 --workers 2
    """
    _replayed(strategy, trades=True, **asked)


def _replayed(
    strategy: str,
    lake_path: str,
    out_path: pathlib.Path | None,
    form: str | None,
    params: tuple[str, ...],
    compare: tuple[pathlib.Path, ...],
    *,
    trades: bool = False,
    **asked: Any,
) -> None:
    """Replay, write what came of it, and say it."""
    from replay.cli.progress import run_progress
    from replay.engine import Interrupted
    from replay.engine import run as replay_run
    from replay.errors import GapFound, StrategyFailed

    chosen = _format(form, out_path)
    beside = runs_beside(compare)
    failed: Any = None
    with run_progress() as progress:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no row
                result = replay_run(
                    strategy,
                    lake_path,
                    params=options.named_values(params),
                    out=out_path,
                    form=chosen if out_path is not None else "parquet",
                    progress=progress,
                    **asked,
                )
        except (StrategyFailed, GapFound, Interrupted) as error:
            failed, result = error, error.result
    if out_path is None:
        _emit(result, chosen)
    click.echo(summary(result), err=True)
    if out_path is None:
        click.echo(_log(result), err=True, nl=False)
    if failed is None and result.traded:
        reported(result, lake_path, beside)
    elif failed is None and (beside or trades):
        click.echo(f"note: no order was sent, so there is nothing to {'compare' if beside else 'report'}", err=True)
    if isinstance(failed, Interrupted):
        click.echo(_after_interrupt(result), err=True)
        click.get_current_context().exit(130)
    if isinstance(failed, StrategyFailed):
        click.echo(failed.traceback.rstrip("\n"), err=True)
    if failed is not None:
        raise failed


def _format(form: str | None, out_path: pathlib.Path | None) -> str:
    if out_path is None:
        return output.choose_format(form, None, FORMATS, "jsonl")
    if form == "table":
        raise click.UsageError("--format table is for the terminal; with --out give parquet, csv or jsonl")
    return form or "parquet"


def _emit(result: Result, form: str) -> None:
    from replay import tables

    with output.sink(None) as file:
        if form != "table":
            tables.write_batches([result.to_arrow()], form, file, width=output.terminal_width())
            return
        rows = result.to_polars().drop("session")
        clock = rows["at"].dt.strftime("%Y-%m-%d %H:%M:%S").str.strip_suffix(":00")
        shown = rows.with_columns(at=clock).tail(_SHOWN)
        file.write(tables.frame_bytes(shown, form, width=output.terminal_width()))
        if len(rows) > _SHOWN:
            file.write(f"the last {_SHOWN} of {len(rows):,} rows; --format csv or --out DIR gives all\n".encode())


def _log(result: Result) -> str:
    """The last lines that the strategy logged, for a run that keeps them nowhere."""
    log = result.log()
    head = f"log: the last 10 of {len(log):,} lines\n" if len(log) > 10 else ""
    return head + "".join(f"{at}  {message}\n" for at, message in log.tail(10).iter_rows())


def summary(result: Result) -> str:
    """What ran, what was recorded, and every kind of missing data, in a few lines."""
    run, sessions = result.run, result.sessions
    ticks = sum(session["ticks"] for session in sessions)
    span = f"{sessions[0]['date']} to {sessions[-1]['date']}" if sessions else "none"
    lines = [
        f"{run['strategy']['name']} on {', '.join(run['symbols'])}: {len(sessions)} sessions, {span}, {result.status}",
        f"{ticks:,} ticks, {run['records']:,} rows recorded",
    ]
    stale = sum(told["stale_ticks"] for session in sessions for told in session["symbols"].values())
    gaps = result.gaps()
    if len(gaps) or stale:
        lines.append(f"gaps ({run['gaps']}): {len(gaps)}, {stale:,} stale ticks")
    lines += [
        f"  {symbol} {session}: no snapshot {start:%H:%M:%S}-{end:%H:%M:%S} New York"
        for session, symbol, start, end in gaps.head(10).iter_rows()
    ]
    if len(gaps) > 10:
        lines.append(f"  and {len(gaps) - 10} more" + (f", in {result.path / 'run.json'}" if result.path else ""))
    missing = run["missing_sessions"]
    if missing:
        named = ", ".join(missing) if len(missing) < 3 else f"{missing[0]} to {missing[-1]}"
        lines.append(f"not in the lake: {len(missing)} sessions of the exchange, {named}")
    if result.path is not None:
        lines.append(f"written to {result.path}")
    return "\n".join(lines)


def _after_interrupt(result: Result) -> str:
    return "interrupted" + ("; --resume goes on from here" if result.path is not None else "; --out DIR can be resumed")
