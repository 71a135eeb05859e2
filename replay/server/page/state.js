// The view's state: what is shown, as of when, knowing what. Read from the address and written back to it.

import { LATEST, dateOf, isoUtc, parseMoment } from "./time.js";

export const METRICS = ["gex", "dex", "vex", "chex", "oi", "signed_flow"];
export const BARS = [1, 5, 15, 30]; // minutes; coarser ones are made of those of a minute
export const THEMES = ["auto", "light", "dark"];
export const KNOWN = ["stood", "latest", "moment"];

const START = {
  symbol: "",
  date: "",
  metric: "gex",
  mode: "raw",
  bar: 1,
  minutes: 390,
  asOf: null,
  known: "stood",
  knownAt: null,
  tier: "",
  run: "",
  theme: "auto",
  flips: true,
  limit: null,
  low: null,
  high: null,
};
const WRITE_EVERY = 400; // ms; browsers refuse more than some hundred addresses a minute

/** The knowledge cut of a state, microseconds. */
export function knownAtOf(state) {
  if (state.known === "latest") return LATEST;
  return state.known === "moment" && state.knownAt !== null ? state.knownAt : state.asOf;
}

/** The state that an address's query names; what it lacks or cannot mean is as at the start. */
export function readQuery(query) {
  const given = new URLSearchParams(query);
  const state = { ...START };
  state.symbol = (given.get("symbol") ?? "").trim().toUpperCase();
  if (/^\d{4}-\d\d-\d\d$/.test(given.get("date") ?? "")) state.date = given.get("date");
  const choose = (name, allowed) => allowed.includes(given.get(name)) && (state[name] = given.get(name));
  choose("metric", METRICS);
  choose("mode", ["raw", "delta"]);
  choose("theme", THEMES);
  choose("tier", ["raw", "1m"]);
  state.bar = BARS.find((minutes) => given.get("bar") === `${minutes}m`) ?? 1;
  state.run = given.get("run") ?? "";
  if (/^\d{1,9}$/.test(given.get("minutes") ?? ""))
    state.minutes = Math.min(Math.max(Number(given.get("minutes")), 1), 390);
  state.asOf = moment(given.get("as_of"), state.date);
  if (!state.date && state.asOf !== null) state.date = dateOf(state.asOf);
  state.knownAt = moment(given.get("known_at"), state.date);
  if (given.get("known_at") === "latest") state.known = "latest";
  else if (state.knownAt !== null) state.known = "moment";
  state.flips = given.get("flips") !== "0";
  for (const name of ["limit", "low", "high"]) state[name] = number(given.get(name));
  if (!(state.limit > 0)) state.limit = null;
  if (state.low === null || !(state.high > state.low)) state.low = state.high = null;
  return state;
}

/** The query that names a state, without what is as at the start. */
function writeQuery(state) {
  const query = new URLSearchParams();
  for (const name of ["symbol", "date", "metric", "mode", "minutes"]) query.set(name, state[name]);
  if (state.asOf !== null) query.set("as_of", isoUtc(state.asOf));
  if (state.known === "latest") query.set("known_at", "latest");
  if (state.known === "moment" && state.knownAt !== null) query.set("known_at", isoUtc(state.knownAt));
  if (state.bar !== 1) query.set("bar", `${state.bar}m`);
  for (const name of ["tier", "run"]) if (state[name]) query.set(name, state[name]);
  if (state.theme !== "auto") query.set("theme", state.theme);
  if (!state.flips) query.set("flips", "0");
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

function moment(text, date) {
  if (!text || text === "latest" || (!date && !text.includes("-"))) return null;
  try {
    return parseMoment(text, date);
  } catch {
    return null;
  }
}

function number(text) {
  return text !== null && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
}
