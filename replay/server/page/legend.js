// The legend: the colour bar with its numbers, and samples of what is no colour on it.

import { dots, hatch } from "./marks.js";
import { css, stopsOf, ticksOf } from "./scale.js";
import { font } from "./theme.js";

const ROW = 22;
const BAR = 34;
const CLOSE = 340; // pixels; on a shorter bar there is room for the ends and the middle

/** What is said of sign flips; empty where they are not asked for. */
export function flipWordsOf({ shown, flipsShown }, visible) {
  if (!flipsShown || !shown.tape.signed) return "";
  return visible ? "sign flips, both sides at least 1 % of the limit" : "sign flips: not drawn in cells this narrow";
}

/** Draws the legend from a place on and returns how high it came out. */
export function drawLegend(context, { left, top, width, ratio, flipWords }, scene) {
  const { shown, scale, inks } = scene;
  const bar = Math.min(width, 420);
  drawBar(context, left, top, bar, scene);
  const samples = [
    ["not sampled", css(inks.missing)],
    ["no bar", inks.plain],
    ["gap", hatch(context, inks.hatch, ratio)],
  ];
  if (shown.legacy.size) samples.push(["v1 row, no strikes", dots(context, inks.hatch, ratio)]);
  samples.push(["not yet", inks.page]);
  if (flipWords) samples.push([flipWords, null]);
  Object.assign(context, { font: font(12), textAlign: "left", textBaseline: "middle" });
  let [x, y] = width - bar > 340 ? [left + bar + 28, top] : [left, top + BAR + 8];
  const start = x;
  for (const [text, fill] of samples) {
    const wide = 26 + context.measureText(text).width + 18;
    if (x > start && x + wide - 18 > left + width) [x, y] = [start, y + ROW];
    context.fillStyle = inks.plain;
    context.fillRect(x, y + 1, 18, 13);
    context.fillStyle = fill ?? inks.flip;
    if (fill) context.fillRect(x, y + 1, 18, 13);
    else context.fillRect(x + 8.25, y + 1, 1.5, 13);
    context.strokeStyle = inks.line;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 1.5, 17, 12);
    context.fillStyle = inks.ink;
    context.fillText(text, x + 26, y + 8);
    x += wide;
  }
  context.textAlign = "left";
  return Math.max(y + ROW - top, BAR);
}

function drawBar(context, left, top, width, { shown, scale, inks }) {
  const stops = stopsOf(scale, shown.tape, inks.dark);
  const ramp = context.createLinearGradient(left, 0, left + width, 0);
  stops.forEach((stop, i) => ramp.addColorStop(i / (stops.length - 1), css(stop)));
  context.fillStyle = ramp;
  context.fillRect(left, top, width, 12);
  context.strokeStyle = inks.line;
  context.strokeRect(left + 0.5, top + 0.5, width - 1, 11);
  Object.assign(context, { font: font(12), fillStyle: inks.ink, textBaseline: "top" });
  for (const [part, text] of ticksOf(scale)) {
    if (width < CLOSE && part % 0.5) continue;
    context.textAlign = part === 0 ? "left" : part === 1 ? "right" : "center";
    context.fillText(text, left + part * width, top + 16);
  }
}
