// The colour scale: its limit, robust and stated in words, its colours in both themes, and short numbers.

import { percentile } from "./order.js";

const SUFFIXES = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];
const SHADES = 2048;

// For the dark theme: darkest at 0, with arms of the same orange and blue that get lighter.
const DARK_DIVERGING = [
  [255, 222, 170],
  [250, 184, 102],
  [224, 138, 44],
  [165, 93, 22],
  [98, 61, 31],
  [33, 38, 46],
  [29, 66, 99],
  [33, 102, 158],
  [66, 148, 212],
  [130, 193, 240],
  [200, 229, 252],
];
const DARK_SEQUENTIAL = [
  [33, 38, 46],
  [40, 58, 88],
  [38, 86, 121],
  [31, 115, 138],
  [38, 146, 140],
  [84, 176, 122],
  [146, 202, 100],
  [208, 222, 104],
  [252, 240, 168],
];

let sizes = new Float64Array(0);

/** The scale of some bars' values; `held` in place of the limit that is their own. */
export function scaleOf(shown, percent, held = null) {
  const skipsFirst = shown.changes && shown.starts.length > 1;
  const own = held ?? limitOf(shown.values, skipsFirst ? shown.strikes.length : 0, percent);
  return { limit: own, held: held !== null, signed: shown.tape.signed || shown.changes, skipsFirst, percent };
}

/** The percentile of the size of finite values other than 0, from a place on; 0 where there are none. */
export function limitOf(values, from, percent) {
  if (sizes.length < values.length) sizes = new Float64Array(values.length);
  let count = 0;
  for (let i = from; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > 0 && size < Infinity) sizes[count++] = size;
  }
  return count ? percentile(sizes, percent, count) : 0;
}

export function high(scale) {
  return scale.limit || 1;
}

export function low(scale) {
  return scale.signed ? -high(scale) : 0;
}

/** The palette, equally spaced from low to high; 0 is the middle or the first. */
export function stopsOf(scale, tape, dark) {
  if (dark) return scale.signed ? DARK_DIVERGING : DARK_SEQUENTIAL;
  return scale.signed ? tape.diverging : tape.sequential;
}

/** Shades along the palette as pixels, and where a value lies among them: place = value * slope + base. */
export function shadesOf(scale, stops) {
  const pixels = new Uint32Array(SHADES + 1);
  for (let i = 0; i <= SHADES; i++) pixels[i] = pixel(between(stops, i / SHADES));
  const span = high(scale) - low(scale);
  return { pixels, slope: SHADES / span, base: (-low(scale) / span) * SHADES + 0.5, most: SHADES };
}

export function pixel([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

export function css([red, green, blue]) {
  return `rgb(${red},${green},${blue})`;
}

/** The colour at a part of the palette, 0 to 1. */
export function between(stops, part) {
  const at = part * (stops.length - 1);
  const below = Math.min(Math.floor(at), stops.length - 2);
  return stops[below].map((channel, i) => Math.round(channel + (stops[below + 1][i] - channel) * (at - below)));
}

/** Where to write which number along the scale, as part of it; the ends say that they reach further. */
export function ticksOf(scale) {
  if (!scale.limit) return [[scale.signed ? 0.5 : 0, "0"]];
  const parts = [0, 0.25, 0.5, 0.75, 1];
  const text = parts.map((part) => human(low(scale) + part * (high(scale) - low(scale)), scale.signed));
  if (scale.signed) text[0] = `≤ ${text[0]}`;
  text[4] = `≥ ${text[4]}`;
  return parts.map((part, i) => [part, text[i]]);
}

/** What the limit is, in words. */
export function sentence(scale) {
  if (!scale.limit) return "no value other than 0";
  const ends = scale.signed ? `-${human(scale.limit)} to +${human(scale.limit)}` : `0 to ${human(scale.limit)}`;
  if (scale.held) return `${ends}, held`;
  const of = scale.skipsFirst ? "values other than 0 after the first bar" : "values other than 0";
  return `${ends}, the ${scale.percent}th percentile of the size of ${of}`;
}

/** A number in three digits, at most six characters: `+812M`, `-1.2B`, `45.3k`, `0`; `signed` writes the plus too. */
export function human(value, signed = false) {
  if (!Number.isFinite(value)) return "";
  const rounded = Math.abs(Number(value.toPrecision(3)));
  if (rounded === 0) return "0";
  const sign = value < 0 ? "-" : signed ? "+" : "";
  if (rounded >= 1e15 || rounded < 1e-3) return sign + rounded.toExponential(0);
  for (const [size, suffix] of SUFFIXES) if (rounded >= size) return sign + three(rounded / size) + suffix;
  return sign + three(rounded);
}

function three(size) {
  return String(Number(size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)));
}

/** A number as it is read aloud: two decimals at most from 1000 on, six digits below; `not known` for NaN. */
export function rounded(value) {
  if (!Number.isFinite(value)) return "not known";
  return exact(Number(Math.abs(value) >= 1000 ? value.toFixed(2) : value.toPrecision(6)));
}

/** A number to its last digit, thousands set apart; `not known` for NaN. */
export function exact(value) {
  if (!Number.isFinite(value)) return "not known";
  const text = String(value);
  if (text.includes("e")) return text;
  const [whole, part] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
}
