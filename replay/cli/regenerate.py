"""``replay regenerate``: historical heatmaps in bulk, a file each."""

from __future__ import annotations

import pathlib
from collections import Counter
from typing import TYPE_CHECKING

import click

from replay.cli import options, output
from replay.errors import NoStrikeData

if TYPE_CHECKING:
    from replay.lake import Lake
    from replay.regenerate import Bulk, Request

FORMATS = ("json", "parquet", "png", "html")


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
    help="Moments of each session, New York.",
)
@click.option("--metric", default="gex", show_default=True, metavar="gex,oi,...", help="One or several.")
@click.option("--mode", default="raw", show_default=True, metavar="raw,delta", help="One or both.")
@click.option("--minutes", default="60", show_default=True, metavar="1..390", help="How far to look back; clamped.")
@click.option("--known-at", metavar="TIME|latest", help="Use what was recorded by then.  [default: as it stood]")
@click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]")
@click.option(
    "--out",
    "out_path",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
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

    Each file holds the bytes of `replay heatmap` for its moment, and has a name that says it. Run again, it writes
    only what is not there yet.

    \b
    Example:
      replay regenerate SPY --lake lake --from 2026-07-17 --to 2026-08-12 --at 10:00,close --metric gex,oi --out maps
      replay regenerate SPY --lake lake --at every:30m --format png --out pictures
    """
    from replay.lake import open_lake
    from replay.regenerate import bulk

    with open_lake(lake_path) as lake:
        wanted = bulk(
            lake, symbol, start=start, end=end, at=at, metrics=_listed(metric), modes=_listed(mode), minutes=minutes,
            known_at=known_at, tier=tier,
        )  # fmt: skip
        counts: Counter[str] = Counter()
        refused: list[str] = []
        try:
            _write_all(lake, wanted, out_path, form, counts, refused)
        except KeyboardInterrupt:
            click.echo(_summary(wanted, counts, refused, out_path), err=True)
            click.echo("interrupted; run it again to go on", err=True)
            click.get_current_context().exit(130)
    click.echo(_summary(wanted, counts, refused, out_path), err=True)


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(each.strip() for each in text.split(",")))


def _write_all(
    lake: Lake, wanted: Bulk, out_path: pathlib.Path, form: str, counts: Counter[str], refused: list[str]
) -> None:
    from replay.cli.progress import steps

    with output.writing(str(out_path)):
        out_path.mkdir(parents=True, exist_ok=True)
    for request in steps(wanted.requests, "heatmaps"):
        target = out_path / f"{request.name}.{form}"
        if target.exists():
            counts["already there"] += 1
            continue
        try:
            counts[_write(lake, request, target, form)] += 1
        except NoStrikeData as error:
            refused.append(f"{request.name}: {error}")


def _write(lake: Lake, request: Request, target: pathlib.Path, form: str) -> str:
    """Write one file; what it is counted as."""
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
    return "written" if len(answer.minutes) else "written without a bar"


def _summary(wanted: Bulk, counts: Counter[str], refused: list[str], out_path: pathlib.Path) -> str:
    done = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())) or "none written"
    done += f", {len(refused):,} refused" if refused else ""
    lines = [f"{len(wanted.requests):,} heatmaps for {out_path}: {done}"]
    lines += [f"  {each}" for each in refused[:5]]
    if len(refused) > 5:
        lines.append(f"  and {len(refused) - 5:,} more")
    if wanted.outside:
        date, time = wanted.outside[0]
        lines.append(f"not open then: {len(wanted.outside):,} moments, the first {date} {time}")
    if wanted.missing:
        span = f"{wanted.missing[0]} to {wanted.missing[-1]}"
        lines.append(f"not in the lake: {len(wanted.missing):,} sessions of the exchange, {span}")
    return "\n".join(lines)
