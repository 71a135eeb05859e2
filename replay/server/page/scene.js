// A scene: all that a frame shows of a tape at a moment. What no other row or choice changes is kept from the last one.

import { pricesInSight, strikeEdges } from "./axes.js";
import { buildBars, gapsIn, lookAt } from "./bars.js";
import { flipsOf } from "./flips.js";
import { levelsOf, pathsOf } from "./levels.js";
import { limitOf, scaleOf } from "./scale.js";
import { BARS, knownAtOf, wantsFlips } from "./state.js";
import { MINUTE, floorMinute } from "./time.js";

const WIDEST = 20; // times all strikes, that prices in sight may span
const TOLERANCE = 1.1; // how much longer than a bar the step of snapshots may be

export class Scenes {
  #bars = null;
  #kept = new Map();

  build(state, { tape, levels, run }, inks) {
    const knownAt = knownAtOf(state);
    const shown = this.#shown(tape, lookAt(tape, state.asOf, knownAt), state);
    const scale = this.#keep("scale", [shown, state.limit], () => scaleOf(shown, tape.percentile, state.limit));
    const flipsShown = wantsFlips(state);
    const flips = this.#keep("flips", [shown, scale, flipsShown], () => {
      if (!flipsShown) return [];
      return flipsOf(shown, shown.changes ? limitOf(shown.raw, 0, tape.percentile) : scale.limit);
    });
    const around = this.#keep("around", [shown], () =>
      shown.strikes.length ? pricesInSight(shown, strikeEdges(shown.strikes)) : null,
    );
    return {
      shown,
      scale,
      flips,
      inks,
      knownAt,
      asOf: state.asOf,
      flipsShown,
      flipped: this.#keep("flipped", [flips], () => cellsOf(flips, shown.strikes.length)),
      known: state.known,
      gaps: gapsIn(shown, state.asOf),
      ...inSight(state, around, shown),
      levels: levelsOf(levels, shown),
      paths: this.#keep("paths", [shown, levels], () => pathsOf(levels, shown)),
      run: run?.name === state.run ? run : null,
      corrections: correctionsAt(shown.track, state.asOf, knownAt),
    };
  }

  #shown(tape, seen, state) {
    const { asOf, minutes, mode } = state;
    const bar = state.bar ?? usualBar(seen.track);
    const old = this.#bars;
    const since = floorMinute(asOf - minutes * MINUTE);
    const same =
      old?.tape === tape &&
      old.number === seen.number &&
      old.since === since &&
      old.minutes === minutes &&
      old.mode === mode &&
      old.bar === bar &&
      old.rows.length === seen.rows.length &&
      old.rows.every((row, i) => row === seen.rows[i]);
    if (!same) this.#bars = buildBars(tape, seen, { asOf, minutes, mode, bar });
    return this.#bars;
  }

  #keep(name, from, make) {
    const old = this.#kept.get(name);
    if (old && from.every((each, i) => each === old.from[i])) return old.value;
    const value = make();
    this.#kept.set(name, { from, value });
    return value;
  }
}

/** The shortest bar, in minutes, that leaves no blanks between a track's snapshots. */
export function usualBar(track) {
  return BARS.find((minutes) => minutes * MINUTE * TOLERANCE >= (track?.cadence ?? MINUTE)) ?? BARS.at(-1);
}

/** The prices to show: those asked for, where any strike is among them and they are seen at that size. */
function inSight({ low, high }, around, { strikes }) {
  if (!around || low === null) return { prices: around, zoomed: false };
  const edges = strikeEdges(strikes);
  const [least, most] = [edges[0], edges.at(-1)];
  const fits = high > least && low < most && high - low < WIDEST * (most - least);
  if (!fits) return { prices: around, zoomed: false };
  return { prices: [low, high], zoomed: high - low < (around[1] - around[0]) * 0.999 };
}

/** Cells (bar, strike) that are given one after the other, as places in the matrix. */
function cellsOf(pairs, width) {
  const found = new Set();
  for (let i = 0; i < pairs.length; i += 2) found.add(pairs[i] * width + pairs[i + 1]);
  return found;
}

/** How many corrections of what was taken by a moment are known, and how many are not yet. */
function correctionsAt(track, asOf, knownAt) {
  const found = { known: 0, unknown: 0 };
  for (let i = 0; i < (track?.count ?? 0) && track.ts[i] <= asOf; i++) {
    if (track.corrects[i]) found[track.recorded_at[i] <= knownAt ? "known" : "unknown"] += 1;
  }
  return found;
}
