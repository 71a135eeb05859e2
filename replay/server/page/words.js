// What is shown, in words: captions, notes on what is missing, and one cell told in full.

import { priceText, strikeText } from "./axes.js";
import { NO_STRIKES } from "./bars.js";
import { countUpTo } from "./order.js";
import { heldAt } from "./runs.js";
import { exact, rounded, sentence } from "./scale.js";
import { usualBar } from "./scene.js";
import { clockText, lengthText, minuteText, momentText } from "./time.js";

/** Symbol, session and metric. */
export function heading(tape) {
  return `${tape.symbol} ${tape.date} ${tape.metric}`;
}

/** Bars, unit, mode, clocks and tier, in one line. */
export function caption(shown, asOf, knownAt) {
  const { tape, starts } = shown;
  const words = [];
  if (starts.length) {
    const [first, last] = [minuteText(starts[0]), minuteText(starts.at(-1))];
    words.push(`${shown.bar}m bars, ${first === last ? first : `${first} to ${last}`}`);
  }
  words.push(shown.unit || "no unit", `mode ${shown.mode}`);
  if (shown.underlying !== null) words.push(`spot ${priceText(shown.underlying)}`);
  words.push(
    `as of ${momentText(asOf, tape.date)} New York`,
    `known at ${momentText(knownAt, tape.date)}`,
    `tier ${shown.tier}`,
  );
  return words.join(" · ");
}

/** Why there is nothing to see; empty where there is something. */
export function nothing(shown, asOf, knownAt) {
  const { tape } = shown;
  const at = `${momentText(asOf, tape.date)} New York`;
  const clocks = `known at ${momentText(knownAt, tape.date)}, tier ${shown.tier}`;
  if (shown.problem === NO_STRIKES) {
    return `${NO_STRIKES}: ${tape.symbol} has samples in the window up to ${at}, none with per-strike data.`;
  }
  if (shown.strikes.length) return "";
  if (!tape.tracks.some((track) => track.count))
    return `${tape.symbol} ${tape.date}: the lake holds no samples of this session.`;
  const what = shown.starts.length ? "no strikes" : shown.rows.length ? "no samples" : "no samples yet";
  const calm = tape.open === null ? ` ${tape.date} is no session of the exchange.` : "";
  return `${heading(tape)}: ${what} in the window up to ${at} (${clocks}).${calm}`;
}

/** What the colours, and the signs of a run, mean. */
export function scaleWords({ shown, scale, run }) {
  const words = [`Colours: ${sentence(scale)}${shown.unit ? ` (${shown.unit})` : ""}.`];
  if (scale.skipsFirst) words.push("The first bar is the level itself, not a change.");
  const longer = usualBar(shown.track);
  if (longer > shown.bar)
    words.push(`Snapshots come about every ${lengthText(shown.track.cadence)}: bars of ${longer} min leave no blanks.`);
  if (run) words.push(`${run.name}: triangles up bought, down sold; × is out again.`);
  return words.join(" ");
}

/** What is known of the cell at an instant and a price, for the tip and the readout; null outside of all strikes. */
export function cellAt(scene, edges, instant, price) {
  const { shown, gaps, asOf } = scene;
  if (!edges.length || price < edges[0] || price > edges.at(-1)) return null;
  const strike = Math.min(countUpTo(edges, price) - 1, shown.strikes.length - 1);
  const start = Math.floor(instant / shown.step) * shown.step;
  const bar = countUpTo(shown.starts, start) - 1;
  const there = bar >= 0 && shown.starts[bar] === start;
  const cell = {
    start,
    strike,
    price: shown.strikes[strike],
    bar: there ? bar : -1,
    value: there ? shown.values[bar * shown.strikes.length + strike] : NaN,
    spot: there ? shown.spot[bar] : NaN,
    time: minuteText(start),
    name: strikeText(shown.strikes[strike]),
    unit: "",
    exact: "", // the value to its last digit, where the text is shorter
    notes: scene.run ? heldAt(scene.run, shown.strikes[strike], start, start + shown.step, asOf) : [],
  };
  if (!there) return Object.assign(cell, { text: emptyWords(shown, gaps, asOf, start) });
  if (!Number.isFinite(cell.value)) return Object.assign(cell, { text: "not sampled" });
  const [text, whole] = [rounded(cell.value), exact(cell.value)];
  Object.assign(cell, { text, exact: text === whole ? "" : whole, unit: shown.unit });
  if (scene.flipped.has(bar * shown.strikes.length + strike)) cell.notes.unshift("sign flip");
  if (shown.changes) cell.notes.unshift(bar === 0 ? "the level itself" : "change");
  return cell;
}

/** Why there is no bar at an instant. */
function emptyWords(shown, gaps, asOf, start) {
  if (start > asOf) return "not yet";
  if (shown.legacy.has(start)) return "v1 row, no strikes";
  const gap = gaps.find(([from, to]) => from < start + shown.step && to > start);
  return gap ? `gap from ${clockText(gap[0])} to ${clockText(gap[1])}` : "no bar";
}

/** A cell in one sentence, as it is announced. */
export function cellSentence(cell) {
  const value = [cell.text, cell.unit].filter(Boolean).join(" ");
  const spot = cell.bar < 0 ? "" : `, spot ${Number.isFinite(cell.spot) ? priceText(cell.spot) : "not known"}`;
  return [`${cell.time}, strike ${cell.name}: ${value}${spot}`, ...cell.notes].join("; ");
}

/** How many corrections of what was taken so far are seen; under later knowledge, how many are not yet known. */
export function correctionsText({ known, unknown }, mode) {
  const count = (n) => (n === 1 ? "1 correction" : `${n || "No"} corrections`);
  if (mode === "stood") return `${count(known)} had arrived.`;
  if (!known && !unknown) return "No corrections up to this moment.";
  return `${count(known)} seen, ${unknown ? `${unknown} not yet known` : "all corrections known"}.`;
}

/** The knowledge cut and what it brings, in one line. */
export function knownWords({ shown, knownAt, corrections, known }) {
  const at = momentText(knownAt, shown.tape.date);
  return `Known at ${at === "latest" ? at : `${at} New York`}. ${correctionsText(corrections, known)}`;
}
