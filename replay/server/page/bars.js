// The matrix of one window: which rows are visible, the bars they make, and the contract's body of them.

import { countBelow, countUpTo } from "./order.js";
import { clocksOf, gapsOf } from "./gaps.js";
import { MINUTE, floorMinute, isoUtc } from "./time.js";

export const NO_STRIKES = "no_strike_data_for_window";

/**
 * What was visible of a tape at a moment: the finest track with any visible row, and the numbers of those rows.
 *
 * `number` is the track's place in the tape; without any visible row the rows are none of the first track's.
 */
export function lookAt(tape, asOf, knownAt) {
  for (const [number, track] of tape.tracks.entries()) {
    const rows = visibleRows(track, asOf, knownAt);
    if (rows.length) return { track, number, rows };
  }
  return { track: tape.tracks[0] ?? null, number: 0, rows: new Int32Array(0) };
}

function visibleRows(track, asOf, knownAt) {
  const { ts, recorded_at: recorded, superseded_at: superseded } = track;
  const end = countUpTo(ts, asOf);
  const rows = new Int32Array(end);
  let count = 0;
  for (let i = 0; i < end; i++) if (recorded[i] <= knownAt && knownAt < superseded[i]) rows[count++] = i;
  return rows.subarray(0, count);
}

/**
 * The bars of a window: T bars of n strikes, each `bar` minutes long.
 *
 * `starts` and `spot` are T each, `strikes` n, `raw` and `values` T x n: the metric, and the same in the mode
 * asked for; NaN is not known. `problem` is NO_STRIKES where the window has rows, but none with strikes.
 */
export function buildBars(tape, seen, { asOf, minutes, mode, bar }) {
  const { track, rows } = seen;
  const since = floorMinute(asOf - minutes * MINUTE);
  const clocks = track ? clocksOf(track, rows) : null;
  const first = track ? firstFrom(track, rows, since) : 0;
  const window = rows.subarray(first);
  const sampled = window.filter((row) => track.sampled[row]);
  const newest = rows.length ? rows[rows.length - 1] : -1;
  const shown = {
    tape,
    track,
    number: seen.number,
    rows,
    newest,
    since,
    minutes,
    mode,
    clocks,
    bar,
    step: bar * MINUTE,
    tier: rows.length ? track.tier : "raw",
    unit: track?.units[newest < 0 ? 0 : track.file[newest]] ?? "",
    underlying: window.length ? finite(track.spot[window[window.length - 1]]) : null,
    problem: window.length && !sampled.length ? NO_STRIKES : null,
    changes: mode === "delta" && !tape.flow, // flow is an increment already
  };
  const runs = runsOf(minuteRuns(track, sampled), shown.step);
  const count = runs.length;
  shown.starts = Float64Array.from(runs, (run) => run.start);
  shown.spot = Float64Array.from(runs, (run) => track.spot[run.last]);
  shown.last = Int32Array.from(runs, (run) => run.last); // the rows that levels of each bar are of
  shown.legacy = legacyOf(track, window, shown);
  const bars = runs.map((run) =>
    tape.flow ? summed(run.minutes.map((own) => flowOf(track, own, sampled))) : levelOf(track, run.last),
  );
  const columns = columnsOf(track, bars);
  shown.strikes = Float64Array.from(columns, (column) => track.strikes[column]);
  shown.raw = new Float64Array(count * columns.length);
  for (let each = 0, at = 0; each < count; each++) {
    const { values } = bars[each];
    for (let i = 0; i < columns.length; i++) shown.raw[at++] = values[columns[i]] + 0;
  }
  shown.values = shown.changes ? differences(shown.raw, columns.length) : shown.raw;
  return shown;
}

/** The gaps that reach into the window, as known at a moment. */
export function gapsIn(shown, asOf) {
  return shown.track ? gapsOf(shown.tape, shown.track, shown.rows, shown.clocks, asOf, shown.since) : [];
}

/** The starts of the bars that there would be of v1 rows, were there strikes in them. */
function legacyOf(track, window, { step, starts }) {
  const found = new Set();
  for (const row of window) if (!track.sampled[row]) found.add(track.ts[row] - (track.ts[row] % step));
  for (const start of starts) found.delete(start);
  return found;
}

function firstFrom(track, rows, since) {
  const row = countBelow(track.ts, since); // rows ascend with ts
  return countBelow(rows, row);
}

/** The rows of each clock minute: its start, and the places of its first and last row among `rows`. */
function minuteRuns(track, rows) {
  const runs = [];
  let run = null;
  for (let i = 0; i < rows.length; i++) {
    const start = floorMinute(track.ts[rows[i]]);
    if (run === null || run.start !== start) runs.push((run = { start, from: i, to: i, last: rows[i] }));
    else Object.assign(run, { to: i, last: rows[i] });
  }
  return runs;
}

/** The minutes of each stretch of the clock, `step` long: its start, its minutes, and its last row. */
function runsOf(minutes, step) {
  const runs = [];
  for (const each of minutes) {
    const start = each.start - (each.start % step);
    if (runs.at(-1)?.start === start) runs.at(-1).minutes.push(each);
    else runs.push({ start, minutes: [each] });
    runs.at(-1).last = each.last;
  }
  return runs;
}

function levelOf(track, row) {
  const width = track.strikes.length;
  return {
    values: track.values.subarray(row * width, (row + 1) * width),
    listed: track.listed && track.listed.subarray(row * width, (row + 1) * width),
  };
}

/** The sums of a minute's rows in time order, in which NaN adds nothing unless all are; kept while its rows stay. */
function flowOf(track, run, rows) {
  track.sums ??= new Map();
  const own = rows.subarray(run.from, run.to + 1);
  const kept = track.sums.get(run.start);
  if (kept && kept.rows.length === own.length && own.every((row, i) => row === kept.rows[i])) return kept;
  const width = track.strikes.length;
  const values = new Float64Array(width).fill(NaN);
  const listed = track.listed && new Uint8Array(width);
  for (const row of own) {
    for (let i = 0, at = row * width; i < width; i++, at++) {
      const added = track.values[at];
      if (added === added) values[i] = (values[i] === values[i] ? values[i] : 0) + added;
      if (listed) listed[i] |= track.listed[at];
    }
  }
  const made = { rows: own, values, listed };
  track.sums.set(run.start, made);
  return made;
}

/** The sum of minutes' sums, in time order, by the same rule. */
function summed(minutes) {
  if (minutes.length === 1) return minutes[0];
  const values = minutes[0].values.slice();
  const listed = minutes[0].listed?.slice();
  for (const minute of minutes.slice(1)) {
    for (let i = 0; i < values.length; i++) {
      const added = minute.values[i];
      if (added === added) values[i] = (values[i] === values[i] ? values[i] : 0) + added;
      if (listed) listed[i] |= minute.listed[i];
    }
  }
  return { values, listed };
}

/** The track's columns whose strikes any of the bars' rows list. */
function columnsOf(track, bars) {
  if (bars.length === 0) return [];
  const all = Array.from(track.strikes.keys());
  if (!track.listed) return all;
  const used = new Uint8Array(all.length);
  for (const { listed } of bars) for (let i = 0; i < used.length; i++) used[i] |= listed[i];
  return all.filter((column) => used[column]);
}

function differences(raw, width) {
  const values = raw.slice();
  for (let i = width; i < raw.length; i++) values[i] = raw[i] - raw[i - width] + 0;
  return values;
}

function finite(value) {
  return Number.isFinite(value) ? value : null;
}

/** The contract's body, with gaps, as a plain object: what the server answers for the same request. */
export function bodyOf(shown, gaps, asOf) {
  if (shown.problem) return { status: "ERROR", error: shown.problem };
  const width = shown.strikes.length;
  return {
    symbol: shown.tape.symbol,
    underlying_price: shown.underlying,
    expiration: shown.tape.date,
    metric: shown.tape.metric,
    mode: shown.mode,
    bar_size: `${shown.bar}m`,
    as_of: isoUtc(asOf),
    tier_used: shown.tier,
    strikes_grid: Array.from(shown.strikes),
    bars: Array.from(shown.starts, (start, bar) => ({
      t: isoUtc(start),
      spot: finite(shown.spot[bar]),
      values: Array.from(shown.values.subarray(bar * width, (bar + 1) * width), finite),
    })),
    gap_intervals: gaps.map(([start, end]) => ({ start: isoUtc(start), end: isoUtc(end) })),
  };
}
