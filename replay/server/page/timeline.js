// The axis that both clocks' sliders share: the session's seconds, then in a last part what became known after it.

import { countBelow, countUpTo } from "./order.js";
import { LATEST, SECOND } from "./time.js";

const LATE_PART = 1 / 9; // of the session's length

export class Timeline {
  /** Of a reach `{from, to}` and the moments, ascending, at which anything became known. */
  constructor({ from, to }, stops) {
    Object.assign(this, { from, to, stops });
    this.seconds = Math.max(Math.ceil((to - from) / SECOND), 1);
    this.late = stops.subarray(countUpTo(stops, to));
    this.end = this.seconds + (this.late.length ? Math.ceil(this.seconds * LATE_PART) : 0);
  }

  /** The part of the axis that is the session's. */
  get share() {
    return this.seconds / this.end;
  }

  /** Where an instant lies, 0 to `end`. */
  placeOf(us) {
    if (us <= this.to) return Math.max((us - this.from) / SECOND, 0);
    if (us >= LATEST || !this.late.length) return us >= LATEST ? this.end : this.seconds;
    return this.seconds + ((this.end - this.seconds) * countUpTo(this.late, us)) / this.late.length;
  }

  /** The instant at a place; in the last part the nearest at which anything became known. */
  at(place) {
    if (place <= this.seconds) return Math.min(this.from + place * SECOND, this.to);
    const number = Math.round(((place - this.seconds) / (this.end - this.seconds)) * this.late.length);
    return number ? this.late[number - 1] : this.to;
  }

  /** The next (1) or last (-1) moment at which anything became known; where it stands if there is none. */
  next(us, by) {
    const place = by > 0 ? countUpTo(this.stops, us) : countBelow(this.stops, us) - 1;
    return this.stops[place] ?? us;
  }
}
