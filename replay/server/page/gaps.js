// Gaps: stretches of a session without a visible snapshot, judged by the usual step and lag of what is visible.

import { median } from "./order.js";
import { MINUTE } from "./time.js";

/** How often snapshots come and how late they become known, told from the rows visible; microseconds. */
export function clocksOf(track, visible) {
  return { step: stepOf(track, visible) || MINUTE, lag: lagOf(track, visible) };
}

/** The session's gaps as known at a moment that reach into the window which begins at `since`: [start, end] each. */
export function gapsOf(tape, track, visible, clocks, asOf, since) {
  if (tape.open === null) return [];
  const until = Math.min(asOf - clocks.lag, tape.close);
  const found = [];
  if (until <= tape.open) return found;
  let edge = tape.open;
  const longest = 2 * clocks.step;
  const meet = (next) => {
    if (next - edge > longest && next > since) found.push([edge, next]);
    edge = next;
  };
  for (let i = 0; i < visible.length; i++) {
    const ts = track.ts[visible[i]];
    if (ts > until) break;
    if (ts >= tape.open) meet(ts);
  }
  meet(until);
  return found;
}

/** How often the snapshots of a whole track come; a minute where that cannot be told. */
export function usualStep(track) {
  const firsts = [];
  for (let i = 0; i < track.count; i++) if (i === 0 || track.ts[i] !== track.ts[i - 1]) firsts.push(i);
  return stepOf(track, Int32Array.from(firsts)) || MINUTE;
}

/** What the files' metadata give and agree on, else the median step. */
function stepOf(track, visible) {
  const told = new Set(Array.from(new Set(visible.map((row) => track.file[row])), (file) => track.cadences[file]));
  told.delete(null);
  if (told.size === 1) return told.values().next().value;
  if (visible.length < 2) return 0;
  const steps = new Float64Array(visible.length - 1);
  for (let i = 1; i < visible.length; i++) steps[i - 1] = track.ts[visible[i]] - track.ts[visible[i - 1]];
  return Math.trunc(median(steps));
}

function lagOf(track, visible) {
  if (visible.length === 0) return 0;
  const lags = new Float64Array(visible.length);
  for (let i = 0; i < visible.length; i++) lags[i] = track.firstKnown[visible[i]] - track.ts[visible[i]];
  return Math.trunc(median(lags));
}
