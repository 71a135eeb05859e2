// The page: one state, what is loaded for it, and a frame that shows both.

import { wire } from "./actions.js";
import { bodyOf } from "./bars.js";
import { Clocks } from "./clocks.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Frames } from "./frames.js";
import { Player, nowOf } from "./player.js";
import { Readings } from "./readings.js";
import { Scenes } from "./scene.js";
import { askJson } from "./server.js";
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
  state = readQuery(location.search);
  sessions = [];
  #listed = false;
  #starting = true;
  runs = [];
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
    this.dark = applyTheme(this.state.theme);
    this.address = new Address();
    this.shelf = new Shelf(() => this.#loaded());
    this.connection = new Connection(() => this.#check());
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
      reached: () => this.connection.reached(),
      failed: (error) => this.connection.failed(error),
    });
    this.clocks = new Clocks({
      reach: () => this.reach,
      goTo: (us) => this.goTo(us),
      know: (known, us) => this.know(known, us),
    });
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
    const sessions = this.#list();
    if (this.state.symbol && this.state.date) {
      await Promise.all([sessions, clock, this.load()]);
    } else {
      await Promise.all([sessions, clock]);
      this.#choose();
      await this.load();
    }
  }

  /** Asks for what the lake holds, and for the runs. */
  async #list() {
    const [held, told] = await Promise.all([askJson("/replay/sessions"), askJson("/replay/runs")]);
    [this.sessions, this.runs, this.#listed] = [held.sessions, told.runs, true];
    this.again();
  }

  /** A symbol and a session where none was named: those of the server's clock, else the last there is. */
  #choose() {
    const today = this.clock?.new_york.slice(0, 10);
    const own = this.sessions.filter(({ symbol }) => !this.state.symbol || symbol === this.state.symbol);
    const of = (date) => own.filter((each) => each.date === date);
    const dates = own.map(({ date }) => date).sort();
    const date = this.state.date || (of(today).length ? today : dates.at(-1)) || "";
    const symbol = this.state.symbol || (of(date).find((each) => each.symbol === "SPY") ?? of(date)[0])?.symbol || "";
    Object.assign(this.state, { symbol, date });
  }

  async #check() {
    this.clock ??= await askJson("/replay/clock");
    await this.#list();
    if (!this.state.symbol || !this.state.date) this.#choose();
    if (this.state.symbol && this.state.date) await this.load();
  }

  async load() {
    if (!this.state.symbol || !this.state.date) return this.again();
    await this.shelf.load(this.state);
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
      const { asOf } = this.state;
      if (asOf === null && this.clock === undefined) return; // it comes here again with the clock
      if (asOf === null || dateOf(asOf) !== tape.date) {
        const now = this.clock && nowOf(this.clock);
        this.state.asOf = now !== null && dateOf(now) === tape.date ? now : (tape.close ?? this.reach.to);
      }
      this.address.write(this.state);
    }
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
    if (moved("symbol") && !this.sessions.some(({ symbol, date }) => symbol === next.symbol && date === next.date)) {
      next.date = this.sessions.findLast(({ symbol }) => symbol === next.symbol)?.date ?? next.date;
    }
    if (next.date !== old.date) {
      if (next.asOf !== null && dateOf(next.asOf) !== next.date)
        next.asOf = parseMoment(isoNewYork(next.asOf).slice(11), next.date);
      if (next.known === "moment") Object.assign(next, { known: "stood", knownAt: null });
      this.clocks.clear();
    }
    this.state = next;
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
    if (
      date !== this.state.date &&
      this.sessions.some((each) => each.date === date && each.symbol === this.state.symbol)
    )
      patch.date = date;
    if (date === (patch.date ?? this.state.date)) this.change(patch);
  }

  #failed(error) {
    if (!this.connection.failed(error) && error.name !== "AbortError" && this.shelf.tape) this.tell(error.message);
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
    this.controls.show(state, this.sessions, this.runs);
    this.#showPlayer();
    const ready = this.#ready();
    this.view.box.classList.toggle("waiting", !ready);
    this.view.box.setAttribute("aria-busy", String(shelf.waiting));
    if (!ready) {
      const empty = this.#listed && !this.sessions.length ? "The lake holds no session." : "";
      this.#message(shelf.refusal ?? (shelf.waiting ? "Loading…" : empty));
      return this.frames.add(0, false);
    }
    const scene = this.#scenes.build(state, shelf, inksOf(this.dark));
    this.#scene = scene;
    const anew = this.view.draw(scene, scene.prices);
    this.#showWords(scene);
    this.frames.add(performance.now() - started, anew);
  }

  #ready() {
    const { tape } = this.shelf;
    return tape && this.#fits(tape) && this.state.asOf !== null && dateOf(this.state.asOf) === tape.date;
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
    if (scene.run) this.#fill("trades", () => tradesTable(scene.run, asOf), [scene.run, happened(scene.run, asOf)]);
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
    return !this.#starting && this.frames.count > 0 && !this.#asked && !this.shelf.busy;
  }
}

/** How many of a run's openings and closings had happened by a moment. */
function happened(run, asOf) {
  let count = 0;
  for (const { opened_at: opened, closed_at: closed } of run.trades)
    count += (opened <= asOf) + (closed !== null && closed <= asOf);
  return count;
}

function put(target, property, value) {
  if (target[property] !== value) target[property] = value;
}

window.replayPage = new Page();
