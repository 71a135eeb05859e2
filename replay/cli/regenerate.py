"""``replay regenerate``: historical heatmaps in bulk, a file each."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from replay.cli import options, output
from replay.errors import NoStrikeData, ReplayError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from replay.lake import Lake
    from replay.regenerate import Bulk, Request

FORMATS = ("json", "parquet", "png", "html")
_NAMED = 10  # so many of each kind of thing that was passed over are named
_LEFTOVER = re.compile(r"\.(.+)\.[0-9a-f]{8}\.partial", re.DOTALL)


@click.command()
@click.argument("symbol")
@options.lake
@click.option("--from", "start", metavar="DATE", help="First session.  [default: the lake's first]")
@click.option("--to", "end", metavar="DATE", help="Last session.  [default: the lake's last]")
@click.option(
    "--at",
    default="close",
    show_default=True,
    metavar="close|10:00,14:30|every:30m",
    help="Moments of each session, New York time; the close is the session's real one.",
)
@click.option("--metric", default="gex", show_default=True, metavar="gex,oi,...", help="One or several.")
@click.option("--mode", default="raw", show_default=True, metavar="raw,delta", help="One or both.")
@click.option("--minutes", default="60", show_default=True, metavar="1..390", help="How far to look back; clamped.")
@click.option("--known-at", metavar="TIME|latest", help="Use what was recorded by then.  [default: as it stood]")
@click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]")
@click.option(
    "--out",
    "out_path",
    type=options.OutPath(file_okay=False, path_type=pathlib.Path),
    required=True,
    help="Folder for the files; those in it already are left as they are.",
)
@options.output_format(*FORMATS, default="json")
def regenerate(
    symbol: str,
    lake_path: str,
    start: str | None,
    end: str | None,
    at: str,
    metric: str,
    mode: str,
    minutes: str,
    known_at: str | None,
    tier: str | None,
    out_path: pathlib.Path,
    form: str,
) -> None:
    """Write SYMBOL's heatmaps of many past moments, one file each.

    Each file holds the bytes of `replay heatmap` for its moment, under a name that says which it is, such as
    SPY_2026-07-24_1430_gex_raw.json. Run again, it writes only what is not there yet.

    \b
    Example:
      replay regenerate SPY --lake lake --from 2026-07-17 --at 10:00,14:30,close --metric gex,oi --out maps
      replay regenerate SPY --lake lake --at every:30m --format png --out pictures
    """
    from replay.lake import open_lake
    from replay.regenerate import bulk

    done = _Done(out_path)
    try:
        with open_lake(lake_path) as lake:
            wanted = bulk(
                lake, symbol, start=start, end=end, at=at, metrics=_listed(metric), modes=_listed(mode),
                minutes=minutes, known_at=known_at, tier=tier,
            )  # fmt: skip
            done.outside = len(wanted.outside)
            click.echo(_passed_over(wanted), err=True, nl=False)
            _write_all(lake, wanted, out_path, form, done)
    except KeyboardInterrupt:
        done.settle()
        click.echo(f"{done}\ninterrupted; run it again to go on", err=True)
        click.get_current_context().exit(130)
    except ReplayError:
        if done.written:
            click.echo(str(done), err=True)
        raise
    click.echo(str(done), err=True)


@dataclass
class _Done:
    """What became of the requests so far."""

    folder: pathlib.Path
    written: int = 0
    empty: int = 0
    there: int = 0
    outside: int = 0
    refused: list[str] = field(default_factory=list)
    begun: pathlib.Path | None = None

    def settle(self) -> None:
        """Count the file that was begun, where it was finished before that could be counted."""
        if self.begun is not None and self.begun.is_file():
            self.written += 1

    def __str__(self) -> str:
        """In one line, after one that names what was refused."""
        empty = f" ({self.empty:,} of them empty)" if self.empty else ""
        rest = {
            "already there": self.there,
            "refused": len(self.refused),
            "passed over, outside the session": self.outside,
        }
        told = [f"{self.written:,} written{empty}", *(f"{count:,} {what}" for what, count in rest.items() if count)]
        return f"{_note(f'refused, {NoStrikeData.code}', self.refused)}{self.folder}: {', '.join(told)}"


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _write_all(lake: Lake, wanted: Bulk, folder: pathlib.Path, form: str, done: _Done) -> None:
    from replay.cli.progress import steps

    with output.writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    targets = {f"{request.name}.{form}": request for request in wanted.requests}
    with _own(folder, targets), contextlib.closing(steps(list(targets.items()), "heatmaps")) as requests:
        for name, request in requests:
            if (folder / name).is_file():
                done.there += 1
                continue
            done.begun = folder / name
            try:
                bars = _write(lake, request, folder / name, form)
            except NoStrikeData:
                done.refused.append(request.name)
            else:
                done.begun, done.written = None, done.written + 1
                done.empty += not bars


def _write(lake: Lake, request: Request, target: pathlib.Path, form: str) -> int:
    """Write one file; how many bars its heatmap has."""
    from replay.cli.heatmap import render

    answer = lake.heatmap(
        request.symbol,
        request.as_of,
        metric=request.metric,
        mode=request.mode,
        minutes=request.minutes,
        known_at=request.known_at,
        tier=request.tier,
    )
    output.emit(render(lake, answer, form), target)
    return len(answer.minutes)


@contextlib.contextmanager
def _own(folder: pathlib.Path, targets: dict[str, Request]) -> Iterator[None]:
    """Work in a folder; what killed writers of these files left in it goes, unless another one is at work there."""
    if sys.platform == "win32":
        yield
        return
    with output.writing(str(folder)):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # where another holds it, or locks are not known
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in folder.glob(".*.partial"):
                found = _LEFTOVER.fullmatch(path.name)
                if found and found[1] in targets:
                    path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _passed_over(wanted: Bulk) -> str:
    """Notes on what there is no file for."""
    return (
        _note("outside the session", [f"{date} {time}" for date, time in wanted.outside])
        + _note("not in the lake, sessions of the exchange", list(map(str, wanted.missing)))
        + _note("in the lake, but no sessions of the exchange", list(map(str, wanted.closed)))
    )


def _note(what: str, names: list[str]) -> str:
    """A line that counts things and names the first of them; nothing where there is none."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED:,} more, up to {names[-1]}" if len(names) > _NAMED else ""
    return f"note: {what}: {len(names):,}: {', '.join(names[:_NAMED])}{more}\n"
