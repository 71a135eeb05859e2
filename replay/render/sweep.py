"""A sweep as one HTML page that needs no network: the metric over each pair of parameters, and a table of the sets."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson

from replay.render.html import STYLE, page, plotly_js
from replay.render.scale import DIVERGING, SEQUENTIAL, Rgb
from replay.render.sweep_text import (
    best_lines,
    data_lines,
    heading,
    metric_text,
    name_of,
    set_table,
    value_text,
    walk_lines,
    window_table,
)
from replay.sweeps.result import Sweep
from replay.sweeps.surface import Surface

_DRAWN: Final = 12
_LISTED: Final = 500
_MORE_STYLE: Final = """
html, body { height: auto; }
body { display: block; max-width: 1180px; min-height: 0; margin: 0 auto; }
h2 { font-size: 16px; font-weight: 650; margin: 28px 0 6px; }
.surfaces { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 8px 24px; }
.surface { height: 340px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 12px 3px 0; text-align: right; white-space: nowrap; }
th { color: #56606e; font-weight: 500; border-bottom: 1px solid #d9dce1; }
code { font-size: 12px; }
"""


def sweep_html(sweep: Sweep) -> bytes:
    """A page with the metric over each pair of parameters, what a walk-forward came to, and the sets, the best first.

    Returns
    -------
    UTF-8, the same bytes for the same sweep and plotly.

    Raises
    ------
    MissingExtra
        If plotly is not installed.
    """
    script = plotly_js()
    metric = sweep.told["metric"]
    surfaces = sweep.surfaces()
    lines = [*data_lines(sweep), *(best_lines(sweep) if sweep.traded else ["no set sent an order"])]
    body = [f"<h1>{html.escape(heading(sweep))}</h1>", *(f"<p>{html.escape(line)}</p>" for line in lines)]
    body.append(f"<h2>{html.escape(name_of(metric).capitalize())} over the grid</h2>")
    body.append(f"<p>{html.escape(_said(surfaces))}</p><div class='surfaces'>")
    shown = surfaces[:_DRAWN]
    body += [f'<div class="surface" id="surface{number}"></div>' for number in range(len(shown))]
    body.append("</div>")
    if sweep.told["walk_forward"] is not None:
        first, *rest = walk_lines(sweep)
        body.append(f"<h2>{html.escape(first[0].upper() + first[1:])}</h2>")
        body += [f"<p>{html.escape(line)}</p>" for line in rest]
        body.append(_table(*window_table(sweep)))
    ranked = sweep.ranked()
    body.append("<h2>Sets, the best first</h2>")
    if len(ranked) > _LISTED:
        body.append(f"<p>the first {_LISTED} of {len(ranked):,}; sweep.parquet has all</p>")
    body.append(_table(*set_table(sweep, ranked.head(_LISTED).to_dicts(), None)))
    known = np.concatenate([each.values[np.isfinite(each.values)] for each in shown])
    limits = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    drawn = "".join(
        f'Plotly.newPlot("surface{number}", {_json(_trace(each, metric, limits))}, {_json(_layout(each))}, '
        f"{_json({'responsive': True, 'displayModeBar': False})});\n"
        for number, each in enumerate(shown)
    )
    body += [f"<script>{script}</script>", f"<script>{drawn}</script>"]
    return page(html.escape(heading(sweep)), STYLE + _MORE_STYLE, "\n".join(body))


def _said(surfaces: Sequence[Surface]) -> str:
    text = (
        "Each cell is the median over the sets that share its two values, whatever their other parameters: a plateau "
        "is worth more than a peak. Grey: not defined."
        if surfaces[0].sets > 1
        else "Each cell is one set. Grey: not defined."
    )
    return text + (f" The first {_DRAWN} of {len(surfaces)} pairs." if len(surfaces) > _DRAWN else "")


def _trace(surface: Surface, metric: str, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """The cells, on the one scale of all surfaces."""
    low, high = limits
    signed = low < 0
    limit = max(abs(low), abs(high)) or 1.0
    stops: Sequence[Rgb] = DIVERGING if signed else SEQUENTIAL
    places = np.linspace(0.0, 1.0, len(stops)).tolist()
    return [
        {
            "type": "heatmap",
            "x": [value_text(value) for value in surface.columns],
            "y": [value_text(value) if surface.up else "" for value in surface.rows],
            "z": [[each if np.isfinite(each) else None for each in row] for row in surface.values.tolist()],
            "text": [
                [metric_text(metric, each if np.isfinite(each) else None) for each in row]
                for row in surface.values.tolist()
            ],
            "texttemplate": "%{text}",
            "zmin": -limit if signed else min(low, 0.0),
            "zmax": limit,
            "colorscale": [[at, f"rgb({r},{g},{b})"] for at, (r, g, b) in zip(places, stops, strict=True)],
            "hovertemplate": f"{surface.across} %{{x}}"
            + (f"<br>{surface.up} %{{y}}" if surface.up else "")
            + f"<br><b>%{{text}}</b> {name_of(metric)}, {surface.sets} sets<extra></extra>",
            "xgap": 1,
            "ygap": 1,
            "showscale": False,
        }
    ]


def _layout(surface: Surface) -> dict[str, Any]:
    axis = {"type": "category", "showgrid": False, "zeroline": False}
    return {
        "xaxis": {**axis, "title": {"text": surface.across, "standoff": 6}},
        "yaxis": {**axis, "title": {"text": surface.up or "", "standoff": 6}, "automargin": True},
        "plot_bgcolor": "#d9dce1",
        "paper_bgcolor": "#fff",
        "font": {"size": 12, "color": "#1c2430"},
        "margin": {"l": 64, "r": 12, "t": 12, "b": 52},
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = ("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def _json(value: Any) -> str:
    """JSON that may stand in a script."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")
