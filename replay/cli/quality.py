"""``replay quality``: how good the stored data is, session by session."""

from __future__ import annotations

import math
import pathlib
import textwrap
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.quality import Check, QualityReport, SessionQuality

FORMATS = ("table", "json", "csv")
_WIDTH = 80
_SESSIONS = 12
_FINDINGS = 6
_EXAMPLES = 3
_DATES = 8
_COLUMNS = (
    ("cross", ("crossed",)),
    ("fall", ("volume_falls",)),
    ("oi", ("oi_moves",)),
    ("par", ("parity",)),
    ("spot", ("spot_parity",)),
    ("stale", ("unchanged", "repeated")),
    ("prev", ("previous_session",)),
)


@click.command()
@click.argument("symbol")
@options.lake
@click.option("--from", "start", metavar="DATE", help="First session.  [default: the lake's first]")
@click.option("--to", "end", metavar="DATE", help="Last session.  [default: the lake's last]")
@click.option("--all", "everything", is_flag=True, help="Leave no finding out of the table.")
@options.output_format(*FORMATS)
@options.out
@click.option(
    "--picture",
    "picture_path",
    type=options.OutPath(dir_okay=False, path_type=pathlib.Path),
    metavar="FILE.png",
    help="Draw sessions by checks, scores, and where in each session faults lie; needs the extra [plot].",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 100),
    metavar="0..100",
    help="Exit with status 1 if any session scores less, cannot be read, or there is none.",
)
@click.pass_context
def quality(
    ctx: click.Context,
    symbol: str,
    lake_path: str,
    start: str | None,
    end: str | None,
    everything: bool,
    form: str | None,
    out_path: pathlib.Path | None,
    picture_path: pathlib.Path | None,
    min_score: float | None,
) -> None:
    """Score the sessions of SYMBOL from 0 to 100, and say what is wrong with them.

    Gaps, late and stale snapshots, clocks that disagree, the previous session's data under a new date, quotes that are
    one-sided, crossed or off put-call parity, zero vols, volume that falls, open interest that moves, strikes that
    come and go, spot off the forward: each counted, with its worst cases. A check whose columns are not stored shows
    as "-", and as null in JSON.

    In the table gap is minutes, lag the median from ts to recorded_at, the rest counts; times are New York. JSON and
    CSV hold every check, in UTC. Exposures and vols are as stored: what an ingest put right is not seen.

    \b
    Example:
      replay quality SPY --lake lake
      replay quality SPY --lake lake --from 2026-07-20 --picture quality.png --min-score 90
    """
    from replay.lake import open_lake
    from replay.quality import assess

    chosen = output.choose_format(form, out_path, FORMATS, "table")
    if picture_path is not None and picture_path.suffix.lower() != ".png":
        raise click.BadParameter(f"{picture_path.name} does not end in .png", param_hint="--picture")
    with open_lake(lake_path) as lake:
        report = assess(lake, symbol, start, end)
        symbols = lake.symbols()
    data = _bytes(report, chosen, everything)
    if picture_path is not None:
        from replay.render.quality import quality_png

        output.emit(quality_png(report), picture_path)
    output.emit(data, out_path)
    for session in report.sessions:
        if session.fault is not None:
            click.echo(f"note: {report.symbol} {session.date} cannot be read: {session.fault}", err=True)
    if not len(report):
        held = f"the lake holds {', '.join(symbols) or 'nothing'}"
        click.echo(f"note: no session of {report.symbol}{_span(report)}; {held}", err=True)
    if min_score is not None and (report.below(min_score) or not len(report)):
        ctx.exit(1)


def _bytes(report: QualityReport, form: str, everything: bool) -> bytes:
    if form == "json":
        import orjson

        return orjson.dumps(report.to_dict(), option=orjson.OPT_APPEND_NEWLINE)
    if form == "csv":
        from replay.tables import frame_bytes

        return frame_bytes(report.to_polars(), form)
    return text_of(report, everything=everything).encode()


def text_of(report: QualityReport, *, everything: bool = False) -> str:
    """A report in lines of at most 80 characters: the table, what was found, what is not scored, and why it matters."""
    from replay.tables import text_table

    text = f"{report.symbol}: {len(report)} session{'' if len(report) == 1 else 's'}{_span(report)}\n"
    if report.missing:
        text += _wrapped(f"nothing stored of {_dates(report.missing, everything)}", "")
    if not len(report):
        return text
    header = ("date", "score", "snap", "gap", "lag", *(name for name, _ in _COLUMNS))
    rows = [_row(session) for session in report.sessions]
    text += "\n" + text_table(header, rows, [False, *[True] * (len(header) - 1)])
    sessions = sorted((each for each in report.sessions if each.worst()), key=lambda each: (each.score, each.date))
    shown = sessions if everything else sessions[:_SESSIONS]
    for session in shown:
        text += f"\n{session.date}  {_score(session)}\n" + _findings(session, everything)
    if len(sessions) > len(shown):
        text += f"\n… and findings of {len(sessions) - len(shown):,} more sessions (--all shows them)\n"
    return text + _unscored(report) + _reasons(shown)


def _row(session: SessionQuality) -> tuple[str, ...]:
    from replay.cli.sessions import duration

    if session.fault is not None:
        return (str(session.date), "-", "-", "-", "-", *["-"] * len(_COLUMNS))
    counts = [_count([session.check(check_id) for check_id in ids]) for _, ids in _COLUMNS]
    minutes = math.ceil(session.check("gaps").number or 0)
    return (str(session.date), _score(session), _short(session.snapshots), str(minutes), duration(session.lag), *counts)


def _score(session: SessionQuality) -> str:
    from replay.quality.report import score_text

    return "-" if session.score is None else score_text(session.score)


def _count(checks: Sequence[Check]) -> str:
    numbers = [check.number for check in checks if check.number is not None]
    return _short(sum(numbers)) if numbers else "-"


def _short(count: float) -> str:
    """At most four characters: ``9999``, ``12k``, ``3M``."""
    for size, unit in ((1, ""), (1_000, "k"), (1_000_000, "M")):
        if count < 1_000 * size or (size == 1 and count < 10_000):
            return f"{count / size:.0f}{unit}"
    return f"{count / 1e9:.0f}G"


def _findings(session: SessionQuality, everything: bool) -> str:
    """What counts against a session, the dearest first."""
    worst = session.worst()
    shown = worst if everything else worst[:_FINDINGS]
    examples = None if everything else _EXAMPLES
    text = "".join(
        _wrapped(f"-{check.penalty / 100:.2f} {check.kind.id}: {check.sentence(examples)}") for check in shown
    )
    if len(worst) > len(shown):
        text += f"  … and {len(worst) - len(shown):,} more (--all shows them)\n"
    return text


def _unscored(report: QualityReport) -> str:
    """What was found and costs nothing, and what could not be checked, over all sessions."""
    from replay.quality import KINDS

    read = [each for each in report.sessions if each.fault is None]
    found = ""
    lacking: dict[tuple[str, int], list[str]] = {}
    for kind in KINDS:
        checks = [session.check(kind.id) for session in read]
        shares = [check.share for check in checks if check.severity == "info" and check.share is not None]
        if shares:
            low, high = f"{min(shares):.1%}", f"{max(shares):.1%}"
            text = f"{kind.id}: {low if low == high else f'{low} to {high}'} of {kind.unit}"
            text += f" in {len(shares)} of {len(read)} sessions" if len(read) > 1 else ""
            note = checks[0].note if len(read) == 1 else _without_source_vol(checks)
            found += _wrapped(text + (f"; {note}" if note else ""))
        reasons = [check.note for check in checks if check.number is None]
        for reason in dict.fromkeys(reasons if kind.id != "previous_session" else ()):
            lacking.setdefault((reason, reasons.count(reason)), []).append(kind.id)
    text = f"\nfound, and not scored\n{found}" if found else ""
    if lacking:
        text += "\nnot checked\n"
    for (reason, count), ids in lacking.items():
        where = f" in {count} of {len(read)} sessions" if len(read) > 1 else ""
        text += _wrapped(f"{reason}{where}: {', '.join(ids)}")
    return text


def _without_source_vol(checks: Sequence[Check]) -> str:
    """The part of options for which the source gave no vol, where it can be told."""
    shares = [
        each.measures["share_without_source_vol"] for each in checks if "share_without_source_vol" in each.measures
    ]
    if not shares:
        return ""
    return f"with those that the ingest solved, {min(shares):.1%} to {max(shares):.1%} came without a vol"


def _reasons(sessions: Sequence[SessionQuality]) -> str:
    """Why each kind of finding that was shown matters."""
    kinds = {check.kind.id: check.kind for session in sessions for check in session.worst()}
    if not kinds:
        return ""
    return "\nwhy it matters\n" + "".join(_wrapped(f"{kind.id}: {kind.why}") for kind in kinds.values())


def _span(report: QualityReport) -> str:
    if report.start is None or report.end is None:
        return ""
    return f", {report.start} to {report.end}"


def _dates(dates: Sequence[object], everything: bool) -> str:
    shown = dates if everything else dates[:_DATES]
    more = f", … and {len(dates) - len(shown):,} more" if len(dates) > len(shown) else ""
    noun = "session" if len(dates) == 1 else "sessions"
    return f"{len(dates):,} {noun} of the exchange: {', '.join(map(str, shown))}{more}"


def _wrapped(text: str, indent: str = "  ") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ") + "\n"
