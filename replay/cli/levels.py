"""``replay levels``: magnet, walls, flip and totals at any past moment."""

from __future__ import annotations

import pathlib

import click

from replay.cli import options, output


@click.command()
@click.argument("symbol")
@options.lake
@options.moment
@options.stated
@options.output_format("table", "json", default=None)
@options.out
def levels(
    symbol: str,
    lake_path: str,
    as_of: str,
    known_at: str | None,
    tier: str | None,
    oi: str,
    share: float,
    conventions: str | None,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Print SYMBOL's levels: magnet, walls, flip, max pain, pin score and net exposures at --as-of.

    They come from the newest snapshot visible then; what is not known is null.

    \b
    Example:
      replay levels SPY --lake lake --as-of 2026-07-24T14:30
    """
    from replay.lake import open_lake
    from replay.sessions import parse_moment, to_us

    with open_lake(lake_path) as lake:
        found = lake.levels(symbol, as_of, known_at=known_at, tier=tier, oi=oi, share=share, conventions=conventions)
        if found.ts is None:
            click.echo(output.what_there_is(lake, found.symbol, to_us(parse_moment(as_of)), "snapshot"), err=True)
    if output.choose_format(form, out_path, ("table", "json"), "json") == "json":
        import orjson

        output.emit(orjson.dumps(found.to_dict()), out_path)
    else:
        from replay.render.terminal import level_lines

        output.emit(level_lines(found).encode() + b"\n", out_path)
