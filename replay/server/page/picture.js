// The picture: cells, marks, axes and the side profile on one canvas of any size, and its geometry.

import { priceTicks, strikeEdges, strikeText, timeTicks, timesInSight } from "./axes.js";
import { drawFlips, drawGaps, drawLabels, drawLegacy, drawLevels, drawSpot, linesOf } from "./marks.js";
import { drawProfile, drawProfileWords } from "./profile.js";
import { font } from "./theme.js";

const NARROW = 560;

/** Where everything lies on a picture of so many pixels that shows these prices; x of instants, y of prices. */
export function geometryOf(width, height, ratio, shown, prices) {
  const narrow = width < NARROW;
  const gutter = narrow ? 84 : 148;
  const profileWidth = narrow ? Math.min(Math.max(width * 0.13, 32), 56) : Math.min(Math.max(width * 0.13, 84), 150);
  const right = width - gutter;
  const heat = { left: narrow ? 40 : 48, right: right - profileWidth, top: 22, bottom: height - 26 };
  const [start, end] = timesInSight(shown);
  const [least, most] = prices ?? [0, 1];
  const across = (heat.right - heat.left) / (end - start);
  const up = (heat.bottom - heat.top) / (most - least);
  return {
    width,
    height,
    ratio,
    narrow,
    heat,
    right,
    start,
    end,
    least,
    most,
    edges: shown.strikes.length ? strikeEdges(shown.strikes) : new Float64Array(0),
    profile: { left: heat.right + (narrow ? 5 : 8), right },
    labels: right + 12,
    x: (us) => heat.left + (us - start) * across,
    y: (price) => heat.bottom - (price - least) * up,
    instantAt: (x) => start + (x - heat.left) / across,
    priceAt: (y) => least + (heat.bottom - y) / up,
  };
}

/** Draws all but the moment, the cursor and a run, which lie on the canvas above. */
export function drawPicture(context, geometry, scene, cells) {
  const { shown, scale, gaps, levels, paths, flips, inks } = scene;
  const { heat } = geometry;
  context.fillStyle = inks.page;
  context.fillRect(0, 0, geometry.width, geometry.height);
  context.fillStyle = inks.plain;
  const now = Math.min(Math.max(geometry.x(nowOf(scene)), heat.left), heat.right); // what is to come stays empty
  context.fillRect(heat.left, heat.top, now - heat.left, heat.bottom - heat.top);
  const filled = shown.starts.length > 0 && shown.strikes.length > 0;
  const lines = linesOf(levels, spotOf(scene), inks);
  context.save();
  clip(context, heat.left, heat.top, heat.right, heat.bottom);
  drawGaps(context, geometry, gaps, shown.step, inks);
  drawLegacy(context, geometry, shown, inks);
  if (filled) {
    cells.paint(shown, scale, inks);
    cells.lay(context, shown, geometry);
    drawFlips(context, geometry, shown, flips, inks);
  }
  context.restore();
  if (filled) {
    context.save();
    clip(context, heat.left, heat.top, geometry.right, heat.bottom);
    drawProfile(context, geometry, shown, scale.signed, inks);
    drawLevels(context, geometry, shown, paths, lines, inks);
    clip(context, heat.left, heat.top, heat.right, heat.bottom);
    drawSpot(context, geometry, shown, inks);
    context.restore();
    drawPrices(context, geometry, inks);
    drawProfileWords(context, geometry, shown, scale.signed, inks);
    drawLabels(context, geometry, lines);
  }
  drawTimes(context, geometry, inks);
  context.strokeStyle = inks.line;
  context.lineWidth = 1;
  context.strokeRect(heat.left - 0.5, heat.top - 0.5, heat.right - heat.left + 1, heat.bottom - heat.top + 1);
}

/** Where the bar ends that holds the moment shown. */
export function nowOf({ asOf, shown }) {
  return asOf - (asOf % shown.step) + shown.step;
}

/** The newest spot that the bars, or else the window or the levels, know. */
function spotOf({ shown, levels }) {
  for (let bar = shown.spot.length - 1; bar >= 0; bar--) if (Number.isFinite(shown.spot[bar])) return shown.spot[bar];
  if (shown.underlying !== null) return shown.underlying;
  return Number.isFinite(levels?.spot) ? levels.spot : null;
}

function clip(context, left, top, right, bottom) {
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
}

function drawPrices(context, geometry, inks) {
  const { heat, y, least, most } = geometry;
  Object.assign(context, {
    font: font(geometry.narrow ? 11 : 12),
    fillStyle: inks.ink,
    textAlign: "right",
    textBaseline: "middle",
  });
  const usd = (most - least) / (heat.bottom - heat.top);
  for (const price of priceTicks([least, most], Math.max(24 * usd, 1e-4))) {
    context.fillText(strikeText(price), heat.left - 8, y(price) + 0.5);
    context.fillRect(heat.left - 5, Math.round(y(price)), 4, 1);
  }
}

function drawTimes(context, geometry, inks) {
  const { heat, x, start, end } = geometry;
  Object.assign(context, { font: font(geometry.narrow ? 11 : 12), fillStyle: inks.ink, textBaseline: "top" });
  const us = (end - start) / (heat.right - heat.left);
  for (const [at, text] of timeTicks([start, end], 62 * us)) {
    const place = x(at);
    context.textAlign = place - heat.left < 18 ? "left" : heat.right - place < 18 ? "right" : "center";
    context.fillText(text, place, heat.bottom + 8);
    context.fillRect(Math.round(place), heat.bottom + 1, 1, 4);
  }
}
