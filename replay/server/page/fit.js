// Which controls have something to act on: all that move or save what is shown are out of use while nothing is.

const SELECTOR = ".time button, .time input, .zoom button, #save-png, #save-csv, #save-json, #hold";

export class Fit {
  #enabled = true;
  #focused = null;
  #controls = [...document.querySelectorAll(SELECTOR)].filter(({ id }) => id !== "follow");

  /** Puts the controls in or out of use; the focus comes back to the one that had it. */
  enable(on) {
    if (on === this.#enabled) return;
    this.#enabled = on;
    const { activeElement } = document;
    if (!on) this.#focused = this.#controls.includes(activeElement) ? activeElement : null;
    for (const control of this.#controls) control.disabled = !on;
    if (on && document.activeElement === document.body) this.#focused?.focus({ preventScroll: true });
    if (on) this.#focused = null;
  }
}
