"""``replay keys``: who may ask a server that asks for keys."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import click

PLANS = ("free", "basic", "growth", "alpha", "enterprise")


def _file(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--keys",
        "path",
        type=click.Path(dir_okay=False, path_type=pathlib.Path),
        default=pathlib.Path("keys.toml"),
        show_default=True,
        help="The file that keeps them, hashed.",
    )(command)


@click.group()
def keys() -> None:
    """Keep the API keys that `replay serve --keys FILE` asks for. A running server reads them when it starts."""


@keys.command()
@click.argument("name")
@click.option(
    "--plan",
    type=click.Choice(PLANS),
    default="alpha",
    show_default=True,
    help="As the vendor's: 5, 100, 2,500 requests a day, unlimited; the heatmap wants alpha.",
)
@_file
def add(name: str, plan: str, path: pathlib.Path) -> None:
    """Make a key for NAME and print it, this once: the file keeps its hash alone.

    \b
    Example:
      replay keys add research --plan alpha --keys keys.toml
    """
    from replay.server.keys import add_key

    click.echo(add_key(path, name, plan))
    click.echo(f"{name}, plan {plan}, is in {path}; the key is shown this once. Send it as X-Api-Key.", err=True)


@keys.command("list")
@_file
def list_keys(path: pathlib.Path) -> None:
    """Show the names that have a key, and their plans.

    \b
    Example:
      replay keys list --keys keys.toml
    """
    from replay.server.keys import read_keys
    from replay.tables import text_table

    click.echo(
        text_table(("name", "plan"), [(each.name, each.plan) for each in read_keys(path)], (False, False)), nl=False
    )


@keys.command()
@click.argument("name")
@_file
def remove(name: str, path: pathlib.Path) -> None:
    """Take NAME's key out of the file.

    \b
    Example:
      replay keys remove research --keys keys.toml
    """
    from replay.server.keys import remove_key

    remove_key(path, name)
    click.echo(f"{name} is out of {path}; a server that runs lets its key in until it is started anew", err=True)
