// Answers kept by their path: asked for again by ETag, so that what has not changed in the lake is not sent twice.

import { takeEarly } from "./early.js";
import { ask, read } from "./server.js";

const KEPT = 256 * 2 ** 20; // bytes

export class Library {
  #kept = new Map();

  /** What is kept of a path, or undefined. */
  peek(path) {
    return this.#kept.get(path)?.value;
  }

  /** The path's answer, decoded; the same object as before where it has not changed. */
  async get(path, decode, signal) {
    const kept = this.#kept.get(path);
    const response = await (takeEarly(path) ?? ask(path, { etag: kept?.etag, signal }));
    signal.throwIfAborted();
    let found = kept;
    if (response.status !== 304) {
      const etag = response.headers.get("ETag");
      const buffer = await read(response, "arrayBuffer");
      found = { etag, value: decode(buffer), bytes: buffer.byteLength };
    }
    this.#kept.delete(path);
    this.#kept.set(path, found); // the newest last
    this.#shed();
    return found.value;
  }

  /** Lets go of what was asked for longest ago, until the rest is small enough; the newest stays. */
  #shed() {
    let bytes = 0;
    for (const [path, kept] of [...this.#kept].reverse()) {
      bytes += kept.bytes;
      if (bytes > KEPT && bytes > kept.bytes) this.#kept.delete(path);
    }
  }
}

/** An answer's bytes as JSON. */
export function decodeJson(buffer) {
  return JSON.parse(new TextDecoder().decode(buffer));
}
