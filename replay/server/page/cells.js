// The cells of a heatmap: one pixel each on a hidden canvas, laid on the picture in strips of equal strikes.

import { pixel, shadesOf, stopsOf } from "./scale.js";

export class Cells {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d");
  #image = null;
  #made = [];

  /** Paints bars; a minute without a bar stays clear. */
  paint(shown, scale, inks) {
    const made = [shown, scale.limit, inks];
    if (made.every((each, i) => each === this.#made[i])) return;
    this.#made = made;
    const { starts, strikes, values, step } = shown;
    const height = strikes.length;
    const columns = starts.length ? (starts.at(-1) - starts[0]) / step + 1 : 0;
    if (!columns || !height) return;
    if (this.#image?.width !== columns || this.#image.height !== height) {
      Object.assign(this.#canvas, { width: columns, height });
      this.#image = this.#context.createImageData(columns, height);
    }
    const pixels = new Uint32Array(this.#image.data.buffer);
    pixels.fill(0);
    const shades = shadesOf(scale, stopsOf(scale, shown.tape, inks.dark));
    const missing = pixel(inks.missing);
    for (let bar = 0, at = 0; bar < starts.length; bar++) {
      let to = (height - 1) * columns + (starts[bar] - starts[0]) / step;
      for (let i = 0; i < height; i++, at++, to -= columns) {
        const value = values[at];
        const place = value * shades.slope + shades.base;
        pixels[to] =
          value === value ? shades.pixels[place > shades.most ? shades.most : place < 0 ? 0 : place | 0] : missing;
      }
    }
    this.#context.putImageData(this.#image, 0, 0);
  }

  /** Lays the cells on a picture of this geometry. */
  lay(context, shown, geometry) {
    const { starts, strikes, step } = shown;
    if (!starts.length || !strikes.length) return;
    const { x, y, edges, ratio } = geometry;
    const snap = (place) => Math.round(place * ratio) / ratio;
    const [left, right] = [snap(x(starts[0])), snap(x(starts.at(-1) + step))];
    const { width, height } = this.#canvas;
    context.imageSmoothingEnabled = false;
    for (let from = 0; from < height;) {
      const high = edges[from + 1] - edges[from];
      let to = from + 1;
      while (to < height && Math.abs(edges[to + 1] - edges[to] - high) < 1e-9) to++;
      const [bottom, top] = [snap(y(edges[from])), snap(y(edges[to]))];
      if (bottom > top)
        context.drawImage(this.#canvas, 0, height - to, width, to - from, left, top, right - left, bottom - top);
      from = to;
    }
  }
}
