// The slide, and what is painted over it: OpenSeadragon shows the tiles, a canvas above it the nuclei.

import { Cells } from "./cells.js";
import { Grouping, Painter } from "./paint.js";
import { areaOf, simplified } from "./regions.js";
import { isLive } from "./scoring.js";
import { el } from "./dom.js";

const LASSO_PX = 4; // between two points of a lasso, on the screen
const PICK_UM = 6;
const REACH_PX = 60; // on the screen, by keys

export class Viewer {
  // `events`: drawn(region), picked(cell), failed(), moved().
  constructor(place, found, events) {
    Object.assign(this, { found, events, tool: "pan", opacity: 1, spots: [], drawing: null, picked: null });
    this.stain = { stain: "original", low: 0, high: 1 };
    this.canvas = el("canvas", { class: "overlay", "aria-hidden": "true" });
    this.place = place;
    this.osd = window.OpenSeadragon({
      element: place,
      drawer: "canvas",
      showNavigationControl: false,
      showNavigator: true,
      navigatorPosition: "BOTTOM_RIGHT",
      navigatorSizeRatio: 0.16,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      animationTime: 0.5,
      maxZoomPixelRatio: 4,
      visibilityRatio: 0.4,
      imageLoaderLimit: 6,
      maxImageCacheCount: 400,
      timeout: 60000,
      keyboardNavEnabled: true,
      tileSources: this.source(),
    });
    place.append(this.canvas);
    this.painter = new Painter(this.canvas, found.assay, found.pyramid.mpp);
    this.cells = new Cells(found.id, () => this.redraw());
    this.osd.addHandler("update-viewport", () => this.draw());
    this.osd.addHandler("resize", () => this.redraw());
    this.osd.addOnceHandler("open", () => {
      this.osd.preserveViewport = true; // another stain shows the same place
      this.redraw();
    });
    this.osd.addHandler("tile-load-failed", (event) => this.events.failed(event));
    this.osd.addHandler("animation-finish", () => this.events.moved());
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      place.addEventListener(name, (event) => this.pointer(event), true);
    }
    this.osd.canvas.setAttribute("aria-label", "Slide. Arrow keys move, plus and minus zoom, 0 shows all of it; C, then Enter, picks what is in the middle.");
    this.osd.canvas.setAttribute("role", "application");
  }

  source() {
    const { pyramid, id } = this.found;
    const { width, height, side, levels } = pyramid;
    const { stain, low, high } = this.stain;
    const query = stain === "original" ? "" : `?stain=${stain}&low=${low}&high=${high}`;
    const least = Math.max(0, levels - 1 - Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / 256))));
    return {
      width, height, tileSize: side, tileOverlap: 0, minLevel: least, maxLevel: levels - 1,
      getTileUrl: (level, x, y) => `/data/results/${id}/tiles/${level}/${x}/${y}${query}`,
    };
  }

  show(stain) {
    this.stain = stain;
    this.osd.addTiledImage({ tileSource: this.source(), index: 0, replace: true });
  }

  reload() {
    this.show(this.stain);
  }

  grade(criteria, draft) {
    this.draft = draft;
    this.grouping = new Grouping(this.found.assay, criteria, isLive(this.found.assay, criteria), draft);
    this.draw();
  }

  redraw() {
    this.osd.forceRedraw();
    this.draw();
  }

  // From pixels of the largest level to those of the overlay.
  get view() {
    const item = this.osd.world.getItemAt(0);
    const { x: left, y: top } = this.osd.viewport.pixelFromPoint(new window.OpenSeadragon.Point(0, 0), true);
    const width = item ? item.getContentSize().x : this.found.pyramid.width;
    const right = this.osd.viewport.pixelFromPoint(new window.OpenSeadragon.Point(1, 0), true).x;
    return { left, top, scale: (right - left) / width };
  }

  // What is seen, in pixels of the largest level.
  get box() {
    const { left, top, scale } = this.view;
    return { x: -left / scale, y: -top / scale, width: this.canvas.width / scale, height: this.canvas.height / scale };
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.place;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    if (!this.grouping || !this.osd.viewport) return;
    const view = this.view;
    if (!Number.isFinite(view.scale) || view.scale <= 0) return;
    this.painter.paint({
      parts: this.cells.in(this.box, this.painter.isNear(view)), sample: this.cells.sample, weight: this.cells.weight, grouping: this.grouping,
      view, draft: this.draft, spots: this.spots, drawing: this.drawing, opacity: this.opacity, picked: this.picked,
    });
  }

  use(tool) {
    this.tool = tool;
    this.drawing = null;
    this.place.dataset.tool = tool;
    this.draw();
  }

  pointOf(event) {
    const { left, top } = this.place.getBoundingClientRect();
    const view = this.view;
    return [(event.clientX - left - view.left) / view.scale, (event.clientY - top - view.top) / view.scale];
  }

  // While a region is drawn or a nucleus picked the mouse is ours; wheel and keys stay the slide's.
  pointer(event) {
    if (this.tool === "pan" || (event.button > 0 && event.type === "pointerdown")) return;
    if (event.target.closest?.(".navigator")) return;
    event.stopPropagation();
    if (event.type === "pointerdown") this.begin(event);
    else if (event.type === "pointermove" && this.drawing) this.extend(event);
    else if (event.type === "pointerup" || event.type === "pointercancel") this.finish(event);
  }

  begin(event) {
    const point = this.pointOf(event);
    if (this.tool === "nucleus") return this.pick(point, PICK_UM / this.found.pyramid.mpp);
    this.place.setPointerCapture?.(event.pointerId);
    this.drawing = { class: this.tool, points: [point] };
  }

  // The cell nearest to a point of the largest level.
  pick([x, y], reach) {
    this.picked = this.cells.nearest({ x, y }, reach);
    this.draw();
    this.events.picked(this.picked);
  }

  // By keys: the one nearest to the middle of what is seen.
  pickMiddle() {
    const { x, y, width, height } = this.box;
    this.pick([x + width / 2, y + height / 2], REACH_PX / this.view.scale);
  }

  extend(event) {
    const point = this.pointOf(event);
    const last = this.drawing.points[this.drawing.points.length - 1];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) * this.view.scale < LASSO_PX) return;
    this.drawing.points.push(point);
    this.draw();
  }

  finish(event) {
    const drawn = this.drawing;
    this.drawing = null;
    if (drawn && event.type === "pointerup") {
      const { width, height } = this.found.pyramid;
      const kept = simplified(drawn.points, 1 / this.view.scale)
        .map(([x, y]) => [clamped(x, width), clamped(y, height)]);
      if (kept.length >= 3 && areaOf(kept) >= 4) this.events.drawn({ class: drawn.class, points: kept });
    }
    this.draw();
  }

  // Shows a box of the largest level, with some room round it.
  goTo({ x, y, width, height }) {
    const whole = this.found.pyramid.width;
    const room = 0.25 * Math.max(width, height);
    this.osd.viewport.fitBounds(new window.OpenSeadragon.Rect(
      (x - room) / whole, (y - room) / whole, (width + 2 * room) / whole, (height + 2 * room) / whole));
  }

  home() {
    this.osd.viewport.goHome();
  }

  zoom(by) {
    this.osd.viewport.zoomBy(by);
    this.osd.viewport.applyConstraints();
  }

  close() {
    this.osd.destroy();
  }
}

const clamped = (v, most) => Math.round(Math.min(Math.max(v, 0), most) * 100) / 100;
