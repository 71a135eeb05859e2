// What lies over the cells: gaps, sign flips, the spot's path, levels with their labels, and the moment shown.

import { priceText, spread } from "./axes.js";
import { font } from "./theme.js";

const LEVELS = [
  ["M", "magnet", "magnet", []],
  ["C", "call wall", "call_wall", [7, 4]],
  ["P", "put wall", "put_wall", [8, 3, 2, 3]],
  ["F", "cumulated flip", "gamma_flip", [2, 3]],
];
const SHORT = { magnet: "magnet", "call wall": "call", "put wall": "put", "cumulated flip": "flip", spot: "spot" };
const LABEL_HEIGHT = 16;
// Pixels a bar has to be wide: what adds up over a minute changes its sign at almost every one, a level seldom.
const NARROWEST_FLIP = { flow: 4, level: 1 };

/** A pattern of thin diagonal lines, `ratio` device pixels a pixel. */
export function hatch(context, colour, ratio) {
  const tile = document.createElement("canvas");
  const size = Math.round(7 * ratio);
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  Object.assign(pen, { strokeStyle: colour, lineWidth: 1.1 * ratio });
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 1, size + 1);
    pen.lineTo(shift + size + 1, -1);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

export function drawGaps(context, geometry, gaps, step, inks) {
  const { heat, x, ratio } = geometry;
  context.fillStyle = hatch(context, inks.hatch, ratio);
  for (const [start, end] of gaps) {
    // Hatched from the end of the last bar before it to the bar after it.
    const left = Math.max(x(Math.ceil(start / step) * step), heat.left);
    const right = Math.min(x(Math.floor(end / step) * step), heat.right);
    if (right > left) context.fillRect(left, heat.top, right - left, heat.bottom - heat.top);
  }
}

/** A pattern of dots, `ratio` device pixels a pixel. */
export function dots(context, colour, ratio) {
  const tile = document.createElement("canvas");
  const size = Math.round(5 * ratio);
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(size / 4, size / 4, size / 2.5, size / 2.5);
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

/** Bars that would be of rows without strikes. */
export function drawLegacy(context, geometry, { legacy, step }, inks) {
  if (!legacy.size) return;
  const { heat, x, ratio } = geometry;
  context.fillStyle = dots(context, inks.hatch, ratio);
  for (const start of legacy) context.fillRect(x(start), heat.top, x(start + step) - x(start), heat.bottom - heat.top);
}

/** Whether cells are wide enough for flips to be told apart. */
export function showsFlips({ x }, { step, tape }) {
  return x(step) - x(0) >= (tape.flow ? NARROWEST_FLIP.flow : NARROWEST_FLIP.level);
}

/** A short upright stroke at the left edge of each cell at which the sign is another. */
export function drawFlips(context, geometry, shown, flips, inks) {
  if (!showsFlips(geometry, shown)) return;
  const { heat, x, y, edges } = geometry;
  context.fillStyle = inks.flip;
  for (let i = 0; i < flips.length; i += 2) {
    const strike = flips[i + 1];
    const [top, bottom] = [y(edges[strike + 1]), y(edges[strike])];
    if (bottom < heat.top || top > heat.bottom) continue;
    const inset = Math.min(1, (bottom - top) / 4);
    context.fillRect(x(shown.starts[flips[i]]) - 0.75, top + inset, 1.5, Math.max(bottom - top - 2 * inset, 1));
  }
}

/** The spot's path as a black line of steps with a white edge. */
export function drawSpot(context, geometry, shown, inks) {
  const path = stepsOf(geometry, shown, shown.spot);
  context.lineJoin = "round";
  for (const [colour, width] of [
    [inks.edge, 4.5],
    [inks.spot, 2],
  ]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke(path);
  }
}

/** Levels and the newest spot in ascending order; levels at one price share a line, and the first one's look. */
export function linesOf(levels, spot, inks) {
  const found = new Map();
  for (const [letter, name, field, dash] of LEVELS) {
    const price = levels?.[field];
    if (!Number.isFinite(price)) continue;
    if (found.has(price)) found.get(price).names.push(name);
    else found.set(price, { price, names: [name], colour: inks.levels[letter], dash });
  }
  const lines = [...found.values()];
  if (spot !== null) lines.push({ price: spot, names: ["spot"], colour: inks.ink, dash: null });
  return lines.sort((a, b) => a.price - b.price);
}

/** Each level as steps, bar by bar as it was then, and thin from the newest bar on to its label. */
export function drawLevels(context, geometry, shown, paths, lines, inks) {
  const { heat, x, y, right } = geometry;
  const drawn = LEVELS.filter(([, , field]) => paths?.[field]).map(([letter, , field, dash]) => [
    stepsOf(geometry, shown, paths[field]),
    inks.levels[letter],
    dash,
  ]);
  context.lineJoin = "round";
  for (const [path] of drawn) {
    Object.assign(context, { strokeStyle: inks.halo, lineWidth: 3.2 });
    context.stroke(path);
  }
  for (const [path, colour, dash] of drawn) {
    Object.assign(context, { strokeStyle: colour, lineWidth: 1.6 });
    context.setLineDash(dash);
    context.stroke(path);
  }
  const from = Math.max(x(shown.starts.at(-1) + shown.step), heat.left);
  for (const { price, colour, dash } of lines) {
    const at = y(price);
    if (dash === null || at < heat.top || at > heat.bottom) continue;
    Object.assign(context, { strokeStyle: colour, lineWidth: 1, globalAlpha: 0.6 });
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(from, at);
    context.lineTo(right, at);
    context.stroke();
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
}

/** Prices at each bar as a line of steps, broken where there is no bar or no price. */
function stepsOf({ x, y }, { starts, step }, prices) {
  const path = new Path2D();
  let end = null;
  starts.forEach((start, bar) => {
    const price = prices[bar];
    if (!Number.isFinite(price)) return;
    if (end === start) path.lineTo(x(start), y(price));
    else path.moveTo(x(start), y(price));
    path.lineTo(x(start + step), y(price));
    end = start + step;
  });
  return path;
}

/** The labels right of the picture; one whose price is out of sight points there. */
export function drawLabels(context, geometry, lines) {
  const { heat, y, labels, narrow } = geometry;
  const inside = (place) => Math.min(Math.max(place, heat.top), heat.bottom);
  const wanted = lines.map(({ price }) => -inside(y(price)));
  const placed = spread(wanted, LABEL_HEIGHT, 6 - heat.bottom, -heat.top - 6);
  Object.assign(context, { font: font(narrow ? 11 : 12, 600), textAlign: "left", textBaseline: "middle" });
  lines.forEach(({ price, names, colour }, i) => {
    const at = -placed[i];
    const beyond = y(price) < heat.top ? " ↑" : y(price) > heat.bottom ? " ↓" : "";
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(labels - 9, inside(y(price)));
    context.lineTo(labels - 3, at);
    context.stroke();
    const named = narrow ? names.map((name) => SHORT[name]).join("+") : names.join(", ");
    context.fillText(`${named} ${priceText(price)}${beyond}`, labels, at, geometry.width - labels - 2);
  });
}

/** An upright line at the moment shown, with a flag on top. */
export function drawMoment(context, geometry, asOf, inks) {
  const { heat, x } = geometry;
  const at = x(asOf);
  if (at < heat.left - 0.5 || at > heat.right + 0.5) return;
  context.fillStyle = inks.now;
  context.fillRect(at - 0.75, heat.top, 1.5, heat.bottom - heat.top);
  context.beginPath();
  context.moveTo(at - 5, heat.top - 6);
  context.lineTo(at + 5, heat.top - 6);
  context.lineTo(at, heat.top + 1);
  context.fill();
}
