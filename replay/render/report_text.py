"""The report on a run as text of 80 columns: flags first, then profit, metrics, what is not settled, other runs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from replay.render.amounts import BESIDE, KINDS, NONE, OWN, interval_text, some, text_of, usd
from replay.results.intervals import SAID
from replay.results.report import Report

WIDTH: Final = 80

_MARKS: Final = {"red": "RED FLAG", "amber": "LOOK"}
_LABEL: Final = 24


def report_text(report: Report) -> str:
    """The report; lines of at most :data:`WIDTH` characters."""
    return "\n".join(
        [*_flags(report), "", *_ways(report), "", *_metrics(report), *_unsettled(report), *_compared(report), ""]
    )


def _flags(report: Report) -> list[str]:
    lines = [line for flag in report.raised for line in _wrapped(f"{_MARKS[flag.severity]}  {flag.title}: {flag.says}")]
    clear = [flag.title.lower() for flag in report.flags if flag.severity == "clear"]
    return [*lines, *(_wrapped(f"clear  {', '.join(clear)}") if clear else [])]


def _ways(report: Report) -> list[str]:
    rows = [["USD after fees", *(OWN[way] for way in report.ways)]]
    for name in ("total", "mean", "win_rate"):
        kind = KINDS[name]
        rows.append([kind.name, *(text_of(getattr(each, name), kind.unit) for each in report.ways.values())])
    return [_row(row, 14) for row in rows]


def _metrics(report: Report) -> list[str]:
    lines = [_row(["by session", "", "95 % interval"], 14, 28)]
    for name, kind in KINDS.items():
        value = text_of(getattr(report.metrics, name), kind.unit)
        lines.append(_row([kind.name, value, interval_text(report.intervals[name], kind.unit)], 14, 28))
    found = report.activity
    lines += [
        _row(["Deflated Sharpe", NONE if report.deflated is None else f"{int(report.deflated * 1000) / 1000:.3f}"], 14),
        _row(["Exposure", text_of(found.exposure, "share")], 14),
        _row(["Turnover, fees", usd(found.turnover), usd(found.fees)], 14),
        *_wrapped(f"Sharpe and Sortino {KINDS['sharpe'].means}. Intervals: {SAID}; seed {report.traded.seed}."),
    ]
    return lines


def _unsettled(report: Report) -> list[str]:
    dates = report.traded.unsettled
    if not dates:
        return []
    return _wrapped(f"not settled, in none of the numbers: {', '.join(map(str, dates))}")


def _compared(report: Report) -> list[str]:
    lines: list[str] = []
    for start in range(0, len(report.compared), BESIDE):
        beside = report.compared[start : start + BESIDE]
        names = [report.traded.name, *(each.name for each in beside)]
        every = [report.metrics, *(each.metrics for each in beside)]
        lines += ["", _row(["side by side", *(name[:13] for name in names)], 14)]
        for name, kind in KINDS.items():
            lines.append(_row([kind.name, *(text_of(getattr(each, name), kind.unit) for each in every)], 14))
        for other in beside:
            pair = other.paired
            lines += _wrapped(
                f"{report.traded.name} less {other.name}: {usd(pair.mean)} USD a session "
                f"(95 % {interval_text(pair.interval, 'usd')}), better in {pair.better} of "
                f"{some(pair.sessions, 'session')} that both settled"
            )
    return lines


def _row(cells: Sequence[str], *widths: int) -> str:
    """A label and right-aligned values."""
    sizes = [*widths, *[widths[-1]] * (len(cells) - 1 - len(widths))]
    values = "".join(f"{cell:>{size}}" for cell, size in zip(cells[1:], sizes, strict=False))
    return f"{cells[0]:<{_LABEL}}{values}".rstrip()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
