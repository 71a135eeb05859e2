// What keys and buttons do: each action once, for both.

import { copyLink, saveBytes, savePicture } from "./downloads.js";
import { listen } from "./keys.js";
import { stepFrom } from "./player.js";
import { sentenceOf } from "./server.js";
import { zoomed } from "./sight.js";
import { BARS, KNOWN, METRICS, THEMES, wantsFlips } from "./state.js";
import { SECOND } from "./time.js";

const byId = (id) => document.getElementById(id);

/** Has a page's keys and buttons do what they say. */
export function wire(page) {
  const { player } = page;
  const actions = { ...moves(page), ...choices(page), ...looks(page), help: () => byId("help").showModal() };
  listen(actions);
  const clicks = {
    "to-start": () => actions.ends(-1),
    back: () => actions.step(-1),
    play: actions.toggle,
    forward: () => actions.step(1),
    "to-end": () => actions.ends(1),
    "zoom-in": () => actions.zoom(0.8),
    "zoom-out": () => actions.zoom(1.25),
    "pan-up": () => actions.pan(0.25),
    "pan-down": () => actions.pan(-0.25),
    "zoom-all": actions.allStrikes,
    "zoom-spot": actions.aroundSpot,
    "help-open": actions.help,
    copy: () => copy(page),
    "save-png": () => savePng(page),
    "save-csv": () => save(page, "csv"),
    "save-json": () => save(page, "json"),
  };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("speed").addEventListener("change", (event) => (player.speed = Number(event.target.value)));
  byId("step").addEventListener("change", (event) => (page.step = event.target.value));
  byId("follow").addEventListener("change", (event) => player.follow(event.target.checked));
  for (const id of ["newest", "trades"]) byId(id).addEventListener("toggle", () => page.again());
  addEventListener("pagehide", () => page.address.flush());
}

/** What moves the moment. */
function moves(page) {
  const track = () => page.scene()?.shown.track;
  const to = (moment) => page.reach && page.stepTo(moment());
  return {
    toggle: () => page.player.toggle(),
    speed: (by) => page.player.change(by),
    step: (by) => to(() => stepFrom(page.state.asOf, page.step, by, page.shelf.tape, track())),
    jump: (seconds) => to(() => page.state.asOf + seconds * SECOND),
    ends: (side) => to(() => (side < 0 ? page.reach.from : (page.shelf.tape?.close ?? page.reach.to))),
  };
}

/** What goes on to the next choice. */
function choices(page) {
  const after = (all, chosen) => all[(all.indexOf(chosen) + 1) % all.length];
  const next = (name, all) => page.change({ [name]: after(all, page.state[name]) });
  return {
    nextMetric: () => next("metric", METRICS),
    nextMode: () => next("mode", ["raw", "delta"]),
    nextBar: () => page.change({ bar: after(BARS, page.bar) }),
    nextKnown: () => page.know(after(KNOWN, page.state.known), null),
    nextTheme: () => next("theme", THEMES),
    flips: () => page.change({ flips: !wantsFlips(page.state) }),
    hold: () => page.change({ hold: page.state.limit === null }),
  };
}

/** What changes the strikes in sight. */
function looks(page) {
  const { view } = page;
  const from = (make) => view.geometry && view.look(make(view.geometry));
  return {
    zoom: (factor) => from(({ least, most }) => zoomed([least, most], factor, (least + most) / 2)),
    pan: (part) => from(({ least, most }) => [least, most].map((price) => price + part * (most - least))),
    allStrikes: () => from(({ edges }) => [edges[0], edges.at(-1)]),
    aroundSpot: () => page.change({ low: null, high: null }),
  };
}

async function copy(page) {
  page.address.flush();
  const copied = await copyLink();
  page.tell(copied ? "Link copied." : "The browser does not let the link be copied; the address bar holds it.");
}

async function save(page, kind) {
  const scene = page.scene();
  if (!scene) return;
  try {
    await saveBytes(page.state, scene.shown.tier, kind);
    page.connection.answered();
    page.tell(`${kind.toUpperCase()} saved${scene.shown.bar === 1 ? "" : ": 1-minute rows"}.`);
  } catch (error) {
    page.connection.failed(error);
    page.tell(sentenceOf(error));
  }
}

async function savePng(page) {
  const scene = page.scene();
  if (!scene) return;
  const said = Object.fromEntries(["title", "caption", "scale", "message"].map((id) => [id, byId(id).textContent]));
  await savePicture(scene, scene.prices, page.view.cells, {
    ...said,
    readings: page.readings.words(),
    state: page.state,
  });
  page.tell("PNG saved.");
}
