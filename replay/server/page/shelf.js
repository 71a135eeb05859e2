// What is loaded for a state: its tape, the levels of that session, and the run chosen; the newest request wins.

import { tapePath } from "./early.js";
import { Library, decodeJson } from "./library.js";
import { decode, decodeTape } from "./tape.js";
import { Problem, pathOf, sentenceOf } from "./server.js";

export class Shelf {
  tape = null;
  levels = null;
  run = null;
  runNote = ""; // why there is no run, in words
  refusal = null; // why there is no tape, in words
  waiting = false; // for a tape
  busy = false; // with anything
  #library = new Library();
  #turn = 0;
  #wanted = {};

  /** `changed()` is told whenever something else is here. */
  constructor(changed) {
    this.changed = changed;
  }

  /**
   * Loads what a state wants; what is kept is here at once and checked after. Rejects where the server fails.
   *
   * `lacks(state)` answers, once it can, why the run chosen has nothing of the session; empty where it may have.
   */
  async load(state, lacks) {
    const turn = ++this.#turn;
    const { symbol, date, tier, run } = state;
    const wanted = {
      tape: tapePath(state),
      levels: pathOf(["replay", "tape", symbol, "levels"], { date, tier }),
      run: run && pathOf(["replay", "runs", run], { symbol, date }),
    };
    if (wanted.levels !== this.#wanted.levels) this.levels = null;
    if (wanted.run !== this.#wanted.run) Object.assign(this, { run: null, runNote: "" });
    const other = wanted.tape !== this.#wanted.tape;
    this.#wanted = wanted;
    this.#library.keepOnly(Object.values(wanted));
    this.busy = true;
    const kept = this.#library.peek(wanted.tape);
    if (other && kept)
      this.#take({
        tape: kept,
        levels: this.levels ?? this.#library.peek(wanted.levels) ?? null,
        waiting: false,
        refusal: null,
      });
    else if (other) this.#take({ tape: null, waiting: true, refusal: null });
    const take = (found) => {
      if (turn !== this.#turn) throw new DOMException("another state is wanted", "AbortError");
      this.#take(found);
    };
    try {
      take({ tape: await this.#library.get(wanted.tape, decodeTape), waiting: false, refusal: null });
      const rest = await Promise.allSettled([
        this.#library.get(wanted.levels, decode).then((levels) => take({ levels })),
        this.#loadRun(wanted.run, lacks(state), take),
      ]);
      const failed = rest.find(({ status }) => status === "rejected");
      if (failed) throw failed.reason;
    } catch (error) {
      if (turn === this.#turn && error.name !== "AbortError")
        this.#take({ waiting: false, refusal: this.tape ? null : sentenceOf(error) });
      throw error;
    } finally {
      if (turn === this.#turn) this.busy = false;
    }
  }

  /** Loads a run, or says why there is none of it; only a server that cannot be reached is a failure. */
  async #loadRun(path, lacking, take) {
    if (!path) return;
    const runNote = await lacking;
    if (runNote) return take({ run: null, runNote });
    try {
      take({ run: await this.#library.get(path, decodeJson), runNote: "" });
    } catch (error) {
      if (!(error instanceof Problem) || error.refuses) throw error;
      take({ run: null, runNote: sentenceOf(error) });
    }
  }

  #take(found) {
    if (Object.entries(found).every(([name, value]) => this[name] === value)) return;
    Object.assign(this, found);
    this.changed();
  }
}
