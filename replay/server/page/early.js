// Asks for the tape that the address names while the rest of the page is still on its way.

import { ask, pathOf } from "./server.js";
import { readQuery } from "./state.js";

const asked = start();

function start() {
  const { symbol, date, metric, tier } = readQuery(location.search).state;
  if (!symbol || !date) return null;
  const path = tapePath({ symbol, date, metric, tier });
  const response = ask(path);
  response.catch(() => {}); // told to whoever takes it
  return { path, response, taken: false };
}

/** The path of a state's tape. */
export function tapePath({ symbol, date, metric, tier }) {
  return pathOf(["replay", "tape", symbol], { date, metric, tier });
}

/** The answer under way for a path, once; null where it was not asked for. */
export function takeEarly(path) {
  if (asked?.path !== path || asked.taken) return null;
  asked.taken = true;
  return asked.response;
}
