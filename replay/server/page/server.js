// Requests to the server: the key that goes with them, and what can go wrong, in words.

const KEY = "replay-key";

/** The server could not be reached, or broke off. */
export class Unreachable extends Error {}

/** The server answered that it will not, and why; `code` is the contract's, `wait` how many ms it is to be let be. */
export class Problem extends Error {
  constructor(status, code, message, wait = 0) {
    super(message);
    Object.assign(this, { status, code, wait });
  }

  /** Whether it wants a key, or another one. */
  get refuses() {
    return this.status === 401 || this.status === 403;
  }

  /** Whether asking again later may help. */
  get passes() {
    return this.status === 429 || this.status >= 500;
  }
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** A response that is 200, or 304 where `etag` still holds. */
export async function ask(path, { etag = null, signal } = {}) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-Api-Key"] = key;
  if (etag) headers["If-None-Match"] = etag;
  let response;
  try {
    response = await fetch(path, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The server cannot be reached.");
  }
  if (response.ok || response.status === 304) return response;
  const told = (await response.json().catch(() => null)) ?? {};
  const code = told.error ?? told.title ?? String(response.status);
  const message = told.message ?? told.detail ?? `The server answered ${response.status}.`;
  throw new Problem(response.status, code, message, waitOf(response.headers.get("Retry-After")));
}

/** What `Retry-After` asks for, seconds or a date, in ms. */
function waitOf(told) {
  const wait = /^\d+$/.test(told ?? "") ? Number(told) * 1000 : Date.parse(told ?? "") - Date.now();
  return wait > 0 ? wait : 0;
}

/** What went wrong, in a sentence. */
export function sentenceOf(error) {
  if (error instanceof Unreachable || error instanceof Problem) return error.message;
  return "Something went wrong on this page; loading it again may help.";
}

export async function askJson(path) {
  return read(await ask(path), "json");
}

/** A response's body; what breaks off on the way is as unreachable as what never came. */
export async function read(response, kind) {
  try {
    return await response[kind]();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The server broke off its answer.");
  }
}

/** A path below the server with its query; parameters that are null or empty are left out. */
export function pathOf(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== ""));
  return `${path.map(encodeURIComponent).join("/")}?${query}`.replace(/^/, "/");
}
