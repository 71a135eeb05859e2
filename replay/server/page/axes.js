// Axes: edges of strikes' cells, which strikes are in sight, round times and prices, and labels that do not overlap.

import { countBelow, countUpTo } from "./order.js";
import { MINUTE, minuteText, toNewYork } from "./time.js";

const IN_SIGHT = 80; // strikes at first
const MOST_TICKS = 1000;
const TIME_STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440];

/** The n + 1 edges of strikes' cells: midpoints, the outer ones as far out as in; a lone strike's 1 apart. */
export function strikeEdges(strikes) {
  const count = strikes.length;
  const edges = new Float64Array(count + 1);
  if (count === 1) return Float64Array.of(strikes[0] - 0.5, strikes[0] + 0.5);
  for (let i = 1; i < count; i++) edges[i] = (strikes[i] + strikes[i - 1]) / 2;
  edges[0] = 2 * strikes[0] - edges[1];
  edges[count] = 2 * strikes[count - 1] - edges[count - 1];
  return edges;
}

/** The prices to show unless told otherwise: the strikes nearest where spot was first, and all that its path needs. */
export function pricesInSight(shown, edges) {
  const { strikes, spot } = shown;
  const path = spot.filter(Number.isFinite);
  if (strikes.length <= IN_SIGHT || !path.length) return [edges[0], edges[strikes.length]];
  let from = 0;
  let to = strikes.length;
  while (to - from > IN_SIGHT) {
    if (Math.abs(strikes[from] - path[0]) > Math.abs(strikes[to - 1] - path[0])) from++;
    else to--;
  }
  let [least, most] = [path[0], path[0]];
  for (const price of path) [least, most] = [Math.min(least, price), Math.max(most, price)];
  from = Math.max(Math.min(from, countUpTo(strikes, least) - 2), 0);
  to = Math.min(Math.max(to, countBelow(strikes, most) + 2), strikes.length);
  return [edges[from], edges[to]];
}

/** The stretch of time across: the window's, from its first bar or the open, so that it grows to the right. */
export function timesInSight(shown) {
  const { open, close } = shown.tape;
  const firsts = [open, shown.starts[0]].filter((at) => at !== null && at !== undefined);
  const start = Math.max(shown.since, firsts.length ? Math.min(...firsts) : shown.since);
  const whole = open === null ? shown.minutes : Math.round((close - open) / MINUTE);
  const bars = (at) => at - (at % shown.step);
  return [bars(start), bars(start + Math.min(shown.minutes, whole) * MINUTE) + shown.step];
}

/** Round New York times between two instants, at least `closest` microseconds apart, each with its text. */
export function timeTicks([start, end], closest) {
  const step = MINUTE * (TIME_STEPS.find((minutes) => minutes * MINUTE >= closest) ?? TIME_STEPS.at(-1));
  const offset = toNewYork(start);
  const ticks = [];
  for (let at = Math.ceil((start + offset) / step) * step - offset; at < end; at += step)
    ticks.push([at, minuteText(at)]);
  return ticks.length ? ticks : [[start, minuteText(start)]];
}

/** Round prices between two, at least `closest` USD apart. */
export function priceTicks([least, most], closest) {
  const size = 10 ** Math.floor(Math.log10(closest));
  const step = [1, 2, 2.5, 5, 10].map((part) => part * size).find((each) => each >= closest * (1 - 1e-9));
  const ticks = [];
  if (!(step > 0) || !((most - least) / step < MOST_TICKS)) return ticks;
  for (let i = Math.ceil(least / step); i * step <= most; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** Places at least `gap` apart, in the same order, as near as can be to ascending wanted ones, inside two ends. */
export function spread(wanted, gap, least, most) {
  const groups = [];
  for (const place of wanted) {
    let group = { centre: place, members: 1 };
    while (groups.length && group.centre - groups.at(-1).centre < (gap * (group.members + groups.at(-1).members)) / 2) {
      const other = groups.pop();
      const members = group.members + other.members;
      group = { centre: (group.centre * group.members + other.centre * other.members) / members, members };
    }
    groups.push(group);
  }
  const places = groups.flatMap(({ centre, members }) =>
    Array.from({ length: members }, (_, i) => centre + gap * (i - (members - 1) / 2)),
  );
  for (let i = 0; i < places.length; i++) places[i] = Math.max(places[i], i ? places[i - 1] + gap : least);
  for (let i = places.length - 1; i >= 0; i--) {
    places[i] = Math.min(places[i], i < places.length - 1 ? places[i + 1] - gap : most);
  }
  return places;
}

/** USD to the cent: `605`, `602.5`, `598.34`. */
export function priceText(price) {
  return String(Number(price.toFixed(2)));
}

/** A strike with as many decimals as it needs, four at most. */
export function strikeText(strike) {
  return String(Number(strike.toFixed(4)));
}
