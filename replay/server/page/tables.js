// The newest bar, and a run's trades, as real tables; filled when opened.

import { strikeText } from "./axes.js";
import { outcomeOf } from "./runs.js";
import { exact } from "./scale.js";
import { clockText, minuteText } from "./time.js";

/** The newest bar: each strike with its value, the highest strike first. */
export function newestTable(shown) {
  const width = shown.strikes.length;
  const bar = shown.starts.length - 1;
  const rows = [];
  for (let i = width - 1; i >= 0 && bar >= 0; i--) {
    const value = shown.values[bar * width + i];
    rows.push([strikeText(shown.strikes[i]), Number.isFinite(value) ? exact(value) : "not sampled"]);
  }
  const what =
    bar < 0 ? "No bar in the window." : `Bar of ${minuteText(shown.starts[bar])} New York, mode ${shown.mode}`;
  return table(what, [["strike, USD"], [`${shown.tape.metric}, ${shown.unit}`]], rows);
}

/** The trades of a run that had been opened by a moment; what came of them only as far as it had. */
export function tradesTable(run, asOf, close) {
  const rows = run.trades
    .filter((trade) => trade.opened_at <= asOf)
    .map((trade) => {
      const done = trade.closed_at !== null && trade.closed_at <= asOf;
      return [
        String(trade.order),
        trade.tag ?? "",
        trade.legs,
        String(trade.quantity),
        clockText(trade.opened_at),
        done ? clockText(trade.closed_at) : "",
        outcomeOf(run, trade, asOf, close),
        money(trade.price),
        money(done ? trade.fees : trade.opening_fees),
        done && trade.profit !== null ? money(trade.profit, true) : "",
      ];
    });
  const heads = [
    ["order"],
    ["tag", true],
    ["legs", true],
    ["quantity"],
    ["opened"],
    ["closed"],
    ["exit", true],
    ["price"],
    ["fees so far"],
    ["profit, USD"],
  ];
  return table(`${run.name}, ${run.strategy}: ${rows.length ? "trades so far" : "no trade yet"}`, heads, rows);
}

export function money(value, signed = false) {
  if (!Number.isFinite(value)) return "not known";
  const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return (value < 0 ? "−" : signed && value > 0 ? "+" : "") + text;
}

function table(caption, heads, rows) {
  const made = document.createElement("table");
  made.createCaption().textContent = caption;
  const head = made.createTHead().insertRow();
  for (const [text, isText] of heads) head.append(cell("th", text, isText, "col"));
  const body = made.createTBody();
  for (const row of rows)
    body.insertRow().append(...row.map((text, i) => cell(i ? "td" : "th", text, heads[i][1], i ? "" : "row")));
  return made;
}

function cell(kind, text, isText, scope) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (isText) made.className = "text";
  if (scope) made.scope = scope;
  return made;
}
