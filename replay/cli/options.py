"""Options that several commands share, each defined once."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class _OutPath(click.Path):
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
        metavar="DIR",
        callback=_named,
        help="The lake: the folder that holds tier=raw.",
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
        type=_OutPath(dir_okay=False, path_type=pathlib.Path),
        help="Write to this file, whole or not at all.",
    )(command)
