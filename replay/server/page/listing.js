// What there is to choose from: the sessions that the lake holds, and the runs, which may fail on their own.

import { lackOf } from "./runs.js";
import { Problem, askJson, sentenceOf } from "./server.js";
import { parseMoment } from "./time.js";

export class Listing {
  sessions = [];
  listed = false; // the sessions
  runs = null; // until they are listed
  note = ""; // why there are no runs
  asking = 0; // how many times for the runs just now
  #runsAsked = Promise.resolve();

  /** `changed()` is told whenever something else is known. */
  constructor(changed) {
    this.changed = changed;
  }

  /** Asks for both; rejects where the sessions cannot be had. */
  async load() {
    this.asking += 1;
    this.#runsAsked = askJson("/replay/runs").then(
      ({ runs }) => this.#take({ runs, note: "" }),
      (error) => {
        const note = error instanceof Problem ? `The runs cannot be listed: ${sentenceOf(error)}` : "";
        this.#take({ note });
      },
    );
    this.#runsAsked.finally(() => (this.asking -= 1));
    const { sessions } = await askJson("/replay/sessions");
    this.#take({ sessions, listed: true });
  }

  /** Why the run of a state has nothing of its session, once the runs are listed; empty where it may have. */
  async lacking(state) {
    await this.#runsAsked;
    return lackOf(this.runs, state);
  }

  /** The same, as far as it is known now, or why no run is. */
  runNote(state) {
    return lackOf(this.runs, state) || this.note;
  }

  has({ symbol, date }) {
    return this.sessions.some((each) => each.symbol === symbol && each.date === date);
  }

  /** A symbol's last session, or undefined. */
  last(symbol) {
    return this.sessions.findLast((each) => each.symbol === symbol)?.date;
  }

  /** When a session closes, as far as that is known; null where it is not. */
  closeOf(date) {
    const close = this.sessions.find((each) => each.date === date)?.close;
    return close ? parseMoment(close, date) : null;
  }

  /** A symbol and a date where none was named: those of the server's clock, else the last there is. */
  choose({ symbol: named, date: dated }, clock) {
    const today = clock?.new_york.slice(0, 10);
    const own = this.sessions.filter(({ symbol }) => !named || symbol === named);
    const of = (date) => own.filter((each) => each.date === date);
    const dates = own.map(({ date }) => date).sort();
    const date = dated || (of(today).length ? today : dates.at(-1)) || "";
    const symbol = named || (of(date).find((each) => each.symbol === "SPY") ?? of(date)[0])?.symbol || "";
    return { symbol, date };
  }

  #take(found) {
    Object.assign(this, found);
    this.changed();
  }
}
