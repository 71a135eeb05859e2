// Answers kept by their path: asked for again by ETag, so that what has not changed in the lake is not sent twice.

import { takeEarly } from "./early.js";
import { Unreachable, ask, read } from "./server.js";

const KEPT = 256 * 2 ** 20; // bytes

export class Library {
  #kept = new Map();
  #coming = new Map(); // by path: { answer, abort }

  /** What is kept of a path, or undefined. */
  peek(path) {
    return this.#kept.get(path)?.value;
  }

  /** The path's answer, decoded; the same object as before where it has not changed. What is on its way is shared. */
  get(path, decode) {
    const coming = this.#coming.get(path);
    if (coming) return coming.answer;
    const abort = new AbortController();
    const answer = this.#fetch(path, decode, abort.signal).finally(() => {
      if (this.#coming.get(path)?.abort === abort) this.#coming.delete(path);
    });
    this.#coming.set(path, { answer, abort });
    return answer;
  }

  /** Breaks off what is on its way, but for these paths. */
  keepOnly(paths) {
    for (const [path, { abort }] of this.#coming) {
      if (paths.includes(path)) continue;
      this.#coming.delete(path);
      abort.abort();
    }
  }

  async #fetch(path, decode, signal) {
    const kept = this.#kept.get(path);
    const response = await (takeEarly(path) ?? ask(path, { etag: kept?.etag, signal }));
    signal.throwIfAborted();
    let found = kept;
    if (response.status !== 304) {
      const etag = response.headers.get("ETag");
      const buffer = await read(response, "arrayBuffer");
      signal.throwIfAborted();
      found = { etag, value: decoded(buffer, decode), bytes: buffer.byteLength };
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

function decoded(buffer, decode) {
  try {
    return decode(buffer);
  } catch (error) {
    console.warn(error);
    throw new Unreachable("The server's answer cannot be read.");
  }
}
