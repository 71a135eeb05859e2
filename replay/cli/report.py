"""``replay report``: what a run traded as a page, a table or JSON, beside other runs; and the same after a run."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.engine.result import Result
    from replay.results.traded import Traded

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "json", "html")
PAGE = "report.html"


def compared(command: F) -> F:
    """``--compare``: folders of runs to set beside."""
    return click.option(
        "--compare", multiple=True, type=click.Path(path_type=pathlib.Path), metavar="RUN",
        help="Folder of a run to set beside it, such as one of coin; repeat it.",
    )(command)  # fmt: skip


@click.command()
@click.argument("run", type=click.Path(path_type=pathlib.Path))
@compared
@click.option(
    "--lake", "lake_path", envvar=options.LAKE_VARIABLE, show_envvar=True, metavar="DIR",
    help="The lake that was run on: a page draws the trades over its heatmaps.  [default: not drawn]",
)  # fmt: skip
@options.output_format(*FORMATS)
@options.out
def report(
    run: pathlib.Path,
    compare: tuple[pathlib.Path, ...],
    lake_path: str | None,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Report on the run in the folder RUN: red flags, profit, metrics with intervals, and the same of other runs.

    A page holds all charts, and each trade drawn over its session's heatmap. An audit.json in the folder, which
    `replay audit --format json --out RUN/audit.json` writes, counts.

    \b
    Example:
      replay report fly
      replay report fly --compare coin --compare pain --lake lake --out fly/report.html
      replay report fly --format json | jq .profit.worst.total
    """
    import orjson

    from replay.render.report import report_html
    from replay.render.report_text import report_text
    from replay.results.report import make_report

    chosen = output.choose_format(form, out_path, FORMATS, "json")
    drawn = lake_path or None if chosen == "html" else None
    found = make_report(run, lake=drawn, compare_with=compare)
    if chosen == "html":
        data = report_html(found)
    elif chosen == "json":
        data = orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2) + b"\n"
    else:
        data = report_text(found).encode()
    output.emit(data, out_path)


def runs_beside(compare: tuple[pathlib.Path, ...]) -> list[Traded]:
    """The runs in these folders, read before a run begins."""
    if not compare:
        return []
    from replay.results.traded import traded

    return [traded(each) for each in compare]


def reported(result: Result, lake_path: str, beside: list[Traded]) -> None:
    """Say what a run traded, and write its page beside its tables."""
    from replay.errors import MissingExtra
    from replay.render.report import report_html
    from replay.render.report_text import report_text
    from replay.results.report import make_report

    found = make_report(result, lake=None if result.path is None else lake_path, compare_with=beside)
    click.echo(report_text(found), err=True, nl=False)
    if result.path is None:
        return
    try:
        page = report_html(found)
    except MissingExtra as error:
        click.echo(f"note: {PAGE} is not written: {error.message}", err=True)
        return
    output.emit(page, result.path / PAGE)
