// The page and its server: what went wrong, said in a banner, when to ask again, and the key it wants.

import { Problem, Unreachable, hasKey, keepKey } from "./server.js";

const CHECK_EVERY = 10_000; // ms
const FIRST_RETRY = 1000;
const LAST_RETRY = 15_000;

export class Connection {
  #retry = FIRST_RETRY;
  #timer = null;
  #lost = false;

  /** `check()` asks the server for everything shown again; it rejects where that fails. */
  constructor(check) {
    this.check = check;
    this.banner = document.getElementById("banner");
    this.dialog = document.getElementById("key-dialog");
    document.getElementById("key-form").addEventListener("submit", () => {
      const field = document.getElementById("key");
      keepKey(field.value.trim());
      field.value = "";
      this.again();
    });
    document.addEventListener("visibilitychange", () => !document.hidden && this.again());
    addEventListener("online", () => this.again());
    this.#later(CHECK_EVERY);
  }

  /** The server answered: nothing is wrong any more. */
  reached() {
    this.#retry = FIRST_RETRY;
    if (!this.#lost) return;
    this.#lost = false;
    this.banner.hidden = true;
    this.#later(CHECK_EVERY);
  }

  /** Says what went wrong; true where it may pass, and it is tried again. */
  failed(error) {
    if (error.name === "AbortError") return false;
    if (!(error instanceof Unreachable || error instanceof Problem)) throw error;
    if (error.status === 401) {
      this.#askKey(error.message);
      return false;
    }
    const passes = error instanceof Unreachable || error.passes;
    if (!passes && error.status !== 403) return false;
    this.#lost = true;
    this.#say(
      passes ? `${error.message} What was loaded stays; the server is asked again until it answers.` : error.message,
    );
    if (passes) {
      this.#later(this.#retry);
      this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
    }
    return passes;
  }

  #say(text) {
    this.banner.hidden = false;
    if (this.banner.textContent !== text) this.banner.textContent = text;
  }

  /** Asks again now. */
  again() {
    this.#later(0);
  }

  #later(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #run() {
    if (document.hidden) return this.#later(CHECK_EVERY);
    if (this.dialog.open) return this.#later(FIRST_RETRY);
    this.#later(CHECK_EVERY);
    try {
      await this.check();
      this.reached();
    } catch (error) {
      this.failed(error);
    }
  }

  #askKey(message) {
    const wrong = hasKey() ? `${message} ` : "";
    document.getElementById("key-note").textContent =
      `${wrong}The key is kept until this tab is closed, and sent to this server alone.`;
    if (!this.dialog.open) this.dialog.showModal();
  }
}
