// The page: one state, what is loaded for it, and a frame that shows both.

import { wire } from "./actions.js";
import { bodyOf } from "./bars.js";
import { Clocks } from "./clocks.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Fit } from "./fit.js";
import { Frames } from "./frames.js";
import { Listing } from "./listing.js";
import { Player, nowOf } from "./player.js";
import { Readings } from "./readings.js";
import { happened } from "./runs.js";
import { Scenes, usualBar } from "./scene.js";
import { askJson, sentenceOf } from "./server.js";
import { Shelf } from "./shelf.js";
import { Address, knownAtOf, readQuery } from "./state.js";
import { newestTable, tradesTable } from "./tables.js";
import { reach } from "./tape.js";
import { applyTheme, inksOf, onThemeChange } from "./theme.js";
import { dateOf, isoNewYork, momentText, parseMoment } from "./time.js";
import { View } from "./view.js";
import { caption, heading, knownWords, nothing, scaleWords } from "./words.js";

const byId = (id) => document.getElementById(id);

class Page {
  #starting = true;
  clock; // as it was read last; null where it could not be
  step = "60";
  reach = null;
  frames = new Frames();
  #scene = null;
  #scenes = new Scenes();
  #tables = new Map();
  #asked = false;

  constructor() {
    const again = () => this.again();
    ({ state: this.state, wrong: this.wrong, closes: this.closes } = readQuery(location.search));
    this.dark = applyTheme(this.state.theme);
    this.address = new Address();
    this.shelf = new Shelf(() => this.#loaded());
    this.listing = new Listing(again);
    this.connection = new Connection({ check: () => this.#check(), busy: () => this.shelf.busy });
    this.fit = new Fit();
    this.controls = new Controls((patch) => {
      if ("date" in patch) this.player.follow(false);
      this.change(patch);
    });
    this.view = new View({
      again,
      sight: (prices) => this.change({ low: prices?.[0] ?? null, high: prices?.[1] ?? null }),
    });
    this.readings = new Readings(byId("readings"));
    this.player = new Player({
      moment: () => this.state.asOf,
      reach: () => this.reach,
      go: (us) => this.change({ asOf: us }),
      changed: again,
      toClock: (clock) => this.#toClock(clock),
      answered: () => this.connection.answered(),
      rest: () => this.connection.rest,
      failed: (error) => this.connection.failed(error),
    });
    this.clocks = new Clocks({
      reach: () => this.reach,
      goTo: (us) => this.goTo(us),
      know: (known, us) => this.know(known, us),
      known: () => knownAtOf(this.state),
      closeOf: (date) => (this.shelf.tape?.date === date ? this.shelf.tape.close : this.listing.closeOf(date)),
    });
    this.#sayWrong();
    onThemeChange(() => this.change({}));
    wire(this);
    this.#start()
      .catch((error) => this.connection.failed(error))
      .finally(() => (this.#starting = false));
  }

  async #start() {
    const clock = askJson("/replay/clock")
      .catch(() => null)
      .then((told) => {
        this.clock = told;
        this.#loaded();
      });
    const sessions = this.listing.load();
    if (this.state.symbol && this.state.date) {
      await Promise.all([sessions, clock, this.load()]);
    } else {
      await Promise.all([sessions, clock]);
      Object.assign(this.state, this.listing.choose(this.state, this.clock));
      await this.load();
    }
  }

  async #check() {
    this.clock ??= await askJson("/replay/clock");
    await this.listing.load();
    if (!this.state.symbol || !this.state.date)
      Object.assign(this.state, this.listing.choose(this.state, this.clock));
    if (this.state.symbol && this.state.date) await this.load();
  }

  async load() {
    if (!this.state.symbol || !this.state.date) return this.again();
    await this.shelf.load(this.state, (state) => this.listing.lacking(state));
    this.connection.reached();
  }

  /** A tape, levels or a run have come. */
  #loaded() {
    const { tape } = this.shelf;
    if (tape && this.#fits(tape)) {
      this.reach = reach(tape, dateOf) ?? {
        from: parseMoment("09:30", tape.date),
        to: parseMoment("16:00", tape.date),
      };
      for (const field of this.closes.splice(0)) {
        if (tape.close !== null && dateOf(this.state[field]) === tape.date) this.state[field] = tape.close;
      }
      const { asOf } = this.state;
      if (asOf === null && this.clock === undefined) return; // it comes here again with the clock
      if (asOf === null || dateOf(asOf) !== tape.date) {
        const now = this.clock && nowOf(this.clock);
        this.state.asOf = now !== null && dateOf(now) === tape.date ? now : (tape.close ?? this.reach.to);
      }
      this.address.write(this.state);
    } else if (this.shelf.refusal) this.player.pause();
    this.again();
  }

  #fits(tape) {
    return tape.symbol === this.state.symbol && tape.date === this.state.date;
  }

  /** Goes to another state and shows it. */
  change(patch) {
    const old = this.state;
    const { hold, ...rest } = patch;
    const next = { ...old, ...rest };
    if (hold !== undefined) next.limit = hold ? this.#scene?.scale.limit || null : null;
    const moved = (...names) => names.some((name) => next[name] !== old[name]);
    if (moved("symbol", "metric", "mode", "bar")) next.limit = null;
    if (moved("symbol", "date")) Object.assign(next, { low: null, high: null });
    if (moved("symbol") && !this.listing.has(next)) next.date = this.listing.last(next.symbol) ?? next.date;
    if (next.date !== old.date) {
      if (next.asOf !== null && dateOf(next.asOf) !== next.date) next.asOf = sameTime(next.asOf, next.date);
      if (next.known === "moment") Object.assign(next, { known: "stood", knownAt: null });
    }
    if (moved("symbol", "date")) this.reach = null; // until its tape fits
    this.state = next;
    if (this.wrong.length && Object.keys(patch).length) {
      this.wrong = [];
      this.#sayWrong();
    }
    this.dark = applyTheme(next.theme);
    if (moved("symbol", "date", "metric", "tier", "run")) this.load().catch((error) => this.#failed(error));
    this.address.write(next);
    this.again();
  }

  /** Goes to a moment by hand, which ends playing and following. */
  goTo(us) {
    if (!this.reach) return;
    this.player.pause();
    this.player.follow(false);
    this.change({ asOf: us });
  }

  /** Goes to a moment by a step, as far as there is any, and says so. */
  stepTo(us) {
    if (!this.reach) return;
    this.goTo(
      Math.min(Math.max(us, Math.min(this.reach.from, this.state.asOf)), Math.max(this.reach.to, this.state.asOf)),
    );
    this.#say(`As of ${momentText(this.state.asOf, this.state.date)} New York`);
  }

  /** Sets the knowledge cut: as it stood, latest, or a moment (`us` null: where it stands now). */
  know(known, us) {
    if (this.state.asOf === null) return;
    const knownAt = known === "moment" ? (us ?? Math.min(knownAtOf(this.state), this.reach?.to ?? Infinity)) : null;
    this.change({ known, knownAt });
    const scene = this.scene();
    if (us === null && scene) this.#say(knownWords(scene));
  }

  #toClock(clock) {
    this.clock = clock;
    const now = nowOf(clock);
    const date = dateOf(now);
    const patch = { asOf: now };
    if (date !== this.state.date && this.listing.has({ symbol: this.state.symbol, date })) patch.date = date;
    if (date === (patch.date ?? this.state.date)) this.change(patch);
  }

  #failed(error) {
    if (!this.connection.failed(error) && error.name !== "AbortError" && this.shelf.tape)
      this.tell(sentenceOf(error));
  }

  /** Says which parts of the address cannot be read, until something else is chosen. */
  #sayWrong() {
    const { wrong } = this;
    const text = `The address has ${wrong.join(", ")}, which cannot be read; the page shows the usual instead.`;
    byId("address-note").hidden = !wrong.length;
    byId("address-note").textContent = wrong.length ? text : "";
  }

  /** Tells what was done: to those who listen, and for a while to those who see. */
  tell(text) {
    this.#say(text);
    const toast = byId("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => (toast.hidden = true), 4000);
  }

  #say(text) {
    byId("live").textContent = text;
  }

  /** Has a frame drawn, once however often it is asked for. */
  again() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#frame();
    });
  }

  #frame() {
    const started = performance.now();
    const { state, shelf } = this;
    const ready = this.#ready();
    const scene = ready ? this.#scenes.build(state, shelf, inksOf(this.dark)) : null;
    this.#scene = scene;
    this.controls.show(state, this.listing.sessions, this.listing.runs ?? [], usualBar(scene?.shown.track));
    this.#showPlayer();
    this.view.box.classList.toggle("waiting", !ready && shelf.waiting);
    this.view.box.setAttribute("aria-busy", String(shelf.waiting));
    this.fit.enable(ready);
    put(byId("run-note"), "textContent", shelf.runNote || this.listing.runNote(state));
    if (!ready) {
      this.#showNothing();
      return this.frames.add(0, false);
    }
    const anew = this.view.draw(scene, scene.prices);
    this.#showWords(scene);
    this.frames.add(performance.now() - started, anew);
  }

  #ready() {
    const { tape } = this.shelf;
    const { asOf } = this.state;
    return Boolean(tape && this.reach && this.#fits(tape) && asOf !== null && dateOf(asOf) === tape.date);
  }

  /** How long the bars shown are, minutes. */
  get bar() {
    return this.state.bar ?? usualBar(this.scene()?.shown.track);
  }

  /** Shows of what is not here no more than its name, and why; nothing of what was here before. */
  #showNothing() {
    const { state, shelf } = this;
    const name = [state.symbol, state.date, state.symbol && state.metric].filter(Boolean).join(" ");
    put(document, "title", name ? `${name} – Replay` : "Replay");
    put(byId("title"), "textContent", name || "Replay");
    for (const id of ["caption", "scale"]) put(byId(id), "textContent", "");
    byId("legend").hidden = byId("trades").hidden = true;
    this.readings.clear();
    this.clocks.clear();
    this.#tables.clear();
    for (const id of ["newest", "trades"]) byId(id).querySelector(".scroll").replaceChildren();
    if (!shelf.waiting) this.view.clear();
    const where = [state.symbol && ` of ${state.symbol}`, state.date && ` on ${state.date}`].filter(Boolean).join("");
    const named = state.symbol && state.date;
    const empty = this.listing.listed && !named ? `The lake holds no session${where}.` : "";
    this.#message(named ? (shelf.refusal ?? (shelf.waiting ? "Loading…" : "")) : empty);
  }

  #message(text) {
    byId("message").hidden = !text;
    put(byId("message"), "textContent", text ?? "");
  }

  #showWords(scene) {
    const { shown, levels, knownAt, asOf } = scene;
    const { state } = this;
    const title = heading(shown.tape);
    put(document, "title", `${title} – Replay`);
    put(byId("title"), "textContent", title);
    put(byId("caption"), "textContent", caption(shown, asOf, knownAt));
    this.#message(nothing(shown, asOf, knownAt));
    put(byId("scale"), "textContent", shown.strikes.length ? scaleWords(scene) : "");
    byId("legend").hidden = !shown.strikes.length;
    const size = shown.starts.length ? `${shown.starts.length} bars of ${shown.strikes.length} strikes` : "no bars";
    const { canvas } = this.view.upper;
    if (canvas.ariaLabel !== `Heatmap of ${title}: ${size}`) canvas.ariaLabel = `Heatmap of ${title}: ${size}`;
    this.readings.show(shown, levels, asOf);
    this.clocks.show({ ...scene, tape: shown.tape, state, ratio: this.view.geometry.ratio });
    this.#fill("newest", () => newestTable(shown), [shown]);
    byId("trades").hidden = !scene.run;
    if (scene.run) this.#fill("trades", () => tradesTable(scene.run, asOf, shown.tape.close), [
        scene.run,
        happened(scene.run, asOf),
        asOf >= (shown.tape.close ?? Infinity),
      ]);
  }

  /** Fills an opened table, where it would be another. */
  #fill(id, make, from) {
    if (!byId(id).open) return;
    const old = this.#tables.get(id);
    if (old && from.every((each, i) => each === old[i])) return;
    this.#tables.set(id, from);
    byId(id).querySelector(".scroll").replaceChildren(make());
  }

  #showPlayer() {
    const { playing, following, speed } = this.player;
    byId("play").classList.toggle("playing", playing);
    put(byId("play"), "ariaLabel", playing ? "Pause" : "Play");
    put(byId("speed"), "value", String(speed));
    put(byId("follow"), "checked", following);
    put(byId("step"), "value", this.step);
  }

  /** For scripts and tests: the scene that the state asks for now, whether or not a frame has shown it. */
  scene() {
    return this.#ready() ? this.#scenes.build(this.state, this.shelf, inksOf(this.dark)) : null;
  }

  /** The contract's body of it. */
  body() {
    const scene = this.scene();
    return scene && bodyOf(scene.shown, scene.gaps, scene.asOf);
  }

  /** The levels of its newest row, null where not known. */
  levels() {
    const found = Object.entries(this.scene()?.levels ?? {}).filter(([name]) => name !== "units");
    return Object.fromEntries(found.map(([name, value]) => [name, Number.isNaN(value) ? null : value]));
  }

  /** Whether all that the state wants is loaded and drawn. */
  settled() {
    return !this.#starting && this.frames.count > 0 && !this.#asked && !this.shelf.busy && !this.listing.asking;
  }
}

/** The same time of day on another date; where New York's clocks have none such, its noon. */
function sameTime(us, date) {
  try {
    return parseMoment(isoNewYork(us).slice(11), date);
  } catch {
    return parseMoment("12:00", date);
  }
}

function put(target, property, value) {
  if (target[property] !== value) target[property] = value;
}

window.replayPage = new Page();
