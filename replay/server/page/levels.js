// Levels of the rows shown: of the newest as numbers, and of each bar's last row as paths.

export const TOTALS = ["gex", "dex", "vex", "chex"];
const PATHS = ["magnet", "call_wall", "put_wall", "gamma_flip"];

const FIELDS = ["spot", ...PATHS, "max_pain", "expected_move", "pin_score", "atm_iv"];

/** The track of loaded levels that has the very rows of what is shown; null where it has others. */
function trackOf(loaded, shown) {
  const track = loaded?.tracks[shown.number];
  const row = shown.newest;
  if (!track || row < 0 || track.count !== shown.track.count || track.ts[row] !== shown.track.ts[row]) return null;
  return track.recorded_at[row] === shown.track.recorded_at[row] ? track : null;
}

/** The levels of the newest row as plain numbers, NaN where not known; null where they are not of these rows. */
export function levelsOf(loaded, shown) {
  const track = trackOf(loaded, shown);
  if (!track) return null;
  const found = {};
  for (const name of [...FIELDS, ...TOTALS.map((metric) => `net_${metric}`)]) found[name] = track[name][shown.newest];
  found.units = track.units?.[shown.track.file[shown.newest]];
  return found;
}

/** The levels that are prices, each at every bar, NaN where not known; null where they are not of these rows. */
export function pathsOf(loaded, shown) {
  const track = trackOf(loaded, shown);
  if (!track) return null;
  return Object.fromEntries(PATHS.map((name) => [name, Float64Array.from(shown.last, (row) => track[name][row])]));
}
