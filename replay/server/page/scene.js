// A scene: all that a frame shows of a tape at a moment. What no other row or choice changes is kept from the last one.

import { pricesInSight, strikeEdges } from "./axes.js";
import { buildBars, gapsIn, lookAt } from "./bars.js";
import { flipsOf } from "./flips.js";
import { levelsOf } from "./readings.js";
import { limitOf, scaleOf } from "./scale.js";
import { knownAtOf } from "./state.js";
import { MINUTE, floorMinute } from "./time.js";

export class Scenes {
  #bars = null;
  #kept = new Map();

  build(state, { tape, levels, run }, inks) {
    const knownAt = knownAtOf(state);
    const shown = this.#shown(tape, lookAt(tape, state.asOf, knownAt), state);
    const scale = this.#keep("scale", [shown, state.limit], () => scaleOf(shown, tape.percentile, state.limit));
    const flips = this.#keep("flips", [shown, scale, state.flips], () => {
      if (!state.flips) return [];
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
      flipsShown: state.flips,
      gaps: gapsIn(shown, state.asOf),
      prices: around && state.low !== null ? [state.low, state.high] : around,
      levels: levelsOf(levels, shown),
      run: run?.name === state.run ? run : null,
      corrections: correctionsAt(shown.track, state.asOf, knownAt),
    };
  }

  #shown(tape, seen, { asOf, minutes, mode, bar }) {
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

/** How many corrections of what was taken by a moment are known, and how many are not yet. */
function correctionsAt(track, asOf, knownAt) {
  const found = { known: 0, unknown: 0 };
  for (let i = 0; i < (track?.count ?? 0) && track.ts[i] <= asOf; i++) {
    if (track.corrects[i]) found[track.recorded_at[i] <= knownAt ? "known" : "unknown"] += 1;
  }
  return found;
}
