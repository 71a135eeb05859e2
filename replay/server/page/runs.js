// A run laid over the picture: what it held and when, its entries and exits, and its profit under the scrubber.

import { countUpTo } from "./order.js";
import { human } from "./scale.js";
import { font } from "./theme.js";
import { clockText } from "./time.js";

const LANE = 5; // pixels between lots held at one strike
const MOST_NOTES = 4;

/** Why a run has nothing to show of a session, given those listed; empty where it may have, or nothing is known. */
export function lackOf(runs, { run: name, symbol, date }) {
  const run = runs?.find((each) => each.name === name);
  if (!name || !runs) return "";
  const names = runs.map((each) => each.name).join(", ");
  if (!run) return `There is no run ${name}; there ${names ? `are ${names}` : "is none"}.`;
  if (!run.symbols.includes(symbol)) return `${name} did not trade ${symbol}; it has ${run.symbols.join(", ")}.`;
  return run.sessions.includes(date) ? "" : `${name} did not trade on ${date}.`;
}

/** Draws the lots held, their entries (up bought, down sold) and ends, as far as they had happened by a moment. */
export function drawRun(context, geometry, { run, asOf, shown }, inks) {
  const { heat, x, y } = geometry;
  const close = shown.tape.close ?? Infinity;
  context.save();
  context.beginPath();
  context.rect(heat.left, heat.top, heat.right - heat.left, heat.bottom - heat.top);
  context.clip();
  const lanes = lanesOf(run.legs);
  run.legs.forEach((leg, i) => {
    if (leg.opened_at > asOf) return;
    const out = isOut(leg, asOf);
    const [from, to] = [x(leg.opened_at), x(out ? leg.closed_at : Math.min(asOf, Math.max(close, leg.opened_at)))];
    const at = y(leg.strike) + lanes[i] * LANE;
    const colour = leg.quantity > 0 ? inks.bought : inks.sold;
    for (const [stroke, width] of [
      [inks.page, 4.5],
      [colour, 2],
    ]) {
      Object.assign(context, { strokeStyle: stroke, lineWidth: width });
      context.beginPath();
      context.moveTo(from, at);
      context.lineTo(to, at);
      context.stroke();
    }
    mark(context, triangle(from, at, leg.quantity > 0 ? 1 : -1), colour, inks, true);
    if (out) mark(context, cross(to, at), colour, inks, false);
  });
  context.restore();
}

/** Whether a lot, or all of a trade, was closed or settled by a moment. */
function isOut({ closed_at: closed }, asOf) {
  return closed !== null && closed <= asOf;
}

/** A place for each lot so that lots held at one strike at one time lie apart: 0, 1, -1, 2, and so on. */
function lanesOf(legs) {
  const places = [];
  legs.forEach((leg, i) => {
    const taken = new Set();
    for (let other = 0; other < i; other++) {
      const { strike, closed_at: closed } = legs[other];
      if (strike === leg.strike && (closed === null || closed >= leg.opened_at)) taken.add(places[other]);
    }
    let place = 0;
    while (taken.has(place)) place = place > 0 ? -place : 1 - place;
    places.push(place);
  });
  return places;
}

/** What a run did and held at a strike between two instants, as far as it had happened by a moment. */
export function heldAt(run, strike, from, to, asOf) {
  const notes = [];
  for (const leg of run.legs) {
    if (leg.strike !== strike || leg.opened_at > asOf || leg.opened_at >= to) continue;
    const out = isOut(leg, asOf);
    if (out && leg.closed_at < from) continue;
    const what = `${Math.abs(leg.quantity)} ${strike}${leg.right} of order ${leg.order}`;
    const side = leg.quantity > 0 ? "bought" : "sold";
    if (leg.opened_at >= from) notes.push(`${side} ${what} at ${clockText(leg.opened_at)}`);
    else if (!out || leg.closed_at >= to) notes.push(`holds ${leg.quantity > 0 ? "+" : "−"}${what}`);
    if (out && leg.closed_at < to) notes.push(`${leg.how ?? "closed"} ${what} at ${clockText(leg.closed_at)}`);
  }
  if (notes.length > MOST_NOTES) notes.splice(MOST_NOTES, Infinity, `and ${notes.length - MOST_NOTES} more`);
  return notes;
}

/** What had become of a trade by a moment, in words. */
export function outcomeOf(run, trade, asOf, close) {
  if (isOut(trade, asOf)) return trade.exit === "both" ? "closed and settled" : trade.exit;
  if (trade.exit === "unsettled" && close !== null && asOf >= close) return "unsettled";
  return run.legs.some((leg) => leg.order === trade.order && isOut(leg, asOf)) ? "partly closed" : "open";
}

/** How many of a run's openings and ends had happened by a moment. */
export function happened(run, asOf) {
  let count = 0;
  for (const { opened_at: opened, closed_at: closed } of [...run.trades, ...run.legs])
    count += (opened <= asOf) + (closed !== null && closed <= asOf);
  return count;
}

function triangle(x, y, up) {
  const path = new Path2D();
  path.moveTo(x, y - 6 * up);
  path.lineTo(x + 5.5, y + 5 * up);
  path.lineTo(x - 5.5, y + 5 * up);
  path.closePath();
  return path;
}

function cross(x, y) {
  const path = new Path2D();
  for (const side of [-1, 1]) {
    path.moveTo(x - 4, y - 4 * side);
    path.lineTo(x + 4, y + 4 * side);
  }
  return path;
}

function mark(context, path, colour, inks, filled) {
  Object.assign(context, { strokeStyle: inks.page, lineWidth: filled ? 2.5 : 5, lineJoin: "round" });
  context.stroke(path);
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 2 });
  if (filled) context.fill(path);
  else context.stroke(path);
}

/** The newest profit known at a moment, USD since the session's start; null where not known. */
export function profitAt(run, asOf) {
  const place = countUpTo(run.equity.at, asOf) - 1;
  return place < 0 ? null : run.equity.profit[place];
}

/** The profit so far as a line over the scrubber's own stretch of time, `inset` pixels in from either side. */
export function drawEquity(context, { width, height, inset }, run, { from, to }, asOf, inks) {
  const { at, profit } = run.equity;
  const end = countUpTo(at, asOf);
  let [least, most] = [0, 0];
  for (let i = 0; i < end; i++) {
    if (profit[i] === null) continue;
    [least, most] = [Math.min(least, profit[i]), Math.max(most, profit[i])];
  }
  const flat = least === most;
  if (flat) [least, most] = [-1, 1];
  const x = (us) => inset + ((us - from) / (to - from || 1)) * (width - 2 * inset);
  const y = (usd) => height - 5 - ((usd - least) / (most - least)) * (height - 10);
  context.clearRect(0, 0, width, height);
  context.fillStyle = inks.line;
  context.fillRect(inset, Math.round(y(0)), width - 2 * inset, 1);
  const line = new Path2D();
  let drawing = false;
  for (let i = 0; i < end; i++) {
    if (profit[i] === null) drawing = false;
    else if (drawing) {
      line.lineTo(x(at[i]), y(profit[i - 1]));
      line.lineTo(x(at[i]), y(profit[i]));
    } else {
      line.moveTo(x(at[i]), y(profit[i]));
      drawing = true;
    }
  }
  if (end && profit[end - 1] !== null) line.lineTo(x(Math.min(asOf, to)), y(profit[end - 1]));
  Object.assign(context, { strokeStyle: inks.now, lineWidth: 1.75, lineJoin: "round" });
  context.stroke(line);
  context.fillStyle = inks.now;
  context.fillRect(x(Math.min(Math.max(asOf, from), to)) - 0.5, 0, 1, height);
  if (!end || flat) return;
  Object.assign(context, { font: font(11), fillStyle: inks.soft, textAlign: "right", textBaseline: "top" });
  if (most > 0) context.fillText(human(most, true), width - inset, 0);
  context.textBaseline = "bottom";
  if (least < 0) context.fillText(human(least), width - inset, height);
}
