"""A study of pins as one HTML page that needs no network."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from replay.render.html import STYLE, page, plotly_js
from replay.render.pins import WITHIN, calibration_figure, cloud, hit_figure, pull_figure
from replay.study.hits import HITS, Comparison
from replay.study.report import PinStudy, left_out_text, number_text, p_text, percent_text, span_text

_OPEN: Final = 40  # so many entries of what was left out are shown at once
_SHORT: Final = {
    "within_01pct": "0.1 %",
    "within_strike": "one strike",
    "within_half_move": "half the move",
    "distance": "distance",
}
_MORE_STYLE: Final = """
html, body { height: auto; }
body { display: block; max-width: 712px; min-height: 0; margin: 0 auto; padding: 14px 16px 24px; }
h1 { margin-bottom: 4px; }
h2 { font-size: 16px; font-weight: 650; margin: 28px 0 4px; }
p { margin: 4px 0; }
.verdict { color: #1c2430; font-weight: 600; font-size: 15px; margin: 10px 0 4px; }
.caution { color: #7a4b00; background: #fff6e5; border-left: 3px solid #d98a00; padding: 4px 10px; margin: 6px 0; }
.clouds { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); }
.figure { min-width: 0; break-inside: avoid; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; margin: 6px 0; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.caption { font-size: 13px; margin-top: 12px; }
th { text-align: right; font-weight: 600; color: #56606e; border-bottom: 1px solid #c9ced6; padding: 2px 7px; }
td { text-align: right; padding: 2px 7px; border-bottom: 1px solid #eceff3; }
th.text, td.text { text-align: left; }
td.text:first-child { font-weight: 600; }
tr { break-inside: avoid; }
details { margin: 8px 0; }
summary { cursor: pointer; color: #2b6cb0; }
dl.words { display: block; font-size: 13px; }
dl.words div { display: block; margin: 6px 0; }
dl.words dt { color: #1c2430; font-weight: 600; }
dl.words dd { font-weight: 400; color: #3a4452; }
ul { font-size: 13px; padding-left: 20px; }
@media screen and (max-width: 480px) {
  table { font-size: 11px; }
  th, td { padding: 2px 4px; }
}
@page { margin: 12mm; }
@media print {
  body { padding: 0; font-size: 12px; }
  .wide { overflow: visible; }
  table { font-size: 10.5px; }
  th, td { padding: 1px 5px; }
}
"""
_SCRIPT: Final = """
for (const [name, figure] of Object.entries(FIGURES))
  Plotly.newPlot(name, figure.data, figure.layout, {responsive: true, displayModeBar: false});
"""


def study_html(found: PinStudy) -> bytes:
    """A page with a study's verdict, the pulls, hits beside their baselines, the calibration, and what was left out.

    Returns
    -------
    UTF-8, the same bytes for the same study and plotly.

    Raises
    ------
    MissingExtra
        If plotly is not installed.
    """
    title = f"{found.symbol}: does price pin?"
    figures: dict[str, dict[str, Any]] = {}
    body = [
        f"<h1>{html.escape(title)}</h1>",
        _paragraph(_facts(found)),
        _paragraph(found.verdict(), "verdict"),
        *(_paragraph(each, "caution") for each in found.cautions()),
        *_pull_part(found, figures),
        *_hit_part(found, figures),
        *_calibration_part(found, figures),
        *_words(found),
        *_left_out(found),
    ]
    drawn = orjson.dumps(figures).decode().replace("<", "\\u003c")  # "<" could otherwise end the script
    body += [f"<script>{plotly_js()}</script>", f"<script>{_SCRIPT.replace('FIGURES', drawn)}</script>"]
    return page(html.escape(title), STYLE + _MORE_STYLE, "\n".join(body))


def _facts(found: PinStudy) -> str:
    seen = found.seen
    closes = ", ".join(f"{seen.sources.count(each):,} from the {each}" for each in sorted(set(seen.sources)))
    return (
        f"{found.start} to {found.end} · {len(seen.dates):,} sessions with a close ({closes}), {len(found):,} with a "
        f"prediction · at {', '.join(seen.at)} New York · seed {found.seed}, {found.permutations:,} permutations"
    )


def _pull_part(found: PinStudy, figures: dict[str, dict[str, Any]]) -> list[str]:
    body = [
        "<h2>The pull</h2>",
        _paragraph("The part of the way to the predicted pin that spot goes until the close: 0 none, 1 all of it."),
        _figure("pull"),
        '<div class="clouds">',
    ]
    figures["pull"] = pull_figure(found)
    for number, predictor in enumerate(found.seen.predictors):
        figures[f"cloud{number}"] = cloud(found, number)
        body.append(_figure(f"cloud{number}", predictor))
    rows = [
        (
            each.predictor, each.at, number_text(each.pull), span_text(each.low, each.high), p_text(each.p_side),
            p_text(each.p_other), p_text(each.holm_side), p_text(each.holm_other), f"{each.cells:,}",
            f"{each.beyond:,}", percent_text(each.above),
        )
        for each in found.pulls
    ]  # fmt: skip
    header = ("pin", "at", "pull", "95 %", "p side", "p other", "Holm side", "Holm other", "n", "far", "above")
    caption = (
        "Each dot above is a session at an instant: across, where the pin lay from spot; up, where spot went, both in "
        "expected moves. The line is the pull of all instants, the dotted one a close at the pin."
    )
    return [*body, "</div>", _paragraph(caption), _table(header, rows, "The pull of each pin at each instant.")]


def _hit_part(found: PinStudy, figures: dict[str, dict[str, Any]]) -> list[str]:
    last = found.pulls[-1].at
    by_key = {(each.predictor, each.at, each.measure, each.baseline): each for each in found.comparisons}
    body = [
        f"<h2>Hits{', all instants together' if last == 'all' else ''}</h2>",
        _paragraph("The share of closes near the pin, beside three baselines that predict nothing."),
    ]
    for measure in HITS:
        figures[measure] = hit_figure(found, measure, by_key)
        body.append(_figure(measure, WITHIN[measure]))
    rows = [
        (
            each.predictor, each.at, _SHORT[each.measure], _score(each, each.pin), each.baseline,
            _score(each, each.base), p_text(each.p), p_text(each.holm), _difference(each),
        )
        for each in found.comparisons
    ]  # fmt: skip
    header = ("pin", "at", "within", "pin", "baseline", "its", "p", "Holm", "difference (95 %)")
    shown = [row[:1] + row[2:] for row in rows if row[1] == last]
    caption = "The pin beside each baseline; p: that the pin is no better. Distances are in expected moves."
    body.append(_table(header[:1] + header[2:], shown, caption, texts=4))
    if len(shown) < len(rows):
        others = [row for row in rows if row[1] != last]
        body.append(
            f"<details><summary>the same at each instant</summary>{_table(header, others, '', texts=5)}</details>"
        )
    distances = [
        (
            each.predictor,
            each.at,
            f"{each.cells:,}",
            number_text(each.mean_usd),
            number_text(each.median_usd),
            number_text(each.mean_moves),
            number_text(each.median_moves),
        )
        for each in found.distances
    ]
    told = ("pin", "at", "n", "mean, USD", "median, USD", "mean, moves", "median, moves")
    body.append(_table(told, distances, "How far the close was from the pin."))
    drift = [
        (each.at, f"{each.sessions:,}", number_text(each.mean), span_text(each.low, each.high)) for each in found.drifts
    ]
    caption = "Where spot went until the close whatever was predicted, expected moves, up above 0."
    return [*body, _table(("at", "sessions", "mean move", "95 %"), drift, caption, texts=1)]


def _calibration_part(found: PinStudy, figures: dict[str, dict[str, Any]]) -> list[str]:
    body = ["<h2>Calibration of the pin score</h2>"]
    if not found.calibrations:
        return [*body, _paragraph("The pin score is the magnet's, which is not among the pins.")]
    figures["calibration"] = calibration_figure(found)
    skills = [
        (
            WITHIN[each.measure], f"{each.cells:,}", f"{each.sessions:,}", percent_text(each.share),
            f"{each.brier:.3f}", f"{each.brier_base:.3f}", number_text(each.skill), span_text(each.low, each.high),
        )
        for each in found.calibrations
    ]  # fmt: skip
    header = ("hit", "n", "sessions", "share", "Brier", "of the share alone", "skill", "95 %")
    caption = "Whether the score tells more than the share of hits alone, which is known only afterwards."
    by_score = [
        (WITHIN[each.measure], f"{b.low:.0f} to {b.high:.0f}", number_text(b.score), f"{b.cells:,}", f"{b.sessions:,}",
         percent_text(b.share), f"{percent_text(b.share_low)} to {percent_text(b.share_high)}")
        for each in found.calibrations for b in each.bins if b.cells
    ]  # fmt: skip
    told = _table(("hit", "pin score", "mean", "n", "sessions", "share", "95 %"), by_score, "", texts=1)
    return [*body, _figure("calibration"), _table(header, skills, caption, texts=1), told]


def _words(found: PinStudy) -> list[str]:
    words = {
        "spot, expected move, pins": "of the newest snapshot that was visible at the time; a late feed is measured "
        "from the moment it describes to the close. The expected move is what the options' vol leaves until the close.",
        "pull": "the sum of move times distance to the pin by the sum of that distance squared, in expected moves. "
        f"Pins beyond {found.reach:g} expected moves are counted as far and left out of it.",
        "p side": "how often pins as far from spot, on either side by a coin for each session, give as large a pull.",
        "p other": "how often the pins of the sessions, dealt out to them at random, do. A drift of all sessions does "
        "not make this one small.",
        "several pins": "levels lie together, so that a pull to one of them shows at others too: this tells that there "
        "is a pull, not which level it comes from.",
        "Holm": f"the p-values adjusted for their number: {len(found.pulls)} pulls, and {len(found.comparisons)} "
        "comparisons.",
        "random": "a price as far from spot as the pin, on its side or the other, half each. Against it the pin "
        "has no advantage unless spot goes its way.",
        "nearest strike, spot": "what one would say without any open interest. A pin away from spot does "
        "worse than these where there is no pull.",
        "95 %": "the middle of what sessions drawn again give, whole, with replacement; not told of fewer than ten. "
        "Of a share of hits by score Wilson's, which takes the instants of a session as independent.",
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in words.items())
    return ["<h2>What the numbers are</h2>", f'<dl class="words">{told}</dl>']


def _left_out(found: PinStudy) -> list[str]:
    lines = [left_out_text(each) for each in found.seen.left_out]
    lines += [f"{date}: not in the lake" for date in found.missing]
    if not lines:
        return []
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    shown = " open" if len(lines) <= _OPEN else ""
    return [f"<h2>Left out</h2><details{shown}><summary>{len(lines):,} entries</summary><ul>{items}</ul></details>"]


def _figure(name: str, label: str = "") -> str:
    said = f' role="img" aria-label="{html.escape(label or name)}"'
    return f'<div id="{name}" class="figure"{said}></div>'


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{html.escape(text)}</p>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str, *, texts: int = 2) -> str:
    """A table whose first ``texts`` columns are words; what stands first in several rows is written once."""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = [' class="text"' if i < texts else "" for i in range(len(cells))]
        return "".join(f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    told = _paragraph(caption, "caption") if caption else ""
    head = f"<thead><tr>{line('th', header)}</tr></thead>"
    before: Sequence[str] = ("",)
    lines = []
    for row in rows:
        lines.append(f"<tr>{line('td', ['', *row[1:]] if row[0] == before[0] else row)}</tr>")
        before = row
    body = "".join(lines)
    return f'{told}<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


def _score(each: Comparison, value: float) -> str:
    return number_text(value) if each.measure == "distance" else percent_text(value)


def _difference(each: Comparison) -> str:
    """The difference with its interval, in per cent points or expected moves."""
    if math.isnan(each.difference):
        return "-"
    if each.measure == "distance":
        text, ends = f"{each.difference:+.2f}", f" ({each.low:+.2f} to {each.high:+.2f})"
    else:
        text, ends = _points(each.difference), f" ({_points(each.low)} to {_points(each.high)})"
    return text if math.isnan(each.low) else text + ends


def _points(share: float) -> str:
    return "-" if math.isnan(share) else f"{round(100 * share):+d}"
