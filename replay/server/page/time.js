// New York time: instants, which are microseconds since the epoch, as text, and text as instants.

export const SECOND = 1e6;
export const MINUTE = 60 * SECOND;
export const LATEST = 2 ** 62; // a known_at later than any recorded_at can be

const HOUR = 60 * MINUTE;
const CLOCK = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  hourCycle: "h23",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  second: "numeric",
});
const offsets = new Map(); // by hour: clocks change on whole hours

/** Microseconds to add to an instant so that its UTC reading is the New York wall clock. */
export function toNewYork(us) {
  const hour = Math.floor(us / HOUR);
  let offset = offsets.get(hour);
  if (offset === undefined) {
    const at = hour * 3600e3;
    const part = Object.fromEntries(CLOCK.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    offset = (Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - at) * 1000;
    offsets.set(hour, offset);
  }
  return offset;
}

/** The start of the clock minute that holds an instant. */
export function floorMinute(us) {
  return us - (((us % MINUTE) + MINUTE) % MINUTE);
}

/** `2026-06-05T18:45:12Z`; with a fraction of six digits only if it is not zero. */
export function isoUtc(us) {
  return `${reading(us)}Z`;
}

/** The New York wall clock, `2026-06-05T14:45:12`, with a fraction only if it is not zero. */
export function isoNewYork(us) {
  return reading(us + toNewYork(us));
}

/** The New York date of an instant, `2026-06-05`. */
export function dateOf(us) {
  return isoNewYork(us).slice(0, 10);
}

/** An instant in New York time, with its date unless that is `date`; `latest` for no limit. */
export function momentText(us, date) {
  if (us >= LATEST) return "latest";
  const [day, clock] = isoNewYork(us).split("T");
  const short = clock.endsWith(":00") ? clock.slice(0, 5) : clock;
  return day === date ? short : `${day} ${short}`;
}

/** `14:45`. */
export function minuteText(us) {
  return isoNewYork(us).slice(11, 16);
}

/** `14:45:12`, without any fraction. */
export function clockText(us) {
  return isoNewYork(us).slice(11, 19);
}

/** A length of time in words that fit a line: `45 s`, `2 min 30 s`, `5 h 10 min`, `3 d 2 h`. */
export function lengthText(us) {
  const seconds = Math.round(us / SECOND);
  if (us < 10 * SECOND && us % SECOND) return `${Number((us / SECOND).toPrecision(2))} s`;
  for (const [big, size, small, part] of [
    ["d", 86400, "h", 3600],
    ["h", 3600, "min", 60],
    ["min", 60, "s", 1],
  ]) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / part);
    return `${Math.floor(seconds / size)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
  }
  return `${seconds} s`;
}

const MOMENT =
  /^(?:(\d{4})-(\d\d)-(\d\d)[T ]\s*|T)?(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6}))?)?\s*(Z|[+-]\d\d:?\d\d)?$/i;
const DATE = /^\d{4}-\d\d-\d\d$/;
const USUAL_CLOSE = "16:00";

/** A text that names no instant, told in a sentence. */
export class Unreadable extends Error {}

/** Whether a text is a date without a time of day. */
export function isDate(text) {
  return DATE.test(text.trim());
}

/**
 * The instant that a text names: without an offset New York time, without a date on `date`; a date alone is that
 * session's close, as `closeOf(date)` has it, else 16:00. Throws what is Unreadable.
 */
export function parseMoment(text, date, closeOf = () => null) {
  const alone = isDate(text);
  const found = MOMENT.exec(alone ? `${text.trim()}T${USUAL_CLOSE}` : text.trim());
  if (!found || !(found[1] || DATE.test(date)))
    throw new Unreadable("Write it like 10:30, 2026-07-24T14:30 (New York) or 2026-07-24T18:30:00Z.");
  const close = alone ? closeOf(text.trim()) : null;
  if (close !== null) return close;
  const [, , , , hour, minute, second = "0", fraction = "", zone] = found;
  const [year, month, day] = found[1] ? found.slice(1, 4).map(Number) : date.split("-").map(Number);
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const meant = [year, month - 1, day, Number(hour), Number(minute), Number(second)];
  const read = [
    at.getUTCFullYear(),
    at.getUTCMonth(),
    at.getUTCDate(),
    at.getUTCHours(),
    at.getUTCMinutes(),
    at.getUTCSeconds(),
  ];
  if (meant.some((each, i) => each !== read[i])) throw new Unreadable("There is no such date or time of day.");
  const wall = at.getTime() * 1000 + Number(fraction.padEnd(6, "0"));
  if (zone) return wall - zoneOffset(zone);
  return fromWall(wall);
}

function zoneOffset(zone) {
  if (zone.toUpperCase() === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone[0] === "-" ? -minutes : minutes) * MINUTE;
}

function fromWall(wall) {
  const meant = [toNewYork(wall - 12 * HOUR), toNewYork(wall + 12 * HOUR)];
  const found = [...new Set(meant.map((offset) => wall - offset))].filter((us) => us + toNewYork(us) === wall);
  if (found.length === 0)
    throw new Unreadable("New York's clocks go forward over this time; give an offset or another time.");
  if (found.length > 1) throw new Unreadable("New York's clocks show this time twice; give an offset such as -04:00.");
  return found[0];
}

function reading(us) {
  const seconds = Math.floor(us / SECOND);
  const rest = us - seconds * SECOND;
  return new Date(seconds * 1000).toISOString().slice(0, 19) + (rest ? `.${String(rest).padStart(6, "0")}` : "");
}
