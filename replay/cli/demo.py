"""``replay demo``: the main job on the lake that ships."""

from __future__ import annotations

import pathlib

import click

SYMBOL = "SPY"


@click.command()
@click.option(
    "--out",
    "out_path",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=pathlib.Path("demo-out"),
    show_default=True,
    help="Where to write the HTML page.",
)
def demo(out_path: pathlib.Path) -> None:
    """Show what this does, offline, on the simulated lake that ships.

    \b
    Example:
      replay demo
    """
    raise click.ClickException("not yet")
