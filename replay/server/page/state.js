// The view's state: what is shown, as of when, knowing what. Read from the address and written back to it.

import { LATEST, Unreadable, dateOf, isDate, isoUtc, parseMoment } from "./time.js";

export const METRICS = ["gex", "dex", "vex", "chex", "oi", "signed_flow"];
export const BARS = [1, 5, 15, 30]; // minutes; coarser ones are made of those of a minute
export const THEMES = ["auto", "light", "dark"];
export const KNOWN = ["stood", "latest", "moment"];

const START = {
  symbol: "",
  date: "",
  metric: "gex",
  mode: "raw",
  bar: null, // minutes; null: as the session's snapshots come
  minutes: 390,
  asOf: null,
  known: "stood",
  knownAt: null,
  tier: "",
  run: "",
  theme: "auto",
  flips: null, // null: unless the metric is a flow
  limit: null,
  low: null,
  high: null,
};
const WRITE_EVERY = 400; // ms; browsers refuse more than some hundred addresses a minute
const BOUNDS = { low: [-1e7, 1e7], high: [-1e7, 1e7], limit: [1e-12, 1e18] };

/** The knowledge cut of a state, microseconds. */
export function knownAtOf(state) {
  if (state.known === "latest") return LATEST;
  return state.known === "moment" && state.knownAt !== null ? state.knownAt : state.asOf;
}

/** Whether sign flips are wanted: of a flow, whose sign is noise, only where they were asked for. */
export function wantsFlips(state) {
  return state.flips ?? state.metric !== "signed_flow";
}

/**
 * The state that an address's query names; what it lacks is as at the start.
 *
 * `wrong` lists the parameters that cannot be read, as they were written; `closes` those clocks of which it names the
 * date alone, which stand at 16:00 until it is known when that session closes.
 */
export function readQuery(query) {
  const given = new URLSearchParams(query);
  const state = { ...START };
  const wrong = [];
  const closes = [];
  const read = (name, take) => {
    const text = given.get(name)?.trim();
    if (text && take(text) === false) wrong.push(`${name}=${text.length > 40 ? `${text.slice(0, 40)}…` : text}`);
  };
  const choose = (name, allowed) =>
    read(name, (text) => {
      if (!allowed.includes(text)) return false;
      state[name] = text;
    });
  read("symbol", (text) => (state.symbol = text.toUpperCase()));
  read("date", (text) => {
    if (!isDate(text) || moment(text, "") === null) return false;
    state.date = text;
  });
  choose("metric", METRICS);
  choose("mode", ["raw", "delta"]);
  choose("theme", THEMES);
  choose("tier", ["raw", "1m"]);
  read("bar", (text) => (state.bar = BARS.find((minutes) => text === `${minutes}m`) ?? null) !== null);
  read("run", (text) => (state.run = text));
  read("minutes", (text) => {
    if (!/^[+-]?\d{1,300}$/.test(text)) return false;
    state.minutes = Math.min(Math.max(Number(text), 1), 390);
  });
  const clock = (name, field) =>
    read(name, (text) => {
      state[field] = moment(text, state.date);
      if (isDate(text)) closes.push(field);
      return state[field] !== null;
    });
  clock(given.get("as_of") ? "as_of" : "at", "asOf");
  if (state.asOf !== null) {
    state.date ||= dateOf(state.asOf);
    if (dateOf(state.asOf) !== state.date) {
      wrong.push(`as_of=${isoUtc(state.asOf)} on ${state.date}`);
      state.asOf = null;
    }
  }
  if (given.get("known_at")?.trim() === "latest") state.known = "latest";
  else clock("known_at", "knownAt");
  if (state.knownAt !== null) state.known = "moment";
  read("flips", (text) => {
    if (text !== "0" && text !== "1") return false;
    state.flips = text === "1";
  });
  for (const [name, [least, most]] of Object.entries(BOUNDS)) {
    read(name, (text) => {
      const value = Number(text);
      if (!(value >= least && value <= most)) return false;
      state[name] = value;
    });
  }
  if (state.low === null || state.high === null || !(state.high - state.low > 1e-3)) {
    if (state.low !== null && state.high !== null) wrong.push(`low=${state.low} with high=${state.high}`);
    state.low = state.high = null;
  }
  return { state, wrong, closes };
}

/** The query that names a state, without what is as at the start. */
function writeQuery(state) {
  const query = new URLSearchParams();
  for (const name of ["symbol", "date", "metric", "mode", "minutes"]) query.set(name, state[name]);
  if (state.asOf !== null) query.set("as_of", isoUtc(state.asOf));
  if (state.known === "latest") query.set("known_at", "latest");
  if (state.known === "moment" && state.knownAt !== null) query.set("known_at", isoUtc(state.knownAt));
  if (state.bar !== null) query.set("bar", `${state.bar}m`);
  for (const name of ["tier", "run"]) if (state[name]) query.set(name, state[name]);
  if (state.theme !== "auto") query.set("theme", state.theme);
  if (state.flips !== null) query.set("flips", state.flips ? "1" : "0");
  for (const name of ["limit", "low", "high"]) if (state[name] !== null) query.set(name, String(state[name]));
  return query.toString().replaceAll("%3A", ":");
}

/** Keeps the address at the state, now and then. */
export class Address {
  #waiting = null;

  write(state) {
    this.#waiting ??= setTimeout(() => this.flush(), WRITE_EVERY);
    this.state = state;
  }

  flush() {
    clearTimeout(this.#waiting);
    this.#waiting = null;
    if (!this.state) return;
    const query = writeQuery(this.state);
    if (location.search.slice(1) !== query) history.replaceState(null, "", `?${query}`);
  }
}

/** The instant that a text names, or null. */
function moment(text, date) {
  try {
    return parseMoment(text, date);
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  }
}
