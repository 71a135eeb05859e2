"""Options that several commands share, each defined once."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    import datetime as dt

    from replay.exposure.conventions import Conventions

F = TypeVar("F", bound=Callable[..., Any])


class OutPath(click.Path):
    """A path that is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a file", param, ctx)
        return super().convert(value, param, ctx)


LAKE_VARIABLE = "REPLAY_LAKE"


def lake(command: F) -> F:
    """``--lake``, or the variable REPLAY_LAKE."""
    return click.option(
        "--lake",
        "lake_path",
        envvar=LAKE_VARIABLE,
        required=True,
        show_envvar=True,
        metavar="DIR|URL",
        callback=_named,
        help="The lake: the folder that holds tier=raw, or its URL, s3://BUCKET/PATH.",
    )(command)


def _named(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """A path that is not empty: an unset variable must not mean the current folder."""
    if not str(value).strip():
        raise click.BadParameter("it is empty; name a path", param=parameter)
    return value


def moment(command: F) -> F:
    """``--as-of``, ``--known-at`` and ``--tier``: which past to look at."""
    for option in (
        click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]"),
        click.option(
            "--known-at",
            metavar="TIME|latest",
            help="Use what was recorded by then; latest: everything since.  [default: as --as-of]",
        ),
        click.option(
            "--as-of",
            required=True,
            metavar="TIME",
            help="The moment: 2026-07-24T14:30 (New York), 2026-07-24T18:30:00Z, or a date (its close).",
        ),
    ):
        command = option(command)
    return command


def stated(command: F) -> F:
    """``--oi``, ``--share`` and ``--conventions``: what exposures are stated on, where not as stored."""

    @functools.wraps(command)
    def checked(*args: Any, oi: str, share: float | None, **others: Any) -> Any:
        if share is not None and oi != "effective":
            raise click.UsageError("--share is for --oi effective")
        return command(*args, oi=oi, share=1.0 if share is None else share, **others)

    wrapped = cast("F", checked)
    for option in (
        click.option(
            "--conventions",
            metavar="ID",
            help="State exposures under these conventions; `replay conventions list`.  [default: as stored]",
        ),
        click.option(
            "--share",
            type=float,
            metavar="0..1",
            help="The part of signed volume that opens or closes contracts, for --oi effective.  [default: 1]",
        ),
        click.option(
            "--oi",
            type=click.Choice(["settled", "effective"]),
            default="settled",
            show_default=True,
            help="effective: settled open interest and the session's signed flow so far.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def output_format(*formats: str, default: str | None = None) -> Callable[[F], F]:
    """``--format``, of these; without a default the command decides."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=default, show_default=default is not None,
        help="How to write the answer.",
    )  # fmt: skip


def out(command: F) -> F:
    """``--out``: a file instead of standard output."""
    return click.option(
        "--out",
        "out_path",
        type=OutPath(dir_okay=False, path_type=pathlib.Path),
        help="Write to this file, whole or not at all.",
    )(command)


def run_options(command: F) -> F:
    """As :func:`session_options`, with ``--metric`` for the style ``snapshot``."""
    return session_options("--metric")(command)


def session_options(body_metric: str) -> Callable[[F], F]:
    """What decides a replay's bytes: symbols, dates, clock, parameters, latency, gap policy, seed, tier, style, and
    what exposures are stated on; ``body_metric`` is what the option of the style ``snapshot`` is called."""

    def decorate(command: F) -> F:
        return _session_options(command, body_metric)

    return decorate


def _session_options(command: F, body_metric: str) -> F:
    for option in (
        click.option("--minutes", default="60", show_default=True, metavar="1..390", help="For --style snapshot."),
        click.option("--mode", default="raw", show_default=True, metavar="raw|delta", help="For --style snapshot."),
        click.option(
            body_metric, default="gex", show_default=True, metavar="METRIC", help="Of the body, for --style snapshot."
        ),
        click.option(
            "--style",
            type=click.Choice(["context", "snapshot"]),
            default="context",
            show_default=True,
            help="snapshot: a function (at, snapshot) on the heatmap's body.",
        ),
        click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]"),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of ctx.rng."),
        click.option(
            "--gaps",
            default="mask",
            show_default=True,
            metavar="strict|mask|carry:5m",
            help="Where data stops coming: stop, not known, or hold the last for so long.",
        ),
        click.option(
            "--latency",
            default="0s",
            show_default=True,
            metavar="TIME",
            help="A row is seen so long after it is recorded.",
        ),
        click.option(
            "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the strategy; repeat it."
        ),
        click.option("--step", default="1m", show_default=True, metavar="30s|1m|5m", help="The clock's step."),
        click.option("--to", "end", metavar="DATE", help="Last session.  [default: the lake's last]"),
        click.option("--from", "start", metavar="DATE", help="First session.  [default: the lake's first]"),
        click.option(
            "--symbol",
            "symbols",
            multiple=True,
            required=True,
            metavar="SYMBOL",
            help="Whose sessions; repeat it for several on one clock, the first is the context's own.",
        ),
    ):
        command = option(command)
    return stated(command)


def named_values(params: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE`` pairs as a dict; a name may be given once."""
    found: dict[str, str] = {}
    for each in params:
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--param")
        if name.strip() in found:
            raise click.BadParameter(f"{name.strip()} is given twice", param_hint="--param")
        found[name.strip()] = value
    return found


def ingested(command: F) -> F:
    """``--lake``, ``--symbol`` and ``--allow-mixed``: where what is ingested goes."""
    for option in (
        click.option(
            "--allow-mixed", is_flag=True, help="Let the lake hold the symbol's exposures under other conventions too."
        ),
        click.option("--symbol", required=True, metavar="SYMBOL", help="The underlying, such as SPY."),
        lake,
    ):
        command = option(command)
    return command


def underlying(use: str, age: str = "TIME") -> Callable[[F], F]:
    """``--underlying``, ``--underlying-bar`` and ``--underlying-age``: prices of the underlying."""

    def decorate(command: F) -> F:
        for option in (
            click.option(
                "--underlying-age", default="5m", show_default=True, metavar=age, help="How old a price of it may be."
            ),
            click.option(
                "--underlying-bar", default="0s", metavar="TIME", help="Its ts are starts of bars of this length."
            ),
            click.option(
                "--underlying",
                "price_files",
                multiple=True,
                type=click.Path(path_type=pathlib.Path),
                help=f"A file with the underlying's ts and price, and maybe recorded_at{use}",
            ),
        ):
            command = option(command)
        return command

    return decorate


def say_aged_out(left: dict[dt.date, int], noun: str, plural: str = "") -> None:
    """Name the sessions of which nothing was stored as their raw is gone, and exit with status 1 if there are any."""
    for date, count in left.items():
        what = noun if count == 1 else plural or f"{noun}s"
        click.echo(f"{date}: {count:,} {what} left out: raw of the session was aged out", err=True)
    if left:
        click.echo(
            "note: rows in tier=raw would hide the thinned ones that stand for it; to ingest the whole session again, "
            "remove its tier=1m folder first, or use another lake",
            err=True,
        )
        click.get_current_context().exit(1)


def conventions(command: F) -> F:
    """``--conventions``, ``--rate`` and ``--dividend``: what exposures are computed under."""
    for option in (
        click.option("--dividend", type=float, metavar="PER_YEAR", help="Dividend yield, such as 0.012."),
        click.option("--rate", type=float, metavar="PER_YEAR", help="Interest rate, such as 0.045."),
        click.option(
            "--conventions",
            "conventions_id",
            default="replay-1",
            show_default=True,
            metavar="ID",
            help="What exposures are computed under; `replay conventions list` shows them.",
        ),
    ):
        command = option(command)
    return command


def conventions_of(conventions_id: str, rate: float | None, dividend: float | None) -> Conventions:
    """The conventions that the three options name together."""
    import dataclasses

    from replay.exposure.conventions import Conventions

    named = Conventions.parse(conventions_id)
    return dataclasses.replace(
        named,
        rate=named.rate if rate is None else rate,
        dividend=named.dividend if dividend is None else dividend,
    )
