"""``replay study``: whether price does what is said of it."""

from __future__ import annotations

import datetime as dt
import math
import pathlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.study import PinStudy
    from replay.study.calibration import Bin
    from replay.study.hits import Comparison

FORMATS = ("table", "json", "csv", "parquet", "html")
_WIDTH = 80
_LISTED = 12
_MEASURES = {
    "within_01pct": "0.1 %",
    "within_strike": "one strike",
    "within_half_move": "half a move",
    "distance": "distance",
}


@click.group()
def study() -> None:
    """Test what is said of price against what it did, and against chance.

    \b
    Example:
      replay study pins SPY --lake lake --settlement settlement.csv
    """


@study.command()
@click.argument("symbol")
@options.lake
@click.option("--from", "start", metavar="DATE", help="First session.  [default: the lake's first]")
@click.option("--to", "end", metavar="DATE", help="Last session.  [default: the lake's last]")
@click.option(
    "--at",
    default="11:00,14:00,15:00,15:30",
    show_default=True,
    metavar="TIMES",
    help="When predictions are taken: New York times, or close-30m; left out where a session closes before.",
)
@click.option(
    "--pin",
    "pins_wanted",
    multiple=True,
    metavar="NAME",
    help="magnet, max_pain, highest_oi, call_wall, put_wall, nearest_wall; repeat it.  [default: the first five]",
)
@click.option(
    "--settlement",
    type=click.Path(path_type=pathlib.Path),
    metavar="FILE",
    help="Closes: CSV with symbol, date and price.  [default: the last spot, if it is fresh]",
)
@click.option(
    "--reach",
    type=float,
    default=3.0,
    show_default=True,
    metavar="MOVES",
    help="Pins further from spot than so many expected moves leave the test of the pull.",
)
@click.option(
    "--permutations", type=int, default=9999, show_default=True, metavar="N", help="Random draws behind each p-value."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the random draws.")
@click.option(
    "--latency", default="0s", show_default=True, metavar="TIME", help="A row is seen so long after it is recorded."
)
@click.option(
    "--gaps",
    default="mask",
    show_default=True,
    metavar="mask|carry:5m",
    help="Where data stops coming: not known, or hold the last for so long.",
)
@click.option("--tier", metavar="raw|1m", help="Read this tier alone.  [default: the finest there is]")
@options.stated
@click.option("--all", "everything", is_flag=True, help="Leave nothing out of the table.")
@options.output_format(*FORMATS)
@options.out
def pins(
    symbol: str,
    lake_path: str,
    start: str | None,
    end: str | None,
    at: str,
    pins_wanted: tuple[str, ...],
    settlement: pathlib.Path | None,
    reach: float,
    permutations: int,
    seed: int,
    latency: str,
    gaps: str,
    tier: str | None,
    oi: str,
    share: float,
    conventions: str | None,
    everything: bool,
    form: str | None,
    out_path: pathlib.Path | None,
) -> None:
    """Measure whether SYMBOL's sessions close nearer their predicted pins than chance has it.

    Each prediction is what was known at its time; the close is the settlement. The pull is the part of the way to the
    pin that spot goes until the close. Hits are counted beside those of a price as far from spot on a random side, of
    the strike nearest spot, and of spot itself. Whole sessions are permuted and drawn again, never single instants.

    table, json and html hold the summary; csv and parquet a row for each session, instant and pin.

    \b
    Example:
      replay study pins SPY --lake lake --settlement settlement.csv
      replay study pins SPY --lake lake --from 2026-07-17 --at 15:00,close-15m --pin magnet --out pins.html
    """
    from replay.cli.progress import steps
    from replay.lake import open_lake
    from replay.study import USUAL, study_pins

    chosen = output.choose_format(form, out_path, FORMATS, "table")
    with open_lake(lake_path) as lake:
        found = study_pins(
            lake, symbol, start, end, at=at, predictors=pins_wanted or USUAL, settlements=settlement, latency=latency,
            gaps=gaps, tier=tier, reach=reach, permutations=permutations, seed=seed, oi=oi, share=share,
            conventions=conventions, steps=lambda dates: steps(dates, "sessions"),
        )  # fmt: skip
    output.emit(_bytes(found, chosen, everything), out_path)
    for note in notes(found):
        click.echo(f"note: {note}", err=True)


def notes(found: PinStudy) -> Iterator[str]:
    """What a reader of any format is to know: the seed, and how much was left out."""
    yield f"seed {found.seed}, {found.permutations:,} permutations"
    without = [each for each in found.seen.left_out if each.at is None]
    if without:
        yield f"{len(without):,} of {len(found.seen.dates) + len(without):,} sessions left out: {_first(without)}"
    others = [each for each in found.seen.left_out if each.at is not None]
    if others:
        yield f"{len(others):,} predictions not known: {_first(others)}"
    if found.missing:
        yield f"{_dates(found.missing)} not in the lake"


def _first(left: Sequence[object]) -> str:
    from replay.study.report import left_out_text

    more = f" (and {len(left) - 1:,} more, which the answer lists)" if len(left) > 1 else ""
    return left_out_text(left[0]) + more  # type: ignore[arg-type]  # each is a LeftOut


def _dates(dates: Sequence[dt.date]) -> str:
    noun = "session" if len(dates) == 1 else "sessions"
    return f"{len(dates):,} {noun} of the exchange"


def _bytes(found: PinStudy, form: str, everything: bool) -> bytes:
    if form == "json":
        import orjson

        return orjson.dumps(found.to_dict(), option=orjson.OPT_APPEND_NEWLINE)
    if form == "html":
        from replay.render.study import study_html

        return study_html(found)
    if form == "table":
        return text_of(found, everything=everything).encode()
    from replay.tables import frame_bytes

    return frame_bytes(found.to_polars(), form)


def text_of(found: PinStudy, *, everything: bool = False) -> str:
    """A study in lines of at most 80 characters."""
    seen = found.seen
    closes = ", ".join(f"{seen.sources.count(each):,} from the {each}" for each in sorted(set(seen.sources)))
    parts = [
        f"{found.symbol}: does price pin? {found.start} to {found.end}\n",
        _wrapped(
            f"{len(seen.dates):,} sessions with a close ({closes}), {len(found):,} with a prediction; "
            f"seed {found.seed}, {found.permutations:,} permutations"
        ),
        "\n",
        _wrapped(found.verdict()),
        *(_wrapped(each) for each in found.cautions()),
        "\npull: the part of the way to the pin that spot goes until the close\n",
        _pulls(found),
        _wrapped(
            f"far: beyond {found.reach:g} expected moves, left out; above: share above spot; p side: against pins on a "
            "random side of spot; p other: against the pins of other sessions; Holm: the larger of the two, adjusted "
            f"for {len(found.pulls)} test{'' if len(found.pulls) == 1 else 's'}"
        ),
        "\nhits: closes within so much of the pin, and of three baselines\n",
        _hits(found, everything),
        _wrapped(
            "random: as far from spot, on a random side; nearest: the strike nearest spot; p: the pin is no better"
        ),
        "\ndistance of the close from the pin, and mean expected moves from each baseline\n",
        _distances(found),
        _calibration(found),
        _left_out(found, everything),
    ]
    return "".join(parts)


def _pulls(found: PinStudy) -> str:
    from replay.study.report import number_text, p_text, percent_text, span_text
    from replay.tables import text_table

    header = ("pin", "at", "n", "far", "above", "pull", "95 %", "p side", "p other", "Holm")
    rows = [
        (
            each.predictor, each.at, f"{each.cells:,}", f"{each.beyond:,}", percent_text(each.above),
            number_text(each.pull), span_text(each.low, each.high), p_text(each.p_side), p_text(each.p_other),
            p_text(max(each.holm_side, each.holm_other)),
        )
        for each in found.pulls
    ]  # fmt: skip
    return text_table(header, _once(rows), [False, False, *[True] * 8])


def _hits(found: PinStudy, everything: bool) -> str:
    """A line for each pin and measure: what it scores, and each baseline with its p-value."""
    from replay.study.hits import BASELINES
    from replay.study.report import p_text, percent_text
    from replay.tables import text_table

    last = found.pulls[-1].at
    lines: dict[tuple[str, str, str], list[Comparison]] = {}
    for each in found.comparisons:
        if each.measure != "distance" and (everything or each.at == last):
            lines.setdefault((each.predictor, each.at, each.measure), []).append(each)
    rows = [
        (
            pin, at, _MEASURES[measure], percent_text(row[0].pin),
            *(text for each in row for text in (percent_text(each.base), p_text(each.p))),
        )
        for (pin, at, measure), row in lines.items()
    ]  # fmt: skip
    header = ("pin", "at", "within", "hit", *(text for name in BASELINES for text in (name, "p")))
    return text_table(header, _once(rows), [False, False, False, *[True] * 7])


def _distances(found: PinStudy) -> str:
    from replay.study.report import number_text
    from replay.tables import text_table

    by_base = {
        (each.predictor, each.at, each.baseline): each for each in found.comparisons if each.measure == "distance"
    }
    rows = []
    for each in found.distances:
        bases = [by_base[each.predictor, each.at, name].base for name in ("random", "nearest", "spot")]
        own = (each.mean_usd, each.median_usd, each.mean_moves, each.median_moves)
        rows.append((each.predictor, each.at, *map(number_text, (*own, *bases))))
    header = ("pin", "at", "USD", "median", "moves", "median", "random", "nearest", "spot")
    drift = ", ".join(f"{each.at} {each.mean:+.2f}" for each in found.drifts)
    return text_table(header, _once(rows), [False, False, *[True] * 7]) + _wrapped(
        f"mean move of spot to the close, in expected moves, up above 0: {drift}"
    )


def _calibration(found: PinStudy) -> str:
    from replay.study.report import number_text, percent_text, span_text
    from replay.tables import text_table

    if not found.calibrations:
        return "\nthe pin score is the magnet's, which is not among the pins\n"
    names = [_MEASURES[each.measure] for each in found.calibrations]
    rows = []
    for bins in zip(*(each.bins for each in found.calibrations), strict=True):
        shares = [f"{percent_text(each.share)} {_ends(each)}" for each in bins]
        first = bins[0]
        score = "-" if math.isnan(first.score) else f"{first.score:.0f}"
        told = shares if first.cells else ["-"] * len(bins)
        rows.append((f"{first.low:.0f}-{first.high:.0f}", score, f"{first.cells:,}", f"{first.sessions:,}", *told))
    text = "\ncalibration: how often magnets of a pin score were hit\n"
    text += text_table(("pin score", "mean", "n", "sessions", *names), rows, [False, *[True] * (3 + len(names))])
    header = ("within", "hit", "Brier", "of the share alone", "skill", "95 %")
    skills = [
        (
            _MEASURES[each.measure], percent_text(each.share), f"{each.brier:.3f}", f"{each.brier_base:.3f}",
            number_text(each.skill), span_text(each.low, each.high),
        )
        for each in found.calibrations
    ]  # fmt: skip
    return text + text_table(header, skills, [False, *[True] * 5])


def _left_out(found: PinStudy, everything: bool) -> str:
    from replay.study.report import left_out_text

    left = found.seen.left_out
    text = "\nleft out\n" if left or found.missing else ""
    shown = left if everything else left[:_LISTED]
    text += "".join(_wrapped(left_out_text(each)) for each in shown)
    if len(left) > len(shown):
        text += f"… and {len(left) - len(shown):,} more (--all shows them)\n"
    if found.missing:
        shown_dates = found.missing if everything else found.missing[:_LISTED]
        more = (
            f", … and {len(found.missing) - len(shown_dates):,} more" if len(found.missing) > len(shown_dates) else ""
        )
        text += _wrapped(f"not in the lake, {_dates(found.missing)}: {', '.join(map(str, shown_dates))}{more}")
    return text


def _once(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows in which what stands first is written once."""
    found: list[tuple[str, ...]] = []
    before = None
    for row in rows:
        found.append(("", *row[1:]) if row[0] == before else row)
        before = row[0]
    return found


def _ends(each: Bin) -> str:
    return f"({each.share_low * 100:.0f}-{each.share_high * 100:.0f})"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ") + "\n"
