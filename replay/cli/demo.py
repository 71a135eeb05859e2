"""``replay demo``: the main job on the simulated lake that ships."""

from __future__ import annotations

import pathlib
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from replay.cli import output

if TYPE_CHECKING:
    from replay.lake import Lake
    from replay.levels import Levels
    from replay.strategy import Context

SYMBOL = "SPY"
AS_OF = "2026-07-24T11:29:45"
CORRECTED = "2026-07-24T13:05:10"
DATE = "2026-07-24"
TICKS = ("11:30", "12:00", "13:05", "13:06", "14:00", "16:00")
NEXT = """Try next:
{path}  export REPLAY_LAKE={lake}
  replay heatmap SPY --as-of 2026-07-24T12:00 --minutes 90 --metric oi
  replay heatmap SPY --as-of 2025-11-28 --minutes 390 --format table
  replay levels SPY --as-of 2026-07-24T11:29:45 --known-at latest
  replay run levels --symbol SPY | head -3
  replay backtest pin_fly --symbol SPY --param take=0 --out fly
  replay study pins SPY
  replay watch SPY --date 2026-07-24 --speed 120
  replay serve --at 2026-07-24T10:00 --speed 60    # then open http://127.0.0.1:8787/
  replay sql "SELECT date, max(spot) FROM snapshots GROUP BY 1 ORDER BY 1"
  replay ingest chain --help    # your own chains"""


@click.command()
@click.option(
    "--out",
    "out_path",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=pathlib.Path("demo-out"),
    show_default=True,
    help="Where to write the page.",
)
def demo(out_path: pathlib.Path) -> None:
    """Show what this does, offline, on the simulated lake that ships.

    It lists the sessions, rebuilds one heatmap as it stood and again with a correction that became known later, replays
    that session into a strategy, and backtests one that trades.

    \b
    Example:
      replay demo --out demo-out
    """
    from replay.cli.sessions import session_table
    from replay.lake import open_lake
    from replay.queries import shipped
    from replay.render.html import heatmap_html

    lake_path = shipped("fixtures") / "lake"
    with open_lake(lake_path) as lake:
        _say(f"The lake that ships, simulated: {lake_path}")
        click.echo(session_table(lake.sessions()))
        _say(f"{SYMBOL} gex at 11:29:45 on 24 July 2026, as it stood then")
        then = _show(lake, None)
        _say("The same moment, with the correction that became known at 13:05")
        since = _show(lake, CORRECTED)
        _say("What the correction changed")
        click.echo(_compared(then, since))
        _say("The session replayed into a strategy: what each tick says the magnet of 11:29 was")
        click.echo(_replayed(lake))
        _say("A backtest: an iron fly sold at the magnet two hours before the close, in each session")
        click.echo(_backtested(lake))
        page = lake.heatmap(SYMBOL, "2026-07-24", minutes=390, known_at="latest")
        written = heatmap_html(page, lake.levels_of(page))
    out_path.mkdir(parents=True, exist_ok=True)
    target = out_path / "SPY-2026-07-24-gex.html"
    with output.sink(target) as file:
        file.write(written)
    _say(f"Written: {target}, the whole session as an interactive page")
    click.echo(NEXT.format(path=_path(), lake=lake_path))


def _path() -> str:
    """How to reach the command, where the shell would not find it."""
    return "" if shutil.which("replay") else f"  export PATH={pathlib.Path(sys.executable).parent}:$PATH\n"


def _show(lake: Lake, known_at: str | None) -> Levels:
    """Draw the heatmap of the demo's moment; its levels."""
    from replay.render.terminal import heatmap_table

    shown = lake.heatmap(SYMBOL, AS_OF, known_at=known_at)
    levels = lake.levels_of(shown)
    click.echo(
        heatmap_table(
            shown,
            levels,
            width=min(output.terminal_width(), 100),
            colour=output.use_colour(),
            unicode=output.use_unicode(),
            truecolor=output.use_true_colour(),
        )
    )
    return levels


def _compared(then: Levels, since: Levels) -> str:
    """Levels side by side."""
    from replay.tables import text_table

    def text(value: float | None) -> str:
        return "none" if value is None else f"{value:,.2f}"

    names = ("spot", "magnet", "call_wall", "put_wall", "gamma_flip", "max_pain", "pin_score", "net_gex")
    rows = [(name, text(getattr(then, name)), text(getattr(since, name))) for name in names]
    return text_table(("level", "as it stood", "as known at 13:05"), rows, (False, True, True))


def _replayed(lake: Lake) -> str:
    """The demo's session through a strategy that looks back at one bar, which was corrected at 13:05."""
    from replay.engine import run
    from replay.tables import text_table

    result = run(_magnets, lake, symbols=SYMBOL, start=DATE, end=DATE)
    shown = [row for row in result.to_polars().iter_rows(named=True) if f"{row['at']:%H:%M}" in TICKS]
    rows = [
        (f"{row['at']:%H:%M}", f"{row['spot']:,.2f}", f"{row['magnet']:,.2f}", f"{row['then']:,.2f}") for row in shown
    ]
    return text_table(("tick", "spot", "magnet now", "magnet of 11:29"), rows, (False, True, True, True))


def _backtested(lake: Lake) -> str:
    """The trades of a pin fly, with fees, and what they come to."""
    from replay.engine import run
    from replay.tables import text_table

    result = run("pin_fly", lake, symbols=SYMBOL, gaps="carry:5m")
    rows = [
        (
            str(row["session"]), row["legs"], f"{row['price']:.2f}", f"{row['settlement']:,.2f}", row["exit"],
            f"{row['profit']:,.2f}",
        )
        for row in result.trades().iter_rows(named=True)
    ]  # fmt: skip
    sums = result.run["trading"]
    rows.append(("total", "", "", "", "", f"{sums['profit']:,.2f}"))
    right = (False, False, True, True, False, True)
    return text_table(("session", "sold", "credit", "close", "exit", "profit"), rows, right) + (
        f"\nat mid {sums['mid']:,.2f}, at the touch {sums['touch']:,.2f}, at worst {sums['worst']:,.2f} USD\n"
        f"after fees of {sums['fees']:,.2f}. The sessions are simulated, with a pull to a strike:\n"
        "of markets this says nothing.\n"
    )


def _magnets(ctx: Context) -> dict[str, Any] | None:
    """The strategy: the magnet now, and that of the bar of 11:29 by what is known now."""
    import numpy as np

    shown = ctx.heatmap("gex", minutes=390)
    bar = shown.times == np.datetime64("2026-07-24T15:29")
    if not bar.any():
        return None
    then = shown.strikes[np.argmax(np.abs(shown.values[bar][0]))]
    return {"spot": ctx.spot, "magnet": ctx.levels.magnet, "then": then}


def _say(text: str) -> None:
    click.echo(click.style(f"\n== {text}\n", bold=True, reset=True) if output.use_colour() else f"\n== {text}\n")
