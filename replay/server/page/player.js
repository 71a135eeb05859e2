// What moves the moment by itself: playing at a speed, and following the server's clock.

import { askJson } from "./server.js";
import { SECOND, parseMoment } from "./time.js";

const SPEEDS = [1, 10, 30, 60, 120, 300, 600, 1800];
const POLL_EVERY = 1000; // ms
const LONGEST_STEP = 250; // ms; a page that slept does not leap

export class Player {
  playing = false;
  following = false;
  speed = 60;
  #last = 0;
  #polling = null;

  /** `host.moment()` is where it stands, `host.reach()` how far it can go, `host.go(us)` moves it; the rest is told. */
  constructor(host) {
    this.host = host;
  }

  play() {
    const reach = this.host.reach();
    if (!reach || this.playing) return;
    this.follow(false);
    this.playing = true;
    if (this.host.moment() >= reach.to) this.host.go(reach.from);
    this.#last = performance.now();
    requestAnimationFrame((now) => this.#tick(now));
    this.host.changed();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.host.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** The next faster (1) or slower (-1) speed. */
  change(by) {
    this.speed = SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + by, 0), SPEEDS.length - 1)];
    this.host.changed();
  }

  #tick(now) {
    if (!this.playing) return;
    const reach = this.host.reach();
    const passed = Math.min(Math.max(now - this.#last, 0), LONGEST_STEP);
    this.#last = now;
    if (reach) {
      const next = Math.min(this.host.moment() + Math.round(passed * 1000 * this.speed), reach.to);
      this.host.go(next);
      if (next >= reach.to) return this.pause();
    }
    requestAnimationFrame((at) => this.#tick(at));
  }

  follow(on) {
    if (on === this.following) return;
    this.following = on;
    clearTimeout(this.#polling);
    if (on) {
      this.pause();
      this.#poll();
    }
    this.host.changed();
  }

  async #poll() {
    try {
      const clock = await askJson("/replay/clock");
      if (!this.following) return;
      this.host.reached();
      this.host.toClock(clock);
    } catch (error) {
      this.host.failed(error);
    }
    if (this.following) this.#polling = setTimeout(() => this.#poll(), POLL_EVERY);
  }
}

/** Where a step leads, forward (1) or back (-1): to the next snapshot to become visible, or so many seconds on. */
export function stepFrom(moment, step, by, tape, track) {
  if (step !== "snapshot") return moment + by * Number(step) * SECOND;
  const seen = new Set();
  for (const each of track ? [track] : tape.tracks) {
    for (let i = 0; i < each.count; i++) seen.add(Math.max(each.ts[i], each.recorded_at[i]));
  }
  const moments = Float64Array.from(seen).sort();
  if (by > 0) return moments.find((at) => at > moment) ?? moment;
  return moments.findLast((at) => at < moment) ?? moment;
}

/** A clock's now, microseconds. */
export function nowOf(clock) {
  return parseMoment(clock.now, clock.session);
}
