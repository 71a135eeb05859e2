// The view as files: the picture as PNG, and the API's own bytes as CSV and JSON; and its link.

import { drawLegend, flipWordsOf } from "./legend.js";
import { drawPicture, geometryOf } from "./picture.js";
import { drawMoment, showsFlips } from "./marks.js";
import { drawRun } from "./runs.js";
import { ask, pathOf, read } from "./server.js";
import { font } from "./theme.js";
import { isoUtc } from "./time.js";

const [WIDTH, HEIGHT, RATIO, MARGIN] = [1280, 640, 2, 24];

/** The request that answers for a state, as the API takes it. */
function requestPath(start, state) {
  return pathOf([...start, state.symbol], {
    metric: state.metric,
    mode: state.mode,
    minutes: state.minutes,
    as_of: isoUtc(state.asOf),
    known_at: state.known === "latest" ? "latest" : state.known === "moment" ? isoUtc(state.knownAt) : null,
    gaps: start.includes("heatmap") ? "true" : null,
    tier: state.tier,
  });
}

/** The API's bytes of the view, as JSON or CSV: rows of a minute, whatever the bars shown. */
export async function saveBytes(state, tier, kind) {
  const start = kind === "csv" ? ["replay", "table"] : ["v1", "flow", "zero-dte", "heatmap"];
  const response = await ask(requestPath(start, state));
  save(await read(response, "blob"), `${fileName(state, tier, 1)}.${kind}`);
}

/** The picture with its title, words, legend and levels. */
export async function savePicture(scene, prices, cells, words) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const legendTop = 84 + HEIGHT;
  const rows = wrapped(context, words.readings, WIDTH - 2 * MARGIN, font(13));
  canvas.width = WIDTH * RATIO;
  canvas.height = (legendTop + 112 + rows.length * 18) * RATIO;
  context.scale(RATIO, RATIO);
  const { inks } = scene;
  context.fillStyle = inks.page;
  context.fillRect(0, 0, WIDTH, canvas.height);
  const write = (text, y, size, weight, ink) => {
    Object.assign(context, { font: font(size, weight), fillStyle: ink, textAlign: "left", textBaseline: "alphabetic" });
    context.fillText(text, MARGIN, y);
  };
  write(words.title, 36, 20, 650, inks.ink);
  write(words.caption, 60, 13, 400, inks.soft);
  context.save();
  context.translate(MARGIN, 72);
  const geometry = geometryOf(WIDTH - 2 * MARGIN, HEIGHT, RATIO, scene.shown, prices);
  drawPicture(context, geometry, scene, cells);
  if (scene.run) drawRun(context, geometry, scene, inks);
  drawMoment(context, geometry, scene.asOf, inks);
  context.restore();
  const flipWords = flipWordsOf(scene, showsFlips(geometry, scene.shown));
  if (scene.shown.strikes.length)
    drawLegend(context, { left: MARGIN, top: legendTop, width: WIDTH - 2 * MARGIN, ratio: RATIO, flipWords }, scene);
  write(words.scale || words.message, legendTop + 72, 13, 400, inks.soft);
  rows.forEach((row, i) => write(row, legendTop + 94 + i * 18, 13, 400, inks.ink));
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  save(blob, `${fileName(words.state, scene.shown.tier, scene.shown.bar)}.png`);
}

function wrapped(context, words, width, face) {
  context.font = face;
  const rows = [];
  for (const word of words) {
    const longer = rows.length ? `${rows.at(-1)} · ${word}` : word;
    if (rows.length && context.measureText(longer).width <= width) rows[rows.length - 1] = longer;
    else rows.push(word);
  }
  return rows;
}

/** Puts the view's address on the clipboard; false where the browser does not let it. */
export async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    return true;
  } catch {
    return false;
  }
}

/** `SPY_2026-07-24_gex_raw_60min_1m-rows_as-of-140000Z_known-stood_raw`: all that the file's bytes hang on. */
function fileName(state, tier, bar) {
  const moment = (us) => isoUtc(us).replace(/[-:.]/g, "");
  const known = state.known === "moment" ? moment(state.knownAt) : state.known;
  const { symbol, date, metric, mode, minutes } = state;
  const asOf = moment(state.asOf).slice(9);
  return `${symbol}_${date}_${metric}_${mode}_${minutes}min_${bar}m-rows_as-of-${asOf}_known-${known}_${tier}`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
