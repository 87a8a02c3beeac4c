// Histograms of hue and value, or of optical density, with the thresholds as handles that can be dragged or typed.

import { el, fill } from "./dom.js";
import { histogramOf } from "./scoring.js";

const HEIGHT = 96;
const PAD = 10;
const GRADE_COLOURS = ["#285adc", "#facf3c", "#f5821e", "#c81414"];

const AXES = {
  hue_value: [
    { name: "hue", title: "Hue", unit: "°", most: 359, handles: [{ key: "hue", label: "Brown below", low: 1, high: 300 }] },
    { name: "value", title: "Brightness of brown nuclei", unit: "", most: 255, handles: [
      { key: "left", label: "Strong below", low: 0, high: 254 }, { key: "right", label: "Moderate below", low: 1, high: 255 }] },
  ],
  dab_od: [
    { name: "od", title: "DAB optical density", unit: "", most: 300, scale: 100, handles: [
      { key: "weak", label: "Weak from", low: 1, high: 298 }, { key: "moderate", label: "Moderate from", low: 2, high: 299 },
      { key: "strong", label: "Strong from", low: 3, high: 300 }] },
  ],
};

export class Thresholds {
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    this.axes = [];
  }

  open(criteria, tables) {
    this.criteria = { ...criteria };
    this.tables = tables;
    this.axes = (AXES[criteria.method] ?? []).map((axis) => new Axis(axis, this));
    fill(this.place, this.axes.map((axis) => axis.element));
    this.draw();
  }

  count(tables) {
    this.tables = tables;
    this.draw();
  }

  set(key, value) {
    const next = ordered({ ...this.criteria, [key]: value }, key);
    if (!next || JSON.stringify(next) === JSON.stringify(this.criteria)) return this.draw();
    this.criteria = next;
    this.draw();
    this.changed({ ...next });
  }

  draw() {
    for (const axis of this.axes) axis.draw();
  }
}

// A handle pushes those that it would pass.
function ordered(criteria, key) {
  const keys = criteria.method === "hue_value" ? ["left", "right"] : ["weak", "moderate", "strong"];
  const step = criteria.method === "hue_value" ? 1 : 0.01;
  const at = keys.indexOf(key);
  const made = { ...criteria };
  const round = (v) => (step === 1 ? v : Math.round(v * 100) / 100);
  for (let i = at + 1; at >= 0 && i < keys.length; i++) {
    if (made[keys[i]] <= made[keys[i - 1]]) made[keys[i]] = round(made[keys[i - 1]] + step);
  }
  for (let i = at - 1; i >= 0; i--) {
    if (made[keys[i]] >= made[keys[i + 1]]) made[keys[i]] = round(made[keys[i + 1]] - step);
  }
  const [least, most] = step === 1 ? [0, 255] : [0.01, 3];
  return keys.every((k) => made[k] >= least && made[k] <= most) ? made : null;
}

class Axis {
  constructor(axis, owner) {
    Object.assign(this, axis, { owner, scale: axis.scale ?? 1 });
    this.canvas = el("canvas", { class: "histogram", height: HEIGHT, "aria-hidden": "true" });
    this.canvas.addEventListener("pointerdown", (event) => this.grab(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (this.held = null));
    new ResizeObserver(() => owner.tables && this.draw()).observe(this.canvas);
    this.inputs = new Map();
    const rows = this.handles.map((handle) => this.row(handle));
    this.element = el("div", { class: "axis" }, el("h4", {}, this.title), this.canvas, rows);
  }

  row({ key, label, low, high }) {
    const at = { min: String(low / this.scale), max: String(high / this.scale), step: String(1 / this.scale) };
    const slider = el("input", { type: "range", ...at, id: `slider-${key}`, "aria-label": `${label}, ${this.title}` });
    const number = el("input", { type: "number", ...at, "aria-label": `${label}, number`, data: { threshold: key } });
    slider.addEventListener("input", () => this.owner.set(key, Number(slider.value)));
    number.addEventListener("change", () => {
      const value = Math.min(Math.max(Number(number.value), low / this.scale), high / this.scale);
      this.owner.set(key, Math.round(value * this.scale) / this.scale);
      this.draw();
    });
    this.inputs.set(key, [slider, number]);
    return el("div", { class: "handle" }, el("label", { for: `slider-${key}` }, label), slider, number);
  }

  // How many cells have each value: of brightness those alone that the hue makes brown.
  get counts() {
    const { tables, criteria } = this.owner;
    const counts = new Float64Array(this.most + 1);
    if (this.name === "od") {
      tables[histogramOf(criteria)].forEach((n, i) => (counts[i % counts.length] += n));
      return counts;
    }
    const joint = tables[histogramOf(criteria)];
    for (let i = 0; i < joint.length; i++) {
      if (!joint[i]) continue;
      const hue = Math.floor(i / 256) % 360;
      if (this.name === "hue") counts[hue] += joint[i];
      else if (hue < criteria.hue || hue > 300) counts[i % 256] += joint[i];
    }
    return counts;
  }

  colour(value) {
    const c = this.owner.criteria;
    if (this.name === "hue") return value < c.hue || value > 300 ? "#a3642f" : GRADE_COLOURS[0];
    if (this.name === "value") return GRADE_COLOURS[value < c.left ? 3 : value < c.right ? 2 : 1];
    const cuts = [c.weak, c.moderate, c.strong].map((cut) => Math.round(cut * 100));
    return GRADE_COLOURS[cuts.filter((cut) => value >= cut).length];
  }

  get width() {
    return (this.canvas.clientWidth || 360) - 2 * PAD;
  }

  draw() {
    const c = this.canvas.getContext("2d");
    const width = this.canvas.clientWidth || 360;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: HEIGHT * ratio });
    c.scale(ratio, ratio);
    c.clearRect(0, 0, width, HEIGHT);
    const bars = this.bars(Math.max(Math.floor(this.width / 2), 40));
    const highest = Math.max(...bars.map(({ n }) => n), 1);
    const step = this.width / bars.length;
    bars.forEach(({ n, middle }, i) => {
      const tall = Math.sqrt(n / highest) * (HEIGHT - 22);
      c.fillStyle = this.colour(middle);
      c.fillRect(PAD + i * step, HEIGHT - 14 - tall, Math.max(step - 0.4, 0.8), tall);
    });
    this.scaleBelow(c, width);
    for (const { key } of this.handles) this.handle(c, key);
  }

  bars(wanted) {
    const counts = this.counts;
    const n = Math.min(wanted, counts.length);
    const bars = Array.from({ length: n }, (_, i) => ({ n: 0, middle: Math.floor(((i + 0.5) * counts.length) / n) }));
    counts.forEach((count, value) => (bars[Math.floor((value * n) / counts.length)].n += count));
    return bars;
  }

  scaleBelow(c, width) {
    c.fillStyle = "#565c66";
    c.font = "11px system-ui, sans-serif";
    c.textAlign = "center";
    for (let k = 0; k <= 4; k++) {
      const value = (this.most * k) / 4;
      const text = this.scale === 1 ? `${Math.round(value)}${this.unit}` : (value / this.scale).toFixed(1);
      c.fillText(text, Math.min(Math.max(this.x(value), 14), width - 16), HEIGHT - 2);
    }
  }

  handle(c, key) {
    const value = this.owner.criteria[key];
    const x = this.x(value * this.scale);
    c.strokeStyle = "#14171c";
    c.lineWidth = 2;
    c.beginPath();
    c.moveTo(x, 4);
    c.lineTo(x, HEIGHT - 14);
    c.stroke();
    c.fillStyle = "#14171c";
    c.beginPath();
    c.arc(x, 7, 5.5, 0, 7);
    c.fill();
    const [slider, number] = this.inputs.get(key);
    if (slider.value !== String(value)) slider.value = String(value);
    if (document.activeElement !== number || number.value === "") number.value = String(value);
  }

  x(value) {
    return PAD + (value / (this.most + 1)) * this.width;
  }

  valueAt(event) {
    const { left } = this.canvas.getBoundingClientRect();
    return Math.round(((event.clientX - left - PAD) / this.width) * (this.most + 1));
  }

  grab(event) {
    const value = this.valueAt(event);
    const away = ({ key }) => Math.abs(this.owner.criteria[key] * this.scale - value);
    this.held = this.handles.reduce((best, handle) => (away(handle) < away(best) ? handle : best));
    this.canvas.setPointerCapture(event.pointerId);
    this.drag(event);
  }

  drag(event) {
    if (!this.held) return;
    const { key, low, high } = this.held;
    this.owner.set(key, Math.min(Math.max(this.valueAt(event), low), high) / this.scale);
  }
}
