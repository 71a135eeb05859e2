"""A sweep as text in 80 columns: its best sets, what was chosen in a walk-forward, and how to read it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from replay.render.amounts import KINDS, some, text_of
from replay.results.flags import SIGNIFICANT
from replay.sweeps.metrics import column_name
from replay.sweeps.result import Sweep
from replay.tables import text_table

WIDTH: Final = 80
_SETS: Final = 20
_WINDOWS: Final = 12
_NAMES: Final = {
    "trades": "trades", "total": "total", "mean": "mean", "median": "median", "win_rate": "win", "profit_factor": "PF",
    "sharpe": "Sharpe", "sortino": "Sortino", "max_drawdown": "drawdown", "fees": "fees", "unsettled": "unsettled",
    "mid": "mid", "touch": "touch", "worst": "worst",
}  # fmt: skip
"""Columns of a table of sets, those that matter most first but for the metric asked for, which leads."""
_COUNTS: Final = ("trades", "unsettled", "sessions")


def sweep_text(sweep: Sweep) -> str:
    """What ran and what was found, each line at most 80 characters."""
    told = sweep.told
    text = "\n".join(wrapped(line) for line in (heading(sweep), *data_lines(sweep))) + "\n\n"
    if not sweep.traded:
        return text + "no set sent an order\n"
    ranked = sweep.ranked().head(_SETS).to_dicts()
    header, rows = set_table(sweep, ranked, WIDTH)
    text += text_table(header, rows, [True] * len(header))
    if sweep.trials > len(rows):
        text += f"… and {sweep.trials - len(rows):,} more sets (--format csv gives all)\n"
    text += "\n" + "\n".join(wrapped(line) for line in best_lines(sweep)) + "\n"
    if told["walk_forward"] is not None:
        text += "\n" + _walk_text(sweep)
    return text


def heading(sweep: Sweep) -> str:
    """Strategy, symbols, sets, sessions."""
    told = sweep.told
    dates = told["dates"]
    return (
        f"{told['strategy']['name']} on {', '.join(told['symbols'])}: {some(sweep.trials, 'set')} x "
        f"{some(len(dates), 'session')}, "
        f"{dates[0]} to {dates[-1]}, the best by {told['metric']} first"
    )


def data_lines(sweep: Sweep) -> list[str]:
    """Every kind of missing data."""
    told = sweep.told
    own = [(each["date"], symbol) for each in told["sessions"] for symbol in each["symbols"].values()]
    lines = []
    gaps, stale = sum(len(each["gaps"]) for _, each in own), sum(each["stale_ticks"] for _, each in own)
    if gaps or stale:
        gapped = len({date for date, each in own if each["gaps"]})
        lines.append(f"gaps ({told['gaps']}): {gaps} in {some(gapped, 'session')}, {stale:,} stale ticks")
    if told["missing_sessions"]:
        lines.append(f"not in the lake: {_dates(told['missing_sessions'])} of the exchange")
    unsettled = sweep.by_session().filter(~_column("settled"))
    if len(unsettled):
        named = [str(date) for date in unsettled["session"].unique().sort()]
        of = some(unsettled["set"].n_unique(), "set")
        lines.append(f"not settled, and left out of every sum: {_dates(named)}, of {of}")
    return lines


def set_table(
    sweep: Sweep, rows: Sequence[Mapping[str, Any]], width: int | None
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows of sets: number, parameters, and the metrics that fit into so many columns (``None``: all)."""
    metric = sweep.told["metric"]
    columns = [("set", [str(row["set"]) for row in rows])]
    columns += [(name, [value_text(row[column_name(name)]) for row in rows]) for name in sweep.told["grid"]]
    for name in (metric, *(each for each in _NAMES if each != metric)):
        columns.append((_NAMES[name], [metric_text(name, row[name]) for row in rows]))
    kept: list[tuple[str, list[str]]] = []
    used, least = -2, len(sweep.told["grid"]) + 2
    for name, cells in columns:
        used += 2 + max([len(name), *map(len, cells)])
        if width is not None and used > width and len(kept) >= least:
            break
        kept.append((name, cells))
    return [name for name, _ in kept], list(zip(*(cells for _, cells in kept), strict=True))


def best_lines(sweep: Sweep) -> list[str]:
    """The best set, how far luck explains it, and how to run it alone."""
    told, best = sweep.told, sweep.best
    metric = told["metric"]
    lines = [
        f"best: set {best['set']}, {_pairs(_varied(sweep, best['parameters']))}: "
        f"{name_of(metric)} {metric_text(metric, best[metric])}"
    ]
    lines.append(_luck(sweep))
    parameters = " ".join(f"--param {name}={value}" for name, value in _varied(sweep, best["parameters"]).items())
    lines.append(f"to backtest it alone, beside the other options: {parameters} --trials {sweep.trials}")
    return lines


def window_table(sweep: Sweep) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows of the windows of a walk-forward."""
    metric = sweep.told["metric"]
    header = ["tested", "set", "chosen", f"{name_of(metric)} in", "out", *(["total out"] if metric != "total" else [])]
    rows: list[tuple[str, ...]] = [
        (
            f"{each['test'][0]} to {each['test'][1]}",
            str(each["set"]),
            _pairs(each["parameters"]),
            metric_text(metric, each["in_sample"][metric]),
            metric_text(metric, each["out_of_sample"][metric]),
            *([metric_text("total", each["out_of_sample"]["total"])] if metric != "total" else []),
        )
        for each in sweep.told["walk_forward"]["windows"]
    ]
    return header, rows


def walk_lines(sweep: Sweep) -> list[str]:
    """What a walk-forward came to out of sample, and the sessions that it left."""
    walked = sweep.told["walk_forward"]
    found = walked["out_of_sample"]
    lines = [
        f"walk-forward, {some(len(walked['windows']), 'window')} of {some(walked['train'], 'session')} to choose on "
        f"and {walked['test']} to test",
        f"out of sample, {found['sessions']} settled sessions: "
        + ", ".join(
            f"{name_of(name)} {metric_text(name, found[name])}"
            for name in ("total", "mean", "win_rate", "profit_factor", "sharpe", "max_drawdown", "trades", "unsettled")
        ),
    ]
    if walked["untested"]:
        lines.append(f"too few for another window, and not tested: {_dates(walked['untested'])}")
    return lines


def name_of(metric: str) -> str:
    """What a metric is called in a sentence."""
    return {"win_rate": "win rate", "profit_factor": "profit factor", "max_drawdown": "max drawdown"}.get(
        metric, _NAMES[metric]
    )


def metric_text(name: str, value: float | None) -> str:
    """A metric's value; a dash where it is not defined."""
    return text_of(value, "count" if name in _COUNTS else KINDS[name].unit if name in KINDS else "usd")


def value_text(value: object) -> str:
    """A parameter's value."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def wrapped(line: str) -> str:
    """A sentence in lines of at most 80 characters."""
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _luck(sweep: Sweep) -> str:
    """How likely the best set's edge is more than the best of so many shows by chance."""
    own, spread = sweep.best["deflated_sharpe"], sweep.best["deflated_sharpe_by_spread"]
    if own is None:
        return "its deflated Sharpe ratio is not defined: fewer than three settled sessions, or all the same"
    text = (
        f"deflated Sharpe ratio, the chance that its edge is above the luck of {some(sweep.trials, 'set')}: {own:.3f}"
    )
    if spread is not None:
        text += f"; {spread:.3f} by how far the sets' own ratios lie apart"
    low = min(own, own if spread is None else spread)
    return text + (f"; below {SIGNIFICANT}: take it as noise" if low < SIGNIFICANT else "")


def _walk_text(sweep: Sweep) -> str:
    lines = walk_lines(sweep)
    header, rows = window_table(sweep)
    shown = rows[-_WINDOWS:]
    text = wrapped(lines[0]) + "\n"
    if len(shown) < len(rows):
        text += f"the last {len(shown)} of {len(rows)} windows (sweep.json has all)\n"
    right = [False, True, False, *[True] * (len(header) - 3)]
    table = text_table(header, shown, right)
    if max(map(len, table.splitlines())) > WIDTH:  # the set's number tells its parameters
        table = text_table(header[:2] + header[3:], [(*row[:2], *row[3:]) for row in shown], right[:2] + right[3:])
    return text + table + "\n".join(wrapped(line) for line in lines[1:]) + "\n"


def _varied(sweep: Sweep, parameters: Mapping[str, Any]) -> dict[str, str]:
    return {name: value_text(parameters[name]) for name in sweep.told["grid"]}


def _pairs(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value_text(value)}" for name, value in parameters.items())


def _dates(dates: Sequence[str]) -> str:
    named = ", ".join(dates) if len(dates) < 3 else f"{dates[0]} to {dates[-1]}"
    return f"{some(len(dates), 'session')} ({named})"


def _column(name: str) -> Any:
    import polars as pl

    return pl.col(name)
