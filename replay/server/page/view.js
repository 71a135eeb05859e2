// The picture on the page: two canvases, of which the lower is drawn anew only when what it shows is another.

import { Cells } from "./cells.js";
import { Cursor } from "./cursor.js";
import { drawLegend, flipWordsOf } from "./legend.js";
import { drawMoment, showsFlips } from "./marks.js";
import { drawPicture, geometryOf, nowOf } from "./picture.js";
import { drawRun } from "./runs.js";
import { Gestures, within } from "./sight.js";

export class View {
  #drawn = "";
  #legend = [];
  #seen = [];
  geometry = null;
  cells = new Cells();

  /** `told.sight(prices)` hears which were asked for, null for those around spot; `told.again()` asks for a frame. */
  constructor(told) {
    this.told = told;
    this.box = document.getElementById("picture");
    this.lower = canvasOf("heatmap");
    this.upper = canvasOf("overlay");
    this.legend = canvasOf("legend");
    this.cursor = new Cursor(document.getElementById("tip"), document.getElementById("readout"));
    const point = (x, y) => this.geometry && (this.cursor.point(this.geometry, x, y), told.again());
    const leave = () => (this.cursor.leave(), told.again());
    new Gestures(this.upper.canvas, {
      geometry: () => this.geometry,
      show: (prices) => this.look(prices),
      reset: () => told.sight(null),
      point,
      leave,
      zoomed: () => this.scene?.zoomed ?? false,
    });
    this.upper.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.upper.canvas.addEventListener("blur", leave);
    new ResizeObserver(() => told.again()).observe(this.box);
  }

  /** Asks for these prices, as far as there are strikes. */
  look(prices) {
    if (this.geometry?.edges.length) this.told.sight(within(prices, this.geometry.edges));
  }

  /** Draws a scene with prices from `low` to `high`; says whether the lower canvas was drawn anew. */
  draw(scene, prices) {
    this.scene = scene;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    const ratio = window.devicePixelRatio || 1;
    const geometry = geometryOf(width, height, ratio, scene.shown, prices);
    this.geometry = geometry;
    const seen = [scene.shown, scene.flips, scene.paths, scene.inks];
    const drawn = [
      width,
      height,
      ratio,
      prices,
      scene.gaps,
      scene.scale.limit,
      nowOf(scene),
      Object.values(scene.levels ?? {}),
    ].join();
    const anew = drawn !== this.#drawn || seen.some((each, i) => each !== this.#seen[i]);
    if (anew) {
      [this.#drawn, this.#seen] = [drawn, seen];
      drawPicture(sized(this.lower, width, height, ratio), geometry, scene, this.cells);
      this.#drawLegend(scene, ratio);
    }
    const upper = sized(this.upper, width, height, ratio);
    upper.clearRect(0, 0, width, height);
    if (scene.run) drawRun(upper, geometry, scene, scene.inks);
    drawMoment(upper, geometry, scene.asOf, scene.inks);
    this.cursor.draw(upper, geometry, scene);
    return anew;
  }

  /** Shows nothing. */
  clear() {
    this.scene = this.geometry = null;
    this.#drawn = "";
    this.cursor.leave();
    this.cursor.hide();
    for (const { canvas, context } of [this.lower, this.upper]) {
      context.resetTransform();
      context.clearRect(0, 0, canvas.width, canvas.height);
    }
  }

  #drawLegend(scene, ratio) {
    const { canvas } = this.legend;
    const width = canvas.clientWidth || this.box.clientWidth;
    const flipWords = flipWordsOf(scene, showsFlips(this.geometry, scene.shown));
    const wanted = [
      scene.scale.limit,
      scene.scale.signed,
      flipWords,
      scene.inks,
      width,
      ratio,
      scene.shown.tape,
      scene.shown.legacy.size > 0,
    ];
    if (wanted.every((each, i) => each === this.#legend[i])) return;
    this.#legend = wanted;
    const place = { left: 0, top: 0, width, ratio, flipWords };
    const height = drawLegend(sized(this.legend, width, canvas.clientHeight || 40, ratio), place, scene);
    canvas.style.height = `${height}px`;
    const context = sized(this.legend, width, height, ratio);
    context.clearRect(0, 0, width, height);
    drawLegend(context, place, scene);
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const { cursor } = this;
    if (!this.scene || !this.geometry || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (moves[event.key]) cursor.step(this.scene, this.geometry.edges, ...moves[event.key]);
    else if (event.key === "Home" || event.key === "End") cursor.jump(this.scene.shown, event.key === "End");
    else if (event.key === "Escape") cursor.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#follow();
    this.told.again();
  }

  /** Has the cursor's strike in sight. */
  #follow() {
    const { place } = this.cursor;
    if (!place) return;
    const { least, most } = this.geometry;
    if (place.price < least) this.look([place.price - (most - least) * 0.1, place.price + (most - least) * 0.9]);
    else if (place.price > most) this.look([place.price - (most - least) * 0.9, place.price + (most - least) * 0.1]);
  }
}

export function canvasOf(id) {
  const canvas = document.getElementById(id);
  return { canvas, context: canvas.getContext("2d") };
}

/** The context of a canvas of so many pixels, each `ratio` of the device's. */
export function sized({ canvas, context }, width, height, ratio) {
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
