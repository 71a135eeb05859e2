"""``replay record``: a session of a live-compatible server, polled into a lake."""

from __future__ import annotations

import os
import pathlib
import time
from typing import TYPE_CHECKING

import click

from replay.cli import options
from replay.cli.ingest_heatmap import written_text

if TYPE_CHECKING:
    from replay.ingest.cycles import Cycle, RecordReport


@click.command()
@click.option("--url", required=True, metavar="BASE", help="The server, such as https://example.com; /v1 follows.")
@options.ingested
@click.option("--key-env", metavar="NAME", help="The environment variable that holds the API key.")
@click.option(
    "--metrics",
    default="gex,dex,vex,chex,oi,signed_flow",
    show_default=True,
    metavar="METRIC,…",
    help="What to ask for, in this order.",
)
@click.option("--every", default="30s", show_default=True, metavar="TIME", help="How often; 1s or more.")
@click.option(
    "--minutes",
    default="auto",
    show_default=True,
    metavar="auto|1..390",
    help="How far to look back; auto: the session first, then what was missed and 5 minutes more.",
)
@click.option(
    "--until",
    default="close",
    show_default=True,
    metavar="close|TIME",
    help="When to stop: a minute after the close, or 15:30 in New York, or any moment.",
)
@click.option("--once", is_flag=True, help="Ask once, now, and stop.")
@click.option(
    "--keep",
    type=options.OutPath(dir_okay=False, path_type=pathlib.Path),
    help="Append each answer as a line to this file, for replay ingest heatmap.",
)
@click.option("--quiet", is_flag=True, help="No line for each cycle on stderr.")
@click.pass_context
def record(
    ctx: click.Context,
    url: str,
    lake_path: str,
    symbol: str,
    allow_mixed: bool,
    key_env: str | None,
    metrics: str,
    every: str,
    minutes: str,
    until: str,
    once: bool,
    keep: pathlib.Path | None,
    quiet: bool,
) -> None:
    """Record today's session from a server that answers like the live endpoint.

    Waits for the open, asks for each metric again and again, and appends what is new to the lake at once, so that
    the lake answers as the server did. Busy servers are asked again later, as they wish; what was missed meanwhile
    comes with the next answer. Running it again goes on where it stopped.

    \b
    Example:
      replay record --url https://example.com --key-env API_KEY --symbol SPY --lake lake
    """
    from replay.ingest.record import Recorder
    from replay.sessions import parse_duration

    def progress(cycle: Cycle) -> None:
        if not quiet:
            click.echo(_line(cycle), err=True)

    recorder = Recorder(
        url,
        symbol,
        lake_path,
        clock=now,
        sleep=sleep,
        key=_key(key_env),
        metrics=[each.strip() for each in metrics.split(",")],
        every=parse_duration(every, "--every"),
        minutes=None if minutes.strip() == "auto" else _minutes(minutes),
        until=_until(until),
        keep=keep,
        allow_mixed=allow_mixed,
        progress=progress,
    )
    if not quiet and not once and recorder.opens > now():
        click.echo(f"waiting for the open, {_wall(recorder.opens)} in New York", err=True)
    try:
        recorder.run(once=once)
    except KeyboardInterrupt:
        click.echo(_summary(recorder.report) + "interrupted", err=True)
        ctx.exit(130)
    click.echo(_summary(recorder.report), nl=False)


def now() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise click.BadParameter(f"the environment variable {name} is not set, or empty", param_hint="--key-env")
    return key


def _minutes(text: str) -> int:
    from replay.contract import check_minutes

    return check_minutes(text)


def _until(text: str) -> int | None:
    """Microseconds; ``None``: after the close."""
    import datetime as dt

    from replay.sessions import localise, parse_moment, session_date, to_us

    if text.strip() == "close":
        return None
    try:
        wall = dt.time.fromisoformat(text.strip())
    except ValueError:
        return to_us(parse_moment(text, "--until"))
    return to_us(localise(dt.datetime.combine(session_date(now()), wall.replace(tzinfo=None)), "--until"))


def _wall(us: int) -> str:
    from replay.sessions import NEW_YORK, from_us

    return from_us(us).astimezone(NEW_YORK).strftime("%H:%M:%S")


def _line(cycle: Cycle) -> str:
    count = len(cycle.bodies)
    line = f"{_wall(cycle.at)}  {count} {'body' if count == 1 else 'bodies'}, rows: {written_text(cycle.written)}"
    if cycle.skipped:
        line += f"; {cycle.skipped} cycle{'' if cycle.skipped == 1 else 's'} missed before"
    reasons: dict[str, list[str]] = {}
    for metric, why in cycle.failed.items():
        reasons.setdefault(why, []).append(metric)
    return "\n".join([line, *(f"  no {', '.join(metrics)}: {why}" for why, metrics in reasons.items())])


def _summary(report: RecordReport) -> str:
    """What a recording did, in at most 80 columns."""
    lines = [f"{report.symbol}: {report.cycles:,} cycle{'' if report.cycles == 1 else 's'}, {report.missed:,} missed"]
    if report.bodies:
        bodies = ", ".join(f"{metric} {count:,}" for metric, count in sorted(report.bodies.items()))
        lines.append(f"  bodies: {bodies}")
    if report.failed:
        lines.append(f"  {report.failed.total():,} requests gave nothing to keep; the last: {report.last_failure}")
    lines.append(f"rows: {written_text(report.written)}")
    return "\n".join(lines) + "\n"
