// A run laid over the picture: what it held and when, its entries and exits, and its profit under the scrubber.

import { countUpTo } from "./order.js";
import { human } from "./scale.js";
import { font } from "./theme.js";

/** Draws the legs held, their entries (up bought, down sold) and exits, as far as they had happened by a moment. */
export function drawRun(context, geometry, run, asOf, inks) {
  const { heat, x, y } = geometry;
  context.save();
  context.beginPath();
  context.rect(heat.left, heat.top, heat.right - heat.left, heat.bottom - heat.top);
  context.clip();
  for (const leg of run.legs) {
    if (leg.opened_at > asOf) continue;
    const closed = leg.closed_at !== null && leg.closed_at <= asOf;
    const [from, to, at] = [x(leg.opened_at), x(closed ? leg.closed_at : asOf), y(leg.strike)];
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
    if (closed) mark(context, cross(to, at), colour, inks, false);
  }
  context.restore();
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
  if (least === most) [least, most] = [-1, 1];
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
  if (!end) return;
  Object.assign(context, { font: font(11), fillStyle: inks.soft, textAlign: "right", textBaseline: "top" });
  if (most > 0) context.fillText(human(most, true), width - inset, 0);
  context.textBaseline = "bottom";
  if (least < 0) context.fillText(human(least), width - inset, height);
}
