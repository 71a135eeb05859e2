"""What differs between golden and found heatmaps, as one HTML page that needs no network."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from replay.golden import Check
from replay.golden.difference import cells_of
from replay.heatmap import Heatmap
from replay.render.html import STYLE, heatmap_figure, page, plotly_js
from replay.sessions import parse_moment, to_us

_SHOWN = 30
_MORE_STYLE = """
body { display: block; max-width: 1200px; }
h2 { font-size: 16px; margin: 22px 0 2px; }
.map { height: 460px; }
li { font-variant-numeric: tabular-nums; }
"""


def difference_html(checks: Sequence[Check]) -> bytes:
    """A page with each golden that differs: what now minus golden is as a heatmap, and the worst differences.

    UTF-8; raises :class:`~replay.errors.MissingExtra` if plotly is not installed.
    """
    differ = [each for each in checks if each.status != "same"]
    body = [f"<h1>{len(differ)} of {len(checks)} golden files differ</h1>"]
    body.append("<p>Colours: found minus golden. A cell that only one side has is in the list alone.</p>")
    scripts = []
    for number, each in enumerate(differ):
        body.append(f"<h2>{html.escape(each.name)}</h2>")
        if each.comparison is None:
            body.append(f"<p>missing: {html.escape(each.path.name)}</p>")
            continue
        shown = _difference(each.comparison.golden, each.comparison.found)
        if shown is not None:
            body.append(f'<div id="map{number}" class="map"></div>')
            scripts.append(_script(number, shown))
        worst = each.comparison.differences
        body.append("<ol>" + "".join(f"<li>{html.escape(str(one))}</li>" for one in worst[:_SHOWN]) + "</ol>")
        if len(worst) > _SHOWN:
            body.append(f"<p>and {len(worst) - _SHOWN:,} more</p>")
    if scripts:
        body += [f"<script>{plotly_js()}</script>", f"<script>{''.join(scripts)}</script>"]
    return page("golden differences", STYLE + _MORE_STYLE, "\n".join(body))


def _script(number: int, shown: Heatmap) -> str:
    data, layout = heatmap_figure(shown, None)
    for cells in data[:1]:
        cells["hovertemplate"] = f"%{{x|%H:%M}}  strike %{{y}}<br><b>%{{text}}</b> {shown.unit}<extra></extra>"
    figure = orjson.dumps({"data": data, "layout": layout}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    figure = figure.replace("<", "\\u003c")  # "<" could otherwise end the script
    return f"(f => Plotly.newPlot('map{number}', f.data, f.layout, {{responsive: true}}))({figure});\n"


def _difference(golden: Any, found: Any) -> Heatmap | None:
    """Found minus golden as a heatmap of what both have; ``None`` for what is no heatmap, or has nothing in common."""
    if not (isinstance(golden, Mapping) and isinstance(found, Mapping) and "bars" in golden and "bars" in found):
        return None
    old, new = cells_of(golden), cells_of(found)
    both = sorted(set(old) & set(new))
    if not both:
        return None
    times, strikes = sorted({t for t, _ in both}), sorted({strike for _, strike in both})
    values = np.full((len(times), len(strikes)), np.nan)
    row, column = ({each: i for i, each in enumerate(axis)} for axis in (times, strikes))
    for t, strike in both:
        before, after = old[t, strike], new[t, strike]
        if before is not None and after is not None:
            values[row[t], column[strike]] = after - before
    spots = {str(bar["t"]): bar.get("spot") for bar in found["bars"]}
    minutes = np.array([to_us(parse_moment(t, "t")) for t in times])
    price = found.get("underlying_price")
    return Heatmap(
        str(golden.get("symbol")), price, dt.date.fromisoformat(str(found["expiration"])), str(golden["metric"]),
        "raw", "1m", int(minutes[-1]), int(minutes[-1]), str(found.get("tier_used")), np.array(strikes), minutes,
        np.array([np.nan if spots.get(t) is None else spots[t] for t in times], float), values,
    )  # fmt: skip
