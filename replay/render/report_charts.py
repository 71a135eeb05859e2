"""The charts of a report on a run, as plotly figures of plain values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from replay.ragged import Floats
from replay.render.axes import columns_of, in_sight, newest_spot, spot_steps, strike_edges, with_path
from replay.render.html import wall_clock
from replay.render.scale import human, scale_of
from replay.results.drawn import Session
from replay.results.report import Report
from replay.results.traded import column
from replay.sessions import to_us

WON: Final = "#2166ac"
LOST: Final = "#b35806"
BOUGHT: Final = "#0a7a3c"
SOLD: Final = "#c2006b"
INK: Final = "#1c2430"
COLOURS: Final = ("#1c2430", "#1b7fb5", "#c2570c", "#7b3fa0", "#2f855a", "#b83280", "#8a6d00")
"""Of curves over one another; the run's own is the first."""

_GRID: Final = "#e3e7ec"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
_STRIKES: Final = 30  # of a drawn session, beside those traded
_TICKS: Final = 6
_MARKED: Final = 60  # sessions of a curve, beyond which they are not marked


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: plotly's traces and layout; its height is in the layout."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


def equity_chart(report: Report) -> Chart:
    """Equity tick by tick, sessions one after the other, and how far it lies below its highest."""
    path = report.path
    x, text = path["number"].to_list(), path["at"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    line: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": x, "text": text, "showlegend": False}
    data = [
        line | {"y": _plain(path, "equity"), "line": {"color": INK, "width": 1.6}, "hovertemplate": _hover("equity")},
        line | {
            "y": [None if y is None else -y for y in _plain(path, "drawdown")], "yaxis": "y2", "fill": "tozeroy",
            "line": {"color": LOST, "width": 1}, "hovertemplate": _hover("below the highest"),
        },
    ]  # fmt: skip
    layout = _layout(360) | {
        "xaxis": _sessions_axis(path) | {"anchor": "y2"},
        "yaxis": _axis("equity, USD") | {"domain": [0.38, 1.0]},
        "yaxis2": _axis("drawdown") | {"domain": [0.0, 0.28]},
    }
    return Chart(data, layout)


def sessions_chart(report: Report) -> Chart:
    """Profit by session; the sessions that are not settled are marked."""
    days = report.days
    dates = [str(date) for date in days["session"]]
    profit = column(days, "profit")
    known = np.isfinite(profit)
    data = [_bars(dates, profit, "%{x}<br><b>%{y:,.2f}</b> USD<extra></extra>")]
    if not known.all():
        unknown = [date for date, each in zip(dates, known.tolist(), strict=True) if not each]
        data.append(_unknown(unknown))
    axis = {"type": "category", "tickangle": 0, "automargin": True}
    step = max(1, -(-len(dates) // _TICKS))
    axis |= {"tickmode": "array", "tickvals": dates[::step], "ticktext": _day_texts(days["session"].to_list())[::step]}
    return Chart(data, _layout(260) | {"xaxis": axis, "yaxis": _axis("USD")})


def minutes_chart(report: Report) -> Chart:
    """Mean profit a session by minutes before the close, from the open on."""
    rows = report.minutes
    x = np.where(rows["end"] == 0, -7.5, (column(rows, "start") + column(rows, "end")) / 2)
    names = [
        "at the close, with the settlement" if end == 0 else f"{end} to {start} minutes before the close"
        for start, end in rows.select("start", "end").iter_rows()
    ]
    bars = _bars(x.tolist(), column(rows, "mean"), "%{text}<br><b>%{y:,.2f}</b> USD a session<extra></extra>")
    bars |= {"text": names, "textposition": "none", "width": 13}
    longest = max(rows["end"].to_list(), default=0)
    at = [-7.5, *range(60, longest + 1, 60)]
    axis = {
        "range": [longest + 2, -17], "tickmode": "array", "tickvals": at,
        "ticktext": ["close", *(str(each) for each in at[1:])], "title": {"text": "minutes before the close"},
        "showgrid": False, "zeroline": False,
    }  # fmt: skip
    return Chart([bars], _layout(260) | {"xaxis": axis, "yaxis": _axis("USD a session")})


def pin_chart(report: Report, unit: str) -> Chart:
    """Each trade's profit over how far from the magnet it settled; ``unit``: ``distance`` or ``moves``."""
    rows = report.pins.filter(pl.col(unit).is_not_null())
    profit = column(rows, "profit")
    marks = {
        "type": "scatter", "mode": "markers", "x": _plain(rows, unit), "y": _rounded(profit),
        "text": [str(date) for date in rows["session"]], "showlegend": False,
        "marker": {"size": 9, "color": _signs(profit), "line": {"color": "#fff", "width": 1}},
        "hovertemplate": "%{text}: %{x:.2f}<br><b>%{y:,.2f}</b> USD<extra></extra>",
    }  # fmt: skip
    of = "USD" if unit == "distance" else "expected moves"
    axis = _axis(f"settlement less magnet, {of}") | {"zerolinecolor": "#7b1fa2"}
    return Chart([marks], _layout(260) | {"xaxis": axis, "yaxis": _axis("USD a trade")})


def greeks_chart(report: Report) -> Chart:
    """Delta, gamma, theta and vega of the account over time."""
    if not any(report.ranges[name] for name in ("delta", "gamma", "theta", "vega")):
        return Chart([], _layout(520))
    path = report.path
    x, text = path["number"].to_list(), path["at"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    names = {"delta": "delta, shares", "gamma": "gamma, /USD", "theta": "theta, USD/day", "vega": "vega, USD/pt"}
    data, layout = [], _layout(520)
    for i, (name, title) in enumerate(names.items(), 1):
        number = "" if i == 1 else str(i)
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": x, "y": _plain(path, name), "text": text, "showlegend": False,
                "yaxis": f"y{number}", "line": {"color": COLOURS[1], "width": 1.2}, "hovertemplate": _hover(name, ""),
            }
        )  # fmt: skip
        low = 1 - i * 0.25 + 0.04
        layout[f"yaxis{number}"] = _axis(title) | {"domain": [low, low + 0.19], "nticks": 4}
    layout["xaxis"] = _sessions_axis(path) | {"anchor": "y4"}
    return Chart(data, layout)


def curves_chart(report: Report) -> Chart:
    """The profits so far of the runs, over one another."""
    names = [report.traded.name, *(each.name for each in report.compared)]
    data = [
        {
            "type": "scatter", "mode": "lines+markers" if len(curve) <= _MARKED else "lines", "name": name,
            "x": [str(date) for date in curve["session"]],
            "y": _rounded(column(curve, "gained")), "marker": {"size": 5},
            "line": {"color": COLOURS[i % len(COLOURS)], "width": 2.4 if i == 0 else 1.6, "dash": _DASHES[i % 4]},
            "hovertemplate": "%{x}<br><b>%{y:,.2f}</b> USD",
        }
        for i, (name, curve) in enumerate(zip(names, report.curves, strict=True))
    ]  # fmt: skip
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    axis = {"type": "date", "tickformat": "%m-%d\n%Y", "showgrid": False}
    layout = _layout(300) | {"xaxis": axis, "yaxis": _axis("gained, USD"), "legend": legend}
    return Chart(data, layout | {"margin": layout["margin"] | {"t": 44}})


def session_chart(drawn: Session) -> Chart:
    """A session's heatmap with spot, the magnet that was traded on, and each leg while it was held."""
    shown, legs = drawn.heatmap, drawn.legs
    layout = _layout(340)
    if not shown.levels.size:
        return Chart([], layout)
    columns, scale = columns_of(shown), scale_of(shown)
    seen = with_path(shown, in_sight(shown, newest_spot(shown, None), _STRIKES))
    edges = strike_edges(shown.strikes)
    low, high = float(edges[seen.start]), float(edges[seen.stop])
    traded = column(legs, "strike")
    low, high = min(low, float(traded.min()) - 1), max(high, float(traded.max()) + 1)
    inside = (shown.strikes >= low) & (shown.strikes <= high)
    places = np.linspace(0.0, 1.0, len(scale.stops)).tolist()
    values = columns.values.T[inside]
    times, path = spot_steps(columns)
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap", "x0": wall_clock(columns.starts[:1] + columns.step // 2)[0], "dx": columns.step // 1000,
            "y": shown.strikes[inside].tolist(), "z": [[_three(v) for v in row] for row in values.tolist()],
            "zmin": scale.low, "zmax": scale.high, "showscale": False, "hoverongaps": False,
            "colorscale": [[at, f"rgb({r},{g},{b})"] for at, (r, g, b) in zip(places, scale.stops, strict=True)],
            "hovertemplate": "%{x|%H:%M}  strike %{y}<br>gex %{z:.3s}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines", "x": wall_clock(times), "showlegend": False, "hoverinfo": "skip",
            "y": [at if np.isfinite(at) else None for at in path], "line": {"color": "#000", "width": 2},
        },
    ]  # fmt: skip
    for order, right, strike, quantity, opened, closed in legs.iter_rows():
        start, end = wall_clock([to_us(opened)])[0], wall_clock([to_us(closed)])[0]
        colour = BOUGHT if quantity > 0 else SOLD
        line = {"type": "scatter", "x": [start, end], "y": [strike, strike], "showlegend": False, "cliponaxis": False}
        data.append(line | {"mode": "lines", "hoverinfo": "skip", "line": {"color": "#fff", "width": 6}})
        data.append(
            line
            | {
                "mode": "lines+markers",
                "line": {"color": colour, "width": 3, "dash": "solid" if right == "C" else "dot"},
                "marker": {"symbol": ["triangle-up" if quantity > 0 else "triangle-down", "x"], "size": 9,
                           "color": colour, "line": {"color": "#fff", "width": 1}},
                "hovertemplate": f"order {order}: {quantity:+d} {strike:g}{right}<br>%{{x|%H:%M}}<extra></extra>",
            }
        )  # fmt: skip
    first, last = wall_clock([int(columns.starts[0])])[0], wall_clock([columns.end])[0]
    ends = [wall_clock([to_us(closed)])[0] for closed in legs["closed_at"]]
    axis = {"type": "date", "range": [first, max([last, *ends])], "tickformat": "%H:%M", "nticks": 8, "showgrid": False}
    layout |= {"xaxis": axis, "yaxis": _axis("strike, USD") | {"range": [low, high], "showgrid": False}}
    layout |= {"plot_bgcolor": "#d9dce1", "shapes": _magnets(drawn)}
    return Chart(data, layout)


def _magnets(drawn: Session) -> list[dict[str, Any]]:
    """A line at each magnet that was seen when a trade was sent."""
    seen = sorted(set(drawn.trades["magnet"].drop_nulls().to_list()))
    stroke = {"color": "#7b1fa2", "width": 1.5, "dash": "dash"}
    return [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": stroke} for y in seen]


def _bars(x: list[Any], profit: Floats, hover: str) -> dict[str, Any]:
    return {
        "type": "bar", "x": x, "y": _rounded(profit), "marker": {"color": _signs(profit)}, "showlegend": False,
        "hovertemplate": hover,
    }  # fmt: skip


def _unknown(dates: list[str]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": dates, "y": [0] * len(dates), "name": "not settled",
        "marker": {"symbol": "diamond-open", "size": 9, "color": "#56606e"}, "showlegend": False,
        "hovertemplate": "%{x}<br>not settled<extra></extra>",
    }  # fmt: skip


def _signs(profit: Floats) -> list[str]:
    return [WON if each >= 0 else LOST for each in profit.tolist()]


def _rounded(values: Floats) -> list[float | None]:
    return [round(each, 2) + 0.0 if np.isfinite(each) else None for each in values.tolist()]


def _plain(frame: pl.DataFrame, name: str) -> list[float | None]:
    return [round(each, 4) + 0.0 if np.isfinite(each) else None for each in column(frame, name).tolist()]


def _three(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


def _hover(name: str, unit: str = " USD") -> str:
    return f"%{{text}}<br>{name} <b>%{{y:,.2f}}</b>{unit}<extra></extra>"


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 4}, "automargin": True, "gridcolor": _GRID, "zerolinecolor": "#9aa3af",
        "nticks": 6,
    }  # fmt: skip


def _sessions_axis(path: pl.DataFrame) -> dict[str, Any]:
    """Ticks where sessions start, a few of them."""
    first = path.with_columns(new=pl.col("session") != pl.col("session").shift(1)).filter(pl.col("new").fill_null(True))
    step = max(1, -(-len(first) // _TICKS))
    return {
        "tickmode": "array", "tickvals": first["number"].to_list()[::step],
        "ticktext": _day_texts(first["session"].to_list())[::step], "gridcolor": _GRID,
        "zeroline": False,
    }  # fmt: skip


def _day_texts(dates: list[dt.date]) -> list[str]:
    """Month and day, the year beneath where there are several."""
    several = len({date.year for date in dates}) > 1
    return [f"{date:%m-%d}<br>{date:%Y}" if several else f"{date:%m-%d}" for date in dates]


def _layout(height: int) -> dict[str, Any]:
    return {
        "height": height, "margin": {"l": 50, "r": 12, "t": 12, "b": 40}, "font": {"family": _FONT, "size": 12,
        "color": INK}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff", "dragmode": False, "hovermode": "closest",
        "bargap": 0.25,
    }  # fmt: skip


def end_colours(limit: float) -> str:
    """What the ends of a heatmap's colours are, in words."""
    return f"-{human(limit)} (brown) to +{human(limit)} (blue)" if limit else "no value other than 0"
