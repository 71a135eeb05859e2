"""``replay serve``: the live endpoint at any past moment, and a page to look at."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import click

from replay.cli import options

if TYPE_CHECKING:
    from replay.server.clock import Reading


@click.command()
@options.lake
@click.option(
    "--at",
    default="latest",
    show_default=True,
    metavar="TIME|latest",
    help="Where the clock starts: 2026-07-24T10:00 (New York), or the close of the lake's last session.",
)
@click.option("--speed", type=float, default=0.0, metavar="X", help="Market seconds a second.  [default: 0, it stands]")
@click.option("--loop", is_flag=True, help="Run through every session of the lake, and from the first one again.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Another one needs --keys.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: any that is free; it is printed."
)
@click.option(
    "--keys",
    "keys_path",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Ask for a key of this file, which `replay keys add` makes.",
)
@click.option(
    "--runs",
    "runs_path",
    type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path),
    help="A run's folder, or one of several, for the page to lay over its heatmaps.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer.")
@click.option(
    "--cache-mb", type=click.IntRange(8, 65536), default=128, show_default=True, help="Of bodies, and of columns, each."
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin read answers, such as http://localhost:3000; repeat it.",
)
@click.option(
    "--access-log", "log", default="-", show_default=True, metavar="FILE|-|off", help="A line of JSON a request."
)
def serve(
    lake_path: str,
    at: str,
    speed: float,
    loop: bool,
    host: str,
    port: int,
    keys_path: pathlib.Path | None,
    runs_path: pathlib.Path | None,
    workers: int,
    cache_mb: int,
    origins: tuple[str, ...],
    log: str,
) -> None:
    """Serve the lake as the live endpoint, at the moment a clock shows, with a page to look at.

    Code written for the live endpoint gets history from it by another base URL alone. The clock stands, or runs at
    --speed through the session; POST /replay/clock sets it, and ?as_of=TIME answers for another moment.

    \b
    Example:
      replay serve --lake lake --at 2026-07-24T10:00 --speed 60
      curl http://127.0.0.1:8787/v1/flow/zero-dte/heatmap/SPY?metric=gex
    """
    from replay.errors import InvalidKey, MissingExtra
    from replay.lake import open_lake

    try:
        from replay.server import serving
        from replay.server.clock import check_speed
        from replay.server.keys import read_keys
        from replay.server.service import start_of
    except ModuleNotFoundError as error:
        if str(error.name).startswith("replay"):
            raise
        raise MissingExtra("serving", "serve") from None
    target = None if log == "off" else log
    serving.check_host(host, keys=keys_path is not None)
    keys = None if keys_path is None else read_keys(keys_path)
    if keys == []:
        raise InvalidKey(f"{keys_path} holds no key, so that nobody could ask; `replay keys add NAME` adds one")
    serving.check_log(target)
    with open_lake(lake_path) as lake:
        settings = serving.settings_for(
            lake,
            lake_path,
            at=start_of(lake, at),
            speed=check_speed(speed),
            loop=loop,
            workers=workers,
            keys=keys,
            runs=None if runs_path is None else os.fspath(runs_path),
            origins=origins,
            cache_bytes=cache_mb * 2**20,
            log=target,
        )
        symbols = lake.symbols()
    bound = serving.listen(host, port)

    def say() -> None:
        url = serving.url_of(bound)
        click.echo(f"serving {url}  {len(settings.spans)} sessions of {', '.join(symbols)}", err=True)
        click.echo(f"endpoints {url}docs", err=True)
        click.echo(_clock_text(settings.clock.read(), speed), err=True)
        if keys is None:
            click.echo("no key is asked for, and this machine alone is served; --keys FILE asks for one", err=True)

    serving.serve(settings, bound, workers, say)


def _clock_text(reading: Reading, speed: float) -> str:
    told = reading.to_dict()
    wall = str(told["new_york"])[:19].replace("T", " ")
    how = f"runs at {speed:g}x" if reading.running else "stands"
    if speed and not reading.running:
        how = "stands: at that time no session is left to run through"
    elif reading.loop:
        how += ", through every session" if reading.running else "; once it has a speed it runs through every session"
    return f"clock {wall} New York, {how}"
