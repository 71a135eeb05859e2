// How long frames take, counted as they are drawn.

const KEPT = 600;

export class Frames {
  count = 0; // all frames
  drawn = 0; // those that drew the picture anew
  first = null; // ms from navigation to the first picture of a tape
  #spent = [];

  /** Counts a frame that took so many ms, and whether it drew the picture anew. */
  add(spent, anew) {
    this.count += 1;
    if (!anew) return;
    this.drawn += 1;
    this.first ??= performance.now();
    this.#spent.push(spent);
    if (this.#spent.length > KEPT) this.#spent.shift();
  }

  /** The ms that the newest frames with a new picture took. */
  get spent() {
    return [...this.#spent];
  }
}
