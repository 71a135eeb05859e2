// A session's tape as it comes from the server: one decode into typed arrays, and what is told from its clocks once.

import { usualStep } from "./gaps.js";

const KINDS = { f8: Float64Array, u1: Uint8Array, u2: Uint16Array };

/** The header and arrays of a tape, or of a tape's levels; the arrays are views of the answer's bytes. */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const tracks = header.tracks.map((track) => {
    const arrays = {};
    for (const [name, told] of Object.entries(track.arrays)) {
      arrays[name] =
        told &&
        new KINDS[told.type](
          buffer,
          4 + length + told.offset,
          told.shape.reduce((a, b) => a * b, 1),
        );
    }
    return { ...track, ...arrays, count: arrays.ts.length };
  });
  return { ...header, tracks };
}

/** A metric's tape, with for each row what was known first of its instant and whether it is a correction. */
export function decodeTape(buffer) {
  const tape = decode(buffer);
  for (const track of tape.tracks) {
    track.strikes = Float64Array.from(track.strikes);
    track.firstKnown = new Float64Array(track.count);
    track.corrects = new Uint8Array(track.count);
    for (let i = 0; i < track.count; i++) {
      const revised = i > 0 && track.ts[i] === track.ts[i - 1];
      track.firstKnown[i] = revised ? track.firstKnown[i - 1] : track.recorded_at[i];
      track.corrects[i] = revised && track.recorded_at[i] > track.firstKnown[i] ? 1 : 0;
    }
    track.cadence = usualStep(track);
  }
  return { ...tape, ...stopsOf(tape.tracks) };
}

/** The first and last instant to stand at: the session's, and later ones of the same date that samples describe. */
export function reach(tape, dateOf) {
  let [from, to] = [tape.open, tape.close];
  for (const { ts } of tape.tracks) {
    for (const at of ts) {
      if ((from !== null && at >= from && at <= to) || dateOf(at) !== tape.date) continue;
      if (from === null) from = to = at;
      else if (at > to) to = at;
      else if (tape.open === null) from = at;
    }
  }
  return from === null ? null : { from, to };
}

/** Each moment at which something became known, ascending, and how many corrections came with it. */
function stopsOf(tracks) {
  const brings = new Map();
  for (const track of tracks) {
    for (let i = 0; i < track.count; i++) {
      if (track.superseded_at[i] <= track.recorded_at[i]) continue; // never seen
      brings.set(track.recorded_at[i], (brings.get(track.recorded_at[i]) ?? 0) + track.corrects[i]);
    }
  }
  const stops = Float64Array.from(brings.keys()).sort();
  return { stops, brings: Array.from(stops, (stop) => brings.get(stop)) };
}
