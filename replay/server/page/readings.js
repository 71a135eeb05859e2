// Levels, net totals and scores of the newest snapshot visible, beside the picture.

import { priceText } from "./axes.js";
import { TOTALS } from "./levels.js";
import { human } from "./scale.js";
import { clockText, lengthText } from "./time.js";

const USD = (value) => `${value.toFixed(2)} USD`;
const PRICES = [
  ["spot", "spot", "spot", USD],
  ["magnet", "magnet", "magnet", USD],
  ["call wall", "call_wall", "call", USD],
  ["put wall", "put_wall", "put", USD],
  ["cumulated flip", "gamma_flip", "flip", USD],
  ["max pain", "max_pain", null, USD],
  ["expected move", "expected_move", null, (value) => `± ${USD(value)}`],
];
const SCORES = [
  ["pin score", "pin_score", null, (value) => `${value.toFixed(0)} of 100`],
  ["atm iv", "atm_iv", null, (value) => `${(value * 100).toFixed(1)} % a year`],
];
const UNITS = {
  gex: "USD of delta per 1 % move",
  dex: "USD of delta",
  vex: "USD of delta per vol point",
  chex: "USD of delta per calendar day",
};

export class Readings {
  #cells = new Map();

  constructor(element) {
    element.append(
      part(
        "Newest snapshot",
        [
          ["taken at", "ts"],
          ["age", "age"],
          ["known after", "lag"],
          ["snapshots", "count"],
        ].map((each) => this.#row(...each)),
      ),
      part(
        "Levels, USD",
        PRICES.map(([name, field, sign]) => this.#row(name, field, sign)),
      ),
      part(
        "Scores",
        SCORES.map(([name, field]) => this.#row(name, field)),
      ),
      part(
        "Net totals",
        TOTALS.map((metric) => this.#row(metric, `net_${metric}`, null, true)),
      ),
    );
  }

  /** Shows what a moment's newest row says; `levels` null: not loaded yet. */
  show(shown, levels, asOf) {
    const { track, newest } = shown;
    const seen = newest >= 0;
    this.#put("ts", seen ? clockText(track.ts[newest]) : "none");
    this.#put("age", seen ? lengthText(Math.max(asOf - track.ts[newest], 0)) : "–");
    this.#put("lag", seen ? lengthText(track.recorded_at[newest] - track.ts[newest]) : "–");
    this.#put("count", String(shown.rows.length));
    const told = (value, say) => (Number.isFinite(value) ? say(value) : levels || !seen ? "not known" : "…");
    const short = (say) => (value) => (say === USD ? priceText(value) : say(value).replace(" USD", ""));
    for (const [, field, , say] of PRICES) {
      const value = field === "spot" && !levels && seen ? track.spot[newest] : levels?.[field];
      this.#put(field, told(value, short(say)));
    }
    for (const [, field, , say] of SCORES) this.#put(field, told(levels?.[field], say));
    for (const metric of TOTALS) {
      this.#put(
        `net_${metric}`,
        told(levels?.[`net_${metric}`], (value) => human(value, true)),
      );
      this.#put(`net_${metric} unit`, levels?.units?.[metric] ?? UNITS[metric]);
    }
  }

  /** Shows nothing. */
  clear() {
    for (const cell of this.#cells.values()) put(cell, cell.className === "unit" ? "" : "–");
  }

  /** All of it, a phrase each. */
  words() {
    const value = (field) => this.#cells.get(field).textContent;
    return [
      `snapshot of ${value("ts")}`,
      ...[...PRICES, ...SCORES].map(([name, field]) => `${name} ${value(field)}`),
      ...TOTALS.map((metric) => `net ${metric} ${value(`net_${metric}`)} ${value(`net_${metric} unit`)}`),
    ];
  }

  #row(name, field, sign = null, unit = false) {
    const row = document.createElement("div");
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    if (sign) {
      const line = document.createElement("i");
      line.className = sign;
      line.setAttribute("aria-hidden", "true");
      term.append(line);
    }
    term.append(name);
    value.dataset.name = field;
    value.textContent = "–";
    row.append(term, value);
    this.#cells.set(field, value);
    if (unit) {
      const words = document.createElement("dd");
      words.className = "unit";
      this.#cells.set(`${field} unit`, words);
      row.append(words);
    }
    return row;
  }

  #put(field, text) {
    put(this.#cells.get(field), text);
  }
}

function put(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

function part(title, rows) {
  const section = document.createElement("section");
  const [heading, list] = [document.createElement("h2"), document.createElement("dl")];
  heading.textContent = title;
  list.append(...rows);
  section.append(heading, list);
  return section;
}
