"""``replay golden``: canonical answers recorded, and compared with what the lake answers now."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.golden import Check, Spec

_WORST = 10


@click.group()
def golden() -> None:
    """Keep canonical answers, and see what differs from them.

    \b
    Example:
      replay golden record goldens.toml
      replay golden check goldens.toml
    """


def _optional_lake(command: options.F) -> options.F:
    return click.option(
        "--lake",
        "lake_path",
        envvar=options.LAKE_VARIABLE,
        show_envvar=True,
        metavar="DIR",
        help="The lake, in place of the one that the specification names.",
    )(command)


_SPEC = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)


@golden.command()
@click.argument("spec_path", metavar="SPEC.toml", type=_SPEC)
@_optional_lake
@click.option("--update", is_flag=True, help="Replace golden files that hold other answers.")
def record(spec_path: pathlib.Path, lake_path: str | None, update: bool) -> None:
    """Write the golden files of SPEC.toml: those that are missing, and with --update those that differ.

    \b
    Example:
      replay golden record goldens.toml --lake lake
    """
    from replay.golden import read_spec, unnamed
    from replay.golden import record as record_all
    from replay.lake import open_lake

    spec = read_spec(spec_path)
    with open_lake(_lake_of(spec, lake_path)) as lake:
        written, right = record_all(spec, lake, update=update)
    for path in written:
        click.echo(f"written {path}")
    click.echo(f"{len(written)} written, {len(right)} were right already", err=True)
    _tell_unnamed(unnamed(spec))


@golden.command()
@click.argument("spec_path", metavar="[SPEC.toml]", type=_SPEC, required=False)
@_optional_lake
@click.option("--against", type=_SPEC, help="Compare a body of the live endpoint, in place of a specification.")
@click.option("--known-at", metavar="TIME|latest", help="With --against: use what was recorded by then.")
@click.option("--absolute", type=click.FloatRange(min=0), default=0.0, help="With --against: how far it may be off.")
@click.option("--relative", type=click.FloatRange(min=0), default=0.0, help="With --against: that, times the golden.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Draw the differences as heatmaps on this page.",
)
def check(
    spec_path: pathlib.Path | None,
    lake_path: str | None,
    against: pathlib.Path | None,
    known_at: str | None,
    absolute: float,
    relative: float,
    html_path: pathlib.Path | None,
) -> None:
    """Compare the golden files of SPEC.toml with what the lake answers now; exit status 1 where they differ.

    \b
    Example:
      replay golden check goldens.toml --html differences.html
      replay golden check --against body.json --lake lake
    """
    if (spec_path is None) == (against is None):
        raise click.UsageError("give either SPEC.toml or --against BODY.json")
    if against is None and (known_at is not None or absolute or relative):
        raise click.UsageError("--known-at, --absolute and --relative go with --against; a specification has its own")
    strays: list[pathlib.Path] = []
    if spec_path is not None:
        checks, strays = _check_spec(spec_path, lake_path)
    else:
        assert against is not None, "one of the two is given"
        checks = [_check_capture(against, lake_path, known_at, absolute, relative)]
    from replay.golden import entries_text

    click.echo("".join(_told(each) for each in checks), nl=False)
    click.echo(entries_text(checks), err=True)
    _tell_unnamed(strays)
    if html_path is not None:
        from replay.render.difference import difference_html

        output.emit(difference_html(checks), html_path)
    if any(each.status != "same" for each in checks):
        click.get_current_context().exit(1)


def _check_spec(spec_path: pathlib.Path, lake_path: str | None) -> tuple[list[Check], list[pathlib.Path]]:
    from replay.golden import check as check_all
    from replay.golden import read_spec
    from replay.lake import open_lake

    spec = read_spec(spec_path)
    with open_lake(_lake_of(spec, lake_path)) as lake:
        return check_all(spec, lake)


def _check_capture(
    against: pathlib.Path, lake_path: str | None, known_at: str | None, absolute: float, relative: float
) -> Check:
    from replay.contract import METRICS
    from replay.golden import check_capture
    from replay.golden.difference import Tolerance
    from replay.lake import open_lake

    if lake_path is None:
        raise click.UsageError("--against needs --lake, or the variable REPLAY_LAKE")
    near = Tolerance(absolute, relative)
    with open_lake(lake_path) as lake:
        return check_capture(against, lake, known_at=known_at, tolerances=dict.fromkeys((*METRICS, "spot"), near))


def _lake_of(spec: Spec, lake_path: str | None) -> str | pathlib.Path:
    if lake_path is not None:
        return lake_path
    if spec.lake is None:
        raise click.UsageError(f"{spec.path} names no lake; give --lake")
    return spec.lake


def _told(check: Check) -> str:
    """A golden's lines: nothing where it is the same."""
    if check.status == "missing":
        return f"{check.name}: missing: {check.path}; `replay golden record` makes it\n"
    if check.comparison is None:
        return ""
    worst = check.comparison.differences
    more = len(worst) - _WORST
    lines = [f"{check.name}: {len(worst):,} differences", *(f"  {each}" for each in worst[:_WORST])]
    return "\n".join([*lines, *([f"  and {more:,} more"] if more > 0 else [])]) + "\n"


def _tell_unnamed(paths: Sequence[pathlib.Path]) -> None:
    for path in paths:
        click.echo(f"note: {path} is named by no entry", err=True)
