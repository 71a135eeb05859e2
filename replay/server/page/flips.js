// Sign flips: where a strike's metric is known on the other side of 0 than it was when last known.

const LEAST = 0.01; // of the scale's limit, both values

/** The cells (bar, strike) at which a flip shows, as pairs one after the other. */
export function flipsOf(shown, limit) {
  const { raw, starts, strikes } = shown;
  const width = strikes.length;
  const last = new Float64Array(width);
  const least = limit * LEAST;
  const found = [];
  if (!shown.tape.signed || !limit) return found;
  for (let bar = 0, at = 0; bar < starts.length; bar++) {
    for (let i = 0; i < width; i++, at++) {
      const value = raw[at];
      if (!(value > 0 || value < 0)) continue;
      const before = last[i];
      if (before * value < 0 && Math.abs(before) >= least && Math.abs(value) >= least) found.push(bar, i);
      last[i] = value;
    }
  }
  return found;
}
