"""``replay heatmap``: one heatmap of any past moment."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.heatmap import Heatmap
    from replay.lake import Lake

FORMATS = ("table", "json", "csv", "parquet", "html", "png")


@click.command()
@click.argument("symbol")
@options.lake
@options.moment
@options.stated
@click.option(
    "--metric",
    default="gex",
    show_default=True,
    metavar="gex|dex|vex|chex|oi|signed_flow",
    help="What to show.",
)
@click.option(
    "--mode",
    default="raw",
    show_default=True,
    metavar="raw|delta",
    help="Values, or their change bar by bar.",
)
@click.option("--minutes", default="60", show_default=True, metavar="1..390", help="How far to look back; clamped.")
@click.option("--bar", default="1m", show_default=True, metavar="1m", help="The contract's bar; see --resample.")
@click.option("--resample", metavar="5m|15m|30m", help="Coarsen the answer: last of a bucket, for flow the sum.")
@click.option("--gaps", is_flag=True, help="List stretches without data in gap_intervals.")
@click.option("--pretty", is_flag=True, help="Indent JSON.")
@options.output_format(*FORMATS)
@options.out
def heatmap(
    symbol: str,
    lake_path: str,
    as_of: str,
    known_at: str | None,
    tier: str | None,
    oi: str,
    share: float,
    conventions: str | None,
    metric: str,
    mode: str,
    minutes: str,
    bar: str,
    resample: str | None,
    gaps: bool,
    pretty: bool,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Rebuild SYMBOL's heatmap exactly as it stood at --as-of.

    On a terminal it is drawn; piped, it is the live endpoint's JSON body.

    \b
    Example:
      replay heatmap SPY --lake lake --as-of 2026-07-24T14:30 --metric gex
      replay heatmap SPY --lake lake --as-of 2026-07-24 --minutes 390 --out day.html
    """
    from replay.lake import open_lake

    with open_lake(lake_path) as lake:
        answer = lake.heatmap(
            symbol,
            as_of,
            metric=metric,
            mode=mode,
            bar=bar,
            minutes=minutes,
            known_at=known_at,
            gaps=gaps,
            tier=tier,
            oi=oi,
            share=share,
            conventions=conventions,
        )
        if resample is not None:
            answer = answer.resample(resample)
        chosen = output.choose_format(form, out_path, FORMATS, "json")
        output.emit(render(lake, answer, chosen, pretty=pretty), out_path)
        if not len(answer.minutes):
            click.echo(output.what_there_is(lake, answer.symbol, answer.as_of, "sample", " in the window"), err=True)


def render(lake: Lake, answer: Heatmap, form: str, *, pretty: bool = False) -> bytes:
    """A heatmap in one of :data:`FORMATS`."""
    if form == "json":
        return answer.to_json(pretty=pretty)
    if form in ("csv", "parquet"):
        from replay import tables

        return tables.frame_bytes(answer.to_polars(), form)
    levels = lake.levels_of(answer)
    if form == "html":
        from replay.render.html import heatmap_html

        return heatmap_html(answer, levels)
    if form == "png":
        from replay.render.png import heatmap_png

        return heatmap_png(answer, levels)
    from replay.render.terminal import heatmap_table

    text = heatmap_table(
        answer,
        levels,
        width=output.terminal_width(),
        height=output.terminal_height(),
        colour=output.use_colour(),
        unicode=output.use_unicode(),
        truecolor=output.use_true_colour(),
    )
    return text.encode() + b"\n"
