// The cursor: the cell pointed at by mouse, touch or keys, its outline on the picture, its tip and its readout.

import { cellAt, cellSentence } from "./words.js";
import { priceText } from "./axes.js";

const ANNOUNCE_AFTER = 180; // ms of rest

export class Cursor {
  #told = null;
  place = null; // { instant, price } pointed at

  constructor(tip, readout) {
    this.tip = tip;
    this.readout = readout;
  }

  /** Points at a place of the picture; outside of the cells it points at nothing. */
  point(geometry, x, y) {
    const { heat } = geometry;
    const inside = x >= heat.left && x < heat.right && y >= heat.top && y < heat.bottom;
    this.place = inside ? { instant: geometry.instantAt(x), price: geometry.priceAt(y) } : null;
  }

  leave() {
    this.place = null;
  }

  /** Tells of no cell. */
  hide() {
    this.tip.hidden = true;
    this.#announce(null);
  }

  /** Moves by bars and strikes; from nothing it goes to the newest bar's cell nearest spot. */
  step(scene, edges, bars, strikes) {
    const { shown } = scene;
    if (!shown.strikes.length || !shown.starts.length) return;
    const at = this.place && cellAt(scene, edges, this.place.instant, this.place.price);
    if (!at) {
      const spot = shown.underlying ?? shown.strikes[shown.strikes.length >> 1];
      let nearest = 0;
      shown.strikes.forEach(
        (strike, i) => Math.abs(strike - spot) < Math.abs(shown.strikes[nearest] - spot) && (nearest = i),
      );
      this.place = { instant: shown.starts.at(-1), price: shown.strikes[nearest] };
      return;
    }
    const strike = Math.min(Math.max(at.strike + strikes, 0), shown.strikes.length - 1);
    const start = Math.min(Math.max(at.start + bars * shown.step, shown.starts[0]), shown.starts.at(-1));
    this.place = { instant: start, price: shown.strikes[strike] };
  }

  /** To the first or the newest bar. */
  jump(shown, last) {
    if (!shown.starts.length || !shown.strikes.length) return;
    const price = this.place?.price ?? shown.underlying ?? shown.strikes[shown.strikes.length >> 1];
    this.place = { instant: shown.starts.at(last ? -1 : 0), price };
  }

  /** Draws the cursor on the canvas above the picture, and tells its cell. */
  draw(context, geometry, scene) {
    const { shown, inks } = scene;
    const cell = this.place && cellAt(scene, geometry.edges, this.place.instant, this.place.price);
    this.tip.hidden = !cell;
    this.#announce(cell);
    if (!cell) return;
    const { heat, x, y, edges } = geometry;
    const [left, right] = [Math.max(x(cell.start), heat.left), Math.min(x(cell.start + shown.step), heat.right)];
    const [top, bottom] = [Math.max(y(edges[cell.strike + 1]), heat.top), Math.min(y(edges[cell.strike]), heat.bottom)];
    if (right > left && bottom > top) {
      context.fillStyle = inks.dark ? "rgba(255,255,255,0.13)" : "rgba(0,0,0,0.10)";
      context.fillRect(left, heat.top, right - left, heat.bottom - heat.top);
      context.fillRect(heat.left, top, geometry.right - heat.left, bottom - top);
      for (const [colour, width] of [
        [inks.edge, 3.5],
        ["#000", 1.5],
      ]) {
        Object.assign(context, { strokeStyle: colour, lineWidth: width });
        context.strokeRect(left - 1, top - 1, right - left + 2, bottom - top + 2);
      }
    }
    this.#tell(cell, geometry, (left + right) / 2, (top + bottom) / 2);
  }

  #tell(cell, geometry, x, y) {
    const bold = document.createElement("b");
    bold.textContent = cell.text;
    const spot = cell.bar < 0 ? "" : `\nspot ${Number.isFinite(cell.spot) ? priceText(cell.spot) : "not known"}`;
    const rest = [cell.unit, cell.exact && `exactly ${cell.exact}`, ...cell.notes].filter(Boolean);
    const under = rest.map((line) => `\n${line}`).join("");
    this.tip.replaceChildren(`${cell.time}  strike ${cell.name}\n`, bold, under + spot);
    const { offsetWidth: wide, offsetHeight: tall } = this.tip;
    const left = x + 16 + wide > geometry.width ? x - 16 - wide : x + 16;
    const top = Math.min(Math.max(y - tall - 12, 0), geometry.height - tall);
    this.tip.style.transform = `translate(${Math.round(Math.max(left, 0))}px, ${Math.round(top)}px)`;
  }

  #announce(cell) {
    const text = cell ? cellSentence(cell) : "";
    if (text === this.#told) return;
    this.#told = text;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => (this.readout.textContent = text), cell ? ANNOUNCE_AFTER : 0);
  }
}
