"""The report on a run as one page that needs no network, readable on a phone and printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from replay.render import report_charts as charts
from replay.render import report_tables as tables
from replay.render.amounts import NONE, some, usd
from replay.render.html import page, plotly_js
from replay.render.report_charts import Chart
from replay.render.report_tables import escaped
from replay.render.scale import scale_of
from replay.results.drawn import Lakes
from replay.results.intervals import SAID
from replay.results.report import Report, make_report
from replay.results.traded import Run

_STYLE: Final = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1120px; padding: 16px 20px 40px; color: #1c2430; background: #fff;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }
h1 { font-size: 24px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 34px 0 8px; padding-top: 10px; border-top: 2px solid #1c2430; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 4px 0; }
.quiet, caption, figcaption, small, footer { color: #4d5765; }
small { display: block; font-size: 12px; font-weight: 400; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 8px 32px;
  align-items: start; }
.grid > * { min-width: 0; }
ul { margin: 0; padding: 0; list-style: none; }
.flags { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 8px; }
.flags li { border: 1px solid #d7dce3; border-left: 6px solid; border-radius: 4px; padding: 7px 11px; }
.flags li.red { border-left-color: #b3261e; background: #fdf3f2; }
.flags li.amber { border-left-color: #c98a00; background: #fffaf0; }
.flags .badge { font-size: 12px; padding: 0 6px; border-radius: 9px; color: #fff; background: #8a5a00; }
.flags li.red .badge { background: #b3261e; }
.flags p { font-size: 14px; margin: 2px 0; overflow-wrap: anywhere; }
ul.clear li { font-size: 13px; margin: 2px 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-size: 13px; padding: 2px 0 4px; }
th, td { padding: 4px 6px; border-bottom: 1px solid #e3e7ec; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 500; }
thead th { font-size: 12px; color: #4d5765; }
table.num td, table.num thead th + th, .trades td:last-child { text-align: right; }
table.num td, .trades td:last-child { font-weight: 600; overflow-wrap: normal; }
table.num tbody th { overflow-wrap: normal; }
.trades tbody th { white-space: nowrap; }
.trades thead th:last-child { text-align: right; }
.date { white-space: nowrap; }
.orders :is(th, td):nth-child(n+3):nth-child(-n+4) { text-align: right; }
.orders td:last-child { width: 26%; }
.bar { display: inline-block; height: 10px; background: #2166ac; min-width: 2px; }
.bar.miss, .bar.expire, .bar.reject, .bar.cancel { background: #b35806; }
.calendar { table-layout: fixed; margin-bottom: 10px; }
.calendar th, .calendar td { padding: 0; height: 20px; border: 1px solid #fff; text-align: center; font-size: 10px;
  overflow: hidden; background: #f1f3f6; vertical-align: middle; }
.calendar th { background: #fff; overflow: visible; white-space: nowrap; overflow-wrap: normal; }
.calendar th:first-child { width: 38px; font-size: 12px; text-align: left; }
.calendar td.unknown { background: repeating-linear-gradient(45deg, #fff 0 3px, #c9ced6 3px 5px); }
.calendar.few td, .calendar.few th { height: 30px; font-size: 12px; }
.calendar i { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
figure { margin: 14px 0 0; min-width: 0; break-inside: avoid; }
figure h3 { margin: 0 0 2px; }
figcaption { font-size: 13px; overflow-wrap: anywhere; }
.chart { width: 100%; overflow: hidden; }
details { margin: 6px 0; font-size: 14px; }
summary { cursor: pointer; color: #1b5f93; }
footer { margin-top: 34px; font-size: 12px; overflow-wrap: anywhere; }
@media (max-width: 560px) {
  body { padding: 12px 12px 32px; }
  table { font-size: 12.5px; }
  th, td { padding: 4px 3px; }
  h1 { font-size: 21px; }
}
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 11px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .grid { display: block; }
  h2, h3 { break-after: avoid; }
  tr, .flags li, table:not(.trades) { break-inside: avoid; }
  table, .flags p, ul.clear li, .quiet, figcaption { font-size: 10px; }
  thead th, small, caption { font-size: 9px; }
  details:not([open]) { display: none; }
}
"""

# On paper a chart is as wide as the sheet, whatever it was on the screen.
_SCRIPT: Final = """
const charts = CHARTS;
const settings = {responsive: true, displayModeBar: false, displaylogo: false};
for (const chart of charts) Plotly.newPlot(chart.id, chart.data, chart.layout, settings);
const sized = size => charts.forEach(chart => Plotly.relayout(chart.id, size));
addEventListener("beforeprint", () => sized({width: 660}));
addEventListener("afterprint", () => sized({width: null, autosize: true}));
"""


def report(run: Run, lake: Lakes | None = None, *, compare: Sequence[Run] = ()) -> bytes:
    """A report on a run as a page: red flags first, then profit, metrics, charts and trades.

    Parameters
    ----------
    run
        A run's result, or the folder that it was written to; it is complete and sent orders.
    lake
        The lake that was run on, or where it lies: the trades are drawn over its heatmaps; ``None``: they are not.
    compare
        Runs to set beside it, such as one of ``coin``.

    Returns
    -------
    UTF-8, the same bytes for the same runs, lake and plotly.

    Raises
    ------
    InvalidRun
        Naming the folder or file that cannot be used.
    MissingExtra
        If plotly is not installed.
    """
    script = plotly_js()
    return report_html(make_report(run, lake=lake, compare_with=compare), script)


def report_html(found: Report, script: str | None = None) -> bytes:
    """The page of a report's numbers; ``script``: plotly's, if it is at hand."""
    script = plotly_js() if script is None else script
    own = found.traded
    name = own.strategy["name"]
    title = escaped(f"{name} on {', '.join(own.run['symbols'])}")
    figures = _Figures()
    body = [
        f"<main><h1>{title}</h1>",
        *(f'<p class="quiet">{escaped(line)}</p>' for line in _terms(found)),
        "<h2>Red flags</h2>",
        tables.flag_list(found.flags),
        "<h2>Profit by how fills are priced</h2>",
        tables.ways_table(found),
        f'<p class="quiet">{escaped(_WAYS_SAID)}{_unsettled(found)}</p>',
        "<h2>Metrics</h2>",
        f'<div class="grid">{tables.metrics_table(found)}{tables.activity_table(found)}</div>',
        f'<p class="quiet">{escaped(f"Intervals: {SAID}; seed {own.seed}. A dash: not defined.")}</p>',
        *_compared(found, figures),
        "<h2>Over time</h2>",
        _over_time(found, figures),
        "<h2>Where it was made</h2>",
        _where(found, figures),
        "<h2>Fills and misses</h2>",
        tables.orders_table(found),
        '<p class="quiet">Times counts attempts: an order may miss several times before it is filled or expires.</p>',
        *_settlement(found),
        "<h2>Trades</h2>",
        _trades(found, figures),
        f"</main><footer>{escaped(_footer(found))}</footer>",
        f"<script>{script}</script>",
        f"<script>{_SCRIPT.replace('CHARTS', figures.json())}</script>",
    ]
    return page(title, _STYLE, "\n".join(body))


_WAYS_SAID: Final = (
    "The same trades with every order that crossed filled at mid, at the touch, and at worst: the dearer touch of the "
    "filling snapshot and the next, a tick a leg worse."
)


class _Figures:
    """The charts of a page, each with its place in it."""

    def __init__(self) -> None:
        self._charts: list[dict[str, Any]] = []

    def add(self, title: str, chart: Chart, caption: str, more: str = "") -> str:
        """The figure's HTML: heading, place of the chart, what it shows in words, and a table behind it."""
        place, height = f"chart-{len(self._charts) + 1}", chart.layout["height"]
        drawn = ""
        if chart.data:
            self._charts.append({"id": place, "data": chart.data, "layout": chart.layout})
            drawn = (
                f'<div class="chart" id="{place}" role="img" aria-label="{escaped(f"{title}. {caption}")}" '
                f'style="height:{height}px"></div>'
            )
        return f"<figure><h3>{escaped(title)}</h3>{drawn}<figcaption>{escaped(caption)}</figcaption>{more}</figure>"

    def json(self) -> str:
        """All charts, as JSON that may stand in a script."""
        return orjson.dumps(self._charts, option=orjson.OPT_SERIALIZE_NUMPY).decode().replace("<", "\\u003c")


def _terms(found: Report) -> list[str]:
    run, terms = found.traded.run, found.traded.run["terms"]
    params = ", ".join(f"{key}={value}" for key, value in run["strategy"]["parameters"].items()) or "no parameters"
    fees = ", ".join(sorted({each["name"] for each in terms["fees"].values()})) or "none"
    settlement = terms["settlement"]["file"] or "the last spot at the close"
    stated = run.get("stated") or {}
    shown = (
        [f"{stated['basis']} open interest, share {stated['share']:g}"] if stated.get("basis") == "effective" else []
    )
    shown += [f"conventions {stated['conventions']}"] if stated.get("conventions") else []
    return [
        f"{some(len(run['dates']), 'session')}, {run['dates'][0]} to {run['dates'][-1]}; {params}",
        f"Fills {terms['fill']}, fees {fees}, slippage {some(terms['slippage_ticks'], 'tick')}, order latency "
        f"{terms['order_latency']}, data latency {run['latency']}, gaps {run['gaps']}; settlement: {settlement}; "
        f"capital {terms['capital']:,.0f} USD",
        *([f"Exposures on {', '.join(shown)}"] if shown else []),
    ]


def _unsettled(found: Report) -> str:
    dates = found.traded.unsettled
    if not dates:
        return ""
    return escaped(f" Not settled, and in none of the numbers: {', '.join(map(str, dates))}.")


def _settlement(found: Report) -> list[str]:
    if not len(found.settlements):
        return []
    return [
        "<h2>Settlement</h2>",
        tables.settlements_table(found),
        '<p class="quiet">Paid: what exercise and assignment made of the contracts, USD, below 0: cost. Shares that '
        "they leave, below 0: delivered. At the pin: within 0.1 % of the strike, where nobody knows beforehand whether "
        "they are exercised. Options that settle in cash leave no shares and no doubt.</p>",
    ]


def _compared(found: Report, figures: _Figures) -> list[str]:
    if not found.compared:
        return []
    gained = ", ".join(
        f"{name} {usd(curve['gained'][-1])}"
        for name, curve in zip([found.traded.name, *(each.name for each in found.compared)], found.curves, strict=True)
        if len(curve)
    )
    caption = f"Gained by the end, USD after fees: {gained}."
    return [
        "<h2>Beside other runs</h2>",
        tables.compared_tables(found),
        '<p class="quiet">Differences: of the sessions that both settled; the interval is drawn over the pairs.</p>',
        figures.add("Gained so far", charts.curves_chart(found), caption),
    ]


def _over_time(found: Report, figures: _Figures) -> str:
    metrics, ranges, unsettled = found.metrics, found.ranges, found.traded.unsettled
    low, high = ranges["equity"] or (None, None)
    equity = (
        f"From {found.traded.capital:,.0f} USD, between {usd(low)} and {usd(high)}, positions at mid; deepest drawdown "
        f"tick by tick {usd(found.activity.tick_drawdown)}, by session {usd(metrics.max_drawdown)} USD."
    )
    profit = (
        f"Best {usd(metrics.best)}, worst {usd(metrics.worst)}, median {usd(metrics.median)} USD"
        + (f"; diamonds: {some(len(unsettled), 'session')} not settled" if unsettled else "")
        + "."
    )
    greeks = "; ".join(
        f"{name} {each[0]:,.2f} to {each[1]:,.2f}" if (each := ranges[name]) else f"{name} not known"
        for name in ("delta", "gamma", "theta", "vega")
    )
    return (
        figures.add("Equity and drawdown", charts.equity_chart(found), equity)
        + figures.add(
            "Profit by session",
            charts.sessions_chart(found),
            profit,
            tables.folded("Sessions as a table", tables.sessions_table(found)),
        )
        + figures.add(
            "Greeks of the account",
            charts.greeks_chart(found),
            f"{greeks}. Shares, shares per USD, USD per calendar day, USD per vol point.",
        )
    )


def _where(found: Report, figures: _Figures) -> str:
    made = [
        figures.add(
            "By minutes before the close",
            charts.minutes_chart(found),
            "Mean profit a settled session, by quarters of an hour; the last bar is the last tick and the settlement.",
            tables.folded("Minutes as a table", tables.minutes_table(found)),
        )
    ]
    for unit, of in (("moves", "in expected moves"), ("distance", "in USD")):
        if not len(found.pin_bins[unit]):
            continue
        about = f"Each settled trade: how far the session settled from the magnet seen when it was sent, {of}."
        made.append(
            figures.add(
                f"By distance from the pin, {of}", charts.pin_chart(found, unit), about, tables.pin_table(found, unit)
            )
        )
    days = (
        f"<figure><h3>By day</h3>{tables.calendar(found.days)}<figcaption>Blue: profit; brown: loss; the deepest is "
        f"the largest of either; hatched: not settled.</figcaption>{tables.weekdays_table(found)}</figure>"
    )
    return f'<div class="grid">{"".join(made)}{days}</div>'


def _trades(found: Report, figures: _Figures) -> str:
    listed = tables.trades_table(found)
    if found.drawn is None:
        return f'<p class="quiet">Trades are not drawn: the page was made without the lake.</p>{listed}'
    drawn = "".join(
        figures.add(
            f"{each.date} {each.symbol}: {'not settled' if each.profit is None else usd(each.profit) + ' USD'}",
            charts.session_chart(each),
            tables.drawn_caption(each),
        )
        for each in found.drawn.sessions
    )
    left = found.drawn.left
    said = (
        "Over each session's gex heatmap: black spot, dashed purple the magnet when the order was sent, each leg while "
        "it was held (calls solid, puts dotted; green bought, magenta sold; a triangle where it was opened, a cross "
        "where it ended)."
    )
    if left:
        said += f" Drawn: the best, the median and the worst; {some(len(left), 'session')} with trades not drawn."
    scales = [
        charts.end_colours(scale_of(each.heatmap).limit)
        for each in found.drawn.sessions[:1]
        if each.heatmap.levels.size
    ]
    said += f" Colours run over each session's own gex, such as {scales[0]}." if scales else ""
    return f'<p class="quiet">{escaped(said)}</p><div class="grid">{drawn}</div>{listed}'


def _footer(found: Report) -> str:
    run = found.traded.run
    parts = [
        f"Source {str(run['strategy']['source_sha256'] or NONE)[:16]}",
        f"lake {run['lake']['fingerprint'][:16]}",
        f"seed {run['seed']}",
        ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
    ]
    return "; ".join(parts) + ". A backtest is no promise."
