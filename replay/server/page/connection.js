// The page and its server: what went wrong, said in a banner, when to ask again, and the key it wants.

import { Problem, Unreachable, hasKey, keepKey, sentenceOf } from "./server.js";
import { lengthText } from "./time.js";

const CHECK_EVERY = 10_000; // ms
const FIRST_RETRY = 1000;
const LAST_RETRY = 15_000;
const REFUSED_RETRY = 60_000;
const LONGEST = 2 ** 31 - 1; // that a timer takes

const byId = (id) => document.getElementById(id);

export class Connection {
  #retry = FIRST_RETRY;
  #timer = null;
  #checking = false;
  #lost = false;
  #away = false; // lost as it cannot be reached
  #asked = false; // for a key, by a dialog that came up by itself
  #until = 0; // ms; the server wants to be let be until then
  refused = false; // for want of a key

  /** `check()` asks for everything shown again, and rejects where that fails; `busy()`: it is being asked for. */
  constructor({ check, busy }) {
    Object.assign(this, { check, busy });
    this.banner = byId("banner");
    this.dialog = byId("key-dialog");
    byId("key-form").addEventListener("submit", () => {
      const field = byId("key");
      keepKey(field.value.trim());
      field.value = "";
      byId("key-note").textContent = "";
      this.again();
    });
    this.dialog.addEventListener("close", () => {
      byId("key").value = "";
      if (this.refused && !hasKey()) this.#say("No key was given, and the server wants one: Key… takes it.");
    });
    byId("key-open").addEventListener("click", () => this.#openKey());
    byId("key-cancel").addEventListener("click", () => this.dialog.close());
    byId("key-open").hidden = !hasKey();
    const back = () => !document.hidden && !this.refused && performance.now() >= this.#until && this.again();
    document.addEventListener("visibilitychange", back);
    addEventListener("online", back);
    this.#later(CHECK_EVERY);
  }

  /** The server answered: nothing is wrong any more. */
  reached() {
    this.#retry = FIRST_RETRY;
    if (!this.#lost) return;
    this.#lost = this.refused = false;
    this.#until = 0;
    this.banner.hidden = true;
    this.banner.textContent = "";
    this.#later(CHECK_EVERY);
  }

  /** Says what went wrong; true where it may pass, and it is tried again. */
  failed(error) {
    if (error.name === "AbortError") return false;
    if (!(error instanceof Unreachable || error instanceof Problem)) {
      console.error(error);
      this.#say(sentenceOf(error));
      return false;
    }
    if (error.refuses) {
      this.#refuse(error);
      return false;
    }
    if (error instanceof Problem && !error.passes) return false;
    this.#lost = true;
    this.#away = error instanceof Unreachable;
    this.refused = false;
    const wait = Math.min(Math.max(this.#retry, error.wait ?? 0), LONGEST);
    if (error.wait) this.#until = performance.now() + wait;
    const again = error.wait > LAST_RETRY ? `in ${lengthText(wait * 1000)}` : "until it answers";
    this.#say(`${error.message} What was loaded stays; the server is asked again ${again}.`);
    this.#later(wait);
    this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
    return true;
  }

  /** The server answered something else than what was lost: where it was away, all of it is asked for again. */
  answered() {
    if (this.#lost && this.#away) this.again();
  }

  /** Asks again now. */
  again() {
    this.#later(0);
  }

  /** How long, in ms, whoever asks by itself should let the server be. */
  get rest() {
    return this.#lost ? Math.max(this.#until - performance.now(), this.#retry) : 0;
  }

  #refuse(error) {
    this.#lost = this.refused = true;
    byId("key-open").hidden = false;
    this.#later(Math.max(REFUSED_RETRY, Math.min(error.wait, LONGEST)));
    this.#say(error.status === 401 ? `${error.message} The server wants a key: Key… takes it.` : error.message);
    if (error.status !== 401 || hasKey() || this.#asked) return;
    this.#asked = true;
    this.#openKey();
  }

  #openKey() {
    byId("key-note").textContent = "The key is kept until this tab is closed, and sent to this server alone.";
    if (!this.dialog.open) this.dialog.showModal();
  }

  #say(text) {
    this.banner.hidden = false;
    if (this.banner.textContent !== text) this.banner.textContent = text;
  }

  #later(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #run() {
    if (document.hidden) return this.#later(CHECK_EVERY);
    if (this.dialog.open || this.#checking || this.busy()) return this.#later(FIRST_RETRY);
    this.#later(this.refused ? REFUSED_RETRY : CHECK_EVERY);
    this.#checking = true;
    try {
      await this.check();
      this.reached();
    } catch (error) {
      this.failed(error);
    } finally {
      this.#checking = false;
    }
  }
}
