// The pickers: symbol, session, metric, mode, bar, window, tier, run, theme and what is drawn.

const byId = (id) => document.getElementById(id);
const WINDOWS = ["15", "30", "60", "120", "240", "390"];

export class Controls {
  #options = new Map();
  #other = false;

  /** `change(patch)` hears what was chosen. */
  constructor(change) {
    const chosen = (id, told) => byId(id).addEventListener("change", () => told(byId(id)));
    byId("pickers").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["symbol", "date", "metric", "tier", "run", "theme"])
      chosen(name, ({ value }) => change({ [name]: value }));
    for (const radio of document.querySelectorAll("[name=mode]"))
      radio.addEventListener("change", () => change({ mode: radio.value }));
    chosen("bar", ({ value }) => change({ bar: Number(value) }));
    chosen("flips", ({ checked }) => change({ flips: checked }));
    chosen("hold", ({ checked }) => change({ hold: checked }));
    chosen("window", ({ value }) => {
      this.#other = value === "other";
      change(this.#other ? {} : { minutes: Number(value) });
      if (this.#other) byId("minutes").focus();
    });
    chosen("minutes", (field) => {
      const minutes = Number(field.value);
      const fits = /^\d+$/.test(field.value) && minutes >= 1 && minutes <= 390;
      byId("minutes-error").hidden = fits;
      byId("minutes-error").textContent = fits ? "" : "A window is a whole number of minutes, 1 to 390.";
      if (fits) change({ minutes });
    });
    const wide = matchMedia("(width >= 640px)");
    const fold = () => (byId("more").open = wide.matches);
    wide.addEventListener("change", fold);
    fold();
  }

  /** Shows a state, and what there is to choose from. */
  show(state, sessions, runs) {
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
    for (const name of ["metric", "theme"]) put(name, "value", state[name]);
    for (const radio of document.querySelectorAll("[name=mode]")) radio.checked = radio.value === state.mode;
    put("bar", "value", String(state.bar));
    const preset = WINDOWS.includes(String(state.minutes));
    const other = this.#other || !preset;
    put("window", "value", other ? "other" : String(state.minutes));
    byId("minutes-label").hidden = !other;
    if (document.activeElement !== byId("minutes")) put("minutes", "value", String(state.minutes));
    put("flips", "checked", state.flips);
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

function put(id, property, value) {
  const element = byId(id);
  if (element[property] !== value) element[property] = value;
}
