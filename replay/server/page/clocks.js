// The two clocks' controls: as_of and known_at as sliders on one axis and as text, and the profit between them.

import { countUpTo } from "./order.js";
import { drawEquity, profitAt } from "./runs.js";
import { money } from "./tables.js";
import {
  LATEST,
  SECOND,
  Unreadable,
  clockText,
  dateOf,
  isoNewYork,
  minuteText,
  momentText,
  parseMoment,
} from "./time.js";
import { Timeline } from "./timeline.js";
import { canvasOf, sized } from "./view.js";
import { correctionsText } from "./words.js";

const THUMB = 9; // pixels: half a slider's thumb, which its ends stand in from the edges
const QUARTER = 15 * 60 * SECOND;
const MARKS = 6; // pixels

const byId = (id) => document.getElementById(id);

export class Clocks {
  #tape = null;
  #reach = null;
  #line = null;
  #marked = [];

  /**
   * `host.goTo(us)` and `host.know(mode, us)` are told; `host.reach()` is how far as_of can go, `host.known()` the
   * knowledge cut, `host.closeOf(date)` when a session closes, as far as that is known.
   */
  constructor(host) {
    this.host = host;
    this.equity = canvasOf("equity");
    this.marks = canvasOf("known-marks");
    this.moment = new Typed("as-of", (text) => {
      const us = parseMoment(text, this.#tape.date, host.closeOf);
      if (dateOf(us) !== this.#tape.date) throw new Unreadable(`It must be on ${this.#tape.date}, the session shown.`);
      return () => host.goTo(us);
    });
    this.known = new Typed("known-at", (text) => {
      if (text.trim().toLowerCase() === "latest") return () => host.know("latest", null);
      const us = parseMoment(text, this.#tape.date, host.closeOf);
      return () => host.know("moment", us);
    });
    for (const each of [this.moment, this.known]) each.fits = () => this.#tape !== null;
    const { slider } = this.known;
    this.moment.slider.addEventListener("input", () => {
      if (this.#line) host.goTo(this.#line.at(Number(this.moment.slider.value)));
    });
    slider.addEventListener("input", () => this.#line && host.know("moment", this.#line.at(Number(slider.value))));
    slider.addEventListener("keydown", (event) => this.#key(event));
    for (const radio of document.querySelectorAll("[name=known]")) {
      radio.addEventListener("change", () => host.know(radio.value, null));
    }
  }

  /** The arrow keys go to the next moment at which anything became known. */
  #key(event) {
    const line = this.#line;
    if (!line || event.ctrlKey || event.altKey || event.metaKey) return;
    const now = Math.min(this.host.known(), line.stops.at(-1) ?? line.to);
    const far = event.shiftKey ? QUARTER : 0;
    const step = (by) => (far ? now + by * far : line.next(now, by));
    const places = {
      ArrowRight: () => step(1),
      ArrowUp: () => step(1),
      ArrowLeft: () => step(-1),
      ArrowDown: () => step(-1),
      PageUp: () => now + QUARTER,
      PageDown: () => now - QUARTER,
      Home: () => line.from,
      End: () => line.at(line.end),
    };
    if (!places[event.key]) return;
    event.preventDefault();
    this.host.know("moment", Math.max(places[event.key](), Math.min(line.from, now)));
  }

  /** Shows where both clocks stand. */
  show({ tape, state, knownAt, inks, run, corrections, ratio }) {
    const reach = this.host.reach();
    if (this.#tape !== tape || this.#reach !== reach) this.#line = new Timeline(reach, tape.stops);
    [this.#tape, this.#reach] = [tape, reach];
    const line = this.#line;
    const { slider } = this.moment;
    set(slider, "max", String(line.seconds));
    set(slider, "value", String(Math.round(line.placeOf(Math.min(state.asOf, line.to)))));
    attribute(slider, "aria-valuetext", `${momentText(state.asOf, tape.date)} New York`);
    this.moment.show(isoNewYork(state.asOf));
    // The session's part of the axis is as wide here as it is on the slider below, thumb and all.
    const width = `calc(${line.share * 100}% + ${(1 - line.share) * 2 * THUMB}px)`;
    if (slider.dataset.width !== width)
      slider.dataset.width = slider.style.width = this.equity.canvas.style.width = width;
    set(byId("clock"), "textContent", clockText(state.asOf));
    this.#showKnown(tape, state, knownAt);
    const late = line.late.length ? ` Right of the bar on its slider: learned after ${minuteText(line.to)}.` : "";
    set(byId("corrections"), "textContent", correctionsText(corrections, state.known) + late);
    this.#mark(tape, state.known === "stood" ? state.asOf : LATEST, inks, ratio);
    this.#showProfit(run, state.asOf, inks, ratio);
  }

  #showKnown(tape, state, knownAt) {
    const { slider } = this.known;
    const { stops, brings } = tape;
    set(slider, "max", String(this.#line.end));
    set(slider, "value", String(Math.round(this.#line.placeOf(knownAt))));
    const place = Math.max(countUpTo(stops, knownAt) - 1, 0);
    const count = knownAt === stops[place] ? brings[place] : 0;
    const brought = count ? `, a moment that brings ${count === 1 ? "a correction" : `${count} corrections`}` : "";
    const mode = { stood: "as it stood, ", latest: "", moment: "" }[state.known];
    attribute(
      slider,
      "aria-valuetext",
      mode + momentText(knownAt, tape.date) + (knownAt >= LATEST ? "" : " New York") + brought,
    );
    this.known.show(knownAt >= LATEST ? "latest" : isoNewYork(knownAt));
    for (const radio of document.querySelectorAll("[name=known]")) set(radio, "checked", radio.value === state.known);
  }

  /** Marks the moments that bring corrections, up to one, and where the axis' last part begins. */
  #mark(tape, until, inks, ratio) {
    const width = this.marks.canvas.clientWidth;
    const count = countUpTo(tape.stops, until);
    const wanted = [this.#line, inks, width, ratio, count];
    if (wanted.every((each, i) => each === this.#marked[i])) return;
    this.#marked = wanted;
    const context = sized(this.marks, width, MARKS, ratio);
    context.clearRect(0, 0, width, MARKS);
    const x = (place) => THUMB + (place / this.#line.end) * (width - 2 * THUMB);
    if (this.#line.late.length) {
      context.fillStyle = inks.line;
      context.fillRect(x(this.#line.seconds), 0, width - THUMB - x(this.#line.seconds), MARKS);
      context.fillStyle = inks.soft;
      context.fillRect(x(this.#line.seconds) - 0.5, 0, 1, MARKS);
    }
    context.fillStyle = inks.down;
    for (let i = 0; i < count; i++)
      if (tape.brings[i]) context.fillRect(x(this.#line.placeOf(tape.stops[i])) - 1, 0, 2, MARKS);
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
    const symbols = run.equity.symbols ?? [];
    const of = symbols.length > 1 ? `all of ${symbols.join(", ")}` : "";
    set(byId("profit"), "textContent", text);
    set(byId("profit"), "className", `profit ${profit > 0 ? "gain" : profit < 0 ? "loss" : ""}`);
    set(byId("profit-of"), "textContent", of);
    attribute(this.equity.canvas, "aria-label", `Profit and loss of ${run.name}${of && `, ${of},`} so far: ${text}`);
  }

  /** Shows no session's clocks. */
  clear() {
    this.#tape = this.#line = null;
    this.#marked = [];
    for (const each of [this.moment, this.known]) {
      each.show("");
      each.slider.removeAttribute("aria-valuetext");
    }
    set(byId("clock"), "textContent", "--:--:--");
    set(byId("corrections"), "textContent", "");
    set(byId("equity-line"), "hidden", true);
    this.marks.context.clearRect(0, 0, this.marks.canvas.width, this.marks.canvas.height);
  }
}

/** A slider with a field beside it that takes the same as text, and says what it cannot take. */
class Typed {
  #shown = null;

  /** `read(text)` answers what to do with it, or throws what is Unreadable. */
  constructor(id, read) {
    this.read = read;
    this.slider = byId(id);
    this.text = byId(`${id}-text`);
    this.error = byId(`${id}-error`);
    const commit = () => this.#try(true);
    this.text.addEventListener("change", commit);
    this.text.addEventListener("keydown", (event) => event.key === "Enter" && commit());
    this.text.addEventListener("input", () => this.error.textContent && this.#try(false));
  }

  #try(act) {
    if (!this.fits()) return;
    try {
      const found = this.read(this.text.value);
      this.#say("");
      if (act) found();
    } catch (wrong) {
      if (!(wrong instanceof Unreadable)) throw wrong;
      if (act) this.#say(wrong.message);
    }
  }

  /** Shows what holds; what is being typed, or cannot be taken, stays until something else holds. */
  show(text) {
    const other = text !== this.#shown;
    this.#shown = text;
    if (other) this.#say("");
    if (document.activeElement !== this.text && !this.error.textContent) set(this.text, "value", text);
  }

  #say(text) {
    set(this.error, "textContent", text);
    if (text) this.text.setAttribute("aria-invalid", "true");
    else this.text.removeAttribute("aria-invalid");
  }
}

function set(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
