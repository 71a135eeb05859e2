"""What differs between golden and found heatmaps, as one HTML page that needs no network."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import orjson

from replay.contract import UNITS
from replay.golden import Check, Comparison
from replay.golden.difference import Cells, Difference, bars_of, cells_of, is_number
from replay.golden.store import instant
from replay.heatmap import Heatmap
from replay.render.html import STYLE, heatmap_figure, page, plotly_js, wall_clock
from replay.render.scale import human, scale_of
from replay.sessions import MINUTE

_LISTED: Final = 30
_DRAWN: Final = 12  # maps on a page
_WIDEST: Final = 24 * 60 * MINUTE  # from a map's first bar to its last
_LARGEST: Final = float(np.finfo(np.float32).max)  # a colour's value is a float32
_GOLDEN_ALONE: Final = ("golden alone has a number", "#b3261e", "x-thin", 8)
_NOW_ALONE: Final = ("now alone has a number", "#137333", "cross-thin", 8)
_FAINT: Final = ("differs, too little for its colour to show", "#1c2430", "circle", 2)
_SEEN: Final = 0.03  # of the scale's end: from here on a cell's colour is told from that of 0
_MORE_STYLE: Final = """
html, body { height: auto; }
body { display: block; max-width: 1280px; min-height: 0; margin: 0 auto; }
h2 { font-size: 16px; font-weight: 650; margin: 28px 0 2px; }
.map { height: 480px; }
ol { font-size: 13px; font-variant-numeric: tabular-nums; padding-left: 40px; }
"""


def difference_html(checks: Sequence[Check]) -> bytes:
    """A page with each golden that differs: found minus golden as a heatmap, and the worst differences.

    A cell is coloured if it differs by more than the tolerance; one that only one side has a number for is marked.

    Returns
    -------
    UTF-8, the same bytes for the same checks and plotly.

    Raises
    ------
    MissingExtra
        If plotly is not installed.
    """
    others = [each for each in checks if each.status != "same"]
    body = [f"<h1>{len(others)} of {len(checks)} golden files differ or are missing</h1>"]
    if any(each.comparison for each in others):
        body.append(
            "<p>Colours: now minus golden, of cells that are further off than the tolerance. Grey: neither side has "
            "a number. The black line is the spot now.</p>"
        )
    scripts: list[str] = []
    for each in others:
        body += _section(each, scripts)
    if scripts:
        body += [f"<script>{plotly_js()}</script>", f"<script>{''.join(scripts)}</script>"]
    return page("golden differences", STYLE + _MORE_STYLE, "\n".join(body))


def _section(check: Check, scripts: list[str]) -> list[str]:
    """One golden's part of the page; a map that it needs drawn is added to the scripts."""
    body = [f"<h2>{html.escape(check.name)}</h2>"]
    if check.comparison is None:
        return [*body, f"<p>missing: {html.escape(str(check.path))}</p>"]
    worst = check.comparison.differences
    cells = [each for each in worst if each.strike is not None and each.t is not None]
    told = f"{check.comparison.lines(0)[0]}, {len(cells):,} in cells"
    body.append(f"<p>{told} · golden file {html.escape(str(check.path))}</p>")
    wide = _is_body(check.comparison) and _width(check.comparison) > _WIDEST
    shown = _heatmap_of(check.comparison, cells) if _is_body(check.comparison) and not wide else None
    if wide:
        body.append("<p>not drawn: its bars are more than a day apart</p>")
    if shown is not None and len(scripts) < _DRAWN:
        body.append(f'<div id="map{len(scripts)}" class="map"></div>')
        scripts.append(_script(f"map{len(scripts)}", shown, check.comparison))
    elif shown is not None:
        body.append(f"<p>not drawn: a page has {_DRAWN} maps</p>")
    body.append("<ol>" + "".join(f"<li>{html.escape(str(each))}</li>" for each in worst[:_LISTED]) + "</ol>")
    if len(worst) > _LISTED:
        body.append(f"<p>and {len(worst) - _LISTED:,} more</p>")
    return body


def _is_body(comparison: Comparison) -> bool:
    return isinstance(comparison.golden, dict) and "bars" in comparison.golden


def _width(comparison: Comparison) -> int:
    """Microseconds from the first bar of both to the last."""
    times = [instant(t, "t") for t in (*bars_of(comparison.golden), *bars_of(comparison.found))]
    return max(times) - min(times) if times else 0


def _heatmap_of(comparison: Comparison, cells: Sequence[Difference]) -> Heatmap | None:
    """Found minus golden over the bars and strikes of both, 0 where that is near enough; ``None`` without a cell."""
    old, new = cells_of(comparison.golden), cells_of(comparison.found)
    times, strikes = sorted({t for t, _ in (*old, *new)}), sorted({strike for _, strike in (*old, *new)})
    if not times:
        return None
    row, column = ({each: i for i, each in enumerate(axis)} for axis in (times, strikes))
    values = np.full((len(times), len(strikes)), np.nan)
    for t, strike in old.keys() & new.keys():
        if is_number(old[t, strike]) and is_number(new[t, strike]):
            values[row[t], column[strike]] = 0.0
    for each in cells:
        if np.isfinite(each.size):
            values[row[str(each.t)], column[float(each.strike or 0)]] = each.found - each.golden
    values = values.clip(-_LARGEST, _LARGEST)
    bars = bars_of(comparison.found)
    spots = [bars[t].get("spot") if t in bars else None for t in times]
    minutes = np.array([instant(t, "t") for t in times], np.int64)
    found = comparison.found
    return Heatmap(
        found["symbol"], found["underlying_price"], dt.date.fromisoformat(found["expiration"]), found["metric"], "raw",
        "1m", int(minutes[-1]), int(minutes[-1]), found["tier_used"], np.array(strikes), minutes - minutes % MINUTE,
        np.array([np.nan if spot is None else spot for spot in spots], float), values,
    )  # fmt: skip


def _script(name: str, shown: Heatmap, comparison: Comparison) -> str:
    """The statement that draws one map."""
    scale = replace(scale_of(shown), signed=True)
    data, layout = heatmap_figure(shown, None, scale)
    unit, old, new = UNITS[shown.metric], cells_of(comparison.golden), cells_of(comparison.found)
    data[0]["text"] = _hover(shown, old, new)
    data[0]["hovertemplate"] = f"%{{x|%H:%M}}  strike %{{y}}<br>%{{text}} {unit}<extra></extra>"
    data[0]["colorbar"]["title"]["text"] = f" now minus golden, {unit}"
    layout |= {"legend": {"orientation": "h", "x": 0, "y": 1.1}, "margin": layout["margin"] | {"r": 110}}
    figure = {
        "data": [*data, *_marks(shown, old, new, scale.limit * _SEEN)],
        "layout": layout,
        "config": {"responsive": True, "displaylogo": False},
    }
    drawn = orjson.dumps(figure, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    drawn = drawn.replace("<", "\\u003c")  # "<" could otherwise end the script
    return f"Plotly.newPlot({name!r}, {drawn});\n"


def _hover(shown: Heatmap, old: Cells, new: Cells) -> list[list[str]]:
    """What each cell says, by strike and column: both values, and how far apart they are."""
    first, last = int(shown.minutes[0]), int(shown.minutes[-1])
    named = {instant(t, "t") // MINUTE: t for t, _ in (*old, *new)}
    values = dict(zip(shown.minutes.tolist(), shown.values.tolist(), strict=True))
    columns = range(first, last + 1, MINUTE)

    def text(us: int, number: int, strike: float) -> str:
        t = named.get(us // MINUTE, "")
        sides = [_number(side.get((t, strike))) for side in (old, new)]
        off = values[us][number] if us in values else np.nan
        if not off:
            return sides[1]
        change = f"<br><b>{human(off, signed=True)}</b>" if np.isfinite(off) else ""
        return f"golden {sides[0]}, now {sides[1]}{change}"

    return [[text(us, i, strike) for us in columns] for i, strike in enumerate(shown.strikes.tolist())]


def _number(value: Any) -> str:
    return human(float(value)) or "NaN" if is_number(value) else "none"


def _marks(shown: Heatmap, old: Cells, new: Cells, limit: float) -> list[dict[str, Any]]:
    """A trace for each kind of cell that its colour does not tell."""
    sizes = np.abs(np.nan_to_num(shown.values))
    faint = [(int(shown.minutes[i]), float(shown.strikes[k])) for i, k in np.argwhere((sizes > 0) & (sizes < limit))]
    kinds = {_FAINT: faint, _GOLDEN_ALONE: _alone(old, new), _NOW_ALONE: _alone(new, old)}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{label} ({len(cells):,})",
            "showlegend": True,
            "x": wall_clock(np.array([us for us, _ in cells], np.int64) + MINUTE // 2),
            "y": [strike for _, strike in cells],
            "hoverinfo": "skip",
            "marker": {"color": colour, "symbol": symbol, "size": size, "line": {"width": 2, "color": colour}},
        }
        for (label, colour, symbol, size), cells in kinds.items()
        if cells
    ]


def _alone(own: Cells, other: Cells) -> list[tuple[int, float]]:
    """The cells, instant and strike, that one side has a number for and the other has none."""
    alone = sorted(cell for cell in own if is_number(own[cell]) and not is_number(other.get(cell)))
    return [(instant(t, "t"), strike) for t, strike in alone]
