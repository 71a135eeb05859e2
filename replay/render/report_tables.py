"""The tables of a report on a run, as HTML."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from replay.render.amounts import BESIDE, KINDS, NONE, OWN, interval_text, some, text_of, usd
from replay.render.scale import Scale
from replay.results.comparison import Compared
from replay.results.drawn import Session
from replay.results.flags import Flag
from replay.results.report import Report
from replay.results.traded import column

MOST_ROWS: Final = 300
"""Sessions and trades that are listed; of more the last."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri")
_WEEKS: Final = 26  # side by side
_FEW_WEEKS: Final = 8  # in which amounts are written into the cells
_SIGNS: Final = {"red": ("✖", "red flag"), "amber": ("▲", "look"), "clear": ("✓", "clear")}


def escaped(text: Any) -> str:
    """Text that may stand in HTML."""
    return html.escape(str(text))


def _sentence(text: str) -> str:
    """The same, with dates that do not break over lines."""
    return _DATE.sub(r'<span class="date">\g<0></span>', escaped(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "") -> str:
    """A table whose first column names the rows; cells are HTML already."""
    top = "".join(f'<th scope="col">{each}</th>' for each in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<table class="{kind}"><caption>{escaped(caption)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def settlements_table(found: Report) -> str:
    """The last sessions that held contracts into the close, and what became of those."""
    rows = found.settlements.tail(MOST_ROWS)
    cells = [
        [
            f'<span class="date">{row["session"]}</span>', usd(row["settlement"]),
            escaped(row["settlement_source"] if row["settlement"] is not None else row["unsettled_because"]),
            f"{row['open_contracts']:,}", usd(row["settlement_value"]) if row["settlement"] is not None else NONE,
            f"{row['assigned_shares']:,}", f"{row['pin_contracts']:,}",
        ]
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    left = len(found.settlements) - len(rows)
    caption = "Contracts held into the close" + (f"; the last {MOST_ROWS} sessions, {left} before them" if left else "")
    return table(["session", "price", "from", "contracts", "paid", "shares", "at the pin"], cells, caption, "num")


def folded(summary: str, content: str) -> str:
    """What is opened by a click, and is not printed unless it is open."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"


def flag_list(flags: Sequence[Flag]) -> str:
    """The raised flags as boxes, the clear ones in a list beneath."""
    raised = [flag for flag in flags if flag.severity != "clear"]
    clear = [flag for flag in flags if flag.severity == "clear"]
    boxes = "".join(
        f'<li class="{flag.severity}"><strong><span aria-hidden="true">{_SIGNS[flag.severity][0]}</span> '
        f'{escaped(flag.title)}</strong> <span class="badge">{_SIGNS[flag.severity][1]}</span>'
        f"<p>{_sentence(flag.says)}</p><p><em>{escaped(flag.advice)}</em></p></li>"
        for flag in raised
    )
    rest = "".join(f"<li>✓ <strong>{escaped(flag.title)}.</strong> {_sentence(flag.says)}</li>" for flag in clear)
    head = f'<ul class="flags">{boxes}</ul>' if raised else "<p>None is raised.</p>"
    return head + (f'<h3>Checked and clear</h3><ul class="clear">{rest}</ul>' if clear else "")


def ways_table(report: Report) -> str:
    """Profit as filled, and the same trades at mid, touch and worst, side by side."""
    measures = ("total", "mean", "win_rate", "profit_factor", "sharpe", "cvar")
    rows: list[list[str]] = []
    for name in measures:
        kind = KINDS[name]
        rows.append([escaped(kind.name), *(text_of(getattr(each, name), kind.unit) for each in report.ways.values())])
        if name == "mean":
            found = [interval_text(each[name], kind.unit) for each in report.ways_intervals.values()]
            rows.append(["95 % of the mean", *found])
    return table(["", *(OWN[way] for way in report.ways)], rows, "USD after fees, over the settled sessions", "num")


def metrics_table(report: Report) -> str:
    """Each metric with its interval and what it is."""
    rows = []
    for name, kind in KINDS.items():
        value = text_of(getattr(report.metrics, name), kind.unit)
        note = f"<small>{escaped(kind.means)}</small>" if kind.means else ""
        rows.append([f"{escaped(kind.name)}{note}", value, interval_text(report.intervals[name], kind.unit)])
    return table(["by session", "USD or ratio", "95 % interval"], rows, "Metrics by session", "num")


def activity_table(report: Report) -> str:
    """What has no interval: by trade, exposure, fees, turnover, drawdown."""
    found, metrics = report.activity, report.metrics
    unknown = f", {found.unsettled_trades} of them not settled" if found.unsettled_trades else ""
    share = f", {found.fees_share:.0%} of the profit before them" if found.fees_share else ""
    rows: list[tuple[str, str, str]] = [
        ("Trades", f"{found.trades:,}{unknown}", ""),
        ("Win rate by trade", text_of(found.win_rate, "share"), ""),
        ("Profit factor by trade", text_of(found.profit_factor, "ratio"), ""),
        ("Average win", usd(found.average_win), "USD a trade"),
        ("Average loss", usd(found.average_loss), "USD a trade"),
        ("Win over loss", text_of(found.payoff, "ratio"), "average win over the size of the average loss"),
        ("Best and worst session", f"{usd(metrics.best)} and {usd(metrics.worst)}", "USD"),
        ("Drawdown lasts", some(metrics.drawdown_sessions, "session"), "from its peak until that is reached again"),
        ("Drawdown tick by tick", usd(found.tick_drawdown), "USD, positions at mid"),
        ("Return", f"{found.total_return:.2%}", "total over the capital"),
        ("Deflated Sharpe", _three(report.deflated), f"{some(report.traded.trials, 'parameter set')} tried"),
        ("Exposure", text_of(found.exposure, "share"), "of all ticks with open contracts"),
        ("Buying power", usd(found.requirement), "USD, the most that was asked for"),
        ("Contracts", f"{found.contracts:,}", "traded, legs counted"),
        ("Turnover", usd(found.turnover), "USD of premium"),
        ("Fees", usd(found.fees), f"USD{share}"),
    ]  # fmt: skip
    cells = ([f"{escaped(a)}{f'<small>{escaped(c)}</small>' if c else ''}", escaped(b)] for a, b, c in rows)
    return table(["", ""], cells, "Trades, exposure, costs", "num")


def compared_tables(report: Report) -> str:
    """Metrics of the runs in columns, a few beside the run at a time, and the run less each of them."""
    every = report.compared
    return "".join(_compared(report, every[start : start + BESIDE]) for start in range(0, len(every), BESIDE))


def _compared(report: Report, beside: Sequence[Compared]) -> str:
    measured = [report.metrics, *(each.metrics for each in beside)]
    rows = [
        [escaped(kind.name), *(text_of(getattr(each, name), kind.unit) for each in measured)]
        for name, kind in KINDS.items()
    ]
    acts = [report.activity, *(each.activity for each in beside)]
    runs = [report.traded.run, *(each.traded.run for each in beside)]
    rows += [["Of", *(escaped(", ".join(run["symbols"])) for run in runs)]]
    rows += [["Fills", *(escaped(run["terms"]["fill"]) for run in runs)]]
    rows += [["Sessions settled", *(f"{each.sessions:,}" for each in measured)]]
    rows += [["Trades", *(f"{each.trades:,}" for each in acts)], ["Fees", *(usd(each.fees) for each in acts)]]
    pairs = [each.paired for each in beside]
    rows += [
        [f"{escaped(report.traded.name)} less it, mean a session", NONE, *(usd(each.mean) for each in pairs)],
        ["95 % of that", NONE, *(interval_text(each.interval, "usd") for each in pairs)],
        ["better in sessions", NONE, *(f"{each.better} of {each.sessions}" for each in pairs)],
    ]
    names = [report.traded.name, *(each.name for each in beside)]
    return table(["", *map(escaped, names)], rows, "Runs side by side, USD after fees", "num")


def calendar(days: pl.DataFrame) -> str:
    """Profit as colours, weekdays down and weeks across, in blocks of half a year."""
    if not len(days):
        return ""
    profit = column(days, "profit")
    sizes = np.abs(profit[np.isfinite(profit) & (profit != 0)])
    scale = Scale(float(sizes.max()) if len(sizes) else 0.0, signed=True, skips_first=False)
    first, last = days["monday"][0], days["monday"][-1]
    weeks = [first + dt.timedelta(weeks=i) for i in range((last - first).days // 7 + 1)]
    known = {(row[1], row[2]): row for row in days.select("session", "monday", "weekday", "profit").iter_rows()}
    few = len(weeks) <= _FEW_WEEKS
    blocks = []
    for start in range(0, len(weeks), _WEEKS):
        block = weeks[start : start + _WEEKS]
        step = 1 if few else max(1, len(block) // 6)
        head = "".join(
            f'<th scope="col">{week:%m-%d}</th>' if i % step == 0 else f'<th scope="col"><i>{week:%m-%d}</i></th>'
            for i, week in enumerate(block)
        )
        body = "".join(
            f'<tr><th scope="row">{name}</th>'
            + "".join(_day(known.get((week, day)), scale, few=few) for week in block)
            + "</tr>"
            for day, name in enumerate(_DAYS)
        )
        about = f"Weeks from {block[0]} to {block[-1]}: profit by day, USD"
        kind = "calendar few" if few else "calendar"
        blocks.append(
            f'<table class="{kind}"><caption>{about}</caption>'
            f'<thead><tr><th scope="col"><i>week of</i></th>{head}</tr></thead><tbody>{body}</tbody></table>'
        )
    return "".join(blocks)


def _day(row: tuple[Any, ...] | None, scale: Scale, *, few: bool) -> str:
    if row is None:
        return "<td></td>"
    date, profit = row[0], row[3]
    if profit is None:
        return f'<td class="unknown" title="{date}: not settled">{"?" if few else "<i>not settled</i>"}</td>'
    red, green, blue = scale.colours(np.array(profit)).tolist()
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
    text = f"{profit:,.0f}" if few else f"<i>{profit:,.0f}</i>"
    style = f"background:rgb({red},{green},{blue});color:{'#fff' if dark else '#1c2430'}"
    return f'<td style="{style}" title="{date}: {usd(profit)} USD">{text}</td>'


def sessions_table(report: Report) -> str:
    """Each session's profit by how fills are priced."""
    rows = report.traded.sessions.tail(MOST_ROWS)
    cells = []
    for row in rows.iter_rows(named=True):
        told = "not settled" if not row["settled"] else usd(row["profit"])
        cells.append([str(row["session"]), told, usd(row["worst"]), f"{row['trades']}", f"{row['misses']}"])
    left = len(report.traded.sessions) - len(rows)
    about = f"The last {len(rows)} of {len(report.traded.sessions):,} sessions" if left else "All sessions"
    return table(["session", "USD", "at worst", "trades", "misses"], cells, about, "num")


def minutes_table(report: Report) -> str:
    """Profit by minutes before the close."""
    rows = [
        ["at the close" if end == 0 else f"{end} to {start}", usd(total), usd(mean), f"{sessions}"]
        for start, end, total, mean, sessions in report.minutes.iter_rows()
        if sessions
    ]
    return table(
        ["minutes before", "total", "a session", "sessions held"], rows, "Stretches with open contracts", "num"
    )


def pin_table(report: Report, unit: str) -> str:
    """Profit by how far from the pin it settled, in one of the units."""
    rows = [
        [f"{start:g} to {'any more' if end is None else f'below {end:g}'}", f"{count}", f"{wins}", usd(mean), usd(all_)]
        for start, end, count, wins, mean, all_ in report.pin_bins[unit].iter_rows()
    ]  # fmt: skip
    of = "USD" if unit == "distance" else "expected moves"
    return table([of, "trades", "wins", "a trade", "total"], rows, f"Settlement from the magnet, {of}", "num")


def weekdays_table(report: Report) -> str:
    """Profit by weekday."""
    rows = [
        [_DAYS[day], f"{sessions}", usd(mean), usd(total)] for day, sessions, mean, total in report.weekdays.iter_rows()
    ]
    return table(["", "sessions", "mean", "total"], rows, "Settled sessions by weekday, USD", "num")


def orders_table(report: Report) -> str:
    """What became of orders, with bars."""
    names = {"fill": "filled", "miss": "missed", "cancel": "cancelled", "expire": "expired", "reject": "rejected"}
    most = max(report.orders["orders"].to_list(), default=1)
    rows = [
        [
            names[event],
            escaped(what),
            f"{orders:,}",
            f"{times:,}",
            f'<span class="bar {event}" style="width:{100 * orders / most:.0f}%"></span>',
        ]
        for event, what, orders, times in report.orders.iter_rows()
    ]
    return table(["", "how, or why not", "orders", "times", ""], rows, "What became of the orders", "orders")


def trades_table(report: Report) -> str:
    """The round trips, one a row."""
    rows = report.traded.trades.tail(MOST_ROWS)
    cells = [
        [
            f"{row['session']}",
            f"{row['quantity']:+d} × {escaped(row['legs'])}",
            _held(row),
            usd(row["profit"]) if row["profit"] is not None else "not settled",
        ]
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    left = len(report.traded.trades) - len(rows)
    about = f"The last {len(rows)} of {len(report.traded.trades):,} trades" if left else "All trades"
    return table(["session", "combination", "held", "USD"], cells, about, "trades")


def drawn_caption(drawn: Session) -> str:
    """What a drawn session shows, in words."""
    trades = "; ".join(
        f"{row['quantity']:+d} × {row['legs']} at {row['price']:.2f}, {_held(row)}, "
        f"{'not settled' if row['profit'] is None else usd(row['profit']) + ' USD'}"
        for row in drawn.trades.iter_rows(named=True)
    )
    magnets = ", ".join(f"{each:g}" for each in sorted(set(drawn.trades["magnet"].drop_nulls().to_list())))
    settled = drawn.trades["settlement"].drop_nulls().to_list()
    ends = f" Settled at {settled[0]:g}." if settled else ""
    pin = f" Magnet when sent: {magnets}." if magnets else ""
    empty = "" if drawn.heatmap.levels.size else " The lake holds no heatmap of it."
    return f"{trades}.{pin}{ends}{empty}"


def _held(row: dict[str, Any]) -> str:
    """When a trade was opened and ended, New York."""
    return (
        f"{row['opened_at']:%H:%M} to {'the close' if row['exit'] != 'closed' else format(row['closed_at'], '%H:%M')}"
    )


def _three(share: float | None) -> str:
    return NONE if share is None else f"{int(share * 1000) / 1000:.3f}"
