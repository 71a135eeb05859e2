// What is loaded for a state: its tape, the levels of that session, and the run chosen; the newest request wins.

import { tapePath } from "./early.js";
import { Library, decodeJson } from "./library.js";
import { decode, decodeTape } from "./tape.js";
import { pathOf } from "./server.js";

export class Shelf {
  tape = null;
  levels = null;
  run = null;
  refusal = null; // why there is no tape, in words
  waiting = false; // for a tape
  busy = false; // with anything
  #library = new Library();
  #abort = new AbortController();
  #wanted = {};

  /** `changed()` is told whenever something else is here. */
  constructor(changed) {
    this.changed = changed;
  }

  /** Loads what a state wants; what is kept is here at once and checked after. Rejects where the server fails. */
  async load(state) {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    const { symbol, date, tier, run } = state;
    const wanted = {
      tape: tapePath(state),
      levels: pathOf(["replay", "tape", symbol, "levels"], { date, tier }),
      run: run && pathOf(["replay", "runs", run], { symbol, date }),
    };
    if (wanted.levels !== this.#wanted.levels) this.levels = null;
    if (wanted.run !== this.#wanted.run) this.run = null;
    const other = wanted.tape !== this.#wanted.tape;
    this.#wanted = wanted;
    const kept = this.#library.peek(wanted.tape);
    if (other && kept) this.#take({ tape: kept, levels: this.levels ?? this.#library.peek(wanted.levels) ?? null });
    else if (other) this.#take({ tape: null, waiting: true, refusal: null });
    this.busy = true;
    try {
      this.#take({ tape: await this.#library.get(wanted.tape, decodeTape, signal), waiting: false, refusal: null });
      this.#take({ levels: await this.#library.get(wanted.levels, decode, signal) });
      if (wanted.run) this.#take({ run: await this.#library.get(wanted.run, decodeJson, signal) });
    } catch (error) {
      if (error.name !== "AbortError") this.#take({ waiting: false, refusal: this.tape ? null : error.message });
      throw error;
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }

  #take(found) {
    if (Object.entries(found).every(([name, value]) => this[name] === value)) return;
    Object.assign(this, found);
    this.changed();
  }
}
