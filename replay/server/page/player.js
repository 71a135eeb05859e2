// What moves the moment by itself: playing at a speed, and following the server's clock.

import { askJson } from "./server.js";
import { SECOND, parseMoment } from "./time.js";

const SPEEDS = [1, 10, 30, 60, 120, 300, 600, 1800];
const POLL_EVERY = 1000; // ms
const LONGEST_STEP = 250; // ms; a page that slept does not leap
const LEAST_REST = 2000; // ms after the server failed

export class Player {
  playing = false;
  following = false;
  speed = 60;
  #last = 0;
  #turn = 0; // of what moves it: an older loop that still has something under way ends

  /**
   * `host.moment()` is where it stands, `host.reach()` how far it can go, null while nothing is loaded, `host.go(us)`
   * moves it, `host.rest()` is how many ms to let the server be; the rest is told.
   */
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
    const turn = ++this.#turn;
    requestAnimationFrame((now) => this.#tick(now, turn));
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

  #tick(now, turn) {
    if (!this.playing || turn !== this.#turn) return;
    const reach = this.host.reach();
    const passed = Math.min(Math.max(now - this.#last, 0), LONGEST_STEP);
    this.#last = now;
    if (reach) {
      const moment = this.host.moment();
      const next = Math.min(moment + Math.round(passed * 1000 * this.speed), reach.to);
      if (next > moment) this.host.go(next);
      if (next >= reach.to) return this.pause();
    }
    requestAnimationFrame((at) => this.#tick(at, turn));
  }

  follow(on) {
    if (on === this.following) return;
    this.following = on;
    const turn = ++this.#turn;
    if (on) {
      this.pause();
      this.#poll(turn);
    }
    this.host.changed();
  }

  async #poll(turn) {
    const current = () => this.following && turn === this.#turn;
    if (!current()) return;
    let wait = POLL_EVERY;
    try {
      const clock = await askJson("/replay/clock");
      if (!current()) return;
      this.host.answered();
      this.host.toClock(clock);
    } catch (error) {
      if (!current()) return;
      this.host.failed(error);
      if (error.refuses) return this.follow(false);
      wait = Math.max(this.host.rest(), LEAST_REST);
    }
    setTimeout(() => this.#poll(turn), Math.min(wait, 2 ** 31 - 1));
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
