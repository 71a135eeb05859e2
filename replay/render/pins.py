"""The figures of a study of pins, as plain values for plotly."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from replay.study.hits import BASELINES, HITS, Comparison
from replay.study.report import PinStudy, number_text, span_text

WITHIN: Final = {
    "within_01pct": "within 0.1 %",
    "within_strike": "within one strike",
    "within_half_move": "within half the expected move",
}
BASES: Final = {"random": "random side", "nearest": "nearest strike", "spot": "unchanged spot"}
_SHADES: Final = ("#9ec1e6", "#5d97d1", "#2b6cb0", "#1a4274", "#0d2340")
_INK: Final = "#1c2430"
_MARKS: Final = {
    "random": ("#d98a00", "diamond-open"),
    "nearest": ("#2f8f5b", "square-open"),
    "spot": ("#7b3fa0", "x-thin"),
}
_FEW_POINTS: Final = 3_000
"""Of more points each cloud shows an even part."""
_WIDEST: Final = 4.0  # what of an interval of a pull is drawn, on either side of 0
_ROW: Final = 46  # pixels of a predictor in a figure


def pull_figure(found: PinStudy) -> dict[str, Any]:
    """Each predictor's pull at each instant, with its interval."""
    names = list(dict.fromkeys(each.at for each in found.pulls))
    places = {predictor: -i for i, predictor in enumerate(found.seen.predictors)}
    data: list[dict[str, Any]] = []
    for number, at in enumerate(names):
        own = [each for each in found.pulls if each.at == at and not math.isnan(each.pull)]
        offset = 0.3 - 0.6 * number / max(1, len(names) - 1) if len(names) > 1 else 0.0
        colour = "#b3261e" if at == "all" else _SHADES[min(number, len(_SHADES) - 1)]
        known = [not math.isnan(each.low) for each in own]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": at,
                "x": [each.pull for each in own],
                "y": [places[each.predictor] + offset for each in own],
                "marker": {"color": colour, "size": 8, "symbol": "diamond" if at == "all" else "circle"},
                "error_x": {
                    "type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 0,
                    "array": [e.high - e.pull if k else 0 for e, k in zip(own, known, strict=True)],
                    "arrayminus": [e.pull - e.low if k else 0 for e, k in zip(own, known, strict=True)],
                },
                "text": [f"{e.predictor} at {at}: {number_text(e.pull)} ({span_text(e.low, e.high)})" for e in own],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )  # fmt: skip
    layout = _layout(90 + int(1.4 * _ROW) * len(places), left=92)
    layout["yaxis"] |= _predictors(places)
    ends = [end for each in found.pulls for end in (each.low, each.pull, each.high) if not math.isnan(end)]
    room = 0.08 * (max([*ends, 1.0]) - min([*ends, 0.0]))
    layout["xaxis"] |= {
        "title": {"text": "pull", "standoff": 8},
        "zeroline": True,
        "zerolinecolor": _INK,
        "range": [max(min([*ends, 0.0]) - room, -_WIDEST), min(max([*ends, 1.0]) + room, _WIDEST)],
    }
    layout["shapes"] = [_upright(1.0)]
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}
    return {"data": data, "layout": layout}


def cloud(found: PinStudy, number: int) -> dict[str, Any]:
    """Where the pin lay and where spot went, a dot for each session and instant within reach."""
    seen = found.seen
    away, move = seen.moneyness[:, :, number], seen.move
    known = np.isfinite(away) & np.isfinite(move) & (np.abs(away) <= found.reach)
    every = -(-int(known.sum()) // _FEW_POINTS) or 1
    s, i = (each[::every] for each in np.nonzero(known))
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": away[s, i].tolist(),
            "y": move[s, i].tolist(),
            "text": [f"{seen.dates[row]} {seen.at[column]}" for row, column in zip(s, i, strict=True)],
            "hovertemplate": "%{text}<br>pin %{x:.2f}, close %{y:.2f}<extra></extra>",
            "marker": {"color": "#2b6cb0", "size": 5, "opacity": 0.55},
        }
    ]
    reach = found.reach
    slope = found.pulls[(number + 1) * (len(found.pulls) // len(seen.predictors)) - 1].pull
    for rise, style in ((1.0, {"color": "#8a94a3", "width": 1, "dash": "dot"}), (slope, {"color": "#b3261e"})):
        if not math.isnan(rise):
            ends = {"x": [-reach, reach], "y": [-reach * rise, reach * rise], "hoverinfo": "skip"}
            data.append({"type": "scatter", "mode": "lines", "line": style, **ends})
    layout = _layout(230, left=30)
    title = f"{seen.predictors[number]}  {number_text(slope)}"
    layout |= {"title": {"text": title, "font": {"size": 13}, "x": 0.5, "y": 0.97}, "showlegend": False}
    layout["xaxis"] |= {"range": [-reach, reach], "zeroline": True, "zerolinecolor": "#c9ced6"}
    layout["yaxis"] |= {"range": [-3, 3], "zeroline": True, "zerolinecolor": "#c9ced6"}
    return {"data": data, "layout": layout}


def hit_figure(found: PinStudy, measure: str, by_key: dict[tuple[str, str, str, str], Comparison]) -> dict[str, Any]:
    """The share of hits of each predictor by one measure, beside the baselines."""
    last = found.pulls[-1].at
    places = {predictor: -i for i, predictor in enumerate(found.seen.predictors)}
    rows = [by_key[predictor, last, measure, BASELINES[0]] for predictor in places]
    marks = [("the pin", [each.pin for each in rows], "#b3261e", "circle", 11)]
    for name in BASELINES:
        colour, symbol = _MARKS[name]
        shares = [by_key[predictor, last, measure, name].base for predictor in places]
        marks.append((BASES[name], shares, colour, symbol, 9))
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [None if math.isnan(share) else 100 * share for share in shares],
            "y": list(places.values()),
            "marker": {"color": colour, "symbol": symbol, "size": size, "line": {"width": 2, "color": colour}},
            "hovertemplate": f"{name}: %{{x:.0f}} %<extra></extra>",
        }
        for name, shares, colour, symbol, size in marks
    ]
    layout = _layout(96 + 28 * len(places), left=92)
    layout |= {"title": {"text": WITHIN[measure], "font": {"size": 13}, "x": 0.5, "y": 0.97}}
    layout["yaxis"] |= _predictors(places)
    layout["xaxis"] |= {"range": [-3, 103], "ticksuffix": " %", "zeroline": False}
    layout["showlegend"] = measure == HITS[-1]
    layout["legend"] = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.2, "yanchor": "top"}
    layout["margin"] |= {"t": 26, "b": 30}
    if layout["showlegend"]:
        layout["height"] += 50
        layout["margin"]["b"] += 50
    return {"data": data, "layout": layout}


def calibration_figure(found: PinStudy) -> dict[str, Any]:
    """How often magnets were hit, by their pin score."""
    data = []
    colours = ("#2b6cb0", "#d98a00", "#2f8f5b")
    for each, colour in zip(found.calibrations, colours, strict=True):
        bins = [b for b in each.bins if b.cells]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": WITHIN[each.measure],
                "x": [b.score for b in bins],
                "y": [100 * b.share for b in bins],
                "line": {"color": colour},
                "error_y": {
                    "type": "data", "symmetric": False, "color": colour, "thickness": 1, "width": 3,
                    "array": [100 * (b.share_high - b.share) for b in bins],
                    "arrayminus": [100 * (b.share - b.share_low) for b in bins],
                },
                "text": [f"{b.hits:,} of {b.cells:,}, {b.sessions:,} sessions" for b in bins],
                "hovertemplate": "score %{x:.0f}: %{y:.0f} %, %{text}<extra></extra>",
            }
        )  # fmt: skip
    layout = _layout(330, left=52)
    layout["xaxis"] |= {"range": [0, 100], "title": {"text": "pin score", "standoff": 8}}
    layout["yaxis"] |= {"range": [-3, 103], "title": {"text": "closes near the magnet, %", "standoff": 8}}
    layout["shapes"] = [
        {
            "type": "line",
            "x0": 0,
            "y0": 0,
            "x1": 100,
            "y1": 100,
            "line": {"color": "#8a94a3", "width": 1, "dash": "dot"},
        }
    ]
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}
    return {"data": data, "layout": layout}


def _layout(height: int, left: int) -> dict[str, Any]:
    axis = {"gridcolor": "#eceff3", "zeroline": False, "fixedrange": True, "tickfont": {"size": 11}}
    return {
        "height": height,
        "margin": {"l": left, "r": 14, "t": 28, "b": 46},
        "xaxis": dict(axis),
        "yaxis": dict(axis),
        "font": {"size": 12, "color": _INK, "family": "system-ui, sans-serif"},
        "plot_bgcolor": "#fff",
        "paper_bgcolor": "#fff",
        "hovermode": "closest",
        "dragmode": False,
    }


def _predictors(places: dict[str, int]) -> dict[str, Any]:
    return {
        "tickvals": list(places.values()),
        "ticktext": [name.replace("_", " ") for name in places],
        "range": [-len(places) + 0.4, 0.6],
    }


def _upright(x: float) -> dict[str, Any]:
    line = {"color": "#8a94a3", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}
