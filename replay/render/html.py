"""A heatmap as one interactive HTML page that needs no network."""

from __future__ import annotations

import html
from typing import Any, Final

import numpy as np
import orjson

from replay.errors import MissingExtra
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.axes import (
    IN_SIGHT,
    Columns,
    columns_of,
    in_sight,
    newest_spot,
    plain_strikes,
    spot_steps,
    spread,
    strike_edges,
    to_new_york,
    with_path,
)
from replay.render.caption import (
    facts,
    heading,
    level_facts,
    levels_moment,
    nothing_text,
    price_text,
    span_text,
)
from replay.render.lines import lines_of
from replay.render.scale import Scale, human, scale_of

_PLOT_PIXELS: Final = 440  # about what the plot is high; labels of lines are kept a text's height apart at that
_LABEL_PIXELS: Final = 16
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_HOVER: Final = (
    "%{customdata[1]}  strike %{customdata[0]}<br><b>%{text}</b> UNIT<br>spot %{customdata[2]}<extra></extra>"
)

STYLE: Final = f"""
html, body {{ height: 100%; margin: 0; }}
body {{ display: flex; flex-direction: column; box-sizing: border-box; padding: 14px 20px 10px; min-height: 560px;
  font: 14px/1.45 {_FONT}; color: #1c2430; background: #fff; }}
h1 {{ font-size: 20px; font-weight: 650; margin: 0 0 2px; }}
p {{ margin: 0; color: #56606e; }}
dl {{ display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 6px 0 0; font-size: 13px; }}
dl div {{ display: flex; gap: 6px; }}
dt {{ color: #56606e; }}
dd {{ margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }}
#heatmap {{ flex: 1 1 auto; min-height: 380px; }}
footer {{ font-size: 12px; color: #56606e; }}
"""

# Every cell's hover text is its strike, time and spot; they are crossed in the page to keep it small.
_SCRIPT: Final = """
const page = PAGE;
page.data[0].customdata = page.strikes.map(strike => page.columns.map(column => [strike, ...column]));
Plotly.newPlot("heatmap", page.data, page.layout, page.config);
"""

# The policy makes the browser itself refuse anything that is not in the page.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def heatmap_html(heatmap: Heatmap, levels: Levels | None, *, title: str | None = None) -> bytes:
    """A heatmap as a page: New York time across, strikes up, the spot's path and the levels over it.

    The page holds all it needs, plotly.js too (about 5 MB), and loads nothing. It opens on the strikes around spot;
    a double click zooms out to all.

    Parameters
    ----------
    levels
        Levels to draw and to list; ``None`` for none.
    title
        Text of the page's title and heading, in place of symbol, session and metric.

    Returns
    -------
    UTF-8, the same bytes for the same heatmap, levels and plotly.

    Raises
    ------
    MissingExtra
        If plotly is not installed.
    """
    shown_title = html.escape(heading(heatmap) if title is None else title)
    body = [f"<h1>{shown_title}</h1>"]
    if not heatmap.levels.size:
        body.append(f"<p>{html.escape(nothing_text(heatmap))}</p>")
    else:
        script = plotly_js()
        columns, scale = columns_of(heatmap), scale_of(heatmap)
        words = [span_text(heatmap), *facts(heatmap)]
        if title is not None:
            words.insert(0, heading(heatmap))
        body += [
            f"<p>{html.escape(' · '.join(words))}</p>",
            _level_list(levels),
            '<div id="heatmap"></div>',
            f"<footer>{html.escape(_footnote(scale, columns))}</footer>",
            f"<script>{script}</script>",
            f"<script>{_SCRIPT.replace('PAGE', _page(heatmap, levels, columns))}</script>",
        ]
    return page(shown_title, STYLE, "\n".join(body))


def page(title: str, style: str, body: str) -> bytes:
    """A page that holds all it needs, of texts that are HTML already; UTF-8."""
    return _PAGE.format(title=title, style=style, body=body).encode()


def plotly_js() -> str:
    """The script that draws; raises :class:`~replay.errors.MissingExtra` if plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError:
        raise MissingExtra("an HTML page", "plot") from None
    text: str = get_plotlyjs()
    return text


def _level_list(levels: Levels | None) -> str:
    if levels is None or levels.ts is None:
        return ""
    prices, others = level_facts(levels)
    entries = [("levels at", levels_moment(levels)), *prices, *others]
    return (
        "<dl>"
        + "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>" for name, text in entries)
        + "</dl>"
    )


def _footnote(scale: Scale, columns: Columns) -> str:
    sentences = [f"Colours: {scale.sentence()}."]
    if scale.skips_first:
        sentences.append("The first bar is the level itself, not a change.")
    sentences.append("Grey: not sampled" + ("." if columns.filled.all() else ", or no bar."))
    sentences.append("Drag to zoom, double-click to see every strike.")
    return " ".join(sentences)


def heatmap_figure(
    heatmap: Heatmap, levels: Levels | None, scale: Scale | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The traces and the layout of a plotly figure, as plain values; both empty for a heatmap without bars.

    ``scale`` in place of the heatmap's own.
    """
    if not heatmap.levels.size:
        return [], {}
    columns, scale = columns_of(heatmap), scale or scale_of(heatmap)
    shown = with_path(heatmap, in_sight(heatmap, newest_spot(heatmap, levels), IN_SIGHT))
    edges = strike_edges(heatmap.strikes)
    return _traces(heatmap, columns, scale), _layout(
        heatmap, levels, columns, (float(edges[shown.start]), float(edges[shown.stop]))
    )


def _page(heatmap: Heatmap, levels: Levels | None, columns: Columns) -> str:
    """Traces, layout and settings as JSON that may stand in a script."""
    data, layout = heatmap_figure(heatmap, levels)
    clock = wall_clock(columns.starts)
    drawn = {
        "data": data,
        "layout": layout,
        "config": {"responsive": True, "displaylogo": False, "scrollZoom": False},
        "strikes": plain_strikes(heatmap.strikes),
        "columns": [
            [text[11:16], price_text(at) if np.isfinite(at) else "not known"]
            for text, at in zip(clock, columns.spot.tolist(), strict=True)
        ],
    }
    # "<" could otherwise end the script.
    return orjson.dumps(drawn, option=orjson.OPT_SERIALIZE_NUMPY).decode().replace("<", "\\u003c")


def wall_clock(us: Any) -> list[str]:
    """New York wall-clock times as ISO 8601 text without an offset, which plotly shows as they are."""
    moments = np.asarray(us, np.int64)
    local = moments + to_new_york(int(moments[0]))
    texts: list[str] = np.datetime_as_string(local.astype("datetime64[us]"), unit="ms").tolist()
    return texts


def _traces(heatmap: Heatmap, columns: Columns, scale: Scale) -> list[dict[str, Any]]:
    places = np.linspace(0.0, 1.0, len(scale.stops)).tolist()
    ticks = scale.ticks()
    cells = {
        "type": "heatmap",
        "x0": wall_clock(columns.starts[:1] + columns.step // 2)[0],
        "dx": columns.step // 1000,
        **({"y": heatmap.strikes} if len(heatmap.strikes) > 1 else {"y0": heatmap.strikes[0], "dy": 1}),
        "z": np.ascontiguousarray(columns.values.T, np.float32),
        "text": [[human(v, signed=scale.signed) for v in row] for row in columns.values.T.tolist()],
        "zmin": scale.low,
        "zmax": scale.high,
        "colorscale": [[at, f"rgb({r},{g},{b})"] for at, (r, g, b) in zip(places, scale.stops, strict=True)],
        "hoverongaps": False,
        "hovertemplate": _HOVER.replace("UNIT", heatmap.unit),
        "colorbar": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "xpad": 0,
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "thickness": 12,
            "len": 0.7,
            "outlinewidth": 0,
            "tickvals": [at for at, _ in ticks],
            "ticktext": [text for _, text in ticks],
            "title": {"text": f" {heatmap.metric}, {heatmap.unit}", "side": "right"},
        },
    }
    times, path = spot_steps(columns)
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": wall_clock(times),
        "y": [at if np.isfinite(at) else None for at in path],
        "connectgaps": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [
        cells,
        line | {"line": {"color": "#fff", "width": 4.5}},
        line | {"line": {"color": "#000", "width": 2}},
    ]


def _layout(heatmap: Heatmap, levels: Levels | None, columns: Columns, shown: tuple[float, float]) -> dict[str, Any]:
    start, end = wall_clock([int(columns.starts[0]), columns.end])
    shapes, notes = [], []
    lines = lines_of(levels, newest_spot(heatmap, levels))
    usd = _PLOT_PIXELS / (shown[1] - shown[0])
    wanted = [line.price * usd for line in lines]
    for line, at, label_at in zip(lines, wanted, spread(wanted, _LABEL_PIXELS), strict=True):
        if line.dash:
            ends = {"x0": 0, "x1": 1, "y0": line.price, "y1": line.price}
            strokes = (
                {"color": "rgba(255,255,255,0.6)", "width": 3},
                {"color": line.colour, "width": 1.6, "dash": line.dash},
            )
            shapes += [{"type": "line", "xref": "paper", "yref": "y", "line": stroke, **ends} for stroke in strokes]
        notes.append(
            {
                "xref": "paper",
                "yref": "y",
                "x": 1,
                "y": line.price,
                "yshift": round(label_at - at),
                "xanchor": "left",
                "xshift": 4,
                "showarrow": False,
                "text": line.label,
                "font": {"color": line.colour, "size": 12},
            }
        )
    axis = {"showgrid": False, "zeroline": False, "ticks": "outside", "tickcolor": "#8a94a3"}
    return {
        "xaxis": {
            **axis,
            "type": "date",
            "range": [start, end],
            "tickformatstops": [
                {"dtickrange": [None, 59_999], "value": "%H:%M:%S"},
                {"dtickrange": [60_000, None], "value": "%H:%M"},
            ],
            "title": {"text": "New York time", "standoff": 4},
        },
        "yaxis": {**axis, "range": list(shown), "title": {"text": "strike, USD", "standoff": 6}, "automargin": True},
        "shapes": shapes,
        "annotations": notes,
        "plot_bgcolor": "#d9dce1",
        "paper_bgcolor": "#fff",
        "font": {"family": _FONT, "size": 12, "color": "#1c2430"},
        "hoverlabel": {"align": "left"},
        "hovermode": "closest",
        "margin": {"l": 64, "r": 190, "t": 30, "b": 92},
    }
