// An image's stains in any combination, its nuclei over them, and thresholds that move: counted anew in the browser.

import { get } from "./api.js";
import { el, fill } from "./dom.js";
import { columnsOf } from "./scoring.js";

const LAYERS = [["DAPI", "Nuclei (DAPI)", [0.25, 0.45, 1]], ["Lap2", "Borders (Lap2)", [0.2, 1, 0.4]], ["Marker", "Marker", [1, 0.45, 0.15]]];
const BASES = [["Original", "Image"], ["Hema", "Haematoxylin"], ["SegRefined", "Classes"], ["black", "Black"]];
const COLOURS = ["#285adc", "#facf3c", "#f5821e", "#c81414"];
const NAMES = ["unstained", "weak", "moderate", "strong"];
const PICTURES = ["Original", "Hema", "DAPI", "Lap2", "Marker", "Seg", "SegOverlaid", "SegRefined"];

export class Sheet {
  constructor(image) {
    Object.assign(this, { image, planes: {}, base: "Original", outlines: true, zoom: 1 });
    this.layers = Object.fromEntries(LAYERS.map(([name]) => [name, { on: false, low: 0, high: 255 }]));
    this.canvas = el("canvas", { role: "img", "aria-label": "The image, as chosen beside it" });
    this.over = el("canvas", { class: "over", "aria-hidden": "true" });
    this.sheet = el("div", { class: "sheet", role: "region", tabindex: "0", "aria-label": "Picture; arrow keys move it" }, this.canvas, this.over);
    this.aside = el("aside", { "aria-label": "Result" }, el("p", { class: "wait" }, "Loading…"));
    this.element = el("div", { class: "one" }, this.sheet, this.aside);
  }

  async load() {
    const nuclei = await get(`/data/images/${this.image.id}/nuclei.json`);
    const packed = Uint8Array.from(atob(nuclei.radii), (c) => c.charCodeAt(0));
    Object.assign(this, { nuclei, radii: packed });
    this.cuts = { probability: nuclei.counted_from, area: 0, weak: 0.2, moderate: 0.5, strong: 0.9 };
    this.usual = nuclei.criteria.method === "hue_value" ? nuclei.criteria : null;
    this.grading = this.usual ? "usual" : "nucleus";
    await this.plane("Original");
    const { width, height } = this.planes.Original;
    for (const canvas of [this.canvas, this.over]) Object.assign(canvas, { width, height });
    const kept = [...this.aside.children].slice(1);
    fill(this.aside, this.numbers(), this.thresholds(), this.view(), this.thumbs(), kept);
    this.fit();
    await this.paint();
    this.count();
  }

  async plane(name) {
    if (this.planes[name] || name === "black") return;
    const blob = await (await fetch(this.address(name), { credentials: "same-origin" })).blob();
    const bitmap = await createImageBitmap(blob);
    const scratch = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    scratch.drawImage(bitmap, 0, 0);
    this.planes[name] = scratch.getImageData(0, 0, bitmap.width, bitmap.height);
  }

  address(name) {
    return `/data/images/${this.image.id}/views/${name}.png`;
  }

  numbers() {
    this.table = el("tbody", {});
    return el("section", {}, el("h3", {}, `Nuclei, ${this.image.marker}`),
      this.image.warnings.map((warning) => el("p", { class: "warn" }, warning === "TOO_COARSE" ? "The image is coarser than the model takes: nuclei are found less surely." : warning)),
      el("table", { class: "numbers", "aria-live": "polite" }, this.table),
      el("p", { class: "dim" }, "Nothing was re-stained: the stains are computed from the image's colours, the nuclei found by our network."));
  }

  thresholds() {
    const slider = (key, label, min, max, step, unit = "") => {
      const shown = el("output", {}, String(this.cuts[key]) + unit);
      const input = el("input", { type: "range", id: `cut-${key}`, min: String(min), max: String(max), step: String(step), oninput: () => {
        this.cuts[key] = Number(input.value);
        shown.textContent = input.value + unit;
        this.count();
      } });
      input.value = String(this.cuts[key]);
      return el("div", { class: "row" }, el("label", { for: `cut-${key}` }, label), input, shown);
    };
    const ways = [["usual", "as the profile that ships (hue and value)"], ["square", "DAB density of the centre's square"], ["nucleus", "DAB density of the nucleus"]];
    const cuts = el("div", { hidden: this.grading === "usual" }, ["weak", "moderate", "strong"].map((key) => slider(key, `Density ${key}`, 0.02, 2, 0.01)));
    return el("section", {}, el("h3", {}, "Thresholds"),
      slider("probability", "Probability", 0.1, 0.99, 0.01), slider("area", "Least area", 0, 60, 0.5, " µm²"),
      el("p", {}, el("label", { for: "grading" }, "Graded by "), el("select", { id: "grading", onchange: (event) => {
        this.grading = event.target.value;
        cuts.hidden = this.grading === "usual";
        this.count();
      } }, ways.filter(([name]) => name !== "usual" || this.usual).map(([name, label]) => el("option", { value: name }, label)))), cuts);
  }

  view() {
    const pick = el("select", { id: "base", onchange: async () => {
      this.base = pick.value;
      await this.paint();
    } }, BASES.map(([name, label]) => el("option", { value: name }, label)));
    const outlines = el("input", { type: "checkbox", id: "outlines", checked: true, onchange: () => {
      this.outlines = outlines.checked;
      this.count();
    } });
    const zoom = this.slider = el("input", { type: "range", id: "zoom", min: "-2", max: "3", step: "0.25", value: "0", oninput: () => this.scale(2 ** Number(zoom.value)) });
    return el("section", {}, el("h3", {}, "Multiplex view"),
      el("p", {}, el("label", { for: "base" }, "Over "), pick, " ", outlines, el("label", { for: "outlines" }, " Outlines")),
      LAYERS.map(([name, label]) => this.layer(name, label)),
      el("div", { class: "row" }, el("label", { for: "zoom" }, "Zoom"), zoom));
  }

  layer(name, label) {
    const state = this.layers[name];
    const changed = async () => this.paint();
    const range = (key, what) => el("input", { type: "range", min: "0", max: "255", value: String(state[key]), "aria-label": `${label}: ${what}`, oninput: (event) => {
      state[key] = Number(event.target.value);
      changed();
    } });
    return el("div", { class: "layer" }, el("label", {}, el("input", { type: "checkbox", data: { layer: name }, onchange: (event) => {
      state.on = event.target.checked;
      changed();
    } }), ` ${name}`), range("low", "low"), range("high", "high"));
  }

  thumbs() {
    return el("section", {}, el("h3", {}, "Pictures"), el("div", { class: "thumbs" }, PICTURES.map((name) =>
      el("button", { type: "button", "aria-label": `Show ${name}`, onclick: async () => {
        this.base = name;
        await this.paint();
      } }, el("img", { src: this.address(name), alt: "", loading: "lazy" }), name))));
  }

  scale(factor) {
    this.zoom = factor;
    for (const canvas of [this.canvas, this.over]) canvas.style.width = `${this.canvas.width * factor}px`;
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.sheet;
    this.scale(Math.max(0.25, Math.min(width / this.canvas.width, height / this.canvas.height, 4)));
    this.slider.value = String(Math.log2(this.zoom));
  }

  async paint() {
    const on = LAYERS.filter(([name]) => this.layers[name].on);
    await Promise.all([this.base, ...on.map(([name]) => name)].map((name) => this.plane(name)));
    const { width, height } = this.canvas;
    const made = new ImageData(width, height);
    if (this.base !== "black") made.data.set(this.planes[this.base].data);
    else for (let i = 3; i < made.data.length; i += 4) made.data[i] = 255;
    for (const [name, , colour] of on) mixed(made.data, this.planes[name].data, colour, this.layers[name], this.base === "black");
    this.canvas.getContext("2d").putImageData(made, 0, 0);
  }

  grade(i) {
    const n = this.nuclei;
    if (this.grading === "usual") {
      const { hue, left, right } = this.usual;
      const [hues, values] = columnsOf(this.usual).map((name) => n[name]);
      if (hues[i] >= hue && hues[i] <= 300) return 0;
      return values[i] < left ? 3 : values[i] < right ? 2 : 1;
    }
    const od = (this.grading === "square" ? n.dab_od_centi : n.nucleus_od_centi)[i];
    return ["weak", "moderate", "strong"].filter((key) => od >= Math.round(this.cuts[key] * 100)).length;
  }

  count() {
    const n = this.nuclei;
    const grades = [0, 0, 0, 0];
    const pen = this.over.getContext("2d");
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const paths = COLOURS.map(() => new Path2D());
    for (let i = 0; i < n.x.length; i++) {
      if (n.nucleus[i] < this.cuts.probability || n.area_um2[i] < this.cuts.area) continue;
      const grade = this.grade(i);
      grades[grade]++;
      if (this.outlines) this.trace(paths[grade], i);
    }
    pen.lineWidth = 1.2;
    paths.forEach((path, grade) => {
      pen.strokeStyle = COLOURS[grade];
      pen.stroke(path);
    });
    const total = grades.reduce((a, b) => a + b, 0);
    const share = (k) => (total ? `${(100 * k / total).toFixed(1)} %` : "–");
    const row = (name, value) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value));
    fill(this.table, row("Nuclei", String(total)), row("Positive", `${total - grades[0]} (${share(total - grades[0])})`),
      grades.map((k, grade) => row(`${grade} ${NAMES[grade]}`, `${k} (${share(k)})`)),
      row("H-score", total ? ((grades[1] + 2 * grades[2] + 3 * grades[3]) * 100 / total).toFixed(1) : "–"));
  }

  trace(path, i) {
    const { x, y, rays, px_per_unit: unit } = this.nuclei;
    for (let k = 0; k < rays; k++) {
      const turn = 2 * Math.PI * k / rays;
      const r = this.radii[i * rays + k] * unit;
      path[k ? "lineTo" : "moveTo"](x[i] + r * Math.cos(turn), y[i] + r * Math.sin(turn));
    }
    path.closePath();
  }
}

function mixed(out, layer, colour, { low, high }, black) {
  const table = Float32Array.from({ length: 256 }, (_, v) => Math.min(Math.max((v - low) / Math.max(high - low, 1), 0), 1));
  for (let i = 0; i < out.length; i += 4) {
    const share = table[layer[i]];
    if (share === 0) continue;
    for (let c = 0; c < 3; c++) out[i + c] = black ? out[i + c] + 255 * share * colour[c] : out[i + c] * (1 - share) + 255 * share * colour[c];
  }
}
