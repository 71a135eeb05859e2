// The two clocks' controls: as_of and known_at as sliders and as text in New York time, and the profit between them.

import { countUpTo } from "./order.js";
import { drawEquity, profitAt } from "./runs.js";
import { money } from "./tables.js";
import { LATEST, SECOND, clockText, dateOf, isoNewYork, momentText, parseMoment } from "./time.js";
import { canvasOf, sized } from "./view.js";
import { correctionsText } from "./words.js";

const THUMB = 9; // pixels: half a slider's thumb, which its ends stand in from the edges

const byId = (id) => document.getElementById(id);

export class Clocks {
  #tape = null;
  #marked = [];

  /** `host.goTo(us)` and `host.know(mode, us)` are told; `host.reach()` is how far as_of can go. */
  constructor(host) {
    this.host = host;
    this.equity = canvasOf("equity");
    this.marks = canvasOf("known-marks");
    this.moment = { slider: byId("as-of"), text: byId("as-of-text"), error: byId("as-of-error") };
    this.known = { slider: byId("known-at"), text: byId("known-at-text"), error: byId("known-at-error") };
    this.moment.slider.addEventListener("input", () => {
      const { from, to } = host.reach();
      host.goTo(Math.min(from + Number(this.moment.slider.value) * SECOND, to));
    });
    this.known.slider.addEventListener("input", () =>
      host.know("moment", this.#tape.stops[Number(this.known.slider.value)]),
    );
    typed(this.moment, (text) => {
      const us = parseMoment(text, this.#tape.date);
      if (dateOf(us) !== this.#tape.date) throw new Error(`It must be on ${this.#tape.date}, the session shown.`);
      host.goTo(us);
    });
    typed(this.known, (text) => {
      if (text.trim().toLowerCase() === "latest") host.know("latest", null);
      else host.know("moment", parseMoment(text, this.#tape.date));
    });
    for (const radio of document.querySelectorAll("[name=known]")) {
      radio.addEventListener("change", () => host.know(radio.value, null));
    }
  }

  /** Shows where both clocks stand. */
  show({ tape, state, knownAt, inks, run, corrections, ratio }) {
    this.#tape = tape;
    const { from, to } = this.host.reach();
    const { slider, text } = this.moment;
    set(slider, "max", String(Math.max(Math.ceil((to - from) / SECOND), 1)));
    set(slider, "value", String(Math.round((Math.min(Math.max(state.asOf, from), to) - from) / SECOND)));
    attribute(slider, "aria-valuetext", `${momentText(state.asOf, tape.date)} New York`);
    if (document.activeElement !== text) set(text, "value", isoNewYork(state.asOf));
    set(byId("clock"), "textContent", clockText(state.asOf));
    this.#showKnown(tape, state, knownAt);
    set(byId("corrections"), "textContent", correctionsText(corrections));
    this.#mark(tape, inks, ratio);
    this.#showProfit(run, state.asOf, inks, ratio);
  }

  #showKnown(tape, state, knownAt) {
    const { slider, text } = this.known;
    const { stops, brings } = tape;
    set(slider, "disabled", stops.length === 0);
    set(slider, "max", String(Math.max(stops.length - 1, 0)));
    const place = Math.max(countUpTo(stops, knownAt) - 1, 0);
    set(slider, "value", String(place));
    const brought =
      brings[place] && knownAt >= stops[place]
        ? `, a stop that brings ${brings[place] === 1 ? "a correction" : `${brings[place]} corrections`}`
        : "";
    const mode = { stood: "as it stood, ", latest: "", moment: "" }[state.known];
    attribute(
      slider,
      "aria-valuetext",
      mode + momentText(knownAt, tape.date) + (knownAt >= LATEST ? "" : " New York") + brought,
    );
    if (document.activeElement !== text) set(text, "value", knownAt >= LATEST ? "latest" : isoNewYork(knownAt));
    for (const radio of document.querySelectorAll("[name=known]")) set(radio, "checked", radio.value === state.known);
  }

  /** Marks the stops that bring corrections. */
  #mark(tape, inks, ratio) {
    const width = this.marks.canvas.clientWidth;
    const wanted = [tape, inks, width, ratio];
    if (wanted.every((each, i) => each === this.#marked[i])) return;
    this.#marked = wanted;
    const context = sized(this.marks, width, 6, ratio);
    context.clearRect(0, 0, width, 6);
    context.fillStyle = inks.down;
    const across = (width - 2 * THUMB) / Math.max(tape.stops.length - 1, 1);
    tape.brings.forEach((count, i) => count && context.fillRect(THUMB + i * across - 1, 0, 2, 6));
  }

  #showProfit(run, asOf, inks, ratio) {
    set(byId("equity-line"), "hidden", !run);
    if (!run) return;
    const { clientWidth: width, clientHeight: height } = this.equity.canvas;
    drawEquity(
      sized(this.equity, width, height, ratio),
      { width, height, inset: THUMB },
      run,
      this.host.reach(),
      asOf,
      inks,
    );
    const profit = profitAt(run, asOf);
    const text = profit === null ? "not known" : `${money(profit, true)} USD`;
    set(byId("profit"), "textContent", text);
    set(byId("profit"), "className", `profit ${profit > 0 ? "gain" : profit < 0 ? "loss" : ""}`);
    attribute(this.equity.canvas, "aria-label", `Profit and loss of ${run.name} so far: ${text}`);
  }

  /** Says what was wrong with nothing any more. */
  clear() {
    for (const { text, error } of [this.moment, this.known]) {
      error.textContent = "";
      text.removeAttribute("aria-invalid");
    }
  }
}

function typed({ text, error }, take) {
  const commit = () => {
    try {
      take(text.value);
      error.textContent = "";
      text.removeAttribute("aria-invalid");
    } catch (wrong) {
      error.textContent = wrong.message;
      text.setAttribute("aria-invalid", "true");
    }
  };
  text.addEventListener("change", commit);
  text.addEventListener("keydown", (event) => event.key === "Enter" && commit());
}

function set(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
