// Which strikes are in sight: zoom and pan by wheel, drag, pinch and buttons, within what there is.

const CLOSEST = 3; // strikes
const PINCH = 50; // pixels; a wheel's steps are longer

/** Prices after zooming by a factor about one of them. */
export function zoomed([least, most], factor, about) {
  return [about - (about - least) * factor, about + (most - about) * factor];
}

/** Prices kept within the strikes' edges, and not closer than a few strikes. */
export function within([least, most], edges) {
  const [bottom, top] = [edges[0], edges.at(-1)];
  const narrowest = Math.min(((top - bottom) / (edges.length - 1)) * CLOSEST, top - bottom);
  const span = Math.min(Math.max(most - least, narrowest), top - bottom);
  const middle = (least + most) / 2;
  const start = Math.min(Math.max(middle - span / 2, bottom), top - span);
  return [start, start + span].map((price) => Number(price.toPrecision(8)));
}

/** Tells gestures on the picture as new prices, or as places pointed at. */
export class Gestures {
  #pointers = new Map();
  #drag = null;

  /**
   * `view.geometry()` is the present one, `zoomed()` whether fewer strikes are in sight than at first; its
   * `show(prices)`, `point(x, y)`, `leave()` and `reset()` are told.
   */
  constructor(element, view) {
    this.view = view;
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.#down(event, element));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => this.#up(event));
    element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !this.#drag && view.leave());
    element.addEventListener("dblclick", () => view.reset());
  }

  #wheel(event) {
    const geometry = this.view.geometry();
    if (!geometry?.edges.length) return;
    if (!event.ctrlKey && !event.shiftKey && !this.view.zoomed()) return; // the page scrolls
    event.preventDefault();
    const turned = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const usd = (geometry.most - geometry.least) / (geometry.heat.bottom - geometry.heat.top);
      this.#pan(geometry, -(turned || event.deltaX) * usd);
      return;
    }
    const pinched = event.ctrlKey && Math.abs(turned) < PINCH; // as browsers tell two fingers on a pad
    const factor = Math.exp(Math.max(Math.min(turned, 240), -240) / (pinched ? 100 : 400));
    this.view.show(zoomed([geometry.least, geometry.most], factor, geometry.priceAt(event.offsetY)));
  }

  #down(event, element) {
    this.#pointers.set(event.pointerId, event);
    if (this.#pointers.size === 2) this.#drag = this.#pinchStart();
    else if (event.pointerType === "mouse" && event.button === 0) {
      element.setPointerCapture(event.pointerId);
      this.#drag = { from: event.offsetY, geometry: this.view.geometry(), moved: false };
    }
    this.view.point(event.offsetX, event.offsetY);
  }

  #move(event) {
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, event);
    if (this.#pointers.size === 2 && this.#drag?.pinch) return this.#pinch();
    if (this.#drag && !this.#drag.pinch) {
      const { from, geometry } = this.#drag;
      this.#drag.moved ||= Math.abs(event.offsetY - from) > 3;
      if (this.#drag.moved && geometry?.edges.length) {
        const usd = (geometry.most - geometry.least) / (geometry.heat.bottom - geometry.heat.top);
        this.#pan(geometry, (event.offsetY - from) * usd);
      }
    }
    if (event.pointerType === "mouse" || this.#pointers.size === 1) this.view.point(event.offsetX, event.offsetY);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pointers.size < 2) this.#drag = null;
  }

  #pinchStart() {
    const geometry = this.view.geometry();
    return { pinch: true, geometry, ...this.#spread() };
  }

  #pinch() {
    const { geometry, apart, middle } = this.#drag;
    if (!geometry?.edges.length) return;
    const now = this.#spread();
    const factor = Math.max(apart, 20) / Math.max(now.apart, 20);
    const about = geometry.priceAt(middle);
    const prices = zoomed([geometry.least, geometry.most], factor, about);
    const shift = ((now.middle - middle) * (prices[1] - prices[0])) / (geometry.heat.bottom - geometry.heat.top);
    this.view.show(prices.map((price) => price + shift));
  }

  #spread() {
    const [a, b] = [...this.#pointers.values()];
    return { apart: Math.hypot(a.offsetX - b.offsetX, a.offsetY - b.offsetY), middle: (a.offsetY + b.offsetY) / 2 };
  }

  #pan(geometry, usd) {
    this.view.show([geometry.least + usd, geometry.most + usd]);
  }
}
