// The pickers: symbol, session, metric, mode, bar, window, tier, run, theme and what is drawn.

import { lackOf } from "./runs.js";
import { wantsFlips } from "./state.js";

const byId = (id) => document.getElementById(id);
const WINDOWS = ["15", "30", "60", "120", "240", "390"];

export class Controls {
  #options = new Map();
  #other = false;

  /** `change(patch)` hears what was chosen. */
  constructor(change) {
    const chosen = (id, told) => byId(id).addEventListener("change", () => told(byId(id)));
    freeKeys();
    byId("pickers").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["symbol", "date", "metric", "tier", "run", "theme"])
      chosen(name, ({ value }) => change({ [name]: value }));
    for (const radio of document.querySelectorAll("[name=mode]"))
      radio.addEventListener("change", () => change({ mode: radio.value }));
    chosen("bar", ({ value }) => change({ bar: value ? Number(value) : null }));
    chosen("flips", ({ checked }) => change({ flips: checked }));
    chosen("hold", ({ checked }) => change({ hold: checked }));
    chosen("window", ({ value }) => {
      this.#other = value === "other";
      this.#sayMinutes("");
      change(this.#other ? {} : { minutes: Number(value) });
      if (this.#other) byId("minutes").focus();
    });
    const minutes = () => {
      const { value } = byId("minutes");
      return /^\d+$/.test(value) && value >= 1 && value <= 390 ? Number(value) : null;
    };
    byId("minutes").addEventListener("input", () => minutes() !== null && this.#sayMinutes(""));
    chosen("minutes", () => {
      this.#sayMinutes(minutes() === null ? "A window is a whole number of minutes, 1 to 390." : "");
      if (minutes() !== null) change({ minutes: minutes() });
    });
    const wide = matchMedia("(width >= 640px)");
    const fold = () => (byId("more").open = wide.matches);
    wide.addEventListener("change", fold);
    fold();
  }

  #sayMinutes(text) {
    byId("minutes-error").hidden = !text;
    byId("minutes-error").textContent = text;
    if (text) byId("minutes").setAttribute("aria-invalid", "true");
    else byId("minutes").removeAttribute("aria-invalid");
  }

  /** Shows a state, what there is to choose from, and how long the bars are, in minutes, where none were chosen. */
  show(state, sessions, runs, usual) {
    const own = sessions.filter(({ symbol }) => symbol === state.symbol);
    this.#fill("symbol", [...new Set(sessions.map(({ symbol }) => symbol))], state.symbol);
    this.#fill(
      "date",
      own.map(({ date }) => date),
      state.date,
    );
    const tiers = own.find(({ date }) => date === state.date)?.tiers ?? [];
    byId("tier-label").hidden = tiers.length < 2 && !state.tier;
    this.#fill("tier", ["", ...tiers], state.tier, { "": "finest" });
    byId("run-label").hidden = !runs.length && !state.run;
    this.#fill("run", ["", ...runs.map(({ name }) => name)], state.run, { "": "none" });
    for (const option of byId("run").options) {
      const lacking = Boolean(lackOf(runs, { ...state, run: option.value }));
      const text = `${option.value || "none"}${lacking ? " – not here" : ""}`;
      if (option.disabled !== lacking || option.text !== text) Object.assign(option, { disabled: lacking, text });
    }
    for (const name of ["metric", "theme"]) put(name, "value", state[name]);
    for (const radio of document.querySelectorAll("[name=mode]")) radio.checked = radio.value === state.mode;
    put("bar", "value", String(state.bar ?? ""));
    const auto = byId("bar").options[0];
    if (auto.text !== `auto, ${usual} min`) auto.text = `auto, ${usual} min`;
    const preset = WINDOWS.includes(String(state.minutes));
    const other = this.#other || !preset;
    put("window", "value", other ? "other" : String(state.minutes));
    byId("minutes-label").hidden = !other;
    if (document.activeElement !== byId("minutes") && byId("minutes-error").hidden)
      put("minutes", "value", String(state.minutes));
    put("flips", "checked", wantsFlips(state));
    put("hold", "checked", state.limit !== null);
  }

  /** Fills a list with what there is, and with what is chosen even where it is not among them. */
  #fill(id, values, chosen, names = {}) {
    const all = values.includes(chosen) || !chosen ? values : [...values, chosen];
    const key = JSON.stringify(all);
    if (this.#options.get(id) !== key) {
      this.#options.set(id, key);
      byId(id).replaceChildren(...all.map((value) => new Option(names[value] ?? value, value)));
    }
    put(id, "value", chosen);
  }
}

/** Lets go of a list that was chosen from by pointer, so that the page has its keys again. */
function freeKeys() {
  for (const list of document.querySelectorAll("select")) {
    let keyed = false;
    list.addEventListener("keydown", () => (keyed = true));
    list.addEventListener("pointerdown", () => (keyed = false));
    list.addEventListener("blur", () => (keyed = false));
    list.addEventListener("change", () => keyed || list.blur());
  }
}

function put(id, property, value) {
  const element = byId(id);
  if (element[property] !== value) element[property] = value;
}
