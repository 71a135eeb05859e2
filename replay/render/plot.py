"""Figures for notebooks: heatmaps, ticks, tapes and what a run recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from replay.engine.result import Result
from replay.errors import MissingExtra
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.caption import heading
from replay.render.html import heatmap_figure
from replay.tape import Tape, Tick

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl


def plot(shown: Heatmap | Tick | Tape | Result, metric: str = "gex", *, levels: Levels | None = None) -> go.Figure:
    """A plotly figure of a heatmap, of a tick's or a tape's heatmap, or of a run's recorded numbers over time.

    Parameters
    ----------
    shown
        A :class:`~replay.Tick` shows its last 60 minutes with its levels, a :class:`~replay.Tape` the whole session
        as it stood at the close, a :class:`~replay.Result` one panel for each recorded field that is a number.
    metric
        Of a tick or a tape.
    levels
        Levels to draw over a heatmap.

    Raises
    ------
    MissingExtra
        If plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ModuleNotFoundError:
        raise MissingExtra("a figure", "plot") from None
    if isinstance(shown, Result):
        return _lines(shown.to_polars(), repr(shown)[1:-1].removeprefix("Result "))
    if isinstance(shown, Tape):
        tick = shown.at(shown.session.close)
        return plot(tick.heatmap(metric, minutes=shown.session.minutes), levels=tick.levels)
    if isinstance(shown, Tick):
        return plot(shown.heatmap(metric), levels=shown.levels)
    data, layout = heatmap_figure(shown, levels)
    for cells in data[:1]:
        cells["hovertemplate"] = f"%{{x|%H:%M:%S}}  strike %{{y}}<br><b>%{{text}}</b> {shown.unit}<extra></extra>"
    return go.Figure(data, layout | {"title": {"text": heading(shown)}})


def _lines(frame: pl.DataFrame, title: str) -> go.Figure:
    """One panel a numeric field over the ticks, session after session, without the nights between them."""
    from plotly.subplots import make_subplots

    fields = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    figure = make_subplots(rows=max(1, len(fields)), shared_xaxes=True, vertical_spacing=0.03)
    at = frame["at"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    place = np.arange(len(frame))
    for row, name in enumerate(fields, 1):
        line: dict[str, Any] = {"x": place, "y": frame[name].to_list(), "text": at, "name": name, "mode": "lines"}
        figure.add_scatter(**line, hovertemplate="%{text}<br>%{y}", row=row, col=1)
        figure.update_yaxes(title_text=name, row=row, col=1)
    starts = (frame["session"] != frame["session"].shift(1)).fill_null(value=True).arg_true().to_list()
    figure.update_xaxes(tickvals=starts, ticktext=[str(frame["session"][i]) for i in starts])
    figure.update_layout(title=title, showlegend=False, height=120 + 160 * max(1, len(fields)))
    return figure
