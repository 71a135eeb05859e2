"""A data-quality report as a PNG picture: scores, penalties by check, and where in each session the faults lie."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from replay.errors import MissingExtra
from replay.quality.kinds import KINDS
from replay.quality.report import QualityReport, SessionQuality, Span, score_text
from replay.render.png import DRAWING
from replay.sessions import MINUTE, NEW_YORK, from_us

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]
"""Left, top, width and height."""

MOST_SESSIONS: Final = 150
"""Of more, those with the lowest scores are drawn."""

_DPI: Final = 120
_WIDTH: Final = 14.4  # inches, as all below
_TOP: Final = 1.75
_BOTTOM: Final = 0.7
_ROW: Final = (0.105, 0.30)  # of many sessions, of few
_TALLEST: Final = 12.0  # of the rows of many sessions together
_SCORE: Final = (0.072, 0.085)  # left and width, in parts of the picture
_MATRIX: Final = (0.170, 0.370)
_STRIP: Final = (0.553, 0.432)
_INK: Final = "#1c2430"
_FAINT: Final = "#56606e"
_CLEAN: Final = "#eef3ee"
_UNSCORED: Final = "#d5e3f2"
_HATCH: Final = "#c9ced6"
_COVERED: Final = "#dfeae4"
_GAP: Final = "#2b313b"
_REDS: Final = ("#fde3b5", "#f9a65a", "#dd4a2f", "#7d0a1c")
_WORST: Final = 30.0  # points, the deepest red
_MOST_NUMBERS: Final = 45  # sessions, beyond which penalties are not written into their cells
_LANES: Final = (
    ("when known", "#2f6fb0", ("late", "skew", "bulk", "instant")),
    ("old data again", "#7b3fa0", ("repeated", "unchanged", "previous_session")),
    ("quotes", "#cf3a2b", ("no_quote", "one_sided", "crossed", "locked", "parity", "spot_parity")),
    (
        "the rest",
        "#d98a00",
        (
            "legacy",
            "unsound",
            "zero_vol",
            "unknown_vol",
            "unknown_exposure",
            "volume_falls",
            "oi_moves",
            "flow_holes",
            "strike_holes",
        ),
    ),
)
_EDGE: Final = MINUTE // 2
"""By so much a gap is drawn shorter at its ends, so that a lone snapshot between two is seen."""
_LEAST_WIDTH: Final = 1.2  # minutes, so that a single snapshot is seen


def quality_png(report: QualityReport) -> bytes:
    """A report as a picture: a session a row; its score, its penalties by check, and its faults from open to close.

    Returns
    -------
    A PNG 1728 pixels wide, the same bytes for the same report and matplotlib.

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
    sessions = _shown(report)
    row = min(_ROW[1], max(_ROW[0], _TALLEST / len(sessions))) if sessions else _ROW[1]
    height = _TOP + row * max(1, len(sessions)) + _BOTTOM
    with DRAWING, style.context("default"):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        _write(figure, report, len(sessions))
        if sessions:
            _draw(figure, sessions, row)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _shown(report: QualityReport) -> list[SessionQuality]:
    """The sessions to draw, by date."""
    worst = sorted(report.sessions, key=lambda each: (-1.0 if each.score is None else each.score, each.date))
    return sorted(worst[:MOST_SESSIONS], key=lambda each: each.date)


def _write(figure: Figure, report: QualityReport, shown: int) -> None:
    """Heading and what is not drawn."""
    height = figure.get_figheight()
    span = f"  {report.start} to {report.end}" if report.start else ""
    figure.text(
        0.012, 1 - 0.28 / height, f"{report.symbol} data quality{span}",
        color=_INK, fontsize=15, fontweight="bold", va="center",
    )  # fmt: skip
    scores = [each.score for each in report.sessions if each.score is not None]
    words = [f"{len(report):,} sessions" if len(report) != 1 else "1 session"]
    if shown < len(report):
        words.append(f"the {shown} with the lowest scores are drawn")
    if scores:
        low, middle, high = (score_text(float(each)) for each in (min(scores), np.median(scores), max(scores)))
        words.append(f"score {low} to {high}, median {middle}" if len(scores) > 1 else f"score {low}")
    if report.missing:
        words.append(f"nothing stored of {len(report.missing):,} sessions of the exchange")
    figure.text(0.012, 1 - 0.56 / height, "  ·  ".join(words), color=_FAINT, fontsize=9.5, va="center")


def _draw(figure: Figure, sessions: list[SessionQuality], row: float) -> None:
    from matplotlib.patches import Patch

    height = figure.get_figheight()
    bottom, tall = _BOTTOM / height, row * len(sessions) / height

    def panel(place: tuple[float, float]) -> Axes:
        axes = figure.add_axes((place[0], bottom, place[1], tall))
        axes.set_ylim(len(sessions) - 0.5, -0.5)
        axes.tick_params(length=0, colors=_INK, labelsize=8.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    score = panel(_SCORE)
    _draw_scores(score, sessions, row)
    matrix = panel(_MATRIX)
    _draw_matrix(matrix, sessions, row)
    strip = panel(_STRIP)
    _draw_strips(strip, sessions)
    for axes in (matrix, strip):
        axes.set_yticks([])
    patches = [
        Patch(facecolor=_CLEAN, label="nothing found"),
        Patch(facecolor=_UNSCORED, label="found, not scored"),
        Patch(facecolor="white", edgecolor=_HATCH, hatch="////", label="not checked"),
        *(
            Patch(facecolor=colour, label=text)
            for colour, text in zip(_REDS, ("-0.1", "-3", "-12", "-30"), strict=True)
        ),
    ]
    strips = [Patch(facecolor=_COVERED, label="sampled"), Patch(facecolor=_GAP, label="gap")]
    strips += [Patch(facecolor=colour, label=name) for name, colour, _ in _LANES]
    for place, handles in ((_MATRIX, patches), (_STRIP, strips)):
        figure.legend(
            handles=handles, loc="center", bbox_to_anchor=(place[0], 0.1 / height, place[1], 0.4 / height),
            ncols=len(handles), frameon=False, fontsize=8, handlelength=1.1, columnspacing=1.0, handletextpad=0.4,
        )  # fmt: skip


def _rectangles(axes: Axes, boxes: list[Box], colours: list[Any], hatch: str | None = None) -> None:
    """Boxes without outline, drawn at once: one colour each, or one for all."""
    from matplotlib.collections import PolyCollection

    corners = [[(x, y), (x + w, y), (x + w, y + h), (x, y + h)] for x, y, w, h in boxes]
    axes.add_collection(
        PolyCollection(corners, facecolors=colours, edgecolors=_HATCH, linewidths=0, hatch=hatch), autolim=False
    )


def _draw_scores(axes: Axes, sessions: list[SessionQuality], row: float) -> None:
    """Dates and bars to 100."""
    every = max(1, int(np.ceil(0.135 / row)))
    rows = range(0, len(sessions), every)
    axes.set_yticks(list(rows), [str(sessions[i].date) for i in rows])
    axes.set_xlim(0, 100)
    axes.set_xticks([])
    _rectangles(axes, [(0.0, i - 0.36, 100.0, 0.72) for i in range(len(sessions))], ["#eceff3"])
    scored = [(i, each.score) for i, each in enumerate(sessions) if each.score is not None]
    bars = [(0.0, i - 0.36, score, 0.72) for i, score in scored]
    _rectangles(axes, bars, [_score_colour(score) for _, score in scored])
    for i in rows:
        score = sessions[i].score
        text = "not readable" if score is None else score_text(score)
        axes.text(4, i, text, va="center", fontsize=8 if row > 0.15 else 7, color=_INK)
    axes.set_title("score", fontsize=9.5, color=_INK, pad=6)


def _score_colour(score: float) -> str:
    """Green from 95 on, amber from 80 on, red below."""
    return "#a9d5b5" if score >= 95 else "#f6d08a" if score >= 80 else "#eda49a"


def _draw_matrix(axes: Axes, sessions: list[SessionQuality], row: float) -> None:
    """Sessions by checks: the deeper the red the larger the penalty."""
    from matplotlib.colors import LinearSegmentedColormap

    reds = LinearSegmentedColormap.from_list("reds", list(_REDS))
    checked: list[Box] = []
    unchecked: list[Box] = []
    colours: list[Any] = []
    for i, session in enumerate(sessions):
        by_id = {check.kind.id: check for check in session.checks}
        for j, kind in enumerate(KINDS):
            check, box = by_id.get(kind.id), (j - 0.46, i - 0.44, 0.92, 0.88)
            if check is None or check.number is None:
                unchecked.append(box)
                continue
            points = check.penalty / 100
            part = float(np.sqrt(min(points / _WORST, 1.0)))
            checked.append(box)
            colours.append(reds(part) if points else _UNSCORED if check.number else _CLEAN)
            if points and len(sessions) <= _MOST_NUMBERS:
                ink = "white" if part > 0.55 else _INK
                text = f"{points:.0f}" if points >= 9.5 else f"{points:.1f}"
                axes.text(j, i, text, ha="center", va="center", fontsize=7.5 if row > 0.2 else 6, color=ink)
    _rectangles(axes, checked, colours)
    _rectangles(axes, unchecked, ["white"], "////")
    axes.set_xlim(-0.5, len(KINDS) - 0.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(KINDS)), [kind.id.replace("_", " ") for kind in KINDS])
    for label in axes.get_xticklabels():
        label.set(rotation=48, ha="left", rotation_mode="anchor", fontsize=8)


def _draw_strips(axes: Axes, sessions: list[SessionQuality]) -> None:
    """Each session from open to close: gaps through, faults in lanes by what they are of."""
    lane = 0.84 / len(_LANES)
    covered: list[Box] = []
    gaps: list[Box] = []
    faults: list[list[Box]] = [[] for _ in _LANES]
    for i, session in enumerate(sessions):
        covered.append((0.0, i - 0.42, (session.closes - session.opens) / MINUTE, 0.84))
        by_id = {check.kind.id: check for check in session.checks}
        if "gaps" in by_id:
            spans = [(start + _EDGE, end - _EDGE) for start, end in by_id["gaps"].spans]
            gaps += [(start, i - 0.42, width, 0.84) for start, width in _bars(session, spans, 0.0)]
        for number, (_, _, ids) in enumerate(_LANES):
            spans = [span for each in ids if each in by_id and by_id[each].penalty for span in by_id[each].spans]
            top = i - 0.42 + number * lane
            faults[number] += [(start, top, width, lane) for start, width in _bars(session, spans, _LEAST_WIDTH)]
    _rectangles(axes, covered, [_COVERED])
    _rectangles(axes, gaps, [_GAP])
    for boxes, (_, colour, _) in zip(faults, _LANES, strict=True):
        _rectangles(axes, boxes, [colour])
    longest = max(1.0, *(width for _, _, width, _ in covered))
    axes.set_xlim(0, longest)
    axes.xaxis.tick_top()
    opens = next((each.opens for each in sessions if each.opens), 0)
    first = from_us(opens).astimezone(NEW_YORK)
    start = first.hour * 60 + first.minute
    hours = [hour for hour in range(24) if start <= hour * 60 <= start + longest]
    axes.set_xticks([hour * 60 - start for hour in hours], [f"{hour:02d}:00" for hour in hours])
    for hour in hours:
        axes.axvline(hour * 60 - start, color="white", linewidth=0.8, alpha=0.7)
    axes.set_title("where in the session (New York)", fontsize=9.5, color=_INK, pad=20)


def _bars(session: SessionQuality, spans: Sequence[Span], least: float) -> list[tuple[float, float]]:
    """Starts and widths in minutes after the open; what lies outside the session is cut."""
    length = (session.closes - session.opens) / MINUTE
    bars = []
    for start, end in spans:
        first, last = (start - session.opens) / MINUTE, (end - session.opens) / MINUTE
        middle, half = (first + last) / 2, max(last - first, least) / 2
        low, high = max(middle - half, 0.0), min(middle + half, length)
        if high > low:
            bars.append((low, high - low))
    return bars
