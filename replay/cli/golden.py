"""``replay golden``: canonical answers recorded, and compared with what the lake answers now."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.golden import Check, Spec

_WORST = 10  # differences told of one golden
_TOLD = 10  # goldens of which differences are told


@click.group()
def golden() -> None:
    """Keep canonical answers as files, and see what differs from them.

    \b
    Example:
      replay golden record goldens.toml
      replay golden check goldens.toml
    """


_SPEC = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)
_LAKE = click.option(
    "--lake",
    "lake_path",
    metavar="DIR",
    help=f"The lake.  [default: the one that SPEC.toml names, else {options.LAKE_VARIABLE}]",
)


@golden.command()
@click.argument("spec_path", metavar="SPEC.toml", type=_SPEC)
@_LAKE
@click.option("--update", is_flag=True, help="Replace golden files that hold another answer.")
def record(spec_path: pathlib.Path, lake_path: str | None, update: bool) -> None:
    """Write the golden files of SPEC.toml that are missing, and with --update those that hold another answer.

    Without --update nothing is written where one of them does. Files that are right are not touched.

    \b
    Example:
      replay golden record goldens.toml --lake lake
    """
    from replay import golden as goldens
    from replay.lake import open_lake

    spec = goldens.read_spec(spec_path)
    with open_lake(_lake_of(lake_path, spec)) as lake:
        written, right = goldens.record(spec, lake, update=update)
    for path in written:
        click.echo(f"written {path}")
    click.echo(f"{spec.files}: {len(written):,} written, {len(right):,} were right already", err=True)
    _tell_unnamed(spec)


@golden.command()
@click.argument("spec_path", metavar="[SPEC.toml]", type=_SPEC, required=False)
@_LAKE
@click.option("--against", type=_SPEC, metavar="BODY.json", help="Compare a body of the live endpoint, without a spec.")
@click.option("--known-at", metavar="TIME|latest", help="With --against: what was recorded by then.  [default: as_of]")
@click.option("--minutes", metavar="1..390", help="With --against: the request's.  [default: up to the first bar]")
@click.option("--absolute", type=click.FloatRange(min=0), help="With --against: how far values and spots may be off.")
@click.option("--relative", type=click.FloatRange(min=0), help="With --against: the same, in parts of the golden one.")
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
    minutes: str | None,
    absolute: float | None,
    relative: float | None,
    html_path: pathlib.Path | None,
) -> None:
    """Compare the golden files of SPEC.toml with what the lake answers now.

    Exit status 1 where one differs by more than its tolerance, or is missing; the worst differences come first. With
    --against the golden is a body that the live endpoint answered.

    \b
    Example:
      replay golden check goldens.toml --html differences.html
      replay golden check --against body.json --lake lake --relative 1e-9
    """
    if (spec_path is None) == (against is None):
        raise click.UsageError("give either SPEC.toml or --against BODY.json")
    if against is not None:
        checks = [_check_capture(against, lake_path, known_at, minutes, (absolute or 0.0, relative or 0.0))]
    elif all(each is None for each in (known_at, minutes, absolute, relative)):
        assert spec_path is not None, "one of the two is given"
        checks = _check_spec(spec_path, lake_path)
    else:
        raise click.UsageError(
            "--known-at, --minutes, --absolute and --relative go with --against; SPEC.toml has its own"
        )
    if html_path is not None:
        from replay.render.difference import difference_html

        output.emit(difference_html(checks), html_path)
    others = [each for each in checks if each.status != "same"]
    for number, each in enumerate(others):
        click.echo(told(each, _WORST if number < _TOLD else 0))
    click.echo(_summary(checks), err=True)
    if others:
        click.get_current_context().exit(1)


def _check_spec(spec_path: pathlib.Path, lake_path: str | None) -> list[Check]:
    from replay import golden as goldens
    from replay.lake import open_lake

    spec = goldens.read_spec(spec_path)
    with open_lake(_lake_of(lake_path, spec)) as lake:
        checks = goldens.check(spec, lake)
    _tell_unnamed(spec)
    return checks


def _check_capture(
    against: pathlib.Path,
    lake_path: str | None,
    known_at: str | None,
    minutes: str | None,
    near: tuple[float, float],
) -> Check:
    from replay import golden as goldens
    from replay.lake import open_lake

    with open_lake(_lake_of(lake_path, None)) as lake:
        found = goldens.check_capture(
            against, lake, known_at=known_at, minutes=minutes, tolerance=goldens.Tolerance(*near)
        )
    return goldens.Check(against.name, "differs" if found else "same", against, found or None)


def _lake_of(lake_path: str | None, spec: Spec | None) -> str | pathlib.Path:
    """The lake asked for, else the specification's, else the environment's."""
    if lake_path is not None and not lake_path.strip():
        raise click.BadParameter("it is empty; name a path", param_hint="--lake")
    found = lake_path or (spec and spec.lake) or os.environ.get(options.LAKE_VARIABLE)
    if not found:
        where = "give --lake" if spec is None else f"{spec.path} names none; give --lake"
        raise click.UsageError(f"no lake: {where}, or set {options.LAKE_VARIABLE}")
    return found


def told(check: Check, most: int) -> str:
    """What became of a golden that is not the same: its worst differences, ``most`` at most."""
    if check.comparison is None:
        return f"{check.name}: missing: {check.path}; `replay golden record` writes it"
    count, *worst = check.comparison.lines(most)
    return "\n".join([f"{check.name}: {count} from {check.path}", *worst])


def _summary(checks: Sequence[Check]) -> str:
    same, differ, missing = (sum(each.status == of for each in checks) for of in ("same", "differs", "missing"))
    return f"golden files: {same:,} same, {differ:,} differ, {missing:,} missing"


def _tell_unnamed(spec: Spec) -> None:
    from replay.golden import unnamed

    for path in unnamed(spec):
        click.echo(f"note: no entry names {path}", err=True)
