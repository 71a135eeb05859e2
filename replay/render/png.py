"""A heatmap as a PNG picture."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from replay.errors import MissingExtra
from replay.heatmap import Heatmap
from replay.levels import Levels
from replay.render.axes import (
    IN_SIGHT,
    Columns,
    columns_of,
    in_sight,
    newest_spot,
    spot_steps,
    spread,
    strike_edges,
    time_ticks,
    with_path,
)
from replay.render.caption import facts, heading, levels_moment, nothing_text, span_text
from replay.render.lines import Line, lines_of
from replay.render.scale import Scale, scale_of
from replay.sessions import MINUTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES: Final = (12.8, 7.6)
_DPI: Final = 120
_PLOT: Final = (0.06, 0.195, 0.755, 0.685)  # left, bottom, width, height, in parts of the picture
_BAR: Final = (0.06, 0.085, 0.755, 0.018)
_LABEL_PART: Final = 0.033  # of the plot's height, from label to label
_GREY: Final = "#d9dce1"
_INK: Final = "#1c2430"
_FAINT: Final = "#56606e"
_DASHES: Final = {"solid": "-", "dash": "--", "dashdot": "-.", "dot": ":"}
DRAWING: Final = threading.Lock()  # matplotlib's settings and fonts belong to the whole process


def heatmap_png(heatmap: Heatmap, levels: Levels | None) -> bytes:
    """A heatmap as a picture: New York time across, strikes around spot up, the spot's path and the levels over it.

    Returns
    -------
    A PNG of 1536 x 912 pixels, the same bytes for the same heatmap, levels and matplotlib.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("a PNG picture", "plot") from None
    with DRAWING, style.context("default"):
        figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        if heatmap.levels.size:
            _draw(figure, heatmap, levels)
        else:
            figure.text(0.5, 0.5, nothing_text(heatmap), ha="center", va="center", color=_INK, wrap=True)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw(figure: Figure, heatmap: Heatmap, levels: Levels | None) -> None:
    columns, scale, spot = columns_of(heatmap), scale_of(heatmap), newest_spot(heatmap, levels)
    shown = with_path(heatmap, in_sight(heatmap, spot, IN_SIGHT))
    left = _PLOT[0]
    figure.text(left, 0.955, heading(heatmap), color=_INK, fontsize=15, fontweight="bold", va="center")
    words = [span_text(heatmap), *facts(heatmap)]
    figure.text(left, 0.915, "  ·  ".join(words), color=_FAINT, fontsize=9.5, va="center")
    axes = figure.add_axes(_PLOT, facecolor=_GREY)
    _draw_cells(figure, axes, heatmap, columns, scale)
    edges = strike_edges(heatmap.strikes)
    axes.set_ylim(edges[shown.start], edges[shown.stop])
    times, path = spot_steps(columns)
    minutes = (np.array(times) - columns.starts[0]) / MINUTE
    axes.plot(minutes, path, color="white", linewidth=3.6, solid_capstyle="butt")
    axes.plot(minutes, path, color="black", linewidth=1.6, solid_capstyle="butt")
    _draw_lines(axes, lines_of(levels, spot))
    hidden = (len(heatmap.strikes) - shown.stop, shown.start)
    figure.text(left, 0.022, _footnote(columns, scale, levels, hidden), color=_FAINT, fontsize=8.5, va="center")


def _draw_cells(figure: Figure, axes: Axes, heatmap: Heatmap, columns: Columns, scale: Scale) -> None:
    """Cells as wide as their bars, the time axis, and the scale under it."""
    from matplotlib.colors import LinearSegmentedColormap

    first = int(columns.starts[0])
    colours = LinearSegmentedColormap.from_list(
        "stops", [(r / 255, g / 255, b / 255) for r, g, b in scale.stops], N=511
    )
    mesh = axes.pcolormesh(
        np.append(columns.starts - first, columns.end - first) / MINUTE,
        strike_edges(heatmap.strikes),
        np.ma.masked_invalid(columns.values.T),
        cmap=colours,
        vmin=scale.low,
        vmax=scale.high,
        shading="flat",
        rasterized=True,
    )
    ticks = time_ticks(first, columns.end + 1, (columns.end - first) // 12)
    axes.set_xticks([(us - first) / MINUTE for us, _ in ticks], [text for _, text in ticks])
    axes.set_xlim(0, (columns.end - first) / MINUTE)
    axes.set_xlabel("New York time", color=_FAINT, fontsize=9.5)
    axes.set_ylabel("strike, USD", color=_FAINT, fontsize=9.5)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.tick_params(labelsize=9.5, colors=_INK, color=_FAINT)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(mesh, cax=figure.add_axes(_BAR), orientation="horizontal")
    bar.set_ticks([at for at, _ in scale.ticks()], labels=[text for _, text in scale.ticks()])
    bar.ax.tick_params(labelsize=9, colors=_INK, color=_FAINT)
    bar.ax.set_title(f"{heatmap.metric}, {heatmap.unit}", fontsize=9.5, color=_INK, pad=4)
    bar.outline.set_visible(False)


def _draw_lines(axes: Axes, lines: list[Line]) -> None:
    """Levels as lines, and their labels on the right; of those out of sight the label alone, with an arrow."""
    low, high = axes.get_ylim()
    parts = [min(max((line.price - low) / (high - low), 0.0), 1.0) for line in lines]
    for line, part, label_part in zip(lines, parts, spread(parts, _LABEL_PART), strict=True):
        inside = low <= line.price <= high
        if line.dash and inside:
            axes.axhline(line.price, color="white", alpha=0.6, linewidth=2.8)
            axes.axhline(line.price, color=line.colour, linewidth=1.4, linestyle=_DASHES[line.dash])
        arrow = "" if inside else " ↑" if part else " ↓"
        axes.text(
            1.008,
            label_part,
            line.label + arrow,
            transform=axes.transAxes,
            color=line.colour,
            fontsize=9.5,
            va="center",
            clip_on=False,
        )


def _footnote(columns: Columns, scale: Scale, levels: Levels | None, hidden: tuple[int, int]) -> str:
    parts = [f"Colours: {scale.sentence()}"]
    if scale.skips_first:
        parts.append("the first bar is the level itself")
    parts.append("grey: not sampled" + ("" if columns.filled.all() else " or no bar"))
    if levels is not None and levels.ts is not None:
        parts.append(f"levels at {levels_moment(levels)}")
    if any(hidden):
        parts.append(f"{hidden[0]} more strikes above, {hidden[1]} below")
    return "  ·  ".join(parts)
